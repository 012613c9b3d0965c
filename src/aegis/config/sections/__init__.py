"""The sections of `aegis.yaml` as they are written: one pydantic model each, strict about every key."""
