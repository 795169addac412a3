"""`psembed score`: names in, verdicts out, and every input accounted for.

Nothing here imports a package before something is scored.
"""

from __future__ import annotations  # so that an older Python gets as far as the message

import argparse
import contextlib
import errno
import os
import signal
import sys
import tempfile
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
BASELINE = "baseline"  # the format of `psembed baseline`
LINES, TABLE = ".jsonl", ".parquet"  # how the name of a file of layers may end
FOUND, UNREAD = 1, 2  # exit codes; 0 where all were scored and none is malicious


def add_commands(add) -> None:
    """Add `score` and `baseline` to the parser of psembed.cli.main."""
    command = add("score", score, "score scripts with the released detector", needs=NEEDS)
    _add_inputs(command)
    command.add_argument("--format", choices=FORMATS, default="table", help="of the output (default: table)")
    command.add_argument("--output", metavar="FILE", help="write there, whole or not at all")
    command.add_argument("--only", choices=("malicious",), help="leave all others out of the output")
    command.add_argument("--layers", metavar="FILE", help="write all layers, as text (.jsonl or .parquet)")
    command.add_argument("--baseline", metavar="FILE", help="accepted scripts, by `psembed baseline`")
    command.add_argument("--strict", action="store_true", help="fail also for what holds nothing to score")
    command.add_argument(
        "--cluster", metavar="ADDRESS", help="share the work with Dask workers: tcp://HOST:PORT, or local"
    )
    command.add_argument("--explain", action="store_true", help="mark what drove scores of malicious ones")
    command.epilog = (
        f"exit codes: 0 all were scored and none is malicious, but for accepted ones; {FOUND} some are"
        f" malicious; {UNREAD} none is, but some could not be scored, or nothing was, or the request was"
        " wrong, or what was found could not be written (the disk is full)"
    )
    accepting = add("baseline", accept, "accept the malicious ones of known scripts, by hash", needs=NEEDS)
    _add_inputs(accepting)
    accepting.add_argument("--output", metavar="FILE", required=True, help="for score; comments in it stay")
    accepting.epilog = f"exit codes: 0 it is written; {UNREAD} it is not, or some could not be scored"
    accepting.set_defaults(format=BASELINE, only=None, layers=None, strict=False, cluster=None, explain=False)


def _add_inputs(command) -> None:
    command.add_argument(
        "paths", nargs="+", metavar="PATH",
        help="a script, folder, table (.parquet), event log (.evtx) or its export, or - for standard input",
    )  # fmt: skip
    command.add_argument("--column", help="column of tables with the scripts (default: data, text, ...)")
    threshold, processes = _between(0.0, 1.0), _between(1, 61)
    command.add_argument("--threshold", type=threshold, metavar="X", help="malicious from this score on")
    command.add_argument("--processes", type=processes, metavar="N", help="default: one a usable core")


