"""Fetch pinned sources into snapshots.

A source comes from a mirror (ready snapshots or git repositories) or from git; either way only git
objects and Parquet files touch the disk, never a script as a plain file.
"""

import json
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from psembed.runtime.errors import SourceError
from psembed.runtime.files import atomic
from psembed.sources.catalogue import Source, find_sources
from psembed.sources.repositories import Progress, download, repository_rows
from psembed.sources.snapshots import (
    Row,
    open_snapshot,
    snapshot_metadata,
    snapshot_path,
    snapshot_rows,
    write_snapshot,
)

log = logging.getLogger(__name__)


@dataclass
class FetchReport:
    """What `fetch` did for one source; `skipped` counts files by reason."""

    name: str
    path: Path
    origin: str
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    skipped: Counter = field(default_factory=Counter)

    def counting(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Give the rows on, counting them and their bytes."""
        for row in rows:
            self.rows, self.bytes = self.rows + 1, self.bytes + len(row[2])
            yield row


def fetch(
    names: Iterable[str],
    *,
    root: Path,
    mirror: Path | None = None,
    history: bool = False,
    progress: Progress | None = None,
    catalogue: dict[str, Source] | None = None,
) -> list[FetchReport]:
    """Make the snapshot of each source, whole or not at all; a valid one is kept.

    `names` are those of sources.toml, or of `catalogue` if it is given. Snapshots go to data/snapshots below
    the project root. A mirror, PSEMBED_MIRROR if left out, is a folder with ready snapshots
    (`<name>.parquet`) or repositories (`<owner>+<name>/repo`); with one nothing is downloaded. With `history`
    a snapshot has one row per distinct content over all commits reachable from the pinned one, instead of one
    row per file of the pinned commit, and is kept beside the other; labelled sets have none. A source that
    is unknown, missing or damaged, or cannot be stored, raises SourceError.
    """
    mirror = mirror or os.environ.get("PSEMBED_MIRROR") or None
    mirror = None if mirror is None else Path(mirror)
    if mirror is not None and not mirror.is_dir():
        raise SourceError(f"the mirror {str(mirror)!r} is no folder; set PSEMBED_MIRROR to one, or unset it")
    chosen = find_sources(names, catalogue=catalogue)
    if history:
        chosen = [replace(source, snippets=()) for source in chosen if source.history]
    progress = progress or (lambda name, done, total: None)
    return [_fetch_one(source, Path(root), mirror, history, progress) for source in chosen]


def _fetch_one(
    source: Source, root: Path, mirror: Path | None, history: bool, progress: Progress
) -> FetchReport:
    started, path = time.monotonic(), snapshot_path(source.name, root=root, history=history)
    wanted = {"url": source.url, "commit": source.commit, "versions": "history" if history else "head"}
    wanted["include"] = json.dumps(source.include + source.snippets)
    report = _kept(source, path, wanted)
    if report is None:
        try:
            report = _make(source, path, mirror, wanted, progress)
        except OSError as error:
            raise SourceError(f"{source.name}: cannot write below {path.parent}: {error}") from error
    report.seconds = time.monotonic() - started
    log.info("%s: %d files, %d bytes (%s)", source.name, report.rows, report.bytes, report.origin)
    return report


def _kept(source: Source, path: Path, wanted: dict[str, str]) -> FetchReport | None:
    """Return a report if the snapshot that is there is whole and is the wanted one."""
    report = FetchReport(source.name, path, "kept")
    try:
        if not path.exists() or snapshot_metadata(path) != wanted:
            return None
        for _ in report.counting(snapshot_rows(path, source)):
            pass
    except SourceError as error:
        log.warning("%s; making it again", error)
        return None
    return report


def _make(
    source: Source, path: Path, mirror: Path | None, wanted: dict[str, str], progress: Progress
) -> FetchReport:
    history = wanted["versions"] == "history"
    path.parent.mkdir(parents=True, exist_ok=True)
    report = FetchReport(source.name, path, "git")
    with ExitStack() as stack:
        if mirror is None:
            folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{source.name}.")
            origin = download(source, Path(stack.enter_context(folder)), history)
        else:
            origin = _in_mirror(source, mirror, history)
            report.origin = "mirror snapshot" if origin.suffix == ".parquet" else "mirror repository"
        if report.origin == "mirror snapshot":
            rows = _ready_rows(source, origin, report.skipped, progress)
        else:
            rows = repository_rows(source, origin, history=history, skipped=report.skipped, progress=progress)
        with atomic(path) as temporary:
            write_snapshot(temporary, report.counting(rows), wanted, report.skipped)
    return report


def _in_mirror(source: Source, mirror: Path, history: bool) -> Path:
    """Return the mirror's snapshot of a source, or else its git directory."""
    ready = mirror / f"{source.name}.parquet"
    repository = mirror / source.repository.replace("/", "+") / "repo"
    if ready.is_file() and not history:
        return ready
    for folder in (repository / ".git", repository):
        if (folder / "HEAD").is_file():
            return folder
    raise SourceError(
        f"{source.name}: the mirror {str(mirror)!r} holds neither {ready.name} nor"
        f" {repository.parent.name}/repo; add one, set PSEMBED_MIRROR to another folder, or unset it to"
        f" fetch {source.url}"
    )


def _ready_rows(source: Source, path: Path, skipped: Counter, progress: Progress) -> Iterator[Row]:
    with open_snapshot(path) as file:
        total = file.metadata.num_rows
    for done, (name, blob, data) in enumerate(snapshot_rows(path, source), 1):
        if not source.matches(name) or len(data) > source.limit:
            skipped["too large" if source.matches(name) else "not included"] += 1
        else:
            yield name, blob, data
        progress(source.name, done, total)
