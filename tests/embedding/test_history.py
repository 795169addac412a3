"""The unlabeled corpus with its history: what is indexed, chosen, reserved, streamed, and what is missing."""

from collections import Counter, defaultdict
from pathlib import Path

import polars as pl
import pytest
from git_sources import bare, catalogued, commit_all
from hypothesis import given
from hypothesis import strategies as st

from psembed.datasets import duplicates
from psembed.embedding import history, stream
from psembed.runtime.errors import CorpusError, SourceError
from psembed.sources import catalogue, fetching, snapshots

HELD_OUT = ("validation", "test", "aside")


class Project:
    """A mirror of small repositories, and a root to fetch them into."""

    def __init__(self, folder: Path):
        self.root, self.mirror, self.catalogue, self.versions = folder, folder / "mirror", {}, {}
        self.mirror.mkdir()

    def add(self, name, *versions, **changes):
        """Commit versions, oldest first, each {path: text or bytes}."""
        versions = [{path: as_bytes(data) for path, data in files.items()} for files in versions]
        pin = commit_all(bare(self.repository(name)), versions)
        changes = {"url": f"https://example.com/o/{name}", "group": name, **changes}
        self.catalogue |= catalogued(pin, name=name, **changes)
        self.versions[name] = versions
        return self

    def repository(self, name) -> Path:
        return self.mirror / f"o+{name}" / "repo"

    def snapshot(self, name) -> Path:
        return snapshots.snapshot_path(name, root=self.root, history=True)

    def fetch(self, *names):
        names = names or self.catalogue
        for made in list(fetching.fetch(names, root=self.root, mirror=self.mirror, history=True)):
            if made.error:
                raise made.error
        return self

    def index(self, *names, **options):
        return history.index(names or self.catalogue, root=self.root, **options)

    def scripts(self, parts):
        """Return the scripts at the pinned commits; `parts` maps a repository, or (it, path), to its part.

        A path with a number after it is that of a snippet.
        """
        rows = [
            (source.name, source.group, path, source.kind, "snippets" if "#" in path else source.stratum,
             data.decode(), parts.get((source.name, path), parts.get(source.name, "train")))
            for source in self.catalogue.values()
            for path, data in self.versions[source.name][-1].items()
        ]  # fmt: skip
        columns = ["source", "repository_group", "path", "kind", "stratum", "text", "part"]
        table = pl.DataFrame(rows, schema=columns, orient="row")
        table = table.with_columns(normalised=duplicates.digest(duplicates.normalise(table["text"])))
        return table.unique("normalised", keep="first", maintain_order=True)


def as_bytes(data):
    return data if isinstance(data, bytes) else data.encode()


@pytest.fixture
def project(tmp_path, monkeypatch):
    made = Project(tmp_path)
    monkeypatch.delenv("PSEMBED_MIRROR", raising=False)
    monkeypatch.setattr(catalogue, "load_sources", lambda path=None: made.catalogue)
    return made


def streamed(batches) -> list[tuple[str, str, str]]:
    return [row for batch in batches for row in batch.select("source", "path", "text").iter_rows()]


def texts(project, table):
    return streamed(history.read_texts(table, root=project.root))


def collected(project, scripts, versions):
    """Return all that is collected as one table, and the counts."""
    batches, counts = history.collect(scripts, root=project.root, folder=project.root, versions=versions)
    return pl.concat(batches), counts


def places(count):
    """Return the rows of one path with so many versions."""
    return pl.DataFrame({"source": ["s"] * count, "path": ["p"] * count})


def chosen(table, versions):
    return [row for row, taken in enumerate(history.choose_versions(table, versions=versions)) if taken]


# What is indexed


