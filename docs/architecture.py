"""The picture and the table of docs/architecture.md, and README's map: drawn from the packages themselves.

`psembed paper` brings them up to date.
"""

import ast
import tomllib
from pathlib import Path
from typing import NamedTuple

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from psembed.paper.build import between_marks
from psembed.paper.diagrams import GREY, PALETTE, STYLE, arrow, box, new_figure
from psembed.runtime.files import atomic

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
PACKAGES, STEPS = _DATA["packages"], _DATA["steps"]


class Package(NamedTuple):
    """A sub-package: its name, the sentence of its `__init__`, and its modules and packages in order."""

    name: str
    sentence: str
    modules: tuple[str, ...]


def packages(root: Path) -> list[Package]:
    """Read the sub-packages of a clone, in the order of PACKAGES."""
    return [_package(root / "psembed" / name) for name in PACKAGES]


def _package(folder: Path) -> Package:
    sentence = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    modules = [path.stem for path in folder.glob("*.py") if path.stem != "__init__"]
    inner = [path.parent for path in folder.glob("*/__init__.py")]
    modules += [f"{path.name}/ ({', '.join(_package(path).modules)})" for path in inner]
    return Package(folder.name, sentence, tuple(sorted(modules)))


def package_table(root: Path) -> str:
    """Return the packages as a Markdown table."""
    rows = ["| package | what it does | modules |", "|---|---|---|"]
    rows += [f"| {name} | {sentence} | {', '.join(modules)} |" for name, sentence, modules in packages(root)]
    return "\n".join(rows)


def package_map(root: Path) -> str:
    """Return the packages as README's map shows them: a line each."""
    lines = [f"  {name + '/':<13}{sentence.rstrip('.')}" for name, sentence, _ in packages(root)]
    return "\n".join(("```", "psembed/", *lines, "```"))


def update(root: Path) -> None:
    """Draw docs/architecture.svg, and write the table there and the map in the README between their marks."""
    with matplotlib.rc_context(STYLE), atomic(root / "docs" / "architecture.svg") as temporary:
        draw().savefig(temporary, format="svg", metadata={"Date": None})
    for page, text in (("docs/architecture.md", package_table(root)), ("README.md", package_map(root))):
        written = (root / page).read_text(encoding="utf-8")
        with atomic(root / page) as temporary:
            temporary.write_text(between_marks(written, "packages", text), encoding="utf-8")


def draw() -> Figure:
    """Draw the data's way from left to right between who runs it and what it stands on."""
    figure = new_figure(9.6, 2.6)
    axes = figure.add_subplot()
    size = (0.86, 0.62)
    wide, grey = len(STEPS) - 0.1, {"facecolor": GREY, "alpha": 0.35, "edgecolor": "none"}
    for y, text in _DATA["bands"]:
        axes.add_patch(Rectangle((-0.45, y - 0.2), wide, 0.4, **grey))
        axes.text((len(STEPS) - 1) / 2, y, text, ha="center", va="center", fontsize=8)
    for column, (name, makes, notebooks) in enumerate(STEPS):
        box(axes, column, 0, size, (name, makes), PALETTE[1 if name in ("embedding", "models") else 0])
        axes.text(column, 0.46, notebooks, ha="center", fontsize=7, color="#555555")
        if column:
            arrow(axes, (column - 1 + size[0] / 2, 0), (column - size[0] / 2, 0))
    last = len(STEPS) - 2
    box(axes, last, -0.95, size, ("detector", "bytes to verdict"), PALETTE[2])
    arrow(axes, (last, -size[1] / 2), (last, -0.95 + size[1] / 2))
    axes.set(xlim=(-0.6, len(STEPS) - 0.4), ylim=(-2.05, 1.3))
    axes.axis("off")
    return figure
