"""The training scripts a script is most like in the eyes of the network: near in its last hidden layer.

Kept by hash and source, without text: a verdict can be traced to what was learned from, not to what it said.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from psembed.runtime.errors import ModelError
from psembed.runtime.files import atomic

SHOWN, SMALLEST = 3, 1e-6
COLUMNS = {"sha256": pl.String, "source": pl.String, "label": pl.Int8, "scripts": pl.Int32}


class Neighbour(NamedTuple):
    """A near-duplicate cluster of training scripts, named by one of them.

    `label` is 1 for malicious; `scripts` is how many it holds, `similarity` (-1..1) the cosine of the angle
    between the features of the two, each measured from its mean over all clusters in standard deviations.
    """

    sha256: str
    source: str
    label: int
    scripts: int
    similarity: float


class Neighbours:
    """Training clusters, a row of COLUMNS each, and their features (float32[n, d]); `read` reads them."""

    def __init__(self, clusters: pl.DataFrame, features: np.ndarray):
        self._clusters, self._mean = clusters, features.mean(axis=0)
        self._scale = np.maximum(features.std(axis=0), SMALLEST)
        self._directions = self._directed(features)

    def nearest(self, features: np.ndarray, *, count: int = SHOWN) -> list[Neighbour]:
        """Return the `count` clusters whose features point most nearly where `features` (float32[d]) do."""
        similar = self._directions @ self._directed(features[None])[0]
        order = np.argsort(-similar, kind="stable")[:count]
        nearest = self._clusters[order].with_columns(similarity=pl.Series(similar[order]))
        return [Neighbour(**row) for row in nearest.iter_rows(named=True)]

    def _directed(self, features: np.ndarray) -> np.ndarray:
        """Return unit vectors, or zeros, from the mean of all."""
        away = (features - self._mean) / self._scale
        return away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), SMALLEST)


def write(path: Path, clusters: pl.DataFrame, features: np.ndarray) -> None:
    """Write clusters and their features (float32[n, d]) as Parquet, whole or not at all."""
    table = clusters.select(*COLUMNS).with_columns(features=pl.Series(features.astype(np.float32)))
    with atomic(Path(path)) as temporary:
        table.write_parquet(temporary, compression="zstd")


def read(path: Path) -> Neighbours:
    """Read what `write` wrote. Raises ModelError where it is missing, damaged, or something else."""
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise ModelError(f"{Path(path).name} is no readable Parquet ({error}): copy it again") from error
    features = table.schema.get("features")
    if dict(table.drop("features", strict=False).schema) != COLUMNS or not isinstance(features, pl.Array):
        raise ModelError(f"{Path(path).name} has columns {table.schema}: no neighbours of this version")
    return Neighbours(table.drop("features"), table["features"].to_numpy())
