"""Speed, measured in one run against what a user would take instead; `psembed bench` prints and stores it.

The texts are generated (control corpus), so anyone can repeat it; every figure is a median of repeats.
"""

import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from psembed import control, corpus, tokens
from psembed.detector import Detector
from psembed.workspace import write_json

SCRIPTS, REPEATS = 4_000, 5


def _median_seconds(work: Callable[[], object]) -> float:
    """Run `work` once to warm up, then REPEATS times; return the median wall time in seconds."""
    work()
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def texts() -> list[str]:
    """Return the cleaned texts of a generated corpus, in a fixed order."""
    generated = control.generate(scripts=SCRIPTS, seed=1)
    decoded = (corpus.decode(data)[0] for rows in generated.values() for _, data in rows)
    return [corpus.clean(text) for text in decoded if text]


def tokenising(scripts: list[str]) -> dict[str, float]:
    """Compare the vectorised tokeniser with Python `re` on the same texts and pattern (MB/s each)."""
    pattern, column = re.compile(tokens.PATTERN), pl.Series(scripts)
    megabytes = sum(len(text.encode()) for text in scripts) / 1e6
    ours = megabytes / _median_seconds(lambda: tokens.tokenise_series(column))
    theirs = megabytes / _median_seconds(lambda: [pattern.findall(tokens.fold(text)) for text in scripts])
    return {"tokenise_mb_per_s": ours, "re_mb_per_s": theirs, "tokenise_vs_re": ours / theirs}


def scoring(scripts: list[str]) -> dict[str, float]:
    """Measure the released detector from text to score: scripts/s in bulk, and p99 of one script in ms."""
    detector = Detector.load()
    bulk = len(scripts) / _median_seconds(lambda: detector.score(scripts))
    single = []
    for text in scripts[:500]:
        started = time.perf_counter()
        detector.score([text])
        single.append((time.perf_counter() - started) * 1e3)
    return {
        "scripts_per_second": bulk,
        "p50_ms": statistics.median(single),
        "p99_ms": statistics.quantiles(single, n=100)[98],
    }


def main(root: Path) -> dict[str, float]:
    """Run every measurement, store paper/results/bench.json and return it."""
    scripts = texts()
    found = {"scripts": len(scripts), "repeats": REPEATS, **tokenising(scripts), **scoring(scripts)}
    write_json(root / "paper" / "results" / "bench.json", found)
    return found
