"""Traditional detectors: what a network has to beat.

The one-line rule; boosted trees on length alone and on all hand-made features; logistic regression on
bag-of-words, token 3-grams and character 3-grams; a support vector machine on the last; and novelty, which
knows clean scripts alone. Every detector has `score(texts) -> float32[n]`, higher is more malicious. All but
the rule see clean texts with their layers (`psembed.powershell.unwrap.reading`), of which they read the first
15,000 and the last 5,000 characters where there are more than 20,000. Each that is tuned is tried at as many
strengths of one number, so none wins by more tuning than another.
"""

import logging
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_array, vstack
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from psembed.datasets.shingles import shingle_hashes
from psembed.models import features
from psembed.powershell.encoding import CHARACTERS, character_ids
from psembed.powershell.tokens import tokenize_series
from psembed.runtime.errors import CorpusError, ParameterError
from psembed.runtime.threads import THREADS

LOG = logging.getLogger(__name__)
HASH_COLUMNS = 2**20
CODES = CHARACTERS - 1  # the encoder's character ids without that of padding
TREES = 200
SVM_PASSES = 10_000  # at most; it stops when it has converged
_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
GRIDS: dict[str, tuple[float, ...]] = {name: tuple(grid) for name, grid in _DATA["strengths"].items()}
"""The strengths tried of each model that is tuned, as many of each, strongest regularisation first."""
BASELINES = ("one_line_rule", *GRIDS, "novelty")
DEFAULT = 2  # place in the grid of the strength taken where none is given or chosen
_BATCH = 2048  # scripts turned into counts at once
# Several threads of OpenMP spin as they wait, on cores that are shared. BLAS keeps its own, whose number
# decides the last bits of a linear model.
_ONE_THREAD = {"limits": 1, "user_api": "openmp"}


class Read:
    """Texts whose n-grams and features are counted once, however many models read a part of them."""

    def __init__(self, texts: pl.Series | Sequence[str]):
        self.texts, self.chosen = features.series(texts), None
        self._known: dict[str, csr_array | np.ndarray] = {}

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.texts) if self.chosen is None else len(self.chosen)

    def rows(self, chosen: np.ndarray) -> "Read":
        """Return those texts (int64[n]) of all; what is counted of them is shared."""
        part = Read.__new__(Read)
        part.texts, part.chosen, part._known = self.texts, np.asarray(chosen), self._known
        return part

    def counted(self, name: str) -> csr_array | np.ndarray:
        """Return what a model reads of the texts: counts of n-grams, or features, a row each."""
        name = _SAME.get(name, name)
        if name not in self._known:
            self._known[name] = _VIEWS[name](self.texts) if name in _VIEWS else _counts(name, self.texts)
        known = self._known[name]
        return known if self.chosen is None else known[self.chosen]


Texts = pl.Series | Sequence[str] | Read
Classifier = LogisticRegression | LinearSVC | HistGradientBoostingClassifier


def texts(name: str, read: Read, rows: pl.DataFrame) -> Texts:
    """Return what a model is given of samples: raw texts for the rule, else those of `read` at `place`."""
    return rows["text"] if name == "one_line_rule" else read.rows(rows["place"].to_numpy())


class OneLineRule:
    """The shortcut that separates a popular public set: malicious scripts, as decoded, are one line.

    The rule itself is a threshold of 1.0; lower ones allow a few lines.
    """

    def score(self, texts: pl.Series | Sequence[str]) -> np.ndarray:
        """Return 1 / lines of each text, lines at its start and end that are empty left out."""
        lines = features.series(texts).str.strip_chars().str.count_matches(r"\r\n|\r|\n") + 1
        return (1 / lines.to_numpy()).astype(np.float32)


@dataclass(frozen=True)
class TfIdf:
    """Turns texts into tf-idf of counted n-grams: sublinear term frequency, L2 norm."""

    name: str  # a linear one of BASELINES
    columns: np.ndarray  # int64[k], n-grams kept: those found in at least two training scripts
    weighting: TfidfTransformer  # with the inverse document frequency of the training scripts

    def __call__(self, texts: Texts) -> csr_array:
        """Return the weights of clean texts (float32[n, k])."""
        return self.weighting.transform(_counted(self.name, texts)[:, self.columns])


