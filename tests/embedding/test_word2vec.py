import logging
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marking import as_lists
from token_streams import streamed

from psembed.embedding import stream, word2vec
from psembed.powershell.command_position import COMMAND, COMMAND_MARK
from psembed.runtime.errors import CorpusError, ParameterError

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
    changes = [{"window": 1}, {"epochs": 6}, {"negative": 2}, {"sample": 0.1}, {"algorithm": "skipgram"},
               {"repository_cap": 20}]  # fmt: skip
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
    rows = [["sort", "x"]] * 3 + [["command:sort"] * 5] * 2 + [["y", "x"]] * 4
    read = streamed(tmp_path / "stream", rows)
    assert set(learn(read, min_scripts=5).index_to_key) == {"sort", "command:sort", "x"}
    with pytest.raises(CorpusError, match="fewer than two tokens are in 6 scripts"):
        learn(read, min_scripts=6)


def sentences(folder, read, monkeypatch, length):
    """Return the text that gensim is given, a list of words a sentence, and the counts."""
    monkeypatch.setattr(word2vec, "SENTENCE", length)
    names, places, occurrences = word2vec.vocabulary(read, None, 2)
    counts = word2vec._write_text(folder / "text", read.chunks(), places, names)
    assert counts.tolist() == occurrences.tolist()
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


def test_short_words_are_distinct_and_of_three_characters():
    codes = word2vec._short_words(10_000)
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


@pytest.mark.parametrize("rows", [[[]], [[], ["a", "a"]], [[COMMAND_MARK, "a"]], [["command:a", "a"] * 9]])
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


# Which statements a repository may count


def statement(*tokens):
    return [COMMAND_MARK, *tokens]


def drawn(read, kept=None, *, cap, seed=1):
    """Return the tokens that are drawn of each script."""
    return [
        row
        for ids, lengths in word2vec.drawn_statements(read, kept, cap=cap, seed=seed)
        for row in as_lists(read.tokens.gather(ids), lengths).to_list()
    ]


def scripts_of_statements(random, n=60):
    """Scripts of three repositories, some of them empty, of statements that begin alike."""
    rows, sources = [], []
    for _ in range(n):
        row = []
        for _ in range(random.integers(0, 6)):
            others = random.choice(["often", "seldom", "x", "y"], random.integers(0, 4))
            row += statement("common", *others.tolist())
        rows.append(row)
        sources.append(str(random.choice(["one", "two", "few"], p=[0.7, 0.25, 0.05])))
    return rows, sources


def split(row):
    """Cut a script's tokens into statements."""
    begins = [place for place, token in enumerate(row) if token == COMMAND_MARK]
    return [row[begin:end] for begin, end in zip(begins, [*begins[1:], None], strict=False)]


