"""Events that a tool exported from a Windows log as JSON, CSV or XML; known by their content, not their name.

Records are read one by one, so memory is bounded by one of MAX_RECORD characters, however large the file is.
JSON may be a record a line, records one after the other, an array, or what a search puts around an array.
"""

import csv
import itertools
import json
import re
from collections.abc import Generator, Iterator
from contextlib import suppress
from io import BytesIO, TextIOWrapper
from typing import BinaryIO
from xml.etree import ElementTree

from psembed.detector.reading.parquet import Row
from psembed.detector.reading.scriptblocks import is_event
from psembed.runtime.errors import SourceError

EXPECTED = (
    "no events in its first records; expected JSON of evtx_dump, Winlogbeat or Get-WinEvent, CSV of"
    " Get-WinEvent or Defender, XML of wevtutil, or for a table of scripts its column with --column"
)
LOOKED_AT, HEAD_BYTES = 20, 2**22  # records, and bytes, by which a file is known
CHUNK = 2**16  # characters, read at once
MAX_RECORD = 2**24  # characters; an event has at most 64 KB
TOO_LARGE = f"larger than {MAX_RECORD:,} characters"
JSON, XML = re.compile(r"\A\s*(?:Record \d+\s+)?[\[{]"), re.compile(r"\A\s*<[?!A-Za-z]")
BETWEEN = re.compile(r"(?:[\s,:\[\]}\x1e]++|Record \d++)*+")  # two records of JSON
ARRAY, TRIED = re.compile(r"\[\s*(?=\{)"), 9  # in an object that is not yet read to its end
NEXT = re.compile(r"\n {,4}\{")
NEAR = 12  # characters at the end of what was read that may be the beginning of a word of JSON
CLOSED_BY = {"<Event": "</Event>", "  <Obj ": "\n  </Obj>"}  # records of XML, the second of Export-Clixml
ELEMENT = re.compile(r"<Event(?=[\s>])|(?<=\n)  <Obj (?=RefId)")
CONTROL = r"x0*(?:[0-8bcef]|1[\da-f]|d[89a-f]..|fff[ef])|0*(?:[0-8]|1[124-9]|2\d|3[01])"
NO_XML = re.compile(rf"[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|&#(?:{CONTROL});", re.I)  # nor its references
CLIXML = re.compile(r"_x([0-9A-Fa-f]{4})_")


def glance(stream: BinaryIO) -> tuple[bool, set[str]]:
    """Return whether a file begins with events, and what the fields of its first records are called."""
    head = BytesIO(stream.read(HEAD_BYTES))
    stream.seek(0)
    first = [record for record in itertools.islice(records(head), LOOKED_AT) if isinstance(record, dict)]
    return any(map(is_event, first)), {name for record in first for name in record}


def rows(stream: BinaryIO, column: str) -> Generator[Row, None, None]:
    """Yield the rows of a table of scripts in JSON or CSV; SourceError where one cannot be read."""
    for number, record in enumerate(records(stream)):
        if isinstance(record, str):
            raise SourceError(f"{record}; it and what follows cannot be read")
        name, data = (text if isinstance(text := record.get(key), str) else None for key in ("path", column))
        yield Row(
            number, None if column == "path" else name or None, None if data is None else len(data), data
        )


def records(stream: BinaryIO) -> Iterator[dict | str]:
    """Yield the records of a file that can be sought; a text says why one cannot be read."""
    head = stream.read(2)
    stream.seek(0)
    wide = "utf-16-le" if head[1:] == b"\0" else "utf-16-be" if head[:1] == b"\0" else "utf-8-sig"
    encoding = "utf-16" if head in (b"\xff\xfe", b"\xfe\xff") else wide
    text = TextIOWrapper(stream, encoding, errors="replace", newline="")
    try:
        begin = text.read(CHUNK)
        text.seek(0)
        read = _xml if XML.match(begin) else _json if JSON.match(begin) else _csv
        for number, record in enumerate(read(text), 1):
            yield record if isinstance(record, dict) else f"record {number:,}: {record}"
    finally:
        with suppress(ValueError):  # it is closed by now
            text.detach()


