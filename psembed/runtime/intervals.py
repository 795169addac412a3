"""Intervals over what a rate depends on by chance: the test scripts, and the seeds of training."""

import functools

import numpy as np
import polars as pl
from scipy.stats import binomtest

from psembed.runtime.errors import CorpusError

CONFIDENCE = 0.95
_BLOCK = 2_000_000  # cells of one block of draws: 16 MB


def by_seed(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return `flagged` of the scripts of one model and part, float64[n, seeds], and their clusters, int64[n].

    Scripts are in the order of their hashes, so two models' tables of the same scripts line up.
    """
    wide = rows.pivot(on="seed", index=["sha256", "cluster"], values="flagged").sort("sha256")
    return wide.drop("sha256", "cluster").to_numpy().astype(np.float64), wide["cluster"].to_numpy()


def cluster_bootstrap(
    values: np.ndarray, clusters: np.ndarray, *, seed: int, rounds: int = 1000
) -> tuple[float, float, float]:
    """Return the mean of `values` and its 95% percentile interval over whole clusters and over seeds.

    `values` (float[n] or float[n, seeds]) has a row a script, `clusters` (int[n]) its near-duplicate cluster.
    Each round draws as many clusters as there are, and as many seeds, both with replacement:
    near-duplicates are found or missed together, and another seed gives another network. With one seed it is
    the plain cluster bootstrap. Thresholds are held fixed. Raises CorpusError if there is no script, lengths
    differ, or a value is NaN (a script that one seed has not scored).
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64).T).T
    if not len(clusters) or len(table) != len(clusters) or np.isnan(table).any():
        raise CorpusError("scores that do not line up: every seed must score the same scripts once")
    _, codes, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    totals = np.stack([np.bincount(codes, weights=one) for one in table.T], axis=1)
    draws = _draws(totals, sizes, seed=seed, rounds=rounds)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(table.mean()), float(low), float(high)


def _draws(totals: np.ndarray, sizes: np.ndarray, *, seed: int, rounds: int) -> np.ndarray:
    """Return the mean of each round."""
    generator, draws = np.random.default_rng(seed), []
    step = max(1, _BLOCK // len(sizes))
    for start in range(0, rounds, step):
        times = _drawn_clusters(len(sizes), min(step, rounds - start), (seed, start))
        of_seed = times @ totals / (times @ sizes)[:, None]
        drawn = generator.integers(totals.shape[1], size=of_seed.shape)
        draws.append(np.take_along_axis(of_seed, drawn, axis=1).mean(axis=1))
    return np.concatenate(draws)


@functools.lru_cache(maxsize=8)
def _drawn_clusters(count: int, rounds: int, seed: tuple[int, int]) -> np.ndarray:
    """Return how often each of `count` clusters is drawn in each round, float64[rounds, count].

    Kept, since many models are judged on the same scripts.
    """
    generator = np.random.default_rng(seed)
    return generator.multinomial(count, np.full(count, 1 / count), size=rounds).astype(np.float64)


def binomial_interval(count: int, total: int) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) 95% interval of a share of `count` in `total`.

    Raises CorpusError if `total` is 0 or `count` is not between 0 and `total`.
    """
    if not 0 <= count <= total or total == 0:
        raise CorpusError(
            f"{count} of {total} scripts: no share can be computed; expected 0 <= count <= total"
        )
    bounds = binomtest(int(count), int(total)).proportion_ci(CONFIDENCE, method="exact")
    return float(bounds.low), float(bounds.high)
