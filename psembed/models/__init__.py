"""The detectors that are compared."""
