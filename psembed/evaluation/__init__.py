"""Coverage at a fixed false-positive rate."""
