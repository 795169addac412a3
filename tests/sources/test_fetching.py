"""Fetching from every kind of place: what is taken, kept, left out and refused."""

import errno
import os
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pygit2
import pytest
from git_sources import URL, bare, catalogued, commit, good_rows, ready

from psembed.runtime.errors import SourceError
from psembed.sources import fetching, snapshots

FIRST = {"a.ps1": b"\xef\xbb\xbfdir\r\n", "lib/b.PSM1": b"ls", "lib/data.psd1": b"@{}", "readme.md": b"#"}
SECOND = {**FIRST, "a.ps1": b"dir 2", "lib/copy.ps1": b"ls"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    monkeypatch.delenv("PSEMBED_MIRROR", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


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
    if report.error:
        raise report.error
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


def test_sources_without_history_are_passed_over(tmp_path, mirror):
    folder, _, second = mirror
    known = catalogued(second, snippets=("*.md",)) | catalogued(second, name="pinned", history=False)
    known |= catalogued(second, name="typed", include=(), snippets=("*.md",))
    (past,) = fetching.fetch(known, root=tmp_path, mirror=folder, catalogue=known, history=True)
    assert past.name == "scripts" and "readme.md" not in content(past)
    made = {r.name: r for r in fetching.fetch(["benign"], root=tmp_path, mirror=folder, catalogue=known)}
    assert sorted(made) == sorted(known) and "readme.md" in content(made["scripts"])
    assert sorted(os.listdir(tmp_path / "data" / "snapshots")) == [
        "history", "pinned.parquet", "scripts.parquet", "typed.parquet",
    ]  # fmt: skip


def test_a_failure_leaves_the_other_sources_alone_and_none_is_made_twice(tmp_path, mirror):
    folder, first, _ = mirror
    known = catalogued(first) | catalogued("b" * 40, name="gone")
    known |= {f"s{n}": catalogued(first, name=f"s{n}")[f"s{n}"] for n in range(9)}
    names = ["gone", "benign", "scripts", "gone"]
    reports = {r.name: r for r in fetching.fetch(names, root=tmp_path, mirror=folder, catalogue=known)}
    assert sorted(reports) == sorted(known)
    assert "commit bbbb" in str(reports.pop("gone").error)
    assert all(report.error is None and report.rows == 2 for report in reports.values())
    again = list(fetching.fetch(names, root=tmp_path, mirror=folder, catalogue=known))
    assert sorted(r.name for r in again if r.origin == "kept") == sorted(reports)


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
    assert fetch_one(tmp_path, tmp_path, pin, changes={"limit": 100}).skipped == {"too large": 1}


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
    read = {"include": (), "snippets": ("*.md",)}
    assert content(fetch_one(tmp_path, folder, second, changes=read)) == {"readme.md": b"#"}
    assert fetch_one(tmp_path, tmp_path, second, changes=read).origin == "kept"


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
        next(fetching.fetch(["pester"], root=tmp_path))
    with pytest.raises(SourceError, match="PSEMBED_MIRROR"):
        fetch_one(tmp_path, tmp_path / "none", first)
    with pytest.raises(SourceError, match=r"scripts\.parquet nor owner\+scripts/repo.*PSEMBED_MIRROR"):
        fetch_one(tmp_path, tmp_path, first)
    with pytest.raises(SourceError, match=f"{'b' * 40} is not in the repository"):
        fetch_one(tmp_path, folder, "b" * 40)
    with pytest.raises(SourceError, match="run `psembed fetch scripts` first"):
        list(snapshots.read_snapshot(snapshots.snapshot_path("scripts", root=tmp_path)))


def test_what_cannot_be_stored_names_the_folder(tmp_path, mirror):
    (tmp_path / "data").write_bytes(b"no folder")
    with pytest.raises(SourceError, match=r"scripts: cannot write below .*snapshots"):
        fetch_one(tmp_path, mirror[0], mirror[1])


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


@pytest.mark.parametrize("filters", [True, False])
@pytest.mark.parametrize("history", [True, False])
def test_git_sends_no_file_that_is_not_wanted_if_the_server_can_filter(tmp_path, mirror, filters, history):
    folder, _, second = mirror
    repository = pygit2.Repository(str(folder / "owner+scripts" / "repo"))
    for option in ("allowFilter", "allowAnySHA1InWant"):
        repository.config[f"uploadpack.{option}"] = filters
    sent = set()

    def look(name, done, total):
        if done:
            (temporary,) = (tmp_path / "data" / "snapshots").rglob(".scripts.*/HEAD")
            held = pygit2.Repository(str(temporary.parent)).odb
            sent.update(data for data in versions if pygit2.hash(data) in held)

    versions = {*FIRST.values(), *SECOND.values()}
    changes = {"url": Path(repository.path).as_uri(), "limit": 6}
    report = fetch_one(tmp_path, None, second, changes=changes, history=history, progress=look)
    wanted = {b"dir 2", b"ls"} | ({FIRST["a.ps1"]} if history else set())
    assert sent == wanted | (set() if filters else {b"@{}", b"#"})
    assert report.skipped == ({"too large": 1} if history else {})
    there = fetch_one(tmp_path / "mirrored", folder, second, changes={"limit": 6}, history=history)
    assert list(snapshots.snapshot_rows(report.path)) == list(snapshots.snapshot_rows(there.path))
    assert os.listdir(report.path.parent) == ["scripts.parquet"]


@pytest.fixture
def fake_git(tmp_path, monkeypatch):
    """Let git be a shell script of one's own."""

    def replace(script):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "git").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / "git").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)

    return replace


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("fatal: could not read Username for 'https://x': disabled", r"disabled\); .* gone or private.*toml"),
        ("fatal: repository 'https://x/' not found\nPlease make", r"\(repository .* not found\); .* gone"),
        ("remote: x\nfatal: remote error: upload-pack: not our ref a", "the commit is gone"),
        ("fatal: Could not resolve\033[31m host", r"resolve\[31m host\); check the network"),
        ("", "no reason given"),
    ],
)
def test_what_git_says_is_one_line_with_what_to_do(tmp_path, fake_git, said, message):
    fake_git(f'printf "%b" "{said}" >&2; exit 128')
    with pytest.raises(SourceError, match=message) as caught:
        fetch_one(tmp_path, None, "a" * 40)
    assert str(caught.value).isprintable() and "PSEMBED_MIRROR" in str(caught.value)


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_an_interruption_ends_git_and_all_it_started(tmp_path, fake_git, started_processes):
    fake_git('(while :; do date > "${1#--git-dir=}/part"; done) & wait')

    def interrupt(name, done, total):
        if list((tmp_path / "data" / "snapshots").glob(".scripts.*/part")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_one(tmp_path, None, "a" * 40, progress=interrupt)
    assert [process.returncode for process in started_processes] == [-signal.SIGKILL]
    assert os.listdir(tmp_path / "data" / "snapshots") == []


def test_git_that_fails_or_is_missing_says_what_to_set(tmp_path, mirror, monkeypatch):
    folder, *_ = mirror
    absent = {"url": (tmp_path / "none").as_uri()}
    with pytest.raises(SourceError, match=r"cannot fetch commit a{40} .*none.*PSEMBED_MIRROR"):
        fetch_one(tmp_path, None, "a" * 40, changes=absent)
    with pytest.raises(SourceError, match="the commit is gone"):
        fetch_one(tmp_path, None, "a" * 40, changes={"url": (folder / "owner+scripts" / "repo").as_uri()})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="git is not installed"):
        fetch_one(tmp_path, None, "a" * 40, changes=absent)
    assert os.listdir(tmp_path / "data" / "snapshots") == []
