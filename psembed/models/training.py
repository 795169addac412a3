"""Networks trained and asked, several at a time; kept by what made them, so an interrupted run goes on."""

import hashlib
import json
import math
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from psembed.models import batches, designs, fitting, network
from psembed.models.network import Config
from psembed.powershell.encoding import Encoder, Samples
from psembed.runtime import workers
from psembed.runtime.files import atomic, write_json
from psembed.runtime.provenance import library_version, module_hash

WINDOWS = 16  # of one script, at most
MODULES = (network, designs, fitting, batches)  # the code that decides what training gives
_NETWORKS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
NETWORKS = {name: Config(**constants) for name, constants in _NETWORKS.items()}
"""The networks that are compared, as training.toml has them."""


class Training(NamedTuple):
    """One network to train: its name in NETWORKS, the embedding's vectors, its data, and a seed."""

    network: str
    matrix: np.ndarray
    data: Samples
    validation: Samples
    seed: int


class Scored(NamedTuple):
    """What a trained network gives: scores float32[n] by part, its history, its number of parameters."""

    scores: dict[str, np.ndarray]
    history: list[dict]
    parameters: int


def encoded(encoder: Encoder, scripts: pl.DataFrame) -> Samples:
    """Return scripts (columns clean and label) as a network reads them, in small integers."""
    tokens, characters = encoder.encode(scripts["clean"])
    return Samples(_narrowed(tokens), _narrowed(characters), scripts["label"].to_numpy())


def _narrowed(ids: np.ndarray) -> np.ndarray:
    return ids.astype(np.min_scalar_type(ids.max(initial=0)))


def starting_vectors(name: str, matrix: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the token vectors a network starts from: `matrix`, or as many random ones for "..._random"."""
    if not name.endswith("_random"):
        return matrix
    vectors = np.random.default_rng(seed).normal(size=matrix.shape).astype(np.float32)
    vectors[0] = 0  # padding
    return vectors


def windows(encoder: Encoder, scripts: pl.DataFrame) -> tuple[Samples, np.ndarray]:
    """Return scripts as `encoded` does, and after them the windows over the long ones, with their owners.

    A script longer than the encoder's characters is also read in windows of that length that overlap by
    half, or, where that would be more than WINDOWS, in WINDOWS at equal distances. The samples have no
    labels; an owner is the row of the script, int64[len(samples)].
    """
    width, texts = encoder.char_length, scripts["clean"].to_list()
    owners, read = list(range(len(texts))), list(texts)
    for owner, text in enumerate(texts):
        if len(text) > width:
            count = min(WINDOWS, math.ceil(2 * len(text) / width) - 1)
            starts = np.linspace(0, len(text) - width, count).astype(int).tolist()
            read += [text[start : start + width] for start in starts]
            owners += [owner] * count
    return Samples(*map(_narrowed, encoder.encode(read))), np.array(owners, dtype=np.int64)


def highest(scores: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Return the highest score of each owner (float32[n]), as `windows` numbers them."""
    best = np.zeros(owners.max(initial=-1) + 1, dtype=np.float32)
    np.maximum.at(best, owners, scores)
    return best


def score_all(
    folder: Path, asked: Sequence[tuple[Training, dict[str, Samples]]], *, processes: int, **settings: int
) -> Iterator[Scored]:
    """Yield what each network gives its parts, in the order asked; one that `folder` lacks is trained first.

    Two trainings of one thread each get more done on two cores than one of two threads. On a GPU they go
    one after the other, whatever `processes` says. Folder and settings are those of `trained`; scores are
    kept beside the networks, as <key>.<hash of the scripts>.npy.
    """
    jobs = [(folder, *one, settings) for one in asked]
    at_a_time = processes if network.device() == "CPU" else 1
    return workers.each(_score, jobs, processes=at_a_time, prepare=network.one_thread)


def _score(folder: Path, training: Training, parts: dict[str, Samples], settings: dict) -> Scored:
    model, history = trained(folder, training, **settings)
    weights, _ = _files(folder, training, settings)
    scores = {part: _scores(weights, model, samples) for part, samples in parts.items()}
    return Scored(scores, history, model.count_params())


def _scores(weights: Path, model, samples: Samples) -> np.ndarray:
    path = weights.with_suffix(f".{_digest(samples.tokens, samples.characters)[:16]}.npy")
    if not path.is_file():
        with atomic(path) as temporary, temporary.open("wb") as file:
            np.save(file, network.predict(model, samples))
    return np.load(path)


def trained(folder: Path, training: Training, **settings: int) -> tuple[object, list[dict]]:
    """Return the Keras model that a training gives, from `folder` if it was trained before, and its history.

    The folder keeps them as <key>.keras and <key>.json (the history, written last). The model is read back
    from its file in either case, so both give the same scores. Settings are `fitting.fit`'s epochs and batch.
    """
    weights, log = _files(folder, training, settings)
    if not (weights.is_file() and log.is_file()):
        model, history = _made(training, settings)
        folder.mkdir(parents=True, exist_ok=True)
        network.save(model, weights)
        write_json(log, history)
    return network.load(weights), json.loads(log.read_text(encoding="utf-8"))


def _made(training: Training, settings: dict) -> tuple[object, list[dict]]:
    """Train, in half precision where the device is good at it; the network returned is in full precision."""
    name, matrix, data, validation, seed = training
    config, policy = NETWORKS[name], network.precision()
    vectors = starting_vectors(name, matrix, seed=seed)
    model = network.build(vectors, config=config, seed=seed, policy=policy)
    history = fitting.fit(model, data, validation, seed=seed, config=config, **settings)
    if policy == network.FULL:
        return model, history
    full = network.build(vectors, config=config, seed=seed)
    full.set_weights(model.get_weights())
    return full, history


def _files(folder: Path, training: Training, settings: dict) -> tuple[Path, Path]:
    key = _key(training, settings)
    return folder / f"{key}.keras", folder / f"{key}.json"


def _key(training: Training, settings: dict) -> str:
    """Hash everything the result depends on: data, settings, code and libraries."""
    code = [module_hash(Path(module.__file__)) for module in MODULES]
    versions = [library_version(name) for name in ("tensorflow", "keras")]
    name, matrix, data, validation, seed = training
    kind = [asdict(NETWORKS[name]), name.endswith("_random"), network.precision()]
    made_by = [*kind, seed, settings, code, versions]
    arrays = (matrix, *(array for samples in (data, validation) for array in vars(samples).values()))
    return _digest(*arrays, started=json.dumps(made_by, sort_keys=True))[:32]


def _digest(*arrays: np.ndarray, started: str = "") -> str:
    digest = hashlib.sha256(started.encode())
    for array in arrays:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
