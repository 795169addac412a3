"""Score scripts with an exported detector: no TensorFlow, nothing executed, bounded memory."""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from psembed.detector import manifest, neighbours
from psembed.detector.explain import Explanation, explain
from psembed.detector.manifest import MODEL, NEIGHBOURS, TOKENIZER
from psembed.detector.neighbours import Neighbour, Neighbours
from psembed.detector.onnx_model import FEATURES, SCORE, open_session, run_onnx
from psembed.detector.regions import deciding_region
from psembed.detector.verdict import Item, LayerScore, Verdict
from psembed.powershell import cleaning, decoding
from psembed.powershell.encoding import READ_CHARS, Encoder, Samples, ends
from psembed.powershell.unwrap.dotnet.encodings import well_formed
from psembed.powershell.unwrap.layers import Unwrapped, may_run, unwrap
from psembed.powershell.unwrap.reading import joined, without_data
from psembed.runtime import workers
from psembed.runtime.files import RELEASED, sha256
from psembed.runtime.threads import cores

MAX_BYTES = 64 * 2**20  # larger files are refused, not read in part
VIEW = 2  # times the encoder's characters are about as long as its tokens


class Detector:
    """An exported detector; make one with `Detector.load`.

    Attributes
    ----------
    threshold : float
        A script is called malicious if its score is at least this: that of what is read of it
        (`unwrap.reading`), or of the script by itself if that is higher.
    temperature : float
        What `calibration.apply` takes to bring scores nearer to probabilities.
    manifest : dict
        Content of manifest.json.
    folder : Path

    Examples
    --------
    >>> from psembed import Detector
    >>> verdict = Detector.load().verdict("Get-ChildItem | Sort-Object Length")
    >>> verdict.malicious, verdict.score < 0.1
    (False, True)
    """

    def __init__(self, session, encoder: Encoder, manifest: dict, folder: Path):
        self._session, self._encoder, self.folder = session, encoder, folder
        self.manifest = manifest
        self.threshold, self.temperature = (float(manifest[name]) for name in ("threshold", "temperature"))

    @classmethod
    def load(cls, folder: Path | None = None) -> "Detector":
        """Open the detector in `folder`, by default the released one.

        Raises ModelError if a file is missing, does not match its SHA-256, or is of another format.
        """
        folder = Path(folder) if folder else RELEASED
        stated = manifest.read(folder)
        for name in (MODEL, TOKENIZER, *[NEIGHBOURS] * (NEIGHBOURS in stated["sha256"])):
            manifest.check_hash(folder, name, stated)
        encoder = Encoder.from_json((folder / TOKENIZER).read_text(encoding="utf-8"))
        return cls(open_session(folder / MODEL), encoder, stated, folder)

    def score(self, texts: list[str]) -> np.ndarray:
        """Return float32[n], each script's score in 0..1; higher is more likely malicious.

        Scripts are taken as decoded, and cleaned here; layers are not looked for (`verdicts` does).
        """
        return self._scored(texts, cleaning.clean)

    def score_clean(self, texts: Iterable[str]) -> np.ndarray:
        """Return float32[n], the scores of texts that are clean (`cleaning.clean`) already."""
        return self._scored(texts, str)

    def _scored(self, texts: Iterable[str], cleaned: Callable[[str], str]) -> np.ndarray:
        """Score chunks on all cores that may be used, a few ahead; ONNX Runtime lets go of Python's lock."""

        def scores(chunk: list[str]) -> list[float]:
            return self._scores([*map(cleaned, chunk)])

        threads = cores()
        with ThreadPoolExecutor(threads) as pool:
            chunks = workers.chunks(texts)
            results = workers.ahead(lambda chunk: pool.submit(scores, chunk), chunks, most=2 * threads)
            return np.fromiter(results, dtype=np.float32)

    def features(self, clean_texts: Sequence[str]) -> np.ndarray:
        """Return float32[n, d], what the network's last hidden layer makes of clean texts."""
        return self._run(clean_texts, FEATURES)

    def nearest(self, clean: str) -> list[Neighbour]:
        """Return the training clusters nearest to a clean text; none where the folder does not tell them."""
        return self._known.nearest(self.features([clean])[0]) if self._known else []

    @functools.cached_property
    def _known(self) -> Neighbours | None:
        """The training clusters, read when they are first asked for: scoring needs none."""
        if NEIGHBOURS not in self.manifest["sha256"]:
            return None
        manifest.check_hash(self.folder, NEIGHBOURS, self.manifest)
        return neighbours.read(self.folder / NEIGHBOURS)

    def _scores(self, clean_texts: Sequence[str]) -> list[float]:
        return self._run(clean_texts, SCORE)[:, 0].tolist()

    def _run(self, clean_texts: Sequence[str], output: str) -> np.ndarray:
        tokens, characters = self._encoder.encode([well_formed(text) for text in clean_texts])
        return run_onnx(self._session, Samples(tokens, characters), output=output)

    def view(self, clean: str) -> str:
        """Return what the network reads of a clean text: of a long one about its head and its tail."""
        return ends(clean, VIEW * self._encoder.char_length, between=" ")

    def verdicts(self, items: Iterable[Item]) -> Iterator[Verdict]:
        """Yield the verdict on each item, in order; items are read a chunk at a time."""
        return itertools.chain.from_iterable(map(self.judge, chunks(items)))

    def verdict(self, content: bytes | str, *, name: str = "script") -> Verdict:
        """Score one script, given as bytes or as decoded text, together with its layers."""
        return self.judge([Item(name, content)])[0]

    def explain(self, script: Verdict | str | bytes) -> Explanation:
        """Say which pieces of a script drive its score; see psembed.detector.explain.explain."""
        return explain(self, script)

    def judge(self, items: Sequence[Item], **asked) -> list[Verdict]:
        """Return the verdicts on items that together fit into memory, in order.

        May be `asked`: a `threshold` instead of the detector's (0..1), `regions` of malicious scripts (True),
        `texts` of layers (True).
        """
        unscored = [_read(item) for item in items]
        runs = iter(may_run([text for _, text in unscored if text is not None]))
        verdicts: list[Verdict] = []
        pending: list[tuple[Verdict, Unwrapped]] = []
        size = 0
        for verdict, text in unscored:
            unwrapped = Unwrapped([], "") if text is None else unwrap(text, next(runs))
            pending.append((verdict, unwrapped))
            size += sum(len(layer.text) for layer in unwrapped.layers)
            if size > workers.CHARACTERS:
                verdicts += self._score_layers(pending, asked)
                pending, size = [], 0
        return verdicts + self._score_layers(pending, asked)

    def _score_layers(self, pending: list[tuple[Verdict, Unwrapped]], asked: dict) -> list[Verdict]:
        """Score what is read of several items, and their layers where they have any; return the verdicts."""
        texts = [[_clean(layer.text) for layer in unwrapped.layers] for _, unwrapped in pending]
        # by itself as well, so that a harmless layer hides nothing that stands beside it
        asked_of = [[joined(own), without_data(own[0]), *own] if len(own) > 1 else own for own in texts]
        chunks = workers.chunks(itertools.chain.from_iterable(asked_of))
        scores = itertools.chain.from_iterable(map(self._scores, chunks))
        return [
            self._decide(verdict, unwrapped, own, list(itertools.islice(scores, len(own))), **asked)
            if own
            else verdict
            for (verdict, unwrapped), own in zip(pending, asked_of, strict=True)
        ]

    def _decide(
        self,
        verdict: Verdict,
        unwrapped: Unwrapped,
        clean: list[str],
        scores: list[float],
        *,
        threshold=None,
        regions=False,
        texts=False,
    ) -> Verdict:
        """Add to a verdict what the scores say.

        Those of a script with layers are of all read together, of the script by itself, and of each layer.
        """
        own = scores[2:] or scores
        alone = len(scores) > 1 and scores[1] > scores[0]
        score = scores[alone]
        layers = tuple(
            LayerScore(layer.how, layer.parent, layer.depth, len(layer.text), score)
            for layer, score in zip(unwrapped.layers, own, strict=True)
        )
        malicious = score >= (self.threshold if threshold is None else threshold)
        cut = f"not all layers were uncovered: limit of {unwrapped.cut}" if unwrapped.cut else ""
        verdict = replace(
            verdict,
            score=score,
            malicious=malicious,
            layer=0 if alone else max(range(len(own)), key=lambda number: (own[number], -number)),
            layers=layers,
            read=self.view(clean[alone]),
            reason="; ".join(filter(None, (verdict.reason, cut))),
            texts=tuple(layer.text for layer in unwrapped.layers),
        )
        region = deciding_region(self, verdict) if regions and malicious else None
        return replace(verdict, region=region, texts=verdict.texts * texts)


