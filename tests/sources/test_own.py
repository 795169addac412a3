"""A study of one's own: what `psembed init` writes, and what is read of it."""

from pathlib import Path

import pytest
from git_sources import bare, commit

from psembed.project.profiles import load_profile
from psembed.runtime.errors import ParameterError, SourceError
from psembed.sources import corpus, fetching, own
from psembed.sources.catalogue import load_sources

SCRIPTS = {"a.ps1": "Get-Date", "deep/b.psm1": "function Get-It { 1 }", "notes.txt": "no script"}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder of scripts, one of them too large and one a link."""
    top = tmp_path / "my scripts"
    for name, text in SCRIPTS.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (top / "large.ps1").write_bytes(b"#" * 5_000_000)
    (top / "link.ps1").symlink_to(top / "a.ps1")
    return top


def begun(tmp_path: Path, *, clean: list, malicious: list = ()) -> tuple[dict, object]:
    listed, profile = own.init(
        tmp_path / "mine", clean=map(str, clean), malicious=map(str, malicious), root=tmp_path
    )
    return load_sources(listed), load_profile(profile)


def test_a_folder_is_read_as_it_is_when_it_is_fetched(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("PSEMBED_MIRROR", str(tmp_path))  # of no concern to a folder of one's own
    known, profile = begun(tmp_path, clean=[folder])
    (source,) = known.values()
    assert (source.commit, source.kind, source.folder) == ("", "benign", folder)
    for _ in range(2):
        (report,) = fetching.fetch(known, root=tmp_path, catalogue=known)
        assert report.error is None and report.origin == "folder"
        assert report.skipped == {"too large": 1, "link": 1}
        table, counts = corpus.build(known, root=tmp_path, catalogue=known)
        (folder / "a.ps1").write_text("Get-Item")
    assert sorted(table["path"]) == ["a.ps1", "deep/b.psm1"] and "Get-Item" in set(table["text"])
    assert table["label"].to_list() == [0, 0] and counts[source.name]["rows"] == 2
    assert profile.values["01_corpus"] == {"catalogue": "mine/sources.toml", "sources": [source.name]}


def test_without_malicious_scripts_of_two_places_the_detector_is_left_out(tmp_path, folder):
    _, profile = begun(tmp_path, clean=[folder])
    assert list(profile.chapters) == list(own.VECTORS) and "05_labels" not in profile.values


def test_malicious_places_are_labelled_and_the_last_is_the_wild_one(tmp_path, folder):
    other = tmp_path / "b"
    other.mkdir()
    (other / "x.ps1").write_text("iex $y")
    known, profile = begun(tmp_path, clean=[folder], malicious=[folder, other])
    names = list(known)
    assert [known[name].kind for name in names] == ["benign", "labelled", "labelled"]
    assert profile.chapters == () and profile.values["05_labels"] == {"wild_source": names[2]}
    assert not [report for report in fetching.fetch(known, root=tmp_path, catalogue=known) if report.error]
    table, _ = corpus.build(names[2:], root=tmp_path, catalogue=known)
    assert table.select("label", "text").rows() == [(1, "iex $y")]


def test_a_repository_is_pinned_at_the_commit_that_it_has_now(tmp_path):
    repository = bare(tmp_path / "team" / "scripts.git")
    first = commit(repository, {"a.ps1": b"Get-Date"})
    known, _ = begun(tmp_path, clean=[tmp_path / "team" / "scripts.git"])
    (source,) = known.values()
    assert source.commit == first and source.folder is None
    (report,) = fetching.fetch(known, root=tmp_path, catalogue=known)
    assert report.error is None and report.rows == 1


@pytest.mark.parametrize(
    ("name", "clean", "error", "said"),
    [
        ("Mine", ["here"], ParameterError, "lower-case"),
        ("here", ["here"], ParameterError, "is there already"),
        ("mine", [], SourceError, "needs clean scripts"),
        ("mine", ["nowhere"], SourceError, "no such folder"),
    ],
)
def test_what_cannot_be_begun_leaves_nothing_behind(tmp_path, monkeypatch, name, clean, error, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with pytest.raises(error, match=said):
        own.init(Path(name), clean=clean, root=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_a_folder_that_is_gone_or_holds_no_script_is_told(tmp_path, folder):
    known, _ = begun(tmp_path, clean=[folder])
    for path in [*folder.rglob("*.ps1"), *folder.rglob("*.psm1")]:
        path.unlink()
    (report,) = fetching.fetch(known, root=tmp_path, catalogue=known)
    assert "holds no file that matches" in str(report.error)
    folder.rename(tmp_path / "away")
    (report,) = fetching.fetch(known, root=tmp_path, catalogue=known)
    assert "there is no folder" in str(report.error)
