"""Profiles: TOML files of what differs from the notebooks' defaults, and the strict check of parameters.

A profile has a section [run] (seed, publish) and one section per notebook, whose keys are parameters of
that notebook. A notebook declares its parameters, with their types, in the cell tagged `parameters`.
"""

import ast
import difflib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psembed.project.workspace import PROFILE_NAME
from psembed.runtime.errors import ParameterError

FOLDER = Path(__file__).parent / "profiles"
REQUIRED = "profile"  # every notebook declares it; a notebook without chance needs no `seed`
RUN_KEYS = {"seed": int, "publish": bool}
Values = dict[str, Any]


@dataclass(frozen=True)
class Profile:
    """One profile as read: its name, [run] and the values of each notebook."""

    name: str
    seed: int = 0
    publish: bool = False
    values: Mapping[str, Values] = field(default_factory=dict)


def built_in() -> list[str]:
    """Return the names of the profiles that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load_profile(name_or_path: str | Path) -> Profile:
    """Read a profile that comes with the package, or a .toml file of one's own.

    Raises
    ------
    ParameterError
        If there is no such profile, the file is no TOML, [run] holds something else than an integer
        seed and a true-or-false publish, or a file of one's own takes the name of a built-in profile.
    """
    given = str(name_or_path)
    own = given.endswith(".toml")
    path = Path(given) if own else FOLDER / f"{given}.toml"
    if not own and given not in built_in():
        near = _suggestion(given, built_in())
        raise ParameterError(
            f"no profile {given!r}{near}; there are {', '.join(built_in())}, or name a .toml file"
        )
    if own and path.stem in built_in() and path.resolve().parent != FOLDER.resolve():
        raise ParameterError(f"{path.name}: {path.stem} is a built-in profile's name; rename the file")
    if not PROFILE_NAME.fullmatch(path.stem):
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
            raise ParameterError(f"profile {path.name}: [run] has no {key!r}{_suggestion(key, RUN_KEYS)}")
        if type(value) is not RUN_KEYS[key]:
            raise ParameterError(f"profile {path.name}: {key} = {value!r} must be {RUN_KEYS[key].__name__}")
    return Profile(name=path.stem, values=sections, **run)


def parse_override(text: str) -> tuple[str, str, Any]:
    """Split "07_cnn_lstm.epochs=3" into notebook, parameter and value (TOML, or else a plain word).

    Raises
    ------
    ParameterError
        If it does not have that form.
    """
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


@dataclass(frozen=True)
class Notebook:
    """What the runner needs of a notebook: code cells in order, and the defaults of its parameters."""

    name: str
    code: tuple[str, ...]
    defaults: Values
    used: frozenset[str]


def read_notebook(path: Path) -> Notebook:
    """Read a notebook's code, the literals in its parameter cell, and the names that later cells use.

    Raises
    ------
    ParameterError
        If it is no notebook, has not exactly one cell tagged `parameters`, or that cell does more than
        give names to literals.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        cells = [
            (_source(cell), cell["metadata"].get("tags", ())) for cell in cells if cell["cell_type"] == "code"
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{path.name} is missing or is not a notebook ({error!r})") from error
    tagged = [number for number, (_, tags) in enumerate(cells) if "parameters" in tags]
    if len(tagged) != 1:
        raise ParameterError(
            f"{path.name} has {len(tagged)} cells tagged `parameters`; exactly one is needed"
        )
    code = tuple(source for source, _ in cells)
    used: set[str] = set()
    for source in code[tagged[0] + 1 :]:
        used |= {
            node.id
            for node in ast.walk(parse_cell(source, path.name))
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
    return Notebook(path.stem, code, _literals(code[tagged[0]], path.name), frozenset(used))


def _source(cell: Values) -> str:
    return "".join(cell["source"])


def parse_cell(source: str, name: str) -> ast.Module:
    """Parse a code cell; lines of IPython magic (% or ! first) count as empty.

    Raises
    ------
    ParameterError
        If it is no Python.
    """
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        return ast.parse("\n".join(lines))
    except SyntaxError as error:
        raise ParameterError(
            f"{name}: a cell is not Python, line {error.lineno} of it: {error.msg}"
        ) from error


def _literals(source: str, name: str) -> Values:
    """Evaluate the literal assignments of a parameter cell."""
    found: Values = {}
    for statement in parse_cell(source, name).body:
        annotated = [statement.target] if isinstance(statement, ast.AnnAssign) else []
        targets = statement.targets if isinstance(statement, ast.Assign) else annotated
        try:
            (target,) = targets
            found[target.id] = ast.literal_eval(statement.value)
        except (ValueError, AttributeError, TypeError) as error:
            line = ast.unparse(statement).splitlines()[0]
            raise ParameterError(
                f"{name}: the parameter cell may only name literals, not {line!r}"
            ) from error
    return found


def resolve(profile: Profile, notebooks: Mapping[str, Notebook], overrides: list[str]) -> dict[str, Values]:
    """Return every notebook's parameters, complete and checked, before anything runs.

    Raises
    ------
    ParameterError
        Naming, over all notebooks at once, every unknown notebook or parameter (with the nearest
        spelling), every value of another type than its default, every declared parameter that no later
        cell uses, and every notebook that does not declare `profile`.
    """
    values = with_overrides(profile.values, overrides)
    problems = [
        f"no notebook {name!r}{_suggestion(name, notebooks)}" for name in values if name not in notebooks
    ]
    resolved = {}
    for name, notebook in notebooks.items():
        given = values.get(name, {})
        problems += [f"{name}: {problem}" for problem in _problems(notebook, given)]
        fill = {"profile": profile.name, "seed": profile.seed}
        resolved[name] = {
            key: _converted(given.get(key, fill.get(key, default)), default)
            for key, default in notebook.defaults.items()
        }
    if problems:
        raise ParameterError(f"profile {profile.name}: " + "; ".join(problems))
    return resolved


def _problems(notebook: Notebook, given: Values) -> list[str]:
    defaults = notebook.defaults
    found = [] if REQUIRED in defaults else [f"the parameter cell must declare {REQUIRED!r}"]
    found += [f"parameter {key!r} is declared but never used" for key in defaults if key not in notebook.used]
    for key, value in given.items():
        if key == "profile":
            found.append("'profile' is the profile's name and cannot be set")
        elif key not in defaults:
            found.append(f"no parameter {key!r}{_suggestion(key, defaults)}")
        elif not same_type(value, defaults[key]):
            found.append(
                f"{key} = {value!r} must be {_described(defaults[key])}, as its default {defaults[key]!r}"
            )
    return found


def same_type(value: object, default: object) -> bool:
    """Tell whether a value may stand in for a default: same type (or int for float), alike inside lists."""
    if default is None:
        return True
    if isinstance(default, float):
        return type(value) in (int, float)
    if isinstance(default, list | tuple):
        samples = default or [None]
        return isinstance(value, list | tuple) and all(any(same_type(v, s) for s in samples) for v in value)
    if isinstance(default, dict):
        return isinstance(value, dict) and all(
            k in default and same_type(v, default[k]) for k, v in value.items()
        )
    return type(value) is type(default)


def _converted(value: object, default: object) -> object:
    """Write an int that stands for a float as a float, so that 1 and 1.0 are the same parameter."""
    return float(value) if isinstance(default, float) and isinstance(value, int) else value


def _described(default: object) -> str:
    if isinstance(default, list | tuple) and default:
        return f"a list of {type(default[0]).__name__}"
    return type(default).__name__


def _suggestion(name: str, known: object) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""
