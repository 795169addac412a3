"""Streamed near-duplicates: the same clusters as in memory, whatever the batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_dedup import WORDS, exact_clusters, lists, same_partition, templates

from psembed.datasets import clusters, dedup
from psembed.runtime.errors import CorpusError, ParameterError


def batches(rows, size):
    return (lists(rows[start : start + size]) for start in range(0, len(rows), size))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_clusters_equal_those_in_memory(tmp_path, size):
    rows = [*templates(4, changed=0.2), ["a"], ["b"], [], ["a"], [], ["a", "b"], *templates(5, copies=40)]
    labels, stats = clusters.near_duplicates(batches(rows, size), tmp_path)
    expected, known = dedup.near_duplicates(lists(rows))
    assert labels.tolist() == expected.tolist() and labels.dtype == np.int64
    assert same_partition(labels.tolist(), exact_clusters(rows, 0.8).tolist())
    same = ("scripts", "distinct_sets", "shingles", "links", "clusters", "largest")
    assert {name: stats[name] for name in same} == {name: known[name] for name in same}
    assert stats["links"] <= stats["verified"] and not list(tmp_path.iterdir())


@pytest.mark.parametrize("threshold", [18 / 22, 0.83, 1])
def test_links_at_the_threshold_count_and_below_do_not(tmp_path, threshold):
    shared = WORDS[:20]  # 18 shingles; one more token at the end adds one
    rows = [shared, [*shared, "x", "y", "z", "w"], [*shared, "p", "q", "r", "s", "t"], shared]
    labels, _ = clusters.near_duplicates(batches(rows, 2), tmp_path, threshold=threshold)
    assert labels.tolist() == ([0, 0, 1, 0] if threshold == 18 / 22 else [0, 1, 2, 0])


def test_a_chain_is_followed_to_its_end(tmp_path):
    words = np.random.default_rng(0).choice(WORDS, 300).tolist()
    chain = [[*words[: 300 - 5 * step], *WORDS[: 5 * step]] for step in range(50)]
    order = np.random.default_rng(1).permutation(50)
    labels, stats = clusters.near_duplicates(batches([chain[index] for index in order], 9), tmp_path)
    assert stats["clusters"] == 1 and stats["links"] == 49 and not labels.any()


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=40),
    st.lists(st.integers(0, 4), min_size=40, max_size=40),
)
def test_every_pair_of_a_bucket_comes_once_unless_it_has_one_label(rows, labels):
    band, labels = np.array(rows, dtype=np.uint32), np.array(labels[: len(rows)])
    found = [
        tuple(sorted(pair)) for pairs in clusters._pairs(band, labels) for pair in zip(*pairs, strict=True)
    ]
    expected = {
        (i, j) for j in range(len(rows)) for i in range(j) if rows[i] == rows[j] and labels[i] != labels[j]
    }
    assert set(found) == expected and len(found) == len(expected)


def test_a_template_with_many_copies_is_compared_in_linear_number(tmp_path):
    rows = templates(2, kinds=1, copies=300, length=300, changed=0.03)
    labels, stats = clusters.near_duplicates(batches(rows, 50), tmp_path)
    assert not labels.any() and stats["verified"] < 2000


def test_a_stream_of_bad_bands_or_of_nothing_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="200 bands of 128"):
        clusters.near_duplicates([lists([["a"]])], tmp_path, bands=200)
    with pytest.raises(ParameterError, match="similarity above 0"):
        clusters.near_duplicates([lists([["a"]])], tmp_path, threshold=1.1)
    for nothing in ([], [lists([])]):
        with pytest.raises(CorpusError, match="empty"):
            clusters.near_duplicates(nothing, tmp_path)
