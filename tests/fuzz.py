"""Fuzzing by hand: `python tests/fuzz.py TARGET --inputs N`; no test, as it takes minutes to hours.

Targets: verdict (bytes to verdict, the whole path), layers, log (.evtx), table (.parquet). Inputs are mutated
from seeds (golden texts, encodings of tests/test_layers.py, logs, tables) by a seeded generator, or with
--atheris, where it is installed, by one that looks for new paths. An input fails if anything is raised that
the documentation does not name, or if it takes longer than SECONDS; it is then kept in --keep, as Base64, for
a test to be made of it.
"""

import argparse
import base64
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from psembed import golden, inputs  # noqa: E402
from psembed.detector import Detector, Item  # noqa: E402
from psembed.layers import unwrap  # noqa: E402

SECONDS, MEMORY = 2.0, 10**9
SPLICES = (
    b"'+'", b"`", b"[char]", b"-join", b"-f", b"-bxor 35", b"%{[char]$_}", b"FromBase64String('", b"-enc ",
    b"$(", b"@'\n", b"\n'@", b"<#", b"#>", b"((((((((", b"))))))))", b"\x00", b"\xff\xfe", b"\xed\xa0\x80",
    b"{0}{1}", b"[convert]::", b"|iex", b"99999999999999999999", b".replace('a','", b"$x='a';$x+=$x;",
    b"PAR1", b"ElfChnk\x00",
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
    """Return generated scripts, plain and in every encoding that is uncovered."""
    from test_layers import BAITS, ENCODERS

    texts = [text for text in golden.texts(300) if len(text) < 20_000]
    texts += [encode(text) for encode in ENCODERS.values() for text in texts[:20]]
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
        return [item.name for item in inputs.items([str(path)])]

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


TARGETS = {
    "verdict": verdicts,
    "layers": layers,
    "log": lambda: files(".evtx", log_seeds),
    "table": lambda: files(".parquet", table_seeds),
}


def main() -> int:
    """Run one target; return 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("work/fuzz"))
    parser.add_argument("--atheris", action="store_true")
    options = parser.parse_args()
    target, seeds = TARGETS[options.target]()
    watch = Watch(target, options.keep)
    if options.atheris:
        import atheris

        atheris.Setup([sys.argv[0], f"-runs={options.inputs}", f"-seed={options.seed}"], watch)
        atheris.Fuzz()
        return 0
    generator = random.Random(options.seed)
    for number in range(options.inputs):
        watch(mutated(generator, seeds))
        if number % 10_000 == 9_999:
            print(f"{number + 1:,} inputs, {watch}", flush=True)
    print(f"{options.target}: {options.inputs:,} inputs, {watch}")
    return 1 if watch.failures else 0


class Watch:
    """Calls a target, and counts and keeps the inputs that it fails on."""

    def __init__(self, target: Callable[[bytes], object], keep: Path):
        self.target, self.keep, self.failures, self.slowest = target, keep, 0, 0.0

    def __call__(self, data: bytes) -> None:
        """Try one input."""
        started, failed = time.perf_counter(), ""
        try:
            self.target(data)
        except Exception as error:
            failed = f"{type(error).__name__}: {str(error)[:200]}"
        taken = time.perf_counter() - started
        self.slowest = max(self.slowest, taken)
        failed = failed or ("slow" if taken > SECONDS + 0.5 else "")  # unwrapping alone may take SECONDS
        if failed:
            self.failures += 1
            self.keep.mkdir(parents=True, exist_ok=True)
            (self.keep / f"{self.failures}.txt").write_text(f"{failed}\n{base64.b64encode(data).decode()}\n")

    def __str__(self) -> str:
        """Return what has been found so far."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        over = " (too much)" if peak > MEMORY else ""
        return f"{self.failures} failures, slowest {self.slowest:.2f} s, peak {peak / 1e9:.2f} GB{over}"


if __name__ == "__main__":
    sys.exit(main())
