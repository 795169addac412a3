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
    values: np.ndarray, clusters: np.ndarray, *, less: np.ndarray | None = None, seed: int, rounds: int = 1000
) -> tuple[float, float, float]:
    """Return the mean of `values` and its 95% percentile interval over whole clusters and over seeds.

    `values` (float[n] or float[n, seeds]) has a row a script, `clusters` (int[n]) its near-duplicate cluster;
    `less` (float[n, other seeds]) is subtracted: the same scripts by another model, whose seeds are drawn by
    themselves. Each round draws as many clusters as there are, and as many seeds, both with replacement:
    near-duplicates are found or missed together, and another seed gives another network. With one seed it is
    the plain cluster bootstrap. Thresholds are held fixed. Raises CorpusError if there is no script, lengths
    differ, or a value is NaN (a script that one seed has not scored).
    """
    given = [values] if less is None else [values, less]
    tables = [np.atleast_2d(np.asarray(table, dtype=np.float64).T).T for table in given]
    if not len(clusters) or any(len(table) != len(clusters) or np.isnan(table).any() for table in tables):
        raise CorpusError("scores that do not line up: every seed and model must score the same scripts once")
    _, codes, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    totals = [np.stack([np.bincount(codes, weights=one) for one in table.T], axis=1) for table in tables]
    draws = _draws(totals, sizes, seed=seed, rounds=rounds)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    means = [float(table.mean()) for table in tables]
    return means[0] - sum(means[1:]), float(low), float(high)


def _draws(totals: list[np.ndarray], sizes: np.ndarray, *, seed: int, rounds: int) -> np.ndarray:
    """Return the rate of the first table, less that of the second if there is one, in each round."""
    generator, draws = np.random.default_rng(seed), []
    step = max(1, _BLOCK // len(sizes))
    for start in range(0, rounds, step):
        times = _drawn_clusters(len(sizes), min(step, rounds - start), (seed, start))
        rates = []
        for table in totals:
            of_seed = times @ table / (times @ sizes)[:, None]
            drawn = generator.integers(table.shape[1], size=of_seed.shape)
            rates.append(np.take_along_axis(of_seed, drawn, axis=1).mean(axis=1))
        draws.append(rates[0] - sum(rates[1:]))
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
