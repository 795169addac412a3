"""A stream gives back what was written, a chunk at a time, and a broken one does not open."""

import json
from collections import Counter

import numpy as np
import polars as pl
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marking import as_lists, marked
from token_streams import streamed

from psembed.embedding import stream
from psembed.embedding.stream import RepositoryCap, TokenStream, statements, store, write
from psembed.powershell.command_position import COMMAND, COMMAND_MARK, OPENERS, Reading
from psembed.runtime.errors import CorpusError

TEXTS = [
    "sort | where { $_.sort }",
    "# only a comment",
    "$a = 'sort'\ngci -Recurse",
    "",
    "where 'x' | sort | sort",
    "foreach ($x in gci) { where }",
    "iex",
    "",
]


def frame(texts=TEXTS):
    return pl.DataFrame(
        {"text": texts, "number": list(range(len(texts)))}, schema={"text": pl.String, "number": pl.Int64}
    )


@pytest.fixture
def written(tmp_path):
    return write(tmp_path / "stream", [frame()])


@pytest.fixture(params=[1, 3, 7, 1000])
def chunked(request, monkeypatch):
    """Return a number of tokens that is set as the length of a chunk."""
    monkeypatch.setattr(stream, "CHUNK_TOKENS", request.param)
    return request.param


def rows(read, kept=None):
    """Return the tokens of each script, put together from the chunks."""
    return [
        row
        for ids, lengths in read.chunks(kept)
        for row in as_lists(read.tokens.gather(ids), lengths).to_list()
    ]


def test_what_is_read_is_what_was_written(written, chunked):
    again = TokenStream(written.folder)
    expected = marked(pl.Series(TEXTS)).to_list()
    assert rows(written) == rows(again) == expected and len(again) == len(TEXTS)
    assert again.scripts["tokens"].to_list() == [len(row) for row in expected]
    assert again.scripts["number"].to_list() == list(range(len(TEXTS))) and "text" not in again.scripts
    assert again.tokens.n_unique() == len(again.tokens)


def test_the_reading_is_that_asked_for(tmp_path):
    reading = Reading(comments=True, strings=False, commands=False)
    read = write(tmp_path / "stream", [frame()], reading=reading)
    assert rows(read) == marked(pl.Series(TEXTS), reading).to_list()


@pytest.mark.parametrize("characters", [1, 20, 60])
def test_the_stream_does_not_depend_on_the_pieces_it_was_written_in(
    written, tmp_path, monkeypatch, characters
):
    monkeypatch.setattr(stream, "CHUNK_CHARACTERS", characters)
    tokenised, marked_codes = [], stream.marked_codes

    def counted(texts, reading):
        tokenised.append(texts.str.len_bytes().sum())
        return marked_codes(texts, reading)

    monkeypatch.setattr(stream, "marked_codes", counted)
    other = write(tmp_path / "other", [frame()[:3], frame()[:0], frame()[3:]])
    assert rows(other) == rows(written) and other.scripts.equals(written.scripts)
    assert len(tokenised) > 2 and max(tokenised) < characters + max(map(len, TEXTS))


