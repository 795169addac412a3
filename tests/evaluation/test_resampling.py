"""Rates at a realised rate, at crossed thresholds and resampled: known answers, pairs, and what cannot be."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psembed.evaluation import coverage, resampling
from psembed.runtime.errors import CorpusError, TooFewNegativesError


def table(clean: list[list[float]], malicious: list[list[float]], seed: int = 1) -> pl.DataFrame:
    """Return a score table of scripts whose scores are listed fold by fold."""
    rows = [
        (f"{label}-{fold}-{number:05}", label, fold, score, number % 7)
        for label, folds in ((0, clean), (1, malicious))
        for fold, scores in enumerate(folds)
        for number, score in enumerate(scores)
    ]
    facts = {"protocol": "p1", "model": "m", "seed": seed, "share": 1.0, "part": "test", "stratum": "s"}
    columns = ["sha256", "label", "fold", "score", "group"]
    numbered = pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        cluster=pl.int_range(len(rows)), characters=10
    )
    return numbered.with_columns(**{name: pl.lit(value) for name, value in facts.items()})


def by_chance(seed: int, *, clean: int, malicious: int = 25, digits: int = 6) -> pl.DataFrame:
    """Return a table of random scores in two folds, of few digits so that some are tied."""
    random = np.random.default_rng(seed)
    sides = [
        [np.round(random.beta(*shape, size), digits).tolist() for _ in range(2)]
        for shape, size in (((1, 3), clean), ((4, 1), malicious))
    ]
    return table(*sides)


def rates(rows: pl.DataFrame, **changed: float) -> resampling.Rates:
    return resampling.rates(
        coverage.crossed(rows), **{"fpr": 0.02, "asked": 0.018, "seed": 1, "rounds": 30} | changed
    )


def test_a_rate_is_the_share_of_the_other_folds_that_scores_as_high():
    even = [number / 400 for number in range(400)]
    rows = coverage.crossed(table([even, even], [[0.9, 0.9025], [0.25]]))
    found = dict(rows.select("sha256", "rate").iter_rows())
    assert found["1-0-00000"] == pytest.approx(40 / 400) and found["1-0-00001"] == pytest.approx(39 / 400)
    assert found["1-1-00000"] == pytest.approx(300 / 400) and found["0-0-00399"] == pytest.approx(1 / 400)


def test_a_fold_whose_model_scores_higher_is_not_favoured_on_a_scale_of_its_own():
    low, high = [number / 1000 for number in range(400)], [0.5 + number / 1000 for number in range(400)]
    rows = coverage.crossed(table([low, high], [[0.45], [0.45]]), apiece=True)
    above, below = rows.filter(label=1)["rate"]  # one score: the highest of its own fold, and the lowest
    assert above == 0 and below > 0.5


@given(
    st.integers(0, 10**6),
    st.sampled_from([60, 300, 3000]),
    st.sampled_from([0.02, 0.05, 0.1]),
    st.sampled_from([2, 6]),
)
@settings(max_examples=40, deadline=None)
def test_what_is_measured_is_what_coverage_flags(seed, clean, fpr, digits):
    rows = coverage.crossed(by_chance(seed, clean=clean, digits=digits))
    marked = coverage.flagged(rows, fpr=fpr)
    found = resampling.rates(rows, fpr=fpr, asked=0.9 * fpr, seed=1, rounds=1)
    assert found.tpr[0] == pytest.approx(marked.filter(label=1)["flagged"].mean())
    reached = [(rows.filter(label=label)["rate"] <= 0.9 * fpr + 1e-12).mean() for label in (1, 0)]
    assert [found.asked_tpr[0], found.asked_fpr[0]] == pytest.approx(reached)


def by_hand(rows: pl.DataFrame, weights: np.ndarray, fpr: float) -> float:
    """Return the TPR by the definition, when clean scripts of sorted rows count as `weights` say."""
    z, folds, label = (rows[name].to_numpy() for name in ("z", "fold", "label"))
    clean = label == 0
    rate = np.array([
        weights[(folds[clean] != fold) & (z[clean] >= own)].sum() / weights[folds[clean] != fold].sum()
        for own, fold in zip(z, folds, strict=True)
    ])  # fmt: skip
    held = [weights[rate[clean] <= at].sum() for at in rate[clean]]
    limit = min(
        at for at, weight in zip(rate[clean], held, strict=True) if weight > fpr * weights.sum() + 1e-9
    )
    return float((rate[~clean] < limit).mean())


def test_each_round_sets_its_threshold_anew(monkeypatch):
    unlike = by_chance(4, clean=250, malicious=100).with_columns(group=pl.col("cluster").sqrt().floor())
    rows = coverage.crossed(unlike).sort("label", "sha256")
    drawn = []
    of_groups = resampling._of_groups
    monkeypatch.setattr(
        resampling, "_of_groups", lambda *given: drawn.append(of_groups(*given)) or drawn[-1]
    )  # the first draw is of clean scripts
    monkeypatch.setattr(
        resampling, "_of_sources", lambda sources, _, rounds, __: np.ones((rounds + 1, len(sources)), "f4")
    )
    found = resampling.rates(rows, fpr=0.05, asked=0.05, seed=1, rounds=20)
    expected = [by_hand(rows, weights, 0.05) for weights in drawn[0].astype(float)]
    assert found.tpr == pytest.approx(expected)
    assert len(set(expected)) > 3


def test_a_tail_that_weighs_less_than_is_allowed_gives_its_highest_rate():
    rate, counts = np.array([[0.3, 0.1, 0.2]] * 2), np.array([[1.0, 1, 1], [0, 3, 0]])
    assert resampling._limit(rate, counts, np.array([9.0, 9.0])).tolist() == [0.3, 0.3]
    assert resampling._limit(rate, counts, np.array([1.0, 1.0])).tolist() == [0.2, 0.1]


def test_models_that_score_alike_have_the_same_draws_and_the_better_one_never_loses():
    rows = by_chance(2, clean=400)
    first, again = rates(rows, seed=3), rates(rows.sort("score"), seed=3)
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not np.array_equal(first.tpr, rates(rows, seed=4).tpr)
    raised = pl.when(pl.col("label") == 1).then(pl.col("score").sqrt()).otherwise("score")
    better = rates(rows.with_columns(score=raised), seed=3)
    gained = better.tpr - first.tpr
    assert (gained >= 0).all() and gained[0] > 0
    low, high = resampling.interval(gained)
    unpaired = resampling.interval(better.tpr - rates(rows, seed=4).tpr)
    assert high - low < unpaired[1] - unpaired[0]


def test_more_seeds_of_one_model_draw_the_same_scripts_still():
    rows = by_chance(5, clean=400)
    twice = pl.concat([rows, rows.with_columns(seed=pl.lit(2))])
    assert np.array_equal(rates(rows).tpr, rates(twice).tpr)


def test_whole_sources_whole_clusters_and_whole_groups_are_drawn():
    random = np.random.default_rng(1)
    sources = pl.Series(["a"] * 6 + ["b"] * 2)
    clusters = pl.Series([1, 1, 2, 2, 3, 3, 4, 5])
    drawn = resampling._of_sources(sources, clusters, 500, random)
    assert drawn.shape == (501, 8) and (drawn[0] == 1).all()
    assert (drawn[:, :6:2] == drawn[:, 1:6:2]).all()  # both scripts of a cluster
    counts = [drawn[1:, :6].sum(axis=1) / 6, drawn[1:, 6:].sum(axis=1) / 2]  # how often each source came
    assert set(counts[0]) == {0, 1, 2} and np.array_equal(counts[0] + counts[1], np.full(500, 2))
    grouped = resampling._of_groups(pl.Series([5, 5, 9, 7]), 500, random)
    assert (grouped[0] == 1).all() and (grouped[:, 0] == grouped[:, 1]).all()
    assert (grouped[1:, 1:].sum(axis=1) == 3).all() and grouped[1:].mean() == pytest.approx(1, abs=0.05)


def test_a_source_that_is_found_and_one_that_is_not_give_a_wide_interval():
    rows = table([[n / 500 for n in range(400)]] * 2, [[0.99] * 100, [0.01] * 100])
    half = rows.with_columns(stratum=pl.when(pl.col("score") < 0.5).then(pl.lit("b")).otherwise("stratum"))
    narrow, wide = (resampling.interval(rates(one, rounds=300).tpr) for one in (rows, half))
    assert wide == (0, 1) and 0.35 < narrow[0] < 0.5 < narrow[1] < 0.65


def test_two_sets_of_the_same_scripts_are_drawn_as_one_source():
    rows = by_chance(6, clean=400)
    few = (pl.col("label") == 1) & (pl.col("cluster") % 9 == 0)
    set_of = pl.when(few).then(pl.lit("unit42")).otherwise(pl.lit("mpsd"))
    both, one = rows.with_columns(stratum=set_of), rows.with_columns(stratum=pl.lit("mpsd"))
    assert np.array_equal(rates(both).tpr, rates(one).tpr)
    other = both.with_columns(stratum=pl.col("stratum").replace("unit42", "fa2y"))
    assert not np.array_equal(rates(other).tpr, rates(one).tpr)


def test_groups_widen_the_interval_of_the_false_positive_rate():
    even = [number / 500 for number in range(500)]
    rows = table([even] * 2, [[0.9]] * 2)
    apart = rows.with_columns(group=pl.int_range(rows.height))
    blocks = rows.with_columns(group=(pl.col("score") * 25).cast(pl.Int64) * 2 + pl.col("fold"))
    widths = [
        np.diff(resampling.interval(rates(one, fpr=0.1, asked=0.1, rounds=400).asked_fpr))[0]
        for one in (apart, blocks)
    ]
    assert widths[1] > 2 * widths[0]


def test_a_round_without_clean_scripts_of_other_folds_flags_nothing():
    rows = table([[n / 100 for n in range(60)]] * 2, [[0.99], [0.99]])
    one_each = rows.with_columns(group="fold")  # both folds, or one of them twice
    with np.errstate(all="raise"):
        found = rates(one_each, fpr=0.05, asked=0.05, rounds=60)
    assert found.tpr[0] == 1 and set(found.tpr[1:]) == {0.0, 0.5, 1.0}
    assert set(found.asked_fpr[1:]) == {0.0, 0.05}


def test_seeds_are_averaged_and_must_line_up():
    clean = [[n / 200 for n in range(100)]] * 2
    seeds = [table(clean, [[0.99], [other]], seed=n) for n, other in enumerate((0.01, 0.99))]
    both = pl.concat(seeds)
    found = rates(both, rounds=200)
    assert found.tpr[0] == 0.75 and {0.5, 1.0} <= set(found.tpr[1:])
    with pytest.raises(CorpusError, match="line up"):
        rates(both[:-1])


def test_too_few_negatives_and_one_class_are_refused():
    clean = [[0.1, 0.2]] * 2
    with pytest.raises(TooFewNegativesError, match=r"0\.001 cannot be realised on 4 clean"):
        rates(table(clean, [[0.9], [0.9]]), fpr=0.001)
    with pytest.raises(CorpusError, match="one class"):
        rates(table(clean, [[], []]), fpr=0.5)
    with pytest.raises(CorpusError, match="one class"):
        resampling.rates(
            coverage.crossed(table(clean, [[0.9], [0.9]])).filter(label=1),
            fpr=0.5,
            asked=0.5,
            seed=1,
            rounds=2,
        )


def test_an_interval_leaves_out_what_was_measured():
    draws = np.r_[99.0, np.arange(1001) / 1000]
    assert resampling.interval(draws) == pytest.approx((0.025, 0.975))
