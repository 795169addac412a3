import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest
from notebook_project import (
    DEFAULTS,
    FIRST,
    RESULT,
    SECOND,
    STAGES,
    execute_here,
    make_project,
    write_notebook,
)
from patience import GUARD, wait_for

from psembed.pipeline import processes, runner
from psembed.project import stages
from psembed.project.profiles import Profile
from psembed.project.stages import Stage
from psembed.runtime.errors import ModelError, ParameterError, StageError

TINY = Profile(name="tiny", seed=7)


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "STAGES", STAGES)
    return make_project(tmp_path)


@pytest.fixture
def quick(project, monkeypatch):
    monkeypatch.setattr(runner, "attend", execute_here)
    return project


def statuses(summary):
    return [row.status for row in summary.stages]


def files(root: Path) -> dict[str, bytes]:
    """Every file that a run leaves for others to read."""
    folders = ("work/tiny/folder", "paper", "work/tiny/executed")
    found = [path for folder in folders for path in (root / folder).rglob("*") if path.is_file()]
    found += [path for path in [root / "work/tiny/numbers.txt"] if path.exists()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def test_kernels_get_seed_environment_interpreter_and_the_second_run_skips_all(project):
    look = "{k: os.environ.get(k) for k in ('PYTHONHASHSEED', 'TF_DETERMINISTIC_OPS')}"
    show = f"import sys; print([sys.executable, os.getcwd(), hash('a'), {look}])"
    first = RESULT.replace("NAME", "01_first")
    path = project / "notebooks/01_first.ipynb"
    write_notebook(path, first, FIRST, show, parameters=DEFAULTS + "\nscale = 2")
    summary = runner.run(TINY, root=project)
    assert statuses(summary) == ["ran", "ran"]
    assert all(row.seconds > 0 and row.peak_mb > 20 for row in summary.stages)
    assert (project / "work/tiny/numbers.txt").read_text() == "14"
    assert (project / "work/tiny/folder/copy.txt").read_text() == "14!"
    executed = json.loads((project / "work/tiny/executed/01_first.ipynb").read_text())
    said = eval(executed["cells"][-1]["outputs"][0]["text"][0])
    assert said[:2] == [sys.executable, str(project)]
    assert said[3] == {"PYTHONHASHSEED": "7", "TF_DETERMINISTIC_OPS": "1"}
    assert str(project) not in json.dumps(executed["metadata"])
    assert not (project / "work/tiny/staging").exists()
    before = files(project)
    assert statuses(runner.run(TINY, root=project)) == ["skipped", "skipped"]
    assert files(project) == before


def test_a_failing_notebook_stops_the_run_and_leaves_the_last_good_files(project, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(runner, "attend", execute_here)
        runner.run(TINY, root=project)
    before = files(project)
    write_notebook(
        project / "notebooks/01_first.ipynb",
        RESULT.replace("NAME", "01_first") + FIRST,
        "raise OSError(28, 'No space left on device')",
        parameters=DEFAULTS + "\nscale = 3",
    )
    with pytest.raises(StageError) as caught:
        runner.run(TINY, root=project)
    message = str(caught.value)
    assert message.startswith("01_first failed in cell [4]: OSError: [Errno 28] No space left on device")
    assert "make room" in message and len(message.splitlines()) == 2
    assert "work/tiny/failed/01_first.ipynb" in message
    assert "raise OSError" in (project / "work/tiny/failed/01_first.ipynb").read_text()
    assert files(project) == before
    assert not (project / "work/tiny/staging").exists()


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_kills_its_kernel_leaves_nothing_half_written_and_resumes(project, how, monkeypatch):
    (project / "hang").touch()
    wait = (
        "import time\nPath('pid').write_text(str(os.getpid()))\nwhile Path('hang').exists(): time.sleep(0.1)"
    )
    write_notebook(project / "notebooks/02_second.ipynb", RESULT.replace("NAME", "02_second"), SECOND, wait)
    helpers = Path(__file__).parents[1] / "helpers"
    script = (
        f"import sys; sys.path[:0] = [{str(helpers)!r}, {str(helpers.parents[1])!r}]\n"
        "from notebook_project import STAGES\nfrom psembed.cli import main\n"
        "from psembed.pipeline import runner\nfrom psembed.project import profiles, stages\n"
        "stages.STAGES = STAGES\n"
        "runner.load_profile = lambda name: profiles.Profile(name='tiny', seed=7)\n"
        "sys.exit(main.main(['run']))"
    )
    running = subprocess.Popen([sys.executable, "-c", script], cwd=project, stderr=subprocess.PIPE, text=True)
    pid = project / "pid"
    wait_for(lambda: running.poll() is not None or (pid.exists() and pid.read_text()))
    kernel = psutil.Process(int(pid.read_text()))
    running.send_signal(how)
    _, said = running.communicate(timeout=GUARD)
    assert running.returncode == (-how if how == signal.SIGKILL else 130)
    assert "Traceback" not in said
    wait_for(lambda: not kernel.is_running() or kernel.status() == psutil.STATUS_ZOMBIE)
    assert not (project / "work/tiny/folder").exists()
    (project / "hang").unlink()
    monkeypatch.setattr(runner, "attend", execute_here)
    assert statuses(runner.run(TINY, root=project)) == ["skipped", "ran"]
    assert (project / "work/tiny/folder/copy.txt").read_text() == "14!"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda root: (root / "work/tiny/numbers.txt").write_text("99"), ["ran", "skipped"]),
        (lambda root: (root / "work/tiny/folder/copy.txt").unlink(), ["skipped", "ran"]),
        (lambda root: (root / "work/tiny/folder/stray.txt").write_text(""), ["skipped", "ran"]),
        (lambda root: (root / "work/tiny/stages/01_first.json").write_text("{"), ["ran", "skipped"]),
        (lambda root: (root / "work/tiny/executed/02_second.ipynb").unlink(), ["skipped", "ran"]),
    ],
)
def test_what_was_damaged_since_is_made_again_and_nothing_else(quick, change, expected):
    runner.run(TINY, root=quick)
    before = files(quick)
    change(quick)
    assert statuses(runner.run(TINY, root=quick)) == expected
    assert files(quick) == before


