"""Coverage tables from scores: thresholds fixed on validation data, intervals over test clusters and seeds.

Everything a table or figure of chapter 8 shows is computed from the rows of score tables (psembed.evaluation.scores)
alone.
"""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from psembed.datasets.labels import COPIES, DROPPED
from psembed.evaluation import calibration, metrics
from psembed.evaluation.scores import WINDOWED
from psembed.models.baselines import BASELINES
from psembed.runtime import intervals

PARTIAL = 0.01  # the partial area under the ROC curve reaches to this false-positive rate
BINS = 15  # of the reliability table
MIXED, COMMITTEE = "ensemble", "committee"  # averaged scores; neither traditional nor a single network
COMPARED = {
    "C17": (("cnn_lstm_tuned", "cnn_lstm_random"),),
    "C18": (("cnn_lstm", "token_cnn_lstm"), ("cnn_lstm", "character_cnn")),
}
"""Pairs of models that a claim sets against each other; those of C19 depend on validation (`partners`)."""
NGRAMS, FEATURES = ("bag_of_words", "token_3gram", "char_3gram", "svm_char_3gram"), "gradient_boosting"
CHARACTERS = "character_cnn"


def thresholds(rows: pl.DataFrame, *, fprs: list[float]) -> list[dict]:
    """Return the threshold of every protocol, model, seed and rate, from validation negatives alone."""
    negatives = rows.filter((pl.col("part") == "validation") & (pl.col("label") == 0))
    keys = ["protocol", "model", "seed"]
    return [
        {
            **dict(zip(keys, key, strict=True)),
            "fpr": fpr,
            "threshold": float(metrics.threshold_at_fpr(group["score"].to_numpy(), fpr)),
        }
        for key, group in negatives.group_by(keys, maintain_order=True)
        for fpr in fprs
    ]


