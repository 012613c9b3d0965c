"""The governed call: gates, reserve, call, settle."""
