"""One small file per outside service: its config, what it meters, its payload, how to read the answer."""
