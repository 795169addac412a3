"""Log-odds: what calibration divides, ensembles average and explanations add up."""

import numpy as np


def log_odds(scores: np.ndarray, *, nearest: float = 0.0, limit: float = np.inf) -> np.ndarray:
    """Return ln(p / (1 - p)) of scores, float64.

    Parameters
    ----------
    scores : float[...]
        From 0 to 1.
    nearest : float
        Scores are kept so far off 0 and 1 beforehand.
    limit : float
        Log-odds are held within -limit and limit.
    """
    sure = np.clip(scores.astype(np.float64), nearest, 1 - nearest)
    with np.errstate(divide="ignore"):  # 0 and 1 have none: they get the limit
        return np.clip(np.log(sure / (1 - sure)), -limit, limit)