def test_every_distinct_version_is_there_once_newest_first(project):
    first = {"a.ps1": "get-a", "gone.ps1": "get-gone"}
    second = {"a.ps1": "get-b", "lib/c.psm1": "get-c", "readme.md": "get-readme"}
    third = {"a.ps1": "get-d", "lib/c.psm1": "get-c"}
    project.add("one", first, second, third, {**third, "a.ps1": "get-a"}).fetch()
    table, counts = project.index()
    assert texts(project, table) == [
        ("one", "a.ps1", "get-a"),  # written first, and again last
        ("one", "a.ps1", "get-d"),
        ("one", "a.ps1", "get-b"),
        ("one", "gone.ps1", "get-gone"),
        ("one", "lib/c.psm1", "get-c"),
    ]
    assert table["row"].to_list() == [0, 1, 2, 3, 4]
    assert table["size"].to_list() == [5, 5, 5, 8, 5]
    assert table["repository_group"].unique().to_list() == ["one"]
    assert table.schema == history.SCHEMA
    assert counts == {"read": {"one": 5}, "left_out": {}, "missing": {}}


def test_texts_that_differ_in_case_digits_and_layout_are_one_across_repositories(project):
    project.add("one", {"a.ps1": "get-item 1"}, {"a.ps1": "Get-Item  2\r\n"})
    project.add("two", {"b.ps1": b"\xef\xbb\xbfGET-ITEM 3", "c.ps1": "get-other"}).fetch()
    table, counts = project.index()
    assert counts["read"] == {"one": 2, "two": 2}
    same, other = duplicates.digest(pl.Series(["get-item*", "get-other"]))
    assert table["normalised"].to_list() == [same, same, same, other]
    table, counts = collected(project, project.scripts({}), 9)
    assert streamed([table]) == [("one", "a.ps1", "Get-Item  2\r\n"), ("two", "c.ps1", "get-other")]
    assert counts["distinct_history"] == 2


def test_batches_do_not_change_what_is_read(project, monkeypatch):
    versions = [{f"{path}.ps1": f"get-{path}{version}" for path in "abc"} for version in "xyz"]
    whole, _ = project.add("one", *versions).fetch().index()
    monkeypatch.setattr(history, "BATCH_BYTES", 1)
    table, _ = project.index()
    assert table.equals(whole) and len(table) == 9
    assert [len(batch) for batch in history.read_texts(table, root=project.root)] == [1] * 9


def test_only_the_versions_asked_for_are_read_again(project):
    table, _ = project.add("one", {"a.ps1": "get-a"}, {"a.ps1": "get-b"}, {"a.ps1": "get-c"}).fetch().index()
    assert texts(project, table[1:2]) == [("one", "a.ps1", "get-b")]
    assert texts(project, table.clear()) == []


# Which versions of a path are chosen


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, [0]),
        (2, [0, 1]),
        (3, [0, 1, 2]),
        (4, [0, 1, 2, 3]),
        (5, [0, 1, 2, 3, 4]),
        (6, [0, 1, 2, 4, 5]),
        (7, [0, 2, 3, 4, 6]),
        (9, [0, 2, 4, 6, 8]),
        (41, [0, 10, 20, 30, 40]),
    ],
)
def test_five_versions_are_the_newest_the_oldest_and_evenly_between(count, expected):
    assert chosen(places(count), 5) == expected
    assert chosen(places(count), 1) == [0]
    assert chosen(places(count), 2) == sorted({0, count - 1})


def test_the_same_path_in_two_sources_is_two_paths():
    table = pl.DataFrame({"source": ["s", "t", "s", "t", "s"], "path": ["p"] * 5})
    assert chosen(table, 2) == [0, 1, 3, 4]


@given(
    st.lists(st.tuples(st.sampled_from("st"), st.sampled_from("pq")), min_size=1, max_size=80),
    st.integers(1, 9),
)
def test_no_path_has_more_versions_than_the_cap_and_the_newest_is_kept(rows, cap):
    table = pl.DataFrame(rows, schema=["source", "path"], orient="row")
    taken = set(chosen(table, cap))
    for key, size in Counter(rows).items():
        of_path = [row for row, other in enumerate(rows) if other == key]
        assert len(taken.intersection(of_path)) == min(size, cap)
        assert of_path[0] in taken
        assert of_path[-1] in taken or cap == 1


