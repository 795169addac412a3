"""The figures: each is drawn from one table, and that table is saved beside it as csv.

`save` draws from the csv it has just written, so `redraw` gives the same bytes later. Colours are those of
Okabe and Ito (readable with colour-blindness); shapes and labels repeat what colour says, for print.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.proj3d import proj_transform

from psembed.diagrams import GREY, MARKERS, PALETTE, STYLE, distinct, draw_flow, draw_network, new_figure
from psembed.errors import CorpusError, ParameterError
from psembed.workspace import Workspace, atomic

LOG = logging.getLogger(__name__)

#: Coverage at a false-positive rate of 0.1% that Microsoft published, on data of its own.
PUBLISHED_COVERAGE = {"published, traditional": 0.67, "published, deep": 0.89}
PROTOCOLS = {"p1": "P1: in distribution", "p2": "P2: across sources"}
MODELS = {
    "one_line_rule": "one-line rule",
    "length": "length",
    "bag_of_words": "bag of words",
    "token_3gram": "token 3-grams",
    "char_3gram": "character 3-grams",
    "svm_char_3gram": "character 3-grams, SVM",
    "gradient_boosting": "gradient boosting",
    "character_cnn": "character CNN",
    "token_cnn": "token CNN",
    "token_cnn_lstm": "token CNN-LSTM",
    "cnn_lstm": "CNN-LSTM",
    "cnn_lstm_random": "CNN-LSTM, random vectors",
    "cnn_lstm_tuned": "CNN-LSTM, fine-tuned",
    "transformer": "transformer",
    "multiscale": "multi-scale CNN",
    "ensemble": "ensemble",
}
#: Models whose ROC curves are drawn where there are more than colours.
CURVES = (
    "one_line_rule", "bag_of_words", "char_3gram", "gradient_boosting",
    "character_cnn", "cnn_lstm", "multiscale",
)  # fmt: skip
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
    "panel", "name",
)  # fmt: skip


@dataclass(frozen=True)
class FigureKind:
    """How a figure is drawn, and the columns its table must have."""

    draw: Callable[[pl.DataFrame], Figure]
    columns: tuple[str, ...]


def save(workspace: Workspace, slug: str, table: pl.DataFrame) -> None:
    """Write figures/<profile>/<slug>.csv, .svg and .png.

    Raises
    ------
    ParameterError
        If there is no figure of that name.
    CorpusError
        If the table lacks a column or has no row.
    """
    _check(slug, table)
    path = workspace.output(workspace.figures / f"{slug}.csv")
    with atomic(path) as temporary:
        table.write_csv(temporary, float_precision=6)
    _render(slug, _read(path), path.parent)


def redraw(workspace: Workspace) -> list[str]:
    """Draw again every figure whose csv is there; return their slugs."""
    found = [slug for slug in FIGURES if (workspace.figures / f"{slug}.csv").is_file()]
    for slug in found:
        table = _read(workspace.figures / f"{slug}.csv")
        _check(slug, table)
        _render(slug, table, workspace.output(workspace.figures / f"{slug}.csv").parent)
    LOG.info("redrew %d figures of profile %s", len(found), workspace.profile)
    return found


def _check(slug: str, table: pl.DataFrame) -> None:
    if slug not in FIGURES:
        raise ParameterError(f"no figure {slug!r}: choose one of {', '.join(FIGURES)}")
    missing = [name for name in FIGURES[slug].columns if name not in table.columns]
    if missing:
        raise CorpusError(f"figure {slug}: the table lacks {', '.join(missing)}; it has {table.columns}")
    if table.is_empty():
        raise CorpusError(f"figure {slug}: the table is empty; run the notebook that measures it")


def _read(path: Path) -> pl.DataFrame:
    """Read a figure's csv: text columns stay text, even where a token looks like a number."""
    try:
        return pl.read_csv(
            path, infer_schema_length=None, schema_overrides=dict.fromkeys(TEXTS, pl.String)
        ).with_columns(pl.col(pl.String).fill_null(""))
    except pl.exceptions.PolarsError as error:
        raise CorpusError(f"{path.name} cannot be read ({error}); run the notebook that makes it") from error


def _render(slug: str, table: pl.DataFrame, folder: Path) -> None:
    with matplotlib.rc_context(STYLE):
        figure = FIGURES[slug].draw(table)
        FigureCanvasAgg(figure)
        for kind, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
            with atomic(folder / f"{slug}.{kind}") as temporary:
                figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)


def _model(name: str) -> str:
    return MODELS.get(name, name.replace("_", " "))


# ---- 1 and 2: the embedding ----


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
    figure.legend(
        handles=[Line2D([], [], linewidth=0, **key) for key in keys], loc="outside lower center", ncols=2
    )
    _fix(figure)
    for axes, places, texts in panels:
        centre, *points = _pixels(axes, np.vstack([places.mean(axis=0), places]))
        stems = [box for point in points for box in _line(centre, point)]
        _label(figure, axes, np.array(points), texts, covered=stems)
    return figure


