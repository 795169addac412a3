"""PowerShell scripts in Windows event logs (.evtx): script blocks, put together from their events.

Windows logs a script as one or more events of id 4104, each with its number (MessageNumber), how many there
are (MessageTotal), a part of the text, and the id of the script block they belong to. They need not be in
order, and a log that was rotated or damaged lacks some.

The parser runs in a process of its own (psembed.runtime.isolated), one chunk of the log at a time: a damaged
or crafted chunk can make it loop for ever, panic or exhaust memory, and then costs that chunk only.
"""

import importlib.util
import json
import os
import struct
import sys
import zlib
from collections import OrderedDict
from collections.abc import Generator, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from psembed.runtime.errors import SourceError
from psembed.runtime.isolated import IsolatedProcess, module, panics_as_errors, printable, serve

SCRIPT_BLOCK = 4104  # event id
PROVIDERS = {"microsoft-windows-powershell", "powershellcore"}
CHANNELS = {f"{provider}/operational" for provider in PROVIDERS}
MAX_PARTS = 100_000  # of a script block; more are not believed
MAX_PENDING = 256 * 2**20  # bytes of text that waits for its other parts
MAX_REMEMBERED = 100_000  # parts that are known again when they come twice
PART_BYTES = 256  # what a part takes besides its text, about
MAX_LOST = 10  # chunks of a log that the parser does not come to an end with
MAX_REPLY = 16 * 2**20  # characters of a chunk's records; a sound chunk gives less than one million
MAX_MEMORY = 2**30  # bytes of the process that parses
CHUNK_SECONDS = 2  # for a chunk; a sound one takes milliseconds
SIGNATURE, HEADER_BYTES = b"ElfFile\0", 4096
CHUNK_SIGNATURE, CHUNK_BYTES = b"ElfChnk\0", 65536
CHUNKS_AT = 42  # offset of the number of chunks in the header, uint16


@dataclass(frozen=True)
class ScriptBlock:
    """A script as Windows logged it.

    `id` is its ScriptBlockId, a GUID, empty where the event has none; `text` the parts that are there, in
    their order; `path` its file as the log names it, empty for what was typed or made at run time; `parts`
    how many it has, by the largest total that its events give; `missing` the numbers, from 1, of those that
    are not in the log; `time` the ISO time (UTC) of the first part met.
    """

    id: str
    text: str
    path: str
    parts: int
    missing: tuple[int, ...]
    time: str