def flagged(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Add `flagged` (0 or 1): the score reaches the threshold that validation data gave for `fpr`."""
    limits = pl.DataFrame(thresholds(rows, fprs=[fpr])).drop("fpr")
    joined = rows.join(limits, on=["protocol", "model", "seed"], how="left", maintain_order="left")
    reached = pl.col("score").cast(pl.Float64) >= pl.col("threshold")
    return joined.with_columns(flagged=reached.cast(pl.Float64))


def _per_script(rows: pl.DataFrame, part: str) -> pl.DataFrame:
    """Average `flagged` and `score` over seeds: one row per protocol, model and script, in a fixed order."""
    return (
        rows.filter(pl.col("part") == part)
        .group_by("protocol", "model", "sha256")
        .agg(pl.col("flagged", "score").mean(), pl.col("label", "cluster", "stratum").first())
        .sort("protocol", "model", "sha256")
    )


def coverage(rows: pl.DataFrame, *, fprs: list[float], seed: int, rounds: int) -> pl.DataFrame:
    """Return the coverage table of the test part.

    Returns
    -------
    DataFrame
        protocol, model, fpr_asked, threshold (mean over seeds), tpr with its 95% interval low..high
        (bootstrap over clusters and seeds), fpr realised with its exact binomial interval, positives,
        negatives, seeds, auc and partial_auc (to a rate of PARTIAL) of scores averaged over seeds;
        tpr_test_threshold, the TPR had the threshold been set on the test negatives themselves (null
        where they are too few): what remains of the comparison once the shift between validation and test
        repositories is taken out.
        It is a diagnosis, not a result.
    """
    table, own = [], dict(rows.group_by("protocol", "model"))
    for fpr in fprs:
        marked = flagged(rows, fpr=fpr)
        limits = marked.select("protocol", "model", "seed", "threshold").unique(maintain_order=True)
        limits = limits.group_by("protocol", "model").agg(pl.col("threshold").mean(), seeds=pl.len())
        settings = {(row["protocol"], row["model"]): row for row in limits.to_dicts()}
        found = marked.filter((pl.col("part") == "test") & (pl.col("label") == 1))
        positive = {key: intervals.by_seed(own) for key, own in found.group_by("protocol", "model")}
        for key, group in _per_script(marked, "test").group_by("protocol", "model", maintain_order=True):
            table.append(
                {
                    "protocol": key[0],
                    "model": key[1],
                    "fpr_asked": fpr,
                    "threshold": settings[key]["threshold"],
                    **_rates(group, *positive[key], seed=seed, rounds=rounds),
                    "tpr_test_threshold": _tpr_test_threshold(own[key], fpr=fpr),
                    "seeds": settings[key]["seeds"],
                }
            )
    return pl.DataFrame(table).sort("protocol", "fpr_asked", "model")


def _tpr_test_threshold(rows: pl.DataFrame, *, fpr: float) -> float | None:
    """Return the TPR at the threshold that test negatives would give, averaged over seeds."""
    test, shares = rows.filter(pl.col("part") == "test"), []
    for _, scores in test.group_by("seed", maintain_order=True):
        negative = scores.filter(pl.col("label") == 0)["score"].to_numpy()
        if len(negative) * fpr < 1:
            return None
        threshold = metrics.threshold_at_fpr(negative, fpr)
        shares.append(float((scores.filter(pl.col("label") == 1)["score"] >= threshold).mean()))
    return sum(shares) / len(shares)


def countings(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return what the rates are when near-duplicates of test scripts count, too.

    Thresholds stay those of one script per validation cluster. Seeds that have not scored the copies are left
    out, and so is P0, where every copy counts anyway.

    Returns
    -------
    DataFrame
        protocol, model, tpr, positives, fpr, negatives (scripts looked at) and counting: "one per cluster",
        "clusters weighted" (a script of a cluster of n weighs 1/n) or "every script". Without columns if no
        copies were scored.
    """
    keys = ["protocol", "model", "seed"]
    scored = rows.filter(pl.col("part") == COPIES).select(keys).unique()
    if scored.is_empty():
        return pl.DataFrame()
    marked = flagged(rows.join(scored, on=keys, how="semi", maintain_order="left"), fpr=fpr)
    marked = marked.filter(pl.col("part").is_in(["test", COPIES]))
    weights = {
        "one per cluster": (pl.col("part") == "test").cast(pl.Float64),
        "clusters weighted": 1 / pl.len().over(*keys, "cluster"),
        "every script": pl.lit(1.0),
    }
    tables = [
        _counted(marked.with_columns(weight=weight)).with_columns(counting=pl.lit(name))
        for name, weight in weights.items()
    ]
    return pl.concat(tables).sort("protocol", "model", "counting")


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    """Return tpr, fpr, positives and negatives of each protocol and model from rows with a weight."""
    found = []
    for label, rate, count in ((1, "tpr", "positives"), (0, "fpr", "negatives")):
        own = rows.filter((pl.col("label") == label) & (pl.col("weight") > 0)).group_by("protocol", "model")
        weighted = (pl.col("flagged") * pl.col("weight")).sum() / pl.col("weight").sum()
        found.append(own.agg(weighted.alias(rate), pl.col("sha256").n_unique().alias(count)))
    return found[0].join(found[1], on=["protocol", "model"])


def without_rules(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return what the rates would be, had no rule dropped a script of the test part.

    Training and thresholds stay as they are. Seeds that have not scored the dropped scripts are left out.

    Returns
    -------
    DataFrame
        protocol, model, tpr, positives, fpr, negatives, and with the dropped scripts counted under the label
        their source gave them tpr_kept, positives_kept, fpr_kept, negatives_kept. Without columns if none
        were scored.
    """
    keys = ["protocol", "model", "seed"]
    scored = rows.filter(pl.col("part") == DROPPED).select(keys).unique()
    if scored.is_empty():
        return pl.DataFrame()
    marked = flagged(rows.join(scored, on=keys, how="semi", maintain_order="left"), fpr=fpr)
    counted = marked.with_columns(weight=pl.lit(1.0))
    as_is = _counted(counted.filter(pl.col("part") == "test"))
    kept = _counted(counted.filter(pl.col("part").is_in(["test", DROPPED])))
    return as_is.join(kept, on=["protocol", "model"], suffix="_kept").sort("protocol", "model")


def workload(table: pl.DataFrame, *, fpr: float, prevalences: list[float]) -> pl.DataFrame:
    """Return what an analyst would see of every model of a `coverage` table at the rate asked for.

    Returns
    -------
    DataFrame
        protocol, model, prevalence (share of scripts that are malicious) and what `metrics.at_prevalence`
        gives for the coverage and the realised rate.
    """
    rows = table.filter(pl.col("fpr_asked") == fpr).select("protocol", "model", "tpr", "fpr").to_dicts()
    return pl.DataFrame(
        [
            {
                "protocol": row["protocol"],
                "model": row["model"],
                "prevalence": prevalence,
                **metrics.at_prevalence(row["tpr"], row["fpr"], prevalence=prevalence),
            }
            for row in rows
            for prevalence in prevalences
        ]
    )


def _rates(
    group: pl.DataFrame, flagged_by_seed: np.ndarray, clusters: np.ndarray, *, seed: int, rounds: int
) -> dict:
    positive, negative = group.filter(pl.col("label") == 1), group.filter(pl.col("label") == 0)
    tpr, low, high = intervals.cluster_bootstrap(flagged_by_seed, clusters, seed=seed, rounds=rounds)
    fpr = float(negative["flagged"].mean())
    fpr_low, fpr_high = intervals.binomial_interval(round(fpr * negative.height), negative.height)
    return {
        "tpr": tpr,
        "low": low,
        "high": high,
        "fpr": fpr,
        "fpr_low": fpr_low,
        "fpr_high": fpr_high,
        "positives": positive.height,
        "negatives": negative.height,
        "auc": metrics.auc(group["label"].to_numpy(), group["score"].to_numpy()),
        "partial_auc": metrics.partial_auc(
            group["label"].to_numpy(), group["score"].to_numpy(), max_fpr=PARTIAL
        ),
    }


def best(rows: pl.DataFrame, *, fpr: float, deep: bool) -> str:
    """Return the network, or else the traditional model, that finds most of validation at `fpr`.

    Only validation data are looked at; of equal models the first by name is taken. Networks are chosen among
    those with the most seeds: the best of many single trainings is the luckiest one. An ensemble is not a
    single network and never chosen, nor is one that reads windows, which is not how it is exported.
    """
    traditional = pl.col("model").is_in(BASELINES)
    other = pl.col("model").is_in([MIXED, COMMITTEE]) | pl.col("model").str.ends_with(WINDOWED)
    single = rows.filter(~traditional & ~other if deep else traditional)
    seeds = pl.col("seed").n_unique().over("model")
    return _most_found(single.filter(seeds == seeds.max()), fpr=fpr)


def _most_found(rows: pl.DataFrame, *, fpr: float) -> str:
    validation = _per_script(flagged(rows, fpr=fpr), "validation")
    return (
        validation.filter(pl.col("label") == 1)
        .group_by("model")
        .agg(pl.col("flagged").mean())
        .sort("flagged", "model", descending=[True, False])["model"][0]
    )


def found_by(rows: pl.DataFrame, *, models: list[str], fpr: float) -> pl.DataFrame:
    """Return sha256 and one float column per model: the share of its seeds that flag the test script."""
    test = _per_script(flagged(rows, fpr=fpr), "test").filter(pl.col("model").is_in(models))
    return test.pivot(on="model", index="sha256", values="flagged").sort("sha256")


def paired(rows: pl.DataFrame, models: tuple[str, str], *, fpr: float, seed: int, rounds: int) -> dict:
    """Compare two models on the same malicious test scripts of one protocol.

    Returns
    -------
    dict
        models (names), tprs (of both), the paired difference first minus second with its 95% interval low,
        high, and n (scripts).
    """
    marked = flagged(rows.filter(pl.col("model").is_in(models)), fpr=fpr)
    positive = marked.filter((pl.col("part") == "test") & (pl.col("label") == 1))
    tables = [intervals.by_seed(positive.filter(pl.col("model") == model)) for model in models]
    (first, clusters), (second, _) = tables
    difference, low, high = intervals.cluster_bootstrap(
        first, clusters, less=second, seed=seed, rounds=rounds
    )
    tprs = [float(table.mean()) for table, _ in tables]
    return {
        "models": list(models),
        "tprs": tprs,
        "difference": difference,
        "low": low,
        "high": high,
        "n": len(clusters),
    }


def gain(rows: pl.DataFrame, *, protocol: str, fpr: float, seed: int, rounds: int) -> dict:
    """Compare the best single network with the best traditional model, both chosen on validation data.

    Returns
    -------
    dict
        traditional and deep (names), their TPR, and the paired difference with its 95% interval.
    """
    own = rows.filter(pl.col("protocol") == protocol)
    deep, traditional = (best(own, fpr=fpr, deep=kind) for kind in (True, False))
    found = paired(own, (deep, traditional), fpr=fpr, seed=seed, rounds=rounds)
    names = {"traditional": traditional, "deep": deep}
    tprs = {"traditional_tpr": found["tprs"][1], "deep_tpr": found["tprs"][0]}
    return names | tprs | {key: found[key] for key in ("difference", "low", "high", "n")}


def ensemble(rows: pl.DataFrame, models: Sequence[str], *, name: str = MIXED) -> pl.DataFrame:
    """Return score rows called `name`: the mean log-odds of several models, one row per seed of the last.

    Of the others, one with several seeds goes seed by seed, one with a single seed (a traditional model) with
    every seed of the last.
    """
    *others, last = (rows.filter(pl.col("model") == model) for model in models)
    odds = calibration.log_odds(last["score"].to_numpy())
    for other in others:
        keys = ["protocol", "part", "sha256", *(["seed"] if other["seed"].n_unique() > 1 else [])]
        scores = last.join(other.select(*keys, other="score"), on=keys, how="left", maintain_order="left")
        odds = odds + calibration.log_odds(scores["other"].to_numpy())
    mixed = (1 / (1 + np.exp(-odds / len(models)))).astype(np.float32)
    mean = last.with_columns(model=pl.lit(name), score=pl.Series(mixed, dtype=pl.Float32))
    return mean.filter(pl.col("score").is_not_nan())


def partners(rows: pl.DataFrame, *, fpr: float) -> tuple[str, ...]:
    """Return the members of a protocol's MIXED: CHARACTERS, and of n-gram models the best on validation.

    Empty where one was not run.
    """
    return (_best_ngrams(rows, fpr=fpr), CHARACTERS) if _has(rows, CHARACTERS) else ()


def _experts(rows: pl.DataFrame, *, fpr: float) -> tuple[str, ...]:
    if not _has(rows, FEATURES):
        return ()
    return _best_ngrams(rows, fpr=fpr), FEATURES, best(rows, fpr=fpr, deep=True)


def _has(rows: pl.DataFrame, model: str) -> bool:
    """Tell whether a model was run, and any on n-grams."""
    return model in rows["model"] and rows["model"].is_in(NGRAMS).any()


def _best_ngrams(rows: pl.DataFrame, *, fpr: float) -> str:
    return _most_found(rows.filter(pl.col("model").is_in(NGRAMS)), fpr=fpr)


def mixtures(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return score rows of both ensembles, their members chosen on validation, protocol by protocol.

    MIXED is the study's kind, an n-gram model and a character network (`partners`). COMMITTEE has one member
    of each kind that sees other things of a script: n-grams, hand-made features of the whole, and the best
    network, which reads in order. Nothing is returned of a protocol that lacks a member.
    """
    made = [rows.clear()]
    for _, own in rows.group_by("protocol", maintain_order=True):
        for name, choose in ((MIXED, partners), (COMMITTEE, _experts)):
            if members := choose(own, fpr=fpr):
                made.append(ensemble(own, members, name=name))
    return pl.concat(made)


def jointly(rows: pl.DataFrame, gain: dict, *, protocol: str, fpr: float, seed: int, rounds: int) -> dict:
    """Compare the committee with the best traditional model and the best network, as `gain` names them.

    Returns
    -------
    dict
        "traditional" and "deep", each as `paired` returns it; empty where there is no committee.
    """
    own = rows.filter(pl.col("protocol") == protocol)
    if COMMITTEE not in own["model"]:
        return {}
    return {
        rival: paired(own, (COMMITTEE, gain[rival]), fpr=fpr, seed=seed, rounds=rounds)
        for rival in ("traditional", "deep")
    }


def comparisons(rows: pl.DataFrame, *, fpr: float, seed: int, rounds: int) -> dict[str, dict]:
    """Return claim -> protocol -> `paired` results of COMPARED and of MIXED against its members (C19).

    Claims whose models were not run are left out.
    """
    found: dict[str, dict] = {}
    for (protocol,), own in rows.group_by("protocol", maintain_order=True):
        members = tuple((MIXED, model) for model in partners(own, fpr=fpr))
        for claim, pairs in (COMPARED | {"C19": members}).items():
            wanted = {model for pair in pairs for model in pair}
            if wanted and wanted <= set(own["model"].unique()):
                compared = [paired(own, pair, fpr=fpr, seed=seed, rounds=rounds) for pair in pairs]
                found.setdefault(claim, {})[protocol] = compared
    return found


def calibrated(rows: pl.DataFrame, *, protocol: str, model: str) -> dict:
    """Fit a temperature on validation, the first seed alone, and say how well test scores are calibrated.

    Returns
    -------
    dict
        temperature, expected_calibration_error and reliability (rows) of test scores after it, and
        `before`, the error without it.
    """
    own = rows.filter((pl.col("protocol") == protocol) & (pl.col("model") == model))
    own = own.filter(pl.col("seed") == own["seed"].min())
    validation, test = (own.filter(pl.col("part") == part) for part in ("validation", "test"))
    heat = calibration.temperature(validation["score"].to_numpy(), validation["label"].to_numpy())
    labels, raw = test["label"].to_numpy(), test["score"].to_numpy()
    cooled = calibration.apply(raw, heat)
    return {
        "temperature": heat,
        "expected_calibration_error": calibration.expected_calibration_error(cooled, labels, bins=BINS),
        "before": calibration.expected_calibration_error(raw, labels, bins=BINS),
        "reliability": calibration.reliability(cooled, labels, bins=BINS).to_dicts(),
    }


def budget_curve(rows: pl.DataFrame, *, fpr: float, seed: int, rounds: int) -> pl.DataFrame:
    """Return the `coverage` table of each share of the training labels, for models that saw several.

    Seeds that a model was not trained with on fewer labels are left out of the whole, too.
    """
    few = rows.filter(pl.col("share") < 1).select("protocol", "model", "seed").unique()
    compared = rows.join(few, on=["protocol", "model", "seed"], how="semi", maintain_order="left")
    tables = [
        coverage(own, fprs=[fpr], seed=seed, rounds=rounds).with_columns(share=pl.lit(share))
        for (share,), own in compared.group_by("share", maintain_order=True)
    ]
    return pl.concat(tables).sort("model", "share")


def by_stratum(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return the share flagged of the test part with interval and n, by protocol, model, class, stratum."""
    test = _per_script(flagged(rows, fpr=fpr), "test")
    keys = ["protocol", "model", "label", "stratum"]
    return with_interval(
        test.group_by(keys).agg(flagged=pl.col("flagged").mean(), n=pl.len()).sort(keys), "flagged"
    )


def with_interval(table: pl.DataFrame, share: str) -> pl.DataFrame:
    """Add <share>_low and <share>_high, the exact binomial 95% interval of a share (mean over seeds) of n.

    Null where n is 0.
    """
    bounds = [
        intervals.binomial_interval(round(value * n), n) if n else (None, None)
        for value, n in table.select(share, "n").iter_rows()
    ]
    low, high = zip(*bounds, strict=True) if bounds else ((), ())
    named = {f"{share}_low": low, f"{share}_high": high}
    return table.with_columns(**{name: pl.Series(values, dtype=pl.Float64) for name, values in named.items()})


def roc(rows: pl.DataFrame) -> pl.DataFrame:
    """Return test ROC points (protocol, model, fpr, tpr) of scores averaged over seeds."""
    test = rows.filter(pl.col("part") == "test").with_columns(flagged=pl.lit(0.0))
    curves = []
    for key, group in _per_script(test, "test").group_by("protocol", "model", maintain_order=True):
        points = metrics.roc_points(group["label"].to_numpy(), group["score"].to_numpy())
        curves.append(
            points.select(pl.lit(key[0]).alias("protocol"), pl.lit(key[1]).alias("model"), "fpr", "tpr")
        )
    return pl.concat(curves)


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
