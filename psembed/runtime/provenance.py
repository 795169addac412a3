"""Which code made a thing: our version, that of a library, the hash of a module."""

import ast
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

from psembed.runtime.files import sha256

__version__ = "0.1.0"
_packages_distributions = cache(packages_distributions)


def module_hash(path: Path) -> str:
    """Hash what a module does: its syntax tree without docstrings, and data files beside it that it reads.

    Those have its name (grammar.toml of grammar.py) or are named in it ("sources.toml").
    """
    tree, names = ast.parse(path.read_bytes()), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[ast.get_docstring(node) is not None :]
        elif isinstance(node, ast.Constant):
            names.add(node.value)
    beside = (file for file in path.parent.iterdir() if file.is_file() and file.suffix != ".py")
    data = sorted(file for file in beside if file.stem == path.stem or file.name in names)
    return sha256(ast.dump(tree).encode() + b"".join(file.read_bytes() for file in data))


def commit_of(root: Path) -> str | None:
    """Return the commit that a clone is at, with "+" where its files differ; None where it is no clone."""
    import pygit2

    try:
        clone = pygit2.Repository(str(root))
        commit = str(clone.head.target)
    except pygit2.GitError:
        return None
    return commit + "+" * bool(clone.status(untracked_files="no", ignored=False))


def library_version(name: str) -> str:
    """Return the installed version of what provides import `name`; "" for the standard library."""
    owners = _packages_distributions().get(name, [])
    return version(owners[0]) if owners else ""
