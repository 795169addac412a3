"""Models are compared on the same scripts, and chosen on validation data."""

import numpy as np
import polars as pl
import pytest
from scored_rows import rows

from psembed.evaluation import comparisons


def test_gain_is_paired_and_the_rival_is_chosen_on_validation_data():
    weak = rows(model="bag_of_words", lift=0.0)
    strong = rows(model="char_3gram", lift=0.6)
    # On test data alone the weak model looks perfect; it must not be chosen for that.
    cheat = weak.with_columns(
        score=pl.when((pl.col("part") == "test") & (pl.col("label") == 1)).then(9.0).otherwise("score")
    )
    table = pl.concat([rows(lift=2.0), strong, cheat.cast({"score": pl.Float32})])
    found = comparisons.gain(table, protocol="p1", fpr=0.05, seed=1, rounds=200)
    assert (found["traditional"], found["deep"], found["n"]) == ("char_3gram", "cnn_lstm", 20)
    assert found["difference"] == pytest.approx(1.0 - 6 / 20)
    assert comparisons.best(table, fpr=0.05, deep=False) == found["traditional"]


def test_an_ensemble_is_the_mean_log_odds_and_no_single_network():
    first, second = rows(model="char_3gram", lift=0.1), pl.concat([rows(seed=1), rows(seed=2)])
    mixed = comparisons.mean_log_odds(pl.concat([first, second]), ("char_3gram", "cnn_lstm"))
    assert mixed.group_by("seed").len().sort("seed")["len"].to_list() == [240, 240]
    one = mixed.filter((pl.col("seed") == 1) & (pl.col("sha256") == "test110"))["score"].item()
    odds = [np.log(p / (1 - p)) for p in (0.1 + 10 / 40, 0.5 + 10 / 40)]
    assert one == pytest.approx(1 / (1 + np.exp(-np.mean(odds))), abs=1e-6)
    table = pl.concat([first, second, mixed.with_columns(score=pl.lit(1.0, pl.Float32))])
    assert comparisons.best(table, fpr=0.05, deep=True) == "cnn_lstm"


def test_a_committee_is_one_of_each_kind_chosen_on_validation_data():
    good = [rows(model="token_3gram", lift=0.6), rows(model="gradient_boosting", lift=0.5)]
    networks = [rows(seed=1, lift=0.4), rows(seed=2, lift=0.4)]
    poor = [rows(model="bag_of_words", lift=0.1), rows(model="svm_char_3gram", lift=0.2)]
    table = pl.concat([*poor, *good, *networks])
    found = comparisons.ensembles(table, fpr=0.05)
    members = ("token_3gram", "gradient_boosting", "cnn_lstm")
    assert found.equals(comparisons.mean_log_odds(table, members, name=comparisons.COMMITTEE))
    one = found.filter((pl.col("seed") == 1) & (pl.col("sha256") == "test100"))["score"].item()
    odds = [np.log(p / (1 - p)) for p in (0.6, 0.5, 0.4)]
    assert one == pytest.approx(1 / (1 + np.exp(-np.mean(odds))), abs=1e-6)
    both = pl.concat([table, found])
    for deep, name in ((True, "cnn_lstm"), (False, "token_3gram")):
        assert comparisons.best(both, fpr=0.05, deep=deep) == name


def test_a_committee_stands_beside_its_rivals_and_needs_every_kind():
    kinds = [rows(model="token_3gram"), rows(model="gradient_boosting"), rows()]
    table = pl.concat([*kinds, comparisons.ensembles(pl.concat(kinds), fpr=0.05)])
    gain = comparisons.gain(table, protocol="p1", fpr=0.05, seed=1, rounds=100)
    found = comparisons.committee_gains(table, gain, protocol="p1", fpr=0.05, seed=1, rounds=100)
    assert found["deep"]["models"] == ["committee", "cnn_lstm"]
    assert found["traditional"]["models"] == ["committee", "gradient_boosting"]
    for lacking in range(2):
        assert comparisons.ensembles(pl.concat(kinds[:lacking] + kinds[lacking + 1 :]), fpr=0.05).is_empty()
    assert (
        comparisons.committee_gains(pl.concat(kinds), gain, protocol="p1", fpr=0.05, seed=1, rounds=100) == {}
    )


def test_the_ensemble_takes_the_n_gram_model_that_validation_likes_and_is_set_against_both():
    kinds = {"token_3gram": 0.1, "bag_of_words": 0.4, "character_cnn": 0.3}
    table = pl.concat([rows(model=model, lift=lift) for model, lift in kinds.items()])
    assert comparisons.ensemble_members(table, fpr=0.05) == ("bag_of_words", "character_cnn")
    found = comparisons.ensembles(table, fpr=0.05)
    assert found["model"].unique().to_list() == [comparisons.ENSEMBLE]
    pairs = comparisons.comparisons(pl.concat([table, found]), fpr=0.05, seed=1, rounds=50)["C19"]["p1"]
    assert [row["models"] for row in pairs] == [["ensemble", "bag_of_words"], ["ensemble", "character_cnn"]]
    alone = table.filter(pl.col("model") != "character_cnn")
    assert (
        comparisons.ensemble_members(alone, fpr=0.05) == ()
        and comparisons.ensembles(alone, fpr=0.05).is_empty()
    )


def test_claims_are_compared_where_their_models_are_there():
    models = {"cnn_lstm_tuned": 2.0, "cnn_lstm_random": 0.5, "cnn_lstm": 0.5}
    table = pl.concat([rows(model=model, lift=lift) for model, lift in models.items()])
    found = comparisons.comparisons(table, fpr=0.05, seed=1, rounds=50)
    assert list(found) == ["C17"] and list(found["C17"]) == ["p1"]
    assert found["C17"]["p1"][0]["difference"] == pytest.approx(1.0 - 0.1)


def test_windows_are_no_network_of_their_own():
    table = pl.concat([rows(lift=0.6), rows(model="cnn_lstm_tuned_windows", lift=2.0)])
    assert comparisons.best(table, fpr=0.05, deep=True) == "cnn_lstm"


def test_a_single_lucky_training_is_not_the_best_network():
    lucky = rows(model="transformer", lift=2.0)
    table = pl.concat([rows(seed=1, lift=0.6), rows(seed=2, lift=0.6), lucky])
    assert comparisons.best(table, fpr=0.05, deep=True) == "cnn_lstm"
    assert comparisons.best(pl.concat([rows(seed=1, lift=0.6), lucky]), fpr=0.05, deep=True) == "transformer"
