"""Fetch pinned sources into snapshots, several at a time.

A source comes from a mirror (ready snapshots or git repositories) or from git; either way only git
objects and Parquet files touch the disk, never a script as a plain file.
"""

import json
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from psembed.runtime.errors import SourceError
from psembed.runtime.files import atomic
from psembed.sources import snapshots
from psembed.sources.catalogue import Source, find_sources
from psembed.sources.folders import folder_rows
from psembed.sources.repositories import Progress, repository_rows

AT_ONCE = 4  # sources under way
TICK = 0.2  # seconds until Ctrl-C is noticed


@dataclass
class FetchReport:
    """What `fetch` did for one source, or why it failed; `skipped` counts files by reason."""

    name: str
    path: Path
    origin: str
    rows: int = 0
    bytes: int = 0
    skipped: Counter = field(default_factory=Counter)
    error: SourceError | None = None

    def counting(self, rows: Iterable[snapshots.Row]) -> Iterator[snapshots.Row]:
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
) -> Iterator[FetchReport]:
    """Make the snapshot of each source, whole or not at all; a valid one is kept; report each as it ends.

    `names` are those of sources.toml, or of `catalogue` if it is given. Snapshots go to data/snapshots below
    the project root. A mirror, PSEMBED_MIRROR if left out, is a folder with ready snapshots
    (`<name>.parquet`) or repositories (`<owner>+<name>/repo`); with one nothing is downloaded. With `history`
    a snapshot has one row per distinct content over all commits reachable from the pinned one, instead of one
    row per file of the pinned commit, and is kept beside the other; it has no files with snippets, and
    sources without history are passed over. `progress` is called from several threads with a source's name,
    files done and files in all (0 while that is not known); what it raises ends all. An unknown source or a
    missing mirror raises SourceError; a source that cannot be had or stored has it in its report.
    """
    given = mirror or os.environ.get("PSEMBED_MIRROR") or None
    folder = None if given is None else Path(given)
    if folder is not None and not folder.is_dir():
        raise SourceError(f"the mirror {str(folder)!r} is no folder; set PSEMBED_MIRROR to one, or unset it")
    chosen = dict.fromkeys(find_sources(names, history=history, catalogue=catalogue))
    if history:
        chosen = dict.fromkeys(replace(source, snippets=()) for source in chosen)
    stopped = threading.Event()

    def watched(name: str, done: int, total: int) -> None:
        if stopped.is_set():
            raise CancelledError
        if progress is not None:
            progress(name, done, total)

    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        jobs = {pool.submit(_fetch_one, source, Path(root), folder, history, watched) for source in chosen}
        while jobs:
            done, jobs = wait(jobs, TICK, FIRST_COMPLETED)
            yield from (job.result() for job in done)
    finally:
        stopped.set()
        pool.shutdown(cancel_futures=True)


def _fetch_one(
    source: Source, root: Path, mirror: Path | None, history: bool, progress: Progress
) -> FetchReport:
    path = snapshots.snapshot_path(source.name, root=root, history=history)
    wanted = {"url": source.url, "commit": source.commit, "versions": "history" if history else "head"}
    wanted["include"] = json.dumps(source.include + source.snippets)
    report = FetchReport(source.name, path, "git")
    try:
        if source.commit and (kept := _kept(source, path, wanted, progress)):
            return kept
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{source.name}.")
        with folder as empty, atomic(path) as temporary:
            rows = _rows(source, report, mirror, Path(empty), history, progress)
            snapshots.write_snapshot(temporary, report.counting(rows), wanted, report.skipped)
    except SourceError as error:
        return FetchReport(source.name, path, report.origin, error=error)
    except OSError as error:
        refusal = SourceError(f"{source.name}: cannot write below {path.parent}: {error}")
        return FetchReport(source.name, path, report.origin, error=refusal)
    return report


def _kept(source: Source, path: Path, wanted: dict[str, str], progress: Progress) -> FetchReport | None:
    """Return a report if the snapshot that is there is whole and is the wanted one."""
    report = FetchReport(source.name, path, "kept")
    try:
        if not path.exists() or snapshots.snapshot_metadata(path) != wanted:
            return None
        report.skipped.update(snapshots.left_out(path))
        for _ in report.counting(snapshots.snapshot_rows(path, source)):
            progress(source.name, 0, 0)
    except SourceError:
        return None
    return report


def _rows(
    source: Source, report: FetchReport, mirror: Path | None, empty: Path, history: bool, progress: Progress
) -> Iterator[snapshots.Row]:
    """Return the rows of a source, from the address or the mirror's snapshot or git directory."""
    if source.folder:
        report.origin = "folder"
        return folder_rows(source, skipped=report.skipped, progress=progress)
    asked = {"history": history, "skipped": report.skipped, "progress": progress}
    if mirror is None or source.url.startswith("file://"):
        return repository_rows(source, empty, remote=True, **asked)
    ready = mirror / f"{source.name}.parquet"
    if ready.is_file() and not history:
        report.origin = "mirror snapshot"
        return _ready_rows(source, ready, report.skipped, progress)
    report.origin = "mirror repository"
    repository = mirror / source.repository.replace("/", "+") / "repo"
    for folder in (repository / ".git", repository):
        if (folder / "HEAD").is_file():
            return repository_rows(source, folder, remote=False, **asked)
    raise SourceError(
        f"{source.name}: the mirror {str(mirror)!r} holds neither {ready.name} nor"
        f" {repository.parent.name}/repo; add one, set PSEMBED_MIRROR to another folder, or unset it to"
        f" fetch {source.url}"
    )


def _ready_rows(source: Source, path: Path, skipped: Counter, progress: Progress) -> Iterator[snapshots.Row]:
    with snapshots.open_snapshot(path) as file:
        total = file.metadata.num_rows
    for done, (name, blob, data) in enumerate(snapshots.snapshot_rows(path, source), 1):
        if not source.matches(name) or len(data) > source.limit:
            skipped["too large" if source.matches(name) else "not included"] += 1
        else:
            yield name, blob, data
        progress(source.name, done, total)
