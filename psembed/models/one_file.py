"""A network and bags of n-grams as one Keras model, so that a committee of both is one file."""

from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from psembed.detector.verdict import LOGIT_LIMIT
from psembed.models.bags import WINDOW, Gram, Machine, Novelty
from psembed.models.network import FULL
from psembed.powershell.encoding import BLOCK


class Scale(NamedTuple):
    """Where log-odds lie: `low` becomes 0, `low` + `width` 1."""

    low: float
    width: float


def join(
    network,
    fitted: Mapping[str, Machine | Novelty],
    scales: Mapping[str, Scale],
    *,
    slope: float,
    offset: float,
):
    """Return one Keras model of a network and bags: the logistic function of slope x mean + offset.

    The mean is over the log-odds of all, each on its own of `scales`: names of `fitted` in their order, and
    then the network's. Inputs are those of the network, whose hidden layers keep their names.
    """
    # a model of its own within, for names of operations have to differ within one
    inputs = {tensor.name: keras.Input((None,), dtype="int32", name=tensor.name) for tensor in network.inputs}
    hidden, last = network.get_layer("features").output, network.get_layer("score")
    features = keras.Input(hidden.shape[1:], name="features")
    odds = layers.Dense(1, dtype=FULL)  # `last` before its logistic function, of which little is left near 1
    members = [*(_member(inputs[bag.gram.view], bag) for bag in fitted.values()), odds(features)]
    odds.set_weights(last.get_weights())
    total = 0.0
    for member, scale in zip(members, scales.values(), strict=True):
        total = total + (ops.clip(member, -LOGIT_LIMIT, LOGIT_LIMIT) - scale.low) / scale.width
    score = layers.Activation("sigmoid", dtype=FULL)(slope * (total / len(members)) + offset)
    joined = keras.Model([*inputs.values(), features], score, name="committee")
    return keras.Model(network.inputs, joined([*network.inputs, hidden]), name="in_one_file")


def _member(ids, bag: Machine | Novelty):
    """Return what the member's `score` takes the logistic function of, [n, 1]."""
    hashed, whole = _hashed(ids, bag.gram)
    found = ops.where(whole, hashed, bag.gram.buckets)  # the last row: no n-gram
    table = np.append(bag.values, np.float32(0))[:, None]
    if isinstance(bag, Machine):
        distinct = _distinct(found, bag.gram)
        held = ops.cast(ops.not_equal(distinct, bag.gram.buckets), FULL)
        number = ops.maximum(ops.sum(held, axis=1, keepdims=True), 1.0)
        return ops.sum(_looked_up(distinct, table), axis=1) / ops.sqrt(number) + bag.offset
    rarity, held = _windows(_looked_up(found, table)), _windows(ops.expand_dims(ops.cast(whole, FULL), -1))
    mean = rarity / ops.maximum(held, 1.0)
    counting = ops.where(held >= WINDOW * BLOCK / 2, mean, -LOGIT_LIMIT)
    return ops.maximum(ops.max(counting, axis=1), mean[:, 0])


def _looked_up(places, table: np.ndarray):
    lookup = layers.Embedding(*table.shape, trainable=False)
    values = lookup(places)
    lookup.set_weights([table])
    return values


def _hashed(ids, gram: Gram) -> tuple:
    """Return the bucket of the n-gram from each id on, and whether it is whole, as psembed.models.bags."""
    hashed, whole = ids, ops.not_equal(ids, 0)
    for place in range(1, gram.size):
        later = ops.pad(ids[:, place:], ((0, 0), (0, place)))
        hashed = ops.mod(hashed * gram.multiplier + later, gram.buckets)
        whole = ops.logical_and(whole, ops.not_equal(later, 0))
    return hashed, whole


def _distinct(found, gram: Gram):
    """Return the buckets of each script's n-grams, sorted; `buckets` for repeated ones."""
    ordered = ops.sort(found, axis=1)
    before = ops.pad(ordered[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    return ops.where(ops.equal(ordered, before), gram.buckets, ordered)


def _windows(values):
    """Return sums over windows of [n, L, 1], one from each block: [n, L / BLOCK, 1]."""
    blocks = ops.average_pool(values, BLOCK, strides=BLOCK) * BLOCK
    padded = ops.pad(blocks, ((0, 0), (0, WINDOW - 1), (0, 0)))
    return ops.average_pool(padded, WINDOW, strides=1) * WINDOW
