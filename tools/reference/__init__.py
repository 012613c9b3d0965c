"""The reference under `docs/reference`, written from the code: `python3 dev.py reference`."""
