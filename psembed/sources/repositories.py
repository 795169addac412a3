"""Git repositories as sources: fetch what is wanted of them, read the pinned commit or its whole history.

They are read with pygit2 as objects; no work tree is ever checked out.
"""

import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from psembed.runtime.errors import SourceError
from psembed.sources.catalogue import Source
from psembed.sources.snapshots import Row, blob_id

MISSING_SHARE = 0.05  # of a repository's files; mirrors may leave their largest out
LINK = 0o120000  # git's file mode of a symbolic link
NO_FILES = "blob:none"  # git's filter of commits and trees; a server that does not know it sends all
FETCH = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=300", "fetch", "--quiet", "--no-tags",
    "--no-auto-maintenance", "--no-write-fetch-head", f"--filter={NO_FILES}", "--stdin")  # fmt: skip
LOOK = 0.2  # seconds between two looks at git
ELSEWHERE = "set PSEMBED_MIRROR to a folder that holds the source"
GONE = {  # what git says of what has vanished
    "could not read Username": "the repository is gone or private: take it out of sources.toml",
    "not found": "the repository is gone: take it out of sources.toml",
    "not our ref": "the commit is gone: pin another in sources.toml",
}

Progress = Callable[[str, int, int], None]


def _fetch(source: Source, folder: Path, ids: Iterable, progress: Progress, *options: str) -> None:
    """Fetch objects by id, and no file that is not among them; git is killed if `progress` raises."""
    given = folder / "wanted"
    given.write_text("".join(f"{one}\n" for one in ids))
    command = ["git", f"--git-dir={folder}", *FETCH, *options, "origin"]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "start_new_session": True}
    with given.open() as wanted:
        try:
            git = subprocess.Popen(command, stdin=wanted, env=environment, **pipes)
        except FileNotFoundError as error:
            raise SourceError(f"git is not installed; install it, or {ELSEWHERE}") from error
    said = None
    try:
        while said is None:
            progress(source.name, 0, 0)
            with contextlib.suppress(subprocess.TimeoutExpired):
                said = git.communicate(timeout=LOOK)[1]
    finally:
        if git.poll() is None:
            os.killpg(git.pid, signal.SIGKILL) if hasattr(os, "killpg") else git.kill()
            git.communicate()  # until none of its helpers writes any more
    if git.returncode:
        raise _refusal(source, said.decode(errors="replace"))


def _refusal(source: Source, said: str) -> SourceError:
    lines = [line for line in said.splitlines() if line.strip()] or ["no reason given"]
    reason = next((line for line in lines if line.startswith("fatal: ")), lines[-1])
    reason = "".join(filter(str.isprintable, reason.removeprefix("fatal: ")))[:200]
    advice = next((todo for sign, todo in GONE.items() if sign in reason), "check the network and run again")
    return SourceError(
        f"{source.name}: git cannot fetch commit {source.commit} of {source.url} ({reason}); {advice}, or"
        f" {ELSEWHERE}"
    )


def repository_rows(
    source: Source, folder: Path, *, history: bool, remote: bool, skipped: Counter, progress: Progress
) -> Iterator[Row]:
    """Yield the rows of the pinned commit in a git directory, or of its history, sorted by path.

    With `remote` the folder is an empty one, and just the files that are wanted are fetched there. A history
    has one row per distinct content over all reachable commits, the versions of one path newest first.
    `skipped` counts files that are not given ("too large", "missing"). A commit that is not there, and
    objects that are missing or damaged, raise SourceError.
    """
    import pygit2

    try:
        if remote:
            config = pygit2.init_repository(str(folder), bare=True).config
            for key, value in (("url", source.url), ("promisor", True), ("partialclonefilter", NO_FILES)):
                config[f"remote.origin.{key}"] = value
            _fetch(source, folder, [source.commit], progress, *(() if history else ("--depth=1",)))
        repository = pygit2.Repository(str(folder), pygit2.enums.RepositoryOpenFlag.BARE)
        commit = repository[source.commit].peel(pygit2.Commit)
        entries = _history(repository, commit, source, progress) if history else _tree(commit.tree, source)
        entries = sorted(entries, key=lambda entry: entry[0])
        if remote and (wanted := {oid for _, oid in entries if oid not in repository.odb}):
            _fetch(source, folder, wanted, progress)
        yield from _blobs(repository, entries, source, skipped, progress)
    except (KeyError, ValueError, pygit2.GitError) as error:
        raise SourceError(
            f"{source.name}: commit {source.commit} is not in the repository {folder.parent.name}, or part of"
            f" it is missing or damaged ({error}); a shallow clone has no history: fetch it there in full, or"
            f" {ELSEWHERE}"
        ) from error


def _blobs(repository, entries: list, source: Source, skipped: Counter, progress: Progress) -> Iterator[Row]:
    """Yield the files; the few that a partial mirror lacks are counted, more than MISSING_SHARE refused."""
    for done, (path, oid) in enumerate(entries, 1):
        if oid not in repository.odb:
            skipped["missing"] += 1
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


def _history(repository, commit, source: Source, progress: Progress) -> Iterator[tuple[str, object]]:
    """Yield each distinct content once, under the path of the newest commit that has it."""
    import pygit2

    blobs, trees = set(), set()
    order = pygit2.enums.SortMode.TOPOLOGICAL | pygit2.enums.SortMode.TIME
    for version in repository.walk(commit.id, order):
        progress(source.name, 0, 0)
        for path, oid in _tree(version.tree, source, trees):
            if oid.raw not in blobs:
                blobs.add(oid.raw)
                yield path, oid