def test_new_code_that_makes_the_same_file_does_not_run_the_next_notebook(quick):
    runner.run(TINY, root=quick)
    first = RESULT.replace("NAME", "01_first")
    path = quick / "notebooks/01_first.ipynb"
    write_notebook(path, first, FIRST, "x = 1", parameters=DEFAULTS + "\nscale = 2")
    assert statuses(runner.run(TINY, root=quick)) == ["ran", "skipped"]
    write_notebook(path, first, FIRST, "x = 1", parameters=DEFAULTS + "\nscale = 5")
    assert statuses(runner.run(TINY, root=quick)) == ["ran", "ran"]


def test_new_prose_reaches_the_executed_copy_without_a_run(project, monkeypatch):
    runner.run(TINY, root=project, only=["01_first"])
    path, copy = project / "notebooks/01_first.ipynb", project / "work/tiny/executed/01_first.ipynb"
    before = nbformat.read(copy, as_version=4)
    runner.run(TINY, root=project, only=["01_first"])
    assert nbformat.read(copy, as_version=4) == before
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# What it is about"))
    nbformat.write(notebook, path)
    assert statuses(runner.run(TINY, root=project, only=["01_first"])) == ["skipped"]
    after = nbformat.read(copy, as_version=4)
    assert after.cells[0].source == "# What it is about" and after.cells[1:] == before.cells


def test_overrides_force_seed_and_only(quick):
    assert statuses(runner.run(TINY, root=quick, only=["01_first"])) == ["ran"]
    assert statuses(runner.run(TINY, root=quick)) == ["skipped", "ran"]
    assert statuses(runner.run(TINY, root=quick, overrides=["01_first.scale=3"])) == ["ran", "ran"]
    assert (quick / "work/tiny/folder/copy.txt").read_text() == "21!"
    assert statuses(runner.run(TINY, root=quick, only=["02_second"], force=True)) == ["ran"]
    assert statuses(runner.run(Profile(name="tiny", seed=8), root=quick)) == ["ran", "ran"]
    with pytest.raises(ParameterError, match="03_third"):
        runner.run(TINY, root=quick, only=["03_third"])


def test_a_notebook_whose_input_was_never_made_does_not_start(quick):
    with pytest.raises(StageError, match=r"numbers\.txt is not there"):
        runner.run(TINY, root=quick, only=["02_second"])


