"""The governor for programs: open one, govern functions with it, and govern the vendors' own clients."""
