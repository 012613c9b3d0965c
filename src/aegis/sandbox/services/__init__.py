"""One module for each outside service: what it accepts, how it answers, what it remembers."""
