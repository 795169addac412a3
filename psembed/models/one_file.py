"""A network and bags of n-grams as one Keras model, so that a committee of both is one file."""

from collections.abc import Mapping
from typing import NamedTuple

import keras
import numpy as np
from keras import layers, ops

from psembed.detector.verdict import LOGIT_LIMIT
from psembed.models.bags import Bag, Gram
from psembed.models.network import FULL


class Scale(NamedTuple):
    """Where log-odds lie: `low` becomes 0, `low` + `width` 1."""

    low: float
    width: float


def join(network, fitted: Mapping[str, Bag], scales: Mapping[str, Scale], *, slope: float, offset: float):
    """Return one Keras model of a network and bags: the logistic function of slope x mean + offset.

    The mean is over the log-odds of all, each on its own of `scales`: names of `fitted` in their order, and
    then the network's. Inputs are those of the network, whose hidden layers keep their names.
    """
    *bags, own = scales.values()
    # a model of its own within, for names of operations have to differ within one
    inputs = {tensor.name: keras.Input((None,), dtype="int32", name=tensor.name) for tensor in network.inputs}
    hidden, last = network.get_layer("features").output, network.get_layer("score")
    features = keras.Input(hidden.shape[1:], name="features")
    odds = layers.Dense(1, dtype=FULL)  # `last` before its logistic function, of which little is left near 1
    total = (_held(odds(features)) - own.low) / own.width
    odds.set_weights(last.get_weights())
    sums = _sums(inputs, fitted)
    for name, scale in zip(fitted, bags, strict=True):
        total = total + (_held(sums[name]) - scale.low) / scale.width
    mean = total / len(scales)
    score = layers.Activation("sigmoid", dtype=FULL)(slope * mean + offset)
    joined = keras.Model([*inputs.values(), features], score, name="committee")
    return keras.Model(network.inputs, joined([*network.inputs, hidden]), name="in_one_file")


def _held(odds):
    return ops.clip(odds, -LOGIT_LIMIT, LOGIT_LIMIT)


def _sums(inputs: Mapping, fitted: Mapping[str, Bag]) -> dict:
    """Return what `Bag.score` takes the logistic function of, [n, 1] each; n-grams are looked up once."""
    sums = {}
    for gram in dict.fromkeys(bag.gram for bag in fitted.values()):
        own = {name: bag for name, bag in fitted.items() if bag.gram == gram}
        table = np.zeros((gram.buckets + 1, len(own)), dtype=np.float32)  # the last row: no n-gram
        table[:-1] = np.stack([bag.values for bag in own.values()], axis=1)
        lookup = layers.Embedding(*table.shape, trainable=False, name=f"{gram.view}_{gram.size}")
        distinct = _distinct(inputs[gram.view], gram)
        totals = ops.sum(lookup(distinct), axis=1)
        lookup.set_weights([table])
        held = ops.cast(ops.not_equal(distinct, gram.buckets), FULL)
        number = ops.maximum(ops.sum(held, axis=1, keepdims=True), 1.0)
        for column, (name, bag) in enumerate(own.items()):
            sums[name] = totals[:, column : column + 1] / number**bag.power + bag.offset
    return sums


def _distinct(ids, gram: Gram):
    """Return the buckets of each script's n-grams, sorted, and `buckets` for repeated ones and for none."""
    hashed, whole = ids, ops.not_equal(ids, 0)
    for place in range(1, gram.size):
        later = ops.pad(ids[:, place:], ((0, 0), (0, place)))
        hashed = ops.mod(hashed * gram.multiplier + later, gram.buckets)
        whole = ops.logical_and(whole, ops.not_equal(later, 0))
    ordered = ops.sort(ops.where(whole, hashed, gram.buckets), axis=1)
    before = ops.pad(ordered[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    return ops.where(ops.equal(ordered, before), gram.buckets, ordered)
