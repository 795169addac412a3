"""The contracts on imports in pyproject.toml hold, and they would catch what they are there for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the package that import-linter reads instead of the installed one."""
    shutil.copytree(
        ROOT / "psembed", tmp_path / "psembed", ignore=shutil.ignore_patterns("released", "*.pyc")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken(folder: Path) -> str:
    """Return what import-linter says of the contracts that are broken in a folder, "" where all are kept."""
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from importlinter.cli import lint_imports_command as lint; lint()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ("BROKEN" in done.stdout) == bool(done.returncode), done.stdout + done.stderr
    return done.stdout if done.returncode else ""


def test_imports_point_down_and_form_no_circle():
    assert broken(ROOT) == ""


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("runtime/errors", "from psembed.project import stages", "Imports only point down BROKEN"),
        (
            "detector/verdict",
            "def f():\n    import sklearn",
            "The detector knows nothing of the study BROKEN",
        ),
        ("detector/verdict", "from psembed.detector import detector", "No circles BROKEN"),
    ],
)
def test_a_wrong_import_is_caught(copy, module, line, contract):
    path = copy / f"psembed/{module}.py"
    path.write_text(path.read_text() + f"\n{line}\n")
    assert contract in broken(copy)
