"""psembed: token vectors for PowerShell and an honest detector of malicious scripts."""

__version__ = "0.1.0"
