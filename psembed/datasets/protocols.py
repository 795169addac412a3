"""The four protocols: which scripts a model is trained on and which it is tested on, fold by fold.

Groups (`splits.groups`) are dealt out to folds, and what a model of a fold is tested on is in no training set
of that fold. So every script is tested once, by a model that has seen nothing of its group.

P0 deals out single scripts by chance, to show what near-duplicates hide. P1 trains and tests on all sources.
P2 trains on the older malicious sources and tests on the wild one; P3 is the other way round. Clean scripts
are cross-fitted in the same folds in each of them.
"""

import math

import numpy as np
import polars as pl

from psembed.datasets import splits
from psembed.datasets.labels import DROP_ASIDE
from psembed.datasets.rewritten import HELD_OUT
from psembed.runtime.errors import CorpusError, ParameterError, SplitError

PROTOCOLS = ("p0", "p1", "p2", "p3")
TEST, TRAIN, UNUSED = "test", "train", ""  # the roles of a script in a protocol
APART = "apart"  # tested and trained on as other clean scripts, but counted apart: no threshold is set on it
SNIPPETS, PINNED = "snippets", "pinned"  # the strata that are APART
SAME_SOURCE = {"unit42": "mpsd"}  # a stratum, and the one that holds most of its clusters again (chapter 5)
COPIES = "copies"  # the part of test scripts whose cluster another test script stands for
DROPPED = "dropped"  # the part of test scripts that a rule dropped
VARIANTS = 2  # of each malicious training script, that is trained on written another way
_NAIVE = "fold_p0"


def with_folds(audited: pl.DataFrame, *, folds: int, seed: int) -> pl.DataFrame:
    """Add `fold` (of groups) and `fold_p0` (of single scripts, by chance), int64 from 0 on.

    Of the labelled scripts it reads group, cluster, label and stratum. The clusters of each class and stratum
    are shared out evenly, and in P0 the scripts: one cluster may hold a third of a source.
    """
    firsts = audited.unique(["group", "cluster", "label", "stratum"], keep="first", maintain_order=True)
    grouped = splits.folds(firsts["group"].to_numpy(), _strata(firsts), count=folds, seed=seed)
    of_group = firsts.select("group", fold=pl.Series(grouped)).unique("group")
    single = splits.folds(np.arange(audited.height), _strata(audited), count=folds, seed=seed)
    dealt = audited.join(of_group, on="group", how="left", maintain_order="left")
    return dealt.with_columns(pl.Series(_NAIVE, single))


def _strata(scripts: pl.DataFrame) -> list[str]:
    return scripts.select(pl.concat_str("label", "stratum", separator=" ")).to_series().to_list()


def draw_up(audited: pl.DataFrame, *, wild_source: str, pinned: list[str]) -> pl.DataFrame:
    """Add each script's role in every protocol, and `rank`: 0 for the first script of its cluster, and so on.

    Malicious scripts of a group that the other side holds as well are left out of P2 and P3, as what has a
    near-duplicate in training cannot show transfer. Clean snippets, and clean scripts of the repository
    groups `pinned`, which become a stratum, are APART. What is `dropped` is only tested (`_dropped`). Raises
    CorpusError if the wild source or another has no malicious script, SplitError if a fold of a protocol
    would lack a class.
    """
    malicious, wild = pl.col("label") == 1, pl.col("source") == wild_source
    kept, dropped = (audited.filter((pl.col("dropped") == "") == here) for here in (True, False))
    sources = kept.filter(malicious)["source"].unique().sort().to_list()
    if wild_source not in sources or len(sources) < 2:
        raise CorpusError(
            f"P2 needs malicious scripts of {wild_source!r} and of another: there are {sources}"
        )
    stratum = pl.when(pl.col("repository_group").is_in(pinned)).then(pl.lit(PINNED)).otherwise("stratum")
    kept = kept.with_columns(stratum=stratum)
    apart = pl.col("stratum").is_in([SNIPPETS, PINNED])
    clean = pl.when(apart).then(pl.lit(APART)).otherwise(pl.lit(TEST))
    roles = {protocol: pl.when(malicious).then(pl.lit(TEST)).otherwise(clean) for protocol in ("p0", "p1")}
    roles |= {"p2": _across(malicious, ~wild, clean), "p3": _across(malicious, wild, clean)}
    samples = kept.with_columns(**roles, rank=pl.int_range(pl.len()).over("cluster"))
    samples = pl.concat([samples, _dropped(dropped, samples, wild)]).with_columns(way=pl.lit(""))
    for protocol in PROTOCOLS:
        require_classes(samples, protocol)
    return samples


