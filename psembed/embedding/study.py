"""The study's own questions (claims C03 to C13), asked of any vectors, each with one right answer.

A token without a vector leaves its question unanswered; `missing` names it. Nothing is substituted.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from psembed.embedding import semantics
from psembed.embedding.relations import (
    PUBLISHED_ALIASES,
    PUBLISHED_ANALOGIES,
    PUBLISHED_GROUPS,
    PUBLISHED_ODD,
    Analogy,
)
from psembed.runtime.errors import UnknownTokenError

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

GROUPS = dict(zip(("operators", "policies"), PUBLISHED_GROUPS.values(), strict=True))
PANELS = {"window styles and bypass": PUBLISHED_ODD["C08"][0], "variables and $true": PUBLISHED_ODD["C07"][0]}
"""The two token groups of Figure 2, left and right."""


def answers(vectors: "KeyedVectors") -> dict[str, dict | list]:
    """Ask every published question.

    Returns
    -------
    dict
        aliases: alias -> {target, rank, reverse_rank, cosine}; odd_one_out: claim -> {odd, expected,
        distances}; analogies: claim -> {question, expected, top1, rank, rank_all, top5}; groups: {"C03":
        {operators: {mean_rank}, policies: {mean_rank}, vocabulary}}; missing: tokens asked for that have no
        vector. Ranks count from 1.
    """
    missing: list[str] = []
    questions = {
        "aliases": {alias: (_alias, (alias, command)) for alias, command in PUBLISHED_ALIASES.values()},
        "odd_one_out": {claim: (_odd, group) for claim, group in PUBLISHED_ODD.items()},
        "analogies": {claim: (_analogy, item) for claim, item in PUBLISHED_ANALOGIES.items()},
        "C03": {name: (_group, tokens) for name, tokens in GROUPS.items()},
    }
    found = {
        kind: {name: _asked(ask, vectors, question, missing) for name, (ask, question) in asked.items()}
        for kind, asked in questions.items()
    }
    groups = {"C03": {**found.pop("C03"), "vocabulary": len(vectors)}}
    return {**found, "groups": groups, "missing": missing}


def lit(vectors: "KeyedVectors") -> dict[str, list[str]]:
    """Return the token families highlighted in Figure 1, as far as they have vectors."""
    aliases = [semantics.command(vectors, token) for pair in PUBLISHED_ALIASES.values() for token in pair]
    styles = PUBLISHED_ODD["C08"][0][1:]
    return present(vectors, {**PUBLISHED_GROUPS, "aliases": tuple(aliases), "window styles": styles})


def present(vectors: "KeyedVectors", families: dict[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Return the families with the tokens that have a vector; a family without one is left out."""
    kept = {name: [t for t in tokens if t in vectors.key_to_index] for name, tokens in families.items()}
    return {name: tokens for name, tokens in kept.items() if tokens}


def _asked(ask: Callable, vectors: "KeyedVectors", question: tuple, missing: list[str]) -> dict:
    try:
        return ask(vectors, question)
    except UnknownTokenError as error:
        missing.append(str(error).split("'")[1])
        return {}


def _alias(vectors: "KeyedVectors", pair: tuple[str, str]) -> dict:
    alias, command = semantics.command(vectors, pair[0]), pair[1]
    return {
        "target": command,
        "rank": semantics.rank(vectors, alias, command),
        "reverse_rank": semantics.rank(vectors, command, alias),
        "cosine": float(vectors.similarity(alias, command)),
    }


def _odd(vectors: "KeyedVectors", group: tuple[tuple[str, ...], str]) -> dict:
    tokens, expected = group
    odd, distances = semantics.odd_one_out(vectors, tokens, others=expected == "bypass")
    return {"odd": odd, "expected": expected, "distances": distances}


def _analogy(vectors: "KeyedVectors", item: Analogy) -> dict:
    """Ask for the last spelling expected: the language's own (-ne, where the study prints -neq)."""
    terms, expected = ([item.first, item.plus], [item.minus]), item.expected[-1]
    ranks = semantics.analogy_rank(vectors, *terms, expected)
    top5 = [token for token, _ in semantics.analogy(vectors, *terms, 5)]
    question = f"{item.first} - {item.minus} + {item.plus}"
    return {"question": question, "expected": expected, "top1": top5[0], **ranks, "top5": top5}


def _group(vectors: "KeyedVectors", tokens: tuple[str, ...]) -> dict:
    return {"mean_rank": semantics.group_rank(vectors, tokens)}
