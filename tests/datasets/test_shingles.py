"""Shingles: equal where the runs of tokens are, in every process."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from psembed.datasets import shingles


def lists(rows):
    return pl.Series("tokens", rows, dtype=pl.List(pl.String))


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=7), max_size=8), st.integers(1, 4))
def test_shingle_hashes_are_equal_exactly_where_runs_are(rows, size):
    hashes, bounds = shingles.shingle_hashes(lists(rows), size)
    runs = [tuple(row[i : i + size]) for row in rows for i in range(len(row) - size + 1)]
    counts = [max(len(row) - size + 1, 0) for row in rows]
    assert bounds.tolist() == [0, *np.cumsum(counts).tolist()]
    assert hashes.dtype == np.uint64
    assert len(runs) == len(hashes)
    assert len(set(zip(runs, hashes.tolist(), strict=True))) == len(set(runs)) == len(set(hashes.tolist()))


def test_shingle_hashes_do_not_depend_on_the_process():
    code = (
        "import polars as pl; from psembed.datasets import shingles; "
        "print(shingles.shingle_hashes(pl.Series([['iex', '$a', '|', 'iex']]), 3)[0].tolist())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    here, _ = shingles.shingle_hashes(lists([["iex", "$a", "|", "iex"]]), 3)
    assert run.stdout == f"{here.tolist()}\n"
