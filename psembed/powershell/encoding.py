"""Scripts as two rows of ids, tokens and characters: the input of every network.

NumPy and polars only, so that the detector needs no TensorFlow.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from psembed.powershell.tokens import ALIKE, FIRST, PAD, PATTERN, TOKEN_CHARS, UNKNOWN, Vocabulary, ids
from psembed.runtime.errors import CorpusError, ModelError, ParameterError
from psembed.runtime.threads import slices

FORMAT = 1  # version of tokenizer.json
READ_CHARS = 1 << 20  # the encoder reads the head and tail of a text longer than this
OTHER = 96  # id of a character that has none of its own
CHARACTERS = OTHER + 1  # ids, 0 for padding among them
BLOCK = 64  # row lengths are multiples of this, so that every pooling window lines up

# The ids of ASCII.
_CHARACTERS = np.array([*[OTHER] * 9, *[1] * 5, *[OTHER] * 18, *range(1, 96), OTHER], dtype=np.int32)


class Encoder:
    """Turn texts into padded token ids and character ids, the two inputs of the network.

    A text that is too long keeps its first 3/4 and its last 1/4 (of `token_length` tokens, of
    `char_length` characters): a payload is often at the end. A text of more than READ_CHARS characters
    is cut in the same proportion before it is tokenised, which bounds the work per text.

    Parameters
    ----------
    vocabulary : Vocabulary or sequence of str
        Tokens in id order, the first with id 2.
    token_length, char_length : int
        Columns of the two arrays, at least 4 (else ParameterError).

    Examples
    --------
    >>> from psembed import Encoder
    >>> encoder = Encoder(["get-date", ";"], token_length=4, char_length=8)
    >>> tokens, characters = encoder.encode(["Get-Date; ls"])
    >>> tokens.tolist(), characters.shape
    ([[2, 3, 1, 0]], (1, 8))
    """

    def __init__(self, vocabulary: Vocabulary | Sequence[str], *, token_length: int, char_length: int):
        for name, value in (("token_length", token_length), ("char_length", char_length)):
            if not isinstance(value, int) or not 4 <= value <= READ_CHARS:
                raise ParameterError(f"{name} is {value!r}: give a whole number from 4 to {READ_CHARS}")
        self.vocabulary = vocabulary if isinstance(vocabulary, Vocabulary) else Vocabulary(vocabulary)
        self.token_length, self.char_length = token_length, char_length

    def encode(self, texts: pl.Series | Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Encode n texts.

        Returns
        -------
        tokens : int32, shape (n, token_length)
            0 after the end, 1 for a token outside the vocabulary.
        characters : int32, shape (n, char_length)
            0 after the end; space to `~` are 1 to 95, tab and line ends count as space, all else is 96.
        """
        texts = list(texts)
        tokens = np.zeros((len(texts), self.token_length), dtype=np.int32)
        characters = np.zeros((len(texts), self.char_length), dtype=np.int32)
        for rows in slices([min(len(text), READ_CHARS) for text in texts]):
            read = [ends(text, READ_CHARS) for text in texts[rows]]
            seen = [ends(text, self.char_length) for text in texts[rows]]
            tokens[rows] = _padded(*ids(read, self.vocabulary), self.token_length)
            characters[rows] = _padded(*character_ids(seen), self.char_length)
        return tokens, characters

    def to_json(self) -> str:
        """Return tokenizer.json: all that a port to another language needs."""
        content = {
            "format": FORMAT,
            "pattern": PATTERN,
            "flags": "",
            "normalisation": ["replace characters", "lower case", "digits to *"],
            "characters": ALIKE,
            "token_chars": TOKEN_CHARS,
            "read_chars": READ_CHARS,
            "pad": PAD,
            "unknown": UNKNOWN,
            "first": FIRST,
            "token_length": self.token_length,
            "char_length": self.char_length,
            "vocabulary": self.vocabulary.tokens,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Encoder":
        """Read what to_json wrote; ModelError if it is damaged, of another format, or for another pattern."""
        try:
            content = json.loads(text)
            version, pattern, vocabulary = (content[name] for name in ("format", "pattern", "vocabulary"))
            lengths = {name: content[name] for name in ("token_length", "char_length")}
            if not isinstance(vocabulary, list) or not all(isinstance(token, str) for token in vocabulary):
                raise TypeError("vocabulary is not a list of strings")
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"tokenizer.json is damaged ({error!r}); export the model again") from error
        if version != FORMAT:
            raise ModelError(f"tokenizer.json: format {version!r}; this psembed reads {FORMAT}: export again")
        if pattern != PATTERN:
            raise ModelError("tokenizer.json was made for another token pattern; export the model again")
        try:
            return cls(vocabulary, **lengths)
        except (CorpusError, ParameterError) as error:
            raise ModelError(f"tokenizer.json is damaged ({error}); export the model again") from error


