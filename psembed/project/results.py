"""The results of a run: one JSON file a notebook, each of a type of its own, read into one `Results`.

A type names what is read again; notebooks may write more beside it, as evidence. `Workspace.write_result`
refuses results that lack a key of their type. A stage that has not run is missing, and so may a key be in
older results: readers use `get`, and what is missing counts as not measured.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from psembed.runtime.errors import ParameterError, StageError

Counts = dict[str, int]
Numbers = dict[str, float]

Corpus = TypedDict("Corpus", {"generated": bool, "repositories": int})
Unlabeled = TypedDict(  # distinct_history and vocabulary: older versions of scripts included
    "Unlabeled",
    {
        "pinned": int,
        "snippets": int,
        "distinct_history": int | None,
        "kept_tokens": int,
        "pinned_vocabulary": int,
        "vocabulary": int | None,
    },
    total=False,
)
Tokens = TypedDict(
    "Tokens",
    {
        "unlabeled_distinct": int,
        "near_duplicate_clusters": int,
        "unlabeled": Unlabeled,
        "planted": NotRequired[dict[str, Counts]],  # kind -> planted, recovered
    },
)
# Shuffled: alias_mrr, alias_mrr_random.
Embedding = TypedDict("Embedding", {"dimension": int, "vocabulary": int, "shuffled": Numbers})

# Ranks count from 1.
Alias = TypedDict("Alias", {"target": str, "rank": int | None, "reverse_rank": int | None}, total=False)
OddOneOut = TypedDict("OddOneOut", {"odd": str | None, "expected": str, "distances": Numbers}, total=False)
Analogy = TypedDict("Analogy", {"expected": str, "top1": str | None, "rank": int | None}, total=False)
Closeness = dict[str, float | None]  # mean_rank, of a group's members among each other
TokenGroups = TypedDict(
    "TokenGroups", {"operators": Closeness, "policies": Closeness, "vocabulary": int}, total=False
)
Answers = TypedDict(  # of one model to the study's questions
    "Answers",
    {
        "aliases": dict[str, Alias],
        "odd_one_out": dict[str, OddOneOut],  # by claim, and so are the next two
        "analogies": dict[str, Analogy],
        "groups": dict[str, TokenGroups],
        "missing": list[str],  # tokens asked for that have no vector
    },
)


class Semantics(Answers):
    """Chapter 4: the answers of the first seed, and of every seed."""

    vocabulary: int
    seeds: list[Answers]
    benchmark: dict[str, Numbers]  # development, held_out, all: what headline.toml reads


# P1: positives, negatives, and the clusters of both.
Labels = TypedDict("Labels", {"one_line_rule_accuracy": float, "p1": Counts})
Baselines = TypedDict("Baselines", {"shuffled_labels": Numbers})  # tpr, fpr, positives
Networks = TypedDict("Networks", {"networks": list[str], "parameters": int, "released": str})


class CoverageRow(TypedDict):
    """Rates of a model in a protocol: at the same realised rate, and at crossed thresholds (`asked_...`)."""

    protocol: str
    model: str
    fpr_asked: float
    tpr: float
    low: float
    high: float
    fpr: float
    asked_tpr: float
    asked_fpr: float
    positives: int
    negatives: int
    seeds: int


class Difference(TypedDict, total=False):
    """Of two models on the same `n` malicious scripts, with its 95% interval."""

    difference: float
    low: float
    high: float
    n: int


class Comparison(Difference):
    """First model minus second."""

    models: list[str]
    tprs: list[float]


class Gain(Comparison, total=False):
    """A network minus a traditional model or committee."""

    traditional: str
    deep: str


Calibration = TypedDict(  # before: the error without the temperature
    "Calibration",
    {"temperature": float, "expected_calibration_error": float, "before": float, "reliability": list[dict]},
    total=False,
)
RobustnessRow = TypedDict("RobustnessRow", {"protocol": str, "model": str, "difference": float})
Evaluation = TypedDict(
    "Evaluation",
    {
        "fpr": float,
        "table": list[CoverageRow],
        "best": dict[str, str | None],  # "deep" and "traditional": what finds most in P3
        "gain": dict[str, dict[str, Gain]],  # by protocol, by pair
        "comparisons": dict[str, dict[str, list[Comparison]]],  # by protocol, by claim
        "calibration": dict[str, Calibration],
        "robustness": list[RobustnessRow],
        "false_alarms": list[dict],
        "strata": list[dict],
        "negatives_test_scripts": int,
        "negatives_test_scripts_human": int,
    },
)

Parity = TypedDict("Parity", {"max_abs_diff": float, "decisions_equal": bool, "n": int, "bytes": int})
Share = float | None  # of the scripts of a kind that is found; None where there is no such script
Case = TypedDict(
    "Case",
    {"n": int, "deep": Share, "traditional": Share, "deep_low": Share, "deep_high": Share},
    total=False,
)
CaseStudies = TypedDict("CaseStudies", {"C22": Case, "C23": Case, "C24": Case})

Results = TypedDict(
    "Results",
    {
        "01_corpus": Corpus,
        "02_tokens": Tokens,
        "03_word2vec": Embedding,
        "04_semantics": Semantics,
        "05_labels": Labels,
        "06_baselines": Baselines,
        "07_cnn_lstm": Networks,
        "08_evaluation": Evaluation,
        "09_onnx": Parity,
        "10_case_studies": CaseStudies,
        "run": dict,
        "bench": dict,
        "mlnet": dict,
    },
    total=False,
)


def check_complete(stage: str, result: object) -> None:
    """Refuse results of a stage that lack what is read of them (ParameterError)."""
    expected: frozenset[str] = getattr(Results.__annotations__.get(stage), "__required_keys__", frozenset())
    missing = expected - (result.keys() if isinstance(result, Mapping) else set())
    if missing:
        raise ParameterError(
            f"results of {stage} lack {', '.join(sorted(missing))}: write what psembed.project.results names"
        )


def load_results(results_dir: Path) -> Results:
    """Read every NN_noun.json of a results folder; stages that have not run are missing from the dict.

    "run" is what the runner measured of the whole run, "bench" what `make bench` did and "mlnet" what
    `make dotnet` did, where they are there.
    Raises StageError if the folder holds no results, or one cannot be read.
    """
    paths = sorted(results_dir.glob("[0-9][0-9]_*.json"))
    if not paths:
        raise StageError(
            f"no results in {results_dir.name!r}: run `psembed run --profile {results_dir.name}`"
        )
    of_all = (results_dir.parent / name for name in ("bench.json", "mlnet.json"))
    paths += [path for path in (results_dir / "run.json", *of_all) if path.is_file()]
    return cast(Results, {path.stem: _result(path) for path in paths})


def _result(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StageError(f"{path.name} is no JSON ({error}): run its notebook again") from error
