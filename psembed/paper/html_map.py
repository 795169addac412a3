"""The token space as one HTML file: a map to search, zoom and ask for neighbours, without a network.

Figure 1 shows the same layout in print. A token is untrusted text: it is defanged, stands in the page as JSON
that no token can end, and is shown as text only. The page's policy lets its own script run and nothing load.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import polars as pl

from psembed.embedding.similarity import unit_rows
from psembed.embedding.token_vectors import Vectors, index, other_senses
from psembed.paper.diagrams import MARKERS, PALETTE, distinct
from psembed.powershell.defanging import defang
from psembed.runtime.errors import CorpusError, ParameterError
from psembed.runtime.files import atomic

PAGE = Path(__file__).with_suffix(".html")
COLUMNS = ("token", "x", "y", "family")
EXTENT = 5000  # the farther axis of the page's layout reaches from -EXTENT to EXTENT
DECIMALS = 6  # of a cosine that count when neighbours are compared
ROWS = 256  # tokens compared with all others at once: 61 MB for 60,000
POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; script-src {script}; style-src {style}"


def interactive(layout: pl.DataFrame, vectors: Vectors, path: Path, *, neighbours: int = 5) -> None:
    """Write the map of `layout` as one HTML file that needs nothing else; the same input, the same bytes.

    Parameters
    ----------
    layout : polars.DataFrame
        token, x, y, family ("" for the rest), as `similarity.layout_2d` returns it; else a CorpusError.
    vectors : Vectors
        Of every token of `layout` (UnknownTokenError), with "count"; neighbours are sought among all tokens.
    path : Path
    neighbours : int
        Nearest tokens shown for each one, at least 1 (ParameterError).
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
    """Return the page's data: one entry a token of the layout, and `names`, which begin with those tokens."""
    rows = [index(vectors, token) for token in layout["token"]]
    nearest = _nearest(vectors, np.array(rows), neighbours)
    drawn = {row: number for number, row in enumerate(rows)}
    others = list(dict.fromkeys(row for near in nearest for row, _ in near if row not in drawn))
    number = drawn | {row: len(rows) + extra for extra, row in enumerate(others)}
    families = distinct(layout.filter(pl.col("family") != ""), "family")
    x, y = _places(layout).T.tolist()
    return {
        "names": [defang(vectors.index_to_key[row]) or "(unprintable)" for row in [*rows, *others]],
        "x": x,
        "y": y,
        "count": [int(vectors.get_vecattr(vectors.index_to_key[row], "count")) for row in rows],
        "families": [
            {"name": defang(name), "colour": PALETTE[n % len(PALETTE)], "marker": MARKERS[n % len(MARKERS)]}
            for n, name in enumerate(families)
        ],
        "family": [families.index(name) if name in families else -1 for name in layout["family"]],
        "near": [[number[row] for row, _ in near] for near in nearest],
        "cosine": [[cosine for _, cosine in near] for near in nearest],
        "vocabulary": len(vectors),
    }


def _nearest(vectors: Vectors, rows: np.ndarray, n: int) -> list[list[tuple[int, float]]]:
    """Return for each row its `n` nearest rows and their cosines, as `similarity.nearest` finds them.

    Cosines are rounded to DECIMALS before they are compared: tokens nearer to each other than that are tied,
    and the earlier row comes first on every machine.
    """
    unit, same = unit_rows(vectors), other_senses(vectors)[rows]
    nearest = []
    for start in range(0, len(rows), ROWS):
        part = slice(start, start + ROWS)
        cosines = np.round(unit[rows[part]] @ unit.T, DECIMALS)
        np.put_along_axis(cosines, np.column_stack([rows[part], same[part]]), -np.inf, axis=1)
        nearest += [_top(line, n) for line in cosines]
    return nearest


def _top(cosines: np.ndarray, n: int) -> list[tuple[int, float]]:
    least = np.partition(cosines, -n)[-n] if n < len(cosines) else -np.inf
    near = np.flatnonzero((cosines >= least) & np.isfinite(cosines))
    order = near[np.argsort(-cosines[near], kind="stable")][:n]
    return [(int(row), round(float(cosines[row]), 3)) for row in order]


def _places(layout: pl.DataFrame) -> np.ndarray:
    """Return the places as whole numbers, int64 of shape (n, 2), centred."""
    points = layout.select("x", "y").cast(pl.Float64).to_numpy()
    low, high = points.min(axis=0), points.max(axis=0)
    half = max((high - low).max() / 2, np.finfo(np.float32).tiny)
    return np.rint(EXTENT * (points - (low + high) / 2) / half).astype(np.int64)
