"""The figures: each is drawn from one table, and that table is saved beside it as csv.

`save` draws from the csv it has just written, so `redraw` gives the same bytes later. Colours are those of
Okabe and Ito (readable with colour-blindness); shapes and labels repeat what colour says, for print.
"""

import io
import logging
from collections.abc import Callable, Iterable
from itertools import cycle, product
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import PIL.Image
import polars as pl
from IPython.display import Image
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch, Rectangle
from mpl_toolkits.mplot3d.proj3d import proj_transform
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

from psembed.paper import data_figures as data
from psembed.paper import detection_figures as detection
from psembed.paper import diagrams
from psembed.paper.diagrams import GREY, MARKERS, PALETTE, STYLE, distinct, new_figure
from psembed.powershell.aliases import SPELLED
from psembed.powershell.command_position import COMMAND
from psembed.project.workspace import Workspace
from psembed.runtime.errors import CorpusError, ParameterError
from psembed.runtime.files import atomic

LOG = logging.getLogger(__name__)

DPI = 150
CSS_DPI = 110  # at which a notebook shows a figure: a little larger than in print
SHOWN_BYTES, SHOWN_PARTS = 150_000, (1, 0.8, 0.6, 0.4, 0.2)  # of the PNG in a notebook
CENTRE = {"marker": "x", "color": "black", "markersize": 6}
ODD = {"marker": "D", "color": PALETTE[1], "markersize": 6}
SPACE = {"grid.color": "#DDDDDD", "grid.linewidth": 0.5, "axes.edgecolor": "#BBBBBB",
         "xtick.color": "#BBBBBB", "ytick.color": "#BBBBBB"}  # fmt: skip
MEMBER = {"marker": "o", "color": PALETTE[0], "markersize": 6}
LINE = {"color": "#777777", "linewidth": 0.5, "zorder": 1}  # to a label or an inset
NEAR = 0.025  # of the map's width and height: tokens nearer to each other than that crowd
INSETS = 3  # crowds that are shown larger
# Steps (points) from a point to where its label may begin, nearest first.
AROUND = np.array([
    (far * np.cos(turn), far * np.sin(turn))
    for far in (7, 10, 13, 18, 23, 28, 33, 39, 46, 54, 62, 80, 100) for turn in np.arange(24) * np.pi / 12
])  # fmt: skip
TEXTS = (
    "token", "family", "joined_to", "group", "box", "title", "detail", "layer", "branch", "shape", "protocol",
    "model", "panel", "name", "transform", "word", "kind",
)  # fmt: skip


class FigureKind(NamedTuple):
    """How a figure is drawn, and the columns its table must have, with spaces between."""

    draw: Callable[[pl.DataFrame], Figure]
    columns: str


def save(workspace: Workspace, slug: str, table: pl.DataFrame) -> Image:
    """Write figures/<profile>/<slug>.csv, .svg and .png; return the figure as a notebook shows it.

    Where it is a cell's last expression, the notebook holds it: a PNG of at most SHOWN_BYTES.
    A figure that is not in FIGURES is a ParameterError, a table without a row or a column a CorpusError.
    """
    _check(slug, table)
    path = workspace.output(workspace.figures / f"{slug}.csv")
    with atomic(path) as temporary:
        table.write_csv(temporary, float_precision=6)
    _render(slug, _read(path), path.parent)
    return shown(path.with_suffix(".png"))


def shown(path: Path) -> Image:
    """Return a PNG file in 256 colours, made smaller until it has at most SHOWN_BYTES."""
    with PIL.Image.open(path) as opened:
        drawn = opened.convert("RGB")
    for part in SHOWN_PARTS:
        size = round(part * drawn.width), round(part * drawn.height)
        small = drawn.resize(size, PIL.Image.Resampling.LANCZOS).quantize(256, dither=PIL.Image.Dither.NONE)
        content = io.BytesIO()
        small.save(content, "png", optimize=True)
        if content.tell() <= SHOWN_BYTES:
            break
    width = round(drawn.width * CSS_DPI / DPI)
    return Image(content.getvalue(), width=width, alt=path.stem.replace("_", " "))


