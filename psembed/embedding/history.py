"""The unlabeled corpus with its history: every distinct version of every script of the repositories.

A repository's history holds each script many times over. `index` reads all of it once, a batch at a time,
and keeps a row but no text of each version; `choose_versions` chooses a few of each path; `read_texts` reads
those again. What is reserved for testing a classifier is left out here, old versions included.
"""

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from psembed.datasets import duplicates, near_duplicates
from psembed.embedding.stream import TokenStream
from psembed.powershell import tokens
from psembed.powershell.aliases import ALIASES
from psembed.powershell.cleaning import clean
from psembed.powershell.command_position import COMMAND
from psembed.powershell.decoding import read_script
from psembed.runtime.errors import CorpusError, SourceError
from psembed.sources import catalogue, snapshots

log = logging.getLogger(__name__)

BATCH_BYTES = 32 << 20  # raw bytes in memory at a time
MAX_BYTES = 2 << 20  # a larger script is left out, as 01_corpus does
READ = {"path": pl.String, "row": pl.Int64, "text": pl.String, "size": pl.Int64}
SCHEMA = {
    "source": pl.String, "stratum": pl.String, "repository_group": pl.String, "path": pl.String,
    "row": pl.Int64, "normalised": pl.String, "size": pl.Int64,
}  # fmt: skip


def index(names: Iterable[str], *, root: Path, max_bytes: int = MAX_BYTES) -> tuple[pl.DataFrame, dict]:
    """List every distinct version of every script in the histories of `names`, sources or kinds of sources.

    Sources without history are passed over; versions of more than `max_bytes` are left out. Raises
    CorpusError if nothing can be read.

    The table has the columns of SCHEMA: row is the place in the source's history snapshot, where the versions
    of one path stand together, newest first; normalised is the digest of the normalised text; size is in
    bytes. The counts are read (files by source), left_out (files by source and reason) and missing (sources
    that could not be read, and why).
    """
    tables, read, left_out, missing = [], {}, {}, {}
    for source in catalogue.find_sources(names, history=True):
        path = snapshots.snapshot_path(source.name, root=root, history=True)
        skipped: Counter[str] = Counter()
        try:
            skipped.update({f"{reason} at fetch": n for reason, n in snapshots.left_out(path).items()})
            batches = [_listed(batch, source) for batch in _read(path, source, max_bytes, skipped)]
        except SourceError as error:
            log.warning("%s", error)
            read[source.name], missing[source.name] = 0, str(error)
            continue
        tables += batches
        read[source.name] = sum(map(len, batches)) + skipped.total()
        if skipped:
            left_out[source.name] = dict(sorted(skipped.items()))
    if not tables:
        raise CorpusError("no history can be read: run `psembed fetch --history` first")
    return pl.concat(tables), {"read": read, "left_out": left_out, "missing": missing}


def _listed(batch: pl.DataFrame, source: catalogue.Source) -> pl.DataFrame:
    return batch.with_columns(
        source=pl.lit(source.name),
        stratum=pl.lit(source.stratum),
        repository_group=pl.lit(source.group),
        normalised=duplicates.digest(duplicates.normalise(batch["text"])),
    ).select(list(SCHEMA))