# What is reserved


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Three groups in four repositories, and a labelled set, that copy from each other's histories."""
    made = Project(tmp_path_factory.mktemp("shared"))
    made.add("home", {"a.ps1": "get-exam 1", "b.ps1": "get-sample"}, {"a.ps1": "get-a", "b.ps1": "get-old"},
             {"a.ps1": "get-home", "b.ps1": "get-b", "c.ps1": "get-both"})  # fmt: skip
    made.add("exam", {"a.ps1": "get-secret"}, {"a.ps1": "GET-EXAM 7", "d.ps1": "get-older"},
             {"a.ps1": "GET-EXAM 7", "d.ps1": "get-exam-d"})  # fmt: skip
    made.add("fork", {"a.ps1": "get-home", "e.ps1": "get-e"}, {"e.ps1": "get-fork"}, group="exam")
    made.add("third", {"f.ps1": "get-secret", "g.ps1": "get-g"}, {"f.ps1": "get-third", "g.ps1": "get-b"})
    labels = {"kind": "labelled", "group": "", "labels": {"": 1}}
    made.add("marked", {"s.ps1": "Get-Sample", "t.ps1": "get-t"}, **labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "load_sources", lambda path=None: made.catalogue)
        yield made.fetch()


def expected_older(project, scripts):
    """Return {(source, path, text): whether reserved} of the older versions, by loops over the commits."""
    held_out = [row for row in scripts.to_dicts() if row["part"] in HELD_OUT]
    groups = {
        row["repository_group"]
        for row in held_out
        if row["kind"] != "labelled" and row["part"] in ("validation", "test")
    }
    paths = {(row["source"], row["path"]) for row in held_out if row["kind"] != "labelled"}
    digests = {row["normalised"] for row in held_out}
    rows = []
    for source in project.catalogue.values():
        if source.kind == "labelled":
            continue
        by_path = defaultdict(list)
        for files in reversed(project.versions[source.name]):
            for path, data in files.items():
                by_path[path].append(data.decode())
        for path in sorted(by_path):
            for text in by_path[path]:
                (digest,) = duplicates.digest(duplicates.normalise(pl.Series([text])))
                rows.append((source, path, text, digest))
    paths |= {(source.name, path) for source, path, _, digest in rows if digest in digests}
    reserved = {
        digest for source, path, _, digest in rows if source.group in groups or (source.name, path) in paths
    }
    pinned = set(scripts.filter(pl.col("kind") != "labelled")["normalised"])
    first = {digest: (source.name, path, text) for source, path, text, digest in reversed(rows)}
    return {row: digest in reserved for digest, row in first.items() if digest not in pinned}


PARTS = st.sampled_from(["train", "validation", "test"])


@given(
    st.fixed_dictionaries({"home": PARTS, "exam": PARTS, "third": PARTS, "marked": PARTS}),
    st.sets(st.sampled_from([("home", "b.ps1"), ("exam", "d.ps1"), ("fork", "e.ps1"), ("third", "f.ps1")])),
    st.sampled_from([1, 2, 9]),
)
def test_all_is_read_and_nothing_reserved_for_testing_is_to_train_on(shared, parts, aside, versions):
    scripts = shared.scripts({**parts, "fork": parts["exam"], **dict.fromkeys(aside, "aside")})
    table, counts = collected(shared, scripts, versions)
    pinned, older = table.filter(pl.col("version") == 0), table.filter(pl.col("version") > 0)
    unlabeled = scripts.filter(pl.col("kind") != "labelled")
    assert pinned["source", "path", "text"].equals(unlabeled["source", "path", "text"])
    assert pinned["train"].to_list() == [part == "train" for part in unlabeled["part"]]
    expected = expected_older(shared, scripts)
    found = {
        (source, path, text): train
        for source, path, text, train in older["source", "path", "text", "train"].rows()
    }
    assert (
        len(found) == len(older)
        and found.items() <= {row: not kept for row, kept in expected.items()}.items()
    )
    assert table["normalised"].n_unique() == len(table) == counts["scripts"]
    held_out = scripts.filter(pl.col("part") != "train")
    assert not set(table.filter("train")["normalised"]) & set(held_out["normalised"])
    for key, rows in older.group_by("source", "path", maintain_order=True):
        assert rows["version"].to_list() == [*range(1, len(rows) + 1)] and len(rows) < max(versions, 1), key
    if versions == 9:
        assert set(found) == set(expected)
        assert counts["reserved"] == sum(expected.values())
        assert counts["distinct_history"] == len(table)


