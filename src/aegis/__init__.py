"""Aegis answers security incidents with every paid service a team owns, and can never overspend one of them."""

__version__ = "0.1.0"
