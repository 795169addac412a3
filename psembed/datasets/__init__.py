"""Which scripts count, and on which side of a split."""
