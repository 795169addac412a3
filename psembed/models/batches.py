"""Encoded scripts as training reads them: undersampled, in batches, and grouped by length."""

import math
from collections.abc import Iterator

import numpy as np

from psembed.powershell.encoding import Samples, length_order

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


def length_groups(batch: Samples) -> list[Samples]:
    """Return a batch in GROUPS parts, from short scripts to long, each trimmed to its longest."""
    # Whole batches of like length would learn worse: of long scripts more are malicious.
    return [batch.rows(chosen) for chosen in np.array_split(length_order(batch), GROUPS)]
