"""Tokens, their vectors and occurrences: how tokens are named in them, and a safe file for them.

A command and the word of that name have vectors of their own: "command:sort" and "sort".
"""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from psembed.powershell.aliases import SPELLED
from psembed.powershell.command_position import COMMAND
from psembed.powershell.tokens import FIRST, PAD, normalise, unknown_token_message
from psembed.runtime.errors import ModelError, ParameterError, UnknownTokenError
from psembed.runtime.files import atomic

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

    from psembed.powershell.tokens import Vocabulary

FORMAT = 2  # version of the file; 1 named commands in another way
MAX_BYTES = 1 << 29  # a larger vectors file is refused before it is read


class Vectors(Protocol):
    """What questions ask of vectors: TokenVectors have it, and so have gensim's KeyedVectors."""

    index_to_key: list[str]
    key_to_index: dict[str, int]
    vectors: np.ndarray  # float32, shape (n, dimension)

    def get_vecattr(self, key: str, attr: str) -> Any:
        """Return an attribute of a token; "count" is its occurrences. KeyError if there is none."""


class TokenVectors:
    """The vectors of n distinct tokens, their occurrences, and how they were made (`meta`).

    Importing gensim takes longer than the answer to one question, so it is not needed here.
    """

    def __init__(
        self, tokens: Sequence[str], vectors: np.ndarray, counts: np.ndarray, meta: dict | None = None
    ):
        self.index_to_key = list(tokens)
        self.key_to_index = {token: row for row, token in enumerate(self.index_to_key)}
        self.vectors = vectors.astype(np.float32, copy=False)
        self.meta = meta or {}
        self._attributes = {"count": counts}

    def get_vecattr(self, key: str, attr: str) -> int:
        """Return an attribute of a token; "count", its occurrences, is the only one."""
        return int(self._attributes[attr][self.key_to_index[key]])

    def keyed(self) -> "KeyedVectors":
        """Return them as gensim's KeyedVectors."""
        from gensim.models import KeyedVectors

        keyed = KeyedVectors(self.vectors.shape[1])
        keyed.add_vectors(self.index_to_key, self.vectors)
        keyed.expandos.update(self._attributes)
        return keyed


def counts(vectors: Vectors) -> np.ndarray:
    """Return the occurrences of each token, int64[n]; ParameterError if the vectors have none."""
    tokens = vectors.index_to_key
    try:
        return np.array([vectors.get_vecattr(token, "count") for token in tokens], dtype=np.int64)
    except KeyError:
        raise ParameterError(
            'the vectors have no attribute "count": give each token its occurrences with vectors.set_vecattr'
        ) from None


def command(vectors: Vectors, token: str) -> str:
    """Return `token` as a command ("command:iex"), or normalised where it has no vector as one (get-item)."""
    name = normalise(token)
    return COMMAND + name if COMMAND + name in vectors.key_to_index else name


def find(vectors: Vectors, token: str, *, word: bool = True) -> str:
    """Return the name of `token` in `vectors`: normalised and, unless a `word` is asked for, as the command.

    UnknownTokenError if it has no vector; the message gives the nearest spellings.
    """
    name = normalise(token) if word else command(vectors, token)
    if name not in vectors.key_to_index:
        alike = [key for key in vectors.index_to_key if key.startswith(COMMAND) == name.startswith(COMMAND)]
        raise UnknownTokenError(unknown_token_message(token, alike))
    return name


def index(vectors: Vectors, token: str) -> int:
    """Return the row of `token`, normalised. Raises as `find` does."""
    return vectors.key_to_index[find(vectors, token)]


def label(vectors: Vectors, name: str) -> str:
    """Write a name for people: "iex (command)", "iex (word)" if it is a command, too, "Get-Item", "$i"."""
    if name.startswith(COMMAND):
        return f"{name.removeprefix(COMMAND)} (command)"
    return f"{name} (word)" if COMMAND + name in vectors.key_to_index else SPELLED.get(name, name)


def other_senses(vectors: Vectors) -> np.ndarray:
    """Return for each row the row of the word's other sense ("sort", "command:sort"), or the row itself."""
    rows, others = vectors.key_to_index, np.arange(len(vectors.index_to_key))
    for token, row in rows.items():
        if token.startswith(COMMAND) and (word := rows.get(token.removeprefix(COMMAND))) is not None:
            others[row], others[word] = word, row
    return others


