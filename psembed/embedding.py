"""Word vectors of PowerShell tokens: training text, Word2vec, a shuffled control, and a file without pickle.

Training text tells what classifiers are not told: where a command may stand. `statements` puts STATEMENT
before every token in command position, and writes a bare word there as another token: "> sort" is the
command, "sort" the word in a string or a property of that name. Without it an alias that is also a common
word (type, where, ?) drowns. `matrix` joins the two again for the network, whose text has lost its lines.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa

from psembed.corpus import strip_comments
from psembed.errors import CorpusError, ModelError, ParameterError
from psembed.tokens import FIRST, PAD, tokenise_series
from psembed.workspace import atomic

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

    from psembed.tokens import Vocabulary

FORMAT = 1  # version of vectors.npz
MAX_BYTES = 1 << 30  # a larger vectors file is refused before it is read
# No token holds white space, so these cannot be mistaken for tokens.
STATEMENT = "\n"  # stands before a token in command position; used in training only, it has no vector
COMMAND = "> "  # begins the name of a bare word in command position
COMMAND_COUNT = 10  # a command seen less often is trained as the word of that name
BARE_WORD = r"^(?:[%?]|\w+)$"  # sort, iex, % - and not get-item, $i, -eq, (
# After one of these a command may stand, as at the start of a line (about_Parsing, about_Pipelines).
OPENERS = ("|", "||", ";", "&&", "{", "(", "$(", "@(", "=", "+=")
ALGORITHMS = ("cbow", "skipgram")
SENTENCE = 10_000  # gensim drops what a sentence holds beyond this (MAX_WORDS_IN_BATCH)
CHUNK = 2_000  # scripts marked at a time: bounds memory


def statements(texts: pl.Series) -> pl.Series:
    """Tokenise scripts without comments and mark commands: see the top of this module.

    A token is in command position when it is the first of its line or follows one of OPENERS.

    Parameters
    ----------
    texts : polars.Series of String
        Decoded scripts, n of them, with their comments and lines.

    Returns
    -------
    polars.Series of List(String)
        n lists.
    """
    marked = [_mark(texts.slice(start, CHUNK)) for start in range(0, len(texts), CHUNK)]
    return pl.concat(marked) if marked else pl.Series("tokens", [], dtype=pl.List(pl.String))


def _mark(texts: pl.Series) -> pl.Series:
    lines = pl.Series([strip_comments(text) for text in texts], dtype=pl.String).str.split("\n")
    tokens = tokenise_series(lines.explode())
    line_lengths = tokens.list.len().to_numpy()
    script = np.repeat(np.repeat(np.arange(len(lines)), lines.list.len().to_numpy()), line_lengths)
    flat = _flat(tokens)
    command = flat.is_in(OPENERS).shift(1, fill_value=True).to_numpy(writable=True)
    command[(np.cumsum(line_lengths) - line_lengths)[line_lengths > 0]] = True
    bare = pl.Series(command) & flat.str.contains(BARE_WORD)
    flat = pl.select(pl.when(bare).then(pl.lit(COMMAND) + flat).otherwise(flat)).to_series()
    places = np.insert(np.arange(len(flat)), np.flatnonzero(command), len(flat))
    lengths = np.bincount(script, weights=1 + command, minlength=len(lines)).astype(np.int64)
    return _lists(pl.concat([flat, pl.Series([STATEMENT])])[places], lengths)


def _flat(tokens: pl.Series) -> pl.Series:
    """Return the tokens of all scripts in one series."""
    filled = tokens.filter(tokens.list.len() > 0)
    return filled.explode() if len(filled) else pl.Series("tokens", [], dtype=pl.String)


def _lists(flat: pl.Series, lengths: np.ndarray) -> pl.Series:
    """Cut `flat` into lists of these lengths."""
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64())
    lists = pl.from_arrow(pa.LargeListArray.from_arrays(offsets, flat.to_arrow()))
    return lists.cast(pl.List(pl.String)).alias("tokens")


class _Sentences:
    """Lists of tokens for gensim, made from ids while it trains: 4 bytes a token instead of an object."""

    def __init__(self, tokens: pl.Series, names: list[str]):
        lengths = tokens.list.len().to_numpy()
        ids = _flat(tokens).cast(pl.Enum(names), strict=False).to_physical()
        known = ids.is_not_null().to_numpy()
        script = np.repeat(np.arange(len(lengths)), lengths)[known]
        self.names = np.array(names, dtype=object)
        self.ids = _rare_commands_as_words(ids.drop_nulls().to_numpy(), names)
        self.ends = np.searchsorted(script, np.arange(len(lengths)), side="right")
        self.counts = np.bincount(self.ids, minlength=len(names))

    def __iter__(self) -> Iterator[list[str]]:
        start = 0
        for end in self.ends:
            for cut in range(start, end, SENTENCE):
                yield self.names[self.ids[cut : min(cut + SENTENCE, end)]].tolist()
            start = end


def _rare_commands_as_words(ids: np.ndarray, names: list[str]) -> np.ndarray:
    counts, places = np.bincount(ids, minlength=len(names)), {name: place for place, name in enumerate(names)}
    stands_for = np.arange(len(names))
    for name, place in places.items():
        if name.startswith(COMMAND) and counts[place] < COMMAND_COUNT:
            stands_for[place] = places[name.removeprefix(COMMAND)]
    return stands_for[ids]


def train(
    tokens: pl.Series | Iterable[list[str]],
    *,
    vocabulary: "Vocabulary",
    dimension: int,
    window: int,
    epochs: int,
    algorithm: str = "cbow",
    seed: int,
    workers: int = 1,
    negative: int = 5,
) -> "KeyedVectors":
    """Train Word2vec (Mikolov et al. 2013, negative sampling) with gensim.

    Tokens outside the vocabulary are left out, so their neighbours move together, as in word2vec.

    Parameters
    ----------
    tokens : polars.Series of List(String), or iterable of lists
        One list per script, as `statements` or `tokens.tokenise_series` return them.
    vocabulary : Vocabulary
        Tokens that get a vector, with marks or without: a token that occurs COMMAND_COUNT times as a command
        gets a second vector either way.
    dimension, window, epochs, negative : int
        At least 1. `window` is the reach to either side, in tokens.
    algorithm : {"cbow", "skipgram"}
    seed : int
    workers : int
        Threads. The result repeats exactly with 1 only.

    Returns
    -------
    gensim.models.KeyedVectors
        float32: the tokens of `vocabulary` that occur in `tokens`, in its order, and after them the commands
        ("> sort"). The attribute "count" holds occurrences, 0 for a word that occurs as a command only: it
        has the command's vector.

    Raises
    ------
    ParameterError
        If `algorithm` is unknown or a number is below 1.
    CorpusError
        If fewer than two tokens of the vocabulary occur.
    """
    from gensim.models import Word2Vec

    _check(algorithm, dimension=dimension, window=window, epochs=epochs, negative=negative, workers=workers)
    series = tokens if isinstance(tokens, pl.Series) else pl.Series(list(tokens), dtype=pl.List(pl.String))
    words = list(
        dict.fromkeys(token.removeprefix(COMMAND) for token in vocabulary.tokens if token != STATEMENT)
    )
    commands = [COMMAND + token for token in words]
    sentences = _Sentences(series, [*words, *commands, STATEMENT])
    counts = {name: int(n) for name, n in zip(sentences.names, sentences.counts, strict=True) if n}
    if len({name.removeprefix(COMMAND) for name in counts.keys() - {STATEMENT}}) < 2:
        raise CorpusError("fewer than two tokens of the vocabulary occur in these scripts: give more scripts")
    model = Word2Vec(
        vector_size=dimension, window=window, sg=int(algorithm == "skipgram"), negative=negative,
        min_count=1, seed=seed, workers=workers,
    )  # fmt: skip
    model.build_vocab_from_freq(counts)
    model.train(sentences, total_words=len(sentences.ids), epochs=epochs)
    # A word that occurs as a command only is named twice, so that every token of the vocabulary has a vector.
    kept = {word: word if word in counts else command for word, command in zip(words, commands, strict=True)}
    kept = {name: source for name, source in kept.items() if source in counts}
    kept |= {command: command for command in commands if command in counts}
    return _keyed(list(kept), model.wv[list(kept.values())], np.array([counts.get(name, 0) for name in kept]))


def _check(algorithm: str, **numbers: int) -> None:
    if algorithm not in ALGORITHMS:
        raise ParameterError(f"algorithm is {algorithm!r}: give one of {', '.join(ALGORITHMS)}")
    for name, value in numbers.items():
        if not isinstance(value, int) or value < 1:
            raise ParameterError(f"{name} is {value!r}: give a whole number of at least 1")


def _keyed(tokens: list[str], vectors: np.ndarray, counts: np.ndarray) -> "KeyedVectors":
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(vectors.shape[1])
    keyed.add_vectors(tokens, vectors.astype(np.float32, copy=False))
    for token, count in zip(tokens, counts.tolist(), strict=True):
        keyed.set_vecattr(token, "count", count)
    return keyed


def shuffled(tokens: pl.Series, *, seed: int) -> pl.Series:
    """Return the negative control: all tokens in random order, cut into scripts of the same lengths.

    Every token keeps its number of occurrences and every script its length, but which tokens stand near each
    other, or in one script, is chance; so relations that survive it are no relations.

    Parameters
    ----------
    tokens : polars.Series of List(String), length n
    seed : int

    Returns
    -------
    polars.Series of List(String), length n
    """
    flat = _flat(tokens)
    order = np.random.default_rng(seed).permutation(len(flat))
    return _lists(flat[order], tokens.list.len().to_numpy())


def matrix(vectors: "KeyedVectors", vocabulary: "Vocabulary") -> np.ndarray:
    """Lay out vectors by token id, for the network.

    Returns
    -------
    float32, shape (len(vocabulary) + 2, dimension)
        Row PAD is zero. Row UNKNOWN, and a token without a vector, is the mean of all vectors. A token that
        also has a vector as a command gets the mean of the two, weighted by occurrences.
    """
    table = np.tile(vectors.vectors.mean(axis=0), (len(vocabulary) + FIRST, 1)).astype(np.float32)
    table[PAD] = 0
    for number, token in enumerate(vocabulary.tokens, FIRST):
        senses = [key for key in (token, COMMAND + token) if key in vectors.key_to_index]
        if senses:
            weights = [vectors.get_vecattr(key, "count") for key in senses]
            table[number] = np.average(vectors[senses], axis=0, weights=weights)
    return table


def save(path: Path, vectors: "KeyedVectors", meta: dict, *, dtype: str = "float32") -> None:
    """Write vectors as npz: format, tokens (UTF-8, one a line), counts (int64), vectors, meta (JSON).

    Parameters
    ----------
    path : Path
    vectors : KeyedVectors
    meta : dict
        How they were made; anything JSON can hold.
    dtype : {"float32", "float16"}
        float16 halves the file; cosines change by about 1e-3.
    """
    if dtype not in ("float32", "float16"):
        raise ParameterError(f"dtype is {dtype!r}: give float32 or float16")
    tokens = vectors.index_to_key
    with atomic(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            format=np.int64(FORMAT),
            tokens=_bytes("\n".join(tokens)),
            counts=np.array([vectors.get_vecattr(token, "count") for token in tokens], dtype=np.int64),
            vectors=vectors.vectors.astype(dtype),
            meta=_bytes(json.dumps(meta, sort_keys=True)),
        )


def _bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def load(path: Path) -> "KeyedVectors":
    """Read vectors written by `save`, as float32.

    Raises
    ------
    ModelError
        If the file is missing, damaged, too large or of another format version.
    """
    content = _read(Path(path))
    tokens, vectors, counts = content["tokens"].tobytes().decode(), content["vectors"], content["counts"]
    names = tokens.split("\n")
    if vectors.ndim != 2 or not len(names) == len(set(names)) == len(vectors) == len(counts):
        raise ModelError(f"{Path(path).name} is damaged: tokens, vectors and counts disagree; make it again")
    if not np.isfinite(vectors).all():
        raise ModelError(f"{Path(path).name} holds vectors that are not finite; make it again")
    return _keyed(names, vectors.astype(np.float32), counts)


def read_meta(path: Path) -> dict:
    """Return the `meta` that `save` was given. Raises as `load` does."""
    return json.loads(_read(Path(path))["meta"].tobytes())


def _read(path: Path) -> dict[str, np.ndarray]:
    """Read every array of an npz, refusing pickles, other versions and files of more than MAX_BYTES."""
    advice = "run 03_word2vec again, or restore the released file"
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise ModelError(f"{path.name} unpacks to {size} bytes, more than {MAX_BYTES}: {advice}")
        with np.load(path, allow_pickle=False) as stored:
            content = {name: stored[name] for name in ("format", "tokens", "counts", "vectors", "meta")}
        version = int(content["format"])
        content["tokens"].tobytes().decode(), json.loads(content["meta"].tobytes())
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path.name} is no readable vectors file ({error}); {advice}") from error
    if version != FORMAT:
        raise ModelError(f"{path.name} has format {version}; this psembed reads {FORMAT}: {advice}")
    return content