def _clean(text: str) -> str:
    """Return a text clean, of a long one no more than is read."""
    return ends(cleaning.clean(text, most=READ_CHARS), READ_CHARS)


def _read(item: Item) -> tuple[Verdict, str | None]:
    """Return what is known of an item before it is scored, and its text, None where there is none."""
    content, verdict = item.data, Verdict(item.name, reason=item.reason, event=item.event, part=item.part)
    if content is None:
        return replace(verdict, reason=item.reason or "nothing could be read"), None
    if len(content) > MAX_BYTES:
        return replace(verdict, reason=f"larger than {MAX_BYTES} bytes"), None
    if not content and item.reason:
        return replace(verdict, skipped=item.found), None
    text: str | None
    if isinstance(content, str):
        data, text, encoding = content.encode("utf-8", "surrogatepass"), content, "text"
    else:
        data, (text, encoding) = content, decoding.decode(content)
    verdict = replace(verdict, sha256=sha256(data), encoding=encoding)
    if text is None:
        return replace(verdict, reason="binary data, not a script"), None
    if cleaning.is_blank(text):
        return replace(verdict, reason="no text in it", skipped=item.found), None
    return verdict, text


def chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield runs of items, in order, of bounded count and total length."""
    return workers.chunks(items, lambda item: len(item.data or ""))


def lost(item: Item) -> Verdict:
    """Return the verdict on an item whose process died of it."""
    reason = "the process that scored it died"
    return Verdict(item.name, reason=reason, event=item.event, part=item.part)


def judge(items: Sequence[Item], **asked) -> list[Verdict]:
    """Return the verdicts of the released detector, as `Detector.judge`: work for other processes."""
    return released().judge(items, **asked)


@functools.cache
def released() -> Detector:
    """Return the released detector, which a process loads once. Raises as `Detector.load`."""
    return Detector.load()
