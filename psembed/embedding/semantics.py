"""What may be asked of vectors: neighbours, ranks, odd ones out, analogies, groups, and maps to draw.

A neighbour is near by cosine, as in word2vec; centres of mass are Euclidean, as in the study. Tokens may be
given as people write them (Invoke-Expression): they are normalised first; "> sort" is the command, "sort" the
word. A rank of 1 is the nearest; among equally near tokens the one asked for counts as the last, so that
nothing is won by ties.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from psembed.embedding.word2vec import COMMAND
from psembed.powershell.tokens import normalise, unknown_token_message
from psembed.runtime.errors import ParameterError, UnknownTokenError

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

BLOCK = 128  # queries compared with all tokens at once: 31 MB for 60,000 tokens


def index(vectors: "KeyedVectors", token: str) -> int:
    """Return the row of `token`, normalised.

    Raises
    ------
    UnknownTokenError
        If it has no vector; the message gives the nearest spellings.
    """
    try:
        return vectors.key_to_index[normalise(token)]
    except KeyError:
        raise UnknownTokenError(unknown_token_message(token, vectors.index_to_key)) from None


def command(vectors: "KeyedVectors", token: str) -> str:
    """Return `token` as a command ("> iex"), or normalised where it has no vector as one (get-item)."""
    name = normalise(token)
    return COMMAND + name if COMMAND + name in vectors.key_to_index else name


def unit_rows(vectors: "KeyedVectors") -> np.ndarray:
    """Return the vectors brought to length 1 (float32); a zero vector stays zero."""
    points = vectors.vectors.astype(np.float32, copy=False)
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    return points / np.maximum(norms, np.finfo(np.float32).tiny)


def other_senses(vectors: "KeyedVectors") -> np.ndarray:
    """Return for each row the row of the word's other sense ("sort", "> sort"), or the row itself."""
    rows, twins = vectors.key_to_index, np.arange(len(vectors.index_to_key))
    for token, row in rows.items():
        if token.startswith(COMMAND) and token.removeprefix(COMMAND) in rows:
            twins[row], twins[rows[token.removeprefix(COMMAND)]] = rows[token.removeprefix(COMMAND)], row
    return twins


