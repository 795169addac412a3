"""Coverage from scores: what is found when few clean scripts may be flagged.

All tables of chapter 8 are computed from the rows of score tables (psembed.evaluation.score_tables) alone.
Each fold has a model of its own, so a script is judged by its `rate`: the share of clean test scripts of the
other folds that score as high as it does, or higher (`crossed`). So no script has a part in the threshold
that judges it; only the rate at which models are compared is cut on the clean scripts that are counted
(`resampled`).
"""

import math

import numpy as np
import polars as pl

from psembed.datasets.protocols import APART, COPIES, DROPPED, TEST
from psembed.detector.verdict import LOGIT_LIMIT, log_odds
from psembed.evaluation import metrics, resampling
from psembed.evaluation.resampling import Rates
from psembed.runtime import intervals
from psembed.runtime.errors import CorpusError, TooFewNegativesError

PARTIAL = 0.01  # the partial area under the ROC curve reaches to this false-positive rate
BELOW = 0.9  # of the rate wanted, that crossed thresholds are asked for, so that it is not exceeded
LEVELS = (0.9, 0.99)  # quantiles of clean scores that are brought to 0 and 1
NARROWEST = 1e-3  # log-odds that these are taken to be apart, at least
MODEL = ("protocol", "model")
TRAINING = (*MODEL, "seed", "share")
CHANGE = ("difference", "low", "high")
MOST_OF_TAIL = 0.1  # of the clean scripts flagged, that one group may set (`capped`)
LENGTHS = (50, 200, 1_000, 10_000)  # characters: bounds of the classes of length
LENGTH_CLASSES = (
    *(f"{low:,} to {high - 1:,}" for low, high in zip((0, *LENGTHS), LENGTHS, strict=False)),
    f"{LENGTHS[-1]:,} or more",
)


def crossed(rows: pl.DataFrame, *, apiece: bool = False) -> pl.DataFrame:
    """Add `z`, the score on a scale that all models share, and `rate` (float64).

    `z` is the log-odds of a score, of which the quantiles LEVELS among the clean test scripts become 0 and 1:
    those of all folds, or `apiece` those of the fold alone. `rate` is the share of clean test scripts of the
    other folds whose z is as high or higher. Raises CorpusError if a score is NaN, or if a training has a
    single fold, or one without a clean test script.
    """
    tables = [rows.clear().with_columns(z=pl.lit(0.0), rate=pl.lit(0.0))]
    for training, own in rows.group_by(TRAINING, maintain_order=True):
        odds = log_odds(metrics.checked_scores(own["score"].to_numpy()), limit=LOGIT_LIMIT)
        folds = own["fold"].to_numpy()
        clean = ((own["part"] == TEST) & (own["label"] == 0)).to_numpy()
        _require_clean(training, folds, clean)
        z, rate = np.empty(len(odds)), np.empty(len(odds))
        for fold in np.unique(folds):
            within = folds == fold
            low, width = scale(odds[within & clean if apiece else clean])
            z[within] = (odds[within] - low) / width
        for fold in np.unique(folds):
            others = np.sort(z[clean & (folds != fold)])
            below = np.searchsorted(others, z[folds == fold], side="left")
            rate[folds == fold] = 1 - below / len(others)
        tables.append(own.with_columns(z=z, rate=rate))
    return pl.concat(tables)


def scale(clean_odds: np.ndarray) -> tuple[float, float]:
    """Return the log-odds that `crossed` brings to 0, and how far above those lie that become 1."""
    low, high = np.quantile(clean_odds, LEVELS)
    return float(low), float(max(high - low, NARROWEST))


def _require_clean(training: tuple, folds: np.ndarray, clean: np.ndarray) -> None:
    every, with_clean = np.unique(folds), np.unique(folds[clean])
    if len(with_clean) < max(2, len(every)):
        protocol, model, seed, _ = training
        raise CorpusError(
            f"clean test scripts of folds {with_clean.tolist()} of {every.tolist()} are scored by {model} in "
            f"{protocol} (seed {seed}): thresholds come from other folds, so all need some"
        )