def _read(
    path: Path, source: catalogue.Source, max_bytes: int, skipped: Counter, wanted: set[int] | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the versions of a snapshot, or those in the `wanted` rows, about BATCH_BYTES at a time (READ)."""
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
            yield pl.DataFrame(batch, schema=READ, orient="row")
            batch, held = [], 0
    if batch:
        yield pl.DataFrame(batch, schema=READ, orient="row")


def reserved(table: pl.DataFrame, scripts: pl.DataFrame) -> pl.Series:
    """Tell which versions of an `index` are reserved for validating and testing a classifier (Boolean).

    A version is reserved if its repository group is in another part than training, if any version of its path
    has the normalised text of a script outside training, or if the path's script today was set aside because
    its near-duplicates are in another group. (A script that was renamed in between has two paths.)

    `scripts` are those at the pinned commits, as 02_tokens splits them: columns source, repository_group,
    path, kind, part and normalised.
    """
    held_out = scripts.filter(pl.col("part") != "train")
    groups = held_out.filter((pl.col("kind") != "labelled") & (pl.col("part") != "aside"))
    marked = table.with_columns(
        _among(table, groups, "repository_group"),
        _among(table, held_out, "source", "path").alias("at_path"),
        _among(table, held_out, "normalised"),
    )
    equal = pl.col("normalised").any().over("source", "path")
    held = pl.col("repository_group") | pl.col("at_path") | equal
    return marked.select(held.alias("reserved")).to_series()


def _among(table: pl.DataFrame, others: pl.DataFrame, *columns: str) -> pl.Series:
    """Tell which rows have their `columns` in others (Boolean): is_in with a long list takes gigabytes."""
    known = others.select(*columns).unique().with_columns(known=pl.lit(True))
    joined = table.select(*columns).join(known, on=columns, how="left", maintain_order="left")
    return joined["known"].fill_null(False).alias(columns[0])


def choose_versions(table: pl.DataFrame, *, versions: int) -> pl.Series:
    """Choose at most `versions` of each path (Boolean): the newest, the oldest, and evenly between them."""
    place = pl.int_range(pl.len()).over("source", "path")
    count = pl.len().over("source", "path")
    step = ((count - 1) / max(versions - 1, 1)).cast(pl.Float64)
    chosen = (place / step).round() * step
    return table.select(
        (count <= versions) | ((chosen.round() == place) & (pl.lit(versions) > 1)) | (place == 0)
    ).to_series()


def read_texts(table: pl.DataFrame, *, root: Path, max_bytes: int = MAX_BYTES) -> Iterator[pl.DataFrame]:
    """Read the versions that `table` lists, a batch at a time: its columns but row, and text."""
    sources = catalogue.load_sources()
    for (name,), rows in table.group_by("source", maintain_order=True):
        path = snapshots.snapshot_path(name, root=root, history=True)
        for batch in _read(path, sources[name], max_bytes, Counter(), set(rows["row"].to_list())):
            texts = batch.select("row", "text")
            yield rows.join(texts, on="row", how="inner", maintain_order="left").drop("row")


def count_distinct(table: pl.DataFrame, *, root: Path, folder: Path, in_scripts: int = 10) -> dict:
    """Count near-duplicates and tokens among all distinct versions of an `index`.

    Of versions with one normalised text the first counts. A temporary file is made in `folder`, of about the
    size of the texts. Returns near_duplicates, what `near_duplicates.cluster` counts, and vocabulary (int),
    the tokens that `in_scripts` paths hold in any version.
    """
    distinct = table.unique("normalised", keep="first", maintain_order=True)
    paths: Counter[str] = Counter()

    def tokenised() -> Iterator[pl.Series]:
        last = pl.DataFrame(
            schema={"path": pl.String, "token": pl.String}
        )  # a path may go on in the next batch
        for batch in read_texts(distinct, root=root):
            texts = pl.Series([clean(text) for text in batch["text"]], dtype=pl.String)
            lists = tokens.tokenize_series(texts)
            path = batch.select(pl.concat_str("source", "path", separator="\n")).to_series()
            pairs = pl.LazyFrame({"path": path, "token": lists}).explode("token").drop_nulls().unique()
            new = pairs.join(last.lazy(), on=["path", "token"], how="anti").collect(engine="streaming")
            paths.update(dict(new.group_by("token").len().iter_rows()))
            last = pl.concat([last, new]).filter(pl.col("path") == path[-1])
            yield lists

    counts = near_duplicates.cluster(tokenised(), folder=folder)[1]
    return {"near_duplicates": counts, "vocabulary": sum(n >= in_scripts for n in paths.values())}


def collect(
    scripts: pl.DataFrame, *, root: Path, folder: Path, versions: int
) -> tuple[Iterator[pl.DataFrame], dict[str, object]]:
    """Gather what embeddings may learn from.

    `scripts` are those at the pinned commits with their texts, as 02_tokens splits them; of one path at most
    so many `versions` are taken, 0 leaves history out. `root` is the project's, `folder` as for
    `count_distinct`.

    The batches have columns source, stratum, path, normalised, version (Int64: 0 at the pinned commit, then
    older ones), train (bool: no script that is reserved for validating and testing classifiers) and text. The
    counts are pinned and snippets (distinct scripts, and snippets, at the pinned commits), scripts (those to
    be read); with history also distinct_history (all distinct texts, older versions too), what
    `count_distinct` and `index` count, and reserved (older versions that are).
    """
    unlabeled = scripts.filter(pl.col("kind") != "labelled").with_columns(
        version=pl.lit(0, pl.Int64), train=pl.col("part") == "train"
    )
    columns = ["source", "stratum", "path", "normalised", "version", "train", "text"]
    snippets = int(unlabeled["stratum"].str.ends_with("snippets").sum())
    counts = {"pinned": len(unlabeled) - snippets, "snippets": snippets, "scripts": len(unlabeled)}
    if not versions:
        return iter([unlabeled.select(columns)]), counts | {"distinct_history": None, "missing": {}}
    table, files = index(unlabeled["source"].unique(maintain_order=True).to_list(), root=root)
    table = table.with_columns(reserved=reserved(table, scripts))
    table = table.with_columns(pl.col("reserved").any().over("normalised"))
    distinct = table.unique("normalised", keep="first", maintain_order=True)  # before the versions are chosen
    older = distinct.filter(~_among(distinct, unlabeled, "normalised"))
    chosen = older.filter(choose_versions(older, versions=versions - 1) & (versions > 1))
    place = pl.int_range(1, pl.len() + 1).over("source", "path")
    chosen = chosen.with_columns(version=place, train=~pl.col("reserved"))
    counts |= {
        "scripts": len(unlabeled) + len(chosen),
        "distinct_history": len(unlabeled) - snippets + len(older),
        **count_distinct(table, root=root, folder=folder),
        "reserved": int(older["reserved"].sum()),
        **files,
    }
    texts = (batch.select(columns) for batch in read_texts(chosen, root=root))
    return itertools.chain([unlabeled.select(columns)], texts), counts


def largest_shares(table: pl.DataFrame, column: str) -> dict[str, float]:
    """Return the shares that the five largest repositories have of `column`."""
    totals = (
        table.group_by("source").agg(pl.col(column).sum()).sort(column, "source", descending=[True, False])
    )
    return {name: round(size / max(totals[column].sum(), 1), 4) for name, size in totals.head(5).iter_rows()}


def alias_uses(read: TokenStream) -> pl.DataFrame:
    """Count aliases used as commands at the pinned commits, by stratum.

    Returns the columns stratum, repositories, with_alias (repositories that use one), tokens, aliases (uses)
    and per_100k_tokens; the last row, "all", is of all strata.
    """
    aliases = read.tokens.is_in([COMMAND + alias.lower() for alias, _ in ALIASES]).to_numpy()
    pinned = read.scripts.select((pl.col("version") == 0) & (pl.col("tokens") > 0)).to_series().to_numpy()
    uses = [
        np.add.reduceat(aliases[ids], np.cumsum(lengths) - lengths, dtype=np.int64)
        for ids, lengths in read.chunks(pinned)
    ]
    table = read.scripts.filter(pinned).with_columns(aliases=pl.Series(np.concatenate(uses)))
    both = pl.concat([table, table.with_columns(stratum=pl.lit("all"))])
    counted = both.group_by("stratum", maintain_order=True).agg(
        repositories=pl.col("source").n_unique(),
        with_alias=pl.col("source").filter(pl.col("aliases") > 0).n_unique(),
        tokens=pl.col("tokens").sum(),
        aliases=pl.col("aliases").sum(),
    )
    return counted.with_columns(per_100k_tokens=(1e5 * pl.col("aliases") / pl.col("tokens")).round(1))


def contributions(scripts: pl.DataFrame) -> list[dict]:
    """Return name, url, commit, scripts and tokens of each source that a stream's `scripts` come from.

    A source that is not in sources.toml, such as a generated one, has no url and no commit.
    """
    pins = {name: (source.url, source.commit) for name, source in catalogue.load_sources().items()}
    totals = scripts.group_by("source").agg(scripts=pl.len(), tokens=pl.col("tokens").sum()).sort("source")
    columns = ("name", "url", "commit", "scripts", "tokens")
    rows = ((name, *pins.get(name, ("", "")), *sums) for name, *sums in totals.iter_rows())
    return [dict(zip(columns, row, strict=True)) for row in rows]
