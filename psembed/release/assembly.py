"""A trained network becomes a detector: a folder that scores without TensorFlow."""

from pathlib import Path

import polars as pl

from psembed.detector import manifest, neighbours
from psembed.detector.detector import Detector
from psembed.detector.manifest import MODEL, NEIGHBOURS, TOKENIZER
from psembed.powershell.encoding import Encoder
from psembed.release.export import to_onnx


def assemble(
    folder: Path, model, encoder: Encoder, *, threshold: float, temperature: float, fpr: float, profile: str
) -> Detector:
    """Export a Keras network as a detector.

    Raises ModelError as `manifest.write` does, or if the network cannot be exported.
    """
    folder.mkdir(parents=True, exist_ok=True)
    to_onnx(model, folder / MODEL)
    (folder / TOKENIZER).write_text(encoder.to_json(), encoding="utf-8")
    manifest.write(folder, threshold=threshold, temperature=temperature, fpr=fpr, profile=profile)
    return Detector.load(folder)


def remember(scorer: Detector, known: pl.DataFrame) -> None:
    """Put training clusters (`training_clusters`) into the folder, for `nearest` of the next `load`."""
    neighbours.write(scorer.folder / NEIGHBOURS, known, scorer.features(known["read"].to_list()))
    names = ("threshold", "temperature", "fpr")
    settings = {name: scorer.manifest[name] for name in names}
    manifest.write(scorer.folder, profile=scorer.manifest["created_from"], **settings)


def training_clusters(samples: pl.DataFrame, *, clean: int, seed: int) -> pl.DataFrame:
    """Return one script of each malicious cluster, and of up to `clean` clean ones drawn by `seed`.

    Of `samples` as chapter 5 writes them those count that are neither dropped nor rewritten. Columns are
    neighbours.COLUMNS, and read, the text.
    """
    train = samples.filter(pl.col("dropped") == "", pl.col("way") == "")
    sizes = train.group_by("cluster", "label").agg(scripts=pl.len().cast(pl.Int32))
    firsts = train.filter(pl.col("rank") == 0).join(
        sizes, on=["cluster", "label"], maintain_order="left", validate="m:1"
    )
    harmless = firsts.filter(pl.col("label") == 0)
    chosen = harmless.sample(min(clean, harmless.height), seed=seed)
    clusters = pl.concat([firsts.filter(pl.col("label") == 1), chosen]).sort("sha256")
    return clusters.select(pl.col(name).cast(kind) for name, kind in neighbours.COLUMNS.items()).with_columns(
        clusters["read"]
    )
