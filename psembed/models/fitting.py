"""Fitting a network (psembed.models.network) to labelled scripts, on one device or on several."""

import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from psembed.models import batches
from psembed.models.network import Config, signature, views
from psembed.powershell.encoding import Samples
from psembed.runtime.errors import CorpusError, ModelError

log = logging.getLogger(__name__)

WARM_UP = 50  # steps at most; a tenth of all where that is fewer
_NEAREST = 1e-7  # of a score to 0 and 1, where its log-odds are taken


def fit(
    model, data: Samples, *, epochs: int, batch: int, seed: int, config: Config | None = None
) -> list[dict]:
    """Train for so many epochs; the learning rate falls to nothing at the end, so the last weights are kept.

    An epoch has all malicious scripts and a part of the clean ones (`batches.undersampled_epochs`). The loss
    is taken with the log-odds raised by as much as the odds of an epoch are above those of all scripts, so
    that scores are those of all (prior correction, King and Zeng 2001).

    `batch` is scripts per step; of `config` the ratio counts here. Returns epoch, loss (nats a
    script) and seconds of each. Raises CorpusError if a class is missing, ModelError if the loss is no longer
    finite.
    """
    _require_classes(data)
    config, random = config or Config(), np.random.default_rng(seed)
    step = _training_step(model, batches.undersampling(data.labels, ratio=config.ratio))
    epoch_rows = batches.undersampled_epochs(data.labels, ratio=config.ratio, random=random)
    drawn = list(itertools.islice(epoch_rows, epochs))
    rates = _learning_rates(model, steps=sum(math.ceil(len(rows) / batch) for rows in drawn))
    history = []
    for epoch, rows in enumerate(drawn):
        started = time.perf_counter()
        read = batches.batches(data.rows(rows), size=batch, random=random)
        loss = _one_epoch(model, step, read, rates)
        history.append({"epoch": epoch, "loss": loss, "seconds": round(time.perf_counter() - started, 3)})
        log.info("epoch %d: loss %.4f", epoch, loss)
    return history


def _learning_rates(model, *, steps: int) -> Iterator[float]:
    """Yield the rate of each of so many steps: up, level, down (warm-up, stable, decay; Hu et al. 2024)."""
    highest = float(model.optimizer.learning_rate.numpy())
    rising, falling = max(1, min(WARM_UP, steps // 10)), max(1, steps // 3)
    for step in range(steps):
        yield highest * min(1, (step + 1) / rising, (steps - step) / falling)


def _require_classes(samples: Samples) -> None:
    counts = np.bincount(np.asarray(samples.labels, dtype=np.int64), minlength=2)
    if len(counts) != 2 or not counts.all():
        raise CorpusError(f"training holds {counts.tolist()} scripts of class 0, 1: both classes are needed")


def _training_step(model, factor: int) -> Callable:
    """Return a function of the groups of a batch (`_groups`) that takes one step and returns the loss.

    It is traced for rows of any number and length; Keras' own step is traced again per shape.
    """
    group = signature(model), tf.TensorSpec((None, 1), tf.float32), tf.TensorSpec((), tf.float32)
    strategy = model.distribute_strategy
    with strategy.scope():
        model.optimizer.build(model.trainable_variables)

    @tf.function(input_signature=group)
    def loss_of(inputs, labels, share):
        scores = tf.clip_by_value(model(inputs, training=True), _NEAREST, 1 - _NEAREST)
        odds = tf.math.log(scores) - tf.math.log1p(-scores) + math.log(factor)
        return share * model.compute_loss(y=labels, y_pred=odds)

    def step(groups):
        with tf.GradientTape() as tape:
            loss = tf.add_n([loss_of(*group) for group in groups])
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        return loss

    if strategy.num_replicas_in_sync == 1:
        return tf.function(step, input_signature=[[group] * batches.GROUPS])

    @tf.function(reduce_retracing=True)
    def everywhere(groups):
        return strategy.reduce("SUM", strategy.run(step, args=(groups,)), axis=None)

    return everywhere


def _groups(model, batch: Samples, replica: int = 0, replicas: int = 1) -> list[tuple]:
    """Return inputs, labels and share in the loss of each group of a replica's scripts, dealt out in turn."""
    mine = np.arange(replica, len(batch), replicas)
    groups = []
    for group in batches.length_groups(batch.rows(mine if len(mine) else np.array([0]))):
        share = replicas * len(group) / len(batch) if len(mine) else 0.0  # Keras divides a loss by replicas
        rows = group if len(group) else batch.rows(np.array([0]))  # with no share
        labels = tf.constant(rows.labels[:, None], tf.float32)
        groups.append(([tf.constant(view) for view in views(model, rows)], labels, tf.constant(share)))
    return groups


def _distributed(model, batch: Samples):
    """Return the groups of a batch, dealt out to the devices."""
    strategy, replicas = model.distribute_strategy, model.distribute_strategy.num_replicas_in_sync
    if replicas == 1:
        return _groups(model, batch)
    return strategy.experimental_distribute_values_from_function(
        lambda context: _groups(model, batch, context.replica_id_in_sync_group, replicas)
    )


def _one_epoch(model, step: Callable, read: Iterator[Samples], rates: Iterator[float]) -> float:
    """Take one step per batch of `read`, at the next of `rates`; return the mean loss per script."""
    total = count = 0
    for batch in read:
        model.optimizer.learning_rate = next(rates)
        loss = float(step(_distributed(model, batch)))
        if not math.isfinite(loss):
            raise ModelError(f"training loss became {loss}: lower the learning rate, check the token matrix")
        total, count = total + loss * len(batch), count + len(batch)
    return total / count
