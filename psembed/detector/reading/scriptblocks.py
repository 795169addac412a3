"""PowerShell scripts as Windows logs them: script blocks, put together from the parts in events 4104.

An event has its number (MessageNumber), how many there are (MessageTotal), a part of the text, and the id of
the script block. They need not be in order, and a log that was rotated or damaged lacks some. What exports
events names these fields in its own way (scriptblocks.toml).
"""

import functools
import itertools
import json
import re
import sys
import tomllib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from psembed.detector.verdict import Event
from psembed.runtime.errors import SourceError

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
NAMES, KNOWN = _DATA["names"], _DATA["known"]
SCRIPT_BLOCK = "4104"  # event id
MAX_PARTS = 100_000  # of a script block; more are not believed
MAX_PENDING = 256 * 2**20  # bytes of text that waits for its other parts
MAX_REMEMBERED = 100_000  # parts that are known again when they come twice
PART_BYTES = 1024  # what a part takes besides its texts, about
MAX_DEPTH, MAX_FIELDS = 16, 10_000  # of a record; what is beyond is not looked at
# A message as Windows words it, in any of its languages: (1 of 2), a part, and id and path of its script.
MESSAGE = re.compile(r"\A[^\n(\uff08]*[(\uff08]\D{,9}(?P<number>\d{1,6})[^\d\n]+(?P<total>\d{1,6})[^\n]*\n")
GUID = r"(?P<block>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
ENDING = re.compile(rf"\r?\n\r?\n[^\n]*?{GUID}\r?\n[^\n:\uff1a]*[:\uff1a][ \xa0]?(?P<path>[^\r\n]*)\s*\Z")
DATE, EPOCH = re.compile(r"/Date\((-?\d{1,14})\)/"), datetime.fromtimestamp(0, UTC)  # milliseconds since


class ScriptBlock(NamedTuple):
    """A script as Windows logged it, or the part of one that an event holds.

    `event` and `record`, its number in the log, are those of the first part met, with the path of any; `text`
    is the parts that are there, in order; `total` is how many there should be, by the largest number that
    events give, and `missing` the numbers, from 1, of those that are not there. `number` is that of a part,
    and 0 for a whole script or a part that stands alone.
    """

    event: Event
    text: str
    record: str
    number: int = 0
    total: int = 1
    missing: tuple[int, ...] = ()


def part(record: dict | str) -> ScriptBlock | None:
    """Return the part of a script block that an event holds, None for another event.

    Raises ValueError for a text, which tells of a damaged record, and where Defender's event lacks a script.
    """
    if isinstance(record, str):
        raise ValueError(record)
    told = _told(record)
    if is_command := told["action"].lower() in KNOWN["actions"]:
        told["text"] = told["command"]
        if not told["text"]:
            raise ValueError("its AdditionalFields hold no script")
    told |= (message := {} if told["text"] else _message(told["message"]))
    source, channel = told["source"].lower(), told["channel"].lower()
    ours = source in KNOWN["sources"] or channel in KNOWN["channels"] or not (source or channel)
    number = told["number_of_event"] or told["id"] or SCRIPT_BLOCK * bool(message or told["text"])
    if not is_command and not (ours and number == SCRIPT_BLOCK):
        return None
    event = Event(_iso(told["created"] or told["time"]), told["computer"], told["path"], told["block"])
    text = told["text"] or told["message"]
    return ScriptBlock(event, text, told["record"], _number(told["number"]), _number(told["total"]))


def is_event(record: dict) -> bool:
    """Return whether a record is an event of a log, whatever its kind."""
    told = _told(record)
    by_number = told["number_of_event"] or ((told["source"] or told["created"]) and told["id"])
    of_others = told["text"] or told["schema"] or (told["action"] and told["time"])
    return bool(by_number.isdecimal() or of_others or _message(told["message"]))


def _told(record: dict) -> dict[str, str]:
    """Return what a record tells by NAMES; of several texts of a name, the one nearest to the top holds."""
    found: dict[str, str] = {}
    leaves = [leaf for leaf in itertools.islice(_leaves(record, (), 0), MAX_FIELDS) if leaf[1]]
    for path, text in sorted(leaves, key=lambda leaf: len(leaf[0])):
        for names in (path[-2:], path[-1:]):
            found.setdefault(".".join(names), text)
    return {name: next(filter(None, map(found.get, names)), "") for name, names in NAMES.items()}


