"""JupyterLab in a browser: finding Chromium, and what is said of a page that a reader would stumble over."""

import os
import sys
from pathlib import Path

import nbformat
import pytest

from psembed.pipeline import browser, lab
from psembed.runtime.errors import StageError


def cell(prompt="[1]:", error="", images=()):
    return {"prompt": prompt, "error": error, "images": list(images)}


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name):
        program = tmp_path / (f"{name}.exe" if sys.platform == "win32" else name)
        program.touch(0o755)
        return str(program)

    return put


@pytest.fixture
def own(monkeypatch):
    """Stand in for playwright; return its Chromium, which is not there yet."""

    class Driver:
        executable_path = ""

        @property
        def chromium(self):
            return self

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

    api = pytest.importorskip("playwright.sync_api")
    monkeypatch.setattr(api, "sync_playwright", Driver)
    return Driver


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_a_chromium_of_the_system_is_found_by_its_usual_names(name, on_path, own):
    assert browser._program() is None
    program = on_path(name)
    assert browser._program() == program and browser.missing() == ""


def test_without_one_playwrights_own_is_taken_and_without_both_one_line_says_what_to_do(
    tmp_path, on_path, own
):
    own.executable_path = str(tmp_path / "own")
    assert browser.missing() == (
        "no Chromium found (chromium, chromium-browser, google-chrome, playwright's own): "
        "apt-get install chromium"
    )
    Path(own.executable_path).touch()
    assert browser._program() == own.executable_path and browser.missing() == ""


def test_without_the_driver_its_package_is_named(monkeypatch):
    monkeypatch.setattr(browser, "has_packages", lambda names: False)
    assert browser.missing() == "the package playwright is missing: python -m psembed setup"


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([cell(), cell("[2]:", images=[640, 480])], ""),
        ([cell(), cell("[2]:", images=[640])], "code cell 2 shows 1 of 2 images in JupyterLab"),
        ([cell(), cell("[2]:", images=[640, 0])], "code cell 2 shows 1 of 2 images in JupyterLab"),
        ([cell(), cell("[ ]:")], "code cell 2 was not run in JupyterLab"),
        ([cell(), cell("", images=[640, 480])], "code cell 2 was not run in JupyterLab"),
        ([cell()], "JupyterLab shows 1 code cells of 2"),
        (
            [cell(error="Traceback\nValueError: no vectors\n"), cell("[ ]:")],
            "code cell 1 shows an error in JupyterLab: ValueError: no vectors",
        ),
    ],
)
def test_what_a_reader_would_miss_is_told(cells, told):
    assert browser.lacking(cells, [0, 2]) == told


def test_the_images_wanted_of_a_page_are_those_of_the_copy_by_cell(tmp_path):
    image, text = ({"image/png": "", "text/plain": ""}, {"text/html": ""})
    outputs = [nbformat.v4.new_output("display_data", data=data) for data in (image, text, image)]
    outputs.append(nbformat.v4.new_output("stream", text="told"))
    cells = [nbformat.v4.new_code_cell("1"), nbformat.v4.new_markdown_cell("told")]
    cells.append(nbformat.v4.new_code_cell("2", outputs=outputs))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "copy.ipynb")
    assert browser.figures(tmp_path / "copy.ipynb") == [0, 2]


def test_a_page_of_a_notebook_without_any_image_proves_nothing():
    assert browser.lacking([cell()], [0]) == "no code cell has an image by papermill"


LISTENS = """
import json, os, pathlib, socket
server = socket.create_server(("127.0.0.1", 0))
runtime, config = (pathlib.Path(os.environ[f"JUPYTER_{name}_DIR"]) for name in ("RUNTIME", "CONFIG"))
runtime.mkdir()
settings = [path.name for path in config.rglob("*") if path.is_file()]
told = {"port": server.getsockname()[1], "settings": settings, "path": os.environ["JUPYTER_CONFIG_PATH"]}
(runtime / "jpserver-1.json").write_text(json.dumps(told))
while True:
    server.accept()
"""


def start(folder, program):
    """Run a program in place of JupyterLab."""
    (folder / "jupyterlab.py").write_text(program)
    return lab.started(folder, {**os.environ, "PYTHONPATH": str(folder)})


def test_jupyterlab_is_yielded_once_it_listens_with_the_clones_settings_alone(tmp_path):
    with start(tmp_path, LISTENS) as told:
        assert told["settings"] == ["tracker.jupyterlab-settings"]
        assert told["path"] == str(tmp_path / "notebooks" / ".lab")


def test_a_jupyterlab_that_does_not_start_says_why(tmp_path):
    with (
        pytest.raises(StageError, match="JupyterLab did not start: no disk space"),
        start(tmp_path, "raise SystemExit('no disk space')"),
    ):
        pass
