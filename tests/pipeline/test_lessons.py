"""Notebooks as a reader opens them: the last lesson alone, in a fresh clone, makes what it needs."""

import ast
import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from patience import GUARD

from psembed.paper.display import ROWS
from psembed.paper.figures import SHOWN_BYTES
from psembed.project.stages import STAGES

ROOT = Path(__file__).parents[2]
NAMES = [stage.name for stage in STAGES]
LESSONS = NAMES[:4]  # of vectors; the others are of labels and detection
LINES = 15
COPY_BYTES = 1_500_000
IN_CODE = re.compile(r"<(code|pre)\b[^>]*>.*?</\1>", re.DOTALL)


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def code(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_opens_with_a_question_its_answer_and_what_it_needs(name):
    first, *_ = read(name).cells
    title = first.source.splitlines()[0]
    assert title.startswith(f"# {int(name[:2])}. ") and title.endswith("?")
    assert "**You need**" in first.source and "**Time**" in first.source
    assert any(f'display.Answer(ws, "{name}"' in cell.source for cell in code(read(name))[:3])


@pytest.mark.parametrize("name", NAMES[:-1])
def test_a_lesson_ends_with_what_was_learned_an_exercise_its_hidden_answer_and_the_next(name):
    cells = read(name).cells
    learned = next(n for n, cell in enumerate(cells) if "## What was learned" in cell.source)
    assert "## Exercise" in cells[learned].source and cells[learned].cell_type == "markdown"
    files = "psembed/released/" in cells[learned].source or "psembed.load_vectors(" in cells[learned].source
    assert files or name not in LESSONS
    solved = cells[learned + 1]
    assert solved.metadata["jupyter"] == {"source_hidden": True, "outputs_hidden": True}
    assert all(cell.metadata["jupyter"]["source_hidden"] for cell in cells[learned + 1 : -1])
    (link,) = re.findall(r"\]\((.+?)\)", cells[-1].source)
    assert link == f"{NAMES[NAMES.index(name) + 1]}.ipynb" and cells[-1].cell_type == "markdown"


@pytest.mark.parametrize("name", NAMES[:-1])
def test_cells_are_short_and_results_are_written_in_one_last_call(name):
    cells = code(read(name))
    long = [cell.id for cell in cells if len(cell.source.splitlines()) > LINES]
    assert long == [
        cell.id for cell in cells if cell.id in long and "parameters" in cell.metadata.get("tags", [])
    ]
    called = [
        node.func.attr
        for cell in cells
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert called.count("finish") == 1 and "write_result" not in called
    assert ".finish(" in cells[-1].source


def test_the_start_page_names_every_notebook_in_order_and_is_shown_rendered():
    page = (ROOT / "notebooks/README.md").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^\| \d+ \| \[.+?\]\((.+?)\.ipynb\)", page)
    assert listed == NAMES
    settings = ROOT / "notebooks/.lab/labconfig/default_setting_overrides.json"
    viewers = json.loads(settings.read_text())["@jupyterlab/docmanager-extension:plugin"]["defaultViewers"]
    assert viewers == {"markdown": "Markdown Preview"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> dict[str, Path]:
    """Slow (a minute): executed copies of the lessons, of which only the last was opened."""
    root = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("executed"))
    shutil.copy(ROOT / "pyproject.toml", root)
    command = [sys.executable, "-m", "papermill", f"notebooks/{LESSONS[-1]}.ipynb", "out.ipynb"]
    subprocess.run(
        [*command, "--no-progress-bar"],
        cwd=root, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True, timeout=GUARD,
    )  # fmt: skip
    made = {name: root / "work/smoke/executed" / f"{name}.ipynb" for name in LESSONS[:-1]}
    return made | {LESSONS[-1]: root / "out.ipynb"}


def outputs(path: Path) -> list[tuple[str, nbformat.NotebookNode]]:
    notebook = nbformat.read(path, as_version=4)
    return [(cell.source, output) for cell in code(notebook) for output in cell.outputs]


def test_what_was_missing_is_made_with_a_line_for_each_stage(alone):
    said = "".join(o.text for _, o in outputs(alone[LESSONS[-1]]) if o.output_type == "stream")
    assert "work/smoke/seeds is not there yet" in said
    assert [name for name in NAMES if re.search(rf"\[ \d/3\] {name} ", said)] == LESSONS[:-1]


@pytest.mark.parametrize("name", LESSONS)
def test_an_executed_lesson_answers_its_question_without_noise(alone, name):
    shown = outputs(alone[name])
    assert not [o for _, o in shown if o.output_type == "error" or o.get("name") == "stderr"]
    (answer,) = (
        o for source, o in shown if "display.Answer" in source and "text/markdown" in o.get("data", {})
    )
    assert "The answer of this run (profile smoke)" in answer.data["text/markdown"]
    assert alone[name].stat().st_size <= COPY_BYTES


@pytest.mark.parametrize("name", LESSONS)
def test_tables_of_an_executed_lesson_are_short_and_no_mathematics(alone, name):
    pages = [o.data["text/html"] for _, o in outputs(alone[name]) if "text/html" in o.get("data", {})]
    assert len(pages) > 4 and any("<table>" in page for page in pages)
    for page in pages:
        assert page.count("<tr>") <= 1 + ROWS
        assert "$" not in IN_CODE.sub("", page)


def test_every_figure_is_in_the_executed_lesson_as_a_small_png(alone):
    shown = [o for source, o in outputs(alone["04_semantics"]) if "figures.save(" in source]
    assert len(shown) == 2
    for figure in shown:
        picture = base64.b64decode(figure.data["image/png"])
        assert picture.startswith(b"\x89PNG") and len(picture) <= SHOWN_BYTES
