"""Duplicates: equal after normalising, near-duplicates, and the 2019 study's four stages.

Near-duplicates are scripts whose sets of token 3-shingles have Jaccard similarity of at least 0.8;
a cluster is a connected component of that relation. MinHash with locality-sensitive hashing proposes
pairs, and every pair that joins two clusters has been checked on the sets themselves.
"""

import hashlib
import itertools
from collections.abc import Iterator

import numpy as np
import polars as pl
from datasketch import MinHash, MinHashLSH
from scipy.cluster.hierarchy import DisjointSet

from psembed.runtime.errors import CorpusError, ParameterError

SHINGLE = 3
_SLICE = 2048  # shingles hashed at once: 2048 x 128 uint32 stay in the processor's cache
CHECKS = 8  # members of one cluster that a script is compared with, most alike first
_BATCH = 4096  # scripts split at once by `four_stages`
_STUDY_TOKEN = r"[a-z*$-]{3,}"  # stage 1 of the study: runs of a-z, *, $ and -, longer than 2


def normalise(texts: pl.Series) -> pl.Series:
    """Return texts in lower case, with digits as `*` and without white space and byte-order marks.

    Two scripts with the same result differ only in case, numbers and layout.
    """
    return (
        texts.str.to_lowercase()
        .str.replace_all(r"[0-9]", "*")
        .str.replace_all(r"[\s\x{FEFF}]+", "")
        .rename("normalised")
    )


def digest(texts: pl.Series) -> pl.Series:
    """Return the SHA-256 of each text in UTF-8 (64 hexadecimal digits); null stays null."""
    hashes = [None if text is None else hashlib.sha256(text.encode()).hexdigest() for text in texts]
    return pl.Series("digest", hashes, dtype=pl.String)


