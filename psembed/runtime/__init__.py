"""Whole files, processes that may die, intervals, errors: what every part stands on."""
