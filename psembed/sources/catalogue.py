"""Pinned public sources, and how to fetch them into snapshots.

A source comes from a mirror (ready snapshots or git repositories) or from git; either way only git
objects and Parquet files touch the disk, never a script as a plain file.
"""

import contextlib
import fnmatch
import functools
import json
import logging
import os
import re
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path

from psembed.runtime.errors import ParameterError, SourceError
from psembed.runtime.files import atomic
from psembed.sources.archives import FILE_LIMIT, read_folder, unit42_records, zip_members
from psembed.sources.repositories import Progress, download, repository_rows
from psembed.sources.snapshots import (
    Row,
    blob_id,
    left_out,
    open_snapshot,
    read_snapshot,
    snapshot_metadata,
    snapshot_rows,
    write_snapshot,
)

__all__ = [
    "FetchReport",
    "Source",
    "blob_id",
    "fetch",
    "find_sources",
    "left_out",
    "load_sources",
    "read_folder",
    "read_snapshot",
    "snapshot_path",
    "unit42_records",
    "zip_members",
]  # fmt: skip

log = logging.getLogger(__name__)

KINDS = ("labelled", "benign", "offensive")
CATALOGUE = Path(__file__).with_name("sources.toml")


@dataclass(frozen=True)
class Source:
    """One entry of sources.toml; the comments at the top of that file explain the fields."""

    name: str
    url: str
    commit: str
    include: tuple[str, ...]
    licence: str
    kind: str
    stratum: str
    group: str
    format: str = "files"
    limit: int = FILE_LIMIT
    labels: dict[str, int | str] = field(default_factory=dict, hash=False)

    def matches(self, path: str) -> bool:
        """Whether the source includes `path`; letter case does not count."""
        return _pattern(self.include).match(path.lower()) is not None

    @property
    def repository(self) -> str:
        """Last two parts of the address: owner/name."""
        return "/".join(self.url.removesuffix(".git").split("/")[-2:])


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


@functools.lru_cache
def _pattern(include: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern.lower()) for pattern in include))


def load_sources(path: Path | None = None) -> dict[str, Source]:
    """Read sources.toml (the package's own if `path` is None), strictly.

    Raises
    ------
    ParameterError
        If the file is no TOML, or an entry has an unknown, missing or wrong key, or a name twice.
    """
    path = path or CATALOGUE
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("source", [])
    except (OSError, ValueError) as error:
        raise ParameterError(f"{path.name} cannot be read: {error}") from error
    sources: dict[str, Source] = {}
    for entry in entries:
        source = _source(entry, path.name)
        if source.name in sources:
            raise ParameterError(f"{path.name}: source {source.name!r} is there twice; rename one")
        sources[source.name] = source
    return sources


