"""README shows what was measured, between its marks; without results it stays as it is."""

import json
from pathlib import Path

from synthetic_results import results as synthetic

from docs import results
from psembed.paper import ledger


def test_readme_gets_the_measured_claims_between_its_marks(tmp_path: Path):
    folder = tmp_path / "paper" / "results" / "public"
    folder.mkdir(parents=True)
    for name, value in synthetic().items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    readme = tmp_path / "README.md"
    readme.write_text(
        "before\n<!-- results: generated -->\nold\n<!-- /results -->\nafter\n", encoding="utf-8"
    )
    assert results.update(tmp_path)
    text = readme.read_text(encoding="utf-8")
    assert "the study's network finds 90% where one clean script in a thousand is flagged" in text
    assert "the committee in one file that is released 96%." in text
    assert "| P1 | CNN-LSTM | 90.5% (87.5% to 93.5%) | 0.100% | 400 | 20,500 |" in text and "old" not in text
    page = (tmp_path / results.PAGE).read_text(encoding="utf-8")
    assert "| C15 coverage of the deep model | 89.0% | 90.5% (87.5% to 93.5%) | reproduced |" in page
    assert "| P3 | transformer | 82.5% (79.5% to 85.5%) | 0.100% | 400 | 20,500 |" in page
    assert "| P0 |" not in page and page.count("| P2 |") == 8  # a row a model, at the rate asked for
    assert text.startswith("before\n") and text.endswith("<!-- /results -->\nafter\n")
    assert not results.update(tmp_path)


def test_the_model_card_tells_what_the_released_detector_does_from_its_threshold_on():
    known = synthetic()
    told = results.card(known)
    row = ledger.coverage_row(known, "p1", known["07_cnn_lstm"]["released"])
    assert f"| {row['asked_tpr']:.1%} | {row['asked_fpr']:.3%} (" in told
    assert f"The threshold is a score of {known['09_onnx']['threshold']:.4f}." in told
    del known["09_onnx"]
    assert results.card(known) == "Not measured."


def test_claims_that_did_not_hold_are_listed_with_both_values():
    known = synthetic()
    assert "C15" not in results.not_reproduced(known)
    for row in known["08_evaluation"]["table"]:
        if row["model"] == "cnn_lstm":
            row.update(tpr=0.5, low=0.4, high=0.6)
    listed = results.not_reproduced(known).splitlines()
    assert "- C15, coverage of the deep model: published 89.0%, ours 50.0% (40.0% to 60.0%)" in listed


def test_a_readme_without_results_stays_as_it_is(tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results: x -->\nold\n<!-- /results -->\n", encoding="utf-8")
    assert not results.update(tmp_path)
    assert "old" in readme.read_text(encoding="utf-8")
