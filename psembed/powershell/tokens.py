"""Tokens: one regular expression turns a PowerShell script into words; words and characters become ids.

A text is normalised first (lower case, digits to `*`, typographic dashes and quotes to ASCII; always one
character for one), then PATTERN is matched from left to right, and every match is cut to TOKEN_CHARS
characters. PATTERN has no look-around, no possessive part, no shorthand class and no flag, so Rust (polars),
Python, .NET and JavaScript read it alike. docs/tokens.md shows its behaviour in a table.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np
import polars as pl

from psembed.runtime.distinct import map_distinct_words
from psembed.runtime.errors import CorpusError
from psembed.runtime.threads import map_partitions

TOKEN_CHARS = 64  # a longer match is one token, named by its first 64 characters
PAD, UNKNOWN, FIRST = 0, 1, 2  # ids; the first real token has id 2

Counts = Sequence[int] | np.ndarray

# PowerShell takes these dashes and quotes for - ' " (its language specification, lexical grammar B.1).
# The last four keep lower case at one character for one, whatever stands beside it (final sigma, dotted I)
# and whichever Unicode version an engine has (two letters whose case pair is younger than Unicode 14).
ALIKE = {
    "\u2013": "-", "\u2014": "-", "\u2015": "-",
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'",
    "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u03a3": "\u03c3", "\u0130": "i", "\ua7cb": "\u0264", "\ua7dc": "\u019b",
}  # fmt: skip

# ASCII, then Latin to Mongolian and beyond, Latin and Greek additions, kana to CJK, Hangul.
_LETTERS = r"a-z_\u00c0-\u1c7f\u1e00-\u1fff\u3040-\u9fff\uac00-\ud7a3"
_WORD = rf"[{_LETTERS}*]+"
ALTERNATIVES = {
    "run": r"[a-z*+/]{100,}={0,2}",  # Base64 and the like: one token however long
    "variable": rf"[$@]{_WORD}(?::{_WORD})?",  # $i, $env:path, @splat
    "sigil": r"\$[$?^({]|@[({]",  # $$ $? $^ $( ${ @( @{
    "word": rf"-?[{_LETTERS}]{_WORD[:-1]}*(?:-{_WORD})*|{_WORD}(?:-{_WORD})*",  # -eq, get-childitem, **kb
    "escape": r"`[abefnrtv*$]",  # `n, `0, `$
    "assign": r"[-+/%]=",
    "repeat": r"={2,}|#{2,}|-{2,}|\.{2,}|\+{2,}|:{2,}|/{2,}|\\{2,}|&{2,}|\|{2,}|>{2,}",  # :: .. // && ----
    "single": r"[!-~]",  # any other visible ASCII character
}
PATTERN = "|".join(ALTERNATIVES.values())

_MATCHER = re.compile(PATTERN)
_ALIKE, _DIGITS = str.maketrans(ALIKE), bytes.maketrans(b"0123456789", b"*" * 10)
_TEXT = pl.col("text")
_BEYOND_ASCII = pl.when(_TEXT.str.len_bytes() != _TEXT.str.len_chars()).then(_TEXT)
_MATCHES = (
    pl.coalesce(_BEYOND_ASCII.str.replace_many(list(ALIKE), list(ALIKE.values())), _TEXT)
    .str.to_lowercase()
    .str.replace_all("[0-9]", "*")
    .str.extract_all(PATTERN)
)


def normalise(text: str) -> str:
    """Return `text` in lower case, digits as `*`, typographic dashes and quotes in ASCII.

    Every character stays one character, so positions in the result are positions in `text`.
    """
    lower = (text if text.isascii() else text.translate(_ALIKE)).lower()
    return lower.encode("utf-8", "surrogatepass").translate(_DIGITS).decode("utf-8", "surrogatepass")


def tokenize(text: str) -> list[str]:
    """Return the tokens of one text, in order; any text has some or none.

    Many texts are tokenised faster by `tokenize_series`, which gives the same.

    Examples
    --------
    >>> from psembed import tokenize
    >>> tokenize("IEX (New-Object Net.WebClient) # 1")
    ['iex', '(', 'new-object', 'net', '.', 'webclient', ')', '#', '*']
    """
    return [token[:TOKEN_CHARS] for token in _MATCHER.findall(normalise(text))]


def tokenize_series(texts: pl.Series | Iterable[str]) -> pl.Series:
    """Tokenise n texts with polars' Rust engine, on all cores.

    Returns a Series of List(String) of length n, named "tokens": an empty list where a text has no token,
    null where it is null.
    """
    cut = _MATCHES.list.eval(pl.element().str.slice(0, TOKEN_CHARS)).alias("tokens")
    return pl.concat(map_partitions(lambda part: part.to_frame().select(cut).to_series(), texts))


def ids(texts: pl.Series | Iterable[str], vocabulary: "Vocabulary") -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of the tokens of n texts, one after the other (int32), and how many each has (int64[n]).

    All cores work. The id is UNKNOWN for a token outside the vocabulary; null counts as an empty text.
    """
    ids_of = partial(map_distinct_words, function=partial(_ids, vocabulary=vocabulary))
    numbers, lengths = zip(*map_partitions(ids_of, texts), strict=True)
    return np.concatenate(numbers), np.concatenate(lengths)


