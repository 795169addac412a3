"""Many trainings: what each reads, that each changes one thing, and that processes do not matter."""

import inspect

import numpy as np
import polars as pl
import pytest

from psembed.embedding import ablation, benchmark, ppmi, token_vectors, word2vec
from psembed.embedding.ablation import Training, of_seeds, plan, sample, train_all
from psembed.embedding.stream import TokenStream, write
from psembed.powershell.command_position import CODE
from psembed.project.profiles import load_profile
from psembed.runtime.errors import ModelError, ParameterError

COMMON = {"min_scripts": 1, "seed": 1}
SETTINGS = {
    "word2vec": {
        **COMMON,
        "dimension": 6,
        "window": 2,
        "epochs": 1,
        "algorithm": "cbow",
        "repository_cap": 20,
    },
    "ppmi": {**COMMON, "dimension": 5, "repository_cap": 20},
}
N = 40  # scripts; some have a version, every fourth is a snippet, every second of a source with a history


def scripts(n=N):
    verbs = ["sort", "where", "gci", "iex"]
    texts = [
        f"# note\n{verbs[i % 4]} 'text {verbs[i % 3]}' -x | % {{ $_.{verbs[i % 4]} -y }}" for i in range(n)
    ]
    sources = ["dahlbyk-posh-git" if i % 2 else "a-few-files" for i in range(n)]
    return pl.DataFrame({"source": sources, "normalised": [f"s{i}" for i in range(n)], "text": texts})


@pytest.fixture
def stream(tmp_path):
    table = scripts().with_columns(
        path=pl.Series([f"a.md#{i:04d}" if i % 4 == 0 else f"{i}.ps1" for i in range(N)]),
        version=pl.Series([i % 3 if i % 6 > 2 else 0 for i in range(N)]),
    )
    return write(tmp_path / "stream", [table])


def numbers(kept):
    return np.flatnonzero(kept).tolist()


def test_a_sample_is_of_the_kept_and_repeats_by_seed():
    kept = np.arange(N) % 3 > 0
    chosen = sample(kept, 9, seed=1)
    assert chosen.dtype == bool and len(chosen) == N and chosen.sum() == 9 and not (chosen & ~kept).any()
    assert (sample(kept, 9, seed=1) == chosen).all()
    assert (sample(kept, 9, seed=2) != chosen).any()
    assert (sample(kept, N, seed=1) == kept).all() and not sample(kept, 0, seed=1).any()


@pytest.fixture
def planned(stream, tmp_path):
    return plan(stream, scripts().reverse(), tmp_path / "read")


def named(planned):
    return {training.name: training for training in planned}


def test_each_training_of_the_plan_changes_one_thing_of_the_first_of_its_model(stream, planned):
    assert len(named(planned)) == len(planned)
    bases = {model: named(planned)[model] for model in ablation.MODELS}
    for model, base in bases.items():
        assert (base.model, base.stream, base.changes) == (model, stream.folder, {})
        assert (base.kept == (stream.scripts["version"] == 0).to_numpy()).all()
        first = next(training for training in planned if training.model == model)
        assert first is base
    for other in (training for training in planned if training.name not in bases):
        base = bases[other.model]
        assert other.name.startswith(f"{other.model}, ")
        changed = [*other.changes]
        if other.stream != base.stream:
            changed.append("stream")
        elif (other.kept != base.kept).any():
            changed.append("kept")
        assert len(changed) == 1, other.name


def test_the_plan_changes_every_setting_and_reading_to_another_one(planned):
    by_name = named(planned)
    for model, changes in ablation.CHANGES.items():
        parameters = inspect.signature(ablation.MODELS[model]).parameters
        for name, change in changes.items():
            assert by_name[f"{model}, {name}"].changes == change and len(change) == 1
            assert set(change) <= parameters.keys()
    for name, reading in ablation.READINGS.items():
        assert f"word2vec, {name}" in by_name
        assert sum(a != b for a, b in zip(reading, CODE, strict=True)) == 1
    left = ablation.CHANGES["ppmi"]["without parameters"]["contexts"]
    assert set(ppmi.CONTEXTS) - set(left) == {"parameters"}


