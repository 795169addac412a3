"""Fuzzing by hand: `python tests/fuzz.py TARGET --inputs N`; no test, as it takes minutes to hours.

Targets: verdict (bytes to verdict, the whole path), dotnet (the same bytes in ML.NET and here, all at once,
which needs what `make dotnet` does), layers, log (.evtx), export (events in JSON, CSV or XML),
table (.parquet). Inputs are mutated from seeds (golden texts, encodings of test_layers.py, logs, exports,
tables) by a seeded generator, or with --atheris, where it is installed, by one that looks for new paths
through psembed. An input fails if anything is raised that the documentation does not name, or if it takes
longer than SECONDS of the processor; it is then kept in --keep, as Base64, for a test to be made of it.
"""

import argparse
import base64
import contextlib
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / folder) for folder in ("", "helpers", "powershell"))]


def instrumented() -> contextlib.AbstractContextManager:
    """Return a context in which imports of psembed report the paths they take, if --atheris asks for it."""
    if "--atheris" not in sys.argv:
        return contextlib.nullcontext()
    import atheris

    return atheris.instrument_imports(include=["psembed"])


with instrumented():
    from bench import measuring
    from psembed.detector.detector import Detector
    from psembed.detector.reading import inputs
    from psembed.detector.verdict import Item
    from psembed.powershell.unwrap.layers import unwrap
    from psembed.release import dotnet, golden
    from psembed.runtime.files import RELEASED

SECONDS, MEMORY_GB = 2.0, 1.0  # for one input, which the limit of steps bounds; for all
SPLICES = (
    b"'+'", b"`", b"[char]", b"-join", b"-f", b"-bxor 35", b"%{[char]$_}", b"FromBase64String('", b"-enc ",
    b"$(", b"@'\n", b"\n'@", b"<#", b"#>", b"((((((((", b"))))))))", b"\x00", b"\xff\xfe", b"\xed\xa0\x80",
    b"{0}{1}", b"[convert]::", b"|iex", b"99999999999999999999", b".replace('a','", b"$x='a';$x+=$x;",
    b"while($true){", b"foreach($i in 0..9){", b"function f($x){", b"try{", b"$x[", b"@{a=", b"|%{",
    b"};f 9;", b"PAR1", b"ElfChnk\x00",
)  # fmt: skip


def mutated(random: random.Random, seeds: list[bytes]) -> bytes:
    """Return a seed with a few cuts, repeats, splices and flips."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 8)):
        place = random.randint(0, len(data))
        kind = random.randrange(6)
        if kind == 0:
            data[place:place] = random.choice(SPLICES) * random.choice((1, 1, 1, 2, 50))
        elif kind == 1:
            del data[place : place + random.choice((1, 4, 64, 4096))]
        elif kind == 2 and data:
            data[place % len(data)] = random.randrange(256)
        elif kind == 3:
            other = random.choice(seeds)
            start = random.randint(0, len(other))
            data[place:place] = other[start : start + random.choice((8, 256, 8192))]
        elif kind == 4:
            data[place:place] = data[place : place + random.choice((2, 32, 1024))] * random.choice((1, 3, 20))
        else:
            data[place:place] = random.randbytes(random.choice((1, 2, 8, 64)))
    return bytes(data[: 1 << 20])


def text_seeds() -> list[bytes]:
    """Return generated scripts, plain and in every encoding, and texts that are followed."""
    from test_evaluator import KINDS, UNCERTAIN
    from test_layers import BAITS, ENCODERS

    first = itertools.islice(golden.read(RELEASED / golden.GOLDEN), 300)
    texts = [text for text in map(golden.input_of, first) if len(text) < 20_000]
    texts += [encode(text) for encode in ENCODERS.values() for text in texts[:20]]
    texts += [text for kind in (*KINDS.values(), UNCERTAIN) for text in kind.values()]
    texts += [str(bait)[:20_000] for bait in BAITS]
    return [text.encode("utf-8", "replace") for text in texts]


def verdicts() -> tuple[Callable[[bytes], object], list[bytes]]:
    """The whole path, with the released detector."""
    detector = Detector.load()
    return lambda data: detector.judge([Item("fuzz", data)]), text_seeds()


def layers() -> tuple[Callable[[bytes], object], list[bytes]]:
    """Unwrapping alone."""
    return lambda data: unwrap(data.decode("utf-8", "replace")), text_seeds()


def files(
    extension: str, seeds: Callable[[Path], list[bytes]]
) -> tuple[Callable[[bytes], object], list[bytes]]:
    """Inputs read from a file with this extension."""
    folder = Path(tempfile.mkdtemp())
    path = folder / f"fuzz{extension}"

    def target(data: bytes) -> object:
        path.write_bytes(data)
        return [item.name for item in inputs.Inputs([str(path)])]

    return target, seeds(folder)


def log_seeds(folder: Path) -> list[bytes]:
    """Return logs of one to three parts."""
    from evtx_files import part, write_log

    events = [part(n % 3 + 1, 3, f"Write-Output {n} " * 40, block=str(n // 3)) for n in range(9)]
    return [write_log(folder / "a.evtx", events[:count]).read_bytes() for count in (1, 3, 9)]


def table_seeds(folder: Path) -> list[bytes]:
    """Return tables of texts and of bytes."""
    import polars as pl

    texts = [f"Write-Output {n}" for n in range(50)]
    tables = [
        pl.DataFrame({"text": texts}),
        pl.DataFrame({"path": texts, "data": [t.encode() for t in texts]}),
    ]
    found = []
    for number, table in enumerate(tables):
        table.write_parquet(folder / f"{number}.parquet", row_group_size=20)
        found.append((folder / f"{number}.parquet").read_bytes())
    return found


def export_seeds(folder: Path) -> list[bytes]:
    """Return exports of events in every form."""
    import exported_events as ex

    parts = [(n // 3, n % 3 + 1, 3, f"Write-Output {n} " * 20) for n in range(9)]
    texts = [ex.clixml(parts), "".join(ex.wevtutil(parts)), ex.flat_csv(ex.get_winevent(parts))]
    texts += [ex.flat_csv(ex.defender(parts))]
    records = [write(parts) for write in (ex.evtx_dump, ex.xmltodict, ex.winlogbeat, ex.ecs, ex.get_winevent)]
    texts += [write(each) for each in records for write in (ex.json_lines, json.dumps)]
    return [text.encode(encoding) for text in texts for encoding in ("utf-8", "utf-16")]


TARGETS = {
    "export": lambda: files(".json", export_seeds),
    "verdict": verdicts,
    "layers": layers,
    "log": lambda: files(".evtx", log_seeds),
    "table": lambda: files(".parquet", table_seeds),
}


def main() -> int:
    """Run one target; return 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=(*TARGETS, "dotnet"))
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("work/fuzz"))
    parser.add_argument("--atheris", action="store_true")
    options = parser.parse_args()
    if options.target == "dotnet":
        return compared(random.Random(options.seed), options.inputs)
    target, seeds = TARGETS[options.target]()
    watch = Watch(target, options.keep, options.inputs)
    if options.atheris:
        by_coverage(watch, seeds, folder=options.keep / "corpus" / options.target, seed=options.seed)
    generator = random.Random(options.seed)
    while not watch.is_done:
        watch(mutated(generator, seeds))
    return watch.status


