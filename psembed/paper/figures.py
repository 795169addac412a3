"""The figures: each is drawn from one table, and that table is saved beside it as csv.

`save` draws from the csv it has just written, so `redraw` gives the same bytes later. Colours are those of
Okabe and Ito (readable with colour-blindness); shapes and labels repeat what colour says, for print.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.proj3d import proj_transform

from psembed.paper import detection_figures as detection
from psembed.paper import diagrams
from psembed.paper.diagrams import GREY, MARKERS, PALETTE, STYLE, distinct, new_figure
from psembed.project.workspace import Workspace
from psembed.runtime.errors import CorpusError, ParameterError
from psembed.runtime.files import atomic

LOG = logging.getLogger(__name__)

CENTRE = {"marker": "x", "color": "black", "markersize": 6}
ODD = {"marker": "D", "color": PALETTE[1], "markersize": 6}
MEMBER = {"marker": "o", "color": PALETTE[0], "markersize": 6}
# Steps (points) from a point to where its label may begin, nearest first.
AROUND = np.array([
    (far * np.cos(turn), far * np.sin(turn))
    for far in (7, 13, 23, 33, 46, 62, 80, 100) for turn in np.arange(12) * np.pi / 6
])  # fmt: skip
TEXTS = (
    "token", "family", "group", "box", "title", "detail", "layer", "branch", "shape", "protocol", "model",
    "panel", "name", "transform",
)  # fmt: skip


class FigureKind(NamedTuple):
    """How a figure is drawn, and the columns its table must have."""

    draw: Callable[[pl.DataFrame], Figure]
    columns: tuple[str, ...]


def save(workspace: Workspace, slug: str, table: pl.DataFrame) -> None:
    """Write figures/<profile>/<slug>.csv, .svg and .png.

    A figure that is not in FIGURES is a ParameterError, a table without a row or a column a CorpusError.
    """
    _check(slug, table)
    path = workspace.output(workspace.figures / f"{slug}.csv")
    with atomic(path) as temporary:
        table.write_csv(temporary, float_precision=6)
    _render(slug, _read(path), path.parent)


def redraw(workspace: Workspace) -> list[str]:
    """Draw again every figure whose csv is there; return their slugs."""
    slugs = [slug for slug in FIGURES if (workspace.figures / f"{slug}.csv").is_file()]
    for slug in slugs:
        path = workspace.figures / f"{slug}.csv"
        table = _read(path)
        _check(slug, table)
        _render(slug, table, workspace.output(path).parent)
    LOG.info("redrew %d figures of profile %s", len(slugs), workspace.profile)
    return slugs


def _check(slug: str, table: pl.DataFrame) -> None:
    if slug not in FIGURES:
        raise ParameterError(f"no figure {slug!r}: choose one of {', '.join(FIGURES)}")
    if missing := [name for name in FIGURES[slug].columns if name not in table.columns]:
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
                figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)


def draw_token_map(table: pl.DataFrame) -> Figure:
    """Draw the study's Figure 1: a grey cloud of tokens; families (family != "") in colour, with labels."""
    figure = new_figure(5.0, 4.7)
    axes = figure.add_subplot()
    cloud, lit = table.filter(pl.col("family") == ""), table.filter(pl.col("family") != "")
    axes.scatter(cloud["x"], cloud["y"], s=2.5, color=GREY, alpha=0.6, linewidths=0, rasterized=True)
    families = distinct(lit, "family")
    for n, family in enumerate(families):
        part = lit.filter(pl.col("family") == family)
        axes.scatter(part["x"], part["y"], s=26, color=PALETTE[n % 7], marker=MARKERS[n % 7],
                     edgecolors="white", linewidths=0.5, label=family, zorder=3)  # fmt: skip
    axes.set(xticks=[], yticks=[], xlabel="t-SNE, first axis", ylabel="t-SNE, second axis")
    if len(lit):
        figure.legend(loc="outside lower center", ncols=2, handletextpad=0.2, columnspacing=1.2)
    _fix(figure)
    points = axes.transData.transform(lit.select("x", "y").to_numpy())
    colours = [_ink(PALETTE[families.index(family) % 7]) for family in lit["family"]]
    texts = [{"s": token, "color": colour} for token, colour in zip(lit["token"], colours, strict=True)]
    _label(figure, axes, points, texts)
    return figure


