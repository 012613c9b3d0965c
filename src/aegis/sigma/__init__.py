"""The detection engine, usable alone: rules, modifiers, compile, match, correlate. Pure."""
