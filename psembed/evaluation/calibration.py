"""Calibration: whether a score can be read as a probability, and one number that brings it nearer to one.

Temperature scaling (Guo et al. 2017) divides the log-odds of a score by one number, found on scripts of other
folds. It cannot change which script scores higher, so no rate at a threshold and no ROC curve changes; nor
can it move all scores up or down, as a model trained with balanced class weights on a rare class would need.
Scores of exactly 0 or 1 have no log-odds: they are held within LOGIT_LIMIT, beyond which scores become equal;
so thresholds are set on the scores as the detector gives them.
"""

import numpy as np
import polars as pl
from scipy.optimize import minimize_scalar
from scipy.special import expit

from psembed.datasets.protocols import TEST
from psembed.detector.verdict import LOGIT_LIMIT, log_odds
from psembed.evaluation import metrics
from psembed.project.results import Calibration
from psembed.runtime.errors import CorpusError, ParameterError

TEMPERATURES = (0.05, 20.0)  # sought between these; scores without a mistake would want 0
BINS = 15  # of the reliability table


def calibrated(rows: pl.DataFrame, *, protocol: str, model: str) -> Calibration:
    """Fit temperatures to test scores of the first seed, and say how well they are calibrated.

    It gives the temperature of all scores; the expected_calibration_error and reliability (rows) of scores
    that each had the temperature of the other folds; and `before`, the error without any.
    """
    own = rows.filter((pl.col("protocol") == protocol) & (pl.col("model") == model), pl.col("part") == TEST)
    own = own.filter((pl.col("seed") == pl.col("seed").min()) & (pl.col("share") == 1))
    labels, raw, folds = (own[name].to_numpy() for name in ("label", "score", "fold"))
    scores = np.empty(len(raw))
    for fold in np.unique(folds):
        within = folds == fold
        scores[within] = apply(raw[within], temperature(raw[~within], labels[~within]))
    return {
        "temperature": temperature(raw, labels),
        "expected_calibration_error": expected_calibration_error(scores, labels, bins=BINS),
        "before": expected_calibration_error(raw, labels, bins=BINS),
        "reliability": reliability(scores, labels, bins=BINS).to_dicts(),
    }


def temperature(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature with the smallest log loss, within TEMPERATURES: above 1 for scores too sure.

    Scores are from 0 to 1, or CorpusError is raised; labels are 1 malicious, 0 benign.
    """
    labels, scores = metrics.checked(labels, scores)
    odds = np.where(labels == 1, 1, -1) * log_odds(_within(scores), limit=LOGIT_LIMIT)
    low, high = np.log(TEMPERATURES)

    def loss(log_temperature: float) -> float:
        return np.logaddexp(0, -odds * np.exp(-log_temperature)).mean()

    inner = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6}).x
    return float(np.exp(min((low, inner, high), key=loss)))


def apply(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Return calibrated scores (float64[n]): the log-odds of each, divided by `temperature`.

    A temperature not above 0 raises ParameterError, a score that is NaN or outside 0 to 1 CorpusError.
    """
    if not 0 < temperature < np.inf:
        raise ParameterError(f"temperature is {temperature!r}: expected a number above 0 (1 changes nothing)")
    scores = _within(metrics.checked_scores(scores))
    return expit(log_odds(scores, limit=LOGIT_LIMIT) / temperature)


def reliability(scores: np.ndarray, labels: np.ndarray, *, bins: int) -> pl.DataFrame:
    """Return how often scripts of like score (0 to 1) are malicious, in at least 1 bin of equal width.

    The table has a row a bin, empty ones too: low, high (its edges; high is within the last bin only), score
    (mean) and malicious (share), both null in an empty bin, and n.
    """
    if not isinstance(bins, int) or bins < 1:
        raise ParameterError(f"bins is {bins!r}: give a whole number of at least 1")
    labels, scores = metrics.checked(labels, scores)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, _within(scores), side="right") - 1, 0, bins - 1)
    table = pl.DataFrame({"bin": place, "score": scores.astype(np.float64), "label": labels})
    filled = table.group_by("bin").agg(pl.col("score").mean(), malicious=pl.col("label").mean(), n=pl.len())
    every = pl.DataFrame({"bin": np.arange(bins), "low": edges[:-1], "high": edges[1:]})
    joined = every.join(filled, on="bin", how="left", maintain_order="left")
    return joined.with_columns(pl.col("n").fill_null(0).cast(pl.Int64)).drop("bin")


def expected_calibration_error(scores: np.ndarray, labels: np.ndarray, *, bins: int) -> float:
    """Return how far share and mean score are apart in the bins of `reliability`, weighted by scripts.

    0 is perfect. With few malicious scripts it is small for all detectors that say "benign" of nearly all.
    """
    table = reliability(scores, labels, bins=bins)
    gap = (pl.col("score") - pl.col("malicious")).abs().fill_null(0)
    return float(table.select((gap * pl.col("n")).sum() / pl.col("n").sum()).item())


def _within(scores: np.ndarray) -> np.ndarray:
    outside = scores[(scores < 0) | (scores > 1)]
    if len(outside):
        amount = f"{outside[0]:g} of {len(outside):,} script(s)"
        raise CorpusError(f"score {amount}: expected 0 to 1; give scores, not log-odds")
    return scores
