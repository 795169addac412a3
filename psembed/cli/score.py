"""`psembed score`: names in, verdicts out, and every input accounted for.

Nothing here imports a package before something is scored.
"""

from __future__ import annotations  # so that an older Python gets as far as the message

import argparse
import contextlib
import errno
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from psembed.runtime.errors import ParameterError, PsembedError
from psembed.runtime.progress import Progress

if TYPE_CHECKING:
    from psembed.detector.detector import Detector

NEEDS = ("onnxruntime", "polars")
FORMATS = ("table", "jsonl", "csv", "parquet", "sarif")  # of psembed.detector.reports
FOUND, UNREAD = 1, 2  # exit codes; 0 where all were scored and none is malicious


def add_command(add) -> None:
    """Add `score` to the parser of psembed.cli.main."""
    command = add("score", score, "score scripts with the released detector", needs=NEEDS)
    command.add_argument(
        "paths", nargs="+", metavar="PATH",
        help="a script, a folder, a table (.parquet), an event log (.evtx), or - for standard input",
    )  # fmt: skip
    command.add_argument("--column", help="column of tables with the scripts (default: data, text, ...)")
    command.add_argument("--format", choices=FORMATS, default="table", help="of the output (default: table)")
    command.add_argument("--output", metavar="FILE", help="write there, whole or not at all")
    command.add_argument(
        "--cluster", metavar="ADDRESS", help="share the work with Dask workers: tcp://HOST:PORT, or local"
    )
    command.add_argument("--explain", action="store_true", help="mark what drove scores of malicious ones")
    command.epilog = (
        f"exit codes: 0 all were scored and none is malicious; {FOUND} some are malicious; {UNREAD} none is,"
        " but some could not be scored, or nothing was, or the request was wrong, or what was found could not"
        " be written (the disk is full)"
    )


def score(options: argparse.Namespace) -> int:
    """Score what is named, write the verdicts, tell what came of every input, and return the exit code."""
    counts: Counter[str] = Counter()
    try:
        return _scored(options, counts)
    except KeyboardInterrupt:
        kept = f"{options.output} is as it was" if options.output else "what was written so far stays"
        raise KeyboardInterrupt(f"{_counted(counts)}; {kept}") from None
    except BrokenPipeError:
        raise
    except OSError as error:
        full = error.errno == errno.ENOSPC
        kept = f"{options.output} is as it was" if options.output else "the output is cut short"
        raise PsembedError(f"{'the disk is full, make room' if full else error}; {kept}") from error


def _scored(options: argparse.Namespace, counts: Counter) -> int:
    """Score what is named, count the verdicts that were written by their label, and return the exit code."""
    from psembed.detector.detector import released
    from psembed.detector.inputs import Inputs
    from psembed.detector.reports import BINARY, WRITERS, label

    _heed_interrupts()
    binary = options.format in BINARY
    if binary and not options.output and sys.stdout.isatty():
        raise ParameterError(f"--format {options.format} is not for a terminal: add --output FILE")
    if options.explain and options.format != "table":
        raise ParameterError("--explain goes with the table: leave --format out")
    detector = released()
    given = Inputs(options.paths, column=options.column)
    total = given.total() if sys.stderr.isatty() else None
    asked = {"regions": True} if options.format == "sarif" else {}
    with (
        _verdicts(given, options.cluster, asked) as verdicts,
        _target(options.output, binary=binary) as stream,
    ):
        why = {"why": _reasons(detector, colour=stream.isatty())} if options.explain else {}
        meter = Progress(sys.stderr, "scored", total)
        with contextlib.closing(_watched(verdicts, counts, label, meter, stream)) as watched:
            WRITERS[options.format](watched, stream, **why)
            stream.flush()
    print(_summary(counts, given), file=sys.stderr)
    return FOUND if counts["malicious"] else UNREAD if counts["not scored"] or not counts["clean"] else 0


def _heed_interrupts() -> None:
    """Let Ctrl-C end a wait for standard input, which polars, once imported, makes it outlast."""
    if hasattr(signal, "siginterrupt"):  # which Windows has not
        signal.siginterrupt(signal.SIGINT, True)


def _reasons(detector: Detector, *, colour: bool) -> Callable:
    """Return a function that tells why a script is called malicious, in colour or in lines."""
    from psembed.detector.explain import explain

    def why(verdict) -> str:
        explained = explain(detector, verdict)
        return explained.to_terminal() if colour else explained.to_text()

    return why


@contextlib.contextmanager
def _verdicts(given: Iterable, cluster: str | None, asked: dict) -> Iterator[Iterable]:
    """Give the verdicts on the items, by processes here or, at an address, by Dask workers."""
    from psembed.detector.detector import chunks, judge, lost
    from psembed.runtime import workers

    work = partial(judge, **asked)
    if cluster is None:
        yield workers.in_order(work, chunks(given), lost=lost)
        return
    with workers.dask(cluster) as client:
        yield workers.on_dask(client, work, chunks(given))


@contextlib.contextmanager
def _target(output: str | None, *, binary: bool) -> Iterator[IO]:
    """Open the file that is asked for, which appears whole or not at all, or else standard output."""
    from psembed.runtime.files import atomic

    if output is None:
        yield sys.stdout.buffer if binary else sys.stdout
        return
    with atomic(Path(output)) as temporary, _opened(temporary, binary=binary) as stream:
        yield stream


def _opened(path: Path, *, binary: bool) -> IO:
    return path.open("wb") if binary else path.open("w", encoding="utf-8", newline="")


def _watched(verdicts: Iterable, counts: Counter, label: Callable, meter: Progress, stream: IO) -> Iterator:
    """Yield verdicts, count those that were written, and keep the meter out of a terminal's lines."""
    shared = stream.isatty()
    try:
        meter.count(0)
        for verdict in verdicts:
            if shared:
                meter.erase()
            yield verdict
            counts["empty" if verdict.skipped else label(verdict)] += 1
            meter.count(counts.total())
    finally:
        meter.erase()


def _counted(counts: Counter) -> str:
    """Say how many were scored, with what result, and how many were not."""
    scored = counts["malicious"] + counts["clean"]
    unread = f"; {counts['not scored']:,} not scored" * bool(counts["not scored"])
    empty = f"; {counts['empty']:,} found with nothing to score" * bool(counts["empty"])
    return f"{scored:,} scored: {counts['malicious']:,} malicious, {counts['clean']:,} clean{unread}{empty}"


def _summary(counts: Counter, given) -> str:
    """Say in a line what came of every input."""
    others = f"{given.left_out:,} files of other kinds left out" * bool(given.left_out)
    sentences = [_counted(counts), others, f"{given.links:,} links not followed" * bool(given.links)]
    return f"psembed: {'; '.join(filter(None, sentences))}"
