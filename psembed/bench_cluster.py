"""Dask, measured on this machine: scripts a second with one worker and with as many as there are cores."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from psembed import corpus, detector, distributed, measuring, tokens, workers
from psembed.bench_scoring import spread
from psembed.detector import Item
from psembed.tokens import Vocabulary

if TYPE_CHECKING:
    from distributed import Client

RATED = 8_000  # scripts


def main(contents: list[bytes]) -> dict | None:
    """Score, tokenise and cluster files with one worker and with a worker a core.

    Parameters
    ----------
    contents : list of bytes
        Files as they are; of the decodable ones RATED spread over all are taken.

    Returns
    -------
    dict or None
        None where Dask is not installed. Otherwise scripts : int, and for each of score, tokenise and
        near_duplicates a list of dict with workers and scripts_per_second.
    """
    try:
        import distributed as _  # noqa: F401
    except ImportError:
        return None
    rated = spread([data for data in contents if corpus.decode(data)[0]], RATED)
    found: dict = {"scripts": len(rated)}
    for count in dict.fromkeys((1, os.cpu_count() or 1)):
        with workers.dask(workers.LOCAL, workers=count) as client:
            for name, work in _works(client, rated).items():
                work()  # workers load what they need
                rate = len(rated) / measuring.timed(work)
                found.setdefault(name, []).append({"workers": count, "scripts_per_second": rate})
    return found


def _works(client: "Client", contents: list[bytes]) -> dict[str, Callable[[], object]]:
    items = [Item(str(number), data) for number, data in enumerate(contents)]
    texts = [corpus.clean(corpus.decode(data)[0]) for data in contents]
    vocabulary = Vocabulary.fit(tokens.tokenise_series(texts), min_scripts=5)
    folder = Path(tempfile.gettempdir())
    return {
        "score": lambda: list(workers.on_dask(client, detector.judge, detector.chunks(items))),
        "tokenise": lambda: list(distributed.ids(client, texts, vocabulary)),
        "near_duplicates": lambda: distributed.near_duplicates(client, texts, folder),
    }
