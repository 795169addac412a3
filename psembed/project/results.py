"""The results of a run: one JSON file a notebook, read into one dict."""

import json
from pathlib import Path

from psembed.runtime.errors import StageError


def find(results: dict, *keys: str) -> object:
    """Return the value at results[key][key]..., or None where it has not been measured."""
    value: object = results
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def load_results(results_dir: Path) -> dict[str, dict]:
    """Read every NN_noun.json of a results folder; stages that have not run are missing from the dict.

    "run" is what the runner measured of the whole run, "bench" what `make bench` did, where they are there.

    Raises
    ------
    StageError
        If the folder holds no results, or one cannot be read.
    """
    paths = sorted(results_dir.glob("[0-9][0-9]_*.json"))
    if not paths:
        raise StageError(
            f"no results in {results_dir.name!r}: run `psembed run --profile {results_dir.name}`"
        )
    measured_later = (results_dir / "run.json", results_dir.parent / "bench.json")
    paths += [path for path in measured_later if path.is_file()]
    return {path.stem: _result(path) for path in paths}


def _result(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StageError(f"{path.name} is no JSON ({error}): run its notebook again") from error
