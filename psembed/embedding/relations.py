"""What PowerShell's own documentation and the study say is related: aliases, odd groups, analogies.

The settings of the embedding were chosen on "development" halves; "held_out" halves and everything PUBLISHED
are the test. Tokens are spelled as the tokeniser normalises them.
"""

import re
import tomllib
import zlib
from pathlib import Path
from typing import NamedTuple

from psembed.powershell.aliases import ALIASES

PUBLISHED_ALIASES = {
    "C04": ("iex", "invoke-expression"),
    "C05": ("iwr", "invoke-webrequest"),
    "C06": ("gci", "get-childitem"),
}
# Claims C07, C08 of the study's Figure 2, and the families of its Figure 1 (C03).
PUBLISHED_ODD = {
    "C07": (("$i", "$j", "$k", "$true"), "$true"),
    "C08": (("bypass", "normal", "minimized", "maximized", "hidden"), "bypass"),
}
PUBLISHED_GROUPS = {
    "comparison operators": ("-eq", "-ne", "-gt"),
    "execution policies": ("allsigned", "remotesigned", "bypass", "unrestricted"),
}


class Analogy(NamedTuple):
    """`first` - `minus` + `plus` is near one of `expected`, whose first spelling is the published one."""

    first: str
    minus: str
    plus: str
    expected: tuple[str, ...]


# The study prints -neq; PowerShell's operator is -ne.
PUBLISHED_ANALOGIES = {
    "C09": Analogy("high", "$false", "$true", ("low",)),
    "C10": Analogy("-eq", "$false", "$true", ("-neq", "-ne")),
    "C11": Analogy("downloadfile", "$destfile", "$str", ("downloadstring",)),
    "C12": Analogy("export-csv", "$csv", "$html", ("convertto-html",)),
    "C13": Analogy("get-process", "$processes", "$services", ("get-service",)),
}
_OURS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
ODD_GROUPS = {half: tuple(tuple(row.split()) for row in rows) for half, rows in _OURS["odd_groups"].items()}


def _analogy(text: str) -> Analogy:
    first, minus, plus, expected = re.split(" [-+=] ", text)
    return Analogy(first, minus, plus, (expected,))


ANALOGIES = {half: tuple(map(_analogy, rows)) for half, rows in _OURS["analogies"].items()}


def _split_aliases() -> dict[str, tuple[tuple[str, str], ...]]:
    published = {command for _, command in PUBLISHED_ALIASES.values()}
    held = [command in published or zlib.crc32(command.encode()) % 2 == 1 for _, command in ALIASES]
    return {
        "development": tuple(pair for pair, out in zip(ALIASES, held, strict=True) if not out),
        "held_out": tuple(pair for pair, out in zip(ALIASES, held, strict=True) if out),
    }


# The CRC-32 of the cmdlet's name decides, so all aliases of a cmdlet are in one half; the published cmdlets
# are held out.
ALIAS_SPLIT = _split_aliases()
