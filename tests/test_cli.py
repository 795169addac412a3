import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from psembed import cli, environment, pipeline, workspace
from psembed.errors import CorpusError, PsembedError, SourceError, StageError
from psembed.pipeline import RunSummary, StageRun

ROOT = Path(__file__).parent.parent
COMMANDS = ("setup", "reproduce", "run", "fetch", "score", "verify", "paper", "test", "lint", "lock", "bench")


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0 and len(capsys.readouterr().out.splitlines()) > 4


def test_help_names_every_command_and_loads_no_package(capsys):
    done = python("-X", "importtime", "-m", "psembed", "--help")
    assert done.returncode == 0 and all(f"\n    {command}" in done.stdout for command in COMMANDS)
    assert not {"tensorflow", "polars", "numpy", "papermill"} & {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines()
    }


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["run", "--only"], ["score"]])
def test_a_wrong_request_exits_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [(CorpusError("it is empty"), 2), (StageError("01_x failed"), 1), (KeyboardInterrupt(), 130)],
)
def test_errors_are_one_line_and_an_exit_code(error, code, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(pipeline, "run", fail)
    assert cli.main(["run"]) == code
    said = capsys.readouterr().err.strip()
    assert said.startswith("psembed: ") and len(said.splitlines()) == 1
    assert str(error) in said


def test_a_full_disk_is_told(monkeypatch, capsys):
    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipeline, "run", fail)
    assert cli.main(["run"]) == 1
    assert "the disk is full" in capsys.readouterr().err


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def summary(verdict):
    controls = ({"control": "aliases", "planted": "iex", "recovered": "rank 1", "verdict": verdict},)
    return RunSummary("control", (StageRun("01_corpus", "ran", 12.5, 300.0),), "CPU", controls)


@pytest.mark.parametrize(("verdict", "code"), [("recovered", 0), ("missed", 1)])
def test_reproduce_runs_builds_the_papers_and_ends_with_the_controls(
    verdict, code, checkout, monkeypatch, capsys
):
    calls = []

    def run(profile, **options):
        calls.append((profile, options["overrides"]))
        return summary(verdict)

    fake = types.ModuleType("psembed.paper")
    fake.PUBLISHED = "public"
    fake.build = lambda root, *, profile: calls.append(profile) or root / f"{profile}.pdf"
    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.setitem(sys.modules, "psembed.paper", fake)
    monkeypatch.setattr("psembed.paper", fake, raising=False)
    assert cli.main(["reproduce", "smoke", "--set", "01_corpus.seed=3"]) == code
    assert calls == [("smoke", ["01_corpus.seed=3"]), "public", "control"]
    said = capsys.readouterr().out
    assert "01_corpus  ran" in said and "device: CPU" in said
    last = said.strip().splitlines()[-3:]
    assert last[0].split("  ")[:2] == ["control", "planted truth"] and last[2].endswith(verdict)


def test_the_default_profile_is_control(checkout, monkeypatch):
    asked = []
    monkeypatch.setattr(pipeline, "run", lambda profile, **_: asked.append(profile) or summary("recovered"))
    assert cli.main(["run"]) == 0 and asked == ["control"]


def test_verify_shows_the_published_ledger_where_there_is_one(checkout, monkeypatch, capsys):
    from psembed import claims

    monkeypatch.setattr(claims, "verify", lambda folder: f"ledger of {folder.name}")
    for arguments, name in (([], "control"), (["--profile", "smoke"], "smoke")):
        assert cli.main(["verify", *arguments]) == 0
        assert capsys.readouterr().out == f"ledger of {name}\n"
    (checkout / "paper/results/public").mkdir(parents=True)
    assert cli.main(["verify"]) == 0
    assert capsys.readouterr().out == "ledger of public\n"


@pytest.fixture
def detector(monkeypatch):
    """A detector that calls what mentions iex malicious and cannot read NUL bytes."""
    from psembed import detector

    class Fake:
        def score_bytes(self, data):
            if b"\0" in data:
                return detector.Verdict(None, None, "binary", "binary data, not a script")
            bad = b"iex" in data
            return detector.Verdict(0.9 if bad else 0.1, bad, "ascii")

    monkeypatch.setattr(detector.Detector, "load", classmethod(lambda cls, folder=None: Fake()))


def test_score_shows_a_table_and_counts_what_it_cannot_read(detector, tmp_path, capsys):
    bad, clean, binary = (tmp_path / name for name in ("a.ps1", "b.ps1", "c.ps1"))
    bad.write_text("iex $x")
    clean.write_text("Get-Date")
    binary.write_bytes(b"MZ\0\0")
    assert cli.main(["score", str(bad), str(clean)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["0.900000", "malicious", str(bad)] and lines[3].split()[1] == "clean"
    assert cli.main(["score", str(bad), str(binary), str(tmp_path / "none.ps1"), str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert str(bad) in said.out and str(binary) not in said.out
    assert f"{binary}: binary data" in said.err and "No such file" in said.err
    assert "3 of 4 could not be read" in said.err


def test_score_reads_standard_input(detector, monkeypatch, capsys):
    import io

    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(b"iex $x")))
    assert cli.main(["score", "-"]) == 0
    assert capsys.readouterr().out.splitlines()[2].split() == ["0.900000", "malicious", "-"]


def test_fetch_goes_on_after_a_failure_and_says_so(checkout, monkeypatch, capsys):
    from psembed import sources

    def fetch(names, *, root, history, progress):
        if names == ["gone"]:
            raise SourceError("gone: set PSEMBED_MIRROR")
        return [sources.FetchReport(names[0], root, "a mirror", rows=3, bytes=2_000_000)]

    monkeypatch.setattr(sources, "fetch", fetch)
    assert cli.main(["fetch", "gone", "here"]) == 2
    said = capsys.readouterr()
    assert "here             3 files, 2.0 MB (a mirror)" in said.out and "set PSEMBED_MIRROR" in said.err


def test_without_packages_a_command_goes_through_the_environment(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(environment, "has_packages", lambda names: not names)
    monkeypatch.setattr(environment, "checkout", lambda: tmp_path)
    monkeypatch.setattr(environment, "enter", lambda root, arguments: asked.append((root, arguments)) or 5)
    assert cli.main(["reproduce", "smoke"]) == 5
    assert asked == [(tmp_path, ["reproduce", "smoke"])]
    monkeypatch.setattr(environment, "checkout", lambda: None)
    assert cli.main(["reproduce"]) == 2
    assert "pip install" in capsys.readouterr().err


def test_another_python_is_refused(monkeypatch, capsys):
    def refuse():
        raise PsembedError("psembed needs Python 3.11, this is 3.9")

    monkeypatch.setattr(environment, "check_python", refuse)
    assert cli.main(["run"]) == 2


def test_outside_a_checkout_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workspace, "project_root", workspace.project_root)
    assert cli.main(["run"]) == 1
    assert "run inside a clone" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_a_closed_pipe_is_no_traceback():
    command = f"{sys.executable} -m psembed verify --help"
    done = subprocess.run(
        ["sh", "-c", f"{command} | true"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
