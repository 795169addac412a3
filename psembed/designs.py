"""Network designs: how two rows of ids become one score.

Padding never counts, in any of them: embeddings and convolutions are masked, pooling skips what is
masked, and row lengths are multiples of batches.BLOCK, so that strides and windows line up. `figure4` is
the study's, `character_cnn` and `token_cnn` are its predecessors; `multiscale` and `transformer` are ours.

Keras is imported inside the functions that need it.
"""

from collections.abc import Callable

import numpy as np

BOTH = ("tokens", "characters")
CHARACTERS = 97  # 0 pads, 1 to 95 are printable ASCII, 96 is every other character
_NO_WEIGHT = 1e4  # taken from the logit of a masked step before a softmax: exp(-10,000) is 0 in float32


def figure4(inputs: dict, matrix: np.ndarray, config):
    """Return the score of the study's Figure 4: convolutions over both views, an LSTM, two dense layers."""
    from keras import layers, ops

    characters = _character_branch(inputs["characters"], config)
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
    return _score([_character_branch(inputs["characters"], config)], config)


def multiscale(inputs: dict, matrix: np.ndarray, config):
    """Return the score of our first design: every scale pooled by maximum, mean and attention.

    Characters are read by a convolution with a stride (8 characters, every 4) and one over its steps;
    tokens alone, in threes, and as a bag: trained vectors of their own, summed whatever the order.
    """
    from keras import layers, ops

    fine, mask = _strided(inputs["characters"], config)
    wide = layers.Conv1D(config.filters, 5, padding="same", activation="relu")(fine) * mask
    summary = [*_pooled(fine, mask), *_pooled(wide, mask), _attention(wide, mask)]

    ids = inputs["tokens"]
    steps, mask = _token_vectors(ids, matrix, config)
    single = layers.Dense(64, activation="relu")(steps) * mask
    triple = layers.Conv1D(config.filters, 3, padding="same", activation="relu")(single) * mask
    bag = layers.Embedding(len(matrix), 32, embeddings_initializer="uniform", name="bag")(ids) * mask
    count = ops.sum(mask, axis=1)
    summary += [*_pooled(single, mask), *_pooled(triple, mask), _attention(triple, mask)]
    summary += [ops.sum(bag, axis=1) / ops.sqrt(count + 1.0), ops.log(count + 1.0) / 8.0]
    return _score(summary, config)


def transformer(inputs: dict, matrix: np.ndarray, config):
    """Return the score of our second design: self-attention over both views, eight ids a step.

    Convolutions bring each view down to one step per eight tokens or 32 characters; a single
    pre-normalised attention block then lets the steps of both read each other.
    """
    from keras import layers, ops

    tokens, token_mask = _token_branch(inputs["tokens"], matrix, config)
    characters, character_mask = _character_steps(inputs["characters"], config)
    characters = layers.MaxPooling1D(4)(characters)
    character_mask = layers.MaxPooling1D(4)(character_mask)
    steps = layers.Concatenate(axis=1)([tokens, characters])
    mask = layers.Concatenate(axis=1)([token_mask, character_mask])
    heads, normal = 4, layers.LayerNormalization()(steps)
    seen = ops.transpose(mask, (0, 2, 1)) > 0.5
    read = layers.MultiHeadAttention(heads, config.filters // heads, name="attention")(
        normal, normal, attention_mask=seen
    )
    steps = (steps + read) * mask
    inner = layers.Dense(2 * config.filters, activation="relu")(layers.LayerNormalization()(steps))
    steps = layers.Activation("relu")(steps + layers.Dense(config.filters)(inner)) * mask
    return _score(_pooled(steps, mask), config)


DESIGNS: dict[str, tuple[tuple[str, ...], Callable]] = {
    "figure4": (BOTH, figure4),
    "token_cnn_lstm": (BOTH[:1], token_cnn_lstm),
    "token_cnn": (BOTH[:1], token_cnn),
    "character_cnn": (BOTH[1:], character_cnn),
    "multiscale": (BOTH, multiscale),
    "transformer": (BOTH, transformer),
}
"""Each design's inputs and the function that joins them into a score."""


