"""`psembed score`: exit codes, output files, and a summary in which every input has its place."""

import io
import json
import subprocess
import sys
import types

import polars as pl
import pytest

from psembed import cli, detector, workers
from psembed.detector import LayerScore, Verdict

SCRIPT = LayerScore("script", -1, 0, 7, 0.1)


@pytest.fixture(autouse=True)
def released(monkeypatch):
    """A detector that calls what mentions iex malicious and cannot read NUL bytes."""

    class Fake:
        def judge(self, items):
            return [self.verdict(item) for item in items]

        def verdict(self, item):
            if item.data is None or b"\0" in item.data:
                return Verdict(item.name, reason=item.reason or "binary data, not a script")
            bad = b"iex" in item.data
            return Verdict(item.name, "00", "ascii", 0.9 if bad else 0.1, bad, 0, (SCRIPT,))

    monkeypatch.setattr(detector, "released", Fake)
    return Fake


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.ps1").write_text("iex $x")
    (tmp_path / "b.ps1").write_text("Get-Date")
    (tmp_path / "c.ps1").write_bytes(b"MZ\0\0")
    (tmp_path / "notes.txt").write_text("iex")
    return {name: str(tmp_path / f"{name}.ps1") for name in "abc"} | {"all": str(tmp_path)}


@pytest.mark.parametrize(("named", "code"), [("b", 0), ("a", 1), ("c", 2), ("ab", 1), ("ac", 1), ("bc", 2)])
def test_the_exit_code_tells_what_was_found(files, named, code):
    assert cli.main(["score", *[files[name] for name in named]]) == code


def test_every_input_is_in_the_output_and_in_the_summary(files, capsys):
    assert cli.main(["score", files["all"], files["all"] + "/none.ps1"]) == 1
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["malicious", "clean", "not", "not"]
    assert "No such file" in lines[4]
    assert said.err == (
        "psembed: 2 scored: 1 malicious, 1 clean; 2 not scored; 1 files of other kinds left out\n"
    )


def test_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(b"iex $x")))
    assert cli.main(["score", "-"]) == 1
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "-"


def test_an_output_file_appears_whole(files, tmp_path, capsys):
    target = tmp_path / "out" / "found.jsonl"
    assert cli.main(["score", files["b"], "--format", "jsonl", "--output", str(target)]) == 0
    assert json.loads(target.read_text())["path"] == files["b"] and capsys.readouterr().out == ""
    target = tmp_path / "found.parquet"
    assert cli.main(["score", files["a"], "--format", "parquet", "--output", str(target)]) == 1
    assert pl.read_parquet(target)["verdict"].to_list() == ["malicious"]


def test_a_stopped_run_leaves_the_last_output(files, tmp_path, monkeypatch, released):
    target = tmp_path / "found.csv"
    target.write_text("before")

    def stopped(self, items):
        raise KeyboardInterrupt

    monkeypatch.setattr(released, "judge", stopped)
    assert cli.main(["score", files["a"], "--format", "csv", "--output", str(target)]) == 130
    assert target.read_text() == "before" and len(list(tmp_path.iterdir())) == 5


def test_a_closed_pipe_ends_quietly(files, monkeypatch):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    monkeypatch.setattr("os.dup2", lambda *_: None)
    assert cli.main(["score", files["a"]]) == 1


def test_parquet_is_not_for_a_terminal(files, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert cli.main(["score", files["a"], "--format", "parquet"]) == 2
    assert "--output FILE" in capsys.readouterr().err


def test_a_terminal_sees_progress_and_a_pipe_does_not(files, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    cli.main(["score", files["a"]])
    assert "1 scored" in capsys.readouterr().err.split("\r")[1]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    cli.main(["score", files["a"]])
    assert "\r" not in capsys.readouterr().err


def test_nothing_to_score_is_said(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("iex")
    assert cli.main(["score", str(tmp_path)]) == 2
    assert capsys.readouterr().err == "psembed: nothing to score; 1 files of other kinds left out\n"


def test_processes_and_a_cluster_give_the_verdicts_that_this_process_gives(files, tmp_path, monkeypatch):
    """The released detector here, in processes of a pool, and on Dask workers of this machine."""
    monkeypatch.undo()
    monkeypatch.setattr(workers, "ROWS", 1)
    paths = [files["b"], files["a"], files["c"], files["a"]]
    codes = set()
    for name, alone, more in (("here", 9, []), ("pool", 1, []), ("dask", 1, ["--cluster", "local"])):
        monkeypatch.setattr(workers, "ALONE", alone)
        target = str(tmp_path / f"{name}.jsonl")
        codes.add(cli.main(["score", *paths, "--format", "jsonl", "--output", target, *more]))
    assert len(codes) == 1
    found = [(tmp_path / f"{name}.jsonl").read_text() for name in ("here", "pool", "dask")]
    assert found[0] == found[1] == found[2] and found[0].count("\n") == 4


def test_the_base_install_suffices(files):
    """numpy, onnxruntime and polars, and nothing of the study: layers and explanations included."""
    absent = [
        "tensorflow",
        "keras",
        "sklearn",
        "scipy",
        "gensim",
        "pyarrow",
        "onnx",
        "matplotlib",
        "distributed",
    ]
    program = f"import sys; sys.modules.update(dict.fromkeys({absent})); from psembed import cli; "
    program += f"sys.exit(cli.main(['score', '--explain', {files['a']!r}]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1) and done.stderr.startswith("psembed: 1 scored"), done.stderr
