import json
import logging
import zipfile

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.embedding import stream, token_vectors, word2vec
from psembed.powershell.command_position import COMMAND_MARK, as_lists
from psembed.powershell.tokens import Vocabulary
from psembed.runtime.errors import CorpusError, ModelError, ParameterError

WORDS = [f"word{letter}" for letter in "abcdefgh"]


def corpus(scripts=300, seed=0):
    """Scripts in which `twin` and `double` stand in the same contexts, `other` in different ones."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(scripts):
        name = random.choice(["twin", "double"])
        left, right = random.choice(WORDS, 2)
        rows.append([str(left), "before", str(name), "after", str(right), "far", "other", "away"])
    return rows


def streamed(folder, rows):
    """Write scripts, given as lists of tokens, as a stream."""
    number = {token: n for n, token in enumerate(dict.fromkeys(token for row in rows for token in row))}
    ids = [np.array([number[token] for token in row], dtype=np.int32) for row in rows]
    scripts = pl.DataFrame({"tokens": [len(row) for row in rows]}, schema={"tokens": pl.Int64})
    return stream.store(folder, ids, scripts, pl.Series(list(number), dtype=pl.String))


def unstreamed(read):
    """Return the scripts of a stream as lists of tokens."""
    ids, lengths = (np.concatenate(part) for part in zip(*read.chunks(), strict=True))
    return as_lists(read.tokens.gather(ids), lengths).to_list()


def together(rows):
    return sorted(token for row in rows for token in row)


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    return streamed(tmp_path_factory.mktemp("twins") / "stream", corpus())


@pytest.fixture(scope="module")
def vectors(twins):
    return learn(twins)


def learn(read, **changes):
    options = {"min_scripts": 1, "dimension": 12, "window": 2, "epochs": 5, "algorithm": "cbow", "seed": 1}
    return word2vec.train(read, **options | changes)


@pytest.mark.parametrize("algorithm", word2vec.ALGORITHMS)
def test_tokens_of_like_context_become_neighbours(twins, algorithm):
    vectors = learn(twins, epochs=80, algorithm=algorithm)
    assert vectors.most_similar("twin", topn=1)[0][0] == "double"
    assert vectors.most_similar("double", topn=1)[0][0] == "twin"


@pytest.mark.parametrize("algorithm", word2vec.ALGORITHMS)
def test_same_seed_same_vectors_and_another_seed_others(twins, algorithm):
    first, again, other = (learn(twins, algorithm=algorithm, epochs=1, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.vectors, again.vectors)
    assert not np.array_equal(first.vectors, other.vectors)


def test_every_setting_reaches_the_training(twins, vectors):
    changes = [{"window": 1}, {"epochs": 6}, {"negative": 2}, {"sample": 0.1}, {"algorithm": "skipgram"}]
    for change in changes:
        assert not np.array_equal(learn(twins, **change).vectors, vectors.vectors)
    assert learn(twins, dimension=7).vectors.shape == (len(vectors), 7)


def test_vectors_do_not_depend_on_the_chunks_and_nothing_stays_behind(tmp_path, monkeypatch, vectors):
    read = streamed(tmp_path / "stream", corpus())
    monkeypatch.setattr(stream, "CHUNK_TOKENS", 50)
    assert len(list(read.chunks())) > 10
    np.testing.assert_array_equal(learn(read).vectors, vectors.vectors)
    assert [path.name for path in tmp_path.iterdir()] == ["stream"]


def test_only_kept_scripts_are_learnt_from(tmp_path, twins):
    rows = corpus()
    kept = np.arange(len(rows)) < 200
    first = streamed(tmp_path / "first", rows[:200])
    np.testing.assert_array_equal(learn(twins, kept=kept).vectors, learn(first).vectors)
    assert learn(twins, kept=kept).get_vecattr("before", "count") == 200


def test_vectors_are_by_frequency_and_the_mark_has_none(tmp_path):
    rows = [[COMMAND_MARK, "b", "a"], [COMMAND_MARK, "a", "b", "a", "rare"]] * 5
    vectors = learn(streamed(tmp_path / "stream", rows), dimension=4, min_scripts=6)
    assert vectors.index_to_key == ["a", "b"]
    assert [vectors.get_vecattr(token, "count") for token in ("a", "b")] == [15, 10]
    assert vectors.vectors.dtype == np.float32 and vectors.vectors.shape == (2, 4)


def test_a_token_is_kept_by_the_scripts_that_hold_either_sense(tmp_path):
    rows = [["sort", "x"]] * 3 + [["> sort"] * 5] * 2 + [["y", "x"]] * 4
    read = streamed(tmp_path / "stream", rows)
    assert set(learn(read, min_scripts=5).index_to_key) == {"sort", "> sort", "x"}
    with pytest.raises(CorpusError, match="fewer than two tokens are in 6 scripts"):
        learn(read, min_scripts=6)


def sentences(folder, read, monkeypatch, length):
    """Return the text that gensim is given, a list of words a sentence, and the counts."""
    monkeypatch.setattr(word2vec, "SENTENCE", length)
    names, codes = word2vec._selected(read, None, 2)
    counts = word2vec._write_text(folder / "text", read, None, codes, names)
    return [line.split() for line in (folder / "text").read_text().splitlines()], dict(
        zip(names, counts.tolist(), strict=True)
    )


def test_a_script_longer_than_a_sentence_is_used_whole(tmp_path, monkeypatch):
    long = [*"xyzxyzx"]
    read = streamed(tmp_path / "stream", [long, ["x", "rare", "y"], ["rare" * 2], [], [*"zyx"]])
    lines, counts = sentences(tmp_path, read, monkeypatch, 3)
    assert lines == [[*"xyz"], [*"xyz"], ["x"], [*"xy"], [*"zyx"]]
    assert counts == {"x": 5, "y": 4, "z": 3}


@pytest.mark.parametrize(
    ("script", "ends"),
    [
        ([], []),
        ([4], [0]),
        ([0, 0, 0], [2]),
        ([0, 0, 0, 0], [2, 3]),
        ([0, 0, 0, 0, 2, 2, 5, 5, 5, 5, 5, 5], [2, 3, 5, 8, 11]),
    ],
)
def test_a_sentence_ends_with_the_script_or_at_its_length(monkeypatch, script, ends):
    monkeypatch.setattr(word2vec, "SENTENCE", 3)
    assert word2vec._sentence_ends(np.array(script, dtype=np.int64)).tolist() == ends


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 5))
def test_no_sentence_is_too_long_and_none_holds_two_scripts(lengths, limit):
    script = np.repeat(np.arange(len(lengths)), lengths)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word2vec, "SENTENCE", limit)
        ends = word2vec._sentence_ends(script)
    parts = np.split(script, ends + 1)
    assert not len(parts.pop()) and sum(map(len, parts)) == sum(lengths)
    assert all(1 <= len(part) <= limit and len(set(part)) == 1 for part in parts)
    assert len(parts) == sum(-(-length // limit) for length in lengths)


@pytest.mark.parametrize("algorithm", word2vec.ALGORITHMS)
def test_gensim_reads_every_word_of_a_long_script(tmp_path, caplog, algorithm):
    from gensim.models.word2vec import MAX_WORDS_IN_BATCH

    assert word2vec.SENTENCE <= MAX_WORDS_IN_BATCH
    rows = [["x", "y", "$z", "[", '""', "é"] * 4000, ["y"], [COMMAND_MARK, "x"]]
    read = streamed(tmp_path / "stream", rows)
    with caplog.at_level(logging.INFO, logger="gensim"):
        vectors = learn(read, algorithm=algorithm, epochs=1)
    told = [record.getMessage() for record in caplog.records if "raw words" in record.getMessage()]
    assert any("training on 24003 raw words" in message for message in told)
    assert sum(vectors.get_vecattr(token, "count") for token in vectors.index_to_key) == 24_002


def test_codes_are_distinct_words_of_three_characters():
    codes = word2vec._codes(10_000)
    assert len(set(codes)) == 10_000 and all(len(code) == 3 and len(code.split()) == 1 for code in codes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithm": "glove"}, "cbow, skipgram"),
        ({"dimension": 0}, "dimension is 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"window": -1}, "window is -1"),
        ({"negative": 0}, "negative is 0"),
        ({"min_scripts": 0}, "min_scripts is 0"),
        ({"workers": "all"}, "workers is 'all'"),
    ],
)
def test_bad_settings_are_refused(twins, change, message):
    with pytest.raises(ParameterError, match=message):
        learn(twins, **change)


@pytest.mark.parametrize("rows", [[[]], [[], ["a", "a"]], [[COMMAND_MARK, "a"]], [["> a", "a"] * 9]])
def test_nothing_to_learn_from_is_a_corpus_error(tmp_path, rows):
    read = streamed(tmp_path / "stream", rows)
    for kept in (None, np.zeros(len(rows), dtype=bool)):
        with pytest.raises(CorpusError, match="fewer than two tokens"):
            learn(read, kept=kept)


def test_shuffled_keeps_lengths_and_counts_and_destroys_context(tmp_path, twins):
    mixed = word2vec.shuffled(twins, tmp_path / "mixed", seed=3)
    before, after = unstreamed(twins), unstreamed(mixed)
    assert [len(row) for row in after] == [len(row) for row in before]
    assert mixed.scripts.equals(twins.scripts) and mixed.tokens.equals(twins.tokens)
    assert together(after) == together(before) and after != before
    assert unstreamed(word2vec.shuffled(twins, tmp_path / "again", seed=3)) == after
    assert unstreamed(word2vec.shuffled(twins, tmp_path / "other", seed=4)) != after
    beside = [row[i - 1] for row in after for i, token in enumerate(row) if token == "twin" and i]
    assert beside.count("before") < len(beside) / 2


def test_shuffled_takes_kept_scripts_only_and_empty_ones_too(tmp_path):
    read = streamed(tmp_path / "stream", [[], ["a", "b"], ["never"], [], ["c"]])
    mixed = word2vec.shuffled(read, tmp_path / "mixed", kept=np.array([1, 1, 0, 1, 1], dtype=bool), seed=0)
    assert [len(row) for row in unstreamed(mixed)] == [0, 2, 0, 1]
    assert together(unstreamed(mixed)) == ["a", "b", "c"]
    with pytest.raises(CorpusError, match="no script"):
        word2vec.shuffled(read, tmp_path / "none", kept=np.zeros(5, dtype=bool), seed=0)


def test_matrix_has_padding_the_mean_and_one_row_per_token(vectors):
    vocabulary = Vocabulary([*vectors.index_to_key, "absent"])
    table = token_vectors.matrix(vectors, vocabulary)
    assert table.shape == (len(vectors) + 3, 12) and table.dtype == np.float32
    assert not table[0].any()
    np.testing.assert_allclose(table[1], vectors.vectors.mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(table[-1], table[1])
    np.testing.assert_array_equal(table[vocabulary.index("twin")], vectors["twin"])


MARKED = [[COMMAND_MARK, "> sort", "x"]] * 30 + [["x", "sort", "y"]] * 10 + [["y", "> only"]] * 10


@pytest.mark.parametrize("algorithm", word2vec.ALGORITHMS)
def test_commands_get_a_vector_of_their_own(tmp_path, algorithm):
    vectors = learn(streamed(tmp_path / "stream", MARKED), algorithm=algorithm)
    assert vectors.index_to_key == ["x", "> sort", "y", "> only", "sort", "only"]
    assert [vectors.get_vecattr(token, "count") for token in vectors.index_to_key] == [40, 30, 20, 10, 10, 0]
    assert not np.array_equal(vectors["sort"], vectors["> sort"])
    np.testing.assert_array_equal(vectors["only"], vectors["> only"])


def test_a_rare_command_is_trained_as_the_word(tmp_path):
    rows = [["x", "> sort", "y"]] * (word2vec.COMMAND_COUNT - 1)
    vectors = learn(streamed(tmp_path / "rare", rows))
    assert vectors.index_to_key == ["sort", "x", "y"]
    assert vectors.get_vecattr("sort", "count") == word2vec.COMMAND_COUNT - 1
    both = learn(streamed(tmp_path / "both", [*rows, ["sort", "x"], ["sort", "y"]]))
    assert both.get_vecattr("sort", "count") == word2vec.COMMAND_COUNT + 1 and "> sort" not in both
    enough = learn(streamed(tmp_path / "enough", [*rows, rows[0]]))
    assert "> sort" in enough


def test_matrix_joins_a_word_and_the_command_of_that_name_by_occurrences(tmp_path):
    vectors = learn(streamed(tmp_path / "stream", MARKED))
    table = token_vectors.matrix(vectors, Vocabulary(["sort", "only"]))
    np.testing.assert_allclose(table[2], (3 * vectors["> sort"] + vectors["sort"]) / 4, rtol=1e-5)
    np.testing.assert_array_equal(table[3], vectors["> only"])


def test_save_and_load_round_trip(tmp_path, vectors):
    meta = {"dimension": 12, "note": "Grüße"}
    token_vectors.save(tmp_path / "vectors.npz", vectors, meta)
    loaded = token_vectors.load(tmp_path / "vectors.npz")
    assert loaded.index_to_key == vectors.index_to_key
    np.testing.assert_array_equal(loaded.vectors, vectors.vectors)
    assert loaded.get_vecattr("twin", "count") == vectors.get_vecattr("twin", "count")
    assert token_vectors.read_meta(tmp_path / "vectors.npz") == meta


def test_float16_is_smaller_and_close(tmp_path, vectors):
    token_vectors.save(tmp_path / "full.npz", vectors, {})
    token_vectors.save(tmp_path / "half.npz", vectors, {}, dtype="float16")
    half = token_vectors.load(tmp_path / "half.npz")
    assert half.vectors.dtype == np.float32
    np.testing.assert_allclose(half.vectors, vectors.vectors, rtol=1e-3, atol=1e-4)
    assert (tmp_path / "half.npz").stat().st_size < (tmp_path / "full.npz").stat().st_size
    with pytest.raises(ParameterError, match="float64"):
        token_vectors.save(tmp_path / "other.npz", vectors, {}, dtype="float64")


def test_the_file_holds_no_pickle(tmp_path, vectors):
    token_vectors.save(tmp_path / "vectors.npz", vectors, {})
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
def test_a_changed_file_is_a_model_error(tmp_path, vectors, changes, message):
    path = tmp_path / "vectors.npz"
    token_vectors.save(path, vectors, {})
    rewrite(path, **changes)
    with pytest.raises(ModelError, match=message):
        token_vectors.load(path)


def test_vectors_that_are_not_finite_are_refused(tmp_path, vectors):
    path = tmp_path / "vectors.npz"
    token_vectors.save(path, vectors, {})
    rewrite(path, vectors=np.full_like(vectors.vectors, np.nan))
    with pytest.raises(ModelError, match="not finite"):
        token_vectors.load(path)


def test_a_missing_or_truncated_file_is_a_model_error(tmp_path, vectors):
    path = tmp_path / "vectors.npz"
    with pytest.raises(ModelError, match="03_word2vec"):
        token_vectors.load(path)
    token_vectors.save(path, vectors, {})
    whole = path.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"vectors\.npz"):
            token_vectors.load(path)


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "vectors.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vectors.npy", bytes(1 << 20))
    monkeypatch.setattr(token_vectors, "MAX_BYTES", 1 << 19)
    with pytest.raises(ModelError, match="unpacks to"):
        token_vectors.load(path)


def test_a_pickle_inside_is_not_opened(tmp_path, vectors):
    path = tmp_path / "vectors.npz"
    token_vectors.save(path, vectors, {})
    rewrite(path, meta=np.array([json.dumps({})], dtype=object))
    with pytest.raises(ModelError):
        token_vectors.load(path)
