"""A corpus worked on by Dask workers gives what one process gives, also where a worker dies in the middle."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from psembed import clusters, control, corpus, distributed, tokens, workers
from psembed.errors import CorpusError
from psembed.tokens import Vocabulary


@pytest.fixture(scope="module")
def client():
    with workers.dask(workers.LOCAL) as opened:
        yield opened


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Cleaned texts of the generated corpus, near-duplicates and equal ones among them, and empty ones."""
    files = (data for rows in control.generate(scripts=600, seed=1).values() for _, data in rows)
    return [corpus.clean(text) for data in files if (text := corpus.decode(data)[0])] + ["", "a", "a", "b c"]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(workers, "ROWS", 50)


def one_process(texts: list[str], folder: Path) -> tuple[np.ndarray, dict]:
    return clusters.near_duplicates([tokens.tokenise_series(texts)], folder)


def test_ids_are_those_of_one_process(client, texts):
    vocabulary = Vocabulary.fit(tokens.tokenise_series(texts), min_scripts=5)
    expected, lengths = tokens.ids(texts, vocabulary)
    for _ in range(3):  # what is sent to the workers for one call does not go with the one before
        found = list(distributed.ids(client, texts, vocabulary))
    assert [len(one) for one in found] == lengths.tolist() and len(found) > 500
    assert np.array_equal(np.concatenate(found), expected)


def test_clusters_are_those_of_one_process(client, texts, tmp_path):
    labels, stats = distributed.near_duplicates(client, texts, tmp_path)
    expected, told = one_process(texts, tmp_path)
    assert np.array_equal(labels, expected) and stats == told
    assert 1 < stats["clusters"] < stats["scripts"]
    with pytest.raises(CorpusError, match="no scripts"):
        distributed.near_duplicates(client, [], tmp_path)


def test_a_worker_killed_in_the_middle_changes_nothing(texts, tmp_path):
    with workers.dask(workers.LOCAL) as own:

        def killing():
            for number, text in enumerate(texts):
                if number == 300:
                    os.kill(next(iter(own.run(os.getpid).values())), signal.SIGKILL)
                yield text

        labels, stats = distributed.near_duplicates(own, killing(), tmp_path)
    expected, told = one_process(texts, tmp_path)
    assert np.array_equal(labels, expected) and stats == told
