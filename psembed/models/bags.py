"""Bags of n-grams of the rows that a network reads: linear models and novelty that fit into a network's file.

An n-gram counts once a script, in a table that a hash leads to. Each model is a sum over that table, so it
can stand beside a network as two layers (psembed.models.one_file).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack
from scipy.special import expit
from sklearn.svm import LinearSVC

from psembed.models.baselines import SVM_PASSES
from psembed.powershell.encoding import CHARACTERS, Samples
from psembed.runtime.errors import CorpusError

CHARACTER_3GRAM, TOKEN_PAIR, NOVELTY = "row_char_3gram", "row_token_pair", "row_novelty"
MEMBERS = (CHARACTER_3GRAM, TOKEN_PAIR, NOVELTY)
FOLDER = "bags"  # of their scores
STRENGTH = 1.0  # inverse regularisation strength of the support vector machines
_BATCH = 4096  # scripts turned into a table at once


class Gram(NamedTuple):
    """N-grams of a view of scripts, and the table they are hashed into, whose numbers stay below 2^31."""

    view: str  # "tokens" or "characters"
    size: int
    multiplier: int
    buckets: int


GRAMS = {
    CHARACTER_3GRAM: Gram("characters", 3, CHARACTERS, 131_071),
    TOKEN_PAIR: Gram("tokens", 2, 16_381, 98_317),
    NOVELTY: Gram("characters", 3, CHARACTERS, 131_071),
}


@dataclass(frozen=True)
class Bag:
    """A table: the sum over a script's distinct n-grams, by their number to `power`, and `offset`."""

    gram: Gram
    values: np.ndarray  # float32[buckets]
    power: float
    offset: float

    def score(self, samples: Samples) -> np.ndarray:
        """Return the logistic function of each script's sum (float32[n])."""
        held = held_grams(samples, self.gram)
        number = np.maximum(np.diff(held.indptr), 1).astype(np.float32)
        return expit(held @ self.values / number**self.power + self.offset).astype(np.float32)


def fit(samples: Samples, *, seed: int) -> dict[str, Bag]:
    """Fit MEMBERS on encoded scripts with labels; novelty learns from the clean ones alone.

    Raises CorpusError if a class is missing.
    """
    classes = np.unique(samples.labels).tolist()
    if classes != [0, 1]:
        raise CorpusError(f"labels {classes[:5]}: bags need malicious (1) and benign (0) scripts")
    held = {gram: held_grams(samples, gram) for gram in set(GRAMS.values())}
    machines = {
        name: _machine(GRAMS[name], held[GRAMS[name]], samples.labels, seed=seed)
        for name in (CHARACTER_3GRAM, TOKEN_PAIR)
    }
    return machines | {NOVELTY: _novelty(GRAMS[NOVELTY], held[GRAMS[NOVELTY]][samples.labels == 0])}


def _machine(gram: Gram, held: csr_array, labels: np.ndarray, *, seed: int) -> Bag:
    number = np.diff(held.indptr)
    rows = held.copy()
    rows.data = np.repeat(1 / np.sqrt(np.maximum(number, 1)), number).astype(np.float32)
    machine = LinearSVC(C=STRENGTH, class_weight="balanced", random_state=seed, max_iter=SVM_PASSES)
    machine.fit(rows, labels)
    return Bag(gram, machine.coef_[0].astype(np.float32), 0.5, float(machine.intercept_[0]))


def _novelty(gram: Gram, clean: csr_array) -> Bag:
    """Return mean rarity less five, as psembed.models.baselines.Novelty has it."""
    scripts = np.bincount(clean.indices, minlength=gram.buckets)
    rarity = -np.log((scripts + 1) / (clean.shape[0] + 1))
    return Bag(gram, (rarity - 5).astype(np.float32), 1.0, 0.0)  # small numbers, so that sums are exact


def held_grams(samples: Samples, gram: Gram) -> csr_array:
    """Return 1 where a script holds an n-gram: float32[n, buckets]. No n-gram reaches into padding."""
    parts = [csr_array((0, gram.buckets), dtype=np.float32)]
    rows = getattr(samples, gram.view)
    for start in range(0, len(rows), _BATCH):
        hashed, whole = _hashed(rows[start : start + _BATCH], gram)
        script, place = np.nonzero(whole)[0], hashed[whole]
        distinct = np.unique(script * gram.buckets + place)
        script, place = np.divmod(distinct, gram.buckets)
        ones = np.ones(len(place), dtype=np.float32)
        ends = np.concatenate([[0], np.cumsum(np.bincount(script, minlength=len(hashed)))])
        shape = len(hashed), gram.buckets
        parts.append(csr_array((ones, place.astype(np.int32), ends.astype(np.int32)), shape=shape))
    return vstack(parts, format="csr")


def _hashed(ids: np.ndarray, gram: Gram) -> tuple[np.ndarray, np.ndarray]:
    """Return the bucket of the n-gram from each id on (int64[n, L]), and whether it is whole (bool)."""
    ids = ids.astype(np.int64)
    hashed, whole = ids, ids != 0
    for place in range(1, gram.size):
        later = np.pad(ids[:, place:], ((0, 0), (0, place)))
        hashed = (hashed * gram.multiplier + later) % gram.buckets
        whole = whole & (later != 0)
    return hashed, whole
