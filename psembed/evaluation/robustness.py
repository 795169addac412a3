"""Robustness: what is still found of malicious scripts written another way, and training that expects it.

Variants are made in memory by psembed.datasets.transforms, of test scripts for measuring and of training
scripts for hardening. In a score table the name of a transform stands where "test" does.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from psembed.datasets import transforms
from psembed.evaluation import coverage
from psembed.runtime import intervals
from psembed.runtime.errors import CorpusError

VARIANTS = 2  # variants of each malicious script that hardened training gets, and as many of clean ones


def variants(parts: dict[str, pl.DataFrame], *, seed: int) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield each transform's name and the malicious test scripts, with the `clean` text rewritten by it.

    Of `labels.parts`; benign padding is taken from clean test scripts, which no model was trained on.
    """
    test = parts["test"]
    malicious, hosts = test.filter(pl.col("label") == 1), test.filter(pl.col("label") == 0)["clean"].to_list()
    for name in transforms.TRANSFORMS:
        rewritten = transforms.apply(name, malicious["clean"], seed=seed, hosts=hosts)
        yield name, malicious.with_columns(clean=pl.Series(rewritten, dtype=pl.String))


def hardened(train: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    """Return training scripts and variants of them: VARIANTS of each malicious one, as many of clean ones.

    Else the network would learn that rewriting is malicious. Each variant is by one transform, all equally
    likely, and keeps its label, cluster and hash. Of clean scripts there is none that hides all it holds
    (`transforms.OPAQUE`): a network takes all such for clean then. A missing class raises CorpusError.
    """
    malicious, clean = (train.filter(pl.col("label") == label) for label in (1, 0))
    if not malicious.height or not clean.height:
        raise CorpusError("training scripts of one class only: hardening needs both")
    random = np.random.default_rng(seed)
    count = VARIANTS * malicious.height
    drawn = clean[random.choice(clean.height, size=count, replace=count > clean.height)]
    drawn = pl.concat([*[malicious] * VARIANTS, drawn])
    hosts, names = clean["clean"].to_list(), list(transforms.TRANSFORMS)
    chosen = random.integers(len(names), size=drawn.height)
    rewritten = []
    for number, name in enumerate(names):
        kept = pl.lit(True) if name not in transforms.OPAQUE else pl.col("label") == 1
        rows = drawn.filter(pl.Series(chosen == number), kept)
        texts = transforms.apply(name, rows["clean"], seed=seed, hosts=hosts)
        rewritten.append(rows.with_columns(clean=pl.Series(texts, dtype=pl.String)))
    return pl.concat([train, *rewritten])


def table(rows: pl.DataFrame, *, fpr: float, seed: int, rounds: int) -> pl.DataFrame:
    """Return what each transform costs each model at the threshold that validation data gave for `fpr`.

    It has protocol, model, transform, before and after (TPR, mean over seeds), the paired difference with its
    95% interval low..high, and n, the largest loss first. CorpusError if no rewritten script has been scored.
    """
    marked = coverage.flagged(rows, fpr=fpr).filter(pl.col("label") == 1)
    tables = {key: intervals.by_seed(own) for key, own in marked.group_by(*coverage.MODEL, "part")}
    losses = []
    for (protocol, model, part), (after, clusters) in tables.items():
        if part not in transforms.TRANSFORMS:
            continue
        before, _ = tables[protocol, model, "test"]
        change = intervals.cluster_bootstrap(after - before, clusters, seed=seed, rounds=rounds)
        row = {"protocol": protocol, "model": model, "transform": part}
        row |= {"before": float(before.mean()), "after": float(after.mean())}
        losses.append(row | dict(zip(coverage.CHANGE, change, strict=True)) | {"n": len(clusters)})
    if not losses:
        raise CorpusError("no score of a rewritten script: run chapters 6 and 7 again")
    return pl.DataFrame(losses).sort(*coverage.MODEL, "difference", "transform")
