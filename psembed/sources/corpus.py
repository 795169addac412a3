"""From raw bytes to one table of texts: decode, label, and count every decision."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import polars as pl

from psembed.powershell.decoding import decode, read_script
from psembed.runtime.errors import CorpusError, SourceError
from psembed.runtime.files import sha256
from psembed.sources import snippets
from psembed.sources.archives import unit42_records, zip_members
from psembed.sources.catalogue import Source, find_sources
from psembed.sources.snapshots import left_out, read_snapshot, snapshot_path

SCHEMA = {
    "sha256": pl.String, "source": pl.String, "kind": pl.String, "stratum": pl.String,
    "repository_group": pl.String, "path": pl.String, "size": pl.Int64, "encoding": pl.String,
    "label": pl.Int8, "family": pl.String, "text": pl.String,
}  # fmt: skip
TRIAGE_FILE, TRIAGE_MALICIOUS = "triage_data.json", 8  # a lower Triage score is no malicious label
KIND_LABELS = {"benign": 0, "offensive": None}
SNIPPETS = {"benign": "snippets", "offensive": "offensive snippets"}  # their strata
Rows = Iterable[tuple[str, bytes]]


class Described(Protocol):
    """What `build` reads of a source; a `label` attribute, if there is one, holds for all its files."""

    name: str
    kind: str
    stratum: str
    group: str


def build(
    names: Iterable[str],
    *,
    root: Path,
    catalogue: dict[str, Source] | None = None,
    extra: Iterable[tuple[Described, Rows]] = (),
    max_bytes: int = 4 * 2**20,
) -> tuple[pl.DataFrame, dict[str, dict]]:
    """Read sources into the corpus table, and count every decision.

    Labels: benign 0, offensive null, labelled sets by the rules of sources.toml. A content that a source
    has under both labels is dropped; of several files with the same bytes the first is kept.

    Snapshots of the sources called `names` (in sources.toml, or `catalogue`) are read, in this order; then
    `extra` ones, such as a generated one: what `Described` asks for, and its (path, bytes) rows. Files over
    `max_bytes` are skipped.

    The table has a row per distinct content of each source, with the columns of SCHEMA. The counts are, by
    source, files (each snippet counts as one), bytes, rows, and files by encoding, by reason skipped, and
    rows by label; files is rows plus everything skipped.
    """
    frames, counts = [], {}
    given = itertools.chain(_snapshots(names, root, catalogue), ((*pair, {}, {}) for pair in extra))
    for source, rows, scores, absent in given:
        if source.name in counts:
            raise CorpusError(f"source {source.name!r} is given twice; give it once")
        frame, counts[source.name] = _table(source, rows, scores, absent, max_bytes)
        frames.append(frame)
    table = pl.concat(frames) if frames else pl.DataFrame(schema=SCHEMA)
    if table.is_empty():
        raise CorpusError(f"the corpus is empty: no script is left of {sorted(counts) or 'no source'}")
    return table, counts


def _snapshots(
    names: Iterable[str], root: Path, catalogue: dict[str, Source] | None
) -> Iterator[tuple[Described, Rows, dict, dict]]:
    for source in find_sources(names, catalogue=catalogue):
        path = snapshot_path(source.name, root=root)
        rows, scores = read_snapshot(path, source), {}
        if "triage" in source.labels.values():
            scores = _triage_scores(read_snapshot(path, source), source.name)
        rows = _records(rows) if source.format == "unit42" else rows
        yield source, rows, scores, {f"{reason} at fetch": count for reason, count in left_out(path).items()}


def _records(rows: Rows) -> Iterator[tuple[str, bytes, str]]:
    """Yield (path, script as UTF-8, family) of each record in Unit 42's zip files."""
    for path, data in rows:
        for _, content in zip_members(data):
            for number, record in enumerate(unit42_records(decode(content)[0] or ""), 1):
                yield f"{path}#{number:04d}", record["script"].encode(), record["family"]


