import os
import shutil
from pathlib import Path

import pytest

from psembed.models import network
from psembed.pipeline.fingerprint import FileHashes, imports_of, stage_key
from psembed.powershell import tokens
from psembed.project.parameters import Notebook, read_notebook
from psembed.runtime import errors
from psembed.runtime.files import sha256
from psembed.runtime.provenance import module_hash

ROOT = Path(__file__).parents[2]


def notebook(*code):
    return Notebook("01_x", code, {}, frozenset())


@pytest.fixture
def package(tmp_path):
    sources = {
        "__init__": "from psembed.far.e import f",
        "a": "from psembed.b import x\nimport numpy as np",
        "b": "def f():\n    from . import c",
        "c": "import psembed.a",
        "d": "",
        "project/__init__": "",
        "project/stages": "import psembed.d",
        "far/__init__": "",
        "far/e": "from .near.f import y\nfrom .. import d",
        "far/near/__init__": "import json",
        "far/near/f": "y = 1",
    }
    for name, source in sources.items():
        (tmp_path / f"{name}.py").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.py").write_text(source)
    return tmp_path


FAR = {"far", "far.e", "far.near", "far.near.f", "d"}


@pytest.mark.parametrize(
    ("code", "modules", "libraries"),
    [
        ("from psembed import a", {"a", "b", "c"}, {"numpy"}),
        ("import psembed.c as c", {"a", "b", "c"}, {"numpy"}),
        ("from psembed.b import f", {"a", "b", "c"}, {"numpy"}),
        ("from psembed import d", {"d"}, set()),
        ("from psembed.project import stages", {"project"}, set()),
        ("%matplotlib inline\nimport polars", set(), {"polars"}),
        ("from psembed.far import e", FAR, {"json"}),
        ("import psembed.far.e", FAR, {"json"}),
        ("from psembed.far.near.f import y", {"far", "far.near", "far.near.f"}, {"json"}),
        ("import psembed.far", {"far"}, set()),
    ],
)
def test_imports_are_followed(package, code, modules, libraries):
    assert imports_of(notebook(code), package=package) == ({f"psembed.{name}" for name in modules}, libraries)


@pytest.mark.parametrize("code", ["import psembed, json", "from psembed import d, f"])
def test_a_name_that_the_root_offers_leads_to_all_that_it_offers(package, code):
    modules = {"psembed", *(f"psembed.{name}" for name in FAR)}
    assert imports_of(notebook(code), package=package) == (modules, {"json"})


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


@pytest.mark.parametrize("changed", ["far/near/f", "far/near/__init__", "far/e", "d"])
def test_changed_code_of_a_sub_package_makes_another_key(package, changed):
    def key():
        return stage_key(notebook("from psembed.far import e"), {}, {}, package=package)

    before = key()
    (package / f"{changed}.py").write_text((package / f"{changed}.py").read_text() + "\nx = 1")
    assert key() != before


@pytest.mark.parametrize("name", ["b.toml", "pins.toml"])
def test_changed_data_that_a_module_reads_makes_another_key(package, name):
    (package / "c.py").write_text("import psembed.a\nPINS = 'pins.toml'")

    def key():
        return stage_key(notebook("from psembed import a"), {}, {}, package=package)

    keys = [key()]
    for text in ("x = 1", "x = 2"):
        (package / name).write_text(text)
        keys.append(key())
    assert len(set(keys)) == 3


def test_a_new_pin_runs_the_chapter_that_reads_the_sources_again(tmp_path):
    sources = ROOT / "psembed" / "sources"
    for name in ("catalogue.py", "sources.toml"):
        shutil.copy(sources / name, tmp_path)
    before = module_hash(tmp_path / "catalogue.py")
    assert before == module_hash(sources / "catalogue.py")
    (tmp_path / "sources.toml").write_text("changed")
    assert module_hash(tmp_path / "catalogue.py") != before
    assert "psembed.sources.catalogue" in notebook_imports("01_corpus")


def notebook_imports(name):
    return imports_of(read_notebook(ROOT / f"notebooks/{name}.ipynb"), package=ROOT / "psembed")[0]


def test_the_notebooks_of_the_project_lead_to_the_code_they_run():
    """A notebook that trains depends on the network, wherever the module has been moved to."""
    assert {module.__name__ for module in (network, tokens, errors)} <= notebook_imports("07_cnn_lstm")


def test_files_and_folders_are_hashed_by_content(tmp_path):
    (tmp_path / "folder/sub").mkdir(parents=True)
    (tmp_path / "folder/sub/a").write_bytes(b"1")
    hashes = FileHashes(tmp_path)
    assert hashes.of("folder/sub/a") == sha256(b"1")
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
