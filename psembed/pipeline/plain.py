"""The notebooks as a reader opens them: no parameters, in a clone without work/.

All by plain papermill, and then some in JupyterLab, where a browser has to find their figures.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

from psembed.pipeline import browser
from psembed.project.stages import STAGES
from psembed.runtime.errors import ParameterError
from psembed.runtime.files import PACKAGE
from psembed.runtime.progress import Progress, clock

# What a notebook finds of a clone, beside the package.
COPIED = ("notebooks", "paper/results", "pyproject.toml")
OPENED = ("04_semantics", "08_evaluation")
REQUIRED = "PSEMBED_REQUIRE_CHROMIUM"


def run(names: Sequence[str] = (), *, root: Path, progress: Progress | None = None) -> dict[str, str]:
    """Run notebooks, all or those named, in order; return the last line of what failed, by name.

    Each finds what those before it have made. The copies are put into work/plain, also of what failed; and
    pictures of those in JupyterLab. Without Chromium these are left out, or failed where REQUIRED is set.
    Raises ParameterError if there is no such notebook.
    """
    known, progress = [stage.name for stage in STAGES], progress or Progress()
    if unknown := sorted(set(names) - set(known)):
        raise ParameterError(f"no notebook {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [name for name in known if not names or name in names]
    kept = root / "work" / "plain"
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder)
        for name in filter(lambda name: (root / name).exists(), COPIED):
            copy = shutil.copytree if (root / name).is_dir() else shutil.copy
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            copy(root / name, clone / name)
        failed = _each(chosen, "", lambda name: _papermill(name, kept / f"{name}.ipynb", clone), progress)
        shown = [name for name in OPENED if name in chosen and name not in failed]
        return failed | (_look(shown, clone, kept, progress) if shown else {})


def _each(names: Sequence[str], how: str, do: Callable[[str], str], progress: Progress) -> dict[str, str]:
    """Do something with each notebook, a line for each; return what failed, by name, and with which error."""
    failed = {}
    for number, name in enumerate(names, 1):
        progress.begin(number, len(names), f"{name}{how}")
        start, error = monotonic(), do(name)
        progress.end(error or clock(monotonic() - start))
        failed |= {name: error} if error else {}
    return failed


def _look(names: Sequence[str], clone: Path, kept: Path, progress: Progress) -> dict[str, str]:
    """Run notebooks in JupyterLab; return what a reader would miss of them, by name."""
    how = " in JupyterLab"
    if lacking := browser.missing():
        progress.begin(1, 1, how.strip())
        progress.end(lacking)
        return {how.strip(): lacking} if REQUIRED in os.environ else {}
    with browser.opened(clone, _environment()) as context:
        return _each(names, how, lambda n: browser.fault(context, n, kept / f"{n}.ipynb"), progress)


def _papermill(name: str, output: Path, clone: Path) -> str:
    """Run one notebook in the folder `clone`; return "" or the last line of its error."""
    notebook = f"notebooks/{name}.ipynb"
    command = [sys.executable, "-m", "papermill", notebook, str(output), "--no-progress-bar"]
    how = {"cwd": clone, "env": _environment(), "check": False, "capture_output": True, "text": True}
    done = subprocess.run(command, **how)
    return "" if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2] or "no message"


def _environment() -> dict[str, str]:
    """Return an environment in which a notebook finds this package."""
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
