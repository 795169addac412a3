import os

import pytest

from psembed.fingerprint import FileHashes, hash_bytes, imports_of, library_version, stage_key
from psembed.profiles import Notebook


def notebook(*code):
    return Notebook("01_x", code, {}, frozenset())


@pytest.fixture
def package(tmp_path):
    sources = {
        "a": "from psembed.b import x\nimport numpy as np",
        "b": "def f():\n    from . import c",
        "c": "import psembed.a",
        "d": "",
        "stages": "import psembed.d",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").write_text(source)
    return tmp_path


@pytest.mark.parametrize(
    ("code", "modules", "libraries"),
    [
        ("from psembed import a", {"a", "b", "c"}, {"numpy"}),
        ("import psembed.c as c", {"a", "b", "c"}, {"numpy"}),
        ("from psembed.b import f", {"a", "b", "c"}, {"numpy"}),
        ("import psembed, os.path", set(), {"os"}),
        ("from psembed import d, nothing", {"d"}, set()),
        ("from psembed import stages", set(), set()),
        ("%matplotlib inline\nimport polars", set(), {"polars"}),
    ],
)
def test_imports_are_followed(package, code, modules, libraries):
    assert imports_of(notebook(code), package=package) == (modules, libraries)


def test_the_key_follows_code_parameters_files_and_modules(package):
    def key(code="from psembed import a", parameters=None, files=None):
        return stage_key(notebook(code), parameters or {"seed": 1}, files or {"in": "0"}, package=package)

    first = key()
    assert key() == first
    others = {key(code="from psembed import a;"), key(parameters={"seed": 2}), key(files={"in": "1"})}
    (package / "c.py").write_text('"""Text."""\n# a comment\nimport  psembed.a')
    assert key() == first
    (package / "c.py").write_text("import psembed.a\nx = 1")
    assert len(others | {first, key()}) == 5


def test_library_versions():
    assert library_version("pytest") == pytest.__version__
    assert library_version("os") == "" and library_version("no_such_library") == ""


def test_files_and_folders_are_hashed_by_content(tmp_path):
    (tmp_path / "folder/sub").mkdir(parents=True)
    (tmp_path / "folder/sub/a").write_bytes(b"1")
    hashes = FileHashes(tmp_path)
    assert hashes.of("folder/sub/a") == hash_bytes(b"1")
    assert hashes.of("none") == hashes.of("none/") == ""
    before = hashes.of("folder/")
    (tmp_path / "folder/sub/a").rename(tmp_path / "folder/sub/b")
    assert hashes.of("folder/") not in ("", before)


def test_a_large_file_is_read_once_until_it_changes(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(2 << 20))
    first = FileHashes(tmp_path)
    digest = first.of("large")
    kept = FileHashes(tmp_path, first.known)
    kept.known["large"][2] = "kept"
    assert kept.of("large") == "kept"
    os.utime(path, ns=(1, 1))
    assert kept.of("large") == digest
