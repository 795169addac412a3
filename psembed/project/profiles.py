"""Profiles: TOML files of what differs from the notebooks' defaults.

A profile has a section [run] (seed, publish, chapters) and one section per notebook, whose keys are
parameters of that notebook. A notebook declares its parameters, with their types, in the cell tagged
`parameters`.
"""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psembed.runtime.errors import ParameterError

NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
FOLDER = Path(__file__).parent / "profiles"
RUN_KEYS = {"seed": int, "publish": bool, "chapters": list}
Values = dict[str, Any]


@dataclass(frozen=True)
class Profile:
    """One profile as read: its name, [run] and the values of each notebook."""

    name: str
    seed: int = 0
    publish: bool = False
    values: Mapping[str, Values] = field(default_factory=dict)
    chapters: Sequence[str] = ()  # notebooks that are run; all, if it is empty


def built_in() -> list[str]:
    """Return the names of the profiles that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_profile(name_or_path: str | Path) -> Profile:
    """Read a profile that comes with the package, or a .toml file of one's own.

    Raises ParameterError if there is no such profile, the file is no TOML, [run] holds something else than an
    integer seed, a true-or-false publish and a list of chapters, or a file of one's own takes the name of a
    built-in profile.
    """
    given = str(name_or_path)
    own = given.endswith(".toml")
    path = Path(given) if own else FOLDER / f"{given}.toml"
    if not own and given not in built_in():
        there = f"{suggestion(given, built_in())}; there are {', '.join(built_in())}"
        raise ParameterError(f"no profile {given!r}{there}, or name a .toml file")
    if own and path.stem in built_in() and path.resolve().parent != FOLDER.resolve():
        raise ParameterError(f"{path.name}: {path.stem} is a built-in profile's name; rename the file")
    if not NAME.fullmatch(path.stem):
        raise ParameterError(f"profile {path.stem!r}: use lower-case letters, digits, - and _")
    try:
        sections = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"profile {given}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ParameterError(f"profile {path.name} is not TOML: {error}") from error
    return _from_sections(path, sections)


def _from_sections(path: Path, sections: dict[str, Any]) -> Profile:
    run = sections.pop("run", {})
    for name, value in (*sections.items(), ("run", run)):
        if not isinstance(value, dict):
            raise ParameterError(f"profile {path.name}: {name!r} must be a section, [{name}]")
    for key, value in run.items():
        if key not in RUN_KEYS:
            raise ParameterError(f"profile {path.name}: [run] has no {key!r}{suggestion(key, RUN_KEYS)}")
        if type(value) is not RUN_KEYS[key]:
            raise ParameterError(f"profile {path.name}: {key} = {value!r} must be {RUN_KEYS[key].__name__}")
    return Profile(name=path.stem, values=sections, **run)


def parse_override(text: str) -> tuple[str, str, Any]:
    """Split "07_cnn_lstm.epochs=3" into notebook, parameter and value (TOML, or else a plain word)."""
    target, equals, literal = text.partition("=")
    notebook, dot, parameter = target.strip().partition(".")
    if not (equals and dot and notebook and parameter):
        raise ParameterError(f"--set {text!r}: expected NOTEBOOK.PARAMETER=VALUE, as in 07_cnn_lstm.epochs=3")
    try:
        value = tomllib.loads(f"value = {literal}")["value"]
    except tomllib.TOMLDecodeError:
        value = literal.strip()
    return notebook, parameter, value


def with_overrides(values: Mapping[str, Values], overrides: list[str]) -> dict[str, Values]:
    """Return a profile's values with `--set` overrides on top."""
    merged = {notebook: dict(section) for notebook, section in values.items()}
    for notebook, parameter, value in map(parse_override, overrides):
        merged.setdefault(notebook, {})[parameter] = value
    return merged


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name that is spelled most like `name`, "" if none is."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""
