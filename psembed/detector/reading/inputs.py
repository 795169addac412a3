"""What the user names, as items to score: files, folders, tables, event logs, exports, standard input.

Items come lazily, in the order of the names, and memory stays bounded: by one file of at most MAX_BYTES, by
one row group of a table (parquet), or by the parts of scripts in events (scriptblocks). Whatever cannot be
read becomes an item that says why; nothing that is not a regular file is opened.
"""

import contextlib
import itertools
import os
import stat
import sys
from collections.abc import Generator, Iterator, Sequence
from io import BufferedIOBase, BufferedReader, BytesIO
from typing import BinaryIO

from psembed.detector.detector import MAX_BYTES
from psembed.detector.reading import eventlogs, events, parquet
from psembed.detector.reading.events import EXPECTED, glance
from psembed.detector.reading.parquet import Row
from psembed.detector.reading.scriptblocks import ScriptBlock, ScriptBlocks
from psembed.detector.verdict import Item
from psembed.powershell import cleaning
from psembed.runtime.errors import ParameterError, SourceError
from psembed.runtime.isolated import reason

STDIN = "-"
TABLE, LOG, SCRIPTS = ".parquet", ".evtx", (".ps1", ".psm1", ".psd1", ".ps1xml")
ROWS = (".json", ".jsonl", ".ndjson", ".csv")
TAKEN, EXPORTS = (*SCRIPTS, TABLE, LOG), (*ROWS, ".xml", ".txt")  # of folders; the second if they hold events
CHUNK_BYTES = 1 << 16  # of standard input, read at once
MAX_LISTED = 20  # part numbers in a message
JUNCTION = 0xA0000003  # st_reparse_tag of a folder that Windows keeps elsewhere
NO_WAITING = getattr(os, "O_NONBLOCK", 0)  # which Windows has not
CHANGED = "changed while it was read"


