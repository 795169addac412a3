"""Labelled scripts: overlap between sets, rules for dropping, shortcuts, and the three protocols."""

import math
from collections.abc import Sequence

import numpy as np
import polars as pl

from psembed.datasets import splits
from psembed.runtime.errors import CorpusError, ParameterError

DROP_CONFLICT = "a near-duplicate cluster holds both classes"
DROP_OFFENSIVE = "a clean label on a near-duplicate of an offensive tool"
DROP_ASIDE = "a copy whose cluster belongs to another group"
DROP_EMPTY = "nothing is left after cleaning"
DROPPED = "dropped"  # the part of test scripts that a rule dropped
COPIES = "copies"  # the part of test scripts whose cluster another test script stands for

CIPHERS = r"frombase64string|gzipstream|deflatestream|rijndael|createdecryptor|\baes|-bxor|securestring"
RUNS = r"\biex\b|invoke-expression|\.invoke\(|invoke-command|start-process|virtualalloc|createthread"
DOWNLOADS = r"download(?:string|file|data)|webclient|invoke-webrequest|\biwr\b|bitstransfer|openread"
OBFUSCATION = r"(?:\w`\w[^`]*){8}|(?:\{\d+\}){3}|(?:\[char\]\W*\d+\W+){3}|(?:'\s*\+\s*'[^']*){4}"

HARD_KINDS = {
    "C22": pl.col("_plain").str.contains(OBFUSCATION),
    "C23": pl.col("_joined").str.contains(DOWNLOADS)
    & pl.col("_joined").str.contains(RUNS)
    & pl.col("_plain").str.contains(OBFUSCATION + r"|'\s*\+\s*'|\"\s*\+\s*\"|\w`\w|-join|-replace|-f\s*'"),
    "C24": pl.col("_joined").str.contains(CIPHERS) & pl.col("_joined").str.contains(RUNS),
}
"""The study's three hard kinds (its Figures 5 to 7) as written rules: heavily obfuscated; obfuscated
download-and-run; decodes or decrypts and executes. The rules are ours: the study gives pictures only."""


def copies(scripts: pl.DataFrame) -> pl.DataFrame:
    """Count what is really different in each labelled set.

    Of files it reads source, kind, label, normalised (hash) and cluster; it gives source, label, files,
    distinct (once normalised), clusters (of near-duplicates) and largest, the files of the largest cluster.
    """
    labelled = _labelled(scripts)
    sizes = labelled.with_columns(alike=pl.len().over("source", "label", "cluster"))
    counts = {"distinct": pl.col("normalised").n_unique(), "clusters": pl.col("cluster").n_unique()}
    counted = sizes.group_by("source", "label").agg(files=pl.len(), **counts, largest=pl.col("alike").max())
    return counted.sort("source", "label")


def overlap(scripts: pl.DataFrame) -> pl.DataFrame:
    """Count near-duplicate clusters that two labelled strata share, from columns stratum, label and cluster.

    It gives a row for each pair: a, b (stratum and class), clusters_a, clusters_b and shared.
    """
    classes = pl.when(pl.col("label") == 1).then(pl.lit("malicious")).otherwise(pl.lit("clean"))
    names = pl.concat_str("stratum", classes, separator=" ")
    pairs = splits.shared_clusters(_labelled(scripts).select("cluster", name=names))
    return pairs.sort("shared", "a", "b", descending=[True, False, False])


def _labelled(scripts: pl.DataFrame) -> pl.DataFrame:
    """Return the scripts of the labelled sets; benign repositories have labels, too."""
    return scripts.filter((pl.col("kind") == "labelled") & pl.col("label").is_not_null())


def audit(scripts: pl.DataFrame) -> pl.DataFrame:
    """Return the labelled scripts with `dropped`: the rule that removes a script, or "".

    If no script has a label, or only one class is there, CorpusError is raised.
    """
    by_cluster = scripts.group_by("cluster").agg(
        classes=pl.col("label").drop_nulls().n_unique(), offensive=(pl.col("kind") == "offensive").any()
    )
    labelled = scripts.filter(pl.col("label").is_not_null())
    classes = labelled["label"].n_unique()
    if classes < 2:
        raise CorpusError(f"the corpus has {classes} labelled class(es), two are needed: add a source")
    rules = {
        DROP_EMPTY: pl.col("clean") == "",
        DROP_ASIDE: pl.col("part") == "aside",
        DROP_CONFLICT: pl.col("classes") > 1,
        DROP_OFFENSIVE: pl.col("offensive") & (pl.col("label") == 0),
    }
    joined = labelled.join(by_cluster, on="cluster", maintain_order="left")
    return joined.with_columns(dropped=first_rule(rules, otherwise=""))


