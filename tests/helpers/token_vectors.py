"""Vectors made by hand, for tests."""

import numpy as np
from gensim.models import KeyedVectors

from psembed.embedding import similarity, token_vectors


def keyed(table, counts=None, *, first=1000):
    """Vectors of the tokens of `table`; without `counts` they occur `first`, `first` - 1, ... times."""
    vectors = KeyedVectors(len(next(iter(table.values()))))
    vectors.add_vectors(list(table), np.array(list(table.values()), dtype=np.float32))
    for number, token in enumerate(table):
        vectors.set_vecattr(token, "count", counts[token] if counts else first - number)
    return vectors


def rank(vectors, a, b):
    """The place of `b` among the neighbours of `a`, both as people write them."""
    row, target = (np.array([token_vectors.index(vectors, token)]) for token in (a, b))
    return int(similarity.ranks(vectors, row, target)[0][0])
