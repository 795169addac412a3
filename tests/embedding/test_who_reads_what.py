"""Two sets of vectors: `all` reads all unlabeled text, `train` no text that is kept for judging classifiers.

Cells of the notebooks themselves are run here, on a stream in which each text holds a word of its own: so the
words that have a vector say which texts were learned from.
"""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from psembed.embedding import ablation, stream, token_vectors
from psembed.project.stages import STAGES
from psembed.project.workspace import Workspace

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
TEXTS = [
    # version, train, the word that only this text holds
    (0, True, "pinnedtrain"),
    (0, False, "pinnedtest"),
    (1, True, "oldtrain"),
    (1, False, "oldreserved"),
    (2, True, "oldertrain"),
    (2, False, "olderreserved"),
]
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


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project with a stream of TEXTS, as 02_tokens writes it."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    rows = [("a", "human", f"{word}.ps1", word, *marks, f"get-item $x {word} -y") for *marks, word in TEXTS]
    columns = ["source", "stratum", "path", "normalised", "version", "train", "text"]
    table = pl.DataFrame(rows, schema=columns, orient="row")
    stream.write(tmp_path / "work" / "smoke" / "stream", [table])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def learned_from(path):
    """Return which of TEXTS vectors were learned from."""
    return {word for *_, word in TEXTS} & set(token_vectors.read(path).index_to_key)


@pytest.mark.parametrize("older", [0, 1, 2])
def test_the_networks_vectors_read_training_groups_and_the_others_all(root, older):
    run = {"older_versions": older}
    exec(PARAMETERS, run)
    for part in ("import numpy", "TokenStream(", "ablation.of_seeds", "vectors.npz"):  # not the lessons
        exec(one("03_word2vec", part), run)
    work = Workspace("smoke").work
    expected_all = {word for version, _, word in TEXTS if version <= older}
    expected_train = {word for version, train, word in TEXTS if version <= older and train}
    assert learned_from(work / "vectors.npz") == expected_train
    names = [f"{kind}_{seed}.npz" for kind in ("word2vec", "ppmi", "joined") for seed in (4, 5)]
    assert sorted(path.name for path in (work / "seeds").iterdir()) == sorted(names)
    for name in names:
        assert learned_from(work / "seeds" / name) == expected_all, name
    assert token_vectors.read(work / "vectors.npz").meta["seed"] == 4
    assert token_vectors.read(work / "seeds" / "word2vec_5.npz").meta["seed"] == 5
    for kind, known in run["vectors"].items():  # what is shown and released: the first seed of all
        first = token_vectors.read(work / "seeds" / f"{kind}_4.npz")
        np.testing.assert_array_equal(known.vectors, first.vectors)
    assert set(run["vectors"]) == {"word2vec", "joined"}


def test_fasttext_vectors_of_networks_read_training_groups_at_the_pinned_commits(root):
    (root / "paper" / "results" / "smoke").mkdir(parents=True)
    told = {"min_scripts": 1, "dimension": 4, "window": 2, "epochs": 1, "negative": 2, "repository_cap": None}
    (root / "paper" / "results" / "smoke" / "03_word2vec.json").write_text(json.dumps(told))
    asked = []
    run = {
        "ws": Workspace("smoke"),
        "stream": stream,
        "ablation": ablation,
        "word2vec": SimpleNamespace(train=lambda read, **given: asked.append((read, given))),
        "token_vectors": SimpleNamespace(matrix=lambda learned, vocabulary: np.ones((3, 4))),
        "encoder": SimpleNamespace(vocabulary=None),
        "networks": ["cnn_lstm_tuned"],
        "ablations": ["cnn_lstm_fasttext"],
        "matrix": np.zeros((3, 4)),
        "fasttext_scripts": 5,
        "seed": 4,
    }
    exec(one("07_cnn_lstm", "fasttext_scripts, seed"), run)
    ((read, given),) = asked
    assert read.scripts.filter(given["kept"])["normalised"].to_list() == ["pinnedtrain"]
    assert given["algorithm"] == "fasttext" and given["repository_cap"] is None
    assert run["matrices"]["cnn_lstm_tuned"].sum() == 0 and run["matrices"]["cnn_lstm_fasttext"].sum() == 12


def test_only_the_networks_start_from_the_vectors_of_training_groups_and_no_network_from_the_others():
    reads = {stage.name: set(stage.reads) for stage in STAGES}
    by_file = {
        file: [name for name, files in reads.items() if f"work/{{p}}/{file}" in files]
        for file in ("vectors.npz", "seeds/", "released/")
    }
    assert by_file == {
        "vectors.npz": ["07_cnn_lstm"],
        "seeds/": ["04_semantics"],
        "released/": ["04_semantics"],
    }
    for stage in STAGES:
        named = set(re.findall(r"ws\.work / [\"'](\w+)", "\n".join(cells(stage.name))))
        expected = {
            "03_word2vec": {"seeds", "vectors", "released"},
            "04_semantics": {"seeds"},
            "07_cnn_lstm": {"vectors"},
        }
        assert named & {"seeds", "vectors", "released"} == expected.get(stage.name, set()), stage.name
        assert "load_vectors" not in "\n".join(cells(stage.name))  # the released ones read all
