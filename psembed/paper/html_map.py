"""The token space as one HTML file: a map to search, zoom and ask for neighbours, without a network.

Figure 1 shows the same layout in print; here tokens that are not drawn are found, too. A token is untrusted
text: it is defanged, stands in the page as JSON that no token can end, and is shown as text only. The page's
policy lets its own script run and nothing load.
"""

import base64
import hashlib
import json
import re
from itertools import cycle
from pathlib import Path

import numpy as np
import polars as pl

from psembed.embedding.similarity import unit_rows
from psembed.embedding.token_vectors import Vectors, counts, index, label, other_senses
from psembed.paper.diagrams import MARKERS, PALETTE, distinct
from psembed.powershell.defanging import defang
from psembed.runtime.errors import CorpusError, ParameterError
from psembed.runtime.files import atomic

PAGE = Path(__file__).with_suffix(".html")
COLUMNS = ("token", "x", "y", "family")
EXTENT = 5000  # the farther axis of the page's layout reaches from -EXTENT to EXTENT
DECIMALS = 6  # of a cosine that count when neighbours are compared
AWAY = 3  # drawn tokens that are named for one that is not drawn
ROWS = 256  # tokens compared with all others at once: 61 MB for 60,000
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; script-src {script}; style-src {style}"


def interactive(layout: pl.DataFrame, vectors: Vectors, path: Path, *, neighbours: int = 5) -> None:
    """Write the map of `layout` as one HTML file that needs nothing else; the same input, the same bytes.

    `layout` has the columns token, x, y and family ("" for the rest), as `similarity.layout_2d` returns it. A
    token in it shows its `neighbours` nearest of all `vectors`, any other token the AWAY nearest drawn ones.
    Raises CorpusError for a bad layout, UnknownTokenError, and ParameterError if `neighbours` is below 1.
    """
    _check(layout, neighbours)
    page = PAGE.read_text(encoding="utf-8")
    content = json.dumps(_content(layout, vectors, neighbours), separators=(",", ":")).replace("<", "\\u003c")
    with atomic(Path(path)) as temporary:
        filled = page.replace("{policy}", _policy(page), 1).replace("{data}", content, 1)
        temporary.write_bytes(filled.encode())


def _check(layout: pl.DataFrame, neighbours: int) -> None:
    if neighbours < 1:
        raise ParameterError(f"neighbours is {neighbours}: give 1 or more")
    if missing := [name for name in COLUMNS if name not in layout.columns]:
        raise CorpusError(f"the layout lacks {', '.join(missing)}; give what similarity.layout_2d returns")
    if layout.is_empty():
        raise CorpusError("the layout has no token: give what similarity.layout_2d returns")
    if (twice := layout.filter(pl.col("token").is_duplicated())["token"]).len():
        raise CorpusError(f"the layout has {twice[0]!r} twice; give what similarity.layout_2d returns")
    if not np.isfinite(layout.select("x", "y").cast(pl.Float64).to_numpy()).all():
        raise CorpusError("the layout has places that are not finite numbers; lay the tokens out again")


def _policy(page: str) -> str:
    """Return the content security policy: only this very script and this very style."""
    allowed = {}
    for name in ("script", "style"):
        block = re.search(rf"(?s)<{name}>(.*?)</{name}>", page)[1]
        allowed[name] = f"'sha256-{base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()}'"
    return POLICY.format_map(allowed)


def _content(layout: pl.DataFrame, vectors: Vectors, neighbours: int) -> dict:
    """Return the page's data. Lists go by token: those of the layout, then all others, which have no place.

    `near` has the nearest of all tokens to those of the layout, to others the nearest drawn ones.
    """
    rows = np.array([index(vectors, token) for token in layout["token"]])
    order = np.concatenate([rows, np.setdiff1d(np.arange(len(vectors.index_to_key)), rows)])
    unit, senses = unit_rows(vectors)[order], np.argsort(order)[other_senses(vectors)[order]]
    near = _nearest(unit, senses, range(len(rows)), len(order), neighbours)
    near += _nearest(unit, senses, range(len(rows), len(order)), len(rows), AWAY)
    families = distinct(layout.filter(pl.col("family") != ""), "family")
    x, y = _places(layout).T.tolist()
    tokens = [vectors.index_to_key[row] for row in order]
    looks = zip(families, cycle(PALETTE), cycle(MARKERS), strict=False)
    return {
        "names": [defang(label(vectors, token)) or "(unprintable)" for token in tokens],
        "count": counts(vectors)[order].tolist(),
        "x": x,
        "y": y,
        "families": [
            {"name": defang(name), "colour": colour, "marker": marker} for name, colour, marker in looks
        ],
        "family": [families.index(name) if name in families else -1 for name in layout["family"]],
        "near": [[other for other, _ in line] for line in near],
        "cosine": [[round(1000 * cosine) for _, cosine in line] for line in near],
    }


def _nearest(unit: np.ndarray, senses: np.ndarray, rows: range, among: int, n: int) -> list[list[tuple]]:
    """Return for each of `rows` its `n` nearest among the first `among` rows and their cosines.

    Cosines are rounded before they are compared, so that the order is the same on every machine.
    """
    nearest = []
    for start in range(rows.start, rows.stop, ROWS):
        part = np.arange(start, min(start + ROWS, rows.stop))
        cosines = np.round(unit[part] @ unit[:among].T, DECIMALS)
        for same in (part, senses[part]):
            cosines[same < among, same[same < among]] = -np.inf
        nearest += [_top(line, n) for line in cosines]
    return nearest


def _top(cosines: np.ndarray, n: int) -> list[tuple[int, float]]:
    least = np.partition(cosines, -n)[-n] if n < len(cosines) else -np.inf
    near = np.flatnonzero((cosines >= least) & np.isfinite(cosines))
    order = near[np.argsort(-cosines[near], kind="stable")][:n]
    return [(int(row), float(cosines[row])) for row in order]


def _places(layout: pl.DataFrame) -> np.ndarray:
    """Return the places as whole numbers, int64 of shape (n, 2), centred."""
    points = layout.select("x", "y").cast(pl.Float64).to_numpy()
    low, high = points.min(axis=0), points.max(axis=0)
    half = max((high - low).max() / 2, np.finfo(np.float32).tiny)
    return np.rint(EXTENT * (points - (low + high) / 2) / half).astype(np.int64)
