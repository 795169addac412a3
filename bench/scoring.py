"""Scoring, measured from raw bytes to verdict: beside what a user would take instead, and by a script's size.

Ours uncovers layers and scores each. The others do less: Keras scores the script alone with the network the
detector was exported from, tf-idf with logistic regression its character 3-grams, and tree-sitter parses it
and scores nothing.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from bench import measuring
from psembed.cli.score import FOUND
from psembed.detector import detector
from psembed.detector.detector import Detector
from psembed.detector.verdict import Item
from psembed.models import baselines
from psembed.powershell import cleaning, decoding
from psembed.powershell.encoding import Encoder, Samples
from psembed.project.workspace import Workspace
from psembed.runtime import workers
from psembed.runtime.errors import PsembedError
from psembed.runtime.threads import cores

BULK, SINGLE, REPEATS = 8_000, 1_000, 3  # scripts scored in bulk and one by one, and how often in bulk
LARGEST = 100_000  # bytes of a script
SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 50_000_000)  # bytes
CORES = cores()


def main(root: Path, contents: list[bytes]) -> dict:
    """Measure the released detector.

    Parameters
    ----------
    root : Path
        Where work/public/ would be, whose network Keras takes; without it there is no figure for Keras.
    contents : list of bytes
        Files as they are; of those up to LARGEST, BULK at equal distances are taken.

    Returns
    -------
    dict
        scripts, cores : int. scripts_per_second, keras_per_second, tfidf_per_second, tree_sitter_per_second :
        from bytes on, on all cores. alone_per_second : ours without layers, as Keras does it.
        score_vs_keras, verdict_vs_keras : ratios without layers and with them. p50_ms, p99_ms : one script in
        a warm process; alone_p99_ms : without layers. cold_seconds : from the start of the program to its
        first verdict. sizes : list of dict with bytes, seconds and peak_gb of a process that scores one such
        script.
    """
    small = [data for data in contents if len(data) <= LARGEST and decoding.decode(data)[0]]
    scripts = evenly_spaced(small, BULK)
    works = {"scripts": _in_layers(scripts), "alone": _alone(scripts), **_rivals(root, scripts)}
    rates = {name: len(scripts) / seconds for name, seconds in _in_turn(works).items()}
    keras = rates.get("keras")
    return {
        "scripts": len(scripts),
        "cores": CORES,
        **{
            f"{name}_per_second": rates.get(name)
            for name in ("scripts", "alone", "keras", "tfidf", "tree_sitter")
        },
        "verdict_vs_keras": keras and rates["scripts"] / keras,
        "score_vs_keras": keras and rates["alone"] / keras,
        **_latency(evenly_spaced(scripts, SINGLE)),
        "cold_seconds": _in_turn({"": _program(scripts[0])})[""],
        "sizes": [_sized(scripts, size) for size in SIZES],
    }


def evenly_spaced(contents: list[bytes], count: int) -> list[bytes]:
    """Return up to `count` of the contents, at equal distances."""
    places = np.linspace(0, len(contents), min(count, len(contents)), endpoint=False).astype(int)
    return [contents[place] for place in places]


def _in_turn(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median wall time of each in seconds, after a warm-up."""
    for work in works.values():
        work()
    return measuring.in_turn(works, REPEATS)


def _in_layers(contents: list[bytes]) -> Callable[[], object]:
    """Return what `psembed score` does with many scripts."""
    batches = list(detector.chunks(Item(str(number), data) for number, data in enumerate(contents)))
    return lambda: list(workers.in_order(detector.judge, batches, lost=detector.lost))


def _alone(contents: list[bytes]) -> Callable[[], object]:
    ours = Detector.load()
    return lambda: ours.score([decoding.decode(data)[0] for data in contents])


def _rivals(root: Path, contents: list[bytes]) -> dict[str, Callable[[], object]]:
    def clean() -> list[str]:
        return [cleaning.clean(decoding.decode(data)[0]) for data in contents]

    simple = baselines.fit("char_3gram", clean(), np.arange(len(contents)) % 2, seed=1)
    works = {"tfidf": lambda: simple.score(clean()), "tree_sitter": _parser(contents)}
    work = Workspace("public", root=root).work
    if (work / "network.keras").is_file() and (work / "tokenizer.json").is_file():
        works["keras"] = _keras(work, clean)
    return works


def _parser(contents: list[bytes]) -> Callable[[], object]:
    import tree_sitter
    import tree_sitter_powershell

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    return lambda: [parser.parse(data) for data in contents]


def _keras(work: Path, clean: Callable[[], list[str]]) -> Callable[[], object]:
    """Return what a user of Keras would write: clean, encode, predict."""
    from psembed.models import network

    model = network.load(work / "network.keras")
    encoder = Encoder.from_json((work / "tokenizer.json").read_text(encoding="utf-8"))

    def predict() -> object:
        rows = Samples(*encoder.encode(clean()))
        return model.predict([getattr(rows, tensor.name) for tensor in model.inputs], verbose=0)

    return predict


def _latency(contents: list[bytes]) -> dict[str, float]:
    """Return percentiles of the milliseconds that one script takes."""
    ours = Detector.load()
    whole = _milliseconds(ours.verdict, contents)
    alone = _milliseconds(lambda data: ours.score([decoding.decode(data)[0]]), contents)
    return {"p50_ms": whole[49], "p99_ms": whole[98], "alone_p99_ms": alone[98]}


def _milliseconds(work: Callable[[bytes], object], contents: list[bytes]) -> list[float]:
    """Return the 1st to the 99th percentile."""
    work(contents[0])
    return statistics.quantiles([1e3 * measuring.timed(partial(work, data)) for data in contents], n=100)


def _program(data: bytes) -> Callable[[], object]:
    command = [sys.executable, "-m", "psembed", "score", "-"]

    def program() -> None:
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        if done.returncode not in (0, FOUND):
            raise PsembedError(f"psembed score failed: {done.stderr.decode()[-200:]}")

    return program


def _sized(contents: list[bytes], size: int) -> dict[str, float]:
    """Score one script of so many bytes, made of several, in a process of its own."""
    joined = b"\n".join(contents)
    data = (joined * (size // len(joined) + 1))[:size]
    command = [sys.executable, "-m", "bench.one_script"]
    return json.loads(subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout)
