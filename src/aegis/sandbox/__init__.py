"""A stand-in for every outside service, on loopback."""
