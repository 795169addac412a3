"""A design (psembed.models.designs) as a Keras model: built, trained, saved, and run.

A script is two rows of integers (psembed.powershell.tokens.Encoder), padded with 0 at the end. Padding never
counts, so a row may be cut to its content (psembed.models.batches), and scripts of like length, taken together,
cost only what they hold.

TensorFlow is imported inside the functions that need it.
"""

import contextlib
import functools
import itertools
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from psembed.models.batches import GROUPS, altered, batches, by_length, clean_turns, draws
from psembed.models.designs import DESIGNS
from psembed.powershell.encoding import Samples, run_batches
from psembed.runtime.errors import CorpusError, ModelError, ParameterError
from psembed.runtime.files import atomic

log = logging.getLogger(__name__)

FULL = "float32"
_NEAREST = 1e-7  # of a score to 0 and 1, where its log-odds are taken
WARM_UP = 50  # steps at most; a tenth of all where that is fewer


@dataclass(frozen=True)
class Config:
    """Shape and training constants of the network.

    Attributes
    ----------
    design : str
        One of psembed.models.designs.DESIGNS.
    filters, units : int
        Width of the convolutions, and of the LSTM and the last hidden layer.
    dropout : float
        Share of features dropped before the output layer; a third of it on the embeddings.
    learning_rate, weight_decay : float
        AdamW's; the rate rises over the first steps (WARM_UP), stays, and falls over the last third.
    smoothing : float
        Label smoothing; it keeps scores off 0 and 1, where float32 cannot tell them apart.
    trainable : bool
        Whether the token vectors are trained further or stay as given.
    ratio : int
        Clean scripts to a malicious one in an epoch, at most.
    blocks : int
        Attention blocks of the transformer.
    hidden, cropped : float
        Share of tokens and characters hidden, and of scripts cut to a window, each time one is trained on
        (`batches.altered`).
    """

    design: str = "figure4"
    filters: int = 96
    units: int = 64
    dropout: float = 0.3
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    smoothing: float = 0.02
    trainable: bool = False
    ratio: int = 16
    blocks: int = 1
    hidden: float = 0.0
    cropped: float = 0.0


def device() -> str:
    """Return "GPU (name)" if TensorFlow sees one, else "CPU"."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return "CPU"
    return f"GPU ({tf.config.experimental.get_device_details(gpus[0]).get('device_name', gpus[0].name)})"


def precision() -> str:
    """Return the Keras policy to train with: bfloat16 arithmetic where every GPU has it, else float32."""
    import tensorflow as tf

    able = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) >= (8, 0)
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    return "mixed_bfloat16" if able and all(able) else FULL


def strategy():
    """Return how training is spread: over all GPUs where there are several, else on one device."""
    import tensorflow as tf

    several = len(tf.config.list_logical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()


def one_thread() -> None:
    """Let TensorFlow use one thread; must come before anything else asks something of it."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and ask for deterministic operations; starts a fresh graph."""
    import keras
    import tensorflow as tf

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(matrix: np.ndarray, *, config: Config | None = None, seed: int, policy: str = FULL):
    """Build the compiled model.

    Parameters
    ----------
    matrix : float32[V, d]
        Token vectors; row 0 stands for padding and must be zero, row 1 for unknown tokens. Rows are
        brought to length 1: Word2vec gives common tokens vectors so long that they drown the others.
    config : Config, optional
    seed : int
        Seeds initial weights and dropout.
    policy : str
        Keras' dtype policy: FULL, or "mixed_bfloat16", which computes in half the bits; weights are float32.

    Returns
    -------
    keras.Model
        Inputs `tokens` int32[n, T] and `characters` int32[n, C] (T and C free, multiples of batches.BLOCK),
        output `score` float32[n, 1].

    Raises
    ------
    ParameterError
        If the matrix has the wrong shape, holds NaN, or its row 0 is not zero; if the design is unknown.
    """
    import keras

    config = config or Config()
    if config.design not in DESIGNS:
        raise ParameterError(f"design {config.design!r}: choose one of {', '.join(DESIGNS)}")
    matrix = np.asarray(matrix, dtype=np.float32)
    if matrix.ndim != 2 or len(matrix) < 2 or not np.isfinite(matrix).all() or matrix[0].any():
        raise ParameterError(
            f"token matrix of shape {matrix.shape}: expected finite float32[V >= 2, d] whose row 0 "
            "(padding) is zero; take it from the embedding's vectors for the encoder's token list"
        )
    matrix = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    seed_everything(seed)
    names, design = DESIGNS[config.design]
    with strategy().scope(), _policy(policy):
        inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in names}
        model = keras.Model(list(inputs.values()), design(inputs, matrix, config), name=config.design)
        model.compile(
            optimizer=keras.optimizers.AdamW(
                config.learning_rate, weight_decay=config.weight_decay, clipnorm=1.0
            ),
            loss=keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=config.smoothing),
            jit_compile=False,
        )
    return model


