import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from token_vectors import keyed, rank

from psembed.embedding import similarity, token_vectors
from psembed.runtime.errors import ParameterError, UnknownTokenError

PLANE = keyed({
    "iex": [1, 0], "invoke-expression": [0.99, 0.1], "gci": [0, 1], "get-childitem": [-0.1, 1],
    "odd": [-1, -1], "near": [0.6, 0.4],
})  # fmt: skip


def name(n):
    """A token without digits, which normalising would change."""
    return "token" + "abcdefghij"[n // 100] + "abcdefghij"[n // 10 % 10] + "abcdefghij"[n % 10]


def cloud(size=200, dimension=16, seed=0):
    random = np.random.default_rng(seed)
    return {name(n): row for n, row in enumerate(random.normal(size=(size, dimension)))}


def test_nearest_and_rank_by_hand():
    assert [token for token, _ in similarity.nearest(PLANE, "IEX", 2)] == ["invoke-expression", "near"]
    assert similarity.nearest(PLANE, "iex", 1)[0][1] == pytest.approx(0.99 / np.hypot(0.99, 0.1), abs=1e-6)
    assert rank(PLANE, "Invoke-Expression", "IEX") == 1
    assert rank(PLANE, "iex", "near") == 2
    assert rank(PLANE, "iex", "odd") == 5
    assert len(similarity.nearest(PLANE, "iex", 99)) == 5


def test_a_tie_is_no_win():
    same = keyed({"a": [1, 0], "b": [1, 0], "c": [1, 0]})
    assert rank(same, "a", "b") == 2


def test_a_zero_vector_does_no_harm():
    vectors = keyed({"a": [1, 0], "b": [1, 1], "zero": [0, 0]})
    assert rank(vectors, "a", "b") == 1
    assert similarity.nearest(vectors, "a", 2)[1] == ("zero", 0.0)


def test_an_unknown_token_is_named_with_its_nearest_spellings():
    for call in (
        lambda: similarity.nearest(PLANE, "invoke-expresion", 1),
        lambda: rank(PLANE, "iex", "invoke-expresion"),
        lambda: similarity.odd_one_out(PLANE, ["iex", "gci", "invoke-expresion"]),
        lambda: similarity.analogy(PLANE, ["iex"], ["invoke-expresion"], 1),
        lambda: similarity.group_rank(PLANE, ["iex", "invoke-expresion"]),
        lambda: similarity.layout_3d(PLANE, {"g": ["iex", "gci", "invoke-expresion"]}),
    ):
        with pytest.raises(UnknownTokenError, match=r"invoke-expresion.*invoke-expression"):
            call()


def test_a_command_is_taken_as_the_command_it_is():
    vectors = keyed({"where": [0, 1], "command:where": [1, 0.1], "where-object": [1, 0], "noise": [0.5, 0.5]})
    assert token_vectors.command(vectors, "Where") == "command:where"
    assert token_vectors.command(vectors, "Where-Object") == "where-object"
    assert rank(vectors, "command:where", "where-object") == 1
    assert rank(vectors, "where", "where-object") == 2  # after noise; the command is the same word


@pytest.mark.parametrize("block", [1, 3, similarity.BLOCK])
def test_many_ranks_at_once_are_the_ranks_one_by_one(monkeypatch, block):
    vectors = keyed(cloud(30, 4))
    sources, targets = np.divmod(np.arange(900), 30)
    sources, targets = sources[sources != targets], targets[sources != targets]
    cosines = vectors.get_normed_vectors() @ vectors.get_normed_vectors().T
    np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1)
    monkeypatch.setattr(similarity, "BLOCK", block)
    ranks, products = similarity.ranks(vectors, sources, targets)
    assert (order[sources, ranks - 1] == targets).all()
    np.testing.assert_allclose(products, cosines[sources, targets], atol=1e-6)


