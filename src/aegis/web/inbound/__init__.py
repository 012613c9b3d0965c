"""Signed webhooks in: one small verifier for each sender, and the routes that they share."""
