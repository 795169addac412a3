r"""Regular expressions of .NET in Python, as far as both mean the same and their work can be counted.

Covered are literals, classes, dots, groups, alternatives, counted and other repeats of one character or
group, anchors, \G, back references and the replacements $1, ${name}, $& and $$. The work is bounded by the
number of ways in which a pattern can go on after each part, times the length of the text; what could take
more is refused.
"""

import functools
import math
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from psembed.powershell.unwrap.dotnet.values import Budget, Match

LONGEST_PATTERN = 1000  # characters
_MOST_WAYS = 1 << 22  # in which a pattern may go on, times the characters of a text
_PART = re.compile(
    r"(?P<escape>\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[tnrsdwSDWbBfve0]|[^\w\s]|\s))"
    r"|(?P<set>\[\^?\]?(?:\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[tnrsdwSDWfve\W_])|[^\]\\]){0,300}+\])"
    r"|(?P<back>\\[1-9](?!\d))"
    r"|(?P<open>\((?:\?(?:[:=!]|<[=!]|<[A-Za-z_]\w*>|'[A-Za-z_]\w*'))?)|(?P<close>\))|(?P<or>\|)"
    r"|(?P<repeat>(?:[*+?]|\{(?P<least>\d{1,5})(?:(?P<to>,)(?P<most>\d{1,5})?)?\})\??)|(?P<end>\$)"
    r"|(?P<plain>[^\\\[\]()|*+?{}$]|[\]{}])",
    re.DOTALL,
)
_OPTIONS = re.compile(r"\(\?([imsnx]{1,5})\)")
_CONTIGUOUS = re.compile(r"\A\(\?<=\\G(.{1,300})\)\Z|\A\\G(.{1,300})\Z", re.DOTALL)
_REPLACEMENT = re.compile(r"\$(?:(\$)|(&)|(\d{1,2})|\{(\w{1,30})\}|([`'+_]))")
FLAGS = {"ignorecase": re.IGNORECASE, "singleline": re.DOTALL, "multiline": re.MULTILINE}


class Pattern(NamedTuple):
    """A pattern of Python, how many ways it may go on, and where it may stand.

    `follows` is 0 for anywhere, else matches follow each other without a gap; of those that look back (-1)
    only the ends count.
    """

    compiled: re.Pattern[str]
    ways: Callable[[int], int]
    follows: int

    def matches(self, budget: Budget, text: str) -> Iterator[tuple[int, int, re.Match]]:
        """Yield (start, end, match) in a text from left to right."""
        work = self.ways(len(text))
        if work * (len(text) + 1) > max(_MOST_WAYS, 4 * len(text)):
            raise OverflowError("may take too long")
        budget.spend(min(work, 64) * len(text))
        found = self.compiled.finditer(text) if not self.follows else self._one_after_another(text)
        for match in found:
            budget.spend(8)
            yield (match.end() if self.follows < 0 else match.start()), match.end(), match

    def _one_after_another(self, text: str) -> Iterator[re.Match]:
        place = 0
        while (match := self.compiled.match(text, place)) and match.end() > place:
            yield match
            place = match.end()


@functools.lru_cache(256)
def pattern_of(source: str, flags: int) -> Pattern:
    """Return a pattern of .NET; ValueError for one that is not covered."""
    if len(source) > LONGEST_PATTERN:
        raise ValueError("not covered")
    while options := _OPTIONS.match(source):
        source = source[options.end() :]
        if "x" in options[1] or "n" in options[1]:
            raise ValueError("not covered")
        flags |= sum(flag for name, flag in FLAGS.items() if name[0] in options[1])
    follows = 0
    if contiguous := _CONTIGUOUS.match(source):
        follows, source = (-1, contiguous[1]) if contiguous[1] else (1, contiguous[2])
    text, ways = _parts(source)
    return Pattern(re.compile(text, flags), ways, follows)


class _Group:
    """An open group: how many ways its finished alternatives can go on, and those of the parts since."""

    def __init__(self) -> None:
        self.done: list[list] = []
        self.parts: list[tuple[str, int, int]] = []  # (what, ways, repeats that are not bounded)

    def closed(self) -> tuple[int, int]:
        """Return (ways, repeats that are not bounded) of the whole group."""
        ways, endless = 0, 0
        for parts in [*self.done, self.parts]:
            ways += min(math.prod(count for _, count, _ in parts), _MOST_WAYS)
            endless = max(endless, sum(more for _, _, more in parts))
        return ways, endless


def _parts(source: str) -> tuple[str, Callable[[int], int]]:
    """Return the pattern in Python's words, and how many ways it may go on in a text of a length."""
    kept: list[str] = []
    groups = [_Group()]
    place = 0
    while place < len(source):
        part = _PART.match(source, place)
        if part is None:
            raise ValueError("not covered")
        place = part.end()
        kept.append(_take(part, groups, last=place == len(source)))
    if len(groups) != 1:
        raise ValueError("a group is open")
    ways, endless = groups[0].closed()
    return "".join(kept), lambda size: ways * max(size, 1) ** endless


