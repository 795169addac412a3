"""headline.json: the numbers of a run in one flat object, null where nothing has been measured."""

import tomllib
from pathlib import Path
from typing import Any

from psembed.paper.ledger import STUDY_FPR, coverage_row, models_of
from psembed.project.results import Results, load_results
from psembed.runtime.files import write_json

PLACES: dict[str, str] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
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
    pretrained = evaluation.get("comparisons", {}).get("C17", {}).get("p1", [])
    best, gain = models_of(results, "p1")["deep"], evaluation.get("gain", {})
    inside = coverage_row(results, "p1", best)
    rewritten = [
        row["difference"]
        for row in evaluation.get("robustness", [])
        if (row["protocol"], row["model"]) == ("p1", best)
    ]
    rates: Numbers = {"p0_tpr_deep": _tpr(results, "p0", "deep")}
    for protocol in ("p1", "p2"):
        rates |= {f"{protocol}_tpr_{kind}": _tpr(results, protocol, kind) for kind in ("traditional", "deep")}
        rates[f"{protocol}_gain_low"] = gain.get(protocol, {}).get("low")
    return rates | {
        "p1_realised_fpr": inside["fpr"] if inside else None,
        "pretraining_gain": pretrained[0]["difference"] if pretrained else None,
        "robustness_worst_drop": max(0.0, -min(rewritten)) if rewritten else None,
    }


def _tpr(results: Results, protocol: str, kind: str) -> float | None:
    row = coverage_row(results, protocol, models_of(results, protocol)[kind])
    return row["tpr"] if row else None
