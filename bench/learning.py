"""Learning word vectors, measured: against gensim fed with lists, and as the corpus grows.

Each figure comes from a process of its own, so that its peak memory is its own. The corpus is the public
run's token stream where there is one, otherwise a generated one; a larger corpus repeats its scripts.
"""

import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from bench import measuring
from psembed.embedding import benchmark, word2vec
from psembed.embedding.stream import TokenStream, store, write
from psembed.powershell.decoding import decode
from psembed.sources import synthetic

SETTINGS = {"min_scripts": 10, "dimension": 100, "window": 2, "negative": 5, "seed": 1, "workers": 2}
COMPARED, EPOCHS = 20_000, 3  # scripts both sides learn from, and how often
SIZES = (50_000, 100_000, 200_000, 400_000)  # scripts, for memory and time against size
GENERATED = 8_000  # scripts of the generated corpus


def main(root: Path) -> dict:
    """Measure; return our way and gensim fed with lists, and time and peak memory by corpus size.

    Returns
    -------
    dict
        corpus ("public" or "generated"), ours, gensim (dict: seconds,
        tokens_per_second, peak_gb, alias_mrr on the development half), growth (list of dict: scripts, tokens,
        seconds, peak_gb), slope (seconds a million tokens, least squares) and straight (R squared of it).
    """
    with tempfile.TemporaryDirectory() as folder:
        stream, corpus = _stream(root, Path(folder))
        compared = {
            name: measuring.alone(work, stream.folder, COMPARED)
            for name, work in (("ours", _ours), ("gensim", _gensim))
        }
        growth = [_growth(stream.folder, scripts, Path(folder)) for scripts in SIZES]
    tokens, seconds = (np.array([row[name] for row in growth]) for name in ("tokens", "seconds"))
    slope, offset = np.polyfit(tokens / 1e6, seconds, 1)
    left = seconds - slope * tokens / 1e6 - offset
    return {
        "corpus": corpus,
        **compared,
        "growth": growth,
        "slope": float(slope),
        "straight": float(1 - left.var() / seconds.var()),
    }


def _stream(root: Path, folder: Path) -> tuple[TokenStream, str]:
    made = root / "work" / "public" / "stream"
    if (made / "about.json").is_file():
        return TokenStream(made), "public"
    made = synthetic.generate(scripts=GENERATED, seed=1)
    texts = [decode(data)[0] for rows in made.values() for _, data in rows]
    return write(
        folder / "generated", [pl.DataFrame({"text": [text for text in texts if text]})]
    ), "generated"


def _ours(folder: Path, scripts: int) -> dict:
    stream = TokenStream(folder)
    started = time.perf_counter()
    vectors = word2vec.train(stream, kept=_first(stream, scripts), epochs=EPOCHS, **SETTINGS)
    return _measured(started, _size(stream, scripts), vectors)


def _gensim(folder: Path, scripts: int) -> dict:
    """Do what a user would: lists of tokens in memory, and Word2Vec on them with the same settings."""
    from gensim.models import Word2Vec

    stream = TokenStream(folder)
    names = stream.tokens.to_list()
    lists = [
        [names[place] for place in ids[end - length : end]]
        for ids, lengths in stream.chunks(_first(stream, scripts))
        for end, length in zip(np.cumsum(lengths), lengths, strict=True)
    ]
    same = {name: SETTINGS[name] for name in ("window", "negative", "seed", "workers")}
    started = time.perf_counter()
    model = Word2Vec(lists, vector_size=SETTINGS["dimension"], min_count=10, epochs=EPOCHS, **same)
    return _measured(started, _size(stream, scripts), model.wv)


def _first(stream: TokenStream, n: int) -> np.ndarray:
    return np.arange(len(stream)) < n


def _size(stream: TokenStream, n: int) -> int:
    return int(stream.scripts["tokens"].to_numpy()[_first(stream, n)].sum())


def _measured(started: float, tokens: int, vectors) -> dict:
    seconds, peak = time.perf_counter() - started, measuring.peak_gb()
    scores = benchmark.run(vectors, seed=1, half="development", min_count=20)["summary"]["development"]
    return {
        "seconds": seconds,
        "tokens_per_second": EPOCHS * tokens / seconds,
        "peak_gb": peak,
        "alias_n": scores["alias_n"],
        "alias_mrr": scores["alias_mrr"],
    }


def _growth(folder: Path, scripts: int, into: Path) -> dict:
    """Learn from a corpus of so many scripts, made by another process than the one that is measured."""
    grown = into / f"{scripts}"
    measuring.alone(_repeat, folder, scripts, grown)
    try:
        return measuring.alone(_grown, grown)
    finally:
        shutil.rmtree(grown)


def _repeat(folder: Path, scripts: int, into: Path) -> None:
    """Write a stream of so many scripts, which repeats the first ones of `folder` as often as needed."""
    stream = TokenStream(folder)
    size = min(len(stream), SIZES[0], scripts)
    times = -(-scripts // size)
    first = np.arange(len(stream)) < size
    ids = (chunk for _ in range(times) for chunk, _ in stream.chunks(first))
    store(into, ids, pl.concat([stream.scripts.head(size)] * times), stream.tokens)


def _grown(folder: Path) -> dict:
    stream = TokenStream(folder)
    started = time.perf_counter()
    word2vec.train(stream, epochs=1, **SETTINGS)
    return {
        "scripts": len(stream),
        "tokens": int(stream.ends[-1]),
        "seconds": time.perf_counter() - started,
        "peak_gb": measuring.peak_gb(),
    }


def figure_rows(results: dict) -> list[dict]:
    """Return the rows of figure 08_speed from the results of the whole benchmark."""
    rows = [
        {"panel": "tokenise", "name": name, "x": 0.0, "y": results[f"{key}_mb_per_s"] or 0.0}
        for name, key in (("psembed", "tokenise"), ("HF tokenizers", "hf"), ("Python re", "re"))
    ]
    learning = results["learning"]
    rows += [
        {"panel": "learn", "name": name, "x": 0.0, "y": learning[key]["tokens_per_second"] / 1e6}
        for name, key in (("psembed", "ours"), ("gensim, lists", "gensim"))
    ]
    return rows + [
        {"panel": panel, "name": "psembed", "x": row["tokens"] / 1e6, "y": row[key]}
        for panel, key in (("seconds", "seconds"), ("memory", "peak_gb"))
        for row in learning["growth"]
    ]