def first_rule(rules: dict[str, pl.Expr | pl.Series], *, otherwise: str | None) -> pl.Expr:
    """Return the name of the first rule that applies."""
    names = [pl.when(applies).then(pl.lit(name)) for name, applies in rules.items()]
    return pl.coalesce(*names, pl.lit(otherwise))


def drop(audited: pl.DataFrame, listed: pl.DataFrame) -> pl.DataFrame:
    """Mark more scripts as dropped, each for the reason that `listed` (columns sha256, reason) gives."""
    reasons = listed.select("sha256", "reason")
    joined = audited.join(reasons, on="sha256", how="left", maintain_order="left", validate="m:1")
    return joined.with_columns(dropped=pl.coalesce("reason", "dropped")).drop("reason")


def listed(audited: pl.DataFrame) -> pl.DataFrame:
    """Return sha256, source, label and the reason (`dropped`) of every script that a rule dropped."""
    columns = ["dropped", "source", "label", "sha256"]
    return audited.filter(pl.col("dropped") != "").select(columns).sort(columns)


def dropped_tests(audited: pl.DataFrame, *, wild_source: str) -> pl.DataFrame:
    """Return the scripts that a rule dropped and that would be tested, to be scored, but for empty ones.

    The columns p1 and p2 are "test" where the protocol would test the script, else "".
    """
    test = pl.col("part") == splits.TEST
    wild = pl.when(pl.col("label") == 1).then(pl.col("source") == wild_source).otherwise(test)
    part, no = pl.lit(splits.TEST), pl.lit("")
    parts = {"p1": pl.when(test).then(part).otherwise(no), "p2": pl.when(wild).then(part).otherwise(no)}
    columns = ["sha256", "source", "stratum", "label", "cluster", "text", "clean", "dropped"]
    would_be = audited.filter((pl.col("dropped") != "") & (pl.col("clean") != "") & (test | wild))
    return would_be.select(*columns, **parts)


def dropped_of(dropped: pl.DataFrame, protocol: str) -> dict[str, pl.DataFrame]:
    """Return the part DROPPED: one script per cluster and class of `dropped_tests`; nothing for P0."""
    own = dropped.filter(pl.col(protocol) == splits.TEST) if protocol in dropped.columns else dropped.clear()
    own = own.unique(["cluster", "label"], keep="first", maintain_order=True)
    return {DROPPED: own} if own.height else {}


def shortcuts(corpus: pl.DataFrame) -> dict[str, list[dict]]:
    """Score one-feature rules on the raw files: what a model could win without reading.

    The corpus is as it was read, before cleaning and de-duplication; unlabeled files are left out. "all" and
    each source that has both classes get rows {feature, rule, accuracy, balanced_accuracy, tpr, fpr, n}, that
    of the one-line rule first. A rule that is more often wrong than right (balanced) is turned round.
    """
    corpus = corpus.filter(pl.col("label").is_not_null())
    features = corpus.select(
        "label",
        "source",
        one_line=one_line(corpus),
        no_byte_order_mark=~pl.col("encoding").str.contains("bom"),
        no_carriage_return=~pl.col("text").str.contains("\r", literal=True),
        no_comment=~pl.col("text").str.contains("#", literal=True),
        short=pl.col("size") < pl.col("size").median(),
    )
    by_source = features.group_by("source", maintain_order=True)
    sets = {"all": features} | {source: rows for (source,), rows in by_source}
    return {name: _rules(rows) for name, rows in sets.items() if rows["label"].n_unique() == 2}


def one_line(scripts: pl.DataFrame) -> pl.Series:
    """Tell which raw texts are a single line once outer white space is gone (bool, one per row)."""
    return scripts["text"].str.strip_chars().str.contains(r"[\r\n]").not_()


