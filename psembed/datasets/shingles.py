"""Shingles: runs of consecutive tokens, as 64-bit hashes that are the same in every process."""

import hashlib
import itertools

import numpy as np
import polars as pl

SIZE = 3  # tokens of a shingle in `shingle_sets`


def shingle_hashes(tokens: pl.Series, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash every run of `size` consecutive tokens (List[String]) of every script: uint64[m], int64[n + 1].

    A run mixes its tokens' hashes (BLAKE2b, 64 bits) in order. Second are bounds: script i owns
    hashes[bounds[i]:bounds[i + 1]], nothing if it has fewer than `size` tokens.
    """
    lengths = tokens.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = tokens.filter(tokens.list.len() > 0).explode()
    names = flat.unique(maintain_order=True)
    raw = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    codes = flat.cast(pl.Enum(names)).to_physical().to_numpy() if len(names) else np.empty(0, np.int64)
    hashes = np.frombuffer(raw, dtype="<u8")[codes]
    runs = max(len(hashes) - size + 1, 0)
    mixed = np.zeros(runs, dtype=np.uint64)
    for offset in range(size):
        mixed = mix(mixed + hashes[offset : offset + runs])
    counts = np.maximum(lengths - (size - 1), 0)
    ends = np.cumsum(lengths)
    position = np.arange(len(hashes), dtype=np.int64)
    whole = position < np.repeat(ends - (size - 1), lengths)
    return mixed[whole[:runs]], np.concatenate([[0], np.cumsum(counts)])


def mix(values: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers (the finaliser of SplitMix64; Steele, Lea, Flood 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def shingle_sets(tokens: pl.Series) -> list[np.ndarray]:
    """Return each script's set of shingles, sorted (uint64); a shorter script has one for all its tokens."""
    hashes, bounds = shingle_hashes(tokens, SIZE)
    sets = [np.unique(hashes[start:end]) for start, end in itertools.pairwise(bounds)]
    few = np.flatnonzero(np.diff(bounds) == 0)
    for index, words in zip(few.tolist(), tokens.gather(few).fill_null([]).to_list(), strict=True):
        raw = hashlib.blake2b("\0".join(["short", *words]).encode(), digest_size=8).digest()
        sets[index] = np.frombuffer(raw, dtype="<u8")
    return sets
