"""Command lines that hand scripts to PowerShell by -EncodedCommand, and do nothing else.

A text does not say whether cmd or PowerShell reads it. So what separates, quotes or escapes in either does so
here, and all other words must be plain: they mean nothing but themselves in both.
"""

import re
import tomllib
from pathlib import Path

from psembed.powershell.unwrap.interpreter.hosts import COMMANDS, HOST, HOSTS, Parameters, role_of

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_QUOTED = re.sub(r"\((?!\?)", "(?:", _DATA["patterns"]["quoted"])
_PATTERNS = {
    name: re.compile(pattern.replace("QUOTED", _QUOTED), re.VERBOSE | re.I | re.S | re.M)
    for name, pattern in _DATA["patterns"].items()
}
_HARMLESS = frozenset(_DATA["harmless"])
_DEPTH = 8  # of command lines within command lines, and of variables within variables
_WORDS = 1_000  # of one command


def handed_over(text: str) -> list[str]:
    """Return the Base64 of the scripts that a text hands to PowerShell; none where it does anything else.

    Never raises, on any text; the work is linear in its length.

    Examples
    --------
    >>> handed_over('@cmd /c "power^shell -nop -e dwBoAG8AYQBtAGkA" > run.log')
    ['dwBoAG8AYQBtAGkA']
    >>> handed_over("calc & powershell -e dwBoAG8AYQBtAGkA")
    []
    """
    reader = _Reader(len(text))
    try:
        reader.read(text)
    except ValueError:
        return []
    return reader.encoded if len(reader.encoded) == reader.hosts and not reader.unread else []


class _Reader:
    """One pass over a text; raises ValueError as soon as it does anything else."""

    def __init__(self, size: int):
        self.left = _DEPTH * size + 1_000  # characters that may still be read, those within others again
        self.variables: dict[str, str] = dict(_DATA["variables"])
        self.unread: set[str] = set()  # variables of cmd, which the script could read instead
        self.encoded: list[str] = []
        self.hosts = 0  # PowerShells that were started

    def read(self, text: str, known: Parameters = (), depth: int = 0) -> None:
        """Take in each command of a text; the parameters of those around it are `known`."""
        self._spend(len(text))
        words: list[str] = []
        lists = 0  # that are open
        for match in _PATTERNS["token"].finditer(text):
            kind = match.lastgroup
            if kind == "other" or len(words) > _WORDS or depth > _DEPTH:
                raise ValueError("no command line")
            if kind == "list":
                lists += 1
            elif lists and match[0] in ")};\r\n":
                lists -= match[0] in ")}"
            elif kind == "word":
                words.append(match[0])
            elif kind == "end":
                self._statement(words, known, depth + 1)
                words = []
        self._statement(words, known, depth + 1)

    def _spend(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise ValueError("too long")

    def _statement(self, words: list[str], known: Parameters, depth: int) -> None:
        """Take in an assignment, or a command once its variables are replaced."""
        text = " ".join(words).replace(" = ", "=")
        assignment = _PATTERNS["assignment"].fullmatch(text)
        value = _PATTERNS["variable"].sub(self._value, assignment[3] if assignment else text)
        if not assignment and value == text:
            self._command(words[::-1], known, depth)
        elif not assignment or (assignment[1] is None and not _PATTERNS["literal"].fullmatch(value)):
            self.read(value, known, depth)
        else:
            name = assignment[2].lower()
            self.variables[name] = value.removesuffix(assignment[1] or "")
            if assignment[1] is not None:
                self.unread.add(name)

    def _value(self, match: re.Match[str]) -> str:
        """Return the value of a variable, or a part of it; what stands for one that is not known."""
        name = (match[1] or match[4]).lower()
        if name not in self.variables:
            return match[0]
        self.unread.discard(name)
        self._spend(len(self.variables[name]))
        start, length = int(match[2] or 0), int(match[3]) if match[3] else None
        return self.variables[name][start:][:length]

    def _command(self, words: list[str], known: Parameters, depth: int) -> None:
        """Take in a command, whose words come in reverse."""
        harmless = False
        while words:
            word = words.pop()
            value = _unquoted(word)
            name = _PATTERNS["program"].sub(r"\1", value).lower()
            if harmless:
                _check("value", value)
            elif _PATTERNS["to_file"].fullmatch(word) and self.encoded:
                _check("file", _unquoted(words.pop() if words else ""))
            elif name in _HARMLESS and HOST[0] not in known:
                harmless = True
            elif parameter := _PATTERNS["parameter"].fullmatch(value):
                self._parameter(parameter, words, known, depth)
            elif name in COMMANDS:
                known = COMMANDS[name] + known
                self.hosts += name in HOSTS
            elif re.search(r"\s", value):
                self.read(value, known, depth)
            elif value:
                raise ValueError("another command")

    def _parameter(self, found: re.Match[str], words: list[str], known: Parameters, depth: int) -> None:
        """Take in a parameter and its value, joined to it or the next word."""
        name, value = found[1].lower(), found[2] or ""
        role = role_of(name, known + HOST)
        if role in ("script", "value", "file"):
            value = value or _unquoted(words.pop() if words else "")
            _check(role, value)
        elif role == "line" and value:
            self.read(value, known, depth) if re.search(r"\s", value) else words.append(value)
        elif role in ("code", "anything"):
            raise ValueError("another parameter")
        if role == "script":
            self.encoded.append(value)


def _check(role: str, value: str) -> None:
    if not _PATTERNS[role].fullmatch(value):
        raise ValueError(f"no {role}")


def _unquoted(word: str) -> str:
    """Return what a word says; the quotes within it stay where it is a command line of its own."""
    value = _PATTERNS["within"].sub("", _PATTERNS["quoted"].sub(r"\1\2\3\4", word))
    return value if re.search(r"\s", value) else _PATTERNS["quote"].sub("", value)
