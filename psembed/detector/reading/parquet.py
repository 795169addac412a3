"""Rows of Parquet tables, read by a process of its own, so that no table can end or exhaust this one.

Given a damaged table, polars may abort its process, never come to an end, or ask for all memory. So only the
footer is read here, by code that can do none of that: it tells how large the row groups are. Polars runs in
an isolated process (psembed.runtime.isolated), which reads the file that is open here, a slice of a row group
at a time, and hands it over in parts. Requests are JSON; an answer is JSON, or an Arrow stream with the
columns name, size and data.
"""

import contextlib
import importlib
import json
import os
import struct
from collections import deque
from collections.abc import Generator, Iterator
from io import BufferedReader, BytesIO
from typing import Any, BinaryIO, NamedTuple

import polars as pl

from psembed.runtime.errors import SourceError
from psembed.runtime.isolated import IsolatedProcess, module, panics_as_errors, reason, serve

fcntl = None if os.name == "nt" else importlib.import_module("fcntl")
COLUMNS = ("data", "text", "script", "ScriptBlockText", "content")  # the first that is there
NAMES = "path"  # the column that names the rows
GROUP_LIMIT = 2 * 2**30  # bytes of a row group, as the footer declares them
GROUP_ROWS = 2**20  # read at once, of a row group
PART_BYTES = 64 * 2**20  # of cells and names handed over at once; one row may have more
FOOTER_LIMIT = 16 * 2**20  # bytes of a footer
MAX_LISTED = 20  # column names in a message
MAX_MEMORY = 8 * GROUP_LIMIT  # bytes of address space of the process that reads
TABLE_SECONDS = 120  # for one of its answers
COMMAND = module("psembed.detector.reading.parquet")
TYPES = {"Binary": pl.Binary, "String": pl.String}  # of a column with scripts
FAILED = "the table is damaged: reading it made the reader fail"
# Field of the footer, and in it bytes and rows of a row group.
ROW_GROUPS: dict[int, dict] = {4: {2: {}, 3: {}}}
NUMBERS, LISTS, STRUCTURE = (4, 5, 6), (9, 10), 12  # kinds of values in Thrift's compact protocol


class Row(NamedTuple):
    """A row of a table: its number, from 0, name, bytes of its cell (None for null), and the cell.

    The name is the value of the column `path`, where there is one of type String that is not the one read.
    The cell is None where it is null or too large.
    """

    number: int
    name: str | None
    size: int | None
    data: str | bytes | None


def rows(stream: BufferedReader, column: str | None, *, most: int) -> Generator[Row, None, None]:
    """Yield the rows of a table, in order; of a cell of more than `most` bytes only the size is given.

    `stream` is the system's file, whose position is changed; `column` is of type Binary or String, None for
    the first of COLUMNS that is there. Memory is bounded by a row group in the process that reads, which ends
    with the iteration, and by PART_BYTES and one row here. Raises SourceError, while iterating, if the table
    is damaged, too large or lacks the column, or reading it takes too long; OSError if the file cannot be
    read, or no process started.
    """
    groups = row_groups(stream)
    with _open_reader(stream) as (reader, table):
        answer = _ask(reader, {"table": table})
        types = answer.get("columns") if isinstance(answer, dict) else None
        if not isinstance(types, dict):
            raise SourceError(FAILED)
        chosen = _chosen(types, column)
        named = types.get(NAMES) == "String" and chosen != NAMES
        request = {"column": chosen, "named": named, "most": most}
        number = 0
        for first, count in _slices(groups):
            for part in _parts(reader, request | {"first": first, "count": count}, types[chosen]):
                for row in part.iter_rows():
                    yield Row(number, *row)
                    number += 1


def row_groups(stream: BinaryIO) -> list[tuple[int, int]]:
    """Return (bytes uncompressed, rows) of a table's row groups, as its footer declares them.

    Polars does not tell them, but they bound memory. The footer is a Thrift structure (compact protocol).
    Raises SourceError if the table is cut off, its footer is damaged, or it or a row group is too large.
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
        (found,) = _Thrift(stream.read(length)).structure(ROW_GROUPS)
        groups = [(declared, count) for declared, count in found]
        if any(declared < 0 or count < 0 for declared, count in groups):
            raise ValueError("a negative number")
    except (KeyError, ValueError, TypeError, IndexError, RecursionError) as error:
        raise SourceError("the footer of the table is damaged") from error
    if any(declared > GROUP_LIMIT for declared, _ in groups):
        raise SourceError(f"a row group of the table is larger than {GROUP_LIMIT} bytes; not read")
    return groups


class _Thrift:
    """Reads Thrift's compact protocol, value by value: what is not asked for is passed over, not kept."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def structure(self, wanted: dict[int, dict]) -> list:
        """Return the fields of a structure whose numbers are `wanted`; those within one are its value there.

        Truth values, which are in their kind, are none. KeyError where a field is missing.
        """
        values, number = {}, 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._signed()
            if kind not in (1, 2):
                value = self._value(kind, wanted.get(number, {}))
                if number in wanted:
                    values[number] = value
        return [values[number] for number in wanted]

    def _value(self, kind: int, wanted: dict[int, dict]) -> int | list | None:
        """Return a number, or what is wanted of structures; None for another value."""
        if kind in NUMBERS:
            return self._signed()
        if kind == STRUCTURE:
            return self.structure(wanted)
        if kind in LISTS:
            return self._list(wanted)
        if kind not in (1, 2, 3, 7, 8):
            raise ValueError(f"type {kind} in the footer")
        # a truth value, in a list, or a byte; a floating-point number; a text
        length = 1 if kind < 7 else 8 if kind == 7 else self._varint()
        self._at += length
        if self._at > len(self._data):
            raise IndexError("the footer ends too early")
        return None

    def _list(self, wanted: dict[int, dict]) -> list | None:
        head = self._byte()
        length = self._varint() if head >> 4 == 15 else head >> 4
        elements = (self._value(head & 15, wanted) for _ in range(length))
        if wanted and head & 15 == STRUCTURE:
            return list(elements)
        deque(elements, maxlen=0)
        return None

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