def shingle_hashes(tokens: pl.Series, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash every run of `size` consecutive tokens of every script.

    Each distinct token is hashed once (BLAKE2b, 64 bits); a run mixes its tokens' hashes in order,
    so the result is the same in every process and on every machine.

    Parameters
    ----------
    tokens : Series of List[String], n scripts
        Tokens of each script.
    size : int
        Tokens in a run, at least 1.

    Returns
    -------
    hashes : uint64[m]
        Runs of all scripts, one script after the other.
    bounds : int64[n + 1]
        Script i owns hashes[bounds[i]:bounds[i + 1]]; nothing if it has fewer than `size` tokens.
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


def near_duplicates(
    tokens: pl.Series, *, threshold: float = 0.8, permutations: int = 128, bands: int = 25
) -> tuple[np.ndarray, dict[str, int]]:
    """Cluster scripts by Jaccard similarity of their sets of token 3-shingles.

    MinHash LSH (datasketch) proposes pairs: with 25 bands of 5 it finds a pair of similarity 0.8
    with probability 1 - (1 - 0.8^5)^25 = 0.99995. Scripts with equal sets are joined at once. Any
    other pair is verified on the sets, the most alike members of each proposed cluster first; at most
    8 members of one cluster are tried, and pairs already in one cluster are not tried at all, which
    keeps the cost near-linear when thousands of scripts share a template.

    A script with 1 or 2 tokens has no shingle: it matches only scripts with exactly its tokens. All
    scripts without tokens form one cluster.

    Parameters
    ----------
    tokens : Series of List[String], n scripts
        Tokens of each script.
    threshold : float
        Smallest similarity of near-duplicates, 0 < threshold <= 1.
    permutations, bands : int
        MinHash functions, and LSH bands they are cut into.

    Returns
    -------
    labels : int64[n]
        Cluster of each script, numbered from 0 in order of first appearance.
    stats : dict
        scripts, distinct_sets, shingles (in the distinct sets), candidates (pairs proposed), verified
        (pairs compared), links (pairs at or above the threshold), clusters, largest (scripts).

    Raises
    ------
    ParameterError
        If the threshold is outside (0, 1] or there are fewer permutations than bands.
    CorpusError
        If there is no script.
    """
    check(threshold, permutations, bands)
    if len(tokens) == 0:
        raise CorpusError("no scripts to compare: the corpus is empty")
    sets = shingle_sets(tokens)
    distinct, codes = _distinct(sets)
    joined, stats = _link(distinct, threshold, permutations, bands)
    roots = np.array([joined[index] for index in range(len(distinct))], dtype=np.int64)
    labels = numbered(roots[codes])
    sizes = np.bincount(labels)
    stats = {"scripts": len(tokens), "distinct_sets": len(distinct), **stats}
    return labels, {**stats, "clusters": len(sizes), "largest": int(sizes.max())}


def check(threshold: float, permutations: int, bands: int) -> None:
    """Raise ParameterError unless these are settings of `near_duplicates`."""
    if not 0 < threshold <= 1:
        raise ParameterError(f"threshold {threshold!r}: expected a similarity above 0 and at most 1")
    if not 2 <= bands <= permutations:
        raise ParameterError(
            f"{bands} bands of {permutations} permutations: expected 2 <= bands <= permutations"
        )


def four_stages(texts: pl.Series, *, instances: int = 100) -> dict[str, int]:
    """Count distinct scripts in the way of the 2019 study (arXiv 1905.09538).

    1. Lower case, digits as `*`; split at anything but a-z, `*`, `$` and `-`; keep tokens longer
       than 2 characters. 2. Keep tokens found in at least `instances` scripts (the study: 100, which left
    14,216). 3. Cluster scripts by those tokens; how is not published, here scripts with the same set
    of them are one cluster. 4. Count clusters (the study: 116,976).

    Parameters
    ----------
    texts : Series of String, n scripts
        Scripts as decoded.
    instances : int
        Scripts a token must be found in to count; smaller corpora need a smaller number.

    Returns
    -------
    dict
        scripts, tokens (distinct, after stage 1), frequent_tokens (stage 2), clusters (stage 4),
        largest (scripts in the largest cluster), instances.

    Raises
    ------
    CorpusError
        If there is no script.
    """
    if len(texts) == 0:
        raise CorpusError("no scripts to count: the corpus is empty")
    pairs = pl.concat(list(_study_tokens(texts)))
    found_in = pairs.group_by("token").len()
    frequent = found_in.filter(pl.col("len") >= instances).sort("token").with_row_index("code")
    kept = pairs.join(frequent.select("token", "code"), on="token")
    sets = kept.group_by("script").agg(pl.col("code").sort()).group_by("code").len()["len"]
    without = len(texts) - int(sets.sum())
    return {
        "scripts": len(texts),
        "tokens": len(found_in),
        "frequent_tokens": len(frequent),
        "clusters": len(sets) + (without > 0),
        "largest": max(int(sets.max() or 0), without),
        "instances": instances,
    }


def _study_tokens(texts: pl.Series) -> Iterator[pl.DataFrame]:
    """Yield distinct (script, token) pairs of stage 1, a batch of scripts at a time."""
    table = texts.alias("token").to_frame().with_row_index("script")
    for batch in table.iter_slices(_BATCH):
        lowered = pl.col("token").str.to_lowercase().str.replace_all(r"[0-9]", "*")
        split = batch.with_columns(lowered.str.extract_all(_STUDY_TOKEN).list.unique())
        yield split.explode("token").drop_nulls("token")


def mix(values: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers (the finaliser of SplitMix64; Steele, Lea, Flood 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def shingle_sets(tokens: pl.Series) -> list[np.ndarray]:
    """Return each script's set of shingles, sorted (uint64); short scripts get one of their own kind."""
    hashes, bounds = shingle_hashes(tokens, SHINGLE)
    sets = [np.unique(hashes[start:end]) for start, end in itertools.pairwise(bounds)]
    few = np.flatnonzero(np.diff(bounds) == 0)
    short = dict(zip(few.tolist(), tokens.gather(few).fill_null([]).to_list(), strict=True))
    for index in short:
        words = "\0".join(["short", *short[index]])
        raw = hashlib.blake2b(words.encode(), digest_size=8).digest()
        sets[index] = np.frombuffer(raw, dtype="<u8")
    return sets


def _distinct(sets: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the sets that differ, in order of first appearance, and which of them each script has."""
    known: dict[bytes, int] = {}
    codes = [
        known.setdefault(hashlib.blake2b(values.tobytes(), digest_size=16).digest(), len(known))
        for values in sets
    ]
    _, first = np.unique(codes, return_index=True)
    return [sets[index] for index in first], np.array(codes, dtype=np.int64)


def empty_minhash(permutations: int) -> MinHash:
    """Return the MinHash that `minhash` adds to a copy of."""
    return MinHash(num_perm=permutations, scheme="affine32", hashfunc=int)


def minhash(values: np.ndarray, empty: MinHash) -> MinHash:
    """Return the MinHash of a set, adding slices to a copy of `empty`."""
    sketch = empty.copy()
    for start in range(0, len(values), _SLICE):
        sketch.update_batch((values[start : start + _SLICE] >> np.uint64(32)).tolist())
    return sketch


def _link(
    sets: list[np.ndarray], threshold: float, permutations: int, bands: int
) -> tuple[DisjointSet, dict[str, int]]:
    """Join sets that are similar enough; return the partition of their positions and the counts."""
    empty = empty_minhash(permutations)
    index = MinHashLSH(num_perm=permutations, params=(bands, permutations // bands))
    signatures = np.empty((len(sets), permutations), dtype=np.uint32)
    joined = DisjointSet(range(len(sets)))
    floor = threshold - 4 * spread(threshold, permutations)
    counts = {"shingles": sum(map(len, sets)), "candidates": 0, "verified": 0, "links": 0}
    for position, values in enumerate(sets):
        sketch = minhash(values, empty)
        signatures[position] = sketch.hashvalues
        candidates = np.array(sorted(index.query(sketch)), dtype=np.int64)
        index.insert(position, sketch)
        counts["candidates"] += len(candidates)
        alike = (signatures[candidates] == signatures[position]).mean(axis=1)
        hopeful = np.flatnonzero(alike >= floor)
        tried: dict[int, int] = {}
        for other in candidates[hopeful[np.argsort(-alike[hopeful], kind="stable")]].tolist():
            root = joined[other]
            if root == joined[position] or tried.get(root, 0) >= CHECKS:
                continue
            tried[root] = tried.get(root, 0) + 1
            counts["verified"] += 1
            if similar(values, sets[other], threshold):
                joined.merge(position, other)
                counts["links"] += 1
    return joined, counts


def spread(threshold: float, permutations: int) -> float:
    """Return the standard deviation of the similarity that MinHashes show for `threshold`."""
    return float(np.sqrt(threshold * (1 - threshold) / permutations))


def similar(one: np.ndarray, other: np.ndarray, threshold: float) -> bool:
    """Tell whether the Jaccard similarity of two sorted sets reaches `threshold`."""
    small, large = sorted((one, other), key=len)
    if len(small) < threshold * len(large):
        return False
    found = np.searchsorted(large, small)
    shared = np.count_nonzero(large[np.minimum(found, len(large) - 1)] == small)
    return shared >= threshold * (len(small) + len(large) - shared)


def numbered(keys: np.ndarray) -> np.ndarray:
    """Return a number for each key, from 0 in order of first appearance (int64[n])."""
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int64)
    order[np.argsort(first)] = np.arange(len(first))
    return order[codes]