def _json(text: TextIOWrapper) -> Iterator[dict | str]:
    twice: list[str] = []

    def keyed(pairs: list[tuple[str, object]]) -> dict:
        found = dict(pairs)
        twice.extend(["a key comes twice"][len(found) == len(pairs) :])
        return found

    decoder = json.JSONDecoder(object_pairs_hook=keyed, parse_int=str, parse_float=str, parse_constant=str)
    buffer, more, at = text.read(CHUNK), True, 0
    while between := BETWEEN.match(buffer, at):
        at = between.end()
        twice.clear()
        try:
            value, at = decoder.raw_decode(buffer, at)
            yield from twice or (_events(value) if isinstance(value, dict) else ())
            continue
        except RecursionError:
            why, cut = "nested too deep", False
        except json.JSONDecodeError as error:
            why, cut = error.msg, error.msg.startswith("Unterm") or error.pos >= len(buffer) - NEAR
        if cut and more and (within := _array_of_events(decoder, buffer, at + 1)):
            at = within
        elif cut and more and (room := MAX_RECORD + 1 - (len(buffer) - at)) > 0:
            added = text.read(min(max(CHUNK, len(buffer) - at), room))
            buffer, at, more = buffer[at:] + added, 0, bool(added)
        elif at == len(buffer):
            return
        else:
            yield (TOO_LARGE if more else "it is cut off") if cut else why
            buffer, at = _next_line(buffer[at + 1 :], text), 0


def _array_of_events(decoder: json.JSONDecoder, buffer: str, at: int) -> int:
    """Return where an array of events begins in an object, such as a search's answer; 0 if none does."""
    for array in itertools.islice(ARRAY.finditer(buffer, at), TRIED):
        with suppress(ValueError, RecursionError):
            if is_event(decoder.raw_decode(buffer, array.end())[0]):
                return array.end()
    return 0


def _next_line(buffer: str, text: TextIOWrapper) -> str:
    """Return what is read from the next line on that begins a record; nothing if none does."""
    while not (line := NEXT.search(buffer)) and (added := text.read(CHUNK)):
        buffer = buffer[-NEAR:] + added
    return buffer[line.end() - 1 :] if line else ""


def _events(value: dict) -> list[dict]:
    """Return the events in the lists of a search's answer, else the value, which is a record itself."""
    held = [*value.values()]
    held += [inner for each in held if isinstance(each, dict) for inner in each.values()]
    lists = (each for each in held if isinstance(each, list) and each and isinstance(each[0], dict))
    within = itertools.chain.from_iterable(each for each in lists if is_event(each[0]))
    return [record for record in within if isinstance(record, dict)] or [value]


def _csv(text: TextIOWrapper) -> Iterator[dict | str]:
    csv.field_size_limit(MAX_RECORD)  # of this process
    lines = iter(lambda: text.readline(MAX_RECORD), "")
    first = next((line for line in lines if line.strip() and not line.startswith(("#TYPE ", "sep="))), "")
    table = csv.reader(itertools.chain([first], lines), delimiter=max(",;\t", key=first.count))
    try:
        header = next(table, [])
        for row in filter(None, table):
            fits = len(row) == len(header)
            yield dict(zip(header, row, strict=True)) if fits else f"{len(row)} cells, not {len(header)}"
    except csv.Error as error:
        yield f"{error}; what follows is not read"


def _xml(text: TextIOWrapper) -> Iterator[dict | str]:
    """Read element by element: one that is damaged costs no other, and there is no room for a DTD."""
    buffer = ""
    while True:
        start = ELEMENT.search(buffer)
        closing = CLOSED_BY[start[0]] if start else ""
        end = buffer.find(closing, start.end()) if start else -1
        if start and end >= 0:
            yield _element(buffer[start.start() : end + len(closing)])
            buffer = buffer[end + len(closing) :]
            continue
        buffer = buffer[start.start() :] if start else buffer[-2 * NEAR :]
        if len(buffer) > MAX_RECORD:
            yield TOO_LARGE
            buffer = ""
        if not (added := text.read(min(max(CHUNK, len(buffer)), MAX_RECORD + 1 - len(buffer)))):
            if start:
                yield "it is cut off"
            return
        buffer += added


def _element(text: str) -> dict | str:
    """Return the texts in an element by the names of elements, or those that <Data> or Clixml give them."""
    try:
        root = ElementTree.XML(NO_XML.sub("\ufffd", text))
    except ElementTree.ParseError as error:
        return f"no well-formed XML ({error})"
    record: dict[str, str] = {}
    for element in root.iter():
        tag = element.tag.rpartition("}")[2]
        name = element.get("N") or (element.get("Name") if tag == "Data" else "") or tag
        told = element.get("Name") if tag == "Provider" else element.get("SystemTime")
        record.setdefault(name, told or element.text or "")
    if root.tag.endswith("Obj"):
        for name, value in record.items():
            plain = CLIXML.sub(lambda code: chr(int(code[1], 16)), value)
            record[name] = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return record
