"""A folder of one's own as a source: the files that are there now."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from psembed.runtime.errors import SourceError
from psembed.sources.catalogue import Source
from psembed.sources.repositories import Progress
from psembed.sources.snapshots import Row, blob_id


def folder_rows(source: Source, *, skipped: Counter, progress: Progress) -> Iterator[Row]:
    """Yield the rows of the files that the source includes, sorted by path.

    Links are not followed, and files are read, never run. `skipped` counts files that are not given ("too
    large", "link", "cannot be read"). SourceError if the folder is not there or holds no such file.
    """
    top = source.folder
    if top is None or not top.is_dir():
        raise SourceError(f"{source.name}: there is no folder {top}; mend its url in the list of sources")
    wanted = sorted(path for path in _files(top, skipped) if source.matches(_within(path, top)))
    if not wanted:
        raise SourceError(f"{source.name}: {top} holds no file that matches {', '.join(source.include)}")
    for done, path in enumerate(wanted, 1):
        try:
            large = path.stat().st_size > source.limit
            data = b"" if large else path.read_bytes()
        except OSError:
            skipped["cannot be read"] += 1
            continue
        if large:
            skipped["too large"] += 1
        else:
            yield _within(path, top), blob_id(data), data
        progress(source.name, done, len(wanted))


def _files(top: Path, skipped: Counter) -> Iterator[Path]:
    for folder, inner, names in os.walk(top):  # not into links
        for path in (Path(folder, name) for name in (*inner, *names)):
            if path.is_symlink():
                skipped["link"] += 1
            elif path.is_file():
                yield path


def _within(path: Path, top: Path) -> str:
    return path.relative_to(top).as_posix()
