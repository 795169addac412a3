"""What the vectors know of PowerShell: aliases, odd ones out, analogies, groups, and maps to draw.

A neighbour is near by cosine, as in word2vec; centres of mass are Euclidean, as in the study. Tokens may be
given as people write them (Invoke-Expression): they are folded first; "> sort" is the command, "sort" the
word. A rank of 1 is the nearest; among equally near tokens the one asked for counts as the last, so that
nothing is won by ties.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from psembed.embedding import COMMAND
from psembed.errors import ParameterError, UnknownTokenError
from psembed.relations import ALIASES as ALIASES
from psembed.relations import PUBLISHED_ANALOGIES, Analogy
from psembed.tokens import fold, unknown_token_message

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

_VERBS = re.compile(
    "add|clear|convertfrom|convertto|copy|disable|enable|export|get|import|move|new|remove|set|start|stop|test|update"
)
NEIGHBOURHOOD = 25  # a frequency-matched token is at most so many places away in the order by occurrences


def index(vectors: "KeyedVectors", token: str) -> int:
    """Return the row of `token`, folded.

    Raises
    ------
    UnknownTokenError
        If it has no vector; the message gives the nearest spellings.
    """
    try:
        return vectors.key_to_index[fold(token)]
    except KeyError:
        raise UnknownTokenError(unknown_token_message(token, vectors.index_to_key)) from None


def command(vectors: "KeyedVectors", token: str) -> str:
    """Return `token` as a command ("> iex"), or the folded token where it has no vector as one (get-item)."""
    name = fold(token)
    return COMMAND + name if COMMAND + name in vectors.key_to_index else name


def _unit(vectors: "KeyedVectors") -> np.ndarray:
    norms = np.linalg.norm(vectors.vectors, axis=1, keepdims=True)
    return vectors.vectors / np.maximum(norms, np.finfo(np.float32).tiny)


def _twins(vectors: "KeyedVectors") -> np.ndarray:
    """Return for each row the row of the word's other sense ("sort", "> sort"), or the row itself."""
    rows, twins = vectors.key_to_index, np.arange(len(vectors.index_to_key))
    for token, row in rows.items():
        if token.startswith(COMMAND) and token.removeprefix(COMMAND) in rows:
            twins[row], twins[rows[token.removeprefix(COMMAND)]] = rows[token.removeprefix(COMMAND)], row
    return twins


