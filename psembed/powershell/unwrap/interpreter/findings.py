"""What following a script uncovers: constants, decoded values, and strings that are given to run."""

from collections.abc import Callable
from typing import Any, NamedTuple

from psembed.powershell.unwrap.dotnet.encodings import decoded, from_base64
from psembed.powershell.unwrap.dotnet.operators import join
from psembed.powershell.unwrap.dotnet.values import Budget, Builder, Char, Partial, Stream, attempt
from psembed.powershell.unwrap.interpreter.state import DECODINGS, Known
from psembed.powershell.unwrap.parsing.tree import Node, Variable

WORD = "word"  # a finding that stands in the text without quotes


class Finding(NamedTuple):
    """A value that was uncovered, where, and by what step."""

    begin: int
    end: int
    value: Any
    how: str


class Findings:
    """What was uncovered so far in a text.

    `scripts` are strings that are given to run. What expressions gave is kept at their nodes.
    """

    def __init__(self, text: str, budget: Budget):
        self.text, self.budget = text, budget
        self.scripts: list[Finding] = []
        self.commands: list[Finding] = []  # bytes of encoded commands
        self.gain: Callable[[], None] = lambda: None
        self.site: tuple[int, int] | None = None  # where ways part, and in which call
        self.visits = 0  # of such places
        self.cut = ""  # "steps" where a loop was given up that took half of all
        self._unsure: dict[tuple, tuple[int, str]] = {}
        self._nodes: list[tuple[Node, int]] = []
        self._scripts: set[str] = set()

    def note(self, node: Node, known: Known, begin: int = -1) -> None:
        """Keep what an expression gave, from `begin` on if that is elsewhere; different values cancel out."""
        if not isinstance(known[0], str) and known[1] not in DECODINGS:
            return
        seen = node.seen
        if seen is None:
            node.seen = known
            self._nodes.append((node, node.begin if begin < 0 else begin))
        elif seen and seen[0] is not known[0] and (type(seen[0]), seen[0]) != (type(known[0]), known[0]):
            node.seen = ()

    def note_value(self, target: Variable, known: Known) -> None:
        """Keep bytes and characters that a decoding gave a variable."""
        value, how = known
        if how in DECODINGS and _is_decoded(value):
            self.note(target, known)

    def note_script(self, node: Node, value: Any, how: str) -> None:
        """Keep what is given to run."""
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            value = attempt(join, self.budget, value, "\n" if len(value[0]) > 1 else "")
        if isinstance(value, Stream):
            value = attempt(decoded, self.budget, value.data)
        if isinstance(value, bytearray):
            value = attempt(decoded, self.budget, value)
        if isinstance(value, Builder):
            value = value.text(self.budget)
        if isinstance(value, Partial):
            value = value.text
        if isinstance(value, str) and self._is_one_of_many(node, value):
            self.scripts = [each for each in self.scripts if (each.begin, each.end) != (node.begin, node.end)]
        elif isinstance(value, str) and value not in self._scripts:
            self.budget.spend(len(value))
            self._scripts.add(value)
            self.gain()
            self.scripts.append(Finding(node.begin, node.end, str(value), how))

    def _is_one_of_many(self, node: Node, value: str) -> bool:
        """Tell whether a loop tries several values and a condition that is not known chooses among them."""
        if self.site is None:
            return False
        key = (node.begin, node.end, *self.site)
        visit, before = self._unsure.setdefault(key, (self.visits, value))
        return visit != self.visits and before != value

    def note_encoded_command(self, node: Node, value: Any) -> None:
        """Keep the bytes that an argument of -EncodedCommand spells."""
        if isinstance(value, str) and (data := attempt(from_base64, self.budget, value)):
            self.commands.append(Finding(node.begin, node.end, bytes(data), "-EncodedCommand"))

    def spelled(self, node: Node) -> str:
        """Return an expression as the text has it."""
        return self.text[node.begin : node.end]

    def constants(self) -> list[Finding]:
        """Return the strings that take an expression's place in the text."""
        return [
            Finding(begin, node.end, str(node.seen[0]), node.seen[1])
            for node, begin in self._nodes
            if node.seen and isinstance(node.seen[0], str) and not isinstance(node, Variable)
        ]

    def decoded(self) -> list[Finding]:
        """Return the bytes and characters that a decoding gave."""
        return [
            Finding(begin, node.end, *node.seen)
            for node, begin in self._nodes
            if node.seen and _is_decoded(node.seen[0])
        ]


def _is_decoded(value: Any) -> bool:
    return isinstance(value, bytearray) or (
        isinstance(value, list) and value != [] and isinstance(value[0], Char)
    )
