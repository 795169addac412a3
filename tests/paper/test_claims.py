"""The ledger: ids, verdict rules at their edges, honest gaps, headline keys and controls."""

import json
from datetime import date
from pathlib import Path

import pytest
from synthetic_results import results as synthetic

from psembed.paper import claims, headline, ledger, recovery

FIELDS = {"id", "claim", "source", "published", "ours", "unit", "low", "high", "n", "verdict", "notebook"}
VERDICTS = {"reproduced", "partly", "not_reproduced", "not_testable"}


def _verdicts(results: dict) -> dict[str, str]:
    return {row["id"]: row["verdict"] for row in claims.evaluate(results)}


def test_every_claim_is_there_with_every_field():
    rows = claims.evaluate(synthetic())
    assert [row["id"] for row in rows] == [f"C{n:02d}" for n in range(1, 25)]
    for row in rows:
        assert set(row) - {"reason"} == FIELDS
        assert row["verdict"] in VERDICTS
        assert row["verdict"] != "not_testable" or row["reason"]
    json.dumps(rows, allow_nan=False)


def test_nothing_measured_means_nothing_claimed():
    rows = claims.evaluate({})
    assert {row["verdict"] for row in rows} == {"not_testable"}
    assert all(row["ours"] is None and row["reason"] for row in rows)
    assert set(headline.headline({}).values()) == {None}
    assert recovery.recovery({}) == []


@pytest.mark.parametrize("stage", list(synthetic()))
def test_any_stage_may_be_missing_or_empty(stage: str):
    for change in ({}, None):
        results = synthetic()
        if change is None:
            del results[stage]
        else:
            results[stage] = change
        claims.evaluate(results)
        headline.headline(results)
        recovery.recovery(results)


def test_a_run_is_judged_by_the_written_rules():
    verdicts = _verdicts(synthetic())
    expected = {
        "C01": "partly",
        "C02": "reproduced",
        "C03": "partly",
        "C04": "reproduced",
        "C05": "partly",
        "C06": "partly",
        "C07": "reproduced",
        "C08": "not_reproduced",
        "C09": "partly",
        "C10": "reproduced",
        "C14": "partly",
        "C15": "reproduced",
        "C16": "partly",
        "C17": "reproduced",
        "C18": "partly",
        "C19": "not_reproduced",
        "C20": "reproduced",
        "C21": "reproduced",
        "C22": "reproduced",
        "C23": "not_testable",
    }
    assert {key: verdicts[key] for key in expected} == expected


def test_a_comparison_of_fewer_than_three_seeds_is_partly_reproduced_at_best():
    results = synthetic()
    for row in results["08_evaluation"]["table"]:
        row["seeds"] = 2
    assert _verdicts(results)["C17"] == "partly"


@pytest.mark.parametrize(
    ("difference", "low", "high", "verdict"),
    [
        (0.20, 0.15, 0.25, "reproduced"),
        (0.30, 0.25, 0.35, "reproduced"),
        (0.10, 0.01, 0.19, "partly"),
        (0.10, -0.01, 0.25, "not_reproduced"),
        (-0.1, -0.2, -0.05, "not_reproduced"),
    ],
)
def test_gain_needs_an_interval_above_zero(difference: float, low: float, high: float, verdict: str):
    results = synthetic()
    gain = results["08_evaluation"]["gain"]["p1"]["cnn_lstm against traditional"]
    gain |= {"difference": difference, "low": low, "high": high}
    assert _verdicts(results)["C16"] == verdict


def _rates(results: dict, model: str, protocol: str = "p1") -> dict:
    """Return the row of a model at 0.1%."""
    wanted = (protocol, model, 0.001)
    table = results["08_evaluation"]["table"]
    return next(row for row in table if (row["protocol"], row["model"], row["fpr_asked"]) == wanted)