def _score(summary: list, config):
    from keras import layers

    joined = layers.Concatenate()(summary) if len(summary) > 1 else summary[0]
    hidden = layers.Dense(config.units, activation="relu", name="features")(
        layers.Dropout(config.dropout)(joined)
    )
    # float32 whatever the policy: half precision has no number between 0.9995 and 1
    output = layers.Dense(1, activation="sigmoid", name="score", dtype="float32")
    return output(layers.Dropout(config.dropout)(hidden))


def _token_vectors(ids, matrix: np.ndarray, config):
    """Return the vectors [n, T, d] of tokens, some dimensions dropped in training, and the mask [n, T, 1]."""
    from keras import layers

    mask, drop = _mask(ids), layers.SpatialDropout1D(config.dropout / 3)
    embedding = layers.Embedding(*matrix.shape, trainable=config.trainable, name="token_vectors")
    vectors = embedding(ids) * mask
    embedding.set_weights([matrix])
    return drop(vectors), mask


def _token_branch(ids, matrix: np.ndarray, config):
    """Return steps [n, T/8, filters] and their mask [n, T/8, 1]: vectors, two convolutions, pooling by 8."""
    steps, mask = _convolve(*_token_vectors(ids, matrix, config), filters=config.filters, width=3, pool=4)
    return _convolve(steps, mask, filters=config.filters, width=3, pool=2)


def _character_branch(ids, config):
    """Return [n, filters]: the maximum over the script of `_character_steps`."""
    return _masked_max(*_character_steps(ids, config), floor=0.0)


def _character_steps(ids, config):
    """Return steps [n, C/8, filters] and their mask: a convolution with stride 4, pooling by 2, another.

    A convolution that stops at every character takes half as long again to train, and finds no more.
    """
    from keras import layers

    steps, mask = _strided(ids, config)
    steps, mask = layers.MaxPooling1D(2)(steps), layers.MaxPooling1D(2)(mask)
    return layers.Conv1D(config.filters, 5, padding="same", activation="relu")(steps) * mask, mask


def _strided(ids, config):
    """Return steps [n, C/4, 64] and their mask: character vectors, read 8 at a time, every 4."""
    from keras import layers

    mask = _mask(ids)
    steps = layers.Embedding(CHARACTERS, 16, name="character_vectors")(ids) * mask
    steps = layers.SpatialDropout1D(config.dropout / 3)(steps)
    steps = layers.Conv1D(64, 8, strides=4, padding="same", activation="relu")(steps)
    mask = layers.MaxPooling1D(4)(mask)
    return steps * mask, mask


def _lstm(steps, mask, config):
    """Return [n, units]: the maximum over the states of an LSTM that reads from left to right."""
    from keras import layers

    # float32 whatever the policy: not every cuDNN has an LSTM in half precision
    lstm = layers.LSTM(config.units, return_sequences=True, name="lstm", dtype="float32")
    states = lstm(steps)
    return _masked_max(states, mask, floor=-1.0)


def _mask(ids):
    """Return float[n, L, 1], 1 where there is content."""
    from keras import config, ops

    return ops.expand_dims(ops.cast(ops.not_equal(ids, 0), config.dtype_policy().compute_dtype), -1)


def _convolve(steps, mask, *, filters: int, width: int, pool: int):
    """Convolve, rectify, mask, and pool steps and mask alike: padding stays exactly zero."""
    from keras import layers

    steps = layers.Conv1D(filters, width, padding="same", activation="relu")(steps) * mask
    return layers.MaxPooling1D(pool)(steps), layers.MaxPooling1D(pool)(mask)


def _masked_max(steps, mask, *, floor: float):
    """Return the maximum over steps with content, or `floor` (the least value) if there are none."""
    from keras import ops

    return ops.max(steps * mask + floor * (1.0 - mask), axis=1)


def _pooled(steps, mask) -> list:
    """Return maximum and mean over steps that are zero or more, and zero where masked: two of [n, d]."""
    from keras import ops

    return [ops.max(steps, axis=1), ops.sum(steps, axis=1) / (ops.sum(mask, axis=1) + 1.0)]


def _attention(steps, mask, *, heads: int = 4):
    """Return [n, heads * d]: means of the steps, weighted as each head learns."""
    from keras import layers, ops

    weights = ops.softmax(layers.Dense(heads)(steps) - _NO_WEIGHT * (1.0 - mask), axis=1)
    means = ops.matmul(ops.transpose(weights, (0, 2, 1)), steps)
    return ops.reshape(means, (-1, heads * steps.shape[-1]))