def redraw(workspace: Workspace) -> list[str]:
    """Draw again every figure whose csv is there; return their slugs."""
    there = {slug: path for slug in FIGURES if (path := workspace.figures / f"{slug}.csv").is_file()}
    for slug, path in there.items():
        table = _read(path)
        _check(slug, table)
        _render(slug, table, workspace.output(path).parent)
    LOG.info("redrew %d figures of profile %s", len(there), workspace.profile)
    return list(there)


def _check(slug: str, table: pl.DataFrame) -> None:
    if slug not in FIGURES:
        raise ParameterError(f"no figure {slug!r}: choose one of {', '.join(FIGURES)}")
    if missing := [name for name in FIGURES[slug].columns.split() if name not in table.columns]:
        raise CorpusError(f"figure {slug}: the table lacks {', '.join(missing)}; it has {table.columns}")
    if table.is_empty():
        raise CorpusError(f"figure {slug}: the table is empty; run the notebook that measures it")


def _read(path: Path) -> pl.DataFrame:
    """Read a figure's csv: text columns stay text, even where a token looks like a number."""
    texts = dict.fromkeys(TEXTS, pl.String)
    try:
        table = pl.read_csv(path, infer_schema_length=None, schema_overrides=texts)
        return table.with_columns(pl.col(pl.String).fill_null(""))
    except pl.exceptions.PolarsError as error:
        raise CorpusError(f"{path.name} cannot be read ({error}); run the notebook that makes it") from error


def _render(slug: str, table: pl.DataFrame, folder: Path) -> None:
    with matplotlib.rc_context(STYLE):
        figure = FIGURES[slug].draw(table)
        FigureCanvasAgg(figure)
        for kind, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
            with atomic(folder / f"{slug}.{kind}") as temporary:
                figure.savefig(temporary, format=kind, dpi=DPI, metadata=metadata)


def draw_token_map(table: pl.DataFrame) -> Figure:
    """Draw the study's Figure 1: a grey cloud, families (family != "") in colour, lines from joined_to.

    Where tokens of families crowd, an inset below the map shows them larger, and their names stand there.
    """
    lit = table.filter(pl.col("family") != "")
    families, crowds = distinct(lit, "family"), _crowds(table, lit)
    figure = new_figure(5.0, 6.2 if crowds else 4.7)
    heights = (1, 0.42)[: 1 + bool(crowds)]
    grid = figure.add_gridspec(len(heights), len(crowds) or 1, height_ratios=heights)
    axes = figure.add_subplot(grid[0, :], title=f"t-SNE of {len(table):,} tokens")
    insets = [figure.add_subplot(grid[1, n], xlabel=" ") for n in range(len(crowds))]
    for panel in (axes, *insets):
        _draw_tokens(panel, table, lit)
    if families:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    _fix(figure)
    for inset, crowd in zip(insets, crowds, strict=True):
        _enlarge(axes, inset, crowd)
    rest = lit.join(pl.concat([lit.clear(), *crowds]), on="token", how="anti", maintain_order="left")
    for panel, part in zip((axes, *insets), (rest, *crowds), strict=True):
        place = panel.transData.transform
        taken = [_line(*place(line.get_xydata())) for line in panel.lines]
        taken.append(_boxes(place(lit.select("x", "y").to_numpy()), 8))
        looks = [{"color": _ink(PALETTE[families.index(family) % 7])} for family in part["family"]]
        names = [SPELLED.get(token, token.removeprefix(COMMAND)) for token in part["token"]]
        _label(panel, place(part.select("x", "y").to_numpy()), names, looks, np.vstack(taken))
    return figure


def _crowds(table: pl.DataFrame, lit: pl.DataFrame) -> list[pl.DataFrame]:
    """Return the largest groups of tokens too near to be told apart on the map, from the left."""
    if lit.is_empty():
        return []
    span = table.select(pl.col("x", "y").max() - pl.col("x", "y").min()).to_numpy()
    places = lit.select("x", "y").to_numpy() / np.where(span > 0, span, 1)
    _, crowd = connected_components(np.linalg.norm(places[:, None] - places, axis=2) < NEAR)
    groups = lit.with_columns(crowd=crowd).partition_by("crowd", maintain_order=True, include_key=False)
    largest = sorted((group for group in groups if len(group) > 2), key=len, reverse=True)[:INSETS]
    return sorted(largest, key=lambda group: group["x"].mean())


