import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from psembed.evaluation import metrics
from psembed.runtime import intervals
from psembed.runtime.errors import CorpusError, ParameterError, TooFewNegativesError

SCORES = st.floats(0, 1, width=32)


@given(arrays(np.float32, st.integers(100, 400), elements=SCORES), st.sampled_from([0.01, 0.05, 0.5]))
def test_threshold_is_the_smallest_that_keeps_the_rate(scores, fpr):
    threshold = metrics.threshold_at_fpr(scores, fpr)
    assert np.mean(scores >= threshold) <= fpr
    below = np.nextafter(np.float32(threshold), np.float32(-1))
    assert np.mean(scores >= below) > fpr


def test_threshold_allows_exactly_the_false_positives_asked_for():
    scores = np.linspace(0, 1, 1000)
    assert np.count_nonzero(scores >= metrics.threshold_at_fpr(scores, 0.007)) == 7
    assert np.count_nonzero(scores >= metrics.threshold_at_fpr(scores, 0.0079)) == 7


def test_tied_negatives_are_not_flagged_in_part():
    scores = np.array([0.9] * 5 + [0.1] * 95)
    assert np.count_nonzero(scores >= metrics.threshold_at_fpr(scores, 0.03)) == 0
    assert np.count_nonzero(scores >= metrics.threshold_at_fpr(scores, 0.05)) == 5


def test_threshold_survives_a_round_trip_through_a_python_float():
    scores = np.random.default_rng(0).random(5000).astype(np.float32)
    threshold = float(repr(metrics.threshold_at_fpr(scores, 0.001)))
    assert np.count_nonzero(scores >= threshold) == np.count_nonzero(scores >= np.float64(threshold)) == 5


def test_too_few_negatives_says_how_many_are_needed():
    with pytest.raises(TooFewNegativesError, match=r"0\.001 .* 999 negatives: at least 1,000"):
        metrics.threshold_at_fpr(np.zeros(999), 0.001)
    assert metrics.threshold_at_fpr(np.arange(1000.0), 0.001) > 998


@pytest.mark.parametrize("fpr", [0, 1, -0.1, 2, float("nan")])
def test_impossible_rate_is_refused(fpr):
    with pytest.raises(ParameterError, match="expected a share between 0 and 1"):
        metrics.threshold_at_fpr(np.zeros(10), fpr)


def test_rates_have_the_published_exact_interval():
    # Clopper-Pearson: for 0 of 100 the upper end is 1 - 0.025 ** (1 / 100).
    none = metrics.rates(np.r_[np.ones(1), np.zeros(100)], np.zeros(101), 0.5)
    assert (none["fp"], none["negatives"], none["fpr_low"]) == (0, 100, 0.0)
    assert none["fpr_high"] == pytest.approx(1 - 0.025 ** (1 / 100))
    few = metrics.rates(np.r_[np.ones(1), np.zeros(20_000)], np.r_[np.ones(21), np.zeros(19_980)], 1.0)
    assert few["fpr"] == pytest.approx(0.001)
    assert few["fpr_low"] == pytest.approx(0.000611, abs=2e-6)
    assert few["fpr_high"] == pytest.approx(0.001544, abs=2e-6)


def test_rates_count_at_or_above_the_threshold():
    result = metrics.rates([1, 1, 1, 0, 0, 0, 0], np.array([0.9, 0.5, 0.1, 0.5, 0.4, 0.3, 0.2]), 0.5)
    assert (result["tp"], result["positives"], result["fp"], result["negatives"]) == (2, 3, 1, 4)
    assert result["tpr"] == pytest.approx(2 / 3)
    assert result["fpr"] == pytest.approx(1 / 4)
    assert result["tpr_low"] < result["tpr"] < result["tpr_high"]
    assert result["fpr_low"] < result["fpr"] < result["fpr_high"]


def test_binomial_interval_refuses_an_impossible_count():
    assert intervals.binomial_interval(10, 10) == (pytest.approx(0.025**0.1), 1.0)
    for count, total in ((0, 0), (3, 2), (-1, 5)):
        with pytest.raises(CorpusError, match="no share"):
            intervals.binomial_interval(count, total)


def test_roc_and_auc_known_answer():
    labels, scores = [0, 0, 1, 1], np.array([0.1, 0.4, 0.35, 0.8])
    assert metrics.auc(labels, scores) == 0.75
    points = metrics.roc_points(labels, scores)
    assert points.columns == ["fpr", "tpr", "threshold"]
    assert points.row(0) == (0.0, 0.0, float("inf"))
    assert points.row(-1)[:2] == (1.0, 1.0)
    area = np.trapezoid(points["tpr"], points["fpr"])
    assert area == pytest.approx(0.75)


