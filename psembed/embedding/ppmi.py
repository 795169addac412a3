"""Word vectors by counting: positive pointwise mutual information (PPMI) of tokens and contexts, and its SVD.

It stands beside the study's Word2vec, as ours: Levy, Goldberg and Dagan, "Improving distributional similarity
with lessons learned from word embeddings" (2015), with PowerShell's own context, the parameters of a command.
"""

import re
from collections.abc import Iterator

import numpy as np
from scipy import sparse

from psembed.embedding import word2vec
from psembed.embedding.similarity import unit_rows
from psembed.embedding.stream import RepositoryCap, TokenStream
from psembed.embedding.token_vectors import TokenVectors, Vectors, counts
from psembed.powershell.command_position import COMMAND_MARK
from psembed.runtime.errors import ParameterError

CONTEXTS = ("left", "right", "near", "parameters")
OPEN, CLOSE = ("(", "{", "[", "$(", "@(", "@{", "${"), (")", "}", "]")
_PARAMETER = re.compile(r"-[a-z_][\w*]*$")  # a digit is read as *


def train(
    stream: TokenStream,
    *,
    min_scripts: int,
    dimension: int,
    repository_cap: int | None,
    contexts: tuple[str, ...] = CONTEXTS,
    smoothing: float = 0.75,
    kept: np.ndarray | None = None,
    seed: int,
) -> TokenVectors:
    """Count what stands beside each token, weigh by PPMI, and keep `dimension` singular vectors.

    Contexts are the token to the left, the one to the right, those within two places, and, of a command, the
    parameters given to it. `smoothing` is the power of the contexts' frequencies. Vocabulary, `kept` and
    counts are as in `word2vec.train`.
    """
    from sklearn.utils.extmath import randomized_svd

    names, places, occurrences = word2vec.vocabulary(stream, kept, min_scripts)
    blocks = _counted(stream, kept, names, places, repository_cap, contexts)
    matrix = sparse.hstack([_ppmi(block, smoothing) for block in blocks], format="csr", dtype=np.float32)
    if not 1 <= dimension < len(names):
        raise ParameterError(f"dimension is {dimension}: give at least 1, less than the {len(names)} tokens")
    left, scale, _ = randomized_svd(matrix, dimension, n_iter=3, random_state=seed)
    return word2vec.named(names, occurrences, left * np.sqrt(scale))


def _counted(stream, kept, names, places, cap, contexts) -> list[sparse.csr_matrix]:
    """Return how often each token (row) has each token as a context (column), for each kind of context."""
    size = len(names)
    weigh = RepositoryCap(stream, kept, cap)
    totals = {kind: sparse.csr_matrix((size, size), dtype=np.float32) for kind in contexts}
    syntax = _Syntax(names)
    for ids, lengths in stream.chunks(kept):
        weights = weigh.weights(ids, lengths)
        scripts = np.repeat(np.arange(len(lengths)), lengths)
        for kind, rows, columns, values in _pairs(places[ids], scripts, weights, syntax):
            if kind in totals:
                totals[kind] += sparse.coo_matrix((values, (rows, columns)), shape=(size, size)).tocsr()
    return list(totals.values())


class _Syntax:
    """What the names of n tokens say of their role: bool[n] each, and one more for the unknown token (-1)."""

    def __init__(self, names: list[str]):
        self.mark = names.index(COMMAND_MARK) if COMMAND_MARK in names else len(names)
        self.open = np.array([name in OPEN for name in names] + [False])
        self.close = np.array([name in CLOSE for name in names] + [False])
        self.parameter = np.array([bool(_PARAMETER.match(name)) for name in names] + [False])


def _pairs(tokens, scripts, weights, syntax) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Yield (kind, tokens, contexts, weights) of all pairs in a chunk."""
    heads, parameters = _parameters(tokens, scripts, syntax)
    good = (tokens[heads] >= 0) & (tokens[parameters] >= 0)
    yield "parameters", tokens[heads[good]], tokens[parameters[good]], weights[heads[good]]
    real = (tokens >= 0) & (tokens != syntax.mark)
    tokens, scripts, weights = tokens[real], scripts[real], weights[real]
    for distance in (1, 2):
        same = scripts[distance:] == scripts[:-distance]
        first, second = tokens[:-distance][same], tokens[distance:][same]
        before, after = weights[:-distance][same], weights[distance:][same]
        if distance == 1:
            yield "left", second, first, after
            yield "right", first, second, before
        yield "near", second, first, after
        yield "near", first, second, before


def _parameters(tokens, scripts, syntax) -> tuple[np.ndarray, np.ndarray]:
    """Return places of parameters with those of the commands they are given to.

    That is the last command before it at the same depth of brackets; it may stand on an earlier line.
    """
    opened = syntax.open[tokens]
    depth = np.cumsum(opened.astype(np.int64) - syntax.close[tokens]) - opened
    order = np.lexsort((depth, scripts))  # stable: places in order within a depth of a script
    head = (np.append(False, tokens[:-1] == syntax.mark) & ~syntax.parameter[tokens])[order]
    last = np.maximum.accumulate(np.where(head, np.arange(len(order)), -1))
    group = np.append(True, (np.diff(depth[order]) != 0) | (np.diff(scripts[order]) != 0))
    begins = np.maximum.accumulate(np.where(group, np.arange(len(order)), 0))
    chosen = np.flatnonzero(syntax.parameter[tokens[order]] & (last >= begins))
    return order[last[chosen]], order[chosen]


def _ppmi(table: sparse.csr_matrix, smoothing: float) -> sparse.csr_matrix:
    """Return the positive pointwise mutual information of a table of counts."""
    table = table.tocoo()
    rows, columns = (np.asarray(table.sum(axis=axis)).ravel() for axis in (1, 0))
    powered = columns**smoothing
    share = powered / max(powered.sum(), 1e-12)
    values = np.log(np.maximum(table.data, 1e-12) / (rows[table.row] * share[table.col]))
    good = values > 0
    shape = table.shape
    return sparse.csr_matrix((values[good], (table.row[good], table.col[good])), shape=shape)


def joined(first: Vectors, second: Vectors) -> TokenVectors:
    """Put vectors of the same tokens side by side, each of length 1; the mean and two components are removed.

    Removing what all vectors share is that of Mu and Viswanath, "All-but-the-top" (2018).
    """
    tokens = [token for token in first.index_to_key if token in second.key_to_index]
    sides = [unit_rows(one)[[one.key_to_index[token] for token in tokens]] for one in (first, second)]
    both = np.concatenate(sides, axis=1)
    both -= both.mean(axis=0)
    _, vectors = np.linalg.eigh(both.T @ both)
    top = vectors[:, -2:]
    uses = counts(first)[[first.key_to_index[token] for token in tokens]]
    return TokenVectors(tokens, both - both @ top @ top.T, uses)
