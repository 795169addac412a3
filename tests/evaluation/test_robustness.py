"""Rewritten scripts: losses are paired at a fixed threshold; hardened training keeps labels and classes."""

import numpy as np
import polars as pl
import pytest

from psembed.datasets import transforms
from psembed.evaluation import robustness
from psembed.runtime.errors import CorpusError

MALICIOUS = "$a = 'hello there'; Invoke-Expression $a; Get-ChildItem | % { $_ }"


def scripts(malicious: int = 3, clean: int = 40) -> pl.DataFrame:
    rows = [(f"m{n}", 1, n, f"{MALICIOUS} {n}") for n in range(malicious)]
    rows += [(f"c{n}", 0, 1000 + n, f"Get-Service -Name 'svc{n}' | Stop-Service") for n in range(clean)]
    return pl.DataFrame(
        rows,
        schema={"sha256": pl.String, "label": pl.Int8, "cluster": pl.Int64, "clean": pl.String},
        orient="row",
    )


def test_variants_are_of_malicious_test_scripts_alone_in_every_way():
    table = scripts()
    found = dict(robustness.variants({"train": table.head(0), "test": table}, seed=1))
    assert list(found) == list(transforms.TRANSFORMS)
    for name, rows in found.items():
        assert rows["sha256"].to_list() == ["m0", "m1", "m2"] and rows["label"].to_list() == [1, 1, 1]
        assert (rows["clean"] != table["clean"].head(3)).all() is (name != "comment_padding")
    assert all(host.endswith("| Stop-Service") for host in found["benign_after"]["clean"])


def test_hardened_training_adds_malicious_and_clean_variants_with_their_labels():
    table = scripts(malicious=30)
    found = robustness.hardened(table, seed=1)
    added = found[table.height :]
    assert found.head(table.height).equals(table)
    encoded = added.filter(pl.col("clean").str.contains("-EncodedCommand", literal=True))
    assert encoded.height and encoded["label"].min() == 1  # a clean script is never shown so
    clean = added.height - added["label"].sum()
    assert added["label"].sum() == robustness.VARIANTS * 30 > clean > robustness.VARIANTS * 30 * 0.7
    label = dict(zip(table["sha256"], table["label"], strict=True))
    assert [label[key] for key in added["sha256"]] == added["label"].to_list()
    assert robustness.hardened(table, seed=1).equals(found)
    assert not robustness.hardened(table, seed=2).equals(found)


def test_hardening_needs_both_classes():
    with pytest.raises(CorpusError, match="one class"):
        robustness.hardened(scripts(clean=0), seed=1)


def scored(changes: dict[str, float]) -> pl.DataFrame:
    """Score 100 negatives evenly in (0, 1), 20 positives at 2, and the part of variants that stays there."""
    tables = []
    for part in ("validation", "test", *changes):
        kept = 20 if part not in changes else round(20 * changes[part])
        negatives = np.arange(100) / 100 if part not in changes else np.empty(0)
        scores = np.r_[negatives, np.full(kept, 2.0), np.full(20 - kept, 0.0)]
        labels = np.r_[np.zeros(len(negatives), int), np.ones(20, int)]
        names = [f"n{n}" for n in range(len(negatives))] + [f"p{n}" for n in range(20)]
        tables.append(pl.DataFrame({
            "protocol": "p1", "model": "cnn_lstm", "seed": 1, "part": part, "score": scores, "label": labels,
            "sha256": names, "cluster": np.arange(len(names)), "stratum": "s",
        }))  # fmt: skip
    return pl.concat(tables).with_columns(pl.col("score").cast(pl.Float32), pl.col("label").cast(pl.Int8))


def test_the_loss_is_paired_at_the_threshold_of_validation():
    table = robustness.table(scored({"case": 0.75, "backticks": 1.0}), fpr=0.05, seed=1, rounds=200)
    case, backticks = (
        table.filter(pl.col("transform") == name).row(0, named=True) for name in ("case", "backticks")
    )
    assert (case["before"], case["after"], case["n"]) == (1.0, 0.75, 20)
    assert case["difference"] == -0.25 and case["low"] < -0.25 < case["high"]
    assert (backticks["difference"], backticks["low"], backticks["high"]) == (0, 0, 0)
    assert table["transform"].to_list() == ["case", "backticks"]


def test_scores_without_variants_are_refused():
    with pytest.raises(CorpusError, match="chapters 6 and 7"):
        robustness.table(scored({}), fpr=0.05, seed=1, rounds=10)
