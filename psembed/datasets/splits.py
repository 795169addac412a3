"""Leak-free splits: what copies from each other stays on one side.

A group is what a split must not cut: one repository group (repositories that copy from each other)
or, for scripts from no repository, one near-duplicate cluster.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from psembed.runtime.errors import CorpusError, ParameterError, SplitError

TRAIN, VALIDATION, TEST, ASIDE = "train", "validation", "test", "aside"
PARTS = (TRAIN, VALIDATION, TEST)
FRACTIONS = {TRAIN: 0.55, VALIDATION: 0.15, TEST: 0.30}


def groups(clusters: np.ndarray, repository_groups: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Join near-duplicate clusters with repository groups without letting them chain together.

    A cluster belongs to the repository group that holds most of it (a tie goes to the name that
    sorts first). Its members in other repository groups are set aside: they may be in no part, for their
    near-duplicates are in another group. Members from no repository ("") go with the owner. So every
    cluster ends in one group, and every repository group stays whole but for what is aside.
    (The plain union of both relations, `union`, chains nearly all groups into one.)

    It returns the group of each script (int64[n], numbered from 0 in order of first appearance) and which are
    aside (bool[n]).
    """
    table = _table(clusters, repository_groups)
    owners = (
        table.filter(pl.col("repository") != "")
        .group_by("cluster", "repository")
        .len()
        .sort(["cluster", "len", "repository"], descending=[False, True, False])
        .unique("cluster", keep="first", maintain_order=True)
        .select("cluster", owner="repository")
    )
    table = table.join(owners, on="cluster", how="left", maintain_order="left").with_columns(
        aside=(pl.col("repository") != "") & (pl.col("repository") != pl.col("owner"))
    )
    home = pl.when("aside").then("repository").otherwise("owner")
    keys = table.select(home.alias("home"), pl.when(home.is_null()).then("cluster").alias("cluster"))
    return numbered(keys), table["aside"].to_numpy()


def union(clusters: np.ndarray, repository_groups: Sequence[str]) -> np.ndarray:
    """Return the plain union of both relations: connected components of clusters and repository groups.

    On real data this is one giant group; it is here to measure that. Arguments and numbers are `groups`'.
    """
    table = _table(clusters, repository_groups)
    cluster = table["cluster"].rank("dense").cast(pl.Int64).to_numpy() - 1
    repository = table["repository"].rank("dense").cast(pl.Int64).to_numpy() + cluster.max()
    linked = (table["repository"] != "").to_numpy()
    edges = (np.ones(linked.sum(), dtype=bool), (cluster[linked], repository[linked]))
    nodes = repository.max() + 1
    _, component = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    return numbered(pl.DataFrame({"component": component[cluster]}))


def assign(
    group: np.ndarray,
    strata: Sequence[str],
    *,
    seed: int,
    fractions: dict[str, float] | None = None,
    aside: np.ndarray | None = None,
) -> np.ndarray:
    """Give every group to one part so that each stratum is shared out by `fractions`.

    Groups are taken largest first (equal ones in a seeded order); each goes to the part where it
    lowers most the sum over parts and strata of (scripts there - scripts wanted)^2 / (scripts wanted
    x scripts of the stratum), so small parts and small strata count as much as large ones.

    `strata` are what to balance, such as "human"; `seed` orders groups of one size. It returns the name of
    each script's part (object[n]), "aside" for those that are aside.
    """
    fractions = FRACTIONS if fractions is None else fractions
    if min(fractions.values(), default=0) <= 0 or abs(sum(fractions.values()) - 1) > 1e-9:
        raise ParameterError(f"fractions {fractions}: expected positive shares that sum to 1")
    group = np.asarray(group)
    used = np.ones(len(group), dtype=bool) if aside is None else ~np.asarray(aside)
    if not len(group) == len(strata) == len(used) or not used.any():
        raise CorpusError(f"{len(group)} groups, {len(strata)} strata, {used.sum()} scripts to assign")
    names, group_codes = np.unique(group[used], return_inverse=True)
    _, strata_codes = np.unique(np.asarray(strata, dtype=object)[used].astype(str), return_inverse=True)
    counts = np.zeros((len(names), strata_codes.max() + 1))
    np.add.at(counts, (group_codes, strata_codes), 1)
    chosen = _greedy(counts, np.array(list(fractions.values())), np.random.default_rng(seed))
    parts = np.full(len(group), ASIDE, dtype=object)
    parts[used] = np.array(list(fractions), dtype=object)[chosen[group_codes]]
    return parts


def assign_all(
    group: np.ndarray,
    strata: Sequence[str],
    repository_groups: Sequence[str],
    *,
    repositories: dict[str, float],
    others: dict[str, float],
    pinned: Sequence[str] = (),
    aside: np.ndarray,
    seed: int,
) -> np.ndarray:
    """Give every group to one part: repository groups by their own shares, all other groups by theirs.

    `repositories` and `others` are the share of each part, of the groups that hold a repository and of those
    that do not. The repository groups in `pinned` are in training whatever the draw, and count towards its
    share. The other arguments and what is returned are as for `assign` and `groups`.
    """
    group, names = np.asarray(group), np.asarray(repository_groups, dtype=object)
    if unknown := sorted(set(pinned) - set(names)):
        raise ParameterError(f"pinned repository group {unknown[0]!r} is not in the corpus; check its name")
    used = ~np.asarray(aside)
    of_repository = np.isin(group, group[(names != "") & used])
    fixed = np.isin(group, group[np.isin(names, list(pinned)) & used])
    parts = np.full(len(group), TRAIN, dtype=object)
    free = of_repository & ~fixed
    shares = _unpinned(repositories, int((fixed & used).sum()), int((of_repository & used).sum()))
    strata = np.asarray(strata, dtype=object)
    for chosen, fractions in ((free, shares), (~of_repository, others)):
        if np.any(chosen & used):
            own = group[chosen], strata[chosen].tolist()
            parts[chosen] = assign(*own, seed=seed, fractions=fractions, aside=~used[chosen])
    parts[~used] = ASIDE
    return parts


