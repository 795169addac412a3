"""Coverage tables from scores: thresholds fixed on validation data, intervals over test clusters and seeds.

All tables of chapter 8 are computed from the rows of score tables (psembed.evaluation.score_tables) alone.
"""

import math

import numpy as np
import polars as pl

from psembed.datasets.labels import COPIES, DROPPED
from psembed.evaluation import metrics
from psembed.runtime import intervals

PARTIAL = 0.01  # the partial area under the ROC curve reaches to this false-positive rate
MODEL = ("protocol", "model")
TRAINING = (*MODEL, "seed")
CHANGE = ("difference", "low", "high")  # what `cluster_bootstrap` gives of two sets of scores


def thresholds(rows: pl.DataFrame, *, fprs: list[float]) -> list[dict]:
    """Return the threshold of every protocol, model, seed and rate, from validation negatives alone."""
    negatives = rows.filter((pl.col("part") == "validation") & (pl.col("label") == 0))
    return [
        dict(zip(TRAINING, training, strict=True))
        | {"fpr": fpr, "threshold": metrics.threshold_at_fpr(own["score"].to_numpy(), fpr)}
        for training, own in negatives.group_by(TRAINING, maintain_order=True)
        for fpr in fprs
    ]


def flagged(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Add `threshold`, that validation data gave for `fpr`, and `flagged` (0 or 1): the score reaches it."""
    limits = pl.DataFrame(thresholds(rows, fprs=[fpr])).drop("fpr")
    joined = rows.join(limits, on=TRAINING, how="left", maintain_order="left")
    reached = pl.col("score").cast(pl.Float64) >= pl.col("threshold")
    return joined.with_columns(flagged=reached.cast(pl.Float64))


def per_script(rows: pl.DataFrame, part: str, *averaged: str) -> pl.DataFrame:
    """Average columns over seeds: one row per protocol, model and script of a part, in a fixed order."""
    own, script = rows.filter(pl.col("part") == part), (*MODEL, "sha256")
    facts = pl.col("label", "cluster", "stratum").first()
    return own.group_by(script).agg(pl.col(averaged).mean(), facts).sort(script)


def coverage(rows: pl.DataFrame, *, fprs: list[float], seed: int, rounds: int) -> pl.DataFrame:
    """Return the coverage table of the test part.

    It has protocol, model, fpr_asked, threshold (mean over seeds), tpr with its 95% interval low..high
    (bootstrap over clusters and seeds), fpr realised with its exact binomial interval, positives, negatives,
    seeds, auc and partial_auc (to a rate of PARTIAL) of scores averaged over seeds; for diagnosis
    tpr_test_threshold, had the threshold been set on test negatives (null where too few).
    """
    table = [
        {
            **dict(zip(MODEL, model, strict=True)),
            "fpr_asked": fpr,
            "threshold": own.unique("seed", maintain_order=True)["threshold"].mean(),
            **_rates(own.filter(pl.col("part") == "test"), seed=seed, rounds=rounds),
            "tpr_test_threshold": _tpr_test_threshold(own, fpr=fpr),
            "seeds": own["seed"].n_unique(),
        }
        for fpr in fprs
        for model, own in flagged(rows, fpr=fpr).group_by(MODEL, maintain_order=True)
    ]
    return pl.DataFrame(table).sort("protocol", "fpr_asked", "model")


def _rates(test: pl.DataFrame, *, seed: int, rounds: int) -> dict:
    scripts = per_script(test, "test", "flagged", "score")
    labels, scores = scripts["label"].to_numpy(), scripts["score"].to_numpy()
    positive = intervals.by_seed(test.filter(pl.col("label") == 1))
    tpr, low, high = intervals.cluster_bootstrap(*positive, seed=seed, rounds=rounds)
    alarms = scripts.filter(pl.col("label") == 0)["flagged"]
    fpr_low, fpr_high = intervals.binomial_interval(round(float(alarms.mean()) * len(alarms)), len(alarms))
    return {
        "tpr": tpr,
        "low": low,
        "high": high,
        "fpr": float(alarms.mean()),
        "fpr_low": fpr_low,
        "fpr_high": fpr_high,
        "positives": scripts.height - len(alarms),
        "negatives": len(alarms),
        "auc": metrics.auc(labels, scores),
        "partial_auc": metrics.auc(labels, scores, max_fpr=PARTIAL),
    }


def _tpr_test_threshold(rows: pl.DataFrame, *, fpr: float) -> float | None:
    """Return the TPR at the threshold that test negatives would give, averaged over seeds."""
    tprs = []
    for _, own in rows.filter(pl.col("part") == "test").group_by("seed", maintain_order=True):
        negative, positive = (own.filter(pl.col("label") == label)["score"] for label in (0, 1))
        if len(negative) * fpr < 1:
            return None
        threshold = metrics.threshold_at_fpr(negative.to_numpy(), fpr)
        tprs.append(float((positive >= threshold).mean()))
    return sum(tprs) / len(tprs)


def by_weighting(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return what the rates are when near-duplicates of test scripts count, too.

    Thresholds stay those of one script per validation cluster; seeds that have not scored the copies are out.
    Columns are protocol, model, tpr, positives, fpr, negatives (scripts looked at) and counting: "one per
    cluster", "clusters weighted" (one of n weighs 1/n) or "every script"; none if no copies were scored.
    """
    test = _with_part(rows, COPIES, fpr=fpr)
    if test.is_empty():
        return pl.DataFrame()
    weights = {
        "one per cluster": (pl.col("part") == "test").cast(pl.Float64),
        "clusters weighted": 1 / pl.len().over(*TRAINING, "cluster"),
        "every script": pl.lit(1.0),
    }
    tables = (_weighted_rates(test, by).with_columns(counting=pl.lit(name)) for name, by in weights.items())
    return pl.concat(tables).sort(*MODEL, "counting")


def without_rules(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return what the rates would be, had no rule dropped a script of the test part; thresholds stay.

    Columns are those of `by_weighting` without counting; with _kept at the end, dropped scripts count under
    their source's label. Seeds that have not scored them are left out.
    """
    test = _with_part(rows, DROPPED, fpr=fpr)
    if test.is_empty():
        return pl.DataFrame()
    as_is = _weighted_rates(test.filter(pl.col("part") == "test"), pl.lit(1.0))
    return as_is.join(_weighted_rates(test, pl.lit(1.0)), on=MODEL, suffix="_kept").sort(MODEL)


def _with_part(rows: pl.DataFrame, part: str, *, fpr: float) -> pl.DataFrame:
    """Return `flagged` rows of the test part and of another one, of the seeds that have scored that one."""
    scored = rows.filter(pl.col("part") == part).select(TRAINING).unique()
    if scored.is_empty():
        return scored
    marked = flagged(rows.join(scored, on=TRAINING, how="semi", maintain_order="left"), fpr=fpr)
    return marked.filter(pl.col("part").is_in(["test", part]))


def _weighted_rates(rows: pl.DataFrame, weight: pl.Expr) -> pl.DataFrame:
    """Return tpr, fpr, positives and negatives of each protocol and model from scripts with a weight."""
    weighted = rows.with_columns(weight=weight).filter(pl.col("weight") > 0)
    rate = (pl.col("flagged") * pl.col("weight")).sum() / pl.col("weight").sum()
    negative, positive = (weighted.filter(pl.col("label") == label).group_by(MODEL) for label in (0, 1))
    scripts = pl.col("sha256").n_unique()
    rates = positive.agg(tpr=rate, positives=scripts)
    return rates.join(negative.agg(fpr=rate, negatives=scripts), on=MODEL)


def workload(table: pl.DataFrame, *, fpr: float, prevalences: list[float]) -> pl.DataFrame:
    """Return what an analyst would see of every model of a `coverage` table at the rate asked for.

    A row has protocol, model, prevalence (share of scripts that are malicious) and `metrics.at_prevalence`.
    """
    models = table.filter(pl.col("fpr_asked") == fpr).select(*MODEL, "tpr", "fpr")
    seen = [
        {"protocol": protocol, "model": model, "prevalence": prevalence}
        | metrics.at_prevalence(tpr, realised, prevalence=prevalence)
        for protocol, model, tpr, realised in models.iter_rows()
        for prevalence in prevalences
    ]
    return pl.DataFrame(seen)


def share_flagging(rows: pl.DataFrame, *, models: list[str], fpr: float) -> pl.DataFrame:
    """Return sha256 and one float column per model: the share of its seeds that flag the test script."""
    test = per_script(flagged(rows, fpr=fpr), "test", "flagged").filter(pl.col("model").is_in(models))
    return test.pivot(on="model", index="sha256", values="flagged").sort("sha256")


def budget_curve(rows: pl.DataFrame, *, fpr: float, seed: int, rounds: int) -> pl.DataFrame:
    """Return the `coverage` table of each share of the training labels, for models that saw several.

    Seeds that a model was not trained with on fewer labels are left out of the whole, too.
    """
    few = rows.filter(pl.col("share") < 1).select(TRAINING).unique()
    compared = rows.join(few, on=TRAINING, how="semi", maintain_order="left")
    tables = [
        coverage(own, fprs=[fpr], seed=seed, rounds=rounds).with_columns(share=pl.lit(share))
        for (share,), own in compared.group_by("share", maintain_order=True)
    ]
    return pl.concat(tables).sort("model", "share")


def by_stratum(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return the share flagged of the test part with interval and n, by protocol, model, class, stratum."""
    keys = [*MODEL, "label", "stratum"]
    test = per_script(flagged(rows, fpr=fpr), "test", "flagged").group_by(keys)
    return with_interval(test.agg(pl.col("flagged").mean(), n=pl.len()).sort(keys), "flagged")


def with_interval(table: pl.DataFrame, share: str) -> pl.DataFrame:
    """Add <share>_low and <share>_high, the exact 95% interval of a share (mean over seeds) of n, if any."""
    bounds = [
        intervals.binomial_interval(round(value * n), n) if n else (None, None)
        for value, n in table.select(share, "n").iter_rows()
    ]
    schema = {f"{share}_low": pl.Float64, f"{share}_high": pl.Float64}
    return table.hstack(pl.DataFrame(bounds, schema=schema, orient="row"))


def roc(rows: pl.DataFrame) -> pl.DataFrame:
    """Return test ROC points (protocol, model, fpr, tpr) of scores averaged over seeds."""
    curves = [
        metrics.roc_points(own["label"].to_numpy(), own["score"].to_numpy()).select(
            protocol=pl.lit(protocol), model=pl.lit(model), fpr="fpr", tpr="tpr"
        )
        for (protocol, model), own in per_script(rows, "test", "score").group_by(MODEL, maintain_order=True)
    ]
    return pl.concat(curves)


# ---- the negative control: a model fitted to shuffled labels ----


def at_fpr(parts: dict[str, pl.DataFrame], scores: dict[str, np.ndarray], *, fpr: float) -> dict:
    """Fix a threshold on the validation part and return rates and auc of the test part."""
    validation, test = (parts[part]["label"].to_numpy() for part in ("validation", "test"))
    threshold = metrics.threshold_at_fpr(scores["validation"][validation == 0], fpr)
    return {**metrics.rates(test, scores["test"], threshold), "auc": metrics.auc(test, scores["test"])}


def averaged(runs: list[dict]) -> dict:
    """Return mean tpr, fpr and auc of runs on the same scripts, and a 95% interval of the mean auc."""
    table = pl.DataFrame(runs)
    means = {name: float(table[name].mean()) for name in ("tpr", "fpr", "auc")}
    error = 1.96 * float(table["auc"].std()) / math.sqrt(len(runs)) if len(runs) > 1 else 0.0
    counts = {name: int(table[name][0]) for name in ("positives", "negatives")}
    interval = {"auc_low": means["auc"] - error, "auc_high": means["auc"] + error}
    return {**means, **interval, **counts, "runs": len(runs)}
