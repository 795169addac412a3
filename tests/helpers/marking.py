"""The tokens of scripts as lists, commands marked: easier to compare than places among distinct ones."""

import numpy as np
import polars as pl
import pyarrow as pa

from psembed.powershell.command_position import CODE, Reading, marked_codes


def marked(texts: pl.Series, reading: Reading = CODE) -> pl.Series:
    """Return what `marked_codes` reads of n scripts as n lists of String."""
    names, codes, lengths = marked_codes(texts, reading)
    return as_lists(names.gather(codes), lengths)


def as_lists(flat: pl.Series, lengths: np.ndarray) -> pl.Series:
    """Cut `flat` into lists of these lengths."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    lists = pl.Series("tokens", pa.LargeListArray.from_arrays(offsets, flat.to_arrow()))
    return lists.cast(pl.List(pl.String))