def test_the_other_sense_of_a_word_is_neither_a_neighbour_nor_a_wrong_answer():
    vectors = keyed({"iex": [1, 0.02], "command:iex": [1, 0.1], "invoke-expression": [1, 0], "far": [0, 1]})
    assert rank(vectors, "iex", "invoke-expression") == 1
    assert rank(vectors, "invoke-expression", "command:iex") == 1
    assert [token for token, _ in similarity.nearest(vectors, "iex", 9)] == ["invoke-expression", "far"]
    assert rank(vectors, "iex", "command:iex") == 2  # asked for it all the same


def test_odd_one_out_by_hand_and_both_wordings():
    vectors = keyed({"$i": [0, 0], "$j": [1, 0], "$k": [0, 1], "$true": [5, 5]})
    answer, distances = similarity.odd_one_out(vectors, ["$i", "$j", "$k", "$TRUE"])
    assert answer == "$true" and distances["$i"] == pytest.approx(np.hypot(1.5, 1.5))
    answer, apart = similarity.odd_one_out(vectors, ["$i", "$j", "$k", "$true"], others=True)
    assert answer == "$true" and apart["$true"] == pytest.approx(np.hypot(5 - 1 / 3, 5 - 1 / 3))


@settings(max_examples=50, deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(3, 7), st.just(3)), elements=st.floats(-8, 8, width=16)))
def test_distance_from_the_others_is_n_over_n_minus_one_times_distance_from_all(points):
    names = [f"t{n}" for n in "abcdefg"[: len(points)]]
    vectors = keyed(dict(zip(names, points, strict=True)))
    _, one = similarity.odd_one_out(vectors, names)
    _, two = similarity.odd_one_out(vectors, names, others=True)
    factor = len(names) / (len(names) - 1)
    assert list(two.values()) == pytest.approx([factor * value for value in one.values()], abs=1e-9)


@pytest.mark.parametrize("tokens", [["iex", "gci"], ["iex", "IEX", "gci"], []])
def test_odd_one_out_needs_three_distinct_tokens(tokens):
    with pytest.raises(ParameterError, match="three or more"):
        similarity.odd_one_out(PLANE, tokens)


def analogy_ranks(vectors, *question):
    """Rank the last of four tokens, first - minus + plus = answer, without the inputs and with them."""
    rows = np.array([[token_vectors.index(vectors, token) for token in question]])
    return tuple(
        similarity.analogy_ranks(vectors, rows[:, :3], rows[:, 3], inputs_excluded=excluded).item()
        for excluded in (True, False)
    )


SQUARE = keyed({
    "get-process": [1, 0, 0, 1], "$processes": [0, 0, 0, 1], "$services": [0, 0, 1, 0],
    "get-service": [1, 0, 1, 0], "noise": [0, 1, 0, 0],
})  # fmt: skip


def test_analogy_finds_the_planted_answer_and_excludes_its_inputs():
    nearest = similarity.analogy(SQUARE, ["Get-Process", "$services"], ["$processes"], 3)
    assert nearest[0][0] == "get-service"
    assert {token for token, _ in nearest} == {"get-service", "noise"}
    rank, rank_all = analogy_ranks(SQUARE, "get-process", "$processes", "$services", "get-service")
    assert rank == 1 and rank_all >= rank


def test_a_rank_among_all_tokens_counts_an_input_that_is_nearer():
    vectors = keyed({"a": [1, 0.1], "b": [0.1, 1], "c": [0.1, 1.1], "answer": [1, 0.6]})
    assert analogy_ranks(vectors, "a", "b", "c", "answer") == (1, 2)


def test_the_other_sense_of_an_input_or_of_the_answer_takes_no_place_in_an_analogy():
    vectors = keyed(
        {"a": [1, 0.1], "b": [0.1, 1], "c": [0.1, 1.1], "command:c": [1, 0.55], "answer": [1, 0.6]}
    )
    assert analogy_ranks(vectors, "a", "b", "c", "answer")[0] == 1
    assert [token for token, _ in similarity.analogy(vectors, ["a", "c"], ["b"], 9)] == ["answer"]
    both = keyed({"a": [1, 0], "b": [0, 1], "c": [0, 1.1], "answer": [1, 0.1], "command:answer": [1, 0]})
    assert analogy_ranks(both, "a", "b", "c", "answer") == (1, 2)


