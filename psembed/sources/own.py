"""A study of one's own: a list of sources and a profile, for folders of scripts and git repositories."""

import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from psembed.runtime.errors import ParameterError, SourceError
from psembed.runtime.files import atomic
from psembed.sources.catalogue import load_sources

CLEAN, MALICIOUS = "benign", "labelled"  # kinds of source
SOURCES = "sources.toml"
VECTORS = ("01_corpus", "02_tokens", "03_word2vec", "04_semantics")  # chapters that need no label
LEAST = 2  # malicious sources: one to train on and another to test on

_HEAD = """\
# Sources of the study {study}, written by `psembed init`; psembed/sources/sources.toml explains the fields.
# A folder has no commit and is read as it is when `psembed fetch` runs; a repository is read at its commit.
"""
_PROFILE = """\
# The study {study}: `psembed fetch --sources {sources}`, then `psembed reproduce {profile}`.
# Every parameter of a notebook may be set here; what is not has the notebook's own value.

[run]
seed = 1
{chapters}
[01_corpus]
catalogue = {catalogue}
sources = {names}
"""
_CHAPTERS = """\
# Without malicious scripts of two sources there is no detector to train: chapters 5 to 11 are left out.
chapters = {chapters}
"""


def init(folder: Path, *, clean: Iterable[str], malicious: Iterable[str] = (), root: Path) -> list[Path]:
    """Write the list of sources and the profile of a study into a new folder, and nothing else.

    `clean` and `malicious` are folders or git repositories, by path or https:// address; the profile has the
    folder's name. Raises ParameterError if the folder is there already or its name is no profile's,
    SourceError if nothing clean is given or one is neither folder nor repository.
    """
    study = folder.name
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,30}", study):
        raise ParameterError(f"{study!r}: name a study with lower-case letters, digits, - and _")
    if folder.exists():
        raise ParameterError(f"{folder} is there already: nothing was written")
    given = [(place, kind) for kind, places in ((CLEAN, clean), (MALICIOUS, malicious)) for place in places]
    if CLEAN not in {kind for _, kind in given}:
        raise SourceError("a study needs clean scripts: name a folder or a repository")
    entries = [_entry(study, number, *one) for number, one in enumerate(given, 1)]
    listed, profile = folder / SOURCES, folder / f"{study}.toml"
    folder.mkdir(parents=True)
    with atomic(listed) as temporary:
        temporary.write_text(_HEAD.format(study=study) + "".join(map(_toml, entries)), encoding="utf-8")
        load_sources(temporary)
    with atomic(profile) as temporary:
        temporary.write_text(_profile(study, entries, listed, profile, root), encoding="utf-8")
    return [listed, profile]


def _entry(study: str, number: int, place: str, kind: str) -> dict:
    """Return the entry of one place; a repository is pinned at the commit that it has now."""
    url = place if place.startswith("https://") else Path(place).resolve().as_uri()
    commit = _commit(url, place)
    stem = (
        re.sub(r"[^a-z0-9._-]+", "-", place.rstrip("/").rsplit("/", 1)[-1].lower()).strip("-._") or "scripts"
    )
    named = f"{study}-{number}-{stem}"[:100]
    entry = {"name": named, "url": url, "commit": commit, "history": False, "licence": "own", "kind": kind}
    entry |= {"stratum": stem, "group": named if commit else "", "snippets": []}
    return entry | ({"labels": {"": 1}} if kind == MALICIOUS else {})


def _commit(url: str, place: str) -> str:
    """Return the commit that a repository's HEAD names, or "" for a plain folder."""
    if not url.startswith("https://") and not Path(place).is_dir():
        raise SourceError(f"{place}: there is no such folder, and it is no https:// address of a repository")
    if not url.startswith("https://") and not _is_repository(Path(place)):
        return ""
    command = ["git", "ls-remote", "--exit-code", url, "HEAD"]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SourceError(f"{place}: git finds no commit there; check the address and the network") from error
    return told.stdout.split()[0]


def _is_repository(folder: Path) -> bool:
    return (folder / ".git").exists() or all((folder / name).exists() for name in ("HEAD", "objects", "refs"))


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _toml(entry: dict) -> str:
    lines = [f"{key} = {_value(value)}" for key, value in entry.items()]
    return "\n".join(["", "[[source]]", *lines, ""])


def _value(value: object) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_quoted(key)} = {_quoted(own)}' for key, own in value.items())} }}"
    return _quoted(value)


def _profile(study: str, entries: list[dict], listed: Path, profile: Path, root: Path) -> str:
    malicious = [entry["name"] for entry in entries if entry["kind"] == MALICIOUS]
    whole = len(malicious) >= LEAST
    chapters = "" if whole else _CHAPTERS.format(chapters=_quoted(VECTORS))
    catalogue = _below(listed, root)
    text = _PROFILE.format(
        study=study,
        sources=catalogue,
        profile=_below(profile, root),
        chapters=chapters,
        catalogue=_quoted(catalogue),
        names=_quoted([entry["name"] for entry in entries]),
    )
    return text + (f"\n[05_labels]\nwild_source = {_quoted(malicious[-1])}\n" if whole else "")


def _below(path: Path, root: Path) -> str:
    """Return the path from the project's root, if it is below it."""
    whole = path.resolve()
    return (whole.relative_to(root.resolve()) if whole.is_relative_to(root.resolve()) else whole).as_posix()