@given(st.lists(st.tuples(st.integers(0, 1), SCORES), min_size=4, max_size=60))
def test_auc_is_the_share_of_ordered_pairs(rows):
    labels, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    if len(set(labels.tolist())) < 2:
        with pytest.raises(CorpusError, match="malicious and benign"):
            metrics.auc(labels, scores)
        return
    gaps = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    assert metrics.auc(labels, scores) == pytest.approx(np.mean((gaps > 0) + (gaps == 0) / 2))


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([1, 1], [0.1, 0.2], "all 2 labels are 1"),
        ([0, 1], [0.1, np.nan], "1 of 2 scores are NaN"),
        ([0, 1, 1], [0.1, 0.2], "one label a score"),
        ([0, 2], [0.1, 0.2], "1 .malicious. or 0"),
        ([], [], "at least one score"),
    ],
)
def test_bad_input_is_named(labels, scores, message):
    for call in (
        lambda: metrics.rates(labels, scores, 0.5),
        lambda: metrics.auc(labels, scores),
        lambda: metrics.roc_points(labels, scores),
    ):
        with pytest.raises(CorpusError, match=message):
            call()


@pytest.mark.parametrize("max_fpr", [0.01, 0.1, 0.5, 0.99])
def test_partial_auc_is_the_area_of_mcclish(max_fpr):
    generator = np.random.default_rng(4)
    labels = generator.integers(0, 2, 500)
    scores = np.round(generator.normal(labels, 1.2), 1)  # rounded, so that some are tied
    points = metrics.roc_points(labels, scores)
    fpr = np.r_[points["fpr"].filter(points["fpr"] < max_fpr), max_fpr]
    inside = points.filter(points["fpr"] < max_fpr)
    tpr = np.r_[inside["tpr"], np.interp(max_fpr, points["fpr"], points["tpr"])]
    area, chance = np.trapezoid(tpr, fpr), max_fpr**2 / 2
    expected = (1 + (area - chance) / (max_fpr - chance)) / 2
    assert metrics.auc(labels, scores, max_fpr=max_fpr) == pytest.approx(expected)


def test_partial_auc_of_known_detectors():
    labels = np.r_[np.zeros(1000), np.ones(1000)]
    chance, perfect = np.zeros(2000), labels + 0.0
    late = np.r_[np.linspace(0, 1, 1000), np.full(1000, 0.5)]  # finds all once half the benign are flagged
    for max_fpr in (0.001, 0.2):
        assert metrics.auc(labels, chance, max_fpr=max_fpr) == pytest.approx(0.5)
        assert metrics.auc(labels, perfect, max_fpr=max_fpr) == 1
        assert metrics.auc(labels, late, max_fpr=max_fpr) < 0.5
    assert metrics.auc(labels, late) == pytest.approx(0.5)


def test_precision_in_the_field_follows_from_the_rates():
    seen = metrics.at_prevalence(0.9, 0.001, prevalence=0.0001)
    assert seen["alerts"] == pytest.approx(90 + 999.9)
    assert seen["false_alerts"] == pytest.approx(999.9)
    assert seen["precision"] == pytest.approx(90 / 1089.9)
    assert metrics.at_prevalence(1.0, 0.0, prevalence=0.5)["precision"] == 1
    nothing = metrics.at_prevalence(0.0, 0.0, prevalence=0.5)
    assert nothing == {"precision": None, "alerts": 0, "false_alerts": 0}


@given(st.floats(0.01, 1), st.floats(0.001, 1), st.floats(0.001, 0.999))
def test_precision_is_the_share_of_a_counted_population(tpr, fpr, prevalence):
    malicious, benign = 1e6 * prevalence, 1e6 * (1 - prevalence)
    seen = metrics.at_prevalence(tpr, fpr, prevalence=prevalence)
    assert seen["precision"] == pytest.approx(malicious * tpr / (malicious * tpr + benign * fpr))
    assert seen["alerts"] - seen["false_alerts"] == pytest.approx(malicious * tpr, rel=1e-6)


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_impossible_shares_are_named(share):
    with pytest.raises(ParameterError, match=r"max_fpr .*between 0 and 1"):
        metrics.auc([0, 1], np.array([0.1, 0.2]), max_fpr=share)
    with pytest.raises(ParameterError, match=r"prevalence .*between 0 and 1"):
        metrics.at_prevalence(0.9, 0.1, prevalence=share)
    with pytest.raises(ParameterError, match=r"fpr 1\.1"):
        metrics.at_prevalence(0.9, 1.1, prevalence=0.1)
    with pytest.raises(CorpusError, match="malicious and benign"):
        metrics.auc([1, 1], np.array([0.1, 0.2]), max_fpr=0.1)


def test_roc_points_along_a_line_are_left_out_whatever_ties_they_come_from():
    labels = np.array([1, *[0] * 9, 1])
    scores = np.array([0.9, 0.8, 0.7, 0.7, 0.6, 0.5, 0.5, 0.5, 0.4, 0.4, 0.1])  # level steps of 1, 2, 1, 3, 2
    points = metrics.roc_points(labels, scores)
    assert points.select("fpr", "tpr").rows() == [(0, 0), (0, 0.5), (1, 0.5), (1, 1)]
