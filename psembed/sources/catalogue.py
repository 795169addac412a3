"""Pinned public sources: what sources.toml says of each."""

import fnmatch
import functools
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from psembed.runtime.errors import ParameterError, SourceError
from psembed.sources.archives import FILE_LIMIT

KINDS = ("labelled", "benign", "offensive")
CATALOGUE = Path(__file__).with_name("sources.toml")
REQUIRED = {"name", "url", "commit", "licence", "kind", "stratum", "group"}


@dataclass(frozen=True)
class Source:
    """One entry of sources.toml; the comments at the top of that file explain the fields."""

    name: str
    url: str
    commit: str
    licence: str
    kind: str
    stratum: str
    group: str
    include: tuple[str, ...] = ("*.ps1", "*.psm1")
    snippets: tuple[str, ...] = ("*.md", "*.yml", "*.yaml")
    history: bool = True
    format: str = "files"
    limit: int = FILE_LIMIT
    labels: dict[str, int | str] = field(default_factory=dict, hash=False)

    def matches(self, path: str) -> bool:
        """Whether the source includes `path`; letter case does not count."""
        return _pattern(self.include + self.snippets).match(path.lower()) is not None

    def holds_snippets(self, path: str) -> bool:
        """Whether `path` is no script but a file with snippets."""
        return bool(self.snippets) and _pattern(self.snippets).match(path.lower()) is not None

    @property
    def folder(self) -> Path | None:
        """The folder of one's own that the files are in, if it is no repository at a commit."""
        return None if self.commit else Path(url2pathname(urlparse(self.url).path))

    @property
    def repository(self) -> str:
        """Last two parts of the address: owner/name."""
        return "/".join(self.url.removesuffix(".git").split("/")[-2:])


@functools.lru_cache
def _pattern(include: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(fnmatch.translate(pattern.lower()) for pattern in include) or "(?!)")


def load_sources(path: Path | None = None) -> dict[str, Source]:
    """Read sources.toml (the package's own if `path` is None), strictly.

    Raises ParameterError if the file is no TOML, or an entry has an unknown, missing or wrong key, or a name
    twice.
    """
    path = path or CATALOGUE
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("source", [])
    except (OSError, ValueError) as error:
        raise ParameterError(f"{path.name} cannot be read: {error}") from error
    sources: dict[str, Source] = {}
    for entry in entries:
        source = _source(entry, path.name)
        if source.name in sources:
            raise ParameterError(f"{path.name}: source {source.name!r} is there twice; rename one")
        sources[source.name] = source
    return sources


def _source(entry: dict, file: str) -> Source:
    name = entry.get("name", "?")
    known = {item.name for item in fields(Source)}
    if unknown := sorted(set(entry) - known):
        close = get_close_matches(unknown[0], known, 1)
        raise ParameterError(f"{file}: source {name!r} has unknown key {unknown[0]!r}; did you mean {close}?")
    if missing := sorted(REQUIRED - set(entry)):
        raise ParameterError(f"{file}: source {name!r} lacks {', '.join(missing)}")
    patterns = {key: tuple(entry[key]) for key in ("include", "snippets") if key in entry}
    source = Source(**{**entry, **patterns})
    for expected, good in _checks(source, entry):
        if not good:
            raise ParameterError(f"{file}: source {name!r} needs {expected}")
    return source


def _checks(source: Source, entry: dict) -> Iterable[tuple[str, bool]]:
    """Yield what an entry has to have, and whether it has."""
    texts = (source.name, source.url, source.commit, source.licence, source.stratum, source.group)
    patterns = (*source.include, *source.snippets)
    lists = all(isinstance(entry.get(key, []), list) for key in ("include", "snippets"))
    yield "text in every other key", all(isinstance(text, str) for text in (*texts, *patterns))
    yield "a lower-case name", bool(re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,99}", source.name))
    yield "an https:// or file:// url", source.url.startswith(("https://", "file://"))
    own = source.url.startswith("file://") and not source.commit and not source.history
    pinned = bool(re.fullmatch(r"[0-9a-f]{40}", source.commit))
    yield 'a commit of 40 hexadecimal digits, or "" and history = false for a folder (file://)', pinned or own
    yield "include patterns", lists and bool(patterns)
    yield "history true or false", isinstance(source.history, bool)
    yield f"a kind among {KINDS}", source.kind in KINDS
    yield "format files or unit42", source.format in ("files", "unit42")
    yield "a limit above 0", isinstance(source.limit, int) and source.limit > 0
    rules = source.labels.values() if isinstance(source.labels, dict) else (None,)
    yield 'labels 0, 1 or "triage"', all(rule in (0, 1, "triage") for rule in rules)
    yield "labels, as its kind is labelled", source.kind != "labelled" or bool(source.labels)
    yield "snippets = [], as its kind is labelled", source.kind != "labelled" or not source.snippets


def find_sources(
    names: Iterable[str], *, history: bool = False, catalogue: dict[str, Source] | None = None
) -> list[Source]:
    """Return the sources called `names`; a kind ("benign") stands for all of that kind.

    With `history`, only those of whose scripts older versions are taken. Raises SourceError if one is not in
    the catalogue; the message gives the nearest names.
    """
    catalogue = load_sources() if catalogue is None else catalogue
    of_kind = {kind: [s.name for s in catalogue.values() if s.kind == kind] for kind in KINDS}
    names = [one for name in names for one in of_kind.get(name, [name])]
    for name in names:
        if name not in catalogue:
            close = ", ".join(get_close_matches(name, catalogue, 3)) or ", ".join(sorted(catalogue)[:5])
            raise SourceError(f"no source is called {name!r}; sources.toml has, for example, {close}")
    chosen = [catalogue[name] for name in names]
    return [one for one in chosen if not history or (one.history and one.include)]