def _pixels(axes: Axes, places: np.ndarray) -> np.ndarray:
    """Return where places of a 3-D panel, shape (n, 3), are seen: pixels, shape (n, 2)."""
    x, y, _ = proj_transform(*places.T, axes.get_proj())
    return axes.transData.transform(np.column_stack([x, y]))


def _draw_group(axes: Axes, part: pl.DataFrame) -> tuple[np.ndarray, list[dict]]:
    """Draw one group; return where its tokens are, float64 (n, 3), and how to write each."""
    places = part.select("x", "y", "z").to_numpy()
    centre, odd = places.mean(axis=0), _odd(part)
    wide = np.abs(places - centre).max() * 1.05 or 1.0
    deep = max(np.abs(places - centre)[:, 2].max() * 1.2, 0.7 * wide)
    reach = np.array([wide, wide, deep])
    low, high = centre - reach, centre + reach
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


def _odd(part: pl.DataFrame) -> int:
    if "odd" in part.columns and part["odd"].any():
        return part["odd"].arg_max()
    places = part.select("x", "y", "z").to_numpy()
    return int(np.linalg.norm(places - places.mean(axis=0), axis=1).argmax())


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
        label = figure.text(
            0, 0, ha="center", va="center", fontsize=8.5, parse_math=False, bbox=under, **text
        )
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
    if not _inside(box, frame) or _hits(box, labels):
        return 3
    return 2 * _hits(box, taken) + any(_hits(part, labels) for part in _line(point, place[:2]))


def _box(x: float, y: float, half_width: float, half_height: float) -> tuple:
    return x - half_width, y - half_height, x + half_width, y + half_height


def _line(start: np.ndarray, end: Sequence[float]) -> list[tuple]:
    """Return small boxes along a line, without its ends."""
    return [_box(*(start + part * (end - start)), 1, 1) for part in np.linspace(0.1, 0.9, 17)]


def _inside(box: tuple, frame: object) -> bool:
    return box[0] >= frame.x0 and box[1] >= frame.y0 and box[2] <= frame.x1 and box[3] <= frame.y1


def _hits(box: tuple, others: Iterable[tuple]) -> bool:
    return any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in others)


# ---- 5, 6 and 7: detection ----


def _panels(table: pl.DataFrame, width: float, height: float) -> tuple[Figure, list[tuple[str, Axes]]]:
    protocols = distinct(table, "protocol")
    figure = new_figure(width, height)
    axes = figure.subplots(1, len(protocols), sharey=True, squeeze=False)[0]
    for name, panel in zip(protocols, axes, strict=True):
        panel.set_title(PROTOCOLS.get(name, name), loc="left")
    return figure, list(zip(protocols, axes, strict=True))


def draw_roc(table: pl.DataFrame) -> Figure:
    """Draw ROC curves, one panel a protocol; the false-positive axis is logarithmic, 0.1% is marked.

    Of more than seven models those of CURVES are drawn; the table has all.
    """
    models = _in_order(table)
    if len(models) > len(PALETTE):
        models = [model for model in models if model in CURVES]
    table = table.filter(pl.col("model").is_in(models))
    figure, panels = _panels(table, 7.0, 3.4)
    lowest = max(1e-5, float(table.filter(pl.col("fpr") > 0)["fpr"].min() or 1e-4) / 2)
    for protocol, axes in panels:
        for n, model in enumerate(models):
            part = _where(table, protocol=protocol, model=model).sort("fpr", "tpr")
            style = {"color": PALETTE[n % 7], "linestyle": ("-", "--", "-.", ":")[n % 4], "linewidth": 1.3}
            fpr = part["fpr"].clip(lowest, 1)
            axes.step(fpr, part["tpr"], where="post", label=_model(model), **style)
        axes.axvline(1e-3, color="#666666", linewidth=0.8)
        axes.annotate("0.1%", (1e-3, 0.02), xytext=(3, 0), textcoords="offset points", fontsize=7.5)
        axes.set(xscale="log", xlim=(lowest, 1), ylim=(0, 1.01), xlabel="false-positive rate")
        axes.grid(alpha=0.25, linewidth=0.5)
    panels[0][1].set_ylabel("true-positive rate")
    _legend(figure, panels[0][1])
    return figure


def _in_order(table: pl.DataFrame) -> list[str]:
    """Return the models of a table in the order of MODELS, others after them."""
    known = {name: n for n, name in enumerate(MODELS)}
    return sorted(distinct(table, "model"), key=lambda name: known.get(name, len(known)))


def _where(table: pl.DataFrame, **values: object) -> pl.DataFrame:
    return table.filter(pl.all_horizontal(pl.col(name) == value for name, value in values.items()))


def _legend(figure: Figure, axes: Axes, *, columns: int = 3) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, columnspacing=1.4)


