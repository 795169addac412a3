"""Trained networks kept by what made them: an interrupted run takes up where it stopped."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from psembed import network
from psembed.batches import Samples
from psembed.fingerprint import library_version, module_hash
from psembed.network import Config
from psembed.workspace import write_json

MODULES = ("network", "designs", "batches")  # the code that decides what training gives
NETWORKS = {
    "cnn_lstm": Config(),
    "cnn_lstm_random": Config(trainable=True),
    "cnn_lstm_tuned": Config(trainable=True),
    "token_cnn_lstm": Config(design="token_cnn_lstm"),
    "token_cnn": Config(design="token_cnn"),
    "character_cnn": Config(design="character_cnn"),
    "multiscale": Config(design="multiscale", trainable=True),
    "transformer": Config(design="transformer"),
}
"""The networks that are compared: Figure 4 first, its ablations, its predecessors, and ours. The one named
random starts from random token vectors (`starting_vectors`), the others from the embedding's."""


def starting_vectors(name: str, matrix: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the token vectors a network starts from: `matrix`, or as many random ones for "..._random"."""
    if not name.endswith("_random"):
        return matrix
    vectors = np.random.default_rng(seed).normal(size=matrix.shape).astype(np.float32)
    vectors[0] = 0  # padding
    return vectors


def trained(
    folder: Path,
    matrix: np.ndarray,
    data: Samples,
    validation: Samples,
    *,
    config: Config | None = None,
    **settings: int,
) -> tuple[object, list[dict]]:
    """Return the network that these data and settings give, from `folder` if it was trained before.

    Parameters
    ----------
    folder : Path
        Where networks are kept, as <key>.keras and <key>.json (the history, written last).
    matrix : float32[V, d]
        Token vectors, as `network.build` takes them.
    data, validation : Samples
        With labels.
    config : Config, optional
    **settings : int
        epochs, batch, patience and seed, as `network.train` takes them.

    Returns
    -------
    model : keras.Model
        Read back from its file in either case, so both give the same scores.
    history : list of dict
    """
    config = config or Config()
    key = _key(matrix, data, validation, {**asdict(config), **settings})
    weights, log = folder / f"{key}.keras", folder / f"{key}.json"
    if not (weights.is_file() and log.is_file()):
        model = network.build(matrix, config=config, seed=settings["seed"])
        history = network.train(model, data, validation, **settings, clean_share=config.clean_share)
        folder.mkdir(parents=True, exist_ok=True)
        network.save(model, weights)
        write_json(log, history)
    return network.load(weights), json.loads(log.read_text(encoding="utf-8"))


def _key(matrix: np.ndarray, data: Samples, validation: Samples, settings: dict) -> str:
    """Hash everything the result depends on: data, settings, code and libraries."""
    package = Path(__file__).parent
    code = [module_hash(package / f"{name}.py") for name in MODULES]
    versions = [library_version(name) for name in ("tensorflow", "keras")]
    digest = hashlib.sha256(json.dumps([settings, code, versions], sort_keys=True).encode())
    for array in (matrix, *(part for samples in (data, validation) for part in vars(samples).values())):
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]