def _draw_tokens(axes: Axes, table: pl.DataFrame, lit: pl.DataFrame) -> None:
    cloud = table.filter(pl.col("family") == "")
    axes.scatter(cloud["x"], cloud["y"], s=2.5, color=GREY, alpha=0.6, linewidths=0, rasterized=True)
    for colour, marker, family in zip(cycle(PALETTE), cycle(MARKERS), distinct(lit, "family"), strict=False):
        part = lit.filter(pl.col("family") == family)
        look = {"label": family, "c": colour, "ec": "w", "lw": 0.5, "zorder": 3}
        axes.scatter(part["x"], part["y"], s=26, marker=marker, **look)
        pairs = part.join(lit, left_on="joined_to", right_on="token", suffix="_to", maintain_order="left")
        ends = (pairs.select(axis, f"{axis}_to").to_numpy().T for axis in "xy")
        axes.plot(*ends, color=colour, linewidth=1.1, zorder=2)
    axes.set(xticks=[], yticks=[])


def _enlarge(axes: Axes, inset: Axes, crowd: pl.DataFrame) -> None:
    """Show a crowd in its inset, to one scale; frame its place on the map and join the two."""
    places, size = crowd.select("x", "y").to_numpy(), inset.get_window_extent().size
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    half = 0.8 * (np.ptp(places, axis=0).max() or 1.0) * size / size.min()
    (left, low), (right, high) = middle - half, middle + half
    inset.set(xlim=(left, right), ylim=(low, high))
    inset.spines[:].set(visible=True, color=LINE["color"])
    times = size[0] / (right - left) / axes.get_window_extent().width * axes.viewLim.width
    inset.set_xlabel(f"{float(f'{times:.2g}'):,.0f} times larger", fontsize=7)
    framed = half.clip(axes.viewLim.size * NEAR / 2)  # large enough to be seen
    axes.add_patch(Rectangle(middle - framed, *(2 * framed), fill=False, ec=LINE["color"], lw=0.6))
    ends = middle - (0, framed[1]), (0.5, 1)
    axes.figure.add_artist(ConnectionPatch(*ends, axes.transData, inset.transAxes, **LINE))


def draw_token_groups(table: pl.DataFrame) -> Figure:
    """Draw the study's Figure 2: for each group lines to the centre of mass in 3-D, beside them as bars.

    The odd one out is the token of the largest `distance`, which is that in the full space. Axes are to one
    scale and seen without perspective, from where the drawn distances are ordered as those are.
    """
    names = distinct(table, "group")
    figure = new_figure(5.6, 2.5 * len(names) + 0.4)
    grid = figure.add_gridspec(len(names), 2, width_ratios=(1.3, 1))
    panels = []
    for n, name in enumerate(names):
        part = table.filter(pl.col("group") == name).sort("distance", maintain_order=True)
        looks = [*[MEMBER] * (len(part) - 1), ODD]
        with matplotlib.rc_context(SPACE):
            axes = figure.add_subplot(grid[n, 0], projection="3d", proj_type="ortho", title=name)
        panels.append((axes, part["token"], looks, _draw_group(axes, part, looks)))
        bars = figure.add_subplot(grid[n, 1], title="distance to the centre" if n == 0 else "")
        drawn = bars.barh(range(len(part)), part["distance"], 0.6, color=[look["color"] for look in looks])
        bars.bar_label(drawn, fmt="%.2f", padding=2, fontsize=8)
        bars.set_yticks(range(len(part)), part["token"].to_list(), parse_math=False)
        bars.set(xlim=(0, 1.2 * part["distance"].max() or 1.0), ylim=(-0.7, len(part) - 0.3), xticks=[])
        bars.spines["bottom"].set_visible(False)
    keys = {"label": "centre of mass", **CENTRE}, {"label": "odd one out: the farthest from it", **ODD}
    handles = [Line2D([], [], linewidth=0, **key) for key in keys]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    _fix(figure)
    for axes, tokens, looks, places in panels:
        x, y, _ = proj_transform(*np.vstack([0 * places[:1], places]).T, axes.get_proj())
        points = axes.transData.transform(np.column_stack([x, y]))
        inks = [{"color": _ink(look["color"]), "weight": 700 if look is ODD else 400} for look in looks]
        _label(axes, points[1:], tokens, inks, _line(points[0], points[1:, None]))
    return figure