def draw_coverage(table: pl.DataFrame) -> Figure:
    """Draw each model's true-positive rate with its interval; the published rates are reference lines."""
    models = _in_order(table)
    rates = sorted(distinct(table, "fpr_asked"))
    figure, panels = _panels(table, 7.0, 1.4 + 0.36 * len(models))
    for protocol, axes in panels:
        for n, rate in enumerate(rates):
            part = _where(table, protocol=protocol, fpr_asked=rate)
            y = np.array([models.index(m) for m in part["model"]]) + (n - (len(rates) - 1) / 2) * 0.24
            tpr = part["tpr"].to_numpy()
            spread = np.abs(np.stack([tpr - part["low"].to_numpy(), part["high"].to_numpy() - tpr]))
            label = f"at a false-positive rate of {100 * rate:g}%"
            style = {"color": PALETTE[n % 7], "markersize": 5, "linewidth": 1.2, "capsize": 2}
            axes.errorbar(tpr, y, xerr=spread, fmt=MARKERS[n % 7], label=label, **style)
        for n, (name, value) in enumerate(PUBLISHED_COVERAGE.items()):
            axes.axvline(value, color="#555555", linestyle=("--", ":")[n], linewidth=1.0,
                         label=f"{name} ({value:.0%}, at 0.1%, other data)")  # fmt: skip
        axes.set(xlim=(-0.02, 1.02), xlabel="true-positive rate", yticks=range(len(models)))
        axes.set_yticklabels([_model(m) for m in models])
        axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    panels[0][1].set_ylim(len(models) - 0.5, -0.5)
    _legend(figure, panels[0][1], columns=2)
    return figure


def draw_training(table: pl.DataFrame) -> Figure:
    """Draw the loss of each epoch, one colour a seed: training dashed, validation full."""
    figure, panels = _panels(table, 6.6, 3.0)
    seeds = distinct(table, "seed")
    for protocol, axes in panels:
        for n, seed in enumerate(seeds):
            part = _where(table, protocol=protocol, seed=seed).sort("epoch")
            style = {"color": PALETTE[n % 7], "linewidth": 1.2, "marker": MARKERS[n % 7], "markersize": 3}
            axes.plot(part["epoch"], part["loss"], "--", alpha=0.7, label=f"seed {seed}, training", **style)
            axes.plot(part["epoch"], part["val_loss"], "-", label=f"seed {seed}, validation", **style)
        axes.set(xlabel="epoch", yscale="log")
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axes.grid(alpha=0.25, linewidth=0.5)
    panels[0][1].set_ylabel("binary cross-entropy")
    _legend(figure, panels[0][1], columns=2)
    return figure


def draw_speed(table: pl.DataFrame) -> Figure:
    """Draw the speeds of `make bench`: bars against the others, then time and memory by corpus size."""
    figure = new_figure(7.0, 2.4)
    panels = figure.subplots(1, 3, gridspec_kw={"wspace": 0.55, "left": 0.08, "right": 0.93, "bottom": 0.24})
    for axes, (panel, title) in zip(
        panels,
        {"tokenise": "text to token ids, MB/s", "learn": "Word2vec, million tokens/s"}.items(),
        strict=False,
    ):
        part = _where(table, panel=panel)
        bars = axes.bar(part["name"].to_list(), part["y"].to_list(), color=PALETTE[: len(part)])
        axes.bar_label(bars, fmt="%.1f", padding=1, fontsize=7)
        axes.set_title(title, fontsize=8)
        axes.margins(y=0.15)
    time, memory = panels[2], panels[2].twinx()
    for axes, panel, label, colour, marker in (
        (time, "seconds", "seconds", PALETTE[0], "o"),
        (memory, "memory", "peak memory, GB", PALETTE[1], "s"),
    ):
        part = _where(table, panel=panel).sort("x")
        axes.plot(part["x"].to_list(), part["y"].to_list(), color=colour, marker=marker)
        axes.set_ylabel(label, color=colour)
        axes.set_ylim(0, 1.25 * part["y"].max())
    time.set_xlabel("million tokens read")
    time.set_title("a larger corpus", fontsize=8)
    return figure


FIGURES = {
    "01_token_map": FigureKind(draw_token_map, ("token", "x", "y", "family")),
    "02_token_groups": FigureKind(draw_token_groups, ("token", "x", "y", "z", "group")),
    "03_flow": FigureKind(draw_flow, ("box", "column", "row", "title", "detail")),
    "04_network": FigureKind(draw_network, ("layer", "branch", "shape", "parameters")),
    "05_roc": FigureKind(draw_roc, ("protocol", "model", "fpr", "tpr")),
    "06_coverage": FigureKind(draw_coverage, ("protocol", "model", "fpr_asked", "tpr", "low", "high")),
    "08_speed": FigureKind(draw_speed, ("panel", "name", "x", "y")),
    "07_training": FigureKind(draw_training, ("protocol", "seed", "epoch", "loss", "val_loss")),
}
