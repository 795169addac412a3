"""Scripts written another way: both classes, every way, and no code of another fold."""

import re

import polars as pl
import pytest

import psembed
from psembed.datasets import protocols, rewritten, transforms, wrapping
from psembed.powershell import cleaning
from psembed.runtime.errors import CorpusError

HOSTED = transforms.HOSTED
MARK = re.compile(r"mark-(\d+)-of-fold-(\d)")


def samples(folds: int = 3) -> pl.DataFrame:
    """Return drawn-up scripts, each with a mark of its own; every third cluster has a copy."""
    rows = []
    for cluster in range(36):
        label = cluster % 2
        source = ("old", "wild")[cluster % 4 == 1] if label else "r"
        for copy in range(1 + (cluster % 3 == 0)):
            text = (
                f"$Value = Get-Item 'mark-{cluster}-of-fold-{cluster // 2 % folds}' # {copy}\r\n"
                f"gci $Value | ForEach-Object {{ Write-Host 'it is {copy}' }}\r\n"
            )
            rows.append({
                "sha256": f"s{cluster}-{copy}", "source": source, "label": label, "stratum": source,
                "repository_group": "", "cluster": cluster, "group": cluster, "dropped": "",
                "fold": cluster // 2 % folds, "fold_p0": cluster // 2 % folds,
                "text": text, "clean": cleaning.clean(text),
            })  # fmt: skip
    drawn = protocols.draw_up(pl.DataFrame(rows), wild_source="wild", pinned=[])
    return drawn.with_columns(read=pl.col("clean"))


@pytest.fixture(scope="module")
def plain():
    return samples()


@pytest.fixture(scope="module")
def made(plain):
    return rewritten.rewritten(plain, count=5, seed=1)


def test_every_malicious_cluster_and_some_clean_ones_are_written_in_every_way(plain, made):
    firsts = plain.filter(pl.col("rank") == 0)
    ways = [*transforms.TRANSFORMS, *(f"wrapped_{name}" for name in wrapping.WRAPPERS)]
    assert made["way"].unique(maintain_order=True).to_list() == ways
    for way in ways:
        rows = made.filter(way=way)
        assert sorted(rows.filter(label=1)["sha256"]) == sorted(firsts.filter(label=1)["sha256"])
        clean = set(rows.filter(label=0)["sha256"])
        assert len(clean) == 5 and clean < set(firsts.filter(label=0)["sha256"])
    assert (
        made.filter(label=0)["sha256"].n_unique() == firsts.filter(label=0).height
    )  # drawn anew for each way
    assert set(rewritten.HELD_OUT) == {f"wrapped_{name}" for name in wrapping.HELD_OUT} <= set(ways)


def test_what_is_known_of_a_script_is_kept(plain, made):
    known = ["sha256", "label", "source", "cluster", "group", "fold", "rank", *protocols.PROTOCOLS]
    for row in made.select(known).unique().iter_rows():
        assert row in plain.select(known).rows()
    assert made.columns == plain.columns and made.schema == plain.schema


def test_texts_are_those_of_the_way_and_are_read_with_what_they_hold(plain, made):
    origin = {row["sha256"]: row for row in plain.iter_rows(named=True)}
    for row in made.iter_rows(named=True):
        before = origin[row["sha256"]]
        assert row["clean"] == cleaning.clean(row["text"])
        if row["way"] in rewritten.WRAPPERS:
            wrapper = rewritten.WRAPPERS[row["way"]]
            assert row["text"] == wrapping.wrap(wrapper, before["text"], seed=1)
            assert row["clean"][:20] in row["read"] and before["clean"] in row["read"]
            assert before["text"].strip() in {
                layer.text.strip() for layer in psembed.unwrap(row["text"]).layers
            }
        elif row["way"] not in HOSTED:
            assert [row["text"]] == transforms.apply(row["way"], [before["clean"]], seed=1)
        assert row["read"]


def test_clean_code_beside_a_script_is_of_its_own_fold(plain, made):
    hosts = set()
    for row in made.filter(pl.col("way").is_in(HOSTED)).iter_rows(named=True):
        marks = MARK.findall(row["text"])
        others = [(int(cluster), int(fold)) for cluster, fold in marks if int(cluster) != row["cluster"]]
        assert {int(fold) for _, fold in marks} == {row["fold"]}
        assert len(marks) == 2 + (row["way"] == "benign_around")
        hosts |= set(others)
    assert len(hosts) > 3 and {cluster % 2 for cluster, _ in hosts} == {0}  # clean ones


def test_no_model_is_trained_on_code_that_its_fold_tests(plain, made):
    both = pl.concat([plain, made])
    for protocol in ("p1", "p2", "p3"):
        protocols.check(both, protocol)
        for fold in protocols.folds(both):
            train = protocols.training(both, protocol, fold, per_cluster=3, most_clean=99, seed=1)
            tested = pl.concat(protocols.tested(both, protocol, fold).values())
            seen, asked = (
                {mark[0] for mark in MARK.findall("\n".join(rows["read"]))} for rows in (train, tested)
            )
            assert seen and asked and not seen & asked
            assert set(train["way"]) > {""} and not set(train["way"]) & set(rewritten.HELD_OUT)


def test_the_seed_decides(plain, made):
    assert rewritten.rewritten(plain, count=5, seed=1).equals(made)
    other = rewritten.rewritten(plain, count=5, seed=2)
    assert other["way"].equals(made["way"]) and not other["text"].equals(made["text"])


def test_what_is_too_short_or_too_long_is_not_rewritten_and_all_clean_ones_may_be_asked_for(plain):
    short, long = "x" * (wrapping.SHORTEST - 1), "x" * (wrapping.LONGEST + 1)
    text = pl.when(sha256="s1-0").then(pl.lit(short)).when(sha256="s2-0").then(pl.lit(long)).otherwise("text")
    found = rewritten.rewritten(plain.with_columns(text=text), count=999, seed=1)
    assert not set(found["sha256"]) & {"s1-0", "s2-0"}
    assert found.filter(way="case")["sha256"].n_unique() == found.filter(way="case").height == 34


def test_dropped_scripts_and_copies_are_not_rewritten(plain, made):
    assert {sha256.split("-")[1] for sha256 in made["sha256"]} == {"0"}
    dropped = plain.with_columns(dropped=pl.when(cluster=1).then(pl.lit("why")).otherwise("dropped"))
    assert 1 not in set(rewritten.rewritten(dropped, count=5, seed=1)["cluster"])


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_is_refused(plain, label):
    with pytest.raises(CorpusError, match="one class only"):
        rewritten.rewritten(plain.filter(label=label), count=5, seed=1)