@pytest.mark.parametrize(
    ("claim", "model", "tpr", "wide", "verdict"),
    [
        ("C15", "cnn_lstm", 0.89, 0.01, "reproduced"),
        ("C15", "cnn_lstm", 0.88, 0.02, "reproduced"),  # 89% is in the interval
        ("C15", "cnn_lstm", 0.88, 0.005, "partly"),
        ("C15", "cnn_lstm", 0.741, 0.01, "partly"),
        ("C15", "cnn_lstm", 0.73, 0.01, "not_reproduced"),
        ("C15", "cnn_lstm", 0.99, 0.005, "reproduced"),
        ("C14", "char_3gram", 0.715, 0.01, "reproduced"),
        ("C14", "char_3gram", 0.625, 0.01, "reproduced"),
        ("C14", "char_3gram", 0.73, 0.01, "partly"),
        ("C14", "char_3gram", 0.73, 0.07, "reproduced"),
        ("C14", "char_3gram", 0.83, 0.01, "not_reproduced"),  # more than published is no reproduction
        ("C14", "char_3gram", 0.51, 0.01, "not_reproduced"),
    ],
)
def test_coverage_is_judged_at_the_matched_rate(claim, model, tpr, wide, verdict):
    results = synthetic()
    _rates(results, model).update(tpr=tpr, low=tpr - wide, high=tpr + wide, asked_tpr=0.0)
    row = _claim(results, claim)
    assert (row["verdict"], row["ours"], row["n"]) == (verdict, tpr, 400)
    assert (ledger.ONLY_WIDE in row["reason"]) == ((tpr, wide) in {(0.88, 0.02), (0.73, 0.07)})


def test_the_deep_claims_are_of_the_cnn_lstm_and_no_better_design():
    results = synthetic()
    _rates(results, "cnn_lstm").update(tpr=0.5, low=0.47, high=0.53)
    results["08_evaluation"]["gain"]["p1"]["cnn_lstm against traditional"] |= {
        "difference": -0.1,
        "low": -0.2,
    }
    deep, gain = _claim(results, "C15"), _claim(results, "C16")
    assert (deep["verdict"], gain["verdict"]) == ("not_reproduced", "not_reproduced")
    assert "our best network, transformer, P1: 92.5%" in deep["reason"]
    assert "P2: 70.5%" in deep["reason"] and "P3: 80.5%" in deep["reason"]
    assert gain["reason"].startswith("P1: cnn_lstm against char_3gram; P2: +2.0 points (-2.0 to +6.0); P3: ")
    traditional = _claim(results, "C14")["reason"]
    assert traditional.startswith("P1: char_3gram, realised FPR 0.10%") and "network" not in traditional


def test_a_run_without_its_chosen_models_or_pairs_tests_nothing():
    for missing, ids in (("best", ["C14"]), ("gain", ["C16"]), ("comparisons", ["C17", "C18", "C19"])):
        results = synthetic()
        results["08_evaluation"][missing] = {}
        assert {claim: _verdicts(results)[claim] for claim in ids} == dict.fromkeys(ids, "not_testable")
    results = synthetic()
    del results["08_evaluation"]["gain"]["p1"]["cnn_lstm against traditional"]
    assert _verdicts(results)["C16"] == "not_testable"


def test_another_false_positive_rate_does_not_test_the_study():
    results = synthetic()
    results["08_evaluation"]["fpr"] = 0.01
    rows = {row["id"]: row for row in claims.evaluate(results)}
    for claim in ("C14", "C15", "C16", "C17", "C18", "C19", "C22"):
        assert rows[claim]["verdict"] == "not_testable", claim
        assert "0.01" in rows[claim]["reason"]
    assert headline.headline(results)["p1_tpr_cnn_lstm"] is None


