"""Git repositories as sources: download the pinned commit, read its files or its whole history.

They are read with pygit2 as objects; no work tree is ever checked out.
"""

import logging
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from psembed.runtime.errors import SourceError
from psembed.sources.catalogue import Source
from psembed.sources.snapshots import Row, blob_id

log = logging.getLogger(__name__)

MISSING_SHARE = 0.05  # of a repository's files; mirrors may leave their largest out
LINK = 0o120000  # git's file mode of a symbolic link

Progress = Callable[[str, int, int], None]


def download(source: Source, folder: Path, history: bool) -> Path:
    """Fetch the pinned commit into a temporary bare repository, which the caller removes."""
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}
    depth = [] if history else ["--depth", "1"]
    for command in (
        ["init", "--quiet", "--bare", str(folder)],
        ["-C", str(folder), "fetch", "--quiet", "--no-tags", *depth, source.url, source.commit],
    ):
        try:
            subprocess.run(["git", *command], check=True, capture_output=True, text=True, env=environment)
        except FileNotFoundError as error:
            raise SourceError("git is not installed; install it, or set PSEMBED_MIRROR") from error
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise SourceError(
                f"{source.name}: git cannot fetch commit {source.commit} of {source.url} ({reason}); check"
                " the network, or set PSEMBED_MIRROR to a folder that holds the source"
            ) from error
    return folder


def repository_rows(
    source: Source, folder: Path, *, history: bool, skipped: Counter, progress: Progress
) -> Iterator[Row]:
    """Yield the rows of the pinned commit in a git directory, or of its history, sorted by path.

    A history has one row per distinct content over all reachable commits, the versions of one path newest
    first. `skipped` counts files that are not given ("too large", "missing"). A commit that is not there, and
    objects that are missing or damaged, raise SourceError.
    """
    import pygit2

    try:
        repository = pygit2.Repository(str(folder), pygit2.enums.RepositoryOpenFlag.BARE)
        commit = repository[source.commit].peel(pygit2.Commit)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise SourceError(
            f"{source.name}: commit {source.commit} is not in the repository {folder.parent.name};"
            f" fetch it there, or set PSEMBED_MIRROR to a mirror that has it ({error})"
        ) from error
    try:
        entries = _history(repository, commit, source) if history else _tree(commit.tree, source)
        entries = sorted(entries, key=lambda entry: entry[0])
        yield from _blobs(repository, entries, source, skipped, progress)
    except (KeyError, pygit2.GitError) as error:
        raise SourceError(
            f"{source.name}: an object is missing from the repository or damaged ({error}); a shallow clone"
            " cannot be read with history"
        ) from error


def _blobs(repository, entries: list, source: Source, skipped: Counter, progress: Progress) -> Iterator[Row]:
    """Yield the files; the few that a partial mirror lacks are counted, more than MISSING_SHARE refused."""
    for done, (path, oid) in enumerate(entries, 1):
        if oid not in repository.odb:
            skipped["missing"] += 1
            log.warning("%s: the repository lacks %s", source.name, path)
        elif repository.odb.read_header(oid)[1] > source.limit:
            skipped["too large"] += 1
        else:
            data = repository.read(oid)[1]
            if blob_id(data) != str(oid):
                raise SourceError(f"{source.name}: {path} does not match its id {oid} in the repository")
            yield path, str(oid), data
        progress(source.name, done, len(entries))
    if (missing := skipped["missing"]) > MISSING_SHARE * len(entries):
        raise SourceError(
            f"{source.name}: the repository lacks {missing} of {len(entries)} files; fetch it again in full"
        )


def _tree(tree, source: Source, seen: set | None = None) -> Iterator[tuple[str, object]]:
    """Yield (path, object id) of the included files of a tree; subtrees in `seen` are passed over."""
    pending, seen = [("", tree)], set() if seen is None else seen
    while pending:
        prefix, tree = pending.pop()
        for entry in tree:
            path = prefix + entry.raw_name.decode("utf-8", "replace")
            if entry.type_str == "tree":
                key = (entry.id.raw, path)
                if key not in seen:
                    pending.append((path + "/", entry))
                    seen.add(key)
            elif entry.type_str == "blob" and entry.filemode != LINK and source.matches(path):
                yield path, entry.id


def _history(repository, commit, source: Source) -> Iterator[tuple[str, object]]:
    """Yield each distinct content once, under the path of the newest commit that has it."""
    import pygit2

    blobs, trees = set(), set()
    order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.TIME
    for version in repository.walk(commit.id, order):
        for path, oid in _tree(version.tree, source, trees):
            if oid.raw not in blobs:
                blobs.add(oid.raw)
                yield path, oid
