"""Intervals over clusters and seeds: known widths, pairs, and what does not line up."""

import numpy as np
import polars as pl
import pytest

from psembed.runtime import intervals
from psembed.runtime.errors import CorpusError


def test_one_seed_is_the_plain_cluster_bootstrap():
    random = np.random.default_rng(0)
    values, clusters = (random.random(600) < 0.7).astype(float), random.integers(0, 80, 600)
    mean, low, high = intervals.cluster_bootstrap(values[:, None], clusters, seed=1, rounds=4000)
    plain = intervals.cluster_bootstrap(values, clusters, seed=1, rounds=4000)
    assert mean == pytest.approx(plain[0])
    assert [low, high] == pytest.approx(plain[1:], abs=0.006)


def test_seeds_that_differ_widen_the_interval():
    clusters = np.arange(2000)
    alike = np.tile((np.arange(2000) % 2 == 0).astype(float)[:, None], 4)
    apart = alike.copy()
    apart[:, :2] = 1  # two seeds find all, two half
    narrow, wide = (
        intervals.cluster_bootstrap(table, clusters, seed=1, rounds=2000) for table in (alike, apart)
    )
    assert narrow[0] == 0.5 and narrow[2] - narrow[1] < 0.06
    # Four draws of 1 or 1/2: standard error 0.25 / sqrt(4), and the ends are 0.5 and 1.
    assert wide[0] == 0.75 and wide[1] == pytest.approx(0.5, abs=0.02) and wide[2] == 1


def test_blocks_change_nothing_but_the_draws(monkeypatch):
    values, clusters = np.eye(50)[:, :3], np.arange(50)
    whole = intervals.cluster_bootstrap(values, clusters, seed=3, rounds=4000)
    monkeypatch.setattr(intervals, "_BLOCK", 100)
    blocks = intervals.cluster_bootstrap(values, clusters, seed=3, rounds=4000)
    assert blocks == pytest.approx(whole, abs=0.01)


def test_by_seed_lines_scripts_up():
    rows = pl.DataFrame({
        "sha256": ["b", "a", "a", "b"], "seed": [1, 1, 2, 2], "cluster": [7, 5, 5, 7],
        "flagged": [1.0, 0.0, 1.0, 0.0],
    })  # fmt: skip
    table, clusters = intervals.by_seed(rows)
    assert table.tolist() == [[0, 1], [1, 0]] and clusters.tolist() == [5, 7]


@pytest.mark.parametrize(
    ("values", "clusters"),
    [
        (np.zeros((0, 1)), []),
        (np.zeros((3, 1)), [1, 2]),
        (np.array([[0.0], [np.nan]]), [1, 2]),
    ],
)
def test_what_does_not_line_up_is_refused(values, clusters):
    with pytest.raises(CorpusError, match="line up"):
        intervals.cluster_bootstrap(values, np.array(clusters), seed=1, rounds=10)


def test_bootstrap_of_clusters_is_wider_than_the_binomial_interval():
    generator = np.random.default_rng(3)
    clusters = np.repeat(np.arange(40), 25)
    scores = np.repeat(generator.random(40), 25)
    flagged = scores >= 0.5
    tpr, low, high = intervals.cluster_bootstrap(flagged, clusters, seed=1)
    narrow_low, narrow_high = intervals.binomial_interval(int(flagged.sum()), len(flagged))
    assert tpr == flagged.mean()
    assert high - low > 3 * (narrow_high - narrow_low)
    # One draw of 40 independent clusters: standard error sqrt(p (1 - p) / 40).
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(tpr * (1 - tpr) / 40), rel=0.15)


def test_bootstrap_repeats_with_its_seed_and_moves_with_another():
    generator = np.random.default_rng(0)
    flagged, clusters = generator.random(400) >= 0.5, np.arange(400)
    first = intervals.cluster_bootstrap(flagged, clusters, seed=1, rounds=300)
    assert first == intervals.cluster_bootstrap(flagged, clusters, seed=1, rounds=300)
    assert first != intervals.cluster_bootstrap(flagged, clusters, seed=2, rounds=300)


def test_cluster_bootstrap_takes_shares_and_refuses_nothing_to_draw():
    mean, low, high = intervals.cluster_bootstrap(np.array([0.5, 1.0, 0.0, 0.5]), [1, 1, 2, 2], seed=0)
    assert (mean, low, high) == (0.5, 0.25, 0.75)
    assert intervals.cluster_bootstrap(np.array([True, True]), [1, 2], seed=0) == (1, 1, 1)
    with pytest.raises(CorpusError, match="line up"):
        intervals.cluster_bootstrap(np.array([]), [], seed=0)


def test_bootstrap_of_a_difference_knows_the_gain_and_its_sign():
    good, poor, clusters = np.arange(200) < 180, np.arange(200) < 120, np.arange(200)
    gain, low, high = intervals.cluster_bootstrap(good.astype(int) - poor, clusters, seed=0)
    assert gain == pytest.approx(0.3)
    assert 0.2 < low < 0.3 < high < 0.4
    assert intervals.cluster_bootstrap(poor.astype(int) - good, clusters, seed=0)[0] == pytest.approx(-0.3)
    assert intervals.cluster_bootstrap(np.zeros(200), clusters, seed=0) == (0, 0, 0)


def test_clusters_of_another_length_are_refused():
    with pytest.raises(CorpusError, match="line up"):
        intervals.cluster_bootstrap(np.zeros(3), np.zeros(2), seed=0)
