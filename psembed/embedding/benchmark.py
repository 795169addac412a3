"""The benchmark: aliases, odd groups and analogies with known answers, scored for any vectors.

The questions (benchmark.toml) are what PowerShell's own documentation and the study say is related, in tokens
as the tokeniser normalises them. They are in two halves: settings may be chosen on "development", "held_out"
and everything PUBLISHED are the test. Scores stand beside chance and have 95% intervals.

Examples
--------
>>> scores = psembed.benchmark.run(psembed.load_vectors(), seed=1, half="development")
>>> list(scores["development"])
['aliases', 'odd_groups', 'analogies']
"""

import math
import re
import tomllib
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from psembed.embedding import similarity
from psembed.embedding.token_vectors import Vectors, command, counts
from psembed.powershell.aliases import ALIASES
from psembed.powershell.command_position import BARE_WORD, COMMAND
from psembed.powershell.tokens import normalise
from psembed.runtime.errors import ParameterError
from psembed.runtime.intervals import binomial_interval, cluster_bootstrap

MIN_COUNT = 100
"""Both sides of an alias pair occur so often as commands, or it is not scored. Fixed before any judging: a
token seen a few times has no vector to speak of, and a limit chosen afterwards would choose the score."""
BANDS = {"100-999": (100, 1_000), "1,000-9,999": (1_000, 10_000), "10,000+": (10_000, math.inf)}
"""Occurrences of the rarer side of a pair, from the first and below the second."""
NEIGHBOURHOOD = 25  # a frequency-matched token is at most so many places away in the order by occurrences
ROUNDS = 20  # random draws for each question, to measure chance
_VERBS = re.compile(
    "add|clear|convertfrom|convertto|copy|disable|enable|export|get|import|move|new|remove|set|start|stop|test|update"
)

_OURS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_STUDY = _OURS["published"]
# Of claims C07, C08 (Figure 2) the tokens and the odd one; of C03 (Figure 1) the families.
PUBLISHED_ODD = {name: (tuple(row.split()[1:]), row.split()[0]) for name, row in _STUDY["odd_groups"].items()}
PUBLISHED_ALIASES, PUBLISHED_GROUPS = (
    {name: tuple(row.split()) for name, row in _STUDY[kind].items()} for kind in ("aliases", "groups")
)
ASKED_BEFORE = tuple(_OURS["aliases"]["asked_before"])
ODD_GROUPS = {half: tuple(tuple(row.split()) for row in rows) for half, rows in _OURS["odd_groups"].items()}


class Analogy(NamedTuple):
    """`first` - `minus` + `plus` is near one of `expected`, whose first spelling is the published one."""

    first: str
    minus: str
    plus: str
    expected: tuple[str, ...]


def _analogy(text: str) -> Analogy:
    first, minus, plus, expected = re.split(" [-+=] ", text)
    return Analogy(first, minus, plus, tuple(expected.split()))


PUBLISHED_ANALOGIES = {claim: _analogy(text) for claim, text in _STUDY["analogies"].items()}
ANALOGIES = {half: tuple(map(_analogy, rows)) for half, rows in _OURS["analogies"].items()}

# The CRC-32 of the cmdlet's name decides, so all aliases of a cmdlet are in one half; the published cmdlets
# are held out.
_HELD_OUT = {command for _, command in PUBLISHED_ALIASES.values()}
_HELD_OUT |= {command for _, command in ALIASES if zlib.crc32(command.encode()) % 2}
ALIAS_SPLIT = {
    half: tuple(pair for pair in ALIASES if (pair[1] in _HELD_OUT) == held)
    for half, held in (("development", False), ("held_out", True))
}


