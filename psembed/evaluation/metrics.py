"""Detection metrics: the one definition of each, always computed from scores.

A script is flagged when its score is at or above the threshold.
"""

import math

import numpy as np
import polars as pl
from sklearn.metrics import roc_auc_score, roc_curve

from psembed.runtime.errors import CorpusError, ParameterError, TooFewNegativesError
from psembed.runtime.intervals import binomial_interval


def threshold_at_fpr(negative_scores: np.ndarray, fpr: float) -> float:
    """Return the smallest threshold that flags at most a share `fpr` of the negatives.

    With k = floor(n * fpr) false positives allowed, it is the next number, in the type of the
    scores, above the (k+1)-th largest score: tied scores are flagged together or not at all.

    `negative_scores` (float[n]) are those of benign scripts; NaN is a CorpusError. `fpr` is
    between 0 and 1 (ParameterError), and not so low that n * fpr < 1 (TooFewNegativesError).
    """
    _share("fpr", fpr)
    scores = np.sort(checked_scores(negative_scores))[::-1]
    allowed = math.floor(len(scores) * fpr + 1e-9)  # 1e-9: 1000 * 0.007 is 7.000000000000001, and the like
    if allowed < 1:
        needed = math.ceil(1 / fpr - 1e-9)
        raise TooFewNegativesError(
            f"FPR {fpr:g} cannot be set on {len(scores):,} negatives: at least {needed:,} are needed; "
            "add benign scripts or ask for a higher FPR"
        )
    boundary = scores[allowed]
    return float(np.nextafter(boundary, np.inf, dtype=boundary.dtype))


def rates(labels: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, float]:
    """Return true- and false-positive rates at a fixed threshold, with exact 95% intervals.

    The dict holds tpr, tpr_low, tpr_high, fpr, fpr_low, fpr_high (shares), tp, fp, positives and negatives
    (counts). Intervals treat scripts as independent. What `checked` refuses is a CorpusError.
    """
    labels, scores = checked(labels, scores)
    result = {}
    for label, rate, flagged, total in ((1, "tpr", "tp", "positives"), (0, "fpr", "fp", "negatives")):
        reached = scores[labels == label] >= threshold
        low, high = binomial_interval(reached.sum(), len(reached))
        result |= {rate: float(reached.mean()), f"{rate}_low": low, f"{rate}_high": high}
        result |= {flagged: int(reached.sum()), total: len(reached)}
    return result


def roc_points(labels: np.ndarray, scores: np.ndarray) -> pl.DataFrame:
    """Return the corners of the ROC curve, from (0, 0) to (1, 1); raises as `rates`.

    Columns: fpr, tpr (shares, ascending), threshold (descending, from infinity, where nothing is flagged).
    """
    labels, scores = checked(labels, scores)
    fpr, tpr, thresholds = roc_curve(labels, scores.astype(np.float64))
    points = pl.DataFrame({"fpr": fpr, "tpr": tpr, "threshold": thresholds})
    along = [  # roc_curve keeps points along a level or upright line where ties make its steps unequal
        (pl.col(rate) == pl.col(rate).shift(1)) & (pl.col(rate) == pl.col(rate).shift(-1))
        for rate in ("fpr", "tpr")
    ]
    return points.filter(~pl.any_horizontal(along).fill_null(False))


def auc(labels: np.ndarray, scores: np.ndarray, *, max_fpr: float | None = None) -> float:
    """Return the area under the ROC curve, from scores (never from thresholded labels); raises as `rates`.

    With `max_fpr` it is the part up to that rate, standardised by McClish (1989): chance gives 0.5, a perfect
    detector 1, whatever `max_fpr` is; below 0.5 is possible.
    """
    if max_fpr is not None:
        _share("max_fpr", max_fpr)
    return float(roc_auc_score(*checked(labels, scores), max_fpr=max_fpr))


def at_prevalence(tpr: float, fpr: float, *, prevalence: float) -> dict[str, float | None]:
    """Return what an analyst would see where a share `prevalence` of all scripts is malicious.

    Test sets hold far more of them than machines do. The dict holds precision (share of alerts that are
    right, None without alerts), alerts and false_alerts, per million scripts. Bad shares: ParameterError.
    """
    _share("prevalence", prevalence)
    for name, rate in (("tpr", tpr), ("fpr", fpr)):
        if not 0 <= rate <= 1:
            raise ParameterError(f"{name} {rate!r}: expected a share from 0 to 1")
    right, false = tpr * prevalence, fpr * (1 - prevalence)
    alerts = right + false
    precision = right / alerts if alerts else None
    return {"precision": precision, "alerts": alerts * 1e6, "false_alerts": false * 1e6}


def _share(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ParameterError(f"{name} {value!r}: expected a share between 0 and 1, such as 0.001 for 0.1%")


def checked_scores(scores: np.ndarray) -> np.ndarray:
    """Return `scores` as a floating-point vector, refusing an empty one and NaN (CorpusError)."""
    scores = np.asarray(scores)
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    if scores.ndim != 1 or len(scores) == 0:
        raise CorpusError(f"scores of shape {scores.shape}: expected a vector with at least one score")
    missing = int(np.count_nonzero(np.isnan(scores)))
    if missing:
        raise CorpusError(f"{missing:,} of {len(scores):,} scores are NaN: the model that made them failed")
    return scores


def checked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (1 malicious, 0 benign) and scores: one length, both classes, else a CorpusError."""
    labels, scores = np.asarray(labels), checked_scores(scores)
    if labels.shape != scores.shape:
        raise CorpusError(f"{labels.shape} labels and {scores.shape} scores: expected one label a score")
    present = set(np.unique(labels).tolist())
    if not present <= {0, 1}:
        raise CorpusError(f"labels {sorted(present, key=str)[:5]}: expected 1 (malicious) or 0 (benign)")
    if len(present) < 2:
        raise CorpusError(f"all {len(labels):,} labels are {labels[0]:g}: give malicious and benign scripts")
    return labels, scores