def _across(malicious: pl.Expr, trained: pl.Expr, clean: pl.Expr) -> pl.Expr:
    """Return the roles of a protocol that trains on some malicious scripts and tests on the others."""
    beside_clean = (~malicious).any().over("group")
    beside_trained = (malicious & trained & ~beside_clean).any().over("group")
    train = pl.when(beside_clean).then(pl.lit(UNUSED)).otherwise(pl.lit(TRAIN))
    test = pl.when(beside_trained).then(pl.lit(UNUSED)).otherwise(pl.lit(TEST))
    return pl.when(~malicious).then(clean).when(trained).then(train).otherwise(test)


def _dropped(dropped: pl.DataFrame, samples: pl.DataFrame, wild: pl.Expr) -> pl.DataFrame:
    """Return one dropped script of each cluster and class with its roles: tested, or unused.

    Unused are, in P2 and P3, those that a group of malicious training scripts holds, and what is aside: its
    near-duplicates are in another group.
    """
    grouped = dropped.filter(pl.col("dropped") != DROP_ASIDE)
    single = grouped.unique(["cluster", "label"], keep="first", maintain_order=True)
    clean = pl.col("label") == 0
    shown = {"p0": pl.lit(False), "p1": pl.lit(True), "p2": clean | wild, "p3": clean | ~wild}
    roles = {}
    for name, here in shown.items():
        trained = samples.filter(pl.col(name) == TRAIN)["group"].unique().implode()
        here &= ~pl.col("group").is_in(trained)
        roles[name] = pl.when(here).then(pl.lit(TEST)).otherwise(pl.lit(UNUSED))
    return single.with_columns(**roles, rank=pl.lit(0, pl.Int64))


def fold_of(protocol: str) -> str:
    """Return the column that holds the folds of a protocol."""
    return _NAIVE if protocol == "p0" else "fold"


def folds(samples: pl.DataFrame) -> list[int]:
    """Return the numbers of the folds."""
    return samples["fold"].unique().sort().to_list()


def training(
    samples: pl.DataFrame, protocol: str, fold: int, *, per_cluster: int, most_clean: int, seed: int
) -> pl.DataFrame:
    """Return the training scripts of a fold.

    They are up to `per_cluster` of each cluster, of clean scripts `most_clean` at most, drawn by the seed;
    then scripts of other folds that are written in other ways (`rewritten`), VARIANTS of each malicious one
    of them. In P0 every copy counts, and nothing is rewritten.
    """
    plain = samples.filter(pl.col("dropped") == "", pl.col("way") == "")
    role, within = pl.col(protocol), pl.col(fold_of(protocol)) == fold
    learns = pl.lit(protocol in ("p0", "p1")) | (pl.col("label") == 0)
    chosen = plain.filter((role == TRAIN) | (role.is_in([TEST, APART]) & ~within & learns))
    if protocol != "p0":
        chosen = chosen.filter(_among_first(per_cluster))
    drawn = pl.int_range(pl.len()).shuffle(seed).over("label")
    chosen = chosen.filter((pl.col("label") == 1) | (drawn < most_clean))
    return chosen if protocol == "p0" else pl.concat([chosen, _variants(samples, chosen, fold, seed)])


def _variants(samples: pl.DataFrame, train: pl.DataFrame, fold: int, seed: int) -> pl.DataFrame:
    """Return scripts of other folds in other ways, none HELD_OUT: VARIANTS of malicious ones, all clean ones.

    Clean ones are not only those trained on as they are, else there would be few; groups keep them apart.
    """
    learned = samples.filter((pl.col("way") != "") & ~pl.col("way").is_in(HELD_OUT), pl.col("fold") != fold)
    own, clean = learned.filter(label=1), learned.filter(label=0)
    own = own.join(train.select("sha256"), on="sha256", how="semi", maintain_order="left")
    # Shuffled as a whole: `shuffle(seed).over(...)` would draw the same ways for every script.
    shuffled = own.sample(fraction=1, shuffle=True, seed=seed)
    return pl.concat([shuffled.filter(pl.int_range(pl.len()).over("sha256") < VARIANTS), clean])


