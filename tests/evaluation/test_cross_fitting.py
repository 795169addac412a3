"""Networks are cross-fitted: a file for each protocol and network, and none is made that is there already."""

from dataclasses import replace
from pathlib import Path

import drawn_up
import numpy as np
import polars as pl
import pytest

from psembed.datasets import protocols
from psembed.evaluation import cross_fitting, score_tables
from psembed.evaluation.cross_fitting import Data, Task
from psembed.models import training
from psembed.models.training import Encoded, Scored
from psembed.powershell.encoding import Encoder
from psembed.project.workspace import Workspace
from psembed.runtime.errors import StageError

SAMPLES = drawn_up.samples(32)
LIMITS = {"per_cluster": 1, "most_clean": 50, "seed": 1}
AT_WORK = {"epochs": 1, "batch": 16, "processes": 1}
FOLDS = [0, 1]


def data(**changes) -> Data:
    encoders = {
        fold: Encoder(["get-date", ";", "iex"][fold:], token_length=64, char_length=64) for fold in FOLDS
    }
    matrices = {}
    for fold, encoder in encoders.items():
        matrices[fold] = (
            np.random.default_rng(fold)
            .normal(size=(len(encoder.vocabulary.tokens) + 2, 4))
            .astype(np.float32)
        )
        matrices[fold][0] = 0
    encoded = Encoded(SAMPLES["read"], SAMPLES["label"].to_numpy(), encoders)
    named = {fold: f"fold_{fold}" for fold in FOLDS}
    return replace(Data(SAMPLES, encoded, matrices, named, dict(LIMITS)), **changes)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.delenv("PSEMBED_STAGING", raising=False)
    made = Workspace("smoke", root=tmp_path)
    score_tables.list_scripts(made, SAMPLES)
    return made


class Fake:
    """Trainings that only tell what was asked, scored by network, seed and part."""

    def __init__(self, monkeypatch):
        self.trained, self.folders = [], []
        monkeypatch.setattr(training, "score_all", self)

    def __call__(self, folder: Path, asked, *, batch: int, processes: int):
        for one, parts in asked:
            self.trained.append(one)
            self.folders.append(folder)
            scores = {
                part: np.linspace(0, one.seed / 9, len(read), dtype=np.float32)
                for part, read in parts.items()
            }
            yield Scored(scores, [{"epoch": n, "loss": 0.5, "seconds": 0.1} for n in range(one.epochs)], 7)

    def count(self) -> int:
        """Return how many were trained since this was last asked."""
        count = len(self.trained)
        self.trained.clear()
        return count


@pytest.fixture
def fake(monkeypatch):
    return Fake(monkeypatch)


def plan(of: Data, seeds=(1, 2)) -> list[Task]:
    return [
        *cross_fitting.tasks(of, "p1", "token_cnn", seeds),
        *cross_fitting.tasks(of, "p1", "character_cnn", seeds[:1]),
        *cross_fitting.tasks(of, "p2", "token_cnn", seeds[:1]),
    ]


def score(workspace, of: Data, asked: list[Task] | None = None, **changes) -> pl.DataFrame:
    return cross_fitting.score(workspace, "networks", asked or plan(of), of, **AT_WORK | changes)


def test_there_is_a_file_for_each_protocol_and_network_and_a_history_of_all(workspace, fake):
    history = score(workspace, data(), epochs=3)
    folder = workspace.results / "scores" / "networks"
    assert sorted(path.stem for path in folder.iterdir()) == [
        "p1_character_cnn",
        "p1_token_cnn",
        "p2_token_cnn",
    ]
    assert (
        fake.count() == 8 and history.height == 8 * 3 and set(fake.folders) == {workspace.work / "networks"}
    )
    assert set(history.columns) == {*Task._fields, "parameters", "epoch", "loss", "seconds"}
    found = score_tables.read(workspace, ["networks"])
    listed = score_tables.read(workspace, ["networks"], protocols=("p1",), model="token_cnn")
    scripts = pl.read_parquet(workspace.results / "scores" / "scripts" / "p1.parquet")
    assert set(listed["seed"]) == {1, 2} and listed.height == 2 * scripts.height
    seeds = found.group_by("model", "protocol").agg(pl.col("seed").n_unique())
    assert seeds.sort("protocol", "model").rows() == [
        ("character_cnn", "p1", 1), ("token_cnn", "p1", 2), ("token_cnn", "p2", 1),
    ]  # fmt: skip


