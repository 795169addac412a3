"""Hand-made features of clean scripts: what an analyst would look at, as numbers.

Length is that of the whole text; all else is read from its first HEAD and last TAIL characters where there
are more, with polars' linear-time regular expressions, so the work for one text is bounded. Words are sought
in lower case, back-ticks and joints of string literals ('a'+'b') taken out first.
"""

import string
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from psembed.powershell.tokens import tokenize_series
from psembed.runtime.threads import slices

HEAD, TAIL = 15_000, 5_000  # characters read of a text that is longer than both together
NAME_CHARS, NAMES_READ = 16, 50  # characters of a variable's name, and distinct names of a text, looked at

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
_LOUD, _QUIET, _STRUCTURE = (
    {name: "|".join(patterns) for name, patterns in _DATA[part].items()}
    for part in ("loud", "quiet", "structure")
)
_ODD_CASE = r"\b[a-z]*[A-Z]{1,2}[a-z]{1,2}[A-Z]{1,2}[a-z]{1,2}[A-Z]"

_CLASSES = {
    "letters": string.ascii_letters,
    "upper_case": string.ascii_uppercase,
    "digits": string.digits,
    "white_space": string.whitespace,
    **dict(zip(string.punctuation, string.punctuation, strict=True)),
}
_RUNS = {
    "longest_run": "".join(chr(code) for code in range(33, 256)),
    "longest_base64": string.ascii_letters + string.digits + "+/=",
}
_TOKENS = ("tokens", "mean_token_length", "distinct_tokens", "variables", "mean_name_entropy")
_WORDS = ("revealed", "odd_case", *_LOUD, *_QUIET, *_STRUCTURE)
_SHARES = tuple(f"share of {name}" for name in (*_CLASSES, "others"))
NAMES = ("length", *_SHARES, "entropy", *_RUNS, "depth", *_TOKENS, *_WORDS)


def _member(characters: str) -> np.ndarray:
    """Return bool[256]: which bytes are among `characters`."""
    return np.isin(np.arange(256), [ord(character) for character in characters])


_CLASS_OF_BYTE = np.column_stack([_member(characters) for characters in _CLASSES.values()])
_IN_RUN = [_member(characters) for characters in _RUNS.values()]
_STEP = _member("([{").astype(np.int8) - _member(")]}").astype(np.int8)


def matrix(texts: pl.Series | Sequence[str]) -> np.ndarray:
    """Return every feature of many clean texts (float32[n, len(NAMES)]); zeros for an empty text, or null.

    Counts and lengths are ln(1 + x); shares are of the UTF-8 bytes read, entropies in bits; "depth" is of
    brackets, those in strings too.
    """
    texts = series(texts).fill_null("")
    read = ends(texts)
    rows = [_rows(read[part]) for part in slices(read.str.len_bytes().to_list())]
    return np.hstack([length(texts), np.concatenate([np.empty((0, len(NAMES) - 1), np.float32), *rows])])


def length(texts: pl.Series | Sequence[str]) -> np.ndarray:
    """Return ln(1 + characters) of each text (float32[n, 1]), the first column of `matrix`."""
    return np.log1p(series(texts).str.len_chars().fill_null(0).to_numpy()).astype(np.float32)[:, None]


def ends(texts: pl.Series) -> pl.Series:
    """Return texts with all between the first HEAD and the last TAIL characters left out."""
    short = texts.str.len_chars() <= HEAD + TAIL
    return texts.zip_with(short, texts.str.head(HEAD) + texts.str.tail(TAIL))


def series(texts: pl.Series | Sequence[str]) -> pl.Series:
    """Return the texts as a Series of String."""
    return texts if isinstance(texts, pl.Series) else pl.Series(list(texts), dtype=pl.String)


def _rows(texts: pl.Series) -> np.ndarray:
    """Return all columns but the first, of texts that are read in full."""
    table = texts.alias("text").to_frame().with_columns(lower=pl.col("text").str.to_lowercase())
    parts = [_of_bytes(texts), _of_tokens(texts), _of_variables(table["lower"]), _of_words(table)]
    return np.hstack(parts).astype(np.float32)


