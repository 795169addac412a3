"""What all benchmarks share: a clock, works that take turns, a process of one's own, and its peak memory."""

import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path


def timed(work: Callable[[], object]) -> float:
    """Return the wall time of `work` in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_turn(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Run all, one after the other, `repeats` times over; return the median wall time of each in seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            seconds[name].append(timed(work))
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def alone(work, *arguments) -> dict:
    """Run `work` in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def peak_gb() -> float:
    """Return this process's peak memory in GB (10**9 bytes).

    On Linux it is asked of /proc, because there ru_maxrss begins with the peak of the process that started
    this one.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        fields = dict(line.split(":", 1) for line in status.read_text(encoding="utf-8").splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024 / 1e9
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    )
