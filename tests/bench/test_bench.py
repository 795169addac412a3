"""The bench measures what it says, on texts that repeat, and stores what it returns."""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import polars as pl
import pytest
from ballast import ballast

from bench import cluster, learning, measuring, scoring, speed, training
from psembed.embedding import token_vectors
from psembed.embedding.token_vectors import TokenVectors
from psembed.models import network
from psembed.powershell.encoding import Encoder, Samples
from psembed.runtime.errors import CorpusError
from psembed.sources import catalogue
from psembed.sources.snapshots import blob_id, write_snapshot


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(speed, "SCRIPTS", 300)
    monkeypatch.setattr(speed, "REPEATS", 1)
    monkeypatch.setattr(scoring, "SIZES", (1_000, 30_000))
    monkeypatch.setattr(scoring, "REPEATS", 1)
    monkeypatch.setattr(learning, "GENERATED", 400)
    monkeypatch.setattr(learning, "COMPARED", 150)
    monkeypatch.setattr(learning, "SIZES", (100, 200, 390))


@pytest.fixture
def one_process(monkeypatch):
    """One process for all that is measured in a process of its own: starting each would take longest."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        monkeypatch.setattr(measuring, "alone", lambda work, *given: pool.submit(work, *given).result())
        yield


def check_speeds(found, rivals):
    ours = found["tokenise_mb_per_s"]
    assert ours > 0
    for name in ("re", "hf", "engine"):
        speed, ratio = found[f"{name}_mb_per_s"], found[f"tokenise_vs_{name}"]
        if name in rivals:
            assert speed > 0 and ratio == pytest.approx(ours / speed)
        else:
            assert speed is ratio is None


def test_bench_stores_what_it_measured_without_hugging_face(tmp_path, monkeypatch, one_process):
    """Slow (over 15 s): the whole of make bench, on few texts."""
    monkeypatch.setattr(cluster, "CORES", 2)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    found = speed.main(tmp_path)
    assert json.loads((tmp_path / "paper/results/bench.json").read_text()) == found
    assert found["texts"] == "generated" and found["scripts"] > 250
    scoring = found["scoring"]
    assert 0 < scoring["p50_ms"] <= scoring["p99_ms"] and scoring["cold_seconds"] > 0
    rates = {name: scoring[f"{name}_per_second"] for name in ("scripts", "alone", "tfidf", "tree_sitter")}
    assert min(rates.values()) > 0
    assert (
        scoring["keras_per_second"] is scoring["score_vs_keras"] is None
    )  # no run's network to compare with
    assert [row["bytes"] for row in scoring["sizes"]] == [1_000, 30_000]
    assert all(row["seconds"] > 0 and row["peak_gb"] > 0 for row in scoring["sizes"])
    assert all(row["scripts_per_second"] > 0 for row in found["cluster"]["score"])
    assert [row["workers"] for row in found["cluster"]["score"]] == [1, 2]
    check_speeds(found, {"re", "engine"})
    learning = found["learning"]
    ours, theirs = learning["ours"], learning["gensim"]
    assert ours["tokens_per_second"] > 0 and theirs["tokens_per_second"] > 0
    assert [row["scripts"] for row in learning["growth"]] == [100, 200, 390]
    assert learning["growth"][2]["tokens"] > 3 * learning["growth"][0]["tokens"]
    assert learning["corpus"] == "generated"
    assert all(row["peak_gb"] > 0 for row in (ours, theirs, *learning["growth"]))
    assert (tmp_path / "figures/bench/08_speed.svg").is_file()
    assert found["training"] is found["training_vs_plain"] is None  # no run to take labelled scripts from


def test_both_trainings_read_as_many_scripts_and_learn(tmp_path, monkeypatch):
    """Slow (over 15 s beside other work): both trainings compile their graph."""
    random = np.random.default_rng(1)
    labels = np.arange(256, dtype=np.int8) % 2
    tokens = random.integers(2, 20, (256, 64)).astype(np.int32)
    tokens[labels == 1, :4] = 7
    data = Samples(tokens, random.integers(1, 97, (256, 64)).astype(np.int32), labels)
    matrix = np.vstack([np.zeros(8), random.normal(size=(19, 8))]).astype(np.float32)
    monkeypatch.setattr(training, "LENGTHS", {"token_length": 64, "char_length": 64})
    monkeypatch.setattr(training, "EPOCHS", {"ours": 6, "plain": 6})
    monkeypatch.setattr(training, "SEEDS", (1,))  # two would be two processes, which tests/models starts
    monkeypatch.setattr(training, "BATCH", 16)
    monkeypatch.setattr(training, "_data", lambda work: (matrix, data, data))
    assert training.main(tmp_path) is None
    (tmp_path / "work" / "control" / "folds").mkdir(parents=True)
    for name in ("samples.parquet", "folds/fold_0_1a.npz"):
        (tmp_path / "work" / "control" / name).touch()
    found = training.main(tmp_path)
    assert found["corpus"] == "control"
    for side in (found["ours"], found["plain"]):
        assert side["scripts_per_second"] == pytest.approx(256 * 6 / side["seconds"])
        assert side["average_precision"] > 0.9
    assert found["training_vs_plain"] == pytest.approx(found["plain"]["seconds"] / found["ours"]["seconds"])


def test_networks_are_measured_on_a_fold_that_they_are_not_trained_on(tmp_path):
    """Twelve clusters of two scripts in three folds, one in four malicious; each script has its own word."""
    place = pl.Series(range(24))
    samples = pl.DataFrame({
        "read": [f"$x word{chr(97 + n)}" for n in range(24)], "sha256": place.cast(pl.String),
        "label": (place // 2 % 4 == 0).cast(pl.Int8), "cluster": place // 2, "fold": place // 2 % 3,
        "rank": place % 2,
        "p1": "test", "way": "", "dropped": "",
    })  # fmt: skip
    samples.write_parquet(tmp_path / "samples.parquet")
    words = [f"word{chr(97 + n)}" for n in range(6)]
    vectors = TokenVectors(words, np.ones((6, 3)), np.array([9, 8, 7, 6, 5, 4]))
    token_vectors.save(tmp_path / "folds" / "fold_0_1a.npz", vectors, {})
    matrix, train, test = training._data(tmp_path)
    assert matrix.shape == (8, 3) and (len(train), len(test)) == (8, 4)
    known = [{row - 2 for row in part.tokens.ravel() if row > 1} for part in (train, test)]
    assert known == [{2, 4}, {0}]  # of the first of each cluster; folds 1 and 2, and 0
    assert train.labels.sum() == 2 and test.labels.tolist() == [1, 0, 0, 0]


def test_keras_is_given_the_same_scripts_and_gives_the_networks_scores(tmp_path):
    work = tmp_path / "work" / "public"
    work.mkdir(parents=True)
    matrix = np.vstack([np.zeros(4), np.ones((4, 4))]).astype(np.float32)
    model = network.build(matrix, config=network.Config(filters=4, units=4), seed=1)
    network.save(model, work / "network.keras")
    encoder = Encoder(["iex", "$a", "dir"], token_length=64, char_length=64)
    (work / "tokenizer.json").write_text(encoder.to_json(), encoding="utf-8")
    works = scoring._rivals(tmp_path, [b"iex  $a # note", b"dir", b"iex"] * 4)
    assert set(works) == {"tfidf", "tree_sitter", "keras"}
    expected = network.predict(model, Samples(*encoder.encode(["iex $a", "dir", "iex"] * 4)))
    assert np.allclose(works["keras"]()[:, 0], expected, atol=1e-6)


def test_peak_memory_is_that_of_the_process_alone():
    least = measuring.alone(ballast, 1)
    assert ballast(100) > 0.8  # which a new process must neither inherit nor hide
    assert measuring.alone(ballast, 1) < least + 0.1
    assert 0.3 < measuring.alone(ballast, 50) - least < 0.5


def test_hugging_face_does_the_same_work(tmp_path):
    pytest.importorskip("tokenizers")
    scripts = [
        "\u0130EX \u03a3\u2014x \u00a0y" * 3,
        "Ab9+/" * 200 + "== iex",
        "z" * 300,
        "",
        *speed.texts(speed.files(tmp_path)[0]),
    ]
    check_speeds(speed.tokenising(scripts * 5), {"re", "hf", "engine"})


def test_other_ids_are_refused():
    works = {"tokenise": lambda: np.array([1, 2]), "re": lambda: np.array([1, 3]), "engine": lambda: None}
    with pytest.raises(CorpusError, match="re finds other ids than ours"):
        speed._check_same(works)
    speed._check_same(works | {"re": works["tokenise"]})


def test_a_process_of_re_returns_the_ids_of_its_part(monkeypatch):
    monkeypatch.setattr(speed, "_held", {})
    speed._hold([["iex"], ["x" * 70 + " IEX b"]], {"iex": 2, "x" * 64: 3})
    assert speed._re_ids(0).tolist() == [2]
    assert speed._re_ids(1).tolist() == [3, 2, 1]


def test_what_is_compared_takes_turns(monkeypatch):
    done = []
    seconds = measuring.in_turn({name: lambda name=name: done.append(name) for name in "ab"}, 3)
    assert done == ["a", "b"] * 3
    assert seconds.keys() == {"a", "b"} and min(seconds.values()) >= 0


def test_generated_texts_repeat_and_are_distinct(tmp_path):
    contents, origin = speed.files(tmp_path)
    assert (contents, origin) == speed.files(tmp_path) and origin == "generated"
    scripts = speed.texts(contents)
    assert 250 < len(scripts) == len(set(scripts)) and all(scripts)


def test_snapshots_are_preferred(tmp_path):
    name = speed.SNAPSHOTS[1]
    folder = tmp_path / "data" / "snapshots"
    folder.mkdir(parents=True)
    files = {"b.ps1": b"iex  $a # note\n", "a.ps1": b"iex $a", "c.ps1": b"", "d.ps1": b"dir"}
    rows = [(path, blob_id(data), data) for path, data in files.items()]
    (source,) = catalogue.find_sources([name])
    metadata = {"url": source.url, "commit": source.commit}
    write_snapshot(folder / f"{name}.parquet", rows, metadata, {})
    contents, origin = speed.files(tmp_path)
    assert speed.texts(contents) == ["iex $a", "dir"] and origin == name
