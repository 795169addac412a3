"""manifest.json: what vouches for the files of a detector's folder, and at which score it convicts.

A detector is a folder: detector.onnx, tokenizer.json (psembed.powershell.encoding.Encoder), manifest.json
(format, the decision threshold and that of layers within a script, the false-positive rate they were fixed
at, the temperature that brings scores nearer to probabilities, SHA-256 of the other files, and the profile it
is from) and, where the nearest training scripts are told, neighbours.parquet (psembed.detector.neighbours);
golden.jsonl.gz (psembed.release.golden) may be beside them.
"""

import json
import math
from pathlib import Path

from psembed.runtime.errors import ModelError
from psembed.runtime.files import sha256, write_json

FORMAT = 3
MODEL, TOKENIZER, MANIFEST = "detector.onnx", "tokenizer.json", "manifest.json"
NEIGHBOURS = "neighbours.parquet"


def write(
    folder: Path, *, threshold: float, layer_threshold: float, temperature: float, fpr: float, profile: str
) -> dict:
    """Write manifest.json beside detector.onnx and tokenizer.json, which must be there, and what else is.

    Parameters
    ----------
    folder : Path
    threshold : float
        A script is called malicious if its score is at least this.
    layer_threshold : float
        Or if a layer within it scores at least this (`release.assembly.fit_layer_threshold`).
    temperature : float
        Divides the log-odds of a score (psembed.evaluation.calibration); fitted on validation data.
    fpr : float
        False-positive rate (0..1) at which the threshold was fixed on validation data.
    profile : str
        The run that made the model.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ModelError
        If a file is missing, or a number is out of range.
    """
    folder = Path(folder)
    files = [MODEL, TOKENIZER] + [NEIGHBOURS] * (folder / NEIGHBOURS).exists()
    manifest = {
        "format": FORMAT,
        "threshold": float(threshold),
        "layer_threshold": float(layer_threshold),
        "temperature": float(temperature),
        "fpr": float(fpr),
        "sha256": {name: _hash_of(folder / name) for name in files},
        "created_from": profile,
    }
    _check_numbers(manifest)
    write_json(folder / MANIFEST, manifest)
    return manifest


def read(folder: Path) -> dict:
    """Read and check what `write` wrote. Raises ModelError where it is missing, damaged or of another format."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"no readable {MANIFEST} in {folder.name!r} ({error}): expected a detector's folder"
        ) from error
    if found != FORMAT:
        raise ModelError(
            f"{MANIFEST} has format {found!r}, this version reads {FORMAT}: export the model again"
        )
    _check_numbers(manifest)
    return manifest


def _check_numbers(manifest: dict) -> None:
    for name in ("threshold", "layer_threshold", "fpr"):
        value = manifest.get(name)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ModelError(f"{MANIFEST}: {name} is {value!r}, expected a number from 0 to 1")
    value = manifest.get("temperature")
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelError(f"{MANIFEST}: temperature is {value!r}, expected a number above 0")
    if not isinstance(manifest.get("sha256"), dict):
        raise ModelError(
            f"{MANIFEST}: sha256 must name {MODEL} and {TOKENIZER}; write it with manifest.write"
        )


def check_hash(folder: Path, name: str, manifest: dict) -> None:
    """Refuse a file of the folder that is not the one its manifest names (ModelError)."""
    found, expected = _hash_of(folder / name), manifest["sha256"].get(name)
    if found != expected:
        raise ModelError(
            f"{name} has SHA-256 {found}, {MANIFEST} expects {expected}: the files do not "
            "belong together; copy the whole folder again"
        )


def _hash_of(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read in {path.parent.name!r} ({error.strerror})") from error
