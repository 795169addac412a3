"""Batches come back in order, each once, from processes and from Dask workers, one of which is killed."""

import contextlib
import itertools
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest
from patience import GUARD, wait_for

from psembed.runtime import workers
from psembed.runtime.errors import ParameterError, StageError
from psembed.runtime.threads import cores


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


def in_order(work, batches=BATCHES, **options):
    return workers.in_order(work, batches, lost=lambda number: f"lost {number}", **options)


def test_results_are_in_the_order_of_the_batches():
    assert list(in_order(numbers)) == SQUARES
    assert list(in_order(numbers, BATCHES[:1])) == SQUARES[:2]
    assert list(in_order(numbers, [])) == []


def test_batches_are_read_little_ahead_and_stopping_early_leaves_no_process_behind():
    read = itertools.count()
    results = in_order(numbers, ([next(read)] for _ in range(10**6)))
    assert list(itertools.islice(results, 2)) == [0, 1]
    assert next(read) <= 2 * cores() + 3
    results.close()
    assert not multiprocessing.active_children()


def pids(batch: list[int]) -> list[int]:
    return [os.getpid()] * len(batch)


def test_no_more_processes_work_than_are_asked_for(monkeypatch):
    assert len(set(in_order(pids, processes=1))) == 2  # this one, and one that was started
    assert len(set(in_order(pids, processes=3))) <= 4
    monkeypatch.setattr(workers, "cores", lambda: 1)
    assert len(set(in_order(pids))) == 2


def fails(batch: list[int]) -> list[int]:
    if batch[0] == 20:
        raise ValueError("batch 20")
    return batch


def test_an_error_comes_out_where_its_batch_would():
    results = in_order(fails)
    assert list(itertools.islice(results, 20)) == list(range(20))
    with pytest.raises(ValueError, match="batch 20"):
        next(results)


def dies(batch: list[int]) -> list[int]:
    return os.kill(os.getpid(), signal.SIGKILL) if {9, 40} & set(batch) else batch


def test_a_thing_that_kills_its_process_is_lost_alone():
    expected = [f"lost {number}" if number in (9, 40) else number for number in range(60)]
    assert list(in_order(dies)) == expected
    assert not multiprocessing.active_children()


def waits(batch: list[int]) -> list[int]:
    time.sleep(600 * (batch[0] > 4))
    return batch


def test_an_interruption_does_not_wait_for_what_is_at_work():
    def stopped():
        yield from BATCHES[:5]
        raise KeyboardInterrupt

    results = in_order(waits, stopped())
    with pytest.raises(KeyboardInterrupt):
        list(results)
    assert not multiprocessing.active_children()


def doubled(number: int, times: int = 2) -> list[int]:
    time.sleep(0.02 / (1 + number))  # later ones are done sooner
    return [number] * times


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 12])
def test_each_job_gives_its_result_in_the_order_of_the_jobs(processes, count):
    jobs = ((number, number % 3) for number in range(count))
    found = list(workers.each(doubled, jobs, processes=processes))
    assert found == [[number] * (number % 3) for number in range(count)]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("processes", [1, 2])
def test_jobs_are_made_as_they_are_needed_and_stopping_early_leaves_no_process_behind(processes):
    made = itertools.count()
    results = workers.each(doubled, ((next(made),) for _ in range(10**6)), processes=processes)
    assert list(itertools.islice(results, 3)) == [[0, 0], [1, 1], [2, 2]]
    assert next(made) <= 3 + processes + 1
    results.close()
    assert not multiprocessing.active_children()