def _among_first(count: int) -> pl.Expr:
    """Tell which scripts of a table are among the first `count` there of their cluster."""
    return pl.int_range(pl.len()).over("cluster") < count


def tested(samples: pl.DataFrame, protocol: str, fold: int) -> dict[str, pl.DataFrame]:
    """Return what a fold tests: "test", one script of a cluster, and further parts where they hold any.

    Those are APART, COPIES (the others of a cluster), DROPPED, and each way of writing. In P0 there are none:
    every copy is tested.
    """
    plain = samples.filter(pl.col("dropped") == "", pl.col("way") == "")
    role, within = pl.col(protocol), pl.col(fold_of(protocol)) == fold
    own, first = plain.filter((role == TEST) & within), _among_first(1)
    if protocol == "p0":
        return {TEST: own}
    found = {
        TEST: own.filter(first),
        APART: plain.filter((role == APART) & within).filter(first),
        COPIES: own.filter(~first),
        DROPPED: samples.filter((pl.col("dropped") != "") & (role == TEST) & within),
    }
    variants = samples.filter((pl.col("way") != "") & within)
    variants = variants.join(found[TEST].select("sha256"), on="sha256", how="semi", maintain_order="left")
    found |= {way: rows for (way,), rows in variants.group_by("way", maintain_order=True)}
    return {part: rows for part, rows in found.items() if part == TEST or rows.height}


def require_classes(samples: pl.DataFrame, protocol: str) -> None:
    """Raise SplitError, naming what is missing, if a fold of a protocol lacks a class on one side."""
    for fold in folds(samples):
        train = training(samples, protocol, fold, per_cluster=1, most_clean=samples.height, seed=1)
        for side, rows in (("train", train), ("test", tested(samples, protocol, fold)[TEST])):
            for label, name in ((1, "malicious"), (0, "clean")):
                if rows.filter(label=label).is_empty():
                    missing = f"fold {fold} of {protocol} has no {name} script to {side}"
                    raise SplitError(f"{missing}: add sources, or lower folds")


def _all_training(samples: pl.DataFrame, protocol: str, fold: int) -> pl.DataFrame:
    return training(samples, protocol, fold, per_cluster=samples.height, most_clean=samples.height, seed=1)


def _test(samples: pl.DataFrame, protocol: str, fold: int) -> pl.DataFrame:
    return pl.concat(tested(samples, protocol, fold).values())


def check(samples: pl.DataFrame, protocol: str) -> None:
    """Raise SplitError, naming the group, if a fold trains on a group that it tests."""
    for fold in folds(samples):
        own = _test(samples, protocol, fold)["group"].unique()
        both = _all_training(samples, protocol, fold).filter(pl.col("group").is_in(own.implode()))
        if both.height:
            raise SplitError(
                f"group {both['group'][0]} is trained on and tested in fold {fold} of {protocol}, and so are "
                f"{both['group'].n_unique() - 1:,} others: near-duplicates would leak"
            )


def budget(rows: pl.DataFrame, *, share: float, seed: int) -> pl.DataFrame:
    """Return the scripts of a share (0 < share <= 1) of the clusters of each class of training scripts.

    At least one cluster of each class is kept, and a smaller share is part of a larger one of the same seed.
    """
    if not 0 < share <= 1:
        raise ParameterError(f"share {share!r}: expected a share of the labels, such as 0.1 for a tenth")
    random, kept = np.random.default_rng(seed), []
    for _, own in rows.group_by("label", maintain_order=True):
        clusters = random.permutation(own["cluster"].unique().sort().to_numpy())
        kept.append(pl.Series(clusters[: math.ceil(share * len(clusters))]))
    return rows.filter(pl.col("cluster").is_in(pl.concat(kept).implode()))


def sizes(samples: pl.DataFrame, protocol: str) -> dict[str, int]:
    """Count scripts and clusters that a protocol tests, by class, and those that are APART."""
    plain = samples.filter(pl.col("dropped") == "", pl.col("way") == "")
    counted = {APART: plain.filter(pl.col(protocol) == APART)["cluster"].n_unique()}
    for name, label in (("positive", 1), ("negative", 0)):
        own = plain.filter((pl.col(protocol) == TEST) & (pl.col("label") == label))
        counted |= {f"{name}s": own.height, f"{name}_clusters": own["cluster"].n_unique()}
    return counted