class EventLog(Iterator[ScriptBlock]):
    """The PowerShell script blocks of a log, to iterate over; a file that is open for reading is not closed.

    A block is given once its last part is met; those with missing parts come at the end, in the order of
    their first parts. Parts wait in bounded memory: beyond MAX_PENDING bytes the oldest block is given as it
    is. A part that comes twice counts once. One that has the number of another but a different text begins a
    block of its own, so that nothing logged is hidden; so does one whose numbers make no sense.

    `damaged` counts the records and chunks left out so far, as they cannot be read, and chunks that the
    header counts and the file lacks; it is final after the last block. Raises SourceError, while iterating,
    if the file cannot be read, is no event log, or the package `evtx` is missing.
    """

    def __init__(self, source: Path | BinaryIO):
        self.damaged = self._lost = 0
        name = getattr(source, "name", source)
        self._name = printable(os.path.basename(name) if isinstance(name, str | Path) else str(name))
        self._blocks = self._read(source)

    def __next__(self) -> ScriptBlock:
        """Return the next block, or raise SourceError where the log cannot be read."""
        return next(self._blocks)

    def close(self) -> None:
        """Close the log, if it was given by its path."""
        self._blocks.close()

    def _read(self, source: Path | BinaryIO) -> Generator[ScriptBlock, None, None]:
        if importlib.util.find_spec("evtx") is None:
            raise SourceError("reading event logs needs: pip install 'psembed[events]'")
        assembly = _Assembly()
        failure: Exception | None = None
        try:
            with Path(source).open("rb") if isinstance(source, str | Path) else nullcontext(source) as stream:
                for part in self._parts(stream):
                    yield from assembly.add(part)
        except (OSError, SourceError) as error:
            failure = error
        yield from assembly.rest()
        if isinstance(failure, OSError):
            reason = failure.strerror or failure
            raise SourceError(f"{self._name} cannot be read ({reason})") from failure
        if failure:
            raise failure

    def _parts(self, stream: BinaryIO) -> Iterator["_Part"]:
        for chunk in self._chunks(stream):
            for time, data in self._records(chunk):
                try:
                    part = _part(data, time)
                except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                    self.damaged += 1
                    continue
                if part:
                    yield part

    def _chunks(self, stream: BinaryIO) -> Iterator[bytes]:
        """Yield the chunks that are whole and not empty, and count those that are not whole."""
        header = stream.read(HEADER_BYTES)
        if not header.startswith(SIGNATURE):
            raise SourceError(f"{self._name} is no Windows event log: it does not begin with ElfFile")
        if len(header) < HEADER_BYTES:
            raise SourceError(f"{self._name} is cut off within the header of the event log; copy it again")
        whole = sound = 0
        while len(chunk := stream.read(CHUNK_BYTES)) == CHUNK_BYTES:
            whole += 1
            if chunk.startswith(CHUNK_SIGNATURE):
                sound += 1
                yield chunk
            elif any(chunk):
                self.damaged += 1
        self.damaged += max(_declared(header) - whole, int(len(chunk) > 0))
        if not sound and self.damaged:
            raise SourceError(f"{self._name} is damaged: no part of the event log can be read")

    def _records(self, chunk: bytes) -> list[tuple[str, str]]:
        parsed = _parsed(chunk)
        if parsed is None:
            self.damaged += 1
            self._lost += 1
            if self._lost == MAX_LOST:
                raise SourceError(f"{self._name} is damaged: {MAX_LOST} chunks made the parser fail; stopped")
            return []
        damaged, records = parsed
        self.damaged += damaged
        return records


def parse(chunk: bytes) -> tuple[int, list[tuple[str, str]]]:
    """Return how many records of a chunk cannot be read, and (time, JSON) of those that may hold a script.

    A damaged chunk can keep the parser busy for ever, or exhaust memory: call it in a process of its own.
    """
    from evtx import PyEvtxParser

    damaged, size = 0, 0
    scripts: list[tuple[str, str]] = []
    with suppress(Exception), panics_as_errors():
        records: Any = PyEvtxParser(BytesIO(_header() + chunk), 1).records_json()
        while size < MAX_REPLY:
            try:
                record = next(records)
            except StopIteration:
                return damaged, scripts
            except (RuntimeError, NotImplementedError, ValueError, OSError):
                damaged += 1
                continue
            if str(SCRIPT_BLOCK) in record["data"]:
                scripts.append((record["timestamp"], record["data"]))
                size += len(record["data"])
    return damaged + 1, scripts


def _declared(header: bytes) -> int:
    """Return how many chunks a header counts; 0 where it does not match its checksum, at offset 124."""
    (count,), (checksum,) = struct.unpack_from("<H", header, CHUNKS_AT), struct.unpack_from("<I", header, 124)
    return count if checksum == zlib.crc32(header[:120]) else 0


def _header() -> bytes:
    """Return the header of a log of one chunk, so that the parser can be given one at a time."""
    head = struct.pack("<8sQQQIHHHH", SIGNATURE, 0, 0, 1, 128, 1, 3, HEADER_BYTES, 1).ljust(120, b"\0")
    return (head + struct.pack("<II", 0, zlib.crc32(head))).ljust(HEADER_BYTES, b"\0")


_PARSER = IsolatedProcess(module("psembed.detector.eventlogs"))


def _parsed(chunk: bytes) -> tuple[int, list[tuple[str, str]]] | None:
    """Return what `parse` does, in the process that parses; None where it does not come to an end."""
    answer = _PARSER.ask(chunk, CHUNK_SECONDS)
    try:
        return None if answer is None else json.loads(answer)
    except ValueError:
        _PARSER.close()
        return None


