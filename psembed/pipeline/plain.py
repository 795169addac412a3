"""The notebooks as a reader opens them: plain papermill, no parameters, in a clone without work/."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from psembed.project.stages import STAGES
from psembed.runtime.errors import ParameterError
from psembed.runtime.files import PACKAGE
from psembed.runtime.progress import Progress, clock

# What a notebook finds of a clone, beside the package.
COPIED = ("notebooks", "paper/results", "pyproject.toml")


def run(names: Sequence[str] = (), *, root: Path, progress: Progress | None = None) -> dict[str, str]:
    """Run notebooks, all or those named, in order; return the last line of what failed, by name.

    Each finds what those before it have made. The copies are put into work/plain, also of what failed.
    Raises ParameterError if there is no such notebook.
    """
    known, progress = [stage.name for stage in STAGES], progress or Progress()
    if unknown := sorted(set(names) - set(known)):
        raise ParameterError(f"no notebook {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [name for name in known if not names or name in names]
    kept, failed = root / "work" / "plain", {}
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder)
        for name in filter(lambda name: (root / name).exists(), COPIED):
            copy = shutil.copytree if (root / name).is_dir() else shutil.copy
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            copy(root / name, clone / name)
        for number, name in enumerate(chosen, 1):
            progress.begin(number, len(chosen), name)
            start, error = monotonic(), _papermill(name, kept / f"{name}.ipynb", clone)
            progress.end(error or clock(monotonic() - start))
            failed |= {name: error} if error else {}
    return failed


def _papermill(name: str, output: Path, clone: Path) -> str:
    """Run one notebook in the folder `clone`; return "" or the last line of its error."""
    notebook = f"notebooks/{name}.ipynb"
    command = [sys.executable, "-m", "papermill", notebook, str(output), "--no-progress-bar"]
    paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    done = subprocess.run(command, cwd=clone, env=environment, check=False, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip().rpartition("\n")[2] or "no message"
