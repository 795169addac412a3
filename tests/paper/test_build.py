"""The paper compiles from results alone, shows gaps as gaps, and holds no typed result."""

import json
import re
import shutil
from pathlib import Path

import polars as pl
import pytest
from synthetic_results import results as synthetic
from typed_numbers import ALLOWED, typed_numbers

from psembed.paper import build, claims, figures, recovery
from psembed.project.workspace import Workspace
from psembed.runtime.errors import StageError

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (ROOT / "paper" / "paper.typ").read_text(encoding="utf-8")
LAYOUT = "".join((ROOT / "paper" / name).read_text(encoding="utf-8") for name in ("style.typ", "tables.typ"))
REFERENCES = (ROOT / "paper" / "refs.bib").read_text(encoding="utf-8")
LEDGER = Path("psembed/paper/ledger.toml")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PSEMBED_STAGING", raising=False)
    (tmp_path / "paper").mkdir()
    for name in ("paper.typ", "style.typ", "tables.typ", "refs.bib"):
        shutil.copy(ROOT / "paper" / name, tmp_path / "paper" / name)
    (tmp_path / LEDGER).parent.mkdir(parents=True)
    shutil.copy(ROOT / LEDGER, tmp_path / LEDGER)
    return tmp_path


def _write(checkout: Path, results: dict, profile: str) -> None:
    folder = checkout / "paper" / "results" / profile
    folder.mkdir(parents=True)
    files = {**results, "claims": claims.evaluate(results), "controls": recovery.recovery(results)}
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")


def _training(checkout: Path, profile: str) -> None:
    table = pl.DataFrame({"protocol": ["p1"], "seed": [1], "epoch": [1], "loss": [0.5], "val_loss": [0.6]})
    figures.save(Workspace(profile, root=checkout), "07_training", table)


def test_same_results_give_the_same_pdf_and_others_another(checkout: Path):
    _write(checkout, synthetic(), "public")
    _write(checkout, synthetic(generated=True), "control")
    _training(checkout, "public")
    built = build.build(checkout)
    assert built == checkout / "paper" / "paper.pdf"
    first = built.read_bytes()
    assert first.startswith(b"%PDF")
    assert build.build(checkout).read_bytes() == first
    changed = checkout / "paper/results/public/09_onnx.json"
    changed.write_text(json.dumps({"max_abs_diff": 3e-6, "decisions_equal": 500, "n": 500}), encoding="utf-8")
    assert build.build(checkout).read_bytes() != first


def test_the_paper_builds_when_nothing_was_measured(checkout: Path):
    assert build.build(checkout).read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("stage", list(synthetic()))
def test_the_paper_builds_when_one_stage_is_missing(checkout: Path, stage: str):
    results = synthetic()
    del results[stage]
    _write(checkout, results, "public")
    assert build.compile_paper(checkout, profile="public").startswith(b"%PDF")


def test_the_paper_shows_the_verdict_under_each_earlier_rule(checkout: Path):
    with_ledger = build.compile_paper(checkout, profile="public")
    rules = (checkout / LEDGER).read_text(encoding="utf-8")
    changed = rules.replace('until = "2026-11-29"', 'until = "2026-11-28"')
    (checkout / LEDGER).write_text(changed, encoding="utf-8")
    assert changed != rules and build.compile_paper(checkout, profile="public") != with_ledger
    (checkout / LEDGER).unlink()
    assert build.compile_paper(checkout, profile="public").startswith(b"%PDF")


def test_a_trial_profile_leaves_the_published_paper_alone(checkout: Path):
    _write(checkout, synthetic(generated=True), "control")
    published = checkout / "paper" / "paper.pdf"
    published.write_bytes(b"published")
    built = build.build(checkout, profile="control")
    assert built == checkout / "work" / "control" / "paper.pdf"
    assert published.read_bytes() == b"published"


def test_a_paper_that_does_not_compile_is_a_clear_error(checkout: Path):
    (checkout / "paper" / "paper.typ").write_text("#undefined-helper()", encoding="utf-8")
    published = checkout / "paper" / "paper.pdf"
    published.write_bytes(b"published")
    with pytest.raises(StageError, match=r"paper\.typ"):
        build.build(checkout)
    assert published.read_bytes() == b"published"


