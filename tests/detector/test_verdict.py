"""Log-odds are those of SciPy, and bounds hold them."""

import numpy as np
import pytest
from scipy.special import logit

from psembed.detector.verdict import log_odds


def test_log_odds_are_those_of_a_probability():
    scores = np.linspace(0.001, 0.999, 999).astype(np.float32)
    assert log_odds(scores) == pytest.approx(logit(scores.astype(np.float64)), rel=1e-12, abs=1e-12)


def test_scores_of_0_and_1_have_none_and_get_the_bound():
    ends = np.array([0, 1], dtype=np.float32)
    assert log_odds(ends).tolist() == [-np.inf, np.inf]
    assert log_odds(ends, limit=17.0).tolist() == [-17, 17]
    assert log_odds(ends, nearest=1e-7) == pytest.approx([-np.log(1e7), np.log(1e7)])
