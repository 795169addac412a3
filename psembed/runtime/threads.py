"""How many cores this process may use, and many texts cut into runs of about equal bytes, a thread each.

polars hands out rows, 100,000 at a time, and so leaves all cores but one idle over a few thousand long
scripts. It lets go of Python's lock, so threads suffice.
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import polars as pl

SMALL, LARGE = 1 << 20, 1 << 24  # bytes: less is not worth a thread, more at once takes too much memory
THREADS = pl.thread_pool_size()
Result = TypeVar("Result")


def cores(root: Path = Path("/")) -> int:
    """Return the number of cores this process may use, at least 1: by its affinity and its cgroups' quotas.

    A part of a core counts as one. Quotas are those of the cgroups, of versions 1 and 2, that
    `root`/proc/self/cgroup names, and of those above them.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # which Windows and macOS have not
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min([allowed, *map(math.ceil, _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Yield how many cores each cgroup of this process allows, where it sets a limit."""
    with contextlib.suppress(OSError, ValueError):  # there are none, or not as we know them
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            group = PurePosixPath(path.lstrip("/"))
            for mount in (controllers, "cpu", "") if controllers else ("", "unified"):
                for folder in (group, *group.parents):
                    yield from _quota(root / "sys/fs/cgroup" / mount / folder)


def _quota(folder: Path) -> Iterator[float]:
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):  # not there, or "max"
        quota, period = map(int, (folder / "cpu.max").read_text().split())
        yield quota / period
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
        if quota > 0:  # -1 is no limit
            yield quota / period


def map_partitions(work: Callable[[pl.Series], Result], texts: pl.Series | Iterable[str]) -> list[Result]:
    """Return `work` of each partition of `texts`, a Series of String named "text", in order.

    `work` is called from several threads at once.
    """
    column = texts if isinstance(texts, pl.Series) else pl.Series(list(texts), dtype=pl.String)
    parts = partitions(column.alias("text"))
    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, parts))


def partitions(texts: pl.Series) -> list[pl.Series]:
    """Cut `texts` into consecutive runs: two a thread, so that none waits long, more to keep below LARGE.

    At least one, which may be empty; one above LARGE is possible where one text is.
    """
    ends = np.cumsum(texts.str.len_bytes().fill_null(0).to_numpy(), dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    count = max(1, min(2 * THREADS * -(-total // (2 * THREADS * LARGE)), total // SMALL))
    edges = np.searchsorted(ends, total * np.arange(1, count) // count).tolist()
    return [texts[start:end] for start, end in zip([0, *edges], [*edges, len(texts)], strict=True)]


def slices(sizes: list[int], *, rows: int = 1024, most: int = LARGE) -> Iterator[slice]:
    """Yield slices of at most `rows` items, of `most` together unless it is one, that cover these sizes."""
    start = total = 0
    for number, size in enumerate(sizes):
        if number > start and (number - start == rows or total + size > most):
            yield slice(start, number)
            start, total = number, 0
        total += size
    if sizes:
        yield slice(start, len(sizes))
