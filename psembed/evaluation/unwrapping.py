"""What unwrapping adds to a detector: scripts judged alone and with the layers uncovered in them."""

import polars as pl

from psembed.detector.detector import Detector
from psembed.detector.verdict import Item, Verdict


def judged(scorer: Detector, scripts: pl.DataFrame) -> tuple[list[Verdict], pl.DataFrame]:
    """Judge scripts alone and with their layers.

    Of scripts it reads sha256, label and text. The table has a row a script: label, alone (the script reaches
    the threshold), with_layers (the verdict), layered (it holds layers) and by, what uncovered the layer that
    convicts it (null if none does).
    """
    verdicts = list(scorer.verdicts(Item(*row) for row in scripts.select("sha256", "text").iter_rows()))
    rows = [
        {
            "alone": bool(verdict.layers) and verdict.layers[0].score >= scorer.threshold,
            "with_layers": bool(verdict.malicious),
            "layered": len(verdict.layers) > 1,
            "by": verdict.layers[verdict.layer].how if verdict.malicious and verdict.layer else None,
        }
        for verdict in verdicts
    ]
    schema = {"alone": pl.Boolean, "with_layers": pl.Boolean, "layered": pl.Boolean, "by": pl.String}
    return verdicts, pl.concat([scripts.select("label"), pl.DataFrame(rows, schema=schema)], how="horizontal")


def counted(table: pl.DataFrame) -> pl.DataFrame:
    """Count the scripts of `judged` by label: n, alone, with_layers, layered."""
    sums = pl.col("alone", "with_layers", "layered").sum()
    return table.group_by("label").agg(pl.len().alias("n"), sums).sort("label")
