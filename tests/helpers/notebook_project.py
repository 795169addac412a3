"""Tiny projects of generated notebooks, and an executor without kernels, for the runner's tests."""

import os
from pathlib import Path

import nbformat

from psembed.project.stages import Stage

DEFAULTS = 'profile = "tiny"\nseed = 0'
USES = "_ = (profile, seed)"
WRITE = "from pathlib import Path\nimport os\nout = Path(os.environ['PSEMBED_STAGING'])\n"
RESULT = (
    WRITE
    + """
import json
result = out / f"paper/results/{profile}/NAME.json"
result.parent.mkdir(parents=True, exist_ok=True)
result.write_text(json.dumps({"seed": seed}))
"""
)
STAGES = (
    Stage("01_first", (), ("work/{p}/numbers.txt",)),
    Stage("02_second", ("work/{p}/numbers.txt",), ("work/{p}/folder/",)),
)
FIRST = (
    "target = out / f'work/{profile}/numbers.txt'\n"
    "target.parent.mkdir(parents=True, exist_ok=True)\n"
    "target.write_text(str(scale * seed))"
)
SECOND = (
    "text = Path(f'work/{profile}/numbers.txt').read_text()\n"
    "target = out / f'work/{profile}/folder/copy.txt'\n"
    "target.parent.mkdir(parents=True, exist_ok=True)\n"
    "target.write_text(text + '!')"
)


def write_notebook(path: Path, *cells: str, parameters: str = DEFAULTS) -> None:
    """Write a notebook with a parameter cell and these code cells."""
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    notebook.cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    notebook.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def make_project(root: Path) -> Path:
    """Write a project of two notebooks, the second reading what the first writes."""
    (root / "pyproject.toml").write_text("")
    first = RESULT.replace("NAME", "01_first")
    second = RESULT.replace("NAME", "02_second")
    write_notebook(root / "notebooks/01_first.ipynb", first, FIRST, parameters=DEFAULTS + "\nscale = 2")
    write_notebook(root / "notebooks/02_second.ipynb", second, SECOND)
    return root


def execute_here(job, environment, stderr, progress):
    """Stand in for processes.attend: run the cells in this process, without a kernel."""
    notebook = nbformat.read(job["source"], as_version=4)
    kept, folder = dict(os.environ), Path.cwd()
    os.environ.update(environment)
    os.chdir(job["cwd"])
    names: dict = {}
    try:
        exec(notebook.cells[0].source, names)
        names.update(job["parameters"])
        for cell in notebook.cells[1:]:
            exec(cell.source, names)
    except Exception as error:
        return {"cell": 2, "error": type(error).__name__, "message": str(error)}, 0.5, 10.0
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(kept)
    given = nbformat.v4.new_code_cell(repr(job["parameters"]), id="injected-parameters")
    notebook.cells.insert(1, given)
    nbformat.write(notebook, job["output"])
    return {}, 0.5, 10.0