def test_what_is_reserved_by_hand(shared):
    scripts = shared.scripts(
        {"exam": "test", "fork": "test", "third": "validation", "marked": "test", ("home", "b.ps1"): "aside"}
    )
    table, counts = collected(shared, scripts, 5)
    # Today's a.ps1 is to train on, what it was is not: it was a test script once (get-exam 1).
    assert streamed([table.filter("train")]) == [("home", "a.ps1", "get-home"), ("home", "c.ps1", "get-both")]
    older = table.filter(pl.col("version") > 0)
    assert set(older["text"]) == {
        "get-a",
        "get-old",
        "get-sample",
        "get-secret",
        "get-older",
        "get-e",
        "get-g",
    }
    assert counts["reserved"] == len(older) == 7
    table, counts = collected(shared, shared.scripts({"third": "test"}), 5)
    reserved = table.filter(~pl.col("train") & (pl.col("version") > 0))
    # "get-secret" is old in both exam and third: reserved wherever it is.
    assert streamed([reserved]) == [("exam", "a.ps1", "get-secret"), ("third", "g.ps1", "get-g")]
    assert counts["reserved"] == 2


VERSIONS = st.lists(
    st.tuples(st.sampled_from("stu"), st.sampled_from("pq"), st.sampled_from("abcdef")),
    min_size=1,
    max_size=12,
)
HEADS = st.lists(
    st.tuples(st.sampled_from("stu"), st.sampled_from("pq"), st.sampled_from("abcdef"),
              st.sampled_from(["train", *HELD_OUT]), st.sampled_from(["benign", "offensive", "labelled"])),
    max_size=6,
)  # fmt: skip
GROUPS = {"s": "one", "t": "one", "u": "two"}


@given(VERSIONS, HEADS)
def test_reserved_is_what_the_rule_says_for_any_table(versions, heads):
    columns = ["source", "path", "normalised", "part", "kind"]
    scripts = pl.DataFrame(heads, schema=dict.fromkeys(columns, pl.String), orient="row")
    table = pl.DataFrame(versions, schema=columns[:3], orient="row")
    tables = [one.with_columns(repository_group=pl.col("source").replace(GROUPS)) for one in (table, scripts)]
    held_out = [head for head in heads if head[3] != "train"]
    expected = [
        any(
            (
                GROUPS[source] == GROUPS[head[0]]
                and head[3] in ("validation", "test")
                and head[4] != "labelled"
            )
            or (source, path) == head[:2]
            or any(other == (source, path, head[2]) for other in versions)
            for head in held_out
        )
        for source, path, _ in versions
    ]
    assert history.reserved(*tables).to_list() == expected


# What is gathered


def test_a_corpus_without_history_is_all_unlabeled_text_at_the_pinned_commits(project):
    project.add("one", {"a.ps1": "get-old"}, {"a.ps1": "get-a", "b.ps1": "get-b", "r.md#0001": "get-r"})
    project.add("two", {"c.ps1": "get-c", "r.md#0002": "get-s"}, kind="offensive")
    project.add("marked", {"d.ps1": "get-d"}, kind="labelled", group="", labels={"": 1})
    scripts = project.scripts({"two": "test", ("one", "b.ps1"): "aside"})
    table, counts = collected(project, scripts, 0)
    columns = ["source", "stratum", "path", "normalised", "version", "train", "text"]
    assert table.columns == columns and table["stratum"].to_list() == scripts["stratum"].to_list()[:-1]
    assert table["path", "text", "train", "version"].rows() == [
        ("a.ps1", "get-a", True, 0),
        ("b.ps1", "get-b", False, 0),
        ("r.md#0001", "get-r", True, 0),
        ("c.ps1", "get-c", False, 0),
        ("r.md#0002", "get-s", False, 0),
    ]
    assert counts == {"pinned": 3, "snippets": 2, "scripts": 5, "distinct_history": None, "missing": {}}


