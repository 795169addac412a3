"""Figures: every kind draws from its csv alone, the same bytes each time, and bad tables are named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mpl_toolkits.mplot3d.proj3d import proj_transform

from psembed.paper import figures
from psembed.powershell.command_position import COMMAND
from psembed.project.workspace import Workspace
from psembed.runtime.errors import CorpusError, ParameterError


def _token_map() -> pl.DataFrame:
    rng = np.random.default_rng(1)
    places = rng.normal(size=(5000, 2)) * 30
    rows = [(f"t{n}", x, y, "", "") for n, (x, y) in enumerate(places)]
    aliases = {COMMAND + "iex": "invoke-expression", COMMAND + "iwr": "invoke-webrequest"}
    families = {
        "comparison": (["-eq", "-ne", "-gt"], 0.1),
        "execution policies": (["allsigned", "remotesigned", "bypass", "unrestricted"], 2),
        "aliases": ([t for pair in aliases.items() for t in pair], 40),
        "window styles": (["hidden", "normal"], 3),
    }
    for n, (family, (tokens, spread)) in enumerate(families.items()):
        centre = rng.normal(size=2) * 40 + n
        rows += [(t, *(centre + rng.normal(size=2) * spread), family, aliases.get(t, "")) for t in tokens]
    return pl.DataFrame(rows, schema=MAP, orient="row")


MAP = ["token", "x", "y", "family", "joined_to"]


STYLES = ["bypass", "normal", "minimized", "hidden"]


def _groups() -> pl.DataFrame:
    tokens = {"loop variables": ["$i", "$j", "$k", "$true"], "window styles": STYLES}
    rng = np.random.default_rng(2)
    rows = [(t, *rng.normal(size=3), g) for g, names in tokens.items() for t in names]
    table = pl.DataFrame(rows, schema=["token", "x", "y", "z", "group"], orient="row")
    from_centre = ((pl.col(axis) - pl.col(axis).mean().over("group")) ** 2 for axis in "xyz")
    return table.with_columns(distance=pl.sum_horizontal(from_centre).sqrt())


def _flow() -> pl.DataFrame:
    rows = [
        ("unlabeled", 0, 0, "unlabeled scripts", "1,234 scripts"),
        ("tokens", 1, 0, "tokens", "9 million"),
        ("word2vec", 2, 0, "Word2vec", "64 dimensions"),
        ("vectors", 3, 0, "vectors", "30,000 tokens"),
        ("labelled", 2, 1, "labelled scripts", "4,000 malicious"),
        ("model", 3, 1, "deep model", "CNN-LSTM"),
        ("detector", 4, 1, "detector", "ONNX, 1.2 MB"),
        ("score", 5, 1, "score", "0 to 1"),
    ]
    return pl.DataFrame(rows, schema=["box", "column", "row", "title", "detail"], orient="row")


def _network() -> pl.DataFrame:
    rows = [
        ("token ids", "tokens", "512", 0),
        ("embedding", "tokens", "512 x 64", 1_920_000),
        ("convolution", "tokens", "128 x 64", 20_544),
        ("character ids", "characters", "2048", 0),
        ("embedding", "characters", "2048 x 16", 1_552),
        ("convolution", "characters", "512 x 32", 4_128),
        ("pooling", "characters", "32", 0),
        ("concatenation", "merged", "128 x 96", 0),
        ("LSTM", "merged", "64", 41_216),
        ("dense, sigmoid", "merged", "1", 65),
    ]
    return pl.DataFrame(rows, schema=["layer", "branch", "shape", "parameters"], orient="row")


MODELS = ("one_line_rule", "bag_of_words", "token_3gram", "char_3gram", "cnn_lstm")


def _roc() -> pl.DataFrame:
    rows = []
    for protocol in ("p1", "p2"):
        for n, model in enumerate(MODELS):
            fpr = np.concatenate([[0.0], np.geomspace(1e-4, 1, 300)])
            rows += [(protocol, model, f, min(1.0, f ** (0.5 / (n + 1)))) for f in fpr]
    return pl.DataFrame(rows, schema=["protocol", "model", "fpr", "tpr"], orient="row")


def _coverage() -> pl.DataFrame:
    rows = []
    for shift, protocol in enumerate(("p1", "p2")):
        for n, model in enumerate(MODELS):
            for rate in (0.001, 0.01):
                tpr = 0.3 + 0.12 * n - 0.1 * shift + 10 * rate
                rows.append((protocol, model, rate, tpr, tpr - 0.06, tpr + 0.04))
    return pl.DataFrame(rows, schema=["protocol", "model", "fpr_asked", "tpr", "low", "high"], orient="row")


def _training() -> pl.DataFrame:
    runs = [(p, s, e) for p in ("p1", "p2") for s in (1, 2, 3) for e in range(1, 9)]
    rows = [(p, s, e, 0.6 / e + s / 50) for p, s, e in runs]
    return pl.DataFrame(rows, schema=["protocol", "seed", "epoch", "loss"], orient="row")


def _speed() -> pl.DataFrame:
    bars = [
        ("tokenise", "psembed", 0.0, 60.0),
        ("tokenise", "Python re", 0.0, 20.0),
        ("learn", "psembed", 0.0, 2.0),
    ]
    lines = [
        (panel, "psembed", x, x * y)
        for panel, y in (("seconds", 0.5), ("memory", 0.01))
        for x in (40.0, 80.0)
    ]
    return pl.DataFrame(bars + lines, schema=["panel", "name", "x", "y"], orient="row")


def _robustness() -> pl.DataFrame:
    cells = [
        (p, m, w)
        for p in ("p1", "p2")
        for m in ("bag_of_words", "transformer")
        for w in ("case", "backticks")
    ]
    rows = [(*cell, -n / 20, -n / 20 - 0.05, -n / 20 + 0.02) for n, cell in enumerate(cells)]
    columns = ["protocol", "model", "transform", "difference", "low", "high"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def _budget() -> pl.DataFrame:
    rows = [
        (m, s, s**0.3, s**0.3 - 0.1, s**0.3) for m in ("cnn_lstm", "cnn_lstm_random") for s in (0.01, 0.1, 1)
    ]
    return pl.DataFrame(rows, schema=["model", "share", "tpr", "low", "high"], orient="row")


def _reliability() -> pl.DataFrame:
    bins = [(0.02, 0.01, 5000), (None, None, 0), (0.5, 0.4, 12), (0.97, 1.0, 300)]
    rows = [(protocol, *row) for protocol in ("p1", "p2") for row in bins]
    return pl.DataFrame(rows, schema=["protocol", "score", "malicious", "n"], orient="row")


def _words() -> pl.DataFrame:
    rows = [("downloadstring", 4.1), ("$x", 1.5), ("1", 0.2), ("param", -3.2)]
    return pl.DataFrame(rows, schema=["word", "weight"], orient="row")


def _kinds() -> pl.DataFrame:
    rows = [
        (kind, model, n, 0.8, 0.7, 0.86)
        for kind, n in (("heavily obfuscated", 1200), ("decodes and runs", 90))
        for model in ("bag_of_words", "cnn_lstm")
    ]
    return pl.DataFrame(rows, schema=["kind", "model", "n", "found", "low", "high"], orient="row")


def _encodings() -> pl.DataFrame:
    rows = [("ascii", "clean", 0.9), ("utf-16-le-bom", "clean", 0.1), ("ascii", "malicious", 1.0)]
    return pl.DataFrame(rows, schema=["encoding", "class", "share"], orient="row")


def _copies() -> pl.DataFrame:
    rows = [("clean", 1, 1.0), ("clean", 2, 0.2), ("malicious", 1, 1.0), ("malicious", 400, 0.5)]
    return pl.DataFrame(rows, schema=["class", "size", "share"], orient="row")


def _shortcuts() -> pl.DataFrame:
    rows = [(rule, name, 0.8) for rule in ("one line", "short") for name in ("all", "$set_")]
    return pl.DataFrame(rows, schema=["rule", "set", "balanced"], orient="row")


def _order() -> pl.DataFrame:
    rows = [("$x → get-item", order, rank) for order, rank in (("as written", 1), ("shuffled", 2_000))]
    return pl.DataFrame(rows, schema=["pair", "order", "rank"], orient="row")


TABLES = {
    "01_token_map": _token_map,
    "02_token_groups": _groups,
    "03_flow": _flow,
    "04_network": _network,
    "05_roc": _roc,
    "06_coverage": _coverage,
    "07_training": _training,
    "08_speed": _speed,
    "09_robustness": _robustness,
    "10_budget": _budget,
    "11_reliability": _reliability,
    "12_words": _words,
    "13_kinds": _kinds,
    "14_encodings": _encodings,
    "15_copies": _copies,
    "16_shortcuts": _shortcuts,
    "17_order": _order,
}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("PSEMBED_STAGING", raising=False)
    return Workspace("smoke", root=tmp_path)


def test_every_figure_has_a_table_here():
    assert set(TABLES) == set(figures.FIGURES)


@pytest.mark.parametrize("slug", TABLES)
def test_figure_is_small_and_redraws_to_the_same_bytes(slug: str, workspace: Workspace):
    figures.save(workspace, slug, TABLES[slug]())
    first = {kind: (workspace.figures / f"{slug}.{kind}").read_bytes() for kind in ("csv", "svg", "png")}
    assert len(first["svg"]) < 1_000_000
    assert first["png"].startswith(b"\x89PNG")
    assert figures.redraw(workspace) == [slug]
    again = {kind: (workspace.figures / f"{slug}.{kind}").read_bytes() for kind in ("csv", "svg", "png")}
    assert again == first


def test_figure_is_drawn_in_the_staging_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PSEMBED_STAGING", str(tmp_path / "staging"))
    figures.save(Workspace("smoke", root=tmp_path), "07_training", _training())
    assert (tmp_path / "staging/figures/smoke/07_training.svg").is_file()
    assert not (tmp_path / "figures").exists()


def test_tokens_that_look_like_numbers_or_formulas_survive(workspace: Workspace):
    tokens = ["0", "1.5", "$x$", "a_b^c", '"', ",", "null", ""]
    columns = [tokens, range(8), range(8), ["f"] * 8, tokens[::-1]]
    figures.save(workspace, "01_token_map", pl.DataFrame(dict(zip(MAP, columns, strict=True))))
    read = figures._read(workspace.figures / "01_token_map.csv")
    assert (read["token"].to_list(), read["joined_to"].to_list()) == (tokens, tokens[::-1])


def test_a_wrong_table_is_refused_by_name(workspace: Workspace):
    with pytest.raises(CorpusError, match="lacks loss"):
        figures.save(workspace, "07_training", _training().drop("loss"))
    with pytest.raises(CorpusError, match="empty"):
        figures.save(workspace, "05_roc", _roc().clear())
    with pytest.raises(ParameterError, match="05_roc"):
        figures.save(workspace, "5_rok", _roc())
    assert not workspace.figures.exists() or not list(workspace.figures.iterdir())


def test_a_damaged_csv_is_refused_by_name(workspace: Workspace):
    workspace.figures.mkdir(parents=True)
    (workspace.figures / "05_roc.csv").write_bytes(b"protocol,model\n\xff\xfe,x\n")
    with pytest.raises(CorpusError, match="05_roc"):
        figures.redraw(workspace)


def names(tokens: pl.Series) -> list[str]:
    spelled = {"invoke-expression": "Invoke-Expression", "invoke-webrequest": "Invoke-WebRequest"}
    return [spelled.get(token, token) for token in tokens.str.strip_prefix(COMMAND)]


def _boxes(figure) -> list:
    FigureCanvasAgg(figure).draw()
    return [text.get_window_extent() for text in figure.texts]


def _crowd() -> pl.DataFrame:
    """Twelve tokens of three families in one small place, in a wide cloud."""
    places = np.random.default_rng(7).normal(size=(12, 2))
    wide = np.random.default_rng(8).normal(size=(900, 2)) * 30
    rows = [(f"t{n}", *place, "", "") for n, place in enumerate(wide)]
    rows += [(f"set-item{n}", *place, f"family {n % 3}", "") for n, place in enumerate(places)]
    return pl.DataFrame(rows, schema=MAP, orient="row")


def _one_place() -> pl.DataFrame:
    return _crowd().with_columns(x=pl.lit(1.0), y=pl.lit(2.0))


@pytest.mark.parametrize(
    ("slug", "table"),
    [("01_token_map", _token_map), ("01_token_map", _crowd), ("02_token_groups", _groups)],
    ids=["map", "crowd", "groups"],
)
def test_labels_are_written_once_and_cover_no_other(slug: str, table: Callable[[], pl.DataFrame]):
    figure = figures.FIGURES[slug].draw(table())
    lit = table().filter(pl.col("family") != "") if slug == "01_token_map" else table()
    assert sorted(text.get_text() for text in figure.texts) == sorted(names(lit["token"]))
    boxes = _boxes(figure)
    assert not [(a, b) for n, a in enumerate(boxes) for b in boxes[:n] if a.overlaps(b)]
    page = figure.bbox
    assert all(b.x0 >= page.x0 and b.x1 <= page.x1 and b.y0 >= page.y0 and b.y1 <= page.y1 for b in boxes)


def _beside_a_crowd() -> pl.DataFrame:
    """The name of one token has most room where three others crowd."""
    cloud = [("a", 0.0, 0.0, "", ""), ("b", 100.0, 100.0, "", "")]
    crowd = [(f"t{n}", 58 + n / 99, 50.0, "crowd", "") for n in range(3)]
    rows = [*cloud, ("get-childitem-of-a-long-name", 45.0, 50.0, "one", ""), *crowd]
    return pl.DataFrame(rows, schema=MAP, orient="row")


@pytest.mark.parametrize("table", [_token_map(), _beside_a_crowd()], ids=["map", "beside a crowd"])
def test_a_label_covers_no_point_of_a_family(table: pl.DataFrame):
    figure = figures.draw_token_map(table)
    boxes = _boxes(figure)
    lit = table.filter(pl.col("family") != "").select("x", "y").to_numpy()
    assert len(figure.axes) > 1
    for axes in figure.axes:
        frame = axes.get_window_extent()
        points = [point for point in axes.transData.transform(lit) if frame.contains(*point)]
        assert not [point for point in points for box in boxes if box.contains(*point)]


def test_a_map_without_families_is_a_cloud():
    figure = figures.draw_token_map(_token_map().filter(pl.col("family") == ""))
    assert not figure.texts and not figure.legends and len(figure.axes) == 1


def _joined(axes: Axes) -> set:
    return {tuple(map(tuple, line.get_xydata().round(6))) for line in axes.lines}


def test_a_line_joins_an_alias_and_its_command_and_nothing_else():
    table = _token_map()
    place = {token: (round(x, 6), round(y, 6)) for token, x, y in table.select("token", "x", "y").rows()}
    pairs = table.filter(pl.col("joined_to") != "").select("token", "joined_to").rows()
    lines = _joined(figures.draw_token_map(table).axes[0])
    assert len(pairs) == 2 and lines == {(place[a], place[b]) for a, b in pairs}
    alone = table.filter(pl.col("token") != "invoke-expression")
    assert len(_joined(figures.draw_token_map(alone).axes[0])) == 1


def test_an_inset_shows_who_crowds_and_the_map_where():
    table = _crowd()
    figure = figures.draw_token_map(table)
    axes, inset = figure.axes
    lit = table.filter(pl.col("family") != "").select("x", "y").to_numpy()
    (frame,) = axes.patches
    assert all(inset.viewLim.contains(*place) and frame.get_bbox().contains(*place) for place in lit)
    apart = [np.ptp(panel.transData.transform(lit)[:, 0]) for panel in (axes, inset)]
    times = float(inset.get_xlabel().split()[0].replace(",", ""))
    assert times > 3 and apart[1] / apart[0] == pytest.approx(times, rel=0.06)
    box = inset.get_window_extent()
    assert all(box.contains(text.x0, text.y0) and box.contains(text.x1, text.y1) for text in _boxes(figure))


def test_tokens_that_stand_apart_need_no_inset_and_those_in_one_place_do_no_harm():
    apart = pl.when(pl.col("family") != "").then(40).otherwise(1)
    spread = _crowd().with_columns(pl.col("x", "y") * apart)
    assert len(figures.draw_token_map(spread).axes) == 1
    figure = figures.draw_token_map(_one_place())
    assert len(figure.axes) == 2 and len(figure.texts) == 12


def test_the_odd_one_out_is_bold_and_it_alone_and_bars_are_the_distances_of_the_table():
    places = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 1]]
    table = pl.DataFrame(places, schema=["x", "y", "z"], orient="row").with_columns(
        token=pl.Series(["$i", "$j", "$k", "$true"]), group=pl.lit("variables"),
        distance=pl.Series([2.0, 14.5, 3.0, 13.0]),
    )  # fmt: skip
    figure = figures.draw_token_groups(table)
    assert [t.get_text() for t in figure.texts if t.get_weight() == 700] == ["$j"]
    bars = figure.axes[1]
    assert [bar.get_width() for bar in bars.patches] == [2.0, 3.0, 13.0, 14.5]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["$i", "$k", "$true", "$j"]


PUBLISHED_ONCE = np.array([
    [-3.73, -6.03, -0.14], [3.62, 0.61, -4.66], [3.68, 0.67, 1.75], [2.96, 0.41, 3.14], [-6.53, 4.34, -0.09]
])  # fmt: skip


def _seen(places: np.ndarray, axes: Axes) -> np.ndarray:
    """Distances from the centre as drawn, in pixels."""
    x, y, _ = proj_transform(*np.vstack([places.mean(axis=0), places]).T, axes.get_proj())
    centre, *points = axes.transData.transform(np.column_stack([x, y]))
    return np.linalg.norm(np.array(points) - centre, axis=1)


def test_the_view_does_not_contradict_the_distances():
    groups = {"published": PUBLISHED_ONCE}
    random = np.random.default_rng(4)
    groups |= {f"{size} of {n}": random.normal(size=(size, 3)) for size in (3, 4, 5) for n in range(2)}
    for name, places in groups.items():
        distances = np.linalg.norm(places - places.mean(axis=0), axis=1)
        table = pl.DataFrame(places, schema=["x", "y", "z"]).with_columns(
            token=pl.Series([f"t{n}" for n in range(len(places))]), group=pl.lit(name), distance=distances
        )
        figure = figures.draw_token_groups(table)
        FigureCanvasAgg(figure).draw()
        seen = _seen(places, figure.axes[0])
        assert seen.argmax() == distances.argmax(), name
        if name == "published":
            assert np.argsort(seen).tolist() == np.argsort(distances).tolist()


def test_a_group_in_one_place_is_drawn():
    table = _groups().with_columns(x=pl.lit(0.0), y=pl.lit(0.0), z=pl.lit(0.0), distance=pl.lit(0.0))
    assert len(figures.draw_token_groups(table).texts) == 8


@pytest.mark.parametrize("limit", [figures.SHOWN_BYTES, 20_000])
def test_a_saved_figure_is_shown_as_a_small_png(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(figures, "SHOWN_BYTES", limit)
    shown = figures.save(Workspace("smoke", root=tmp_path), "01_token_map", _token_map())
    assert shown.data.startswith(b"\x89PNG") and len(shown.data) <= limit
    assert shown.width > 400 and shown.alt == "01 token map"
