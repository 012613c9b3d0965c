"""Secrets: references to them, the encrypted store, and keeping them out of everything people read."""
