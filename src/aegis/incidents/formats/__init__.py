"""Log formats: bytes from outside become records, or are refused by name; nothing here knows incidents."""
