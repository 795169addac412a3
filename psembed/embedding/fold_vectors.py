"""Vectors for the networks of each fold: Word2vec on all unlabeled text but what the fold tests."""

import json
from pathlib import Path

import numpy as np
import polars as pl

from psembed.embedding import ablation, token_vectors, word2vec
from psembed.embedding import stream as streams
from psembed.embedding.stream import TokenStream
from psembed.embedding.token_vectors import TokenVectors
from psembed.powershell import cleaning, command_position, tokens
from psembed.powershell.command_position import COMMAND
from psembed.runtime.files import sha256
from psembed.runtime.provenance import library_version, module_hash

# The code that decides what training gives.
MODULES = (cleaning, tokens, command_position, streams, word2vec, token_vectors)


def kept(stream: TokenStream, scripts: pl.DataFrame, samples: pl.DataFrame, fold: int) -> np.ndarray:
    """Tell which texts of the stream the vectors of a fold may read (bool[n]).

    They are those at the pinned commits that share no group and no cluster of near-duplicates with a script
    that the fold tests. `scripts` are all (normalised, cluster, group), `samples` the labelled ones (cluster,
    group, fold).
    """
    tested = samples.filter(fold=fold)
    held = [pl.col(name).is_in(tested[name].unique().implode()) for name in ("cluster", "group")]
    marked = scripts.select("normalised", held=pl.any_horizontal(held))
    rows = stream.scripts.select("normalised", "version").join(
        marked, on="normalised", how="left", maintain_order="left"
    )
    return rows.select((pl.col("version") == 0) & ~pl.col("held").fill_null(True)).to_series().to_numpy()


def names(stream: TokenStream, masks: dict[int, np.ndarray], settings: dict) -> dict[int, str]:
    """Name the vectors of each fold by what decides them: texts, settings, code and gensim's version.

    Another machine may round the numbers in them otherwise; their name is the same there.
    """
    code = [module_hash(Path(module.__file__)) for module in MODULES]
    made_by = json.dumps([settings, code, library_version("gensim")], sort_keys=True)
    texts = stream.scripts["normalised"]
    return {
        fold: f"fold_{fold}_{sha256('|'.join([made_by, *texts.filter(mask)]).encode())[:16]}"
        for fold, mask in masks.items()
    }


def train(
    stream: TokenStream, masks: dict[int, np.ndarray], settings: dict, folder: Path, *, processes: int
) -> dict[int, TokenVectors]:
    """Return the vectors of each fold, trained where `folder` has none of that name (`names`).

    `masks` are those of `kept`; settings are `word2vec.train`'s.
    """
    named = names(stream, masks, settings)
    missing = [fold for fold, name in named.items() if not (folder / f"{name}.npz").is_file()]
    wanted = [ablation.Training(named[fold], "word2vec", stream.folder, masks[fold], {}) for fold in missing]
    ablation.train_all(wanted, {"word2vec": settings}, folder, processes=processes)
    return {fold: token_vectors.read(folder / f"{name}.npz") for fold, name in named.items()}


def words(vectors: TokenVectors, size: int) -> list[str]:
    """Return the most frequent tokens that have vectors, at most `size`; a command is named as its word."""
    counted = pl.DataFrame({"token": vectors.index_to_key, "count": token_vectors.counts(vectors)})
    named = counted.with_columns(pl.col("token").str.strip_prefix(COMMAND))
    total = named.group_by("token").agg(pl.col("count").sum())
    return total.sort("count", "token", descending=[True, False])["token"].head(size).to_list()
