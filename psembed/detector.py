"""Score scripts with an exported detector: no TensorFlow, nothing executed, bounded memory.

A detector is a folder of three files: detector.onnx, tokenizer.json (psembed.tokens.Encoder) and
manifest.json (format, decision threshold, the false-positive rate it was fixed at on validation data, the
temperature that brings scores nearer to probabilities, SHA-256 of the other two, and the profile it is from).
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from psembed import corpus
from psembed.batches import Samples
from psembed.errors import ModelError
from psembed.export import open_session, run_onnx
from psembed.tokens import Encoder
from psembed.workspace import write_json

FORMAT = 2
MODEL, TOKENIZER, MANIFEST = "detector.onnx", "tokenizer.json", "manifest.json"
RELEASED = Path(__file__).parent / "released"
MAX_BYTES = 64 * 2**20  # larger files are refused, not read in part
CHUNK_ROWS, CHUNK_CHARACTERS = 256, 2**24


@dataclass(frozen=True)
class Verdict:
    """What the detector says of one script: no score where it cannot be read, and `reason` says why."""

    score: float | None
    malicious: bool | None
    encoding: str
    reason: str = ""


def save_manifest(folder: Path, *, threshold: float, temperature: float, fpr: float, profile: str) -> dict:
    """Write manifest.json beside detector.onnx and tokenizer.json, which must be there; return it.

    Parameters
    ----------
    folder : Path
    threshold : float
        A script is called malicious if its score is at least this.
    temperature : float
        Divides the log-odds of a score (psembed.calibration); fitted on validation data.
    fpr : float
        False-positive rate (0..1) at which the threshold was fixed on validation data.
    profile : str
        The run that made the model.

    Raises
    ------
    ModelError
        If a file is missing, or a number is out of range.
    """
    folder = Path(folder)
    manifest = {
        "format": FORMAT,
        "threshold": float(threshold),
        "temperature": float(temperature),
        "fpr": float(fpr),
        "sha256": {name: _sha256(folder / name) for name in (MODEL, TOKENIZER)},
        "created_from": profile,
    }
    _check_numbers(manifest)
    write_json(folder / MANIFEST, manifest)
    return manifest


class Detector:
    """An exported detector; make one with `Detector.load`.

    Attributes
    ----------
    threshold : float
        A script is called malicious if its score is at least this.
    temperature : float
        What `calibration.apply` takes to bring scores nearer to probabilities.
    manifest : dict
        Content of manifest.json.
    """

    def __init__(self, session, encoder: Encoder, manifest: dict):
        self._session, self._encoder = session, encoder
        self.manifest = manifest
        self.threshold, self.temperature = float(manifest["threshold"]), float(manifest["temperature"])

    @classmethod
    def load(cls, folder: Path | None = None, *, threads: int = 0) -> "Detector":
        """Open the detector in `folder`, by default the released one.

        Parameters
        ----------
        folder : Path, optional
        threads : int
            Threads of ONNX Runtime; 0 lets it choose.

        Raises
        ------
        ModelError
            If a file is missing, does not match its SHA-256, or is of another format.
        """
        folder = Path(folder) if folder else RELEASED
        manifest = _read_manifest(folder)
        for name in (MODEL, TOKENIZER):
            found, expected = _sha256(folder / name), manifest["sha256"].get(name)
            if found != expected:
                raise ModelError(
                    f"{name} has SHA-256 {found}, manifest.json expects {expected}: the files do not "
                    "belong together; copy the whole folder again"
                )
        encoder = Encoder.from_json((folder / TOKENIZER).read_text(encoding="utf-8"))
        return cls(open_session(folder / MODEL, threads=threads), encoder, manifest)

    def score(self, texts: list[str]) -> np.ndarray:
        """Return float32[n], each script's score in 0..1; higher is more likely malicious."""
        scores = [np.empty(0, dtype=np.float32)]
        for chunk in _chunks(texts):
            tokens, characters = self._encoder.encode([corpus.clean(text) for text in chunk])
            scores.append(run_onnx(self._session, Samples(tokens, characters)))
        return np.concatenate(scores)

    def verdict(self, text: str, *, encoding: str = "text") -> Verdict:
        """Score one decoded script and compare with the threshold."""
        score = float(self.score([text])[0])
        return Verdict(score, score >= self.threshold, encoding)

    def score_bytes(self, data: bytes) -> Verdict:
        """Decode and score one file's bytes; what cannot be read gets score None and a reason."""
        if len(data) > MAX_BYTES:
            return Verdict(None, None, "", f"larger than {MAX_BYTES} bytes")
        text, encoding = corpus.decode(data)
        if text is None or not text.strip():
            reason = "no text in it" if encoding != "binary" else "binary data, not a script"
            return Verdict(None, None, encoding, reason)
        return self.verdict(text, encoding=encoding)


def _chunks(texts: list[str]) -> Iterator[list[str]]:
    """Yield runs of `texts`, in order, of bounded count and total length."""
    chunk: list[str] = []
    size = 0
    for text in texts:
        if chunk and (len(chunk) == CHUNK_ROWS or size + len(text) > CHUNK_CHARACTERS):
            yield chunk
            chunk, size = [], 0
        chunk.append(text)
        size += len(text)
    if chunk:
        yield chunk


def _read_manifest(folder: Path) -> dict:
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
    for name in ("threshold", "fpr"):
        value = manifest.get(name)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ModelError(f"{MANIFEST}: {name} is {value!r}, expected a number from 0 to 1")
    value = manifest.get("temperature")
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelError(f"{MANIFEST}: temperature is {value!r}, expected a number above 0")
    if not isinstance(manifest.get("sha256"), dict):
        raise ModelError(f"{MANIFEST}: sha256 must name {MODEL} and {TOKENIZER}; write it with save_manifest")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read in {path.parent.name!r} ({error.strerror})") from error