@given(st.lists(st.booleans(), min_size=len(TEXTS), max_size=len(TEXTS)), st.integers(1, 40))
def test_kept_scripts_come_whole_and_in_order_wherever_chunks_end(tmp_path_factory, kept, chunk):
    folder = tmp_path_factory.getbasetemp() / "kept"
    read = TokenStream(folder) if folder.exists() else write(folder, [frame()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_TOKENS", chunk)
        expected = [row for row, stays in zip(marked(pl.Series(TEXTS)).to_list(), kept, strict=True) if stays]
        assert rows(read, np.array(kept)) == expected


def test_a_mask_that_begins_and_ends_at_the_edges_of_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK_TOKENS", 4)
    ids = np.arange(12, dtype=np.int32)
    read = store(tmp_path, [ids], pl.DataFrame({"tokens": [2, 2, 4, 3, 1]}), pl.Series(map(str, ids)))
    assert [lengths.tolist() for _, lengths in read.chunks()] == [[2, 2], [4], [3, 1]]
    for kept, chunks in [
        ([0, 1, 1, 0, 0], [[2, 3], [4, 5, 6, 7]]),
        ([1, 0, 0, 0, 1], [[0, 1], [11]]),
        ([0, 0, 1, 0, 0], [[4, 5, 6, 7]]),
        ([0, 0, 0, 1, 1], [[8, 9, 10, 11]]),
        ([0, 0, 0, 0, 0], []),
    ]:
        read_chunks = list(read.chunks(np.array(kept, dtype=bool)))
        assert [ids.tolist() for ids, _ in read_chunks] == chunks
        assert all(lengths.sum() == len(ids) for ids, lengths in read_chunks)


def test_no_more_than_a_chunk_and_a_script_is_read_at_a_time(tmp_path, chunked):
    lengths = np.random.default_rng(1).integers(0, 6, 200)
    ids = np.zeros(lengths.sum(), dtype=np.int32)
    read = store(tmp_path, [ids], pl.DataFrame({"tokens": lengths}), pl.Series(["a"]))
    sizes = [len(chunk) for chunk, _ in read.chunks()]
    assert sum(sizes) == len(ids) and max(sizes) < chunked + lengths.max()
    assert len(sizes) >= len(ids) / (chunked + lengths.max())


def test_memory_does_not_grow_with_what_was_read(tmp_path, monkeypatch):
    monkeypatch.setattr("psembed.embedding.stream.CHUNK_TOKENS", 100_000)
    lengths = np.full(1_000, 20_000)
    ids = (np.zeros(1_000_000, dtype=np.int32) for _ in range(20))
    read = store(tmp_path, ids, pl.DataFrame({"tokens": lengths}), pl.Series(["a"]))  # 80 MB
    resident = [psutil.Process().memory_info().rss for _ in read.chunks()]
    assert len(resident) == 200 and resident[-1] - resident[0] < 40e6


def brute_force(lists):
    """Return occurrences by token, and scripts by word."""
    occurrences, scripts = Counter(), Counter()
    for row in lists:
        occurrences.update(row)
        scripts.update({token.removeprefix(COMMAND) for token in row})
    return occurrences, scripts


@pytest.mark.parametrize("kept", [None, [1, 0, 1, 0, 0, 1, 0, 1], [0] * 8])
def test_counts_are_those_of_a_count_by_hand(written, chunked, kept):
    kept = None if kept is None else np.array(kept, dtype=bool)
    occurrences, scripts = brute_force(rows(written, kept))
    occurring, held = written.counts(kept)
    assert dict(zip(written.tokens, occurring.tolist(), strict=True)) == {
        token: occurrences[token] for token in written.tokens
    }
    assert dict(zip(written.tokens, held.tolist(), strict=True)) == {
        token: scripts[token.removeprefix(COMMAND)] for token in written.tokens
    }


def test_a_script_that_holds_one_sense_counts_for_both(written):
    occurring, held = (dict(zip(written.tokens, part.tolist(), strict=True)) for part in written.counts())
    assert (occurring["sort"], occurring["command:sort"]) == (2, 3)
    assert held["sort"] == held["command:sort"] == 3


@pytest.mark.parametrize("batches", [[], [frame([])]])
def test_no_script_is_a_corpus_error(tmp_path, batches):
    with pytest.raises(CorpusError, match="no script to stream"):
        write(tmp_path / "stream", batches)
    with pytest.raises(CorpusError, match="make it again"):
        TokenStream(tmp_path / "stream")


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: cut(folder / "ids.bin", -1),
        lambda folder: cut(folder / "ids.bin", -4),
        lambda folder: cut(folder / "scripts.parquet", 40),
        lambda folder: cut(folder / "tokens.parquet", -10),
        lambda folder: (folder / "ids.bin").unlink(),
        lambda folder: (folder / "about.json").unlink(),
        lambda folder: cut(folder / "about.json", -1),
        lambda folder: (folder / "about.json").write_text("[]"),
        lambda folder: (folder / "about.json").write_text(json.dumps({"format": stream.FORMAT})),
        lambda folder: (folder / "about.json").write_text(json.dumps({"format": 99, "tokens": 5})),
        lambda folder: pl.DataFrame({"token": ["a"]}).write_parquet(folder / "tokens.parquet"),
    ],
)
def test_a_damaged_stream_is_a_corpus_error(written, damage):
    damage(written.folder)
    with pytest.raises(CorpusError, match=r"stream .*make it again"):
        TokenStream(written.folder)


def test_another_version_is_a_corpus_error(written, monkeypatch):
    monkeypatch.setattr(stream, "FORMAT", stream.FORMAT + 1)
    with pytest.raises(CorpusError, match="another version"):
        TokenStream(written.folder)


def test_a_write_that_dies_in_the_middle_leaves_no_stream(written):
    def dying():
        yield frame()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(written.folder, dying())
    with pytest.raises(CorpusError, match="no whole token stream"):
        TokenStream(written.folder)
    assert rows(write(written.folder, [frame()])) == marked(pl.Series(TEXTS)).to_list()


# What a repository counts


def owned(folder, scripts):
    """Write scripts, given as (repository, tokens), as a stream."""
    return streamed(folder, [row for _, row in scripts], [name for name, _ in scripts])


def weighed(read, kept, cap):
    """Return the weights of each script's tokens."""
    weights = RepositoryCap(read, kept, cap)
    return [
        row.tolist()
        for ids, lengths in read.chunks(kept)
        for row in np.split(weights.weights(ids, lengths), np.cumsum(lengths)[:-1])
    ]