def plain_ranks(vectors, *question):
    """Rank as analogy_ranks does, token by token."""
    first, minus, plus, answer = (vectors.get_vector(token, norm=True) for token in question)
    words = [token.removeprefix("command:") for token in question]
    nearer = [
        token.removeprefix("command:")
        for token in vectors.index_to_key
        if vectors.get_vector(token, norm=True) @ (first - minus + plus) > answer @ (first - minus + plus)
    ]
    others = [word for word in nearer if word != words[3]]
    return 1 + sum(word not in words[:3] for word in others), 1 + len(others)


def test_many_analogies_at_once_are_the_analogies_one_by_one():
    table = cloud(40, 6)
    table |= {f"command:{name(n)}": table[name(n)] + 0.1 for n in range(20)}
    vectors, random = keyed(table), np.random.default_rng(3)
    rows = np.array([random.choice(len(table), size=4, replace=False) for _ in range(200)])
    tokens = [[vectors.index_to_key[row] for row in question] for question in rows]
    plain = np.array([plain_ranks(vectors, *question) for question in tokens])
    for excluded, ranks in zip((True, False), plain.T, strict=True):
        many = similarity.analogy_ranks(vectors, rows[:, :3], rows[:, 3], inputs_excluded=excluded)
        assert many.tolist() == ranks.tolist()


def test_group_rank_by_hand_and_by_chance():
    table = cloud(300)
    for n in range(4):
        table[name(n)] = table[name(0)] + 0.01 * n
    vectors = keyed(table)
    assert similarity.group_rank(vectors, [name(n) for n in range(4)]) == 2.0
    assert 100 < similarity.group_rank(vectors, [name(n) for n in range(20, 40)]) < 200
    with pytest.raises(ParameterError, match="two or more"):
        similarity.group_rank(vectors, [name(1)])


def test_layout_2d_holds_the_sample_and_the_highlights_and_repeats():
    vectors = keyed(cloud(120, 8))
    families = {"first": [name(1), name(2)], "second": [name(3).upper()]}
    with pytest.raises(UnknownTokenError):
        similarity.layout_2d(vectors, {"first": ["absent"]}, {}, seed=0, sample=9)
    joined = {name(1): name(2), "absent": name(3)}
    table = similarity.layout_2d(vectors, families, joined, seed=5, sample=50)
    assert table.columns == ["token", "x", "y", "family", "joined_to"]
    assert table.filter(pl.col("joined_to") != "").select("token", "joined_to").rows() == [(name(1), name(2))]
    assert 50 <= table.height <= 53 and table["token"].n_unique() == table.height
    assert sorted(table.filter(pl.col("family") != "").rows()) == sorted(
        row for row in table.rows() if row[0] in (name(1), name(2), name(3))
    )
    assert table.equals(similarity.layout_2d(vectors, families, joined, seed=5, sample=50))


def test_layout_3d_keeps_distances_of_four_tokens():
    vectors = keyed(cloud(20, 8))
    tokens = [name(1), name(2), name(3), name(4)]
    table = similarity.layout_3d(vectors, {"loops": tokens, "three": tokens[:3]})
    assert table.columns == ["group", "token", "x", "y", "z", "distance"] and table.height == 7
    places = table.filter(pl.col("group") == "loops").select("x", "y", "z").to_numpy()
    truth = vectors.vectors[[token_vectors.index(vectors, token) for token in tokens]]
    np.testing.assert_allclose(
        np.linalg.norm(places[:, None] - places, axis=2),
        np.linalg.norm(truth[:, None] - truth, axis=2), atol=1e-5,
    )  # fmt: skip
    expected = [
        d for group in (tokens, tokens[:3]) for d in similarity.odd_one_out(vectors, group)[1].values()
    ]
    assert table["distance"].to_list() == expected
    assert np.linalg.norm(places, axis=1) == pytest.approx(expected[:4], abs=1e-5)
