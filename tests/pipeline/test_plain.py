"""Notebooks by plain papermill: in a clone without work/, in order; what fails is named."""

import pytest
from notebook_project import write_notebook

from psembed.pipeline import plain
from psembed.project.stages import Stage
from psembed.runtime.errors import ParameterError

FIRST = "from pathlib import Path\nassert not Path('work').exists()\nPath('work').mkdir()"
SECOND = "assert Path('work').exists()\nraise ValueError('no vectors')"


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(plain, "STAGES", [Stage(name, (), ()) for name in ("01_first", "02_second")])
    write_notebook(tmp_path / "notebooks/01_first.ipynb", FIRST)
    write_notebook(tmp_path / "notebooks/02_second.ipynb", "from pathlib import Path", SECOND)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "work/smoke").mkdir(parents=True)
    return tmp_path


def test_each_runs_in_a_clean_clone_after_those_before_it(project):
    assert plain.run(root=project) == {"02_second": "ValueError: no vectors"}
    assert sorted(path.name for path in (project / "work").iterdir()) == ["plain", "smoke"]
    copies = sorted(path.name for path in (project / "work/plain").iterdir())
    assert copies == ["01_first.ipynb", "02_second.ipynb"]


def test_an_unknown_notebook_is_refused_before_anything_runs(project):
    with pytest.raises(ParameterError, match=r"no notebook 03_third; there are 01_first, 02_second"):
        plain.run(["01_first", "03_third"], root=project)
    assert not (project / "work/plain").exists()