@contextlib.contextmanager
def _policy(name: str) -> Iterator[None]:
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def train(
    model,
    data: Samples,
    validation: Samples,
    *,
    epochs: int,
    batch: int,
    seed: int,
    config: Config | None = None,
) -> list[dict]:
    """Train for so many epochs, and keep the weights of the one that did best on validation.

    An epoch has all malicious scripts and a part of the clean ones (`batches.draws`). The loss is taken with
    the log-odds raised by as much as the odds of an epoch are above those of all scripts, so that scores are
    those of all (prior correction, King and Zeng 2001). Better means a higher average precision on validation
    (to four digits), then a lower loss there.

    Parameters
    ----------
    model : keras.Model
        From `build`; left with the weights of the best epoch.
    data, validation : Samples
        With labels of both classes.
    epochs, batch : int
        Passes over the malicious scripts, scripts per step.
    seed : int
        Seeds what an epoch has, the order of batches, and what is hidden and cut.
    config : Config, optional
        Its ratio, hidden and cropped count here.

    Returns
    -------
    list of dict
        One per epoch: epoch, loss, val_loss, val_average_precision, seconds, best (bool).

    Raises
    ------
    CorpusError
        If a part lacks a class.
    ModelError
        If the loss is no longer finite.
    """
    _require_classes(data, "training")
    _require_classes(validation, "validation")
    config = config or Config()
    turns = clean_turns(data.labels, ratio=config.ratio)
    random, step = np.random.default_rng(seed), _training_step(model, turns)
    altering = {"hidden": config.hidden, "cropped": config.cropped, "random": np.random.default_rng(seed)}
    drawn = list(itertools.islice(draws(data.labels, ratio=config.ratio, random=random), epochs))
    rates = _learning_rates(model, steps=sum(math.ceil(len(rows) / batch) for rows in drawn))
    history: list[dict] = []
    best: tuple[tuple[float, float], list] | None = None
    for epoch, rows in enumerate(drawn):
        started = time.perf_counter()
        chosen = batches(data.rows(rows), size=batch, random=random)
        loss = _one_epoch(model, step, (altered(one, **altering) for one in chosen), rates)
        precision, val_loss = _validate(model, validation, batch=batch)
        rank = (round(precision, 4), -val_loss)
        improved = best is None or rank > best[0]
        if improved:
            best = (rank, model.get_weights())
        history.append(
            {
                "epoch": epoch,
                "loss": loss,
                "val_loss": val_loss,
                "val_average_precision": precision,
                "seconds": round(time.perf_counter() - started, 3),
                "best": improved,
            }
        )
        log.info("epoch %d: loss %.4f, validation %.4f, precision %.4f", epoch, loss, val_loss, precision)
    if best:
        model.set_weights(best[1])
    return history


