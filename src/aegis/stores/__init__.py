"""The store of record: one set of SQL, two databases."""
