"""What a stop reaches outside of Aegis, one small file each. Nothing is found by name: only by registration, label or id."""
