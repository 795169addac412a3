"""Vectors without gensim are those with it; their file gives back what was saved, or is refused."""

import json
import tempfile
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from gensim.models import KeyedVectors
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from marking import marked
from token_vectors import keyed

import psembed
from psembed.embedding import similarity, token_vectors
from psembed.powershell.command_position import COMMAND_MARK
from psembed.powershell.tokens import FIRST, Vocabulary
from psembed.runtime.errors import ModelError, ParameterError, UnknownTokenError


@pytest.fixture
def vectors():
    """Vectors of 12 dimensions."""
    random = np.random.default_rng(1)
    return keyed({token: random.normal(size=12) for token in ("before", "after", "twin", "double", "other")})


@settings(max_examples=40)
@given(arrays(np.float16, st.tuples(st.integers(4, 9), st.just(3)), elements=st.floats(-8, 8, width=16)))
def test_answers_without_gensim_are_those_with_it(points):
    names = ["iex", "command:iex", *"abcdefg"][: len(points)]
    slow = keyed(dict(zip(names, points, strict=True)))
    fast = token_vectors.TokenVectors(names, points, np.arange(len(names)))
    for ask in (
        lambda vectors: similarity.nearest(vectors, "command:iex", 5),
        lambda vectors: similarity.analogy(vectors, ["a", "command:iex"], ["b"], 5),
        lambda vectors: similarity.odd_one_out(vectors, ["a", "b", "iex"]),
        lambda vectors: token_vectors.command(vectors, "IEX"),
    ):
        assert ask(fast) == ask(slow)


def test_a_token_is_found_as_the_command_unless_the_word_is_asked_for():
    names = ["iex", "command:iex", "invoke-expression", "$i", "ζ"]
    vectors = token_vectors.TokenVectors(names, np.eye(5), np.arange(5))
    find = partial(token_vectors.find, vectors, word=False)
    assert find("IEX") == "command:iex" and find("IEX", word=True) == "iex"
    assert find("Invoke-Expression") == "invoke-expression" and find("$I") == "$i"
    assert [token_vectors.label(vectors, name) for name in names] == [
        "iex (word)", "iex (command)", "Invoke-Expression", "$i", "ζ",
    ]  # fmt: skip
    with pytest.raises(UnknownTokenError, match=r"'iexx' is not .* of 4 tokens; nearest: iex$"):
        find("iexx")


def test_matrix_has_padding_the_mean_and_one_row_per_token(vectors):
    vocabulary = Vocabulary([*vectors.index_to_key, "absent"])
    table = token_vectors.matrix(vectors, vocabulary)
    assert table.shape == (len(vectors) + 3, 12) and table.dtype == np.float32
    assert not table[0].any()
    np.testing.assert_allclose(table[1], vectors.vectors.mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(table[-1], table[1])
    np.testing.assert_array_equal(table[FIRST + vocabulary.tokens.index("twin")], vectors["twin"])


def test_matrix_joins_a_word_and_the_command_of_that_name_by_occurrences():
    table = {"sort": [1, 2], "command:sort": [3, -1], "only": [5, 5], "command:only": [0, 1]}
    vectors = keyed(table, {"sort": 10, "command:sort": 30, "only": 0, "command:only": 10})
    table = token_vectors.matrix(vectors, Vocabulary(["sort", "only"]))
    np.testing.assert_allclose(table[2], (3 * vectors["command:sort"] + vectors["sort"]) / 4, rtol=1e-5)
    np.testing.assert_array_equal(table[3], vectors["command:only"])


def test_save_and_load_round_trip(tmp_path, vectors):
    meta = {"dimension": 12, "note": "Grüße"}
    token_vectors.save(tmp_path / "vectors.npz", vectors, meta)
    loaded = token_vectors.load(tmp_path / "vectors.npz")
    assert loaded.index_to_key == vectors.index_to_key
    np.testing.assert_array_equal(loaded.vectors, vectors.vectors)
    assert loaded.get_vecattr("twin", "count") == vectors.get_vecattr("twin", "count")
    assert token_vectors.read(tmp_path / "vectors.npz").meta == meta


def test_float16_is_smaller_and_close(tmp_path, vectors):
    token_vectors.save(tmp_path / "full.npz", vectors, {})
    token_vectors.save(tmp_path / "half.npz", vectors, {}, dtype="float16")
    half = token_vectors.load(tmp_path / "half.npz")
    assert half.vectors.dtype == np.float32
    np.testing.assert_allclose(half.vectors, vectors.vectors, rtol=1e-3, atol=1e-4)
    assert (tmp_path / "half.npz").stat().st_size < (tmp_path / "full.npz").stat().st_size
    with pytest.raises(ParameterError, match="float64"):
        token_vectors.save(tmp_path / "other.npz", vectors, {}, dtype="float64")


@given(
    arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.floats(-8, 8, width=32))
)
def test_int8_is_within_half_a_step_of_each_vector(points):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.npz"
        names = [f"token{n}" for n in range(len(points))]
        given_vectors = token_vectors.TokenVectors(names, points, np.arange(len(points)))
        token_vectors.save(path, given_vectors, {}, dtype="int8")
        read = token_vectors.read(path)
    step = np.abs(points).max(axis=1, keepdims=True) / 127
    assert read.vectors.dtype == np.float32
    assert (np.abs(read.vectors - points) <= 0.501 * step + np.finfo(np.float32).tiny).all()


