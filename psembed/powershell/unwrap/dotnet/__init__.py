"""What .NET and PowerShell make of values that are known: operators, methods, encodings, ciphers."""