def test_rules_that_changed_are_told_with_their_day_and_verdict():
    changed = {claim.id: claim.earlier for claim in ledger.CLAIMS if claim.earlier}
    detection = [f"C{n}" for n in (14, 15, 16, 17, 18, 19, 22, 23, 24)]
    assert list(changed) == [f"C{n:02}" for n in range(1, 14)] + detection
    for before in (one for earlier in changed.values() for one in earlier):
        assert set(before) == {"until", "verdict", "rule"} and before["verdict"] in VERDICTS
        assert date.fromisoformat(before["until"]) and before["rule"]
    rules = {claim.id: claim.rule for claim in ledger.CLAIMS}
    assert all("same realised rate" in rules[claim] for claim in detection)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "reproduced"),
        ({"max_abs_diff": 1e-3}, "partly"),
        ({"decisions_equal": False}, "not_reproduced"),
        ({"decisions_equal": 499}, "not_reproduced"),  # a count is no yes
    ],
)
def test_parity_needs_the_same_decisions(change: dict, verdict: str):
    results = synthetic()
    results["09_onnx"] |= change
    assert _verdicts(results)["C20"] == verdict


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "reproduced"),
        ({"texts": 9_999}, "partly"),
        ({"max_abs_diff": 2e-5}, "partly"),
        ({"verdicts_differ": 1}, "not_reproduced"),
        ({"texts": 0}, "not_testable"),
        ({"max_abs_diff": None}, "not_testable"),
    ],
)
def test_mlnet_needs_the_same_verdicts_on_many_scripts(change: dict, verdict: str):
    results = synthetic()
    results["mlnet"] |= change
    assert _verdicts(results)["C21"] == verdict


def test_a_kind_needs_many_scripts_and_a_better_rate():
    results = synthetic()
    case = results["10_case_studies"]["C22"]
    assert _verdicts(results)["C22"] == "reproduced"
    for change in ({"n": 19}, {"deep": 0.89}, {"traditional": 0.95}):
        results["10_case_studies"]["C22"] = case | change
        assert _verdicts(results)["C22"] == "partly"
    results["10_case_studies"]["C22"] = case | {"deep": 0.50}
    assert _verdicts(results)["C22"] == "not_reproduced"
    results["10_case_studies"]["C22"] = {"n": 0, "deep": None, "traditional": None}
    assert _verdicts(results)["C22"] == "not_testable"


def test_a_generated_corpus_says_nothing_of_real_scripts():
    verdicts = _verdicts(synthetic(generated=True))
    assert verdicts.pop("C20") == verdicts.pop("C21") == "reproduced"
    assert set(verdicts.values()) == {"not_testable"}


def test_headline_is_flat_and_complete():
    flat = headline.headline(synthetic())
    assert set(flat) == set(headline.PLACES)
    assert all(value is None or isinstance(value, int | float) for value in flat.values())
    expected = {
        "distinct_head": 40_000,
        "distinct_snippets": 5_000,
        "repositories_with_alias": 20,
        "distinct_history": 200_000,
        "vocabulary": 75_000,
        "tokens": 50_000_000,
        "alias_pairs": 123,
        "alias_mrr": 0.44,
        "alias_mrr_heldout": 0.30,
        "alias_hit10_heldout": 0.50,
        "alias_mrr_heldout_word2vec": 0.25,
        "alias_hit10_heldout_word2vec": 0.45,
        "analogies_mrr_heldout": 0.3,
        "alias_mrr_random": 0.002,
        "analogies_top1": 0.2,
        "analogies_published_top1": 0.8,
        "odd_groups_accuracy": 0.75,
        "expected_calibration_error": 0.012,
        "negatives_test": 31_000,
    }
    assert {key: flat[key] for key in expected} == expected


def test_headline_says_what_each_kind_of_model_finds_at_the_same_rate():
    flat = headline.headline(synthetic())
    kinds = {"traditional": 0.805, "cnn_lstm": 0.905, "network": 0.925, "committee": 0.945}
    for protocol, harder in (("p1", 0.0), ("p2", 0.2), ("p3", 0.1)):
        for kind, tpr in kinds.items():
            assert flat[f"{protocol}_tpr_{kind}"] == pytest.approx(tpr - harder)
        # The released detector has the threshold that was asked for.
        assert flat[f"{protocol}_tpr_released"] == pytest.approx(0.905 - harder)
        assert flat[f"{protocol}_fpr_released"] == pytest.approx(0.0009)
        assert (flat[f"{protocol}_positives"], flat[f"{protocol}_negatives"]) == (400, 20_500)
    assert flat["pretraining_gain"] == pytest.approx(0.05)


