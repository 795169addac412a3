"""Per-sample scores: what every table and figure of chapter 8 is computed from, without any text.

A score table has one row for each protocol, model, seed, share of the training labels, part and script, with
what is known of the script. In a file each model has a column of its own, which takes a tenth of the room.
"""

from pathlib import Path

import numpy as np
import polars as pl

from psembed.project.stages import SCORES
from psembed.project.workspace import Workspace
from psembed.runtime.errors import CorpusError
from psembed.runtime.files import atomic

FACTS = ("sha256", "source", "stratum", "label", "cluster")
WINDOWED = "_windows"  # ends the name of a network that reads long scripts so
_SEPARATOR = "|"  # of model, seed and share in the name of a column


def table(
    protocol: str,
    model: str,
    seed: int,
    part: str,
    scripts: pl.DataFrame,
    scores: np.ndarray,
    *,
    share: float = 1.0,
) -> pl.DataFrame:
    """Return the score table of one model on one part.

    `part` is validation, test, labels.COPIES, or the name of a transform of malicious test scripts. `scripts`
    has the columns FACTS, `scores` (float[n] or float[n, 1]) their order; `share` is that of the training
    labels that the model has seen.
    """
    return scripts.select(
        pl.lit(protocol).alias("protocol"),
        pl.lit(model).alias("model"),
        pl.lit(seed, pl.Int64).alias("seed"),
        pl.lit(share, pl.Float64).alias("share"),
        pl.lit(part).alias("part"),
        *FACTS,
        pl.Series("score", np.asarray(scores).reshape(-1), dtype=pl.Float32),
    )


def write(workspace: Workspace, name: str, rows: pl.DataFrame) -> None:
    """Write a score table as scores/<name>_<protocol>.parquet among the results, a file a protocol."""
    for (protocol,), own in rows.group_by("protocol", maintain_order=True):
        named = own.with_columns(column=pl.concat_str("model", "seed", "share", separator=_SEPARATOR))
        wide = named.pivot(on="column", index=["part", *FACTS], values="score")
        path = workspace.results / "scores" / f"{name}_{protocol}.parquet"
        with atomic(workspace.output(path)) as temporary:
            wide.write_parquet(temporary, compression="zstd", compression_level=15)


def read(
    workspace: Workspace, names: list[str], *, protocols: tuple[str, ...] = ("p0", "p1", "p2")
) -> pl.DataFrame:
    """Read those of SCORES that `write` wrote under these names, in that order.

    A missing file is a StageError that names its notebook; one that is damaged, or holds two scores of one
    script and model, is a CorpusError.
    """
    tables = [
        _long(workspace.input(workspace.results / "scores" / f"{name}_{protocol}.parquet"), protocol)
        for name in names
        for protocol in SCORES[name]
        if protocol in protocols
    ]
    return pl.concat(tables)


def _long(path: Path, protocol: str) -> pl.DataFrame:
    try:
        wide = pl.read_parquet(path)
        index = ["part", *FACTS]
        long = wide.unpivot(index=index, variable_name="column", value_name="score")
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorpusError(f"{path.name} cannot be read ({error}); run chapters 6 and 7 again") from error
    if wide.select("part", "sha256").is_duplicated().any():
        raise CorpusError(f"{path.name} holds a script twice in one part; run chapters 6 and 7 again")
    fields = pl.col("column").str.split_exact(_SEPARATOR, 2).struct
    return long.drop_nulls("score").select(
        pl.lit(protocol).alias("protocol"),
        fields.field("field_0").alias("model"),
        fields.field("field_1").cast(pl.Int64).alias("seed"),
        fields.field("field_2").cast(pl.Float64).alias("share"),
        *index,
        "score",
    )
