"""PPMI vectors: counts and weights by hand, and what the vectors then know."""

from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from threadpoolctl import threadpool_limits
from token_streams import streamed

from psembed.embedding import ppmi, similarity, stream, token_vectors, word2vec
from psembed.embedding.token_vectors import TokenVectors
from psembed.powershell.command_position import COMMAND, COMMAND_MARK
from psembed.runtime.errors import CorpusError, ParameterError


def table(matrix, names):
    """Return the numbers of a sparse matrix by their tokens."""
    matrix = matrix.tocoo()
    pairs = zip(matrix.row.tolist(), matrix.col.tolist(), matrix.data.tolist(), strict=True)
    return {(names[row], names[column]): value for row, column, value in pairs}


def counted(read, kept=None, *, min_scripts=1, cap=None, contexts=ppmi.CONTEXTS):
    names, places, _ = word2vec.vocabulary(read, kept, min_scripts)
    blocks = ppmi._counted(read, kept, names, places, cap, contexts)
    return {kind: table(block, names) for kind, block in zip(contexts, blocks, strict=True)}


def of_texts(folder, *texts, sources=None):
    named = pl.Series(sources or ["one"] * len(texts))
    return stream.write(folder, [pl.DataFrame({"source": named, "text": texts})])


def both(*pairs):
    return dict(Counter(way for a, b in pairs for way in ((a, b), (b, a))))


# What is counted


def test_counts_of_a_few_tokens_by_hand(tmp_path):
    read = of_texts(tmp_path, "get-x -a $b", "", "$b + $c\n")
    counts = counted(read)
    assert counts["left"] == {("-a", "get-x"): 1, ("$b", "-a"): 1, ("+", "$b"): 1, ("$c", "+"): 1}
    assert counts["right"] == {(b, a): 1 for a, b in counts["left"]}
    near = [("get-x", "-a"), ("-a", "$b"), ("get-x", "$b"), ("$b", "+"), ("+", "$c"), ("$b", "$c")]
    assert counts["near"] == both(*near)
    assert counts["parameters"] == {("get-x", "-a"): 1}
    assert counted(read, np.array([0, 1, 1], dtype=bool))["left"] == {("+", "$b"): 1, ("$c", "+"): 1}
    assert counted(read, contexts=("near", "left")) == {name: counts[name] for name in ("near", "left")}


def test_a_token_beside_itself_counts_both_ways(tmp_path):
    counts = counted(streamed(tmp_path, [["a", "a", "b"]]))
    assert counts["left"] == {("a", "a"): 1, ("b", "a"): 1} and counts["right"] == {
        ("a", "a"): 1,
        ("a", "b"): 1,
    }
    assert counts["near"] == {("a", "a"): 2, ("a", "b"): 2, ("b", "a"): 2}


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("get-a -x (get-b -y) -z", "get-a -x, get-b -y, get-a -z"),
        ("get-a (get-b -x (get-c -w) -y) -z", "get-b -x, get-c -w, get-b -y, get-a -z"),
        ("get-a | get-b -x; get-c -y\nget-d\nget-e -z", "get-b -x, get-c -y, get-e -z"),
        ("get-a { get-b -x } -y", "get-b -x, get-a -y"),
        ("get-a @{ k = get-b -x } -y $(get-c -z) -w", "get-b -x, get-a -y, get-c -z, get-a -w"),
        ("get-a $b[-1] -x @(get-c -y)[0] -z", "get-a -x, get-c -y, get-a -z"),
        ("get-a -x 1 `\n  -y 2 `\n  -z", "get-a -x, get-a -y, get-a -z"),  # goes on with the next line
        ("get-a\n(get-b -x)", "get-b -x"),
        ("$a = get-a -x", "get-a -x"),
        ("get-a -x:$true -yy_2", "get-a -x, get-a -yy_*"),
        ("get-a - -1 --x a-b", ""),
        ("get-a -x -x", "get-a -x, get-a -x"),
        ("if ($a -eq 1) { get-a -x } else { $b }", "$a -eq, get-a -x"),
    ],
)
def test_a_parameter_is_given_to_the_last_command_at_its_depth_of_brackets(tmp_path, text, pairs):
    read = of_texts(tmp_path, "get-before", text, "get-after")
    expected = Counter(tuple(pair.split()) for pair in pairs.split(", ") if pair)
    assert counted(read)["parameters"] == expected