def test_without_a_cap_all_is_read(tmp_path):
    rows, sources = scripts_of_statements(np.random.default_rng(0))
    read = streamed(tmp_path / "stream", rows, sources)
    assert drawn(read, cap=None) == rows and drawn(read, cap=10**6) == rows
    kept = np.arange(len(rows)) % 3 > 0
    assert drawn(read, kept, cap=None) == [row for row, stays in zip(rows, kept, strict=True) if stays]


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 500))
def test_statements_are_drawn_whole_and_a_rare_token_always(tmp_path_factory, seed, cap, chunk):
    random = np.random.default_rng(seed)
    rows, sources = scripts_of_statements(random)
    kept = random.random(len(rows)) < 0.8
    kept[0] = True
    read = streamed(tmp_path_factory.getbasetemp() / "drawn", [*rows, ["end"]], [*sources, "one"])
    kept = np.append(kept, True)
    once = drawn(read, kept, cap=cap, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_TOKENS", chunk)
        assert drawn(read, kept, cap=cap, seed=seed) == once
    given_rows = [(row, name) for row, name, stays in zip(rows, sources, kept, strict=False) if stays]
    assert len(once) == len(given_rows) + 1 and once.pop() == ["end"]
    uses = Counter((name, token) for row, name in given_rows for token in row)
    for (row, name), left in zip(given_rows, once, strict=True):
        whole, parts = split(row), split(left)
        assert [token for part in parts for token in part] == left
        rest = iter(whole)
        assert all(part in rest for part in parts)  # whole ones, in their order
        rare = [part for part in whole if min(uses[name, token] for token in part) <= cap]
        assert all(parts.count(part) == whole.count(part) for part in rare)


def test_of_a_common_token_about_the_cap_is_drawn_in_each_repository(tmp_path):
    rows = [statement("a") * 50] * 80 + [statement("a", "b") * 10] * 40 + [statement("a") * 3] * 10
    sources = ["one"] * 80 + ["two"] * 40 + ["three"] * 10
    read = streamed(tmp_path / "stream", rows, sources)
    left = Counter()
    for row, name in zip(drawn(read, cap=300, seed=5), sources, strict=True):
        left[name] += row.count("a")
    assert left["one"] == pytest.approx(300, abs=5 * 17)  # of 4,000; five standard deviations
    assert left["two"] == pytest.approx(300, abs=5 * 9)  # of 400
    assert left["three"] == 30  # all of them
    again, other = drawn(read, cap=300, seed=5), drawn(read, cap=300, seed=6)
    assert again == drawn(read, cap=300, seed=5) and other != again


def test_the_cap_changes_what_is_learnt_and_not_what_is_counted(tmp_path):
    """Of a repository that uses one word all the time the others learn no less."""
    rows = [statement("alias", "x")] * 30 + [statement("alias", "y")] * 2_000 + [statement("z", "y")] * 30
    sources = [f"few{n}" for n in range(30)] + ["one"] * 2_000 + [f"few{n}" for n in range(30)]
    read = streamed(tmp_path / "stream", rows, sources)
    free, capped = (learn(read, repository_cap=cap, epochs=1) for cap in (None, 10))
    counts = {"alias": 2_030, "x": 30, "y": 2_030, "z": 30}
    for vectors in (free, capped):
        assert {token: vectors.get_vecattr(token, "count") for token in vectors.index_to_key} == counts
    read_by_gensim = Counter(token for row in drawn(read, cap=10, seed=1) for token in row)
    assert read_by_gensim["alias"] < 80 and read_by_gensim["z"] == 30
    assert not np.array_equal(free.vectors, capped.vectors)


MARKED = [[COMMAND_MARK, "command:sort", "x"]] * 30 + [["x", "sort", "y"]] * 10 + [["y", "command:only"]] * 10


@pytest.mark.parametrize("algorithm", word2vec.ALGORITHMS)
def test_commands_get_a_vector_of_their_own(tmp_path, algorithm):
    vectors = learn(streamed(tmp_path / "stream", MARKED), algorithm=algorithm)
    assert vectors.index_to_key == ["x", "command:sort", "y", "command:only", "sort", "only"]
    assert [vectors.get_vecattr(token, "count") for token in vectors.index_to_key] == [40, 30, 20, 10, 10, 0]
    assert not np.array_equal(vectors["sort"], vectors["command:sort"])
    np.testing.assert_array_equal(vectors["only"], vectors["command:only"])


def test_a_rare_command_is_trained_as_the_word(tmp_path):
    rows = [["x", "command:sort", "y"]] * (word2vec.COMMAND_COUNT - 1)
    vectors = learn(streamed(tmp_path / "rare", rows))
    assert vectors.index_to_key == ["sort", "x", "y"]
    assert vectors.get_vecattr("sort", "count") == word2vec.COMMAND_COUNT - 1
    both = learn(streamed(tmp_path / "both", [*rows, ["sort", "x"], ["sort", "y"]]))
    assert both.get_vecattr("sort", "count") == word2vec.COMMAND_COUNT + 1 and "command:sort" not in both
    enough = learn(streamed(tmp_path / "enough", [*rows, rows[0]]))
    assert "command:sort" in enough


def test_a_token_that_was_never_drawn_has_no_vector():
    rows = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])
    vectors = word2vec.named(["a", "never-drawn", f"{COMMAND}b"], np.array([3, 40, 10]), rows)
    assert vectors.index_to_key == [f"{COMMAND}b", "a", "b"]
