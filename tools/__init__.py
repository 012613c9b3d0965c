"""What developers run beside the program itself."""
