"""Vectors of a fold read nothing that is near what the fold tests, and are trained once.

In the stream each text holds a word of its own, so the words that have a vector say which texts were read.
"""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.embedding import ablation, fold_vectors, stream, token_vectors, word2vec
from psembed.embedding.token_vectors import TokenVectors
from psembed.powershell.encoding import Encoder
from psembed.runtime.errors import CorpusError

SETTINGS = {"min_scripts": 1, "dimension": 4, "window": 2, "epochs": 1, "negative": 2, "seed": 1}
TEXTS = [
    # word, version, cluster, group
    ("tested", 0, 1, 10),
    ("samecluster", 0, 1, 11),  # set aside: its copy is in another repository
    ("samegroup", 0, 2, 10),
    ("beside", 0, 3, 12),  # a near-duplicate of a malicious script, which no stream holds
    ("other", 0, 4, 13),
    ("unlabelled", 0, 5, 14),
    ("older", 1, 5, 14),
]
SAMPLES = [
    # cluster, group, fold, label
    (1, 10, 0, 0),
    (3, 15, 0, 1),
    (4, 13, 1, 0),
]


def streamed(folder, texts=TEXTS):
    rows = [("a", word, version, f"get-item $x {word} -y") for word, version, *_ in texts]
    table = pl.DataFrame(rows, schema=["source", "normalised", "version", "text"], orient="row")
    return stream.write(folder, [table])


def scripts(texts=TEXTS):
    rows = [(word, cluster, group) for word, version, cluster, group in texts if version == 0]
    return pl.DataFrame(rows, schema=["normalised", "cluster", "group"], orient="row")


def samples(rows=SAMPLES):
    return pl.DataFrame(rows, schema=["cluster", "group", "fold", "label"], orient="row")


def masks(read, folds):
    return {fold: fold_vectors.kept(read, scripts(), samples(), fold) for fold in folds}


def trained(read, chosen, folder, **changes):
    return fold_vectors.train(read, chosen, SETTINGS | changes, folder, processes=1)


@pytest.fixture
def read(tmp_path):
    return streamed(tmp_path / "stream")


@pytest.fixture
def counted(monkeypatch):
    """The texts of each training, in the order of training."""

    def train(read, *, kept, **settings):
        asked.append(read.scripts.filter(kept)["normalised"].to_list())
        return word2vec.train(read, kept=kept, **settings)

    asked = []
    monkeypatch.setitem(ablation.MODELS, "word2vec", train)
    return asked


def test_the_vectors_of_a_fold_know_no_word_of_what_shares_a_group_or_a_cluster_with_what_it_tests(
    read, tmp_path
):
    pinned = {word for word, version, *_ in TEXTS if version == 0}
    expected = {0: {"other", "unlabelled"}, 1: pinned - {"other"}, -1: pinned}
    vectors = trained(read, masks(read, expected), tmp_path / "folds")
    every = {word for word, *_ in TEXTS}
    assert {fold: every & set(own.index_to_key) for fold, own in vectors.items()} == expected
    for fold, known in expected.items():  # nor does what a network of the fold reads with
        vocabulary = Encoder(
            fold_vectors.words(vectors[fold], 100), token_length=64, char_length=64
        ).vocabulary
        assert every & set(vocabulary.tokens) == known


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from([None, 0, 1]), st.booleans()))
)
def test_a_text_is_kept_if_and_only_if_it_shares_nothing_with_what_is_tested(rows):
    """Of (cluster, group, fold or unlabelled, older version), whatever the cuts."""
    names = [str(number) for number in range(len(rows))]
    held = pl.DataFrame({"normalised": [*names, "stranger"]}, schema={"normalised": pl.String})
    held = held.with_columns(version=pl.Series([*(int(older) for *_, older in rows), 0]))
    table = pl.DataFrame(
        [(name, *row[:2]) for name, row in zip(names, rows, strict=True)],
        schema={"normalised": pl.String, "cluster": pl.Int64, "group": pl.Int64},
        orient="row",
    )
    labelled = pl.DataFrame(
        [row[:3] for row in rows if row[2] is not None],
        schema={"cluster": pl.Int64, "group": pl.Int64, "fold": pl.Int64},
        orient="row",
    )

    class Read:
        scripts = held

    for fold in (0, 1, -1):
        tested = [row for row in rows if row[2] == fold]
        expected = [
            not older and all(cluster != other and group != others for other, others, *_ in tested)
            for cluster, group, _, older in rows
        ]
        found = fold_vectors.kept(Read, table, labelled, fold)
        assert found.dtype == bool and found.tolist() == [*expected, False]  # a text unknown is not read


