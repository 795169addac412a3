"""Models are compared on the same draws and chosen in P3; committees are the mean of their members."""

import numpy as np
import polars as pl
import pytest
from scipy.special import logit
from scored_rows import as_part, rows

from psembed.evaluation import comparisons, coverage
from psembed.evaluation.resampling import Rates
from psembed.runtime.errors import CorpusError

P3 = {
    "one_line_rule": 0.1, "novelty": 0.2,
    "bag_of_words": 0.5, "svm_char_3gram": 0.6, "gradient_boosting": 0.7,
    "cnn_lstm": 0.65, "cnn_lstm_random": 0.4, "token_cnn": 0.55, "token_cnn_lstm": 0.45, "character_cnn": 0.3,
    "transformer": 0.8, "committee_traditional": 0.9, "ensemble": 0.95, "committee": 1.0,
}  # fmt: skip


def found(*, without: str = "", **tprs: float) -> comparisons.Found:
    """Return rates of all models in P3, and in P1 a tenth lower, but for those that are given (of P1)."""
    random, table = np.random.default_rng(0), {}
    shared = random.normal(0, 0.02, 200)
    for model, tpr in P3.items():
        for protocol, measured in (("p3", tpr), ("p1", tprs.get(model, tpr - 0.1))):
            draws = np.r_[measured, measured + shared]
            table[protocol, model] = Rates(draws, draws, draws)
    return {key: rates for key, rates in table.items() if key[1] != without}


def test_the_best_of_each_kind_is_chosen_in_p3_and_is_no_committee():
    table = found(cnn_lstm_random=1.0, novelty=1.0)  # they look best in P1
    assert comparisons.best(table, deep=True) == "transformer"
    assert comparisons.best(table) == "gradient_boosting"
    assert comparisons.best(table, among=["token_cnn", "token_cnn_lstm"]) == "token_cnn"
    assert comparisons.best(table, among=["token_cnn", "committee"]) == "token_cnn"
    assert comparisons.best(table, among=["committee"]) is None
    assert comparisons.best({}) is None
    of_p1 = {key: rates for key, rates in table.items() if key[0] == "p1"}
    assert comparisons.best(of_p1) is None
    alike = found() | {("p3", "cnn_lstm"): found()["p3", "transformer"]}
    assert comparisons.best(alike, deep=True) == "cnn_lstm"  # of equals the first by name


def test_a_difference_is_paired_draw_by_draw():
    row = comparisons.difference(found(), "p1", ("cnn_lstm", "bag_of_words"), 20)
    assert row["models"] == ["cnn_lstm", "bag_of_words"] and row["n"] == 20
    assert row["tprs"] == pytest.approx([0.55, 0.4])
    # Both rise and fall together: what is left is the difference itself.
    assert [row["difference"], row["low"], row["high"]] == pytest.approx([0.15] * 3)


def test_a_difference_of_models_that_scored_the_same_scripts_is_narrower_than_either():
    random = np.random.default_rng(3)
    hard = rows().with_columns(score=pl.Series(random.random(220)).cast(pl.Float32))
    lifted = pl.when(pl.col("label") == 1).then(pl.col("score") ** 0.25).otherwise("score")
    table = coverage.crossed(
        pl.concat([hard, hard.with_columns(model=pl.lit("svm"), score=lifted.cast(pl.Float32))])
    )
    rates = coverage.resampled(table, fpr=0.1, seed=1, rounds=200)
    row = comparisons.difference(rates, "p1", ("svm", "cnn_lstm"), 20)
    assert row["difference"] > 0 and row["low"] >= 0
    assert row["low"] <= row["difference"] <= row["high"]


def test_gains_set_both_networks_against_both_rivals():
    gains = comparisons.gain(found(), "p1", 20)
    pairs = {name: (row["deep"], row["traditional"]) for name, row in gains.items()}
    assert pairs == {
        "cnn_lstm against traditional": ("cnn_lstm", "gradient_boosting"),
        "cnn_lstm against committee": ("cnn_lstm", "committee_traditional"),
        "network against traditional": ("transformer", "gradient_boosting"),
        "network against committee": ("transformer", "committee_traditional"),
    }
    assert gains["network against traditional"]["difference"] == pytest.approx(0.1)
    assert [list(pair) for pair in pairs.values()] == [row["models"] for row in gains.values()]
    alone = comparisons.gain(found(without="committee_traditional"), "p1", 20)
    assert list(alone) == ["cnn_lstm against traditional", "network against traditional"]
    assert comparisons.gain(found(), "p2", 20) == {}