def buckets(encoder: Encoder) -> list[list[int]]:
    """Return pairs of row lengths, of tokens and characters, from an eighth to the whole, in BLOCKs."""
    full = encoder.token_length, encoder.char_length
    pairs = [[BLOCK * math.ceil(length / part / BLOCK) for length in full] for part in (8, 4, 2, 1)]
    return [pair for number, pair in enumerate(pairs) if pair not in pairs[:number]]


def character_ids(texts: list[str]) -> tuple[np.ndarray, list[int]]:
    """Return the ids (1 to OTHER) of all characters of all texts, int32[sum], and how many each text has."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype=np.uint32)
    return _CHARACTERS[np.minimum(codes, 127)], [len(text) for text in texts]


def ends(text: str, length: int, *, between: str = "") -> str:
    """Cut `text` to `length` characters: its first 3/4 and its last 1/4, with `between` between them."""
    tail = length // 4
    return text if len(text) <= length else text[: length - tail] + between + text[-tail:]


def _padded(flat: np.ndarray, lengths: Sequence[int] | np.ndarray, width: int) -> np.ndarray:
    """Lay out runs of `flat` (one per length) as rows of `width`, zero-padded; long runs lose the middle."""
    rows, tail = np.zeros((len(lengths), width), dtype=np.int32), width // 4
    ends = np.cumsum(lengths, dtype=np.int64).tolist()
    for row, start, end in zip(rows, [0, *ends[:-1]], ends, strict=True):
        if end - start <= width:
            row[: end - start] = flat[start:end]
        else:
            row[:-tail], row[-tail:] = flat[start : start + width - tail], flat[end - tail : end]
    return rows


@dataclass(frozen=True)
class Samples:
    """Encoded scripts: tokens integer[n, T], characters integer[n, C], labels int8[n] or None."""

    tokens: np.ndarray
    characters: np.ndarray
    labels: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of scripts."""
        return len(self.tokens)

    def rows(self, chosen: np.ndarray) -> "Samples":
        """Return the chosen scripts, both views trimmed to the longest of them."""
        labels = None if self.labels is None else self.labels[chosen]
        return Samples(trim(self.tokens[chosen]), trim(self.characters[chosen]), labels)


def trim(ids: np.ndarray) -> np.ndarray:
    """Cut padding off integer[n, L] down to the shortest multiple of BLOCK that keeps every id.

    A row length that is no multiple of BLOCK is padded up to one, and at least one block is kept.
    """
    used = np.flatnonzero(ids.any(axis=0))
    length = BLOCK * max(1, math.ceil((used[-1] + 1 if len(used) else 0) / BLOCK))
    if length <= ids.shape[1]:
        return np.ascontiguousarray(ids[:, :length])
    return np.pad(ids, ((0, 0), (0, length - ids.shape[1])))


def length_order(samples: Samples) -> np.ndarray:
    """Return int64[n], the scripts from short to long (a token costs about four characters)."""
    cost = 4 * np.count_nonzero(samples.tokens, axis=1) + np.count_nonzero(samples.characters, axis=1)
    return np.argsort(cost, kind="stable")


def run_batches(
    run: Callable[[Samples], np.ndarray], samples: Samples, *, batch: int, columns: int = 1
) -> np.ndarray:
    """Return float32[n, columns] from `run`, which maps trimmed rows to as many; like lengths together."""
    order = length_order(samples)
    outputs = np.empty((len(samples), columns), dtype=np.float32)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        outputs[chosen] = run(samples.rows(chosen))
    return outputs
