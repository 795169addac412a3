"""A soak by hand: `python tests/soak.py --minutes 30`; no test, as it takes as long as it is told.

Scores generated scripts, encoded ones, event logs and tables again and again, as fast as one process can, and
notes the resident memory every minute. Fails if the last third of the time needs more memory than the
second third, beyond SLACK.
"""

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzz import log_seeds, table_seeds, text_seeds  # noqa: E402

from psembed.detector.detector import Detector  # noqa: E402
from psembed.detector.reading import inputs  # noqa: E402

SLACK = 1.02
EVERY = 60  # seconds


def corpus(folder: Path) -> list[str]:
    """Write scripts, logs and tables to a folder; return its path as what to score."""
    for name, seeds in (
        (".ps1", text_seeds()),
        (".evtx", log_seeds(folder)),
        (".parquet", table_seeds(folder)),
    ):
        for number, data in enumerate(seeds):
            (folder / f"{number}{name}").write_bytes(data)
    return [str(folder)]


def soak(seconds: float) -> tuple[int, list[float]]:
    """Return how many items were scored, and the resident memory (10^6 bytes) at the end of every EVERY."""
    detector, process, resident, scored = Detector.load(), psutil.Process(), [], 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        paths = corpus(Path(folder))
        for _ in itertools.count():
            for _ in detector.verdicts(inputs.Inputs(paths)):
                scored += 1
                passed = time.monotonic() - started
                if passed > EVERY * (len(resident) + 1):
                    resident.append(process.memory_info().rss / 1e6)
                    print(f"{passed:6.0f} s  {scored:,} scored  {resident[-1]:.1f} MB", flush=True)
                if passed > seconds:
                    return scored, resident


def main() -> int:
    """Return 1 if memory grew."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30, help="at least 4 (default: 30)")
    scored, resident = soak(60 * max(4, parser.parse_args().minutes))
    third = len(resident) // 3
    second, last = map(statistics.median, (resident[third : 2 * third], resident[-third:]))
    print(f"{scored:,} items, {second:.1f} MB in the second third, {last:.1f} MB in the last")
    return 1 if last > SLACK * second else 0


if __name__ == "__main__":
    sys.exit(main())