def _ids(texts: pl.Series, vocabulary: "Vocabulary") -> tuple[np.ndarray, np.ndarray]:
    lists = texts.to_frame().select(_MATCHES).to_series()
    matches = lists.explode(empty_as_null=False)
    numbers = vocabulary.numbers(matches)
    long = (matches.str.len_bytes() > TOKEN_CHARS).arg_true()  # few, so only these are cut
    numbers[long] = vocabulary.numbers(matches.gather(long).str.slice(0, TOKEN_CHARS))
    return numbers, lists.list.len().to_numpy().astype(np.int64)


class Vocabulary:
    """The tokens that have an id: 0 is padding, 1 any unknown token, the first token is 2.

    `tokens` are distinct and in id order; `scripts` and `counts` tell how many scripts hold each, and how
    often it occurs. Raises CorpusError if a token comes twice, or the lengths differ.
    """

    def __init__(self, tokens: Sequence[str], *, scripts: Counts = (), counts: Counts = ()):
        self.tokens = list(tokens)
        self.scripts = np.asarray(scripts if len(scripts) else np.zeros(len(self.tokens)), dtype=np.int64)
        self.counts = np.asarray(counts if len(counts) else np.zeros(len(self.tokens)), dtype=np.int64)
        self._ids = {token: number for number, token in enumerate(self.tokens, start=FIRST)}
        if len(self._ids) != len(self.tokens):
            twice = next(token for n, token in enumerate(self.tokens, FIRST) if self._ids[token] != n)
            raise CorpusError(f"token {twice!r} comes twice in the vocabulary; tokens must be distinct")
        if not len(self.tokens) == len(self.scripts) == len(self.counts):
            raise CorpusError("a vocabulary needs as many script and occurrence counts as tokens")
        self._enum = pl.Enum(self.tokens)

    @classmethod
    def fit(cls, tokens: pl.Series, *, min_scripts: int) -> "Vocabulary":
        """Keep the tokens that are in at least `min_scripts` of the scripts; the most widespread come first.

        `tokens` has a list for each (training) script, as tokenize_series returns it. Raises CorpusError if
        no token is that frequent.
        """
        flat = pl.LazyFrame({"token": tokens}).with_row_index("script").explode("token").drop_nulls()
        per_script = flat.group_by("script", "token").len("count")
        table = per_script.group_by("token").agg(scripts=pl.len().cast(pl.Int64), count=pl.col("count").sum())
        kept = table.filter(pl.col("scripts") >= min_scripts).collect(engine="streaming")
        if kept.is_empty():
            raise CorpusError(
                f"no token is in {min_scripts} of the {len(tokens)} scripts: lower min_scripts or add scripts"
            )
        kept = kept.sort(["scripts", "token"], descending=[True, False])
        scripts, counts = kept["scripts"].to_numpy(), kept["count"].to_numpy()
        return cls(kept["token"].to_list(), scripts=scripts, counts=counts)

    def to_table(self) -> pl.DataFrame:
        """Return columns token (String), scripts (Int64) and count (Int64), in id order."""
        columns = {"token": self.tokens, "scripts": self.scripts, "count": self.counts}
        return pl.DataFrame(columns, schema={"token": pl.String, "scripts": pl.Int64, "count": pl.Int64})

    def numbers(self, tokens: pl.Series) -> np.ndarray:
        """Return the id of each token of a Series of String (int32), UNKNOWN where it has none."""
        if len(tokens) < len(self):  # too few for what a cast costs whatever their number
            return np.array([self._ids.get(token, UNKNOWN) for token in tokens.to_list()], dtype=np.int32)
        known = tokens.cast(self._enum, strict=False).to_physical().cast(pl.Int32) + FIRST
        return known.fill_null(UNKNOWN).to_numpy(writable=True)

    def __len__(self) -> int:
        """Return the number of tokens; ids run to len + 1."""
        return len(self.tokens)


def unknown_token_message(token: str, known: Sequence[str]) -> str:
    """Say that `token` is not among `known`, and give up to five of the nearest spellings there."""
    near = difflib.get_close_matches(normalise(token), known, n=5, cutoff=0.6)
    hint = f"nearest: {', '.join(near)}" if near else "nothing in it is spelled nearly so"
    return f"token {token[:TOKEN_CHARS]!r} is not in the vocabulary of {len(known)} tokens; {hint}"
