"""A stream of token ids on disk: what the embedding learns from, larger than memory if need be.

A folder holds ids.bin (int32, little-endian, all tokens of all scripts), scripts.parquet (one row a script:
what the writer was told of it, and its number of tokens) and tokens.parquet (the distinct tokens, in id
order). Only a part of the ids is in memory at any time.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from psembed.powershell.command_position import CODE, COMMAND, COMMAND_MARK, OPENERS, Reading, marked_codes
from psembed.runtime.errors import CorpusError

FORMAT = 2  # 1 named commands in another way
CHUNK_TOKENS = 4_000_000  # tokens in memory at a time when a stream is read
CHUNK_CHARACTERS = 16 << 20  # characters tokenised at a time when it is written
IDS, SCRIPTS, TOKENS, ABOUT = "ids.bin", "scripts.parquet", "tokens.parquet", "about.json"


def write(folder: Path, batches: Iterable[pl.DataFrame], *, reading: Reading = CODE) -> "TokenStream":
    """Tokenise scripts into a new stream, a batch at a time.

    Of the column text (String) is read what `reading` says; every other column is kept in scripts.parquet. A
    long batch is cut. CorpusError if there is no script.
    """
    known: dict[str, int] = {}
    tables: list[pl.DataFrame] = []

    def ids() -> Iterator[np.ndarray]:
        for batch in _cut(batches):
            names, codes, lengths = marked_codes(batch["text"], reading)
            tables.append(batch.drop("text").with_columns(tokens=pl.Series(lengths)))
            yield np.array([known.setdefault(name, len(known)) for name in names.to_list()], np.int32)[codes]

    _write_ids(folder, ids())
    return _finish(folder, pl.concat(tables or [pl.DataFrame()]), pl.Series(list(known), dtype=pl.String))


def store(folder: Path, ids: Iterable[np.ndarray], scripts: pl.DataFrame, tokens: pl.Series) -> "TokenStream":
    """Write a stream from its parts; a folder whose writing was cut short is no stream.

    `ids` (int32) are one script's tokens after another's, in chunks of any length; `scripts` has a row each,
    with the number of tokens in column tokens; `tokens` are distinct, in id order. Raises as `write` does.
    """
    _write_ids(folder, ids)
    return _finish(folder, scripts, tokens)


def _write_ids(folder: Path, ids: Iterable[np.ndarray]) -> None:
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).unlink(missing_ok=True)
    with (folder / IDS).open("wb") as file:
        for chunk in ids:
            file.write(chunk.astype("<i4").tobytes())


def _finish(folder: Path, scripts: pl.DataFrame, tokens: pl.Series) -> "TokenStream":
    """Write what stands beside the ids, about.json last."""
    folder = Path(folder)
    if scripts.is_empty():
        raise CorpusError("no script to stream: the embedding has nothing to learn from")
    scripts.write_parquet(folder / SCRIPTS)
    tokens.alias("token").to_frame().write_parquet(folder / TOKENS)
    about = {"format": FORMAT, "tokens": len(tokens)}
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return TokenStream(folder)


def _cut(batches: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield the batches cut to about CHUNK_CHARACTERS each."""
    for batch in batches:
        before = batch["text"].str.len_bytes().cum_sum().to_numpy() // CHUNK_CHARACTERS
        for start, end in _runs(before):
            yield batch.slice(start, end - start)


