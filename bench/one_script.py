"""`python -m bench.one_script`: one script from standard input, scored in a process of its own."""

import json
import sys

from bench import measuring
from psembed.detector.detector import Detector

if __name__ == "__main__":
    ours, data = Detector.load(), sys.stdin.buffer.read()
    seconds = measuring.timed(lambda: ours.verdict(data))
    print(json.dumps({"bytes": len(data), "seconds": seconds, "peak_gb": measuring.peak_gb()}))