def flagged(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Add `flagged` (0 or 1) to `crossed` rows, at a realised false-positive rate of at most `fpr`.

    Of every training those are flagged whose rate lies below the lowest at which too many clean test scripts
    would be. So models are compared at the same realised rate.
    """
    return _under(rows, flag_limits(rows, fpr=fpr))


def flag_limits(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return the rate of each training below which at most `fpr` of its clean test scripts lie (`limit`)."""
    clean = rows.filter((pl.col("part") == TEST) & (pl.col("label") == 0))
    at = (pl.len() * fpr + 1e-9).floor()
    return clean.group_by(TRAINING).agg(limit=pl.col("rate").sort().get(at))


def _under(rows: pl.DataFrame, limits: pl.DataFrame) -> pl.DataFrame:
    joined = rows.join(limits, on=TRAINING, how="left", maintain_order="left", nulls_equal=True)
    return joined.with_columns(flagged=(pl.col("rate") < pl.col("limit")).cast(pl.Float64)).drop("limit")


def per_script(rows: pl.DataFrame, part: str, *averaged: str) -> pl.DataFrame:
    """Average columns over seeds: one row per protocol, model and script of a part, in a fixed order."""
    own, script = rows.filter(pl.col("part") == part), (*MODEL, "sha256")
    facts = pl.col("label", "cluster", "stratum", "characters").first()
    return own.group_by(script).agg(pl.col(averaged).mean(), facts).sort(script)


def resampled(rows: pl.DataFrame, *, fpr: float, seed: int, rounds: int) -> dict[tuple[str, str], Rates]:
    """Return the rates of every protocol and model at a realised rate of `fpr`, as they are and resampled.

    A model whose clean scripts do not carry the rate is left out. Raises CorpusError if a model has not
    scored every script that others of its protocol have: draws are paired.
    """
    test = _whole(rows)
    scripts = test.group_by(MODEL, maintain_order=True).agg(pl.col("sha256").n_unique())
    for protocol, model, count in scripts.iter_rows():
        if count < scripts.filter(protocol=protocol)["sha256"].max():
            raise CorpusError(f"{model} lacks scores of {protocol} that others have: run its chapter again")
    carried = pl.col("sha256").filter(pl.col("label") == 0).n_unique().over(MODEL) * fpr >= 1
    return {
        (protocol, model): resampling.rates(own, fpr=fpr, asked=BELOW * fpr, seed=seed, rounds=rounds)
        for (protocol, model), own in test.filter(carried).group_by(MODEL, maintain_order=True)
    }


def coverage(rows: pl.DataFrame, found: dict[float, dict[tuple[str, str], Rates]]) -> pl.DataFrame:
    """Return the coverage table of the test part of `crossed` rows and what `resampled` found at each rate.

    It has protocol, model, fpr_asked; tpr with its 95% interval low..high and the `fpr` realised, at most
    fpr_asked; asked_tpr and asked_fpr at crossed thresholds that are asked for BELOW of fpr_asked, with
    intervals (`resampling`); positives, negatives, seeds, auc and partial_auc (to a rate of PARTIAL). A rate
    that the negatives do not carry has no row; TooFewNegativesError if they carry none.
    """
    if not any(found.values()):
        asked = ", ".join(f"{fpr:g}" for fpr in found)
        raise TooFewNegativesError(f"no model was tested on enough clean scripts for an FPR of {asked}")
    table = []
    for fpr, of in found.items():
        marked = flagged(_whole(rows), fpr=fpr).partition_by(MODEL, as_dict=True)
        for model, rates in of.items():
            own = marked[model]
            named = dict(zip(MODEL, model, strict=True)) | {"fpr_asked": fpr}
            table.append(named | _rates(own, rates) | {"seeds": own["seed"].n_unique()})
    return pl.DataFrame(table).sort("protocol", "fpr_asked", "model")


def _whole(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the scores of test scripts by models that had all labels."""
    return rows.filter((pl.col("part") == TEST) & (pl.col("share") == 1))


def _rates(own: pl.DataFrame, found: Rates) -> dict:
    scripts = per_script(own, TEST, "flagged", "rate")
    labels, suspicion = scripts["label"].to_numpy(), 1 - scripts["rate"].to_numpy()
    alarms = scripts.filter(pl.col("label") == 0)["flagged"]
    row = {"tpr": float(found.tpr[0])} | dict(
        zip(("low", "high"), resampling.interval(found.tpr), strict=True)
    )
    row |= {"fpr": float(alarms.mean())}
    for name in ("asked_tpr", "asked_fpr"):
        draws = getattr(found, name)
        row |= {name: float(draws[0])}
        row |= dict(zip((f"{name}_low", f"{name}_high"), resampling.interval(draws), strict=True))
    return row | {
        "positives": scripts.height - len(alarms),
        "negatives": len(alarms),
        "auc": metrics.auc(labels, suspicion),
        "partial_auc": metrics.auc(labels, suspicion, max_fpr=PARTIAL),
    }


def by_weighting(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return what the rates are when near-duplicates of test scripts count, too.

    Thresholds stay those of one script per cluster; seeds that have not scored the copies are out.
    Columns are protocol, model, tpr, positives, fpr, negatives (scripts looked at) and counting: "one per
    cluster", "clusters weighted" (one of n weighs 1/n) or "every script"; none if no copies were scored.
    """
    test = _with_part(rows, COPIES, fpr=fpr)
    if test.is_empty():
        return pl.DataFrame()
    weights = {
        "one per cluster": (pl.col("part") == TEST).cast(pl.Float64),
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
    as_is = _weighted_rates(test.filter(pl.col("part") == TEST), pl.lit(1.0))
    return as_is.join(_weighted_rates(test, pl.lit(1.0)), on=MODEL, suffix="_kept").sort(MODEL)


def _with_part(rows: pl.DataFrame, part: str, *, fpr: float) -> pl.DataFrame:
    """Return `flagged` rows of the test part and of another one, of the seeds that have scored that one."""
    scored = rows.filter(pl.col("part") == part).select(TRAINING).unique()
    if scored.is_empty():
        return scored
    marked = flagged(rows.join(scored, on=TRAINING, how="semi", maintain_order="left"), fpr=fpr)
    return marked.filter(pl.col("part").is_in([TEST, part]))


def _weighted_rates(rows: pl.DataFrame, weight: pl.Expr) -> pl.DataFrame:
    """Return tpr, fpr, positives and negatives of each protocol and model from scripts with a weight."""
    weighted = rows.with_columns(weight=weight).filter(pl.col("weight") > 0)
    rate = (pl.col("flagged") * pl.col("weight")).sum() / pl.col("weight").sum()
    negative, positive = (weighted.filter(pl.col("label") == label).group_by(MODEL) for label in (0, 1))
    scripts = pl.col("sha256").n_unique()
    rates = positive.agg(tpr=rate, positives=scripts)
    return rates.join(negative.agg(fpr=rate, negatives=scripts), on=MODEL)


def capped(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return the rates where no group may have more than MOST_OF_TAIL of the clean scripts that are flagged.

    Columns are those of `by_weighting` without counting. The false alarms of a group beyond its share do not
    count, so thresholds are lower; `fpr` is the rate that all of them make.
    """
    test, clean = _whole(rows), pl.col("label") == 0
    few = (MOST_OF_TAIL * fpr * clean.sum().over(TRAINING) - 1e-9).ceil()
    place = pl.col("rate").rank("ordinal").over(*TRAINING, "group", "label")
    counted = test.filter(~clean | (place <= few) | (pl.col("rate") > 10 * fpr))
    limits = flag_limits(counted, fpr=fpr)
    return _weighted_rates(_under(test, limits), pl.lit(1.0)).sort(MODEL)


def threshold(clean_scores: pl.Series, *, fpr: float) -> float:
    """Return the score from which a detector convicts: BELOW of `fpr` asked of out-of-fold clean scores."""
    return metrics.threshold_at_fpr(clean_scores.to_numpy(), BELOW * fpr)


def positives(rows: pl.DataFrame, protocol: str) -> int:
    """Count the malicious scripts that a protocol tests."""
    return _whole(rows).filter(protocol=protocol, label=1)["sha256"].n_unique()


def negatives(rows: pl.DataFrame) -> dict[str, int]:
    """Count the clean scripts of P1: those tested, and with them their copies; all, and those by hand."""
    clean = rows.filter(pl.col("protocol") == "p1", pl.col("label") == 0)
    counted = {}
    for name, parts in (("negatives_test", [TEST]), ("negatives_test_scripts", [TEST, COPIES])):
        own = clean.filter(pl.col("part").is_in(parts))
        counted[name] = own["sha256"].n_unique()
        counted[f"{name}_human"] = own.filter(stratum="human")["sha256"].n_unique()
    return counted


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
    test = per_script(flagged(rows, fpr=fpr), TEST, "flagged").filter(pl.col("model").is_in(models))
    return test.pivot(on="model", index="sha256", values="flagged").sort("sha256")


def by_scale(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return what is found of the test part of `crossed` rows on three scales.

    Columns are protocol, model, tpr, fpr (realised, at most the one given) and scale: "one scale for all
    folds", "a scale for each fold" (`crossed` apiece), and "a threshold for each fold", set on the very
    scripts it judges, which is an upper bound.
    """
    test, at = _whole(rows), (pl.len() * fpr + 1e-9).floor()
    fold = [*TRAINING, "fold"]
    limits = test.filter(label=0).group_by(fold).agg(limit=pl.col("score").sort(descending=True).get(at))
    apart = test.join(limits, on=fold, maintain_order="left", nulls_equal=True)
    above = (pl.col("score") > pl.col("limit")).cast(pl.Float64)
    views = {
        "one scale for all folds": flagged(test, fpr=fpr),
        "a scale for each fold": flagged(crossed(test.drop("z", "rate"), apiece=True), fpr=fpr),
        "a threshold for each fold": apart.with_columns(flagged=above),
    }
    own = pl.col("flagged")
    shares = {"tpr": own.filter(pl.col("label") == 1).mean(), "fpr": own.filter(pl.col("label") == 0).mean()}
    tables = [
        view.group_by(MODEL).agg(**shares).with_columns(scale=pl.lit(scale)) for scale, view in views.items()
    ]
    return pl.concat(tables).sort(MODEL, maintain_order=True)


def budget_curve(rows: pl.DataFrame, *, fpr: float, seed: int, rounds: int) -> pl.DataFrame:
    """Return the `coverage` table of each share of the training labels, for models that saw several.

    Seeds that a model was not trained with on fewer labels are left out of the whole, too.
    """
    few = rows.filter(pl.col("share") < 1).select(*MODEL, "seed").unique()
    compared = rows.join(few, on=[*MODEL, "seed"], how="semi", maintain_order="left")
    tables = []
    for (share,), own in compared.group_by("share", maintain_order=True):
        as_whole = own.with_columns(share=pl.lit(1.0))
        found = {fpr: resampled(as_whole, fpr=fpr, seed=seed, rounds=rounds)}
        tables.append(coverage(as_whole, found).with_columns(share=pl.lit(share)))
    return pl.concat(tables).sort("model", "share")


def by_stratum(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return the share flagged by class, stratum and length, with interval and n.

    Columns are protocol, model, label, by ("stratum" or "characters"), value, flagged and n. Scripts that are
    APART are strata of their own, and not among those by length.
    """
    marked = flagged(rows.filter(pl.col("share") == 1), fpr=fpr)
    test, apart = (per_script(marked, part, "flagged") for part in (TEST, APART))
    reached = pl.sum_horizontal(pl.col("characters") >= low for low in LENGTHS)
    views = {
        "stratum": pl.concat([test, apart]).with_columns(value="stratum"),
        "characters": test.with_columns(value=pl.lit(pl.Series(LENGTH_CLASSES)).gather(reached)),
    }
    keys = [*MODEL, "label", "by", "value"]
    found = [own.with_columns(by=pl.lit(by)).group_by(keys).agg(pl.col("flagged").mean(), n=pl.len())
             for by, own in views.items()]  # fmt: skip
    return with_interval(pl.concat(found).sort(keys), "flagged")


def with_interval(table: pl.DataFrame, share: str) -> pl.DataFrame:
    """Add <share>_low and <share>_high, the exact 95% interval of a share (mean over seeds) of n, if any."""
    bounds = [
        intervals.binomial_interval(round(value * n), n) if n else (None, None)
        for value, n in table.select(share, "n").iter_rows()
    ]
    schema = {f"{share}_low": pl.Float64, f"{share}_high": pl.Float64}
    return table.hstack(pl.DataFrame(bounds, schema=schema, orient="row"))


def roc(rows: pl.DataFrame) -> pl.DataFrame:
    """Return test ROC points (protocol, model, fpr, tpr) of `crossed` rates averaged over seeds."""
    curves = [
        metrics.roc_points(own["label"].to_numpy(), 1 - own["rate"].to_numpy()).select(
            protocol=pl.lit(protocol), model=pl.lit(model), fpr="fpr", tpr="tpr"
        )
        for (protocol, model), own in per_script(rows, TEST, "rate").group_by(MODEL, maintain_order=True)
    ]
    return pl.concat(curves)


# ---- the negative control: a model fitted to shuffled labels ----


def at_fpr(labels: np.ndarray, scores: np.ndarray, *, fpr: float) -> dict:
    """Return rates and auc of scores at the threshold that the clean ones among them give for `fpr`."""
    threshold = metrics.threshold_at_fpr(np.asarray(scores)[np.asarray(labels) == 0], fpr)
    return {**metrics.rates(labels, scores, threshold), "auc": metrics.auc(labels, scores)}


def averaged(runs: list[dict]) -> dict:
    """Return mean tpr, fpr and auc of runs on the same scripts, and a 95% interval of the mean auc."""
    table = pl.DataFrame(runs)
    means = {name: float(table[name].mean()) for name in ("tpr", "fpr", "auc")}
    error = 1.96 * float(table["auc"].std()) / math.sqrt(len(runs)) if len(runs) > 1 else 0.0
    counts = {name: int(table[name][0]) for name in ("positives", "negatives")}
    interval = {"auc_low": means["auc"] - error, "auc_high": means["auc"] + error}
    return {**means, **interval, **counts, "runs": len(runs)}