def refuses(number: int) -> int:
    if number == 3:
        raise ValueError("job 3")
    return number


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_in_a_job_or_in_making_one_comes_out_after_the_results_before_it(processes):
    results = workers.each(refuses, ((number,) for number in range(9)), processes=processes)
    assert list(itertools.islice(results, 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="job 3"):
        next(results)

    def jobs():
        yield from [(0,), (1,), (2,)]
        raise KeyError("no fourth")

    with pytest.raises(KeyError, match="no fourth"):
        list(workers.each(refuses, jobs(), processes=processes))
    assert not multiprocessing.active_children()


def killed(number: int) -> int:
    return os.kill(os.getpid(), signal.SIGKILL) if number == 2 else number


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
@pytest.mark.parametrize("count", [2, 30])  # the pool is found broken by a result, or when it is given more
def test_a_process_that_is_killed_is_told_of(count):
    with pytest.raises(StageError, match=r"was killed.*run again"):
        list(workers.each(killed, ((number,) for number in range(1, count + 1)), processes=2))
    assert not multiprocessing.active_children()


PREPARED = []


def prepared(_: int) -> list[str]:
    return PREPARED


def test_each_process_is_prepared_and_this_one_is_not():
    prepare = partial(PREPARED.append, "ready")
    assert list(workers.each(prepared, [(1,)], processes=2, prepare=prepare)) == [[]]
    assert list(workers.each(prepared, [(1,), (2,)], processes=1, prepare=prepare)) == [[], []]


PROGRAM = """
import sys
sys.path[:0] = sys.argv[1:]
from test_workers import numbers, waits
from psembed.runtime import workers

if __name__ == "__main__":
    workers.ALONE = 1
    batches = [[n] for n in range(6)]
    print(list(workers.in_order(numbers, batches, lost=str)), flush=True)
    print(list(workers.in_order(waits, [*batches, *batches], lost=str)))
"""


@pytest.fixture
def program(tmp_path):
    """A program in a folder whose modules would hide Python's, and its first line of output."""
    for name in ("signal", "types", "polars"):
        (tmp_path / f"{name}.py").write_text("import os; os._exit(7)")
    (tmp_path / "hidden").mkdir()
    script = tmp_path / "hidden" / "program.py"
    script.write_text(PROGRAM)
    here, tests, root = Path(__file__).parents[:3]
    running = subprocess.Popen(
        [sys.executable, "-P", str(script), str(here), str(tests / "helpers"), str(root)],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    yield running
    running.kill()
    running.wait()


def test_processes_import_nothing_of_the_working_folder(program):
    assert program.stdout.readline() == "[0, 1, 4, 9, 16, 25]\n"


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
def test_processes_end_with_the_one_that_began_them(program, sent):
    program.stdout.readline()
    wait_for(lambda: len(psutil.Process(program.pid).children()) >= 2)  # the second pool
    children = psutil.Process(program.pid).children()
    os.kill(program.pid, sent)
    _, alive = psutil.wait_procs(children, timeout=GUARD)
    assert not alive


def process_of(batch: list[int]) -> list[tuple[int, int]]:
    time.sleep(0.05)
    return [(number, os.getpid()) for number in batch]


def test_a_worker_killed_in_the_middle_loses_nothing_and_doubles_nothing():
    with workers.dask(workers.LOCAL) as client:
        results, killed = [], None
        for number, process in workers.on_dask(client, process_of, BATCHES):
            results.append(number)
            if len(results) == 10:
                killed = process
                os.kill(process, signal.SIGKILL)
    assert killed and results == list(range(60))


def test_an_address_where_nobody_is(monkeypatch):
    monkeypatch.setattr(workers, "CONNECT", "1s")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # taken, and nobody listens
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        told = f"no Dask scheduler answers at '{re.escape(address)}'"
        with pytest.raises(ParameterError, match=told), workers.dask(address):
            pass


def test_no_port_is_asked_for_that_another_may_have(recwarn):
    with socket.socket() as other, contextlib.suppress(OSError):  # it is taken already, as well
        other.bind(("127.0.0.1", 8787))
        other.listen()
        with workers.dask(workers.LOCAL, workers=1) as client:
            assert client.submit(abs, -1).result() == 1
    assert not [str(told.message) for told in recwarn if "8787" in str(told.message)]


def test_without_dask_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    with pytest.raises(ParameterError, match=r"\.\[cluster\]"), workers.dask(workers.LOCAL):
        pass
