"""Per-sample scores: what every table and figure of chapter 8 is computed from, without any text.

Chapter 5 lists what every model of a protocol scores: scores/scripts/<protocol>.parquet, a row for each part
and script with what is known of it. Chapters 6 and 7 write scores in the same order, a file a protocol and
model, with a column for each seed and share of the training labels. As they are read, each score is a row.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from psembed.datasets import protocols
from psembed.datasets.protocols import PROTOCOLS
from psembed.models import baselines
from psembed.project.workspace import Workspace
from psembed.runtime.errors import CorpusError, StageError
from psembed.runtime.files import atomic

SCRIPTS, BASELINES, NETWORKS, BUDGETS = "scripts", "baselines", "networks", "budgets"  # folders
FACTS = ("sha256", "source", "stratum", "label", "cluster", "group", "fold", "characters")
_KEY = ("part", "sha256")
_SEPARATOR = "|"  # of seed and share in the name of a column


def list_scripts(workspace: Workspace, samples: pl.DataFrame) -> None:
    """Write what is scored in every protocol: `part` ("test", APART, COPIES, DROPPED or a way) and FACTS."""
    for protocol in PROTOCOLS:
        tables = []
        for fold in protocols.folds(samples):
            for part, rows in protocols.tested(samples, protocol, fold).items():
                own = rows.with_columns(fold=protocols.fold_of(protocol))
                tables.append(own.select(pl.lit(part).alias("part"), *FACTS))
        _write(workspace, SCRIPTS, protocol, pl.concat(tables))


def table(
    model: str, seed: int, part: str, scripts: pl.DataFrame, scores: np.ndarray, *, share: float = 1.0
) -> pl.DataFrame:
    """Return scores (float[n] or float[n, 1]) of scripts (column sha256) of a part, a row each.

    `share` is that of the training labels that the model has seen.
    """
    return scripts.select(
        pl.lit(model).alias("model"),
        pl.lit(seed, pl.Int64).alias("seed"),
        pl.lit(share, pl.Float64).alias("share"),
        pl.lit(part).alias("part"),
        "sha256",
        pl.Series("score", np.asarray(scores).reshape(-1), dtype=pl.Float32),
    )


def of_baseline(
    name: str,
    read: baselines.Read,
    train: pl.DataFrame,
    parts: dict[str, pl.DataFrame],
    *,
    seed: int,
    strength: float | None,
) -> list[pl.DataFrame]:
    """Fit a traditional model on training scripts; return the `table` of each part that it is asked about."""
    known, labels = baselines.texts(name, read, train), train["label"].to_numpy()
    model = baselines.fit(name, known, labels, seed=seed, strength=strength)
    return [
        table(name, seed, part, rows, model.score(baselines.texts(name, read, rows)))
        for part, rows in parts.items()
    ]


def write(workspace: Workspace, kind: str, protocol: str, rows: pl.DataFrame, **told: object) -> None:
    """Write `table` rows of one model as scores/<kind>/<protocol>_<model>.parquet.

    What is `told` is kept in the file; `told_of` reads it back. Raises CorpusError if a script is not one
    that chapter 5 lists, or has two scores, or one that is NaN.
    """
    (model,) = rows["model"].unique()
    if rows["score"].is_nan().any():
        raise CorpusError(f"scores of {model} in {protocol} are NaN: the training has failed")
    listed = _read(workspace, SCRIPTS, protocol).select(_KEY)
    named = rows.with_columns(column=pl.concat_str("seed", "share", separator=_SEPARATOR))
    if named.select("column", *_KEY).is_duplicated().any():
        raise CorpusError(f"{model} scores a script of {protocol} twice: give one score each")
    wide = named.pivot(on="column", index=_KEY, values="score")
    known = listed.join(wide, on=_KEY, how="left", maintain_order="left").drop(_KEY)
    if wide.height != known.filter(~pl.all_horizontal(pl.all().is_null())).height:
        raise CorpusError(f"{model} scores scripts of {protocol} that 05_labels does not list: run it again")
    _write(workspace, kind, f"{protocol}_{model}", known, **told)


def keep(workspace: Workspace, kind: str, protocol: str, model: str) -> None:
    """Write a model's scores again as they are, for the run that has nothing to change in them."""
    name = f"{protocol}_{model}"
    _write(workspace, kind, name, _read(workspace, kind, name), **told_of(workspace, kind, protocol, model))


def told_of(workspace: Workspace, kind: str, protocol: str, model: str) -> dict | None:
    """Return what `write` was told beside a model's scores; None if there are none."""
    try:
        path = workspace.input(_path(workspace, kind, f"{protocol}_{model}"))
        return json.loads(pl.read_parquet_metadata(path).get("told", "{}"))
    except (StageError, pl.exceptions.PolarsError, OSError, ValueError):
        return None


def read(
    workspace: Workspace,
    kinds: Iterable[str],
    *,
    protocols: tuple[str, ...] = PROTOCOLS,
    model: str | None = None,
) -> pl.DataFrame:
    """Return all scores of these kinds, or those of one model, by protocol and name.

    The table has protocol, model, seed, share, part, FACTS and score. A missing folder is a StageError that
    names its notebook; scores that do not line up with the list of scripts are a CorpusError.
    """
    tables = []
    for kind in kinds:
        names = sorted(path.stem for path in workspace.input(_path(workspace, kind, "").parent).iterdir())
        for protocol in protocols:
            scripts = _read(workspace, SCRIPTS, protocol)
            for name in names:
                of, _, scorer = name.partition("_")
                if of == protocol and model in (None, scorer):
                    tables += _long(scripts, of, scorer, _read(workspace, kind, name))
    if not tables:
        raise CorpusError(f"no scores of {model or 'any model'}: run chapters 6 and 7 again")
    return pl.concat(tables)


def _long(scripts: pl.DataFrame, protocol: str, model: str, wide: pl.DataFrame) -> Iterable[pl.DataFrame]:
    if wide.height != scripts.height:
        raise CorpusError(
            f"scores of {model} are of other scripts than {protocol} has; run its chapter again"
        )
    for column in wide.columns:
        seed, share = column.split(_SEPARATOR)
        named = scripts.select(
            pl.lit(protocol).alias("protocol"),
            pl.lit(model).alias("model"),
            pl.lit(int(seed), pl.Int64).alias("seed"),
            pl.lit(float(share), pl.Float64).alias("share"),
            pl.all(),
        )
        yield named.with_columns(wide[column].alias("score")).drop_nulls("score")


def _path(workspace: Workspace, kind: str, name: str) -> Path:
    return workspace.results / "scores" / kind / f"{name}.parquet"


def _write(workspace: Workspace, kind: str, name: str, rows: pl.DataFrame, **told: object) -> None:
    with atomic(workspace.output(_path(workspace, kind, name))) as temporary:
        metadata = {"told": json.dumps(told)}
        rows.write_parquet(temporary, compression="zstd", compression_level=15, metadata=metadata)


def _read(workspace: Workspace, kind: str, name: str) -> pl.DataFrame:
    path = workspace.input(_path(workspace, kind, name))
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorpusError(f"{path.name} cannot be read ({error}); run its chapter again") from error
