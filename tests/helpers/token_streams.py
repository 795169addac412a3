"""Streams of tokens written by hand, for tests."""

import numpy as np
import polars as pl

from psembed.embedding import stream


def streamed(folder, rows, sources=None):
    """Write scripts, given as lists of tokens, as a stream; they are of one repository unless told."""
    number = {token: n for n, token in enumerate(dict.fromkeys(token for row in rows for token in row))}
    ids = [np.array([number[token] for token in row], dtype=np.int32) for row in rows]
    schema = {"source": pl.String, "tokens": pl.Int64}
    scripts = {"source": sources or ["one"] * len(rows), "tokens": [len(row) for row in rows]}
    return stream.store(
        folder, ids, pl.DataFrame(scripts, schema=schema), pl.Series(list(number), dtype=pl.String)
    )
