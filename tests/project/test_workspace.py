"""Files are whole or absent, profiles cannot overwrite each other, and a missing file names its notebook."""

import json
import math

import numpy as np
import polars as pl
import pytest

from psembed.project.workspace import Workspace, project_root
from psembed.runtime.errors import CorpusError, ParameterError, StageError
from psembed.runtime.files import atomic, write_json


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("PSEMBED_STAGING", raising=False)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def test_root_is_found_from_a_folder_below_it(root):
    assert project_root(root / "notebooks") == root


def test_no_checkout_is_an_error(tmp_path):
    with pytest.raises(StageError, match="no psembed checkout"):
        project_root(tmp_path)


@pytest.mark.parametrize("name", ["../public", "", "Public", "a/b", "1st"])
def test_profile_names_cannot_leave_their_folder(root, name):
    with pytest.raises(ParameterError, match="profile"):
        Workspace(name, root=root)


def test_a_failed_write_leaves_the_last_good_file(tmp_path):
    path = tmp_path / "table.json"
    path.write_text("good")
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "good" and list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_last_good_file(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_json(path, {"n": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, {"n": 2})
    assert json.loads(path.read_text()) == {"n": 1} and list(tmp_path.iterdir()) == [path]


def test_json_is_strict_and_takes_numpy(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": np.float32(0.5), "b": np.arange(3)})
    assert json.loads(path.read_text()) == {"a": 0.5, "b": [0, 1, 2]}
    for bad in (math.inf, math.nan, np.float32("nan"), np.array([math.nan])):
        with pytest.raises(ValueError, match="JSON"):
            write_json(path, {"a": bad})
    assert json.loads(path.read_text()) == {"a": 0.5, "b": [0, 1, 2]}


def test_a_missing_file_names_the_notebook_that_makes_it(root):
    with pytest.raises(StageError, match="03_word2vec makes it; run `psembed run --profile smoke"):
        ws = Workspace("smoke", root=root)
        ws.input(ws.work / "vectors.npz")


def test_a_truncated_table_names_its_notebook(root):
    ws = Workspace("smoke", root=root)
    ws.write_table("corpus.parquet", pl.DataFrame({"a": range(1000)}))
    path = ws.work / "corpus.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CorpusError, match=r"corpus\.parquet cannot be read.*01_corpus"):
        ws.read_table("corpus.parquet")


def corpus(repositories: int) -> dict:
    return {"generated": True, "repositories": repositories}


def test_staged_files_are_read_back_and_leave_the_good_ones_alone(root, monkeypatch):
    Workspace("smoke", root=root).write_result("01_corpus", corpus(1))
    monkeypatch.setenv("PSEMBED_STAGING", str(root / "staging"))
    staged = Workspace("smoke", root=root)
    assert staged.read_result("01_corpus") == corpus(1)
    staged.write_result("01_corpus", corpus(2))
    assert staged.read_result("01_corpus") == corpus(2)
    monkeypatch.delenv("PSEMBED_STAGING")
    assert Workspace("smoke", root=root).read_result("01_corpus") == corpus(1)
