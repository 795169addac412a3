"""A notebook's process watched to its end, and the lock that keeps two runs of a profile apart."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import psutil

from psembed.runtime.errors import StageError
from psembed.runtime.progress import Progress, clock

TICK = 0.2  # seconds between two looks at memory


def attend(job: dict, environment: dict, stderr: BinaryIO, progress: Progress) -> tuple[dict, float, float]:
    """Start a notebook's process and watch it to its end; return its outcome, seconds and peak MB.

    Whatever interrupts the watch, the process and its kernel are killed.
    """
    own_group = {"start_new_session": True}
    if os.name == "nt":
        own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    command = [sys.executable, "-m", "psembed.pipeline.execute"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": stderr, "text": True}
    start, peak = time.monotonic(), 0.0
    process = subprocess.Popen(command, env=environment, **pipes, **own_group)
    try:
        process.stdin.write(json.dumps(job, default=str) + "\n")
        process.stdin.flush()
        while process.poll() is None:
            peak = max(peak, _memory_mb())
            progress.show(f"{clock(time.monotonic() - start)}  {peak:,.0f} MB")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(TICK)
        told = process.stdout.read()
    finally:
        _kill_tree(process)
    crash = {"cell": None, "error": "its process died", "message": f"exit code {process.returncode}"}
    return (json.loads(told) if told else crash), time.monotonic() - start, peak


def _memory_mb() -> float:
    """Return the resident memory of this process and all below it, in MB (10**6 bytes)."""
    here, total = psutil.Process(), 0
    for process in (here, *here.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total / 1e6


def _kill_tree(process: subprocess.Popen) -> None:
    """Kill a process and all below it; nothing to do where it has ended by itself."""
    if process.poll() is None:
        with contextlib.suppress(psutil.Error):
            own = psutil.Process(process.pid)
            for member in (*own.children(recursive=True), own):
                with contextlib.suppress(psutil.Error):
                    member.kill()
        process.wait()
    process.stdin.close()
    process.stdout.close()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a profile, or raise StageError; the system lets go of it however this process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise StageError(
                f"profile {path.parent.name!r} is being run by process {holder}: wait for it or stop it"
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _lock(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt

        os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # past the process id, which stays readable
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
