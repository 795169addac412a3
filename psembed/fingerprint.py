"""What a notebook's results depend on, as one hash: its code, its parameters and its input files."""

import ast
import hashlib
import json
import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

from psembed.profiles import Notebook, parse_cell

CACHED_FROM = 1 << 20  # bytes; smaller files are hashed anew, which takes a millisecond
APART = {"stages"}  # the table of files: each notebook's own row is in its key, the others do not matter


def stage_key(notebook: Notebook, parameters: dict, files: dict[str, str], *, package: Path) -> str:
    """Return the hash of all that a notebook's results depend on.

    Parameters
    ----------
    notebook : Notebook
        Its code cells and their imports.
    parameters : dict
        Every parameter, as the notebook will get it.
    files : dict of str to str
        Content hash of each file read, by path; names of files written, with any value.
    package : Path
        Folder of the psembed package.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    modules, libraries = imports_of(notebook, package=package)
    parts = {
        "code": notebook.code,
        "parameters": parameters,
        "files": files,
        "modules": {name: module_hash(package / f"{name}.py") for name in sorted(modules)},
        "libraries": {name: library_version(name) for name in sorted(libraries)},
        "python": platform.python_version_tuple()[:2],
    }
    return hash_bytes(json.dumps(parts, sort_keys=True).encode())


def imports_of(notebook: Notebook, *, package: Path) -> tuple[set[str], set[str]]:
    """Return the psembed modules and the other libraries a notebook imports, directly or through them."""
    modules: set[str] = set()
    libraries: set[str] = set()
    trees = [parse_cell(source, notebook.name) for source in notebook.code]
    while trees:
        ours, others = _imported(trees.pop(), package)
        libraries |= others
        for name in ours - modules - APART:
            modules.add(name)
            trees.append(ast.parse((package / f"{name}.py").read_bytes()))
    return modules, libraries


def module_hash(path: Path) -> str:
    """Hash what a module does: its syntax tree without docstrings, so comments and layout do not matter."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[ast.get_docstring(node) is not None :]
    return hash_bytes(ast.dump(tree).encode())


def _imported(tree: ast.Module, package: Path) -> tuple[set[str], set[str]]:
    """Return the names of psembed modules and of other top-level packages imported anywhere in `tree`."""
    dotted: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            dotted |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, ("psembed" if node.level else "", node.module)))
            dotted |= {base, *(f"{base}.{alias.name}" for alias in node.names if base == "psembed")}
    split = [name.split(".") for name in dotted]
    ours = {names[1] for names in split if names[0] == "psembed" and len(names) > 1}
    others = {names[0] for names in split} - {"psembed"}
    return {name for name in ours if (package / f"{name}.py").is_file()}, others


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def library_version(name: str) -> str:
    """Return the installed version of what provides import `name`; "" for the standard library."""
    owners = _distributions().get(name, [])
    return version(owners[0]) if owners else ""


def hash_bytes(content: bytes) -> str:
    """Return the SHA-256 of `content`, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


class FileHashes:
    """Content hashes of files, kept by size and modification time so that large ones are read once.

    Parameters
    ----------
    root : Path
        Folder that paths are relative to.
    known : dict, optional
        `.known` of an earlier run.
    """

    def __init__(self, root: Path, known: dict[str, list] | None = None):
        self.root = root
        self.known = dict(known or {})

    def of(self, path: str) -> str:
        """Return the hash of a file, or, where `path` ends in /, of a folder's files; "" if not there."""
        target = self.root / path
        if path.endswith("/"):
            inside = sorted(file for file in target.rglob("*") if file.is_file())
            listing = [(file.relative_to(target).as_posix(), self._file(file)) for file in inside]
            return hash_bytes(json.dumps(listing).encode()) if listing else ""
        return self._file(target) if target.is_file() else ""

    def all(self, paths: Iterable[str]) -> dict[str, str]:
        """Return the hash of each path."""
        return {path: self.of(path) for path in paths}

    def _file(self, path: Path) -> str:
        stat = path.stat()
        name, state = path.relative_to(self.root).as_posix(), [stat.st_size, stat.st_mtime_ns]
        cached = self.known.get(name)
        if cached and cached[:2] == state:
            return cached[2]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if stat.st_size >= CACHED_FROM:
            self.known[name] = [*state, digest]
        return digest
