"""Traditional detectors: what a network has to beat.

The one-line rule, and logistic regression on bag-of-words, token 3-grams and character 3-grams. Every
detector has `score(texts) -> float32[n]`, higher is more malicious. The linear ones see clean texts, of
which they read the first 15,000 and the last 5,000 characters where there are more than 20,000.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import csr_array, vstack
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

from psembed.dedup import shingle_hashes
from psembed.errors import CorpusError, ParameterError
from psembed.tokens import tokenise_series

LOG = logging.getLogger(__name__)
HEAD, TAIL = 15_000, 5_000  # characters read of a text that is longer than both together
HASH_COLUMNS = 2**20
CODES = 96  # line ends and tabs as a space, 94 visible ASCII characters, one code for everything else
GRID = (1.0, 10.0, 100.0)  # inverse regularisation strengths tried on validation data
DEFAULT_C = 10.0
_BATCH = 2048  # scripts turned into counts at once


class OneLineRule:
    """The shortcut that separates a popular public set: malicious scripts are one line.

    It works on the decoded text, not the clean one. The score is 1 / (number of lines), so
    the rule itself is a threshold of 1.0; lower thresholds allow a few lines.
    """

    def score(self, texts: pl.Series | Sequence[str]) -> np.ndarray:
        """Return 1 / lines of each text, lines at its start and end that are empty left out."""
        lines = _series(texts).str.strip_chars().str.count_matches(r"\r\n|\r|\n") + 1
        return (1 / lines.to_numpy()).astype(np.float32)


@dataclass(frozen=True)
class LinearDetector:
    """Logistic regression on tf-idf of counted n-grams.

    Attributes
    ----------
    name : str
        One of BASELINES.
    columns : int64[k]
        N-grams kept: those found in at least two training scripts.
    weighting : TfidfTransformer
        Sublinear term frequency, inverse document frequency of the training scripts, L2 norm.
    classifier : LogisticRegression
        Balanced class weights, L2 penalty.
    strength : float
        The inverse regularisation strength (C) chosen.
    tried : dict of float to float
        Average precision on validation data of each strength tried; empty without validation data.
    """

    name: str
    columns: np.ndarray
    weighting: TfidfTransformer
    classifier: LogisticRegression
    strength: float
    tried: dict[float, float]

    def score(self, texts: pl.Series | Sequence[str]) -> np.ndarray:
        """Return the probability of malicious of each clean text (float32[n])."""
        parts = [
            self.classifier.predict_proba(self.weighting.transform(counts[:, self.columns]))[:, 1]
            for counts in _counts(self.name, texts)
        ]
        return np.concatenate([np.empty(0), *parts]).astype(np.float32)


def fit(
    name: str,
    texts: pl.Series | Sequence[str],
    labels: np.ndarray,
    *,
    seed: int,
    validation: tuple[pl.Series | Sequence[str], np.ndarray] | None = None,
) -> OneLineRule | LinearDetector:
    """Fit a baseline on training scripts.

    Parameters
    ----------
    name : str
        "one_line_rule" (nothing is fitted), "bag_of_words", "token_3gram" or "char_3gram".
    texts : Series or sequence of str, length n
        Clean training texts (for the rule: decoded texts).
    labels : int[n]
        1 malicious, 0 benign.
    seed : int
        Random state of the solver.
    validation : (texts, labels), optional
        Where given, the regularisation strength with the best average precision there is chosen
        from GRID (the strongest regularisation on a tie); the model is not fitted to it. Otherwise DEFAULT_C.

    Raises
    ------
    ParameterError
        If the name is unknown.
    CorpusError
        If a class is missing or lengths differ.
    """
    if name not in BASELINES:
        raise ParameterError(f"baseline {name!r}: expected one of {', '.join(BASELINES)}")
    if name == "one_line_rule":
        return OneLineRule()
    labels = _checked(texts, labels)
    counts = vstack(list(_counts(name, texts)), format="csr")
    columns = np.flatnonzero(np.bincount(counts.indices, minlength=counts.shape[1]) > 1)
    weighting = TfidfTransformer(sublinear_tf=True)
    features = weighting.fit_transform(counts[:, columns])
    del counts
    held_out = None
    if validation is not None:
        held_labels = _checked(*validation)
        held_counts = vstack([part[:, columns] for part in _counts(name, validation[0])], format="csr")
        held_out = weighting.transform(held_counts), held_labels
    classifier, strength, tried = _choose(features, labels, held_out, seed=seed)
    LOG.info("%s: %d features, C=%g, average precision %s", name, len(columns), strength, tried)
    return LinearDetector(name, columns, weighting, classifier, strength, tried)


def _choose(
    features: csr_array, labels: np.ndarray, held_out: tuple[csr_array, np.ndarray] | None, *, seed: int
) -> tuple[LogisticRegression, float, dict[float, float]]:
    """Return the classifier, its C and the average precision of each C on held-out scripts."""
    best, tried = None, {}
    for strength in GRID if held_out else (DEFAULT_C,):
        classifier = LogisticRegression(
            C=strength, class_weight="balanced", solver="liblinear", random_state=seed
        ).fit(features, labels)
        if held_out is None:
            return classifier, strength, {}
        scores = classifier.decision_function(held_out[0])
        tried[strength] = float(average_precision_score(held_out[1], scores))
        if best is None or tried[strength] > tried[best[1]]:
            best = classifier, strength
    return *best, tried


def _tokens(texts: pl.Series, size: int) -> tuple[np.ndarray, np.ndarray]:
    hashes, bounds = shingle_hashes(tokenise_series(texts), size)
    return (hashes % np.uint64(HASH_COLUMNS)).astype(np.int64), bounds


def _characters(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the column of every character 3-gram, case kept, and the bounds of each text's."""
    joined = "".join(texts.to_list())
    points = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    codes = np.where((points > 32) & (points < 127), points - 32, CODES - 1).astype(np.int64)
    codes[(points == 32) | ((points >= 9) & (points <= 13))] = 0
    grams = (codes[:-2] * CODES + codes[1:-1]) * CODES + codes[2:]
    ends = np.cumsum(texts.str.len_chars().to_numpy().astype(np.int64))
    starts = np.concatenate([[0], ends[:-1]])
    counts = np.maximum(ends - starts - 2, 0)
    whole = np.arange(len(grams)) < np.repeat(ends - 2, ends - starts)[: len(grams)]
    return grams[whole], np.concatenate([[0], np.cumsum(counts)])


