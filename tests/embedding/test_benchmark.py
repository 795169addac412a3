"""Scores of vectors whose right answers are known: made by hand, drawn at random, or planted."""

import doctest

import numpy as np
import pytest
from gensim.models import KeyedVectors
from token_vectors import keyed, rank

import psembed
from psembed.embedding import benchmark
from psembed.embedding.benchmark import Analogy
from psembed.powershell import aliases
from psembed.runtime import intervals
from psembed.runtime.errors import ParameterError


def name(n):
    """A token without digits, which normalising would change."""
    return "token" + "".join("abcdefghij"[int(digit)] for digit in f"{n:04}")


def cloud(size=200, dimension=16, seed=0):
    random = np.random.default_rng(seed)
    return {name(n): row for n, row in enumerate(random.normal(size=(size, dimension)))}


def bounded(report, measure):
    return report[f"{measure}_low"] <= report[measure] <= report[f"{measure}_high"]


PLANE = {
    "iex": [1, 0], "invoke-expression": [0.99, 0.1], "gci": [0, 1], "get-childitem": [-0.1, 1],
    "odd": [-1, -1], "near": [0.6, 0.4],
}  # fmt: skip


# ---- aliases ----


def test_alias_report_by_hand():
    pairs = [("iex", "invoke-expression"), ("gci", "get-childitem"), ("iwr", "invoke-webrequest")]
    report = benchmark.alias_report(keyed(PLANE), pairs, seed=0)
    assert (report["asked"], report["n"], report["missing"]) == (3, 2, [["iwr", "invoke-webrequest"]])
    assert [row["alias"] for row in report["pairs"]] == ["iex", "gci"]
    assert report["mrr"] == report["hit1"] == report["hit10"] == 1.0
    assert report["pairs"][0]["cosine"] == pytest.approx(0.99 / np.hypot(0.99, 0.1), abs=1e-6)


def test_an_alias_pair_is_ranked_in_both_directions():
    """From "odd" others are nearer than on the way back, so the two ranks differ."""
    vectors = keyed(PLANE)
    report = benchmark.alias_report(vectors, [("odd", "get-childitem")], seed=0)
    ranks = rank(vectors, "odd", "get-childitem"), rank(vectors, "get-childitem", "odd")
    assert ranks == (1, 5)
    assert (report["pairs"][0]["command_rank"], report["pairs"][0]["alias_rank"]) == ranks
    assert report["mrr"] == pytest.approx((1 + 1 / 5) / 2) and report["hit1"] == 0.5


def test_an_alias_is_the_command_and_not_the_word():
    table = {"where": [0, 1], "command:where": [1, 0.1], "where-object": [1, 0], "noise": [0.5, 0.5]}
    row = benchmark.alias_report(keyed(table), [("Where", "Where-Object")], seed=0)["pairs"][0]
    assert (row["alias"], row["command_rank"], row["alias_rank"]) == ("command:where", 1, 1)


def test_a_pair_is_rare_if_either_side_is_seldom_a_command():
    pairs = [("iex", "invoke-expression"), ("gci", "get-childitem")]
    counts = dict.fromkeys(PLANE, 5000) | {"gci": 99}
    report = benchmark.alias_report(keyed(PLANE, counts), pairs, seed=0)
    assert (report["n"], report["rare"], report["missing"]) == (1, [["gci", "get-childitem"]], [])
    assert report["pairs"][0]["count"] == 5000
    assert benchmark.alias_report(keyed(PLANE, counts | {"gci": 100}), pairs, seed=0)["n"] == 2
    assert benchmark.alias_report(keyed(PLANE, counts), pairs, seed=0, min_count=99)["n"] == 2
    assert benchmark.alias_report(keyed(PLANE, counts), pairs, seed=0, min_count=5001)["rare"] == [
        list(pair) for pair in pairs
    ]


def test_a_frequent_word_is_no_frequent_command():
    """Where commands are marked, "gci" is never one; "get-childitem" needs no mark to be one."""
    table = PLANE | {"command:iex": [1, 0]}
    pairs = [("iex", "invoke-expression"), ("gci", "get-childitem")]
    report = benchmark.alias_report(keyed(table, dict.fromkeys(table, 5000)), pairs, seed=0)
    assert [row["alias"] for row in report["pairs"]] == ["command:iex"]
    assert report["rare"] == [["gci", "get-childitem"]]


