"""Near-duplicates: the clusters of comparing every pair, in any order and whatever the batches."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from psembed.datasets import near_duplicates
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


def clustered(rows, size=1000, **settings):
    batches = (lists(rows[start : start + size]) for start in range(0, len(rows), size))
    return near_duplicates.cluster(batches, **settings)


@pytest.mark.parametrize("seed", range(2))
def test_clusters_equal_those_of_comparing_every_pair(seed):
    rows = templates(seed)
    labels, stats = clustered(rows)
    assert same_partition(labels.tolist(), exact_clusters(rows, 0.8).tolist())
    assert stats["scripts"] == len(rows)
    assert stats["clusters"] == len(set(labels.tolist()))
    assert stats["largest"] == np.bincount(labels).max()
    assert stats["links"] <= stats["verified"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_clusters_do_not_depend_on_the_batches(tmp_path, monkeypatch, size):
    rows = [*templates(4, changed=0.2), ["a"], ["b"], [], ["a"], [], ["a", "b"], *templates(5, copies=40)]
    monkeypatch.setattr(near_duplicates, "_SCRIPTS", 50)
    labels, stats = clustered(rows, size, folder=tmp_path)
    assert same_partition(labels.tolist(), exact_clusters(rows, 0.8).tolist()) and labels.dtype == np.int64
    whole, counts = clustered(rows)
    assert labels.tolist() == whole.tolist() and stats == counts
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("threshold", [18 / 22, 0.83, 1])
def test_links_at_the_threshold_count_and_below_do_not(threshold):
    shared = WORDS[:20]  # 18 shingles; one more token at the end adds one
    rows = [shared, [*shared, "x", "y", "z", "w"], [*shared, "p", "q", "r", "s", "t"], shared]
    labels, _ = clustered(rows, 2, threshold=threshold)
    assert labels.tolist() == ([0, 0, 1, 0] if threshold == 18 / 22 else [0, 1, 2, 0])


def test_labels_are_numbered_in_order_of_first_appearance():
    rows = [WORDS[:9], WORDS[10:19], WORDS[:9], WORDS[20:29], WORDS[10:19]]
    labels, stats = clustered(rows)
    assert labels.tolist() == [0, 1, 0, 2, 1]
    assert labels.dtype == np.int64
    assert stats["distinct_sets"] == 3


def test_short_scripts_match_only_their_own_tokens():
    rows = [["a"], ["b"], ["a"], ["a", "a"], ["a", "b"], ["b", "a"], [], ["a", "b"], [], ["a", "b", "c"]]
    labels, _ = clustered(rows)
    assert labels.tolist() == [0, 1, 0, 2, 3, 4, 5, 3, 5, 6]


def test_null_counts_as_no_tokens():
    labels, _ = clustered([None, [], ["a", "b", "c"], None])
    assert labels.tolist() == [0, 0, 1, 0]


def test_order_of_scripts_does_not_change_the_clusters():
    rows = templates(7, kinds=15)
    order = np.random.default_rng(1).permutation(len(rows))
    labels, _ = clustered(rows)
    shuffled, _ = clustered([rows[index] for index in order])
    assert same_partition(labels[order].tolist(), shuffled.tolist())


def test_a_chain_is_followed_to_its_end():
    words = np.random.default_rng(0).choice(WORDS, 300).tolist()
    chain = [[*words[: 300 - 5 * step], *WORDS[: 5 * step]] for step in range(50)]
    order = np.random.default_rng(1).permutation(50)
    labels, stats = clustered([chain[index] for index in order], 9)
    assert stats["clusters"] == 1 and stats["links"] == 49 and not labels.any()


def test_a_template_with_many_copies_is_compared_in_linear_number():
    rows = templates(2, kinds=1, copies=300, length=300, changed=0.03)
    labels, stats = clustered(rows, 50)
    assert not labels.any() and stats["verified"] < 2000


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=40),
    st.lists(st.integers(0, 4), min_size=40, max_size=40),
)
def test_every_pair_of_a_bucket_comes_once_unless_it_has_one_label(rows, labels):
    band, labels = np.array(rows, dtype=np.uint32), np.array(labels[: len(rows)])
    given = near_duplicates._bucket_pairs(band, labels)
    proposed = [tuple(sorted(pair)) for pairs in given for pair in pairs.T.tolist()]
    expected = {
        (i, j) for j in range(len(rows)) for i in range(j) if rows[i] == rows[j] and labels[i] != labels[j]
    }
    assert set(proposed) == expected and len(proposed) == len(expected)


def test_a_long_script_is_hashed_in_slices():
    words = np.random.default_rng(0).choice(WORDS, 40_000).tolist()
    labels, stats = clustered([words, [*words[:-100], *WORDS[:100]], words[:20_000]])
    assert labels.tolist() == [0, 0, 1]
    assert stats["shingles"] > 90_000


@pytest.mark.parametrize("threshold", [0, 1.1, -1, float("nan")])
def test_bad_threshold_is_refused(threshold):
    with pytest.raises(ParameterError, match="similarity above 0"):
        clustered([["a"]], threshold=threshold)


@pytest.mark.parametrize("nothing", [[], [lists([])]])
def test_an_empty_corpus_is_refused(nothing):
    with pytest.raises(CorpusError, match="empty"):
        near_duplicates.cluster(nothing)
