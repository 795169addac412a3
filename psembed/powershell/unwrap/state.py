"""What a pass over a script knows: the items it is reading, the variables so far, and what was uncovered."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from psembed.powershell.unwrap.encodings import decoded, from_base64
from psembed.powershell.unwrap.operators import join
from psembed.powershell.unwrap.values import Budget, Char, Element, Stream, attempt


class Kind:
    """What an item is."""

    VALUE, GROUP, LIST, TYPE, MEMBER, INDEX = "value", "group", "list", "type", "member", "index"
    BLOCK, OPERATOR, ASSIGN, WORD, PARAMETER = "block", "operator", "assign", "word", "parameter"
    OPERANDS = frozenset({VALUE, GROUP, LIST})
    TARGETS = OPERANDS | {TYPE}  # of members and operators


# How a value came about, the more decisive steps later; the most decisive one names a layer.
_WEAK = ("", "concatenation", "format operator", "join", "replace", "split", "reversal")
_RANKS = dict.fromkeys(_WEAK, 0) | {"characters": 1, "hexadecimal": 2, "FromBase64String": 2}
_RANKS |= {"-EncodedCommand": 2, "xor": 3, "gzip": 3, "deflate": 3}
DECODINGS = frozenset(how for how, rank in _RANKS.items() if rank)

_SCOPE = re.compile(r"^(?:global|local|private|script|variable):")
# Automatic variables whose letters spell commands (about_Automatic_Variables), on a usual Windows.
_AUTOMATIC = {
    "pshome": r"C:\Windows\System32\WindowsPowerShell\v1.0", "shellid": "Microsoft.PowerShell",
    "env:comspec": r"C:\WINDOWS\system32\cmd.exe", "env:public": r"C:\Users\Public",
    "verbosepreference": "SilentlyContinue", "ofs": " ", "env:windir": r"C:\WINDOWS",
    "env:systemroot": r"C:\WINDOWS", "env:programfiles": r"C:\Program Files",
}  # fmt: skip


@dataclass(slots=True, eq=False)
class Item:
    """A token or a reduced expression."""

    kind: str
    begin: int
    end: int
    value: Any = None  # None: not known
    how: str = ""  # the value came about
    name: str = ""  # of a variable, type, member, operator or word
    parts: Sequence = ()  # values of a list, also where some are not known
    text: str = ""  # an unknown string as far as it can be read


def decisive(how: str, *before: Item | str | None) -> str:
    """Return the most decisive step; of equals, `how`, the last one, unless it is empty."""
    for each in before:
        other = each.how if isinstance(each, Item) else each or ""
        if not how or _RANKS[other] > _RANKS[how]:
            how = other
    return how


def variable_name(name: str) -> str:
    """Return a variable's name in lower case, without braces, back-ticks and scope."""
    return _SCOPE.sub("", name.strip("{}").replace("`", "").lower())


class Variables:
    """The (value, how) that each variable was given last.

    Those in `varying` count, loop or depend on the way taken; those in `read` were read as known. `blocks`
    counts the open braces, as $_ is an element there.
    """

    def __init__(self, unknown: frozenset[str] = frozenset()):
        self.values: dict[str, tuple[Any, str]] = {name: (value, "") for name, value in _AUTOMATIC.items()}
        self.varying: set[str] = set()
        self.read: set[str] = set()
        self.blocks = 0
        self._unknown = unknown
        self._assigned: dict[str, list[bool]] = {}  # whether in a block, for each assignment

    def get(self, name: str) -> tuple[Any, str]:
        """Return (value, how) of a variable; None for a value that is not known, or never to be relied on."""
        if name in ("_", "psitem") and self.blocks:
            return Element(), ""
        if name in self._unknown or name not in self.values:
            return None, ""
        self.read.add(name)
        return self.values[name]

    def count_assignment(self, name: str) -> None:
        """Note that a variable is given a new value here."""
        self._assigned.setdefault(name, []).append(self.blocks > 0)

    def settle(self) -> None:
        """Count as varying what is assigned more than once, and in a block."""
        self.varying |= {name for name, nested in self._assigned.items() if len(nested) > 1 and any(nested)}


class Finding(NamedTuple):
    """A value that was uncovered, where, and by what step."""

    begin: int
    end: int
    value: Any
    how: str


class Findings:
    """What was uncovered so far.

    `constants` are strings that take an expression's place in the text, `decoded` are bytes and characters
    that a decoding gave, `scripts` are strings that are given to run.
    """

    def __init__(self, budget: Budget):
        self.budget = budget
        self.constants: list[Finding] = []
        self.decoded: list[Finding] = []
        self.scripts: list[Finding] = []

    def known(self, begin: int, end: int, value: Any, how: str, *, quiet: bool = False) -> Item:
        """Return an item for the value of an expression, which takes its place in the text unless `quiet`."""
        self.budget.step()
        if isinstance(value, str) and not quiet:
            self.constants.append(Finding(begin, end, str(value), how))
        item = Item(Kind.VALUE, begin, end, value, how)
        self.note_decoded(item)
        return item

    def note_decoded(self, item: Item) -> None:
        """Note bytes and characters that a decoding gave; strings are constants."""
        value = item.value
        if item.how not in DECODINGS or isinstance(value, Element) or not value:
            return
        if isinstance(value, bytes) or (isinstance(value, list) and isinstance(value[0], Char)):
            self.decoded.append(Finding(item.begin, item.end, value, item.how))

    def note_script(self, item: Item) -> None:
        """Note what is given to run."""
        value = item.value
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            value = attempt(join, self.budget, value, "\n" if len(value[0]) > 1 else "")
        if isinstance(value, Stream):
            value = attempt(decoded, self.budget, value)
        if isinstance(value, str) or (value is None and item.text):
            text = item.text if value is None else value
            self.scripts.append(Finding(item.begin, item.end, text, item.how))

    def note_encoded_command(self, item: Item) -> None:
        """Note the bytes that an argument of -EncodedCommand spells."""
        plain = isinstance(item.value, str) and not item.how.startswith("-")
        if plain and (data := attempt(from_base64, self.budget, item.value)):
            self.decoded.append(Finding(item.begin, item.end, data, "-EncodedCommand"))
