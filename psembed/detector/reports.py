"""Verdicts written down: a table, JSON lines, CSV, Parquet, or SARIF for code scanners.

All but Parquet and SARIF are written as verdicts come. Names come from whoever made the files: what a
terminal would obey is escaped in the table, and other formats quote as they must.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from io import BytesIO
from typing import BinaryIO, TextIO

import polars as pl

from psembed.detector.sarif import write_sarif
from psembed.detector.verdict import Event, Verdict
from psembed.runtime.isolated import printable

SCHEMA = {
    "path": pl.String,
    "verdict": pl.String,
    "score": pl.Float64,
    "layer": pl.Int64,
    "uncovered_by": pl.String,
    "layers": pl.Int64,
    "encoding": pl.String,
    "sha256": pl.String,
    "reason": pl.String,
    **dict.fromkeys(Event._fields, pl.String),
}
"""Columns of CSV and Parquet, keys of JSON lines, where `layers` is the list of them."""


def label(verdict: Verdict) -> str:
    """Return malicious, clean or not scored."""
    return {True: "malicious", False: "clean", None: "not scored"}[verdict.malicious]


def row(verdict: Verdict) -> dict:
    """Return a verdict as a flat row of SCHEMA."""
    return {
        "path": printable(verdict.name),
        "verdict": label(verdict),
        "score": verdict.score,
        "layer": verdict.layer,
        "uncovered_by": None if verdict.layer is None else verdict.layers[verdict.layer].how,
        "layers": len(verdict.layers),
        "encoding": verdict.encoding,
        "sha256": verdict.sha256,
        "reason": verdict.reason,
        **{name: text and printable(text) for name, text in verdict.event._asdict().items()},
    }


def write_table(
    verdicts: Iterable[Verdict], stream: TextIO, *, why: Callable[[Verdict], str] = lambda _: ""
) -> None:
    """Write lines of score, verdict, layer and path; below a malicious one its layers and what `why` says."""
    print(f"{'score':>8}  {'verdict':<10}  {'layer':<18}  path", file=stream)
    for verdict in verdicts:
        score = "-" if verdict.score is None else f"{verdict.score:.6f}"
        layer = "-" if verdict.layer is None else f"{verdict.layer} {row(verdict)['uncovered_by']}"
        name = escaped(verdict.name) + (f"  ({escaped(verdict.reason)})" if verdict.reason else "")
        print(f"{score:>8}  {label(verdict):<10}  {layer:<18}  {name}", file=stream)
        if verdict.malicious:
            for line in [*(tree(verdict) if len(verdict.layers) > 1 else ()), *why(verdict).splitlines()]:
                print(f"{'':>10}{line}", file=stream)


def tree(verdict: Verdict) -> Iterator[str]:
    """Yield a line a layer, indented by its depth, children after their parent, the deciding one with a *."""
    below: dict[int, list[int]] = {}
    for number, layer in enumerate(verdict.layers):
        below.setdefault(layer.parent, []).append(number)
    open_layers = [-1]
    while open_layers:
        number = open_layers.pop()
        if number >= 0:
            layer = verdict.layers[number]
            mark = "*" if number == verdict.layer else " "
            indent = "  " * layer.depth
            yield f"{mark} {indent}{number} {layer.how}: {layer.score:.6f}, {layer.characters:,} characters"
        open_layers += reversed(below.get(number, []))


def escaped(text: str) -> str:
    """Return `text` with what a terminal would obey, or cannot show, as back-slash escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in printable(text))


def write_json_lines(verdicts: Iterable[Verdict], stream: TextIO) -> None:
    """Write an object of the keys of SCHEMA a line; `layers` is the list of them."""
    for verdict in verdicts:
        fields = row(verdict) | {"layers": [asdict(layer) for layer in verdict.layers]}
        print(json.dumps(fields, ensure_ascii=False), file=stream)


def write_csv(verdicts: Iterable[Verdict], stream: TextIO) -> None:
    """Write the columns of SCHEMA, with a header."""
    writer = csv.DictWriter(stream, SCHEMA, lineterminator="\n")
    writer.writeheader()
    for verdict in verdicts:
        writer.writerow(row(verdict))


def write_parquet(verdicts: Iterable[Verdict], stream: BinaryIO) -> None:
    """Write the columns of SCHEMA, from memory: polars would tell of a full disk as of a damaged table."""
    table = BytesIO()
    pl.DataFrame([row(verdict) for verdict in verdicts], schema=SCHEMA).write_parquet(table)
    stream.write(table.getbuffer())


WRITERS: dict[str, Callable[..., None]] = {
    "table": write_table,
    "jsonl": write_json_lines,
    "csv": write_csv,
    "parquet": write_parquet,
    "sarif": write_sarif,
}
BINARY = ("parquet",)  # these need a binary stream