class _Part(NamedTuple):
    block: str
    number: int
    total: int
    text: str
    path: str
    time: str


def _part(data: str, time: str) -> _Part | None:
    """Return the part of a script block that an event holds, None for another event."""
    event = json.loads(data)["Event"]
    system = event["System"]
    if _text(system.get("EventID")) != str(SCRIPT_BLOCK):
        return None
    provider, channel = _attribute(system.get("Provider"), "Name"), _text(system.get("Channel"))
    if provider.lower() not in PROVIDERS and channel.lower() not in CHANNELS:
        return None
    fields = event["EventData"]
    block, text, path = (_text(fields.get(name)) for name in ("ScriptBlockId", "ScriptBlockText", "Path"))
    number, total = (_number(fields.get(name)) for name in ("MessageNumber", "MessageTotal"))
    time = _attribute(system.get("TimeCreated"), "SystemTime") or time.removesuffix(" UTC")
    return _Part(block, number, total, text, path, time.replace(" ", "T"))


def _text(value: object) -> str:
    """Return the text of an element, which has attributes besides or not."""
    if isinstance(value, dict):
        value = value.get("#text")
    return "" if value is None else str(value)


def _attribute(element: dict | None, name: str) -> str:
    return str((element or {}).get("#attributes", {}).get(name, ""))


def _number(value: object) -> int:
    """Return a number of a part, 0 if it is none."""
    text = _text(value)
    return int(text) if len(text) < 20 and text.isascii() and text.isdecimal() else 0


@dataclass
class _Pending:
    """A script block while its parts come in."""

    first: _Part
    texts: dict[int, str] = field(default_factory=dict)
    total: int = 1
    path: str = ""
    size: int = 0

    def add(self, part: _Part) -> int:
        """Take a part; return the bytes that it adds."""
        size = sys.getsizeof(part.text) + PART_BYTES
        self.texts[part.number] = part.text
        self.total = max(self.total, part.total, part.number)
        self.path = self.path or part.path
        self.size += size
        return size

    def block(self) -> ScriptBlock:
        return ScriptBlock(
            id=self.first.block,
            text="".join(self.texts[number] for number in sorted(self.texts)),
            path=self.path,
            parts=self.total,
            missing=tuple(number for number in range(1, self.total + 1) if number not in self.texts),
            time=self.first.time,
        )


class _Assembly:
    """Puts parts together, in bounded memory."""

    def __init__(self):
        self._pending: OrderedDict[str, _Pending] = OrderedDict()
        self._size = 0
        self._met: OrderedDict[int, None] = OrderedDict()

    def add(self, part: _Part) -> Iterator[ScriptBlock]:
        """Take a part; yield the blocks that it completes or pushes out."""
        if self._again(part):
            return
        if not part.block or not 1 <= part.number <= part.total <= MAX_PARTS:
            yield ScriptBlock(part.block, part.text, part.path, 1, (), part.time)
            return
        if part.block in self._pending and part.number in self._pending[part.block].texts:
            yield self._taken(part.block)
        pending = self._pending.setdefault(part.block, _Pending(part))
        self._size += pending.add(part)
        if len(pending.texts) == pending.total:
            yield self._taken(part.block)
        while self._size > MAX_PENDING:
            yield self._taken(next(iter(self._pending)))

    def rest(self) -> Iterator[ScriptBlock]:
        """Yield the blocks that lack parts."""
        while self._pending:
            yield self._taken(next(iter(self._pending)))

    def _taken(self, block: str) -> ScriptBlock:
        pending = self._pending.pop(block)
        self._size -= pending.size
        return pending.block()

    def _again(self, part: _Part) -> bool:
        """Return whether the same part was met before; of very many the first are forgotten."""
        key = hash((part.block, part.number, part.text))
        if not part.block or key not in self._met:
            self._met[key] = None
            if len(self._met) > MAX_REMEMBERED:
                self._met.popitem(last=False)
            return False
        return True


if __name__ == "__main__":
    serve(lambda chunk: json.dumps(parse(chunk)).encode("ascii"), memory=MAX_MEMORY)
