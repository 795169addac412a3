"""Robustness: what is found of malicious scripts written another way, and what is flagged of clean ones.

In a score table the name of a way (psembed.datasets.rewritten) stands where "test" does.
"""

import numpy as np
import polars as pl

from psembed.datasets.rewritten import HELD_OUT, TRANSFORMS, WRAPPERS
from psembed.evaluation import coverage
from psembed.runtime import intervals
from psembed.runtime.errors import CorpusError

WAYS = (*TRANSFORMS, *WRAPPERS)


def table(rows: pl.DataFrame, *, fpr: float, seed: int, rounds: int) -> pl.DataFrame:
    """Return what each way costs each model at a realised rate of `fpr` on scripts as they are.

    It has protocol, model, transform (the way), before and after (TPR, mean over seeds), the paired
    difference with its 95% interval low..high, and n, the largest loss first. CorpusError if no rewritten
    script has been scored.
    """
    marked = coverage.flagged(rows.filter(pl.col("share") == 1), fpr=fpr).filter(pl.col("label") == 1)
    tables = {key: intervals.by_seed(own) for key, own in marked.group_by(*coverage.MODEL, "part")}
    losses = []
    for (protocol, model, part), (after, clusters) in tables.items():
        if part not in WAYS:
            continue
        before = _same(tables[protocol, model, "test"], clusters)
        change = intervals.cluster_bootstrap(after - before, clusters, seed=seed, rounds=rounds)
        row = {"protocol": protocol, "model": model, "transform": part}
        row |= {"before": float(before.mean()), "after": float(after.mean())}
        losses.append(row | dict(zip(coverage.CHANGE, change, strict=True)) | {"n": len(clusters)})
    if not losses:
        raise CorpusError("no score of a rewritten script: run chapters 6 and 7 again")
    return pl.DataFrame(losses).sort(*coverage.MODEL, "difference", "transform")


def _same(test: tuple[np.ndarray, np.ndarray], clusters: np.ndarray) -> np.ndarray:
    """Return the rows of the test scripts of these clusters: not every script can be wrapped."""
    flagged, of = test
    place = {cluster: row for row, cluster in enumerate(of)}
    return flagged[[place[cluster] for cluster in clusters]]


def false_alarms(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return the share of clean scripts flagged in each way at a realised rate of `fpr` on them as they are.

    It has protocol, model, way, `held_out` (a wrapper that no model was trained on), flagged with its exact
    95% interval, and n.
    """
    marked = coverage.flagged(rows.filter(pl.col("share") == 1), fpr=fpr)
    clean = marked.filter(pl.col("label") == 0, pl.col("part").is_in(WAYS))
    script = clean.group_by(*coverage.MODEL, "part", "sha256").agg(pl.col("flagged").mean())
    table = script.group_by(*coverage.MODEL, way="part").agg(pl.col("flagged").mean(), n=pl.len())
    table = table.with_columns(held_out=pl.col("way").is_in(HELD_OUT)).sort(*coverage.MODEL, "way")
    return coverage.with_interval(table, "flagged")