def run(vectors: Vectors, *, seed: int, half: str | None = None, min_count: int = MIN_COUNT) -> dict:
    """Ask vectors, psembed's or your own, every question of the benchmark.

    Parameters
    ----------
    vectors : gensim.models.KeyedVectors, or TokenVectors
        Of n distinct tokens, normalised as `psembed.tokenize` does; float32, shape (n, dimension), with the
        attribute "count", the occurrences of each. Commands may have vectors of their own, "command:sort".
    seed : int
        Of the random draws for chance and for the intervals.
    half : {"development", "held_out"}, optional
        Ask only this half; each half, and "all" (both together), when left out.
    min_count : int
        As `alias_report` takes it.

    Returns
    -------
    dict
        half -> {aliases, odd_groups, analogies}, as the three reports return them; "summary" -> half -> their
        numbers, flat: alias_n, alias_mrr, ..., odd_groups_accuracy, ..., analogies_top1, ... Shares and
        reciprocal ranks are from 0 to 1, and None where no question of the kind has vectors.

    Raises
    ------
    ParameterError
        If there is no such half, or the vectors have no counts.

    Examples
    --------
    >>> scores = psembed.benchmark.run(psembed.load_vectors(), seed=1, half="development")
    >>> [report["n"] for report in scores["development"].values()]
    [14, 20, 46]
    >>> summary = scores["summary"]["development"]
    >>> round(summary["odd_groups_accuracy"], 2), round(summary["odd_groups_chance"], 2)
    (1.0, 0.25)
    """
    asked = {"development": ("development",), "held_out": ("held_out",), "all": ("development", "held_out")}
    if half is not None:
        if half not in ALIAS_SPLIT:
            raise ParameterError(f"half is {half!r}: give {' or '.join(ALIAS_SPLIT)}, or leave it out")
        asked = {half: (half,)}
    reports = {name: _reports(vectors, halves, seed, min_count) for name, halves in asked.items()}
    return {**reports, "summary": {name: _summary(report) for name, report in reports.items()}}


def _reports(vectors: Vectors, halves: tuple[str, ...], seed: int, min_count: int) -> dict[str, dict]:
    pairs = [pair for half in halves for pair in ALIAS_SPLIT[half]]
    groups = [group for half in halves for group in ODD_GROUPS[half]]
    analogies = [analogy for half in halves for analogy in ANALOGIES[half]]
    return {
        "aliases": alias_report(vectors, pairs, seed=seed, min_count=min_count),
        "odd_groups": odd_report(vectors, groups),
        "analogies": analogy_report(vectors, analogies, seed=seed),
    }


def _summary(reports: dict[str, dict]) -> dict[str, float | int | None]:
    return {
        f"{'alias' if kind == 'aliases' else kind}_{name}": value
        for kind, report in reports.items()
        for name, value in report.items()
        if not isinstance(value, list)
    }


def alias_report(
    vectors: Vectors, pairs: Sequence[tuple[str, str]], *, seed: int, min_count: int = MIN_COUNT
) -> dict:
    """Rank each alias among the neighbours of its command, and the command among those of the alias.

    A token is taken as a command where it has a vector as one. Chance is measured, not assumed: both tokens
    of a pair are replaced by random tokens of nearly the same number of occurrences (NEIGHBOURHOOD), ROUNDS
    times. Another alias of the same command is no wrong answer: it is another name of the same thing
    (mrr_strict counts it as one). The intervals are of a bootstrap that draws all aliases of a command, in
    both directions, together. Raises ParameterError if the vectors have no counts.

    It returns asked, n (pairs scored); missing, rare: lists of [alias, command] without a vector, or seen
    less than `min_count` times as commands on one side; pairs: list of dict with alias, command, count (of
    the rarer side), cosine, command_rank (from the alias), alias_rank (from the command); mrr (mean
    reciprocal rank over both directions), hit1, hit10 (share at rank 1, at most 10), each also with _low,
    _high and _random, None where no pair is scored; mrr_strict; bands: list of dict with band, n, mrr, hit1,
    hit10, for each of BANDS.
    """
    scored, missing, rare = _by_frequency(vectors, pairs, min_count)
    rows = _rows(vectors, [pair for *pair, _ in scored], 2)
    random = _frequency_matched(vectors, rows, seed).reshape(-1, 2)
    random = random[random[:, 0] != random[:, 1]]
    ranks, cosines = _both_ways(vectors, rows, _other_aliases(rows))
    strict, chance = (_both_ways(vectors, pairs)[0] for pairs in (rows, random))
    table = [
        {"alias": alias, "command": command, "count": count, "cosine": float(cosine),
         "command_rank": int(to), "alias_rank": int(fro)}
        for (alias, command, count), cosine, to, fro in zip(scored, cosines, *ranks, strict=True)
    ]  # fmt: skip
    return {
        "asked": len(pairs), "n": len(rows), "missing": missing, "rare": rare, "pairs": table,
        **_estimates(_measures(ranks), _measures(chance), np.tile(rows[:, 1], 2), seed),
        "mrr_strict": _means(_measures(strict))["mrr"],
        "bands": [_band(name, ranks, np.array([count for *_, count in scored])) for name in BANDS],
    }  # fmt: skip


