"""The study's own questions (claims C03 to C13), asked of any vectors, each with one right answer.

A token without a vector leaves its question unanswered; `missing` names it. Nothing is substituted.
"""

from collections.abc import Callable, Sequence

import numpy as np

from psembed.embedding import similarity
from psembed.embedding.benchmark import (
    PUBLISHED_ALIASES,
    PUBLISHED_ANALOGIES,
    PUBLISHED_GROUPS,
    PUBLISHED_ODD,
    Analogy,
)
from psembed.embedding.token_vectors import Vectors, command

GROUPS = dict(zip(("operators", "policies"), PUBLISHED_GROUPS.values(), strict=True))
PANELS = {"window styles and bypass": PUBLISHED_ODD["C08"][0], "variables and $true": PUBLISHED_ODD["C07"][0]}
"""The two token groups of Figure 2, left and right."""


def answers(vectors: Vectors) -> dict[str, dict | list]:
    """Ask every published question.

    It returns aliases: alias -> {target, rank, reverse_rank, cosine}; odd_one_out: claim -> {odd, expected,
    distances}; analogies: claim -> {question, expected, top1, rank, rank_all, top5}; groups: {"C03":
    {operators: {mean_rank}, policies: {mean_rank}, vocabulary}}; missing: of each question without an answer
    the first token that has no vector. Ranks count from 1.
    """
    missing: list[str] = []

    def answer(ask: Callable[..., dict], tokens: Sequence[str], *question: object) -> dict:
        absent = [token for token in tokens if token not in vectors.key_to_index]
        missing.extend(absent[:1])
        return {} if absent else ask(vectors, tokens, *question)

    pairs = {alias: (command(vectors, alias), target) for alias, target in PUBLISHED_ALIASES.values()}
    return {
        "aliases": {alias: answer(_alias, pair) for alias, pair in pairs.items()},
        "odd_one_out": {claim: answer(_odd_one_out, *group) for claim, group in PUBLISHED_ODD.items()},
        "analogies": {claim: answer(_analogy, _terms(item)) for claim, item in PUBLISHED_ANALOGIES.items()},
        "groups": {
            "C03": {name: answer(_group, tokens) for name, tokens in GROUPS.items()}
            | {"vocabulary": len(vectors.index_to_key)}
        },
        "missing": missing,
    }


def highlights(vectors: Vectors) -> dict[str, list[str]]:
    """Return the token families highlighted in Figure 1, as far as they have vectors."""
    aliases = tuple(token for pair in alias_pairs(vectors).items() for token in pair)
    styles = PUBLISHED_ODD["C08"][0][1:]
    families = PUBLISHED_GROUPS | {"aliases and their commands": aliases, "window styles": styles}
    return with_vectors(vectors, families)


def alias_pairs(vectors: Vectors) -> dict[str, str]:
    """Return the published aliases, each with its command: Figure 1 joins them by a line."""
    return {command(vectors, alias): command(vectors, name) for alias, name in PUBLISHED_ALIASES.values()}


def with_vectors(vectors: Vectors, families: dict[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Return the families with the tokens that have a vector; a family without one is left out."""
    known = {name: [t for t in tokens if t in vectors.key_to_index] for name, tokens in families.items()}
    return {name: tokens for name, tokens in known.items() if tokens}


def _alias(vectors: Vectors, pair: tuple[str, str]) -> dict:
    rows = np.array([vectors.key_to_index[token] for token in pair])
    (rank, reverse), (cosine, _) = similarity.ranks(vectors, rows, rows[::-1])
    return {"target": pair[1], "rank": int(rank), "reverse_rank": int(reverse), "cosine": float(cosine)}


def _odd_one_out(vectors: Vectors, tokens: tuple[str, ...], expected: str) -> dict:
    odd, distances = similarity.odd_one_out(vectors, tokens, others=expected == "bypass")
    return {"odd": odd, "expected": expected, "distances": distances}


def _terms(item: Analogy) -> tuple[str, ...]:
    """Ask for the last spelling expected: the language's own (-ne, where the study prints -neq)."""
    return item.first, item.minus, item.plus, item.expected[-1]


def _analogy(vectors: Vectors, terms: tuple[str, ...]) -> dict:
    first, minus, plus, expected = terms
    rows = np.array([[vectors.key_to_index[token] for token in terms]])
    rank, rank_all = (
        int(similarity.analogy_ranks(vectors, rows[:, :3], rows[:, 3], inputs_excluded=excluded)[0])
        for excluded in (True, False)
    )
    top5 = [token for token, _ in similarity.analogy(vectors, [first, plus], [minus], 5)]
    return {
        "question": f"{first} - {minus} + {plus}",
        "expected": expected,
        "top1": top5[0],
        "rank": rank,
        "rank_all": rank_all,
        "top5": top5,
    }


def _group(vectors: Vectors, tokens: tuple[str, ...]) -> dict:
    return {"mean_rank": similarity.group_rank(vectors, tokens)}
