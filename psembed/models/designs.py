"""Network designs: how two rows of ids become one score.

Padding never counts, in any of them: embeddings and convolutions are masked, pooling skips what is
masked, and row lengths are multiples of encoding.BLOCK, so that strides and windows line up. `figure4` is
the study's, `character_cnn` and `token_cnn` are its predecessors.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from psembed.powershell.encoding import CHARACTERS

BOTH = ("tokens", "characters")


def figure4(inputs: dict, matrix: np.ndarray, config):
    """Return the score of the study's Figure 4: convolutions over both views, an LSTM, two dense layers."""
    characters = _masked_max(*_character_steps(inputs["characters"], config), floor=0.0)
    steps, mask = _token_branch(inputs["tokens"], matrix, config)
    repeated = ops.expand_dims(characters, 1) * ops.ones_like(mask)  # as in the public fakejobs topology
    joined = layers.Concatenate()([steps, repeated])
    return _score([characters, _masked_max(steps, mask, floor=0.0), _lstm(joined, mask, config)], config)


def token_cnn_lstm(inputs: dict, matrix: np.ndarray, config):
    """Return the score of Figure 4 without characters."""
    steps, mask = _token_branch(inputs["tokens"], matrix, config)
    return _score([_masked_max(steps, mask, floor=0.0), _lstm(steps, mask, config)], config)


def token_cnn(inputs: dict, matrix: np.ndarray, config):
    """Return the score of convolutions over token vectors."""
    steps, mask = _token_branch(inputs["tokens"], matrix, config)
    return _score([_masked_max(steps, mask, floor=0.0)], config)


def character_cnn(inputs: dict, matrix: np.ndarray, config):
    """Return the score of convolutions over characters, after the 2018 paper's CNN."""
    return _score([_masked_max(*_character_steps(inputs["characters"], config), floor=0.0)], config)


DESIGNS: dict[str, tuple[tuple[str, ...], Callable]] = {
    "figure4": (BOTH, figure4),
    "token_cnn_lstm": (BOTH[:1], token_cnn_lstm),
    "token_cnn": (BOTH[:1], token_cnn),
    "character_cnn": (BOTH[1:], character_cnn),
}
"""Each design's inputs and the function that joins them into a score."""


def _score(summary: list, config):
    joined = layers.Concatenate()(summary) if len(summary) > 1 else summary[0]
    dense = layers.Dense(config.units, activation="relu", name="features")
    hidden = dense(layers.Dropout(config.dropout)(joined))
    # float32 whatever the policy: half precision has no number between 0.9995 and 1
    output = layers.Dense(1, activation="sigmoid", name="score", dtype="float32")
    return output(layers.Dropout(config.dropout)(hidden))


def _token_branch(ids, matrix: np.ndarray, config):
    """Return steps [n, T/8, filters] and their mask [n, T/8, 1]: vectors, two convolutions, pooling by 8.

    Some dimensions of the vectors are dropped in training.
    """
    mask, drop = _mask(ids), layers.SpatialDropout1D(config.dropout / 3)
    embedding = layers.Embedding(*matrix.shape, trainable=config.trainable, name="token_vectors")
    vectors = embedding(ids) * mask
    embedding.set_weights([matrix])
    steps, mask = _convolve(drop(vectors), mask, config, pool=4)
    return _convolve(steps, mask, config, pool=2)


def _character_steps(ids, config):
    """Return steps [n, C/8, filters] and their mask: vectors, two convolutions, pooling by 2 between them.

    The first reads 8 characters at a time, every 4: one that stops at every character takes half as long
    again to train, and finds no more.
    """
    mask = _mask(ids)
    steps = layers.Embedding(CHARACTERS, 16, name="character_vectors")(ids) * mask
    steps = layers.SpatialDropout1D(config.dropout / 3)(steps)
    steps = layers.Conv1D(64, 8, strides=4, padding="same", activation="relu")(steps)
    mask = layers.MaxPooling1D(4)(mask)
    steps, mask = layers.MaxPooling1D(2)(steps * mask), layers.MaxPooling1D(2)(mask)
    return layers.Conv1D(config.filters, 5, padding="same", activation="relu")(steps) * mask, mask


def _lstm(steps, mask, config):
    """Return [n, units]: the maximum over the states of an LSTM that reads from left to right."""
    # float32 whatever the policy: not every cuDNN has an LSTM in half precision
    lstm = layers.LSTM(config.units, return_sequences=True, name="lstm", dtype="float32")
    states = lstm(steps)
    return _masked_max(states, mask, floor=-1.0)


def _mask(ids):
    """Return float[n, L, 1], 1 where there is content."""
    return ops.expand_dims(ops.cast(ops.not_equal(ids, 0), keras.config.dtype_policy().compute_dtype), -1)


def _convolve(steps, mask, config, *, pool: int):
    """Convolve, rectify, mask, and pool steps and mask alike: padding stays exactly zero."""
    steps = layers.Conv1D(config.filters, 3, padding="same", activation="relu")(steps) * mask
    return layers.MaxPooling1D(pool)(steps), layers.MaxPooling1D(pool)(mask)


def _masked_max(steps, mask, *, floor: float):
    """Return the maximum over steps with content, or `floor` (the least value) if there are none."""
    return ops.max(steps * mask + floor * (1.0 - mask), axis=1)
