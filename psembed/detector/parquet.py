"""Rows of Parquet tables, read by a process of its own, so that no table can end or exhaust this one.

Given a damaged table, polars may abort its process, never come to an end, or ask for all memory. So only the
footer is read here, by code that can do none of that: it tells how large the row groups are. Polars runs in a
child (psembed.runtime.isolated), which reads the file that is open here, a slice of a row group at a time, and hands it
over in parts. Requests are JSON; an answer is JSON, or an Arrow stream with the columns name, size and data.
"""

import contextlib
import json
import os
import struct
from collections.abc import Iterator
from io import BufferedReader, BytesIO
from typing import BinaryIO, NamedTuple

import polars as pl

from psembed.runtime.errors import SourceError
from psembed.runtime.isolated import Child, module, panics_as_errors, reason, serve

try:
    import fcntl
except ImportError:
    fcntl = None  # Windows

COLUMNS = ("data", "text", "script", "ScriptBlockText", "content")  # the first that is there
NAMES = "path"  # the column that names the rows
GROUP_LIMIT = 2 * 2**30  # bytes of a row group, as the footer declares them
GROUP_ROWS = 2**20  # read at once, of a row group
PART_BYTES = 64 * 2**20  # of cells and names handed over at once; one row may have more
FOOTER_LIMIT = 16 * 2**20  # bytes of a footer
MAX_LISTED = 20  # column names in a message
MAX_MEMORY = 8 * GROUP_LIMIT  # bytes of address space of the child
TABLE_SECONDS = 120  # for an answer of the child
COMMAND = module("psembed.detector.parquet")
KINDS = {"Binary": pl.Binary, "String": pl.String}  # of a column with scripts
FAILED = "the table is damaged: reading it made the reader fail"
ROW_GROUPS, GROUP_BYTES, GROUP_COUNT = 4, 2, 3  # fields of the footer, and of a row group in it
NUMBERS, LISTS, STRUCT = (4, 5, 6), (9, 10), 12  # kinds of values in Thrift's compact protocol


class Row(NamedTuple):
    """A row of a table.

    Attributes
    ----------
    number : int
        From 0.
    name : str or None
        The value of the column `path`, where the table has one of type String that is not the one read.
    size : int or None
        Bytes of the cell; None where it is null.
    data : str, bytes or None
        The cell; None where it is null or too large.
    """

    number: int
    name: str | None
    size: int | None
    data: str | bytes | None


def rows(stream: BufferedReader, column: str | None, *, most: int) -> Iterator[Row]:
    """Yield the rows of a table, in order.

    Memory is bounded by a row group in the child, and by PART_BYTES and one row here. The child ends with the
    iteration.

    Parameters
    ----------
    stream : file
        The table, open for reading from the system's file; its position is changed.
    column : str or None
        The column to read, of type Binary or String; None for the first of COLUMNS that is there.
    most : int
        Bytes of a cell; of a larger one only the size is given.

    Raises
    ------
    SourceError
        While iterating: if the table is damaged, too large or lacks the column, or reading it takes too long.
    OSError
        If the file cannot be read, or no process begun.
    """
    groups = row_groups(stream)
    with _child(stream) as (child, table):
        kinds = _kinds(child, table)
        found = _column(kinds, column)
        named = kinds.get(NAMES) == "String" and found != NAMES
        request = {"column": found, "named": named, "most": most}
        number = 0
        for first, count in _slices(groups):
            for part in _parts(child, request | {"first": first, "count": count}, kinds[found]):
                for row in part.iter_rows():
                    yield Row(number, *row)
                    number += 1