def test_claims_compare_the_models_of_their_rules_where_they_are_there():
    claims = comparisons.claims(found(token_cnn_lstm=0.99), "p1", 20)
    models = {claim: [row["models"] for row in pairs] for claim, pairs in claims.items()}
    assert models == {
        "C17": [["cnn_lstm", "cnn_lstm_random"]],
        "C18": [["cnn_lstm", "token_cnn"], ["cnn_lstm", "character_cnn"]],
        "C19": [["ensemble", "svm_char_3gram"], ["ensemble", "character_cnn"]],
    }
    assert claims["C17"][0]["difference"] == pytest.approx(0.25)
    assert list(comparisons.claims(found(without="cnn_lstm_random"), "p1", 20)) == ["C18", "C19"]
    assert list(comparisons.claims(found(without="character_cnn"), "p1", 20)) == ["C17"]
    assert comparisons.claims({}, "p1", 20) == {}


def members(*models: str, protocol: str = "p1", **changes: float) -> pl.DataFrame:
    random = np.random.default_rng(len(models))
    own = []
    for model in models:
        scored = rows(protocol=protocol, model=model, **changes)
        noise = pl.Series(random.normal(0, 0.1, scored.height))
        own.append(scored.with_columns(score=(pl.col("score") + noise).clip(0.01, 0.99).cast(pl.Float32)))
    return coverage.crossed(pl.concat(own))


def test_a_committee_is_the_mean_on_the_scale_that_folds_share():
    crossed = members("bag_of_words", "svm_char_3gram", "other")
    found = comparisons.committee(crossed, ("bag_of_words", "svm_char_3gram"), name="both")
    assert found["model"].unique().to_list() == ["both"] and found.height == 220
    assert found.schema == rows().schema
    z = crossed.filter(pl.col("model") != "other").group_by("sha256").agg(pl.col("z").mean())
    joined = found.join(z, on="sha256")
    assert joined["score"].to_numpy() == pytest.approx(1 / (1 + np.exp(-joined["z"].to_numpy())), abs=1e-6)
    again = coverage.crossed(found)
    assert again["rate"].null_count() == 0 and again.height == 220


def test_seeds_of_a_committee_go_with_each_other_and_a_single_one_with_all():
    crossed = pl.concat(
        [members("svm"), members("a"), members("a", seed=2, lift=0.1), members("b"), members("b", seed=2)]
    )
    both = comparisons.committee(crossed, ("svm", "b"), name="x")
    assert both.group_by("seed").len().sort("seed").rows() == [(1, 220), (2, 220)]
    aligned = comparisons.committee(crossed, ("a", "b"), name="x").filter(sha256="m210").sort("seed")
    z = {(row["model"], row["seed"]): row["z"] for row in crossed.filter(sha256="m210").to_dicts()}
    means = np.array([(z["a", seed] + z["b", seed]) / 2 for seed in (1, 2)])
    assert aligned["score"].to_numpy() == pytest.approx(1 / (1 + np.exp(-means)), abs=1e-6)
    assert comparisons.committee(crossed, ("b", "svm"), name="x")["seed"].unique().to_list() == [1]


def test_a_committee_has_every_part_and_protocol_of_all_its_members_and_no_other():
    first, second = members("a"), members("b")
    apart = as_part(first, "apart")
    other = members("a", protocol="p2")
    few = members("a", share=0.1)
    found = comparisons.committee(
        pl.concat([first, second, apart, as_part(second, "apart"), other, few]), ("a", "b"), name="x"
    )
    assert found.group_by("protocol", "part", "share").len().sort("part").rows() == [
        ("p1", "apart", 1.0, 220),
        ("p1", "test", 1.0, 220),
    ]
    lacking = comparisons.committee(first, ("a", "b"), name="x")
    assert lacking.is_empty() and lacking.columns == rows().columns
    assert coverage.crossed(lacking).is_empty()