def ranks(
    vectors: "KeyedVectors", sources: np.ndarray, targets: np.ndarray, besides: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rank many targets among the neighbours of their sources, at once.

    Parameters
    ----------
    sources, targets : int[n]
        Rows. The other sense of the source or of the target is no neighbour: it is the same word.
    besides : int[n, k], optional
        Rows that are no wrong answers either; a source's own row fills what is left.

    Returns
    -------
    ranks : int[n]
    cosines : float32[n]
        Of each source and its target.
    """
    unit, twins = unit_rows(vectors), other_senses(vectors)
    without = np.column_stack([sources, twins[sources], twins[targets]])
    if besides is not None:
        without = np.column_stack([without, besides])
    return _placed(unit, unit[sources], targets, without)


def _placed(
    unit: np.ndarray, queries: np.ndarray, targets: np.ndarray, without: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each target's rank by product with its query, rows `without` left out, and that product."""
    places, found = np.empty(len(queries), dtype=np.int64), np.empty(len(queries), dtype=np.float32)
    for start in range(0, len(queries), BLOCK):
        part = slice(start, start + BLOCK)
        cosines = queries[part] @ unit.T
        pair = np.arange(len(cosines)), targets[part]
        found[part] = cosines[pair]
        np.put_along_axis(cosines, without[part], -np.inf, axis=1)
        cosines[pair] = found[part]
        places[part] = np.count_nonzero(cosines >= found[part, None], axis=1)
    return places, found


def nearest(vectors: "KeyedVectors", token: str, n: int) -> list[tuple[str, float]]:
    """Return the `n` tokens nearest to `token`, itself in both senses excluded, and their cosines."""
    place, unit = index(vectors, token), unit_rows(vectors)
    return _top(vectors, unit @ unit[place], [place, int(other_senses(vectors)[place])], n)


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
    return int(ranks(vectors, *pair)[0][0])


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
    names = [normalise(token) for token in tokens]
    if len(set(names)) < 3 or len(set(names)) < len(names):
        raise ParameterError(f"odd_one_out needs three or more distinct tokens, not {', '.join(names)}")
    points = vectors.vectors[[index(vectors, name) for name in names]].astype(np.float64)
    centres = points.mean(axis=0)
    if others:
        centres = (points.sum(axis=0) - points) / (len(names) - 1)
    distances = np.linalg.norm(points - centres, axis=1)
    return names[int(distances.argmax())], dict(zip(names, distances.tolist(), strict=True))


def analogy(
    vectors: "KeyedVectors", positive: Sequence[str], negative: Sequence[str], n: int
) -> list[tuple[str, float]]:
    """Return the `n` tokens nearest by cosine to the sum of `positive` minus `negative`, inputs excluded.

    Vectors are brought to length 1 before they are added (3CosAdd, Mikolov et al. 2013). The inputs, in both
    senses, are never an answer, as is usual; `analogy_rank` also says what happens when they are.
    """
    cosines, inputs = _combined(vectors, positive, negative)
    return _top(vectors, cosines, inputs, n)


def analogy_rank(
    vectors: "KeyedVectors", positive: Sequence[str], negative: Sequence[str], expected: str
) -> dict[str, int]:
    """Return the rank of `expected`: "rank" with the inputs excluded, "rank_all" among all tokens.

    The other sense of `expected` is no wrong answer.
    """
    cosines, inputs = _combined(vectors, positive, negative)
    place = index(vectors, expected)
    closer = cosines >= cosines[place]
    closer[other_senses(vectors)[place]] = False
    closer[place] = True
    without = [row for row in set(inputs) if row != place]
    return {"rank": int(closer.sum() - closer[without].sum()), "rank_all": int(closer.sum())}


def _combined(
    vectors: "KeyedVectors", positive: Sequence[str], negative: Sequence[str]
) -> tuple[np.ndarray, list[int]]:
    """Return the cosine of every row with the sum, and the rows of the inputs in both senses."""
    added, taken = ([index(vectors, token) for token in group] for group in (positive, negative))
    unit = unit_rows(vectors)
    query = unit[added].sum(axis=0) - unit[taken].sum(axis=0)
    inputs = np.array(added + taken, dtype=np.int64)
    both = np.concatenate([inputs, other_senses(vectors)[inputs]]).tolist()
    return unit @ (query / max(np.linalg.norm(query), np.finfo(np.float32).tiny)), both


def analogy_ranks(vectors: "KeyedVectors", inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Rank many answers, at once, as "rank" of `analogy_rank` does.

    Parameters
    ----------
    inputs : int[n, 3]
        Rows of first, minus and plus.
    targets : int[n]
        Rows of the answers.

    Returns
    -------
    int[n]
    """
    unit, twins = unit_rows(vectors), other_senses(vectors)
    queries = unit[inputs[:, 0]] - unit[inputs[:, 1]] + unit[inputs[:, 2]]
    without = np.column_stack([inputs, twins[inputs], twins[targets]])
    return _placed(unit, queries, targets, without)[0]


def group_rank(vectors: "KeyedVectors", tokens: Sequence[str]) -> float:
    """Return the mean rank of the group's members among each other's neighbours.

    The best possible value for k tokens is k / 2; by chance it is about half the number of tokens.
    """
    rows = [index(vectors, token) for token in tokens]
    pairs = np.array([(a, b) for a in rows for b in rows if a != b]).reshape(-1, 2)
    if not len(pairs):
        raise ParameterError(f"group_rank needs two or more distinct tokens, not {', '.join(tokens)}")
    return float(ranks(vectors, pairs[:, 0], pairs[:, 1])[0].mean())


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
        places = plane.fit_transform(unit_rows(vectors)[rows])
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
        odd, names = odd_one_out(vectors, tokens)[0], [normalise(token) for token in tokens]
        points = vectors.vectors[[index(vectors, token) for token in tokens]].astype(np.float64)
        left, scale, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        places = np.zeros((len(points), 3))
        kept = min(3, len(scale))
        places[:, :kept] = (left * scale)[:, :kept]
        tables.append(pl.DataFrame({
            "group": [name] * len(points), "token": names,
            "x": places[:, 0], "y": places[:, 1], "z": places[:, 2], "odd": [each == odd for each in names],
        }))  # fmt: skip
    return pl.concat(tables)