def _by_frequency(
    vectors: Vectors, pairs: Sequence[tuple[str, str]], min_count: int
) -> tuple[list[tuple[str, str, int]], list[list[str]], list[list[str]]]:
    """Return the pairs to score, as commands, with the count of the rarer side; the missing; the rare."""
    seen, scored, missing, rare = _command_counts(vectors), [], [], []
    for pair in pairs:
        alias, target = (command(vectors, token) for token in pair)
        count = min(seen.get(alias, -1), seen.get(target, -1))
        if count < 0:
            missing.append(list(pair))
        elif count < min_count:
            rare.append(list(pair))
        else:
            scored.append((alias, target, count))
    return scored, missing, rare


def _command_counts(vectors: Vectors) -> dict[str, int]:
    """Return the occurrences of each token as a command: 0 for a bare word where commands are marked."""
    marked = any(token.startswith(COMMAND) for token in vectors.index_to_key)
    word = re.compile(BARE_WORD)
    return {
        token: 0 if marked and word.match(token) else count
        for token, count in zip(vectors.index_to_key, counts(vectors).tolist(), strict=True)
    }


def _rows(vectors: Vectors, questions: Iterable[Sequence[str]], size: int) -> np.ndarray:
    rows = [[vectors.key_to_index[token] for token in question] for question in questions]
    return np.array(rows, dtype=np.int64).reshape(-1, size)


def _other_aliases(rows: np.ndarray) -> np.ndarray:
    """Return for each pair [alias, command] the rows of the command's other aliases, int[n, n]."""
    others = (rows[:, 1:] == rows[:, 1]) & (rows[:, :1] != rows[:, 0])
    return np.where(others, rows[:, 0], rows[:, :1])


