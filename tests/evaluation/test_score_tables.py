"""Score tables go to files and come back as they were; what does not fit is named."""

import numpy as np
import polars as pl
import pytest

from psembed.evaluation import score_tables
from psembed.project.workspace import Workspace
from psembed.runtime.errors import CorpusError, StageError


def scripts(part: str, count: int = 5) -> pl.DataFrame:
    return pl.DataFrame({
        "sha256": [f"{part}{n}" for n in range(count)], "source": "a", "stratum": "s",
        "label": pl.Series(np.arange(count) % 2, dtype=pl.Int8), "cluster": np.arange(count),
        "clean": ["text"] * count,
    })  # fmt: skip


def rows() -> pl.DataFrame:
    def one(protocol: str, model: str, seed: int, part: str, **share: float) -> pl.DataFrame:
        values = np.random.default_rng(seed).random(5, dtype=np.float32)
        return score_tables.table(protocol, model, seed, part, scripts(part), values, **share)

    return pl.concat([
        one("p0", "a", 1, "test"), one("p1", "a", 1, "test"), one("p1", "a_b", 2, "test"),
        one("p1", "a_b", 2, "test", share=0.03), one("p1", "a", 1, "validation"), one("p2", "a", 1, "case"),
    ])  # fmt: skip


@pytest.fixture
def workspace(tmp_path):
    return Workspace("smoke", root=tmp_path)


def test_round_trip_without_text(workspace):
    score_tables.write(workspace, "networks", rows())
    found = score_tables.read(workspace, ["networks"])
    assert "clean" not in found.columns and found.columns == rows().columns
    order = ["protocol", "model", "seed", "share", "part", "sha256"]
    assert found.sort(order).equals(rows().sort(order))
    assert sorted(path.name for path in (workspace.results / "scores").iterdir()) == [
        "networks_p0.parquet", "networks_p1.parquet", "networks_p2.parquet",
    ]  # fmt: skip


def test_a_missing_file_names_its_notebook(workspace):
    with pytest.raises(StageError, match="07_cnn_lstm makes it"):
        score_tables.read(workspace, ["networks"])


def test_a_damaged_file_is_named(workspace):
    score_tables.write(workspace, "networks", rows())
    (workspace.results / "scores" / "networks_p1.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(CorpusError, match="networks_p1"):
        score_tables.read(workspace, ["networks"])


def test_a_script_twice_in_a_part_is_refused(workspace):
    score_tables.write(workspace, "networks", rows())
    path = workspace.results / "scores" / "networks_p1.parquet"
    table = pl.read_parquet(path)
    pl.concat([table, table.head(1)]).write_parquet(path)
    with pytest.raises(CorpusError, match="twice"):
        score_tables.read(workspace, ["networks"])
