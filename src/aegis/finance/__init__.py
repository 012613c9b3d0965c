"""What spending will come to, and when it is not as usual: the mathematics and the watch over it."""
