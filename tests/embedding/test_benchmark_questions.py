"""The questions of the benchmark are sound, and their halves stay apart and stay put."""

import zlib
from collections import Counter

import pytest

from psembed.embedding import benchmark
from psembed.powershell import aliases
from psembed.powershell.tokens import tokenize

HALVES = ("development", "held_out")


def analogy_tokens(item):
    return (item.first, item.minus, item.plus, *item.expected)


def test_an_alias_stands_for_one_cmdlet():
    names = [alias for alias, _ in aliases.ALIASES]
    assert len(names) == len(set(names)) == 169
    assert not set(names) & {command for _, command in aliases.ALIASES}
    pairs = {("gci", "get-childitem"), ("?", "where-object"), ("sc", "set-content"), ("gerr", "get-error")}
    assert pairs <= set(aliases.ALIASES)


def test_the_halves_of_the_aliases_share_no_cmdlet_and_hold_every_pair():
    halves = [{command for _, command in benchmark.ALIAS_SPLIT[half]} for half in HALVES]
    assert not halves[0] & halves[1]
    assert sorted(sum(benchmark.ALIAS_SPLIT.values(), ())) == sorted(aliases.ALIASES)
    assert set(benchmark.PUBLISHED_ALIASES.values()) <= set(benchmark.ALIAS_SPLIT["held_out"])


@pytest.mark.parametrize(
    ("table", "half", "n", "checksum"),
    [
        ("ALIAS_SPLIT", "development", 74, 415384438),
        ("ALIAS_SPLIT", "held_out", 94, 1087447213),
        ("ODD_GROUPS", "development", 22, 1527022223),
        ("ODD_GROUPS", "held_out", 21, 572848300),
    ],
)
def test_a_question_never_changes_its_half(table, half, n, checksum):
    """A checksum of the first questions: one that moved to the other half would no longer be a test."""
    questions = sorted(q for q in getattr(benchmark, table)[half] if q != ("gerr", "get-error"))
    assert (len(questions), zlib.crc32(repr(questions).encode())) == (n, checksum)


def test_odd_groups_have_three_of_a_kind_or_more_and_one_that_is_not():
    groups = sum(benchmark.ODD_GROUPS.values(), ())
    assert all(len(group) == len(set(group)) >= 4 for group in groups)
    assert len(set(map(frozenset, groups))) == len(groups)


def test_analogies_have_four_tokens_and_the_halves_share_no_question():
    halves = [[frozenset(analogy_tokens(item)) for item in benchmark.ANALOGIES[half]] for half in HALVES]
    assert min(map(len, halves)) >= 32
    assert all(len(tokens) == 4 for half in halves for tokens in half)
    assert max(Counter(halves[0] + halves[1]).values()) == 1
    assert max(len(one & other) for one in halves[0] for other in halves[1]) <= 2


def test_no_analogy_repeats_a_published_one():
    published = {frozenset(analogy_tokens(item)) for item in benchmark.PUBLISHED_ANALOGIES.values()}
    assert list(benchmark.PUBLISHED_ANALOGIES) == ["C09", "C10", "C11", "C12", "C13"]
    answers = {token for item in benchmark.PUBLISHED_ANALOGIES.values() for token in item.expected}
    assert not answers & {item.expected[0] for item in benchmark.ANALOGIES["development"]}
    for item in sum(benchmark.ANALOGIES.values(), ()):
        assert all(len(question & set(analogy_tokens(item))) < 3 for question in published), item


def test_analogies_read_as_they_are_written():
    first, last = benchmark.ANALOGIES["development"][0], benchmark.ANALOGIES["held_out"][-1]
    assert first == ("start-service", "stop-service", "stop-process", ("start-process",))
    assert last == ("failed", "failure", "success", ("succeeded",))
    assert ("}", "{", "[", ("]",)) in benchmark.ANALOGIES["development"]


def test_every_word_is_one_token_as_it_stands():
    words = [token for pair in aliases.ALIASES for token in pair]
    words += [token for group in sum(benchmark.ODD_GROUPS.values(), ()) for token in group]
    words += [token for item in sum(benchmark.ANALOGIES.values(), ()) for token in analogy_tokens(item)]
    assert [word for word in words if tokenize(word) != [word]] == []
