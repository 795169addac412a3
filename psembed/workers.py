"""Batches worked on side by side, by processes here or by Dask workers anywhere; results come in order."""

import contextlib
import itertools
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeVar

from psembed.errors import ParameterError, PsembedError

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"  # instead of an address: a cluster on this machine, a worker a core
ROWS, CHARACTERS = 256, 2**24  # of a batch
ALONE = 2  # batches for which no process is started
CONNECT = "10s"
RETRIES = 3  # of a batch that fails for another reason than its worker's death
Given, Result = TypeVar("Given"), TypeVar("Result")


def chunks(things: Iterable[Given], length: Callable[[Given], int] = len) -> Iterator[list[Given]]:
    """Yield runs of `things`, in order, of at most ROWS and together, unless it is one, CHARACTERS."""
    chunk: list[Given] = []
    size = 0
    for thing in things:
        if chunk and (len(chunk) == ROWS or size + length(thing) > CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(thing)
        size += length(thing)
    if chunk:
        yield chunk


def in_order(
    work: Callable[[Given], list[Result]], batches: Iterable[Given], *, processes: int
) -> Iterator[Result]:
    """Yield what `work` makes of each batch, in the order of the batches.

    The first ALONE batches are worked on here; processes are started where there are more.

    Parameters
    ----------
    work : callable
        A function that another process can import.
    batches : iterable
        Read no further ahead than two batches a process.
    processes : int

    Raises
    ------
    PsembedError
        If a process dies; what it was given is not known to be good.
    """
    batches = iter(batches)
    for batch in itertools.islice(batches, ALONE):
        yield from work(batch)
    for batch in batches:  # one more, at least
        context = get_context("spawn")
        try:
            with ProcessPoolExecutor(processes, context, initializer=_undisturbed) as pool:
                yield from _ahead(pool, work, itertools.chain([batch], batches), most=2 * processes)
        except BrokenProcessPool as error:
            raise PsembedError("a process died, perhaps for lack of memory: score less at once") from error


def _undisturbed() -> None:
    """Leave Ctrl-C to the process that asked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


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
def dask(address: str, *, workers: int | None = None) -> Iterator["Client"]:
    """Open a Dask client: of the scheduler at `address` (tcp://host:port), or LOCAL for workers of its own.

    Parameters
    ----------
    address : str
    workers : int, optional
        Of LOCAL; one a core unless told.

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
            own = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            scheduler = opened.enter_context(own)
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
