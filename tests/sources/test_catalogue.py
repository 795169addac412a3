"""The catalogue, fetching from every kind of place, and what damaged or hostile input does."""

import errno
import io
import os
import re
import struct
import subprocess
import zipfile
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pygit2
import pytest
from git_sources import URL, bare, catalogued, commit
from hypothesis import given
from hypothesis import strategies as st

from psembed.runtime.errors import ParameterError, SourceError
from psembed.sources import catalogue, snapshots

FIRST = {"a.ps1": b"\xef\xbb\xbfdir\r\n", "lib/b.PSM1": b"ls", "lib/data.psd1": b"@{}", "readme.md": b"#"}
SECOND = {**FIRST, "a.ps1": b"dir 2", "lib/copy.ps1": b"ls"}


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch):
    monkeypatch.delenv("PSEMBED_MIRROR", raising=False)


@pytest.fixture
def mirror(tmp_path):
    """A mirror with one repository of two commits, and their ids."""
    folder = tmp_path / "mirror"
    repository = bare(folder / "owner+scripts" / "repo")
    first = commit(repository, FIRST)
    second = commit(repository, SECOND, [first])
    return folder, first, second


def fetch_one(tmp_path, mirror, pin, **options):
    changes = options.pop("changes", {})
    (report,) = catalogue.fetch(
        ["scripts"], root=tmp_path, mirror=mirror, catalogue=catalogued(pin, **changes), **options
    )
    return report


def content(report):
    return dict(catalogue.read_snapshot(report.path))


def ready(path, rows, metadata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pl.DataFrame(rows, schema={"path": pl.String, "blob": pl.String, "data": pl.Binary}, orient="row")
    frame.write_parquet(path, metadata=metadata)
    return path


def good_rows(files):
    return [(path, catalogue.blob_id(data), data) for path, data in files.items()]


# The catalogue


def test_the_catalogue_pins_every_source():
    found = catalogue.load_sources()
    kinds = [source.kind for source in found.values()]
    assert [kinds.count(kind) for kind in catalogue.KINDS] == [3, 201, 4]
    assert len({source.url for source in found.values()}) == len(found)
    for source in found.values():
        assert re.fullmatch("[0-9a-f]{40}", source.commit) and len(set(source.commit)) > 4
        assert source.licence and source.stratum
        assert bool(source.group) == (source.kind != "labelled")
    assert found["fa2y"].matches("Triage_Out/X.PS1")
    assert not found["fa2y"].matches("bazaar_out/bazaar_query_cache")
    assert not found["mpsd"].matches("mixed_malicious/1.ps1")


def test_the_catalogue_holds_at_least_a_hundred_clean_repositories():
    benign = [source for source in catalogue.load_sources().values() if source.kind == "benign"]
    assert len({source.repository.lower() for source in benign}) >= 100
    assert len({source.group for source in benign}) >= 100
    assert {source.stratum for source in benign} == {"human", "generated", "packaging"}
    assert all(source.name == source.repository.lower().replace("/", "-") for source in benign)
    assert not any(source.labels for source in benign)


def test_no_clean_source_shares_a_repository_or_a_group_with_another_kind():
    found = catalogue.load_sources().values()
    clean = {s.repository.lower() for s in found if s.kind == "benign"}
    assert not clean & {s.repository.lower() for s in found if s.kind != "benign"}
    groups = {s.group for s in found if s.kind == "benign"}
    assert not groups & {s.group for s in found if s.kind == "offensive"}


def test_a_kind_stands_for_all_its_sources():
    found = {**catalogued("a" * 40), **catalogued("b" * 40, name="more")}
    found |= catalogued("c" * 40, name="attack", kind="offensive")
    assert catalogue.find_sources(["benign"], catalogue=found) == [found["scripts"], found["more"]]
    names = catalogue.find_sources(["attack", "benign"], catalogue=found)
    assert [source.name for source in names] == ["attack", "scripts", "more"]
    assert catalogue.find_sources(["labelled"], catalogue=found) == []  # none of that kind here
    every = catalogue.find_sources(catalogue.KINDS)
    assert sorted(source.name for source in every) == sorted(catalogue.load_sources())


ENTRY = {
    "name": '"x"',
    "url": '"https://example.com/o/x"',
    "commit": f'"{"a" * 40}"',
    "include": '["*.ps1"]',
    "licence": '"MIT"',
    "kind": '"benign"',
    "stratum": '"human"',
    "group": '"x"',
}


def toml(folder, *entries):
    path = folder / "sources.toml"
    blocks = ("[[source]]\n" + "\n".join(f"{k} = {v}" for k, v in entry.items()) for entry in entries)
    path.write_text("\n".join(blocks), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"licens": '"MIT"'}, "licens.*licence"),
        ({"commit": '"abc"'}, "40 hexadecimal"),
        ({"commit": "1"}, "text"),
        ({"name": '"../x"'}, "lower-case"),
        ({"url": '"ext::sh -c id"'}, "https"),
        ({"url": '"--upload-pack=x"'}, "https"),
        ({"include": '"*.ps1"'}, "include"),
        ({"include": "[]"}, "include"),
        ({"kind": '"bening"'}, "kind"),
        ({"kind": '"labelled"'}, "labels"),
        ({"labels": '{"a/" = 2}'}, "labels"),
        ({"limit": "0"}, "limit"),
        ({"format": '"exe"'}, "format"),
    ],
)
def test_a_wrong_entry_is_refused(tmp_path, change, message):
    with pytest.raises(ParameterError, match=message):
        catalogue.load_sources(toml(tmp_path, {**ENTRY, **change}))


