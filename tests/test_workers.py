"""Batches come back in order, each once, from processes and from Dask workers, one of which is killed."""

import itertools
import multiprocessing
import os
import signal
import time

import pytest

from psembed import workers
from psembed.errors import ParameterError, PsembedError


def numbers(batch: list[int]) -> list[int]:
    """Square, later batches sooner."""
    time.sleep(0.02 / (1 + batch[0]))
    return [number**2 for number in batch]


BATCHES = [[number, number + 1] for number in range(0, 60, 2)]
SQUARES = [number**2 for number in range(60)]


@pytest.fixture(scope="module", autouse=True)
def few():
    """Processes from the second batch on."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(workers, "ALONE", 1)
        yield


def test_chunks_are_bounded_and_keep_order(monkeypatch):
    monkeypatch.setattr(workers, "ROWS", 3)
    monkeypatch.setattr(workers, "CHARACTERS", 10)
    texts = ["a", "b", "c", "d", "e" * 9, "f" * 50, "g"]
    chunks = list(workers.chunks(texts))
    assert [text for chunk in chunks for text in chunk] == texts
    assert [len(chunk) for chunk in chunks] == [3, 2, 1, 1]


def test_results_are_in_the_order_of_the_batches():
    assert list(workers.in_order(numbers, BATCHES, processes=2)) == SQUARES
    assert list(workers.in_order(numbers, BATCHES[:1], processes=2)) == SQUARES[:2]
    assert list(workers.in_order(numbers, [], processes=2)) == []


def test_batches_are_read_little_ahead_and_stopping_early_leaves_no_process_behind():
    read = itertools.count()
    batches = ([next(read)] for _ in range(10**6))
    found = workers.in_order(numbers, batches, processes=2)
    assert list(itertools.islice(found, 2)) == [0, 1]
    assert next(read) <= 2 * 2 + 3
    found.close()
    assert not multiprocessing.active_children()


def fails(batch: list[int]) -> list[int]:
    if batch[0] == 20:
        raise ValueError("batch 20")
    return batch


def test_an_error_comes_out_where_its_batch_would():
    found = workers.in_order(fails, BATCHES, processes=2)
    assert list(itertools.islice(found, 20)) == list(range(20))
    with pytest.raises(ValueError, match="batch 20"):
        next(found)


def dies(batch: list[int]) -> list[int]:
    return batch if batch[0] < 8 else os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_is_told():
    with pytest.raises(PsembedError, match="a process died"):
        list(workers.in_order(dies, BATCHES, processes=2))


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
