"""The two diagrams, and the style all figures share.

The flow is drawn from a table of boxes and the network from its layer table: both say what was run.
"""

import textwrap
import tomllib
from pathlib import Path

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from psembed.evaluation.comparisons import ONE_FILE
from psembed.project.results import Results

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
GREY = "#B8B8B8"
_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
STYLE = _DATA["style"]
ARROW = {"arrowstyle": "-|>", "color": "#444444", "linewidth": 1.0, "shrinkA": 0, "shrinkB": 0}
FLOW = ["box", "column", "row", "title", "detail"]


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size (inches) in the common style."""
    with matplotlib.rc_context(STYLE):
        return Figure(figsize=(width, height), layout="constrained")


def distinct(table: pl.DataFrame, column: str) -> list:
    """Return the distinct values of a column in their first order."""
    return table[column].unique(maintain_order=True).to_list()


def box(axes: Axes, x: float, y: float, size: tuple, lines: tuple[str, str], colour: str) -> None:
    """Draw a box of that size around (x, y), with a title and a detail in it."""
    corner = x - size[0] / 2, y - size[1] / 2
    look = {"boxstyle": "round,pad=0,rounding_size=0.06", "edgecolor": colour}
    axes.add_patch(FancyBboxPatch(corner, *size, facecolor=matplotlib.colors.to_rgba(colour, 0.12), **look))
    title, detail = lines
    lift = size[1] * 0.17 if detail else 0
    sink = size[1] * (0.17 + 0.1 * title.count("\n"))
    middle = {"ha": "center", "va": "center", "parse_math": False}
    axes.text(x, y + lift, title, fontsize=8.5, fontweight="bold", **middle)
    axes.text(x, y - sink, detail, fontsize=7.5, color="#333333", **middle)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], bend: str = "arc3") -> None:
    """Draw an arrow between two points; `bend` is Matplotlib's connection style."""
    axes.annotate("", end, start, arrowprops=ARROW | {"connectionstyle": bend})


def draw_flow(table: pl.DataFrame) -> Figure:
    """Draw the study's Figure 3: boxes at (column, row), joined as diagrams.toml says."""
    columns, rows = int(table["column"].max()) + 1, int(table["row"].max()) + 1
    figure = new_figure(7.2, 0.5 + 1.1 * rows)
    axes, size, places = figure.add_subplot(), (0.8, 0.66), {}
    for name, column, row, title, detail in table.select(FLOW).iter_rows():
        places[name] = float(column), -float(row)
        colour = PALETTE[1] if name in _DATA["flow"]["learnt"] else PALETTE[0]
        box(axes, *places[name], size, (textwrap.fill(title, 11), detail), colour)
    for origin, target in _DATA["flow"]["edges"]:
        if origin in places and target in places:
            arrow(axes, *_facing(places[origin], places[target], size))
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(-rows + 0.55, 0.45))
    axes.axis("off")
    return figure


def _facing(start: tuple, end: tuple, size: tuple) -> tuple[tuple, tuple, str]:
    """Return where an arrow leaves one box and enters another, and how it bends where they share no line."""
    dx, dy = np.sign(end[0] - start[0]), np.sign(end[1] - start[1])
    across, along = (dx * size[0] / 2, 0), (0, dy * size[1] / 2)
    if dx and dy:
        leaves, enters, bend = (
            (along, across, "angle,angleA=-90,angleB=180,rad=4")
            if dy < 0
            else (across, along, "angle,angleA=0,angleB=90,rad=4")
        )
    else:
        leaves, enters, bend = (across, across, "arc3") if dx else (along, along, "arc3")
    return (start[0] + leaves[0], start[1] + leaves[1]), (end[0] - enters[0], end[1] - enters[1]), bend


def draw_network(table: pl.DataFrame) -> Figure:
    """Draw the study's Figure 4 from the layer table: branches side by side, what joins them below.

    The first dense layer reads the maximum of each branch, too, past the LSTM.
    """
    branches = [b for b in distinct(table, "branch") if b not in ("merged", "")]
    middle = (len(branches) - 1) / 2
    depth = max(table.filter(pl.col("branch") == b).height for b in branches) if branches else 0
    merged = table.filter(pl.col("branch").is_in(["merged", ""])).to_dicts()
    past = [layer["layer"] for layer in merged[:2]] == ["LSTM", "dense"]
    gap = 0.4 if past else 0
    rows = depth + len(merged) + gap
    figure = new_figure(6.0, 0.3 + 0.52 * rows)
    axes = figure.add_subplot()
    size, last = (0.86, 0.66), []
    for column, branch in enumerate(branches):
        layers = table.filter(pl.col("branch") == branch).to_dicts()
        offset = depth - len(layers)
        last.append(_column(axes, layers, (column, -offset), size, PALETTE[2 * column % 7]))
    end = _column(axes, merged, (middle, -depth - gap), size, PALETTE[1])
    if merged:
        top = (middle, -depth - gap + size[1] / 2)
        for x, y in last:
            arrow(axes, (x, y - size[1] / 2), (top[0] + (x - middle) * 0.4, top[1]))
    if past:
        _past_the_lstm(axes, last, (middle, -depth - gap), size, branches)
    axes.set(xlim=(-0.55, len(branches) - 0.45), ylim=(min(end[1], -rows + 1) - 0.45, 0.45))
    axes.axis("off")
    return figure


