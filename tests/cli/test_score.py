"""`psembed score`: exit codes, output files, and a summary in which every input has its place."""

import contextlib
import errno
import hashlib
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import types

import polars as pl
import psutil
import pytest
from patience import GUARD, wait_for

from psembed.cli import main, score
from psembed.detector import detector, reports
from psembed.detector.verdict import LayerScore, Verdict
from psembed.runtime import progress, workers

SCRIPT = LayerScore("script", -1, 0, 7, 0.1)
FULL = "/dev/full"  # a file of Linux on a disk that is full
BUFFERED = os.environ | {"PYTHONUNBUFFERED": ""}  # standard output of a program, as by default
needs_full = pytest.mark.skipif(not os.path.exists(FULL), reason=f"there is no {FULL}")


class Terminal(io.StringIO):
    def isatty(self):
        return True

    def pictures(self):
        """What was drawn in the line of the progress, one after the other."""
        return self.getvalue().split(progress.ERASE)

    def seen(self):
        """The lines as they stand in the end."""
        return [line.rpartition(progress.ERASE)[2] for line in self.getvalue().split("\n")]


@pytest.fixture(autouse=True)
def released(monkeypatch):
    """A detector that calls what mentions iex malicious and cannot read NUL bytes."""

    class Fake:
        def judge(self, items, **asked):
            return [self.verdict(item) for item in items]

        def verdict(self, item):
            if not item.data or b"\0" in item.data:
                skipped = item.found and item.data == b""
                reason = item.reason or ("no text in it" if skipped else "binary data, not a script")
                return Verdict(item.name, reason=reason, skipped=skipped)
            bad, sha = b"iex" in item.data, hashlib.sha256(item.data).hexdigest()
            texts = (item.data.decode(),)
            return Verdict(item.name, sha, "ascii", 0.9 if bad else 0.1, bad, 0, (SCRIPT,), texts=texts)

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
    assert main.main(["score", *[files[name] for name in named]]) == code


def test_every_input_is_in_the_output_and_in_the_summary(files, capsys):
    assert main.main(["score", files["all"], files["all"] + "/none.ps1"]) == 1
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["malicious", "clean", "not", "not"]
    assert "No such file" in lines[4]
    assert said.err == (
        "psembed: 2 scored: 1 malicious, 1 clean; 2 not scored; 1 files of other kinds left out\n"
    )


def test_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(b"iex $x")))
    assert main.main(["score", "-"]) == 1
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "-"


def test_an_output_file_appears_whole(files, tmp_path, capsys):
    target = tmp_path / "out" / "found.jsonl"
    assert main.main(["score", files["b"], "--format", "jsonl", "--output", str(target)]) == 0
    assert json.loads(target.read_text())["path"] == files["b"] and capsys.readouterr().out == ""
    target = tmp_path / "found.parquet"
    assert main.main(["score", files["a"], "--format", "parquet", "--output", str(target)]) == 1
    assert pl.read_parquet(target)["verdict"].to_list() == ["malicious"]


@pytest.fixture
def stopped_at_c(monkeypatch, released):
    """Ctrl-C while the third script is scored, each being a batch of its own in this process."""
    judge = released.judge

    def stopping(self, items, **asked):
        if items[0].name.endswith("c.ps1"):
            raise KeyboardInterrupt
        return judge(self, items, **asked)

    monkeypatch.setattr(workers, "ROWS", 1)
    monkeypatch.setattr(workers, "ALONE", 9)
    monkeypatch.setattr(released, "judge", stopping)


def test_a_stopped_run_tells_what_was_scored_and_keeps_what_was_written(files, stopped_at_c, capsys):
    assert main.main(["score", *[files[name] for name in "abc"], "--format", "csv"]) == 130
    said = capsys.readouterr()
    assert [line.split(",")[0] for line in said.out.splitlines()[1:]] == [files["a"], files["b"]]
    assert said.err == ("\npsembed: stopped; 2 scored: 1 malicious, 1 clean; what was written so far stays\n")


def test_a_stopped_run_leaves_the_last_output(files, tmp_path, stopped_at_c, capsys):
    target = tmp_path / "found.csv"
    target.write_text("before")
    before = sorted(tmp_path.iterdir())
    assert main.main(["score", files["b"], files["c"], "--format", "csv", "--output", str(target)]) == 130
    assert target.read_text() == "before" and sorted(tmp_path.iterdir()) == before
    said = capsys.readouterr().err
    assert said == f"\npsembed: stopped; 1 scored: 0 malicious, 1 clean; {target} is as it was\n"