def _take(part: re.Match, groups: list[_Group], *, last: bool) -> str:
    kind, text, group = part.lastgroup, part[0], groups[-1]
    if part["repeat"]:
        _repeat(part, group, last=last)
        return text
    if kind == "open":
        groups.append(_Group())
        named = text[2:3] in ("<", "'") and text[-1] in ">'"
        return f"(?P<{text[3:-1]}>" if named else text
    if kind == "close":
        if len(groups) == 1:
            raise ValueError("no group is open")
        ways, endless = groups.pop().closed()
        groups[-1].parts.append(("group", ways, endless))
        return text
    if kind == "or":
        group.done.append(group.parts)
        group.parts = []
        return text
    group.parts.append(("one", 1, 0))
    if kind == "end":
        return r"(?=\n?\Z)"
    if kind == "escape" and text in (r"\e", r"\0"):
        return {r"\e": r"\x1b", r"\0": r"\x00"}[text]
    if kind == "plain" and text in "]{}#& \n\t":
        return re.escape(text)
    return _set(text) if kind == "set" else text


def _set(text: str) -> str:
    """Return a set of characters in Python's words, which give some a meaning of their own."""
    head = "[^" if text[1] == "^" else "["
    body = text[len(head) : -1].replace(r"\e", r"\x1b")
    if "--" in body:
        raise ValueError("not covered")
    first = r"\]" if body.startswith("]") else ""
    return head + first + re.sub(r"\\.|[\[&|~]", _escaped, body.removeprefix("]" if first else "")) + "]"


def _escaped(match: re.Match) -> str:
    return match[0] if len(match[0]) > 1 else "\\" + match[0]


def _repeat(part: re.Match, group: _Group, *, last: bool) -> None:
    """Count what a repeat of the last part adds."""
    if not group.parts:
        raise ValueError("nothing to repeat")
    what, ways, endless = group.parts.pop()
    least, most = int(part["least"] or 0), part["most"] or part["least"]
    bounded = part["repeat"][0] == "?" or (part["least"] and (not part["to"] or part["most"]))
    if what == "group" and (endless or (ways > 1 and not bounded)):
        raise ValueError("a repeat of repeats")
    if not bounded:
        group.parts.append(("repeat", ways, 0 if last else 1))
        return
    most = 1 if part["repeat"][0] == "?" else int(most)
    if most > LONGEST_PATTERN or most < least:
        raise ValueError("too many")
    group.parts.append(("repeat", min(ways**most, _MOST_WAYS) * (most - least + 1), 0))


def matched(budget: Budget, source: str, flags: int, text: str) -> list[Match]:
    """Return all matches with their groups."""
    pattern = pattern_of(source, flags)
    return [_match(match) for _, _, match in pattern.matches(budget, text)]


def _match(found: re.Match) -> Match:
    match = Match(found[0])
    match.groups = [found[0], *(group or "" for group in found.groups())]
    match.place = found.start()
    return match


def split(budget: Budget, source: str, flags: int, text: str, most: int = 0) -> list[str]:
    """Return the parts of a text between the matches, and the groups of these."""
    kept: list[str] = []
    place, count = 0, 1
    for start, end, match in pattern_of(source, flags).matches(budget, text):
        if count == most:
            break
        count += 1
        kept.append(text[place:start])
        kept += [group for group in match.groups() if group is not None]
        place = end
    budget.spend(len(text))
    return [*kept, text[place:]]


def replace(budget: Budget, source: str, flags: int, text: str, instead: str | Callable) -> str:
    """Return a text with every match replaced, by a .NET replacement or by what is called with the match."""
    parts = None if callable(instead) else _replacement(instead)
    kept: list[str] = []
    place = 0
    for start, end, match in pattern_of(source, flags).matches(budget, text):
        kept.append(text[place:start])
        kept.append(_filled(parts, match) if parts is not None else instead(_match(match)))  # type: ignore[operator]
        budget.spend(len(kept[-1]))
        place = end
    budget.spend(len(text))
    return "".join([*kept, text[place:]])


def _replacement(text: str) -> list[str | tuple[str]]:
    """Return a replacement as strings, and groups as tuples of their number or name."""
    parts: list[str | tuple[str]] = []
    place = 0
    for each in _REPLACEMENT.finditer(text):
        if each[5]:
            raise ValueError("not covered")
        parts.append(text[place : each.start()])
        parts.append("$" if each[1] else ("0" if each[2] else each[3] or each[4],))
        place = each.end()
    return [*parts, text[place:]]


def _filled(parts: list[str | tuple[str]], match: re.Match) -> str:
    return "".join(part if isinstance(part, str) else _group(part[0], match) for part in parts)


def _group(name: str, match: re.Match) -> str:
    if not name.isdigit():
        return (match[name] or "") if name in match.re.groupindex else f"${{{name}}}"
    if int(name) > match.re.groups:  # $10 is $1 and a 0, or a plain text
        return _group(name[0], match) + name[1] if len(name) > 1 else f"${name}"
    return match[int(name)] or ""


def replace_from_right(budget: Budget, source: str, flags: int, text: str) -> list[Match]:
    """Return the matches from right to left of a pattern that matches one length, dots alone."""
    dots = re.fullmatch(r"\.|(\.{2,9})|\.\{(\d{1,3})\}|\(\.\)", source)
    if not dots:
        raise ValueError("not covered")
    width = int(dots[2] or 0) or len(dots[1] or ".")
    budget.spend(len(text) * 2)
    found = []
    for end in range(len(text), width - 1, -width):
        match = Match(text[end - width : end])
        match.groups, match.place = [str(match)], end - width
        found.append(match)
    return found
