"""Published files are safe from notebooks that are run by hand, and stale copies are named."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from psembed.project.parameters import read_notebook, resolve
from psembed.project.profiles import load_profile
from psembed.project.published import stale_copies
from psembed.project.stages import STAGES
from psembed.project.workspace import Workspace
from psembed.runtime.errors import ParameterError

ROOT = Path(__file__).parents[2]
LABELS = {"one_line_rule_accuracy": 0.97, "p1": {}}


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone's notebooks, and this process taken for the kernel of one of them."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(sys.modules["__main__"], "get_ipython", object, raising=False)
    return tmp_path


def given(monkeypatch, source: str, stage: str, **changes) -> None:
    """Give the kernel the parameters that a profile has for a notebook, with changes."""
    notebooks = {each.name: read_notebook(ROOT / "notebooks" / f"{each.name}.ipynb") for each in STAGES}
    for name, value in (resolve(load_profile(source), notebooks, [])[stage] | changes).items():
        monkeypatch.setattr(sys.modules["__main__"], name, value, raising=False)


def test_a_notebook_run_by_hand_with_smoke_settings_replaces_nothing_published(clone, monkeypatch):
    given(monkeypatch, "smoke", "08_evaluation", profile="public")
    workspace = Workspace("public", root=clone)
    with pytest.raises(
        ParameterError, match=r"08_evaluation was started by hand.*headline_fpr is 0\.05, not"
    ):
        workspace.output(workspace.figures / "05_roc.csv")
    with pytest.raises(ParameterError, match="psembed run --profile public --only 08_evaluation"):
        workspace.write_result("08_evaluation", {})
    assert not workspace.figures.exists() and not list(workspace.results.glob("*"))


def test_a_parameter_that_is_not_there_is_another_one(clone):
    workspace = Workspace("public", root=clone)
    with pytest.raises(ParameterError, match="seed is None"):
        workspace.write_result("05_labels", LABELS)


def test_the_profiles_own_parameters_may_be_given_by_hand(clone, monkeypatch):
    given(monkeypatch, "public", "05_labels")
    Workspace("public", root=clone).write_result("05_labels", LABELS)
    assert json.loads((clone / "paper/results/public/05_labels.json").read_text()) == LABELS


@pytest.mark.parametrize("profile", ["smoke", "control", "mine"])
def test_what_is_not_published_may_be_written_with_any_parameters(clone, monkeypatch, profile):
    given(monkeypatch, "public", "05_labels", profile=profile)
    Workspace(profile, root=clone).write_result("05_labels", LABELS)


def test_the_runner_and_plain_programs_are_not_asked(clone, monkeypatch):
    monkeypatch.setenv("PSEMBED_STAGING", str(clone / "staging"))
    Workspace("public", root=clone).write_result("05_labels", LABELS)
    monkeypatch.delenv("PSEMBED_STAGING")
    monkeypatch.delattr(sys.modules["__main__"], "get_ipython")
    Workspace("public", root=clone).write_result("05_labels", LABELS)


def test_a_changed_cell_of_either_kind_or_a_missing_copy_makes_a_notebook_stale(clone):
    executed = clone / "notebooks/executed"
    for stage in STAGES:
        shutil.copy(clone / "notebooks" / f"{stage.name}.ipynb", executed)
    assert stale_copies(clone) == []
    copy = executed / "02_tokens.ipynb"
    notebook = json.loads(copy.read_text())
    added = {"cell_type": "code", "source": "seed = 1", "metadata": {"tags": ["injected-parameters"]}}
    copy.write_text(json.dumps(notebook | {"cells": [*notebook["cells"], added]}))
    assert stale_copies(clone) == []
    notebook["cells"][0]["source"] = ["Another title"]
    copy.write_text(json.dumps(notebook))
    (executed / "09_onnx.ipynb").unlink()
    assert stale_copies(clone) == ["02_tokens", "09_onnx"]
