"""Vectors that are asked and released read all unlabeled text, those of a fold nothing near what it tests.

Cells of the notebooks themselves are run here, on a stream in which each text holds a word of its own: so the
words that have a vector say which texts were learned from.
"""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from psembed.embedding import stream, token_vectors
from psembed.project.stages import STAGES
from psembed.project.workspace import Workspace

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TEXTS = [
    # version, group and cluster, fold of the groups that are labelled, the word that only this text holds
    (0, 1, 0, "pinnedfirst"),
    (0, 2, 1, "pinnedsecond"),
    (0, 3, None, "pinnedother"),
    (1, 1, 0, "oldfirst"),
    (1, 3, None, "oldother"),
    (2, 3, None, "olderother"),
]
WORDS = {word for *_, word in TEXTS}
VECTORS = {"min_scripts": 1, "dimension": 4, "window": 2, "epochs": 1, "negative": 2}
PARAMETERS = (
    "profile, seed, seed_count, min_scripts = 'smoke', 4, 2, 1\n"
    "algorithm, dimension, window, epochs, negative, repository_cap = 'cbow', 4, 2, 1, 2, 3\n"
    "ppmi_dimension, ppmi_cap, processes = 4, 0, 1\n"
)


def cells(notebook):
    """Return the source of a notebook's cells of code."""
    cells = json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def one(notebook, part):
    (cell,) = (cell for cell in cells(notebook) if part in cell)
    return cell


def run_up_to(notebook, part, run):
    """Run the cells after the one of parameters, up to the one that holds `part`."""
    source = cells(notebook)
    (last,) = (number for number, cell in enumerate(source) if part in cell)
    for cell in source[1 : last + 1]:
        exec(cell, run)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with what 02_tokens, 03_word2vec and 05_labels write of TEXTS."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    columns = ["source", "stratum", "path", "normalised", "version", "train", "text"]
    rows = [
        ("a", "human", f"{word}.ps1", word, version, fold is None, f"get-item $x {word} -y")
        for version, _, fold, word in TEXTS
    ]
    work = tmp_path / "work" / "smoke"
    stream.write(work / "stream", [pl.DataFrame(rows, schema=columns, orient="row")])
    pinned = [(word, group, group, fold) for version, group, fold, word in TEXTS if version == 0]
    table = pl.DataFrame(pinned, schema=["normalised", "cluster", "group", "fold"], orient="row")
    table.drop("fold").write_parquet(work / "scripts.parquet")
    table.drop_nulls("fold").drop("normalised").write_parquet(work / "samples.parquet")
    told = tmp_path / "paper" / "results" / "smoke" / "03_word2vec.json"
    told.parent.mkdir(parents=True)
    told.write_text(json.dumps(VECTORS | {"algorithm": "cbow", "repository_cap": None}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def learned_from(vectors):
    """Return which of TEXTS vectors were learned from."""
    return WORDS & set(vectors.index_to_key)


@pytest.mark.parametrize("older", [0, 1, 2])
def test_vectors_that_are_asked_and_released_read_all_texts(root, older):
    run = {"older_versions": older}
    exec(PARAMETERS, run)
    for part in (
        "import numpy",
        "TokenStream(",
        "ablation.of_seeds",
        "ablation.join(seeds",
    ):  # not the lessons
        exec(one("03_word2vec", part), run)
    seeds = Workspace("smoke").work / "seeds"
    names = [f"{kind}_{seed}.npz" for kind in ("word2vec", "ppmi", "joined") for seed in (4, 5)]
    assert {path.name for path in seeds.iterdir()} == set(names)
    for name in names:
        assert learned_from(token_vectors.read(seeds / name)) == {
            word for version, *_, word in TEXTS if version <= older
        }, name
    assert token_vectors.read(seeds / "word2vec_5.npz").meta["seed"] == 5
    for kind, known in run["vectors"].items():  # what is shown and released: the first seed
        np.testing.assert_array_equal(known.vectors, token_vectors.read(seeds / f"{kind}_4.npz").vectors)
    assert set(run["vectors"]) == {"word2vec", "joined"}


def test_networks_of_a_fold_start_from_vectors_of_the_other_groups_at_the_pinned_commits(root):
    run = {}
    exec(cells("07_cnn_lstm")[0], run)
    run_up_to("07_cnn_lstm", "token_vectors.matrix", run)
    pinned = {word for version, *_, word in TEXTS if version == 0}
    expected = {
        fold: pinned - {word for _, _, tested, word in TEXTS if tested == fold}
        for fold in (0, 1, run["released_fold"])
    }
    assert expected[run["released_fold"]] == pinned
    assert {fold: learned_from(own) for fold, own in run["vectors"].items()} == expected
    for fold, encoder in run["encoders"].items():
        assert WORDS & set(encoder.vocabulary.tokens) == expected[fold]
        assert run["matrices"][fold].shape == (len(encoder.vocabulary) + 2, VECTORS["dimension"])


def test_no_network_starts_from_vectors_that_read_all():
    reads = {stage.name: set(stage.reads) for stage in STAGES}
    by_file = {
        file: [name for name, files in reads.items() if f"work/{{p}}/{file}" in files]
        for file in ("stream/", "seeds/", "released/")
    }
    asked = {
        "stream/": ["03_word2vec", "07_cnn_lstm"],
        "seeds/": ["04_semantics"],
        "released/": ["04_semantics"],
    }
    assert by_file == asked
    for stage in STAGES:
        source = "\n".join(cells(stage.name))
        named = set(re.findall(r"ws\.work / [\"'](\w+)", source)) & {"seeds", "vectors", "released", "folds"}
        own = {"04_semantics": {"seeds"}, "07_cnn_lstm": {"folds"}}
        assert stage.name == "03_word2vec" or named == own.get(stage.name, set()), stage.name
        assert "load_vectors" not in source  # the released ones read all
