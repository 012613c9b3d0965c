"""Stop and return: plan, apply, hold, ramp."""