def row_groups(stream: BinaryIO) -> list[tuple[int, int]]:
    """Return (bytes uncompressed, rows) of a table's row groups, as its footer declares them.

    Polars does not tell them, but they bound memory; the footer is a Thrift structure (compact protocol) in
    which field 4 lists the row groups, each with its bytes in field 2 and its rows in field 3.

    Raises
    ------
    SourceError
        If the table is cut off, its footer is damaged, or the footer or a row group is too large.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 8))
    length, signature = struct.unpack("<I4s", stream.read(8).rjust(8, b"\0"))
    if signature != b"PAR1" or length + 8 > size:
        raise SourceError("the table is cut off or no Parquet file: it does not end as one")
    if length > FOOTER_LIMIT:
        raise SourceError(f"the footer of the table is larger than {FOOTER_LIMIT} bytes; not read")
    stream.seek(size - 8 - length)
    try:
        groups = _groups(_Thrift(stream.read(length)))
    except (KeyError, ValueError, IndexError, RecursionError) as error:
        raise SourceError("the footer of the table is damaged") from error
    if any(number < 0 for group in groups for number in group):
        raise SourceError("the footer of the table is damaged")
    if any(declared > GROUP_LIMIT for declared, _ in groups):
        raise SourceError(f"a row group of the table is larger than {GROUP_LIMIT} bytes; not read")
    return groups


def _groups(footer: "_Thrift") -> list[tuple[int, int]]:
    """Return the row groups of a footer; nothing else of it is kept."""
    groups = {}
    for number, kind in footer.fields():
        if number == ROW_GROUPS:
            groups[number] = [_group(footer, kind) for kind in footer.elements(kind)]
        else:
            footer.skip(kind)
    return groups[ROW_GROUPS]


def _group(footer: "_Thrift", kind: int) -> tuple[int, int]:
    if kind != STRUCT:
        raise ValueError(f"a row group of type {kind} in the footer")
    found = {}
    for number, kind in footer.fields():
        if number in (GROUP_BYTES, GROUP_COUNT):
            found[number] = footer.number(kind)
        else:
            footer.skip(kind)
    return found[GROUP_BYTES], found[GROUP_COUNT]


class _Thrift:
    """Reads Thrift's compact protocol, value by value: what is not asked for is passed over, not kept."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and kind of a structure's fields; each is to be read or skipped before the next.

        Truth values, which are in their kind, are left out.
        """
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._signed()
            if kind not in (1, 2):
                yield number, kind

    def elements(self, kind: int) -> Iterator[int]:
        """Yield the kind of each element of a list; each is to be read or skipped before the next."""
        if kind not in LISTS:
            raise ValueError(f"type {kind} in the footer, expected a list")
        head = self._byte()
        length = self._varint() if head >> 4 == 15 else head >> 4
        for _ in range(length):
            yield head & 15

    def number(self, kind: int) -> int:
        """Return a number of 16 to 64 bits."""
        if kind not in NUMBERS:
            raise ValueError(f"type {kind} in the footer, expected a number")
        return self._signed()

    def skip(self, kind: int) -> None:
        """Pass over a value."""
        if kind in (1, 2, 3):  # a truth value, in a list; a byte
            self._pass(1)
        elif kind in NUMBERS:
            self._varint()
        elif kind in (7, 8):  # a floating-point number; a text
            self._pass(8 if kind == 7 else self._varint())
        elif kind in LISTS:
            for inner in self.elements(kind):
                self.skip(inner)
        elif kind == STRUCT:
            for _, inner in self.fields():
                self.skip(inner)
        else:
            raise ValueError(f"type {kind} in the footer")

    def _signed(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
        raise ValueError("a number of more than 64 bits")

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _pass(self, length: int) -> None:
        self._at += length
        if self._at > len(self._data):
            raise IndexError("the footer ends too early")


def _slices(groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (first row, rows) of what is read at once: row groups, or parts of those with very many rows."""
    first = 0
    for _, count in groups:
        for start in range(0, count, GROUP_ROWS):
            yield first + start, min(GROUP_ROWS, count - start)
        first += count


@contextlib.contextmanager
def _child(stream: BufferedReader) -> Iterator[tuple[Child, int | str]]:
    """Give a child and what it opens: the open file itself, or its path where files are not inherited."""
    if fcntl is None:
        with contextlib.closing(Child(COMMAND)) as child:
            yield child, os.path.abspath(stream.name)
        return
    inherited = fcntl.fcntl(stream.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)  # below are the pipes of the child
    try:
        with contextlib.closing(Child(COMMAND, (inherited,))) as child:
            yield child, inherited
    finally:
        os.close(inherited)