def test_bands_go_by_the_rarer_side():
    table = cloud(12)
    pairs = [(name(n), name(n + 6)) for n in range(6)]
    rarer = [100, 999, 1_000, 9_999, 10_000, 1_000_000]
    counts = {name(n): count for n, count in enumerate(rarer)} | dict.fromkeys(map(name, range(6, 12)), 10**7)
    table |= {name(0): table[name(6)], name(4): table[name(10)]}
    report = benchmark.alias_report(keyed(table, counts), pairs, seed=0)
    assert [(row["band"], row["n"]) for row in report["bands"]] == [
        ("100-999", 2),
        ("1,000-9,999", 2),
        ("10,000+", 2),
    ]
    for band, rows in zip(report["bands"], np.split(np.array(report["pairs"]), 3), strict=True):
        ranks = [row[side] for row in rows for side in ("command_rank", "alias_rank")]
        assert band["mrr"] == pytest.approx(np.mean([1 / rank for rank in ranks]))
        assert band["hit1"] == np.mean([rank == 1 for rank in ranks])
    weights = [row["n"] * row["mrr"] for row in report["bands"]]
    assert report["mrr"] == pytest.approx(sum(weights) / 6)


def test_an_empty_band_says_none():
    bands = benchmark.alias_report(keyed(PLANE), [("iex", "invoke-expression")], seed=0)["bands"]
    assert bands[1:] == [
        {"band": band, "n": 0, "mrr": None, "hit1": None, "hit10": None}
        for band in ("1,000-9,999", "10,000+")
    ]


@pytest.mark.parametrize("pairs", [[], [("iwr", "invoke-webrequest")]])
def test_without_a_pair_every_score_is_none(pairs):
    report = benchmark.alias_report(keyed(PLANE), pairs, seed=0)
    assert (report["n"], report["pairs"], report["missing"]) == (0, [], [list(pair) for pair in pairs])
    for measure in ("mrr", "hit1", "hit10"):
        assert {report[measure + end] for end in ("", "_low", "_high", "_random")} == {None}


def test_random_vectors_are_at_chance_and_planted_pairs_above_it():
    table = cloud(400)
    pairs = [(name(n), name(n + 1)) for n in range(0, 120, 2)]
    expected = np.mean(1 / np.arange(1, 400))
    random = benchmark.alias_report(keyed(table), pairs, seed=1)
    assert random["mrr_low"] < 1.5 * expected and random["mrr"] < 3 * expected
    assert random["mrr_random"] == pytest.approx(expected, rel=0.3)
    assert random["hit10_random"] == pytest.approx(10 / 399, rel=0.3)
    table |= {a: table[b] + 0.05 for a, b in pairs}
    planted = benchmark.alias_report(keyed(table), pairs, seed=1)
    assert planted["mrr_low"] > 0.9 > 0.2 > planted["mrr_random"]
    assert planted == benchmark.alias_report(keyed(table), pairs, seed=1)


