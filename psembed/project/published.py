"""What is published: kept from notebooks that are run by hand, and named where its notebook has changed."""

import json
import sys
from pathlib import Path

from psembed.project.parameters import read_notebook, resolve
from psembed.project.profiles import built_in, load_profile
from psembed.project.stages import STAGES, maker_of
from psembed.runtime.errors import ParameterError

PUBLISHED = "public"  # the profile whose results README and paper show
INJECTED = "injected-parameters"  # tag of the cell that papermill adds


def in_notebook() -> bool:
    """Tell whether this process is the kernel of a notebook."""
    return "get_ipython" in vars(sys.modules["__main__"])


def refuse_other_parameters(path: str, profile: str, *, root: Path) -> None:
    """Refuse a file of a publishing profile to a notebook that was started by hand with other parameters.

    JupyterLab and plain papermill take those of the parameter cell, which are the smoke profile's. `path`,
    relative to the project root, tells which notebook writes it; ParameterError names what differs.
    """
    variables = vars(sys.modules["__main__"])
    if not in_notebook() or profile not in built_in() or not load_profile(profile).publish:
        return
    stage = maker_of(path, profile)
    if stage is None:
        return
    notebooks = {each.name: read_notebook(root / "notebooks" / f"{each.name}.ipynb") for each in STAGES}
    wanted = resolve(load_profile(profile), notebooks, [])[stage]
    others = [
        f"{name} is {variables.get(name)!r}, not {value!r}"
        for name, value in wanted.items()
        if name not in variables or variables[name] != value
    ]
    if others:
        raise ParameterError(
            f"{stage} was started by hand and would replace what profile {profile!r} has published with other"
            f" settings ({'; '.join(others)}): run `psembed run --profile {profile} --only {stage}`, or give"
            " the profile a name of your own"
        )


def stale_copies(root: Path) -> list[str]:
    """Return the names of executed notebooks that are missing, or whose source has changed since they ran."""
    return [stage.name for stage in STAGES if _is_stale(root / "notebooks", f"{stage.name}.ipynb")]


def stale_note(root: Path) -> str:
    """Return a sentence that names the stale copies, "" if there is none."""
    names = stale_copies(root)
    return f"Changed since the published run, so its copies are stale: {', '.join(names)}." if names else ""


def _is_stale(folder: Path, name: str) -> bool:
    copy = folder / "executed" / name
    return not copy.is_file() or _cells(copy) != _cells(folder / name)


def _cells(path: Path) -> list[tuple[str, str]]:
    """Return kind and source of a notebook's cells, without the one that papermill adds."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    own = (cell for cell in cells if INJECTED not in cell["metadata"].get("tags", ()))
    return [(cell["cell_type"], "".join(cell["source"])) for cell in own]
