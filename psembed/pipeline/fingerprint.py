"""What a notebook's results depend on, as one hash: its code, its parameters and its input files."""

import ast
import json
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

from psembed.project.parameters import Notebook, parse_cell
from psembed.runtime.files import sha256, sha256_of_file
from psembed.runtime.provenance import library_version, module_hash

CACHED_FROM = 1 << 20  # bytes; smaller files are hashed anew, which takes a millisecond
ROOT = "psembed"
APART = {"psembed.project.stages"}  # the table of files: a notebook's own row of it is in its key


def stage_key(notebook: Notebook, parameters: dict, files: dict[str, str], *, package: Path) -> str:
    """Return the SHA-256 of all that a notebook's results depend on; `package` is the folder of psembed.

    `files` has the content hash of each file read, by path, and the names of files written, with any value.
    """
    modules, libraries = imports_of(notebook, package=package)
    parts = {
        "code": notebook.code,
        "parameters": parameters,
        "files": files,
        "modules": {name: module_hash(source_file(name, package)) for name in sorted(modules)},
        "libraries": {name: library_version(name) for name in sorted(libraries)},
        "python": platform.python_version_tuple()[:2],
    }
    return sha256(json.dumps(parts, sort_keys=True).encode())


def imports_of(notebook: Notebook, *, package: Path) -> tuple[set[str], set[str]]:
    """Return the psembed modules and the other libraries a notebook imports, directly or through them.

    Modules are named in full, "psembed.models.network"; a sub-package stands for its `__init__`. The root
    is among them only where a name of its own is asked for, and then all that it offers is.
    """
    modules, libraries = set(), set()
    waiting = [(parse_cell(source, notebook.name), "") for source in notebook.code]
    while waiting:
        ours, others = _imported(*waiting.pop(), package)
        libraries |= others
        for name in ours - modules - APART:
            modules.add(name)
            path = source_file(name, package)
            home = name if path.name == "__init__.py" else name.rpartition(".")[0]
            waiting.append((ast.parse(path.read_bytes()), home))
    return modules, libraries


def source_file(name: str, package: Path) -> Path | None:
    """Return the file of a psembed module or sub-package named in full; None where there is none."""
    place = package.joinpath(*name.split(".")[1:])
    candidates = (place.with_suffix(".py") if place != package else place, place / "__init__.py")
    return next(filter(Path.is_file, candidates), None)


def _imported(tree: ast.Module, home: str, package: Path) -> tuple[set[str], set[str]]:
    """Return psembed modules and other top-level packages imported anywhere in a module of package `home`."""
    ours, others = set(), set()
    for name, members in _import_statements(tree, home):
        top = name.partition(".")[0]
        if top != ROOT:
            others.add(top)
            continue
        inner = {f"{name}.{member}" for member in members}
        modules = {full for full in inner if source_file(full, package)}
        if modules != inner or not inner:  # a name that the module defines
            modules.add(name)
        ours |= {part for full in modules for part in _with_packages(full)}
    return {name for name in ours if source_file(name, package)}, others


def _import_statements(tree: ast.Module, home: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each imported module, named in full, and the names taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(home.split(".")[: len(home.split(".")) + 1 - node.level]) if node.level else ""
            yield ".".join(filter(None, (above, node.module))), [alias.name for alias in node.names]


def _with_packages(name: str) -> set[str]:
    """Return a module and the sub-packages it is in, whose `__init__` runs first."""
    parts = name.split(".")
    return {".".join(parts[:end]) for end in range(2, len(parts))} | {name}


class FileHashes:
    """Content hashes of files under `root`; large ones are `known` by size and time from earlier runs."""

    def __init__(self, root: Path, known: dict[str, list] | None = None):
        self.root = root
        self.known = dict(known or {})

    def of(self, path: str) -> str:
        """Return the hash of a file, or, where `path` ends in /, of a folder's files; "" if not there."""
        target = self.root / path
        if path.endswith("/"):
            inside = sorted(file for file in target.rglob("*") if file.is_file())
            listing = [(file.relative_to(target).as_posix(), self._file(file)) for file in inside]
            return sha256(json.dumps(listing).encode()) if listing else ""
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
        digest = sha256_of_file(path)
        if stat.st_size >= CACHED_FROM:
            self.known[name] = [*state, digest]
        return digest
