"""Drills: an emergency rehearsed on the real parts against the sandbox, and scored from the record."""
