"""Fetching from every kind of place: what is taken, kept, left out and refused."""

import errno
import os
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from git_sources import URL, bare, catalogued, commit, good_rows, ready

from psembed.runtime.errors import SourceError
from psembed.sources import fetching, snapshots

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
    (report,) = fetching.fetch(
        ["scripts"], root=tmp_path, mirror=mirror, catalogue=catalogued(pin, **changes), **options
    )
    return report


def content(report):
    return dict(snapshots.read_snapshot(report.path))


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
    rows = list(snapshots.read_snapshot(report.path))
    assert [data for path, data in rows if path == "a.ps1"] == [b"dir 2", FIRST["a.ps1"]]
    assert sorted(data for _, data in rows) == sorted({b"dir 2", FIRST["a.ps1"], b"ls"})


def test_history_lies_beside_the_pinned_commit_and_each_is_kept(tmp_path, mirror):
    folder, _, second = mirror
    head = fetch_one(tmp_path, folder, second)
    before = head.path.read_bytes()
    past = fetch_one(tmp_path, folder, second, history=True)
    assert past.path == snapshots.snapshot_path("scripts", root=tmp_path, history=True)
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
    past = fetching.fetch(["marked", "scripts"], root=tmp_path, mirror=folder, catalogue=both, history=True)
    assert [report.name for report in past] == ["scripts"]
    assert not snapshots.snapshot_path("marked", root=tmp_path, history=True).exists()
    assert len(fetching.fetch(["labelled", "benign"], root=tmp_path, mirror=folder, catalogue=both)) == 2


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
    assert snapshots.left_out(report.path) == {"too large": 1}


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
    rows = [*good_rows({"a.ps1": b"dir"}), ("b.ps1", snapshots.blob_id(b"x"), b"y")]
    ready(tmp_path / "scripts.parquet", rows)
    with pytest.raises(SourceError, match=r"scripts\.parquet, row 1 \(b\.ps1\)"):
        fetch_one(tmp_path, tmp_path, "a" * 40)
    assert not snapshots.snapshot_path("scripts", root=tmp_path).exists()


def test_what_is_missing_says_what_to_do(tmp_path, mirror):
    folder, first, _ = mirror
    with pytest.raises(SourceError, match=r"'pester'.*pester-pester"):
        fetching.fetch(["pester"], root=tmp_path)
    with pytest.raises(SourceError, match="PSEMBED_MIRROR"):
        fetch_one(tmp_path, tmp_path / "none", first)
    with pytest.raises(SourceError, match=r"scripts\.parquet nor owner\+scripts/repo.*PSEMBED_MIRROR"):
        fetch_one(tmp_path, tmp_path, first)
    with pytest.raises(SourceError, match=f"{'b' * 40} is not in the repository"):
        fetch_one(tmp_path, folder, "b" * 40)
    with pytest.raises(SourceError, match="run `psembed fetch scripts` first"):
        list(snapshots.read_snapshot(snapshots.snapshot_path("scripts", root=tmp_path)))


def test_a_few_missing_objects_are_counted_and_many_refused(tmp_path):
    repository = bare(tmp_path / "mirror" / "owner+scripts" / "repo")
    files = {f"{n:02d}.ps1": b"%d" % n for n in range(40)}
    pin = commit(repository, files)
    for lost, expected in ((1, 39), (2, 38), (3, None)):
        name = snapshots.blob_id(b"%d" % lost)
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
    path = snapshots.snapshot_path("scripts", root=tmp_path)
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
