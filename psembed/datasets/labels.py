"""Labelled scripts: overlap between sets, rules for dropping, shortcuts, and the study's hard kinds."""

import numpy as np
import polars as pl

from psembed.datasets import splits
from psembed.runtime.errors import CorpusError

DROP_CONFLICT = "a near-duplicate cluster holds both classes"
DROP_OFFENSIVE = "a clean label on a near-duplicate of an offensive tool"
DROP_ASIDE = "a copy whose cluster belongs to another group"
DROP_EMPTY = "nothing is left after cleaning"
DROP_SHORT = "a malicious label on a text too short to show it"
DROP_FRAMEWORK = "files of the PoshC2 framework under a clean label"
DROP_LANGUAGE = "a malicious label on a text in another language"

SHORTEST = 20  # characters of a clean text that a malicious label can be held for
# Of MPSD's benign half these are one framework for attacks, as its functions' names tell.
FRAMEWORK_FILES = r"powershell_benign_dataset/(?:420[7-9]|42[1-8]\d|4290)\.ps1$"
OTHER_LANGUAGES = (
    r"(?i)\A[^\w#<$'\"]{0,8}(?:@?echo off\b|rem\s|::|setlocal\b)"  # batch
    r"|\A\s*<(?:!doctype|html|script|hta:|\?xml|scriptlet|package|job)\b"  # HTML applications, XML
    r"|\A(?:'[^\n]*\n|\s)*(?:option explicit|on error resume next|dim \w+"  # VBScript
    r"|set \w+ ?= ?createobject|sub \w+\()"
    r"|\A\s*(?:var|function) \w+[^$]{0,80}(?:activexobject"  # JScript
    r"|wscript\.(?:createobject|echo|quit|sleep))"
    r"|\A(?:MZ|PK\x03|\{\\rtf|%PDF)"  # programs, archives, documents
)
"""How a text in another language begins; rules of 29 November 2026, written before anything was scored."""

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
        DROP_ASIDE: pl.col("part") == splits.ASIDE,
        DROP_FRAMEWORK: (pl.col("source") == "mpsd") & pl.col("path").str.contains(FRAMEWORK_FILES),
        DROP_SHORT: (pl.col("label") == 1) & (pl.col("clean").str.len_chars() < SHORTEST),
        DROP_LANGUAGE: (pl.col("label") == 1) & pl.col("text").str.contains(OTHER_LANGUAGES),
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


def hard_kinds(clean: pl.Series) -> dict[str, np.ndarray]:
    """Tell which scripts are of the study's three hard kinds (bool arrays keyed C22, C23, C24)."""
    plain = clean.str.to_lowercase()
    table = pl.DataFrame({"_plain": plain, "_joined": plain.str.replace_all(r"[`'\"+\s]+", "")})
    table = table.with_columns(_joined=pl.concat_str("_plain", "_joined", separator=" "))
    return {claim: table.select(rule).to_series().to_numpy() for claim, rule in HARD_KINDS.items()}
