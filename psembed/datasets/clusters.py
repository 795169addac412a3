"""Near-duplicate clusters of a corpus whose sets of shingles do not fit into memory.

The relation is that of `dedup.near_duplicates`, and every link is verified; sets lie in a temporary file,
and a bucket's pairs come from sorting instead of an index.
"""

import hashlib
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import polars as pl

from psembed.datasets.dedup import (
    CHECKS,
    check,
    empty_minhash,
    minhash,
    mix,
    numbered,
    shingle_sets,
    similar,
    spread,
)
from psembed.runtime.errors import CorpusError

PERMUTATIONS = 128  # MinHash functions
_PAIRS = 1 << 16  # pairs whose MinHashes are compared at once


class Sketch(NamedTuple):
    """A script's set of shingles (sorted uint64) and its MinHash (uint32[permutations])."""

    shingles: np.ndarray
    minhash: np.ndarray


def near_duplicates(
    batches: Iterable[pl.Series], folder: Path, **settings
) -> tuple[np.ndarray, dict[str, int]]:
    """Cluster scripts as `dedup.near_duplicates` does, where their sets of shingles do not fit into memory.

    Parameters
    ----------
    batches : iterable of Series of List[String]
        Tokens of each script.
    folder, **settings
        As for `linked`, whose results these are.
    """
    sketches = itertools.chain.from_iterable(map(sketched, batches))
    return linked(sketches, folder, **settings)


def sketched(tokens: pl.Series) -> list[Sketch]:
    """Return the sketch of each script, given its tokens (Series of List[String]); equal sets share one."""
    empty, known, found = empty_minhash(PERMUTATIONS), {}, []
    for values in shingle_sets(tokens):
        key = values.tobytes()
        if key not in known:
            known[key] = Sketch(values, minhash(values, empty).hashvalues.astype(np.uint32))
        found.append(known[key])
    return found


def linked(
    sketches: Iterable[Sketch], folder: Path, *, threshold: float = 0.8, bands: int = 25
) -> tuple[np.ndarray, dict[str, int]]:
    """Cluster scripts by their sketches.

    In memory are the MinHashes (4 bytes times PERMUTATIONS a distinct set); the sets lie in a temporary
    file, and those of a pair are read to verify it. Scripts that stand near each other should come so, as the
    versions of one path do: of pairs about equally alike the nearest are tried first.

    Parameters
    ----------
    sketches : iterable of Sketch
    folder : Path
        Where the temporary file is made: 8 bytes a shingle.
    threshold, bands
        As for `dedup.near_duplicates`.

    Returns
    -------
    labels : int64[n]
        Cluster of each script, numbered from 0 in order of first appearance.
    stats : dict
        As of `dedup.near_duplicates`, without candidates.

    Raises
    ------
    ParameterError, CorpusError
        As `dedup.near_duplicates` does.
    """
    check(threshold, PERMUTATIONS, bands)
    with tempfile.TemporaryFile(dir=folder) as file:
        signatures, sizes, codes = _stored(sketches, file)
        if not len(codes):
            raise CorpusError("no scripts to compare: the corpus is empty")
        file.flush()
        stored = _Stored(file, sizes, signatures)
        joined, counts = _link_stored(stored, threshold, bands)
    labels = numbered(joined[codes])
    stats = {"scripts": len(codes), "distinct_sets": len(sizes), "shingles": int(sizes.sum()), **counts}
    members = np.bincount(labels)
    return labels, {**stats, "clusters": len(members), "largest": int(members.max())}


class _Stored:
    """Distinct sets in a file, their sizes (int64[n]) and MinHashes (uint32[n, permutations])."""

    def __init__(self, file: BinaryIO, sizes: np.ndarray, signatures: np.ndarray):
        self.file, self.sizes, self.signatures = file, sizes, signatures
        self.starts = np.cumsum(sizes) - sizes

    def __getitem__(self, position: int) -> np.ndarray:
        self.file.seek(8 * self.starts[position])
        return np.fromfile(self.file, "<u8", self.sizes[position])


