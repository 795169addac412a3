"""Runs the notebooks, and skips what has not changed."""
