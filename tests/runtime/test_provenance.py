import pygit2
import pytest

from psembed.runtime.provenance import commit_of, library_version


def test_the_commit_of_a_clone_says_whether_its_files_differ(tmp_path):
    assert commit_of(tmp_path) is None
    clone = pygit2.init_repository(tmp_path)
    (tmp_path / "kept").write_text("1")
    clone.index.add("kept")
    clone.index.write()
    who = pygit2.Signature("a", "a@example.com", 0, 0)
    commit = str(clone.create_commit("HEAD", who, who, "first", clone.index.write_tree(), []))
    assert commit_of(tmp_path) == commit
    (tmp_path / "new").write_text("a file that is not tracked makes no difference")
    assert commit_of(tmp_path) == commit
    (tmp_path / "kept").write_text("changed")
    assert commit_of(tmp_path) == f"{commit}+"


def test_library_versions():
    assert library_version("pytest") == pytest.__version__
    assert library_version("os") == "" and library_version("no_such_library") == ""
