"""The numbered notebooks: clean sources, the smoke chain through papermill, executed copies bound to them."""

import ast
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import polars as pl
import pytest
from marking import marked
from patience import GUARD

from psembed.pipeline import execute, runner
from psembed.project.parameters import read_notebook, resolve
from psembed.project.profiles import load_profile
from psembed.project.published import stale_copies, stale_note
from psembed.project.stages import STAGES

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EXECUTED = sorted((ROOT / "notebooks" / "executed").glob("*.ipynb"))
NAMES = [stage.name for stage in STAGES]


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def sources(path: Path, *, skip_injected: bool = False) -> list[tuple[str, str]]:
    cells = read(path).cells
    kept = [c for c in cells if not (skip_injected and "injected-parameters" in c.metadata.get("tags", []))]
    return [(cell.cell_type, cell.source) for cell in kept]


def test_there_is_one_notebook_for_each_stage():
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_sources_have_no_output_and_keep_to_the_house_style(path):
    for cell in read(path).cells:
        if cell.cell_type != "code":
            continue
        assert not cell.outputs and cell.execution_count is None
        assert len(cell.source.splitlines()) <= 25
        assert "sys.path" not in cell.source and not cell.source.lstrip().startswith("!")
        assert not [n for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.FunctionDef)]


@pytest.mark.parametrize("profile", ["smoke", "control", "public"])
def test_every_profile_fits_the_notebooks(profile):
    notebooks = {path.stem: read_notebook(path) for path in NOTEBOOKS}
    parameters = resolve(load_profile(profile), notebooks, [])
    assert list(parameters) == NAMES and all(given["profile"] == profile for given in parameters.values())


def test_executed_copies_are_those_of_all_sources():
    assert [path.stem for path in EXECUTED] == NAMES


def test_a_stale_copy_is_named_where_the_results_are():
    """The README's results block says which notebooks have changed since the published run, and no others."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = text.partition("<!-- results:")[2].partition("<!-- /results -->")[0]
    assert (stale_note(ROOT) or "-->") in block
    assert ("copies are stale" in block) == bool(stale_copies(ROOT))


def test_no_notebook_gives_its_parameters_other_values():
    """So that a run by hand can be told from the profile's by its variables."""
    for path in NOTEBOOKS:
        notebook = read_notebook(path)
        assigned = [
            node.id
            for source in notebook.code[1:]
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        ]
        assert not set(notebook.defaults) & set(assigned), path.stem


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.stem)
def test_an_executed_copy_has_the_cells_of_its_source_run_in_order_without_error(path):
    if path.stem not in stale_copies(ROOT):
        assert sources(path, skip_injected=True) == sources(ROOT / "notebooks" / path.name)
    code = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [o for cell in code for o in cell.outputs if o.output_type == "error"]


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.stem)
def test_an_executed_copy_names_no_folder_of_the_machine_that_ran_it(path):
    assert "/site-packages/" not in path.read_text(encoding="utf-8")


def test_a_warning_names_its_file_within_the_libraries(tmp_path):
    path = tmp_path / "a.ipynb"
    told = f"{sysconfig.get_path('purelib')}{os.sep}some{os.sep}library.py:1: UserWarning: careful\n"
    cell = nbformat.v4.new_code_cell(
        "1", outputs=[nbformat.v4.new_output("stream", name="stderr", text=told)]
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    execute._tidy(path)
    assert read(path).cells[0].outputs[0].text == f"some{os.sep}library.py:1: UserWarning: careful\n"


def test_what_tensorflow_logs_of_devices_is_left_out_and_a_warning_stays(tmp_path):
    path, noise = tmp_path / "a.ipynb", "I0000 00:00:1795.5 11 stub.cc:31] no cuda drivers\n"
    absl = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    told = [("stderr", absl + noise), ("stderr", noise + "careful\n"), ("stdout", noise)]
    streams = [nbformat.v4.new_output("stream", name=name, text=text) for name, text in told]
    cell = nbformat.v4.new_code_cell("1", outputs=streams)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    execute._tidy(path)
    assert [output.text for output in read(path).cells[0].outputs] == ["careful\n", noise]


@pytest.mark.parametrize("path", EXECUTED, ids=lambda path: path.stem)
def test_an_executed_copy_was_given_the_public_parameters(path):
    if path.stem in stale_copies(ROOT):
        pytest.skip("its source has changed since; README says so")
    notebooks = {source.stem: read_notebook(source) for source in NOTEBOOKS}
    wanted = resolve(load_profile("public"), notebooks, [])[path.stem]
    injected = next(c for c in read(path).cells if "injected-parameters" in c.metadata.get("tags", []))
    given = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(injected.source).body
        if isinstance(node, ast.Assign)
    }
    assert given == wanted


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("executed"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.fixture(scope="module")
def smoke(checkout) -> runner.RunSummary:
    return runner.run("smoke", root=checkout)


def test_the_smoke_chain_recovers_every_planted_truth(smoke):
    """Slow (minutes): it waits for the one smoke run, which all tests of this file share."""
    assert [stage.status for stage in smoke.stages] == ["ran"] * len(STAGES)
    assert len(smoke.controls) > 20
    assert [row for row in smoke.controls if row["verdict"] != "recovered"] == []


def test_every_claim_and_headline_key_of_a_run_is_there(smoke, checkout):
    results = checkout / "paper" / "results" / "smoke"
    claims = json.loads((results / "claims.json").read_text())
    assert [row["id"] for row in claims] == [f"C{n:02d}" for n in range(1, 25)]
    assert all(row["reason"] for row in claims if row["verdict"] == "not_testable")
    headline = json.loads((results / "headline.json").read_text())
    assert headline["onnx_max_abs_diff"] <= 1e-5 and headline["p1_tpr_cnn_lstm"] is None  # 0.1% was not asked


def test_vocabulary_and_vectors_come_from_unlabeled_training_scripts_only(smoke, checkout):
    from psembed.embedding import token_vectors
    from psembed.powershell import tokens

    work = checkout / "work" / "smoke"
    scripts = pl.read_parquet(work / "scripts.parquet")
    train = scripts.filter((pl.col("part") == "train") & (pl.col("kind") != "labelled"))
    seen = set(tokens.tokenize_series(train["clean"]).explode())
    assert set(pl.read_parquet(work / "vocabulary.parquet")["token"]) <= seen
    known = set(marked(train["text"]).explode())
    assert set(token_vectors.load(work / "vectors.npz").index_to_key) <= known | seen


def test_a_second_run_has_nothing_to_do(smoke, checkout):
    again = runner.run("smoke", root=checkout)
    assert [stage.status for stage in again.stages] == ["skipped"] * len(STAGES)


def test_plain_papermill_names_the_notebook_that_is_missing(checkout):
    command = [sys.executable, "-m", "papermill", "notebooks/02_tokens.ipynb", "missing.ipynb"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "-p", "profile", "another", "-k", "python3", "--no-progress-bar"],
        cwd=checkout, env=environment, check=False, capture_output=True, timeout=GUARD, text=True,
    )  # fmt: skip
    assert done.returncode != 0 and "01_corpus makes it" in done.stderr
