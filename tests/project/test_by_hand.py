"""A notebook that is opened alone has the stages before it run; the runner and other profiles have not."""

import sys
from pathlib import Path

import pytest

from psembed.project import by_hand
from psembed.project.workspace import Workspace
from psembed.runtime.errors import StageError

SEEDS = "work/smoke/seeds"


@pytest.fixture
def kernel(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "get_ipython", object, raising=False)


@pytest.fixture
def stand_in(monkeypatch):
    """A program in place of psembed, which makes the stages it is told to, or fails."""

    def install(root: Path, *, fails: bool = False) -> None:
        made = f"Path({SEEDS!r}).mkdir(parents=True)\nprint('[ 1/1]', ' '.join(sys.argv))\nprint('a table')\n"
        ends = "sys.exit('psembed: the disk is full')" if fails else made
        (root / "psembed.py").write_text(f"import sys\nfrom pathlib import Path\n{ends}")

    return install


def test_only_stages_whose_files_are_missing_are_run_in_order(tmp_path):
    first = ["01_corpus", "02_tokens", "03_word2vec"]
    assert by_hand.missing_stages(SEEDS, "smoke", root=tmp_path) == first
    (tmp_path / "work/smoke").mkdir(parents=True)
    (tmp_path / "work/smoke/corpus.parquet").touch()
    results = tmp_path / "paper/results/smoke"
    results.mkdir(parents=True)
    (results / "01_corpus.json").touch()
    assert by_hand.missing_stages(SEEDS, "smoke", root=tmp_path) == first[1:]
    (tmp_path / SEEDS).mkdir()
    assert by_hand.missing_stages(SEEDS, "smoke", root=tmp_path) == []
    assert by_hand.missing_stages("work/smoke/none", "smoke", root=tmp_path) == []


def test_a_notebook_by_hand_makes_what_it_reads_and_says_so(tmp_path, kernel, stand_in, capfd):
    stand_in(tmp_path)
    workspace = Workspace("smoke", root=tmp_path)
    assert workspace.input(workspace.work / "seeds").is_dir()
    said, noise = capfd.readouterr()
    assert "work/smoke/seeds is not there yet: running 01_corpus, 02_tokens, 03_word2vec first" in said
    assert "--profile smoke --only 01_corpus 02_tokens 03_word2vec" in said
    assert "a table" not in said and not noise


def test_a_stage_that_fails_is_told_with_its_reason(tmp_path, kernel, stand_in):
    stand_in(tmp_path, fails=True)
    workspace = Workspace("smoke", root=tmp_path)
    with pytest.raises(StageError, match=r"could not be run: psembed: the disk is full"):
        workspace.input(workspace.work / "seeds")


def test_the_runner_other_profiles_and_plain_programs_run_nothing(tmp_path, kernel, stand_in, monkeypatch):
    stand_in(tmp_path)
    control, smoke = (Workspace(profile, root=tmp_path) for profile in ("control", "smoke"))
    with pytest.raises(StageError, match="03_word2vec makes it"):
        control.input(control.work / "seeds")
    monkeypatch.setenv("PSEMBED_STAGING", str(tmp_path / "staging"))
    with pytest.raises(StageError, match="03_word2vec makes it"):
        Workspace("smoke", root=tmp_path).input(smoke.work / "seeds")
    monkeypatch.delattr(sys.modules["__main__"], "get_ipython")
    with pytest.raises(StageError, match="03_word2vec makes it"):
        smoke.input(smoke.work / "seeds")
