"""Equal after normalising, and the study's four stages."""

import hashlib

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.datasets import duplicates
from psembed.runtime.errors import CorpusError


def test_normalise_keeps_what_distinguishes_scripts():
    texts = pl.Series(["\ufeffGet-Item\r\n  $A1 # é", "get-item\t$a2#é", "Get-Item $b1", "", "\u00a0\n"])
    assert duplicates.normalise(texts).to_list() == ["get-item$a*#é", "get-item$a*#é", "get-item$b*", "", ""]


@given(st.lists(st.text(), max_size=5))
def test_normalise_is_idempotent_and_blind_to_layout(texts):
    once = duplicates.normalise(pl.Series(texts, dtype=pl.String))
    assert duplicates.normalise(once).to_list() == once.to_list()
    spread = pl.Series([" \n".join(text) for text in once], dtype=pl.String)
    assert duplicates.normalise(spread).to_list() == once.to_list()


def test_digest_is_sha256_of_utf8():
    digests = duplicates.digest(pl.Series(["é", "", None]))
    assert digests.to_list() == [
        hashlib.sha256("é".encode()).hexdigest(),
        hashlib.sha256(b"").hexdigest(),
        None,
    ]


def test_four_stages_known_answer():
    texts = pl.Series(
        [
            "Get-Item $path; x1 = 22",  # get-item, $path
            "$PATH (GET-ITEM) rare-word",  # the same set: order, case and rare tokens do not count
            "get-item $path4",  # get-item alone: $path* is found once
            "ab 1 é",  # nothing left
            "",
        ]
    )
    counts = duplicates.four_stages(texts, instances=2)
    assert counts == {
        "scripts": 5,
        "tokens": 4,
        "frequent_tokens": 2,
        "clusters": 3,
        "largest": 2,
        "instances": 2,
    }


def test_four_stages_in_batches_equals_one_batch(monkeypatch):
    words = np.random.default_rng(3).choice([f"word{n}" for n in range(500)], (80, 120))
    texts = pl.Series([" ".join(row) for row in words])
    whole = duplicates.four_stages(texts, instances=5)
    monkeypatch.setattr(duplicates, "_BATCH", 7)
    assert duplicates.four_stages(texts, instances=5) == whole


def test_four_stages_without_a_frequent_token_is_one_cluster():
    assert duplicates.four_stages(pl.Series(["one", "two"]), instances=2)["clusters"] == 1


def test_an_empty_corpus_has_no_stages():
    with pytest.raises(CorpusError, match="empty"):
        duplicates.four_stages(pl.Series([], dtype=pl.String))
