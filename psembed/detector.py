"""Score scripts with an exported detector: no TensorFlow, nothing executed, bounded memory.

A detector is a folder: detector.onnx, tokenizer.json (psembed.tokens.Encoder), manifest.json (format, the
decision threshold and that of layers within a script, the false-positive rate they were fixed at, the
temperature that brings scores nearer to probabilities, SHA-256 of the other files, and the profile it is
from) and, where the nearest training scripts are told, neighbours.parquet (psembed.neighbours);
golden.jsonl.gz (psembed.golden) may be beside them.
"""

import functools
import hashlib
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl

from psembed import corpus, neighbours, workers
from psembed.batches import Samples
from psembed.errors import ModelError
from psembed.export import FEATURES, SCORE, open_session, run_onnx, to_onnx
from psembed.layers import LITERALS, Layer, Unwrapped, may_run, paired, unwrap
from psembed.neighbours import Neighbour, Neighbours
from psembed.tokens import Encoder
from psembed.workspace import write_json

if TYPE_CHECKING:
    from psembed.explain import Explanation

FORMAT = 3
MODEL, TOKENIZER, MANIFEST = "detector.onnx", "tokenizer.json", "manifest.json"
NEIGHBOURS = "neighbours.parquet"
RELEASED = Path(__file__).parent / "released"
MAX_BYTES = 64 * 2**20  # larger files are refused, not read in part
LAYER_SHARE = 0.1  # of the false-positive rate asked for: what layers may add to it
VIEW = 2  # times the encoder's characters are about as long as its tokens


class Item(NamedTuple):
    """Something to score: bytes as they are, a decoded text, or None and the reason it cannot be read.

    A reason beside data is a remark, such as which parts are missing.
    """

    name: str
    data: bytes | str | None
    reason: str = ""


@dataclass(frozen=True)
class LayerScore:
    """The score (0..1) of one layer of a script: how it was uncovered, in which layer, how long it is."""

    how: str
    parent: int
    depth: int
    characters: int
    score: float


@dataclass(frozen=True)
class Verdict:
    """What the detector says of one script.

    Attributes
    ----------
    name, sha256, encoding : str
        The item's name; the hash of its bytes (of a text, as UTF-8); how they were decoded.
    score : float or None
        Of the layer that decides, 0..1; None where nothing could be scored, and `reason` says why.
    malicious : bool or None
        Whether the script itself reaches the threshold, or a layer in it that of layers. A command line that
        does nothing but hand over an encoded script is judged by that script.
    layer : int or None
        The layer that decides: of those that convict the one with the highest score, else the script, 0, or
        what it does nothing but hand over.
    layers : tuple of LayerScore
        The script itself first (psembed.layers).
    read : str
        What the network reads of the layer that decides (`Detector.view`).
    reason : str
        Why there is no score, or a remark: a part of the script is missing, a limit was met.
    """

    name: str
    sha256: str = ""
    encoding: str = ""
    score: float | None = None
    malicious: bool | None = None
    layer: int | None = None
    layers: tuple[LayerScore, ...] = ()
    read: str = ""
    reason: str = ""


