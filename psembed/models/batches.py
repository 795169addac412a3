"""Encoded scripts as training reads them: undersampled, in batches, augmented, and grouped by length."""

import math
from collections.abc import Iterator

import numpy as np

from psembed.powershell.encoding import OTHER, Samples, length_order
from psembed.powershell.tokens import UNKNOWN

SHORTEST = 0.3  # of a script, that cropping leaves
GROUPS = 4  # that a batch is cut into by length


def undersampling(labels: np.ndarray, *, ratio: int) -> int:
    """Return in how many epochs a clean script comes once: so many that `ratio` holds."""
    clean, malicious = np.bincount(labels, minlength=2)
    return max(1, math.ceil(clean / (ratio * malicious)))


def undersampled_epochs(
    labels: np.ndarray, *, ratio: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield, without end, the rows of an epoch: all malicious scripts, `ratio` times as many clean at most.

    The clean ones take turns, and are dealt anew after that: passes over all of them would teach little.
    """
    clean, malicious = (np.flatnonzero(labels == label) for label in (0, 1))
    while True:
        for part in np.array_split(random.permutation(clean), undersampling(labels, ratio=ratio)):
            yield np.sort(np.concatenate([malicious, part]))


def batches(samples: Samples, *, size: int, random: np.random.Generator) -> Iterator[Samples]:
    """Yield up to `size` scripts at a time, in random order; every script comes once."""
    order = random.permutation(len(samples))
    for start in range(0, len(order), size):
        yield samples.rows(order[start : start + size])


def augmented(batch: Samples, *, masked: float, cropped: float, random: np.random.Generator) -> Samples:
    """Return scripts with some ids masked and some scripts cropped, so that none can be learned by heart.

    `masked`: share of ids that become UNKNOWN or OTHER; `cropped`: share of scripts cut to a random window.
    """
    views = {"tokens": batch.tokens, "characters": batch.characters}
    if cropped:
        chosen = random.random(len(batch)) < cropped
        lengths = np.where(chosen, random.uniform(SHORTEST, 1, len(batch)), 1.0)
        starts = random.random(len(batch)) * (1 - lengths)
        views = {name: _window(ids, starts, lengths) for name, ids in views.items()}
    if masked:
        for name, substitute in (("tokens", UNKNOWN), ("characters", OTHER)):
            ids = views[name]
            chosen = (ids > 0) & (random.random(ids.shape) < masked)
            views[name] = np.where(chosen, ids.dtype.type(substitute), ids)
    return Samples(**views, labels=batch.labels)


def _window(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return a window of the content of each row at the row's beginning; both in 0..1 of the content."""
    content = np.count_nonzero(ids, axis=1)
    first, count = (starts * content).astype(int), np.ceil(lengths * content).astype(int)
    places = np.arange(ids.shape[1])
    moved = np.take_along_axis(ids, np.minimum(places + first[:, None], ids.shape[1] - 1), axis=1)
    return np.where(places < count[:, None], moved, 0)


def length_groups(batch: Samples) -> list[Samples]:
    """Return a batch in GROUPS parts, from short scripts to long, each trimmed to its longest."""
    # Whole batches of like length would learn worse: of long scripts more are malicious.
    return [batch.rows(chosen) for chosen in np.array_split(length_order(batch), GROUPS)]
