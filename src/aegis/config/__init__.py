"""Configuration: `aegis.yaml`, the environment and flags, checked whole and turned into frozen values.

Nothing is imported here: `home` is needed by every command, `load` (pydantic, YAML) by few.
"""