def _draw_group(axes: Axes, part: pl.DataFrame, looks: list[dict]) -> np.ndarray:
    """Draw one group; return where its tokens are from its centre, float64 (n, 3)."""
    places = part.select(pl.col("x", "y", "z") - pl.col("x", "y", "z").mean()).to_numpy()
    far = np.abs(places).max(axis=0)
    x, y, z = far = 1.1 * far.clip(0.35 * far.max() or 1.0)
    axes.set(xlim=(-x, x), ylim=(-y, y), zlim=(-z, z), xticklabels=[], yticklabels=[], zticklabels=[])
    axes.set_box_aspect(far, zoom=1.05)
    axes.view_init(*_view(places, part["distance"].to_numpy()))
    for place, look in zip(places, looks, strict=True):
        axes.plot(*zip((0, 0, 0), place, strict=True), color=look["color"], linewidth=1.0)
        axes.plot(*place[:, None], **look)
    axes.plot(0, 0, 0, **CENTRE)
    return places


def _view(places: np.ndarray, distances: np.ndarray) -> tuple[int, int]:
    """Return the elevation and azimuth (degrees) from which a group contradicts its distances least."""

    def look(angles: tuple[int, int]) -> tuple:
        """Rate a view: the farthest looks farthest; pairs in the right order; the least gap of two points."""
        high, turn = np.radians(angles)
        toward = np.array([np.cos(high) * np.cos(turn), np.cos(high) * np.sin(turn), np.sin(high)])
        flat = places - np.outer(places @ toward, toward)
        seen = np.linalg.norm(flat, axis=1)
        right = np.sign(seen[:, None] - seen) == np.sign(distances[:, None] - distances)
        return seen.argmax() == distances.argmax(), right.sum(), pdist(np.vstack([flat, 0 * flat[:1]])).min()

    return max(product(range(10, 61, 5), range(0, 360, 10)), key=look)


# ---- labels that cover nothing ----


def _fix(figure: Figure) -> None:
    """Lay the figure out and keep it so: labels are placed in pixels."""
    FigureCanvasAgg(figure).draw()
    figure.set_layout_engine("none")


def _ink(colour: str) -> tuple:
    """Return a darker shade: as text, the light colours of the palette are too pale."""
    return tuple(0.65 * part for part in matplotlib.colors.to_rgb(colour))


def _label(
    axes: Axes, points: np.ndarray, names: Iterable[str], looks: list[dict], taken: np.ndarray
) -> None:
    """Write names beside points (pixels), with lines to them: on no other, nor, if possible, on `taken`."""
    figure, frame, labels = axes.figure, axes.get_window_extent().extents, np.empty((0, 4))
    scale, under = figure.dpi / 72, {"facecolor": "white", "alpha": 0.75, "pad": 0.4, "linewidth": 0}
    taken = np.vstack([taken.reshape(-1, 4), _boxes(points, 3.5 * scale)])
    for point, name, look in zip(points, names, looks, strict=True):
        look = {"ha": "center", "va": "center", "fontsize": 8.5, "parse_math": False, "bbox": under, **look}
        label = figure.text(0, 0, name, **look)
        half = label.get_window_extent().size / 2 + (scale, 0)
        middles = point + scale * AROUND + np.sign(AROUND.round()) * (half[0], 0)
        places, lines = _boxes(middles, half), _line(point, middles[:, None])
        outside = (places[:, :2] < frame[:2]).any(axis=1) | (places[:, 2:] > frame[2:]).any(axis=1)
        covering = 2 * _hits(places, taken) + _hits(lines, labels).any(axis=1)
        best = np.where(outside | _hits(places, labels), 3, covering).argmin()  # the nearest of the best
        labels, taken = np.vstack([labels, places[best]]), np.vstack([taken, lines[best]])
        ends = figure.transFigure.inverted().transform([point, middles[best]])
        figure.add_artist(Line2D(*ends.T, **LINE))
        label.set_position(ends[1])


