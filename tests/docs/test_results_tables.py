"""README shows what was measured, between its marks; without results it stays as it is."""

import json
from pathlib import Path

from synthetic_results import results as synthetic

from docs import results
from psembed.paper.ledger import FIGURE_4


def test_readme_gets_the_measured_claims_between_its_marks(tmp_path: Path):
    folder = tmp_path / "paper" / "results" / "public"
    folder.mkdir(parents=True)
    measured = synthetic()
    table = measured["08_evaluation"]["table"]
    table += [
        row | {"model": FIGURE_4, "tpr": 0.87, "fpr": 0.0012} for row in table if row["model"] == "cnn_lstm"
    ]
    for name, value in measured.items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    readme = tmp_path / "README.md"
    readme.write_text(
        "before\n<!-- results: generated -->\nold\n<!-- /results -->\nafter\n", encoding="utf-8"
    )
    assert results.update(tmp_path)
    text = readme.read_text(encoding="utf-8")
    assert "the study's network finds 87% (flagging 0.12% of clean ones)" in text
    assert "the strongest traditional model 80% (flagging 0.11% of clean ones)" in text
    assert "11 reproduced, 8 partly, 2 not reproduced, 3 not testable" in text and "old" not in text
    page = (tmp_path / results.PAGE).read_text(encoding="utf-8")
    assert "| C15 coverage of the deep model | 89.0% | 90.5% (87.5% to 93.5%) | reproduced |" in page
    assert "C17" in page and "C21" in page
    assert text.startswith("before\n") and text.endswith("<!-- /results -->\nafter\n")
    assert not results.update(tmp_path)


def test_a_readme_without_results_stays_as_it_is(tmp_path: Path):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results: x -->\nold\n<!-- /results -->\n", encoding="utf-8")
    assert not results.update(tmp_path)
    assert "old" in readme.read_text(encoding="utf-8")
