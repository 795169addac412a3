"""Encoded scripts, cut to their content and grouped by length: what training and scoring share.

NumPy only, so that the detector needs no TensorFlow.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

UNKNOWN, OTHER = 1, 96  # what hides a token, a character: the ids of those that have none of their own
SHORTEST = 0.3  # of a script, that cropping leaves
GROUPS = 4  # that a batch is cut into by length
BLOCK = 64  # row lengths are multiples of this, so that every pooling window lines up


@dataclass(frozen=True)
class Samples:
    """Encoded scripts: tokens integer[n, T], characters integer[n, C], labels int8[n] or None."""

    tokens: np.ndarray
    characters: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of scripts."""
        return len(self.tokens)

    def rows(self, chosen: np.ndarray) -> "Samples":
        """Return the chosen scripts, both views trimmed to the longest of them."""
        labels = None if self.labels is None else self.labels[chosen]
        return Samples(trim(self.tokens[chosen]), trim(self.characters[chosen]), labels)


def trim(ids: np.ndarray) -> np.ndarray:
    """Cut padding off integer[n, L] down to the shortest multiple of BLOCK that keeps every id.

    A row length that is no multiple of BLOCK is padded up to one, and at least one block is kept.
    """
    used = np.flatnonzero(ids.any(axis=0))
    length = BLOCK * max(1, math.ceil((used[-1] + 1 if len(used) else 0) / BLOCK))
    if length <= ids.shape[1]:
        return np.ascontiguousarray(ids[:, :length])
    return np.pad(ids, ((0, 0), (0, length - ids.shape[1])))


def length_order(samples: Samples) -> np.ndarray:
    """Return int64[n], the scripts from short to long (a token costs about four characters)."""
    cost = 4 * np.count_nonzero(samples.tokens, axis=1) + np.count_nonzero(samples.characters, axis=1)
    return np.argsort(cost, kind="stable")


def clean_turns(labels: np.ndarray, *, ratio: int) -> int:
    """Return in how many epochs a clean script comes once: so many that `ratio` holds."""
    clean, malicious = np.bincount(labels, minlength=2)
    return max(1, math.ceil(clean / (ratio * malicious)))


def draws(labels: np.ndarray, *, ratio: int, random: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield, without end, the rows of an epoch: all malicious scripts, `ratio` times as many clean at most.

    The clean ones take turns (`clean_turns`), and are dealt anew after that. Most are soon told apart, so
    passes over all of them would cost most of the time and teach little.
    """
    clean, malicious = (np.flatnonzero(labels == label) for label in (0, 1))
    while True:
        for part in np.array_split(random.permutation(clean), clean_turns(labels, ratio=ratio)):
            yield np.sort(np.concatenate([malicious, part]))


def batches(samples: Samples, *, size: int, random: np.random.Generator) -> Iterator[Samples]:
    """Yield up to `size` scripts at a time, in random order; every script comes once."""
    order = random.permutation(len(samples))
    for start in range(0, len(order), size):
        yield samples.rows(order[start : start + size])


def altered(batch: Samples, *, hidden: float, cropped: float, random: np.random.Generator) -> Samples:
    """Return scripts with some ids hidden and some scripts cut to a window, so none can be learned by heart.

    Parameters
    ----------
    hidden : float
        Share of ids that become UNKNOWN or OTHER.
    cropped : float
        Share of scripts of which a window is left: SHORTEST to all of it, from a place at random, the same
        in both views.
    """
    views = {"tokens": batch.tokens, "characters": batch.characters}
    if cropped:
        chosen = random.random(len(batch)) < cropped
        shares = np.where(chosen, random.uniform(SHORTEST, 1, len(batch)), 1.0)
        starts = random.random(len(batch)) * (1 - shares)
        views = {name: _window(ids, starts, shares) for name, ids in views.items()}
    if hidden:
        for name, substitute in (("tokens", UNKNOWN), ("characters", OTHER)):
            ids = views[name]
            chosen = (ids > 0) & (random.random(ids.shape) < hidden)
            views[name] = np.where(chosen, ids.dtype.type(substitute), ids)
    return Samples(**views, labels=batch.labels)


def _window(ids: np.ndarray, starts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return `shares` of the content of each row from `starts` (a share, too) on, at the row's beginning."""
    content = np.count_nonzero(ids, axis=1)
    first, length = (starts * content).astype(int), np.ceil(shares * content).astype(int)
    places = np.arange(ids.shape[1])
    moved = np.take_along_axis(ids, np.minimum(places + first[:, None], ids.shape[1] - 1), axis=1)
    return np.where(places < length[:, None], moved, 0)


def by_length(batch: Samples) -> list[Samples]:
    """Return a batch in GROUPS parts, from short scripts to long, each trimmed to its longest.

    Batches of scripts of like length would hold no padding either, but learn worse: long scripts are more
    often malicious, so such batches say in turn that most are and that few are.
    """
    return [batch.rows(chosen) for chosen in np.array_split(length_order(batch), GROUPS)]


def run_batches(
    run: Callable[[Samples], np.ndarray], samples: Samples, *, batch: int, columns: int = 1
) -> np.ndarray:
    """Return float32[n, columns] from `run`, which maps trimmed rows to as many; like lengths together."""
    order = length_order(samples)
    found = np.empty((len(samples), columns), dtype=np.float32)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        found[chosen] = run(samples.rows(chosen))
    return found