def test_a_changed_module_runs_the_notebooks_that_import_it_even_indirectly(quick, tmp_path, monkeypatch):
    package = tmp_path / "package"
    package.mkdir()
    (package / "near.py").write_text("def f():\n    from psembed import far\n")
    (package / "far.py").write_text("x = 1\n")
    (package / "other.py").write_text("x = 1\n")
    monkeypatch.setattr(runner, "PACKAGE", package)
    second = RESULT.replace("NAME", "02_second")
    write_notebook(
        quick / "notebooks/02_second.ipynb", second, SECOND + "\nif False:\n    from psembed.near import f"
    )
    runner.run(TINY, root=quick)
    (package / "other.py").write_text("x = 2\n")
    assert statuses(runner.run(TINY, root=quick)) == ["skipped", "skipped"]
    (package / "far.py").write_text("x = 2\n")
    assert statuses(runner.run(TINY, root=quick)) == ["skipped", "ran"]


def test_a_changed_snapshot_runs_the_notebook_that_names_it(quick):
    first = RESULT.replace("NAME", "01_first")
    path = quick / "notebooks/01_first.ipynb"
    parameters = DEFAULTS + "\nscale = 2\nsources = ['a']"
    write_notebook(path, first, FIRST, "_ = sources", parameters=parameters)
    snapshots = quick / "data" / "snapshots"
    snapshots.mkdir(parents=True)
    (snapshots / "a.parquet").write_bytes(b"one")
    (snapshots / "b.parquet").write_bytes(b"one")
    runner.run(TINY, root=quick)
    (snapshots / "b.parquet").write_bytes(b"two")
    assert statuses(runner.run(TINY, root=quick)) == ["skipped", "skipped"]
    (snapshots / "a.parquet").write_bytes(b"two!")
    assert statuses(runner.run(TINY, root=quick)) == ["ran", "skipped"]


def test_a_missing_output_is_an_error_and_replaces_nothing(quick, monkeypatch):
    runner.run(TINY, root=quick)
    before = files(quick)
    more = Stage("01_first", (), ("work/{p}/numbers.txt", "work/{p}/never.txt"))
    monkeypatch.setattr(stages, "STAGES", (more, STAGES[1]))
    with pytest.raises(StageError, match=r"01_first ended without writing work/tiny/never\.txt"):
        runner.run(TINY, root=quick, overrides=["01_first.scale=9"])
    assert files(quick) == before


def test_an_output_nobody_named_is_kept_and_mentioned(quick, monkeypatch, caplog):
    monkeypatch.setattr(stages, "STAGES", (STAGES[0], Stage("02_second", STAGES[1].reads, ())))
    assert statuses(runner.run(TINY, root=quick)) == ["ran", "ran"]
    assert "work/tiny/folder/copy.txt" in caplog.text
    assert statuses(runner.run(TINY, root=quick)) == ["skipped", "skipped"]


def test_a_file_that_a_folder_no_longer_has_is_removed(quick):
    runner.run(TINY, root=quick)
    stray = quick / "work/tiny/folder/old.txt"
    stray.write_text("old")
    runner.run(TINY, root=quick)
    assert not stray.exists()


