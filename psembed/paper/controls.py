"""The flat headline, and the table of controls: planted truth, what was recovered, verdict."""

import math

from psembed.paper.ledger import STUDY_FPR, coverage_row, models_of
from psembed.project.results import find

RECOVERED, MISSED, NOT_MEASURED = "recovered", "missed", "not measured"

#: What counts as recovered. Positive controls first, then the negative ones.
TOLERANCE = {
    "alias rank": 3,  # planted as nearest in both directions
    "alias mrr": 0.7,  # mean reciprocal rank over all planted aliases; 1 is perfect
    "analogy rank": 3,  # planted as nearest
    "group rank": 2.0,  # times the best mean rank a group of its size can have
    "share": 0.98,  # of the planted duplicates, clusters and encodings
    "tpr": 0.90,  # of malicious scripts at the false-positive rate asked for
    "chance": 10.0,  # times the reciprocal rank of chance, for shuffled tokens
    "shuffled tpr": 0.03,  # above the false-positive rate, or three standard errors if that is more
}
_NAMES = {
    "exact_duplicates": "exact duplicates folded",
    "encodings": "encodings recognised",
    "binary_files": "binary files kept out",
    "near_duplicate_clusters": "near-duplicate clusters found",
    "single_scripts": "scripts without duplicates kept apart",
    "copies_between_repositories": "copies between repositories kept in one part",
}
HEADLINE = {
    "repositories": ("01_corpus", "repositories"),
    "distinct_head": ("02_tokens", "unlabeled_distinct"),
    "distinct_history": ("02_tokens", "unlabeled", "distinct_history"),
    "near_duplicate_clusters": ("02_tokens", "near_duplicate_clusters"),
    "vocabulary": ("02_tokens", "unlabeled", "vocabulary"),
    "tokens": ("02_tokens", "unlabeled", "kept_tokens"),
    "alias_pairs": ("04_semantics", "benchmark", "all", "alias_n"),
    "alias_mrr": ("04_semantics", "benchmark", "all", "alias_mrr"),
    "alias_mrr_heldout": ("04_semantics", "benchmark", "held_out", "alias_mrr"),
    "alias_hit10_heldout": ("04_semantics", "benchmark", "held_out", "alias_hit10"),
    "alias_mrr_random": ("04_semantics", "benchmark", "all", "alias_mrr_random"),
    "analogies_published_top1": None,
    "analogies_top1": ("04_semantics", "benchmark", "held_out", "analogies_top1"),
    "odd_groups_accuracy": ("04_semantics", "benchmark", "held_out", "odd_groups_accuracy"),
    "negatives_test": ("08_evaluation", "negatives_test_scripts"),
    "negatives_test_human": ("08_evaluation", "negatives_test_scripts_human"),
    "p0_tpr_deep": None,
    "p1_tpr_traditional": None,
    "p1_tpr_deep": None,
    "p1_gain_low": None,
    "p2_tpr_traditional": None,
    "p2_tpr_deep": None,
    "p2_gain_low": None,
    "p1_realised_fpr": None,
    "one_line_rule_accuracy": ("05_labels", "one_line_rule_accuracy"),
    "pretraining_gain": None,
    "expected_calibration_error": ("08_evaluation", "calibration", "p1", "expected_calibration_error"),
    "robustness_worst_drop": None,
    "onnx_max_abs_diff": ("09_onnx", "max_abs_diff"),
    "onnx_bytes": ("09_onnx", "bytes"),
    "scripts_per_second": ("bench", "scoring", "scripts_per_second"),
    "tokenise_vs_hf": ("bench", "tokenise_vs_hf"),
    "tokenise_vs_re": ("bench", "tokenise_vs_re"),
    "word2vec_vs_gensim": ("bench", "word2vec_vs_gensim"),
    "training_vs_plain": ("bench", "training_vs_plain"),
    "score_vs_keras": ("bench", "score_vs_keras"),
    "p99_ms": ("bench", "scoring", "p99_ms"),
    "reproduce_seconds": ("run", "seconds"),
    "reproduce_peak_gb": ("run", "peak_gb"),
}  # fmt: skip


def headline(results: dict[str, dict]) -> dict[str, float | int | None]:
    """Return the flat headline of a run: every key is there, null until a run has measured it.

    Rates and shares are fractions; the TPR keys are at a false-positive rate of 0.1% and stay null in a run
    that asked for another one.
    """
    flat = {key: find(results, *place) if place else None for key, place in HEADLINE.items()}
    analogies = find(results, "04_semantics", "analogies") or {}
    if analogies:  # a question that could not be asked counts as not answered
        right = [row.get("rank") == 1 for row in analogies.values()]
        flat["analogies_published_top1"] = sum(right) / len(right)
    if find(results, "08_evaluation", "fpr") == STUDY_FPR:
        flat |= _detection_headline(results)
    return flat