def _past_the_lstm(axes: Axes, last: list, lstm: tuple, size: tuple, branches: list[str]) -> None:
    """Draw an arrow from the end of each branch to the layer below the LSTM, and say what arrows carry."""
    for (x, y), branch in zip(last, branches, strict=True):
        side = 1 if x > lstm[0] else -1
        told = {"fontsize": 7.5, "color": "#333333", "va": "center"}
        bend = f"angle,angleA=-90,angleB={0 if side > 0 else 180},rad=4"
        outside = x + side * 0.32
        arrow(axes, (outside, y - size[1] / 2), (lstm[0] + side * size[0] / 2, lstm[1] - 1), bend)
        carried = "maximum,\nat every step" if branch == "characters" else "steps"
        axes.text(outside - side * 0.03, y - 0.7, carried, ha="right" if side > 0 else "left", **told)
        axes.text(outside - side * 0.03, lstm[1] - 0.5, "maximum", ha="right" if side > 0 else "left", **told)


def _column(axes: Axes, layers: list[dict], top: tuple, size: tuple, colour: str) -> tuple[float, float]:
    """Draw layers downwards from `top`; return the place of the last one."""
    x, y = top
    for n, layer in enumerate(layers):
        weights = f" · {layer['parameters']:,} parameters" if layer["parameters"] else ""
        box(axes, x, y - n, size, (layer["layer"], f"{layer['shape']}{weights}"), colour)
        if n:
            arrow(axes, (x, y - n + 1 - size[1] / 2), (x, y - n + size[1] / 2))
    return x, y - max(len(layers) - 1, 0)


def flow_table(results: Results) -> pl.DataFrame:
    """Return the table of the flow diagram; boxes hold what was measured."""

    def counted(value: int | None, unit: str) -> str:
        return "" if value is None else f"{value:,} {unit}"

    tokens, embedding = results.get("02_tokens", {}), results.get("03_word2vec", {})
    positives = results.get("05_labels", {}).get("p1", {}).get("positives", 0)
    size, weights = results.get("09_onnx", {}).get("bytes"), results.get("07_cnn_lstm", {}).get("parameters")
    read = embedding.get("tokens")
    rows = [
        ("unlabeled", 0, 0, "unlabeled scripts", counted(tokens.get("unlabeled_distinct"), "distinct")),
        ("tokens", 1, 0, "tokens", f"{read / 1e6:,.0f} million" if read else ""),
        ("word2vec", 2, 0, "Word2vec", counted(embedding.get("dimension"), "dimensions")),
        ("vectors", 3, 0, "vectors", counted(embedding.get("vocabulary"), "tokens")),
        ("labelled", 2, 1, "labelled scripts", f"{positives:,} malicious" if positives else ""),
        ("model", 3, 1, "deep model", f"{weights / 1e6:.1f} M weights" if weights else ""),
        ("detector", 4, 1, "detector", f"ONNX, {size / 1e6:.1f} MB" if size else "ONNX"),
        ("score", 5, 1, "score", "from 0 to 1"),
    ]
    if results.get("07_cnn_lstm", {}).get("released") == ONE_FILE:
        rows.append(("n-grams", 3, 2, "models of n-grams", "sums over tables"))
    return pl.DataFrame(rows, schema=FLOW, orient="row")


def layer_table(model: object) -> pl.DataFrame:
    """Return the table of Figure 4 from a Keras model: its named layers, branch by branch.

    A layer that depends on one input only belongs to that input's branch; the others are "merged".
    Arithmetic between layers (masks, reshaping) is left out.
    """
    reached: dict[int, set[str]] = {}
    rows = []
    for operation in model.operations:
        given = set().union(*(reached.get(id(tensor), ()) for tensor in _listed(operation.input)))
        branches = given or {operation.name}
        reached |= {id(tensor): branches for tensor in _listed(operation.output)}
        kind = _DATA["layers"].get(type(operation).__name__)
        if kind:
            steps = ["steps"] if len(operation.output.shape) == 3 else []
            shape = " x ".join([*steps, *(str(size) for size in operation.output.shape[1:] if size)])
            branch = next(iter(branches)) if len(branches) == 1 else "merged"
            named = operation.name.replace("_", " ") if kind == "embedding" else kind
            rows.append((named, branch, shape, int(operation.count_params())))
    return pl.DataFrame(rows, schema=["layer", "branch", "shape", "parameters"], orient="row")


def _listed(tensors: object) -> list:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]
