"""The detection rules that come with Aegis, and how they and the user's own are loaded."""
