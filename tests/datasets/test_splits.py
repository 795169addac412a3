import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.datasets import splits
from psembed.runtime.errors import CorpusError, ParameterError, SplitError

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
    numbers = splits.union(clusters, repositories)
    expected = list(range(len(members)))
    for _ in members:  # as slow as it is plain: spread the smallest number until nothing changes
        for i, (cluster, repository) in enumerate(members):
            expected[i] = min(
                expected[j]
                for j, (other, name) in enumerate(members)
                if other == cluster or (name and name == repository)
            )
    assert [expected.index(value) for value in expected] == [
        numbers.tolist().index(value) for value in numbers
    ]


def test_joined_chains_where_groups_does_not():
    clusters = [0, 0, 1, 1, 2]
    repositories = ["a", "b", "b", "c", "c"]
    assert set(splits.union(clusters, repositories).tolist()) == {0}
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


REPOSITORIES = {"train": 0.45, "validation": 0.10, "test": 0.45}
OTHERS = {"train": 0.55, "validation": 0.15, "test": 0.30}


def corpus(seed=0, *, repositories=150, samples=3000):
    """Return group, strata, repository groups and aside of a corpus: repositories of uneven size, samples."""
    generator = np.random.default_rng(seed)
    sizes = generator.integers(1, 60, repositories)
    names = np.concatenate([np.repeat([f"r{n}" for n in range(repositories)], sizes), [""] * samples])
    clusters = repositories + generator.integers(0, samples, samples)
    group = np.concatenate([np.repeat(np.arange(repositories), sizes), clusters])
    strata = np.where(names == "", "malicious", np.where(group % 2, "human", "packaging"))
    aside = (generator.random(len(names)) < 0.05) & (names != "")
    return group, strata.tolist(), names.tolist(), aside


def assign_all(made, **options):
    group, strata, names, aside = made
    options = {"repositories": REPOSITORIES, "others": OTHERS, "seed": 1, **options}
    return splits.assign_all(group, strata, names, aside=aside, **options)


@pytest.mark.parametrize("pinned", [(), ("r3", "r70", "r71")])
def test_repositories_and_others_are_shared_out_each_by_their_own_fractions(pinned):
    made = group, strata, names, aside = corpus()
    parts = assign_all(made, pinned=pinned)
    splits.check(parts, group)
    used, of_repository = ~aside, np.array(names) != ""
    for part in splits.PARTS:
        assert np.mean(parts[used & of_repository] == part) == pytest.approx(REPOSITORIES[part], abs=0.01)
        assert np.mean(parts[~of_repository] == part) == pytest.approx(OTHERS[part], abs=0.01)
        for stratum in ("human", "packaging"):
            share = np.mean(parts[used & (np.array(strata) == stratum)] == part)
            assert share == pytest.approx(REPOSITORIES[part], abs=0.05)
    assert set(parts[np.isin(names, pinned) & used].tolist()) <= {"train"}
    assert (parts == splits.ASIDE).tolist() == aside.tolist()


def test_pinning_moves_a_group_to_training_whatever_the_seed():
    made = _, _, names, aside = corpus(repositories=30)
    of_group = (np.array(names) == "r6") & ~aside
    for seed in range(8):
        assert set(assign_all(made, seed=seed)[of_group].tolist()) == {"test"}
        assert set(assign_all(made, seed=seed, pinned=["r6"])[of_group].tolist()) == {"train"}


def test_what_is_aside_counts_for_no_share():
    names = np.repeat([f"r{n}" for n in range(11)], [1000, *[100] * 10])
    aside = np.arange(2000) < 900  # nearly all of r0, which is pinned
    fractions = {"train": 0.4, "validation": 0.3, "test": 0.3}
    made = np.repeat(np.arange(11), [1000, *[100] * 10]), ["human"] * 2000, names.tolist(), aside
    parts = assign_all(made, repositories=fractions, pinned=["r0"])
    assert [np.count_nonzero(parts == part) for part in splits.PARTS] == [500, 300, 300]


