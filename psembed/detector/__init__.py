"""Bytes in, verdict out; knows nothing of the study."""
