"""Token vectors, trained and questioned."""
