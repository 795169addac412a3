"""What the user names, as items to score: files, folders, tables (Parquet), event logs and standard input.

Items come lazily, in the order of the names, and memory stays bounded: by one file of at most MAX_BYTES, by
one row group of a table (psembed.detector.parquet), or by the parts of scripts in an event log
(psembed.detector.eventlogs). Whatever cannot be read becomes an item that says why; nothing that is not a
regular file is opened.
"""

import contextlib
import itertools
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from io import BufferedIOBase, BufferedReader
from typing import BinaryIO

from psembed.detector.detector import MAX_BYTES
from psembed.detector.eventlogs import EventLog, ScriptBlock
from psembed.detector.parquet import row_groups, rows
from psembed.detector.verdict import Item
from psembed.powershell import cleaning
from psembed.runtime.errors import ParameterError, SourceError
from psembed.runtime.isolated import reason

STDIN = "-"
TABLE, LOG = ".parquet", ".evtx"
EXTENSIONS = (".ps1", ".psm1", ".psd1", ".ps1xml", TABLE, LOG)  # taken from folders
CHUNK_BYTES = 1 << 16  # of standard input, read at once
MAX_LISTED = 20  # part numbers in a message
JUNCTION = 0xA0000003  # st_reparse_tag of a folder that Windows keeps elsewhere
NO_WAITING = getattr(os, "O_NONBLOCK", 0)  # which Windows has not
CHANGED = "changed while it was read"
KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
    stat.S_IFDIR: "a folder",
}


class Inputs:
    """The items that `paths` name; iterating starts over, but standard input can be read only once.

    A named file is read whatever its extension, and a named link is followed. Tables (.parquet) give an item
    for each row, of `column` or the first of `parquet.COLUMNS` there, event logs (.evtx) for each script
    block. A folder is walked in the order of its paths' bytes; of it, files with one of EXTENSIONS are taken,
    and links are not followed. "-" is standard input, one script (`stdin`, or sys.stdin, binary);
    ParameterError if it is named twice.

    An item's name is the path as given, with / before what a folder adds, then for a row of a table
    ":" and its number, from 0, or the value of its column `path`; for a script block ":" and its id. What
    gives no script, such as a folder, table or log without any, gives an item of empty data and the reason.

    Counted so far are files that are `left_out` of folders, `links` in them, and `damaged` records and chunks
    of event logs that cannot be read.
    """

    def __init__(
        self, paths: Sequence[str], *, column: str | None = None, stdin: BufferedIOBase | None = None
    ):
        self._paths = [os.fsdecode(path) for path in paths]
        if self._paths.count(STDIN) > 1:
            raise ParameterError("standard input (-) is named twice, but can be read only once")
        self._column, self._stdin = column, stdin
        self.left_out = self.links = self.damaged = 0

    def __iter__(self) -> Iterator[Item]:
        """Yield the items; an error of one file is told in its item and does not stop the others."""
        self.damaged = 0
        for path, found in self._walk():
            for item in self._items(path):
                yield item._replace(found=found or item.found)

    def _items(self, path: str | Item) -> Iterator[Item]:
        """Yield what comes of a step of the walk."""
        if isinstance(path, Item):
            yield path
        elif path == STDIN:
            yield self._standard_input()
        else:
            yield from (item._replace(part=item.name[len(path) + 1 :]) for item in self._file(path))

    def total(self) -> int | None:
        """Return how many items there will be; None with standard input or event logs: only reading tells."""
        paths = [path for path, _ in self._walk()]
        if any(path == STDIN or path.lower().endswith(LOG) for path in paths if isinstance(path, str)):
            return None
        return sum(_count(path) if isinstance(path, str) else 1 for path in paths)

    def _walk(self) -> Iterator[tuple[str | Item, bool]]:
        """Yield the paths of files, and STDIN, in order, and whether they were found in a folder.

        A folder that cannot be read, or is named and without anything to score, is an item.
        """
        self.left_out = self.links = 0
        for path in self._paths:
            found = path != STDIN and os.path.isdir(path)
            within = self._folder(path) if found else iter([path])
            if (first := next(within, None)) is None:
                yield Item(path, b"", "no script, table or event log in this folder"), False
            else:
                yield from ((step, found) for step in itertools.chain([first], within))

    def _standard_input(self) -> Item:
        stream: BufferedIOBase | None = self._stdin or getattr(sys.stdin, "buffer", None)
        if stream is None:
            return Item(STDIN, None, "there is no standard input")
        try:
            data = bytearray()
            while len(data) <= MAX_BYTES and (chunk := stream.read1(CHUNK_BYTES)):
                data += chunk  # piece by piece, since Ctrl-C is heeded between two reads
            return _bounded(STDIN, bytes(data), len(data))
        except OSError as error:
            return Item(STDIN, None, reason(error))

    def _folder(self, folder: str) -> Iterator[str | Item]:
        """Walk a folder without recursion, so that no depth is too much."""
        open_folders = [iter([folder if folder.endswith("/") else folder + "/"])]
        while open_folders:
            path = next(open_folders[-1], None)
            if path is None:
                open_folders.pop()
            elif path.endswith("/"):
                try:
                    open_folders.append(iter(self._entries(path)))
                except OSError as error:
                    yield Item(path.removesuffix("/"), None, reason(error))
            elif path.lower().endswith(EXTENSIONS):
                yield path
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
            yield Item(path, None, reason(error))

    def _log(self, path: str, stream: BinaryIO) -> Iterator[Item]:
        log, empty = EventLog(stream), True
        try:
            for block in log:
                empty = empty and cleaning.is_blank(block.text)
                yield Item(f"{path}:{block.id}", block.text, _remark(block), found=True)
        finally:
            self.damaged += log.damaged
        if log.damaged:
            yield Item(path, None, f"{log.damaged:,} records or chunks of the log are damaged and left out")
        elif empty:
            yield Item(path, b"", "no PowerShell script blocks (event 4104) with text in this log")

    def _table(self, path: str, stream: BufferedReader) -> Iterator[Item]:
        row = None
        with contextlib.closing(rows(stream, self._column, most=MAX_BYTES)) as table:
            for row in table:
                name = f"{path}:{row.number if row.name is None else row.name}"
                if row.size is None:
                    yield Item(name, None, "the cell is empty (null)")
                else:
                    yield _bounded(name, row.data, row.size)
        if row is None:
            yield Item(path, b"", "no rows in this table")