def test_collecting_counts_what_it_read_reserved_and_chose(project):
    versions = [{"a.ps1": f"get-{letter}"} for letter in "bcdefgh"]
    project.add("one", *versions).add("exam", {"c.ps1": "get-once"}, {"c.ps1": "get-exam"})
    project.add("two", {"bin.ps1": bytes(40)}, {"b.ps1": "get-something"})
    project.fetch()
    project.versions["two"][-1] |= {
        "r.md#0001": b"get-it",
        "r.md#0002": b"get-that",
    }  # no history has snippets
    table, counts = collected(project, project.scripts({"exam": "test"}), 5)
    assert table["source", "path", "text", "version", "train"].rows() == [
        ("one", "a.ps1", "get-h", 0, True),
        ("exam", "c.ps1", "get-exam", 0, False),
        ("two", "b.ps1", "get-something", 0, True),
        ("two", "r.md#0001", "get-it", 0, True),
        ("two", "r.md#0002", "get-that", 0, True),
        ("one", "a.ps1", "get-g", 1, True),  # of six older ones the newest, the oldest, and two between
        ("one", "a.ps1", "get-e", 2, True),
        ("one", "a.ps1", "get-d", 3, True),
        ("one", "a.ps1", "get-b", 4, True),
        ("exam", "c.ps1", "get-once", 1, False),
    ]
    near = counts.pop("near_duplicates")
    assert (near["scripts"], near["clusters"]) == (10, 10)
    assert counts == {
        "pinned": 3,
        "snippets": 2,
        "scripts": 10,
        "distinct_history": 10,  # seven, two and one: snippets are counted apart
        "vocabulary": 0,
        "reserved": 1,
        "read": {"one": 7, "exam": 2, "two": 2},
        "missing": {},
        "left_out": {"two": {"binary": 1}},
    }
    alone, _ = collected(project, project.scripts({"exam": "test"}), 1)
    assert alone.equals(table[:5])
    two, _ = collected(project, project.scripts({"exam": "test"}), 2)
    assert two["text"].to_list()[5:] == ["get-g", "get-once"]


@pytest.mark.parametrize("batch", [1, 30, history.BATCH_BYTES])
def test_a_path_counts_once_for_the_vocabulary_whatever_its_versions_and_batches(project, monkeypatch, batch):
    monkeypatch.setattr(history, "BATCH_BYTES", batch)
    project.add(
        "one", {"a.ps1": "x y", "b.ps1": "x z"}, {"a.ps1": "x y w"}, {"a.ps1": "x y w w"}, {"a.ps1": "x"}
    )
    project.add("two", {"a.ps1": "q x"}, {"a.ps1": "q z z", "c.ps1": "Q  X"}).fetch()
    table, _ = project.index()
    vocabularies = {
        n: history.count_distinct(table, root=project.root, folder=project.root, in_scripts=n)["vocabulary"]
        for n in (1, 2, 3, 4)
    }
    # x is in one/a, one/b and two/a (two/c is a copy of that one); z in one/b and two/a; others in one path.
    assert vocabularies == {1: 5, 2: 2, 3: 1, 4: 0}


def test_near_duplicates_are_counted_among_all_distinct_versions(project):
    long = [f"get-{name} -{other}" for name in "abcdefghij" for other in "klmnopqrst"]
    old, new = "\n".join(long), "\n".join([*long, "get-last"])
    project.add("one", {"a.ps1": old}, {"a.ps1": new.upper()}, {"a.ps1": f"# a note\n{new}"})
    project.add("two", {"b.ps1": old.upper(), "c.ps1": "get-other"}, {"b.ps1": f"{old} 1", "d.ps1": "get-d"})
    table, _ = project.fetch().index()
    places = {"root": project.root, "folder": project.root}
    forwards = history.count_distinct(table, **places)["near_duplicates"]
    # Of seven versions one is the text of another repository; comments are no tokens: one set fewer.
    assert len(table) == 7 and forwards["scripts"] == 6
    assert forwards["distinct_sets"] == 5
    assert forwards["clusters"] == 3 and forwards["largest"] == 4
    backwards = history.count_distinct(table.reverse(), **places)["near_duplicates"]
    assert {**backwards, "verified": 0} == {**forwards, "verified": 0}