def test_what_was_not_yet_written_is_not_told(files, monkeypatch, capsys):
    def stopped_at_the_second(verdicts, stream):
        next(verdicts), next(verdicts)
        raise KeyboardInterrupt

    monkeypatch.setitem(reports.WRITERS, "csv", stopped_at_the_second)
    assert main.main(["score", files["b"], files["a"], "--format", "csv"]) == 130
    assert "stopped; 1 scored: 0 malicious, 1 clean;" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="no signal can be sent")
def test_ctrl_c_ends_a_wait_for_standard_input():
    """It is waited for where more has been written than a pipe holds, and the process sleeps.

    A signal just before it sleeps would be seen only once it wakes up.
    """
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from psembed.cli.main import main; sys.exit(main(['score', '--format', 'csv', '-']))"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, **pipes) as process:
        assert process.stdout.readline().startswith("path,")
        process.stdin.write("x" * 2**21)
        process.stdin.flush()
        wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING)
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(timeout=GUARD) == 130
        finally:
            process.kill()
        assert process.stderr.read().startswith("\npsembed: stopped; 0 scored")


@needs_full
@pytest.mark.parametrize("form", score.FORMATS)
def test_a_full_disk_is_no_verdict_and_leaves_the_last_output(files, tmp_path, monkeypatch, capsys, form):
    target = tmp_path / "found"
    target.write_text("before")
    before = sorted(tmp_path.iterdir())
    opened = score._opened
    monkeypatch.setattr(score, "_opened", lambda _, binary: opened(score.Path(FULL), binary=binary))
    assert main.main(["score", files["a"], "--format", form, "--output", str(target)]) == 2
    assert target.read_text() == "before" and sorted(tmp_path.iterdir()) == before
    said = capsys.readouterr()
    assert said.err == f"psembed: the disk is full, make room; {target} is as it was\n" and said.out == ""


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOSPC, "the disk is full, make room"), (errno.EACCES, "Permission denied")]
)
def test_an_output_that_cannot_be_put_in_place_is_no_verdict(
    files, tmp_path, monkeypatch, capsys, number, told
):
    def refused(*_):
        raise OSError(number, os.strerror(number))

    target = tmp_path / "found.csv"
    target.write_text("before")
    monkeypatch.setattr(os, "replace", refused)
    assert main.main(["score", files["a"], "--format", "csv", "--output", str(target)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert told in said and said.endswith(f"{target} is as it was") and target.read_text() == "before"


def program(path, stdout):
    """Score with the released detector in a process of its own, which ends as users see it end."""
    command = [sys.executable, "-m", "psembed", "score", path]
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, env=BUFFERED, text=True, check=False
    )


@needs_full
def test_standard_output_on_a_full_disk_is_no_verdict(files):
    with open(FULL, "w") as full:
        done = program(files["b"], full)
    assert done.returncode == 2
    assert done.stderr == "psembed: the disk is full, make room; the output is cut short\n"


def test_nothing_is_left_in_the_home_folder(files, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(home), "USERPROFILE": str(home)}
    command = [sys.executable, "-m", "psembed", "score", files["b"]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("psembed: 1 scored") and list(home.iterdir()) == []


def test_a_closed_pipe_ends_quietly(files):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = program(files["b"], writer)
    finally:
        os.close(writer)
    assert done.returncode == 1 and done.stderr == ""


def test_parquet_is_not_for_a_terminal(files, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main.main(["score", files["a"], "--format", "parquet"]) == 2
    assert "--output FILE" in capsys.readouterr().err


@pytest.fixture
def on_terminal(monkeypatch):
    """Score with a terminal, on which a second passes whenever a clock is read; return its pictures."""

    def run(*paths, seconds=1):
        monkeypatch.setattr(progress, "monotonic", itertools.count(step=seconds).__next__)
        monkeypatch.setattr(sys, "stderr", Terminal())
        main.main(["score", *paths])
        return sys.stderr.pictures()

    return run


def test_a_terminal_sees_a_bar_that_is_erased_in_the_end(files, on_terminal):
    assert on_terminal(files["a"], files["b"], files["a"], files["b"]) == [
        "",
        "[                    ] 0/4 scored, 0 a second",
        "[#####               ] 1/4 scored, 0 a second",
        "[##########          ] 2/4 scored, 1 a second",
        "[###############     ] 3/4 scored, 1 a second",
        "[####################] 4/4 scored, 1 a second",
        "psembed: 4 scored: 2 malicious, 2 clean\n",
    ]


def test_the_bar_is_redrawn_no_more_often_than_eyes_can_follow(files, on_terminal):
    shown = on_terminal(files["a"], files["b"], files["a"], files["b"], seconds=progress.STEP * 0.6)
    assert ["0/4" in shown[1], "2/4" in shown[2], "4/4" in shown[3]] == [True] * 3 and len(shown) == 5


def test_the_bar_knows_of_folders_and_tables(files, tmp_path, on_terminal):
    pl.DataFrame({"data": [b"iex", b"dir", b"ls"]}).write_parquet(tmp_path / "t.parquet")
    (tmp_path / "u.parquet").write_bytes(b"damaged")
    os.symlink(files["a"], tmp_path / "link.ps1")
    *_, before, last, _ = on_terminal(files["all"], files["all"] + "/none.ps1")
    assert "] 7/8 scored" in before and "] 8/8 scored" in last


@pytest.mark.parametrize("log", [False, True])
def test_a_terminal_sees_a_count_where_no_total_is_known(files, tmp_path, on_terminal, monkeypatch, log):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(b"iex $x")))
    (tmp_path / "x.evtx").write_bytes(b"")
    *shown, _ = on_terminal(files["b"], str(tmp_path / "x.evtx") if log else "-")
    assert shown == ["", "0 scored, 0 a second", "1 scored, 0 a second", "2 scored, 1 a second"]


def test_the_bar_and_the_results_share_a_terminal(files, monkeypatch, capsys):
    arguments = ["score", files["all"], "--format", "csv"]
    main.main(arguments)
    plain = capsys.readouterr().out.splitlines()
    shared = Terminal()
    monkeypatch.setattr(sys, "stdout", shared)
    monkeypatch.setattr(sys, "stderr", shared)
    main.main(arguments)
    assert shared.seen()[: len(plain)] == plain and "] 2/3 scored" in shared.getvalue()


def test_no_progress_is_seen_where_there_is_no_terminal(files, capsys):
    main.main(["score", files["a"]])
    assert capsys.readouterr().err == "psembed: 1 scored: 1 malicious, 0 clean\n"


def test_a_folder_with_nothing_to_score_is_said(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("iex")
    assert main.main(["score", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert f"{tmp_path}  (no script, table or event log in this folder)" in said.out
    assert said.err == (
        "psembed: 0 scored: 0 malicious, 0 clean; 1 not scored; 1 files of other kinds left out\n"
    )


def test_what_is_found_with_nothing_to_score_fails_no_run_that_scored_the_rest(files, tmp_path, capsys):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "empty.ps1").write_bytes(b"")
    assert main.main(["score", str(folder)]) == 2
    assert main.main(["score", str(folder), files["b"]]) == 0
    said = capsys.readouterr()
    assert (
        said.err.splitlines()[1] == "psembed: 1 scored: 0 malicious, 1 clean; 1 found with nothing to score"
    )
    assert "not scored  -                   " in said.out and "(no text in it)" in said.out
    assert main.main(["score", str(folder), files["b"], str(folder / "empty.ps1")]) == 2
    assert main.main(["score", str(folder), files["a"]]) == 1


@pytest.mark.parametrize("form", ["table", "jsonl", "csv", "sarif"])
def test_only_malicious_ones_are_shown_and_all_are_counted(files, capsys, form):
    assert main.main(["score", files["all"], "--only", "malicious", "--format", form]) == 1
    said = capsys.readouterr()
    assert "a.ps1" in said.out and "b.ps1" not in said.out and "c.ps1" not in said.out
    assert "2 scored: 1 malicious, 1 clean; 1 not scored" in said.err
    assert main.main(["score", files["b"], files["c"], "--only", "malicious"]) == 2


def test_what_is_asked_reaches_the_detector(files, monkeypatch, released, capsys):
    given = []
    monkeypatch.setattr(released, "judge", lambda self, items, **asked: given.append(asked) or [])
    main.main(["score", files["a"], "--threshold", "0.25"])
    main.main(["score", files["a"], "--format", "sarif"])
    assert given == [
        {"threshold": 0.25, "regions": False, "texts": False},
        {"threshold": None, "regions": True, "texts": False},
    ]


@pytest.mark.parametrize(
    "option",
    [
        *(f"--threshold={number}" for number in ("-0.1", "1.1", "nan", "inf", "much")),
        *(f"--processes={number}" for number in ("0", "-1", "62", "1.5", "all")),
    ],
)
def test_a_number_out_of_bounds_is_refused(files, option):
    with pytest.raises(SystemExit) as caught:
        main.main(["score", files["a"], option])
    assert caught.value.code == 2


def test_processes_are_those_asked_for_here_and_of_a_cluster_of_our_own(files, monkeypatch, capsys):
    given = []
    monkeypatch.setattr(workers, "in_order", lambda *_, processes, **__: given.append(processes) or iter(()))
    main.main(["score", files["a"], "--processes", "3"])
    main.main(["score", files["a"]])
    monkeypatch.setattr(workers, "on_dask", lambda *_: iter(()))
    monkeypatch.setattr(
        workers, "dask", lambda _, *, workers: given.append(workers) or contextlib.nullcontext()
    )
    main.main(["score", files["a"], "--cluster", "local", "--processes", "2"])
    assert given == [3, None, 2]
    capsys.readouterr()
    assert main.main(["score", files["a"], "--cluster", "tcp://127.0.0.1:1", "--processes", "2"]) == 2
    assert "--processes" in capsys.readouterr().err


def test_strict_fails_for_what_was_found_with_nothing_to_score(files, tmp_path, capsys):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "empty.ps1").write_bytes(b"")
    assert main.main(["score", str(tmp_path / "d"), files["b"]]) == 0
    assert main.main(["score", str(tmp_path / "d"), files["b"], "--strict"]) == 2
    assert main.main(["score", files["b"], "--strict"]) == 0
    assert main.main(["score", str(tmp_path / "d"), files["a"], "--strict"]) == 1


@pytest.mark.parametrize("ending", ["jsonl", "JSONL", "parquet"])
def test_layers_go_to_a_file_of_their_own(files, tmp_path, ending, capsys):
    target = tmp_path / f"out [1]/layers.{ending}"
    assert main.main(["score", files["all"], "--layers", str(target), "--only", "malicious"]) == 1
    assert os.listdir(target.parent) == [target.name]
    read = pl.read_parquet if ending == "parquet" else pl.read_ndjson
    table = read(target.read_bytes())
    assert table["text"].to_list() == ["iex $x", "Get-Date"] and table["number"].to_list() == [0, 0]
    assert table["path"].to_list() == [files["a"], files["b"]]


@pytest.mark.parametrize("name", ["out", "out.part", ".part", "out.parquet"])
def test_an_output_may_be_in_the_folder_that_is_scored(files, tmp_path, name, capsys):
    output, layers = tmp_path / name, tmp_path / "layers.parquet"
    known = {path.name for path in tmp_path.iterdir()} | {name, layers.name}
    arguments = ["score", files["all"], "--format", "parquet", "--output", str(output)]
    for _ in range(2):  # the second time it is there already
        assert main.main([*arguments, "--layers", str(layers)]) == 1
        assert pl.read_parquet(output, glob=False).height == 3 and pl.read_parquet(layers).height == 2
        assert "2 scored: 1 malicious, 1 clean; 1 not scored" in capsys.readouterr().err
        assert {path.name for path in tmp_path.iterdir()} == known


def test_layers_of_a_stopped_run_are_not_written(files, tmp_path, stopped_at_c, capsys):
    target = tmp_path / "layers.parquet"
    target.write_text("before")
    before = sorted(tmp_path.iterdir())
    assert main.main(["score", files["a"], files["c"], "--layers", str(target)]) == 130
    assert target.read_text() == "before" and sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["layers.ps1", "layers", "layers.csv", "same.jsonl"])
def test_layers_are_no_scripts_and_not_the_output(files, tmp_path, name, capsys):
    output = ["--format", "jsonl", "--output", str(tmp_path / "same.jsonl")]
    before = sorted(tmp_path.iterdir())
    assert main.main(["score", files["a"], "--layers", str(tmp_path / name), *output]) == 2
    assert "--layers" in capsys.readouterr().err and sorted(tmp_path.iterdir()) == before


@needs_full
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_a_full_disk_leaves_the_last_layers(files, tmp_path, monkeypatch, capsys, ending):
    target = tmp_path / f"layers.{ending}"
    target.write_text("before")
    before = sorted(tmp_path.iterdir())
    if ending == "jsonl":
        opened = score._opened
        monkeypatch.setattr(score, "_opened", lambda _, binary: opened(score.Path(FULL), binary=binary))
    else:
        write = reports.table_of_layers
        monkeypatch.setattr(reports, "table_of_layers", lambda lines, _: write(lines, FULL))
    assert main.main(["score", files["a"], "--layers", str(target)]) == 2
    said = capsys.readouterr().err.casefold()
    assert "the disk is full" in said or "no space left" in said
    assert target.read_text() == "before" and sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("form", score.FORMATS)
def test_what_is_accepted_is_marked_and_fails_no_run(files, tmp_path, capsys, form):
    known, output = tmp_path / "known.json", tmp_path / "out"
    assert main.main(["baseline", files["a"], files["b"], "--output", str(known)]) == 0
    assert [entry["path"] for entry in json.loads(known.read_text())["accepted"]] == [files["a"]]
    (tmp_path / "e.ps1").write_text("iex $y")
    options = ["score", "--baseline", str(known), "--format", form, "--output", str(output)]
    paths = [files["a"], files["b"]]
    assert main.main([*options, *paths]) == 0
    assert "2 scored: 0 malicious, 1 clean, 1 accepted\n" in capsys.readouterr().err
    if form == "parquet":
        assert pl.read_parquet(output)["verdict"].to_list() == ["accepted", "clean"]
    else:
        assert "accepted" in output.read_text()
    assert main.main([*options, *paths, str(tmp_path / "e.ps1")]) == 1
    assert main.main([*options, *paths, files["c"]]) == 2


def test_a_baseline_is_brought_up_to_date_and_keeps_its_comments(files, tmp_path, capsys):
    known = tmp_path / "known.json"
    assert main.main(["baseline", files["a"], "--output", str(known)]) == 0
    known.write_text(known.read_text().replace('"comment": ""', '"comment": "ours"'))
    (tmp_path / "e.ps1").write_text("iex $y")
    assert main.main(["baseline", files["a"], str(tmp_path / "e.ps1"), "--output", str(known)]) == 0
    entries = json.loads(known.read_text())["accepted"]
    assert [entry["comment"] for entry in entries] == ["ours", ""]
    assert main.main(["baseline", files["b"], "--output", str(known)]) == 0
    assert json.loads(known.read_text())["accepted"] == []
    assert main.main(["baseline", files["a"], files["c"], "--output", str(known)]) == 2


def test_a_baseline_replaces_no_other_file(files, tmp_path, capsys):
    assert main.main(["baseline", files["b"], "--output", files["a"]]) == 2
    assert (tmp_path / "a.ps1").read_text() == "iex $x"
    assert "no file of `psembed baseline`" in capsys.readouterr().err
    assert main.main(["score", files["b"], "--baseline", str(tmp_path / "none.json")]) == 2


def test_processes_and_a_cluster_give_the_verdicts_that_this_process_gives(files, tmp_path, monkeypatch):
    """The released detector here, in processes of a pool, and on Dask workers of this machine."""
    monkeypatch.undo()
    monkeypatch.setattr(workers, "ROWS", 1)
    paths = [files["b"], files["a"], files["c"], files["a"]]
    codes = set()
    for name, alone, more in (("here", 9, []), ("pool", 1, []), ("dask", 1, ["--cluster", "local"])):
        monkeypatch.setattr(workers, "ALONE", alone)
        target = str(tmp_path / f"{name}.jsonl")
        codes.add(main.main(["score", *paths, "--format", "jsonl", "--output", target, *more]))
    assert len(codes) == 1
    outputs = [(tmp_path / f"{name}.jsonl").read_text() for name in ("here", "pool", "dask")]
    assert outputs[0] == outputs[1] == outputs[2] and outputs[0].count("\n") == 4


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
    program = f"import sys; sys.modules.update(dict.fromkeys({absent})); from psembed.cli.main import main; "
    program += f"sys.exit(main(['score', '--explain', {files['a']!r}]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1) and done.stderr.startswith("psembed: 1 scored"), done.stderr
