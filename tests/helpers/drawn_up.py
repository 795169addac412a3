"""Labelled scripts as chapter 5 leaves them: in folds, with their roles in every protocol, some rewritten."""

import numpy as np
import polars as pl

from psembed.datasets import protocols


def samples(groups: int = 24, *, ways: tuple[str, ...] = ("case",)) -> pl.DataFrame:
    """Return two scripts of each group, in one cluster: clean ones of repositories, malicious of two sources.

    One clean and one malicious script are dropped by a rule; the first script of each cluster is there in
    every way, too.
    """
    rows = []
    for group in range(groups):
        clean, text = group % 2 == 0, "get-date" if group % 2 == 0 else "iex"
        for copy in range(2):
            dropped = "too short" if copy and group in (2, 3) else ""
            rows.append({
                "sha256": f"{group}-{copy}", "source": "r" if clean else ("old", "wild")[group % 4 == 1],
                "repository_group": f"g{group}" if clean else "", "label": int(not clean),
                "stratum": ("human", "snippets")[group % 8 == 0] if clean else "m", "cluster": group,
                "group": group, "read": f"{text} ; " * (1 + group % 3), "dropped": dropped,
                "characters": 10 + group,
            })  # fmt: skip
    audited = protocols.with_folds(pl.DataFrame(rows).cast({"label": pl.Int8}), folds=2, seed=1)
    plain = protocols.draw_up(audited, wild_source="wild", pinned=[])
    first = plain.filter(pl.col("rank") == 0, pl.col("dropped") == "")
    return pl.concat([plain, *(first.with_columns(way=pl.lit(way)) for way in ways)])


def scored(
    samples: pl.DataFrame, protocol: str, *, seed: int = 0
) -> list[tuple[str, pl.DataFrame, np.ndarray]]:
    """Return the parts that the folds of a protocol test, each with scores by chance."""
    random = np.random.default_rng(seed)
    return [
        (part, rows, random.random(rows.height, dtype=np.float32))
        for fold in protocols.folds(samples)
        for part, rows in protocols.tested(samples, protocol, fold).items()
    ]