def _unpinned(shares: dict[str, float], pinned: int, total: int) -> dict[str, float]:
    """Return the shares of what is not pinned that give all `total` scripts the shares asked for."""
    if not pinned:
        return shares
    left = {part: share * total - pinned * (part == TRAIN) for part, share in shares.items()}
    if left[TRAIN] <= 0:
        raise ParameterError(
            f"the pinned repository groups hold {pinned:,} of {total:,} scripts, all that {TRAIN} may have or"
            f" more ({shares[TRAIN]:.0%}); pin fewer, or give {TRAIN} a larger share"
        )
    return {part: count / (total - pinned) for part, count in left.items()}


def overlaps(scripts: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of sources in different repository groups that share near-duplicate clusters.

    Of scripts it reads source, repository_group and cluster; it gives source, other, shared (clusters) and
    share (of the smaller source's clusters), largest share first.
    """
    group_of = dict(scripts.select("source", "repository_group").iter_rows())
    pairs = shared_clusters(scripts.select("cluster", name="source"))
    apart = pl.col("a").replace(group_of) != pl.col("b").replace(group_of)
    share = pl.col("shared") / pl.min_horizontal("clusters_a", "clusters_b")
    found = pairs.filter(apart).select(source="a", other="b", shared="shared", share=share)
    return found.sort("share", "source", "other", descending=[True, False, False])


def shared_clusters(held: pl.DataFrame) -> pl.DataFrame:
    """Count clusters that names share (a, b, clusters_a, clusters_b, shared), by columns name and cluster."""
    held = held.select("name", "cluster").unique().with_columns(clusters=pl.len().over("name"))
    pairs = held.join(held, on="cluster", suffix="_b").filter(pl.col("name") < pl.col("name_b"))
    sides = {"a": "name", "b": "name_b", "clusters_a": "clusters", "clusters_b": "clusters_b"}
    return pairs.group_by(**sides).agg(shared=pl.len())


def folds(group: np.ndarray, strata: Sequence[str], *, count: int, seed: int) -> np.ndarray:
    """Return the fold of each script (int64[n], 0 to `count` - 1).

    Groups are whole, and each stratum is shared out. Arguments are those of `assign`. Raises ParameterError
    if `count` is below 2, CorpusError if there are fewer groups.
    """
    if not isinstance(count, int) or count < 2:
        raise ParameterError(f"folds is {count!r}: give a whole number of at least 2")
    if len(np.unique(group)) < count:
        raise CorpusError(f"{len(np.unique(group))} groups cannot be dealt out to {count} folds; lower folds")
    fractions = {str(fold): 1 / count for fold in range(count)}
    return assign(group, strata, seed=seed, fractions=fractions).astype(np.int64)


def check(parts: Sequence[str], group: np.ndarray) -> None:
    """Raise SplitError, naming the group, if one lies in more than one of train, validation and test."""
    table = pl.DataFrame({"part": list(parts), "group": np.asarray(group)})
    held = table.filter(pl.col("part").is_in(PARTS)).group_by("group")
    spans = held.agg(pl.col("part").unique().sort(), scripts=pl.len())
    spans = spans.filter(pl.col("part").list.len() > 1).sort("group")
    if len(spans):
        worst = spans.row(0, named=True)
        raise SplitError(
            f"group {worst['group']} ({worst['scripts']:,} scripts) spans {' and '.join(worst['part'])}, and "
            f"so do {len(spans) - 1:,} other groups: near-duplicates would leak; assign whole groups"
        )


def _table(clusters: np.ndarray, repository_groups: Sequence[str]) -> pl.DataFrame:
    """Return columns cluster and repository, refusing unequal lengths and an empty corpus."""
    if len(clusters) != len(repository_groups) or len(clusters) == 0:
        raise CorpusError(
            f"{len(clusters):,} clusters and {len(repository_groups):,} repository groups: "
            "expected one of each a script, and at least one script"
        )
    repository = pl.Series(repository_groups, dtype=pl.String)
    return pl.DataFrame({"cluster": np.asarray(clusters), "repository": repository})


def numbered(keys: pl.DataFrame) -> np.ndarray:
    """Return a number for each row, from 0 in order of first appearance; equal rows have one (int64[n])."""
    first = keys.with_row_index("row").select(pl.col("row").min().over(keys.columns))
    return np.unique(first.to_series().to_numpy(), return_inverse=True)[1]


def _greedy(counts: np.ndarray, fractions: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the part (int64[groups]) of each group; counts is float64[groups, strata]."""
    totals = counts.sum(axis=0)
    wanted = fractions[:, None] * totals
    there = np.zeros_like(wanted)
    order = generator.permutation(len(counts))
    order = order[np.argsort(-counts.sum(axis=1)[order], kind="stable")]
    chosen = np.empty(len(counts), dtype=np.int64)
    for row in order:
        off_before, off_after = there - wanted, there + counts[row] - wanted
        cost = ((off_after**2 - off_before**2) / wanted / totals).sum(axis=1)
        chosen[row] = np.argmin(cost)
        there[chosen[row]] += counts[row]
    return chosen
