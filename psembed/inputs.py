"""What the user names, as items to score: files, folders, tables (Parquet), event logs and standard input.

Items come lazily, in the order of the names, and memory stays bounded: by one file of at most MAX_BYTES, by
one row group of a table, or by the parts of scripts that an event log holds (psembed.events). Whatever cannot
be read becomes an item that says why; nothing that is not a regular file is opened.
"""

import os
import stat
import struct
import sys
from collections.abc import Iterator, Sequence
from io import BufferedReader
from typing import BinaryIO

import polars as pl

from psembed.detector import MAX_BYTES, Item
from psembed.errors import ParameterError, SourceError
from psembed.events import ScriptBlock, is_panic, printable, script_blocks

STDIN = "-"
TABLE, LOG = ".parquet", ".evtx"
EXTENSIONS = (".ps1", ".psm1", ".psd1", ".ps1xml", TABLE, LOG)  # taken from folders
COLUMNS = ("data", "text", "script", "ScriptBlockText", "content")  # of a table; the first there is
NAMES = "path"  # the column of a table that names its rows
GROUP_LIMIT = 2 * 2**30  # bytes of a table's row group, as its footer declares them
GROUP_ROWS = 2**20  # read at once, of a row group
FOOTER_LIMIT = 16 * 2**20  # bytes of a table's footer
MAX_LISTED = 20  # column names or part numbers in a message
JUNCTION = 0xA0000003  # st_reparse_tag of a folder that Windows keeps elsewhere
CHANGED = "changed while it was read"
KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFDIR: "a folder",
}


def items(paths: Sequence[str], *, column: str | None = None, stdin: BinaryIO | None = None) -> "Inputs":
    """Return the items that `paths` name, to iterate over.

    Parameters
    ----------
    paths : sequence of str
        A named file is read whatever its extension, and a named link is followed. Tables (.parquet) give an
        item for each row, event logs (.evtx) for each script block. A folder is walked in the order of its
        paths' bytes; of it, files with one of EXTENSIONS are taken, and links are not followed. "-" is
        standard input, one script.
    column : str, optional
        The column of tables that holds the scripts; by default the first of COLUMNS that is there.
    stdin : file, optional
        Standard input, binary; sys.stdin by default.

    Raises
    ------
    ParameterError
        If standard input is named twice.
    """
    return Inputs(paths, column=column, stdin=stdin)


