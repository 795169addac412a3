"""Score rows with known answers."""

import numpy as np
import polars as pl

CLEAN, MALICIOUS = 100, 20  # of each fold, and of both together


def rows(
    *, protocol: str = "p1", model: str = "cnn_lstm", seed: int = 1, lift: float = 0.5, share: float = 1.0
) -> pl.DataFrame:
    """Score 100 clean test scripts of each of two folds evenly in (0, 1), and 20 malicious from `lift` up."""
    scores = np.r_[np.tile(np.arange(CLEAN) / CLEAN, 2), np.minimum(lift + np.arange(MALICIOUS) / 40, 1)]
    count, labels = len(scores), np.repeat([0, 1], [2 * CLEAN, MALICIOUS])
    place = np.arange(count)
    folds = np.where(labels == 1, place % 2, place // CLEAN)
    return pl.DataFrame({
        "protocol": protocol, "model": model, "seed": seed, "share": share, "part": "test",
        "sha256": [f"{'nm'[label]}{n:03}" for n, label in zip(place, labels, strict=True)],
        "source": "a", "stratum": np.where(labels == 1, "mpsd", "human"), "label": labels.astype(np.int8),
        "cluster": place, "group": place, "fold": folds, "characters": 10 + place,
        "score": scores.astype(np.float32),
    })  # fmt: skip


def as_part(table: pl.DataFrame, part: str, **values: object) -> pl.DataFrame:
    """Return rows as those of another part, with these values in all of them."""
    changed = {name: pl.lit(value).cast(table.schema[name]) for name, value in values.items()}
    return table.with_columns(part=pl.lit(part), **changed)
