"""The aliases that PowerShell itself defines, each with the command it stands for (aliases.toml)."""

import tomllib
from pathlib import Path

_BUILT_IN = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
ALIASES = tuple((a, command.lower()) for command, aliases in _BUILT_IN.items() for a in aliases.split())
SPELLED = {command.lower(): command for command in _BUILT_IN}  # "get-childitem": "Get-ChildItem"
