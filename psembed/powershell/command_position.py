"""Training text for word vectors: the tokens of a script, with the places marked where a command may stand.

Classifiers read a script as one line of tokens; the embedding is told more. COMMAND_MARK stands before every
token in command position, and a bare word there is another token: "command:sort" is the command, "sort" the
word in a string or a property of that name. Without it an alias that is also a common word (type, where, ?)
drowns. The parts of a `Reading` can be switched off one at a time, to measure what each is worth.
"""

from typing import NamedTuple

import numpy as np
import polars as pl

from psembed.powershell.cleaning import AFTER_STRING, IN_STRING, code_lines
from psembed.powershell.tokens import tokenize_series
from psembed.runtime.distinct import flat_indices

# Neither can be mistaken for a token: none holds a line break, and none that begins with a letter holds a
# colon (tokens.PATTERN). Names hold no white space, which ends a name in word2vec's file format.
COMMAND_MARK = "\n"  # stands before a token in command position; used in training only, it has no vector
COMMAND = "command:"  # begins the name of a bare word in command position
OGHAM_SPACE = "\u1680"  # white space to Unicode and to PowerShell, a letter to tokens.PATTERN
BARE_WORD = r"^(?:[%?]|\w+)$"  # sort, iex, % - and not get-item, $i, -eq, (
KEY_ENDS = ("=", ":", ",", "+=", "-=", "::")  # before one of these a word is a key, a label or an item
KEYWORD = "foreach"  # before a bracket the loop, elsewhere the alias
# After one of these a command may stand, as at the start of a line (about_Parsing, about_Pipelines).
OPENERS = ("|", "||", ";", "&&", "{", "(", "$(", "@(", "=", "+=")


class Reading(NamedTuple):
    """What of a script is read: its comments, the insides of its strings, the marks of command position."""

    comments: bool = False
    strings: bool = True
    commands: bool = True


CODE = Reading()


def marked_codes(texts: pl.Series, reading: Reading = CODE) -> tuple[pl.Series, np.ndarray, np.ndarray]:
    """Tokenise scripts and mark commands: see the top of this module.

    A token is in command position when it is the first of a line of code or follows one of OPENERS. A bare
    word there is a command unless it is a key (`type = 1`), a label or an item of a list, or the loop
    `foreach (`. Nothing in a string is in command position: what looks like it there is prose, or code in
    another language. No token spans a line, and lines repeat, above all between versions of one script; so
    each distinct line is tokenised once.

    Takes n decoded scripts, with their comments and lines. Returns the distinct tokens, the tokens of all
    scripts, one script after the other, as places among these (int64), and the number of tokens of each
    script (int64[n]).
    """
    read = [code_lines(text, comments=reading.comments, strings=reading.strings) for text in texts]
    lines = pl.Series(read, dtype=pl.String).str.split("\n")
    script = np.repeat(np.arange(len(lines)), lines.list.len().to_numpy())
    distinct, line = _distinct(lines.explode())
    names, codes, sizes = _marked(distinct, reading.commands)
    lengths = np.bincount(script, weights=sizes[line], minlength=len(texts)).astype(np.int64)
    return names, codes[flat_indices(sizes, line)], lengths


def _marked(lines: pl.Series, commands: bool) -> tuple[pl.Series, np.ndarray, np.ndarray]:
    """Tokenise distinct lines; return distinct tokens, their places, and the tokens of each line."""
    tokens = tokenize_series(lines.str.replace_all(OGHAM_SPACE, " ", literal=True))
    sizes = tokens.list.len().to_numpy().astype(np.int64)
    flat = tokens.explode(empty_as_null=False)
    if commands:
        first = (np.cumsum(sizes) - sizes)[sizes > 0]
        command = flat.is_in(OPENERS).shift(1, fill_value=True).to_numpy(writable=True)
        command[first] = ~lines.str.starts_with(AFTER_STRING).to_numpy()[sizes > 0]
        command &= ~np.repeat(lines.str.starts_with(IN_STRING).to_numpy(), sizes)
        bare = pl.Series(command & ~_names_something_else(flat, first)) & flat.str.contains(BARE_WORD)
        flat = pl.select(pl.when(bare).then(pl.lit(COMMAND) + flat).otherwise(flat)).to_series()
        line = np.repeat(np.arange(len(lines)), sizes)
        sizes = sizes + np.bincount(line, weights=command, minlength=len(lines)).astype(np.int64)
    names, codes = _distinct(flat)
    if commands:
        codes = np.insert(codes, np.flatnonzero(command), len(names))
        names = names.append(pl.Series([COMMAND_MARK], dtype=names.dtype))
    return names, codes, sizes


def _distinct(values: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Return distinct values, and for each of the n values its place among them."""
    import pyarrow as pa

    table = pa.chunked_array([values.to_arrow()]).combine_chunks().dictionary_encode()
    return pl.Series(table.dictionary), table.indices.to_numpy()


def _names_something_else(flat: pl.Series, first: np.ndarray) -> np.ndarray:
    """Tell where a word in command position is no command: `type = 1` has a key, `foreach (` a keyword."""
    begins = np.zeros(len(flat) + 1, dtype=bool)
    begins[first] = True  # what stands on another line does not tell: lines are in no order here
    after = flat.shift(-1, fill_value="")
    piped = (flat.shift(1, fill_value="") == "|").to_numpy() & ~begins[:-1]
    loop = ((flat == KEYWORD) & (after == "(")).to_numpy() & ~piped
    return (loop | after.is_in(KEY_ENDS).to_numpy()) & ~begins[1:]
