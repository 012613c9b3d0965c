"""The dashboard: one module a page, each rendered on the server from the views that the API reads."""
