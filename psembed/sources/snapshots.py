"""Snapshots: Parquet files with the columns path (str), blob (git object id) and data (raw bytes).

They are compressed with zstd and carry the key-value metadata url, commit, versions, include and left_out.
Content ids are computed again whenever a snapshot is read.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from psembed.runtime.errors import SourceError
from psembed.sources.catalogue import Source

SCHEMA = pa.schema([("path", pa.string()), ("blob", pa.string()), ("data", pa.large_binary())])
GROUP_BYTES = 16 * 2**20  # bytes of one row group written
GROUP_LIMIT = 2 * 2**30  # bytes of one row group read, as its footer declares them

Row = tuple[str, str, bytes]


def blob_id(data: bytes) -> str:
    """Return the git object id of a file's content: SHA-1 of a header with its size, then the bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def snapshot_path(name: str, *, root: Path, history: bool = False) -> Path:
    """Return where the snapshot of source `name` belongs, below data/snapshots under the project root."""
    folder = Path(root) / "data" / "snapshots"
    return folder / "history" / f"{name}.parquet" if history else folder / f"{name}.parquet"


def open_snapshot(path: Path) -> pq.ParquetFile:
    """Open a snapshot after checking that it is there, whole, has its columns and is of bounded size."""
    if not path.is_file():
        history = "--history " * (path.parent.name == "history")
        raise SourceError(f"{path.name} is not there: run `psembed fetch {history}{path.stem}` first")
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path.name} is truncated or no Parquet file; fetch it again ({error})") from error
    missing = [name for name in SCHEMA.names if name not in file.schema_arrow.names]
    if missing:
        raise SourceError(f"{path.name} lacks the column {missing[0]!r}; a snapshot has {SCHEMA.names}")
    footer = file.metadata
    if any(footer.row_group(i).total_byte_size > GROUP_LIMIT for i in range(footer.num_row_groups)):
        raise SourceError(f"{path.name}: a row group of more than {GROUP_LIMIT:,} bytes; not read")
    return file


def snapshot_metadata(path: Path) -> dict[str, str]:
    """Return the key-value metadata of a snapshot (url, commit, versions, include)."""
    with open_snapshot(path) as file:
        pairs = file.metadata.metadata or {}
    known = ("url", "commit", "versions", "include")
    return {key: pairs[key.encode()].decode("utf-8", "replace") for key in known if key.encode() in pairs}


def left_out(path: Path) -> dict[str, int]:
    """Return how many files of the source the snapshot does not hold, by reason (too large, missing)."""
    with open_snapshot(path) as file:
        counts = (file.metadata.metadata or {}).get(b"left_out", b"{}")
    try:
        return {str(reason): int(count) for reason, count in json.loads(counts).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise SourceError(f"{path.name}: its count of files left out is damaged; fetch it again") from error


def snapshot_rows(path: Path, source: Source | None = None) -> Iterator[Row]:
    """Yield verified rows; a wrong id, type or pin is refused."""
    held = snapshot_metadata(path)
    for key in ("url", "commit") if source else ():
        if held.get(key, getattr(source, key)) != getattr(source, key):
            raise SourceError(
                f"{path.name}: its {key} is {held[key]!r}, sources.toml pins {getattr(source, key)!r};"
                " fetch it again"
            )
    row = 0
    with open_snapshot(path) as file:
        try:
            for batch in file.iter_batches(batch_size=64, columns=SCHEMA.names):
                for name, blob, data in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if not isinstance(data, bytes) or not isinstance(name, str) or blob_id(data) != blob:
                        raise SourceError(
                            f"{path.name}, row {row} ({name}): the content does not match its id {blob};"
                            " fetch it again"
                        )
                    yield name, blob, data
                    row += 1
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{path.name} is damaged after row {row}; fetch it again ({error})") from error


def read_snapshot(path: Path, source: Source | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield (path, data) of a snapshot's rows, in order, each content id computed again.

    With a source, only paths that it includes are given, and metadata that differs from its pin is refused. A
    file that is missing, truncated or of another commit, or lacks a column, and a row that does not match its
    id raise SourceError; it names the file and the row.
    """
    for name, _, data in snapshot_rows(path, source):
        if source is None or source.matches(name):
            yield name, data


def write_snapshot(
    path: Path, rows: Iterable[Row], metadata: dict[str, str], skipped: dict[str, int]
) -> None:
    """Write rows in row groups of about GROUP_BYTES, so that memory stays bounded however many come.

    `skipped` is read after the last row; what it counts besides "not included" is kept as left_out.
    """
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", store_schema=False) as writer:
        writer.add_key_value_metadata(metadata)
        buffer, size = [], 0
        for row in rows:
            buffer.append(row)
            size += len(row[2])
            if size >= GROUP_BYTES:
                writer.write_table(_table(buffer))
                buffer, size = [], 0
        if buffer:
            writer.write_table(_table(buffer))
        kept = {reason: count for reason, count in sorted(skipped.items()) if reason != "not included"}
        writer.add_key_value_metadata({"left_out": json.dumps(kept)})


def _table(rows: list[Row]) -> pa.Table:
    return pa.table(list(map(list, zip(*rows, strict=True))), schema=SCHEMA)
