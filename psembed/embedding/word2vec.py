"""Word vectors of PowerShell tokens: Word2vec and FastText over a token stream."""

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from psembed.embedding.stream import RepositoryCap, TokenStream, statements, store
from psembed.embedding.token_vectors import TokenVectors
from psembed.powershell.command_position import COMMAND, COMMAND_MARK
from psembed.runtime import distinct
from psembed.runtime.errors import CorpusError, ParameterError

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

COMMAND_COUNT = 10  # a command seen less often is trained as the word of that name
ALGORITHMS = ("cbow", "skipgram", "fasttext")
SENTENCE = 1_000  # tokens; gensim drops what a sentence holds beyond 10,000


def train(
    stream: TokenStream,
    *,
    min_scripts: int,
    dimension: int,
    window: int,
    epochs: int,
    algorithm: str = "cbow",
    negative: int = 5,
    sample: float = 1e-3,
    repository_cap: int | None = None,
    kept: np.ndarray | None = None,
    seed: int,
    workers: int = 1,
) -> "KeyedVectors":
    """Train Word2vec (Mikolov et al. 2013, negative sampling) or FastText (Bojanowski et al. 2017).

    gensim does the work. Tokens outside the vocabulary are left out, so their neighbours move together, as
    in word2vec. The text is read from a temporary file, so memory does not grow with the corpus.

    A token gets a vector if `min_scripts` scripts hold it, as a word or as a command; it gets a second one as
    a command if it occurs COMMAND_COUNT times as one. `dimension`, `window` (the reach to either side, in
    tokens), `epochs` and `negative` (samples) are at least 1. `algorithm` is one of ALGORITHMS; FastText is
    skip-gram over n-grams of 3 to 6 characters. A token above the frequency `sample` is read less often
    (word2vec's subsampling). `repository_cap` is about how often a repository may count a token: of its
    statements those are drawn that hold a rarer one (RepositoryCap). `kept` (bool[n]) are the scripts to
    learn from, all when left out. The result repeats exactly with 1 worker, a thread, only.

    The vectors are float32, most frequent token first. The attribute "count" holds occurrences in the
    scripts, whatever the cap, 0 for a word that occurs as a command only: it has the command's vector. Raises
    ParameterError if `algorithm` is unknown or a number is below 1, CorpusError if fewer than two tokens are
    frequent enough.
    """
    numbers = {"dimension": dimension, "window": window, "epochs": epochs, "negative": negative}
    _check(algorithm, min_scripts=min_scripts, workers=workers, **numbers)
    names, places, occurrences = vocabulary(stream, kept, min_scripts)
    words = _short_words(len(names))
    if algorithm == "fasttext":  # which looks into the words, but none may hold white space
        words = [name.replace(COMMAND, ">").replace(COMMAND_MARK, "\x02") for name in names]
    with tempfile.TemporaryDirectory(dir=stream.folder.parent) as folder:
        text = Path(folder) / "text"
        chunks = drawn_statements(stream, kept, cap=repository_cap, seed=seed)
        counts = _write_text(text, chunks, places, words)
        model = _model(algorithm, vector_size=dimension, window=window, negative=negative, sample=sample,
                       seed=seed, workers=workers)  # fmt: skip
        model.build_vocab_from_freq(dict(zip(words, counts.tolist(), strict=True)))
        model.train(corpus_file=str(text), total_words=int(counts.sum()), epochs=epochs)
        rows = np.stack([model.wv[word] if word in model.wv else np.zeros(dimension) for word in words])
    return named(names, occurrences, rows).keyed()


def _model(algorithm: str, **settings):
    from gensim.models import FastText, Word2Vec

    if algorithm == "fasttext":
        return FastText(min_count=1, sg=1, bucket=200_000, **settings)
    return Word2Vec(min_count=1, sg=int(algorithm == "skipgram"), **settings)


