"""Rates of models when chance has its way: other sources, other clusters, other groups, other seeds.

Each round draws the sources of malicious scripts, the clusters within each, the groups of clean scripts and
the seeds of training, all with replacement, and sets every threshold anew. Two sets that hold the same
scripts are one source (SAME_SOURCE). The rounds of two models of a protocol draw the same scripts, so their
differences are paired.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from psembed.datasets.protocols import SAME_SOURCE, TEST
from psembed.runtime.errors import CorpusError, TooFewNegativesError
from psembed.runtime.intervals import CONFIDENCE

TAIL = 0.05  # of clean scripts, the highest scores: no threshold lies below them
AMPLE = 5  # times the rate wanted, that the tail holds at least
LEAST = 200  # clean scripts of the tail


class Rates(NamedTuple):
    """Rates of one model, float64[rounds + 1] each: as measured first, then of each round.

    `tpr` is at a realised false-positive rate of at most the one wanted; `asked_tpr` and `asked_fpr` are at
    the crossed thresholds of a rate asked for.
    """

    tpr: np.ndarray
    asked_tpr: np.ndarray
    asked_fpr: np.ndarray


def interval(draws: np.ndarray) -> tuple[float, float]:
    """Return the 95% percentile interval of a rate, or of a difference of two, as `Rates` have it."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws[1:], [tail, 1 - tail])
    return float(low), float(high)


def rates(own: pl.DataFrame, *, fpr: float, asked: float, seed: int, rounds: int) -> Rates:
    """Return the rates of one model in one protocol.

    Of its score table are read part, seed, sha256, label, z (`coverage.crossed`), fold, stratum, cluster and
    group; `fpr` is the rate wanted, `asked` the one asked of crossed thresholds. Raises CorpusError if seeds
    scored different scripts or a class is missing, TooFewNegativesError if there are fewer than 1 / fpr clean
    scripts.
    """
    test = own.filter(pl.col("part") == TEST).sort("seed", "label", "sha256")
    seeds = test.partition_by("seed", maintain_order=True)
    if any(not one["sha256"].equals(seeds[0]["sha256"]) for one in seeds):
        raise CorpusError("scores that do not line up: every seed must score the same scripts once")
    clean, malicious = (seeds[0].filter(label=label) for label in (0, 1))
    if clean.is_empty() or malicious.is_empty():
        raise CorpusError("scores of one class only: a rate needs malicious and clean scripts")
    if clean.height * fpr < 1:
        raise TooFewNegativesError(f"FPR {fpr:g} cannot be realised on {clean.height:,} clean scripts")
    random = np.random.default_rng(seed)
    weights = _of_groups(clean["group"], rounds, random)
    sources = malicious["stratum"].replace(SAME_SOURCE)
    shares = _of_sources(sources, malicious["cluster"], rounds, random)
    found = [_of_seed(one, weights, shares, fpr=fpr, asked=asked) for one in seeds]
    drawn = random.integers(len(seeds), size=(rounds, len(seeds)))
    return Rates(*(_over_seeds(np.stack(rate), drawn) for rate in zip(*found, strict=True)))


def _over_seeds(of_seeds: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Return float64[1 + rounds]: the mean over all seeds, then over those drawn in each round."""
    resampled = np.take_along_axis(of_seeds[:, 1:].T, drawn, axis=1).mean(axis=1)
    return np.concatenate([[of_seeds[:, 0].mean()], resampled])


def _of_groups(groups: pl.Series, rounds: int, random: np.random.Generator) -> np.ndarray:
    """Return how often each script counts, float32[1 + rounds, n]: once, then as its group is drawn."""
    codes = groups.rank("dense").to_numpy() - 1
    count = int(codes.max()) + 1
    drawn = random.multinomial(count, np.full(count, 1 / count), size=rounds)
    every = np.concatenate([np.ones((1, count)), drawn]).astype(np.float32)
    return np.take(every, codes, axis=1)


def _of_sources(
    sources: pl.Series, clusters: pl.Series, rounds: int, random: np.random.Generator
) -> np.ndarray:
    """Return how often each script counts when sources are drawn, and clusters within them."""
    codes = (sources.rank("dense").to_numpy() - 1).astype(np.int64)
    count = int(codes.max()) + 1
    times = random.multinomial(count, np.full(count, 1 / count), size=rounds)
    weights = np.ones((1 + rounds, len(codes)), dtype=np.float32)
    for code in range(count):
        own = codes == code
        within = _of_groups(clusters.filter(own), rounds, random)
        weights[1:, own] = within[1:] * times[:, [code]]
    return weights


def _of_seed(
    own: pl.DataFrame, weights: np.ndarray, shares: np.ndarray, *, fpr: float, asked: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `Rates` of one training; weights are of its clean scripts, shares of its malicious ones."""
    scores, folds = own["z"].to_numpy(), own["fold"].to_numpy()
    clean = own["label"].to_numpy() == 0
    kept = max(LEAST, int(np.ceil(max(TAIL, AMPLE * fpr) * clean.sum())))
    top = np.argsort(-scores[clean], kind="stable")[:kept]
    tail, tail_folds, counts = scores[clean][top], folds[clean][top], weights[:, top]
    of_folds = np.unique(folds)
    totals = weights @ (folds[clean][:, None] == of_folds).astype(np.float32)  # whole numbers: exact
    total = totals.sum(axis=1, dtype=np.float64)
    false = np.empty(counts.shape)
    true = np.empty(shares.shape)
    for fold, own_total in zip(of_folds, totals.T, strict=True):
        others = tail_folds != fold
        above = np.cumsum(counts[:, others], axis=1, dtype=np.float64)
        above = np.concatenate([np.zeros((len(above), 1)), above], axis=1)
        drawn = (total - own_total)[:, None]
        above = np.where(drawn > 0, above / np.maximum(drawn, 1), 1.0)  # no other script, no threshold
        ordered = -tail[others]  # ascending
        for rate, asking, mine in (
            (false, tail, tail_folds == fold),
            (true, scores[~clean], folds[~clean] == fold),
        ):
            rate[:, mine] = above[:, np.searchsorted(ordered, -asking[mine], side="right")]
    limit = _limit(false, counts, fpr * total)
    flagged = [true < limit[:, None], true <= asked, false <= asked]
    sought = shares.sum(axis=1, dtype=np.float64)
    return (
        (flagged[0] * shares).sum(axis=1) / sought,
        (flagged[1] * shares).sum(axis=1) / sought,
        (flagged[2] * counts).sum(axis=1) / total,
    )


def _limit(rate: np.ndarray, counts: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Return the rate below which clean scripts of at most the weight allowed lie, a row a round.

    Where all together weigh no more, it is the highest rate.
    """
    order = np.argsort(rate, axis=1, kind="stable")
    ordered = np.take_along_axis(rate, order, axis=1)
    held = np.cumsum(np.take_along_axis(counts, order, axis=1), axis=1, dtype=np.float64)
    over = held > allowed[:, None] + 1e-9
    over[:, -1] = True
    first = np.argmax(over, axis=1)
    return np.take_along_axis(ordered, first[:, None], axis=1)[:, 0]