def test_no_result_is_typed_into_the_prose():
    assert typed_numbers(SOURCE) == []


@pytest.mark.parametrize(
    "planted",
    [
        "The network finds 93% of them.",
        "The network finds *93.5* percent.",
        "A gain of +4.2 points (1.0 to 7.1).",
        "We read 58,819 scripts.",
        "The difference is 1.5e-7.",
        "In 2019.5 of the cases",
        "about 2019% more",
        "It reads 2,017 files.",
        "and #num(0.93) of them",
        "and #pct(0.93) of them",
        'and #text("93%") of them',
        "and $0.93$ of them",
        "| rank 1 |",
        "coverage: 93% at width: 93%",
        "it is `93`",
        "a table: [93], [12]",
        "#let tpr = 0.93",
        'see #published[67%] and 68%',
    ],
)  # fmt: skip
def test_a_planted_result_is_found(planted: str):
    marked = SOURCE.replace("= Limits", f"{planted}\n\n= Limits", 1)
    assert marked != SOURCE
    assert [text for _, text in typed_numbers(marked)] == [planted]


def test_numbers_spelt_as_share_are_not_typed_either():
    prose = ALLOWED.sub("", SOURCE)
    assert not re.search(r"\b(percent|per cent|%)", prose)


def test_the_layout_files_hold_no_result():
    allowed = re.compile(
        r"[0-9]{2}_[a-z0-9_]+|(?:[a-z]+_)?top1|alias_hit10(_random)?|word2vec|#[0-9A-F]{6}|[a-z]*_?[0-9]gram"
        r"|(token|character) 3-grams(, SVM|, rows)?|unit42(-psencmds)?|Unit 42|Fa2y|fa2y"
        r"|P[0-3]|C[0-9]{2}|a4|1(\.1)?|0|10|(public|control|paper|figures)?/.*|.*\.json|p[0-3]"
    )
    settings = re.search(r"#let settings = \((.*?)\n\)", LAYOUT, re.DOTALL)[0]
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', LAYOUT.replace(settings, ""))
    typed = [s for s in strings if re.search(r"\d", s) and not allowed.fullmatch(s)]
    assert typed == []
    known = re.sub(r"\b(?:P[0-3]|Unit 42|Fa2y|Word2vec)\b", "", LAYOUT.replace(settings, ""))
    contents = re.findall(r"\[([^\[\]#]*\d[^\[\]#]*)\]", known)
    assert contents == []


def test_no_semicolon_is_taken_for_the_end_of_code():
    """Typst reads one right after a call as code, and prints nothing; in text it is escaped."""
    for call in re.finditer(r"#[\w-]+\(", SOURCE):
        depth, end = 1, call.end()
        while depth:
            depth += {"(": 1, ")": -1}.get(SOURCE[end], 0)
            end += 1
        assert SOURCE[end] != ";", SOURCE[call.start() : end + 40]


def test_every_figure_and_table_of_the_paper_is_referred_to():
    labels = re.findall(r'"(fig-[a-z]+)"|<((?:tab|sec)-[a-z]+)>', SOURCE)
    for name in (a or b for a, b in labels):
        assert f"@{name}" in SOURCE, name


def test_every_reference_is_cited_and_every_citation_exists():
    keys = set(re.findall(r"^@\w+\{(\w+),", REFERENCES, re.MULTILINE))
    cited = {key for key in re.findall(r"@([a-z0-9]+)\b(?!-)", SOURCE)}
    assert keys == cited


def test_every_reference_can_be_looked_up():
    entries = REFERENCES.split("\n@")
    assert len(entries) >= 30
    for entry in entries:
        assert re.search(r"^  title = \{.+\},$", entry, re.MULTILINE), entry
        assert re.search(r"^  (doi = \{10\.\d{4,}/\S+\}|url = \{https://\S+\}),$", entry, re.MULTILINE), entry
        assert entry.startswith("online{") or re.search(r"^  year = \{\d{4}\},$", entry, re.MULTILINE), entry


def test_the_published_paper_has_ten_to_fourteen_pages():
    assert 10 <= len(build.compile_paper(ROOT, profile="public", kind="png")) <= 14
