"""headline.json: the numbers of a run in one flat object, null where nothing has been measured."""

import tomllib
from pathlib import Path
from typing import Any

from psembed.datasets.protocols import SNIPPETS
from psembed.datasets.rewritten import WRAPPERS
from psembed.evaluation.comparisons import COMMITTEE
from psembed.evaluation.coverage import LENGTH_CLASSES
from psembed.paper.ledger import FIGURE_4, STUDY_FPR, coverage_row, models_of
from psembed.project.results import Evaluation, Results, load_results
from psembed.runtime.files import write_json

PLACES: dict[str, str] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
SHORT = LENGTH_CLASSES[:2]  # scripts under 200 characters
Numbers = dict[str, float | int | None]


def write_headline(results_dir: Path) -> None:
    """Write headline.json again: the runner and the benchmark measure after 11_claims has written it."""
    write_json(results_dir / "headline.json", headline(load_results(results_dir)))


def headline(results: Results) -> Numbers:
    """Return the flat headline of a run: every key is there, null until a run has measured it.

    Rates and shares are fractions; the TPR keys are at a false-positive rate of 0.1% and stay null in a run
    that asked for another one.
    """
    studied = results.get("08_evaluation", {}).get("fpr") == STUDY_FPR
    numbers = {key: _at(results, place) for key, place in PLACES.items()}
    return numbers | _semantics(results) | _detection(results if studied else {})


def _at(results: Results, place: str) -> float | int | None:
    part: Any = results
    for key in place.split("."):
        part = (part or {}).get(key)
    return part


def _semantics(results: Results) -> Numbers:
    # A question that could not be asked counts as not answered.
    analogies = results.get("04_semantics", {}).get("analogies", {}).values()
    right = [answer.get("rank") == 1 for answer in analogies]
    return {"analogies_published_top1": sum(right) / len(right) if right else None}


def _detection(results: Results) -> Numbers:
    evaluation = results.get("08_evaluation", {})
    best = models_of(results)
    models = {"traditional": best.get("traditional"), "cnn_lstm": FIGURE_4, "network": best.get("deep"),
              "committee": COMMITTEE}  # fmt: skip
    released = results.get("07_cnn_lstm", {}).get("released")
    numbers: Numbers = {}
    for protocol in ("p1", "p2", "p3"):
        for kind, model in models.items():
            row = coverage_row(results, protocol, model)
            numbers[f"{protocol}_tpr_{kind}"] = row["tpr"] if row else None
        row = coverage_row(results, protocol, released)
        counts = ("asked_tpr", "asked_fpr", "positives", "negatives")
        tpr, fpr, positives, negatives = ((row[name] if row else None) for name in counts)
        numbers |= {f"{protocol}_tpr_released": tpr, f"{protocol}_fpr_released": fpr}
        numbers |= {f"{protocol}_positives": positives, f"{protocol}_negatives": negatives}
    pretrained = evaluation.get("comparisons", {}).get("p1", {}).get("C17", [])
    numbers["pretraining_gain"] = pretrained[0]["difference"] if pretrained else None
    return numbers | _robustness(evaluation, released) | _false_alarms(evaluation, released)


def _robustness(evaluation: Evaluation, model: str | None) -> Numbers:
    """Return the most that rewriting, and that a wrapper, costs a model in P1."""
    lost = {
        row["transform"]: -row["difference"]
        for row in evaluation.get("robustness", [])
        if (row["protocol"], row["model"]) == ("p1", model)
    }
    wrapped = [loss for way, loss in lost.items() if way in WRAPPERS]
    return {
        "robustness_worst_drop": max(0.0, *lost.values()) if lost else None,
        "wrapped_tpr_loss": max(0.0, *wrapped) if wrapped else None,
    }


def _false_alarms(evaluation: Evaluation, model: str | None) -> Numbers:
    """Return the shares of clean scripts that a model flags in P1: snippets, short ones, wrapped ones."""
    own = [
        row
        for row in evaluation.get("strata", [])
        if (row["protocol"], row["model"], row["label"]) == ("p1", model, 0)
    ]
    snippets = [row["flagged"] for row in own if row["value"] == SNIPPETS]
    short = [(row["flagged"], row["n"]) for row in own if row["value"] in SHORT]
    wrapped = [
        row
        for row in evaluation.get("false_alarms", [])
        if (row["protocol"], row["model"]) == ("p1", model) and row["way"] in WRAPPERS
    ]
    worst = {held: [row["flagged"] for row in wrapped if row["held_out"] is held] for held in (False, True)}
    count = sum(n for _, n in short)
    return {
        "fpr_snippets": snippets[0] if snippets else None,
        "fpr_under_200": sum(share * n for share, n in short) / count if count else None,
        "wrapped_clean_fpr_worst_trained": max(worst[False], default=None),
        "wrapped_clean_fpr_worst_held_out": max(worst[True], default=None),
    }
