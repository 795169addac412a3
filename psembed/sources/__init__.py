"""Pinned bytes become one table of texts."""