def _between(least: float, most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = type(least)(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not between {least} and {most}")
        return value

    return number


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


def accept(options: argparse.Namespace) -> int:
    """Write the malicious ones of what is named as accepted; comments of the file as it was are kept."""
    options.baseline = options.output if Path(options.output).exists() else None
    return score(options)


def _scored(options: argparse.Namespace, counts: Counter) -> int:
    """Score what is named, count the verdicts that were written by their label, and return the exit code."""
    from psembed.detector import baseline
    from psembed.detector.detector import released
    from psembed.detector.reading.inputs import Inputs
    from psembed.detector.reports import BINARY, WRITERS, label

    _heed_interrupts()
    binary = options.format in BINARY
    _check(options, binary=binary)
    comments = baseline.read(Path(options.baseline)) if options.baseline else {}
    write = baseline.write if options.format == BASELINE else WRITERS[options.format]
    detector = released()
    outputs = list(filter(None, (options.output, options.layers)))
    given = Inputs(options.paths, column=options.column, outputs=outputs)
    total = given.total() if sys.stderr.isatty() else None
    with (
        _verdicts(given, options) as verdicts,
        _target(options.output, binary=binary) as stream,
        _layers(options.layers) as copied,
    ):
        why = {"why": _reasons(detector, colour=stream.isatty())} if options.explain else {}
        meter = Progress(sys.stderr, "scored", total)
        marked = copied(baseline.marked(verdicts, comments))
        with contextlib.closing(_watched(marked, counts, label, meter, stream)) as watched:
            shown = (each for each in watched if options.only in (None, label(each)))
            write(shown, stream, **why)
            stream.flush()
    print(_summary(counts, given), file=sys.stderr)
    return _exit_code(options, counts)


def _check(options: argparse.Namespace, *, binary: bool) -> None:
    """Raise ParameterError where options do not go together."""
    if binary and not options.output and sys.stdout.isatty():
        raise ParameterError(f"--format {options.format} is not for a terminal: add --output FILE")
    if options.explain and options.format != "table":
        raise ParameterError("--explain goes with the table: leave --format out")
    if options.processes and options.cluster not in (None, "local"):
        raise ParameterError("--processes are of this machine: a cluster elsewhere has as many as it has")
    if options.layers and Path(options.layers).suffix.lower() not in (LINES, TABLE):
        raise ParameterError(f"--layers {options.layers}: the name has to end in {LINES} or {TABLE}")
    if options.layers and options.output and Path(options.layers).resolve() == Path(options.output).resolve():
        raise ParameterError("--layers and --output name the same file")


def _exit_code(options: argparse.Namespace, counts: Counter) -> int:
    if counts["malicious"] and options.format != BASELINE:
        return FOUND
    unread = counts["not scored"] + counts["empty"] * options.strict
    return UNREAD if unread or counts.total() == counts["empty"] else 0


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
def _verdicts(given: Iterable, options: argparse.Namespace) -> Iterator[Iterable]:
    """Give the verdicts on the items, by processes here or, at an address, by Dask workers."""
    from psembed.detector.detector import chunks, judge, lost
    from psembed.runtime import workers

    asked = {"regions": options.format == "sarif", "texts": options.layers is not None}
    work = partial(judge, threshold=options.threshold, **asked)
    if options.cluster is None:
        yield workers.in_order(work, chunks(given), lost=lost, processes=options.processes)
        return
    with workers.dask(options.cluster, workers=options.processes) as client:
        yield workers.on_dask(client, work, chunks(given))


@contextlib.contextmanager
def _target(output: str | None, *, binary: bool) -> Iterator[IO]:
    """Open the file that is asked for, which appears whole or not at all, or else standard output."""
    if output is None:
        yield sys.stdout.buffer if binary else sys.stdout
        return
    with _whole(output) as temporary, _opened(temporary, binary=binary) as stream:
        yield stream


@contextlib.contextmanager
def _layers(file: str | None) -> Iterator[Callable[[Iterable], Iterable]]:
    """Give a function that passes verdicts on and writes their layers to a file, whole or not at all."""
    from psembed.detector.reports import table_of_layers, with_layers_written

    if file is None:
        yield iter
        return
    with _whole(file) as whole:
        lines = whole.with_name("lines")
        with _opened(lines, binary=False) as stream:
            yield partial(with_layers_written, stream=stream)
        if Path(file).suffix.lower() == TABLE:
            table_of_layers(lines, whole)
        else:
            lines.replace(whole)


@contextlib.contextmanager
def _whole(file: str) -> Iterator[Path]:
    """Give a file that becomes the one named if all goes well, and is taken for no input where it is."""
    folder = Path(file).parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".psembed-") as unfinished:
        yield Path(unfinished, "unfinished")
        os.replace(Path(unfinished, "unfinished"), file)


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
    scored = counts["malicious"] + counts["clean"] + counts["accepted"]
    accepted = f", {counts['accepted']:,} accepted" * bool(counts["accepted"])
    unread = f"; {counts['not scored']:,} not scored" * bool(counts["not scored"])
    empty = f"; {counts['empty']:,} found with nothing to score" * bool(counts["empty"])
    results = f"{counts['malicious']:,} malicious, {counts['clean']:,} clean{accepted}"
    return f"{scored:,} scored: {results}{unread}{empty}"


def _summary(counts: Counter, given) -> str:
    """Say in a line what came of every input."""
    others = f"{given.left_out:,} files of other kinds left out" * bool(given.left_out)
    sentences = [_counted(counts), others, f"{given.links:,} links not followed" * bool(given.links)]
    return f"psembed: {'; '.join(filter(None, sentences))}"