def test_each_fold_has_its_own_vectors_and_tokens_and_never_sees_what_it_tests(workspace, fake):
    of = data()
    score(workspace, of)
    for fold in FOLDS:
        task = Task("p1", "token_cnn", fold, 1)
        one = of.training(task, epochs=4)
        assert one.matrix is of.matrices[fold] and one.epochs == 4 and one.seed == 1
        train = protocols.training(SAMPLES, "p1", fold, **LIMITS)
        tested = of.tested("p1", fold)
        assert len(one.data) == train.height and one.data.labels.tolist() == train["label"].to_list()
        assert one.data.tokens.max() < len(of.matrices[fold])
        seen = {group for rows, _ in tested.values() for group in rows["group"]}
        assert not seen & set(train["group"])
        for rows, read in tested.values():
            assert read.labels.tolist() == rows["label"].to_list()
    trained = {id(one.matrix) for one in fake.trained}
    assert trained == {id(matrix) for matrix in of.matrices.values()}


def test_fewer_labels_are_trained_on_for_longer(workspace, fake):
    of = data()
    asked = cross_fitting.tasks(of, "p1", "token_cnn", [1], [0.25, 1.0])
    assert len(asked) == 4 and asked[0] == Task("p1", "token_cnn", 0, 1, 0.25)
    few, whole = (of.training(task, epochs=8) for task in asked[:2])
    assert (few.epochs, whole.epochs) == (16, 8)
    assert 0 < len(few.data) < len(whole.data) and set(few.data.labels) == {0, 1}
    score(workspace, of, asked)
    assert set(score_tables.read(workspace, ["networks"])["share"]) == {0.25, 1.0}


def test_what_is_there_is_not_trained_again_even_without_the_networks(workspace, fake):
    first = score(workspace, data())
    assert fake.count() == 8
    before = score_tables.read(workspace, ["networks"])
    assert not (workspace.work / "networks").exists()  # nothing but the scores is left
    again = score(workspace, data())
    assert fake.count() == 0 and again.sort(Task._fields).equals(first.sort(Task._fields))
    assert score_tables.read(workspace, ["networks"]).equals(before)


def test_only_files_that_would_be_other_are_made_again(workspace, fake):
    score(workspace, data())
    fake.count()
    (workspace.results / "scores" / "networks" / "p1_character_cnn.parquet").unlink()
    score(workspace, data())
    assert fake.count() == 2
    more = [*plan(data()), *cross_fitting.tasks(data(), "p2", "token_cnn", [3])]
    score(workspace, data(), more)
    assert fake.count() == 4  # all seeds of that file
    assert set(score_tables.read(workspace, ["networks"], protocols=("p2",))["seed"]) == {1, 3}


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2},
        {"batch": 8},
        {"limits": LIMITS | {"seed": 2, "most_clean": 3}},
        {"vectors": dict.fromkeys(FOLDS, "of other texts")},
    ],
    ids=["epochs", "batch", "limits", "vectors"],
)
def test_a_changed_setting_trains_again(workspace, fake, change):
    score(workspace, data())
    fake.count()
    settings = {name: value for name, value in change.items() if name in AT_WORK}
    given = {name: value for name, value in change.items() if name not in AT_WORK}
    score(workspace, data(**given), **settings)
    assert fake.count() == 8
    score(workspace, data(**given), **settings)
    assert fake.count() == 0


def test_other_scripts_that_are_only_tested_ask_every_network_again(workspace, fake):
    score(workspace, data())
    fake.count()
    spoiled = SAMPLES.with_columns(
        read=pl.when(pl.col("dropped") != "").then(pl.lit("iex")).otherwise("read")
    )
    encoded = Encoded(spoiled["read"], spoiled["label"].to_numpy(), {
        fold: Encoder(["get-date", ";", "iex"][fold:], token_length=64, char_length=64) for fold in FOLDS
    })  # fmt: skip
    score(workspace, data(samples=spoiled, encoded=encoded))
    assert fake.count() == 8


def test_a_killed_training_leaves_no_file_half_written_and_the_old_ones_as_they_were(
    workspace, fake, monkeypatch
):
    score(workspace, data())
    before = {path.name: path.read_bytes() for path in (workspace.results / "scores" / "networks").iterdir()}

    def killed(folder, asked, **settings):
        yield next(iter(fake(folder, asked, **settings)))
        raise StageError("a process was killed")

    monkeypatch.setattr(training, "score_all", killed)
    with pytest.raises(StageError, match="killed"):
        score(workspace, data(), epochs=5)
    assert {
        path.name: path.read_bytes() for path in (workspace.results / "scores" / "networks").iterdir()
    } == before


def test_small_networks_are_trained_and_asked(workspace):
    """Slow (over 10 s): two networks are trained for an epoch."""
    of = data()
    asked = cross_fitting.tasks(of, "p1", "token_cnn", [1])
    history = score(workspace, of, asked)
    assert len(list((workspace.work / "networks").glob("*.keras"))) == 2
    assert history.height == 2 and history["loss"].is_finite().all() and history["parameters"].min() > 0
    found = score_tables.read(workspace, ["networks"])
    assert found["score"].is_between(0, 1).all() and found["score"].n_unique() > 2
