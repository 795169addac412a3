"""Set-up with the standard library alone: .venv from requirements.lock, and the way into it.

`python -m psembed setup` works on a machine that has only Python 3.11, so nothing here may import
a package. Whoever runs another command without its packages is sent into .venv, made on the spot.
"""

from __future__ import annotations  # so that an older Python gets as far as the message

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from psembed.runtime.errors import PsembedError
from psembed.runtime.files import atomic, sha256

PYTHON = (3, 11)
LOCK = "requirements.lock"
LOCK_HEADER = """\
# Every package the project uses, pinned, for Python 3.11 on Linux, macOS and Windows.
# Written by `make lock` (`python -m psembed lock`) from pyproject.toml; do not edit.
"""
SENT_INTO_VENV = "PSEMBED_IN_VENV"


def checkout() -> Path | None:
    """Return the clone this package runs from, or None where it was installed from a wheel."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / LOCK).is_file() and (root / "pyproject.toml").is_file() else None


def check_python(version: tuple[int, ...] = sys.version_info[:2]) -> None:
    """Refuse, by a PsembedError, a Python other than the one that the lock was made for."""
    if tuple(version[:2]) != PYTHON:
        given, needed = (".".join(map(str, pair)) for pair in (version[:2], PYTHON))
        raise PsembedError(
            f"psembed needs Python {needed}, this is {given}: "
            f"run it with python{needed} (on Windows: py -{needed})"
        )


def venv_python(root: Path) -> Path:
    """Return the interpreter of the clone's .venv, there or not."""
    return root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def wanted(root: Path) -> str:
    """Return the identity of a finished set-up: the hash of what it installs."""
    return sha256((root / LOCK).read_bytes() + (root / "pyproject.toml").read_bytes())


def is_ready(root: Path) -> bool:
    """Tell whether .venv was finished for the lock and pyproject.toml as they are now."""
    stamp = _stamp(root)
    return venv_python(root).exists() and stamp.is_file() and stamp.read_text("ascii").strip() == wanted(root)


def set_up(root: Path) -> bool:
    """Make .venv and install the lock and the project into it; return whether there was anything to do.

    An interrupted set-up goes on where it stopped: the stamp that ends it is written last, and a package
    that was half installed is installed again. Raises PsembedError where Python has the wrong version, or
    pip fails.
    """
    check_python()
    if is_ready(root):
        return False
    _stamp(root).unlink(missing_ok=True)
    _make_venv(root)
    _forget_half_installed(root)
    _pip(root, "install", "--require-hashes", "-r", LOCK)
    _pip(root, "install", "--no-deps", "--no-build-isolation", "--editable", ".")
    _stamp(root).write_text(wanted(root), "ascii")
    return True


def enter(root: Path, arguments: list[str]) -> int:
    """Run `psembed ARGUMENTS` with the clone's .venv, set up first if need be; return its exit code."""
    if SENT_INTO_VENV in os.environ:
        raise PsembedError("packages are missing from .venv: delete the folder and run `psembed setup`")
    set_up(root)
    command = [str(venv_python(root)), "-m", "psembed", *arguments]
    os.environ[SENT_INTO_VENV] = "1"
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    return subprocess.run(command, check=False).returncode


def has_packages(names: tuple[str, ...]) -> bool:
    """Tell whether these top-level packages can be imported, without importing them."""
    return all(importlib.util.find_spec(name) is not None for name in names)


def how_to_install(extras: str) -> str:
    """Say how to install extras of psembed, such as "events"; the name alone is another's on an index."""
    return f"pip install '.[{extras}]' in a clone of psembed"


def write_lock(root: Path) -> None:
    """Write requirements.lock anew from pyproject.toml, all platforms at once, with `uv export`.

    The result names no package index and no folder of this machine. Raises PsembedError where uv is missing
    or finds no solution; the old lock stays.
    """
    if not has_packages(("uv",)):
        raise PsembedError("uv is not installed: run `python -m psembed setup`, which installs it")
    export = ["export", "--all-extras", "--no-emit-project", "--no-header", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("pyproject.toml", "psembed/runtime/provenance.py"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, copy / name)
        for name in ("README.md", "LICENSE"):  # named in pyproject.toml, not read
            (copy / name).touch()
        command = [sys.executable, "-m", "uv", *export, "--python", sys.executable, "--output-file", "out"]
        if subprocess.run(command, cwd=copy, check=False).returncode:
            raise PsembedError(f"uv found no set of versions: {LOCK} is unchanged; its words are above")
        fresh = LOCK_HEADER + (copy / "out").read_text("utf-8")
    with atomic(root / LOCK) as temporary:
        temporary.write_text(fresh, "utf-8", newline="\n")


def _stamp(root: Path) -> Path:
    return root / ".venv" / "psembed-ready"


def _make_venv(root: Path) -> None:
    """Make .venv, or keep the one an interrupted set-up left if its interpreter and pip work."""
    python = venv_python(root)
    check = f"import sys, pip; sys.exit(sys.version_info[:2] != {PYTHON})"
    if python.exists():
        probe = subprocess.run([str(python), "-c", check], capture_output=True, check=False)
        if probe.returncode == 0:
            return
    venv.create(root / ".venv", clear=True, with_pip=True, symlinks=os.name != "nt")


def _forget_half_installed(root: Path) -> None:
    """Drop the records of packages whose installation was cut off: pip writes RECORD last."""
    for folder in (root / ".venv").rglob("site-packages/*.dist-info"):
        if not (folder / "RECORD").is_file():
            shutil.rmtree(folder)


def _pip(root: Path, *arguments: str) -> None:
    command = [str(venv_python(root)), "-m", "pip", "--disable-pip-version-check", *arguments]
    if subprocess.run(command, cwd=root, check=False).returncode:
        raise PsembedError(
            f"pip {arguments[0]} failed, its words are above: run the same command again to go on from there"
        )
