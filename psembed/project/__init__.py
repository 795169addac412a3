"""Where files live, which notebook makes them, and how results are read back."""
