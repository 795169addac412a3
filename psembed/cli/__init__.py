"""What is typed becomes a call."""