def _triage_scores(rows: Rows, name: str) -> dict[str, tuple[int, str]]:
    """Return Triage's score and first family tag by sample id."""
    for path, data in rows:
        if path == TRIAGE_FILE:
            try:
                entries = json.loads(data)["ps1_files"]
                return {e["sample"]: (int(e["score"]), _family(e["tags"])) for e in entries}
            except (ValueError, KeyError, TypeError) as error:
                raise CorpusError(f"{name}: {TRIAGE_FILE} is not as expected ({error!r})") from error
    raise CorpusError(f"{name}: {TRIAGE_FILE} is not in the snapshot, so its samples have no label")


def _family(tags: str) -> str:
    return next((tag[7:] for tag in tags.split(",") if tag.startswith("family:")), "")


def _label(source: Described, path: str, scores: dict) -> tuple[int | None, str, str]:
    """Return label, family and the reason to skip the file ("" if there is none)."""
    rules = getattr(source, "labels", {})
    if not rules:
        return getattr(source, "label", KIND_LABELS.get(source.kind)), "", ""
    rule = next((rule for prefix, rule in rules.items() if path.startswith(prefix)), None)
    if rule != "triage":
        return rule, "", "no label rule" if rule is None else ""
    sample = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    score, family = scores.get(sample, (0, ""))
    if score >= TRIAGE_MALICIOUS:
        return 1, family, ""
    return None, "", f"triage score below {TRIAGE_MALICIOUS}" if sample in scores else "no triage score"


def _table(
    source: Described, rows: Iterable, scores: dict, absent: dict[str, int], max_bytes: int
) -> tuple[pl.DataFrame, dict]:
    """Return a source's rows and counts, those of files `absent` from the snapshot, by reason, among them."""
    scripts, size, encodings, skipped = [], 0, Counter(), Counter(absent)
    files = skipped.total()
    for given, raw, *known in rows:
        if given == TRIAGE_FILE:
            continue
        label, family, reason = _label(source, given, scores)
        family = known[0] if known else family
        for path, data, text, encoding, unread in _texts(source, given, raw, max_bytes):
            files, size = files + 1, size + len(data)
            if encoding:
                encodings[encoding] += 1
            if why := reason or unread:
                skipped[why] += 1
                continue
            stratum = source.stratum if path == given else SNIPPETS[source.kind]
            scripts.append((sha256(data), stratum, path, len(data), encoding, label, family, text))
    frame = _distinct(source, scripts, skipped)
    labels = Counter("none" if label is None else str(label) for label in frame["label"])
    counters = {"encodings": encodings, "skipped": skipped, "labels": labels}
    counts = {"files": files, "bytes": size, "rows": len(frame)}
    return frame, counts | {name: dict(sorted(counter.items())) for name, counter in counters.items()}


def _texts(source: Described, path: str, data: bytes, max_bytes: int) -> Iterator[tuple]:
    """Yield (path, bytes, text, encoding, why it is of no use) of a script, or of each snippet in a file."""
    text, encoding, reason = read_script(data, max_bytes=max_bytes)
    if reason or not (isinstance(source, Source) and source.holds_snippets(path)):
        yield path, data, text, encoding, reason
        return
    try:
        found, reason = snippets.read(path, text), "no snippet"
    except SourceError as error:
        found, reason = [], str(error)
    if not found:
        yield path, data, text, encoding, reason
    for number, snippet in enumerate(found, 1):
        data = snippet.encode(errors="replace")  # JSON may name half a surrogate pair
        yield f"{path}#{number:04d}", data, data.decode(), encoding, ""


def _distinct(source: Described, scripts: list[tuple], skipped: Counter) -> pl.DataFrame:
    """Return the source's rows, one per distinct content, without those under both labels."""
    same = {"source": source.name, "kind": source.kind, "repository_group": source.group}
    columns = {name: kind for name, kind in SCHEMA.items() if name not in same}
    frame = pl.DataFrame(scripts, schema=columns, orient="row")
    single = frame.filter(pl.col("label").n_unique().over("sha256") == 1)
    distinct = single.unique("sha256", keep="first", maintain_order=True)
    dropped = {"both labels": len(frame) - len(single), "duplicate": len(single) - len(distinct)}
    skipped.update({reason: count for reason, count in dropped.items() if count})
    return distinct.with_columns(pl.lit(value).alias(name) for name, value in same.items()).select(*SCHEMA)
