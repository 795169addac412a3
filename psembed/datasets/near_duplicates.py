"""Near-duplicates: scripts whose sets of token 3-shingles have a Jaccard similarity of at least 0.8.

A cluster is a connected component of that relation. MinHash with locality-sensitive hashing proposes pairs,
and every pair that joins two clusters has been checked on the sets themselves, which lie in a temporary file.
"""

import hashlib
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from datasketch import MinHash

from psembed.datasets.shingles import mix, shingle_sets
from psembed.datasets.splits import numbered
from psembed.runtime.errors import CorpusError, ParameterError

PERMUTATIONS = 128  # MinHash functions
BANDS, ROWS = 25, 5  # bands that they are cut into, and MinHashes of a band
CHECKS = 8  # members of one cluster that a script is compared with, most alike first
_SCRIPTS = 1024  # scripts whose sets are made at once
_SLICE = 2048  # shingles hashed at once: 2048 x 128 uint32 stay in the processor's cache
_PAIRS = 1 << 16  # pairs whose MinHashes are compared at once


def cluster(
    batches: Iterable[pl.Series], *, folder: Path | None = None, threshold: float = 0.8
) -> tuple[np.ndarray, dict[str, int]]:
    """Cluster scripts by Jaccard similarity of their sets of token 3-shingles.

    MinHash LSH proposes pairs: with 25 bands of 5 it finds a pair of similarity 0.8 with probability
    1 - (1 - 0.8^5)^25 = 0.99995. Scripts with equal sets are joined at once. Any other pair is verified on
    the sets, the most alike first; of one cluster at most 8 members are tried for a script, and pairs that
    are in one cluster already are not tried at all, so the number of comparisons stays near-linear when
    thousands of scripts share a template. Of pairs about equally alike those next to each other come first:
    scripts that belong together, such as the versions of one path, should come so.

    A script with 1 or 2 tokens has no shingle: it matches only scripts with exactly its tokens. All scripts
    without tokens form one cluster. In memory is, for each distinct set, its MinHash (512 bytes).

    `batches` are Series of List[String], the tokens of each of n scripts. The temporary file (8 bytes a
    shingle) is made in `folder`, by default where the system has its own. The threshold, the smallest
    similarity of near-duplicates, is above 0 and at most 1.

    It returns the cluster of each script (int64[n], numbered from 0 in order of first appearance) and counts:
    scripts, distinct_sets, shingles (in the distinct sets), verified (pairs compared), links (pairs at or
    above the threshold), clusters, largest (scripts).
    """
    if not 0 < threshold <= 1:
        raise ParameterError(f"threshold {threshold!r}: expected a similarity above 0 and at most 1")
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        sets = _Sets(file)
        codes = [
            sets.add(values)
            for tokens in batches
            for part in tokens.to_frame().iter_slices(_SCRIPTS)
            for values in shingle_sets(part.to_series())
        ]
        if not codes:
            raise CorpusError("no scripts to compare: the corpus is empty")
        linked = _link(sets, threshold)
    labels = numbered(pl.DataFrame({"label": linked.labels[codes]}))
    scripts = np.bincount(labels)
    stats = {"scripts": len(codes), "distinct_sets": len(sets.sizes), "shingles": sum(sets.sizes)}
    stats |= {"verified": linked.verified, "links": linked.links}
    return labels, {**stats, "clusters": len(scripts), "largest": int(scripts.max())}


class _Sets:
    """Distinct sets of shingles, which lie in a file, and the size and MinHash of each."""

    def __init__(self, file: BinaryIO):
        self.file, self.known = file, {}
        self.starts, self.sizes, self.minhashes = [], [], bytearray()
        self.empty = MinHash(num_perm=PERMUTATIONS, scheme="affine32", hashfunc=int)

    def add(self, values: np.ndarray) -> int:
        """Keep a set (sorted uint64) unless it is here; return its number."""
        raw = values.astype("<u8").tobytes()
        number = self.known.setdefault(hashlib.blake2b(raw, digest_size=16).digest(), len(self.known))
        if number == len(self.sizes):
            self.starts.append(self.file.tell())
            self.sizes.append(len(values))
            self.file.write(raw)
            sketch = self.empty.copy()
            for start in range(0, len(values), _SLICE):
                sketch.update_batch((values[start : start + _SLICE] >> np.uint64(32)).tolist())
            self.minhashes += sketch.hashvalues.tobytes()
        return number

    def __getitem__(self, number: int) -> np.ndarray:
        self.file.seek(self.starts[number])
        return np.frombuffer(self.file.read(8 * self.sizes[number]), "<u8")


