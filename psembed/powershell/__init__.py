"""What a script says, without running it: text, tokens, commands, layers."""
