"""Follows a syntax tree with values that are known and values that are not. Nothing is executed."""
