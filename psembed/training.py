"""Trained networks kept by what made them: an interrupted run takes up where it stopped."""

import hashlib
import json
import math
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from psembed import network
from psembed.batches import Samples
from psembed.fingerprint import library_version, module_hash
from psembed.network import Config
from psembed.tokens import Encoder
from psembed.workspace import write_json

WINDOWS = 16  # of one script, at most
MODULES = ("network", "designs", "batches")  # the code that decides what training gives
NETWORKS = {
    "cnn_lstm": Config(),
    "cnn_lstm_random": Config(trainable=True),
    "cnn_lstm_tuned": Config(trainable=True),
    "cnn_lstm_fasttext": Config(),
    "token_cnn_lstm": Config(design="token_cnn_lstm"),
    "token_cnn": Config(design="token_cnn"),
    "character_cnn": Config(design="character_cnn"),
    "multiscale": Config(design="multiscale", trainable=True),
    "multiscale_hardened": Config(design="multiscale", trainable=True),
    "transformer": Config(design="transformer"),
}
"""The networks that are compared: Figure 4 first, its ablations, its predecessors, and ours. One named random
starts from random token vectors (`starting_vectors`), one named fasttext from FastText's, the others from
Word2vec's; one named hardened trains on rewritten scripts, too (`robustness.hardened`)."""


class Training(NamedTuple):
    """One network to train: its name in NETWORKS, the embedding's vectors, its data, and a seed."""

    network: str
    matrix: np.ndarray
    data: Samples
    validation: Samples
    seed: int


def encoded(encoder: Encoder, scripts: pl.DataFrame) -> Samples:
    """Return scripts (columns clean and label) as a network reads them."""
    return Samples(*encoder.encode(scripts["clean"]), scripts["label"].to_numpy())


def starting_vectors(name: str, matrix: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the token vectors a network starts from: `matrix`, or as many random ones for "..._random"."""
    if not name.endswith("_random"):
        return matrix
    vectors = np.random.default_rng(seed).normal(size=matrix.shape).astype(np.float32)
    vectors[0] = 0  # padding
    return vectors


def window_scores(model, encoder: Encoder, scripts: pl.DataFrame) -> np.ndarray:
    """Return the highest score of any window of each script, its head and tail among them (float32[n]).

    A script longer than the encoder's characters is also read in windows of that length that overlap by
    half, or, where that would be more than WINDOWS, in WINDOWS spread over it: nothing in the middle is
    lost, and a long clean script gets more chances to look malicious.
    """
    width, owners, pieces = encoder.char_length, [], []
    for owner, text in enumerate(scripts["clean"].to_list()):
        if len(text) > width:
            count = min(WINDOWS, math.ceil(2 * len(text) / width) - 1)
            starts = np.linspace(0, len(text) - width, count).astype(int).tolist()
            pieces += [text[start : start + width] for start in starts]
            owners += [owner] * count
    best = network.predict(model, encoded(encoder, scripts))
    if pieces:
        np.maximum.at(best, owners, network.predict(model, Samples(*encoder.encode(pieces))))
    return best


def train_all(folder: Path, trainings: Sequence[Training], *, processes: int, **settings: int) -> None:
    """Train those networks that `folder` does not hold yet, several at a time.

    Two trainings of one thread each get more done on two cores than one of two threads. On a GPU they go
    one after the other, whatever `processes` says.

    Parameters
    ----------
    folder, **settings
        As for `trained`, which reads the networks back.
    trainings : sequence of Training
    processes : int
        Trainings at a time, in processes of their own; 1 for this one.
    """
    missing = [training for training in trainings if not _are_kept(*_files(folder, training, settings))]
    if processes == 1 or len(missing) < 2 or network.device() != "CPU":
        for training in missing:
            trained(folder, training, **settings)
        return
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=network.one_thread
    ) as pool:
        for done in [pool.submit(_train, folder, training, settings) for training in missing]:
            done.result()


def _train(folder: Path, training: Training, settings: dict) -> None:
    trained(folder, training, **settings)


def trained(folder: Path, training: Training, **settings: int) -> tuple[object, list[dict]]:
    """Return the network that a training gives, from `folder` if it was trained before.

    Parameters
    ----------
    folder : Path
        Where networks are kept, as <key>.keras and <key>.json (the history, written last).
    training : Training
    **settings : int
        epochs and batch, as `network.train` takes them.

    Returns
    -------
    model : keras.Model
        Read back from its file in either case, so both give the same scores.
    history : list of dict
    """
    weights, log = _files(folder, training, settings)
    if not _are_kept(weights, log):
        model, history = _made(training, settings)
        folder.mkdir(parents=True, exist_ok=True)
        network.save(model, weights)
        write_json(log, history)
    return network.load(weights), json.loads(log.read_text(encoding="utf-8"))


def _made(training: Training, settings: dict) -> tuple[object, list[dict]]:
    """Train, in half precision where the device is good at it; the network returned is in full precision."""
    name, matrix, data, validation, seed = training
    vectors, policy = starting_vectors(name, matrix, seed=seed), network.precision()
    model = network.build(vectors, config=NETWORKS[name], seed=seed, policy=policy)
    history = network.train(model, data, validation, seed=seed, **settings)
    if policy == network.FULL:
        return model, history
    full = network.build(vectors, config=NETWORKS[name], seed=seed)
    full.set_weights(model.get_weights())
    return full, history


def _are_kept(weights: Path, log: Path) -> bool:
    return weights.is_file() and log.is_file()


def _files(folder: Path, training: Training, settings: dict) -> tuple[Path, Path]:
    key = _key(training, settings)
    return folder / f"{key}.keras", folder / f"{key}.json"


def _key(training: Training, settings: dict) -> str:
    """Hash everything the result depends on: data, settings, code and libraries."""
    package = Path(__file__).parent
    code = [module_hash(package / f"{name}.py") for name in MODULES]
    versions = [library_version(name) for name in ("tensorflow", "keras")]
    name, matrix, data, validation, seed = training
    kind = [asdict(NETWORKS[name]), name.endswith("_random"), network.precision()]
    made_by = [*kind, seed, settings, code, versions]
    digest = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode())
    for array in (matrix, *(part for samples in (data, validation) for part in vars(samples).values())):
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]
