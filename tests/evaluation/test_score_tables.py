"""Scores go to files and come back as they were, with what is known of scripts; what is wrong is named."""

import drawn_up
import numpy as np
import polars as pl
import pytest

from psembed.datasets.protocols import APART, COPIES, DROPPED, PROTOCOLS
from psembed.evaluation import score_tables
from psembed.project.workspace import Workspace
from psembed.runtime.errors import CorpusError, StageError

SAMPLES = drawn_up.samples()


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.delenv("PSEMBED_STAGING", raising=False)
    made = Workspace("smoke", root=tmp_path)
    score_tables.list_scripts(made, SAMPLES)
    return made


def rows(protocol: str = "p1", model: str = "a", seed: int = 1, share: float = 1.0) -> pl.DataFrame:
    parts = drawn_up.scored(SAMPLES, protocol, seed=seed)
    return pl.concat([score_tables.table(model, seed, *part, share=share) for part in parts])


def file(workspace, kind: str, name: str):
    return workspace.results / "scores" / kind / f"{name}.parquet"


def test_what_every_protocol_scores_is_listed_without_text(workspace):
    for protocol in PROTOCOLS:
        listed = pl.read_parquet(file(workspace, "scripts", protocol))
        assert listed.columns == ["part", *score_tables.FACTS]
        assert not listed.select("part", "sha256").is_duplicated().any()
        test = listed.filter(part="test")
        if protocol == "p0":  # every copy that no rule dropped, in folds of its own
            assert set(listed["part"]) == {"test"} and test["label"].sum() == 23
            continue
        assert set(listed["part"]) >= {"test", APART, COPIES, "case"}
        assert test["cluster"].is_unique().all() and set(test["stratum"]) == {"human", "m"}
        assert set(listed.filter(part="case")["sha256"]) == set(test["sha256"])
        assert set(listed.filter(part=APART)["stratum"]) == {"snippets"}
    assert set(pl.read_parquet(file(workspace, "scripts", "p1")).filter(part=DROPPED)["sha256"]) == {
        "2-1",
        "3-1",
    }
    assert set(pl.read_parquet(file(workspace, "scripts", "p2")).filter(label=1, part="test")["source"]) == {
        "wild"
    }


def test_scores_come_back_as_rows_with_what_is_known(workspace):
    several = pl.concat([rows(), rows(seed=2), rows(share=0.03).filter(part="test")])
    score_tables.write(workspace, "networks", "p1", several.sample(fraction=1, shuffle=True, seed=1))
    score_tables.write(workspace, "networks", "p1", rows(model="a_b"))
    score_tables.write(workspace, "networks", "p2", rows("p2", "a_b"))
    score_tables.write(workspace, "baselines", "p0", rows("p0", "c"))
    found = score_tables.read(workspace, ["networks", "baselines"])
    assert found.columns == ["protocol", "model", "seed", "share", "part", *score_tables.FACTS, "score"]
    own = found.filter(protocol="p1", model="a").select(several.columns)
    order = ["seed", "share", "part", "sha256"]
    assert own.sort(order).equals(several.sort(order))
    facts = SAMPLES.filter(pl.col("way") == "").select("sha256", "label", "source", "fold", fold_p0="fold_p0")
    joined = found.join(facts, on="sha256", suffix="_of")
    assert (joined["label"] == joined["label_of"]).all() and (joined["source"] == joined["source_of"]).all()
    fold = pl.when(pl.col("protocol") == "p0").then("fold_p0").otherwise("fold_of")
    assert joined.filter(pl.col("fold") != fold).is_empty()
    assert set(score_tables.read(workspace, ["networks"], protocols=("p2",))["model"]) == {"a_b"}
    one = score_tables.read(workspace, ["networks"], model="a_b")
    assert set(one["protocol"]) == {"p1", "p2"} and set(one["model"]) == {"a_b"}
    names = [path.name for path in sorted((workspace.results / "scores" / "networks").iterdir())]
    assert names == ["p1_a.parquet", "p1_a_b.parquet", "p2_a_b.parquet"]


def test_what_was_told_is_kept_and_told_again(workspace):
    assert score_tables.told_of(workspace, "networks", "p1", "a") is None
    score_tables.write(workspace, "networks", "p1", rows(), made_by=["x", "y"], history=[{"loss": 0.5}])
    told = {"made_by": ["x", "y"], "history": [{"loss": 0.5}]}
    assert score_tables.told_of(workspace, "networks", "p1", "a") == told
    path = file(workspace, "networks", "p1_a")
    before = path.read_bytes()
    score_tables.keep(workspace, "networks", "p1", "a")
    assert path.read_bytes() == before and score_tables.told_of(workspace, "networks", "p1", "a") == told
    path.write_bytes(b"PAR1 cut short")
    assert score_tables.told_of(workspace, "networks", "p1", "a") is None


def test_what_is_kept_is_written_where_a_staged_run_writes(workspace, tmp_path, monkeypatch):
    score_tables.write(workspace, "networks", "p1", rows(), made_by=["x"])
    monkeypatch.setenv("PSEMBED_STAGING", str(tmp_path / "staging"))
    staged = Workspace("smoke", root=tmp_path)
    score_tables.keep(staged, "networks", "p1", "a")
    own = file(workspace, "networks", "p1_a").relative_to(tmp_path)
    assert (tmp_path / "staging" / own).read_bytes() == (tmp_path / own).read_bytes()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda table: pl.concat([table, table.head(1)]), "a scores a script of p1 twice"),
        (lambda table: table.with_columns(sha256=pl.lit("?") + pl.col("sha256")), "05_labels does not list"),
        (
            lambda table: table.with_columns(score=pl.lit(float("nan"), pl.Float32)),
            "scores of a in p1 are NaN",
        ),
    ],
)
def test_scores_that_do_not_fit_are_refused_and_nothing_is_written(workspace, spoil, message):
    with pytest.raises(CorpusError, match=message):
        score_tables.write(workspace, "networks", "p1", spoil(rows()))
    assert not file(workspace, "networks", "p1_a").exists()


def test_a_missing_folder_names_its_notebook_and_a_missing_model_is_named(workspace):
    with pytest.raises(StageError, match="07_cnn_lstm makes it"):
        score_tables.read(workspace, ["networks"])
    score_tables.write(workspace, "networks", "p1", rows())
    with pytest.raises(CorpusError, match="no scores of b"):
        score_tables.read(workspace, ["networks"], model="b")


def test_a_damaged_file_and_one_of_other_scripts_are_named(workspace):
    score_tables.write(workspace, "networks", "p1", rows())
    path = file(workspace, "networks", "p1_a")
    whole = pl.read_parquet(path)
    path.write_bytes(b"PAR1 cut short")
    with pytest.raises(CorpusError, match="p1_a"):
        score_tables.read(workspace, ["networks"])
    whole[:-1].write_parquet(path)
    with pytest.raises(CorpusError, match="scores of a are of other scripts than p1 has"):
        score_tables.read(workspace, ["networks"])


def test_scores_of_a_network_are_one_column():
    part, scripts, scores = drawn_up.scored(SAMPLES, "p1")[0]
    flat = score_tables.table("a", 1, part, scripts, scores)
    assert score_tables.table("a", 1, part, scripts, scores[:, None]).equals(flat)
    assert flat["score"].dtype == pl.Float32 and np.array_equal(flat["score"], scores)
