"""A process that crashes, hangs or talks nonsense costs an answer and is started again; none is left."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from patience import GUARD

from psembed.runtime import isolated
from psembed.runtime.isolated import IsolatedProcess, module, panics_as_errors, reason

SERVE = "import os, sys, time; from psembed.runtime.isolated import serve; "


def script(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def answers(does: str, **limits) -> tuple[str, ...]:
    """Return the command of a process that answers with the value of an expression of `request`."""
    return script(f"{SERVE}serve(lambda request: {does}, **{limits})")


def test_requests_of_any_bytes_are_answered_by_one_process(started_processes):
    with closing(IsolatedProcess(answers("request[::-1]"))) as echo:
        for request in (b"", b"\0\n\r\n", bytes(range(256)), b"x" * 10_000_000):
            assert echo.ask(request, GUARD) == request[::-1]
        assert len(started_processes) == 1


FAILURES = {
    "never ends": "import time; time.sleep(600)",
    "aborts": "import os; os.abort()",
    "is killed": "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
    "ends": "",
    "prints": "print('xxxxno answer', flush=True)",
    "announces more than it says": "import os; os.write(1, b'\\xff\\xff\\xff\\xff' + b'x' * 9_000)",
    "is cut off in the length": "import os; os.write(1, b'\\2\\0')",
}


@pytest.mark.parametrize("does", FAILURES.values(), ids=FAILURES)
def test_a_process_that_fails_gives_no_answer_and_is_started_again(started_processes, monkeypatch, does):
    with closing(IsolatedProcess(script(does))) as failing:
        monkeypatch.setattr(isolated, "START_SECONDS", 0.2 if "sleep" in does else GUARD)
        assert failing.ask(b"x", GUARD) is None
        monkeypatch.setattr(isolated, "START_SECONDS", GUARD)
        failing.command = answers("request")
        assert failing.ask(b"x", GUARD) == b"x"
    assert [process.returncode is None for process in started_processes] == [False, False]


def test_the_start_does_not_count_as_answering(started_processes, monkeypatch):
    """The start has a limit of its own: a process that never answers is given up, however short the limit."""
    allowed = []

    class Timer(threading.Timer):
        def __init__(self, seconds, kill):
            allowed.append(seconds)
            super().__init__(seconds, kill)

    monkeypatch.setattr(isolated.threading, "Timer", Timer)
    with closing(IsolatedProcess(answers("time.sleep(600)"))) as slow:
        assert slow.ask(b"x", 0.01) is None
        slow.command = answers("request")
        assert slow.ask(b"x", GUARD - 1) == b"x"
    assert allowed == [GUARD, 0.01, GUARD, GUARD - 1]


@pytest.mark.parametrize("fails", ["os.abort()", "os._exit(0)", "os.kill(os.getpid(), 9)", "1 / 0", "'text'"])
def test_a_process_that_dies_in_the_middle_costs_one_answer(fails):
    with closing(
        IsolatedProcess(answers(f"{fails} if request == b'die' else b'%d' % os.getpid()"))
    ) as mortal:
        first = mortal.ask(b"", GUARD)
        assert mortal.ask(b"", GUARD) == first
        assert mortal.ask(b"die", GUARD) is None
        assert mortal.ask(b"", GUARD) not in (first, None)


def test_what_it_writes_to_standard_error_is_not_seen(capfd):
    with closing(IsolatedProcess(answers("b'%d' % sys.stderr.write('loud' * 9_000)"))) as loud:
        assert loud.ask(b"", GUARD) == b"36000"
    assert capfd.readouterr() == ("", "")


def test_closing_ends_the_process_and_asking_begins_another(started_processes):
    echo = IsolatedProcess(answers("request"))
    echo.close()
    for count in (1, 2):
        assert echo.ask(b"x", GUARD) == b"x" and len(started_processes) == count
        echo.close()
        assert started_processes[-1].returncode is not None
        echo.close()


def test_an_interruption_ends_the_process(started_processes, monkeypatch):
    def interrupted(pipe):
        raise KeyboardInterrupt

    echo = IsolatedProcess(answers("request"))
    monkeypatch.setattr(isolated, "_read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        echo.ask(b"x", GUARD)
    assert started_processes[0].returncode is not None


def test_more_than_memory_holds_is_no_answer(monkeypatch):
    def read(pipe):
        raise MemoryError

    monkeypatch.setattr(isolated, "_read", read)
    assert IsolatedProcess(answers("request")).ask(b"x", GUARD) is None


def test_a_process_that_cannot_be_started_says_so(tmp_path):
    with closing(IsolatedProcess((str(tmp_path / "none"),))) as none:
        with pytest.raises(OSError):
            none.ask(b"x", GUARD)
        none.command = answers("request")
        assert none.ask(b"x", GUARD) == b"x"


def test_every_thread_gets_its_own_answer(started_processes):
    with closing(IsolatedProcess(answers("request * 9_000"))) as echo, ThreadPoolExecutor(8) as pool:
        requests = [b"%d" % number for number in range(200)]
        assert list(pool.map(lambda request: echo.ask(request, GUARD), requests)) == [
            request * 9_000 for request in requests
        ]
    assert len(started_processes) == 1


@pytest.mark.skipif(os.name != "posix", reason="descriptors are not inherited here")
def test_open_files_are_inherited_under_their_numbers(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    with open(tmp_path / "a", "rb") as stream:
        os.remove(tmp_path / "a")
        with closing(IsolatedProcess(answers("os.read(int(request), 99)"), (stream.fileno(),))) as reader:
            assert reader.ask(b"%d" % stream.fileno(), GUARD) == b"content"


@pytest.mark.skipif(sys.platform != "linux", reason="no limit of the address space")
def test_memory_is_limited_where_it_is_asked_for():
    with closing(IsolatedProcess(answers("b'%d' % len(bytes(int(request)))", memory=2**30))) as small:
        assert small.ask(b"1000000", GUARD) == b"1000000"
        assert small.ask(b"%d" % 2**30, GUARD) is None


def test_a_module_runs_without_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "served.py").write_text(f"{SERVE}serve(lambda request: b'found')")
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "struct.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path / "away")
    monkeypatch.setattr(sys, "path", ["", *sys.path, str(tmp_path)])
    with closing(IsolatedProcess(module("served"))) as served:
        assert served.ask(b"", GUARD) == b"found"


@pytest.mark.skipif(os.name != "posix", reason="asks for a process by its number")
@pytest.mark.parametrize("end", ["", "raise ValueError", "raise KeyboardInterrupt"])
def test_no_process_outlives_the_one_that_started_it(end):
    command = answers("str(os.getpid()).encode()")
    keep = f"from psembed.runtime.isolated import IsolatedProcess; kept = IsolatedProcess({command!r})"
    code = f"{keep}; print(kept.ask(b'', 600).decode(), flush=True)\n{end}"
    done = subprocess.run(script(code), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


class PanicException(BaseException):
    """What a panic looks like from outside."""


@pytest.mark.parametrize(
    ("raised", "seen"), [(PanicException, RuntimeError), (KeyboardInterrupt,) * 2, (ValueError,) * 2]
)
def test_panics_become_errors_and_interruptions_do_not(raised, seen):
    with pytest.raises(seen, match="why"), panics_as_errors():
        raise raised("why")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("one\ntwo"), "one"),
        (FileNotFoundError(2, "No such file", "x\ny"), "No such file"),
        (MemoryError(), "MemoryError"),
        (ValueError("\udcff"), "\\udcff"),
        (ValueError("x" * 999), "x" * 300),
    ],
)
def test_a_reason_is_one_line_that_can_be_printed(error, message):
    assert reason(error) == message
