"""Results are read as they were written, and what lacks something or is damaged is named."""

import json
from pathlib import Path

import pytest
from synthetic_results import results as synthetic

from psembed.project.results import load_results
from psembed.project.workspace import Workspace
from psembed.runtime.errors import ParameterError, StageError


def test_results_that_are_missing_or_damaged_are_named(tmp_path: Path):
    with pytest.raises(StageError, match="psembed run"):
        load_results(tmp_path)
    (tmp_path / "03_word2vec.json").write_text("{", encoding="utf-8")
    with pytest.raises(StageError, match="03_word2vec"):
        load_results(tmp_path)


def test_results_are_read_as_they_were_written_and_not_written_without_what_is_read(tmp_path: Path):
    workspace, results = Workspace("smoke", root=tmp_path), synthetic()
    workspace.write_result("02_tokens", results["02_tokens"])
    assert load_results(workspace.results) == {"02_tokens": results["02_tokens"]}
    written = (workspace.results / "02_tokens.json").read_text(encoding="utf-8")
    del results["02_tokens"]["unlabeled"]
    for lacking in (results["02_tokens"], [], None):
        with pytest.raises(ParameterError, match=r"02_tokens lack .*unlabeled"):
            workspace.write_result("02_tokens", lacking)
    assert (workspace.results / "02_tokens.json").read_text(encoding="utf-8") == written
    workspace.write_result("claims", [])  # no chapter's results
    assert json.loads((workspace.results / "claims.json").read_text(encoding="utf-8")) == []