class Inputs:
    """Items to score; iterating starts over, but standard input can be read only once.

    An item's name is the path as given, with / before what a folder adds, then for a row of a table
    ":" and its number, from 0, or the value of its column `path`; for a script block ":" and its id.

    Attributes
    ----------
    left_out : int
        Files of folders, met so far, whose extension is none of EXTENSIONS.
    links : int
        Symbolic links in folders, met so far; none is followed.
    damaged : int
        Records and chunks of event logs, read so far, that cannot be read.
    """

    def __init__(self, paths: Sequence[str], *, column: str | None = None, stdin: BinaryIO | None = None):
        self._paths = [os.fsdecode(path) for path in paths]
        if self._paths.count(STDIN) > 1:
            raise ParameterError("standard input (-) is named twice, but can be read only once")
        self._column, self._stdin = column, stdin
        self.left_out = self.links = self.damaged = 0

    def __iter__(self) -> Iterator[Item]:
        """Yield the items; an error of one file is told in its item and does not stop the others."""
        self.left_out = self.links = self.damaged = 0
        for path in self._paths:
            if path == STDIN:
                yield self._standard_input()
            elif os.path.isdir(path):
                yield from self._folder(path)
            else:
                yield from self._file(path)

    def _standard_input(self) -> Item:
        stream = self._stdin or getattr(sys.stdin, "buffer", None)
        if stream is None:
            return Item(STDIN, None, "there is no standard input")
        try:
            return _bounded(STDIN, stream.read(MAX_BYTES + 1) or b"")
        except OSError as error:
            return Item(STDIN, None, _why(error))

    def _folder(self, folder: str) -> Iterator[Item]:
        """Walk a folder without recursion, so that no depth is too much."""
        open_folders = [iter([_with_slash(folder)])]
        while open_folders:
            path = next(open_folders[-1], None)
            if path is None:
                open_folders.pop()
            elif path.endswith("/"):
                try:
                    open_folders.append(iter(self._entries(path)))
                except OSError as error:
                    yield Item(path.removesuffix("/"), None, _why(error))
            elif path.lower().endswith(EXTENSIONS):
                yield from self._file(path)
            else:
                self.left_out += 1

    def _entries(self, folder: str) -> list[str]:
        """Return the paths in a folder, sorted by their bytes; those of folders end with a slash."""
        paths = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink() or _is_junction(entry):
                    self.links += 1
                else:
                    paths.append(folder + entry.name + "/" * entry.is_dir(follow_symlinks=False))
        return sorted(paths, key=os.fsencode)

    def _file(self, path: str) -> Iterator[Item]:
        try:
            if not path.lower().endswith((TABLE, LOG)):
                yield _script(path)
                return
            with _open_regular(path) as stream:
                before = _state(stream)
                expand = self._log if path.lower().endswith(LOG) else self._table
                yield from expand(path, stream)
                if _state(stream) != before:
                    yield Item(path, None, CHANGED)
        except (OSError, ValueError, SourceError) as error:  # ValueError: a zero byte in the path
            yield Item(path, None, _why(error))

    def _log(self, path: str, stream: BinaryIO) -> Iterator[Item]:
        log = script_blocks(stream)
        try:
            for block in log:
                yield Item(f"{path}:{block.id}", block.text, _remark(block))
        finally:
            self.damaged += log.damaged
        if log.damaged:
            yield Item(path, None, f"{log.damaged:,} records or chunks of the log are damaged and left out")

    def _table(self, path: str, stream: BufferedReader) -> Iterator[Item]:
        groups = _row_groups(stream)
        stream.raw.seek(0)  # polars begins where the file itself is, whatever the stream has buffered
        table = _asked(lambda: pl.scan_parquet(stream.raw, glob=False))
        schema = _asked(table.collect_schema)
        column = _column(schema, self._column)
        named = schema.get(NAMES) == pl.String and column != NAMES
        for first, count in _slices(groups):
            wanted = table.slice(first, count).select(column, *[NAMES] * named)
            yield from _rows(path, first, count, _asked(wanted.collect))  # holds one frame at a time


def _rows(path: str, first: int, count: int, frame: pl.DataFrame) -> Iterator[Item]:
    """Yield the items of a frame: the cells of its first column, and their names in the second, if any."""
    if len(frame) != count:
        raise SourceError(f"the table is damaged: {len(frame):,} rows from row {first}, not {count:,}")
    cells, *names = frame.get_columns()
    for number, size in enumerate(_sizes(cells)):
        name = names[0][number] if names else None
        name = f"{path}:{first + number if name is None else name}"
        if size is None:
            yield Item(name, None, "the cell is empty (null)")
        elif size > MAX_BYTES:
            yield Item(name, None, _too_large())
        else:
            yield Item(name, cells[number])


def _script(path: str) -> Item:
    """Read a file of one script; one that changes meanwhile is read once more."""
    for _ in range(2):
        with _open_regular(path) as stream:
            before = _state(stream)
            if before[0] > MAX_BYTES:
                return Item(path, None, _too_large())
            data = stream.read(MAX_BYTES + 1)
            if _state(stream) == before:
                return _bounded(path, data)
    return Item(path, None, CHANGED)


def _bounded(name: str, data: bytes) -> Item:
    return Item(name, None, _too_large()) if len(data) > MAX_BYTES else Item(name, data)


def _too_large() -> str:
    return f"larger than {MAX_BYTES} bytes"


def _open_regular(path: str) -> BufferedReader:
    """Open a regular file; what becomes a FIFO after it was looked at does not make this wait."""
    _check_regular(os.stat(path))
    stream = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  the caller closes it
    try:
        _check_regular(os.fstat(stream.fileno()))
    except SourceError:
        stream.close()
        raise
    return stream


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # which Windows has not


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise SourceError(f"not a regular file but {kind}; not opened")


