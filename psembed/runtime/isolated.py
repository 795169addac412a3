"""A process of its own for a reader that may crash, hang or exhaust memory.

Readers written in C or Rust can end the process they run in, or never come to an end, where a file is
damaged or crafted. So they run in a process that is asked over its pipes, is killed where an answer takes
too long, and is started again when it is asked again. Requests and answers are bytes, each with its length
before it, a little-endian uint32; no pickle, since who reads a crafted file may be made to say anything.
"""

import atexit
import contextlib
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO

LENGTH = struct.Struct("<I")
START_SECONDS = 30  # until a process says that it is ready
REASON_CHARACTERS = 300
_UNANSWERED = contextlib.suppress(OSError, ValueError, MemoryError)  # a closed pipe; too much announced


class IsolatedProcess:
    """A process that answers requests, started at the first; it may be asked from several threads.

    `command` is what is run, such as a `module` that answers by `serve`; `descriptors` are open files that
    the process inherits, under the same numbers (POSIX only).
    """

    def __init__(self, command: Sequence[str], descriptors: Sequence[int] = ()):
        self.command, self._descriptors = command, descriptors
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def ask(self, request: bytes, seconds: float) -> bytes | None:
        """Return the answer; None where the process dies, says what is none, or takes longer than `seconds`.

        Raises OSError where the process cannot be started.
        """
        with self._lock:
            answer = None
            try:
                process = self._process or self._start()
                with _UNANSWERED:
                    _write(_pipe(process.stdin), request)
                    answer = _read_within(seconds, process)
            finally:
                if answer is None:  # also where this is interrupted: the next answer would be the last one's
                    self.close()
            return answer

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        atexit.unregister(self.close)
        if process:
            process.kill()
            with contextlib.suppress(OSError):  # what was not yet written cannot be any more
                _pipe(process.stdin).close()
            _pipe(process.stdout).close()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        atexit.register(self.close)
        self._process = process = subprocess.Popen(
            self.command,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=self._descriptors,
        )
        with _UNANSWERED:  # which the first request will meet, too
            _read_within(START_SECONDS, process)  # so that starting does not count as answering
        return process


def module(name: str) -> tuple[str, ...]:
    """Return the command that runs a module; it imports nothing of the working folder."""
    return (sys.executable, "-P", "-m", name)


def serve(answer: Callable[[bytes], bytes], *, memory: int | None = None) -> None:
    """Answer the requests on standard input, until it ends, on standard output.

    From now on this process may have `memory` bytes of address space, where the system has such limits.
    """
    _limit(memory)
    _write(sys.stdout.buffer, b"ready")
    while (request := _read(sys.stdin.buffer)) is not None:
        _write(sys.stdout.buffer, answer(request))


@contextlib.contextmanager
def panics_as_errors() -> Iterator[None]:
    """Raise a RuntimeError where a package written in Rust panics, which else only BaseException catches."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise RuntimeError(str(error)) from error
        raise


def reason(error: BaseException) -> str:
    """Return what an error says, in one line that can be printed."""
    message = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(message.splitlines()[0])[:REASON_CHARACTERS]


def printable(text: str) -> str:
    """Return `text` with halves of surrogate pairs, which no encoding can write, as back-slash escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    """Return an end of a pipe that `_start` has asked for."""
    assert end is not None
    return end


def _write(pipe: IO[bytes], message: bytes) -> None:
    pipe.write(LENGTH.pack(len(message)))
    pipe.write(message)
    pipe.flush()


def _read_within(seconds: float, process: subprocess.Popen[bytes]) -> bytes | None:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        return _read(_pipe(process.stdout))
    finally:
        timer.cancel()


def _read(pipe: IO[bytes]) -> bytes | None:
    """Return a message, None where it is cut off."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    message = pipe.read(size)
    return message if len(message) == size else None


def _limit(memory: int | None) -> None:
    """Limit the address space of this process, and leave no core file where it crashes."""
    try:
        import resource
    except ImportError:
        return  # Windows
    with contextlib.suppress(ValueError, OSError):  # no such limit, or a lower one already
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