def test_headline_says_what_rewriting_and_wrapping_cost_the_released_network():
    results = synthetic()
    flat = headline.headline(results)
    assert flat["robustness_worst_drop"] == 0.05 and flat["wrapped_tpr_loss"] == 0.04
    assert flat["fpr_snippets"] == 0.004 and flat["fpr_under_200"] == pytest.approx((2 + 18) / 4_000)
    assert flat["wrapped_clean_fpr_worst_trained"] == 0.005
    assert flat["wrapped_clean_fpr_worst_held_out"] == 0.02
    for row in results["08_evaluation"]["robustness"]:
        row["difference"] = 0.01  # nothing is lost
    gained = headline.headline(results)
    assert gained["robustness_worst_drop"] == gained["wrapped_tpr_loss"] == 0
    results["07_cnn_lstm"]["released"] = "another"
    missing = headline.headline(results)
    assert missing["robustness_worst_drop"] is missing["fpr_snippets"] is missing["p1_tpr_released"] is None
    assert missing["p1_tpr_cnn_lstm"] == pytest.approx(0.905)


def test_every_headline_key_is_found_in_a_full_set_of_results():
    flat = headline.headline(synthetic())
    # The imaginary run has no such result: the runner and the benchmark measure these.
    unmeasured = {"scripts_per_second", "p99_ms"} | {
        key for key in flat if "_vs_" in key or key.startswith("reproduce_")
    }
    assert {key for key, value in flat.items() if value is None} == unmeasured


def test_the_headline_is_written_again_with_what_runner_and_benchmark_measured(tmp_path):
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "02_tokens.json").write_text('{"near_duplicate_clusters": 7}')
    (folder / "run.json").write_text('{"seconds": 60.5, "peak_gb": 2.5}')
    (tmp_path / "bench.json").write_text('{"tokenise_vs_hf": 9.0, "scoring": {"p99_ms": 8.0}}')
    headline.write_headline(folder)
    flat = json.loads((folder / "headline.json").read_text())
    assert (flat["reproduce_seconds"], flat["reproduce_peak_gb"]) == (60.5, 2.5)
    assert (flat["tokenise_vs_hf"], flat["p99_ms"]) == (9.0, 8.0)
    assert flat["near_duplicate_clusters"] == 7 and flat["tokenise_vs_re"] is None


def _claim(results: dict, name: str) -> dict:
    return next(row for row in claims.evaluate(results) if row["id"] == name)


@pytest.mark.parametrize(
    ("pinned", "without", "history", "verdict"),
    [
        (1_000, "not_reproduced", 368_000, "reproduced"),
        (1_000, "not_reproduced", 367_999, "partly"),
        (36_800, "partly", 36_800, "partly"),
        (1_000, "not_reproduced", 36_799, "not_reproduced"),
        (368_000, "reproduced", None, "reproduced"),  # a run without history
        (36_799, "not_reproduced", None, "not_reproduced"),
    ],
)
def test_the_number_of_scripts_is_told_with_and_without_history(pinned, without, history, verdict):
    results = synthetic()
    results["02_tokens"]["unlabeled"] |= {"pinned": pinned, "distinct_history": history}
    row = _claim(results, "C01")
    assert (row["ours"], row["verdict"]) == (history or pinned, verdict)
    older = f"; with older versions {history:,}: {verdict}" if history else ""
    assert row["reason"].endswith(
        f", without 5,000 snippets; at the pinned commits {pinned:,}: {without}{older}"
    )


def test_the_number_of_scripts_of_older_results_and_of_none():
    results = synthetic()
    results["02_tokens"] |= {"unlabeled_distinct": 40_000, "unlabeled": {}}
    row = _claim(results, "C01")
    assert (row["ours"], row["verdict"]) == (40_000, "partly") and "snippets" not in row["reason"]
    del results["02_tokens"]["unlabeled_distinct"]
    assert _claim(results, "C01")["verdict"] == "not_testable"