class Inputs:
    """The items that `paths` name; iterating starts over, but standard input can be read only once.

    Tables (.parquet, or of ROWS with `column`) give an item for each row, event logs (.evtx) and exported
    events, which are known by their content, for each script block; of ROWS and .xml what is neither is
    refused. Any other file, and one of SCRIPTS always, is a script. A named link is followed. A folder is
    walked in the order of its paths' bytes; of it scripts, tables, logs and events in EXPORTS are taken, and
    links are not followed, nor files of an earlier run under the names of `outputs`. "-" is standard input,
    one script or exported events (`stdin`, or sys.stdin, binary); ParameterError if it is named twice.

    An item's name is the path as given, with / before what a folder adds, then for a row of a table
    ":" and its number, from 0, or the value of its column `path`; for a script block ":" and its id. What
    gives no script, such as a folder, table or log without any, gives an item of empty data and the reason.

    Counted so far are files that are `left_out` of folders, `links` in them, and `damaged` records and chunks
    of events that cannot be read.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        column: str | None = None,
        stdin: BufferedIOBase | None = None,
        outputs: Sequence[str] = (),
    ):
        self._paths = [os.fsdecode(path) for path in paths]
        if self._paths.count(STDIN) > 1:
            raise ParameterError("standard input (-) is named twice, but can be read only once")
        self._column, self._stdin, self._outputs = column, stdin, set(map(os.path.abspath, outputs))
        self.left_out = self.links = self.damaged = 0

    def __iter__(self) -> Iterator[Item]:
        """Yield the items; an error of one file is told in its item and does not stop the others."""
        self.damaged = 0
        for path, found in self._walk():
            for item in [path] if isinstance(path, Item) else self._file(path):
                end = "" if isinstance(path, Item) else item.name[len(path) + 1 :]
                yield item._replace(found=found or item.found, part=end)

    def total(self) -> int | None:
        """Return how many items there will be; None where, as with event logs, only reading tells."""
        paths = [path for path, _ in self._walk()]
        if not all(path.lower().endswith((*SCRIPTS, TABLE)) for path in paths if isinstance(path, str)):
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

    def _given(self) -> Iterator[Item]:
        """Yield what standard input holds: exported events, or else one script."""
        stream: BufferedIOBase | None = self._stdin or getattr(sys.stdin, "buffer", None)
        if stream is None:
            raise SourceError("there is no standard input")
        data = bytearray()
        while len(data) <= MAX_BYTES and (chunk := stream.read1(CHUNK_BYTES)):
            data += chunk  # piece by piece, since Ctrl-C is heeded between two reads
        item, content = _bounded(STDIN, bytes(data), len(data)), BytesIO(data)
        is_events = item.data is not None and glance(content)[0]
        yield from self._log(STDIN, events.records(content)) if is_events else [item]

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
            elif os.path.abspath(path) in self._outputs:
                self.left_out += 1
            elif path.lower().endswith(TAKEN) or (path.lower().endswith(EXPORTS) and _is_export(path)):
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
            if path == STDIN or path.lower().endswith(SCRIPTS):
                yield from self._given() if path == STDIN else [_script(path)]
                return
            with _open_regular(path) as stream:
                before = _state(stream)
                # an empty file, whatever its kind, is an empty script
                items = self._expanded(path, stream) if before[0] else None
                yield from items or ()
                if items and _state(stream) != before:
                    yield Item(path, None, CHANGED)
            if not items:
                yield _script(path)
        except (OSError, ValueError, SourceError) as error:  # ValueError: a zero byte in the path
            yield Item(path, None, reason(error))

    def _expanded(self, path: str, stream: BufferedReader) -> Iterator[Item] | None:
        """Return the items of a table, a log or exported events; None for a script."""
        kind, column = path.lower(), self._column
        if kind.endswith(TABLE):
            return self._table(path, parquet.rows(stream, column, most=MAX_BYTES))
        if kind.endswith(LOG):
            return self._log(path, eventlogs.records(stream))
        is_events, names = glance(stream)
        if column in names and kind.endswith(ROWS):
            return self._table(path, events.rows(stream, column))
        if is_events:
            return self._log(path, events.records(stream))
        if kind.endswith((*ROWS, ".xml")):
            raise SourceError(f"no column {column!r} and {EXPECTED}" if column else EXPECTED)
        return None

    def _log(self, path: str, records: Iterator[dict | str]) -> Iterator[Item]:
        log, empty = ScriptBlocks(records), True
        try:
            for block in log:
                empty = empty and cleaning.is_blank(block.text)
                name = f"{path}:{block.event.block_id or block.record}"
                yield Item(name, block.text, _remark(block), block.event, found=True)
        finally:
            self.damaged += log.damaged
        if log.damaged:
            yield Item(path, None, f"{log.damaged:,} damaged and left out, the first: {log.damage}")
        elif empty:
            yield Item(path, b"", "no PowerShell script blocks (event 4104) with text in it")

    def _table(self, path: str, rows: Generator[Row, None, None]) -> Iterator[Item]:
        row = None
        with contextlib.closing(rows):
            for row in rows:
                name = f"{path}:{row.number if row.name is None else row.name}"
                if row.size is None:
                    yield Item(name, None, "the cell is empty (null)")
                else:
                    yield _bounded(name, row.data, row.size)
        if row is None:
            yield Item(path, b"", "no rows in this table")


def _count(path: str) -> int:
    """Return how many items a file gives: a table as many as its footer says, any other file one."""
    if path.lower().endswith(TABLE):
        with contextlib.suppress(OSError, ValueError, SourceError), _open_regular(path) as stream:
            return sum(count for _, count in parquet.row_groups(stream)) or 1
    return 1  # also what is told of a table that is empty or cannot be read


def _is_export(path: str) -> bool:
    """Return whether a file of a folder begins with events; one that cannot be read is of another kind."""
    with contextlib.suppress(OSError, SourceError), _open_regular(path) as stream:
        return glance(stream)[0]
    return False


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
        raise SourceError("not a regular file but a FIFO, socket, device or the like; not opened")


def _state(stream: BinaryIO) -> tuple[int, int]:
    """Return what shows that a file has changed: its size in bytes and the time of its last change in ns."""
    status = os.fstat(stream.fileno())
    return status.st_size, status.st_mtime_ns


def _is_junction(entry: os.DirEntry) -> bool:
    return os.name == "nt" and getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) == JUNCTION


def _remark(block: ScriptBlock) -> str:
    """Return which parts of a script block are missing."""
    listed = ", ".join(map(str, block.missing[:MAX_LISTED]))
    more = f" and {len(block.missing) - MAX_LISTED:,} more" * (len(block.missing) > MAX_LISTED)
    return f"missing parts: {listed}{more} of {block.total:,}" * bool(listed)
