"""Writes small Windows event logs (.evtx) for tests, with correct checksums and plain binary XML.

Real logs put the shape of an event into a template; here every element and attribute is written out, which
readers take as well. Layout: a file header of 4,096 bytes, then chunks of 65,536 bytes, each with a header of
512 bytes, then records one after another. Offsets of names count from the start of their chunk.
"""

import struct
import zlib
from pathlib import Path

HEADER, CHUNK, CHUNK_HEADER = 4096, 65536, 512
CORE = "PowerShellCore"
POWERSHELL = "Microsoft-Windows-PowerShell"
EPOCH = 116_444_736_000_000_000  # 1970 as a FILETIME, in units of 100 ns since 1601


def part(number: int, total: int, text: str, *, block: str = "b1", path: str = "", **changes) -> dict:
    """Return one event of a script block, as `write_log` takes it; `changes` replace its fields."""
    data = {
        "MessageNumber": number,
        "MessageTotal": total,
        "ScriptBlockText": text,
        "ScriptBlockId": block,
        "Path": path,
    }
    return {
        "id": 4104,
        "provider": POWERSHELL,
        "channel": f"{POWERSHELL}/Operational",
        "data": data,
    } | changes


def write_log(path: Path, events: list[dict]) -> Path:
    """Write events with the keys id, provider, channel and data (fields of EventData); return the path.

    An event that does not fit into what is left of a chunk opens the next; one too large for any is refused.
    Times are one second apart from 2024-01-01.
    """
    chunks, records = [], b""
    first = 1
    for number, event in enumerate(events, 1):
        record = _record(event, number, CHUNK_HEADER + len(records))
        if CHUNK_HEADER + len(records) + len(record) > CHUNK:
            chunks.append(_chunk(records, first, number - 1))
            first, records, record = number, b"", _record(event, number, CHUNK_HEADER)
        if CHUNK_HEADER + len(record) > CHUNK:
            raise ValueError("an event is larger than a chunk")
        records += record
    chunks.append(_chunk(records, first, len(events)))
    path.write_bytes(_header(len(chunks), len(events) + 1) + b"".join(chunks))
    return path


def damage(path: Path, offset: int, data: bytes) -> None:
    """Write `data` over what is at `offset` of a file, and leave checksums as they are."""
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(data)


def damage_chunk(path: Path, number: int) -> None:
    """Destroy the signature of a chunk, counted from 0."""
    damage(path, HEADER + number * CHUNK, b"Broken!\0")


def damage_record(path: Path, chunk: int, record: int) -> None:
    """Put a token that does not exist at the start of the binary XML of a record, both counted from 0."""
    content = path.read_bytes()
    position = HEADER + chunk * CHUNK + CHUNK_HEADER
    for _ in range(record):
        position += struct.unpack_from("<I", content, position + 4)[0]
    damage(path, position + 24 + 4, b"\x7f")


def _header(chunks: int, next_record: int) -> bytes:
    head = struct.pack("<8sQQQIHHHH", b"ElfFile\0", 0, chunks - 1, next_record, 128, 1, 3, HEADER, chunks)
    head = head.ljust(120, b"\0")
    return (head + struct.pack("<II", 0, zlib.crc32(head))).ljust(HEADER, b"\0")


def _chunk(records: bytes, first: int, last: int) -> bytes:
    offset, last_record = CHUNK_HEADER, CHUNK_HEADER
    while offset < CHUNK_HEADER + len(records):
        last_record = offset
        offset += struct.unpack_from("<I", records, offset - CHUNK_HEADER + 4)[0]
    head = struct.pack("<8sQQQQIII", b"ElfChnk\0", first, last, first, last, 128, last_record, offset)
    head = (head + struct.pack("<I", zlib.crc32(records))).ljust(120, b"\0")
    tables = bytes(CHUNK_HEADER - 128)  # of common names and templates: none
    whole = head + struct.pack("<II", 0, zlib.crc32(head + tables)) + tables + records
    return whole.ljust(CHUNK, b"\0")


def _record(event: dict, number: int, offset: int) -> bytes:
    """Return one record that starts at `offset` of its chunk."""
    time = EPOCH + (1_704_067_200 + number) * 10_000_000
    body = b"\x0f\x01\x01\x00" + _event(event, number).bytes_at(offset + 24 + 4) + b"\x00"
    size = 24 + len(body) + 4
    return struct.pack("<4sIQQ", b"**\0\0", size, number, time) + body + struct.pack("<I", size)


def _event(event: dict, number: int) -> "Element":
    system = Element(
        "System",
        [
            Element("Provider", attributes={"Name": event["provider"]}),
            Element("EventID", [str(event["id"])]),
            Element("EventRecordID", [str(number)]),
            Element("Channel", [event["channel"]]),
            Element("TimeCreated", attributes={"SystemTime": f"2024-01-01T00:00:{number % 60:02}Z"}),
            Element("Computer", ["pc.example"]),
        ],
    )
    fields = [
        Element("Data", [] if value is None else [str(value)], {"Name": name})
        for name, value in event["data"].items()
    ]
    return Element("Event", [system, Element("EventData", fields)])


class Element:
    """An element of binary XML with attributes, and elements or texts in it."""

    def __init__(self, name: str, content: list = (), attributes: dict[str, str] | None = None):
        self.name, self.content, self.attributes = name, content, attributes or {}

    def bytes_at(self, offset: int) -> bytes:
        """Return the tokens of the element, which starts at `offset` of its chunk."""
        token = 0x41 if self.attributes else 0x01
        body = _name(self.name, offset + 5)
        if self.attributes:
            listed = self._attributes_at(offset + 5 + len(body) + 4)
            body += struct.pack("<I", len(listed)) + listed
        body += b"\x02"
        for child in self.content:
            body += _text(child) if isinstance(child, str) else child.bytes_at(offset + 5 + len(body))
        body += b"\x04"
        return struct.pack("<BI", token, len(body)) + body

    def _attributes_at(self, offset: int) -> bytes:
        listed = b""
        last = list(self.attributes)[-1]
        for name, value in self.attributes.items():
            listed += b"\x06" if name == last else b"\x46"  # 0x46: another follows
            listed += _name(name, offset + len(listed)) + _text(value)
        return listed


def _name(name: str, offset: int) -> bytes:
    """Return a name's offset and the name itself, right behind it: no next one, hash, length, text, zero."""
    code = 0
    for character in name:
        code = (code * 65599 + ord(character)) & 0xFFFFFFFF
    return struct.pack("<IIHH", offset + 4, 0, code & 0xFFFF, len(name)) + name.encode("utf-16-le") + b"\0\0"


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-le", "surrogatepass")
    return struct.pack("<BBH", 0x05, 0x01, len(encoded) // 2) + encoded
