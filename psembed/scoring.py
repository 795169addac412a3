"""`psembed score`: names in, verdicts out, and every input accounted for.

Nothing here imports a package before something is scored.
"""

from __future__ import annotations  # so that an older Python gets as far as the message

import argparse
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from psembed.errors import ParameterError

if TYPE_CHECKING:
    from psembed.detector import Detector

NEEDS = ("onnxruntime", "polars")
FORMATS = ("table", "jsonl", "csv", "parquet", "sarif")  # of psembed.reports
FOUND, UNREAD = 1, 2  # exit codes; 0 where all were scored and none is malicious
STEP = 0.2  # seconds between two pictures of the progress


def add_command(add) -> None:
    """Add `score` to the parser of psembed.cli."""
    command = add("score", score, "score scripts with the released detector", needs=NEEDS)
    command.add_argument(
        "paths", nargs="+", metavar="PATH",
        help="a script, a folder, a table (.parquet), an event log (.evtx), or - for standard input",
    )  # fmt: skip
    command.add_argument(
        "--column", help="column of tables that holds the scripts (default: data, text, ...)"
    )
    command.add_argument("--format", choices=FORMATS, default="table", help="of the output (default: table)")
    command.add_argument("--output", metavar="FILE", help="write there, whole or not at all")
    command.add_argument(
        "--cluster", metavar="ADDRESS", help="share the work with Dask workers: tcp://HOST:PORT, or local"
    )
    command.add_argument(
        "--explain", action="store_true", help="mark what drove the scores of malicious ones"
    )
    command.epilog = (
        f"exit codes: 0 all were scored and none is malicious; {FOUND} some are malicious; {UNREAD} none is,"
        " but some could not be scored, or the request was wrong"
    )


def score(options: argparse.Namespace) -> int:
    """Score what is named, write the verdicts, tell what came of every input, and return the exit code."""
    from psembed.detector import released
    from psembed.inputs import items
    from psembed.reports import BINARY, WRITERS, word

    binary = options.format in BINARY
    if binary and not options.output and sys.stdout.isatty():
        raise ParameterError(f"--format {options.format} is not for a terminal: add --output FILE")
    if options.explain and options.format != "table":
        raise ParameterError("--explain goes with the table: leave --format out")
    detector = released()
    given, counts = items(options.paths, column=options.column), Counter()
    with (
        _verdicts(given, options.cluster) as verdicts,
        _target(options.output, binary=binary) as stream,
    ):
        why = {"why": _reasons(detector, colour=stream.isatty())} if options.explain else {}
        WRITERS[options.format](_watched(verdicts, counts, word), stream, **why)
    print(_summary(counts, given), file=sys.stderr)
    return FOUND if counts["malicious"] else 0 if counts["clean"] == counts.total() > 0 else UNREAD


def _reasons(detector: Detector, *, colour: bool) -> Callable:
    """Return a function that tells why a script is called malicious, in colour or in lines."""
    from psembed.explain import explain

    def why(verdict) -> str:
        explained = explain(detector, verdict)
        return explained.to_terminal() if colour else explained.to_text()

    return why


@contextlib.contextmanager
def _verdicts(given: Iterable, cluster: str | None) -> Iterator[Iterable]:
    """Give the verdicts on the items, by processes here or, at an address, by Dask workers."""
    from psembed import workers
    from psembed.detector import chunks, judge, lost

    if cluster is None:
        yield workers.in_order(judge, chunks(given), lost=lost)
        return
    with workers.dask(cluster) as client:
        yield workers.on_dask(client, judge, chunks(given))


@contextlib.contextmanager
def _target(output: str | None, *, binary: bool) -> Iterator[IO]:
    """Open the file that is asked for, which appears whole or not at all, or else standard output."""
    from psembed.workspace import atomic

    if output is None:
        yield sys.stdout.buffer if binary else sys.stdout
        return
    with atomic(Path(output)) as temporary, _opened(temporary, binary=binary) as stream:
        yield stream


def _opened(path: Path, *, binary: bool) -> IO:
    return path.open("wb") if binary else path.open("w", encoding="utf-8", newline="")


def _watched(verdicts: Iterable, counts: Counter, word) -> Iterator:
    """Yield verdicts, count them by word, name unread ones, and show progress on a terminal."""
    live, started, shown = sys.stderr.isatty(), time.monotonic(), 0.0
    for verdict in verdicts:
        counts[word(verdict)] += 1
        now = time.monotonic()
        if live and now - shown > STEP:
            done, shown = counts.total(), now
            rate = done / max(now - started, 1e-9)
            print(f"\r\033[K{done:,} scored, {rate:,.0f} a second", end="", file=sys.stderr, flush=True)
        yield verdict
    if live:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _summary(counts: Counter, given) -> str:
    """Say in a line what came of every input."""
    scored = counts["malicious"] + counts["clean"]
    others = f"{given.left_out:,} files of other kinds left out" * bool(given.left_out)
    if not counts.total():
        return f"psembed: nothing to score; {others}".removesuffix("; ")
    told = [
        f"{scored:,} scored: {counts['malicious']:,} malicious, {counts['clean']:,} clean",
        f"{counts['not scored']:,} not scored" * bool(counts["not scored"]),
        others,
        f"{given.links:,} links not followed" * bool(given.links),
    ]
    return f"psembed: {'; '.join(filter(None, told))}"
