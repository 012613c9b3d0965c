"""Whole stories run on the real parts: demo, drills, replay, simulate."""