def save_manifest(
    folder: Path, *, threshold: float, layer_threshold: float, temperature: float, fpr: float, profile: str
) -> dict:
    """Write manifest.json beside detector.onnx and tokenizer.json, which must be there, and what else is.

    Parameters
    ----------
    folder : Path
    threshold : float
        A script is called malicious if its score is at least this.
    layer_threshold : float
        Or if a layer within it scores at least this (`Detector.fit_layer_threshold`).
    temperature : float
        Divides the log-odds of a score (psembed.calibration); fitted on validation data.
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
        "sha256": {name: _sha256(folder / name) for name in files},
        "created_from": profile,
    }
    _check_numbers(manifest)
    write_json(folder / MANIFEST, manifest)
    return manifest


def assemble(
    folder: Path,
    model,
    encoder: Encoder,
    clean_scripts: Iterable[str],
    *,
    threshold: float,
    temperature: float,
    fpr: float,
    profile: str,
) -> "Detector":
    """Export a Keras network as a detector; its threshold of layers is fitted on clean scripts (as decoded).

    Raises
    ------
    ModelError
        As `save_manifest` and `Detector.fit_layer_threshold` do, or if the network cannot be exported.
    """
    folder.mkdir(parents=True, exist_ok=True)
    to_onnx(model, folder / MODEL)
    (folder / TOKENIZER).write_text(encoder.to_json(), encoding="utf-8")
    settings = {"threshold": threshold, "temperature": temperature, "fpr": fpr, "profile": profile}
    save_manifest(folder, layer_threshold=1.0, **settings)  # until it is fitted
    layer_threshold = Detector.load(folder).fit_layer_threshold(clean_scripts, fpr=fpr)
    save_manifest(folder, layer_threshold=layer_threshold, **settings)
    return Detector.load(folder)


class Detector:
    """An exported detector; make one with `Detector.load`.

    Attributes
    ----------
    threshold, layer_threshold : float
        A script is called malicious if its score is at least the first, or that of a layer within it the
        second.
    temperature : float
        What `calibration.apply` takes to bring scores nearer to probabilities.
    manifest : dict
        Content of manifest.json.
    folder : Path
    """

    def __init__(self, session, encoder: Encoder, manifest: dict, folder: Path):
        self._session, self._encoder, self.folder = session, encoder, folder
        self.manifest = manifest
        self.threshold, self.layer_threshold, self.temperature = (
            float(manifest[name]) for name in ("threshold", "layer_threshold", "temperature")
        )

    @classmethod
    def load(cls, folder: Path | None = None) -> "Detector":
        """Open the detector in `folder`, by default the released one.

        Parameters
        ----------
        folder : Path, optional

        Raises
        ------
        ModelError
            If a file is missing, does not match its SHA-256, or is of another format.
        """
        folder = Path(folder) if folder else RELEASED
        manifest = _read_manifest(folder)
        for name in (MODEL, TOKENIZER, *[NEIGHBOURS] * (NEIGHBOURS in manifest["sha256"])):
            _check_hash(folder, name, manifest)
        encoder = Encoder.from_json((folder / TOKENIZER).read_text(encoding="utf-8"))
        return cls(open_session(folder / MODEL), encoder, manifest, folder)

    def score(self, texts: list[str]) -> np.ndarray:
        """Return float32[n], each script's score in 0..1; higher is more likely malicious.

        Scripts are taken as decoded, and cleaned here; layers are not looked for (`verdicts` does).
        """
        return self._scored(texts, corpus.clean)

    def score_clean(self, texts: Iterable[str]) -> np.ndarray:
        """Return float32[n], the scores of texts that are clean (corpus.clean) already."""
        return self._scored(texts, str)

    def _scored(self, texts: Iterable[str], cleaned: Callable[[str], str]) -> np.ndarray:
        """Score chunks on all cores, a few ahead; ONNX Runtime lets go of Python's lock."""

        def scores(chunk: list[str]) -> list[float]:
            return self._scores([*map(cleaned, chunk)])

        cores = os.cpu_count() or 1
        with ThreadPoolExecutor(cores) as pool:
            found = workers.ahead(partial(pool.submit, scores), workers.chunks(texts), most=2 * cores)
            return np.fromiter(found, dtype=np.float32)

    def features(self, clean_texts: Sequence[str]) -> np.ndarray:
        """Return float32[n, d], what the network's last hidden layer makes of clean texts."""
        return self._run(clean_texts, FEATURES)

    def nearest(self, clean: str) -> list[Neighbour]:
        """Return the training clusters nearest to a clean text; none where the folder does not tell them."""
        return self._known.nearest(self.features([clean])[0]) if self._known else []

    def remember(self, known: pl.DataFrame) -> None:
        """Put training clusters (`neighbours.clusters`) into the folder, for `nearest` of the next `load`."""
        neighbours.write(self.folder / NEIGHBOURS, known, self.features(known["clean"].to_list()))
        save_manifest(
            self.folder,
            threshold=self.threshold,
            layer_threshold=self.layer_threshold,
            temperature=self.temperature,
            fpr=self.manifest["fpr"],
            profile=self.manifest["created_from"],
        )

    @functools.cached_property
    def _known(self) -> Neighbours | None:
        """The training clusters, read when they are first asked for: scoring needs none."""
        if NEIGHBOURS not in self.manifest["sha256"]:
            return None
        _check_hash(self.folder, NEIGHBOURS, self.manifest)
        return neighbours.read(self.folder / NEIGHBOURS)

    def _scores(self, clean_texts: Sequence[str]) -> list[float]:
        return self._run(clean_texts, SCORE)[:, 0].tolist()

    def _run(self, clean_texts: Sequence[str], output: str) -> np.ndarray:
        tokens, characters = self._encoder.encode([paired(text) for text in clean_texts])
        return run_onnx(self._session, Samples(tokens, characters), output=output)

    def fit_layer_threshold(self, clean_scripts: Iterable[str], *, fpr: float) -> float:
        """Return the least threshold of layers that adds no more than LAYER_SHARE of `fpr` to false alarms.

        Parameters
        ----------
        clean_scripts : iterable of str
            As decoded.
        fpr : float
            The false-positive rate asked for (0..1).

        Raises
        ------
        ModelError
            If too many of their layers score 1.
        """
        highest, count = [], 0
        for verdict in self.verdicts(Item(str(n), text) for n, text in enumerate(clean_scripts)):
            count += 1
            if verdict.layers and verdict.layers[0].score < self.threshold:
                highest.append(max((layer.score for layer in verdict.layers[1:]), default=0.0))
        allowed = int(count * fpr * LAYER_SHARE)
        first = sorted(highest, reverse=True)[allowed : allowed + 1] or [0.0]
        if first[0] >= 1:
            raise ModelError(f"more than {allowed} clean layers score 1: no threshold keeps them out")
        return max(self.threshold, math.nextafter(first[0], 2.0))

    def view(self, clean: str) -> str:
        """Return what the network reads of a clean text: of a long one about its head and its tail."""
        width = VIEW * self._encoder.char_length
        tail = width // 4
        return clean if len(clean) <= width else f"{clean[: width - tail]} {clean[-tail:]}"

    def verdicts(self, items: Iterable[Item]) -> Iterator[Verdict]:
        """Yield the verdict on each item, in order; items are read a chunk at a time."""
        return itertools.chain.from_iterable(map(self.judge, chunks(items)))

    def verdict(self, content: bytes | str, *, name: str = "script") -> Verdict:
        """Score one script, given as bytes or as decoded text, and its layers."""
        return self.judge([Item(name, content)])[0]

    def explain(self, script: Verdict | str | bytes) -> "Explanation":
        """Say which pieces of a script drive its score; see psembed.explain.explain."""
        from psembed.explain import explain

        return explain(self, script)

    def judge(self, items: Sequence[Item]) -> list[Verdict]:
        """Return the verdicts on items that together fit into memory, in order."""
        known = [_read(item) for item in items]
        given = [text for _, text in known if text is not None]
        folded = iter(may_run(given))
        judged: list[Verdict] = []
        pending: list[tuple[Verdict, Unwrapped, list[str]]] = []
        size = 0
        for verdict, text in known:
            found = Unwrapped([], "") if text is None else unwrap(text, next(folded))
            pending.append((verdict, found, [corpus.clean(layer.text) for layer in found.layers]))
            size += sum(len(layer.text) for layer in found.layers)
            if size > workers.CHARACTERS:
                judged += self._flushed(pending)
                pending, size = [], 0
        return judged + self._flushed(pending)

    def _flushed(self, pending: list[tuple[Verdict, Unwrapped, list[str]]]) -> list[Verdict]:
        """Score the clean layers of several items together; return the verdicts."""
        clean = [layer for *_, layers in pending for layer in layers]
        scores = itertools.chain.from_iterable(map(self._scores, workers.chunks(clean)))
        scored = zip(clean, scores, strict=True)
        return [
            self._decided(verdict, found, list(itertools.islice(scored, len(layers)))) if layers else verdict
            for verdict, found, layers in pending
        ]

    def _decided(self, verdict: Verdict, found: Unwrapped, scored: list[tuple[str, float]]) -> Verdict:
        """Add to a verdict what its layers, clean, and their scores say."""
        layers = tuple(
            LayerScore(layer.how, layer.parent, layer.depth, len(layer.text), score)
            for layer, (_, score) in zip(found.layers, scored, strict=True)
        )
        outermost, inner = _judged(found.layers)
        guilty = [number for number in outermost if layers[number].score >= self.threshold]
        guilty += [number for number in inner if layers[number].score >= self.layer_threshold]
        highest = max(guilty or outermost, key=lambda number: (layers[number].score, -number))
        cut = f"not all layers were uncovered: limit of {found.cut}" if found.cut else ""
        return replace(
            verdict,
            score=layers[highest].score,
            malicious=bool(guilty),
            layer=highest,
            layers=layers,
            read=self.view(scored[highest][0]),
            reason="; ".join(filter(None, (verdict.reason, cut))),
        )