def test_the_three_committees_and_what_chooses_their_members():
    names = {*comparisons.MEMBERS, "token_3gram", "character_cnn", "transformer"}
    crossed = members(*sorted(names))
    chosen = {key: rates for key, rates in found().items() if key[1] in names}
    made = comparisons.committees(crossed, chosen)
    assert set(made["model"]) == {comparisons.ENSEMBLE, comparisons.TRADITIONAL, comparisons.COMMITTEE}
    expected = comparisons.committee(crossed, ("svm_char_3gram", "character_cnn"), name=comparisons.ENSEMBLE)
    assert made.filter(model=comparisons.ENSEMBLE).equals(expected)
    everyone = comparisons.committee(
        crossed, (*comparisons.MEMBERS, "transformer"), name=comparisons.COMMITTEE
    )
    assert made.filter(model=comparisons.COMMITTEE).equals(everyone)
    traditional = comparisons.committees(crossed.filter(pl.col("model").is_in(comparisons.MEMBERS)), {})
    assert traditional["model"].unique().to_list() == [comparisons.TRADITIONAL]


def in_file(protocol: str) -> pl.DataFrame:
    """Return crossed rows of what the committee in one file is made of."""
    random = np.random.default_rng(4)
    own = rows(protocol=protocol)
    lifts = {name: random.normal(own["label"].to_numpy() * 2.0, 1.0) - 2 for name in comparisons.IN_FILE}
    scores = {name: (1 / (1 + np.exp(-odds))).astype(np.float32) for name, odds in lifts.items()}
    return coverage.crossed(
        pl.concat(
            [
                own.with_columns(pl.lit(name).alias("model"), score=pl.Series(one))
                for name, one in scores.items()
            ]
        )
    )


def test_the_committee_in_one_file_is_the_mean_of_its_members_as_a_probability():
    crossed = pl.concat([in_file("p1"), in_file("p3")])
    made = comparisons.one_file(crossed)
    slope, offset = comparisons.curve(crossed)
    for protocol in ("p1", "p3"):
        own = crossed.filter(protocol=protocol)
        scales = comparisons.scales(own, protocol)
        odds = {m: logit(own.filter(model=m)["score"].to_numpy().astype(float)) for m in comparisons.IN_FILE}
        z = [(odds[m] - low) / width for m, (low, width) in scales.items()]
        expected = 1 / (1 + np.exp(-slope * np.mean(z, axis=0) - offset))
        assert made.filter(protocol=protocol)["score"].to_numpy() == pytest.approx(expected, abs=1e-5)
    judged = made.filter(protocol="p3")
    assert judged["score"].mean() == pytest.approx(judged["label"].mean(), abs=1e-3)  # what a curve ensures


def test_without_p3_or_a_member_there_is_no_committee_in_one_file():
    assert comparisons.one_file(in_file("p1")).is_empty()
    lacking = in_file("p3").filter(pl.col("model") != comparisons.FIGURE_4)
    assert comparisons.one_file(lacking).is_empty()


def test_what_is_released_finds_most_in_p3():
    table = found()
    assert comparisons.released(table) == "transformer"
    better, worse = Rates(*[np.full(3, 0.85)] * 3), Rates(*[np.full(3, 0.8)] * 3)
    assert comparisons.released(table | {("p3", comparisons.ONE_FILE): better}) == comparisons.ONE_FILE
    assert comparisons.released(table | {("p3", comparisons.ONE_FILE): worse}) == "transformer"
    assert comparisons.released({}) == comparisons.FIGURE_4


def test_a_committee_whose_members_scored_other_scripts_is_noticed():
    crossed = pl.concat([members("a"), members("b").filter(pl.col("sha256") != "m210"), members("c")])
    found = comparisons.committee(crossed, ("b", "a"), name="x")
    assert found.height == 219
    both = pl.concat([crossed.filter(model="c"), coverage.crossed(found)], how="diagonal")
    with pytest.raises(CorpusError, match="x lacks scores of p1"):
        coverage.resampled(both, fpr=0.05, seed=1, rounds=2)


def test_where_p3_has_no_network_the_studys_is_taken_and_the_only_part_of_its_kind():
    of_p1 = {key: rates for key, rates in found(without="token_cnn_lstm").items() if key[0] == "p1"}
    assert comparisons.best(of_p1, deep=True) == comparisons.FIGURE_4
    assert comparisons.best(of_p1, among=["token_cnn", "token_cnn_lstm"]) == "token_cnn"
    assert comparisons.best(of_p1, among=["cnn_lstm", "token_cnn"]) is None
