"""Batches worked on side by side, by threads here or by Dask workers anywhere; results come in order."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from psembed.errors import ParameterError

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"  # instead of an address: a cluster on this machine, a worker a core
CONNECT = "10s"
RETRIES = 3  # of a batch that fails for another reason than its worker's death
Given, Result = TypeVar("Given"), TypeVar("Result")


def in_order(
    work: Callable[[Given], list[Result]], batches: Iterable[Given], *, threads: int
) -> Iterator[Result]:
    """Yield what `work` makes of each batch, in the order of the batches.

    Parameters
    ----------
    work : callable
        Called from so many threads at once.
    batches : iterable
        Read no further ahead than two batches a thread.
    threads : int
        1: none is started.
    """
    if threads == 1:
        for batch in batches:
            yield from work(batch)
        return
    with ThreadPoolExecutor(threads) as pool:
        yield from _ahead(pool, work, batches, most=2 * threads)


def _ahead(pool: Executor, work: Callable, batches: Iterable, *, most: int) -> Iterator:
    """Keep up to `most` batches with the pool; what has not begun is dropped when the caller stops."""
    waiting: deque[Future] = deque()
    try:
        for batch in batches:
            waiting.append(pool.submit(work, batch))
            if len(waiting) > most:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


@contextlib.contextmanager
def dask(address: str) -> Iterator["Client"]:
    """Open a Dask client: of the scheduler at `address` (tcp://host:port), or LOCAL for workers of its own.

    Raises
    ------
    ParameterError
        If Dask is not installed, or nothing answers at the address.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ParameterError("--cluster needs: pip install 'psembed[cluster]'") from error
    with contextlib.ExitStack() as opened:
        scheduler = address
        if address == LOCAL:
            scheduler = opened.enter_context(LocalCluster(threads_per_worker=1, dashboard_address=None))
        try:
            client = opened.enter_context(Client(scheduler, timeout=CONNECT, set_as_default=False))
        except (OSError, ValueError) as error:
            raise ParameterError(f"no Dask scheduler answers at {address!r} ({error}): start one") from error
        yield client


def on_dask(
    client: "Client", work: Callable[[Given], list[Result]], batches: Iterable[Given]
) -> Iterator[Result]:
    """Yield what `work` makes of each batch on the client's workers, in the order of the batches.

    A batch whose worker dies is worked on again by another; each gives its results once.

    Parameters
    ----------
    client : distributed.Client
    work : callable
        A function that a worker can import: psembed must be installed there, in the same version.
    batches : iterable
        Read no further ahead than two batches a thread of the cluster.
    """
    threads = max(1, sum(client.nthreads().values()))
    pool = client.get_executor(pure=False, retries=RETRIES)
    yield from _ahead(pool, work, batches, most=2 * threads)