def draw_token_groups(table: pl.DataFrame) -> Figure:
    """Draw the study's Figure 2: one 3-D panel a group, stems to the centre of mass, odd one out marked.

    The odd one is the token whose `odd` is true, where the table has that column; else the one farthest out.
    Axes are to one scale, so the drawn distances compare; thin lines lead down to the floor.
    """
    names = distinct(table, "group")
    figure = new_figure(2.7 * len(names), 3.2)
    panels = []
    for n, name in enumerate(names):
        with matplotlib.rc_context({"grid.color": "#DDDDDD", "grid.linewidth": 0.5}):
            axes = figure.add_subplot(1, len(names), n + 1, projection="3d")
        axes.set_title(name)
        panels.append((axes, *_draw_group(axes, table.filter(pl.col("group") == name))))
    keys = {"label": "centre of mass", **CENTRE}, {"label": "odd one out: the farthest from it", **ODD}
    handles = [Line2D([], [], linewidth=0, **key) for key in keys]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    _fix(figure)
    for axes, places, texts in panels:
        x, y, _ = proj_transform(*np.vstack([places.mean(axis=0), places]).T, axes.get_proj())
        centre, *points = axes.transData.transform(np.column_stack([x, y]))
        stems = [box for point in points for box in _line(centre, point)]
        _label(figure, axes, np.array(points), texts, covered=stems)
    return figure


def _draw_group(axes: Axes, part: pl.DataFrame) -> tuple[np.ndarray, list[dict]]:
    """Draw one group; return where its tokens are, float64 (n, 3), and how to write each."""
    places = part.select("x", "y", "z").to_numpy()
    centre = places.mean(axis=0)
    named = "odd" in part.columns and part["odd"].any()
    odd = part["odd"].arg_max() if named else np.linalg.norm(places - centre, axis=1).argmax()
    wide = np.abs(places - centre).max() * 1.05 or 1.0
    deep = max(np.abs(places - centre)[:, 2].max() * 1.2, 0.7 * wide)
    low, high = (centre + side * np.array([wide, wide, deep]) for side in (-1, 1))
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    axes.set(xticklabels=[], yticklabels=[], zticklabels=[])
    axes.set_box_aspect(high - low, zoom=1.05)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.line.set_color("#BBBBBB")
        axis.set_tick_params(color="#BBBBBB")
    texts = []
    for k, (place, token) in enumerate(zip(places, part["token"], strict=True)):
        look = ODD if k == odd else MEMBER
        foot = (*place[:2], low[2])
        axes.plot(*zip(place, foot, strict=True), color="#999999", linewidth=0.5, linestyle=":")
        axes.plot(*zip(centre, place, strict=True), color=look["color"], linewidth=1.0)
        axes.plot(*place[:, None], **look)
        texts.append({"s": token, "color": _ink(look["color"]), "weight": "bold" if k == odd else "normal"})
    axes.plot(*centre[:, None], **CENTRE)
    return places, texts


# ---- labels that cover nothing ----


def _fix(figure: Figure) -> None:
    """Lay the figure out and keep it so: labels are placed in pixels."""
    FigureCanvasAgg(figure).draw()
    figure.set_layout_engine("none")


def _ink(colour: str) -> tuple:
    """Return a darker shade: as text, the light colours of the palette are too pale."""
    return tuple(0.65 * part for part in matplotlib.colors.to_rgb(colour))


