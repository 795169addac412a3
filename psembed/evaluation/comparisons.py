"""Models set against each other, and committees of them.

What is chosen is chosen in P3. Its clean test scripts are those of P1 and P2, its malicious ones those of P1,
so only the malicious side of P2 is free of the choice.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from psembed.datasets.protocols import TEST
from psembed.detector.verdict import LOGIT_LIMIT, log_odds
from psembed.evaluation import coverage, resampling
from psembed.evaluation.coverage import CHANGE
from psembed.evaluation.resampling import Rates
from psembed.models import bags
from psembed.models.baselines import BASELINES
from psembed.project.results import Comparison, Gain

FIGURE_4 = "cnn_lstm"  # the study's network
CHARACTERS = "character_cnn"  # that of the 2018 paper
ENSEMBLE, TRADITIONAL, COMMITTEE = "ensemble", "committee_traditional", "committee"
ONE_FILE = "committee_one_file"
NGRAMS = ("bag_of_words", "token_3gram", "char_3gram", "svm_char_3gram")
MEMBERS = ("bag_of_words", "svm_char_3gram", "gradient_boosting", "novelty")  # of TRADITIONAL
IN_FILE = (*bags.MEMBERS, FIGURE_4)  # of ONE_FILE
TRADITIONALS = (*BASELINES, *bags.MEMBERS)  # single models that are no networks
CHOSEN_IN = "p3"
Found = dict[tuple[str, str], Rates]  # by protocol and model: `coverage.resampled`


def best(found: Found, *, among: Sequence[str] | None = None, deep: bool = False) -> str | None:
    """Return the single model that finds most in CHOSEN_IN: a network, a traditional one, or one of `among`.

    Of equal models the first by name is taken. Where none of them was asked in CHOSEN_IN there is no choice:
    it is the study's network, or the only one of `among`; else None.
    """
    single = {model for _, model in found} - {ENSEMBLE, TRADITIONAL, COMMITTEE, ONE_FILE}
    wanted = single & set(among) if among else {m for m in single if (m in TRADITIONALS) is not deep}
    rates = {model: found[CHOSEN_IN, model].tpr[0] for model in sorted(wanted) if (CHOSEN_IN, model) in found}
    if rates:
        return max(rates, key=rates.__getitem__)
    if deep:
        return FIGURE_4
    return next(iter(wanted)) if among and len(wanted) == 1 else None


def released(found: Found) -> str:
    """Return what is released: ONE_FILE if it finds more in CHOSEN_IN than the best network, else that."""
    network = best(found, deep=True)
    rates = [found[CHOSEN_IN, model].tpr[0] for model in (network, ONE_FILE) if (CHOSEN_IN, model) in found]
    return ONE_FILE if len(rates) == 2 and rates[1] > rates[0] else network


def difference(found: Found, protocol: str, models: tuple[str, str], n: int) -> Comparison:
    """Compare two models in a protocol, paired: first minus second, on n malicious scripts."""
    first, second = (found[protocol, model].tpr for model in models)
    low, high = resampling.interval(first - second)
    change = (float(first[0] - second[0]), low, high)
    tprs = [float(first[0]), float(second[0])]
    return {"models": list(models), "tprs": tprs, "n": n} | dict(zip(CHANGE, change, strict=True))


def gain(found: Found, protocol: str, n: int) -> dict[str, Gain]:
    """Compare the study's network, and our best network, with the best traditional model and its committee.

    Of each of the four pairs there is a row, named like "cnn_lstm against traditional"; where a model was not
    run, none.
    """
    deep, simple = best(found, deep=True), best(found)
    sides = {"cnn_lstm": FIGURE_4, "network": deep}, {"traditional": simple, "committee": TRADITIONAL}
    return {
        f"{left} against {right}": difference(found, protocol, (first, second), n)
        | {"deep": first, "traditional": second}
        for left, first in sides[0].items()
        for right, second in sides[1].items()
        if first and second and (protocol, first) in found and (protocol, second) in found
    }


def claims(found: Found, protocol: str, n: int) -> dict[str, list[Comparison]]:
    """Return the pairs that claims C17 to C19 compare in a protocol, as far as their models were run.

    C17: trained further from Word2vec's vectors against random ones. C18: both views against the strongest
    network on tokens alone and on characters alone. C19: an n-gram model and the character network together
    against each.
    """
    tokens = best(found, among=["token_cnn", "token_cnn_lstm"])
    ngrams = best(found, among=NGRAMS)
    pairs = {
        "C17": (("cnn_lstm", "cnn_lstm_random"),),
        "C18": ((FIGURE_4, tokens), (FIGURE_4, CHARACTERS)),
        "C19": ((ENSEMBLE, ngrams), (ENSEMBLE, CHARACTERS)),
    }
    return {
        claim: [difference(found, protocol, pair, n) for pair in asked]
        for claim, asked in pairs.items()
        if all((protocol, model) in found for pair in asked for model in pair)
    }


def committee(rows: pl.DataFrame, members: Sequence[str], *, name: str) -> pl.DataFrame:
    """Return score rows called `name`: the mean `z` of several models, a row a seed of the last member.

    A member's only seed goes with every seed of the last, else seed goes by seed. `rows` are `crossed`;
    scores are the logistic function of the mean. Nothing is returned of a protocol that lacks a member.
    """
    own = rows.filter(pl.col("model").is_in(members) & (pl.col("share") == 1))
    there = own.group_by("protocol").agg(pl.col("model").n_unique())
    own = own.join(
        there.filter(pl.col("model") == len(members)), on="protocol", how="semi", maintain_order="left"
    )
    if own.is_empty():
        return rows.clear().drop("z", "rate")
    *others, last = (own.filter(pl.col("model") == model) for model in members)
    total = last["z"].to_numpy()
    for other in others:
        keys = ["protocol", "part", "sha256", *(["seed"] if other["seed"].n_unique() > 1 else [])]
        joined = last.join(other.select(*keys, other="z"), on=keys, how="left", maintain_order="left")
        total = total + joined["other"].to_numpy()
    mean = last.with_columns(pl.lit(name).alias("model"), score=1 / (1 + np.exp(-total / len(members))))
    scored = mean.filter(pl.col("score").is_not_nan() & pl.col("score").is_not_null())
    columns = [column for column in rows.columns if column not in ("z", "rate")]
    return scored.select(pl.col(column).cast(rows.schema[column]) for column in columns)


def committees(rows: pl.DataFrame, found: Found) -> pl.DataFrame:
    """Return the rows of all committees: ENSEMBLE (C19), TRADITIONAL, COMMITTEE of both worlds, ONE_FILE."""
    ngrams, deep = best(found, among=NGRAMS), best(found, deep=True)
    asked = {ENSEMBLE: (ngrams, CHARACTERS), TRADITIONAL: MEMBERS, COMMITTEE: (*MEMBERS, deep)}
    made = [committee(rows, who, name=name) for name, who in asked.items() if all(who)]
    return pl.concat([*made, one_file(rows)])


def one_file(rows: pl.DataFrame) -> pl.DataFrame:
    """Return score rows of ONE_FILE, the committee of IN_FILE, of `crossed` rows.

    Its scores are probabilities (`curve`). Nothing is returned where CHOSEN_IN lacks a member.
    """
    means = committee(rows, IN_FILE, name=ONE_FILE)
    if means.filter(protocol=CHOSEN_IN).is_empty():
        return means.clear()
    slope, offset = curve(rows)
    odds = log_odds(means["score"].to_numpy(), limit=LOGIT_LIMIT)
    return means.with_columns(pl.Series("score", expit(slope * odds + offset).astype(np.float32)))


def curve(rows: pl.DataFrame) -> tuple[float, float]:
    """Return slope and offset of the logistic curve that makes a mean `z` a probability, in CHOSEN_IN."""
    means = committee(rows.filter(protocol=CHOSEN_IN, part=TEST), IN_FILE, name=ONE_FILE)
    odds = log_odds(means["score"].to_numpy(), limit=LOGIT_LIMIT)
    fitted = LogisticRegression(C=np.inf).fit(odds[:, None], means["label"].to_numpy())
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])


def scales(rows: pl.DataFrame, protocol: str) -> dict[str, tuple[float, float]]:
    """Return `coverage.scale` of each of IN_FILE in a protocol, in the first seed."""
    clean = rows.filter(protocol=protocol, part=TEST, label=0, share=1.0)
    found = {}
    for name in IN_FILE:
        own = clean.filter(model=name)
        scores = own.filter(seed=own["seed"].min())["score"].to_numpy()
        found[name] = coverage.scale(log_odds(scores, limit=LOGIT_LIMIT))
    return found