def _stored(sketches: Iterable[Sketch], file: BinaryIO) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Write distinct sets to a file; return MinHashes and sizes of them, and which set each script has."""
    known: dict[bytes, int] = {}
    codes, sizes, signatures = [], [], []
    for sketch in sketches:
        raw = sketch.shingles.astype("<u8").tobytes()
        codes.append(known.setdefault(hashlib.blake2b(raw, digest_size=16).digest(), len(known)))
        if codes[-1] == len(sizes):
            file.write(raw)
            sizes.append(len(sketch.shingles))
            signatures.append(sketch.minhash)
    return np.array(signatures, dtype=np.uint32), np.array(sizes, dtype=np.int64), np.array(codes, np.int64)


def _link_stored(stored: _Stored, threshold: float, bands: int) -> tuple[np.ndarray, dict[str, int]]:
    """Join sets that are similar enough, the most alike first; return the label of each and the counts."""
    labels, counts = np.arange(len(stored.sizes)), {"verified": 0, "links": 0}
    members = [[position] for position in range(len(labels))]
    tried: Counter[tuple[int, int]] = Counter()
    for one, other in _hopeful(stored, labels, threshold, bands):
        attempt = (other, int(labels[one]))
        if labels[one] == labels[other] or tried[attempt] >= CHECKS:
            continue
        tried[attempt] += 1
        counts["verified"] += 1
        if similar(stored[one], stored[other], threshold):
            _join(labels, members, one, other)
            counts["links"] += 1
    return labels, counts


def _join(labels: np.ndarray, members: list[list[int]], one: int, other: int) -> None:
    """Give the smaller of two clusters the label of the larger one."""
    gone, kept = sorted((int(labels[one]), int(labels[other])), key=lambda label: len(members[label]))
    labels[members[gone]] = kept
    members[kept] += members[gone]
    members[gone] = []


def _hopeful(stored: _Stored, labels: np.ndarray, threshold: float, bands: int) -> Iterator[tuple[int, int]]:
    """Yield pairs of a bucket whose labels differ and which may be similar enough.

    First those next to each other in a bucket that are much alike, as versions of one path are, so that
    labels differ in few of the others; then all others, the most alike first, each once.
    """
    permutations = stored.signatures.shape[1]
    wide = spread(threshold, permutations)
    columns = np.split(stored.signatures[:, : permutations // bands * bands], bands, axis=1)
    for number, band in enumerate(columns):
        for nearest in itertools.islice(_pairs(band, labels), 1):
            one, other, _ = _alike(stored, nearest, threshold, threshold + 2 * wide, number, bands)
            yield from zip(one.tolist(), other.tolist(), strict=True)
    found = [
        _alike(stored, pairs, threshold, threshold - 4 * wide, number, bands)
        for number, band in enumerate(columns)
        for pairs in _pairs(band, labels)
    ]
    one, other, alike = map(np.concatenate, zip(*found, strict=True)) if found else np.empty((3, 0), np.int32)
    order = np.argsort(-alike, kind="stable")
    for start in range(0, len(order), _PAIRS):
        part = order[start : start + _PAIRS]
        part = part[labels[one[part]] != labels[other[part]]]
        yield from zip(one[part].tolist(), other[part].tolist(), strict=True)


def _alike(
    stored: _Stored,
    pairs: tuple[np.ndarray, np.ndarray],
    threshold: float,
    least: float,
    band: int,
    bands: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keep the pairs of a band that may be similar enough and are in no earlier one.

    Returns
    -------
    one, other : int32[k]
    alike : int16[k]
        MinHashes that are equal, at least a share of `least`.
    """
    small, large = np.sort([stored.sizes[pairs[0]], stored.sizes[pairs[1]]], axis=0)
    one, other = (side[small >= threshold * large].astype(np.int32) for side in pairs)
    kept = [(one[:0], other[:0], np.empty(0, np.int16))]
    permutations = stored.signatures.shape[1]
    rows = permutations // bands
    for start in range(0, len(one), _PAIRS):
        left, right = one[start : start + _PAIRS], other[start : start + _PAIRS]
        equal = stored.signatures[left] == stored.signatures[right]
        alike = equal.sum(axis=1, dtype=np.int16)
        good = np.flatnonzero(alike >= least * permutations)
        whole = equal[good, : rows * bands].reshape(-1, bands, rows).all(axis=2)
        good = good[whole.argmax(axis=1) == band]
        kept.append((left[good], right[good], alike[good]))
    return tuple(map(np.concatenate, zip(*kept, strict=True)))


def _pairs(band: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs of equal rows whose labels differ, those next to each other first.

    Parameters
    ----------
    band : uint32[n, rows]
    labels : int64[n]
        May change while pairs are taken: rows that have all become one cluster are left out from then on.
    """
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        keys = mix(keys + column)
    order = np.argsort(keys, kind="stable")
    bucket = np.cumsum(np.append(0, keys[order][1:] != keys[order][:-1]))
    starts, ends = np.searchsorted(bucket, bucket), np.searchsorted(bucket, bucket, side="right")
    left, distance = np.arange(len(order)), 1
    while len(left := left[left + distance < ends[left]]):
        if distance.bit_count() == 1:
            mixed = np.zeros(len(order), dtype=bool)
            mixed[bucket[labels[order] != labels[order[starts]]]] = True
            left = left[mixed[bucket[left]]]
        one, other = order[left], order[left + distance]
        apart = labels[one] != labels[other]
        yield one[apart], other[apart]
        distance += 1
