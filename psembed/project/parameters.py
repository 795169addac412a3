"""Parameters of the notebooks: declared in a cell, given by a profile, checked before anything runs."""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from psembed.project.profiles import Profile, Values, suggestion, with_overrides
from psembed.runtime.errors import ParameterError

REQUIRED = "profile"  # every notebook declares it; a notebook without chance needs no `seed`


@dataclass(frozen=True)
class Notebook:
    """What the runner needs of a notebook: code cells in order, defaults of parameters, and names used."""

    name: str
    code: tuple[str, ...]
    defaults: Values
    used: frozenset[str]


def read_notebook(path: Path) -> Notebook:
    """Read a notebook's code, the literals in its parameter cell, and the names that later cells use.

    Raises ParameterError if it is no notebook, has not exactly one cell tagged `parameters`, or that cell
    does more than give names to literals.
    """
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        cells = [cell for cell in cells if cell["cell_type"] == "code"]
        code = tuple("".join(cell["source"]) for cell in cells)
        tagged = [n for n, cell in enumerate(cells) if "parameters" in cell["metadata"].get("tags", ())]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{path.name} is missing or is not a notebook ({error!r})") from error
    if len(tagged) != 1:
        raise ParameterError(f"{path.name} has {len(tagged)} cells tagged `parameters`; one is needed")
    later = [node for source in code[tagged[0] + 1 :] for node in ast.walk(parse_cell(source, path.name))]
    names = (node for node in later if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load))
    used = frozenset(node.id for node in names)
    return Notebook(path.stem, code, _literals(code[tagged[0]], path.name), used)


def parse_cell(source: str, name: str) -> ast.Module:
    """Parse a code cell, or raise ParameterError; lines of IPython magic (% or ! first) count as empty."""
    lines = ["" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()]
    try:
        return ast.parse("\n".join(lines))
    except SyntaxError as error:
        raise ParameterError(f"{name}: a cell is not Python, line {error.lineno}: {error.msg}") from error


def _literals(source: str, name: str) -> Values:
    """Evaluate the literal assignments of a parameter cell."""
    values: Values = {}
    for statement in parse_cell(source, name).body:
        try:
            match statement:
                case ast.Assign([ast.Name(id)], value) | ast.AnnAssign(ast.Name(id), _, ast.expr() as value):
                    values[id] = ast.literal_eval(value)
                case _:
                    raise TypeError("no assignment to one name")
        except (ValueError, AttributeError, TypeError) as error:
            line = ast.unparse(statement).splitlines()[0]
            raise ParameterError(f"{name}: a parameter cell may only name literals, not {line!r}") from error
    return values


def resolve(profile: Profile, notebooks: Mapping[str, Notebook], overrides: list[str]) -> dict[str, Values]:
    """Return every notebook's parameters, complete and checked, before anything runs.

    Raises ParameterError naming, over all notebooks at once, every unknown notebook or parameter (with the
    nearest spelling), every value of another type than its default, every declared parameter that no later
    cell uses, and every notebook that does not declare `profile`.
    """
    values = with_overrides(profile.values, overrides)
    unknown = [name for name in values if name not in notebooks]
    problems = [f"no notebook {name!r}{suggestion(name, notebooks)}" for name in unknown]
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
    problems = [] if REQUIRED in defaults else [f"the parameter cell must declare {REQUIRED!r}"]
    unused = [key for key in defaults if key not in notebook.used]
    problems += [f"parameter {key!r} is declared but never used" for key in unused]
    for key, value in given.items():
        if key == "profile":
            problems.append("'profile' is the profile's name and cannot be set")
        elif key not in defaults:
            problems.append(f"no parameter {key!r}{suggestion(key, defaults)}")
        elif not same_type(value, defaults[key]):
            wanted = f"{_described(defaults[key])}, as its default {defaults[key]!r}"
            problems.append(f"{key} = {value!r} must be {wanted}")
    return problems


def same_type(value: object, default: object) -> bool:
    """Tell whether a value may stand in for a default: same type (or int for float), alike inside lists."""
    if default is None:
        return True
    if isinstance(default, float):
        return type(value) in (int, float)
    if isinstance(default, list | tuple):
        samples = default or [None]
        return isinstance(value, list | tuple) and all(any(same_type(v, s) for s in samples) for v in value)
    if isinstance(default, dict) and isinstance(value, dict):
        return all(key in default and same_type(own, default[key]) for key, own in value.items())
    return type(value) is type(default)


def _converted(value: object, default: object) -> object:
    """Write an int that stands for a float as a float, so that 1 and 1.0 are the same parameter."""
    return float(value) if isinstance(default, float) and isinstance(value, int) else value


def _described(default: object) -> str:
    if isinstance(default, list | tuple) and default:
        return f"a list of {type(default[0]).__name__}"
    return type(default).__name__
