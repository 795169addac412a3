"""Partitions: many texts cut into runs of about equal bytes, each worked on by a thread of its own.

polars hands out rows, 100,000 at a time, and so leaves all cores but one idle over a few thousand long
scripts. It lets go of Python's lock, so threads suffice.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import polars as pl

SMALL, LARGE = 1 << 20, 1 << 24  # bytes: less is not worth a thread, more at once takes too much memory
THREADS = pl.thread_pool_size()
Result = TypeVar("Result")


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
