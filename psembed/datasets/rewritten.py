"""Scripts written another way: in another spelling, beside clean code, or wrapped as tools and packers do.

A way is a transform (psembed.datasets.transforms) or a wrapper (psembed.datasets.wrapping). Clean scripts are
rewritten as malicious ones are, else a detector would take the way for malice. Texts are made in memory.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl

from psembed.datasets import transforms, wrapping
from psembed.powershell import cleaning
from psembed.powershell.unwrap.reading import readings
from psembed.runtime.errors import CorpusError

TRANSFORMS = tuple(transforms.TRANSFORMS)
WRAPPERS = {f"wrapped_{name}": name for name in wrapping.WRAPPERS}  # the name of each as a way
HELD_OUT = tuple(f"wrapped_{name}" for name in wrapping.HELD_OUT)  # ways that no detector is trained on


def rewritten(samples: pl.DataFrame, *, count: int, seed: int) -> pl.DataFrame:
    """Return scripts in every way, with `way` its name, and `clean` and `read` what it makes of them.

    Of `protocols.draw_up`'s samples those are taken that stand for their cluster: every malicious one, and
    `count` clean ones a way, drawn anew for each, all of wrapping.SHORTEST to LONGEST characters. Clean code
    that is put beside a script is of its own fold. Raises CorpusError if a class is missing.
    """
    size = pl.col("text").str.len_chars().is_between(wrapping.SHORTEST, wrapping.LONGEST)
    plain = samples.filter(pl.col("dropped") == "", pl.col("rank") == 0, size)
    malicious, clean = (plain.filter(pl.col("label") == label) for label in (1, 0))
    if malicious.is_empty() or clean.is_empty():
        raise CorpusError("scripts of one class only: rewriting needs both")
    tables = []
    for way in (*TRANSFORMS, *WRAPPERS):
        drawn = transforms.generator(way, seed).permutation(clean.height)[:count]
        rows = pl.concat([malicious, clean[np.sort(drawn)]])
        tables += [made.with_columns(way=pl.lit(way)) for made in _in_way(way, rows, plain, seed)]
    table = pl.concat(tables)
    return table.with_columns(pl.Series("read", readings(table["text"].to_list())))


def _in_way(way: str, rows: pl.DataFrame, plain: pl.DataFrame, seed: int) -> Iterator[pl.DataFrame]:
    """Yield the rows with text and clean rewritten, a fold at a time."""
    if way in WRAPPERS:
        yield _with_texts(rows, [wrapping.wrap(WRAPPERS[way], text, seed=seed) for text in rows["text"]])
        return
    for (fold,), own in rows.group_by("fold", maintain_order=True):
        hosts = plain.filter(pl.col("fold") == fold, pl.col("label") == 0)["clean"].to_list()
        yield _with_texts(own, transforms.apply(way, own["clean"], seed=seed, hosts=hosts))


def _with_texts(rows: pl.DataFrame, texts: list[str]) -> pl.DataFrame:
    made = {"text": texts, "clean": list(map(cleaning.clean, texts))}
    return rows.with_columns(pl.Series(name, values, dtype=pl.String) for name, values in made.items())
