"""Notebooks by plain papermill: in a clone without work/, in order; what fails is named."""

import contextlib
import io

import pytest
from notebook_project import write_notebook

from psembed.pipeline import browser, plain
from psembed.project.stages import Stage
from psembed.runtime.errors import ParameterError
from psembed.runtime.progress import Progress

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


@pytest.fixture
def done(project, monkeypatch):
    """Leave papermill out; 02_second has failed."""
    failures = {"02_second": "ValueError: no vectors"}
    monkeypatch.setattr(plain, "_papermill", lambda name, *_: failures.get(name, ""))
    monkeypatch.setattr(plain, "OPENED", ("01_first", "02_second"))
    return project


@pytest.mark.parametrize("required", [False, True])
def test_without_chromium_one_line_says_so_and_only_who_requires_it_fails(required, done, monkeypatch):
    monkeypatch.setattr(browser, "missing", lambda: "no Chromium found")
    monkeypatch.delenv(plain.REQUIRED, raising=False)
    if required:
        monkeypatch.setenv(plain.REQUIRED, "1")
    told = io.StringIO()
    failed = plain.run(["01_first"], root=done, progress=Progress(told))
    assert told.getvalue().splitlines()[1:] == ["[ 1/1] in JupyterLab    no Chromium found"]
    assert failed == ({"in JupyterLab": "no Chromium found"} if required else {})


def test_what_papermill_could_run_is_opened_in_jupyterlab_and_what_a_reader_would_miss_is_told(
    done, monkeypatch
):
    opened = []

    @contextlib.contextmanager
    def lab(folder, environment):
        assert (folder / "notebooks/01_first.ipynb").exists() and environment["PYTHONPATH"]
        yield "context"

    def fault(context, name, copy):
        opened.append((context, name, copy))
        return "code cell 1 shows 0 of 1 images in JupyterLab"

    monkeypatch.setattr(browser, "missing", lambda: "")
    monkeypatch.setattr(browser, "opened", lab)
    monkeypatch.setattr(browser, "fault", fault)
    failed = plain.run(root=done)
    assert opened == [("context", "01_first", done / "work/plain/01_first.ipynb")]
    assert failed["01_first"] == "code cell 1 shows 0 of 1 images in JupyterLab"


def test_the_notebooks_that_are_opened_are_there():
    names = [stage.name for stage in plain.STAGES]
    assert set(plain.OPENED) <= set(names)
