"""The figures of detection: rates, losses, and what rewriting, few labels and a temperature change."""

import tomllib
from pathlib import Path

import matplotlib
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from psembed.paper.diagrams import MARKERS, PALETTE, distinct, new_figure

TITLES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
MODELS = TITLES["models"]
LINES = (
    "-",
    "--",
    ":",
    "-.",
    (0, (8, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (1, 3)),
)  # one a curve, for print in grey


def _panels(table: pl.DataFrame, *size: float, grid: str = "both") -> tuple[Figure, dict[str, Axes]]:
    """Return a figure of that size (inches) and its panels, one for each protocol of the table."""
    protocols, figure = distinct(table, "protocol"), new_figure(*size)
    figure.subplots(1, len(protocols), sharey=True)
    for name, axes in zip(protocols, figure.axes, strict=True):
        axes.set_title(TITLES["protocols"].get(name, name), loc="left")
        axes.grid(axis=grid, alpha=0.25, linewidth=0.5)
    return figure, dict(zip(protocols, figure.axes, strict=True))


def draw_roc(table: pl.DataFrame) -> Figure:
    """Draw ROC curves, one panel a protocol; the false-positive axis is logarithmic, 0.1% is marked.

    Of more models than colours those of `roc_curves` are drawn; the table has all.
    """
    models = _in_order(table)
    if len(models) > len(PALETTE):
        models = [model for model in models if model in TITLES["roc_curves"]]
    table = table.filter(pl.col("model").is_in(models))
    figure, panels = _panels(table, 7.0, 3.4)
    lowest = max(1e-5, float(table.filter(pl.col("fpr") > 0)["fpr"].min() or 1e-4) / 2)
    for protocol, axes in panels.items():
        for n, model in enumerate(models):
            part = where(table, protocol=protocol, model=model).sort("fpr", "tpr")
            style = {"color": PALETTE[n % 7], "linestyle": LINES[n % 7], "linewidth": 1.3}
            style |= {"where": "post", "label": model_title(model)}
            axes.step(part["fpr"].clip(lowest, 1), part["tpr"], **style)
        axes.axvline(1e-3, color="#666666", linewidth=0.8)
        axes.annotate("0.1%", (1e-3, 0.02), xytext=(3, 0), textcoords="offset points", fontsize=7.5)
        axes.set(xscale="log", xlim=(lowest, 1), ylim=(0, 1.01), xlabel="false-positive rate")
    figure.axes[0].set_ylabel("true-positive rate")
    _legend(figure)
    return figure


def _in_order(table: pl.DataFrame) -> list[str]:
    """Return the models of a table in the order of MODELS, others after them."""
    present = distinct(table, "model")
    return sorted(present, key=[*MODELS, *present].index)


def _style(n: int, **sizes: object) -> dict:
    return {"color": PALETTE[n % 7], "marker": MARKERS[n % 7], **sizes}


def where(table: pl.DataFrame, **values: object) -> pl.DataFrame:
    """Return the rows in which columns have these values."""
    return table.filter(pl.all_horizontal(pl.col(name) == value for name, value in values.items()))


def _legend(figure: Figure, columns: int = 3) -> None:
    shown = figure.axes[0].get_legend_handles_labels()
    figure.legend(*shown, loc="outside lower center", ncols=columns, columnspacing=1.4)


def _errors(part: pl.DataFrame, value: str) -> np.ndarray:
    """Return how far an interval low..high reaches below and above its value, shape (2, n)."""
    reach = part.select(pl.col(value) - pl.col("low"), high=pl.col("high") - pl.col(value))
    return np.abs(reach.to_numpy().T)


def draw_coverage(table: pl.DataFrame) -> Figure:
    """Draw each model's true-positive rate with its interval; the published rates are reference lines."""
    models = _in_order(table)
    rates = sorted(distinct(table, "fpr_asked"))
    figure, panels = _panels(table, 7.0, 1.4 + 0.2 * len(models), grid="x")
    for protocol, axes in panels.items():
        for n, rate in enumerate(rates):
            part = where(table, protocol=protocol, fpr_asked=rate)
            y = np.array([models.index(m) for m in part["model"]]) + (n - (len(rates) - 1) / 2) * 0.24
            style = _style(n, markersize=5, linewidth=1.2, capsize=2, linestyle="none")
            style |= {"xerr": _errors(part, "tpr"), "label": f"at a false-positive rate of {100 * rate:g}%"}
            axes.errorbar(part["tpr"], y, **style)
        for line, (name, value) in zip(("--", ":"), TITLES["published_coverage"].items(), strict=True):
            label = f"{name} ({value:.0%}, at 0.1%, other data)"
            axes.axvline(value, color="#555555", linestyle=line, linewidth=1.0, label=label)
        axes.set(xlim=(-0.02, 1.02), xlabel="true-positive rate")
        axes.set_yticks(range(len(models)), [model_title(model) for model in models])
    figure.axes[0].set_ylim(len(models) - 0.5, -0.5)
    _legend(figure, columns=2)
    return figure


def draw_training(table: pl.DataFrame) -> Figure:
    """Draw the training loss of each epoch, one colour a seed."""
    figure, panels = _panels(table, 6.6, 3.0)
    seeds = distinct(table, "seed")
    for protocol, axes in panels.items():
        for n, seed in enumerate(seeds):
            part = where(table, protocol=protocol, seed=seed).sort("epoch")
            axes.plot(
                part["epoch"] + 1,
                part["loss"],
                label=f"seed {seed}",
                **_style(n, linewidth=1.2, markersize=3),
            )
        axes.set(xlabel="epoch", yscale="log")
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
    losses = figure.axes[0].yaxis  # the axis of all
    losses.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    losses.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    losses.set_minor_locator(matplotlib.ticker.NullLocator())
    losses.set_label_text("binary cross-entropy (nats)")
    _legend(figure, columns=2)
    return figure


def model_title(name: str) -> str:
    """Return a model's name as figures write it."""
    return MODELS.get(name, name.replace("_", " "))


def draw_robustness(table: pl.DataFrame) -> Figure:
    """Draw what each way of rewriting changes, in points of coverage, with the interval; a marker a model."""
    models, ways = _in_order(table), distinct(table, "transform")
    figure, panels = _panels(table, 7.0, 1.4 + (0.12 + 0.06 * len(models)) * len(ways), grid="x")
    step = 0.8 / len(models)
    for protocol, axes in panels.items():
        axes.axvline(0, color="#666666", linewidth=0.8)
        for n, model in enumerate(models):
            part = where(table, protocol=protocol, model=model)
            y = np.array([ways.index(way) for way in part["transform"]]) + (n - (len(models) - 1) / 2) * step
            points = part.select(pl.col("difference", "low", "high") * 100)
            style = _style(n, markersize=4.5, linewidth=1.1, capsize=2, linestyle="none")
            style |= {"xerr": _errors(points, "difference"), "label": model_title(model)}
            axes.errorbar(points["difference"], y, **style)
        axes.set_xlabel("change of the true-positive rate, points")
        axes.set_yticks(range(len(ways)), [way.replace("_", " ") for way in ways])
        axes.hlines(np.arange(1, len(ways)) - 0.5, *axes.get_xlim(), color="#DDDDDD", linewidth=0.5)
    figure.axes[0].set_ylim(len(ways) - 0.5, -0.5)
    _legend(figure)
    return figure


def draw_budget(table: pl.DataFrame) -> Figure:
    """Draw the true-positive rate, with its interval, by the share of labels used for training."""
    figure = new_figure(4.6, 3.2)
    axes = figure.subplots()
    for n, model in enumerate(_in_order(table)):
        part = where(table, model=model).sort("share")
        share = 100 * part["share"].to_numpy() * (1 + 0.03 * n)
        style = _style(n, markersize=4.5, linewidth=1.2, capsize=2)
        axes.errorbar(share, part["tpr"], yerr=_errors(part, "tpr"), label=model_title(model), **style)
    shares = sorted(distinct(table, "share"))
    axes.set(xscale="log", ylim=(0, 1), xlabel="training labels used, %", ylabel="true-positive rate")
    axes.set_xticks([100 * share for share in shares], [f"{100 * share:g}" for share in shares])
    axes.minorticks_off()
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.legend(loc="lower right")
    return figure


def draw_reliability(table: pl.DataFrame) -> Figure:
    """Draw the share that is malicious by mean score, a panel a protocol; the number of scripts above."""
    figure, panels = _panels(table, 6.6, 3.2)
    for protocol, axes in panels.items():
        part = where(table, protocol=protocol).filter(pl.col("n") > 0).sort("score")
        axes.plot([0, 1], [0, 1], color="#666666", linewidth=0.8, linestyle="--")
        axes.plot(part["score"], part["malicious"], **_style(0, markersize=4.5, linewidth=1.2))
        for row in part.to_dicts():
            place = {"xytext": (0, 5), "textcoords": "offset points", "ha": "center", "fontsize": 6.5}
            axes.annotate(f"{row['n']:,}", (row["score"], row["malicious"]), **place)
        axes.set(xlim=(-0.05, 1.05), ylim=(-0.03, 1.1), xlabel="score after the temperature")
    figure.axes[0].set_ylabel("share that is malicious")
    return figure


def draw_words(table: pl.DataFrame) -> Figure:
    """Draw the weight that a linear model gives each word; side and colour say the class."""
    rows = table.sort("weight", descending=True)
    figure = new_figure(5.2, 0.7 + 0.17 * rows.height)
    axes = figure.subplots()
    colours = [PALETTE[1] if weight > 0 else PALETTE[0] for weight in rows["weight"]]
    axes.barh(range(rows.height), rows["weight"], color=colours, height=0.7)
    axes.axvline(0, color="#444444", linewidth=0.8)
    words = [word[:30] for word in rows["word"]]
    axes.set_yticks(range(rows.height), words, family="monospace", parse_math=False)
    axes.set(ylim=(rows.height - 0.4, -0.6), xlabel="weight (above 0: malicious)")
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    return figure


def draw_kinds(table: pl.DataFrame) -> Figure:
    """Draw the share of each kind of script that each model finds, with its interval."""
    kinds, figure = distinct(table, "kind"), new_figure(6.0, 2.4)
    axes = figure.subplots()
    for n, model in enumerate(_in_order(table)):
        part = where(table, model=model)
        y = [kinds.index(kind) + 0.22 * (n - 0.5) for kind in part["kind"]]
        style = _style(n, markersize=6, linewidth=1.3, capsize=2.5, linestyle="none")
        axes.errorbar(part["found"], y, xerr=_errors(part, "found"), label=model_title(model), **style)
    counts = dict(table.select("kind", "n").iter_rows())
    axes.set_yticks(range(len(kinds)), [f"{kind}\n{counts[kind]:,} scripts" for kind in kinds])
    axes.set(xlim=(0, 1.02), ylim=(len(kinds) - 0.5, -0.5), xlabel="share found")
    axes.grid(axis="x", alpha=0.25, linewidth=0.5)
    _legend(figure)
    return figure


def draw_parity(python: list[float], mlnet: list[float]) -> Figure:
    """Draw scores of ML.NET against Python's, and on a log scale how far they are apart (equal ones: 0)."""
    figure = new_figure(6.6, 3.0)
    both, apart = figure.subplots(1, 2)
    both.plot([0, 1], [0, 1], color="#666666", linewidth=0.8, linestyle="--")
    both.plot(python, mlnet, **_style(0, markersize=3, linewidth=0))
    both.set(xlabel="score in Python", ylabel="score in ML.NET")
    apart.plot(python, np.abs(np.subtract(python, mlnet)), **_style(1, markersize=3, linewidth=0))
    apart.axhline(1e-5, color="#666666", linewidth=0.8, linestyle="--")
    apart.set_yscale("symlog", linthresh=1e-9)
    apart.set(xlabel="score in Python", ylabel="difference", ylim=(0, 1e-4))
    return figure
