"""Protocols: every script is tested once, and nothing that is trained on shares a group with it."""

import itertools

import numpy as np
import polars as pl
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from psembed.datasets import protocols, rewritten
from psembed.datasets.labels import DROP_ASIDE
from psembed.datasets.protocols import APART, COPIES, DROPPED, TEST, TRAIN, UNUSED
from psembed.runtime.errors import CorpusError, ParameterError, SplitError

GROUPED = ("p1", "p2", "p3")
LIMITS = {"per_cluster": 3, "most_clean": 1_000, "seed": 1}


def scripts(rows: list[dict], *, folds: int = 3) -> pl.DataFrame:
    """Return an audited table of the rows, with folds."""
    default = {"source": "r", "label": 0, "repository_group": "", "stratum": "human", "dropped": ""}
    known = ({**default, "group": row["cluster"], **row} for row in rows)
    named = [{**row, "sha256": f"s{number}", "text": "x", "clean": "x"} for number, row in enumerate(known)]
    return protocols.with_folds(pl.DataFrame(named), folds=folds, seed=1)


def plain_rows(groups: int = 24) -> list[dict]:
    """Return scripts of two malicious sources and of repositories, two in a cluster."""
    rows = []
    for cluster in range(groups):
        row = {"cluster": cluster, "label": cluster % 2}
        if cluster % 2:
            row |= dict.fromkeys(("source", "stratum"), ("old", "wild")[cluster % 4 == 1])
        else:
            row |= {"repository_group": f"g{cluster}", "stratum": ("human", "snippets")[cluster % 8 == 0]}
        rows += [row, row]
    return rows


def corpus(*more: dict) -> pl.DataFrame:
    return scripts([*plain_rows(), *more])


def drawn_up(audited: pl.DataFrame, **options) -> pl.DataFrame:
    return protocols.draw_up(audited, **{"wild_source": "wild", "pinned": [], **options})


def with_ways(samples: pl.DataFrame) -> pl.DataFrame:
    """Add the first script of each cluster in every way, as `rewritten` does."""
    plain = samples.filter(pl.col("dropped") == "", pl.col("rank") == 0)
    ways = (*rewritten.TRANSFORMS, *rewritten.WRAPPERS)
    return pl.concat([samples, *(plain.with_columns(way=pl.lit(way)) for way in ways)])


def training(samples: pl.DataFrame, protocol: str, fold: int, **limits) -> pl.DataFrame:
    return protocols.training(samples, protocol, fold, **(LIMITS | limits))


def over_folds(samples: pl.DataFrame, protocol: str, part: str) -> pl.DataFrame:
    """Return a part of all folds."""
    every = (protocols.tested(samples, protocol, fold) for fold in protocols.folds(samples))
    return pl.concat([parts[part] for parts in every if part in parts])


def test_every_cluster_is_tested_once_and_by_no_model_that_saw_its_group():
    samples = with_ways(drawn_up(corpus()))
    for protocol in GROUPED:
        protocols.check(samples, protocol)
        own = over_folds(samples, protocol, TEST)
        asked = samples.filter(pl.col(protocol) == TEST)
        assert sorted(own["cluster"]) == sorted(asked["cluster"].unique())
        assert protocols.sizes(samples, protocol)["negative_clusters"] == own.filter(label=0).height
        for fold in protocols.folds(samples):
            trained = set(training(samples, protocol, fold)["group"])
            for rows in protocols.tested(samples, protocol, fold).values():
                assert not trained & set(rows["group"])


