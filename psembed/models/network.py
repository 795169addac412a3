"""A design (psembed.models.designs) as a Keras model: built, run, saved and loaded.

A script is two rows of integers (psembed.powershell.encoding.Encoder), padded with 0 at the end. Padding
never counts, so a row may be cut to its content, and scripts of like length, taken together, cost only what
they hold.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from psembed.models.designs import DESIGNS
from psembed.powershell.encoding import Samples, run_batches
from psembed.runtime.errors import ModelError, ParameterError
from psembed.runtime.files import atomic

FULL = "float32"


@dataclass(frozen=True)
class Config:
    """Shape and training constants of the network."""

    design: str = "figure4"  # one of psembed.models.designs.DESIGNS
    filters: int = 96  # width of the convolutions
    units: int = 64  # width of the LSTM and the last hidden layer
    dropout: float = 0.3  # share of features dropped before the output layer; a third of it on embeddings
    learning_rate: float = 1e-3  # AdamW's at its highest; it rises first and falls last (fitting.WARM_UP)
    weight_decay: float = 1e-4  # AdamW's
    smoothing: float = 0.02  # of labels; keeps scores off 0 and 1, where float32 cannot tell them apart
    trainable: bool = False  # whether token vectors are trained further or stay as given
    ratio: int = 16  # clean scripts to a malicious one in an epoch, at most


def device() -> str:
    """Return "GPU (name)" if TensorFlow sees one, else "CPU"."""
    gpus = _gpus()
    return f"GPU ({next(iter(gpus.values())).get('device_name', next(iter(gpus)))})" if gpus else "CPU"


def precision() -> str:
    """Return the Keras policy to train with: bfloat16 arithmetic where every GPU has it, else float32."""
    able = [details.get("compute_capability", (0, 0)) >= (8, 0) for details in _gpus().values()]
    return "mixed_bfloat16" if able and all(able) else FULL


def _gpus() -> dict[str, dict]:
    """Return the name of each GPU that TensorFlow sees, and what it tells of it."""
    gpus = tf.config.list_physical_devices("GPU")
    return {gpu.name: tf.config.experimental.get_device_details(gpu) for gpu in gpus}


def strategy():
    """Return how training is spread: over all GPUs where there are several, else on one device."""
    several = len(tf.config.list_logical_devices("GPU")) > 1
    return tf.distribute.MirroredStrategy() if several else tf.distribute.get_strategy()


def one_thread() -> None:
    """Let TensorFlow use one thread; must come before anything else asks something of it."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and ask for deterministic operations; starts a fresh graph."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def build(matrix: np.ndarray, *, config: Config | None = None, seed: int, policy: str = FULL):
    """Build the compiled model.

    `matrix` has token vectors, float32[V, d]; row 0 stands for padding and must be zero, row 1 for unknown
    tokens. Rows are brought to length 1: Word2vec makes common tokens so long that they drown the others. The
    seed is that of initial weights and dropout. `policy` is Keras' for dtypes: FULL, or "mixed_bfloat16",
    which computes in half the bits; weights are float32.

    Inputs are `tokens` int32[n, T] and `characters` int32[n, C] (T and C free, multiples of encoding.BLOCK),
    the output is `score` float32[n, 1]. A wrong matrix or an unknown design raises ParameterError.
    """
    config = config or Config()
    if config.design not in DESIGNS:
        raise ParameterError(f"design {config.design!r}: choose one of {', '.join(DESIGNS)}")
    matrix = _unit_vectors(matrix)
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


def _unit_vectors(matrix: np.ndarray) -> np.ndarray:
    matrix = np.asarray(matrix, dtype=np.float32)
    if matrix.ndim != 2 or len(matrix) < 2 or not np.isfinite(matrix).all() or matrix[0].any():
        raise ParameterError(
            f"token matrix of shape {matrix.shape}: expected finite float32[V >= 2, d] whose row 0 "
            "(padding) is zero; take it from the embedding's vectors for the encoder's token list"
        )
    return matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), np.finfo(np.float32).tiny)


@contextlib.contextmanager
def _policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def predict(model, samples: Samples, *, batch: int = 256) -> np.ndarray:
    """Return scores float32[n] of a Keras model, in the order of `samples`."""
    scorer = _scorer(model)
    return run_batches(lambda rows: scorer(views(model, rows)).numpy(), samples, batch=batch)[:, 0]


@functools.lru_cache(maxsize=1)
def _scorer(model) -> Callable:
    """Return the model traced once for inference, rows of any number and length."""
    return tf.function(functools.partial(model, training=False), input_signature=[signature(model)])


def views(model, rows: Samples) -> list[np.ndarray]:
    """Return those views of scripts that a model takes, int32[n, length] each, in the order of its inputs."""
    return [getattr(rows, tensor.name).astype(np.int32) for tensor in model.inputs]


def signature(model) -> list:
    """Return what TensorFlow traces a model for: `views` of any number of rows of any length."""
    return [tf.TensorSpec((None, None), tf.int32, name=tensor.name) for tensor in model.inputs]


def save(model, path: Path) -> None:
    """Write the model as .keras, whole or not at all."""
    with atomic(Path(path)) as temporary:
        model.save(temporary)


def load(path: Path):
    """Read a .keras model to score with; it is not compiled for more training.

    Raises ModelError if the file is missing, damaged or of a Keras that this one cannot read.
    """
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        name = Path(path).name
        raise ModelError(f"{name} is no readable .keras model ({error}); train it again") from error