def test_a_missing_key_a_double_name_and_a_broken_file_are_refused(tmp_path):
    assert list(catalogue.load_sources(toml(tmp_path, ENTRY))) == ["x"]
    with pytest.raises(ParameterError, match="lacks commit"):
        catalogue.load_sources(toml(tmp_path, {k: v for k, v in ENTRY.items() if k != "commit"}))
    with pytest.raises(ParameterError, match="twice"):
        catalogue.load_sources(toml(tmp_path, ENTRY, ENTRY))
    (tmp_path / "sources.toml").write_text("[[source")
    with pytest.raises(ParameterError, match="cannot be read"):
        catalogue.load_sources(tmp_path / "sources.toml")
    with pytest.raises(ParameterError, match="cannot be read"):
        catalogue.load_sources(tmp_path / "none.toml")


@given(st.binary(max_size=200))
def test_blob_id_is_gits(data):
    assert catalogue.blob_id(data) == str(pygit2.hash(data))


def test_blob_id_known_answers():
    assert catalogue.blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert catalogue.blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


# Fetching


def test_a_pinned_commit_is_read_byte_for_byte(tmp_path, mirror):
    folder, first, second = mirror
    report = fetch_one(tmp_path, folder, first)
    assert content(report) == {"a.ps1": FIRST["a.ps1"], "lib/b.PSM1": b"ls"}
    assert (report.rows, report.bytes, report.origin) == (2, 10, "mirror repository")
    assert report.path == tmp_path / "data" / "snapshots" / "scripts.parquet"
    held = snapshots.snapshot_metadata(report.path)
    assert (held["url"], held["commit"], held["versions"]) == (URL, first, "head")
    assert list(content(fetch_one(tmp_path, folder, second))) == ["a.ps1", "lib/b.PSM1", "lib/copy.ps1"]


def test_history_has_each_content_once_newest_first(tmp_path, mirror):
    folder, _, second = mirror
    report = fetch_one(tmp_path, folder, second, history=True)
    rows = list(catalogue.read_snapshot(report.path))
    assert [data for path, data in rows if path == "a.ps1"] == [b"dir 2", FIRST["a.ps1"]]
    assert sorted(data for _, data in rows) == sorted({b"dir 2", FIRST["a.ps1"], b"ls"})


def test_history_lies_beside_the_pinned_commit_and_each_is_kept(tmp_path, mirror):
    folder, _, second = mirror
    head = fetch_one(tmp_path, folder, second)
    before = head.path.read_bytes()
    past = fetch_one(tmp_path, folder, second, history=True)
    assert past.path == catalogue.snapshot_path("scripts", root=tmp_path, history=True)
    assert past.path == tmp_path / "data" / "snapshots" / "history" / "scripts.parquet"
    assert snapshots.snapshot_metadata(past.path)["versions"] == "history"
    assert head.path.read_bytes() == before
    assert [fetch_one(tmp_path, tmp_path, second, history=past).origin for past in (False, True)] == [
        "kept",
        "kept",
    ]


def test_a_labelled_set_has_no_history_and_is_passed_over(tmp_path, mirror):
    folder, _, second = mirror
    both = catalogued(second) | catalogued(second, name="marked", kind="labelled", labels={"": 1})
    past = catalogue.fetch(["marked", "scripts"], root=tmp_path, mirror=folder, catalogue=both, history=True)
    assert [report.name for report in past] == ["scripts"]
    assert not catalogue.snapshot_path("marked", root=tmp_path, history=True).exists()
    assert len(catalogue.fetch(["labelled", "benign"], root=tmp_path, mirror=folder, catalogue=both)) == 2


