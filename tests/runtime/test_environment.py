import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from psembed.cli import main
from psembed.runtime import environment
from psembed.runtime.errors import PsembedError

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
EXTRAS = PROJECT["project"]["optional-dependencies"]
DIRECT = [
    Requirement(text) for group in (PROJECT["project"]["dependencies"], *EXTRAS.values()) for text in group
]


def locked() -> dict[str, list[tuple[str, str]]]:
    """Name -> [(version, marker), ...]."""
    required: dict[str, list[tuple[str, str]]] = {}
    for line in re.findall(r"^[A-Za-z0-9].*", LOCK, re.MULTILINE):
        requirement = Requirement(line.rstrip(" \\"))
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        required.setdefault(canonicalize_name(requirement.name), []).append(
            (pin.version, str(requirement.marker))
        )
    return required


def test_every_direct_dependency_is_locked_within_its_range():
    pins = locked()
    for requirement in DIRECT:
        versions = [version for version, _ in pins[canonicalize_name(requirement.name)]]
        assert versions and all(version in requirement.specifier for version in versions), requirement


def test_every_pin_has_a_hash_and_no_address():
    blocks = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(blocks) > 50 and all("--hash=sha256:" in block for block in blocks)
    assert "://" not in LOCK and "index-url" not in LOCK and "find-links" not in LOCK
    assert not re.search(r"(?<![\w.])/\w", LOCK), "a folder of the machine that wrote it"


def test_the_lock_has_no_package_for_one_accelerator_only():
    assert not [name for name in locked() if name.startswith(("nvidia", "tensorflow-metal"))]


def test_conda_environment_pyproject_and_lock_agree():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert conda["name"] == PROJECT["project"]["name"] == "psembed"
    assert conda["dependencies"] == ["python=3.11", "pip", {"pip": ["-r requirements.lock"]}]
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.12"
    assert environment.PYTHON == (3, 11) and PROJECT["tool"]["ruff"]["target-version"] == "py311"


def test_every_import_is_a_declared_dependency():
    owners = packages_distributions()
    declared = {canonicalize_name(requirement.name) for requirement in DIRECT}
    paths = [*(ROOT / "psembed").rglob("*.py"), *(ROOT / "bench").glob("*.py")]
    assert len(paths) > 80
    for path in paths:
        for name in imports(path) - set(sys.stdlib_module_names) - {"psembed", "bench"}:
            names = {canonicalize_name(owner) for owner in owners.get(name, [name])}
            assert names & declared or name in declared, f"{path.name} imports {name}"


def imports(path: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[0] for name in plain} | {
        node.module.split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and not node.level
    }


def test_the_way_in_needs_the_standard_library_alone():
    done = subprocess.run(
        [sys.executable, "-S", "-m", "psembed", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_make_offers_what_the_command_line_offers():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE)) - {"help"}
    assert targets == {
        "setup", "reproduce", "paper", "lab", "notebooks", "test", "lint", "lock", "site", "bench",
        "dotnet",
    }  # fmt: skip
    for target in targets:
        assert main.parser().parse_args([target]).command


def test_ci_runs_what_the_readme_tells_people_to_run():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK) or os.name == "nt"
    lines = script.read_text(encoding="utf-8").splitlines()
    assert "set -euo pipefail" in lines
    made = [found[1] for line in lines if (found := re.match(r"(?:[A-Z_]+=\S+ )*(make .+)", line))]
    assert made == ["make setup", "make lint", "make test", "make reproduce", "make notebooks"]


def test_another_python_is_told_what_to_run():
    with pytest.raises(PsembedError, match=r"needs Python 3\.11, this is 3\.12: run it with python3\.11"):
        environment.check_python((3, 12))
    environment.check_python((3, 11))


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone whose .venv is made of empty files, and the list of pip calls."""
    (tmp_path / "requirements.lock").write_text("a==1")
    (tmp_path / "pyproject.toml").write_text("")
    calls = []

    def make(root):
        python = environment.venv_python(root)
        python.parent.mkdir(parents=True, exist_ok=True)
        python.touch()

    monkeypatch.setattr(environment, "_make_venv", make)
    monkeypatch.setattr(environment, "_pip", lambda root, *arguments: calls.append(arguments))
    return tmp_path, calls


def test_set_up_installs_the_lock_with_hashes_then_the_project_once(clone):
    root, calls = clone
    assert environment.set_up(root) is True
    assert calls[0] == ("install", "--require-hashes", "-r", "requirements.lock")
    assert "--no-deps" in calls[1] and len(calls) == 2
    assert environment.set_up(root) is False and len(calls) == 2
    (root / "requirements.lock").write_text("a==2")
    assert not environment.is_ready(root)
    assert environment.set_up(root) is True and len(calls) == 4


def test_an_interrupted_set_up_goes_on(clone, monkeypatch):
    root, calls = clone

    def stopped(root, *arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(environment, "_pip", stopped)
        environment.set_up(root)
    assert not environment.is_ready(root)
    half = root / ".venv/lib/python3.11/site-packages/half-1.dist-info"
    whole = half.with_name("whole-1.dist-info")
    for folder in (half, whole):
        folder.mkdir(parents=True)
    (half / "METADATA").touch()
    (whole / "RECORD").touch()
    assert environment.set_up(root) is True
    assert whole.exists() and not half.exists() and len(calls) == 2


def test_pip_failing_is_told_and_leaves_no_stamp(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "venv_python", lambda root: Path(sys.executable))
    with pytest.raises(PsembedError, match="pip install failed"):
        environment._pip(tmp_path, "install", "--no-index", "there-is-no-such-package")


@pytest.mark.skipif(os.name == "nt", reason="exec")
def test_entering_sets_up_and_replaces_the_process(clone, monkeypatch):
    root, calls = clone
    monkeypatch.delenv(environment.SENT_INTO_VENV, raising=False)
    monkeypatch.setattr(os, "execv", lambda path, command: calls.append(command))
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", dict(os.environ))
        environment.enter(root, ["run", "--only", "01_corpus"])
        assert calls[2] == [str(environment.venv_python(root)), "-m", "psembed", "run", "--only", "01_corpus"]
        with pytest.raises(PsembedError, match=r"packages are missing from \.venv"):
            environment.enter(root, ["run"])


def test_a_lock_without_a_solution_leaves_the_old_one(clone, monkeypatch):
    root, _ = clone
    (root / "psembed/runtime").mkdir(parents=True)
    (root / "psembed/runtime/provenance.py").touch()
    monkeypatch.setattr(environment, "has_packages", lambda names: True)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))
    with pytest.raises(PsembedError, match=r"requirements\.lock is unchanged"):
        environment.write_lock(root)
    assert (root / "requirements.lock").read_text() == "a==1"