@dataclass(frozen=True)
class Novelty:
    """How unlike clean training scripts a text is: the rarity of its character 3-grams among these.

    No malicious script is learned from.
    """

    rarity: np.ndarray  # float32[columns]: minus the logarithm of the share of clean scripts that hold it

    def score(self, texts: Texts) -> np.ndarray:
        """Return the logistic function of the mean rarity of each text's distinct n-grams, less five."""
        held = _counted(_CHARACTERS_OF, texts)
        held = csr_array((np.ones_like(held.data), held.indices, held.indptr), shape=held.shape)
        number = np.maximum(np.diff(held.indptr), 1)
        return expit(held @ self.rarity / number - 5).astype(np.float32)


@dataclass(frozen=True)
class FittedBaseline:
    """A classifier, with balanced class weights, of what a view makes of clean texts."""

    view: Callable[[Texts], csr_array | np.ndarray]  # TfIdf, or what counts features
    classifier: Classifier
    strength: float  # the one chosen of GRIDS: inverse regularisation strength (C), or leaves of each tree
    tried: dict[float, float]  # strength to average precision on validation data; empty without these

    def score(self, texts: Texts) -> np.ndarray:
        """Return the logistic function of each clean text's decision value (float32[n])."""
        if not len(texts):
            return np.empty(0, dtype=np.float32)
        return expit(_decisions(self.classifier, self.view(texts))).astype(np.float32)


def fit(
    name: str,
    texts: Texts,
    labels: np.ndarray,
    *,
    seed: int,
    strength: float | None = None,
    validation: tuple[Texts, np.ndarray] | None = None,
) -> OneLineRule | Novelty | FittedBaseline:
    """Fit one of BASELINES on clean texts (for the rule: decoded ones) and labels, 1 malicious, 0 benign.

    Where `validation` (texts, labels) is given, the strength with the best average precision there is chosen
    from the model's grid (the strongest regularisation on a tie); the model is not fitted to it. Otherwise
    it is `strength`, or the one at DEFAULT.

    Raises ParameterError if the name is unknown, CorpusError if a class is missing or lengths differ.
    """
    if name not in BASELINES:
        raise ParameterError(f"baseline {name!r}: expected one of {', '.join(BASELINES)}")
    if name == "one_line_rule":
        return OneLineRule()
    labels = _checked(texts, labels)
    if name == "novelty":
        return _novelty(texts, labels)
    if validation is not None:
        validation = validation[0], _checked(*validation)
    view, seen = _view(name, texts)
    held_out = None if validation is None else (view(validation[0]), validation[1])
    return FittedBaseline(view, *_choose(name, seen, labels, held_out, seed=seed, strength=strength))


def _novelty(texts: Texts, labels: np.ndarray) -> Novelty:
    held = _counted(_CHARACTERS_OF, texts)[np.flatnonzero(labels == 0)]
    scripts = np.bincount(held.indices, minlength=held.shape[1])
    return Novelty(-np.log((scripts + 1) / (held.shape[0] + 1)).astype(np.float32))


def _counted(name: str, texts: Texts) -> csr_array | np.ndarray:
    return (texts if isinstance(texts, Read) else Read(texts)).counted(name)


def _view(name: str, texts: Texts) -> tuple[Callable, csr_array | np.ndarray]:
    """Return what turns texts into features, fitted on training texts, and the features of these."""
    seen = _counted(name, texts)
    if name in _VIEWS:
        return partial(_counted, name), seen
    columns = np.flatnonzero(np.bincount(seen.indices, minlength=seen.shape[1]) > 1)
    view = TfIdf(name, columns, TfidfTransformer(sublinear_tf=True))
    return view, view.weighting.fit_transform(seen[:, columns])