def test_the_mirror_can_come_from_the_environment_or_hold_a_clone(tmp_path, mirror, monkeypatch):
    folder, first, _ = mirror
    repository = folder / "owner+scripts" / "repo"
    repository.rename(folder / "git")
    repository.mkdir()
    (folder / "git").rename(repository / ".git")
    monkeypatch.setenv("PSEMBED_MIRROR", str(folder))
    assert fetch_one(tmp_path, None, first).rows == 2


def test_links_and_large_files_are_left_out(tmp_path):
    repository = bare(tmp_path / "mirror" / "owner+scripts" / "repo")
    files = {"a.ps1": b"dir", "link.ps1": b"/etc/passwd", "big.ps1": b"x" * 101}
    pin = commit(repository, files, links={"link.ps1"})
    report = fetch_one(tmp_path, tmp_path / "mirror", pin, changes={"limit": 100})
    assert content(report) == {"a.ps1": b"dir"}
    assert report.skipped == {"too large": 1}
    assert catalogue.left_out(report.path) == {"too large": 1}


def test_progress_counts_every_file(tmp_path, mirror):
    seen = []
    fetch_one(tmp_path, mirror[0], mirror[2], progress=lambda *call: seen.append(call))
    assert seen == [("scripts", n, 3) for n in (1, 2, 3)]


