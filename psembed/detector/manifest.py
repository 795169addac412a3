"""manifest.json: what vouches for the files of a detector's folder, and at which score it convicts.

A detector is a folder: detector.onnx, tokenizer.json (psembed.powershell.encoding.Encoder), manifest.json
(format, the decision threshold, the false-positive rate it was fixed at, the temperature that brings scores
nearer to probabilities, lengths of rows for ports, SHA-256 of the other files, and the profile it is from)
and, where the nearest training scripts are told, neighbours.parquet (psembed.detector.neighbours);
golden.jsonl.gz (psembed.release.golden) may be beside them.
"""

import math
from pathlib import Path

from psembed.powershell.encoding import Encoder, buckets
from psembed.runtime import manifests
from psembed.runtime.errors import ModelError
from psembed.runtime.files import write_json

FORMAT = 4
MODEL, TOKENIZER, MANIFEST = "detector.onnx", "tokenizer.json", "manifest.json"
NEIGHBOURS = "neighbours.parquet"
REMEDY = "export the model again, or copy the whole folder again"


def write(folder: Path, *, threshold: float, temperature: float, fpr: float, profile: str) -> dict:
    """Write manifest.json beside detector.onnx and tokenizer.json, which must be there, and what else is.

    A script is called malicious if its score is at least `threshold`. `temperature` divides the log-odds of
    a score (psembed.evaluation.calibration); `fpr` (0..1) is the false-positive rate at which the threshold
    was fixed on clean scripts of other folds; `profile` names the run that made the model. Returns the
    manifest. Raises ModelError where a file is missing, or a number is out of range.
    """
    folder = Path(folder)
    files = [MODEL, TOKENIZER] + [NEIGHBOURS] * (folder / NEIGHBOURS).exists()
    hashes = {name: manifests.hash_of(folder / name, remedy=REMEDY) for name in files}
    manifest = {
        "format": FORMAT,
        "threshold": float(threshold),
        "temperature": float(temperature),
        "fpr": float(fpr),
        "buckets": buckets(Encoder.from_json((folder / TOKENIZER).read_text(encoding="utf-8"))),
        "sha256": hashes,
        "created_from": profile,
    }
    _check_fields(manifest)
    write_json(folder / MANIFEST, manifest)
    return manifest


def read(folder: Path) -> dict:
    """Read and check what `write` wrote; ModelError where it is missing, damaged or of another format."""
    manifest = manifests.read(folder / MANIFEST, version=FORMAT, remedy=REMEDY)
    _check_fields(manifest)
    return manifest


def _check_fields(manifest: dict) -> None:
    manifests.check_fields(MANIFEST, manifest, {"sha256": dict}, remedy=REMEDY)
    for name in ("threshold", "fpr"):
        value = manifest.get(name)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ModelError(f"{MANIFEST}: {name} is {value!r}, expected a number from 0 to 1")
    value = manifest.get("temperature")
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelError(f"{MANIFEST}: temperature is {value!r}, expected a number above 0")


def check_hash(folder: Path, name: str, manifest: dict) -> None:
    """Refuse a file of the folder that is not the one its manifest names (ModelError)."""
    remedy = "the files do not belong together; copy the whole folder again"
    manifests.check_hash(folder / name, manifest["sha256"].get(name), remedy=remedy)
