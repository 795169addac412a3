"""Bags of n-grams of the rows that a network reads: linear models and novelty that fit into a network's file.

An n-gram is a place in a table that a hash leads to. Each model is a sum over look-ups in its table, so it
can stand beside a network as a few layers (psembed.models.one_file).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack
from scipy.special import expit
from sklearn.svm import LinearSVC

from psembed.models.baselines import SVM_PASSES
from psembed.powershell.encoding import BLOCK, CHARACTERS, Samples, trim
from psembed.runtime.errors import CorpusError

CHARACTER_3GRAM, TOKEN_PAIR, NOVELTY = "row_char_3gram", "row_token_pair", "row_novelty"
MEMBERS = (CHARACTER_3GRAM, TOKEN_PAIR, NOVELTY)
FOLDER = "bags"  # of their scores
STRENGTH = 1.0  # inverse regularisation strength of the support vector machines
WINDOW = 4  # blocks: 256 characters
_BATCH = 4096  # scripts turned into a table at once


class Gram(NamedTuple):
    """N-grams of a view of scripts, and the table they are hashed into, whose numbers stay below 2^31."""

    view: str  # "tokens" or "characters"
    size: int
    multiplier: int
    buckets: int


CHARACTER_3GRAMS = Gram("characters", 3, CHARACTERS, 131_071)
TOKEN_PAIRS = Gram("tokens", 2, 16_381, 98_317)


@dataclass(frozen=True)
class Machine:
    """A linear model: the sum over a script's distinct n-grams by the root of their number, and `offset`."""

    gram: Gram
    values: np.ndarray  # float32[buckets]
    offset: float

    def score(self, samples: Samples) -> np.ndarray:
        """Return the logistic function of each script's sum (float32[n])."""
        held = held_grams(samples, self.gram)
        root = np.sqrt(np.maximum(np.diff(held.indptr), 1), dtype=np.float32)
        return expit(held @ self.values / root + self.offset).astype(np.float32)


@dataclass(frozen=True)
class Novelty:
    """How unlike clean scripts the strangest part of a script is: mean rarity of n-grams in a window.

    A window is WINDOW blocks long and may begin with any block. It counts if n-grams begin at half of its
    places; the first one always does.
    """

    gram: Gram
    values: np.ndarray  # float32[buckets]: minus the logarithm of the share of clean scripts, less five

    def score(self, samples: Samples) -> np.ndarray:
        """Return the logistic function of the largest mean over windows (float32[n])."""
        rows, found = getattr(samples, self.gram.view), [np.empty(0, dtype=np.float32)]
        for start in range(0, len(rows), _BATCH):
            hashed, whole = _hashed(trim(rows[start : start + _BATCH]), self.gram)
            rarity, held = _windows(np.where(whole, self.values[hashed], 0)), _windows(whole)
            mean = rarity / np.maximum(held, 1)
            counts = held >= WINDOW * BLOCK / 2
            counts[:, 0] = True
            found.append(expit(np.where(counts, mean, -np.inf).max(axis=1)).astype(np.float32))
        return np.concatenate(found)


def fit(samples: Samples, *, seed: int) -> dict[str, Machine | Novelty]:
    """Fit MEMBERS on encoded scripts with labels; novelty learns from the clean ones alone.

    Raises CorpusError if a class is missing.
    """
    classes = np.unique(samples.labels).tolist()
    if classes != [0, 1]:
        raise CorpusError(f"labels {classes[:5]}: bags need malicious (1) and benign (0) scripts")
    characters, pairs = (held_grams(samples, gram) for gram in (CHARACTER_3GRAMS, TOKEN_PAIRS))
    return {
        CHARACTER_3GRAM: _machine(CHARACTER_3GRAMS, characters, samples.labels, seed=seed),
        TOKEN_PAIR: _machine(TOKEN_PAIRS, pairs, samples.labels, seed=seed),
        NOVELTY: _novelty(CHARACTER_3GRAMS, characters[samples.labels == 0]),
    }


def _machine(gram: Gram, held: csr_array, labels: np.ndarray, *, seed: int) -> Machine:
    number = np.diff(held.indptr)
    rows = held.copy()
    rows.data = np.repeat(1 / np.sqrt(np.maximum(number, 1)), number).astype(np.float32)
    machine = LinearSVC(C=STRENGTH, class_weight="balanced", random_state=seed, max_iter=SVM_PASSES)
    machine.fit(rows, labels)
    return Machine(gram, machine.coef_[0].astype(np.float32), float(machine.intercept_[0]))


def _novelty(gram: Gram, clean: csr_array) -> Novelty:
    scripts = np.bincount(clean.indices, minlength=gram.buckets)
    rarity = -np.log((scripts + 1) / (clean.shape[0] + 1))
    return Novelty(gram, (rarity - 5).astype(np.float32))  # small numbers, so that sums are exact


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


def _windows(places: np.ndarray) -> np.ndarray:
    """Return sums over windows of [n, L], one from each block on: float32[n, L / BLOCK]."""
    blocks = places.reshape(len(places), -1, BLOCK).sum(axis=2, dtype=np.float32)
    padded = np.pad(blocks, ((0, 0), (0, WINDOW - 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW, axis=1).sum(axis=2)