def _choose(
    name: str,
    seen: csr_array | np.ndarray,
    labels: np.ndarray,
    held_out: tuple[csr_array | np.ndarray, np.ndarray] | None,
    *,
    seed: int,
    strength: float | None,
) -> tuple[Classifier, float, dict[float, float]]:
    """Return the classifier, its strength and the average precision of each strength on held-out scripts.

    Trees are grown on a thread each, and repeat exactly. Linear solvers take turns: each copies all features.
    """

    def fitted(strength: float) -> tuple[Classifier, float | None]:
        with threadpool_limits(**_ONE_THREAD):
            classifier = _classifier(name, strength, seed).fit(seen, labels)
        if held_out is None:
            return classifier, None
        return classifier, float(average_precision_score(held_out[1], _decisions(classifier, held_out[0])))

    given = GRIDS[name][DEFAULT] if strength is None else strength
    grid = GRIDS[name] if held_out else (given,)
    with ThreadPoolExecutor(THREADS) as pool:
        results = dict(zip(grid, (pool.map if name in _VIEWS else map)(fitted, grid), strict=True))
    tried = {strength: precision for strength, (_, precision) in results.items()} if held_out else {}
    best = max(tried, key=tried.__getitem__, default=grid[0])  # the first of equals
    LOG.info("%s: %d features, strength %g, average precision %s", name, seen.shape[1], best, tried)
    return results[best][0], best, tried


def _decisions(classifier: Classifier, rows: csr_array | np.ndarray) -> np.ndarray:
    with threadpool_limits(**_ONE_THREAD):
        return classifier.decision_function(rows)


def _classifier(name: str, strength: float, seed: int) -> Classifier:
    """Return a classifier of this strength that has seen nothing yet."""
    shared = {"class_weight": "balanced", "random_state": seed}
    if name in _VIEWS:
        return HistGradientBoostingClassifier(
            max_iter=TREES, max_leaf_nodes=strength, l2_regularization=1.0, early_stopping=False, **shared
        )
    if name == "svm_char_3gram":
        return LinearSVC(C=strength, max_iter=SVM_PASSES, **shared)
    return LogisticRegression(C=strength, solver="liblinear", **shared)


def _tokens(texts: pl.Series, size: int) -> tuple[np.ndarray, np.ndarray]:
    hashes, bounds = shingle_hashes(tokenize_series(texts), size)
    return (hashes % np.uint64(HASH_COLUMNS)).astype(np.int64), bounds


def _characters(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the column of every character 3-gram, case kept, and the bounds of each text's."""
    ids, lengths = character_ids(texts.to_list())
    codes, ends = ids.astype(np.int64) - 1, np.cumsum(lengths, dtype=np.int64)
    grams = (codes[:-2] * CODES + codes[1:-1]) * CODES + codes[2:]
    counts = np.maximum(np.array(lengths, dtype=np.int64) - 2, 0)
    whole = np.arange(len(grams)) < np.repeat(ends - 2, lengths)[: len(grams)]
    return grams[whole], np.concatenate([[0], np.cumsum(counts)])


_KINDS: dict[str, tuple[int, Callable[[pl.Series], tuple[np.ndarray, np.ndarray]]]] = {
    "bag_of_words": (HASH_COLUMNS, lambda texts: _tokens(texts, 1)),
    "token_3gram": (HASH_COLUMNS, lambda texts: _tokens(texts, 3)),
    "char_3gram": (CODES**3, _characters),
}
_VIEWS = {"length": features.length, "gradient_boosting": features.matrix}
_CHARACTERS_OF = "char_3gram"  # the model whose n-grams novelty and the support vector machine read
_SAME = {"svm_char_3gram": _CHARACTERS_OF}


def _counts(name: str, texts: pl.Series) -> csr_array:
    """Return counts of n-grams, float32[scripts, columns], made from a batch of scripts at a time."""
    width, grams_of = _KINDS[name]
    parts = [csr_array((0, width), dtype=np.float32)]
    for batch in features.ends(texts).to_frame("text").iter_slices(_BATCH):
        grams, bounds = grams_of(batch["text"])
        ones = np.ones(len(grams), dtype=np.float32)
        indices, starts = grams.astype(np.int32), bounds.astype(np.int32)  # scikit-learn takes no others
        counts = csr_array((ones, indices, starts), shape=(len(batch), width))
        counts.sum_duplicates()
        parts.append(counts)
    return vstack(parts, format="csr")


def _checked(texts: Sequence[str], labels: np.ndarray) -> np.ndarray:
    """Return the labels, refusing one class and unequal lengths."""
    labels, classes = np.asarray(labels), np.unique(labels).tolist()
    if len(labels) != len(texts):
        raise CorpusError(f"{len(texts):,} texts and {len(labels):,} labels: expected one label a text")
    if classes != [0, 1]:
        raise CorpusError(f"labels {classes[:5]}: a baseline needs malicious (1) and benign (0) scripts")
    return labels
