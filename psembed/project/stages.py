"""The notebooks in order, and the files each one reads and writes: stages.toml, which the runner follows.

Paths are relative to the project root; {p} stands for the profile. A path ending in / is a folder.
"""

import tomllib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Stage:
    """One notebook: its name, what it reads and what it writes (its results JSON is implied)."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    def inputs(self, profile: str) -> tuple[str, ...]:
        """Paths read, for one profile."""
        return tuple(path.format(p=profile) for path in self.reads)

    def outputs(self, profile: str) -> tuple[str, ...]:
        """Paths written, for one profile, the results JSON included."""
        results = f"paper/results/{{p}}/{self.name}.json"
        return tuple(path.format(p=profile) for path in (*self.writes, results))


def _files(entry: str) -> tuple[str, ...]:
    """Return the paths that an entry of stages.toml stands for."""
    folder, _, name = entry.partition("/")
    if folder == "scores":
        return (f"paper/results/{{p}}/{entry}",)
    if folder == "results":
        return (f"paper/results/{{p}}/{name}.json",)
    if folder == "figures" and "." not in name:
        return tuple(f"figures/{{p}}/{name}.{kind}" for kind in ("csv", "svg", "png"))
    return (f"{folder}/{{p}}/{name}",)


STAGES = tuple(
    Stage(name, *(tuple(chain.from_iterable(map(_files, row[key]))) for key in ("reads", "writes")))
    for name, row in _DATA.items()
)


def covers(declared: str, path: str) -> bool:
    """Tell whether a path of the table is this one, or a folder that it is in."""
    return path == declared or (declared.endswith("/") and f"{path}/".startswith(declared))


def maker_of(path: str, profile: str) -> str | None:
    """Return the name of the stage that writes `path`, or None."""
    makers = (stage.name for stage in STAGES if any(covers(each, path) for each in stage.outputs(profile)))
    return next(makers, None)
