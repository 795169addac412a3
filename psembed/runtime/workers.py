"""Batches worked on side by side, by processes here or by Dask workers anywhere; results come in order."""

import contextlib
import itertools
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, TypeVar

from psembed.runtime.environment import how_to_install
from psembed.runtime.errors import ParameterError, StageError
from psembed.runtime.threads import cores

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"  # instead of an address: a cluster on this machine, a worker a core
ROWS, CHARACTERS = 256, 2**24  # of a batch
ALONE = 2  # batches for which no process is started
MOST = 61  # processes: Windows waits for no more
SAFE_PATH = "PYTHONSAFEPATH"  # set: Python imports nothing of the working folder
CONNECT = "10s"
# Dask asks for 8787 where nothing else is said.
ANY_PORT = {"dashboard_address": "127.0.0.1:0", "scheduler_kwargs": {"dashboard": False}}
RETRIES = 3  # of a batch that fails for another reason than its worker's death
Given = TypeVar("Given")
Result = TypeVar("Result")


def chunks(things: Iterable[Given], length: Callable[[Any], int] = len) -> Iterator[list[Given]]:
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
    work: Callable[[list[Given]], list[Result]],
    batches: Iterable[list[Given]],
    *,
    lost: Callable[[Given], Result],
    processes: int | None = None,
) -> Iterator[Result]:
    """Yield what `work`, a function that another process can import, makes of each thing, in order.

    The first ALONE batches are worked on here; where there are more, `processes` are started, or one for each
    core that may be used, MOST at most, and batches are read no further ahead than two a process. Where one
    dies, what was waiting is worked on anew, one thing at a time, and `lost` gives the result of the thing
    that kills.
    """
    batches, count = iter(batches), min(processes or cores(), MOST)
    for batch in itertools.islice(batches, ALONE):
        yield from work(batch)
    if (more := next(batches, None)) is None:
        return
    batches = itertools.chain([more], batches)
    waiting: deque[tuple[list[Given], Future]] = deque()
    while True:
        try:
            with _processes(count) as pool:
                begin = partial(pool.submit, work)  # type: ignore[call-arg]  # mypy asks for the batch
                yield from ahead(begin, batches, most=2 * count, waiting=waiting)
            return
        except BrokenProcessPool:
            unfinished = [batch for batch, _ in waiting]
            waiting.clear()
        yield from _one_by_one(work, itertools.chain.from_iterable(unfinished), lost)


def _one_by_one(work: Callable, things: Iterable, lost: Callable) -> Iterator:
    """Yield the result of each thing, worked on by itself in a process that may die of it."""
    things = deque(things)
    while things:
        try:
            with _processes(1) as pool:
                while things:
                    yield from pool.submit(work, [things[0]]).result()
                    things.popleft()
        except BrokenProcessPool:
            yield lost(things.popleft())


def each(
    work: Callable[..., Result],
    jobs: Iterable[tuple],
    *,
    processes: int,
    prepare: Callable[[], None] | None = None,
) -> Iterator[Result]:
    """Yield work(*job) of each job, in order, `processes` at a time; each process calls `prepare` first.

    Jobs are made as they are needed. With one process, or of one job, in this one, unprepared. Raises
    StageError where a process is killed.
    """
    jobs = iter(jobs)
    first = list(itertools.islice(jobs, 2))
    if processes == 1 or len(first) < 2:
        yield from itertools.starmap(work, itertools.chain(first, jobs))
        return
    try:
        with _processes(processes, prepare) as pool:
            yield from ahead(partial(_begin, pool, work), itertools.chain(first, jobs), most=processes)
    except BrokenProcessPool as error:
        raise StageError(
            f"a process of {work.__module__} was killed, perhaps for want of memory: run again, with"
            " processes = 1 if it happens again; what was finished is kept"
        ) from error


def _begin(pool: ProcessPoolExecutor, work: Callable, job: tuple) -> Future:
    return pool.submit(_in_list, work, job)


def _in_list(work: Callable[..., Result], job: tuple) -> list[Result]:
    return [work(*job)]


@contextlib.contextmanager
def _processes(count: int, prepare: Callable[[], None] | None = None) -> Iterator[ProcessPoolExecutor]:
    """Give a pool of processes, which are killed at once where the caller stops early or is interrupted."""
    before = set(active_children())
    pool = _Pool(count, get_context("spawn"), initializer=_attach, initargs=(prepare,))
    try:
        yield pool
    except BaseException:
        for process in set(active_children()) - before:
            process.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Pool(ProcessPoolExecutor):
    """A pool whose processes import nothing of the working folder and leave Ctrl-C to the one that asked."""

    def submit(self, work, /, *arguments, **named) -> Future:
        """Submit as usual; processes, which this may start, inherit what is set meanwhile."""
        with _safe_path(), _without_interrupts():
            return super().submit(work, *arguments, **named)


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Hold back SIGINT, where signals can be (not on Windows)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _attach(prepare: Callable[[], None] | None) -> None:
    """Leave Ctrl-C to the parent, and end with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent_process(),), daemon=True).start()
    if prepare is not None:
        prepare()


def _end_with(process: BaseProcess) -> None:
    process.join()
    os._exit(1)


def ahead(
    submit: Callable[[Given], Future],
    batches: Iterable[Given],
    *,
    most: int,
    waiting: deque[tuple[Given, Future]] | None = None,
) -> Iterator:
    """Yield the results of submitted batches, in order, with up to `most` at work ahead.

    What has not started is dropped when the caller stops; `waiting` then holds the batches without results.
    """
    waiting = deque() if waiting is None else waiting
    try:
        for batch in batches:
            waiting.append((batch, Future()))  # in it before a pool that just broke refuses it
            waiting[-1] = (batch, submit(batch))
            if len(waiting) > most:
                yield from _next(waiting)
        while waiting:
            yield from _next(waiting)
    finally:
        for _, future in waiting:
            future.cancel()


def _next(waiting: deque[tuple[Given, Future]]) -> Iterable:
    results = waiting[0][1].result()
    waiting.popleft()  # only now: where this fails the batch is still without results
    return results


@contextlib.contextmanager
def dask(address: str, *, workers: int | None = None) -> Iterator["Client"]:
    """Open a Dask client of the scheduler at `address` (tcp://host:port), or LOCAL for workers of its own.

    Of these there are `workers`, or one for each core that may be used. Raises ParameterError where Dask is
    not installed, or nothing answers at the address.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ParameterError(f"--cluster needs: {how_to_install('cluster')}") from error
    with contextlib.ExitStack() as opened:
        scheduler = address
        if address == LOCAL:
            with _safe_path():
                own = LocalCluster(n_workers=workers or cores(), threads_per_worker=1, **ANY_PORT)
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

    A batch whose worker dies is worked on again by another; each gives its results once. Workers import
    `work`: psembed must be installed there, in the same version. Batches are read no further ahead than two
    a thread of the cluster.
    """
    threads = max(1, sum(client.nthreads().values()))
    pool = client.get_executor(pure=False, retries=RETRIES)
    yield from ahead(lambda batch: pool.submit(work, batch), batches, most=2 * threads)