def matrix(vectors: Vectors, vocabulary: "Vocabulary") -> np.ndarray:
    """Lay out vectors by token id, for the network, whose text has lost what tells commands from words.

    Returns float32 of shape (len(vocabulary) + 2, dimension). Row PAD is zero. Row UNKNOWN, and a token
    without a vector, is the mean of all vectors. A token that also has a vector as a command gets the mean of
    the two, weighted by occurrences.
    """
    table = np.tile(vectors.vectors.mean(axis=0), (len(vocabulary) + FIRST, 1)).astype(np.float32)
    table[PAD] = 0
    for number, token in enumerate(vocabulary.tokens, FIRST):
        senses = [key for key in (token, COMMAND + token) if key in vectors.key_to_index]
        if senses:
            weights = [vectors.get_vecattr(key, "count") for key in senses]
            rows = [vectors.key_to_index[key] for key in senses]
            table[number] = np.average(vectors.vectors[rows], axis=0, weights=weights)
    return table


def save(path: Path, vectors: Vectors, meta: dict, *, dtype: str = "float32") -> None:
    """Write vectors as npz: format, tokens (UTF-8, one a line), counts (int64), vectors, scale, meta (JSON).

    `meta` says how they were made. Row i is read as vectors[i] * scale[i] (float32). A `dtype` of "float16"
    halves the file, cosines change by less than 2e-4; of "int8" quarters it, by 7e-4 in the mean.
    """
    if dtype not in ("float32", "float16", "int8"):
        raise ParameterError(f"dtype is {dtype!r}: give float32, float16 or int8")
    rows, scale = vectors.vectors, np.ones(len(vectors.vectors), dtype=np.float32)
    if dtype == "int8":  # a scale for each row, since rare tokens have short vectors
        scale = (np.abs(rows).max(axis=1, initial=0) / 127).astype(np.float32)
        rows = np.rint(rows / np.where(scale, scale, 1)[:, None])
    with atomic(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            format=np.int64(FORMAT),
            tokens=_bytes("\n".join(vectors.index_to_key)),
            counts=counts(vectors),
            vectors=rows.astype(dtype),
            scale=scale,
            meta=_bytes(json.dumps(meta, sort_keys=True)),
        )


def export(path: Path, vectors: Vectors) -> None:
    """Write vectors in the format of word2vec, whole or not at all: binary if `path` ends in .bin, else text.

    A line with the numbers of tokens and dimensions, then each token (UTF-8), a space, and its numbers:
    float32, little-endian, or in nine digits, which name the same float32, and a line break.
    """
    rows = vectors.vectors.astype("<f4")
    written = " ".join(["%.9g"] * rows.shape[1]) + "\n"
    binary = Path(path).suffix == ".bin"
    with atomic(Path(path)) as temporary, temporary.open("wb") as file:
        file.write(f"{len(rows)} {rows.shape[1]}\n".encode())
        for token, row in zip(vectors.index_to_key, rows, strict=True):
            file.write(f"{token} ".encode())
            file.write(row.tobytes() if binary else (written % tuple(row.tolist())).encode())


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def read(path: Path) -> TokenVectors:
    """Read what `save` wrote, without gensim.

    ModelError if the file is missing, damaged, of another format version, or unpacks to more than MAX_BYTES.
    """
    path, advice = Path(path), "run 03_word2vec again, or restore the released file"
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise ModelError(f"{path.name} unpacks to {size} bytes, more than {MAX_BYTES}: {advice}")
        with np.load(path, allow_pickle=False) as stored:
            if (version := int(stored["format"])) != FORMAT:
                raise ModelError(f"{path.name} has format {version}; this psembed reads {FORMAT}: {advice}")
            vectors, scale = (stored[name].astype(np.float32, copy=False) for name in ("vectors", "scale"))
            tokens = stored["tokens"].tobytes().decode().split("\n")
            counts, meta = stored["counts"], json.loads(stored["meta"].tobytes())
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path.name} is no readable vectors file ({error}); {advice}") from error
    sizes = {(len(tokens),), (len(set(tokens)),), vectors.shape[:1], scale.shape, counts.shape}
    if vectors.ndim != 2 or len(sizes) > 1:
        raise ModelError(f"{path.name} is damaged: tokens, vectors and counts disagree; {advice}")
    if odd := next((token for token in tokens if token.split() != [token]), None):
        raise ModelError(f"{path.name} holds the token {odd!r}; none has white space: {advice}")
    vectors = vectors * scale[:, None]
    if not np.isfinite(vectors).all():
        raise ModelError(f"{path.name} holds vectors that are not finite; {advice}")
    return TokenVectors(tokens, vectors, counts, meta)


def load(path: Path) -> "KeyedVectors":
    """Read what `save` wrote as gensim's KeyedVectors, float32. Raises as `read` does."""
    return read(path).keyed()