def _of_bytes(texts: pl.Series) -> np.ndarray:
    """Return shares of bytes, their entropy, longest runs and the depth of brackets, a row a text."""
    counts, spans = np.zeros((len(texts), 256)), np.zeros((len(texts), len(_IN_RUN) + 1))
    for row, text in enumerate(texts):
        codes = np.frombuffer(text.encode(), dtype=np.uint8)
        counts[row] = np.bincount(codes, minlength=256)
        depth = np.cumsum(_STEP[codes], dtype=np.int32).max(initial=0)
        spans[row] = [*(_longest(inside[codes]) for inside in _IN_RUN), depth]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    entropy = -np.sum(shares * np.log2(shares, out=np.zeros_like(shares), where=shares > 0), axis=1)
    others = shares[:, ~_CLASS_OF_BYTE.any(axis=1)].sum(axis=1)
    return np.column_stack([shares @ _CLASS_OF_BYTE, others, entropy, np.log1p(spans)])


def _longest(inside: np.ndarray) -> int:
    """Return the length of the longest run of True in bool[n]."""
    edges = np.flatnonzero(np.diff(inside, prepend=False, append=False))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _of_tokens(texts: pl.Series) -> np.ndarray:
    """Return tokens (ln), their mean length in characters and the share of distinct ones, a row a text."""
    tokens = tokenize_series(texts)
    number = tokens.list.len().to_numpy().astype(float)
    characters = tokens.list.eval(pl.element().str.len_chars()).list.sum().to_numpy()
    some = np.maximum(number, 1)
    return np.column_stack([np.log1p(number), characters / some, tokens.list.n_unique().to_numpy() / some])


def _of_variables(lower: pl.Series) -> np.ndarray:
    """Return the distinct variables (ln), and the mean entropy of their names in bits, a row a text."""
    names = lower.str.extract_all(r"\$[a-z_][a-z0-9_]*").list.unique(maintain_order=True)
    read = names.list.head(NAMES_READ)
    number = read.list.len().to_numpy()
    flat = read.filter(number > 0).explode().str.slice(1, NAME_CHARS)
    owner = np.repeat(np.arange(len(lower)), number)
    total = np.bincount(owner, weights=_name_entropy(flat), minlength=len(lower))
    return np.column_stack([np.log1p(names.list.len().to_numpy()), total / np.maximum(number, 1)])


def _name_entropy(names: pl.Series) -> np.ndarray:
    """Return the entropy of the characters of each ASCII name of up to NAME_CHARS, in bits (float64[n])."""
    if not len(names):
        return np.empty(0)
    codes = names.to_numpy().astype(f"S{NAME_CHARS}").view(np.uint8).reshape(-1, NAME_CHARS)
    same = (codes[:, :, None] == codes[:, None, :]).sum(axis=2)  # how often each character is in its name
    size = np.count_nonzero(codes, axis=1)
    return np.where(codes > 0, np.log2(size[:, None] / same), 0).sum(axis=1) / size


def _of_words(table: pl.DataFrame) -> np.ndarray:
    """Return ln(1 + count) of each of _WORDS; the table has columns text and lower."""
    joined = table.with_columns(joined=pl.col("lower").str.replace_all(f"`|{_STRUCTURE['joints']}", ""))
    revealed = [_count("joined", pattern) - _count("lower", pattern) for pattern in _LOUD.values()]
    counts = joined.select(
        pl.sum_horizontal(revealed).clip(0).alias("revealed"),
        _count("text", _ODD_CASE).alias("odd_case"),
        *(_count("joined", pattern).alias(name) for name, pattern in (_LOUD | _QUIET).items()),
        *(_count("lower", pattern).alias(name) for name, pattern in _STRUCTURE.items()),
    )
    return np.log1p(counts.to_numpy())


def _count(column: str, pattern: str) -> pl.Expr:
    r"""Count matches; \b and \s are those of ASCII, which is much faster."""
    return pl.col(column).str.count_matches(f"(?-u:{pattern})").cast(pl.Int64)