def test_intervals_hold_the_estimate_and_are_wider_when_aliases_share_a_command():
    """Half of the pairs are planted: 20 of 40 commands, or 2 of 4 commands with ten aliases each."""
    table = cloud(300)
    apart = [(name(n), name(n + 100)) for n in range(40)]
    table |= {a: table[b] + 0.02 for a, b in apart[:20]}
    together = [(name(n), name(200 + n // 10)) for n in range(40)]
    shared = table | {a: table[b] + 0.02 for a, b in together[:20]} | {a: table[a] for a, _ in together[20:]}
    wide, narrow = (
        benchmark.alias_report(keyed(tokens), pairs, seed=2)
        for tokens, pairs in ((shared, together), (table, apart))
    )
    for report in (wide, narrow):
        assert all(bounded(report, measure) for measure in ("mrr", "hit1", "hit10"))
        assert report["hit10_low"] < report["hit10"] < report["hit10_high"]
    assert wide["hit10_high"] - wide["hit10_low"] > 1.5 * (narrow["hit10_high"] - narrow["hit10_low"])


def test_intervals_are_those_of_a_bootstrap_over_commands_with_both_directions_together():
    table = cloud(60, 4)
    vectors = keyed(table, dict.fromkeys(table, 500))
    report = benchmark.alias_report(vectors, [(name(n), name(50 + n // 5)) for n in range(30)], seed=7)
    pairs = report["pairs"]
    score = np.array([(1 / pair["command_rank"] + 1 / pair["alias_rank"]) / 2 for pair in pairs])
    commands = np.array([vectors.key_to_index[pair["command"]] for pair in pairs])
    expected = intervals.cluster_bootstrap(score, commands, seed=7)
    assert (report["mrr"], report["mrr_low"], report["mrr_high"]) == pytest.approx(expected)


def test_chance_is_matched_in_frequency_and_never_the_token_itself():
    table = cloud(100)
    vectors = keyed(table, counts={token: 1 + 7 * n for n, token in enumerate(table)})
    rows = np.array([[0, 50], [99, 3]])
    drawn = benchmark._frequency_matched(vectors, rows, seed=0, rounds=50)
    assert drawn.shape == (50, 2, 2)
    assert (drawn != rows).all() and (abs(drawn - rows) <= benchmark.NEIGHBOURHOOD).all()
    assert len(np.unique(drawn[:, 0, 1])) > 25


def test_vectors_without_counts_are_refused_with_advice():
    vectors = KeyedVectors(2)
    vectors.add_vectors(["iex", "invoke-expression"], np.eye(2, dtype=np.float32))
    vectors.expandos.pop("count", None)
    for call in (
        lambda: benchmark.alias_report(vectors, [("iex", "invoke-expression")], seed=0),
        lambda: benchmark.run(vectors, seed=0),
    ):
        with pytest.raises(ParameterError, match=r"count.*set_vecattr"):
            call()


# ---- odd ones out ----


def test_odd_report_counts_only_groups_with_vectors():
    right, wrong = ("iex", "invoke-expression", "near", "odd"), ("gci", "near", "iex", "get-childitem", "odd")
    report = benchmark.odd_report(keyed(PLANE), [right, wrong[:4], ("x", "y", "z")])
    assert (report["n"], report["accuracy"], report["chance"]) == (2, 0.5, 0.25)
    assert report["wrong"] == [{"group": list(wrong[:4]), "answer": "iex"}]
    assert report["missing"] == [["x", "y", "z"]]
    assert 0 < report["low"] < 0.5 < report["high"] < 1


def test_chance_of_an_odd_group_is_one_of_its_tokens():
    report = benchmark.odd_report(keyed(cloud()), [tuple(map(name, range(4))), tuple(map(name, range(5)))])
    assert report["chance"] == pytest.approx((1 / 4 + 1 / 5) / 2)


def test_odd_report_of_random_vectors_is_at_chance():
    table = cloud(1200, 8)
    report = benchmark.odd_report(keyed(table), [list(map(name, range(n, n + 4))) for n in range(0, 1200, 4)])
    assert report["low"] < report["chance"] < report["high"]


@pytest.mark.parametrize("groups", [[], [("x", "y", "z")]])
def test_odd_report_without_a_group_says_none(groups):
    report = benchmark.odd_report(keyed(PLANE), groups)
    assert (report["n"], report["wrong"]) == (0, [])
    assert {report[key] for key in ("accuracy", "low", "high", "chance")} == {None}


# ---- analogies ----


def additive(verbs=12, nouns=12, dimension=40, seed=0):
    """Vectors where every verb and every noun is a direction of its own, and 300 tokens of neither."""
    random = np.random.default_rng(seed)
    verb, noun = random.normal(size=(verbs, dimension)), random.normal(size=(nouns, dimension))
    table = {f"{name(v)}-{name(n)}": verb[v] + noun[n] for v in range(verbs) for n in range(nouns)}
    return table | {name(1000 + n): row for n, row in enumerate(random.normal(size=(300, dimension)))}


def questions(n, verbs=12, nouns=12, seed=1):
    random = np.random.default_rng(seed)
    drawn = [(*random.choice(verbs, 2, False), *random.choice(nouns, 2, False)) for _ in range(n)]
    spell = "{}-{}".format
    rows = [[spell(name(x), name(y)) for x, y in ((v, a), (v, b), (w, b), (w, a))] for v, w, a, b in drawn]
    return [Analogy(first, minus, plus, (expected,)) for first, minus, plus, expected in rows]


def test_analogy_report_by_hand():
    vectors = keyed(
        {"king": [1, 1, 0], "man": [0, 1, 0], "woman": [0, 0, 1], "queen": [1, 0, 1], "odd": [1, 0, 0]}
    )
    asked = [
        Analogy("King", "man", "woman", ("queen", "odd")),
        Analogy("king", "man", "woman", ("odd",)),
        Analogy("king", "man", "nobody", ("nothing",)),
    ]
    report = benchmark.analogy_report(vectors, asked, seed=0)
    assert report["questions"] == [
        {"question": "king - man + woman", "expected": "queen", "rank": 1},
        {"question": "king - man + woman", "expected": "odd", "rank": 2},
    ]
    assert report["missing"] == [{"question": "king - man + nobody", "absent": ["nobody", "nothing"]}]
    assert (report["n"], report["top1"], report["hit10"], report["mrr"]) == (2, 0.5, 1.0, 0.75)


def test_an_additive_space_solves_analogies_and_a_random_one_is_at_chance():
    asked, table = questions(200), additive()
    solved = benchmark.analogy_report(keyed(table), asked, seed=0)
    assert solved["top1"] > 0.95 and solved["mrr_low"] > 0.9
    assert solved["top1_random"] < 0.05 and solved["mrr_random"] < 0.1
    random = np.random.default_rng(3)
    shuffled = dict(zip(table, random.permutation(list(table.values())), strict=True))
    chance = np.mean(1 / np.arange(1, len(table) - 2))
    noise = benchmark.analogy_report(keyed(shuffled), asked, seed=0)
    assert noise["mrr"] < 3 * chance and noise["mrr_random"] == pytest.approx(chance, rel=0.4)
    for report in (solved, noise):
        assert all(bounded(report, measure) for measure in ("top1", "hit10", "mrr"))
    assert noise == benchmark.analogy_report(keyed(shuffled), asked, seed=0)


def test_intervals_of_analogies_draw_questions_with_one_answer_together():
    vectors = keyed(additive(verbs=3, nouns=3, dimension=4))
    report = benchmark.analogy_report(vectors, questions(60, verbs=3, nouns=3), seed=7)
    ranks = np.array([row["rank"] for row in report["questions"]])
    answers = np.array([vectors.key_to_index[row["expected"]] for row in report["questions"]])
    expected = intervals.cluster_bootstrap(1 / ranks, answers, seed=7)
    assert (report["mrr"], report["mrr_low"], report["mrr_high"]) == pytest.approx(expected)


def test_a_random_answer_is_no_input():
    """All vectors but the inputs' are far away, so a drawn input would have rank 1."""
    table = {"a": [1, 0], "b": [1, 0.01], "c": [1, 0.02], "d": [1, 0.03]} | {
        name(n): [-1, 0.1 * n] for n in range(3)
    }
    report = benchmark.analogy_report(keyed(table), [Analogy("a", "b", "c", ("d",))], seed=0)
    assert report["top1"] == 1.0 and report["top1_random"] == 0.0


@pytest.mark.parametrize("asked", [[], [Analogy("x", "y", "z", ("w",))]])
def test_analogy_report_without_a_question_says_none(asked):
    report = benchmark.analogy_report(keyed(PLANE), asked, seed=0)
    assert (report["n"], report["questions"], len(report["missing"])) == (0, [], len(asked))
    for measure in ("top1", "hit10", "mrr"):
        assert {report[measure + end] for end in ("", "_low", "_high", "_random")} == {None}


def test_verb_noun_analogies_hold_no_published_token_and_are_solved_by_an_additive_space():
    verbs, nouns = ("get", "set", "new", "remove"), ("job", "item", "user", "process", "service")
    random = np.random.default_rng(0)
    part = {word: random.normal(size=40) for word in verbs + nouns}
    table = {f"{v}-{n}": part[v] + part[n] for v in verbs for n in nouns} | {"-eq": random.normal(size=40)}
    vectors = keyed(table)
    drawn = benchmark.verb_noun_analogies(vectors, n=30, seed=0)
    assert len(drawn) == len(set(drawn)) == 30
    assert drawn == benchmark.verb_noun_analogies(vectors, n=30, seed=0)
    used = {token for item in drawn for token in (item.first, item.minus, item.plus, *item.expected)}
    assert not used & {"get-process", "get-service"}
    assert benchmark.analogy_report(vectors, drawn, seed=0)["top1"] > 0.9
    assert benchmark.verb_noun_analogies(vectors, n=30, seed=0, min_count=10**6) == []


# ---- the whole benchmark ----


@pytest.fixture(scope="module")
def everything():
    """A random vector for every token the benchmark asks for, and an alias beside each command."""
    words = {token for pair in aliases.ALIASES for token in pair}
    words |= {token for groups in benchmark.ODD_GROUPS.values() for group in groups for token in group}
    for item in sum(benchmark.ANALOGIES.values(), ()):
        words |= {item.first, item.minus, item.plus, *item.expected}
    random = np.random.default_rng(0)
    table = {word: random.normal(size=24) for word in sorted(words)}
    table |= {alias: table[cmdlet] + 0.2 * random.normal(size=24) for alias, cmdlet in aliases.ALIASES}
    return keyed(table, dict.fromkeys(table, 2000))


def test_run_asks_each_half_and_both(everything):
    scores = benchmark.run(everything, seed=0)
    assert list(scores) == ["development", "held_out", "all", "summary"]
    asked = {
        half: (
            scores[half]["aliases"]["asked"],
            scores[half]["odd_groups"]["n"],
            scores[half]["analogies"]["n"],
        )
        for half in ("development", "held_out", "all")
    }
    for half in ("development", "held_out"):
        questions = benchmark.ALIAS_SPLIT[half], benchmark.ODD_GROUPS[half], benchmark.ANALOGIES[half]
        assert asked[half] == tuple(map(len, questions))
    assert asked["all"] == tuple(np.add(asked["development"], asked["held_out"]))


def test_the_summary_is_flat_and_agrees_with_the_reports(everything):
    scores = benchmark.run(everything, seed=0)
    assert list(scores["summary"]) == ["development", "held_out", "all"]
    for half, flat in scores["summary"].items():
        assert all(isinstance(value, int | float) for value in flat.values())
        for kind, report in (("alias", "aliases"), ("odd_groups", "odd_groups"), ("analogies", "analogies")):
            assert flat[f"{kind}_n"] == scores[half][report]["n"] > 0
        assert flat["alias_mrr"] == scores[half]["aliases"]["mrr"] > 2 * flat["alias_mrr_random"]
        assert flat["odd_groups_accuracy"] == scores[half]["odd_groups"]["accuracy"]
        assert flat["analogies_top1"] == scores[half]["analogies"]["top1"]


def test_run_asks_one_half_as_it_would_among_both(everything):
    scores = benchmark.run(everything, seed=0, half="held_out")
    assert list(scores) == ["held_out", "summary"] and list(scores["summary"]) == ["held_out"]
    assert scores["held_out"] == benchmark.run(everything, seed=0)["held_out"]


def test_run_of_vectors_that_know_nothing_says_none(everything):
    flat = benchmark.run(keyed(cloud(5)), seed=0, half="development")["summary"]["development"]
    assert flat["alias_n"] == flat["odd_groups_n"] == flat["analogies_n"] == 0
    assert flat["alias_mrr"] is flat["odd_groups_accuracy"] is flat["analogies_mrr_random"] is None


def test_run_refuses_a_half_that_is_none():
    with pytest.raises(ParameterError, match=r"'test'.*development or held_out"):
        benchmark.run(keyed(PLANE), seed=0, half="test")


def test_the_example_of_run_is_true():
    (example,) = doctest.DocTestFinder().find(benchmark.run, "run", globs={"psembed": psembed})
    runner = doctest.DocTestRunner()
    assert runner.run(example).attempted and not runner.failures