def test_what_is_trained_is_kept_and_a_fold_that_is_missing_is_trained_alone(read, tmp_path, counted):
    folder, chosen = tmp_path / "folds", masks(read, [0, 1])
    first = trained(read, chosen, folder)
    assert len(counted) == 2 and len(list(folder.iterdir())) == 2
    again = trained(read, chosen, folder)
    assert len(counted) == 2
    for fold, own in first.items():
        assert own.index_to_key == again[fold].index_to_key
        np.testing.assert_array_equal(own.vectors, again[fold].vectors)
    (gone,) = folder.glob("fold_1_*")
    gone.unlink()
    restored = trained(read, chosen, folder)
    assert counted[2:] == [counted[1]]
    np.testing.assert_array_equal(restored[1].vectors, first[1].vectors)


def test_other_texts_settings_or_streams_are_trained_anew(read, tmp_path, counted):
    folder, chosen = tmp_path / "folds", masks(read, [0])
    trained(read, chosen, folder)
    trained(read, {0: masks(read, [1])[1]}, folder)
    trained(read, chosen, folder, seed=2)
    assert len(counted) == 3
    renamed = [("another" if word == "other" else word, *marks) for word, *marks in TEXTS]
    other = streamed(tmp_path / "other", renamed)  # as long, of as many tokens
    assert "another" in trained(other, chosen, folder)[0].index_to_key
    assert len(counted) == len(list(folder.iterdir())) == 4


def test_older_versions_that_are_not_read_change_no_name(read, tmp_path):
    pinned = [text for text in TEXTS if text[1] == 0]
    without = streamed(tmp_path / "pinned", pinned)
    folds = [0, 1, -1]
    names = [fold_vectors.names(one, masks(one, folds), SETTINGS) for one in (read, without)]
    assert names[0] == names[1] and len(set(names[0].values())) == len(folds)


def test_an_interrupted_training_leaves_what_is_whole(read, tmp_path, monkeypatch):
    def interrupted(read, *, kept, **settings):
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return word2vec.train(read, kept=kept, **settings)

    done = []
    monkeypatch.setitem(ablation.MODELS, "word2vec", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trained(read, masks(read, [0, 1]), tmp_path / "folds")
    (whole,) = (tmp_path / "folds").iterdir()
    assert whole.name.startswith("fold_0_") and "other" in token_vectors.read(whole).index_to_key


def test_a_fold_that_tests_everything_has_nothing_to_learn_from(read, tmp_path):
    rows = [(cluster, group, 0, 0) for _, version, cluster, group in TEXTS if not version]
    nothing = fold_vectors.kept(read, scripts(), samples(rows), 0)
    assert not nothing.any()
    with pytest.raises(CorpusError, match="give more scripts"):
        trained(read, {0: nothing}, tmp_path / "folds")
    assert list((tmp_path / "folds").iterdir()) == []


def test_words_are_the_most_frequent_of_both_senses_together():
    counts = {
        "$x": 9,
        "command:sort": 6,
        "iex": 5,
        "command:iex": 4,
        "sort": 2,
        "b": 1,
        "a": 1,
        "command:z": 1,
    }
    vectors = TokenVectors(list(counts), np.zeros((len(counts), 2)), np.array(list(counts.values())))
    assert fold_vectors.words(vectors, 100) == ["$x", "iex", "sort", "a", "b", "z"]  # 9, 9, 8, 1, 1, 1
    assert fold_vectors.words(vectors, 2) == ["$x", "iex"]
    assert fold_vectors.words(vectors, 0) == []
