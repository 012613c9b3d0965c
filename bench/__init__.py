"""Benchmarks: each module here has `run() -> dict`; `python3 dev.py bench NAME` prints it as JSON."""
