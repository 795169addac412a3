"""Duplicates: scripts that are equal after normalising, and the 2019 study's four stages."""

from collections.abc import Iterator

import polars as pl

from psembed.runtime.errors import CorpusError
from psembed.runtime.files import sha256

_BATCH = 4096  # scripts split at once by `four_stages`
_STUDY_TOKEN = r"[a-z*$-]{3,}"  # stage 1 of the study: runs of a-z, *, $ and -, longer than 2


def normalise(texts: pl.Series) -> pl.Series:
    """Return texts in lower case, with digits as `*` and without white space and byte-order marks.

    Two scripts with the same result differ only in case, numbers and layout.
    """
    lowered = texts.str.to_lowercase().str.replace_all(r"[0-9]", "*")
    return lowered.str.replace_all(r"[\s\x{FEFF}]+", "").rename("normalised")


def digest(texts: pl.Series) -> pl.Series:
    """Return the SHA-256 of each text in UTF-8 (64 hexadecimal digits); null stays null."""
    hashes = [None if text is None else sha256(text.encode()) for text in texts]
    return pl.Series("digest", hashes, dtype=pl.String)


def four_stages(texts: pl.Series, *, instances: int = 100) -> dict[str, int]:
    """Count distinct scripts in the way of the 2019 study (arXiv 1905.09538).

    1. Lower case, digits as `*`; split at anything but a-z, `*`, `$` and `-`; keep tokens longer than 2
    characters. 2. Keep tokens found in at least `instances` scripts (the study: 100, which left 14,216; a
    smaller corpus needs a smaller number). 3. Cluster scripts by those tokens; how is not published, here
    scripts with the same set of them are one cluster. 4. Count clusters (the study: 116,976).

    The dict holds scripts, tokens (distinct, after stage 1), frequent_tokens (stage 2), clusters (stage 4),
    largest (scripts in the largest cluster) and instances.
    """
    if len(texts) == 0:
        raise CorpusError("no scripts to count: the corpus is empty")
    pairs = pl.concat(list(_study_tokens(texts)))
    scripts_with = pairs.group_by("token").len()
    frequent = scripts_with.filter(pl.col("len") >= instances).sort("token").with_row_index("code")
    kept = pairs.join(frequent.select("token", "code"), on="token")
    sets = kept.group_by("script").agg(pl.col("code").sort()).group_by("code").len()["len"]
    without = len(texts) - int(sets.sum())
    return {
        "scripts": len(texts),
        "tokens": len(scripts_with),
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
