"""The figures of the data: how scripts are written and copied, what shortcuts score, what order teaches."""

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from psembed.paper.diagrams import MARKERS, PALETTE, distinct, new_figure


def draw_encodings(table: pl.DataFrame) -> Figure:
    """Draw the share of each class's scripts that is written in each encoding."""
    return _bars(table, ("encoding", "class", "share"), "share of the scripts of a class")


def draw_shortcuts(table: pl.DataFrame) -> Figure:
    """Draw the balanced accuracy of rules that read nothing; a coin's is marked."""
    figure = _bars(table, ("rule", "set", "balanced"), "balanced accuracy (a coin: 50%)")
    figure.axes[0].axvline(0.5, color="#444444", linewidth=0.8, linestyle="--")
    return figure


def _bars(table: pl.DataFrame, columns: tuple[str, str, str], label: str) -> Figure:
    """Draw bars of a share, by the first column down the side and the second in colour."""
    side, colour, value = columns
    sides, colours = distinct(table, side), distinct(table, colour)
    figure = new_figure(6.0, 1.0 + 0.15 * len(sides) * (len(colours) + 0.8))
    axes, height = figure.subplots(), 0.8 / len(colours)
    for n, name in enumerate(colours):
        part = table.filter(pl.col(colour) == name)
        places = [sides.index(own) + height * (n - (len(colours) - 1) / 2) for own in part[side]]
        bars = axes.barh(places, part[value], height=height, color=PALETTE[n % 7], label=name)
        axes.bar_label(bars, [f"{share:.1%}" for share in part[value]], padding=2, fontsize=7)
    axes.set_yticks(range(len(sides)), sides, parse_math=False)
    axes.set(xlim=(0, 1.1), ylim=(len(sides) - 0.5, -0.5), xticks=[0, 0.25, 0.5, 0.75, 1])
    _share(axes, "x", label)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def draw_copies(table: pl.DataFrame) -> Figure:
    """Draw how many of a class's scripts are in clusters of at least that many near-duplicates."""
    figure = new_figure(6.0, 3.0)
    axes = figure.subplots()
    for n, name in enumerate(distinct(table, "class")):
        part = table.filter(pl.col("class") == name).sort("size")
        look = {"color": PALETTE[n % 7], "linestyle": ("-", "--", "-.")[n % 3], "linewidth": 1.4}
        axes.step(part["size"], part["share"], where="pre", label=name, **look)
    axes.set(xscale="log", ylim=(0, 1.02), xlabel="scripts in the cluster, at least")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter("")
    _share(axes, "y", "share of the scripts of a class")
    axes.legend()
    return figure


def draw_order(table: pl.DataFrame) -> Figure:
    """Draw each pair's rank for every order of the tokens: a row a pair, the best on top."""
    orders = distinct(table, "order")
    pairs = distinct(table.filter(order=orders[0]).sort("rank", "pair"), "pair")
    figure = new_figure(6.0, 1.2 + 0.2 * len(pairs))
    axes = figure.subplots()
    for n, order in enumerate(orders):
        part = table.filter(pl.col("order") == order)
        places = [pairs.index(pair) for pair in part["pair"]]
        look = {"color": PALETTE[n % 7], "marker": MARKERS[n % 7], "fillstyle": ("full", "none")[n % 2]}
        axes.plot(part["rank"], places, linestyle="", markersize=5, label=order, **look)
    axes.set_yticks(range(len(pairs)), pairs, parse_math=False)
    axes.set(xscale="log", xlabel="rank among the neighbours (1: nearest)", ylim=(len(pairs) - 0.5, -0.5))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _share(axes: Axes, way: str, label: str) -> None:
    """Write shares along an axis as per cents."""
    getattr(axes, f"{way}axis").set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set(**{f"{way}label": label})
    axes.grid(axis=way, alpha=0.25, linewidth=0.5)
    axes.set_axisbelow(True)