def compared(generator: random.Random, inputs: int) -> int:
    """Score mutated bytes with ML.NET and here; return 1 if a verdict, refusal or score differs."""
    seeds = [*text_seeds(), *(golden.input_of(one) for one in golden.read(RELEASED / golden.GOLDEN))]
    seeds = [seed for seed in seeds if isinstance(seed, bytes) and len(seed) < 20_000]
    files = [mutated(generator, seeds) for _ in range(inputs)]
    with tempfile.TemporaryDirectory() as folder:
        dotnet.build(ROOT, Path(folder))
        found = dotnet.compare(dotnet.python_scores(files), dotnet.mlnet_scores(Path(folder), files)[0])
    print(found)
    return 1 if found["verdicts_differ"] or found["max_abs_diff"] > dotnet.MAX_DIFFERENCE else 0


def by_coverage(watch: "Watch", seeds: list[bytes], *, folder: Path, seed: int) -> None:
    """Let libFuzzer choose the inputs: it keeps, in the folder, and mutates those that take a new path.

    It does not return: the process ends with the status of the watch.
    """
    import atheris

    def tried(data: bytes) -> None:
        watch(data)
        if watch.is_done:
            os._exit(watch.status)  # libFuzzer takes any other way out for a crash

    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds):
        (folder / f"seed{number}").write_bytes(data)
    atheris.Setup([sys.argv[0], f"-seed={seed}", "-max_len=65536", "-rss_limit_mb=0", str(folder)], tried)
    atheris.Fuzz()


class Watch:
    """Calls a target until it had so many inputs; counts and keeps those that it fails on."""

    def __init__(self, target: Callable[[bytes], object], keep: Path, wanted: int):
        self.target, self.keep, self.wanted = target, keep, wanted
        self.inputs, self.failures, self.slowest = 0, 0, 0.0

    def __call__(self, data: bytes) -> None:
        """Try one input."""
        started, failed = time.process_time(), ""
        try:
            self.target(data)
        except Exception as error:
            failed = f"{type(error).__name__}: {str(error)[:200]}"
        taken = time.process_time() - started
        self.inputs += 1
        self.slowest = max(self.slowest, taken)
        failed = failed or ("slow" if taken > SECONDS else "")
        if failed:
            self.failures += 1
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / f"{self.failures}.txt").write_text(f"{failed}\n{base64.b64encode(data).decode()}\n")
        if self.is_done or self.inputs % 10_000 == 0:
            print(self, flush=True)

    @property
    def is_done(self) -> bool:
        """Whether there were as many inputs as wanted."""
        return self.inputs >= self.wanted

    @property
    def status(self) -> int:
        """The exit status: 1 if anything failed, or took more than MEMORY_GB."""
        return 1 if self.failures or measuring.peak_gb() > MEMORY_GB else 0

    def __str__(self) -> str:
        """Return what has been found so far."""
        found = f"{self.inputs:,} inputs, {self.failures} failures, slowest {self.slowest:.2f} s"
        peak = measuring.peak_gb()
        return f"{found}, peak {peak:.2f} GB{' (too much)' if peak > MEMORY_GB else ''}"


if __name__ == "__main__":
    sys.exit(main())
