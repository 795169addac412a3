"""Coverage from scores alone: known answers, several seeds, and thresholds that come from other folds."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scored_rows import as_part, rows

from psembed.datasets.protocols import APART, COPIES, DROPPED, SNIPPETS
from psembed.evaluation import coverage
from psembed.runtime.errors import CorpusError, TooFewNegativesError


def table(scored: pl.DataFrame, fpr: float = 0.05, rounds: int = 50) -> pl.DataFrame:
    crossed = coverage.crossed(scored)
    found = {fpr: coverage.resampled(crossed, fpr=fpr, seed=1, rounds=rounds)}
    return coverage.coverage(crossed, found)


def by_chance(seed: int, *, clean: int, malicious: int, folds: int, digits: int = 6) -> pl.DataFrame:
    """Return rows of random scores, of few digits so that some are tied."""
    random, count = np.random.default_rng(seed), clean + malicious
    labels = np.repeat([0, 1], [clean, malicious])
    like = rows().head(1).drop("label", "score", "fold", "sha256", "cluster", "group")
    return like.join(
        pl.DataFrame({
            "label": labels.astype(np.int8), "fold": np.arange(count) % folds,
            "score": np.round(expit(random.normal(2 * labels, 2)), digits),
            "sha256": [f"s{n:05}" for n in range(count)], "cluster": np.arange(count),
            "group": random.integers(0, max(2, count // 4), count),
        }),
        how="cross",
    )  # fmt: skip


def test_rates_have_their_known_values():
    row = table(rows(), rounds=200).row(0, named=True)
    # 10 of 200 may be flagged: the five highest of each fold, from 0.95 on, which two malicious ones reach.
    assert (row["fpr"], row["tpr"], row["positives"], row["negatives"]) == (0.05, 0.1, 20, 200)
    assert row["low"] <= row["tpr"] <= row["high"]
    # Asked for 90% of that: rates up to 4.5%, so scores from 0.96 on.
    assert (row["asked_tpr"], row["asked_fpr"]) == (0.05, 0.04)
    assert row["asked_fpr_low"] <= row["asked_fpr"] <= row["asked_fpr_high"]


def test_a_rate_is_of_other_folds_and_of_clean_test_scripts_alone():
    scored = by_chance(1, clean=800, malicious=40, folds=2)
    before = coverage.crossed(scored)
    top = before.filter(label=0, fold=0).sort("score")[-1]  # beyond the quantiles that make the scale
    louder = pl.col("sha256") == top["sha256"].item()
    after = coverage.crossed(scored.with_columns(score=pl.when(louder).then(1.0).otherwise("score")))
    others = ~louder & (pl.col("fold") == 0)
    assert after.filter(others)["rate"].equals(before.filter(others)["rate"])
    judged = pl.concat(
        [before.filter(fold=1).select(before="rate"), after.filter(fold=1).select("rate")], how="horizontal"
    )
    assert (judged["rate"] >= judged["before"]).all() and (judged["rate"] > judged["before"]).any()
    noise = [
        as_part(scored.filter(label=label), part, score=0.99) for label, part in ((0, APART), (1, COPIES))
    ]
    other = pl.when(pl.col("label") == 1).then(0.5).otherwise("score")
    spoiled = pl.concat([scored.with_columns(score=other), *noise])
    clean = coverage.crossed(spoiled).filter(part="test", label=0)
    assert clean["rate"].equals(before.filter(label=0)["rate"])


@given(st.floats(0.2, 1.5), st.floats(-2, 2))
@settings(max_examples=20)
def test_a_fold_whose_model_is_surer_is_judged_alike_only_on_a_scale_of_its_own(times, more):
    scored = by_chance(2, clean=300, malicious=30, folds=3, digits=17)
    odds = np.log(scored["score"] / (1 - scored["score"])).to_numpy()
    moved = expit(times * odds + more)
    both = (
        scored.with_columns(score=moved),
        scored.with_columns(score=np.where(scored["fold"] == 1, moved, scored["score"])),
    )
    whole, one = (
        [coverage.crossed(scores, apiece=apiece)["rate"] for apiece in (False, True)] for scores in both
    )
    before = coverage.crossed(scored)["rate"]
    assert whole[0].equals(before)  # what is done to all folds changes no order
    assert one[1].equals(whole[1])
    if abs(more) > 0.5:
        assert not one[0].equals(before)


def test_a_model_that_tells_nothing_apart_flags_nothing():
    row = table(rows().with_columns(score=pl.lit(0.5))).row(0, named=True)
    assert (row["tpr"], row["fpr"], row["asked_tpr"], row["asked_fpr"]) == (0, 0, 0, 0)


@given(
    st.integers(0, 10**6), st.integers(2, 4), st.sampled_from([0.01, 0.05, 0.1]), st.sampled_from([1, 2, 6])
)
@settings(max_examples=40)
def test_no_training_flags_more_than_the_rate_and_none_less_than_it_may(seed, folds, fpr, digits):
    several = [
        by_chance(seed + n, clean=120, malicious=20, folds=folds, digits=digits).with_columns(seed=pl.lit(n))
        for n in range(2)
    ]
    marked = coverage.flagged(coverage.crossed(pl.concat(several)), fpr=fpr)
    for _, own in marked.filter(label=0).group_by(coverage.TRAINING):
        allowed, count = int(120 * fpr + 1e-9), int(own["flagged"].sum())
        assert count <= allowed
        left = own.filter(flagged=0)["rate"]
        assert count + (left == left.min()).sum() > allowed  # those of the next rate would be too many


def test_bad_rows_are_named():
    with pytest.raises(CorpusError, match="1 of 220 scores are NaN"):
        missing = pl.when(pl.col("sha256") == "m205").then(float("nan")).otherwise("score")
        coverage.crossed(rows().with_columns(score=missing))
    with pytest.raises(CorpusError, match=r"folds \[0\] of \[0\] are scored by cnn_lstm in p1 \(seed 1\)"):
        coverage.crossed(rows().filter(fold=0))
    lacking = rows().filter((pl.col("fold") == 0) | (pl.col("label") == 1))
    with pytest.raises(CorpusError, match=r"folds \[0\] of \[0, 1\]"):
        coverage.crossed(lacking)
    empty = coverage.crossed(rows().clear())
    assert empty.is_empty() and empty.columns[-2:] == ["z", "rate"]


def test_a_model_that_lacks_scripts_of_others_is_named():
    both = pl.concat([rows(), rows(model="svm")[:-1], rows(protocol="p2", model="svm")[:-1]])
    with pytest.raises(CorpusError, match="svm lacks scores of p1"):
        coverage.resampled(coverage.crossed(both), fpr=0.05, seed=1, rounds=5)
    assert (
        len(coverage.resampled(coverage.crossed(both.filter(model="svm")), fpr=0.05, seed=1, rounds=5)) == 2
    )


def test_seeds_are_averaged():
    row = table(pl.concat([rows(seed=1), rows(seed=2, lift=0.97)])).row(0, named=True)
    assert row["seeds"] == 2 and row["tpr"] == pytest.approx((0.1 + 1.0) / 2)


def test_models_that_had_few_of_the_labels_are_not_in_the_table():
    assert table(pl.concat([rows(), rows(share=0.1, lift=0.97)])).equals(table(rows()))


def test_what_negatives_do_not_carry_has_no_row_and_nothing_at_all_is_refused():
    crossed = coverage.crossed(rows())
    found = {fpr: coverage.resampled(crossed, fpr=fpr, seed=1, rounds=5) for fpr in (0.05, 0.001)}
    assert coverage.coverage(crossed, found)["fpr_asked"].to_list() == [0.05]
    with pytest.raises(TooFewNegativesError, match=r"FPR of 0\.001"):
        coverage.coverage(crossed, {0.001: found[0.001]})


def test_shares_get_the_exact_interval_of_their_counts():
    shares = pl.DataFrame({"found": [0.5, 0.0, None], "n": [10, 3, 0]})
    low, high = coverage.with_interval(shares, "found").select("found_low", "found_high").to_dict().values()
    assert low.to_list() == [pytest.approx(0.187086, abs=1e-5), 0.0, None]
    assert high.to_list() == [pytest.approx(0.812914, abs=1e-5), pytest.approx(0.707598, abs=1e-5), None]
    empty = coverage.with_interval(shares.clear(), "found")
    assert empty.is_empty() and {"found_low", "found_high"} <= set(empty.columns)


def test_share_flagging_is_the_share_of_seeds_that_flag_a_script():
    both = coverage.crossed(pl.concat([rows(seed=1), rows(seed=2, lift=0.97), rows(model="svm")]))
    found = coverage.share_flagging(both, models=["cnn_lstm"], fpr=0.05)
    assert found.columns == ["sha256", "cnn_lstm"]
    # Ten clean and two malicious scripts are flagged by both, eighteen malicious by the second alone.
    assert sorted(found["cnn_lstm"].to_list()) == [0.0] * 190 + [0.5] * 18 + [1.0] * 12


def test_roc_starts_at_zero_and_ends_at_one():
    curve = coverage.roc(coverage.crossed(rows()))
    assert curve.select("fpr", "tpr").row(0) == (0, 0) and curve.select("fpr", "tpr").row(-1) == (1, 1)
    assert curve.filter(pl.col("fpr") <= 0.05)["tpr"].max() == 0.1


def test_a_budget_curve_ends_with_what_all_labels_gave():
    whole = pl.concat([rows(lift=0.97), rows(model="bag_of_words"), rows(seed=2)])
    every = coverage.crossed(pl.concat([whole, rows(lift=0.1, share=0.1)]))
    curve = coverage.budget_curve(every, fpr=0.05, seed=1, rounds=50)
    assert curve.select("model", "share", "tpr", "seeds").rows() == [
        ("cnn_lstm", 0.1, 0.0, 1),
        ("cnn_lstm", 1.0, 1.0, 1),
    ]


def test_the_workload_follows_from_rates_and_prevalence():
    found = coverage.workload(table(rows()), fpr=0.05, prevalences=[0.5, 0.01]).to_dicts()
    assert [row["prevalence"] for row in found] == [0.5, 0.01]
    # TPR 10%, FPR 5%: of a million scripts, half malicious, 50,000 right alerts and 25,000 false ones.
    assert found[0]["alerts"] == pytest.approx(75_000) and found[0]["precision"] == pytest.approx(2 / 3)
    assert found[1]["false_alerts"] == pytest.approx(0.05 * 990_000)


def test_weightings_count_clusters_and_scripts():
    scored = rows(lift=0.0)  # no malicious script is found
    first = scored.filter(label=1).head(1)
    copies = [as_part(first, COPIES, sha256=f"copy{n}", score=1.0) for n in range(3)]
    other = [as_part(table, table["part"][0], protocol="p2") for table in (scored, copies[0])]
    both = coverage.by_weighting(coverage.crossed(pl.concat([scored, *copies, *other])), fpr=0.05)
    found = both.filter(protocol="p1")
    rates = {row["counting"]: row for row in found.to_dicts()}
    assert [row["fpr"] for row in rates.values()] == [0.05] * 3
    assert rates["one per cluster"]["tpr"] == 0 and rates["one per cluster"]["positives"] == 20
    assert rates["clusters weighted"]["tpr"] == pytest.approx(3 / 4 / 20)
    assert rates["every script"]["tpr"] == pytest.approx(3 / 23) and rates["every script"]["positives"] == 23


def test_weightings_leave_out_what_has_not_scored_the_copies():
    assert coverage.by_weighting(coverage.crossed(rows()), fpr=0.05).is_empty()
    copy = as_part(rows(seed=2).filter(label=1).head(1), COPIES, sha256="copy")
    both = coverage.crossed(pl.concat([rows(lift=0.97), rows(seed=2), copy]))
    found = coverage.by_weighting(both, fpr=0.05).filter(counting="one per cluster")
    assert found["tpr"].to_list() == [0.1]  # of the second seed alone


def test_without_the_rules_dropped_scripts_count_under_their_sources_label():
    scored = rows()
    bad = zip(("x", "y", "z"), (0.99, 0.99, 0.1), (0, 1, 1), strict=True)
    dropped = [
        as_part(scored.head(1), DROPPED, sha256=name, score=score, label=label, cluster=900)
        for name, score, label in bad
    ]
    unscored = rows(model="svm", lift=0.0)  # has not scored them: left out
    found = coverage.without_rules(coverage.crossed(pl.concat([scored, *dropped, unscored])), fpr=0.05)
    row = found.row(0, named=True)
    assert found["model"].to_list() == ["cnn_lstm"]
    assert (row["tpr"], row["positives"], row["fpr"], row["negatives"]) == (0.1, 20, 0.05, 200)
    assert row["tpr_kept"] == pytest.approx(3 / 22) and row["positives_kept"] == 22
    assert row["fpr_kept"] == pytest.approx(11 / 201) and row["negatives_kept"] == 201
    assert coverage.without_rules(coverage.crossed(scored), fpr=0.05).is_empty()


def test_a_group_that_sets_the_threshold_is_capped():
    loud = (pl.col("label") == 0) & (pl.col("score") > 0.945)  # the ten clean scripts of the highest scores
    scored = rows().with_columns(group=pl.when(loud).then(999).otherwise("group"))
    crossed = coverage.crossed(scored)
    # 10 may be flagged and 1 of a group: beside it four rates of two scripts each, 18 with all loud ones.
    row = coverage.capped(crossed, fpr=0.05).row(0, named=True)
    assert row["fpr"] == pytest.approx(18 / 200) and row["tpr"] == pytest.approx(3 / 20)
    alone = coverage.capped(coverage.crossed(rows()), fpr=0.05).row(0, named=True)
    assert (alone["fpr"], alone["tpr"]) == (0.05, 0.1)
    more = rows(protocol="p0").with_columns(pl.col("sha256") + "0")
    both = coverage.capped(
        coverage.crossed(pl.concat([scored, more, more.with_columns(pl.col("sha256") + "1")])), fpr=0.05
    )
    assert both.filter(protocol="p1").row(0, named=True) == row


def test_scripts_that_are_apart_are_strata_of_their_own_and_not_among_those_by_length():
    apart = as_part(rows().filter(label=0), APART, stratum=SNIPPETS, score=0.97, characters=199)
    apart = apart.with_columns(pl.col("sha256") + "s")
    crossed = coverage.crossed(pl.concat([rows(), rows(share=0.1), apart]))
    found = coverage.by_stratum(crossed, fpr=0.05)
    strata = {(row["label"], row["value"]): row for row in found.filter(by="stratum").to_dicts()}
    counts = {key: (row["flagged"], row["n"]) for key, row in strata.items()}
    assert counts == {(0, "human"): (0.05, 200), (0, SNIPPETS): (1.0, 200), (1, "mpsd"): (0.1, 20)}
    assert strata[0, SNIPPETS]["flagged_low"] > 0.98 and strata[0, SNIPPETS]["flagged_high"] == 1
    sizes = {(row["label"], row["value"]): row["n"] for row in found.filter(by="characters").to_dicts()}
    # Clean test scripts have 10 to 209 characters, malicious ones 210 to 229.
    assert sizes == {
        (0, "0 to 49"): 40,
        (0, "50 to 199"): 150,
        (0, "200 to 999"): 10,
        (1, "200 to 999"): 20,
    }


def test_every_length_has_its_class():
    lengths = [0, 49, 50, 199, 200, 999, 1_000, 9_999, 10_000, 10**6]
    scored = rows().with_columns(pl.lit(100).alias("characters"))
    one = scored.filter(label=1)
    longer = [as_part(one[n], "test", sha256=f"l{n}", characters=length) for n, length in enumerate(lengths)]
    found = coverage.by_stratum(coverage.crossed(pl.concat([scored, *longer])), fpr=0.05)
    sizes = dict(found.filter(by="characters", label=1).select("value", "n").iter_rows())
    assert sizes == dict.fromkeys(coverage.LENGTH_CLASSES, 2) | {"50 to 199": 22}


def test_scripts_are_counted_once_however_many_models_scored_them():
    copies = as_part(rows().filter(label=0).head(7), COPIES).with_columns(pl.col("sha256") + "c")
    packed = rows().with_columns(
        stratum=pl.when(pl.col("fold") == 0).then(pl.lit("packaging")).otherwise("stratum")
    )
    every = pl.concat([packed, rows(seed=2), copies, rows(protocol="p2", model="svm")])
    assert coverage.positives(every, "p1") == 20
    assert coverage.negatives(packed) == {
        "negatives_test": 200, "negatives_test_human": 100,
        "negatives_test_scripts": 200, "negatives_test_scripts_human": 100,
    }  # fmt: skip
    counted = coverage.negatives(every)
    assert (counted["negatives_test"], counted["negatives_test_scripts"]) == (200, 207)


def test_a_detector_convicts_from_a_score_that_keeps_below_the_rate():
    clean = rows().filter(label=0)["score"]
    threshold = coverage.threshold(clean, fpr=0.05)
    assert (clean >= threshold).sum() == 8  # 4.5% of 200 are 9; scores are tied two by two
    with pytest.raises(TooFewNegativesError):
        coverage.threshold(clean, fpr=0.005)


def test_runs_on_shuffled_labels_are_averaged():
    labels, scores = [0] * 100 + [1] * 2, np.r_[np.arange(100) / 100, 0.95, 0.2]
    one = coverage.at_fpr(labels, scores, fpr=0.05)
    assert (one["tpr"], one["fpr"], one["auc"]) == (0.5, 0.05, pytest.approx((95.5 + 20.5) / 200))
    both = coverage.averaged([one, one | {"tpr": 0.0, "auc": one["auc"] + 0.1}])
    assert (both["tpr"], both["fpr"], both["runs"], both["positives"]) == (0.25, 0.05, 2, 2)
    assert both["auc_high"] - both["auc"] == pytest.approx(1.96 * 0.05)
    alone = coverage.averaged([one])
    assert alone["auc_low"] == alone["auc"] == alone["auc_high"]


def test_scales_judge_folds_together_or_each_for_itself():
    """The second fold's model scores everything higher."""
    step = pl.int_range(pl.len()).over("fold", "label") / 100
    score = step + pl.when(pl.col("label") == 1).then(0.3).otherwise(0.1) + 0.5 * pl.col("fold")
    known = by_chance(3, clean=40, malicious=2, folds=2).with_columns(score=score)
    told = coverage.by_scale(coverage.crossed(known), fpr=0.05)
    found = dict(told.select("scale", "tpr").iter_rows())
    for scale, apiece in (("one scale for all folds", False), ("a scale for each fold", True)):
        marked = coverage.flagged(coverage.crossed(known, apiece=apiece), fpr=0.05)
        assert found[scale] == marked.filter(label=1)["flagged"].mean()
    assert found["one scale for all folds"] < found["a scale for each fold"]
    assert found["a threshold for each fold"] == 1.0
    assert (told["fpr"] <= 0.05).all()
