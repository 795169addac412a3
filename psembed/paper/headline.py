"""headline.json: the numbers of a run in one flat object, null where nothing has been measured."""

from pathlib import Path
from typing import Literal

from psembed.paper.ledger import STUDY_FPR, coverage_row, models_of
from psembed.project.results import BenchmarkSummary, Calibration, Gain, Results, load_results
from psembed.runtime.files import write_json

Numbers = dict[str, float | int | None]


def write_headline(results_dir: Path) -> None:
    """Write headline.json again: the runner and the benchmark measure after 11_claims has written it."""
    write_json(results_dir / "headline.json", headline(load_results(results_dir)))


def headline(results: Results) -> Numbers:
    """Return the flat headline of a run: every key is there, null until a run has measured it.

    Rates and shares are fractions; the TPR keys are at a false-positive rate of 0.1% and stay null in a run
    that asked for another one.
    """
    asked = results.get("08_evaluation", {}).get("fpr")
    studied = results if asked == STUDY_FPR else {}
    return _corpus(results) | _semantics(results) | _detection(results, studied) | _speed(results)


def _corpus(results: Results) -> Numbers:
    tokens = results.get("02_tokens", {})
    unlabeled = tokens.get("unlabeled", {})
    return {
        "repositories": results.get("01_corpus", {}).get("repositories"),
        "distinct_head": tokens.get("unlabeled_distinct"),
        "distinct_history": unlabeled.get("distinct_history"),
        "near_duplicate_clusters": tokens.get("near_duplicate_clusters"),
        "vocabulary": unlabeled.get("vocabulary"),
        "tokens": unlabeled.get("kept_tokens"),
    }


def _semantics(results: Results) -> Numbers:
    semantics = results.get("04_semantics", {})
    benchmark = semantics.get("benchmark", {})
    whole: BenchmarkSummary = benchmark.get("all", {})
    held_out: BenchmarkSummary = benchmark.get("held_out", {})
    # A question that could not be asked counts as not answered.
    right = [answer.get("rank") == 1 for answer in semantics.get("analogies", {}).values()]
    return {
        "alias_pairs": whole.get("alias_n"),
        "alias_mrr": whole.get("alias_mrr"),
        "alias_mrr_heldout": held_out.get("alias_mrr"),
        "alias_hit10_heldout": held_out.get("alias_hit10"),
        "alias_mrr_random": whole.get("alias_mrr_random"),
        "analogies_published_top1": sum(right) / len(right) if right else None,
        "analogies_top1": held_out.get("analogies_top1"),
        "odd_groups_accuracy": held_out.get("odd_groups_accuracy"),
    }


def _detection(results: Results, studied: Results) -> Numbers:
    evaluation, at_rate = results.get("08_evaluation", {}), studied.get("08_evaluation", {})
    calibration: Calibration = evaluation.get("calibration", {}).get("p1", {})
    inside: Gain = at_rate.get("gain", {}).get("p1", {})
    across: Gain = at_rate.get("gain", {}).get("p2", {})
    pretrained = at_rate.get("comparisons", {}).get("C17", {}).get("p1", [])
    deep = ("p1", models_of(studied, "p1")["deep"])
    losses = at_rate.get("robustness", [])
    rewritten = [row["difference"] for row in losses if (row["protocol"], row["model"]) == deep]
    return {
        "negatives_test": evaluation.get("negatives_test_scripts"),
        "negatives_test_human": evaluation.get("negatives_test_scripts_human"),
        "p0_tpr_deep": _rate(studied, "p0", "deep", "tpr"),
        "p1_tpr_traditional": _rate(studied, "p1", "traditional", "tpr"),
        "p1_tpr_deep": _rate(studied, "p1", "deep", "tpr"),
        "p1_gain_low": inside.get("low"),
        "p2_tpr_traditional": _rate(studied, "p2", "traditional", "tpr"),
        "p2_tpr_deep": _rate(studied, "p2", "deep", "tpr"),
        "p2_gain_low": across.get("low"),
        "p1_realised_fpr": _rate(studied, "p1", "deep", "fpr"),
        "one_line_rule_accuracy": results.get("05_labels", {}).get("one_line_rule_accuracy"),
        "pretraining_gain": pretrained[0]["difference"] if pretrained else None,
        "expected_calibration_error": calibration.get("expected_calibration_error"),
        "robustness_worst_drop": max(0.0, -min(rewritten)) if rewritten else None,
    }


def _rate(results: Results, protocol: str, kind: str, rate: Literal["tpr", "fpr"]) -> float | None:
    row = coverage_row(results, protocol, models_of(results, protocol)[kind])
    return row[rate] if row else None


def _speed(results: Results) -> Numbers:
    parity, bench, run = results.get("09_onnx", {}), results.get("bench", {}), results.get("run", {})
    scoring = bench.get("scoring", {})
    return {
        "onnx_max_abs_diff": parity.get("max_abs_diff"),
        "onnx_bytes": parity.get("bytes"),
        "scripts_per_second": scoring.get("scripts_per_second"),
        "tokenise_vs_hf": bench.get("tokenise_vs_hf"),
        "tokenise_vs_re": bench.get("tokenise_vs_re"),
        "word2vec_vs_gensim": bench.get("word2vec_vs_gensim"),
        "training_vs_plain": bench.get("training_vs_plain"),
        "score_vs_keras": bench.get("score_vs_keras"),
        "p99_ms": scoring.get("p99_ms"),
        "reproduce_seconds": run.get("seconds"),
        "reproduce_peak_gb": run.get("peak_gb"),
    }
