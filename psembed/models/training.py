"""Networks trained and asked, several at a time; kept by what made them, so an interrupted run goes on."""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from psembed.models import batches, designs, fitting, network
from psembed.models.network import Config
from psembed.powershell.encoding import Encoder, Samples
from psembed.powershell.tokens import FIRST, PAD, UNKNOWN
from psembed.runtime import workers
from psembed.runtime.errors import ParameterError
from psembed.runtime.files import atomic, write_json
from psembed.runtime.provenance import library_version, module_hash

MODULES = (network, designs, fitting, batches)  # the code that decides what training gives
_NETWORKS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
NETWORKS = {name: Config(**constants) for name, constants in _NETWORKS.items()}
"""The networks that are compared, as training.toml has them."""


class Training(NamedTuple):
    """One network to train: its name in NETWORKS, its vectors and their name, data, a seed, and for how long.

    Vectors of one name may differ between machines, by rounding.
    """

    network: str
    matrix: np.ndarray
    vectors: str
    data: Samples
    seed: int
    epochs: int


class Scored(NamedTuple):
    """What a trained network gives: scores float32[n] by part, its history, its number of parameters."""

    scores: dict[str, np.ndarray]
    history: list[dict]
    parameters: int


class Encoded:
    """All scripts as every fold's network reads them, encoded once: with the tokens that any of them knows.

    Raises ParameterError if the encoders of the folds cut scripts to different lengths.
    """

    def __init__(self, texts: Sequence[str], labels: np.ndarray, encoders: dict[int, Encoder]):
        lengths = {(one.token_length, one.char_length) for one in encoders.values()}
        if len(lengths) != 1:
            raise ParameterError(f"encoders of lengths {sorted(lengths)}: give every fold the same two")
        ((token_length, char_length),) = lengths
        tokens = dict.fromkeys(token for one in encoders.values() for token in one.vocabulary.tokens)
        union = Encoder(list(tokens), token_length=token_length, char_length=char_length)
        self.samples = Samples(*map(_narrowed, union.encode(texts)), np.asarray(labels))
        self.known = {fold: _numbers(union, encoder) for fold, encoder in encoders.items()}

    def of(self, fold: int, rows: np.ndarray) -> Samples:
        """Return the scripts at `rows` (int64[n]) with token ids of the fold's encoder."""
        own = self.samples.rows(rows)
        return Samples(self.known[fold][own.tokens], own.characters, own.labels)

    def digest(self) -> str:
        """Return a hash of all that is read, in every fold."""
        return _digest(self.samples.tokens, self.samples.characters, *self.known.values())


def _numbers(union: Encoder, own: Encoder) -> np.ndarray:
    """Return the id in `own` of every id in `union`."""
    place = {token: number for number, token in enumerate(own.vocabulary.tokens, FIRST)}
    ids = [PAD, UNKNOWN, *(place.get(token, UNKNOWN) for token in union.vocabulary.tokens)]
    return _narrowed(np.array(ids))


def _narrowed(ids: np.ndarray) -> np.ndarray:
    return ids.astype(np.min_scalar_type(ids.max(initial=0)))


def starting_vectors(name: str, matrix: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the token vectors a network starts from: `matrix`, or as many random ones for "..._random"."""
    if not name.endswith("_random"):
        return matrix
    vectors = np.random.default_rng(seed).normal(size=matrix.shape).astype(np.float32)
    vectors[0] = 0  # padding
    return vectors


def score_all(
    folder: Path, asked: Iterable[tuple[Training, dict[str, Samples]]], *, processes: int, **settings: int
) -> Iterator[Scored]:
    """Yield what each network gives its parts, in the order asked; one that `folder` lacks is trained first.

    Two trainings of one thread each get more done on two cores than one of two threads. On a GPU they go
    one after the other, whatever `processes` says. Folder and settings are those of `trained`; scores are
    kept beside the networks, as <key>.<hash of the scripts>.npy.
    """
    jobs = ((folder, *one, settings) for one in asked)
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
    from its file in either case, so both give the same scores. Settings are `fitting.fit`'s batch.
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
    name, matrix, _, data, seed, epochs = training
    config, policy = NETWORKS[name], network.precision()
    vectors = starting_vectors(name, matrix, seed=seed)
    model = network.build(vectors, config=config, seed=seed, policy=policy)
    history = fitting.fit(model, data, seed=seed, config=config, epochs=epochs, **settings)
    if policy == network.FULL:
        return model, history
    full = network.build(vectors, config=config, seed=seed)
    full.set_weights(model.get_weights())
    return full, history


def _files(folder: Path, training: Training, settings: dict) -> tuple[Path, Path]:
    key = key_of(training, settings)
    return folder / f"{key}.keras", folder / f"{key}.json"


def key_of(training: Training, settings: dict) -> str:
    """Hash everything the result depends on: data, settings, code and libraries."""
    code = [module_hash(Path(module.__file__)) for module in MODULES]
    versions = [library_version(name) for name in ("tensorflow", "keras")]
    name, matrix, vectors, data, seed, epochs = training
    kind = [asdict(NETWORKS[name]), name.endswith("_random"), network.precision()]
    made_by = [*kind, vectors, matrix.shape, seed, epochs, settings, code, versions]
    return _digest(*vars(data).values(), started=json.dumps(made_by, sort_keys=True))[:32]


def _digest(*arrays: np.ndarray, started: str = "") -> str:
    digest = hashlib.sha256(started.encode())
    for array in arrays:
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
