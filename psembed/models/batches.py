"""Encoded scripts, cut to their content and grouped by length: what training and scoring share.

NumPy only, so that the detector needs no TensorFlow.
"""

import math
from collections.abc import Iterator

import numpy as np

from psembed.powershell.encoding import OTHER, Samples, length_order
from psembed.powershell.tokens import UNKNOWN

SHORTEST = 0.3  # of a script, that cropping leaves
GROUPS = 4  # that a batch is cut into by length


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
