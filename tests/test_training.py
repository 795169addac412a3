"""A trained network is kept by what made it: used again if nothing changed, trained anew if anything did."""

import numpy as np
import pytest

from psembed import network, training
from psembed.batches import Samples
from psembed.errors import ModelError
from psembed.network import Config

SETTINGS = {"epochs": 1, "batch": 16, "patience": 1, "seed": 3}


def samples(seed: int) -> Samples:
    random = np.random.default_rng(seed)
    tokens = random.integers(1, 20, (40, 64)).astype(np.int32)
    return Samples(
        tokens, random.integers(1, 97, (40, 64)).astype(np.int32), np.arange(40, dtype=np.int8) % 2
    )


@pytest.fixture
def given():
    matrix = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32)
    matrix[0] = 0
    return matrix, samples(1), samples(2)


def test_resumes_without_training_and_scores_the_same(tmp_path, given, monkeypatch):
    config = Config(filters=8, units=8)
    first, history = training.trained(tmp_path, *given, config=config, **SETTINGS)
    monkeypatch.setattr(network, "train", lambda *_, **__: pytest.fail("trained again"))
    second, again = training.trained(tmp_path, *given, config=config, **SETTINGS)
    assert again == history and len(history) == 1
    assert np.array_equal(network.predict(first, given[1]), network.predict(second, given[1]))


def test_every_input_is_in_the_key(given):
    matrix, data, validation = given
    base = training._key(matrix, data, validation, SETTINGS)
    assert base == training._key(matrix.copy(), samples(1), samples(2), dict(SETTINGS))
    flipped = Samples(data.tokens, data.characters, 1 - data.labels)
    others = [
        training._key(matrix * 2, data, validation, SETTINGS),
        training._key(matrix, flipped, validation, SETTINGS),
        training._key(matrix, data, data, SETTINGS),
        training._key(matrix, data, validation, {**SETTINGS, "seed": 4}),
    ]
    assert len({base, *others}) == 5


def test_an_interrupted_training_leaves_nothing_to_resume_from(tmp_path, given, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(network, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.trained(tmp_path, *given, config=Config(filters=8, units=8), **SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_network_is_named(tmp_path, given):
    config = Config(filters=8, units=8)
    training.trained(tmp_path, *given, config=config, **SETTINGS)
    next(tmp_path.glob("*.keras")).write_bytes(b"cut short")
    with pytest.raises(ModelError):
        training.trained(tmp_path, *given, config=config, **SETTINGS)