def test_a_full_disk_is_told_and_the_next_run_repairs_it(quick, monkeypatch):
    runner.run(TINY, root=quick)
    real, calls = os.replace, []

    def full(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(StageError, match="the disk is full"):
            runner.run(TINY, root=quick, overrides=["01_first.scale=9"])
    for path in quick.rglob("*.part*"):
        pytest.fail(f"{path} was left behind")
    runner.run(TINY, root=quick, overrides=["01_first.scale=9"])
    assert (quick / "work/tiny/folder/copy.txt").read_text() == "63!"


def test_files_move_across_file_systems(quick, monkeypatch):
    real = os.replace

    def replace(source, target):
        if "staging" in str(source):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    assert statuses(runner.run(TINY, root=quick)) == ["ran", "ran"]
    assert (quick / "work/tiny/folder/copy.txt").read_text() == "14!"


def test_a_profile_is_run_once_at_a_time(quick):
    with (
        processes.locked(quick / "work/tiny/run.lock"),
        pytest.raises(StageError, match=f"'tiny' is being run by process {os.getpid()}"),
    ):
        runner.run(TINY, root=quick)
    assert statuses(runner.run(TINY, root=quick)) == ["ran", "ran"]


def test_nothing_runs_when_any_notebook_has_a_wrong_parameter(quick):
    with pytest.raises(ParameterError, match=r"02_second: no parameter 'sed' \(did you mean 'seed'\?\)"):
        runner.run(TINY, root=quick, overrides=["02_second.sed=1"])
    assert not (quick / "work").exists()


def test_a_kernel_that_dies_is_told_as_such(project):
    write_notebook(
        project / "notebooks/01_first.ipynb",
        "_ = (profile, seed, scale)\nimport os\nos._exit(3)",
        parameters=DEFAULTS + "\nscale = 2",
    )
    with pytest.raises(StageError, match="01_first failed: the kernel died"):
        runner.run(TINY, root=project)


def test_the_run_results_and_the_timings_of_the_last_real_run(quick):
    results = quick / "paper/results/tiny"
    results.mkdir(parents=True)
    (results / "07_cnn_lstm.json").write_text('{"device": "CPU"}')
    rows = [{"control": "a", "planted": 1, "recovered": 2, "verdict": "missed"}]
    (results / "controls.json").write_text(json.dumps({"rows": rows}))
    runner.run(TINY, root=quick)
    summary = runner.run(TINY, root=quick)
    assert summary.device == "CPU" and summary.controls == tuple(rows) and not summary.recovered
    written = json.loads((results / "run.json").read_text())
    assert written["seconds"] == 1.0 and written["peak_gb"] == 0.01
    assert written["stages"]["01_first"] == {"seconds": 0.5, "peak_mb": 10.0, "commit": None}


def test_a_run_of_one_notebook_brings_its_own_figures_up_to_date(quick, monkeypatch):
    path = quick / "paper/results/tiny/run.json"
    path.unlink(missing_ok=True)
    monkeypatch.setattr(runner, "commit_of", lambda root: "old")
    runner.run(TINY, root=quick, force=True)
    monkeypatch.setattr(runner, "commit_of", lambda root: "new")
    runner.run(TINY, root=quick, only=["02_second"], force=True)
    stages = json.loads(path.read_text())["stages"]
    assert {name: row["commit"] for name, row in stages.items()} == {"01_first": "old", "02_second": "new"}


def test_publishing_copies_executed_notebooks_and_the_detector(quick, monkeypatch):
    releases = (("01_first", "released", 20e6), ("02_second", "detector", 10e6))
    monkeypatch.setattr(runner, "RELEASES", releases)
    shutil.rmtree(quick / "work", ignore_errors=True)
    detector, vectors = quick / "work/tiny/detector", quick / "work/tiny/released"
    detector.mkdir(parents=True)
    vectors.mkdir()
    (detector / "detector.onnx").write_bytes(b"model")
    (detector / "manifest.json").write_bytes(b"{}")
    (vectors / "word2vec.npz").write_bytes(b"vectors")
    (vectors / "vectors.json").write_bytes(b"{}")
    with pytest.raises(ParameterError, match="copy its file"):
        runner.run(Profile(name="tiny", publish=True), root=quick, overrides=["01_first.scale=4"])
    assert not (quick / "notebooks/executed").exists()
    runner.run(Profile(name="tiny", publish=True), root=quick)
    names = [path.name for path in sorted((quick / "notebooks/executed").iterdir())]
    assert names == ["01_first.ipynb", "02_second.ipynb"]
    released = quick / "psembed/released"
    assert sorted(path.name for path in released.iterdir()) == [
        "detector.onnx",
        "manifest.json",
        "vectors.json",
        "word2vec.npz",
    ]
    (detector / "detector.onnx").write_bytes(bytes(11_000_000))
    with pytest.raises(ModelError, match=r"11\.0 MB, over the 10 MB"):
        runner.release("tiny", ["02_second"], root=quick)
    (detector / "detector.onnx").write_bytes(b"model")
    (vectors / "word2vec.npz").write_bytes(bytes(21_000_000))
    with pytest.raises(ModelError, match=r"01_first releases is 21\.0 MB, over the 20 MB"):
        runner.release("tiny", ["01_first"], root=quick)
    assert (released / "detector.onnx").read_bytes() == b"model"
    assert (released / "word2vec.npz").read_bytes() == b"vectors"
