import hashlib
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from psembed.datasets import dedup
from psembed.runtime.errors import CorpusError, ParameterError

WORDS = [f"word{number}" for number in range(500)]


def lists(rows):
    return pl.Series("tokens", rows, dtype=pl.List(pl.String))


def templates(seed, *, kinds=20, copies=8, length=120, changed=0.1):
    """Random scripts, each with copies in which up to a share `changed` of the tokens is replaced."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(kinds):
        base = generator.choice(WORDS, length)
        for _ in range(copies):
            row = base.copy()
            places = generator.choice(length, generator.integers(0, int(length * changed)), replace=False)
            row[places] = generator.choice(WORDS, len(places))
            rows.append(row.tolist())
    return [rows[index] for index in generator.permutation(len(rows))]


def exact_clusters(rows, threshold):
    """Compare every pair: connected components of Jaccard similarity of token 3-shingles."""
    sets = [{tuple(row[i : i + 3]) for i in range(len(row) - 2)} or {("short", *row)} for row in rows]
    links = [
        (i, j)
        for i in range(len(rows))
        for j in range(i)
        if len(sets[i] & sets[j]) >= threshold * len(sets[i] | sets[j])
    ]
    left, right = zip(*links, strict=True) if links else ((), ())
    graph = coo_array((np.ones(len(links)), (left, right)), shape=(len(rows), len(rows)))
    return connected_components(graph, directed=False)[1]


def same_partition(one, other):
    return len(set(zip(one, other, strict=True))) == len(set(one)) == len(set(other))


def test_normalise_keeps_what_distinguishes_scripts():
    texts = pl.Series(["\ufeffGet-Item\r\n  $A1 # é", "get-item\t$a2#é", "Get-Item $b1", "", "\u00a0\n"])
    assert dedup.normalise(texts).to_list() == ["get-item$a*#é", "get-item$a*#é", "get-item$b*", "", ""]


@given(st.lists(st.text(), max_size=5))
def test_normalise_is_idempotent_and_blind_to_layout(texts):
    once = dedup.normalise(pl.Series(texts, dtype=pl.String))
    assert dedup.normalise(once).to_list() == once.to_list()
    spread = pl.Series([" \n".join(text) for text in once], dtype=pl.String)
    assert dedup.normalise(spread).to_list() == once.to_list()


def test_digest_is_sha256_of_utf8():
    found = dedup.digest(pl.Series(["é", "", None]))
    assert found.to_list() == [
        hashlib.sha256("é".encode()).hexdigest(),
        hashlib.sha256(b"").hexdigest(),
        None,
    ]


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=7), max_size=8), st.integers(1, 4))
def test_shingle_hashes_are_equal_exactly_where_runs_are(rows, size):
    hashes, bounds = dedup.shingle_hashes(lists(rows), size)
    runs = [tuple(row[i : i + size]) for row in rows for i in range(len(row) - size + 1)]
    counts = [max(len(row) - size + 1, 0) for row in rows]
    assert bounds.tolist() == [0, *np.cumsum(counts).tolist()]
    assert hashes.dtype == np.uint64
    assert len(runs) == len(hashes)
    assert len(set(zip(runs, hashes.tolist(), strict=True))) == len(set(runs)) == len(set(hashes.tolist()))


def test_shingle_hashes_do_not_depend_on_the_process():
    code = (
        "import polars as pl; from psembed.datasets import dedup; "
        "print(dedup.shingle_hashes(pl.Series([['iex', '$a', '|', 'iex']]), 3)[0].tolist())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    here, _ = dedup.shingle_hashes(lists([["iex", "$a", "|", "iex"]]), 3)
    assert run.stdout == f"{here.tolist()}\n"


@pytest.mark.parametrize("seed", range(2))
def test_clusters_equal_those_of_comparing_every_pair(seed):
    rows = templates(seed)
    labels, stats = dedup.near_duplicates(lists(rows))
    assert same_partition(labels.tolist(), exact_clusters(rows, 0.8).tolist())
    assert stats["scripts"] == len(rows)
    assert stats["clusters"] == len(set(labels.tolist()))
    assert stats["largest"] == np.bincount(labels).max()
    assert stats["links"] <= stats["verified"] <= stats["candidates"]


def test_links_at_the_threshold_count_and_below_do_not():
    shared = WORDS[:20]  # 18 shingles; one more token at the end adds one
    rows = [shared, [*shared, "x", "y", "z", "w"], [*shared, "p", "q", "r", "s", "t"]]
    labels, _ = dedup.near_duplicates(lists(rows), threshold=18 / 22)
    assert labels.tolist() == [0, 0, 1]


def test_labels_are_numbered_in_order_of_first_appearance():
    rows = [WORDS[:9], WORDS[10:19], WORDS[:9], WORDS[20:29], WORDS[10:19]]
    labels, stats = dedup.near_duplicates(lists(rows))
    assert labels.tolist() == [0, 1, 0, 2, 1]
    assert labels.dtype == np.int64
    assert stats["distinct_sets"] == 3


def test_short_scripts_match_only_their_own_tokens():
    rows = [["a"], ["b"], ["a"], ["a", "a"], ["a", "b"], ["b", "a"], [], ["a", "b"], [], ["a", "b", "c"]]
    labels, _ = dedup.near_duplicates(lists(rows))
    assert labels.tolist() == [0, 1, 0, 2, 3, 4, 5, 3, 5, 6]


def test_null_counts_as_no_tokens():
    labels, _ = dedup.near_duplicates(lists([None, [], ["a", "b", "c"], None]))
    assert labels.tolist() == [0, 0, 1, 0]


def test_order_of_scripts_does_not_change_the_clusters():
    rows = templates(7, kinds=15)
    order = np.random.default_rng(1).permutation(len(rows))
    labels, _ = dedup.near_duplicates(lists(rows))
    shuffled, _ = dedup.near_duplicates(lists([rows[index] for index in order]))
    assert same_partition(labels[order].tolist(), shuffled.tolist())


def test_a_template_with_many_copies_is_compared_in_linear_number():
    rows = templates(2, kinds=1, copies=300, length=300, changed=0.03)
    labels, stats = dedup.near_duplicates(lists(rows))
    assert set(labels.tolist()) == {0}
    assert stats["candidates"] > 30_000
    assert stats["verified"] < 2000


def test_a_long_script_is_hashed_in_slices():
    words = np.random.default_rng(0).choice(WORDS, 40_000).tolist()
    labels, stats = dedup.near_duplicates(lists([words, [*words[:-100], *WORDS[:100]], words[:20_000]]))
    assert labels.tolist() == [0, 0, 1]
    assert stats["shingles"] > 90_000


@pytest.mark.parametrize("threshold", [0, 1.1, -1, float("nan")])
def test_bad_threshold_is_refused(threshold):
    with pytest.raises(ParameterError, match="similarity above 0"):
        dedup.near_duplicates(lists([["a"]]), threshold=threshold)


def test_bad_bands_and_an_empty_corpus_are_refused():
    with pytest.raises(ParameterError, match="200 bands of 128"):
        dedup.near_duplicates(lists([["a"]]), bands=200)
    with pytest.raises(CorpusError, match="empty"):
        dedup.near_duplicates(lists([]))
    with pytest.raises(CorpusError, match="empty"):
        dedup.four_stages(pl.Series([], dtype=pl.String))


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
    found = dedup.four_stages(texts, instances=2)
    assert found == {
        "scripts": 5,
        "tokens": 4,
        "frequent_tokens": 2,
        "clusters": 3,
        "largest": 2,
        "instances": 2,
    }


def test_four_stages_in_batches_equals_one_batch(monkeypatch):
    texts = pl.Series([" ".join(row) for row in templates(3, kinds=10)])
    whole = dedup.four_stages(texts, instances=5)
    monkeypatch.setattr(dedup, "_BATCH", 7)
    assert dedup.four_stages(texts, instances=5) == whole


def test_four_stages_without_a_frequent_token_is_one_cluster():
    assert dedup.four_stages(pl.Series(["one", "two"]), instances=2)["clusters"] == 1