@pytest.mark.parametrize("chunk", [1, 4, 1_000])
def test_scripts_end_all_contexts(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(stream, "CHUNK_TOKENS", chunk)
    mark = COMMAND_MARK
    rows = [[mark, "get-a", "(", "{"], ["-x"], [], [")", ")", mark, "get-b", "-y"], ["-x", "-y"]]
    rows += [[mark, "get-c", "w"], ["-z"]]  # at one depth
    counts = counted(streamed(tmp_path, rows))
    assert counts["parameters"] == {("get-b", "-y"): 1}
    assert ("-x", "{") not in counts["left"] and ("-x", ")") not in counts["right"]
    assert sum(counts["left"].values()) == 2 + 3 + 1 + 1
    assert sum(counts["near"].values()) == 2 * (2 + 1 + 3 + 2 + 1 + 1)


def test_an_unknown_token_is_no_context_and_its_neighbours_move_together(tmp_path):
    mark = COMMAND_MARK
    rows = [
        [mark, "get-a", "-x", "b"],
        [mark, "get-a", "rare1", "b", "-x"],
        [mark, "rare2", "-x", "b"],  # the parameter is the rare command's, not the one's before
        [mark, "get-a", "-rare"],
    ]
    counts = counted(streamed(tmp_path, rows), min_scripts=2)
    assert counts["parameters"] == {("get-a", "-x"): 2}
    assert counts["left"] == {("-x", "get-a"): 1, ("b", "-x"): 2, ("b", "get-a"): 1, ("-x", "b"): 1}


def test_a_rare_command_counts_as_the_word(tmp_path):
    rows = [[COMMAND_MARK, "command:al", "x"], ["al", "x"], ["command:ls", "x"]]
    assert counted(streamed(tmp_path / "a", rows))["left"] == {("x", "al"): 2, ("x", "ls"): 1}
    often = counted(streamed(tmp_path / "b", rows + [["command:ls", "x"]] * word2vec.COMMAND_COUNT))
    assert often["left"] == {("x", "al"): 2, ("x", "command:ls"): 1 + word2vec.COMMAND_COUNT}


def test_each_use_counts_as_much_as_its_repository_may(tmp_path):
    rows = [["a", "b"]] * 4 + [["a", "c"]]
    read = streamed(tmp_path, rows, ["one"] * 4 + ["two"])
    counts = counted(read, cap=1)
    # A pair weighs as its row does: a is used four times by the one and once by the other.
    assert counts["right"] == {("a", "b"): 1, ("a", "c"): 1}
    assert counts["left"] == {("b", "a"): 1, ("c", "a"): 1}
    assert counted(read, cap=3)["right"] == {("a", "b"): 3, ("a", "c"): 1}
    params = streamed(tmp_path / "p", [[COMMAND_MARK, "get-a", "-x", "-y"]] * 4)
    assert counted(params, cap=2)["parameters"] == {("get-a", "-x"): 2, ("get-a", "-y"): 2}
    one = streamed(tmp_path / "o", [[COMMAND_MARK, "get-a", "-x", "get-a"]])
    assert counted(one, cap=1)["parameters"] == {("get-a", "-x"): 0.5}


def by_hand(scripts, known, cap):
    """Count all contexts with plain loops; `scripts` are (repository, tokens)."""
    uses = Counter((name, token) for name, row in scripts for token in row)
    counts = {kind: Counter() for kind in ppmi.CONTEXTS}
    for name, row in scripts:
        weight = {token: min(1, cap / uses[name, token]) for token in row}
        real = [token for token in row if token in known and token != COMMAND_MARK]
        for place, token in enumerate(real):
            for distance in (-2, -1, 1, 2):
                if 0 <= place + distance < len(real):
                    pair = token, real[place + distance]
                    counts["near"][pair] += weight[token]
                    if abs(distance) == 1:
                        counts["left" if distance < 0 else "right"][pair] += weight[token]
        depth, heads = 0, {}
        for before, token in zip(["", *row], row, strict=False):
            depth -= token in ppmi.CLOSE and token in known
            if before == COMMAND_MARK and not token.startswith("-"):
                heads[depth] = token
            if token.startswith("-") and token in known and heads.get(depth, "?") in known:
                counts["parameters"][heads[depth], token] += weight[heads[depth]]
            depth += token in ppmi.OPEN and token in known
    return counts


TOKENS = [COMMAND_MARK, COMMAND_MARK, "get-a", "get-b", "get-c", "-x", "-y", "(", ")", "{", "}", "$(", "z"]
SCRIPTS = st.lists(
    st.tuples(
        st.sampled_from("st"),
        st.lists(st.sampled_from(TOKENS), max_size=14).map(lambda row: [*row, "z", "w"]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(SCRIPTS, st.integers(1, 3), st.integers(1, 4), st.integers(1, 40))
def test_counts_are_those_of_a_count_by_hand(tmp_path_factory, scripts, min_scripts, cap, chunk):
    min_scripts = min(min_scripts, len(scripts))
    holders = Counter(token for _, row in scripts for token in set(row))
    known = {token for token, n in holders.items() if n >= min_scripts or token == COMMAND_MARK}
    read = streamed(
        tmp_path_factory.getbasetemp() / "ppmi", [row for _, row in scripts], [name for name, _ in scripts]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "CHUNK_TOKENS", chunk)
        counts = counted(read, min_scripts=min_scripts, cap=cap)
    for kind, expected in by_hand(scripts, known, cap).items():
        assert counts[kind] == pytest.approx(expected, rel=1e-5), kind


# How counts are weighed


@pytest.mark.parametrize(
    ("rows", "smoothing", "expected"),
    [
        # P(context | token) over the context's share; columns of 16 and 1 are shares of 8 and 1 in 9 at 0.75.
        ([[15, 1], [1, 0]], 1, {(0, 1): 17 / 16, (1, 0): 17 / 16}),
        ([[15, 1], [1, 0]], 0.75, {(0, 0): 135 / 128, (1, 0): 9 / 8}),
        ([[15, 1], [1, 0]], 0, {(0, 0): 15 / 8, (1, 0): 2}),
        ([[2, 1, 0], [0, 1, 0], [0, 0, 0]], 1, {(0, 0): 4 / 3, (1, 1): 2}),
        ([[1, 1], [1, 1]], 1, {}),
        ([[0.5, 0], [0, 0.25]], 1, {(0, 0): 3 / 2, (1, 1): 3}),
        ([[0, 0], [0, 0]], 0.75, {}),
    ],
)
def test_ppmi_by_hand(rows, smoothing, expected):
    matrix = ppmi._ppmi(sparse.csr_matrix(np.array(rows, dtype=np.float32)), smoothing)
    assert matrix.shape == (len(rows), len(rows))
    found = {key: np.exp(value) for key, value in table(matrix, range(len(rows))).items()}
    assert found == pytest.approx(expected, rel=1e-6)


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=3, max_size=3), st.floats(0.2, 1)
)
def test_ppmi_is_what_the_formula_says(rows, smoothing):
    counts = np.array(rows, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = counts.sum(axis=0) ** smoothing
        expected = np.log(counts / counts.sum(axis=1, keepdims=True) / (share / share.sum()))
    expected = np.where(counts > 0, np.maximum(expected, 0), 0)
    found = ppmi._ppmi(sparse.csr_matrix(counts), smoothing).toarray()
    np.testing.assert_allclose(found, expected, atol=1e-6)


# Vectors


def corpus(n=400, seed=0):
    """Commands with parameters of their own, two of which have an alias that is used alike."""
    random = np.random.default_rng(seed)
    aliases = {"get-long": COMMAND + "gl", "set-other": COMMAND + "so"}
    parameters = {"get-long": ["-path", "-all"], "set-other": ["-value", "-force"], "new-third": ["-size"]}
    rows = []
    for _ in range(n):
        row = []
        for _ in range(3):
            name = str(random.choice(list(parameters)))
            given_to = str(random.choice(parameters[name]))
            spelled = aliases[name] if name in aliases and random.random() < 0.3 else name
            row += [
                COMMAND_MARK,
                spelled,
                str(random.choice(["$a", "$b", "$c"])),
                given_to,
                f"{name[:3]}*",
                ";",
            ]
        rows.append(row)
    return rows


SETTINGS = {"min_scripts": 2, "dimension": 6, "repository_cap": None, "seed": 1}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return streamed(tmp_path_factory.mktemp("planted") / "stream", corpus())


def test_a_planted_alias_is_nearest_to_its_command(planted):
    for change in (
        {},
        {"repository_cap": 50},
        {"contexts": ppmi.CONTEXTS[:3]},
        {"contexts": ("parameters",), "dimension": 3},
    ):
        vectors = ppmi.train(planted, **SETTINGS | change)
        for alias, command in (("gl", "get-long"), ("so", "set-other")):
            commands = [name for name in vectors.index_to_key if "-" in name[1:] or name.startswith(COMMAND)]
            near = [
                name
                for name, _ in similarity.nearest(vectors, COMMAND + alias, len(vectors.index_to_key) - 1)
            ]
            assert next(name for name in near if name in commands) == command, change


def test_vectors_are_of_the_tokens_and_counts_that_word2vec_learns(planted):
    vectors = ppmi.train(planted, **SETTINGS)
    other = word2vec.train(planted, min_scripts=2, dimension=6, window=2, epochs=1, seed=1)
    assert vectors.index_to_key == other.index_to_key and COMMAND_MARK not in vectors.key_to_index
    assert token_vectors.counts(vectors).tolist() == token_vectors.counts(other).tolist()
    assert vectors.vectors.dtype == np.float32 and vectors.vectors.shape == (len(other), 6)
    np.testing.assert_array_equal(
        vectors.vectors[vectors.key_to_index["gl"]], vectors.vectors[vectors.key_to_index["command:gl"]]
    )


def test_products_of_vectors_of_full_dimension_are_those_of_the_weighed_counts(tmp_path):
    """Singular vectors times the root of their value: V V' is the root of M M'."""
    read = streamed(tmp_path, [list("abcabdeab"), list("cdecabaec")])
    names, places, _ = word2vec.vocabulary(read, None, 1)
    blocks = [ppmi._ppmi(one, 0.75) for one in ppmi._counted(read, None, names, places, None, ppmi.CONTEXTS)]
    matrix = sparse.hstack(blocks).toarray()
    vectors = ppmi.train(read, **SETTINGS | {"min_scripts": 1, "dimension": 4})
    rows = vectors.vectors[[vectors.key_to_index[name] for name in names]].astype(np.float64)
    left, scale, _ = np.linalg.svd(matrix, full_matrices=False)
    np.testing.assert_allclose(rows @ rows.T, left[:, :4] * scale[:4] @ left[:, :4].T, atol=1e-4)


def test_the_same_seed_gives_the_same_vectors_with_one_thread(planted):
    with threadpool_limits(1):
        first, again = (ppmi.train(planted, **SETTINGS) for _ in range(2))
    np.testing.assert_array_equal(first.vectors, again.vectors)
    for change in ({"repository_cap": 5}, {"smoothing": 1.0}, {"contexts": ("left", "right")}):
        assert not np.allclose(ppmi.train(planted, **SETTINGS | change).vectors, first.vectors, atol=1e-3), (
            change
        )


def test_only_kept_scripts_are_counted(tmp_path):
    rows = corpus(120)
    read, first = streamed(tmp_path / "all", rows), streamed(tmp_path / "first", rows[:60])
    with threadpool_limits(1):
        part = ppmi.train(read, kept=np.arange(120) < 60, **SETTINGS)
        alone = ppmi.train(first, **SETTINGS)
    assert part.index_to_key == alone.index_to_key
    np.testing.assert_allclose(part.vectors @ part.vectors.T, alone.vectors @ alone.vectors.T, atol=1e-3)


@pytest.mark.parametrize("dimension", [0, -1, 4, 100])
def test_a_dimension_that_cannot_be_is_refused(tmp_path, dimension):
    read = streamed(tmp_path, [list("abcd"), list("badc")])
    with pytest.raises(ParameterError, match=f"dimension is {dimension}: .* 4 tokens"):
        ppmi.train(read, **SETTINGS | {"dimension": dimension})
    assert ppmi.train(read, **SETTINGS | {"dimension": 3}).vectors.shape == (4, 3)


def test_nothing_to_learn_from_is_a_corpus_error(planted):
    for change in ({"min_scripts": 10**6}, {"kept": np.zeros(len(planted), dtype=bool)}):
        with pytest.raises(CorpusError, match="fewer than two tokens"):
            ppmi.train(planted, **SETTINGS | {"repository_cap": 5} | change)


# Joined


def made(tokens, dimension, seed, *, length=1.0):
    rows = np.random.default_rng(seed).normal(size=(len(tokens), dimension)) * length
    return TokenVectors(tokens, rows, np.arange(len(tokens), 0, -1) * 10)


def test_joined_vectors_are_both_sides_without_what_all_share():
    tokens = [f"t{n}" for n in range(30)]
    first, second = made(tokens, 5, 1), made([*tokens[:0:-1], "only here"], 4, 2)
    joined = ppmi.joined(first, second)
    assert joined.index_to_key == tokens[1:] and joined.vectors.shape == (29, 9)
    assert token_vectors.counts(joined).tolist() == token_vectors.counts(first).tolist()[1:]
    sides = [
        np.stack([one.vectors[one.key_to_index[token]] for token in tokens[1:]]).astype(np.float64)
        for one in (first, second)
    ]
    expected = np.hstack([side / np.linalg.norm(side, axis=1)[:, None] for side in sides])
    expected -= expected.mean(axis=0)
    *_, components = np.linalg.svd(expected, full_matrices=False)
    expected -= expected @ components[:2].T @ components[:2]
    np.testing.assert_allclose(joined.vectors, expected, atol=1e-5)
    np.testing.assert_allclose(joined.vectors.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(joined.vectors @ components[:2].T, 0, atol=1e-5)
    assert np.linalg.matrix_rank(joined.vectors, tol=1e-4) == 7


def test_how_long_a_side_is_does_not_matter_and_no_length_is_no_error():
    tokens = [f"t{n}" for n in range(30)]
    first, second = made(tokens, 5, 1), made(tokens, 4, 2)
    joined = ppmi.joined(first, second)
    longer = ppmi.joined(made(tokens, 5, 1, length=100), made(tokens, 4, 2, length=0.01))
    np.testing.assert_allclose(longer.vectors, joined.vectors, atol=1e-5)
    first.vectors[3] = 0
    assert np.isfinite(ppmi.joined(first, second).vectors).all()
    given_before = first.vectors.copy()
    ppmi.joined(first, second)
    np.testing.assert_array_equal(first.vectors, given_before)
