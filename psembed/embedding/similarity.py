"""Similarity of tokens: neighbours, ranks, odd ones out, analogies, groups, and maps to draw.

A neighbour is near by cosine, as in word2vec; centres of mass are Euclidean, as in the study. Tokens may be
given as people write them (Invoke-Expression): they are normalised first; "command:sort" is the command,
"sort" the word, and neither counts against the other. A rank of 1 is the nearest; among equally near tokens
the one asked for counts as the last, so that nothing is won by ties.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from psembed.embedding.token_vectors import Vectors, index, other_senses
from psembed.powershell.tokens import normalise
from psembed.runtime.errors import ParameterError

BLOCK = 128  # queries compared with all tokens at once: 31 MB for 60,000 tokens
TINY = np.finfo(np.float32).tiny  # in place of the length of a zero vector


def unit_rows(vectors: Vectors) -> np.ndarray:
    """Return the vectors brought to length 1 (float32); a zero vector stays zero."""
    points = vectors.vectors.astype(np.float32, copy=False)
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), TINY)


def nearest(vectors: Vectors, token: str, n: int) -> list[tuple[str, float]]:
    """Return the `n` tokens nearest to `token`, itself in both senses excluded, and their cosines."""
    return analogy(vectors, [token], [], n)


def analogy(
    vectors: Vectors, positive: Sequence[str], negative: Sequence[str], n: int
) -> list[tuple[str, float]]:
    """Return the `n` tokens nearest by cosine to the sum of `positive` minus `negative`.

    Vectors are brought to length 1 before they are added (3CosAdd, Mikolov et al. 2013). The inputs, in both
    senses, are never an answer.
    """
    added, taken = ([index(vectors, token) for token in group] for group in (positive, negative))
    unit = unit_rows(vectors)
    query = unit[added].sum(axis=0) - unit[taken].sum(axis=0)
    cosines = unit @ (query / max(np.linalg.norm(query), TINY))
    excluded = np.union1d(added + taken, other_senses(vectors)[added + taken])
    cosines[excluded] = -np.inf
    order = np.argsort(-cosines, kind="stable")[: min(n, len(cosines) - len(excluded))]
    return [(vectors.index_to_key[row], float(cosines[row])) for row in order]


def ranks(
    vectors: Vectors, sources: np.ndarray, targets: np.ndarray, ignored: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rank many targets (rows, int[n]) among the neighbours of their sources, at once.

    Rows `ignored` (int[n, k]) are no wrong answers; a source's own row fills what is left there. Returns the
    ranks, int[n], and the cosines of each source and its target, float32[n].
    """
    unit, senses = unit_rows(vectors), other_senses(vectors)
    ignored = sources if ignored is None else ignored
    excluded = np.column_stack([sources, senses[sources], senses[targets], ignored])
    return _ranks(unit, unit[sources], targets, excluded)


def analogy_ranks(
    vectors: Vectors, inputs: np.ndarray, targets: np.ndarray, *, inputs_excluded: bool = True
) -> np.ndarray:
    """Rank many answers to analogies (rows, int[n]) among all tokens, or all but the inputs in both senses.

    `inputs` are the rows of first, minus and plus, int[n, 3]. Returns int[n].
    """
    unit, senses = unit_rows(vectors), other_senses(vectors)
    queries = unit[inputs[:, 0]] - unit[inputs[:, 1]] + unit[inputs[:, 2]]
    excluded = [senses[targets], *([inputs, senses[inputs]] if inputs_excluded else [])]
    return _ranks(unit, queries, targets, np.column_stack(excluded))[0]


