"""A stream gives back what was written, a chunk at a time, and a broken one does not open."""

import json
from collections import Counter

import numpy as np
import polars as pl
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.embedding import stream
from psembed.embedding.stream import TokenStream, capped, store, write
from psembed.powershell.command_position import COMMAND, Reading, as_lists, marked
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


def test_kept_is_everything_until_it_is_stored(written):
    assert written.kept.tolist() == [True] * len(TEXTS)
    kept = np.arange(len(TEXTS)) % 2 == 0
    written.keep(kept)
    again = TokenStream(written.folder)
    assert again.kept.tolist() == kept.tolist() and rows(again) == rows(written)
    written.keep(~kept)
    assert TokenStream(written.folder).kept.tolist() == (~kept).tolist()


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


def totals(tokens, owners, kept):
    return np.bincount(owners[kept], weights=tokens[kept], minlength=owners.max() + 1)


@pytest.mark.parametrize(
    ("sizes", "share", "left"),
    [
        ([1000, 100, 100, 100], 0.5, [300, 100, 100, 100]),
        ([600, 500, 300, 200], 0.3, [375, 375, 300, 200]),
        ([1000, 1000, 1000, 100], 0.3, [300, 300, 300, 100]),
        ([990, 990, 990, 10], 0.33, [330, 330, 330, 10]),
        ([200, 100, 100], 0.5, [200, 100, 100]),
        ([300, 200], 0.4, [200, 200]),
        ([70, 0, 30], 0.2, [30, 0, 30]),
        ([50], 0.01, [50]),
        ([0, 0], 0.5, [0, 0]),
    ],
)
def test_what_owners_keep_by_hand(sizes, share, left):
    owners = np.append(np.repeat(np.arange(len(sizes)), sizes), np.arange(len(sizes)))
    tokens = np.append(np.ones(sum(sizes), dtype=np.int64), np.zeros(len(sizes), dtype=np.int64))
    kept_tokens = totals(tokens, owners, capped(tokens, owners, share=share, seed=1))
    np.testing.assert_allclose(kept_tokens, left, atol=1)


SCRIPTS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), min_size=1, max_size=60)


@given(SCRIPTS, st.floats(0.02, 0.99), st.integers(0, 5))
def test_no_owner_is_above_the_share_by_more_than_scripts_cannot_be_cut(scripts, share, seed):
    tokens, owners = (np.array(column) for column in zip(*scripts, strict=True))
    kept = capped(tokens, owners, share=share, seed=seed)
    all_of_them, left = totals(tokens, owners, np.full(len(tokens), True)), totals(tokens, owners, kept)
    lost = (left < all_of_them).sum() * tokens.max()
    if np.count_nonzero(all_of_them) >= 1 / share:
        assert left.max() <= share * (left.sum() + lost) + 1e-6
    else:
        assert left.max() <= all_of_them[all_of_them > 0].min(initial=np.inf)
    fair = all_of_them <= share * np.minimum.outer(all_of_them, all_of_them).sum(axis=1)
    assert (left[fair] == all_of_them[fair]).all()


@given(SCRIPTS, st.floats(1, 3))
def test_nothing_is_cut_at_a_share_of_one_or_more(scripts, share):
    tokens, owners = (np.array(column) for column in zip(*scripts, strict=True))
    assert capped(tokens, owners, share=share, seed=0).all()


def test_the_choice_is_random_and_repeats_by_seed():
    tokens, owners = np.ones(400, dtype=np.int64), np.repeat([0, 1, 2], [300, 50, 50])
    first, again, other = (capped(tokens, owners, share=0.5, seed=seed) for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert first.sum() == other.sum() == 200 and first[300:].all() and not first[:100].all()
    assert first[:300].nonzero()[0].mean() == pytest.approx(150, abs=25)