def _learning_rates(model, *, steps: int) -> Iterator[float]:
    """Yield the learning rate of each of so many steps: up in a line, level, down in a line to nothing.

    Warm-up, stable, decay (Hu et al. 2024): a rate that falls all the time learns less in few steps.
    """
    highest = float(model.optimizer.learning_rate.numpy())
    rising, falling = max(1, min(WARM_UP, steps // 10)), max(1, steps // 3)
    for step in range(steps):
        yield highest * min(1, (step + 1) / rising, (steps - step) / falling)


def _require_classes(samples: Samples, part: str) -> None:
    counts = np.bincount(np.asarray(samples.labels, dtype=np.int64), minlength=2)
    if len(counts) != 2 or not counts.all():
        raise CorpusError(f"{part} holds {counts.tolist()} scripts of class 0, 1: both classes are needed")


def _training_step(model, turns: int) -> Callable:
    """Return a function of the groups of a batch (`_groups`) that takes one step and returns the loss.

    It is traced for rows of any number and length; Keras' own step is traced again per shape. Each device
    of a strategy takes a share of the batch; the losses, and the gradients, are summed.
    """
    import tensorflow as tf

    spread = model.distribute_strategy
    with spread.scope():
        model.optimizer.build(model.trainable_variables)

    def loss_of(inputs, labels, share):
        scores = tf.clip_by_value(model(inputs, training=True), _NEAREST, 1 - _NEAREST)
        odds = tf.math.log(scores) - tf.math.log1p(-scores) + math.log(turns)
        return share * model.compute_loss(y=labels, y_pred=odds)

    def step(groups):
        with tf.GradientTape() as tape:
            loss = tf.add_n([loss_of(*group) for group in groups])
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        return loss

    if spread.num_replicas_in_sync == 1:
        group = _signature(model), tf.TensorSpec((None, 1), tf.float32), tf.TensorSpec((), tf.float32)
        return tf.function(step, input_signature=[[group] * GROUPS])

    @tf.function(reduce_retracing=True)
    def everywhere(groups):
        return spread.reduce("SUM", spread.run(step, args=(groups,)), axis=None)

    return everywhere


def _groups(model, batch: Samples, place: int = 0, places: int = 1) -> list[tuple]:
    """Return what a training step takes of a batch: inputs, labels and share in the loss of each group.

    Parameters
    ----------
    place, places : int
        Which device this is for, and of how many; scripts are dealt out to them in turn.
    """
    import tensorflow as tf

    mine = np.arange(place, len(batch), places)
    found = []
    for group in by_length(batch.rows(mine if len(mine) else np.array([0]))):
        share = places * len(group) / len(batch) if len(mine) else 0.0  # Keras divides a loss by places
        rows = group if len(group) else batch.rows(np.array([0]))  # with no share
        labels = tf.constant(rows.labels[:, None], tf.float32)
        found.append(([tf.constant(view) for view in _feed(model, rows)], labels, tf.constant(share)))
    return found


def _dealt(model, batch: Samples):
    """Return the groups of a batch, dealt out to the devices."""
    spread = model.distribute_strategy
    places = spread.num_replicas_in_sync
    if places == 1:
        return _groups(model, batch)
    return spread.experimental_distribute_values_from_function(
        lambda context: _groups(model, batch, context.replica_id_in_sync_group, places)
    )


def _one_epoch(model, step: Callable, chosen: Iterator[Samples], rates: Iterator) -> float:
    """Take one step per batch of `chosen`, at the next of `rates`; return the mean loss per script."""
    total = count = 0
    for batch in chosen:
        model.optimizer.learning_rate = next(rates)
        loss = float(step(_dealt(model, batch)))
        if not math.isfinite(loss):
            raise ModelError(
                f"training loss became {loss}: lower the learning rate or check the token matrix"
            )
        total, count = total + loss * len(batch), count + len(batch)
    return total / count


def _validate(model, validation: Samples, *, batch: int) -> tuple[float, float]:
    """Return average precision and log loss (nats) on the validation part."""
    from sklearn.metrics import average_precision_score

    scores = predict(model, validation, batch=batch).astype(np.float64).clip(_NEAREST, 1 - _NEAREST)
    truth = validation.labels == 1
    losses = -np.log(np.where(truth, scores, 1 - scores))
    return float(average_precision_score(truth, scores)), float(losses.mean())


def _feed(model, rows: Samples) -> list[np.ndarray]:
    return [getattr(rows, tensor.name).astype(np.int32) for tensor in model.inputs]


def predict(model, samples: Samples, *, batch: int = 256) -> np.ndarray:
    """Return scores float32[n] of a Keras model, in the order of `samples`."""
    scorer = _scorer(model)
    return run_batches(lambda rows: scorer(_feed(model, rows)).numpy(), samples, batch=batch)[:, 0]


@functools.lru_cache(maxsize=1)
def _scorer(model) -> Callable:
    """Return the model traced once for inference, rows of any number and length."""
    import tensorflow as tf

    return tf.function(functools.partial(model, training=False), input_signature=[_signature(model)])


def _signature(model) -> list:
    import tensorflow as tf

    return [tf.TensorSpec((None, None), tf.int32, name=tensor.name) for tensor in model.inputs]


def save(model, path: Path) -> None:
    """Write the model as .keras, whole or not at all."""
    with atomic(Path(path)) as temporary:
        model.save(temporary)


def load(path: Path):
    """Read a .keras model to score with; it is not compiled for more training.

    Raises
    ------
    ModelError
        If the file is missing, damaged or of a Keras that this one cannot read.
    """
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{Path(path).name} is no readable .keras model ({error}); train it again"
        ) from error