def _asked(child: Child, request: dict) -> dict | pl.DataFrame:
    """Return what the child answers; the errors that it tells are raised."""
    answer = child.ask(json.dumps(request).encode("ascii"), TABLE_SECONDS)
    if answer is None:
        raise SourceError(FAILED)
    try:
        with panics_as_errors():
            told = json.loads(answer) if answer.startswith(b"{") else pl.read_ipc_stream(answer)
    except Exception as error:
        raise SourceError(FAILED) from error
    if isinstance(told, dict) and "error" in told:
        raise SourceError(str(told["error"]))
    return told


def _kinds(child: Child, table: int | str) -> dict[str, str]:
    """Return the types of the columns by their names."""
    told = _asked(child, {"table": table})
    if not isinstance(told, dict) or not isinstance(told.get("columns"), dict):
        raise SourceError(FAILED)
    return told["columns"]


def _parts(child: Child, request: dict, kind: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a slice, in frames."""
    start, schema = 0, {"name": pl.String, "size": pl.UInt64, "data": KINDS[kind]}
    while start < request["count"]:
        part = _asked(child, request | {"start": start})
        if not isinstance(part, pl.DataFrame) or part.schema != schema:
            raise SourceError(FAILED)
        if not 0 < len(part) <= request["count"] - start:
            raise SourceError(FAILED)
        yield part
        start += len(part)


def _column(kinds: dict[str, str], column: str | None) -> str:
    """Return the name of the column with the scripts."""
    found = next((name for name in ([column] if column else COLUMNS) if name in kinds), None)
    if found is None:
        names = ", ".join(name[:100] for name in list(kinds)[:MAX_LISTED])
        expected = repr(column) if column else f"named {', '.join(COLUMNS)}"
        raise SourceError(f"the table has no column {expected}; it has {names or 'none'}")
    if kinds[found] not in KINDS:
        raise SourceError(f"column {found!r} is of type {kinds[found]}, expected Binary or String")
    return found


class _Reader:
    """The child's side: a table as polars reads it."""

    def __init__(self):
        self._table = self._slice = None

    def answer(self, request: bytes) -> bytes:
        """Answer a request of `_kinds` or `_part`; errors and panics become answers, too."""
        try:
            asked = json.loads(request)
            with panics_as_errors():
                return self._opened(**asked) if "table" in asked else self._part(**asked)
        except SourceError as error:
            told = str(error)
        except Exception as error:
            told = f"the table is damaged or no Parquet file ({reason(error)})"
        return json.dumps({"error": told}).encode("ascii")

    def _opened(self, table: int | str) -> bytes:
        stream = open(table, "rb", buffering=0)  # noqa: SIM115  open until this process ends
        stream.seek(0)  # polars begins where the file is
        self._table = pl.scan_parquet(stream, glob=False)
        kinds = {name: str(kind) for name, kind in self._table.collect_schema().items()}
        return json.dumps({"columns": kinds}).encode("ascii")

    def _part(self, *, start: int, first: int, count: int, **columns) -> bytes:
        if start == 0:
            self._slice = None  # holds one at a time
            self._slice = self._read(first, count, **columns)
        part, answer = self._slice.slice(start), BytesIO()
        held = pl.col("size").fill_null(0) + pl.col("name").str.len_bytes().fill_null(0)
        fitting = part.select(held.cum_sum() <= PART_BYTES).to_series().sum()
        part.head(max(1, fitting)).write_ipc_stream(answer)
        return answer.getvalue()

    def _read(self, first: int, count: int, *, column: str, named: bool, most: int) -> pl.DataFrame:
        """Return rows of the table, without the cells of more than `most` bytes."""
        names = pl.col(NAMES) if named else pl.lit(None, pl.String)
        found = self._table.slice(first, count).select(names.alias("name"), pl.col(column).alias("data"))
        found = found.collect()
        if len(found) != count:
            raise SourceError(f"the table is damaged: {len(found):,} rows from row {first}, not {count:,}")
        data = pl.col("data")
        size = data.bin.size() if found.schema["data"] == pl.Binary else data.str.len_bytes()
        size = size.cast(pl.UInt64).alias("size")
        return found.select("name", size, pl.when(size <= most).then(data).alias("data"))


if __name__ == "__main__":
    serve(_Reader().answer, memory=MAX_MEMORY)