def _boxes(middles: np.ndarray, half: float | np.ndarray) -> np.ndarray:
    """Return left, low, right and high of boxes around these places, float64 (..., 4)."""
    return np.concatenate([middles - half, middles + half], axis=-1)


def _line(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return small boxes along lines (their ends float64 (..., 1, 2)), without the ends: (..., 17, 4)."""
    return _boxes(start + np.linspace(0.1, 0.9, 17)[:, None] * (end - start), 1)


def _hits(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Tell which boxes overlap one of the others, float64 (n, 4)."""
    boxes = boxes[..., None, :]
    return ((boxes[..., :2] < others[:, 2:]) & (others[:, :2] < boxes[..., 2:])).all(axis=-1).any(axis=-1)


def draw_speed(table: pl.DataFrame) -> Figure:
    """Draw the speeds of `make bench`: bars against the others, then time and memory by corpus size."""
    figure = new_figure(7.0, 2.4)
    panels = figure.subplots(1, 3)
    rates = (("tokenise", "text to token ids, MB/s"), ("learn", "Word2vec, million tokens/s"))
    for axes, (panel, title) in zip(panels[:2], rates, strict=True):
        part = detection.where(table, panel=panel)
        bars = axes.barh(part["name"].to_list(), part["y"].to_list(), color=PALETTE[: len(part)])
        axes.bar_label(bars, fmt="%.1f", padding=1, fontsize=7)
        axes.set_title(title, fontsize=8)
        axes.margins(x=0.2)
        axes.invert_yaxis()
    time, memory = panels[2], panels[2].twinx()
    measures = (time, "seconds", "seconds"), (memory, "memory", "peak memory, GB")
    for (axes, panel, label), colour, marker in zip(measures, PALETTE, "os", strict=False):
        part = detection.where(table, panel=panel).sort("x")
        axes.plot(part["x"].to_list(), part["y"].to_list(), color=colour, marker=marker)
        axes.set_ylabel(label, color=colour)
        axes.set_ylim(0, 1.25 * part["y"].max())
    time.set_xlabel("million tokens read")
    time.set_title("a larger corpus", fontsize=8)
    return figure


FIGURES = {
    "01_token_map": FigureKind(draw_token_map, "token x y family joined_to"),
    "02_token_groups": FigureKind(draw_token_groups, "token x y z group distance"),
    "03_flow": FigureKind(diagrams.draw_flow, "box column row title detail"),
    "04_network": FigureKind(diagrams.draw_network, "layer branch shape parameters"),
    "05_roc": FigureKind(detection.draw_roc, "protocol model fpr tpr"),
    "06_coverage": FigureKind(detection.draw_coverage, "protocol model fpr_asked tpr low high"),
    "07_training": FigureKind(detection.draw_training, "protocol seed epoch loss"),
    "08_speed": FigureKind(draw_speed, "panel name x y"),
    "09_robustness": FigureKind(detection.draw_robustness, "protocol model transform difference low high"),
    "10_budget": FigureKind(detection.draw_budget, "model share tpr low high"),
    "11_reliability": FigureKind(detection.draw_reliability, "protocol score malicious n"),
    "12_words": FigureKind(detection.draw_words, "word weight"),
    "13_kinds": FigureKind(detection.draw_kinds, "kind model n found low high"),
    "14_encodings": FigureKind(data.draw_encodings, "encoding class share"),
    "15_copies": FigureKind(data.draw_copies, "class size share"),
    "16_shortcuts": FigureKind(data.draw_shortcuts, "rule set balanced"),
    "17_order": FigureKind(data.draw_order, "pair order rank"),
}
