"""Files, logs, exports and tables in, items to score out."""