def _runs(values: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each run of equal values."""
    edges = np.flatnonzero(np.diff(values)) + 1
    yield from zip([0, *edges], [*edges, len(values)], strict=True) if len(values) else ()


class TokenStream:
    """A stream that `write` has made; CorpusError if the folder holds no whole one of this version.

    `scripts` has a row for each of the n scripts, with its length in the column tokens, `tokens` (String) the
    distinct tokens, of which token i has id i, and `ends` (int64[n]) where each script ends among the ids.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        try:
            about = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))
            self.scripts = pl.read_parquet(self.folder / SCRIPTS)
            self.tokens = pl.read_parquet(self.folder / TOKENS)["token"]
            size = (self.folder / IDS).stat().st_size
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise CorpusError(
                f"{self.folder.name} is no whole token stream ({error}); make it again"
            ) from error
        lengths = self.scripts["tokens"].to_numpy()
        if about != {"format": FORMAT, "tokens": len(self.tokens)} or size != 4 * lengths.sum():
            raise CorpusError(f"{self.folder.name} is damaged or of another version; make it again")
        self.ends = np.cumsum(lengths, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of scripts."""
        return len(self.scripts)

    def chunks(self, kept: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the scripts, or those `kept` (bool[n]), in order, about CHUNK_TOKENS at a time.

        A chunk of k scripts is the ids of all their tokens (int32[m]) and the number of each (int64[k]).
        """
        kept = np.ones(len(self), dtype=bool) if kept is None else np.asarray(kept)
        lengths = self.scripts["tokens"].to_numpy().astype(np.int64)
        with (self.folder / IDS).open("rb") as file:  # mapped, all of it would count as this process's memory
            for start, end in _runs((self.ends - 1) // CHUNK_TOKENS):
                if kept[start:end].any():
                    first = self.ends[start] - lengths[start]
                    file.seek(4 * first)
                    ids = np.fromfile(file, "<i4", self.ends[end - 1] - first)
                    wanted = np.repeat(kept[start:end], lengths[start:end])
                    yield ids[wanted], lengths[start:end][kept[start:end]]

    def counts(self, kept: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return how often each token occurs, and how many scripts hold it in either of its senses.

        Both are int64[tokens], of all scripts or those `kept` (bool[n]). "command:sort" and "sort", the word,
        have occurrences of their own; a script that holds one of them counts for both.
        """
        size, words = len(self.tokens), self._words()
        occurrences, scripts = np.zeros((2, size), dtype=np.int64)
        for ids, lengths in self.chunks(kept):
            occurrences += np.bincount(ids, minlength=size)
            owner = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
            held = np.unique(owner * size + words[ids]) % size
            scripts += np.bincount(held, minlength=size)
        return occurrences, scripts[words]

    def owners(self, kept: np.ndarray | None = None) -> np.ndarray:
        """Return the repository of each script, or of those `kept`, as a number (int64[n])."""
        numbers = self.scripts["source"].rank("dense").cast(pl.Int64).to_numpy() - 1
        return numbers if kept is None else numbers[kept]

    def _words(self) -> np.ndarray:
        """Return for each token one id that its two senses share (int64[tokens])."""
        word = self.tokens.str.strip_prefix(COMMAND).to_frame("word").with_row_index("id")
        return word.select(pl.col("id").first().over("word").cast(pl.Int64)).to_series().to_numpy()


class RepositoryCap:
    """How much each use of a token counts when no repository may count a token more than `cap` times.

    A token that its repository uses n times weighs min(1, cap / n) each time; `cap` None leaves all at 1.
    """

    def __init__(self, stream: TokenStream, kept: np.ndarray | None, cap: int | None):
        self.cap, self.size, self.next = cap, len(stream.tokens), 0
        if cap is None:
            return
        self.owners = stream.owners(kept)
        counted = [np.unique(self._coded(*chunk), return_counts=True) for chunk in stream.chunks(kept)]
        codes, uses = (np.concatenate(part) for part in zip(*counted, strict=True))
        self.codes, place = np.unique(codes, return_inverse=True)
        self.uses = np.bincount(place, weights=uses)
        self.next = 0

    def _coded(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return one number for the repository and the token of each token of the next chunk (int64[m])."""
        owners = self.owners[self.next : self.next + len(lengths)]
        self.next += len(lengths)
        return np.repeat(owners, lengths) * self.size + ids

    def weights(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Return the weights of the tokens of the next chunk (float32[m])."""
        if self.cap is None:
            return np.ones(len(ids), dtype=np.float32)
        uses = self.uses[np.searchsorted(self.codes, self._coded(ids, lengths))]
        return np.minimum(1, self.cap / uses).astype(np.float32)


def statements(ids: np.ndarray, lengths: np.ndarray, stream: TokenStream) -> np.ndarray:
    """Return where statements begin in a chunk: at scripts, and commands after no bracket or pipe."""
    tokens = stream.tokens
    mark = tokens.eq(COMMAND_MARK).arg_max() if COMMAND_MARK in tokens else -1
    inner = tokens.is_in([token for token in OPENERS if token not in (";", "{")]).to_numpy()
    begins = ids == mark
    begins[1:] &= ~inner[ids[:-1]]
    begins[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
    return np.flatnonzero(begins)