class _Linked:
    """The cluster of each set so far (`labels`, int64[n]), and how many pairs were verified for it."""

    def __init__(self, sets: _Sets, threshold: float):
        self.sets, self.threshold = sets, threshold
        self.labels = np.arange(len(sets.sizes))
        self.members = [[number] for number in range(len(self.labels))]
        self.tried: Counter[tuple[int, int]] = Counter()  # by set and cluster
        self.verified = self.links = 0

    def compare(self, pairs: np.ndarray) -> None:
        """Verify pairs of sets (int32[2, k]) in order, and join the clusters of those that are similar."""
        for start in range(0, pairs.shape[1], _PAIRS):
            part = pairs[:, start : start + _PAIRS]
            for one, other in part[:, self.labels[part[0]] != self.labels[part[1]]].T.tolist():
                attempt = (other, int(self.labels[one]))
                if self.labels[one] == self.labels[other] or self.tried[attempt] >= CHECKS:
                    continue
                self.tried[attempt] += 1
                self.verified += 1
                if _similar(self.sets[one], self.sets[other], self.threshold):
                    self._join(int(self.labels[one]), int(self.labels[other]))

    def _join(self, one: int, other: int) -> None:
        """Give the smaller of two clusters the label of the larger one."""
        gone, kept = sorted((one, other), key=lambda label: len(self.members[label]))
        self.labels[self.members[gone]] = kept
        self.members[kept] += self.members[gone]
        self.members[gone] = []
        self.links += 1


def _similar(one: np.ndarray, other: np.ndarray, threshold: float) -> bool:
    """Tell whether the Jaccard similarity of two sorted sets reaches `threshold`."""
    small, large = sorted((one, other), key=len)
    if len(small) < threshold * len(large):
        return False
    places = np.searchsorted(large, small)
    shared = np.count_nonzero(large[np.minimum(places, len(large) - 1)] == small)
    return shared >= threshold * (len(small) + len(large) - shared)


def _link(sets: _Sets, threshold: float) -> _Linked:
    """Join sets that are similar enough: neighbours much alike first, so that few others are left to try."""
    linked, sizes = _Linked(sets, threshold), np.array(sets.sizes)
    minhashes = np.frombuffer(sets.minhashes, dtype=np.uint32).reshape(-1, PERMUTATIONS)
    deviation = np.sqrt(threshold * (1 - threshold) / PERMUTATIONS)  # of the share of equal MinHashes

    def promising(band: int, least: float) -> Iterator[np.ndarray]:
        for pairs in _bucket_pairs(minhashes[:, band * ROWS : (band + 1) * ROWS], linked.labels):
            small, large = np.sort(sizes[pairs], axis=0)
            yield _alike(pairs[:, small >= threshold * large], minhashes, band, least)

    for band in range(BANDS):
        for neighbours in itertools.islice(promising(band, threshold + 2 * deviation), 1):
            linked.compare(neighbours[:2])
    others = [pairs for band in range(BANDS) for pairs in promising(band, threshold - 4 * deviation)]
    if others:
        pairs = np.concatenate(others, axis=1)
        linked.compare(pairs[:2, np.argsort(-pairs[2], kind="stable")])
    return linked


def _bucket_pairs(band: np.ndarray, labels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield pairs (int32[2, k]) of equal rows (uint32[n, rows]) whose labels differ, neighbours first.

    `labels` (int64[n]) may change while pairs are taken: rows that have become one cluster are left out.
    """
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        keys = mix(keys + column)
    order = np.argsort(keys, kind="stable").astype(np.int32)
    bucket = np.cumsum(np.append(0, keys[order][1:] != keys[order][:-1]))
    starts, ends = np.searchsorted(bucket, bucket), np.searchsorted(bucket, bucket, side="right")
    left, distance = np.arange(len(order)), 1
    while len(left := left[left + distance < ends[left]]):
        if distance.bit_count() == 1:
            mixed = np.zeros(len(order), dtype=bool)
            mixed[bucket[labels[order] != labels[order[starts]]]] = True
            left = left[mixed[bucket[left]]]
        pairs = np.stack([order[left], order[left + distance]])
        yield pairs[:, labels[pairs[0]] != labels[pairs[1]]]
        distance += 1


def _alike(pairs: np.ndarray, minhashes: np.ndarray, band: int, least: float) -> np.ndarray:
    """Keep a band's pairs, in no earlier one, with a share `least` of equal MinHashes; add their number."""
    kept = []
    for one, other in np.array_split(pairs, pairs.shape[1] // _PAIRS + 1, axis=1):
        equal = minhashes[one] == minhashes[other]
        alike = equal.sum(axis=1, dtype=np.int32)
        good = np.flatnonzero(alike >= least * PERMUTATIONS)
        whole = equal[good, : ROWS * BANDS].reshape(-1, BANDS, ROWS).all(axis=2)
        good = good[whole.argmax(axis=1) == band]
        kept.append(np.stack([one, other, alike])[:, good])
    return np.concatenate(kept, axis=1)
