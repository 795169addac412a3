"""What is committed is what the code gives: README, ledger, figures, paper and released files."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

from docs.results import PAGE, first_screen, not_reproduced, page
from psembed.cli.main import parser as command_line
from psembed.detector.detector import Detector
from psembed.embedding import released
from psembed.evaluation import comparisons, coverage, score_tables
from psembed.models import bags
from psembed.paper import build, claims, figures, headline
from psembed.project.results import load_results
from psembed.project.workspace import Workspace
from psembed.release import dotnet
from psembed.runtime.files import RELEASED
from psembed.sources.catalogue import load_sources

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = ROOT / "paper" / "results" / "public"
FENCES = re.findall(r"```\n(.*?)```", README, re.DOTALL)


def test_readme_shows_the_published_results():
    results = load_results(RESULTS)
    assert first_screen(results) in README and not_reproduced(results) in README
    assert page(results) == (ROOT / PAGE).read_text(encoding="utf-8")


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_readme_links_exist(target):
    assert (ROOT / target).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`?make ([a-z]+)", README)) - {"does"}))
def test_readme_make_targets_exist(name):
    assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"python -m psembed ([a-z]+)", README))))
def test_readme_commands_exist(name):
    commands = next(a.choices for a in command_line()._actions if isinstance(a.choices, dict))
    assert name in commands


def test_readme_names_the_paths_that_are_there():
    tree = next(block for block in FENCES if "notebooks/  " in block)
    paths = [line.split()[0] for line in tree.splitlines() if not line.startswith(" " * 4)]
    for path in paths:
        fixed = path.replace("<profile>", "public").strip()
        assert (ROOT / fixed).exists() or fixed.startswith("work/"), path


def test_the_ledger_and_headline_follow_from_the_results():
    results = load_results(RESULTS)
    assert json.loads((RESULTS / "claims.json").read_text()) == json.loads(
        json.dumps(claims.evaluate(results))
    )
    assert json.loads((RESULTS / "headline.json").read_text()) == json.loads(
        json.dumps(headline.headline(results))
    )


@pytest.mark.parametrize("slug", sorted(figures.FIGURES))
def test_every_figure_has_its_data_and_both_pictures(slug):
    folder = ROOT / "figures" / ("bench" if slug == "08_speed" else "public")
    assert len((folder / f"{slug}.csv").read_text(encoding="utf-8").splitlines()) > 3
    for kind in ("svg", "png"):
        assert (folder / f"{slug}.{kind}").stat().st_size > 500


def test_the_committed_paper_is_what_the_results_give():
    committed = (ROOT / "paper" / "paper.pdf").read_bytes()
    assert committed == build.compile_paper(ROOT, profile="public")


def test_the_released_detector_loads_and_is_the_published_one():
    sizes = {path.name: path.stat().st_size for path in RELEASED.iterdir()}
    vectors = [size for name, size in sizes.items() if name == released.MANIFEST or name.endswith(".npz")]
    assert sum(vectors) <= 20_000_000 and sum(sizes.values()) - sum(vectors) <= 10_000_000
    onnx = json.loads((RESULTS / "09_onnx.json").read_text())
    detector = Detector.load()
    assert detector.threshold == onnx["threshold"] and detector.manifest["created_from"] == "public"
    scores = detector.score(["Get-ChildItem", "Write-Output 'hello'"])
    assert ((scores >= 0) & (scores <= 1)).all()


def test_the_exported_network_gives_what_the_trained_one_does():
    onnx = json.loads((RESULTS / "09_onnx.json").read_text())
    assert onnx["n"] >= 10_000 and onnx["decisions_equal"] is True
    assert 0 <= onnx["max_abs_diff"] <= 1e-5 and 0 <= onnx["detector_max_abs_diff"] <= 1e-5


def test_mlnet_was_compared_with_the_released_detector():
    found = dotnet.result(ROOT)
    assert found, "run `make dotnet`: mlnet.json is of another detector than the released one"
    assert found["texts"] >= 10_000 and found["checks"].endswith(" 0 failed")


def test_the_released_vectors_are_the_published_ones_and_saw_no_labelled_set():
    manifest, learned = released.vectors_manifest(), json.loads((RESULTS / "03_word2vec.json").read_text())
    vectors, told = released.read("word2vec"), manifest["models"]["word2vec"]
    assert len(vectors.index_to_key) == told["tokens"] == learned["vocabulary"]
    assert manifest["scripts"] == learned["scripts"] == sum(s["scripts"] for s in manifest["sources"])
    assert told["settings"] == {name: learned[name] for name in told["settings"]}
    catalogue = load_sources()
    assert all(catalogue[s["name"]].commit == s["commit"] for s in manifest["sources"])
    assert not {catalogue[s["name"]].kind for s in manifest["sources"]} & {"labelled"}


def test_the_coverage_table_follows_from_the_committed_scores():
    """Rates of the published table, from the scores alone (intervals need no second draw)."""
    published = json.loads((RESULTS / "08_evaluation.json").read_text())
    workspace, fpr = Workspace("public", root=ROOT), published["fpr"]
    kinds = [score_tables.BASELINES, score_tables.NETWORKS, bags.FOLDER]
    single = coverage.crossed(score_tables.read(workspace, kinds))
    few = {"fpr": fpr, "seed": 1, "rounds": 2}
    chosen = coverage.resampled(single.filter(protocol=comparisons.CHOSEN_IN), **few)
    rows = pl.concat([single, coverage.crossed(comparisons.committees(single, chosen))])
    table = coverage.coverage(rows, {fpr: coverage.resampled(rows, **few)})
    found = {(row["protocol"], row["model"]): row for row in table.to_dicts()}
    listed = [row for row in published["table"] if row["fpr_asked"] == fpr]
    assert len(listed) > 20
    for row in listed:
        same = found[row["protocol"], row["model"]]
        for name in ("tpr", "fpr", "asked_tpr", "asked_fpr", "positives", "negatives", "seeds", "auc"):
            assert same[name] == pytest.approx(row[name], rel=1e-9), (row["model"], name)


def test_the_committed_scores_hold_no_text_and_are_small():
    for path in (RESULTS / "scores").rglob("*.parquet"):
        table = pl.read_parquet(path)
        assert path.stat().st_size <= 10 * 2**20
        assert set(table.columns) & {"text", "clean"} == set()
        assert "source" not in table.columns or set(table["source"]) <= set(load_sources())
        others = table.select(pl.col(pl.String).exclude("source").str.len_chars().max())
        assert all(max(row) <= 64 for row in others.rows())  # a SHA-256