def test_a_sample_in_a_repository_group_goes_where_the_repository_goes():
    group, strata = np.array([0] * 4 + [1] * 4 + [2] * 4), ["all"] * 12
    names = ["a", "a", "a", "", "b", "b", "b", "", "", "", "", ""]
    parts = splits.assign_all(
        group, strata, names, repositories=REPOSITORIES, others=OTHERS, aside=np.zeros(12, bool), seed=0
    )
    assert parts[3] == parts[0] and parts[7] == parts[4]
    splits.check(parts, group)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from("xyz"), st.booleans()), min_size=1, max_size=60),
    st.integers(0, 9),
)
def test_assign_all_keeps_groups_whole_and_is_repeatable(rows, seed):
    group = np.array([row[0] for row in rows])
    names = ["" if number > 4 else f"r{number}" for number in group]
    aside = np.array([row[2] for row in rows]) & (group <= 4)
    if aside.all():
        return
    made = group, [row[1] for row in rows], names, aside
    parts = assign_all(made, seed=seed)
    splits.check(parts, group)
    assert set(parts[~aside].tolist()) <= set(splits.PARTS) and set(parts[aside].tolist()) <= {"aside"}
    assert parts.tolist() == assign_all(made, seed=seed).tolist()


def test_wrong_pins_and_shares_are_refused():
    made = corpus(repositories=10)
    names = made[2]
    with pytest.raises(ParameterError, match="pinned repository group 'r99' is not in the corpus"):
        assign_all(made, pinned=["r1", "r99"])
    for pinned in (sorted(set(names) - {"", "r1"}), sorted(set(names) - {""})):
        with pytest.raises(ParameterError, match=r"pinned repository groups hold .* pin fewer"):
            assign_all(made, pinned=pinned)
    for wrong in ({"repositories": {**REPOSITORIES, "test": 0.9}}, {"others": {**OTHERS, "train": 0.1}}):
        with pytest.raises(ParameterError, match="sum to 1"):
            assign_all(made, **wrong)


def test_overlaps_by_hand():
    rows = [
        ("a", "ga", 1), ("a", "ga", 1), ("a", "ga", 2), ("a", "ga", 3), ("a", "ga", 4),
        ("b", "gb", 1), ("b", "gb", 2),
        ("c", "gb", 2),  # of one group with b, so b and c are no pair
        ("d", "gd", 4), ("d", "gd", 9),
        ("e", "ge", 8),
    ]  # fmt: skip
    scripts = pl.DataFrame(rows, schema=["source", "repository_group", "cluster"], orient="row")
    assert splits.overlaps(scripts).to_dicts() == [
        {"source": "a", "other": "b", "shared": 2, "share": 1.0},
        {"source": "a", "other": "c", "shared": 1, "share": 1.0},
        {"source": "a", "other": "d", "shared": 1, "share": 0.5},
    ]
    assert splits.overlaps(scripts.clear()).is_empty()


@pytest.mark.parametrize("function", [splits.groups, splits.union])
def test_empty_and_unequal_input_is_refused(function):
    with pytest.raises(CorpusError):
        function([], [])
    with pytest.raises(CorpusError, match="one of each a script"):
        function([1, 2], ["a"])
    with pytest.raises(CorpusError):
        splits.assign([], [], seed=0)


@given(
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from("xyz")), min_size=1, max_size=80),
    st.integers(2, 5),
    st.integers(0, 9),
)
def test_folds_never_cut_a_group_and_none_is_empty(rows, count, seed):
    group, strata = np.array([row[0] for row in rows]), [row[1] for row in rows]
    if len(set(group.tolist())) < count:
        with pytest.raises(CorpusError, match=f"cannot be dealt out to {count} folds"):
            splits.folds(group, strata, count=count, seed=seed)
        return
    fold = splits.folds(group, strata, count=count, seed=seed)
    assert fold.dtype == np.int64 and set(fold.tolist()) <= set(range(count))
    assert all(len(set(fold[group == one].tolist())) == 1 for one in set(group.tolist()))
    assert fold.tolist() == splits.folds(group, strata, count=count, seed=seed).tolist()


def test_folds_share_out_every_stratum():
    group = np.random.default_rng(0).integers(0, 900, 6000)
    strata = np.array(["human", "malicious", "generated"])[group % 3]
    fold = splits.folds(group, strata, count=5, seed=1)
    for stratum in np.unique(strata):
        shares = np.bincount(fold[strata == stratum], minlength=5) / np.count_nonzero(strata == stratum)
        assert shares == pytest.approx([0.2] * 5, abs=0.01)
    assert fold.tolist() != splits.folds(group, strata, count=5, seed=2).tolist()


@pytest.mark.parametrize("count", [1, 0, -1, 2.5, "3"])
def test_a_bad_number_of_folds_is_refused(count):
    with pytest.raises(ParameterError, match="at least 2"):
        splits.folds(np.arange(9), ["all"] * 9, count=count, seed=1)