def _ranks(
    unit: np.ndarray, queries: np.ndarray, targets: np.ndarray, excluded: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return each target's rank by product with its query, rows `excluded` left out, and that product."""
    ranks, products = np.empty(len(queries), dtype=np.int64), np.empty(len(queries), dtype=np.float32)
    for start in range(0, len(queries), BLOCK):
        block = slice(start, start + BLOCK)
        cosines = queries[block] @ unit.T
        pair = np.arange(len(cosines)), targets[block]
        products[block] = cosines[pair]
        np.put_along_axis(cosines, excluded[block], -np.inf, axis=1)
        cosines[pair] = products[block]
        ranks[block] = np.count_nonzero(cosines >= products[block, None], axis=1)
    return ranks, products


def group_rank(vectors: Vectors, tokens: Sequence[str]) -> float:
    """Return the mean rank of the group's members among each other's neighbours.

    The best possible value for k tokens is k / 2; by chance it is about half the number of tokens.
    """
    rows = [index(vectors, token) for token in tokens]
    pairs = np.array([(a, b) for a in rows for b in rows if a != b]).reshape(-1, 2)
    if not len(pairs):
        raise ParameterError(f"group_rank needs two or more distinct tokens, not {', '.join(tokens)}")
    return float(ranks(vectors, pairs[:, 0], pairs[:, 1])[0].mean())


def odd_one_out(
    vectors: Vectors, tokens: Sequence[str], *, others: bool = False
) -> tuple[str, dict[str, float]]:
    """Return the token farthest from the group's centre of mass (Euclidean), and every token's distance.

    With `others`, each token is measured from the centre of the other ones. For n tokens that distance is n /
    (n - 1) times the first, so both find the same token; the study words C07 in one way and C08 in the other.
    ParameterError if there are fewer than three distinct tokens.
    """
    names = [normalise(token) for token in tokens]
    if len(set(names)) < max(3, len(names)):
        raise ParameterError(f"odd_one_out needs three or more distinct tokens, not {', '.join(names)}")
    points = _points(vectors, names)
    centres = points.mean(axis=0)
    if others:
        centres = (points.sum(axis=0) - points) / (len(names) - 1)
    distances = np.linalg.norm(points - centres, axis=1)
    return names[int(distances.argmax())], dict(zip(names, distances.tolist(), strict=True))


def _points(vectors: Vectors, tokens: Sequence[str]) -> np.ndarray:
    return vectors.vectors[[index(vectors, token) for token in tokens]].astype(np.float64)


def layout_2d(
    vectors: Vectors, highlights: dict[str, Sequence[str]], joined: dict[str, str], *, seed: int, sample: int
) -> pl.DataFrame:
    """Lay out random and highlighted tokens in the plane: t-SNE on vectors of length 1 (Figure 1).

    `highlights`, family name to tokens, are added to the `sample` random ones; `joined` says which token is
    to have a line to which. Returns the columns token, x, y, family and joined_to ("" for the rest).
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    family = {index(vectors, token): name for name, tokens in highlights.items() for token in tokens}
    total = len(vectors.index_to_key)
    drawn = np.random.default_rng(seed).choice(total, size=min(sample, total), replace=False)
    rows = np.unique(np.concatenate([drawn, np.array(list(family), dtype=np.int64)]))
    plane = TSNE(2, init="pca", perplexity=min(30.0, (len(rows) - 1) / 3), random_state=seed, n_jobs=1)
    with threadpool_limits(1):  # sums in a fixed order, and no threads that wait for each other
        x, y = plane.fit_transform(unit_rows(vectors)[rows]).T
    tokens = [vectors.index_to_key[row] for row in rows]
    return pl.DataFrame({
        "token": tokens, "x": x, "y": y, "family": [family.get(row, "") for row in rows],
        "joined_to": [joined.get(token, "") for token in tokens],
    })  # fmt: skip


def layout_3d(vectors: Vectors, groups: dict[str, Sequence[str]]) -> pl.DataFrame:
    """Lay out each group in space by its own principal components (Figure 2); exact for up to four tokens.

    Returns the columns group, token, x, y, z and distance (from the centre of mass, in the full space).
    """
    tables = []
    for group, tokens in groups.items():
        _, distances = odd_one_out(vectors, tokens)
        points = _points(vectors, tokens)
        left, scale, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        x, y, z = np.pad(left * scale, ((0, 0), (0, 3)))[:, :3].T
        names = {"group": [group] * len(distances), "token": list(distances)}
        tables.append(pl.DataFrame({**names, "x": x, "y": y, "z": z, "distance": list(distances.values())}))
    return pl.concat(tables)