def _both_ways(
    vectors: Vectors, pairs: np.ndarray, ignored: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the ranks of the second of each pair from the first and back, int[2, n], and their cosines."""
    if ignored is not None:
        back = np.where(ignored == pairs[:, :1], pairs[:, 1:], ignored)
        ignored = np.concatenate([ignored, back])
    ranks, cosines = similarity.ranks(vectors, pairs.T.ravel(), pairs[:, ::-1].T.ravel(), ignored)
    return ranks.reshape(2, -1), cosines[: len(pairs)]


def _frequency_matched(vectors: Vectors, rows: np.ndarray, seed: int, rounds: int = ROUNDS) -> np.ndarray:
    """Return `rounds` arrays like `rows`, every row replaced by another of similar frequency."""
    order = np.argsort(-counts(vectors), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    random, shape = np.random.default_rng(seed), (rounds, *rows.shape)
    step = random.integers(1, NEIGHBOURHOOD, size=shape, endpoint=True) * random.choice([-1, 1], size=shape)
    moved = place[rows] + step
    moved = np.where((moved < 0) | (moved >= len(order)), place[rows] - step, moved)
    return order[np.clip(moved, 0, len(order) - 1)]


def _measures(ranks: np.ndarray, first: str = "hit1") -> dict[str, np.ndarray]:
    return {"mrr": 1 / ranks, first: ranks == 1, "hit10": ranks <= 10}


def _means(measures: dict[str, np.ndarray]) -> dict[str, float | None]:
    return {name: float(values.mean()) if values.size else None for name, values in measures.items()}


def _estimates(
    measures: dict[str, np.ndarray], chance: dict[str, np.ndarray], clusters: np.ndarray, seed: int
) -> dict[str, float | None]:
    """Return each mean, its bootstrap interval over whole clusters (_low, _high) and chance (_random)."""
    estimates: dict[str, float | None] = {}
    for name, values in measures.items():
        bounds = cluster_bootstrap(values.ravel(), clusters, seed=seed) if values.size else (None, None, None)
        estimates |= zip((name, f"{name}_low", f"{name}_high"), bounds, strict=True)
    return estimates | {f"{name}_random": mean for name, mean in _means(chance).items()}


def _band(name: str, ranks: np.ndarray, counts: np.ndarray) -> dict:
    low, high = BANDS[name]
    inside = (counts >= low) & (counts < high)
    return {"band": name, "n": int(inside.sum()), **_means(_measures(ranks[:, inside]))}


def odd_report(vectors: Vectors, groups: Sequence[Sequence[str]]) -> dict:
    """Ask for the odd one out of each group; the last token is the right answer.

    It returns n, the groups whose tokens all have vectors; missing, the others; accuracy, low, high (exact
    95% interval), chance (a token drawn from each group), all None if n is 0; wrong: list of dict with group
    and answer.
    """
    answered: list[list[str]] = []
    missing: list[list[str]] = []
    for group in groups:
        known = all(normalise(token) in vectors.key_to_index for token in group)
        (answered if known else missing).append(list(group))
    answers = [(group, similarity.odd_one_out(vectors, group)[0]) for group in answered]
    wrong = [{"group": group, "answer": odd} for group, odd in answers if odd != normalise(group[-1])]
    report = {"n": len(answered), "missing": missing, "wrong": wrong}
    if not answered:
        return report | dict.fromkeys(("accuracy", "low", "high", "chance"))
    right = len(answered) - len(wrong)
    low, high = binomial_interval(right, len(answered))
    chance = float(np.mean([1 / len(group) for group in answered]))
    return report | {"accuracy": right / len(answered), "low": low, "high": high, "chance": chance}


def analogy_report(vectors: Vectors, analogies: Sequence[Analogy], *, seed: int) -> dict:
    """Rank each expected answer by 3CosAdd, the inputs excluded; of several spellings the first counts.

    Chance is the rank of a random token of nearly the same number of occurrences as the answer, ROUNDS times.
    The intervals are of a bootstrap that draws questions with one answer together. Raises ParameterError if
    the vectors have no counts.

    It returns n, the questions whose tokens all have vectors; missing: list of dict with question and absent
    (tokens); mrr, top1, hit10, each also with _low, _high and _random, None if n is 0; questions: list of
    dict with question, expected and rank.
    """
    asked, missing = [], []
    for item in analogies:
        tokens = [normalise(token) for token in (item.first, item.minus, item.plus, item.expected[0])]
        if absent := [token for token in tokens if token not in vectors.key_to_index]:
            missing.append({"question": _question(tokens), "absent": absent})
        else:
            asked.append(tokens)
    rows = _rows(vectors, asked, 4)
    random = np.tile(rows, (ROUNDS, 1))
    random[:, 3] = _frequency_matched(vectors, rows[:, 3], seed).ravel()
    random = random[(random[:, :3] != random[:, 3:]).all(axis=1)]  # no answer is an input
    both = np.concatenate([rows, random])
    ranks, chance = np.split(similarity.analogy_ranks(vectors, both[:, :3], both[:, 3]), [len(rows)])
    return {
        "n": len(asked), "missing": missing,
        **_estimates(_measures(ranks, "top1"), _measures(chance, "top1"), rows[:, 3], seed),
        "questions": [
            {"question": _question(tokens), "expected": tokens[3], "rank": rank}
            for tokens, rank in zip(asked, ranks.tolist(), strict=True)
        ],
    }  # fmt: skip


def _question(tokens: Sequence[str]) -> str:
    return "{} - {} + {}".format(*tokens)


def verb_noun_analogies(vectors: Vectors, *, n: int, seed: int, min_count: int = MIN_COUNT) -> list[Analogy]:
    """Draw `n` analogies like get-job - get-service + stop-service = stop-job from cmdlets with vectors.

    Cmdlets of the published analogies are left out; both cmdlets of a noun occur at least `min_count` times.
    Returns fewer when there are no more.
    """
    published = {token for item in PUBLISHED_ANALOGIES.values() for token in (item.first, *item.expected)}
    nouns: dict[str, set[str]] = {}
    for token, count in zip(vectors.index_to_key, counts(vectors), strict=True):
        verb, dash, noun = token.partition("-")
        if dash and count >= min_count and _VERBS.fullmatch(verb) and token not in published:
            nouns.setdefault(noun, set()).add(verb)
    every = [
        Analogy(f"{verb}-{noun}", f"{verb}-{other}", f"{wanted}-{other}", (f"{wanted}-{noun}",))
        for noun in sorted(nouns) for other in sorted(nouns) if noun != other
        for verb in sorted(nouns[noun] & nouns[other]) for wanted in sorted(nouns[noun] & nouns[other])
        if verb != wanted
    ]  # fmt: skip
    chosen = np.random.default_rng(seed).permutation(len(every))[:n]
    return [every[place] for place in chosen]
