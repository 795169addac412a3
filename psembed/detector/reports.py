"""Verdicts written down: a table, JSON lines, CSV, Parquet, or SARIF for code scanners.

All but Parquet and SARIF are written as verdicts come. Names come from whoever made the files: what a
terminal would obey is escaped in the table, and other formats quote as they must.
"""

import csv
import glob
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TextIO

import polars as pl

from psembed.detector.sarif import write_sarif
from psembed.detector.verdict import Event, Verdict
from psembed.powershell.unwrap.dotnet.encodings import well_formed
from psembed.runtime.errors import PsembedError
from psembed.runtime.files import sha256
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
LAYERS = dict(path=pl.String, number=pl.Int64, how=pl.String, parent=pl.Int64, depth=pl.Int64)
LAYERS |= dict(score=pl.Float64, sha256=pl.String, text=pl.String)
"""Of layers: `number` 0 is the script itself, as decoded, or joined; the hash is of the text in UTF-8."""
GROUP = 512  # layers in memory at once where their table is made


def label(verdict: Verdict) -> str:
    """Return malicious, accepted, clean or not scored."""
    if verdict.accepted is not None:
        return "accepted"
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
    for verdict in _malicious_first(verdicts, stream) if stream.isatty() else verdicts:
        score = "-" if verdict.score is None else f"{verdict.score:.6f}"
        layer = "-" if verdict.layer is None else f"{verdict.layer} {row(verdict)['uncovered_by']}"
        name = escaped(verdict.name) + (f"  ({escaped(verdict.reason)})" if verdict.reason else "")
        print(f"{score:>8}  {label(verdict):<10}  {layer:<18}  {name}", file=stream)
        if label(verdict) == "malicious":
            for line in [*(tree(verdict) if len(verdict.layers) > 1 else ()), *why(verdict).splitlines()]:
                print(f"{'':>10}{line}", file=stream)


def _malicious_first(verdicts: Iterable[Verdict], stream: TextIO) -> Iterator[Verdict]:
    """Yield malicious verdicts as they come, then the others but the clean ones, which are counted.

    One that is clean is shown: its line takes no more room than the number.
    """
    held: list[Verdict] = []
    clean = 0
    for verdict in verdicts:
        if label(verdict) == "malicious":
            yield verdict
        elif label(verdict) != "clean":
            held.append(verdict)
        else:
            clean, last = clean + 1, verdict
    yield from sorted(held, key=label)
    if clean == 1:
        yield last
    elif clean:
        print(f"{clean:,} clean not shown", file=stream)


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


def with_layers_written(verdicts: Iterable[Verdict], stream: TextIO) -> Iterator[Verdict]:
    """Yield verdicts that have the texts of their layers, and write these: an object of LAYERS a line."""
    for verdict in verdicts:
        for number, (layer, text) in enumerate(zip(verdict.layers, verdict.texts, strict=True)):
            place = (printable(verdict.name), number, layer.how, layer.parent, layer.depth, layer.score)
            text = well_formed(text)
            fields = dict(zip(LAYERS, (*place, sha256(text.encode()), text), strict=True))
            print(json.dumps(fields, ensure_ascii=False), file=stream)
        yield replace(verdict, texts=())


def table_of_layers(lines: Path, table: Path) -> None:
    """Write as Parquet what `with_layers_written` wrote, part by part. Raises PsembedError if that fails."""
    try:
        pl.scan_ndjson(glob.escape(str(lines)), schema=LAYERS).sink_parquet(table, row_group_size=GROUP)
    except pl.exceptions.PolarsError as error:  # of a full disk, too
        raise PsembedError(f"the table of layers cannot be written ({error})") from error


WRITERS: dict[str, Callable[..., None]] = {
    "table": write_table,
    "jsonl": write_json_lines,
    "csv": write_csv,
    "parquet": write_parquet,
    "sarif": write_sarif,
}
BINARY = ("parquet",)  # these need a binary stream