def _detection_headline(results: dict) -> dict[str, float | None]:
    flat = {}
    for protocol in ("p1", "p2"):
        for kind, model in models_of(results, protocol).items():
            flat[f"{protocol}_tpr_{kind}"] = (coverage_row(results, protocol, model) or {}).get("tpr")
        flat[f"{protocol}_gain_low"] = find(results, "08_evaluation", "gain", protocol, "low")
    naive = coverage_row(results, "p0", models_of(results, "p0")["deep"]) or {}
    name = models_of(results, "p1")["deep"]
    deep = coverage_row(results, "p1", name) or {}
    pretrained = find(results, "08_evaluation", "comparisons", "C17", "p1") or [{}]
    rewritten = [
        row["difference"]
        for row in find(results, "08_evaluation", "robustness") or []
        if (row["protocol"], row["model"]) == ("p1", name)
    ]
    return flat | {
        "p0_tpr_deep": naive.get("tpr"),
        "p1_realised_fpr": deep.get("fpr"),
        "pretraining_gain": pretrained[0].get("difference"),
        "robustness_worst_drop": max(0.0, -min(rewritten)) if rewritten else None,
    }


def controls(results: dict[str, dict]) -> list[dict]:
    """Compare what the generated corpus plants with what the run recovered.

    Returns
    -------
    list of dict
        control, planted, recovered, verdict (recovered | missed | not measured); empty for a real corpus.
    """
    if not find(results, "01_corpus", "generated"):
        return []
    return [*_semantic(results), *_duplicates(results), *_detection(results), *_negative(results)]


def _row(control: str, planted: object, found: object, right: bool | None) -> dict:
    if found is None or right is None:
        return {"control": control, "planted": planted, "recovered": None, "verdict": NOT_MEASURED}
    return {
        "control": control,
        "planted": planted,
        "recovered": found,
        "verdict": RECOVERED if right else MISSED,
    }


def _semantic(results: dict) -> list[dict]:
    rows = []
    for alias in ("iex", "iwr", "gci"):
        pair = find(results, "04_semantics", "aliases", alias) or {}
        ranks = [pair.get("rank"), pair.get("reverse_rank")]
        known = None not in ranks
        worst = max(ranks) if known else None
        right = known and worst <= TOLERANCE["alias rank"]
        rows.append(_row(f"alias {alias}: rank, worse direction", 1, worst, right))
    mrr = find(results, *HEADLINE["alias_mrr"])
    rows.append(
        _row("all aliases: mean reciprocal rank", 1.0, mrr, mrr is not None and mrr >= TOLERANCE["alias mrr"])
    )
    for claim in ("C07", "C08"):
        found = find(results, "04_semantics", "odd_one_out", claim) or {}
        right = found.get("odd") == found.get("expected")
        rows.append(_row(f"odd one out ({claim})", found.get("expected"), found.get("odd"), right))
    for claim in ("C09", "C10", "C11", "C12", "C13"):
        found = find(results, "04_semantics", "analogies", claim) or {}
        rank = found.get("rank")
        right = rank is not None and rank <= TOLERANCE["analogy rank"]
        rows.append(_row(f"analogy {claim}: rank of {found.get('expected')}", 1, rank, right))
    for group, size in (("operators", 3), ("policies", 4)):
        rank = find(results, "04_semantics", "groups", "C03", group, "mean_rank")
        right = rank is not None and rank <= TOLERANCE["group rank"] * size / 2
        rows.append(_row(f"{group}: mean rank among each other", size / 2, rank, right))
    return rows


def _duplicates(results: dict) -> list[dict]:
    planted = find(results, "02_tokens", "planted") or {}
    rows = []
    for key, name in _NAMES.items():
        found = planted.get(key) or {}
        expected, got = found.get("planted"), found.get("recovered")
        right = None if expected is None or got is None else got >= TOLERANCE["share"] * expected
        rows.append(_row(name, expected, got, right))
    return rows


def _detection(results: dict) -> list[dict]:
    rows = []
    for kind, model in models_of(results, "p1").items():
        row = coverage_row(results, "p1", model) or {}
        tpr = row.get("tpr")
        name = f"malicious scripts found, {kind} model, P1"
        rows.append(
            _row(name, f"TPR >= {TOLERANCE['tpr']}", tpr, tpr is not None and tpr >= TOLERANCE["tpr"])
        )
    return rows


def _negative(results: dict) -> list[dict]:
    mrr, chance = (find(results, "03_word2vec", "shuffled", key) for key in ("alias_mrr", "alias_mrr_random"))
    known = mrr is not None and chance is not None
    rows = [
        _row("shuffled tokens: alias reciprocal rank", chance, mrr, known and mrr <= _chance_limit(chance))
    ]
    found = find(results, "06_baselines", "shuffled_labels") or {}
    tpr, fpr = found.get("tpr"), found.get("fpr")
    if tpr is None or fpr is None:
        return [*rows, _row("shuffled labels: TPR against FPR", fpr, None, None)]
    n = max(1, found.get("positives") or 1)
    margin = max(TOLERANCE["shuffled tpr"], 3 * math.sqrt(max(fpr, 1 / n) / n))
    return [*rows, _row("shuffled labels: TPR against FPR", fpr, tpr, tpr <= fpr + margin)]


def _chance_limit(chance: float) -> float:
    return max(0.02, TOLERANCE["chance"] * chance)