ROWS = st.lists(
    st.fixed_dictionaries({
        "cluster": st.integers(0, 30),
        "origin": st.sampled_from(["old", "wild", "human", "snippets", "pinned"]),
        "dropped": st.sampled_from(["", "", "", "why", DROP_ASIDE]),
    }),
    max_size=40,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_whatever_shares_a_cluster_or_a_group_nothing_leaks(drawn):
    rows = []
    for row in drawn:
        malicious = row["origin"] in ("old", "wild")
        known = {"source": row["origin"] if malicious else "r", "label": int(malicious)}
        known |= {"stratum": row["origin"], "repository_group": row["origin"]}
        rows.append(
            {"cluster": 100 + row["cluster"], "group": row["cluster"] % 12, "dropped": row["dropped"]} | known
        )
    try:
        samples = with_ways(drawn_up(corpus(*rows), pinned=["pinned"]))
    except SplitError:  # a fold that lacks a class is refused
        reject()
    for protocol in GROUPED:
        protocols.check(samples, protocol)
        assert over_folds(samples, protocol, TEST)["sha256"].is_unique().all()


def test_p2_trains_on_the_old_sources_and_p3_on_the_wild_one():
    samples = with_ways(drawn_up(corpus()))
    for protocol, trained, tested in (("p2", "old", "wild"), ("p3", "wild", "old")):
        for fold in protocols.folds(samples):
            sides = training(samples, protocol, fold), *protocols.tested(samples, protocol, fold).values()
            known = [set(side.filter(label=1)["source"]) for side in sides]
            assert known[:2] == [{trained}, {tested}] and set().union(*known[1:]) == {tested}
            assert set(training(samples, protocol, fold).filter(label=0)["fold"]) == {0, 1, 2} - {fold}


def test_snippets_and_pinned_repositories_are_apart_and_trained_on():
    samples = drawn_up(corpus(), pinned=["g2"])
    for protocol in GROUPED:
        apart = over_folds(samples, protocol, APART)
        assert set(apart["stratum"]) == {protocols.SNIPPETS, protocols.PINNED}
        assert (
            apart["cluster"].is_unique().all() and protocols.sizes(samples, protocol)[APART] == apart.height
        )
        assert not set(apart["group"]) & set(over_folds(samples, protocol, TEST)["group"])
        for fold in protocols.folds(samples):
            others = set(apart.filter(pl.col("fold") != fold)["cluster"])
            assert others <= set(training(samples, protocol, fold)["cluster"])


def test_a_cluster_of_snippets_and_others_is_tested_in_both_parts():
    mixed = [{"cluster": 50, "stratum": stratum} for stratum in ("snippets", "human", "human")]
    samples = drawn_up(corpus(*mixed))
    parts = {
        part: over_folds(samples, "p1", part).filter(cluster=50).height for part in (TEST, APART, COPIES)
    }
    assert parts == {TEST: 1, APART: 1, COPIES: 1}


def test_malicious_scripts_beside_the_other_side_are_left_out():
    rows = corpus().with_columns(group=pl.when(pl.col("group") == 3).then(1).otherwise("group"))
    samples = drawn_up(rows)
    for protocol, trained, unused in (("p2", 3, 1), ("p3", 1, 3)):
        assert set(samples.filter(cluster=trained)[protocol]) == {TRAIN}
        assert set(samples.filter(cluster=unused)[protocol]) == {UNUSED}


def test_malicious_scripts_beside_clean_ones_are_tested_and_never_trained_on():
    rows = [
        {"cluster": 50 + n, "group": 50, "source": ("r", "old", "wild")[n], "label": int(n > 0)}
        for n in range(3)
    ]
    samples = drawn_up(corpus(*rows)).filter(group=50)
    assert samples["p2"].to_list() == [TEST, UNUSED, TEST]
    assert samples["p3"].to_list() == [TEST, TEST, UNUSED]


def test_a_cluster_of_both_sources_is_trained_on_from_either_side():
    mixed = [{"cluster": 50, "source": source, "label": 1} for source in ("old", "wild")]
    samples = drawn_up(corpus(*mixed))
    for protocol, source in (("p2", "old"), ("p3", "wild")):
        rows = training(samples, protocol, 0, per_cluster=1).filter(cluster=50)
        assert rows["source"].to_list() == [source]


def test_the_naive_protocol_cuts_clusters_and_counts_every_copy():
    samples = with_ways(drawn_up(corpus({"cluster": 50, "dropped": "why"})))
    parts = [protocols.tested(samples, "p0", fold) for fold in protocols.folds(samples)]
    assert [list(found) for found in parts] == [[TEST]] * 3
    own = pl.concat([found[TEST] for found in parts])
    assert sorted(own["sha256"]) == sorted(
        samples.filter(pl.col("p0") == TEST, pl.col("way") == "")["sha256"]
    )
    shared = 0
    for fold, found in enumerate(parts):
        train = training(samples, "p0", fold, per_cluster=1)
        assert set(train["way"]) == {""} and not set(train["sha256"]) & set(found[TEST]["sha256"])
        shared += len(set(train["cluster"]) & set(found[TEST]["cluster"]))
    assert shared > 0


def test_few_of_a_cluster_and_of_clean_scripts_are_trained_on():
    samples = drawn_up(corpus(*[{"cluster": 50, "source": "old", "label": 1}] * 5))
    fold = (samples.filter(cluster=50)["fold"][0] + 1) % 3
    counts = [training(samples, "p1", fold, per_cluster=n).filter(cluster=50).height for n in (1, 3, 9)]
    assert counts == [1, 3, 5]
    few = [training(samples, "p1", fold, most_clean=4, seed=seed) for seed in (1, 1, 2)]
    assert [rows.filter(label=0).height for rows in few] == [4, 4, 4]
    assert few[0].equals(few[1]) and not few[0].equals(few[2])
    assert few[0].filter(label=1).height == training(samples, "p1", fold).filter(label=1).height


def test_what_cannot_be_dealt_out_is_told():
    for wild in ("none", "r"):
        with pytest.raises(CorpusError, match="P2 needs"):
            drawn_up(corpus(), wild_source=wild)
    one_source = corpus().filter(pl.col("source") != "old")
    with pytest.raises(CorpusError, match="of another: there are"):
        drawn_up(one_source)
    with pytest.raises(SplitError, match="no clean script to train"):
        drawn_up(corpus().with_columns(fold=pl.col("label")))
    with pytest.raises(ParameterError, match="at least 2"):
        protocols.with_folds(corpus(), folds=1, seed=1)
    with pytest.raises(CorpusError, match="2 groups cannot be dealt out to 3 folds"):
        scripts([{"cluster": 1}, {"cluster": 2}, {"cluster": 2}])


def test_a_fold_whose_clean_scripts_are_all_apart_is_refused():
    every = {f"g{group}" for group in range(24)}
    with pytest.raises(SplitError, match="has no clean script to test"):
        drawn_up(corpus(), pinned=sorted(every))


@pytest.mark.parametrize("protocol", GROUPED)
def test_a_group_on_both_sides_is_named(protocol):
    leaking = drawn_up(corpus()).with_columns(group=pl.lit(7))
    with pytest.raises(SplitError, match="group 7 is trained on and tested in fold 0"):
        protocols.check(leaking, protocol)


def test_a_dropped_script_is_tested_where_its_protocol_would_and_never_trained_on():
    rows = [
        {"cluster": 50 + n, "source": source, "label": int(source != "r"), "dropped": "why"}
        for n, source in enumerate(("r", "old", "wild"))
    ]
    copy = rows[0] | {"repository_group": "a copy"}
    samples = drawn_up(corpus(*rows, copy))
    found = {protocol: over_folds(samples, protocol, DROPPED)["source"].to_list() for protocol in GROUPED}
    assert {protocol: sorted(sources) for protocol, sources in found.items()} == {
        "p1": ["old", "r", "wild"], "p2": ["r", "wild"], "p3": ["old", "r"],
    }  # fmt: skip
    for protocol, fold in itertools.product(protocols.PROTOCOLS, (0, 1, 2)):
        assert training(samples, protocol, fold)["cluster"].max() < 50
    assert all(DROPPED not in protocols.tested(samples, "p0", fold) for fold in (0, 1, 2))


def test_what_is_dropped_beside_malicious_training_scripts_or_aside_is_not_tested():
    beside = [{"cluster": 50 + n, "group": 3, "dropped": "why"} for n in range(3)]  # an old source's group
    beside[1] |= {"source": "wild", "label": 1}
    aside = {"cluster": 3, "group": 2, "dropped": DROP_ASIDE}
    samples = drawn_up(corpus(*beside, aside))
    tested = [
        set(samples.filter(pl.col(name) == TEST, pl.col("dropped") != "")["cluster"]) for name in GROUPED
    ]
    assert tested == [{50, 51, 52}, set(), {50, 52}]
    protocols.check(samples, "p2")


def test_each_malicious_script_is_trained_on_in_a_few_ways_that_differ():
    samples = with_ways(
        drawn_up(corpus(*[{"cluster": 50 + n, "source": "old", "label": 1} for n in range(60)]))
    )
    for protocol, fold in itertools.product(GROUPED, (0, 1, 2)):
        rows = training(samples, protocol, fold)
        plain, made = (rows.filter((pl.col("way") != "") == here) for here in (False, True))
        own = made.filter(label=1)
        assert set(own.group_by("sha256").len()["len"]) == {protocols.VARIANTS}
        assert set(own["sha256"]) <= set(plain["sha256"])
        assert own.select("sha256", "way").is_unique().all()
        assert not set(made["way"]) & set(rewritten.HELD_OUT) and set(made["fold"]) == {0, 1, 2} - {fold}
        # A way that malicious scripts are never written in would tell a detector that its scripts are clean.
        if own.height > 80:
            assert set(own["way"]) == set(made.filter(label=0)["way"])
    assert own.height > 0 and training(samples, "p1", 0).filter(label=1, way="case").height < 40


def test_ways_are_drawn_by_the_seed():
    samples = with_ways(drawn_up(corpus()))
    one, again, other = (training(samples, "p1", 0, seed=seed) for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one.filter(label=1).equals(other.filter(label=1))


def test_each_way_of_a_tested_script_is_a_part_held_out_ones_too():
    samples = with_ways(drawn_up(corpus({"cluster": 50, "source": "old", "label": 1, "dropped": "why"})))
    ways = {*rewritten.TRANSFORMS, *rewritten.WRAPPERS}
    for protocol in GROUPED:
        for fold in protocols.folds(samples):
            parts = protocols.tested(samples, protocol, fold)
            assert set(parts) - {TEST, APART, COPIES, DROPPED} == ways
            for way in ways:
                assert set(parts[way]["sha256"]) == set(parts[TEST]["sha256"]) and set(parts[way]["way"]) == {
                    way
                }


def test_a_budget_is_a_nested_share_of_the_clusters_of_each_class():
    rows = pl.DataFrame({"cluster": np.arange(300) // 3, "label": (np.arange(300) >= 240).astype(int)})
    small, large = (protocols.budget(rows, share=share, seed=1) for share in (0.1, 0.5))
    for kept, clean, malicious in ((small, 8, 2), (large, 40, 10)):
        by_class = kept.group_by("label").agg(pl.col("cluster").n_unique(), scripts=pl.len()).sort("label")
        assert by_class.rows() == [(0, clean, 3 * clean), (1, malicious, 3 * malicious)]
    assert set(small["cluster"]) < set(large["cluster"])
    assert protocols.budget(rows, share=1, seed=1).equals(rows)
    assert protocols.budget(rows, share=1e-6, seed=1)["cluster"].n_unique() == 2


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_budget_out_of_range_is_refused(share):
    with pytest.raises(ParameterError, match="share of the labels"):
        protocols.budget(pl.DataFrame({"cluster": [1], "label": [1]}), share=share, seed=1)


def test_sizes_count_what_is_tested_and_neither_ways_nor_what_is_dropped():
    malicious = list(enumerate(["old", "wild"] * 4))
    audited = scripts([
        *[{"cluster": n % 4, "source": name, "stratum": name, "label": 1} for n, name in malicious],
        *[{"cluster": 10 + n} for n in range(6)],
        {"cluster": 20, "stratum": "snippets"},
        {"cluster": 21, "dropped": "why"},
    ], folds=2)  # fmt: skip
    samples = with_ways(drawn_up(audited))
    clean = {"negatives": 6, "negative_clusters": 6, APART: 1}
    assert protocols.sizes(samples, "p1") == {"positives": 8, "positive_clusters": 4} | clean
    assert protocols.sizes(samples, "p2") == {"positives": 4, "positive_clusters": 2} | clean