def _slices(groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (first row, rows) of what is read at once: row groups, or parts of those with very many rows."""
    first = 0
    for _, count in groups:
        for start in range(0, count, GROUP_ROWS):
            yield first + start, min(GROUP_ROWS, count - start)
        first += count


@contextlib.contextmanager
def _open_reader(stream: BufferedReader) -> Iterator[tuple[IsolatedProcess, int | str]]:
    """Give a process and what it opens: the open file itself, or its path where files are not inherited."""
    if fcntl is None:
        with contextlib.closing(IsolatedProcess(COMMAND)) as reader:
            yield reader, os.path.abspath(stream.name)
        return
    inherited = fcntl.fcntl(stream.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)  # below are the pipes of the process
    try:
        with contextlib.closing(IsolatedProcess(COMMAND, (inherited,))) as reader:
            yield reader, inherited
    finally:
        os.close(inherited)


def _ask(reader: IsolatedProcess, request: dict) -> Any:
    """Return what the process answers, an object or a frame; the errors that it tells are raised."""
    answer = reader.ask(json.dumps(request).encode("ascii"), TABLE_SECONDS)
    if answer is None:
        raise SourceError(FAILED)
    try:
        with panics_as_errors():
            content = json.loads(answer) if answer.startswith(b"{") else pl.read_ipc_stream(answer)
    except Exception as error:
        raise SourceError(FAILED) from error
    if isinstance(content, dict) and "error" in content:
        raise SourceError(str(content["error"]))
    return content


def _parts(reader: IsolatedProcess, request: dict, column_type: str) -> Iterator[pl.DataFrame]:
    """Yield the rows of a slice, in frames."""
    start, schema = 0, {"name": pl.String, "size": pl.UInt64, "data": TYPES[column_type]}
    while start < request["count"]:
        part = _ask(reader, request | {"start": start})
        left = request["count"] - start
        if not isinstance(part, pl.DataFrame) or part.schema != schema or not 0 < len(part) <= left:
            raise SourceError(FAILED)
        yield part
        start += len(part)


def _chosen(types: dict[str, str], column: str | None) -> str:
    """Return the name of the column with the scripts."""
    chosen = next((name for name in ([column] if column else COLUMNS) if name in types), None)
    if chosen is None:
        names = ", ".join(name[:100] for name in list(types)[:MAX_LISTED])
        expected = repr(column) if column else f"named {', '.join(COLUMNS)}"
        raise SourceError(f"the table has no column {expected}; it has {names or 'none'}")
    if types[chosen] not in TYPES:
        raise SourceError(f"column {chosen!r} is of type {types[chosen]}, expected Binary or String")
    return chosen


class _Reader:
    """The other side: a table as polars reads it, in the isolated process."""

    _table: pl.LazyFrame
    _slice: pl.DataFrame | None

    def answer(self, request: bytes) -> bytes:
        """Answer a request of `rows` or `_parts`; errors and panics become answers, too."""
        try:
            options = json.loads(request)
            with panics_as_errors():
                return self._open(**options) if "table" in options else self._part(**options)
        except SourceError as error:
            message = str(error)
        except Exception as error:
            message = f"the table is damaged or no Parquet file ({reason(error)})"
        return json.dumps({"error": message}).encode("ascii")

    def _open(self, table: int | str) -> bytes:
        stream = open(table, "rb", buffering=0)  # noqa: SIM115  open until this process ends
        stream.seek(0)  # polars begins where the file is
        self._table = pl.scan_parquet(stream, glob=False)
        types = {name: str(dtype) for name, dtype in self._table.collect_schema().items()}
        return json.dumps({"columns": types}).encode("ascii")

    def _part(self, *, start: int, first: int, count: int, **columns) -> bytes:
        if start == 0:
            self._slice = None  # holds one at a time
            self._slice = self._read(first, count, **columns)
        assert self._slice is not None  # a slice is asked for from its start on
        part, answer = self._slice.slice(start), BytesIO()
        held = pl.col("size").fill_null(0) + pl.col("name").str.len_bytes().fill_null(0)
        fitting = part.select(held.cum_sum() <= PART_BYTES).to_series().sum()
        part.head(max(1, int(fitting))).write_ipc_stream(answer)
        return answer.getvalue()

    def _read(self, first: int, count: int, *, column: str, named: bool, most: int) -> pl.DataFrame:
        """Return rows of the table, without the cells of more than `most` bytes."""
        names = pl.col(NAMES) if named else pl.lit(None, pl.String)
        query = self._table.slice(first, count).select(names.alias("name"), pl.col(column).alias("data"))
        cells = query.collect()
        if len(cells) != count:
            raise SourceError(f"the table is damaged: {len(cells):,} rows from row {first}, not {count:,}")
        data = pl.col("data")
        size = data.bin.size() if cells.schema["data"] == pl.Binary else data.str.len_bytes()
        size = size.cast(pl.UInt64).alias("size")
        return cells.select("name", size, pl.when(size <= most).then(data).alias("data"))


if __name__ == "__main__":
    serve(_Reader().answer, memory=MAX_MEMORY)