def strict(path, *, binary):
    """Read word2vec's format to the letter: nothing is stripped, split or skipped beyond it."""
    content = path.read_bytes()
    header, _, body = content.partition(b"\n")
    size, dimension = map(int, header.split(b" "))
    table = {}
    for _ in range(size):
        token, _, body = body.partition(b" ")
        if binary:
            numbers, body = np.frombuffer(body[: 4 * dimension], "<f4"), body[4 * dimension :]
        else:
            line, _, body = body.partition(b"\n")
            numbers = np.array([float(number) for number in line.split(b" ")], dtype=np.float32)
        table[token.decode()] = numbers
    assert not body
    return table


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.bin"])
def test_what_is_exported_is_read_by_gensim_and_to_the_letter(tmp_path, name):
    """Keys of every kind: odd white space beside a token, signs, letters beyond ASCII, both senses."""
    spaces = "".join(f" a{chr(code)}b " for code in range(0x3001) if chr(code).isspace())
    text = f"iex $a; sort 'x' -eq $env:path :: > `n é ζ 文件 ****\n{spaces}" + "".join(
        map(chr, range(33, 127))
    )
    (row,) = marked(pl.Series([text])).to_list()
    names = [name for name in dict.fromkeys(row) if name != COMMAND_MARK]
    assert {"command:iex", "command:a", "a", "文件", "#", '"'} <= set(names) and len(names) > 40
    points = np.random.default_rng(1).normal(size=(len(names), 3)).astype(np.float32)
    points[0] = [np.finfo(np.float32).tiny, -1 / 3, 1e30]
    token_vectors.export(tmp_path / name, token_vectors.TokenVectors(names, points, np.arange(len(names))))
    binary = name.endswith(".bin")
    read = KeyedVectors.load_word2vec_format(tmp_path / name, binary=binary)
    assert read.index_to_key == names
    np.testing.assert_array_equal(read.vectors, points)
    table = strict(tmp_path / name, binary=binary)
    assert list(table) == names
    np.testing.assert_array_equal(np.array(list(table.values())), points)


def test_gensim_writes_and_reads_every_key_of_the_released_vectors(tmp_path):
    ours = psembed.load_vectors("word2vec")
    token_vectors.export(tmp_path / "ours.bin", ours)
    ours.save_word2vec_format(tmp_path / "gensim.bin", binary=True)
    assert (tmp_path / "ours.bin").read_bytes() == (tmp_path / "gensim.bin").read_bytes()
    read = KeyedVectors.load_word2vec_format(tmp_path / "gensim.bin", binary=True)
    assert read.index_to_key == ours.index_to_key
    np.testing.assert_array_equal(read.vectors, ours.vectors)


def test_a_failed_export_leaves_what_was_there(tmp_path, vectors):
    path = tmp_path / "vectors.txt"
    path.write_text("before")
    vectors.index_to_key.append("one too many")
    with pytest.raises(ValueError):
        token_vectors.export(path, vectors)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


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
        ({"vectors": np.array(["x"] * 5)}, "no readable"),
        ({"scale": np.ones(4, np.float32)}, "disagree"),
        ({"scale": None}, "no readable"),
        ({"tokens": np.frombuffer(b"> a\nb\nc\nd\ne", np.uint8)}, "the token '> a'"),
        ({"tokens": np.frombuffer("a\u1680\nb\nc\nd\ne".encode(), np.uint8)}, "none has white space"),
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
