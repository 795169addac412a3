"""Coverage from scores alone: known answers, several seeds, and thresholds that never see test data."""

import polars as pl
import pytest
from scored_rows import rows

from psembed.datasets import labels
from psembed.evaluation import coverage
from psembed.runtime.errors import TooFewNegativesError


def test_threshold_rate_and_coverage_have_their_known_values():
    table = coverage.coverage(rows(), fprs=[0.05], seed=1, rounds=200).row(0, named=True)
    # 5 of 100 negatives may be flagged: the threshold lies just above 0.94, two positives reach it.
    assert table["threshold"] == pytest.approx(0.94, abs=1e-6)
    assert (table["fpr"], table["tpr"], table["positives"], table["negatives"]) == (0.05, 0.1, 20, 100)
    assert table["low"] <= table["tpr"] <= table["high"]


def test_test_scores_do_not_move_the_threshold():
    before = coverage.thresholds(rows(), fprs=[0.05, 0.01])
    assert coverage.thresholds(rows(shift=5.0), fprs=[0.05, 0.01]) == before
    table = coverage.coverage(rows(shift=5.0), fprs=[0.05], seed=1, rounds=100)
    assert table["fpr"].item() == 1.0


def test_seeds_are_averaged():
    both = pl.concat([rows(seed=1), rows(seed=2, lift=2.0)])
    table = coverage.coverage(both, fprs=[0.05], seed=1, rounds=100).row(0, named=True)
    assert table["seeds"] == 2 and table["tpr"] == pytest.approx((0.1 + 1.0) / 2)


def test_shares_get_the_exact_interval_of_their_counts():
    table = pl.DataFrame({"found": [0.5, 0.0, None], "n": [10, 3, 0]})
    low, high = coverage.with_interval(table, "found").select("found_low", "found_high").to_dict().values()
    assert low.to_list() == [pytest.approx(0.187086, abs=1e-5), 0.0, None]
    assert high.to_list() == [pytest.approx(0.812914, abs=1e-5), pytest.approx(0.707598, abs=1e-5), None]
    empty = coverage.with_interval(table.clear(), "found")
    assert empty.is_empty() and {"found_low", "found_high"} <= set(empty.columns)


def test_share_flagging_is_the_share_of_seeds_that_flag_a_script():
    both = pl.concat([rows(seed=1), rows(seed=2, lift=2.0)])
    found = coverage.share_flagging(both, models=["cnn_lstm"], fpr=0.05)["cnn_lstm"]
    # Five negatives and two positives are flagged by both, eighteen positives by the second alone.
    assert sorted(found.to_list()) == [0.0] * 95 + [0.5] * 18 + [1.0] * 7


def test_the_diagnosis_sets_the_threshold_on_test_negatives():
    table = coverage.coverage(rows(shift=-0.3), fprs=[0.05], seed=1, rounds=50).row(0, named=True)
    # Test negatives end 0.3 lower: none is flagged at the old threshold, and 12 more positives are found.
    assert table["fpr"] == 0 and table["tpr"] == 0.1
    assert table["tpr_test_threshold"] == pytest.approx(14 / 20)


def test_roc_starts_at_zero_and_ends_at_one():
    curve = coverage.roc(rows())
    assert curve.select("fpr", "tpr").row(0) == (0, 0) and curve.select("fpr", "tpr").row(-1) == (1, 1)


def test_too_few_negatives_for_the_rate():
    with pytest.raises(TooFewNegativesError, match="100 negatives"):
        coverage.coverage(rows(), fprs=[0.001], seed=1, rounds=10)


def test_a_budget_curve_ends_with_what_all_labels_gave():
    whole = pl.concat([rows(lift=2.0), rows(model="bag_of_words"), rows(seed=2)])
    few = rows(lift=0.1).with_columns(share=pl.lit(0.1))
    every = pl.concat([whole.with_columns(share=pl.lit(1.0)), few])
    curve = coverage.budget_curve(every, fpr=0.05, seed=1, rounds=50)
    assert curve.select("model", "share", "tpr", "seeds").rows() == [
        ("cnn_lstm", 0.1, 0.0, 1),
        ("cnn_lstm", 1.0, 1.0, 1),
    ]


def test_the_workload_follows_from_rates_and_prevalence():
    table = coverage.coverage(rows(), fprs=[0.05, 0.01], seed=1, rounds=50)
    found = coverage.workload(table, fpr=0.05, prevalences=[0.5, 0.01]).to_dicts()
    assert [row["prevalence"] for row in found] == [0.5, 0.01]
    # TPR 10%, FPR 5%: of a million scripts, half malicious, 50,000 right alerts and 25,000 false ones.
    assert found[0]["alerts"] == pytest.approx(75_000) and found[0]["precision"] == pytest.approx(2 / 3)
    assert found[1]["false_alerts"] == pytest.approx(0.05 * 990_000)


def test_weightings_count_clusters_and_scripts():
    table = rows(lift=0.0).with_columns(share=pl.lit(1.0))  # no positive is found
    first = table.filter((pl.col("part") == "test") & (pl.col("label") == 1)).head(1)
    copies = [
        first.with_columns(part=pl.lit("copies"), sha256=pl.lit(f"copy{n}"), score=pl.lit(9.0, pl.Float32))
        for n in range(3)
    ]
    found = coverage.by_weighting(pl.concat([table, *copies]), fpr=0.05)
    rates = {row["counting"]: row for row in found.to_dicts()}
    assert [row["fpr"] for row in rates.values()] == [0.05] * 3
    assert rates["one per cluster"]["tpr"] == 0 and rates["one per cluster"]["positives"] == 20
    assert rates["clusters weighted"]["tpr"] == pytest.approx(3 / 4 / 20)
    assert rates["every script"]["tpr"] == pytest.approx(3 / 23) and rates["every script"]["positives"] == 23


def test_weightings_leave_out_what_has_not_scored_the_copies():
    assert coverage.by_weighting(rows(), fpr=0.05).is_empty()


def test_a_seed_that_scored_more_parts_weighs_no_more():
    both = pl.concat([rows(seed=1), rows(seed=2).with_columns(pl.col("score") + 1)])
    more = rows(seed=1).filter(pl.col("part") == "test").with_columns(part=pl.lit("copies"))
    tables = [
        coverage.coverage(table, fprs=[0.05], seed=1, rounds=20) for table in (both, pl.concat([both, more]))
    ]
    assert tables[0]["threshold"].item() == pytest.approx(tables[1]["threshold"].item())


def test_without_the_rules_dropped_scripts_count_under_their_sources_label():
    extra = {
        "protocol": "p1", "model": "cnn_lstm", "seed": 1, "part": labels.DROPPED, "score": [0.99, 0.99, 0.1],
        "label": [0, 1, 1], "sha256": ["x", "y", "z"], "cluster": [900, 901, 902], "stratum": "s",
    }  # fmt: skip
    scored = rows()
    dropped = pl.DataFrame(extra).cast(scored.schema).select(scored.columns)
    unscored = rows(model="svm", lift=0.0)  # has not scored them: left out
    found = coverage.without_rules(pl.concat([scored, dropped, unscored]), fpr=0.05)
    row = found.row(0, named=True)
    assert found["model"].to_list() == ["cnn_lstm"]
    assert (row["tpr"], row["positives"], row["fpr"], row["negatives"]) == (0.1, 20, 0.05, 100)
    assert row["tpr_kept"] == pytest.approx(3 / 22) and row["positives_kept"] == 22
    assert row["fpr_kept"] == pytest.approx(6 / 101) and row["negatives_kept"] == 101
    assert coverage.without_rules(scored, fpr=0.05).is_empty()