BY_TWO = [
    ("b", ["x", "x", "y"]), ("a", ["x", "x"]), ("b", []), ("b", ["x", "x", "x", "z", "z"]), ("c", ["x"] * 4),
]  # fmt: skip


def test_owners_are_repositories_by_number(tmp_path, chunked):
    read = owned(tmp_path, BY_TWO)
    assert read.owners().tolist() == [1, 0, 1, 1, 2]
    assert read.owners(np.array([0, 1, 1, 0, 1], dtype=bool)).tolist() == [0, 1, 2]


def test_a_repository_counts_a_token_so_often_at_most(tmp_path, chunked):
    read = owned(tmp_path, BY_TWO)
    assert weighed(read, None, None) == [[1] * 3, [1] * 2, [], [1] * 5, [1] * 4]
    # b uses x five times in all, a twice, c four times: each use is a part of the two that are counted.
    fifth = float(np.float32(2 / 5))
    assert weighed(read, None, 2) == [[fifth, fifth, 1], [1, 1], [], [fifth] * 3 + [1, 1], [0.5] * 4]
    assert weighed(read, None, 1)[3] == [*[float(np.float32(1 / 5))] * 3, 0.5, 0.5]
    assert weighed(read, None, 5) == weighed(read, None, None)
    # Only what is kept is counted.
    kept = np.array([0, 1, 1, 1, 1], dtype=bool)
    third = float(np.float32(2 / 3))
    assert weighed(read, kept, 2) == [[1, 1], [], [third] * 3 + [1, 1], [0.5] * 4]


OWNED = st.lists(
    st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from("vwxyz"), max_size=6), st.booleans()),
    min_size=1,
    max_size=12,
)


@given(OWNED, st.integers(1, 5), st.integers(1, 20))
def test_weights_are_those_of_a_count_by_hand_wherever_chunks_end(tmp_path_factory, scripts, cap, chunk):
    kept = np.array([stays for *_, stays in scripts])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_TOKENS", chunk)
        read = owned(tmp_path_factory.getbasetemp() / "owned", [(name, row) for name, row, _ in scripts])
        if not kept.any():
            return
        weights = weighed(read, kept, cap)
    uses = Counter((name, token) for name, row, stays in scripts if stays for token in row)
    expected = [[min(1, cap / uses[name, token]) for token in row] for name, row, stays in scripts if stays]
    assert [len(row) for row in weights] == [len(row) for row in expected]
    for row, right in zip(weights, expected, strict=True):
        np.testing.assert_allclose(row, right, rtol=1e-6)
    for (name, token), n in uses.items():
        counted = sum(
            weight
            for (owner, row, _), given_to in zip([one for one in scripts if one[2]], weights, strict=True)
            for other, weight in zip(row, given_to, strict=True)
            if (owner, other) == (name, token)
        )
        assert counted == pytest.approx(min(n, cap), rel=1e-5)


STATEMENTS = [
    ["$a = gci | iex;", "sort (gci)", "where {", "$_.x;", "dir } | % {", "ls }"],
    [],
    ["if ($x) {", "iex } else {", "@(gci) }"],
    ["|\nls && dir || gci"],
    ["'text iex'"],
    ["$b += gci $(ls)", "{", "iex"],
]


def test_statements_by_hand(tmp_path, chunked):
    """A statement begins at a line, after ; and {, not in brackets, after a pipe or an assignment."""
    texts = ["\n".join(script) for script in STATEMENTS]
    read = write(tmp_path, [pl.DataFrame({"text": texts})])
    found = []
    for ids, lengths in read.chunks():
        places = statements(ids, lengths, read)
        assert places[0] == 0 if len(ids) else not len(places)
        found += [
            "".join(read.tokens.gather(part).to_list()).replace(COMMAND_MARK, "").replace(COMMAND, "")
            for part in np.split(ids, places)[1:]
        ]
    assert found == [line.replace(" ", "").replace("\n", "") for script in STATEMENTS for line in script]


ROWS = st.lists(st.lists(st.sampled_from([COMMAND_MARK, *OPENERS, "x", "}"]), max_size=10), max_size=6)


@given(ROWS)
def test_statements_are_those_of_a_search_by_hand(tmp_path_factory, rows):
    read = owned(tmp_path_factory.getbasetemp() / "owned", [("a", row) for row in [*rows, ["x"]]])
    for ids, lengths in read.chunks():
        tokens, expected, place = read.tokens.gather(ids).to_list(), [], 0
        for length in lengths:
            for inside in range(length):
                inner = inside and tokens[place + inside - 1] in set(OPENERS) - {";", "{"}
                if not inside or (tokens[place + inside] == COMMAND_MARK and not inner):
                    expected.append(place + inside)
            place += length
        assert statements(ids, lengths, read).tolist() == expected