_KINDS: dict[str, tuple[int, Callable[[pl.Series], tuple[np.ndarray, np.ndarray]]]] = {
    "bag_of_words": (HASH_COLUMNS, lambda texts: _tokens(texts, 1)),
    "token_3gram": (HASH_COLUMNS, lambda texts: _tokens(texts, 3)),
    "char_3gram": (CODES**3, _characters),
}
BASELINES = ("one_line_rule", *_KINDS)


def _counts(name: str, texts: pl.Series | Sequence[str]) -> Iterator[csr_array]:
    """Yield counts of n-grams, float32[scripts, columns], a batch of scripts at a time."""
    width, grams_of = _KINDS[name]
    for batch in _ends(_series(texts)).to_frame("text").iter_slices(_BATCH):
        columns, bounds = grams_of(batch["text"])
        ones = np.ones(len(columns), dtype=np.float32)
        indices, starts = columns.astype(np.int32), bounds.astype(np.int32)  # scikit-learn takes no others
        counts = csr_array((ones, indices, starts), shape=(len(batch), width))
        counts.sum_duplicates()
        yield counts


def _ends(texts: pl.Series) -> pl.Series:
    """Return texts with all between the first HEAD and the last TAIL characters left out."""
    short = texts.str.len_chars() <= HEAD + TAIL
    return texts.zip_with(short, texts.str.head(HEAD) + texts.str.tail(TAIL))


def _series(texts: pl.Series | Sequence[str]) -> pl.Series:
    return texts if isinstance(texts, pl.Series) else pl.Series(list(texts), dtype=pl.String)


def _checked(texts: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Return the labels, refusing one class and unequal lengths."""
    labels = np.asarray(labels)
    if len(labels) != len(texts):
        raise CorpusError(f"{len(texts):,} texts and {len(labels):,} labels: expected one label a text")
    if set(np.unique(labels).tolist()) != {0, 1}:
        raise CorpusError(
            f"labels {np.unique(labels).tolist()[:5]}: a baseline needs malicious (1) and benign (0) scripts"
        )
    return labels
