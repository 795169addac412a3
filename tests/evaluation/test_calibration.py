"""Temperatures that were planted are found again, and the reliability table counts what it says."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from polars.testing import assert_frame_equal
from scipy.special import expit, logit
from scored_rows import as_part, rows

from psembed.evaluation import calibration, metrics
from psembed.runtime.errors import CorpusError, ParameterError

SCORES = arrays(np.float32, st.integers(1, 50), elements=st.floats(0, 1, width=32))


def honest(seed, n=40_000):
    """Return scores that are probabilities, and labels drawn with them."""
    generator = np.random.default_rng(seed)
    scores = expit(generator.normal(-1, 2, n))
    return scores, (generator.random(n) < scores).astype(int)


@pytest.mark.parametrize("planted", [0.4, 1.0, 3.0])
def test_a_planted_temperature_is_found_and_undone(planted):
    scores, labels = honest(0)
    distorted = expit(logit(scores) * planted)
    found = calibration.temperature(distorted, labels)
    assert found == pytest.approx(planted, rel=0.04)
    held = np.abs(logit(distorted)) < calibration.LOGIT_LIMIT
    assert held.mean() > 0.98
    assert np.allclose(calibration.apply(distorted, planted)[held], scores[held])


def test_the_temperature_has_the_smallest_log_loss_of_its_neighbours():
    scores, labels = honest(1, n=500)
    found = calibration.temperature(scores, labels)

    def loss(temperature):
        calibrated = calibration.apply(scores, temperature)
        return -np.log(np.where(labels == 1, calibrated, 1 - calibrated)).mean()

    assert loss(found) < min(loss(found * 1.01), loss(found / 1.01))


def test_scores_without_a_mistake_and_scores_the_wrong_way_round_end_at_the_limits():
    labels = np.array([0, 0, 1, 1])
    low, high = calibration.TEMPERATURES
    assert calibration.temperature(np.array([0.1, 0.2, 0.8, 0.9]), labels) == pytest.approx(low)
    assert calibration.temperature(np.array([0.9, 0.8, 0.2, 0.1]), labels) == pytest.approx(high)
    assert calibration.temperature(np.array([0.0, 0.0, 1.0, 1.0]), labels) == pytest.approx(low)


@given(SCORES, st.floats(0.05, 20))
def test_the_order_of_scores_is_kept(scores, temperature):
    calibrated = calibration.apply(scores, temperature)
    assert calibrated.dtype == np.float64
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    assert (np.diff(calibrated[np.argsort(scores)]) >= 0).all()


def test_large_scores_of_float32_stay_apart_and_a_temperature_of_1_changes_nothing():
    one = np.float32(1)
    scores = np.array([0.5, 0.9, np.nextafter(one, np.float32(0)), one])
    calibrated = calibration.apply(scores, 2.0)
    assert (np.diff(calibrated) > 0).all()
    assert np.allclose(calibration.apply(scores, 1.0), scores, atol=1e-7)


def test_the_rate_at_a_threshold_does_not_move():
    scores, labels = honest(2, n=2000)
    found = []
    for values in (scores, calibration.apply(scores, 2.5)):
        threshold = metrics.threshold_at_fpr(values[labels == 0], 0.01)
        found.append(metrics.rates(labels, values, threshold))
    assert found[0] == found[1]
    assert 0 < found[0]["tpr"] < 1


def test_reliability_counts_by_hand():
    scores = np.array([0.0, 0.1, 0.25, 0.3, 1.0], dtype=np.float32)
    table = calibration.reliability(scores, np.array([0, 1, 0, 1, 1]), bins=4)
    assert table.columns == ["low", "high", "score", "malicious", "n"]
    assert table["low"].to_list() == [0, 0.25, 0.5, 0.75]
    assert table["high"].to_list() == [0.25, 0.5, 0.75, 1]
    assert table["n"].to_list() == [2, 2, 0, 1]
    assert table["malicious"].to_list() == [0.5, 0.5, None, 1.0]
    assert table["score"].to_list() == pytest.approx([0.05, 0.275, None, 1.0], abs=1e-7)
    error = calibration.expected_calibration_error(scores, np.array([0, 1, 0, 1, 1]), bins=4)
    assert error == pytest.approx((2 * 0.45 + 2 * 0.225 + 0) / 5)


@given(SCORES.filter(lambda scores: len(scores) > 1), st.integers(1, 30))
def test_every_script_is_in_the_bin_whose_edges_hold_it(scores, bins):
    labels = np.arange(len(scores)) % 2
    table = calibration.reliability(scores, labels, bins=bins)
    assert table["n"].sum() == len(scores)
    filled = table.filter(table["n"] > 0)
    assert (filled["low"] <= filled["score"] + 1e-12).all()
    assert (filled["score"] <= filled["high"] + 1e-12).all()
    assert (filled["malicious"] * filled["n"]).sum() == pytest.approx(labels.sum())


def test_honest_scores_have_no_calibration_error_and_sure_ones_have():
    scores, labels = honest(3)
    error = calibration.expected_calibration_error(scores, labels, bins=15)
    sure = calibration.expected_calibration_error(expit(4 * logit(scores)), labels, bins=15)
    assert error < 0.01
    assert sure > 0.08
    mended = calibration.apply(expit(4 * logit(scores)), 4.0)
    assert calibration.expected_calibration_error(mended, labels, bins=15) == pytest.approx(error, abs=1e-3)


def test_a_constant_score_errs_by_its_distance_from_the_share():
    labels = np.array([1, 0, 0, 0])
    assert calibration.expected_calibration_error(np.full(4, 0.9), labels, bins=7) == pytest.approx(0.65)


def test_bad_input_is_named():
    scores, labels = np.array([0.2, 0.7]), np.array([0, 1])
    calls = (
        calibration.temperature,
        lambda scores, labels: calibration.reliability(scores, labels, bins=3),
        lambda scores, labels: calibration.expected_calibration_error(scores, labels, bins=3),
    )
    for call in calls:
        with pytest.raises(CorpusError, match=r"score 1\.5 of 1 script.*give scores, not log-odds"):
            call(np.array([0.2, 1.5]), labels)
        with pytest.raises(CorpusError, match="malicious and benign"):
            call(scores, np.array([1, 1]))
        with pytest.raises(CorpusError, match="1 of 2 scores are NaN"):
            call(np.array([0.2, np.nan]), labels)
    for bins in (0, -1, 2.5):
        with pytest.raises(ParameterError, match="bins is"):
            calibration.reliability(scores, labels, bins=bins)
    for temperature in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="temperature is"):
            calibration.apply(scores, temperature)
    with pytest.raises(CorpusError, match="expected 0 to 1"):
        calibration.apply(np.array([-3.0]), 1.0)


def test_each_fold_is_calibrated_by_what_the_others_say():
    """Two folds whose models are unlike: each gets the temperature of the other one."""
    parts, expected = [], {}
    for fold, times in ((0, 0.5), (1, 2.0)):
        scores, labels = honest(fold, n=4000)
        scores = expit(times * logit(scores))
        expected[fold] = calibration.temperature(scores, labels)
        own = pl.DataFrame({"score": scores, "label": labels, "fold": fold})
        parts.append(own.with_columns(sha256=pl.format("{}-{}", "fold", pl.int_range(pl.len()))))
    facts = {"protocol": "p1", "model": "cnn_lstm", "seed": 1, "share": 1.0, "part": "test"}
    table = pl.concat(parts).with_columns(**{name: pl.lit(value) for name, value in facts.items()})
    found = calibration.calibrated(table, protocol="p1", model="cnn_lstm")
    assert expected[0] == pytest.approx(0.5, rel=0.1) and expected[1] == pytest.approx(2, rel=0.1)
    assert expected[0] < found["temperature"] < expected[1]
    crossed = np.r_[
        calibration.apply(parts[0]["score"].to_numpy(), expected[1]),
        calibration.apply(parts[1]["score"].to_numpy(), expected[0]),
    ]
    labels = table["label"].to_numpy()
    error = calibration.expected_calibration_error(crossed, labels, bins=calibration.BINS)
    assert found["expected_calibration_error"] == pytest.approx(error)
    before = calibration.expected_calibration_error(table["score"].to_numpy(), labels, bins=calibration.BINS)
    assert found["before"] == pytest.approx(before) and before < error
    reliability = calibration.reliability(crossed, labels, bins=calibration.BINS)
    assert_frame_equal(pl.DataFrame(found["reliability"]), reliability)


def test_calibration_is_of_the_first_seed_on_test_scripts_with_all_labels():
    table = rows(lift=0.4)
    found = calibration.calibrated(table, protocol="p1", model="cnn_lstm")
    assert sum(row["n"] for row in found["reliability"]) == 220
    others = [rows(seed=2), rows(share=0.1), rows(model="svm"), rows(protocol="p2"), as_part(rows(), "apart")]
    assert calibration.calibrated(pl.concat([*others, table]), protocol="p1", model="cnn_lstm") == found


def test_calibration_needs_two_folds_with_both_classes():
    with pytest.raises(CorpusError, match="at least one score"):
        calibration.calibrated(rows().filter(fold=0), protocol="p1", model="cnn_lstm")
    with pytest.raises(CorpusError, match="malicious and benign"):
        one_sided = rows().filter((pl.col("fold") == 0) | (pl.col("label") == 0))
        calibration.calibrated(one_sided, protocol="p1", model="cnn_lstm")
    with pytest.raises(CorpusError, match="at least one score"):
        calibration.calibrated(rows(), protocol="p1", model="no such model")