def _state(stream: BinaryIO) -> tuple[int, int]:
    """Return what shows that a file has changed: its size in bytes and the time of its last change in ns."""
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _with_slash(folder: str) -> str:
    return folder if folder.endswith("/") else folder + "/"


def _is_junction(entry: os.DirEntry) -> bool:
    return os.name == "nt" and entry.stat(follow_symlinks=False).st_reparse_tag == JUNCTION


def _why(error: Exception) -> str:
    """Return the reason of an error in one line that can be printed."""
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(told.splitlines()[0])[:300]


def _remark(block: ScriptBlock) -> str:
    """Return which parts of a script block are missing."""
    if not block.missing:
        return ""
    listed = ", ".join(str(number) for number in block.missing[:MAX_LISTED])
    more = len(block.missing) - MAX_LISTED
    if more > 0:
        listed += f" and {more:,} more"
    plural = len(block.missing) > 1
    return f"part{'s' * plural} {listed} of {block.parts:,} {'are' if plural else 'is'} missing"


def _asked(ask):
    """Return what polars answers; its errors and panics become SourceError."""
    try:
        return ask()
    except BaseException as error:
        if isinstance(error, Exception) or is_panic(error):
            raise SourceError(f"the table is damaged or no Parquet file ({_why(error)})") from error
        raise


def _column(schema: pl.Schema, column: str | None) -> str:
    """Return the name of the column with the scripts."""
    found = next((name for name in ([column] if column else COLUMNS) if name in schema), None)
    if found is None:
        names = ", ".join(name[:100] for name in list(schema)[:MAX_LISTED])
        expected = repr(column) if column else f"named {', '.join(COLUMNS)}"
        raise SourceError(f"the table has no column {expected}; it has {names or 'none'}")
    if schema[found] not in (pl.Binary, pl.String):
        raise SourceError(f"column {found!r} is of type {schema[found]}, expected Binary or String")
    return found


def _sizes(cells: pl.Series) -> list[int | None]:
    """Return the bytes of each cell, None where it is null."""
    return (cells.bin.size() if cells.dtype == pl.Binary else cells.str.len_bytes()).to_list()


def _slices(groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield (first row, rows) of what is read at once: row groups, or parts of those with very many rows."""
    first = 0
    for _, rows in groups:
        for start in range(0, rows, GROUP_ROWS):
            yield first + start, min(GROUP_ROWS, rows - start)
        first += rows


def _row_groups(stream: BinaryIO) -> list[tuple[int, int]]:
    """Return (bytes uncompressed, rows) of a table's row groups, as its footer declares them.

    Polars does not tell them, but they bound memory; the footer is a Thrift structure (compact protocol) in
    which field 4 lists the row groups, each with its bytes in field 2 and its rows in field 3.
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
        groups = [(int(group[2]), int(group[3])) for group in _Thrift(stream.read(length)).read_struct()[4]]
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise SourceError("the footer of the table is damaged") from error
    if any(number < 0 for group in groups for number in group):
        raise SourceError("the footer of the table is damaged")
    if any(declared > GROUP_LIMIT for declared, _ in groups):
        raise SourceError(f"a row group of the table is larger than {GROUP_LIMIT} bytes; not read")
    return groups


class _Thrift:
    """Reads structures of Thrift's compact protocol: numbers, lists and structures; texts are passed over."""

    def __init__(self, data: bytes):
        self._data, self._at = data, 0

    def read_struct(self) -> dict[int, object]:
        """Return the fields of a structure by their numbers."""
        fields, number = {}, 0
        while kind := self._byte():
            step, kind = kind >> 4, kind & 15
            number = number + step if step else self._signed()
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind)
        return fields

    def _value(self, kind: int) -> object:
        if kind in (1, 2, 3):  # a truth value, in a list; a byte
            return self._byte()
        if kind in (4, 5, 6):
            return self._signed()
        if kind in (7, 8):  # a floating-point number; a text
            length = 8 if kind == 7 else self._varint()
            self._at += length
            return None
        if kind in (9, 10):
            head = self._byte()
            length = self._varint() if head >> 4 == 15 else head >> 4
            return [self._value(head & 15) for _ in range(length)]
        if kind == 12:
            return self.read_struct()
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
