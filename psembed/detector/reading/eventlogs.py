"""Records of Windows event logs (.evtx) that may hold PowerShell scripts.

The parser runs in a process of its own (psembed.runtime.isolated), one chunk of the log at a time: a damaged
or crafted chunk can make it loop for ever, panic or exhaust memory, and then costs that chunk only.
"""

import importlib.util
import json
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import Any, BinaryIO

from psembed.detector.reading.scriptblocks import SCRIPT_BLOCK
from psembed.runtime.environment import how_to_install
from psembed.runtime.errors import SourceError
from psembed.runtime.isolated import IsolatedProcess, module, panics_as_errors, serve

MAX_LOST = 10  # chunks of a log that the parser does not come to an end with
MAX_REPLY = 16 * 2**20  # characters of a chunk's records; a sound chunk gives less than one million
MAX_MEMORY = 2**30  # bytes of the process that parses
CHUNK_SECONDS = 2  # for a chunk; a sound one takes milliseconds
SIGNATURE, HEADER_BYTES = b"ElfFile\0", 4096
CHUNK_SIGNATURE, CHUNK_BYTES = b"ElfChnk\0", 65536
CHUNKS_AT = 42  # offset of the number of chunks in the header, uint16
_PARSER = IsolatedProcess(module("psembed.detector.reading.eventlogs"))


def records(stream: BinaryIO) -> Iterator[dict | str]:
    """Yield the records of an open event log that may hold a script; a text says why one cannot be read.

    Raises SourceError if it is no event log, is damaged all over or the package `evtx` is missing.
    """
    if importlib.util.find_spec("evtx") is None:
        raise SourceError(f"reading event logs needs: {how_to_install('events')}")
    sound = lost = damaged = 0
    for chunk in _chunks(stream):
        try:
            damaged, found = json.loads(_PARSER.ask(chunk, CHUNK_SECONDS) or b"") if chunk else (1, [])
        except (ValueError, RecursionError):
            _PARSER.close()
            damaged, found, lost = 1, [], lost + 1
        yield from ["a record or chunk of the log"] * damaged
        yield from found
        sound += bool(chunk)
        if lost == MAX_LOST:
            raise SourceError(f"damaged: {MAX_LOST} chunks made the parser fail; stopped")
    if damaged and not sound:
        raise SourceError("damaged: no part of the event log can be read")


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the chunks that are not empty; no bytes for one that is damaged or only counted."""
    header = stream.read(HEADER_BYTES)
    if not header.startswith(SIGNATURE):
        raise SourceError("no Windows event log: it does not begin with ElfFile")
    if len(header) < HEADER_BYTES:
        raise SourceError("cut off within the header of the event log; copy it again")
    whole = 0
    while len(chunk := stream.read(CHUNK_BYTES)) == CHUNK_BYTES:
        whole += 1
        if any(chunk):
            yield chunk if chunk.startswith(CHUNK_SIGNATURE) else b""
    yield from [b""] * max(_declared(header) - whole, int(len(chunk) > 0))


def parse(chunk: bytes) -> tuple[int, list[dict]]:
    """Return how many records of a chunk cannot be read, and those that may hold a script.

    A damaged chunk can keep the parser busy for ever, or exhaust memory: call it in a process of its own.
    """
    from evtx import PyEvtxParser

    damaged, size, scripts = 0, 0, []
    with suppress(Exception), panics_as_errors():
        records: Any = PyEvtxParser(BytesIO(_header() + chunk), 1).records_json()
        while size < MAX_REPLY:
            try:
                if SCRIPT_BLOCK in (data := next(records)["data"]):
                    scripts.append(json.loads(data))
                    size += len(data)
            except StopIteration:
                return damaged, scripts
            except (RuntimeError, NotImplementedError, ValueError, OSError):
                damaged += 1
    return damaged + 1, scripts


def _declared(header: bytes) -> int:
    """Return how many chunks a header counts; 0 where it does not match its checksum, at offset 124."""
    (count,), (checksum,) = struct.unpack_from("<H", header, CHUNKS_AT), struct.unpack_from("<I", header, 124)
    return count if checksum == zlib.crc32(header[:120]) else 0


def _header() -> bytes:
    """Return the header of a log of one chunk, so that the parser can be given one at a time."""
    head = struct.pack("<8sQQQIHHHH", SIGNATURE, 0, 0, 1, 128, 1, 3, HEADER_BYTES, 1).ljust(120, b"\0")
    return (head + struct.pack("<II", 0, zlib.crc32(head))).ljust(HEADER_BYTES, b"\0")


if __name__ == "__main__":
    serve(lambda chunk: json.dumps(parse(chunk)).encode("ascii"), memory=MAX_MEMORY)