@pytest.mark.parametrize("chunk", [1, 5, 1_000])
def test_aliases_are_counted_where_they_are_commands_today_by_stratum_and_repository(
    tmp_path, monkeypatch, chunk
):
    monkeypatch.setattr(stream, "CHUNK_TOKENS", chunk)
    rows = [
        ("a", 0, "one", "IEX $x"), ("b", 0, "one", "Invoke-Expression $x"), ("c", 1, "one", "iex $x"),
        ("c", 0, "two", "x"), ("d", 0, "two", "'iex'"), ("e", 0, "one", ""), ("a", 0, "two", "gci|iex"),
        ("e", 0, "one", "# gci"), ("f", 0, "two", "$a; $b | ? { $_ }"), ("b", 0, "one", ""),
    ]  # fmt: skip
    columns = ["source", "version", "stratum", "text"]
    read = stream.write(tmp_path, [pl.DataFrame(rows, schema=columns, orient="row")])
    expected = [
        {"stratum": "one", "repositories": 2, "with_alias": 1, "tokens": 6, "aliases": 1},
        {"stratum": "two", "repositories": 4, "with_alias": 2, "tokens": 22, "aliases": 3},
        {"stratum": "all", "repositories": 5, "with_alias": 2, "tokens": 28, "aliases": 4},
    ]
    rates = [round(1e5 * row["aliases"] / row["tokens"], 1) for row in expected]
    assert history.alias_uses(read).drop("per_100k_tokens").to_dicts() == expected
    assert history.alias_uses(read)["per_100k_tokens"].to_list() == rates


def test_shares_are_of_all_and_of_the_five_largest_only():
    table = pl.DataFrame({"source": list("abcdefb"), "size": [10, 20, 5, 4, 3, 2, 6]})
    assert history.largest_shares(table, "size") == {"b": 0.52, "a": 0.2, "c": 0.1, "d": 0.08, "e": 0.06}
    assert history.largest_shares(table.with_columns(size=pl.lit(0)), "size")["a"] == 0
    assert history.largest_shares(table.clear(), "size") == {}


def test_contributions_are_summed_by_source_with_its_pin(project):
    project.add("one", {"a.ps1": "get-a"}).add("two", {"b.ps1": "get-b"})
    scripts = pl.DataFrame({"source": ["two", "made", "one", "two"], "tokens": [3, 5, 7, 4]})
    pin = {name: source.commit for name, source in project.catalogue.items()}
    assert history.contributions(scripts) == [
        {"name": "made", "url": "", "commit": "", "scripts": 1, "tokens": 5},
        {"name": "one", "url": "https://example.com/o/one", "commit": pin["one"], "scripts": 1, "tokens": 7},
        {"name": "two", "url": "https://example.com/o/two", "commit": pin["two"], "scripts": 2, "tokens": 7},
    ]


# What is missing or damaged


def gone(project):
    project.fetch("fine")
    project.repository("bad").rename(project.mirror / "elsewhere")
    with pytest.raises(SourceError, match=r"bad: .*o\+bad/repo"):
        project.fetch("bad")


def of_another_commit(project):
    project.fetch()
    project.catalogue |= catalogued("b" * 40, name="bad", url="https://example.com/o/bad", group="bad")
    with pytest.raises(SourceError, match=f"bad: commit {'b' * 40} is not in the repository"):
        project.fetch("bad")


def truncated(project):
    path = project.fetch().snapshot("bad")
    path.write_bytes(path.read_bytes()[:-20])


def with_a_changed_text(project):
    path = project.fetch().snapshot("bad")
    table = pl.read_parquet(path)
    table.with_columns(data=pl.Series([b"get-x"] * len(table))).write_parquet(path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (gone, "is not there"),
        (of_another_commit, "its commit is"),
        (truncated, "truncated"),
        (with_a_changed_text, r"row 0 .*does not match its id"),
    ],
)
def test_a_source_that_cannot_be_read_is_named_and_the_rest_goes_on(project, damage, reason, caplog):
    project.add("bad", {"a.ps1": "get-bad"}).add("fine", {"b.ps1": "get-old"}, {"b.ps1": "get-fine"})
    damage(project)
    table, counts = project.index()
    assert [text for *_, text in texts(project, table)] == ["get-fine", "get-old"]
    assert counts["read"] == {"bad": 0, "fine": 2} and list(counts["missing"]) == ["bad"]
    table, gathered = collected(project, project.scripts({}), 5)
    assert table["text"].to_list() == ["get-bad", "get-fine", "get-old"]
    assert gathered["read"] == {"bad": 0, "fine": 2}
    assert list(gathered["missing"]) == ["bad"]
    with pytest.raises(SourceError, match=reason):
        raise SourceError(gathered["missing"]["bad"])
    assert "bad.parquet" in caplog.text


