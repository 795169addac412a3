"""Why a script scores as it does: which pieces of it drive the score, found by leaving some out.

What is read of a script and its layers is cut into pieces, and random halves of them are scored: what the
log-odds lose without a piece, by a linear model, is its weight. Pieces that matter are cut again. Whether the
marks are faithful is measured by `deletion_curve`: leaving out the heaviest pieces first must lower the score
faster than any others. Beside the marks stand the training clusters that the network finds most alike
(psembed.detector.neighbours).

Everything shown is defanged (`defang`), piece by piece; a piece never cuts an address.
"""

import html
import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from psembed.detector.neighbours import Neighbour
from psembed.detector.verdict import Verdict, log_odds
from psembed.powershell import defanging
from psembed.runtime.errors import ParameterError

COARSE, FINE = 40, 4  # pieces at first, and pieces that one which matters is cut into
REFINED = 8  # pieces that are cut again
SAMPLES, RIDGE = 256, 0.1  # random halves of the pieces, and what keeps the weights of rare ones small
SHOWN = 60  # characters of a piece that are shown
# An address, or what stands up to the next white space. Each is looked at once, so that the time is linear.
_ADDRESS_OR_WORDS = re.compile(r"(?P<address>\S*://\S*\s*)|\S*+[\s;|{}()]*+")
_WORD = re.compile(r"[^\s;|{}()]*+[\s;|{}()]++|[^\s;|{}()]++")
_COLOURS = (None, 224, 217, 210, 203, 196)  # of a terminal with 256: from no mark to red


class Scorer(Protocol):
    """What explaining asks of a detector."""

    threshold: float

    def verdict(self, content: bytes | str) -> Verdict:
        """Score a script and its layers."""

    def score_clean(self, texts: Iterable[str]) -> np.ndarray:
        """Score clean texts (float32[n])."""

    def view(self, clean: str) -> str:
        """Return what is read of a clean text."""

    def nearest(self, clean: str) -> list[Neighbour]:
        """Return the training clusters nearest to a clean text."""


@dataclass(frozen=True)
class Piece:
    """A piece of the explained text, its place there, and what the log-odds lose without it (nats)."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True, repr=False)
class Explanation:
    """Why a script scores so.

    It has this `score` (0..1) together with its layers, and is malicious from `threshold` on. `layer` scores
    highest alone, and was uncovered as `how` says. `text` is what the network reads: the script and its
    layers, clean, of a long text head and tail. `pieces` are all of `text`, from left to right. `nearest` are
    the training clusters most like it, the nearest first; none where the detector does not tell them.
    """

    score: float
    threshold: float
    layer: int
    how: str
    text: str
    pieces: tuple[Piece, ...]
    nearest: tuple[Neighbour, ...] = ()

    def __repr__(self) -> str:
        """Return a line without the text, which may not be safe to show."""
        return f"Explanation(score={self.score:.4f}, layer={self.layer}, {len(self.pieces)} pieces)"

    def shades(self) -> list[tuple[str, float]]:
        """Return each piece, defanged, with its weight as a share (0..1) of the heaviest's, or of one nat."""
        heaviest = max([1.0, *(piece.weight for piece in self.pieces)])
        return [(self._shown(piece), max(0.0, piece.weight / heaviest)) for piece in self.pieces]

    def to_terminal(self) -> str:
        """Return the pieces with red behind what raises the score."""
        parts = []
        for text, share in self.shades():
            colour = _COLOURS[round(share * (len(_COLOURS) - 1))]
            parts.append(f"\033[30;48;5;{colour}m{text}\033[0m" if colour else text)
        return "\n".join([" ".join(parts), *self._alike()])

    def to_text(self, *, most: int = 8) -> str:
        """Return the heaviest pieces, a line each with its weight, for where there is no colour."""
        heavy = sorted(self.pieces, key=lambda piece: -piece.weight)[:most]
        lines = [f"{piece.weight:+7.2f}  {self._shown(piece)}" for piece in heavy if piece.weight > 0]
        return "\n".join([*lines, *self._alike()])

    def _shown(self, piece: Piece) -> str:
        return defanging.defang(self.text[piece.start : piece.end], limit=SHOWN)

    def _alike(self) -> list[str]:
        """Return a line for each of the nearest training clusters."""
        return [
            f"like {one.similarity:.2f}  {'malicious' if one.label else 'clean'}, {one.source}, "
            f"{one.scripts} script{'s' * (one.scripts > 1)} such as {one.sha256[:16]}"
            for one in self.nearest
        ]

    def _repr_html_(self) -> str:
        marked = "".join(
            f'<span style="background:rgba(213,94,0,{share:.2f})">{html.escape(text)} </span>'
            for text, share in self.shades()
        )
        head = f"score {self.score:.4f} (threshold {self.threshold:.4f}), layer {self.layer}: {self.how}"
        alike = "".join(f"<li>{html.escape(line)}</li>" for line in self._alike())
        return f"<p>{html.escape(head)}</p><pre style='white-space:pre-wrap'>{marked}</pre><ul>{alike}</ul>"