def _leaves(value: object, path: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the texts in a value, and the names that lead there; no text for what else is at an end."""
    if isinstance(value, str) and value.startswith("{") and "".join(path[-1:]) in KNOWN["json"]:
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if isinstance(value, list) and path[-1:] == ("properties",):  # of Get-WinEvent
        values = (each.get("Value") for each in value if isinstance(each, dict))
        value = dict(zip(KNOWN["properties"], values, strict=False))
    if isinstance(value, dict) and value and depth < MAX_DEPTH:
        attributes = value.get("#attributes")
        named = value | attributes if isinstance(attributes, dict) else value
        name = named.get("@Name") or named.get("Name")
        if isinstance(name, str) and "#text" in value:  # <Data Name="...">
            path = (*path, *_names(name))
        for key, inner in value.items():
            unnamed = key in ("#text", "#attributes")
            yield from _leaves(inner, path if unnamed else (*path, *_names(key)), depth + 1)
    elif isinstance(value, list) and value and depth < MAX_DEPTH:
        for inner in value:
            yield from _leaves(inner, path, depth + 1)
    else:
        yield path, str(value) if isinstance(value, str | int | float) else ""


@functools.lru_cache(10_000)
def _names(key: str) -> tuple[str, ...]:
    return tuple(key[:200].lower().replace("_", "").replace("@", "").split("."))


def _number(text: str) -> int:
    """Return a number of a part, 0 if it is none."""
    return int(text) if len(text) < 20 and text.isascii() and text.isdecimal() else 0


def _message(message: str) -> dict[str, str]:
    """Return what a rendered message tells of a part; nothing where it does not tell of one."""
    if not (begin := MESSAGE.match(message)) or not (end := ENDING.search(message, begin.end() - 1)):
        return {}
    return {"text": message[begin.end() : end.start()]} | begin.groupdict() | end.groupdict()


def _iso(time: str) -> str:
    """Return a time of Windows PowerShell in ISO form, any other as it is."""
    date = DATE.fullmatch(time)
    return (EPOCH + timedelta(milliseconds=int(date[1]))).isoformat() if date else time


class ScriptBlocks:
    """The script blocks in records of a log, to iterate over once; a text among them says why one is damaged.

    A block is given once its last part is met; those with missing parts come at the end, in the order of
    their first parts. Parts wait in bounded memory: beyond MAX_PENDING bytes the oldest block is given as it
    is. A part that comes twice counts once. One that has the number of another but a different text begins a
    block of its own, so that nothing logged is hidden; so does one whose numbers make no sense.

    `damaged` counts the records left out so far, as they cannot be read; `damage` tells of the first.
    """

    def __init__(self, records: Iterable[dict | str]):
        self._records, self.damaged, self.damage, self._size = records, 0, "", 0
        self._waiting: OrderedDict[tuple, dict[int, ScriptBlock]] = (
            OrderedDict()
        )  # by computer and id of the block
        self._met: OrderedDict[int, None] = OrderedDict()

    def __iter__(self) -> Iterator[ScriptBlock]:
        """Yield the blocks; the records' own error (OSError, SourceError) comes after the last."""
        try:
            for each in self._parts():
                yield from self._add(each)
        except (OSError, SourceError):
            yield from self._rest()
            raise
        yield from self._rest()

    def _parts(self) -> Iterator[ScriptBlock]:
        for number, record in enumerate(self._records, 1):
            try:
                found = part(record)
            except ValueError as error:
                where = f"record {number:,}: " * isinstance(record, dict)
                self.damaged, self.damage, found = self.damaged + 1, self.damage or f"{where}{error}", None
            if found:
                yield found._replace(record=found.record or str(number))

    def _add(self, part: ScriptBlock) -> Iterator[ScriptBlock]:
        """Take a part; yield the blocks that it completes or pushes out."""
        key = part.event.computer, part.event.block_id
        met = hash((key, part.number, part.text))
        if part.event.block_id and met in self._met:
            return
        self._met[met] = None
        if len(self._met) > MAX_REMEMBERED:
            self._met.popitem(last=False)
        if not part.event.block_id or not 1 <= part.number <= part.total <= MAX_PARTS:
            yield ScriptBlock(part.event, part.text, part.record)
            return
        if part.number in self._waiting.get(key, ()):
            yield self._taken(key)
        parts = self._waiting.setdefault(key, {})
        total = max(part.total, next(reversed(parts.values()), part).total)
        parts[part.number] = part._replace(total=total)  # so the last one has the largest
        self._size += _size(part)
        if len(parts) == total:
            yield self._taken(key)
        yield from self._rest(MAX_PENDING)

    def _rest(self, most: int = 0) -> Iterator[ScriptBlock]:
        """Yield the blocks that wait longest, as they are, until `most` bytes wait."""
        while self._size > most:
            yield self._taken(next(iter(self._waiting)))

    def _taken(self, key: tuple) -> ScriptBlock:
        parts = self._waiting.pop(key)
        first, total = next(iter(parts.values())), next(reversed(parts.values())).total
        self._size -= sum(map(_size, parts.values()))
        path = next(filter(None, (part.event.script_path for part in parts.values())), "")
        missing = tuple(number for number in range(1, total + 1) if number not in parts)
        text = "".join(parts[number].text for number in sorted(parts))
        event = first.event._replace(script_path=path)
        return ScriptBlock(event, text, first.record, total=total, missing=missing)


def _size(part: ScriptBlock) -> int:
    return sys.getsizeof(part.text) + sum(len(text or "") for text in part.event) + PART_BYTES
