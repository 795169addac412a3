"""A corpus on a Dask cluster: tokenised, and searched for near-duplicates, with the results of one process.

The scripts go out in batches, what is made of them comes back in their order (workers.on_dask). Pairs of
near-duplicates are joined here, as that needs all MinHashes at once: 512 bytes a distinct script.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from psembed import clusters, tokens, workers
from psembed.tokens import Vocabulary

if TYPE_CHECKING:
    from distributed import Client


def ids(client: "Client", texts: Iterable[str], vocabulary: Vocabulary) -> Iterator[np.ndarray]:
    """Yield the token ids (int32) of each text, as `tokens.ids` gives them."""
    return workers.on_dask(client, _ids, workers.chunks(texts), vocabulary)


def near_duplicates(
    client: "Client", texts: Iterable[str], folder: Path, **settings
) -> tuple[np.ndarray, dict[str, int]]:
    """Cluster clean texts as `clusters.near_duplicates` does their tokens, with its settings and results."""
    sketches = workers.on_dask(client, _sketches, workers.chunks(texts))
    return clusters.linked(sketches, folder, **settings)


def _ids(texts: list[str], vocabulary: Vocabulary) -> list[np.ndarray]:
    found, lengths = tokens.ids(texts, vocabulary)
    return np.split(found, np.cumsum(lengths)[:-1])


def _sketches(texts: list[str]) -> list[clusters.Sketch]:
    return clusters.sketched(tokens.tokenise_series(pl.Series(texts, dtype=pl.String)))
