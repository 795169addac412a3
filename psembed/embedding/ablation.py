"""Many trainings side by side: seeds of one setting, and settings changed one thing at a time.

Each training uses one thread, so that it repeats exactly; the processor's cores are kept busy by several
trainings at once.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from psembed.embedding import benchmark, ppmi, token_vectors, word2vec
from psembed.embedding.stream import TokenStream, write
from psembed.powershell.command_position import Reading
from psembed.runtime import workers
from psembed.runtime.errors import ParameterError
from psembed.sources import catalogue

MODELS = {"word2vec": word2vec.train, "ppmi": ppmi.train}
JOINED = "joined"
Settings = dict[str, dict]  # of each of MODELS, as its training takes them


class Training(NamedTuple):
    """One training: a name for its file, the model, the stream and scripts it reads, the changed settings."""

    name: str
    model: str
    stream: Path
    kept: np.ndarray | None
    changes: dict


def train_all(
    trainings: Sequence[Training], settings: Settings, folder: Path, *, processes: int = 1
) -> list[float]:
    """Train each, `processes` at a time, and write <folder>/<name>.npz; return the seconds each took.

    Each training's changes replace some of the settings of its model. ParameterError if two trainings have
    one name.
    """
    names = [training.name for training in trainings]
    if len(set(names)) < len(names):
        raise ParameterError(f"two trainings have one name among {', '.join(names)}; give each its own")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(one, settings[one.model] | one.changes, folder / f"{one.name}.npz") for one in trainings]
    return list(workers.each(_train, jobs, processes=processes))


def _train(training: Training, settings: dict, path: Path) -> float:
    started = time.perf_counter()
    with threadpool_limits(1):
        vectors = MODELS[training.model](TokenStream(training.stream), kept=training.kept, **settings)
    token_vectors.save(path, vectors, settings, dtype="float16")  # half the size; cosines move by about 1e-3
    return time.perf_counter() - started


def of_seeds(stream: TokenStream, kept: np.ndarray | None, seeds: Sequence[int]) -> list[Training]:
    """List the trainings of each model with each seed: word2vec_1, ppmi_1, word2vec_2, ..."""
    return [
        Training(f"{model}_{seed}", model, stream.folder, kept, {"seed": seed})
        for seed in seeds
        for model in MODELS
    ]


def join(folder: Path, first: str, second: str, name: str) -> None:
    """Write the joined vectors of two trainings beside them, as `name`."""
    pair = [token_vectors.read(Path(folder) / f"{one}.npz") for one in (first, second)]
    token_vectors.save(Path(folder) / f"{name}.npz", ppmi.joined(*pair), {}, dtype="float16")


def sample(kept: np.ndarray, n: int, *, seed: int) -> np.ndarray:
    """Choose `n` of the `kept` scripts at random, or all if there are fewer (bool)."""
    drawn = np.zeros(len(kept), dtype=bool)
    drawn[np.random.default_rng(seed).permutation(np.flatnonzero(kept))[:n]] = True
    return drawn


READINGS = {
    "comments read": Reading(comments=True),
    "strings blank": Reading(strings=False),
    "commands not marked": Reading(commands=False),
}
CHANGES: Settings = {
    "word2vec": {
        "no cap": {"repository_cap": None},
        "a cap of 20": {"repository_cap": 20},
        "in 10 scripts": {"min_scripts": 10},
        "in 50 scripts": {"min_scripts": 50},
        "window 1": {"window": 1},
        "window 5": {"window": 5},
        "50 dimensions": {"dimension": 50},
        "200 dimensions": {"dimension": 200},
        "15 negatives": {"negative": 15},
        "skip-gram": {"algorithm": "skipgram"},
    },
    "ppmi": {
        "no cap": {"repository_cap": None},
        "without parameters": {"contexts": ppmi.CONTEXTS[:3]},
        "100 dimensions": {"dimension": 100},
        "300 dimensions": {"dimension": 300},
        "500 dimensions": {"dimension": 500},
    },
}


def plan(stream: TokenStream, scripts: pl.DataFrame, folder: Path) -> list[Training]:
    """List the trainings that change one thing each; the first of a model, "word2vec" or "ppmi", none.

    The stream has the columns source, path, normalised and version; the base reads version 0. What is read
    differently is read from `scripts` (columns normalised and text), into streams in `folder`.
    """
    table = stream.scripts
    base = (table["version"] == 0).to_numpy()
    texts = scripts.join(table.filter(base).select("normalised"), on="normalised", how="semi")
    older = [source.name for source in catalogue.find_sources(["benign", "offensive"], history=True)]
    other_texts = {
        "one older version too": (table["version"] <= 1).to_numpy(),
        "two older versions too": (table["version"] <= 2).to_numpy(),
        "no snippets": base & ~table["path"].str.contains(r"#\d{4}$").to_numpy(),
        "sources with a history only": base & table["source"].is_in(older).to_numpy(),
    }
    trainings = []
    for model, changes in CHANGES.items():
        trainings.append(Training(model, model, stream.folder, base, {}))
        trainings += [
            Training(f"{model}, {name}", model, stream.folder, base, one) for name, one in changes.items()
        ]
        trainings += [
            Training(f"{model}, {name}", model, stream.folder, kept, {})
            for name, kept in other_texts.items()
            if kept.any() and (kept != base).any()
        ]
    for name, reading in READINGS.items():
        columns = ["source", "normalised", "text"]
        other = write(Path(folder) / name, [texts.select(columns)], reading=reading)
        trainings.append(Training(f"word2vec, {name}", "word2vec", other.folder, None, {}))
    return trainings


def report(names: Sequence[str], folder: Path, *, seed: int, min_count: int) -> pl.DataFrame:
    """Score trained vectors on the development half of the benchmark, a row each."""
    wanted = ("alias_n", "alias_mrr", "alias_mrr_low", "alias_mrr_high", "alias_hit10", "odd_groups_accuracy",
              "analogies_top1", "analogies_mrr")  # fmt: skip
    rows = []
    for name in names:
        vectors = token_vectors.read(Path(folder) / f"{name}.npz")
        scores = benchmark.run(vectors, seed=seed, half="development", min_count=min_count)
        rows.append(
            {"change": name, "tokens": len(vectors.index_to_key)}
            | {key: scores["summary"]["development"][key] for key in wanted}
        )
    return pl.DataFrame(rows, infer_schema_length=None)
