"""A second reading: what an eye makes of sampled scripts, and so how many labels may be wrong.

Read on 29 November 2026, by one reader who saw the label: 60 clusters of each source and class, drawn by
chance (all, where there are fewer), the first 1,100 characters of what a detector reads of each. reread.tsv
has the hash, source ("repositories" for all of them), label (1 malicious), reading and its reason in a word.
"""

from pathlib import Path

import polars as pl

from psembed.runtime import intervals

READINGS = ("malicious", "clean", "unclear")
TABLE = Path(__file__).with_suffix(".tsv")


def readings() -> pl.DataFrame:
    """Return the rows of reread.tsv: sha256, source, label, reading (of READINGS), reason."""
    return pl.read_csv(TABLE, separator="\t", schema_overrides={"label": pl.Int8})


def by_source(read: pl.DataFrame) -> pl.DataFrame:
    """Return what the reader said of each source and class.

    Columns are source, label, n, wrong (the share read as the other class) with its exact 95% interval
    low..high, and unclear (the share of which the text does not tell).
    """
    other = pl.when(pl.col("label") == 1).then(pl.lit("clean")).otherwise(pl.lit("malicious"))
    shares = {"wrong": pl.col("reading") == other, "unclear": pl.col("reading") == "unclear"}
    table = read.group_by("source", "label").agg(n=pl.len(), **{k: v.mean() for k, v in shares.items()})
    bounds = [
        intervals.binomial_interval(round(wrong * n), n)
        for wrong, n in table.select("wrong", "n").iter_rows()
    ]
    found = table.hstack(pl.DataFrame(bounds, schema=["low", "high"], orient="row"))
    return found.select("source", "label", "n", "wrong", "low", "high", "unclear").sort("label", "source")
