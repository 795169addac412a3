"""The second reading of labels: what is kept of it, and what is counted."""

import polars as pl
import pytest

from psembed.datasets import reread


def test_every_row_has_a_hash_a_class_and_a_reading_once():
    read = reread.readings()
    assert read["sha256"].n_unique() == read.height and read["sha256"].str.len_chars().unique().to_list() == [
        64
    ]
    assert set(read["reading"]) == set(reread.READINGS) and set(read["label"]) == {0, 1}
    assert read["reason"].str.contains(r"^[a-z0-9-]+$").all()  # a word, no text of a script


def test_wrong_is_what_was_read_as_the_other_class():
    read = pl.DataFrame({
        "source": ["a"] * 4 + ["b"] * 2,
        "label": [1, 1, 1, 1, 0, 0],
        "reading": ["malicious", "clean", "unclear", "malicious", "malicious", "clean"],
    })  # fmt: skip
    clean, malicious = reread.by_source(read).rows(named=True)
    assert (clean["source"], clean["n"], clean["wrong"], clean["unclear"]) == ("b", 2, 0.5, 0)
    assert (malicious["n"], malicious["wrong"], malicious["unclear"]) == (4, 0.25, 0.25)
    assert malicious["low"] == pytest.approx(0.0063, abs=1e-3) and malicious["high"] == pytest.approx(
        0.806, abs=1e-3
    )
