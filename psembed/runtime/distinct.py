"""Pieces: texts cut at spaces. A piece comes many times, so what is made of it is made once."""

from collections.abc import Callable

import numpy as np
import polars as pl

LEAST = 1 << 20  # bytes; in less text too few pieces come again
Lists = tuple[np.ndarray, np.ndarray]  # items of all lists, and the length of each list


def by_piece(texts: pl.Series, make: Callable[[pl.Series], Lists]) -> Lists:
    """Return `make` of the texts, having made it of distinct pieces only.

    Parameters
    ----------
    texts : polars.Series of String
        Length n; null counts as empty.
    make : callable
        Takes texts, returns the items of all, one text after the other, and the number of items of each
        (int64[n]). A text's items have to be those of its pieces; a space or line end makes none.
    """
    texts = texts.fill_null("")
    if texts.str.len_bytes().sum() < LEAST:
        return make(texts)
    pieces = texts.str.replace_all("\n", " ", literal=True).str.split(" ")
    distinct, chosen = coded(pieces.explode().alias(texts.name))
    items, sizes = make(distinct)
    ends = np.cumsum(sizes.take(chosen))
    last = np.cumsum(pieces.list.len().to_numpy(), dtype=np.int64) - 1
    return items.take(places(sizes, chosen)), np.diff(ends.take(last), prepend=0)


def places(sizes: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the places of the items of the `chosen` lists in a row of lists of these `sizes`.

    They are int32, which is quicker, unless there are too many items for it.
    """
    starts, wanted = np.cumsum(sizes) - sizes, sizes.take(chosen)
    ends = np.cumsum(wanted)
    kind = np.int32 if max(sizes.sum(), wanted.sum()) < 1 << 31 else np.int64
    found = np.repeat((starts.take(chosen) - (ends - wanted)).astype(kind), wanted)
    found += np.arange(len(found), dtype=kind)
    return found


def coded(values: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Return nearly distinct values, and for each of the n values its place among them (int32[n]).

    The last value of each hash stands for all that equal it; one that does not stands for itself. So
    different values are never taken for one, and a few come twice.
    """
    rows = np.arange(len(values), dtype=np.int32)
    room = 1 << len(values).bit_length()
    hashes = (values.hash().to_numpy() & np.uint64(room - 1)).view(np.int64)
    last = np.zeros(room, dtype=np.int32)
    last[hashes] = rows
    standing = last.take(hashes)
    other = (values.gather(standing) != values).arg_true().to_numpy()
    standing[other] = other
    chosen = np.flatnonzero(standing == rows)
    rows[chosen] = np.arange(len(chosen), dtype=np.int32)
    return values.gather(chosen), rows.take(standing)