def _count(path: str) -> int:
    """Return how many items a file gives: a table as many as its footer says, any other file one."""
    if not path.lower().endswith(TABLE):
        return 1
    try:
        with _open_regular(path) as stream:
            return sum(count for _, count in row_groups(stream)) or 1  # an empty one is told
    except (OSError, ValueError, SourceError):
        return 1  # what is told of it


def _script(path: str) -> Item:
    """Read a file of one script; one that changes meanwhile is read once more."""
    for _ in range(2):
        with _open_regular(path) as stream:
            before = _state(stream)
            data = stream.read(MAX_BYTES + 1) if before[0] <= MAX_BYTES else b""
            if _state(stream) == before:
                return _bounded(path, data, max(before[0], len(data)))
    return Item(path, None, CHANGED)


def _bounded(name: str, data: bytes | str | None, size: int) -> Item:
    return Item(name, None, f"larger than {MAX_BYTES} bytes") if size > MAX_BYTES else Item(name, data)


def _open_regular(path: str) -> BufferedReader:
    """Open a regular file, for the caller to close; what has become a FIFO meanwhile makes nothing wait."""
    _check_regular(os.stat(path))
    stream = open(path, "rb", opener=lambda name, flags: os.open(name, flags | NO_WAITING))  # noqa: SIM115
    try:
        _check_regular(os.fstat(stream.fileno()))
    except SourceError:
        stream.close()
        raise
    return stream


def _check_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise SourceError(f"not a regular file but {kind}; not opened")


def _state(stream: BinaryIO) -> tuple[int, int]:
    """Return what shows that a file has changed: its size in bytes and the time of its last change in ns."""
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _is_junction(entry: os.DirEntry) -> bool:
    return os.name == "nt" and getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) == JUNCTION


def _remark(block: ScriptBlock) -> str:
    """Return which parts of a script block are missing."""
    if not block.missing:
        return ""
    listed = ", ".join(map(str, block.missing[:MAX_LISTED]))
    more, plural = len(block.missing) - MAX_LISTED, len(block.missing) > 1
    if more > 0:
        listed += f" and {more:,} more"
    return f"part{'s' * plural} {listed} of {block.parts:,} {'are' if plural else 'is'} missing"