WORDS = [
    (81_111, "reproduced"), (60_834, "reproduced"), (60_833, "partly"), (101_388, "reproduced"),
    (101_389, "partly"), (40_556, "partly"), (40_555, "not_reproduced"), (162_222, "partly"),
    (162_223, "not_reproduced"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "verdict"), WORDS)
def test_the_vocabulary_is_told_with_and_without_history(words: int, verdict: str):
    results = synthetic()
    results["02_tokens"]["vocabulary"] = 81_111  # of the training scripts: not what C02 is about
    unlabeled = results["02_tokens"]["unlabeled"]
    unlabeled |= {"vocabulary": words, "pinned_vocabulary": 1_000}
    row = _claim(results, "C02")
    assert (row["ours"], row["verdict"]) == (words, verdict)
    both = f"at the pinned commits 1,000: not_reproduced; with older versions {words:,}: {verdict}"
    assert row["reason"] == f"all versions of a path are one script; {both}"
    unlabeled |= {"vocabulary": None, "pinned_vocabulary": words}
    row = _claim(results, "C02")
    assert (row["ours"], row["verdict"]) == (words, verdict) and "older" not in row["reason"]
    unlabeled |= {"vocabulary": words, "pinned_vocabulary": None}  # results from before it was counted
    assert "pinned" not in _claim(results, "C02")["reason"]
    unlabeled |= {"vocabulary": None, "pinned_vocabulary": None}
    assert _claim(results, "C02")["verdict"] == "not_testable"


def _of_seeds(*ranks) -> dict:
    """Return results in which iex and its command have such ranks, a pair for each seed."""
    results = synthetic()
    seeds = results["04_semantics"]["seeds"] = []
    for rank, reverse in ranks:
        pair = {"target": "invoke-expression", "rank": rank, "reverse_rank": reverse}
        seeds.append({"aliases": {"iex": pair}, "missing": ["iex"] if rank is None else []})
    results["04_semantics"]["aliases"] = seeds[0]["aliases"] if seeds else {}
    return results


@pytest.mark.parametrize(
    ("ranks", "ours", "verdict"),
    [
        ([(1, 1), (1, 2), (90, 80), (1, 1), (5, 4)], 2, "partly"),  # reproduced twice, partly twice, once not
        ([(1, 1), (90, 80), (1, 1), (70, 60), (1, 1)], 1, "reproduced"),
        ([(90, 80), (1, 1), (30, 30), (70, 60), (1, 1)], 30, "not_reproduced"),
        (
            [(1, 90), (8, 7), (11, 12)],
            90,
            "partly",
        ),  # of two partly the one of the higher rank is nearer the middle
        ([(8, 7), (3, 3), (5, 5)], 5, "partly"),
        ([(1, 1), (90, 80)], 90, "not_reproduced"),  # of an even number the worse one in the middle
        ([(1, 1), (1, 1), (3, 4), (90, 80)], 4, "partly"),
        ([(90, 80)], 90, "not_reproduced"),
    ],
)
def test_a_claim_on_vectors_has_the_verdict_of_the_median_seed(ranks, ours, verdict):
    results = _of_seeds(*ranks)
    row = _claim(results, "C04")
    assert (row["ours"], row["verdict"]) == (ours, verdict)
    if len(ranks) == 1:
        assert "seeds" not in row["reason"]
    else:
        worse = ", ".join(str(max(pair)) for pair in ranks)
        assert row["reason"].endswith(f"; {len(ranks)} seeds: {worse}")  # in the order of the seeds
        (median,) = {pair for pair in ranks if max(pair) == ours}
        assert row["reason"].startswith(
            f"iex to invoke-expression: rank {median[0]}; back: rank {median[1]};"
        )
    results["04_semantics"]["seeds"].reverse()
    again = _claim(results, "C04")
    assert (again["ours"], again["verdict"]) == (ours, verdict)


