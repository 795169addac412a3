"""A notebook that is opened alone: what it reads and nobody has made is made by the stages before it.

Only in a notebook that was started by hand (JupyterLab, plain papermill) with the smoke profile, which its
parameter cell has. The runner makes everything in order, and other profiles take longer than a reader waits.
"""

import subprocess
import sys
from pathlib import Path

from psembed.project.published import in_notebook
from psembed.project.stages import STAGES, maker_of
from psembed.runtime.errors import StageError

PROFILE = "smoke"
TABLE = {stage.name: stage for stage in STAGES}


def missing_stages(path: str, profile: str, *, root: Path) -> list[str]:
    """Return the stages, in order, that have to run before `path` (relative to `root`) can be there."""
    maker = maker_of(path, profile)
    if maker is None or (root / path).exists():
        return []
    before = (missing_stages(read, profile, root=root) for read in TABLE[maker].inputs(profile))
    needed = {maker}.union(*before)
    return [name for name in TABLE if name in needed]


def make(path: str, profile: str, *, root: Path) -> None:
    """Run the stages that `path` needs, a line for each as it ends; nothing outside a notebook run by hand.

    Raises StageError with what the run said if one of them fails.
    """
    if profile != PROFILE or not in_notebook() or not (stages := missing_stages(path, profile, root=root)):
        return
    print(f"{path} is not there yet: running {', '.join(stages)} first, once.", flush=True)
    command = [sys.executable, "-m", "psembed", "run", "--profile", profile, "--only", *stages]
    told: list[str] = []
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    ) as run:
        for line in run.stdout or ():
            told.append(line.rstrip())
            if line.startswith("["):
                print(told[-1], flush=True)
    if run.returncode:
        raise StageError(f"{', '.join(stages)} could not be run: {' '.join(told[-5:])}")
