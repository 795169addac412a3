"""Batches come back in order, each once, from threads and from Dask workers, one of which is killed."""

import itertools
import os
import signal
import threading
import time

import pytest

from psembed import workers
from psembed.errors import ParameterError


def numbers(batch: list[int]) -> list[int]:
    """Square, later batches sooner."""
    time.sleep(0.02 / (1 + batch[0]))
    return [number**2 for number in batch]


BATCHES = [[number, number + 1] for number in range(0, 60, 2)]
SQUARES = [number**2 for number in range(60)]


@pytest.mark.parametrize("threads", [1, 4])
def test_results_are_in_the_order_of_the_batches(threads):
    assert list(workers.in_order(numbers, BATCHES, threads=threads)) == SQUARES


def test_batches_are_read_little_ahead():
    read = itertools.count()
    batches = ([next(read)] for _ in range(10**6))
    found = workers.in_order(numbers, batches, threads=2)
    assert next(found) == 0
    assert next(read) <= 2 * 2 + 1
    found.close()


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_comes_out_where_its_batch_would(threads):
    def fails(batch):
        if batch[0] == 20:
            raise ValueError("batch 20")
        return batch

    found = workers.in_order(fails, BATCHES, threads=threads)
    assert list(itertools.islice(found, 20)) == list(range(20))
    with pytest.raises(ValueError, match="batch 20"):
        next(found)


def test_stopping_early_leaves_no_thread_behind():
    found = workers.in_order(numbers, BATCHES, threads=3)
    next(found)
    found.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]


def process_of(batch: list[int]) -> list[tuple[int, int]]:
    time.sleep(0.05)
    return [(number, os.getpid()) for number in batch]


def test_a_worker_killed_in_the_middle_loses_nothing_and_doubles_nothing():
    with workers.dask(workers.LOCAL) as client:
        found, killed = [], None
        for number, process in workers.on_dask(client, process_of, BATCHES):
            found.append(number)
            if len(found) == 10:
                killed = process
                os.kill(process, signal.SIGKILL)
    assert killed and found == list(range(60))


def test_an_address_where_nobody_is(monkeypatch):
    monkeypatch.setattr(workers, "CONNECT", "1s")
    with (
        pytest.raises(ParameterError, match=r"no Dask scheduler answers at 'tcp://127\.0\.0\.1:9'"),
        workers.dask("tcp://127.0.0.1:9"),
    ):
        pass


def test_without_dask_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ParameterError, match=r"psembed\[cluster\]"), workers.dask(workers.LOCAL):
        pass
