"""Networks of every fold: trained, and asked what the fold tests, a score file for each protocol and network.

What a file was made by is kept in it, so what is there already and would come out the same is not made again,
on whatever machine it was made.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from psembed.datasets import protocols
from psembed.evaluation import score_tables
from psembed.models import training
from psembed.models.training import Encoded, Scored, Training
from psembed.powershell.encoding import Samples
from psembed.project.workspace import Workspace


class Task(NamedTuple):
    """One network to train: its protocol and name, the fold it tests, a seed, the share of labels it sees."""

    protocol: str
    network: str
    fold: int
    seed: int
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class Data:
    """What networks are trained on and asked.

    `samples` are chapter 5's; `encoded` has them in the same order; `matrices` are token vectors by fold,
    `vectors` their names (`fold_vectors.names`); `limits` are those of `protocols.training`.
    """

    samples: pl.DataFrame
    encoded: Encoded
    matrices: dict[int, np.ndarray]
    vectors: dict[int, str]
    limits: dict[str, int]

    def training(self, task: Task, *, epochs: int) -> Training:
        """Return what a task trains on; on fewer labels for more epochs, so that less is not just shorter."""
        data = self._train(task.protocol, task.fold, task.share)
        longer = round(epochs / math.sqrt(task.share))
        return Training(
            task.network, self.matrices[task.fold], self.vectors[task.fold], data, task.seed, longer
        )

    @lru_cache(maxsize=2)  # noqa: B019  lives as long as the notebook
    def _train(self, protocol: str, fold: int, share: float) -> Samples:
        rows = protocols.training(self._placed, protocol, fold, **self.limits)
        if share < 1:
            rows = protocols.budget(rows, share=share, seed=self.limits["seed"])
        return self.encoded.of(fold, rows["place"].to_numpy())

    @lru_cache(maxsize=2)  # noqa: B019
    def tested(self, protocol: str, fold: int) -> dict[str, tuple[pl.DataFrame, Samples]]:
        """Return the parts that a fold tests, as rows and as a network reads them."""
        parts = protocols.tested(self._placed, protocol, fold)
        return {part: (rows, self.encoded.of(fold, rows["place"].to_numpy())) for part, rows in parts.items()}

    @property
    def _placed(self) -> pl.DataFrame:
        return self.samples.with_columns(place=pl.int_range(pl.len()))


def tasks(
    data: Data, protocol: str, network: str, seeds: Sequence[int], shares: Sequence[float] = (1.0,)
) -> list[Task]:
    """List the tasks of a network in a protocol, fold by fold."""
    every = itertools.product(protocols.folds(data.samples), shares, seeds)
    return [Task(protocol, network, fold, seed, share) for fold, share, seed in every]


def score(
    workspace: Workspace,
    kind: str,
    asked: Sequence[Task],
    data: Data,
    *,
    epochs: int,
    batch: int,
    processes: int,
) -> pl.DataFrame:
    """Write the score files of the tasks, those of one protocol and network in one, and return their history.

    It has a row for each epoch of each task: the task's fields, `parameters` of the network, epoch, loss and
    seconds.
    """
    files = {key: [task for task in asked if task[:2] == key] for key in dict.fromkeys(t[:2] for t in asked)}
    made_by = {key: [data.encoded.digest()] for key in files}
    for task in sorted(asked, key=_by_data):
        made_by[task[:2]].append(training.key_of(data.training(task, epochs=epochs), {"batch": batch}))
    known = {key: score_tables.told_of(workspace, kind, *key) or {} for key in files}
    missing = [task for task in asked if known[task[:2]].get("made_by") != made_by[task[:2]]]
    settings = {"epochs": epochs, "batch": batch, "processes": processes}
    rows: dict[tuple, list] = {key: [] for key in files}
    told: dict[tuple, list] = {key: [] for key in files}
    for task, scored in _trained(workspace.work / "networks", sorted(missing, key=_by_data), data, settings):
        rows[task[:2]] += _tables(task, scored, data)
        told[task[:2]] += [task._asdict() | {"parameters": scored.parameters} | row for row in scored.history]
    for key, own in rows.items():
        if own:
            score_tables.write(
                workspace, kind, key[0], pl.concat(own), made_by=made_by[key], history=told[key]
            )
        else:
            score_tables.keep(workspace, kind, *key)
            told[key] = known[key]["history"]
    return pl.DataFrame([row for own in told.values() for row in own])


def _by_data(task: Task) -> tuple:
    return task.protocol, task.fold, task.share


def _trained(folder: Path, wanted: list[Task], data: Data, settings: dict) -> Iterator[tuple[Task, Scored]]:
    def jobs() -> Iterator[tuple[Training, dict[str, Samples]]]:
        for task in wanted:
            parts = data.tested(task.protocol, task.fold)
            yield data.training(task, epochs=epochs), {part: read for part, (_, read) in parts.items()}

    epochs = settings["epochs"]
    others = {name: settings[name] for name in ("batch", "processes")}
    yield from zip(wanted, training.score_all(folder, jobs(), **others), strict=True)


def _tables(task: Task, scored: Scored, data: Data) -> list[pl.DataFrame]:
    parts = data.tested(task.protocol, task.fold)
    return [
        score_tables.table(task.network, task.seed, part, parts[part][0], own, share=task.share)
        for part, own in scored.scores.items()
    ]