def packed(project, name):
    """Pack a repository's objects; return the pack."""
    import pygit2

    folder = project.repository(name)
    repository = pygit2.Repository(str(folder))
    repository.pack()
    loose = [path for path in (folder / "objects").glob("??/*") if len(path.parent.name) == 2]
    for path in loose:
        path.unlink()
    repository.free()
    (pack,) = (folder / "objects" / "pack").glob("*.pack")
    pack.chmod(0o644)
    return pack


def test_a_corrupt_pack_gives_the_right_texts_or_names_the_source(project):
    project.add("bad", {"a.ps1": "get-old"}, {"a.ps1": "get-bad"}).add("fine", {"b.ps1": "get-fine"})
    pack = packed(project, "bad")
    whole, refused = pack.read_bytes(), 0
    expected = texts(project, project.fetch().index("bad")[0])
    for place in range(12, len(whole) - 20, 5):
        pack.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        project.snapshot("bad").unlink(missing_ok=True)
        try:
            project.fetch("bad")
        except SourceError as error:
            assert str(error).startswith("bad: ")
            assert not project.snapshot("bad").exists()
            refused += 1
        else:
            assert texts(project, project.index("bad")[0]) == expected
    assert refused > 10
    pack.write_bytes(whole[:40])
    project.snapshot("bad").unlink(missing_ok=True)
    with pytest.raises(SourceError, match="bad: "):
        project.fetch("bad")
    table, counts = project.index()
    assert [text for *_, text in texts(project, table)] == ["get-fine"]
    assert list(counts["missing"]) == ["bad"] and counts["read"]["fine"] == 1


def test_what_is_large_binary_or_empty_is_counted_by_reason(project):
    files = {
        "a.ps1": "get-a",
        "big.ps1": "x" * 60,
        "huge.ps1": "y" * 101,
        "bin.ps1": bytes(40),
        "no.ps1": " ",
    }
    project.add("one", files, limit=100).fetch()
    table, counts = project.index(max_bytes=50)
    assert texts(project, table) == [("one", "a.ps1", "get-a")]
    left_out = {"binary": 1, "empty": 1, "too large": 1, "too large at fetch": 1}
    assert counts["left_out"] == {"one": left_out}
    assert counts["read"] == {"one": 5}  # the sum of all reasons and of the rows


def test_an_object_that_a_mirror_lacks_is_counted(project):
    project.add("one", {f"{letter}.ps1": f"get-{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"})
    lost = snapshots.blob_id(b"get-c")
    (project.repository("one") / "objects" / lost[:2] / lost[2:]).unlink()
    table, counts = project.fetch().index()
    assert len(table) == 25
    assert counts["read"] == {"one": 26} and counts["left_out"] == {"one": {"missing at fetch": 1}}


def test_an_empty_history_is_refused(project):
    project.add("one", {"readme.md": "get-readme"}).add("two", {"a.ps1": "get-a"})
    project.fetch("one")
    with pytest.raises(CorpusError, match="psembed fetch --history"):
        project.index("one")
    with pytest.raises(CorpusError):
        project.index("two")  # never fetched
    with pytest.raises(CorpusError):
        history.index([], root=project.root)


def test_a_labelled_set_has_no_history(project):
    project.add("marked", {"a.ps1": "get-a"}, kind="labelled", group="", labels={"": 1}, history=False)
    project.add("one", {"b.ps1": "get-b"}).fetch()
    assert not project.snapshot("marked").exists()
    table, counts = project.index("labelled", "benign")
    assert texts(project, table) == [("one", "b.ps1", "get-b")] and list(counts["read"]) == ["one"]
    with pytest.raises(CorpusError):
        project.index("marked")
