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

_OURS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_STUDY = _OURS["published"]
# Of claims C07, C08 (Figure 2) the tokens and the odd one; of C03 (Figure 1) the families.
PUBLISHED_ODD = {name: (tuple(row.split()[1:]), row.split()[0]) for name, row in _STUDY["odd_groups"].items()}
PUBLISHED_ALIASES, PUBLISHED_GROUPS = (
    {name: tuple(row.split()) for name, row in _STUDY[kind].items()} for kind in ("aliases", "groups")
)
ASKED_BEFORE = tuple(_OURS["aliases"]["asked_before"])
ODD_GROUPS = {half: tuple(tuple(row.split()) for row in rows) for half, rows in _OURS["odd_groups"].items()}


class Analogy(NamedTuple):
    """`first` - `minus` + `plus` is near one of `expected`, whose first spelling is the published one."""

    first: str
    minus: str
    plus: str
    expected: tuple[str, ...]


def _analogy(text: str) -> Analogy:
    first, minus, plus, expected = re.split(" [-+=] ", text)
    return Analogy(first, minus, plus, tuple(expected.split()))


PUBLISHED_ANALOGIES = {claim: _analogy(text) for claim, text in _STUDY["analogies"].items()}
ANALOGIES = {half: tuple(map(_analogy, rows)) for half, rows in _OURS["analogies"].items()}

# The CRC-32 of the cmdlet's name decides, so all aliases of a cmdlet are in one half; the published cmdlets
# are held out.
_HELD_OUT = {command for _, command in PUBLISHED_ALIASES.values()}
_HELD_OUT |= {command for _, command in ALIASES if zlib.crc32(command.encode()) % 2}
ALIAS_SPLIT = {
    half: tuple(pair for pair in ALIASES if (pair[1] in _HELD_OUT) == held)
    for half, held in (("development", False), ("held_out", True))
}