def _rules(features: pl.DataFrame) -> list[dict]:
    malicious = features["label"].to_numpy() == 1
    rows = []
    for name in features.columns[2:]:
        flagged = features[name].to_numpy().astype(bool)
        turned = flagged[malicious].mean() < flagged[~malicious].mean()
        flagged = flagged ^ turned
        tpr, fpr = float(flagged[malicious].mean()), float(flagged[~malicious].mean())
        accuracy, balanced = float((flagged == malicious).mean()), (tpr + 1 - fpr) / 2
        rule = {"feature": name, "rule": f"not {name}" if turned else name, "accuracy": accuracy}
        rows.append(rule | {"balanced_accuracy": balanced, "tpr": tpr, "fpr": fpr, "n": len(flagged)})
    return rows


def protocols(audited: pl.DataFrame, *, wild_source: str, seed: int) -> pl.DataFrame:
    """Draw up P0, P1 and P2.

    P1 takes the group-disjoint part of each script. P0 (`at_random`) deals the same parts out by chance. P2
    (`splits.across_sources`) tests on malicious scripts of `wild_source` and trains on those of the others.

    Each kept script has a row, with p0, p1 and p2 (train, validation, test or "") and `rank`: 0 for the first
    script of its cluster, 1 for the second, and so on.
    """
    kept = audited.filter(pl.col("dropped") == "")
    sources = kept.filter(pl.col("label") == 1)["source"].unique().sort().to_list()
    if wild_source not in sources:
        raise CorpusError(f"no malicious script of {wild_source!r} is left for P2: choose one of {sources}")
    p2 = splits.across_sources(
        kept["part"].to_list(),
        kept["group"].to_numpy(),
        kept["label"].to_numpy(),
        kept["source"].to_list(),
        train=[source for source in sources if source != wild_source],
        test=[wild_source],
    )
    p0 = at_random(kept["part"].to_list(), kept["label"].to_numpy(), seed=seed)
    return kept.with_columns(one_line=one_line(kept)).select(
        *("sha256", "source", "kind", "stratum", "repository_group", "family", "label", "text", "clean"),
        *("size", "cluster", "group", "one_line"),
        p0=pl.Series(p0.tolist(), dtype=pl.String),
        p1="part",
        p2=pl.Series(p2.tolist(), dtype=pl.String),
        rank=pl.int_range(pl.len()).over("cluster"),
    )


def at_random(parts: Sequence[str], labels: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the parts of the naive protocol (P0): those of `parts`, dealt out anew to scripts of each class.

    Near-duplicates and scripts of one repository land on both sides; it is there to show what that hides.
    """
    random, dealt = np.random.default_rng(seed), np.array(parts, dtype=object)
    for label in np.unique(labels):
        chosen = np.flatnonzero(np.asarray(labels) == label)
        dealt[chosen] = dealt[random.permutation(chosen)]
    return dealt


def parts(samples: pl.DataFrame, protocol: str, *, per_cluster: int) -> dict[str, pl.DataFrame]:
    """Return the scripts of each part: up to `per_cluster` of a cluster in training, one elsewhere.

    The other scripts of test clusters, if any, are a part of their own, COPIES. In P0 every copy counts.
    """
    limit = {"train": per_cluster, "validation": 1, "test": 1}
    counts = {part: (pl.col("rank") < limit[part]) | (protocol == "p0") for part in splits.PARTS}
    sets = {part: samples.filter((pl.col(protocol) == part) & counts[part]) for part in splits.PARTS}
    copies = samples.filter((pl.col(protocol) == "test") & ~counts["test"])
    return sets | ({COPIES: copies} if copies.height else {})


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


def sizes(samples: pl.DataFrame, protocol: str) -> dict[str, dict[str, int]]:
    """Count scripts and clusters by class in each part of a protocol."""
    counted = {}
    for part in splits.PARTS:
        rows = samples.filter(pl.col(protocol) == part)
        classes = {name: rows.filter(label=label) for name, label in (("positive", 1), ("negative", 0))}
        scripts = {f"{name}s": own.height for name, own in classes.items()}
        clusters = {f"{name}_clusters": own["cluster"].n_unique() for name, own in classes.items()}
        counted[part] = scripts | clusters
    return counted


def hard_kinds(clean: pl.Series) -> dict[str, np.ndarray]:
    """Tell which scripts are of the study's three hard kinds (bool arrays keyed C22, C23, C24)."""
    plain = clean.str.to_lowercase()
    table = pl.DataFrame({"_plain": plain, "_joined": plain.str.replace_all(r"[`'\"+\s]+", "")})
    table = table.with_columns(_joined=pl.concat_str("_plain", "_joined", separator=" "))
    return {claim: table.select(rule).to_series().to_numpy() for claim, rule in HARD_KINDS.items()}
