"""Figures: every kind draws from its csv alone, the same bytes each time, and bad tables are named."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from psembed.paper import figures
from psembed.project.workspace import Workspace
from psembed.runtime.errors import CorpusError, ParameterError


def _token_map() -> pl.DataFrame:
    rng = np.random.default_rng(1)
    places = rng.normal(size=(5000, 2)) * 30
    rows = [(f"t{n}", x, y, "") for n, (x, y) in enumerate(places)]
    families = {
        "comparison": ["-eq", "-ne", "-gt"],
        "execution policy": ["allsigned", "remotesigned", "bypass", "unrestricted"],
        "alias: iex": ["iex", "invoke-expression"],
        "alias: iwr": ["iwr", "invoke-webrequest"],
        "alias: gci": ["gci", "get-childitem"],
    }
    for n, (family, tokens) in enumerate(families.items()):
        centre = rng.normal(size=2) * 40 + n
        rows += [(t, *(centre + rng.normal(size=2) * 2), family) for t in tokens]
    return pl.DataFrame(rows, schema=["token", "x", "y", "family"], orient="row")


STYLES = ["bypass", "normal", "minimized", "hidden"]


def _groups() -> pl.DataFrame:
    tokens = {"loop variables": ["$i", "$j", "$k", "$true"], "window styles": STYLES}
    rng = np.random.default_rng(2)
    rows = [(t, *rng.normal(size=3), g) for g, names in tokens.items() for t in names]
    return pl.DataFrame(rows, schema=["token", "x", "y", "z", "group"], orient="row")


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
    rows = [(p, s, e, 0.6 / e + s / 50, 0.7 / e + s / 40) for p, s, e in runs]
    return pl.DataFrame(rows, schema=["protocol", "seed", "epoch", "loss", "val_loss"], orient="row")


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
        for m in ("bag_of_words", "cnn_lstm_tuned_windows")
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
    table = pl.DataFrame({"token": tokens, "x": range(8), "y": range(8), "family": ["f"] * 8})
    figures.save(workspace, "01_token_map", table)
    assert figures._read(workspace.figures / "01_token_map.csv")["token"].to_list() == tokens


def test_a_wrong_table_is_refused_by_name(workspace: Workspace):
    with pytest.raises(CorpusError, match="val_loss"):
        figures.save(workspace, "07_training", _training().drop("val_loss"))
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


def _boxes(figure) -> list:
    FigureCanvasAgg(figure).draw()
    return [text.get_window_extent() for text in figure.texts]


def _crowd() -> pl.DataFrame:
    """Twelve tokens of three families in one small place, in a wide cloud."""
    places = np.random.default_rng(7).normal(size=(12, 2))
    cloud = [
        (f"t{n}", x, y, "") for n, (x, y) in enumerate(np.random.default_rng(8).normal(size=(900, 2)) * 30)
    ]
    lit = [(f"set-item{n}", *place, f"family {n % 3}") for n, place in enumerate(places)]
    return pl.DataFrame(cloud + lit, schema=["token", "x", "y", "family"], orient="row")


@pytest.mark.parametrize(
    ("slug", "table"),
    [("01_token_map", _token_map), ("01_token_map", _crowd), ("02_token_groups", _groups)],
    ids=["map", "crowd", "groups"],
)
def test_labels_are_written_once_and_cover_no_other(slug: str, table: Callable[[], pl.DataFrame]):
    figure = figures.FIGURES[slug].draw(table())
    lit = table().filter(pl.col("family") != "") if slug == "01_token_map" else table()
    assert [text.get_text() for text in figure.texts] == lit["token"].to_list()
    boxes = _boxes(figure)
    assert not [(a, b) for n, a in enumerate(boxes) for b in boxes[:n] if a.overlaps(b)]
    page = figure.bbox
    assert all(b.x0 >= page.x0 and b.x1 <= page.x1 and b.y0 >= page.y0 and b.y1 <= page.y1 for b in boxes)


def test_a_label_covers_no_point_of_a_family():
    table = _token_map()
    figure = figures.draw_token_map(table)
    boxes = _boxes(figure)
    lit = table.filter(pl.col("family") != "").select("x", "y").to_numpy()
    points = figure.axes[0].transData.transform(lit)
    assert not [point for point in points for box in boxes if box.contains(*point)]


def test_a_map_without_families_is_a_cloud():
    figure = figures.draw_token_map(_token_map().filter(pl.col("family") == ""))
    assert not figure.texts and not figure.legends


@pytest.mark.parametrize("marked", [True, False])
def test_the_odd_one_out_is_bold_and_it_alone(marked: bool):
    places = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 9, 1]]
    table = pl.DataFrame(places, schema=["x", "y", "z"], orient="row").with_columns(
        token=pl.Series(["$i", "$j", "$k", "$true"]), group=pl.lit("variables")
    )
    if marked:
        table = table.with_columns(odd=pl.col("token") == "$j")
    texts = figures.draw_token_groups(table).texts
    assert [t.get_text() for t in texts if t.get_weight() == "bold"] == ["$j" if marked else "$true"]