def _ranks(
    vectors: "KeyedVectors", sources: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return per pair of rows the target's rank among the source's neighbours, and their cosine.

    The other sense of the source or of the target is no neighbour: it is the same word.
    """
    unit, twins, pair = _unit(vectors), _twins(vectors), np.arange(len(sources))
    cosines = unit[sources] @ unit.T
    wanted = cosines[pair, targets].copy()
    for same in (sources, twins[sources], twins[targets]):
        cosines[pair, same] = -np.inf
    cosines[pair, targets] = wanted
    return (cosines >= wanted[:, None]).sum(axis=1), wanted


def nearest(vectors: "KeyedVectors", token: str, n: int) -> list[tuple[str, float]]:
    """Return the `n` tokens nearest to `token`, itself in both senses excluded, and their cosines."""
    place, unit = index(vectors, token), _unit(vectors)
    return _top(vectors, unit @ unit[place], [place, int(_twins(vectors)[place])], n)


def _top(vectors: "KeyedVectors", cosines: np.ndarray, without: list[int], n: int) -> list[tuple[str, float]]:
    cosines = cosines.copy()
    cosines[without] = -np.inf
    order = np.argsort(-cosines, kind="stable")[: min(n, len(cosines) - len(set(without)))]
    return [(vectors.index_to_key[place], float(cosines[place])) for place in order]


def rank(vectors: "KeyedVectors", a: str, b: str) -> int:
    """Return the place of `b` among the neighbours of `a` by cosine; 1 is the nearest.

    `a` is no neighbour of itself, and neither sense of a word counts against the other: see `command`.
    """
    pair = np.array([index(vectors, a)]), np.array([index(vectors, b)])
    return int(_ranks(vectors, *pair)[0][0])


def alias_report(
    vectors: "KeyedVectors", pairs: Sequence[tuple[str, str]], *, seed: int, rounds: int = 20
) -> dict:
    """Rank each alias among the neighbours of its command, and the command among those of the alias.

    A token is taken as a command where it has a vector as one: see `command`.
    Chance is measured, not assumed: both tokens of a pair are replaced by random tokens of nearly the same
    number of occurrences (NEIGHBOURHOOD), `rounds` times.

    Returns
    -------
    dict
        pairs : list of dict with alias, command, cosine, command_rank (from the alias), alias_rank (from the
        command). missing : list of [alias, command] that have no vectors. asked, n (pairs found) : int.
        mrr (mean reciprocal rank over both directions), hit1, hit10 (share at rank 1, at most 10),
        mrr_random, hit10_random : float, None where no pair is found.
    """
    known = vectors.key_to_index
    named = [(command(vectors, a), command(vectors, b)) for a, b in pairs]
    found = [(a, b) for a, b in named if a in known and b in known]
    missing = [
        list(pair) for pair, (a, b) in zip(pairs, named, strict=True) if not (a in known and b in known)
    ]
    report = {"asked": len(pairs), "n": len(found), "missing": missing, "pairs": []}
    if not found:
        return report | dict.fromkeys(("mrr", "hit1", "hit10", "mrr_random", "hit10_random"))
    rows = np.array([[known[a], known[b]] for a, b in found])
    ranks, cosines = _both_ways(vectors, rows)
    report["pairs"] = [
        {
            "alias": a,
            "command": b,
            "cosine": float(cosine),
            "command_rank": int(forth),
            "alias_rank": int(back),
        }
        for (a, b), cosine, forth, back in zip(found, cosines[0], *ranks, strict=True)
    ]
    random = [_both_ways(vectors, pair)[0] for pair in _matched(vectors, rows, seed, rounds)]
    chance = np.concatenate(random, axis=1)
    return report | {
        "mrr": float((1 / ranks).mean()),
        "hit1": float((ranks == 1).mean()),
        "hit10": float((ranks <= 10).mean()),
        "mrr_random": float((1 / chance).mean()),
        "hit10_random": float((chance <= 10).mean()),
    }


def _both_ways(vectors: "KeyedVectors", rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    both = [_ranks(vectors, rows[:, 0], rows[:, 1]), _ranks(vectors, rows[:, 1], rows[:, 0])]
    return np.array([ranks for ranks, _ in both]), np.array([cosines for _, cosines in both])


def _matched(vectors: "KeyedVectors", rows: np.ndarray, seed: int, rounds: int) -> list[np.ndarray]:
    """Return `rounds` arrays like `rows`, every token replaced by another of similar frequency."""
    counts = np.array([vectors.get_vecattr(token, "count") for token in vectors.index_to_key])
    order = np.argsort(-counts, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    random, drawn = np.random.default_rng(seed), []
    for _ in range(rounds):
        step = random.integers(1, NEIGHBOURHOOD, size=rows.shape, endpoint=True)
        moved = place[rows] + step * random.choice([-1, 1], size=rows.shape)
        moved = np.where((moved < 0) | (moved >= len(order)), place[rows] - (moved - place[rows]), moved)
        pairs = order[np.clip(moved, 0, len(order) - 1)]
        drawn.append(pairs[pairs[:, 0] != pairs[:, 1]])
    return drawn


def odd_one_out(
    vectors: "KeyedVectors", tokens: Sequence[str], *, others: bool = False
) -> tuple[str, dict[str, float]]:
    """Return the token farthest from the group's centre of mass (Euclidean), and every token's distance.

    With `others`, each token is measured from the centre of the other ones. For n tokens that distance is n /
    (n - 1) times the first, so both find the same token; the study words C07 in one way and C08 in the other.

    Raises
    ------
    ParameterError
        If there are fewer than three distinct tokens.
    """
    names = [fold(token) for token in tokens]
    if len(set(names)) < 3 or len(set(names)) < len(names):
        raise ParameterError(f"odd_one_out needs three or more distinct tokens, not {', '.join(names)}")
    points = vectors.vectors[[index(vectors, name) for name in names]].astype(np.float64)
    centres = points.mean(axis=0)
    if others:
        centres = (points.sum(axis=0) - points) / (len(names) - 1)
    distances = np.linalg.norm(points - centres, axis=1)
    return names[int(distances.argmax())], dict(zip(names, distances.tolist(), strict=True))


def odd_accuracy(vectors: "KeyedVectors", groups: Sequence[Sequence[str]]) -> dict:
    """Return n (groups whose tokens all have vectors), accuracy (None if n is 0) and the wrong answers."""
    answered = [group for group in groups if all(token in vectors.key_to_index for token in group)]
    wrong = [
        {"group": list(group), "answer": answer}
        for group in answered
        if (answer := odd_one_out(vectors, group)[0]) != group[-1]
    ]
    accuracy = 1 - len(wrong) / len(answered) if answered else None
    return {"n": len(answered), "accuracy": accuracy, "wrong": wrong}


def analogy(
    vectors: "KeyedVectors", positive: Sequence[str], negative: Sequence[str], n: int
) -> list[tuple[str, float]]:
    """Return the `n` tokens nearest by cosine to the sum of `positive` minus `negative`, inputs excluded.

    Vectors are brought to length 1 before they are added (3CosAdd, Mikolov et al. 2013). The inputs
    themselves are never an answer, as is usual; `analogy_rank` also says what happens when they are.
    """
    cosines, inputs = _combined(vectors, positive, negative)
    return _top(vectors, cosines, inputs, n)


def analogy_rank(
    vectors: "KeyedVectors", positive: Sequence[str], negative: Sequence[str], expected: str
) -> dict[str, int]:
    """Return the rank of `expected`: "rank" with the inputs excluded, "rank_all" among all tokens."""
    cosines, inputs = _combined(vectors, positive, negative)
    place = index(vectors, expected)
    closer = cosines >= cosines[place]
    without = [row for row in set(inputs) if row != place]
    return {"rank": int(closer.sum() - closer[without].sum()), "rank_all": int(closer.sum())}


def _combined(
    vectors: "KeyedVectors", positive: Sequence[str], negative: Sequence[str]
) -> tuple[np.ndarray, list[int]]:
    added, taken = ([index(vectors, token) for token in group] for group in (positive, negative))
    unit = _unit(vectors)
    query = unit[added].sum(axis=0) - unit[taken].sum(axis=0)
    return unit @ (query / max(np.linalg.norm(query), np.finfo(np.float32).tiny)), added + taken


def verb_noun_analogies(vectors: "KeyedVectors", *, n: int, seed: int, min_count: int = 100) -> list[Analogy]:
    """Draw `n` analogies like get-job - get-service + stop-service = stop-job from cmdlets with vectors.

    Cmdlets of the published analogies are left out; both cmdlets of a noun occur at least `min_count` times.
    Returns fewer when there are no more.
    """
    published = {token for item in PUBLISHED_ANALOGIES.values() for token in (item.first, *item.expected)}
    nouns: dict[str, set[str]] = {}
    for token in vectors.index_to_key:
        verb, dash, noun = token.partition("-")
        frequent = vectors.get_vecattr(token, "count") >= min_count
        if dash and frequent and _VERBS.fullmatch(verb) and token not in published:
            nouns.setdefault(noun, set()).add(verb)
    every = [
        Analogy(f"{verb}-{noun}", f"{verb}-{other}", f"{wanted}-{other}", (f"{wanted}-{noun}",))
        for noun in sorted(nouns) for other in sorted(nouns) if noun != other
        for verb in sorted(nouns[noun] & nouns[other]) for wanted in sorted(nouns[noun] & nouns[other])
        if verb != wanted
    ]  # fmt: skip
    chosen = np.random.default_rng(seed).permutation(len(every))[:n]
    return [every[place] for place in chosen]


def analogy_report(vectors: "KeyedVectors", analogies: Sequence[Analogy]) -> dict:
    """Return n, top1 and mrr (None if n is 0); the first spelling expected counts, inputs are excluded."""
    ranks = np.array([_expected_rank(vectors, item) for item in analogies])
    if not len(ranks):
        return {"n": 0, "top1": None, "mrr": None}
    return {"n": len(ranks), "top1": float((ranks == 1).mean()), "mrr": float((1 / ranks).mean())}


def _expected_rank(vectors: "KeyedVectors", item: Analogy) -> int:
    return analogy_rank(vectors, [item.first, item.plus], [item.minus], item.expected[0])["rank"]


def group_rank(vectors: "KeyedVectors", tokens: Sequence[str]) -> float:
    """Return the mean rank of the group's members among each other's neighbours.

    The best possible value for k tokens is k / 2; by chance it is about half the number of tokens.
    """
    rows = [index(vectors, token) for token in tokens]
    pairs = np.array([(a, b) for a in rows for b in rows if a != b]).reshape(-1, 2)
    if not len(pairs):
        raise ParameterError(f"group_rank needs two or more distinct tokens, not {', '.join(tokens)}")
    return float(_ranks(vectors, pairs[:, 0], pairs[:, 1])[0].mean())


def layout_2d(
    vectors: "KeyedVectors", highlights: dict[str, Sequence[str]], *, seed: int, sample: int = 5000
) -> pl.DataFrame:
    """Lay out random and highlighted tokens in the plane: t-SNE on vectors of length 1 (Figure 1).

    Parameters
    ----------
    highlights : dict
        Family name to tokens; they are added to the `sample` random ones.

    Returns
    -------
    DataFrame
        token, x, y, family ("" for the rest).
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    family = {index(vectors, token): name for name, tokens in highlights.items() for token in tokens}
    total = len(vectors.index_to_key)
    drawn = np.random.default_rng(seed).choice(total, size=min(sample, total), replace=False)
    rows = np.unique(np.concatenate([drawn, np.array(list(family), dtype=np.int64)]))
    perplexity = min(30.0, (len(rows) - 1) / 3)
    plane = TSNE(2, init="pca", perplexity=perplexity, random_state=seed, n_jobs=1)
    with threadpool_limits(
        1
    ):  # sums in a fixed order, and no threads waiting for each other on a busy machine
        places = plane.fit_transform(_unit(vectors)[rows])
    return pl.DataFrame({
        "token": [vectors.index_to_key[row] for row in rows], "x": places[:, 0], "y": places[:, 1],
        "family": [family.get(row, "") for row in rows],
    })  # fmt: skip


def layout_3d(vectors: "KeyedVectors", groups: dict[str, Sequence[str]]) -> pl.DataFrame:
    """Lay out each group in space by its own principal components (Figure 2); exact for up to four tokens.

    Returns
    -------
    DataFrame
        group, token, x, y, z, odd (bool: the odd one out in the full space).
    """
    tables = []
    for name, tokens in groups.items():
        odd, _ = odd_one_out(vectors, tokens)
        points = vectors.vectors[[index(vectors, token) for token in tokens]].astype(np.float64)
        left, scale, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        places = np.zeros((len(points), 3))
        kept = min(3, len(scale))
        places[:, :kept] = (left * scale)[:, :kept]
        tables.append(pl.DataFrame({
            "group": [name] * len(points), "token": [fold(token) for token in tokens],
            "x": places[:, 0], "y": places[:, 1], "z": places[:, 2], "odd": [fold(t) == odd for t in tokens],
        }))  # fmt: skip
    return pl.concat(tables)