def _label(
    figure: Figure, axes: Axes, points: np.ndarray, texts: list[dict], *, covered: Sequence[tuple] = ()
) -> None:
    """Write beside each point (pixels), with a line to it: on no label, and where there is room on nothing.

    What else a label keeps off are points, lines and the boxes `covered`.
    """
    scale, frame = figure.dpi / 72, axes.get_window_extent()
    taken, labels = [_box(x, y, 3.5 * scale, 3.5 * scale) for x, y in points] + list(covered), []
    for point, text in zip(points, texts, strict=True):
        under = {"facecolor": "white", "alpha": 0.75, "pad": 0.4, "linewidth": 0}
        look = {"ha": "center", "va": "center", "fontsize": 8.5, "parse_math": False, "bbox": under}
        label = figure.text(0, 0, **look, **text)
        extent = label.get_window_extent()
        half = extent.width / 2 + scale, extent.height / 2
        places = [(*(point + scale * step + np.sign(step.round()) * (half[0], 0)), *half) for step in AROUND]
        best = min(places, key=lambda place: _spoilt(point, place, frame, labels, taken))
        labels.append(_box(*best))
        taken += _line(point, best[:2])
        ends = figure.transFigure.inverted().transform([point, best[:2]])
        figure.add_artist(Line2D(*ends.T, color=text["color"], linewidth=0.5, alpha=0.7, zorder=1))
        label.set_position(ends[1])


def _spoilt(point: np.ndarray, place: tuple, frame: object, labels: list[tuple], taken: list[tuple]) -> int:
    """Return how bad a place for a label is; of equally bad ones the nearest is taken."""
    box = _box(*place)
    inside = box[0] >= frame.x0 and box[1] >= frame.y0 and box[2] <= frame.x1 and box[3] <= frame.y1
    if not inside or _hits(box, labels):
        return 3
    return 2 * _hits(box, taken) + any(_hits(part, labels) for part in _line(point, place[:2]))


def _box(x: float, y: float, half_width: float, half_height: float) -> tuple:
    return x - half_width, y - half_height, x + half_width, y + half_height


def _line(start: np.ndarray, end: Sequence[float]) -> list[tuple]:
    """Return small boxes along a line, without its ends."""
    return [_box(*(start + part * (end - start)), 1, 1) for part in np.linspace(0.1, 0.9, 17)]


def _hits(box: tuple, others: Iterable[tuple]) -> bool:
    return any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in others)


def draw_speed(table: pl.DataFrame) -> Figure:
    """Draw the speeds of `make bench`: bars against the others, then time and memory by corpus size."""
    figure = new_figure(7.0, 2.4)
    panels = figure.subplots(1, 3, gridspec_kw={"wspace": 0.55, "left": 0.08, "right": 0.93, "bottom": 0.24})
    rates = (("tokenise", "text to token ids, MB/s"), ("learn", "Word2vec, million tokens/s"))
    for axes, (panel, title) in zip(panels[:2], rates, strict=True):
        part = detection.where(table, panel=panel)
        bars = axes.bar(part["name"].to_list(), part["y"].to_list(), color=PALETTE[: len(part)])
        axes.bar_label(bars, fmt="%.1f", padding=1, fontsize=7)
        axes.set_title(title, fontsize=8)
        axes.margins(y=0.15)
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
    slug: FigureKind(draw, tuple(columns.split()))
    for slug, draw, columns in (
        ("01_token_map", draw_token_map, "token x y family"),
        ("02_token_groups", draw_token_groups, "token x y z group"),
        ("03_flow", diagrams.draw_flow, "box column row title detail"),
        ("04_network", diagrams.draw_network, "layer branch shape parameters"),
        ("05_roc", detection.draw_roc, "protocol model fpr tpr"),
        ("06_coverage", detection.draw_coverage, "protocol model fpr_asked tpr low high"),
        ("07_training", detection.draw_training, "protocol seed epoch loss val_loss"),
        ("08_speed", draw_speed, "panel name x y"),
        ("09_robustness", detection.draw_robustness, "protocol model transform difference low high"),
        ("10_budget", detection.draw_budget, "model share tpr low high"),
        ("11_reliability", detection.draw_reliability, "protocol score malicious n"),
    )
}
