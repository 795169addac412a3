"""The unlabeled corpus with its history: every distinct version of every script of the repositories.

A repository's history holds each script many times over. `index` reads all of it once, a batch at a time,
and keeps a row but no text of each version; `spread` chooses a few versions of each path; `texts` reads those
again. What is reserved for testing a classifier is left out here, old versions included.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl

from psembed.datasets import duplicates, near_duplicates
from psembed.powershell import tokens
from psembed.powershell.cleaning import clean
from psembed.powershell.decoding import read_script
from psembed.runtime.errors import CorpusError, SourceError
from psembed.sources import catalogue, snapshots

log = logging.getLogger(__name__)

BATCH_BYTES = 32 << 20  # raw bytes in memory at a time
MAX_BYTES = 2 << 20  # a larger script is left out, as 01_corpus does
SCHEMA = {
    "source": pl.String, "repository_group": pl.String, "path": pl.String, "row": pl.Int64,
    "normalised": pl.String, "size": pl.Int64,
}  # fmt: skip


def index(names: Iterable[str], *, root: Path, max_bytes: int = MAX_BYTES) -> tuple[pl.DataFrame, dict]:
    """List every distinct version of every script in the histories of `names`.

    Parameters
    ----------
    names : iterable of str
        Sources, or kinds of sources. Labelled sets have no history and are passed over.
    root : Path
        Project root.
    max_bytes : int
        Larger versions are left out.

    Returns
    -------
    table : DataFrame
        The columns of SCHEMA: row is the place in the source's history snapshot, where the versions of one
        path stand together, newest first; normalised is the digest of the normalised text.
    counts : dict
        By source: files read, and files left out by reason; "missing" tells why a source could not be read.

    Raises
    ------
    CorpusError
        If nothing can be read.
    """
    frames, counts = [], {}
    for source in catalogue.find_sources(names):
        if source.kind == "labelled":
            continue
        skipped: Counter[str] = Counter()
        try:
            found = list(_index_one(source, root, max_bytes, skipped))
        except SourceError as error:
            log.warning("%s", error)
            counts[source.name] = {"files": 0, "missing": str(error)}
            continue
        frames += found
        rows = sum(map(len, found))
        counts[source.name] = {"files": rows + skipped.total(), **dict(sorted(skipped.items()))}
    if not frames:
        raise CorpusError("no history can be read: run `psembed fetch --history` first")
    return pl.concat(frames), counts


def _index_one(
    source: catalogue.Source, root: Path, max_bytes: int, skipped: Counter
) -> Iterator[pl.DataFrame]:
    path = snapshots.snapshot_path(source.name, root=root, history=True)
    skipped.update({f"{reason} at fetch": count for reason, count in snapshots.left_out(path).items()})
    for batch in _batches(path, source, max_bytes, skipped):
        read = pl.Series([text for _, _, text, _ in batch])
        yield pl.DataFrame(
            {
                "source": source.name,
                "repository_group": source.group,
                "path": [path for path, _, _, _ in batch],
                "row": [row for _, row, _, _ in batch],
                "normalised": duplicates.digest(duplicates.normalise(read)),
                "size": [size for _, _, _, size in batch],
            },
            schema=SCHEMA,
        )


def _batches(
    path: Path, source: catalogue.Source, max_bytes: int, skipped: Counter, wanted: set[int] | None = None
) -> Iterator[list[tuple[str, int, str, int]]]:
    """Yield lists of (path, row, text, bytes) of about BATCH_BYTES."""
    batch, held = [], 0
    for row, (name, data) in enumerate(snapshots.read_snapshot(path, source)):
        if wanted is not None and row not in wanted:
            continue
        text, _, reason = read_script(data, max_bytes=max_bytes)
        if reason:
            skipped[reason] += 1
            continue
        batch.append((name, row, text, len(data)))
        held += len(data)
        if held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def reserved(table: pl.DataFrame, scripts: pl.DataFrame) -> pl.Series:
    """Tell which versions are reserved for validating and testing a classifier.

    A version is reserved if its repository group is in another part than training, if any version of its path
    has the normalised text of a script outside training, or if the path's script today was set aside because
    its near-duplicates are in another group. (A script that was renamed in between has two paths.)

    Parameters
    ----------
    table : DataFrame
        As `index` returns it.
    scripts : DataFrame
        Columns source, repository_group, path, kind, part and normalised of the scripts at the pinned
        commits, as 02_tokens splits them.

    Returns
    -------
    Series of Boolean, one a row of `table`
    """
    held_out = scripts.filter(pl.col("part") != "train")
    groups = held_out.filter((pl.col("kind") != "labelled") & (pl.col("part") != "aside"))["repository_group"]
    places = held_out.select(pl.struct("source", "path")).to_series()
    marked = table.with_columns(
        pl.col("repository_group").is_in(groups.unique().implode()).alias("group"),
        pl.struct("source", "path").is_in(places.unique().implode()).alias("place"),
        pl.col("normalised").is_in(held_out["normalised"].unique().implode()).alias("same"),
    )
    return marked.select(
        pl.col("group") | pl.col("place") | pl.col("same").any().over("source", "path").alias("reserved")
    ).to_series()


def spread(table: pl.DataFrame, *, versions: int) -> pl.Series:
    """Choose at most `versions` versions of each path: the newest, the oldest, and evenly between them.

    Returns
    -------
    Series of Boolean, one a row of `table`
    """
    place = pl.int_range(pl.len()).over("source", "path")
    count = pl.len().over("source", "path")
    step = ((count - 1) / max(versions - 1, 1)).cast(pl.Float64)
    chosen = (place / step).round() * step
    return table.select(
        (count <= versions) | ((chosen.round() == place) & (pl.lit(versions) > 1)) | (place == 0)
    ).to_series()


def texts(table: pl.DataFrame, *, root: Path, max_bytes: int = MAX_BYTES) -> Iterator[pl.DataFrame]:
    """Read the versions that `table` lists, a batch at a time: its columns but row, and text."""
    known = catalogue.load_sources()
    for (name,), rows in table.group_by("source", maintain_order=True):
        path = snapshots.snapshot_path(name, root=root, history=True)
        for batch in _batches(path, known[name], max_bytes, Counter(), set(rows["row"].to_list())):
            read = pl.DataFrame({"row": [b[1] for b in batch], "text": [b[2] for b in batch]})
            yield rows.join(read, on="row", how="inner", maintain_order="left").drop("row")


def count_near_duplicates(table: pl.DataFrame, *, root: Path, folder: Path) -> dict[str, int]:
    """Count clusters of near-duplicates among all distinct versions, as 02_tokens does at the pinned commits.

    Parameters
    ----------
    table : DataFrame
        As `index` returns it; of versions with one normalised text the first counts.
    root : Path
        Project root.
    folder : Path
        Where a temporary file is made, of about the size of the texts.

    Returns
    -------
    dict
        As `near_duplicates.cluster` counts.
    """
    distinct = table.unique("normalised", keep="first", maintain_order=True)
    batches = (
        tokens.tokenise_series(pl.Series([clean(text) for text in batch["text"]], dtype=pl.String))
        for batch in texts(distinct, root=root)
    )
    return near_duplicates.cluster(batches, folder=folder)[1]


def collect(
    scripts: pl.DataFrame, *, root: Path, folder: Path, versions: int
) -> tuple[Iterator[pl.DataFrame], dict[str, object]]:
    """Gather what the embedding may learn from.

    Parameters
    ----------
    scripts : DataFrame
        The scripts at the pinned commits with their texts, as 02_tokens splits them.
    root : Path
        Project root.
    folder : Path
        As for `count_near_duplicates`.
    versions : int
        At most so many versions of one path; 0 leaves history out.

    Returns
    -------
    batches : iterator of DataFrame
        Columns source, path, normalised, head (bool: at the pinned commit) and text.
    counts : dict
        scripts (those to be read); with history also distinct_history (all repositories) and near_duplicates
        among those (what `count_near_duplicates` returns), reserved,
        training (without the cap on versions), read (files by source), left_out (files by source and reason),
        missing (sources that could not be read, and why), and largest_before, largest_after: the shares of
        bytes of the five largest repositories.
    """
    train = scripts.filter((pl.col("part") == "train") & (pl.col("kind") != "labelled"))
    columns = ["source", "path", "normalised", "head"]
    if not versions:
        batch = train.with_columns(head=pl.lit(True)).select(*columns, "text")
        return iter([batch]), {"scripts": len(train), "distinct_history": None, "missing": {}}
    names = scripts.filter(pl.col("kind") != "labelled")["source"].unique(maintain_order=True).to_list()
    table, read = index(names, root=root)
    table = table.with_columns(reserved=reserved(table, scripts))
    table = table.with_columns(pl.col("reserved").any().over("normalised"))
    table = table.unique("normalised", keep="first", maintain_order=True)  # before the versions are chosen
    free = table.filter(~pl.col("reserved"))
    chosen = free.filter(spread(free, versions=versions)).with_columns(
        head=pl.col("normalised").is_in(train["normalised"].implode())
    )
    counts = {
        "scripts": len(chosen),
        "distinct_history": len(table),
        "near_duplicates": count_near_duplicates(table, root=root, folder=folder),
        "reserved": len(table) - len(free),
        "training": len(free),
        "read": {name: found["files"] for name, found in read.items()},
        "left_out": {
            name: reasons
            for name, found in read.items()
            if (reasons := {why: n for why, n in found.items() if why not in ("files", "missing")})
        },
        "missing": {name: found["missing"] for name, found in read.items() if "missing" in found},
        "largest_before": shares(free, "size"),
        "largest_after": shares(chosen, "size"),
    }
    return (batch.select(*columns, "text") for batch in texts(chosen, root=root)), counts


def shares(table: pl.DataFrame, column: str) -> dict[str, float]:
    """Return the shares that the five largest repositories have of `column`."""
    totals = (
        table.group_by("source").agg(pl.col(column).sum()).sort(column, "source", descending=[True, False])
    )
    return {name: round(size / max(totals[column].sum(), 1), 4) for name, size in totals.head(5).iter_rows()}


def contributions(scripts: pl.DataFrame) -> list[dict]:
    """Return name, url, commit, scripts and tokens of each source that a stream's `scripts` come from.

    A source that is not in sources.toml, such as a generated one, has no url and no commit.
    """
    known = catalogue.load_sources()
    totals = scripts.group_by("source").agg(scripts=pl.len(), tokens=pl.col("tokens").sum()).sort("source")
    return [
        {
            "name": row["source"],
            "url": getattr(known.get(row["source"]), "url", ""),
            "commit": getattr(known.get(row["source"]), "commit", ""),
            "scripts": row["scripts"],
            "tokens": row["tokens"],
        }
        for row in totals.to_dicts()
    ]