def _source(entry: dict, file: str) -> Source:
    name = entry.get("name", "?")
    wanted = {item.name: item for item in fields(Source)}
    required = {key for key in wanted if key not in ("format", "limit", "labels")}
    if unknown := sorted(set(entry) - set(wanted)):
        close = get_close_matches(unknown[0], wanted, 1)
        raise ParameterError(f"{file}: source {name!r} has unknown key {unknown[0]!r}; did you mean {close}?")
    if missing := sorted(required - set(entry)):
        raise ParameterError(f"{file}: source {name!r} lacks {', '.join(missing)}")
    source = Source(**{**entry, "include": tuple(entry["include"])})
    texts = (source.name, source.url, source.commit, source.licence, source.stratum, source.group)
    checks = {
        "text in every other key": all(isinstance(text, str) for text in (*texts, *source.include)),
        "a lower-case name": bool(re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", str(name))),
        "an https:// or file:// url": str(source.url).startswith(("https://", "file://")),
        "a commit of 40 hexadecimal digits": bool(re.fullmatch(r"[0-9a-f]{40}", str(source.commit))),
        "include patterns": isinstance(entry["include"], list) and bool(entry["include"]),
        f"a kind among {KINDS}": source.kind in KINDS,
        "format files or unit42": source.format in ("files", "unit42"),
        "a limit above 0": isinstance(source.limit, int) and source.limit > 0,
        'labels 0, 1 or "triage"': isinstance(source.labels, dict)
        and all(rule in (0, 1, "triage") for rule in source.labels.values()),
        "labels, as its kind is labelled": source.kind != "labelled" or bool(source.labels),
    }
    for expected, good in checks.items():
        if not good:
            raise ParameterError(f"{file}: source {name!r} needs {expected}")
    return source


def find_sources(names: Iterable[str], *, catalogue: dict[str, Source] | None = None) -> list[Source]:
    """Return the sources called `names`; a kind ("benign") stands for all of that kind.

    Raises
    ------
    SourceError
        If one is not in the catalogue; the message gives the nearest names.
    """
    catalogue = load_sources() if catalogue is None else catalogue
    names = expanded(names, catalogue=catalogue)
    for name in names:
        if name not in catalogue:
            close = ", ".join(get_close_matches(name, catalogue, 3)) or ", ".join(sorted(catalogue)[:5])
            raise SourceError(f"no source is called {name!r}; sources.toml has, for example, {close}")
    return [catalogue[name] for name in names]


def expanded(names: Iterable[str], *, catalogue: dict[str, Source] | None = None) -> list[str]:
    """Return names with each kind among them ("benign") replaced by the names of that kind."""
    catalogue = load_sources() if catalogue is None else catalogue
    of_kind = {kind: [s.name for s in catalogue.values() if s.kind == kind] for kind in KINDS}
    return [one for name in names for one in of_kind.get(name, [name])]


def snapshot_path(name: str, *, root: Path, history: bool = False) -> Path:
    """Return where the snapshot of source `name` belongs, below data/snapshots under the project root."""
    folder = Path(root) / "data" / "snapshots"
    return folder / "history" / f"{name}.parquet" if history else folder / f"{name}.parquet"


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

    Parameters
    ----------
    names : iterable of str
        Names in sources.toml.
    root : Path
        Project root; snapshots go to data/snapshots below it.
    mirror : Path, optional
        Folder with ready snapshots (`<name>.parquet`) or repositories (`<owner>+<name>/repo`); the
        environment variable PSEMBED_MIRROR if left out. With a mirror nothing is downloaded.
    history : bool
        One row per distinct content over all commits reachable from the pinned one, instead of one row
        per file of the pinned commit; kept beside the other snapshot. Labelled sets have none.
    progress : callable, optional
        Called with (name, files done, files in all).
    catalogue : dict, optional
        Sources to use instead of the package's.

    Raises
    ------
    SourceError
        If a source is unknown, missing or damaged, or cannot be stored.
    """
    if mirror is None and os.environ.get("PSEMBED_MIRROR"):
        mirror = Path(os.environ["PSEMBED_MIRROR"])
    if mirror is not None and not Path(mirror).is_dir():
        raise SourceError(f"the mirror {str(mirror)!r} is no folder; set PSEMBED_MIRROR to one, or unset it")
    chosen = find_sources(names, catalogue=catalogue)
    if history:
        chosen = [source for source in chosen if source.kind != "labelled"]
    return [
        _fetch_one(source, Path(root), mirror and Path(mirror), history, progress or _silent)
        for source in chosen
    ]


def _silent(name: str, done: int, total: int) -> None:
    """Report nothing."""


def _fetch_one(
    source: Source, root: Path, mirror: Path | None, history: bool, progress: Progress
) -> FetchReport:
    started, path = time.monotonic(), snapshot_path(source.name, root=root, history=history)
    versions = "history" if history else "head"
    wanted = {
        "url": source.url,
        "commit": source.commit,
        "versions": versions,
        "include": json.dumps(source.include),
    }
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
    if not path.exists():
        return None
    try:
        if snapshot_metadata(path) != wanted:
            return None
        report = FetchReport(source.name, path, "kept")
        for _, _, data in snapshot_rows(path, source):
            report.rows, report.bytes = report.rows + 1, report.bytes + len(data)
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
    with contextlib.ExitStack() as stack:
        if mirror is not None:
            origin = _in_mirror(source, mirror, history)
            report.origin = "mirror snapshot" if origin.suffix == ".parquet" else "mirror repository"
        else:
            folder = tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{source.name}.")
            origin = download(source, Path(stack.enter_context(folder)), history)
        if report.origin == "mirror snapshot":
            rows = _ready_rows(source, origin, report.skipped, progress)
        else:
            rows = repository_rows(source, origin, history=history, skipped=report.skipped, progress=progress)
        with atomic(path) as temporary:
            write_snapshot(temporary, _counted(rows, report), wanted, report.skipped)
    return report


def _counted(rows: Iterable[Row], report: FetchReport) -> Iterator[Row]:
    for row in rows:
        report.rows, report.bytes = report.rows + 1, report.bytes + len(row[2])
        yield row


def _in_mirror(source: Source, mirror: Path, history: bool) -> Path:
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