def test_one_seed_that_is_not_measured_leaves_the_claim_open():
    row = _claim(_of_seeds((1, 1), (None, None), (1, 1)), "C04")
    assert row["verdict"] == "not_testable" and row["ours"] is None and "iex" in row["reason"]


@pytest.mark.parametrize("change", [{"seeds": []}, {"seeds": [{}]}])
def test_results_without_seeds_are_judged_by_the_answers_beside(change):
    results = synthetic()
    for name in ("C04", "C08", "C09"):
        expected = {key: value for key, value in _claim(results, name).items() if key != "reason"}
        other = synthetic()
        other["04_semantics"] |= change
        assert _claim(other, name) | {"reason": ""} == expected | {"reason": ""}
        del other["04_semantics"]["seeds"]
        assert _claim(other, name) | {"reason": ""} == expected | {"reason": ""}


def test_seeds_that_name_different_odd_ones_out_are_told_apart():
    results = synthetic()
    for seed, odd in zip(results["04_semantics"]["seeds"], ("bypass", "hidden", "bypass"), strict=True):
        seed["odd_one_out"]["C08"]["odd"] = odd
    row = _claim(results, "C08")
    assert (row["ours"], row["verdict"]) == ("bypass", "reproduced")
    assert row["reason"] == "3 seeds: bypass, hidden, bypass"


def test_controls_notice_what_was_not_recovered():
    results = synthetic(generated=True)
    rows = {row["control"]: row["verdict"] for row in recovery.recovery(results)}
    assert rows["odd one out (C07)"] == "recovered"
    assert rows["all aliases: mean reciprocal rank"] == "missed"
    assert rows["shuffled tokens: alias reciprocal rank"] == "recovered"
    assert rows["odd one out (C08)"] == "missed"
    assert rows["policies: mean rank among each other"] == "missed"
    assert rows["shuffled labels: TPR against FPR"] == "recovered"
    assert rows["malicious scripts found, deep model, P1"] == "recovered"
    assert rows["malicious scripts found, traditional model, P1"] == "missed"
    results["06_baselines"]["shuffled_labels"]["tpr"] = 0.4
    results["03_word2vec"]["shuffled"]["alias_mrr"] = 0.2
    results["02_tokens"]["planted"]["encodings"]["recovered"] = 12
    del results["09_onnx"], results["08_evaluation"]
    rows = {row["control"]: row["verdict"] for row in recovery.recovery(results)}
    assert rows["shuffled labels: TPR against FPR"] == "missed"
    assert rows["shuffled tokens: alias reciprocal rank"] == "missed"
    assert rows["encodings recognised"] == "missed"
    assert rows["malicious scripts found, deep model, P1"] == "not measured"
    assert rows["malicious scripts found, traditional model, P1"] == "not measured"


def test_controls_say_no_more_digits_than_are_the_same_on_every_processor():
    results = synthetic(generated=True)
    results["06_baselines"]["shuffled_labels"] = {"tpr": 0.0338785047, "fpr": 0.0494605809, "positives": 100}
    row = recovery.recovery(results)[-1]
    assert (row["planted"], row["recovered"]) == (0.049, 0.034)


def test_verify_prints_the_ledger_and_notices_a_stale_file(tmp_path: Path):
    results = synthetic()
    del results["mlnet"]  # which is kept beside the folders of profiles
    for stage, result in results.items():
        (tmp_path / f"{stage}.json").write_text(json.dumps(result), encoding="utf-8")
    (tmp_path / "claims.json").write_text(json.dumps(claims.evaluate(results)), encoding="utf-8")
    table = claims.verify(tmp_path)
    assert "C15" in table and "90.5%" in table and "89.0%" in table
    assert "claims.json is not" not in table
    (tmp_path / "claims.json").write_text("[]", encoding="utf-8")
    assert "claims.json is not" in claims.verify(tmp_path)
