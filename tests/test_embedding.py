import json
import zipfile

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psembed import embedding
from psembed.embedding import STATEMENT
from psembed.errors import CorpusError, ModelError, ParameterError
from psembed.tokens import Vocabulary, tokenise_series

WORDS = [f"word{letter}" for letter in "abcdefgh"]


def corpus(scripts=300, seed=0):
    """Scripts in which `twin` and `double` stand in the same contexts, `other` in different ones."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(scripts):
        name = random.choice(["twin", "double"])
        left, right = random.choice(WORDS, 2)
        rows.append([left, "before", str(name), "after", right, "far", "other", "away"])
    return pl.Series("tokens", rows)


def learn(tokens=None, **changes):
    tokens = corpus() if tokens is None else tokens
    options = {"dimension": 12, "window": 2, "epochs": 5, "algorithm": "cbow", "seed": 1, **changes}
    options.setdefault("vocabulary", Vocabulary.fit(tokens, min_scripts=1))
    return embedding.train(tokens, **options)


def test_statements_marks_every_command_position_and_drops_comments():
    text = "# note iex\nGet-Process | sort -Unique; $a = (gci)\n\n  iex $a <# gone\n gone #>"
    assert embedding.statements(pl.Series([text])).to_list()[0] == [
        STATEMENT, "get-process", "|", STATEMENT, "> sort", "-unique", ";", STATEMENT, "$a", "=",
        STATEMENT, "(", STATEMENT, "> gci", ")", STATEMENT, "> iex", "$a",
    ]  # fmt: skip


def test_a_word_is_a_command_only_in_command_position():
    text = "sort | ? { $_.sort -eq 'sort?' }\nw2 sort"
    (row,) = embedding.statements(pl.Series([text])).to_list()
    assert [token for token in row if "sort" in token or "?" in token] == [
        "> sort", "> ?", "sort", "sort", "?", "sort",
    ]  # fmt: skip
    assert "w*" in row and "$_" in row


def test_statements_keeps_rows_for_empty_texts():
    found = embedding.statements(pl.Series(["", "# only a comment", "a"])).to_list()
    assert found == [[], [], [STATEMENT, "> a"]]
    assert embedding.statements(pl.Series([], dtype=pl.String)).to_list() == []


def test_statements_does_not_depend_on_the_chunk(monkeypatch):
    texts = pl.Series([f"a{n} | b\n$c = d{n}" * (n % 3) for n in range(20)])
    whole = embedding.statements(texts).to_list()
    monkeypatch.setattr(embedding, "CHUNK", 3)
    assert embedding.statements(texts).to_list() == whole


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="ab$|;={(\n\r -.'\"1", max_size=40), max_size=5))
def test_statements_adds_only_marks_to_the_tokens_of_each_line(texts):
    series = pl.Series(texts, dtype=pl.String)
    marked = embedding.statements(series).to_list()
    lines = [text.replace("\r\n", "\n").replace("\r", "\n").split("\n") for text in texts]
    plain = [[token for line in tokenise_series(each).to_list() for token in line] for each in lines]
    unmarked = [[t.removeprefix(embedding.COMMAND) for t in row if t != STATEMENT] for row in marked]
    assert unmarked == plain
    assert all(row[0] == STATEMENT and row[-1] != STATEMENT for row in marked if row)


@pytest.mark.parametrize("algorithm", ["cbow", "skipgram"])
def test_tokens_of_like_context_become_neighbours(algorithm):
    vectors = learn(epochs=80, algorithm=algorithm)
    assert vectors.most_similar("twin", topn=1)[0][0] == "double"
    assert vectors.most_similar("double", topn=1)[0][0] == "twin"


def test_same_seed_same_vectors_and_another_seed_others():
    first, again, other = learn(), learn(), learn(seed=2)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert not np.array_equal(first.vectors, other.vectors)


def test_result_follows_the_vocabulary_and_has_no_mark():
    tokens = pl.Series([[STATEMENT, "b", "a"], [STATEMENT, "a", "b", "a", "rare"]] * 5)
    vocabulary = Vocabulary(["b", "never", "a"])
    vectors = embedding.train(tokens, vocabulary=vocabulary, dimension=4, window=2, epochs=1, seed=1)
    assert vectors.index_to_key == ["b", "a"]
    assert [vectors.get_vecattr(token, "count") for token in ("b", "a")] == [10, 15]
    assert vectors.vectors.dtype == np.float32 and vectors.vectors.shape == (2, 4)


def test_a_list_of_lists_and_a_vocabulary_with_the_mark_do_as_well():
    rows = [[STATEMENT, "a", "b"], [], [STATEMENT, "b"]] * 3
    vocabulary = Vocabulary.fit(pl.Series(rows), min_scripts=1)
    options = {"vocabulary": vocabulary, "dimension": 4, "window": 1, "epochs": 1, "seed": 1}
    from_list = embedding.train(iter(rows), **options)
    np.testing.assert_array_equal(from_list.vectors, embedding.train(pl.Series(rows), **options).vectors)
    assert set(from_list.index_to_key) == {"a", "b"}


def test_a_script_longer_than_gensims_limit_is_used_whole():
    long = ["x"] * embedding.SENTENCE + ["y", "z"] * 50
    sentences = embedding._Sentences(pl.Series([long, ["y"], []]), ["x", "y", "z"])
    assert [len(sentence) for sentence in sentences] == [embedding.SENTENCE, 100, 1]
    assert [token for sentence in sentences for token in sentence] == [*long, "y"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithm": "glove"}, "cbow, skipgram"),
        ({"dimension": 0}, "dimension is 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"window": -1}, "window is -1"),
    ],
)
def test_bad_settings_are_refused(change, message):
    with pytest.raises(ParameterError, match=message):
        learn(**change)


def test_nothing_to_learn_from_is_a_corpus_error():
    for rows in ([], [[]], [["unknown"]], [["a", "a"]]):
        tokens = pl.Series(rows, dtype=pl.List(pl.String))
        with pytest.raises(CorpusError, match="fewer than two tokens"):
            embedding.train(
                tokens, vocabulary=Vocabulary(["a", "b"]), dimension=4, window=2, epochs=1, seed=1
            )


def test_shuffled_keeps_lengths_and_counts_and_destroys_context():
    tokens = corpus()
    mixed = embedding.shuffled(tokens, seed=3)
    assert mixed.list.len().to_list() == tokens.list.len().to_list()
    assert sorted(mixed.explode()) == sorted(tokens.explode())
    assert mixed.to_list() != tokens.to_list()
    assert embedding.shuffled(tokens, seed=3).to_list() == mixed.to_list()
    beside = [row[i - 1] for row in mixed for i, token in enumerate(row) if token == "twin" and i]
    assert beside.count("before") < len(beside) / 2


def test_shuffled_copes_with_empty_scripts():
    tokens = pl.Series([[], ["a", "b"], [], ["c"]])
    assert embedding.shuffled(tokens, seed=0).list.len().to_list() == [0, 2, 0, 1]


def test_matrix_has_padding_the_mean_and_one_row_per_token():
    vectors = learn()
    vocabulary = Vocabulary([*vectors.index_to_key, "absent"])
    table = embedding.matrix(vectors, vocabulary)
    assert table.shape == (len(vectors) + 3, 12) and table.dtype == np.float32
    assert not table[0].any()
    np.testing.assert_allclose(table[1], vectors.vectors.mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(table[-1], table[1])
    np.testing.assert_array_equal(table[vocabulary.index("twin")], vectors["twin"])


MARKED = pl.Series([[STATEMENT, "> sort", "x"]] * 30 + [["x", "sort", "y"]] * 10 + [["y", "> only"]] * 10)
PLAIN = Vocabulary(["sort", "x", "only", "y"])


def test_commands_get_a_vector_of_their_own_without_being_in_the_vocabulary():
    vectors = learn(MARKED, vocabulary=PLAIN)
    assert vectors.index_to_key == ["sort", "x", "only", "y", "> sort", "> only"]
    assert [vectors.get_vecattr(t, "count") for t in vectors.index_to_key] == [10, 40, 0, 20, 30, 10]
    assert not np.array_equal(vectors["sort"], vectors["> sort"])
    np.testing.assert_array_equal(vectors["only"], vectors["> only"])
    marked = Vocabulary(["> sort", STATEMENT, "sort", "x", "> only", "y"])
    np.testing.assert_array_equal(learn(MARKED, vocabulary=marked).vectors, vectors.vectors)


def test_a_rare_command_is_trained_as_the_word():
    rows = pl.Series([["x", "> sort", "y"]] * (embedding.COMMAND_COUNT - 1))
    vectors = learn(rows, vocabulary=PLAIN)
    assert vectors.index_to_key == ["sort", "x", "y"]
    assert vectors.get_vecattr("sort", "count") == embedding.COMMAND_COUNT - 1


def test_matrix_joins_a_word_and_the_command_of_that_name_by_occurrences():
    vectors = learn(MARKED, vocabulary=PLAIN)
    table = embedding.matrix(vectors, Vocabulary(["sort", "only"]))
    np.testing.assert_allclose(table[2], (3 * vectors["> sort"] + vectors["sort"]) / 4, rtol=1e-5)
    np.testing.assert_array_equal(table[3], vectors["> only"])


def test_save_and_load_round_trip(tmp_path):
    vectors, meta = learn(), {"dimension": 12, "note": "Grüße"}
    embedding.save(tmp_path / "vectors.npz", vectors, meta)
    loaded = embedding.load(tmp_path / "vectors.npz")
    assert loaded.index_to_key == vectors.index_to_key
    np.testing.assert_array_equal(loaded.vectors, vectors.vectors)
    assert loaded.get_vecattr("twin", "count") == vectors.get_vecattr("twin", "count")
    assert embedding.read_meta(tmp_path / "vectors.npz") == meta


def test_float16_is_smaller_and_close(tmp_path):
    vectors = learn()
    embedding.save(tmp_path / "full.npz", vectors, {})
    embedding.save(tmp_path / "half.npz", vectors, {}, dtype="float16")
    half = embedding.load(tmp_path / "half.npz")
    assert half.vectors.dtype == np.float32
    np.testing.assert_allclose(half.vectors, vectors.vectors, rtol=1e-3, atol=1e-4)
    assert (tmp_path / "half.npz").stat().st_size < (tmp_path / "full.npz").stat().st_size
    with pytest.raises(ParameterError, match="float64"):
        embedding.save(tmp_path / "other.npz", vectors, {}, dtype="float64")


def test_the_file_holds_no_pickle(tmp_path):
    embedding.save(tmp_path / "vectors.npz", learn(), {})
    with np.load(tmp_path / "vectors.npz", allow_pickle=False) as stored:
        assert not any(stored[name].dtype.hasobject for name in stored)


def rewrite(path, **changes):
    with np.load(path) as stored:
        content = {name: stored[name] for name in stored} | changes
    np.savez(path, **{name: value for name, value in content.items() if value is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": np.int64(99)}, "format 99"),
        ({"counts": None}, "no readable"),
        ({"counts": np.zeros(1, np.int64)}, "disagree"),
        ({"vectors": np.zeros(5, np.float32)}, "disagree"),
        ({"tokens": np.frombuffer(b"\xff\xfe", np.uint8)}, "no readable"),
        ({"meta": np.frombuffer(b"{", np.uint8)}, "no readable"),
    ],
)
def test_a_changed_file_is_a_model_error(tmp_path, changes, message):
    path = tmp_path / "vectors.npz"
    embedding.save(path, learn(), {})
    rewrite(path, **changes)
    with pytest.raises(ModelError, match=message):
        embedding.load(path)


def test_vectors_that_are_not_finite_are_refused(tmp_path):
    path, vectors = tmp_path / "vectors.npz", learn()
    embedding.save(path, vectors, {})
    rewrite(path, vectors=np.full_like(vectors.vectors, np.nan))
    with pytest.raises(ModelError, match="not finite"):
        embedding.load(path)


def test_a_missing_or_truncated_file_is_a_model_error(tmp_path):
    path = tmp_path / "vectors.npz"
    with pytest.raises(ModelError, match="03_word2vec"):
        embedding.load(path)
    embedding.save(path, learn(), {})
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"vectors\.npz"):
            embedding.load(path)


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "vectors.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", bytes(1 << 20))
    monkeypatch.setattr(embedding, "MAX_BYTES", 1 << 19)
    with pytest.raises(ModelError, match="unpacks to"):
        embedding.load(path)


def test_a_pickle_inside_is_not_opened(tmp_path):
    path = tmp_path / "vectors.npz"
    embedding.save(path, learn(), {})
    rewrite(path, meta=np.array([json.dumps({})], dtype=object))
    with pytest.raises(ModelError):
        embedding.load(path)
