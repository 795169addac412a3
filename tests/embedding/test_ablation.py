"""Many trainings: what each reads, that each changes one thing, and that processes do not matter."""

import numpy as np
import polars as pl
import pytest

from psembed.embedding import ablation, benchmark, token_vectors, word2vec
from psembed.embedding.ablation import Training, plan, sample, train_all
from psembed.embedding.stream import TokenStream, write
from psembed.powershell.command_position import CODE
from psembed.runtime.errors import ParameterError

SETTINGS = {"min_scripts": 1, "dimension": 6, "window": 2, "epochs": 1, "algorithm": "cbow", "seed": 1}
N = 40  # scripts; every second is of today, every fifth of those is not kept


def scripts(n=N):
    verbs = ["sort", "where", "gci", "iex"]
    texts = [f"# note\n{verbs[i % 4]} 'text {verbs[i % 3]}' | % {{ $_.{verbs[i % 4]} }}" for i in range(n)]
    return pl.DataFrame({"normalised": [f"s{i}" for i in range(n)], "text": texts})


@pytest.fixture
def stream(tmp_path):
    numbers = np.arange(N)
    table = scripts().with_columns(head=pl.Series(numbers % 2 == 0))
    read = write(tmp_path / "stream", [table])
    read.keep(numbers % 10 != 0)
    return read


def test_a_sample_is_of_kept_scripts_of_today(stream):
    allowed = (stream.scripts["head"] & stream.scripts["kept"]).to_numpy()
    chosen = sample(stream.scripts, 9, seed=1)
    assert chosen.dtype == bool and len(chosen) == N and chosen.sum() == 9 and not (chosen & ~allowed).any()
    assert (sample(stream.scripts, 9, seed=1) == chosen).all()
    assert (sample(stream.scripts, 9, seed=2) != chosen).any()
    assert (sample(stream.scripts, N, seed=1) == allowed).all()


@pytest.fixture
def planned(stream, tmp_path, monkeypatch):
    monkeypatch.setattr(ablation, "SIZES", (5, 20, 1000))
    return plan(stream, scripts().reverse(), tmp_path / "read", n=10, seed=1)


def test_each_training_of_the_plan_changes_one_thing(stream, planned):
    base, *others = planned
    assert (
        base.name == "base" and not base.changes and (base.kept == sample(stream.scripts, 10, seed=1)).all()
    )
    names = [training.name for training in planned]
    assert len(set(names)) == len(names)
    for other in others:
        same_scripts = other.kept is not None and (other.kept == base.kept).all()
        changed = [*other.changes, *(["stream"] if other.stream != base.stream else [])]
        if other.stream == base.stream and not same_scripts:
            changed.append("kept")
        assert len(changed) == 1, other.name


def test_the_plan_changes_every_setting_and_reading_to_another_one(planned):
    by_name = {training.name: training for training in planned}
    assert {*ablation.SETTINGS, *ablation.READINGS} < by_name.keys()
    assert all(by_name[name].changes == changes for name, changes in ablation.SETTINGS.items())
    for reading in ablation.READINGS.values():
        assert sum(a != b for a, b in zip(reading, CODE, strict=True)) == 1


def test_what_is_read_differently_is_the_sample(stream, planned):
    chosen = set(stream.scripts.filter(planned[0].kept)["normalised"])
    tokens = {}
    for name in ablation.READINGS:
        (training,) = (each for each in planned if each.name == name)
        read = TokenStream(training.stream)
        assert (
            training.kept is None and set(read.scripts["normalised"]) == chosen and len(read) == len(chosen)
        )
        tokens[name] = set(read.tokens)
    assert "note" in tokens["comments read"] and "command:sort" in tokens["comments read"]
    assert "text" not in tokens["strings blank"] and "note" not in tokens["strings blank"]
    assert not any(token.startswith("command:") for token in tokens["commands not marked"])


def test_sizes_are_of_kept_scripts_of_any_time_and_no_larger_than_there_are(stream, planned):
    sizes = {
        training.name: training.kept
        for training in planned[1 + len(ablation.SETTINGS) :]
        if not training.changes
    }
    sizes = {name: kept for name, kept in sizes.items() if kept is not None}
    assert {name: kept.sum() for name, kept in sizes.items()} == {
        f"{size} scripts, older versions too": size for size in (5, 10, 20)
    }
    assert not any((kept & ~stream.kept).any() for kept in sizes.values())
    assert (sizes["20 scripts, older versions too"] & ~stream.scripts["head"].to_numpy()).any()
    assert (sizes["20 scripts, older versions too"] >= sizes["5 scripts, older versions too"]).all()


def test_processes_do_not_change_the_vectors(stream, tmp_path):
    trainings = [
        Training("all", stream.folder, None, {}),
        Training("kept", stream.folder, stream.kept, {}),
        Training("wide", stream.folder, None, {"dimension": 9}),
    ]
    one, two = tmp_path / "one", tmp_path / "two"
    seconds = [
        train_all(trainings, SETTINGS, folder, processes=processes)
        for folder, processes in ((one, 1), (two, 2))
    ]
    assert all(len(each) == 3 and min(each) > 0 for each in seconds)
    for training in trainings:
        read, other = (token_vectors.read(f / f"{training.name}.npz") for f in (one, two))
        assert read.index_to_key == other.index_to_key
        np.testing.assert_array_equal(token_vectors.counts(read), token_vectors.counts(other))
        np.testing.assert_array_equal(read.vectors, other.vectors)
        assert read.meta == SETTINGS | training.changes
        expected = word2vec.train(stream, kept=training.kept, **SETTINGS | training.changes)
        assert read.index_to_key == expected.index_to_key
        np.testing.assert_array_equal(read.vectors, expected.vectors.astype(np.float16))


def test_two_trainings_of_one_name_are_refused_before_any_is_trained(stream, tmp_path):
    twice = [Training("same", stream.folder, None, {}), Training("same", stream.folder, None, {"window": 1})]
    with pytest.raises(ParameterError, match="two trainings have one name among same, same"):
        train_all(twice, SETTINGS, tmp_path / "vectors")
    assert not (tmp_path / "vectors").exists()


def test_a_report_has_a_row_for_each_training(stream, tmp_path, monkeypatch):
    trainings = [Training(name, stream.folder, None, {"seed": seed}) for name, seed in (("a", 1), ("b", 2))]
    train_all(trainings, SETTINGS, tmp_path)
    asked = []

    def scored(vectors, *, seed, half, min_count):
        asked.append((seed, half, min_count))
        return {"summary": {half: dict.fromkeys(wanted, float(vectors.vectors.sum()))}}

    wanted = ["alias_n", "alias_mrr", "alias_mrr_low", "alias_mrr_high", "alias_hit10", "odd_groups_accuracy",
              "analogies_top1", "analogies_mrr"]  # fmt: skip
    monkeypatch.setattr(benchmark, "run", scored)
    table = ablation.report(trainings, tmp_path, seed=3, min_count=7)
    assert table.columns == ["change", "tokens", *wanted] and table["change"].to_list() == ["a", "b"]
    assert table["alias_mrr"].n_unique() == 2 and asked == [(3, "development", 7)] * 2
