"""A trained network becomes a detector: a folder that scores without TensorFlow."""

import math
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from psembed.detector import manifest, neighbours
from psembed.detector.detector import Detector
from psembed.detector.manifest import MODEL, NEIGHBOURS, TOKENIZER
from psembed.detector.verdict import Item
from psembed.powershell.encoding import Encoder
from psembed.release.export import to_onnx
from psembed.runtime.errors import ModelError

LAYER_SHARE = 0.1  # of the false-positive rate asked for: what layers may add to it


def assemble(
    folder: Path,
    model,
    encoder: Encoder,
    clean_scripts: Iterable[str],
    *,
    threshold: float,
    temperature: float,
    fpr: float,
    profile: str,
) -> Detector:
    """Export a Keras network as a detector; its threshold of layers is fitted on clean scripts (as decoded).

    Raises ModelError as `manifest.write` and `fit_layer_threshold` do, or if the network cannot be exported.
    """
    folder.mkdir(parents=True, exist_ok=True)
    to_onnx(model, folder / MODEL)
    (folder / TOKENIZER).write_text(encoder.to_json(), encoding="utf-8")
    settings = {"threshold": threshold, "temperature": temperature, "fpr": fpr, "profile": profile}
    manifest.write(folder, layer_threshold=1.0, **settings)  # until it is fitted
    layer_threshold = fit_layer_threshold(Detector.load(folder), clean_scripts, fpr=fpr)
    manifest.write(folder, layer_threshold=layer_threshold, **settings)
    return Detector.load(folder)


def fit_layer_threshold(scorer: Detector, clean_scripts: Iterable[str], *, fpr: float) -> float:
    """Return the least threshold of layers that adds no more than LAYER_SHARE of `fpr` to false alarms.

    `clean_scripts` are as decoded; `fpr` is the false-positive rate asked for (0..1). Raises ModelError if
    too many of their layers score 1.
    """
    highest, count = [], 0
    for verdict in scorer.verdicts(Item(str(n), text) for n, text in enumerate(clean_scripts)):
        count += 1
        if verdict.layers and verdict.layers[0].score < scorer.threshold:
            highest.append(max((layer.score for layer in verdict.layers[1:]), default=0.0))
    allowed = int(count * fpr * LAYER_SHARE)
    first = sorted(highest, reverse=True)[allowed : allowed + 1] or [0.0]
    if first[0] >= 1:
        raise ModelError(f"more than {allowed} clean layers score 1: no threshold keeps them out")
    return max(scorer.threshold, math.nextafter(first[0], 2.0))


def remember(scorer: Detector, known: pl.DataFrame) -> None:
    """Put training clusters (`training_clusters`) into the folder, for `nearest` of the next `load`."""
    neighbours.write(scorer.folder / NEIGHBOURS, known, scorer.features(known["clean"].to_list()))
    names = ("threshold", "layer_threshold", "temperature", "fpr")
    settings = {name: scorer.manifest[name] for name in names}
    manifest.write(scorer.folder, profile=scorer.manifest["created_from"], **settings)


def training_clusters(samples: pl.DataFrame, protocol: str, *, clean: int, seed: int) -> pl.DataFrame:
    """Return one script of each malicious training cluster, and of up to `clean` clean ones drawn by `seed`.

    Of `samples` as chapter 5 writes them, the column `protocol` says which part a script is in. Columns are
    neighbours.COLUMNS, and clean, the text.
    """
    train = samples.filter(pl.col(protocol) == "train")
    sizes = train.group_by("cluster", "label").agg(scripts=pl.len().cast(pl.Int32))
    firsts = train.filter(pl.col("rank") == 0).join(
        sizes, on=["cluster", "label"], maintain_order="left", validate="m:1"
    )
    harmless = firsts.filter(pl.col("label") == 0)
    chosen = harmless.sample(min(clean, harmless.height), seed=seed)
    clusters = pl.concat([firsts.filter(pl.col("label") == 1), chosen]).sort("sha256")
    return clusters.select(pl.col(name).cast(kind) for name, kind in neighbours.COLUMNS.items()).with_columns(
        clusters["clean"]
    )