def test_no_change_is_the_setting_of_the_published_run():
    """It would be shown as a change of one thing, and change nothing."""
    chosen = load_profile("public").values["03_word2vec"]
    settings = {
        "word2vec": {
            key: chosen.get(key) for key in ("dimension", "window", "epochs", "negative", "repository_cap")
        },
        "ppmi": {
            "dimension": chosen["ppmi_dimension"],
            "repository_cap": chosen["ppmi_cap"],
            "contexts": ppmi.CONTEXTS,
        },
    }
    for model, changes in ablation.CHANGES.items():
        base = {
            **settings[model],
            "min_scripts": chosen["min_scripts"],
            "algorithm": chosen.get("algorithm", "cbow"),
        }
        for name, change in changes.items():
            ((key, value),) = change.items()
            assert base[key] != value, f"{model}, {name}"


def test_what_each_reads_beside_or_instead(stream, planned):
    table = stream.scripts
    rows = table.with_row_index("row")
    expected = {
        "one older version too": pl.col("version") <= 1,
        "two older versions too": pl.col("version") <= 2,
        "no snippets": (pl.col("version") == 0) & pl.col("path").str.ends_with(".ps1"),
        "sources with a history only": (pl.col("version") == 0) & (pl.col("source") == "dahlbyk-posh-git"),
    }
    for model in ablation.MODELS:
        for name, wanted in expected.items():
            kept = named(planned)[f"{model}, {name}"].kept
            assert numbers(kept) == rows.filter(wanted)["row"].to_list(), name
    sizes = [len(rows.filter(wanted)) for wanted in (pl.col("version") == 0, *expected.values())]
    assert len(set(sizes)) == len(sizes)  # so that no two are taken for each other


def test_texts_that_are_not_there_make_no_training(tmp_path):
    table = scripts(4).with_columns(
        source=pl.lit("dahlbyk-posh-git"),
        path=pl.Series(["a.ps1", "b.ps1", "c.md#001", "d#0001.ps1"]),
        version=pl.lit(0),
    )
    planned = named(plan(write(tmp_path / "stream", [table]), scripts(4), tmp_path / "read"))
    assert len(planned) == 2 + sum(map(len, ablation.CHANGES.values())) + len(ablation.READINGS)


def test_what_is_read_differently_is_todays_text_without_older_versions(stream, planned):
    today = stream.scripts.filter(pl.col("version") == 0)
    tokens = {}
    for name in ablation.READINGS:
        training = named(planned)[f"word2vec, {name}"]
        read = TokenStream(training.stream)
        assert training.kept is None and training.model == "word2vec"
        assert sorted(read.scripts["normalised"]) == sorted(today["normalised"])
        owners = scripts()["normalised", "source"].rows()  # the cap asks for the repository
        assert set(read.scripts["normalised", "source"].rows()) < set(owners)
        tokens[name] = set(read.tokens)
    assert "note" in tokens["comments read"] and "command:sort" in tokens["comments read"]
    assert "text" not in tokens["strings blank"] and "note" not in tokens["strings blank"]
    assert not any(token.startswith("command:") for token in tokens["commands not marked"])


def test_seeds_are_trainings_of_each_model_that_differ_in_the_seed_only(stream):
    kept = np.arange(N) < 30
    listed = of_seeds(stream, kept, range(3, 5))
    assert [training.name for training in listed] == ["word2vec_3", "ppmi_3", "word2vec_4", "ppmi_4"]
    assert [training.changes for training in listed] == [{"seed": 3}, {"seed": 3}, {"seed": 4}, {"seed": 4}]
    assert {training.model for training in listed} == ablation.MODELS.keys()
    assert all(training.stream == stream.folder and (training.kept == kept).all() for training in listed)
    assert of_seeds(stream, None, []) == []