def vocabulary(
    stream: TokenStream, kept: np.ndarray | None, min_scripts: int
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the names that are trained, the place there of each token of the stream or -1, and counts."""
    counts, scripts = stream.counts(kept)
    tokens = stream.tokens.to_list()
    stands_for = {
        token: token if count >= COMMAND_COUNT else token.removeprefix(COMMAND)
        for token, count, held in zip(tokens, counts.tolist(), scripts.tolist(), strict=True)
        if count and (token == COMMAND_MARK or held >= min_scripts)
    }
    place = {name: place for place, name in enumerate(dict.fromkeys(stands_for.values()))}
    if len(place.keys() - {COMMAND_MARK}) < 2:
        raise CorpusError(f"fewer than two tokens are in {min_scripts} scripts: give more scripts")
    places = np.array([place.get(stands_for.get(token), -1) for token in tokens], dtype=np.int32)
    known = places >= 0
    return list(place), places, np.bincount(places[known], weights=counts[known]).astype(np.int64)


def _short_words(n: int) -> list[str]:
    """Return `n` different words of three visible characters, which gensim reads faster than tokens."""
    letters = [chr(code) for code in range(33, 127)]
    return ["".join(word) for word in itertools.islice(itertools.product(letters, repeat=3), n)]


def drawn_statements(
    stream: TokenStream, kept: np.ndarray | None, *, cap: int | None, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the scripts as `stream.chunks` does, with the statements that a repository may count."""
    weights, draw = RepositoryCap(stream, kept, cap), np.random.default_rng(seed)
    for ids, lengths in stream.chunks(kept):
        counted = weights.weights(ids, lengths)
        if cap is not None and len(ids):
            starts = statements(ids, lengths, stream)
            chances = np.maximum.reduceat(counted, starts)
            chosen = np.repeat(draw.random(len(starts)) < chances, np.diff([*starts, len(ids)]))
            script = np.repeat(np.arange(len(lengths)), lengths)[chosen]
            ids, lengths = ids[chosen], np.bincount(script, minlength=len(lengths))
        yield ids, lengths


def _write_text(path: Path, chunks: Iterable, places: np.ndarray, words: list[str]) -> np.ndarray:
    """Write the text gensim reads, a line a sentence; return the occurrences of each word."""
    spelled = [word.encode() + b" " for word in words]
    letters = np.frombuffer(b"".join(spelled), dtype=np.uint8)
    sizes = np.array([len(word) for word in spelled])
    counts = np.zeros(len(words), dtype=np.int64)
    with path.open("wb") as file:
        for ids, lengths in chunks:
            chosen = places[ids]
            known = chosen >= 0
            script = np.repeat(np.arange(len(lengths)), lengths)[known]
            chosen = chosen[known]
            counts += np.bincount(chosen, minlength=len(words))
            text = letters[distinct.flat_indices(sizes, chosen)]
            text[np.cumsum(sizes[chosen])[_sentence_ends(script)] - 1] = ord("\n")
            file.write(text.tobytes())
    return counts


def _sentence_ends(script: np.ndarray) -> np.ndarray:
    """Return the last token of each script, and every SENTENCE-th token within one."""
    if not len(script):
        return np.empty(0, dtype=np.int64)
    last = np.append(script[1:] != script[:-1], True)
    start = np.maximum.accumulate(np.where(np.append(True, last[:-1]), np.arange(len(script)), 0))
    return np.flatnonzero(last | ((np.arange(len(script)) - start + 1) % SENTENCE == 0))


def named(names: list[str], counts: np.ndarray, rows: np.ndarray) -> TokenVectors:
    """Return the vectors under their names, so that every word has one: a word only seen as a command its."""
    place = {name: number for number, name in enumerate(names)}
    learned = rows.any(axis=1) & np.array([name != COMMAND_MARK for name in names])  # a cap may leave no use
    seen = {name: int(n) for name, n, good in zip(names, counts, learned, strict=True) if good}
    only = [name.removeprefix(COMMAND) for name in seen if name.removeprefix(COMMAND) not in seen]
    order = sorted(seen, key=lambda name: (-seen[name], name)) + sorted(only)
    chosen = rows[[place[name] if name in seen else place[COMMAND + name] for name in order]]
    return TokenVectors(order, chosen, np.array([seen.get(name, 0) for name in order]))


def _check(algorithm: str, **numbers: int) -> None:
    if algorithm not in ALGORITHMS:
        raise ParameterError(f"algorithm is {algorithm!r}: give one of {', '.join(ALGORITHMS)}")
    for name, value in numbers.items():
        if not isinstance(value, int) or value < 1:
            raise ParameterError(f"{name} is {value!r}: give a whole number of at least 1")


def shuffled(stream: TokenStream, folder: Path, *, kept: np.ndarray | None = None, seed: int) -> TokenStream:
    """Return the negative control: all tokens in random order, cut into scripts of the same lengths.

    Every token keeps its number of occurrences and every script its length, but which tokens stand near each
    other, or in one script, is chance; so relations that survive it are no relations. `folder` takes the
    shuffled stream; the ids of all `kept` scripts (bool[n]; all when left out) are held in memory.
    """
    ids = np.concatenate([np.empty(0, np.int32), *(chunk for chunk, _ in stream.chunks(kept))])
    scripts = stream.scripts if kept is None else stream.scripts.filter(kept)
    return store(folder, [np.random.default_rng(seed).permutation(ids)], scripts, stream.tokens)
