"""Models set against each other, and ensembles: whatever is chosen is chosen on validation data."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from psembed.detector.verdict import log_odds
from psembed.evaluation.calibration import LOGIT_LIMIT
from psembed.evaluation.coverage import CHANGE, flagged, per_script
from psembed.evaluation.score_tables import WINDOWED
from psembed.models.baselines import BASELINES
from psembed.project.results import Comparison, Gain
from psembed.runtime import intervals

ENSEMBLE, COMMITTEE = "ensemble", "committee"  # averaged scores; neither traditional nor a single network
COMPARED = {
    "C17": (("cnn_lstm_tuned", "cnn_lstm_random"),),
    "C18": (("cnn_lstm", "token_cnn_lstm"), ("cnn_lstm", "character_cnn")),
}
"""Pairs of models that a claim compares; those of C19 depend on validation (`ensemble_members`)."""
NGRAMS, FEATURES = ("bag_of_words", "token_3gram", "char_3gram", "svm_char_3gram"), "gradient_boosting"
CHARACTERS = "character_cnn"


def best(rows: pl.DataFrame, *, fpr: float, deep: bool) -> str:
    """Return the network, or else the traditional model, that finds most of validation at `fpr`.

    Of equal models the first by name is taken. Networks are chosen among those with the most seeds: the best
    of many single trainings is the luckiest one. Ensembles, and networks that read windows, are never chosen.
    """
    traditional = pl.col("model").is_in(BASELINES)
    other = pl.col("model").is_in([ENSEMBLE, COMMITTEE]) | pl.col("model").str.ends_with(WINDOWED)
    single = rows.filter(~traditional & ~other if deep else traditional)
    seeds = pl.col("seed").n_unique().over("model")
    return _highest_tpr(single.filter(seeds == seeds.max()), fpr=fpr)


def _highest_tpr(rows: pl.DataFrame, *, fpr: float) -> str:
    validation = per_script(flagged(rows, fpr=fpr), "validation", "flagged").filter(pl.col("label") == 1)
    tprs = validation.group_by("model").agg(pl.col("flagged").mean())
    return tprs.sort("flagged", "model", descending=[True, False])["model"][0]


def paired_difference(
    rows: pl.DataFrame, models: tuple[str, str], *, fpr: float, seed: int, rounds: int
) -> Comparison:
    """Compare two models on the same malicious test scripts of one protocol, paired: first minus second."""
    marked = flagged(rows.filter(pl.col("model").is_in(models)), fpr=fpr)
    positive = marked.filter((pl.col("part") == "test") & (pl.col("label") == 1))
    tables = [intervals.by_seed(positive.filter(pl.col("model") == model)) for model in models]
    (first, clusters), (second, _) = tables
    change = intervals.cluster_bootstrap(first, clusters, less=second, seed=seed, rounds=rounds)
    found = {"models": list(models), "tprs": [float(first.mean()), float(second.mean())]}
    return found | dict(zip(CHANGE, change, strict=True)) | {"n": len(clusters)}


def gain(rows: pl.DataFrame, *, protocol: str, fpr: float, seed: int, rounds: int) -> Gain:
    """Compare the best single network with the best traditional model, both chosen on validation data."""
    own = rows.filter(pl.col("protocol") == protocol)
    deep, traditional = (best(own, fpr=fpr, deep=kind) for kind in (True, False))
    pair = paired_difference(own, (deep, traditional), fpr=fpr, seed=seed, rounds=rounds)
    deep_tpr, traditional_tpr = pair["tprs"]
    chosen = {"traditional": traditional, "deep": deep}
    tprs = {"traditional_tpr": traditional_tpr, "deep_tpr": deep_tpr}
    return chosen | tprs | {name: pair[name] for name in (*CHANGE, "n")}


def committee_gains(
    rows: pl.DataFrame, gain: Gain, *, protocol: str, fpr: float, seed: int, rounds: int
) -> dict[str, Comparison]:
    """Compare the committee, where there is one, with the "traditional" and the "deep" model of `gain`."""
    own = rows.filter(pl.col("protocol") == protocol)
    return {
        kind: paired_difference(own, (COMMITTEE, gain[kind]), fpr=fpr, seed=seed, rounds=rounds)
        for kind in ("traditional", "deep")
        if COMMITTEE in own["model"]
    }


def comparisons(
    rows: pl.DataFrame, *, fpr: float, seed: int, rounds: int
) -> dict[str, dict[str, list[Comparison]]]:
    """Return claim -> protocol -> `paired_difference` of COMPARED and of ENSEMBLE against its members (C19).

    Claims whose models were not run are left out.
    """
    of_claim: dict[str, dict[str, list[Comparison]]] = {}
    for (protocol,), own in rows.group_by("protocol", maintain_order=True):
        members = tuple((ENSEMBLE, model) for model in ensemble_members(own, fpr=fpr))
        for claim, pairs in (COMPARED | {"C19": members}).items():
            wanted = {model for pair in pairs for model in pair}
            if wanted and wanted <= set(own["model"].unique()):
                of_claim.setdefault(claim, {})[str(protocol)] = [
                    paired_difference(own, pair, fpr=fpr, seed=seed, rounds=rounds) for pair in pairs
                ]
    return of_claim


def ensembles(rows: pl.DataFrame, *, fpr: float) -> pl.DataFrame:
    """Return score rows of both ensembles, their members chosen on validation, protocol by protocol.

    ENSEMBLE is the study's kind, an n-gram model and a character network. COMMITTEE has an n-gram model,
    hand-made features and the best network. Nothing is returned of a protocol that lacks a member.
    """
    tables = [
        mean_log_odds(own, members, name=name)
        for _, own in rows.group_by("protocol", maintain_order=True)
        for name, choose in ((ENSEMBLE, ensemble_members), (COMMITTEE, _committee_members))
        if (members := choose(own, fpr=fpr))
    ]
    return pl.concat([rows.clear(), *tables])


def ensemble_members(rows: pl.DataFrame, *, fpr: float, other: str = CHARACTERS) -> tuple[str, ...]:
    """Return ENSEMBLE's members where both were run: the n-gram model best on validation, and the other."""
    ngrams = rows.filter(pl.col("model").is_in(NGRAMS))
    return (_highest_tpr(ngrams, fpr=fpr), other) if ngrams.height and other in rows["model"] else ()


def _committee_members(rows: pl.DataFrame, *, fpr: float) -> tuple[str, ...]:
    both = ensemble_members(rows, fpr=fpr, other=FEATURES)
    return (*both, best(rows, fpr=fpr, deep=True)) if both else ()


def mean_log_odds(rows: pl.DataFrame, models: Sequence[str], *, name: str = ENSEMBLE) -> pl.DataFrame:
    """Return score rows called `name`: the mean log-odds of several models, one row per seed of the last.

    Others with a single seed (traditional models) go with every seed of the last, else seed goes by seed.
    """
    *others, last = (rows.filter(pl.col("model") == model) for model in models)
    odds = log_odds(last["score"].to_numpy(), limit=LOGIT_LIMIT)
    for other in others:
        keys = ["protocol", "part", "sha256", *(["seed"] if other["seed"].n_unique() > 1 else [])]
        scores = last.join(other.select(*keys, other="score"), on=keys, how="left", maintain_order="left")
        odds = odds + log_odds(scores["other"].to_numpy(), limit=LOGIT_LIMIT)
    mixed = (1 / (1 + np.exp(-odds / len(models)))).astype(np.float32)
    mean = last.with_columns(model=pl.lit(name), score=pl.Series(mixed, dtype=pl.Float32))
    return mean.filter(pl.col("score").is_not_nan())