def test_rows_span_row_groups(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr(snapshots, "GROUP_BYTES", 1)
    report = fetch_one(tmp_path, mirror[0], mirror[2])
    assert pq.ParquetFile(report.path).num_row_groups == 3
    assert len(content(report)) == 3


def test_a_source_without_files_gives_an_empty_snapshot(tmp_path, mirror):
    report = fetch_one(tmp_path, mirror[0], mirror[2], changes={"include": ("*.none",)})
    assert (report.rows, content(report)) == (0, {})


def test_a_valid_snapshot_is_kept_and_a_damaged_or_other_one_made_again(tmp_path, mirror):
    folder, first, second = mirror
    path = fetch_one(tmp_path, folder, first).path
    before = path.stat().st_mtime_ns
    kept = fetch_one(tmp_path, tmp_path, first)
    assert (kept.origin, kept.rows, kept.bytes, path.stat().st_mtime_ns) == ("kept", 2, 10, before)
    path.write_bytes(path.read_bytes()[:-20])
    assert fetch_one(tmp_path, folder, first).origin == "mirror repository"
    assert fetch_one(tmp_path, folder, second).rows == 3
    assert fetch_one(tmp_path, folder, second, changes={"include": ("*.ps1",)}).rows == 2


def test_a_ready_snapshot_is_taken_with_or_without_metadata(tmp_path):
    pin = "a" * 40
    for metadata in (None, {"url": URL, "commit": pin}):
        ready(tmp_path / "mirror" / "scripts.parquet", good_rows(FIRST), metadata)
        report = fetch_one(tmp_path / str(bool(metadata)), tmp_path / "mirror", pin)
        assert content(report) == {"a.ps1": FIRST["a.ps1"], "lib/b.PSM1": b"ls"}
        assert (report.origin, report.skipped) == ("mirror snapshot", {"not included": 2})
        assert snapshots.snapshot_metadata(report.path)["commit"] == pin


@pytest.mark.parametrize("key", ["url", "commit"])
def test_a_ready_snapshot_of_another_pin_is_refused(tmp_path, key):
    held = {"url": URL, "commit": "a" * 40, key: "other"}
    ready(tmp_path / "scripts.parquet", good_rows(FIRST), held)
    with pytest.raises(SourceError, match=f"its {key} is 'other'"):
        fetch_one(tmp_path, tmp_path, "a" * 40)


def test_a_content_that_does_not_match_its_id_names_file_and_row(tmp_path):
    rows = [*good_rows({"a.ps1": b"dir"}), ("b.ps1", catalogue.blob_id(b"x"), b"y")]
    ready(tmp_path / "scripts.parquet", rows)
    with pytest.raises(SourceError, match=r"scripts\.parquet, row 1 \(b\.ps1\)"):
        fetch_one(tmp_path, tmp_path, "a" * 40)
    assert not catalogue.snapshot_path("scripts", root=tmp_path).exists()


@pytest.mark.parametrize("row", [("a.ps1", "x", None), (None, "x", b"dir"), ("a.ps1", None, b"dir")])
def test_a_row_without_content_path_or_id_is_refused(tmp_path, row):
    path = ready(tmp_path / "x.parquet", [row])
    with pytest.raises(SourceError, match="row 0"):
        list(catalogue.read_snapshot(path))


def test_a_damaged_snapshot_is_refused(tmp_path, monkeypatch):
    path = ready(tmp_path / "x.parquet", good_rows(FIRST))
    whole = path.read_bytes()
    for data in (b"", b"PAR1", whole[: len(whole) // 2], b"not parquet" * 9):
        path.write_bytes(data)
        with pytest.raises(SourceError, match=r"x\.parquet is truncated"):
            list(catalogue.read_snapshot(path))
    path.write_bytes(whole[:30] + bytes(50) + whole[80:])
    with pytest.raises(SourceError, match=r"x\.parquet"):
        list(catalogue.read_snapshot(path))
    pl.read_parquet(io.BytesIO(whole)).drop("blob").write_parquet(path)
    with pytest.raises(SourceError, match="lacks the column 'blob'"):
        list(catalogue.read_snapshot(path))
    monkeypatch.setattr(snapshots, "GROUP_LIMIT", 10)
    path.write_bytes(whole)
    with pytest.raises(SourceError, match="row group"):
        list(catalogue.read_snapshot(path))


def test_what_is_missing_says_what_to_do(tmp_path, mirror):
    folder, first, _ = mirror
    with pytest.raises(SourceError, match=r"'pester'.*pester-pester"):
        catalogue.fetch(["pester"], root=tmp_path)
    with pytest.raises(SourceError, match="PSEMBED_MIRROR"):
        fetch_one(tmp_path, tmp_path / "none", first)
    with pytest.raises(SourceError, match=r"scripts\.parquet nor owner\+scripts/repo.*PSEMBED_MIRROR"):
        fetch_one(tmp_path, tmp_path, first)
    with pytest.raises(SourceError, match=f"{'b' * 40} is not in the repository"):
        fetch_one(tmp_path, folder, "b" * 40)
    with pytest.raises(SourceError, match="run `psembed fetch scripts` first"):
        list(catalogue.read_snapshot(catalogue.snapshot_path("scripts", root=tmp_path)))


def test_a_few_missing_objects_are_counted_and_many_refused(tmp_path):
    repository = bare(tmp_path / "mirror" / "owner+scripts" / "repo")
    files = {f"{n:02d}.ps1": b"%d" % n for n in range(40)}
    pin = commit(repository, files)
    for lost, expected in ((1, 39), (2, 38), (3, None)):
        name = catalogue.blob_id(b"%d" % lost)
        Path(repository.path, "objects", name[:2], name[2:]).unlink()
        if expected:
            report = fetch_one(tmp_path / str(lost), tmp_path / "mirror", pin)
            assert (report.rows, report.skipped) == (expected, {"missing": lost})
    with pytest.raises(SourceError, match="lacks 3 of 40"):
        fetch_one(tmp_path, tmp_path / "mirror", pin)


def test_history_of_a_shallow_repository_is_refused(tmp_path, mirror):
    folder, first, second = mirror
    objects = Path(folder, "owner+scripts", "repo", "objects")
    (objects / first[:2] / first[2:]).unlink()
    assert fetch_one(tmp_path, folder, second).rows == 3
    with pytest.raises(SourceError, match="shallow"):
        fetch_one(tmp_path, folder, second, history=True)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_an_interruption_or_a_full_disk_leaves_the_old_snapshot(tmp_path, mirror, stop):
    folder, first, second = mirror

    def interrupt(name, done, total):
        if done == 2:
            raise stop

    wanted = KeyboardInterrupt if isinstance(stop, KeyboardInterrupt) else SourceError
    with pytest.raises(wanted):
        fetch_one(tmp_path, folder, first, progress=interrupt)
    path = catalogue.snapshot_path("scripts", root=tmp_path)
    assert os.listdir(path.parent) == []
    fetch_one(tmp_path, folder, first)
    before = path.read_bytes()
    with pytest.raises(wanted):
        fetch_one(tmp_path, folder, second, progress=interrupt)
    assert os.listdir(path.parent) == ["scripts.parquet"]
    assert path.read_bytes() == before


def test_git_fetches_the_pinned_commit_and_leaves_nothing_else(tmp_path, mirror):
    folder, _, second = mirror
    url = (folder / "owner+scripts" / "repo").as_uri()
    for history, rows in ((False, 3), (True, 3)):
        report = fetch_one(tmp_path, None, second, changes={"url": url}, history=history)
        assert (report.rows, report.origin) == (rows, "git")
    assert os.listdir(report.path.parent) == ["scripts.parquet"]


def test_git_that_fails_or_is_missing_says_what_to_set(tmp_path, monkeypatch):
    absent = (tmp_path / "none").as_uri()
    with pytest.raises(SourceError, match=r"cannot fetch commit a{40}.*PSEMBED_MIRROR"):
        fetch_one(tmp_path, None, "a" * 40, changes={"url": absent})
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: (_ for _ in ()).throw(FileNotFoundError("git")))
    with pytest.raises(SourceError, match="git is not installed"):
        fetch_one(tmp_path, None, "a" * 40, changes={"url": absent})
    assert os.listdir(tmp_path / "data" / "snapshots") == []


# Folders, zip files, records


def test_a_folder_is_read_sorted_without_links_and_large_files(tmp_path, caplog):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.PS1").write_bytes(b"ls")
    (tmp_path / "a.psm1").write_bytes(b"dir")
    (tmp_path / "c.psd1").write_bytes(b"@{}")
    (tmp_path / "big.ps1").write_bytes(b"x" * 200)
    (tmp_path / "link.ps1").symlink_to(tmp_path / "a.psm1")
    assert list(catalogue.read_folder(tmp_path, limit=100)) == [("a.psm1", b"dir"), ("sub/b.PS1", b"ls")]
    assert "big.ps1" in caplog.text
    with pytest.raises(SourceError, match="no folder"):
        list(catalogue.read_folder(tmp_path / "none"))


def zipped(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def test_zip_members_round_trip():
    members = {"a.ps1": b"dir", "sub/b.ps1": b"ls" * 50, "empty": b""}
    assert dict(catalogue.zip_members(zipped(members))) == members


@pytest.mark.parametrize("name", ["../a.ps1", "/a.ps1", "x/../../a.ps1", "..\\a.ps1", "c:/a.ps1"])
def test_a_member_outside_the_archive_is_refused(name):
    with pytest.raises(SourceError, match="outside the archive"):
        list(catalogue.zip_members(zipped({name: b"dir"})))


def test_zip_limits():
    with pytest.raises(SourceError, match="zip bomb"):
        list(catalogue.zip_members(zipped({"a": bytes(10_000_000)})))
    with pytest.raises(SourceError, match="300 bytes"):
        list(catalogue.zip_members(zipped({"a": b"x" * 150, "b": b"y" * 150}), max_bytes=299))
    with pytest.raises(SourceError, match="11 members"):
        list(catalogue.zip_members(zipped({str(n): b"" for n in range(11)}), max_members=10))


def test_a_zip_that_lies_about_its_size_is_refused():
    data = bytearray(zipped({"a": b"x" * 1000}))
    place = data.rindex(struct.pack("<I", 1000))
    data[place : place + 4] = struct.pack("<I", 10)
    with pytest.raises(SourceError):
        list(catalogue.zip_members(bytes(data)))


def test_damaged_and_encrypted_zips_are_refused():
    data = zipped({"a": bytes(range(256)) * 4}, zipfile.ZIP_STORED)
    for damaged in (b"", data[:-30], data[:60] + b"\xff" * 20 + data[80:]):
        with pytest.raises(SourceError, match="damaged"):
            list(catalogue.zip_members(damaged))
    encrypted = bytearray(data)
    encrypted[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(SourceError, match="encrypted"):
        list(catalogue.zip_members(bytes(encrypted)))


def record(script, family="Unicorn"):
    return (
        f"{'#' * 25} START {'#' * 25}\n\n\n\n[Original Code]\n\npowershell -enc QQ==\n\n[Filename]\n\nabc\n\n"
        f"[Arguments]\n\n['-enc']\n\n[B64 Decoded]\n\n{script}\n\n[Family Name]\n\n{family}\n\n"
        f"{'#' * 25}  END  {'#' * 25}\n"
    )


@given(st.lists(st.text(st.characters(exclude_characters="#")), min_size=1, max_size=4))
def test_records_give_their_scripts_back(scripts):
    got = catalogue.unit42_records("".join(record(script) for script in scripts))
    assert [item["script"] for item in got] == scripts


def test_a_record_has_its_other_sections():
    (got,) = catalogue.unit42_records(record("[Arguments]\n\n[Family Name]\n\nx"))
    assert got == {
        "script": "[Arguments]\n\n[Family Name]\n\nx",
        "family": "Unicorn",
        "filename": "abc",
        "arguments": "['-enc']",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "START"),
        ("dir", "START"),
        (record("a") + record("b").replace("B64 Decoded", "B64"), "record 2 lacks 'B64 Decoded'"),
        (record("a").replace("[Family", "[Fam"), "record 1 lacks 'Family Name'"),
        (record("a")[:-20], "record 1 lacks 'its END'"),
    ],
)
def test_a_damaged_record_is_named(text, message):
    with pytest.raises(SourceError, match=message):
        catalogue.unit42_records(text)
