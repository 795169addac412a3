"""Score rows with known answers."""

import numpy as np
import polars as pl


def rows(*, model: str = "cnn_lstm", seed: int = 1, shift: float = 0.0, lift: float = 0.5) -> pl.DataFrame:
    """Score 100 negatives evenly in (0, 1) and 20 positives from 0.5 up, in both parts."""
    tables = []
    for part in ("validation", "test"):
        labels = np.r_[np.zeros(100, int), np.ones(20, int)]
        scores = np.r_[np.arange(100) / 100 + shift * (part == "test"), lift + np.arange(20) / 40]
        tables.append(pl.DataFrame({
            "protocol": "p1", "model": model, "seed": seed, "part": part, "score": scores, "label": labels,
            "sha256": [f"{part}{n}" for n in range(120)], "cluster": np.arange(120), "stratum": "s",
        }))  # fmt: skip
    return pl.concat(tables).with_columns(pl.col("score").cast(pl.Float32), pl.col("label").cast(pl.Int8))