def _judged(layers: list[Layer]) -> tuple[list[int], list[int]]:
    """Return the layers that may convict: the script, or what it only hands over, and those within.

    One that only hands another over is neither, nor is its text with constants folded.
    """
    carriers = {layer.parent for layer in layers if layer.carried}
    handed_over, outermost, inner = {0}, [], []
    for number, layer in enumerate(layers):
        if layer.carried and layer.parent in handed_over:
            handed_over.add(number)
        if number not in carriers and not (layer.how == LITERALS and layer.parent in carriers):
            (outermost if number in handed_over else inner).append(number)
    return outermost, inner


def _read(item: Item) -> tuple[Verdict, str | None]:
    """Return what is known of an item before it is scored, and its text, None where there is none."""
    content = item.data
    if content is None:
        return Verdict(item.name, reason=item.reason or "nothing could be read"), None
    size = len(content)
    if size > MAX_BYTES:
        return Verdict(item.name, reason=f"larger than {MAX_BYTES} bytes"), None
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    text, encoding = (content, "text") if isinstance(content, str) else corpus.decode(content)
    known = Verdict(item.name, hashlib.sha256(data).hexdigest(), encoding, reason=item.reason)
    if text is None or not text.strip():
        why = "no text in it" if encoding != "binary" else "binary data, not a script"
        return replace(known, reason=why), None
    return known, text


def chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield runs of items, in order, of bounded count and total length."""
    return workers.chunks(items, lambda item: len(item.data or ""))


def lost(item: Item) -> Verdict:
    """Return the verdict on an item whose process died of it."""
    return Verdict(item.name, reason="the process that scored it died")


def judge(items: Sequence[Item]) -> list[Verdict]:
    """Return the verdicts of the released detector: work for other processes."""
    return released().judge(items)


@functools.cache
def released() -> Detector:
    """Return the released detector, which a process loads once. Raises as `Detector.load`."""
    return Detector.load()


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
    for name in ("threshold", "layer_threshold", "fpr"):
        value = manifest.get(name)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ModelError(f"{MANIFEST}: {name} is {value!r}, expected a number from 0 to 1")
    value = manifest.get("temperature")
    if not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ModelError(f"{MANIFEST}: temperature is {value!r}, expected a number above 0")
    if not isinstance(manifest.get("sha256"), dict):
        raise ModelError(f"{MANIFEST}: sha256 must name {MODEL} and {TOKENIZER}; write it with save_manifest")


def _check_hash(folder: Path, name: str, manifest: dict) -> None:
    found, expected = _sha256(folder / name), manifest["sha256"].get(name)
    if found != expected:
        raise ModelError(
            f"{name} has SHA-256 {found}, manifest.json expects {expected}: the files do not "
            "belong together; copy the whole folder again"
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read in {path.parent.name!r} ({error.strerror})") from error
