"""From the text of a PowerShell script to its syntax tree."""