def test_processes_do_not_change_the_vectors(stream, tmp_path):
    kept = np.arange(N) % 5 > 0
    trainings = [
        *of_seeds(stream, kept, [1, 2]),
        Training("wide", "word2vec", stream.folder, None, {"dimension": 9}),
    ]
    one, two = tmp_path / "one", tmp_path / "two"
    seconds = [
        train_all(trainings, SETTINGS, folder, processes=processes)
        for folder, processes in ((one, 1), (two, 2))
    ]
    assert all(len(each) == 5 and min(each) > 0 for each in seconds)
    for training in trainings:
        read, other = (token_vectors.read(f / f"{training.name}.npz") for f in (one, two))
        assert read.index_to_key == other.index_to_key
        np.testing.assert_array_equal(token_vectors.counts(read), token_vectors.counts(other))
        np.testing.assert_array_equal(read.vectors, other.vectors)
        settings = SETTINGS[training.model] | training.changes
        assert read.meta == settings
        expected = ablation.MODELS[training.model](stream, kept=training.kept, **settings)
        assert read.index_to_key == expected.index_to_key
        np.testing.assert_allclose(read.vectors, expected.vectors.astype(np.float16), atol=2e-3)
    assert {"word2vec": word2vec.train, "ppmi": ppmi.train} == ablation.MODELS


def test_joined_vectors_stand_beside_the_two_that_they_are_of(stream, tmp_path):
    train_all(of_seeds(stream, None, [1]), SETTINGS, tmp_path)
    ablation.join(tmp_path, "word2vec_1", "ppmi_1", "joined_1")
    first, second, joined = (
        token_vectors.read(tmp_path / f"{name}_1.npz") for name in ("word2vec", "ppmi", "joined")
    )
    expected = ppmi.joined(first, second)
    assert joined.index_to_key == expected.index_to_key == first.index_to_key and len(joined.index_to_key) > 8
    np.testing.assert_array_equal(joined.vectors, expected.vectors.astype(np.float16))
    np.testing.assert_array_equal(token_vectors.counts(joined), token_vectors.counts(first))
    assert sorted(path.name for path in tmp_path.glob("*.npz")) == [
        "joined_1.npz",
        "ppmi_1.npz",
        "word2vec_1.npz",
    ]
    with pytest.raises(ModelError, match=r"ppmi_2\.npz"):
        ablation.join(tmp_path, "word2vec_1", "ppmi_2", "joined_2")
    assert not (tmp_path / "joined_2.npz").exists()


def test_two_trainings_of_one_name_are_refused_before_any_is_trained(stream, tmp_path):
    twice = [
        Training("same", "ppmi", stream.folder, None, {}),
        Training("same", "word2vec", stream.folder, None, {}),
    ]
    with pytest.raises(ParameterError, match="two trainings have one name among same, same"):
        train_all(twice, SETTINGS, tmp_path / "vectors")
    assert not (tmp_path / "vectors").exists()


def test_a_report_has_a_row_for_each_name(stream, tmp_path, monkeypatch):
    train_all(of_seeds(stream, None, [1]), SETTINGS, tmp_path)
    ablation.join(tmp_path, "word2vec_1", "ppmi_1", "joined")
    asked = []

    def scored(vectors, *, seed, half, min_count):
        asked.append((seed, half, min_count))
        return {"summary": {half: dict.fromkeys(wanted, float(np.abs(vectors.vectors).sum()))}}

    wanted = ["alias_n", "alias_mrr", "alias_mrr_low", "alias_mrr_high", "alias_hit10", "odd_groups_accuracy",
              "analogies_top1", "analogies_mrr"]  # fmt: skip
    monkeypatch.setattr(benchmark, "run", scored)
    names = ["ppmi_1", "word2vec_1", "joined"]
    table = ablation.report(names, tmp_path, seed=3, min_count=7)
    assert table.columns == ["change", "tokens", *wanted] and table["change"].to_list() == names
    assert table["alias_mrr"].n_unique() == 3 and asked == [(3, "development", 7)] * 3
    assert table["tokens"].to_list() == [len(token_vectors.read(tmp_path / "joined.npz").index_to_key)] * 3
