"""Wrong labels: scripts a classifier doubts, and written rules that decide which of them are dropped.

Confident learning (Northcutt et al. 2021, the library cleanlab) names the scripts whose label a model that
has not seen their group would not give them. That is suspicion, not proof: most are hard scripts, and
whoever drops the hard ones improves every figure without detecting anything more. So a script goes only if
it is suspected and its text shows, by a written rule that knows no model, that the label cannot be held: a
clean label on a text that defines a function of a published offensive tool, a malicious one on a short
text in which nothing malicious can be found. `drops` returns a row for each, so that all can be checked,
and results be given with and without.
"""

import tomllib
import warnings
from pathlib import Path

import numpy as np
import polars as pl

from psembed.datasets import splits
from psembed.datasets.labels import first_rule
from psembed.models import baselines
from psembed.runtime.errors import CorpusError, ParameterError
from psembed.runtime.threads import map_partitions

CLASSIFIER = "bag_of_words"
DROP_TOOL = "offensive tool under a clean label"
DROP_HARMLESS = "no malicious behaviour in the text"
SHORT = 300  # characters of a clean text; in a longer one too much could have been overlooked

_NAME = r"[a-z][a-z0-9_]*(?:-[a-z0-9_]+)+"  # Verb-Noun; a name without a hyphen is anybody's
_DEFINITION = rf"\b(?:function|filter) (?:[a-z]+:)?{_NAME}"
_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
CAPABILITIES = {name: "|".join(patterns) for name, patterns in _DATA["capabilities"].items()}


def suspects(samples: pl.DataFrame, *, folds: int, seed: int) -> pl.DataFrame:
    """Return the scripts whose label a classifier that has not seen their group would not give them.

    Logistic regression on bag-of-words scores each fold by the others; groups are whole, and each stratum is
    shared out evenly. The library cleanlab then estimates how many labels of each class are wrong, from the
    scripts that reach the average probability of the other class, and names so many. Averages of each class
    allow for the balanced class weights of the classifier.

    Of `samples` it reads sha256, clean, label (1 malicious, 0 clean), stratum and group. It returns sha256,
    label and probability (of the given label, out of fold), the least probable first. Raises ParameterError
    if `folds` is below 2, CorpusError if a column is missing, a label is not 0 or 1, or a class has fewer
    groups than `folds`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, which shows no bar here
        from cleanlab.filter import find_label_issues

    _check(samples, folds)
    malicious = _out_of_fold(samples, folds, seed)
    labels = samples["label"].to_numpy().astype(np.int64)
    probabilities = np.column_stack([1 - malicious, malicious])
    doubted = find_label_issues(labels, probabilities, filter_by="both", n_jobs=1)
    given = pl.Series("probability", probabilities[np.arange(len(labels)), labels])
    judged = samples.select("sha256", "label").with_columns(given)
    return judged.filter(doubted).sort("probability", "sha256")


def _check(samples: pl.DataFrame, folds: int) -> None:
    if not isinstance(folds, int) or folds < 2:
        raise ParameterError(f"folds is {folds!r}: give a whole number of at least 2")
    _require(samples, "sha256", "clean", "label", "stratum", "group")
    strange = samples.filter(~pl.col("label").is_in([0, 1]).fill_null(False))
    if len(strange):
        raise CorpusError(f"label {strange['label'][0]} of {len(strange):,} script(s): expected 1 or 0")
    for label, name in ((1, "malicious"), (0, "clean")):
        groups = samples.filter(pl.col("label") == label)["group"].n_unique()
        if groups < folds:
            raise CorpusError(
                f"the {name} scripts are of {groups} group(s), too few for {folds} folds: add scripts, or "
                "lower folds"
            )


def _require(table: pl.DataFrame, *columns: str) -> None:
    if missing := sorted(set(columns) - set(table.columns)):
        raise CorpusError(f"the table lacks {', '.join(missing)}; 05_labels makes samples.parquet with them")


def _out_of_fold(samples: pl.DataFrame, folds: int, seed: int) -> np.ndarray:
    """Return the probability of malicious of each script from a model fitted on the other folds."""
    strata = samples.select(pl.concat_str("label", "stratum", separator=" ")).to_series().to_list()
    fractions = {str(fold): 1 / folds for fold in range(folds)}
    parts = splits.assign(samples["group"].to_numpy(), strata, seed=seed, fractions=fractions)
    labels, scores = samples["label"].to_numpy(), np.empty(len(samples))
    for fold in fractions:
        held = parts == fold
        model = baselines.fit(CLASSIFIER, samples["clean"].filter(~held), labels[~held], seed=seed)
        scores[held] = model.score(samples["clean"].filter(held))
    return scores


def signatures(scripts: pl.DataFrame) -> list[str]:
    """Return the functions of published offensive tools, by names that no benign repository knows.

    Of scripts (columns kind, clean) these are the Verb-Noun names, in lower case and sorted, that one of kind
    "offensive" defines and that stand in none of kind "benign".
    """
    _require(scripts, "kind", "clean")
    defined = defines(scripts.filter(pl.col("kind") == "offensive")["clean"]).explode().drop_nulls().unique()
    benign = scripts.filter(pl.col("kind") == "benign")["clean"]
    known = pl.concat(map_partitions(lambda texts: _words(texts, defined), benign))
    return sorted(set(defined.to_list()) - set(known.to_list()))


def _words(texts: pl.Series, wanted: pl.Series) -> pl.Series:
    """Return those of the `wanted` names that stand in the texts."""
    words = texts.str.to_lowercase().str.extract_all(_NAME).explode().drop_nulls().unique()
    return words.filter(words.is_in(wanted.implode()))


def defines(clean: pl.Series) -> pl.Series:
    """Return the Verb-Noun names of the functions that each clean text defines, in lower case."""
    definitions = clean.str.to_lowercase().str.extract_all(_DEFINITION)
    return definitions.list.eval(pl.element().str.extract(rf"({_NAME})$"))


def capable(clean: pl.Series) -> pl.Series:
    """Tell which texts show at least one of CAPABILITIES (bool, one per text)."""
    return clean.str.to_lowercase().str.contains("|".join(CAPABILITIES.values()))


def drops(samples: pl.DataFrame, suspected: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Return the suspected scripts that a written rule drops; `names` are those of `signatures`.

    Of `samples` it reads sha256, clean, label and source. It returns sha256, label, source, reason (DROP_TOOL
    or DROP_HARMLESS) and probability, sorted as `suspected`. Raises CorpusError if a column is missing, or a
    suspected script is not in `samples` with that label.
    """
    _require(samples, "sha256", "clean", "label", "source")
    _require(suspected, "sha256", "label", "probability")
    texts = suspected.join(samples.select("sha256", "label", "clean", "source"), on=["sha256", "label"])
    if len(texts) != len(suspected):
        raise CorpusError(
            f"{len(suspected)} suspected scripts meet {len(texts)} samples of their label: "
            "the tables are of different runs; make both again"
        )
    tool = defines(texts["clean"]).list.eval(pl.element().is_in(names)).list.any()
    harmless = (texts["clean"].str.len_chars() < SHORT) & ~capable(texts["clean"])
    rules = {DROP_TOOL: (texts["label"] == 0) & tool, DROP_HARMLESS: (texts["label"] == 1) & harmless}
    dropped = texts.with_columns(reason=first_rule(rules, otherwise=None)).drop_nulls("reason")
    return dropped.select("sha256", "label", "source", "reason", "probability").sort("probability", "sha256")
