"""What is made of texts is made of their distinct words only: a word comes many times."""

from collections.abc import Callable

import numpy as np
import polars as pl

MIN_BYTES = 1 << 20  # in less text too few words come again
Ragged = tuple[np.ndarray, np.ndarray]  # items of all lists, one after the other, and the length of each list


def map_distinct_words(texts: pl.Series, function: Callable[[pl.Series], Ragged]) -> Ragged:
    """Return `function` of the texts (String, null counts as empty), having called it on distinct words only.

    It takes texts and returns the items of all and how many each has (int64[n]). A text's items have to be
    those of its words, which spaces and line ends separate; these make none.
    """
    texts = texts.fill_null("")
    if texts.str.len_bytes().sum() < MIN_BYTES:
        return function(texts)
    words = texts.str.replace_all("\n", " ", literal=True).str.split(" ")
    distinct, codes = factorise(words.explode().alias(texts.name))
    items, sizes = function(distinct)
    ends = np.cumsum(sizes.take(codes))
    last = np.cumsum(words.list.len().to_numpy(), dtype=np.int64) - 1
    return items.take(flat_indices(sizes, codes)), np.diff(ends.take(last), prepend=0)


def flat_indices(sizes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the indices of the items of the `chosen` lists among those of lists of these `sizes`.

    They are int32, which is quicker, unless there are too many items for it.
    """
    starts, wanted = np.cumsum(sizes) - sizes, sizes.take(chosen)
    ends = np.cumsum(wanted)
    kind = np.int32 if max(sizes.sum(), wanted.sum()) < 1 << 31 else np.int64
    indices = np.repeat((starts.take(chosen) - (ends - wanted)).astype(kind), wanted)
    indices += np.arange(len(indices), dtype=kind)
    return indices


def factorise(values: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Return nearly distinct values, and for each of the n values its row among them (int32[n]).

    The last value of each hash stands for all that equal it; one that does not stands for itself. So
    different values are never taken for one, and a few come twice.
    """
    rows = np.arange(len(values), dtype=np.int32)
    buckets = 1 << len(values).bit_length()
    hashes = (values.hash().to_numpy() & np.uint64(buckets - 1)).view(np.int64)
    last = np.zeros(buckets, dtype=np.int32)
    last[hashes] = rows
    standing = last.take(hashes)
    other = (values.gather(standing) != values).arg_true().to_numpy()
    standing[other] = other
    distinct = np.flatnonzero(standing == rows)
    rows[distinct] = np.arange(len(distinct), dtype=np.int32)
    return values.gather(distinct), rows.take(standing)
