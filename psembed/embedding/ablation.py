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

from psembed.embedding import benchmark, token_vectors, word2vec
from psembed.embedding.stream import TokenStream, write
from psembed.powershell.command_position import Reading
from psembed.runtime import workers
from psembed.runtime.errors import ParameterError


class Training(NamedTuple):
    """One training: a name for its file, the stream and scripts it reads, and the changed settings."""

    name: str
    stream: Path
    kept: np.ndarray | None
    changes: dict


def train_all(
    trainings: Sequence[Training], settings: dict, folder: Path, *, processes: int = 1
) -> list[float]:
    """Train each, `processes` at a time, and write <folder>/<name>.npz; return the seconds each took.

    `settings` are those of `word2vec.train`; each training's changes replace some of them. ParameterError if
    two trainings have one name.
    """
    names = [training.name for training in trainings]
    if len(set(names)) < len(names):
        raise ParameterError(f"two trainings have one name among {', '.join(names)}; give each its own")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [
        (training, settings | training.changes, folder / f"{training.name}.npz") for training in trainings
    ]
    return list(workers.each(_train, jobs, processes=processes))


def _train(training: Training, settings: dict, path: Path) -> float:
    started = time.perf_counter()
    stream = TokenStream(training.stream)
    vectors = word2vec.train(stream, kept=training.kept, **settings)
    token_vectors.save(path, vectors, settings, dtype="float16")  # half the size; cosines move by about 1e-3
    return time.perf_counter() - started


def sample(scripts: pl.DataFrame, n: int, *, seed: int) -> np.ndarray:
    """Choose `n` of the kept scripts at the pinned commits at random, or all if there are fewer.

    Returns bool, one a row of `scripts`, the table of a TokenStream.
    """
    return _drawn((scripts["head"] & scripts["kept"]).to_numpy(), n, seed)


def _drawn(among: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Choose `n` of the places where `among` is true; a larger sample holds the smaller ones (bool)."""
    drawn = np.zeros(len(among), dtype=bool)
    drawn[np.random.default_rng(seed).permutation(np.flatnonzero(among))[:n]] = True
    return drawn


READINGS = {
    "comments read": Reading(comments=True),
    "strings blank": Reading(strings=False),
    "commands not marked": Reading(commands=False),
}
SETTINGS: dict[str, dict] = {
    "window 1": {"window": 1},
    "window 5": {"window": 5},
    "50 dimensions": {"dimension": 50},
    "200 dimensions": {"dimension": 200},
    "in 5 scripts": {"min_scripts": 5},
    "in 50 scripts": {"min_scripts": 50},
    "skip-gram": {"algorithm": "skipgram"},
    "FastText": {"algorithm": "fasttext"},
}
SIZES = (10_000, 100_000)


def plan(stream: TokenStream, scripts: pl.DataFrame, folder: Path, *, n: int, seed: int) -> list[Training]:
    """List the trainings that change one thing each; the first, "base", reads `n` scripts as they are today.

    Parameters
    ----------
    stream : TokenStream
        With the columns normalised, head and kept.
    scripts : DataFrame
        Columns normalised and text; what is read differently is read from it, into streams in `folder`.
    """
    base = sample(stream.scripts, n, seed=seed)
    texts = scripts.join(stream.scripts.filter(base).select("normalised"), on="normalised", how="semi")
    folder = Path(folder)
    trainings = [Training("base", stream.folder, base, {})]
    trainings += [Training(name, stream.folder, base, changes) for name, changes in SETTINGS.items()]
    for name, reading in READINGS.items():
        other = write(folder / name, [texts.select("normalised", "text")], reading=reading)
        trainings.append(Training(name, other.folder, None, {}))
    for size in sorted({n, *SIZES}):
        if size <= stream.kept.sum():
            name = f"{size:,} scripts, older versions too"
            trainings.append(Training(name, stream.folder, _drawn(stream.kept, size, seed), {}))
    return trainings


def report(trainings: Sequence[Training], folder: Path, *, seed: int, min_count: int) -> pl.DataFrame:
    """Score trained vectors on the development half of the benchmark, a row each."""
    wanted = ("alias_n", "alias_mrr", "alias_mrr_low", "alias_mrr_high", "alias_hit10", "odd_groups_accuracy",
              "analogies_top1", "analogies_mrr")  # fmt: skip
    rows = []
    for training in trainings:
        vectors = token_vectors.load(Path(folder) / f"{training.name}.npz")
        scores = benchmark.run(vectors, seed=seed, half="development", min_count=min_count)
        rows.append(
            {"change": training.name, "tokens": len(vectors)}
            | {name: scores["summary"]["development"][name] for name in wanted}
        )
    return pl.DataFrame(rows, infer_schema_length=None)
