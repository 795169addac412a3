"""The nearest training clusters: found by direction, told without text, refused when damaged."""

import numpy as np
import polars as pl
import pytest

from psembed.detector import neighbours
from psembed.release import assembly
from psembed.runtime.errors import ModelError


def clusters(count: int) -> pl.DataFrame:
    rows = {
        "sha256": [f"{n:064x}" for n in range(count)],
        "source": ["a"] * count,
        "label": [n % 2 for n in range(count)],
        "scripts": [n + 1 for n in range(count)],
        "clean": ["text of a script"] * count,
    }
    return pl.DataFrame(rows, schema_overrides=neighbours.COLUMNS)


@pytest.fixture
def written(tmp_path):
    features = np.abs(np.random.default_rng(1).normal(size=(20, 5))).astype(np.float32)
    path = tmp_path / "neighbours.parquet"
    neighbours.write(path, clusters(20), features)
    return path, features


def test_a_cluster_is_nearest_to_itself(written):
    path, features = written
    known = neighbours.read(path)
    for row in range(20):
        first, second, _ = known.nearest(features[row])
        assert first[:4] == (f"{row:064x}", "a", row % 2, row + 1)
        assert first.similarity == pytest.approx(1) and second.similarity < first.similarity


def test_order_is_that_of_the_cosine_between_standard_scores(written):
    path, features = written
    asked = np.ones(5, dtype=np.float32)
    spread = (features - features.mean(axis=0)) / features.std(axis=0)
    away = (asked - features.mean(axis=0)) / features.std(axis=0)
    cosines = spread @ away / np.linalg.norm(spread, axis=1) / np.linalg.norm(away)
    near = neighbours.read(path).nearest(asked, count=20)
    assert [int(one.sha256, 16) for one in near] == np.argsort(-cosines).tolist()
    assert np.allclose([one.similarity for one in near], np.sort(cosines)[::-1], atol=1e-5)


def test_the_mean_is_like_nothing_and_a_constant_feature_says_nothing(tmp_path):
    features = np.array([[1, 5], [2, 5], [3, 5]], dtype=np.float32)
    known = neighbours.Neighbours(clusters(3).drop("clean"), features)
    assert {one.similarity for one in known.nearest(features.mean(axis=0))} == {0.0}
    assert known.nearest(features[2])[0].similarity == pytest.approx(1)


def test_no_text_is_written(written):
    assert set(pl.read_parquet(written[0]).columns) == {*neighbours.COLUMNS, "features"}
    assert b"text of a script" not in written[0].read_bytes()


def test_clusters_are_one_training_script_each_and_malicious_ones_all_there():
    samples = pl.DataFrame(
        {
            "sha256": ["f", "e", "d", "c", "b", "a"],
            "source": "s",
            "label": [1, 1, 0, 0, 0, 1],
            "cluster": [1, 1, 2, 3, 4, 5],
            "rank": [0, 1, 0, 0, 0, 0],
            "dropped": [""] * 5 + ["why"],
            "way": "",
            "read": "text",
        }
    )
    kept = assembly.training_clusters(samples, clean=2, seed=1)
    assert kept.schema == {**neighbours.COLUMNS, "read": pl.String}
    assert kept.filter(pl.col("label") == 1).select("sha256", "scripts").rows() == [("f", 2)]
    assert kept.filter(pl.col("label") == 0).height == 2 and kept["sha256"].is_sorted()
    assert assembly.training_clusters(samples, clean=9, seed=1).height == 4


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more", None])
def test_damaged_files_are_refused(tmp_path, content):
    path = tmp_path / "neighbours.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match="copy it again"):
        neighbours.read(path)


def test_a_table_of_something_else_is_refused(tmp_path):
    path = tmp_path / "neighbours.parquet"
    clusters(3).write_parquet(path)
    with pytest.raises(ModelError, match="no neighbours of this version"):
        neighbours.read(path)
