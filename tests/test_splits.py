import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed import splits
from psembed.errors import CorpusError, ParameterError, SplitError

MEMBERS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(["", "a", "b", "c"])), min_size=1, max_size=60
)


def test_cluster_goes_to_the_repository_that_holds_most_of_it():
    clusters = [5, 5, 5, 5, 6, 6, 7]
    repositories = ["a", "b", "b", "", "a", "", ""]
    group, aside = splits.groups(clusters, repositories)
    assert aside.tolist() == [True] + [False] * 6
    assert group.tolist() == [0, 1, 1, 1, 0, 0, 2]


def test_a_tie_goes_to_the_first_name():
    _, aside = splits.groups([0, 0], ["b", "a"])
    assert aside.tolist() == [True, False]


def test_scripts_without_repository_group_by_cluster():
    group, aside = splits.groups([3, 1, 3, 2], ["", "", "", ""])
    assert group.tolist() == [0, 1, 0, 2]
    assert not aside.any()


@given(MEMBERS)
def test_no_cluster_and_no_repository_spans_groups_once_the_aside_are_out(members):
    clusters = np.array([member[0] for member in members])
    repositories = np.array([member[1] for member in members])
    group, aside = splits.groups(clusters, repositories)
    for column in (clusters, np.where(repositories == "", clusters.astype(str), repositories)):
        for value in set(column.tolist()):
            assert len(set(group[(column == value) & ~aside].tolist())) <= 1
    assert not aside[repositories == ""].any()
    assert set(group.tolist()) == set(range(group.max() + 1))


@given(MEMBERS)
def test_joined_is_the_finest_partition_that_keeps_both_whole(members):
    clusters, repositories = [member[0] for member in members], [member[1] for member in members]
    found = splits.joined(clusters, repositories)
    expected = list(range(len(members)))
    for _ in members:  # as slow as it is plain: spread the smallest number until nothing changes
        for i, (cluster, repository) in enumerate(members):
            expected[i] = min(
                expected[j]
                for j, (other, name) in enumerate(members)
                if other == cluster or (name and name == repository)
            )
    assert [expected.index(value) for value in expected] == [found.tolist().index(value) for value in found]


def test_joined_chains_where_groups_does_not():
    clusters = [0, 0, 1, 1, 2]
    repositories = ["a", "b", "b", "c", "c"]
    assert set(splits.joined(clusters, repositories).tolist()) == {0}
    group, aside = splits.groups(clusters, repositories)
    assert len(set(group[~aside].tolist())) == 3


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from("xyz")), min_size=1, max_size=80),
    st.integers(0, 9),
)
def test_assign_never_cuts_a_group(rows, seed):
    group, strata = np.array([row[0] for row in rows]), [row[1] for row in rows]
    parts = splits.assign(group, strata, seed=seed)
    splits.check(parts, group)
    assert set(parts.tolist()) <= set(splits.PARTS)
    assert parts.tolist() == splits.assign(group, strata, seed=seed).tolist()


def test_assign_balances_every_stratum():
    generator = np.random.default_rng(0)
    group = generator.integers(0, 900, 6000)
    strata = np.array(["human", "malicious", "generated"])[group % 3]
    parts = splits.assign(group, strata, seed=1)
    for stratum in np.unique(strata):
        for part, share in splits.FRACTIONS.items():
            assert np.mean(parts[strata == stratum] == part) == pytest.approx(share, abs=0.01)


def test_small_parts_get_some_of_a_stratum_with_one_huge_group():
    group = np.repeat(np.arange(5), [9000, 600, 500, 400, 300])
    parts = splits.assign(group, ["packaging"] * len(group), seed=0)
    assert set(parts.tolist()) == set(splits.PARTS)


def test_seed_changes_which_groups_go_where():
    group = np.arange(300)
    one, two = (splits.assign(group, ["all"] * 300, seed=seed) for seed in (1, 2))
    assert one.tolist() != two.tolist()


def test_aside_scripts_are_in_no_part_and_do_not_count():
    aside = np.array([True] * 50 + [False] * 50)
    parts = splits.assign(np.arange(100), ["all"] * 100, seed=0, aside=aside)
    assert set(parts[:50].tolist()) == {"aside"}
    assert np.count_nonzero(parts == "train") == pytest.approx(27.5, abs=1)


@pytest.mark.parametrize("fractions", [{}, {"train": 0.5, "test": 0.4}, {"train": 1.2, "test": -0.2}])
def test_bad_fractions_are_refused(fractions):
    with pytest.raises(ParameterError, match="sum to 1"):
        splits.assign([1], ["x"], seed=0, fractions=fractions)


def test_check_names_the_group_and_its_parts():
    with pytest.raises(SplitError, match=r"group 7 \(3 scripts\) spans test and train, and so do 1 other"):
        splits.check(["train", "test", "test", "train", "validation"], [7, 7, 7, 9, 9])
    splits.check(["train", "aside", "", "test"], [7, 7, 7, 8])


def test_require_classes_names_the_missing_class():
    parts = ["train", "train", "validation", "validation", "test", "test"]
    splits.require_classes([1, 0, 1, 0, 1, 0], parts)
    with pytest.raises(SplitError, match="validation part has no malicious script"):
        splits.require_classes([1, 0, 0, 0, 1, 0], parts)


@pytest.mark.parametrize("function", [splits.groups, splits.joined])
def test_empty_and_unequal_input_is_refused(function):
    with pytest.raises(CorpusError):
        function([], [])
    with pytest.raises(CorpusError, match="one of each a script"):
        function([1, 2], ["a"])
    with pytest.raises(CorpusError):
        splits.assign([], [], seed=0)


def test_across_sources_keeps_near_duplicates_apart():
    rows = [
        # part, group, label, source -> expected
        ("test", 1, 1, "old", "train"),
        ("validation", 2, 1, "old", "validation"),
        ("train", 3, 1, "wild", "test"),
        ("train", 1, 1, "wild", ""),  # near-duplicate of a training script
        ("validation", 2, 1, "wild", ""),
        ("test", 4, 0, "good", "test"),
        ("test", 4, 1, "old", ""),  # its group holds benign test scripts
        ("test", 4, 1, "wild", "test"),
        ("train", 5, 0, "good", "train"),
        ("validation", 6, 0, "good", "validation"),
        ("train", 7, 1, "other", ""),
        ("aside", 8, 0, "good", "aside"),
    ]
    part, group, label, source, expected = zip(*rows, strict=True)
    found = splits.across_sources(part, group, label, source, train=["old"], test=["wild"])
    assert found.tolist() == list(expected)
    with pytest.raises(SplitError, match="test part has no malicious"):
        splits.across_sources(part, group, label, source, train=["old"], test=["none"])