def explain(detector: Scorer, script: Verdict | str | bytes) -> Explanation:
    """Explain the score of a script together with its layers, given as it is or by its verdict.

    Raises ParameterError if the script cannot be scored; the message says why.
    """
    verdict = script if isinstance(script, Verdict) else detector.verdict(script)
    if verdict.layer is None or verdict.score is None:
        raise ParameterError(f"{verdict.name}: {verdict.reason}; there is no score to explain")
    return Explanation(
        score=verdict.score,
        threshold=detector.threshold,
        layer=verdict.layer,
        how=verdict.layers[verdict.layer].how,
        text=verdict.read,
        pieces=tuple(weighed_pieces(detector, verdict.read)),
        nearest=tuple(detector.nearest(verdict.read)),
    )


def weighed_pieces(detector: Scorer, text: str, *, samples: int = SAMPLES) -> list[Piece]:
    """Return the pieces of a clean text, from left to right; those that matter most have been cut twice.

    Two times `samples` texts are scored: the fewer, the less certain are the weights.
    """
    coarse = _weighed(detector, text, _grouped(_words(text), COARSE), samples)
    heavy = sorted(coarse, key=lambda piece: -piece.weight)[:REFINED]
    spans = [(piece.start, piece.end) for piece in coarse if piece not in heavy]
    spans += [span for piece in heavy for span in _grouped(_words(text, piece.start, piece.end), FINE)]
    return _weighed(detector, text, sorted(spans), samples)


def _words(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Return the places of words with what separates them, which cover `text` from start to end."""
    words = []
    for match in _ADDRESS_OR_WORDS.finditer(text, start, len(text) if end is None else end):
        inside = [match] if match["address"] else _WORD.finditer(text, *match.span())
        words += [word.span() for word in inside]
    return words


def _grouped(words: list[tuple[int, int]], count: int) -> list[tuple[int, int]]:
    """Join neighbouring words into at most `count` pieces of about equal length."""
    if not words:
        return []
    first, size = words[0][0], (words[-1][1] - words[0][0]) / count
    pieces: list[tuple[int, int]] = []
    for start, end in words:
        if pieces and (start - first) // size == (pieces[-1][0] - first) // size:
            pieces[-1] = (pieces[-1][0], end)
        else:
            pieces.append((start, end))
    return pieces


def _weighed(detector: Scorer, text: str, spans: list[tuple[int, int]], samples: int) -> list[Piece]:
    """Return a piece for each span, weighed by a linear model of what random halves of the pieces score.

    A piece of which another says the same would weigh nothing if it were left out alone (LIME, Ribeiro et al.
    2016).
    """
    if not spans:
        return []
    kept = np.random.default_rng(0).random((samples, len(spans))) < 0.5
    parts = [text[start:end] for start, end in spans]
    first, last = text[: spans[0][0]], text[spans[-1][1] :]
    texts = [first + "".join(itertools.compress(parts, row)) + last for row in kept.tolist()]
    odds = log_odds(detector.score_clean(texts), nearest=1e-7)
    present, gained = kept - kept.mean(axis=0), odds - odds.mean()
    weights = np.linalg.solve(present.T @ present + RIDGE * np.eye(len(spans)), present.T @ gained)
    return [Piece(*span, weight) for span, weight in zip(spans, weights.tolist(), strict=True)]


def deletion_curve(detector: Scorer, explained: Explanation, *, seed: int | None = None) -> np.ndarray:
    """Return the score after leaving out 0, 1, 2, ... pieces, float32[pieces + 1].

    The heaviest go first, or, with a seed, those of a random order, to compare with.
    """
    order = np.argsort([-piece.weight for piece in explained.pieces], kind="stable")
    if seed is not None:
        order = np.random.default_rng(seed).permutation(order)
    parts, texts = [explained.text[piece.start : piece.end] for piece in explained.pieces], [explained.text]
    for number in order.tolist():
        parts[number] = ""
        texts.append("".join(parts))
    return detector.score_clean(texts)
