"""Encoded scripts with a planted difference between the classes, and small networks that learn it."""

import numpy as np

from psembed.models import fitting
from psembed.models.network import Config
from psembed.powershell.encoding import BLOCK, Samples

SMALL = Config(filters=8, units=8, learning_rate=0.01)


def matrix(*, size: int = 20, dimension: int = 6) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(size, dimension)).astype(np.float32)
    values[0] = 0
    return values


def samples(count: int, *, seed: int = 0, columns: int = 2 * BLOCK) -> Samples:
    """Scripts of random length; those of class 1 hold token 7 and character 50 here and there."""
    random = np.random.default_rng(seed)
    tokens = random.integers(8, 20, (count, columns)).astype(np.int32)
    characters = random.integers(1, 40, (count, columns)).astype(np.int32)
    labels = (np.arange(count) % 3 == 0).astype(np.int8)
    for row, length in enumerate(random.integers(4, columns, count)):
        tokens[row, length:] = characters[row, length:] = 0
        if labels[row]:
            places = random.integers(0, length, 1 + length // 8)
            tokens[row, places] = 7
            characters[row, places] = 50
    return Samples(tokens, characters, labels)


def fit(model, data: Samples, **changes) -> list[dict]:
    options = {"epochs": 6, "batch": 32, "seed": 1} | changes
    return fitting.fit(model, data, **options)
