"""Where a profile's files live, and the only way notebooks hand them to each other.

work/<profile>/            intermediate tables, vectors and models (never committed)
figures/<profile>/         NN_slug.svg, .png and the .csv that was plotted
paper/results/<profile>/   NN_noun.json, claims.json, headline.json

While the runner executes a notebook it sets PSEMBED_STAGING: new files go there and are moved into
place only when the whole notebook has succeeded. Run by hand, a notebook writes file by file.
"""

import json
import os
from pathlib import Path

import polars as pl

from psembed.project import by_hand
from psembed.project.profiles import NAME
from psembed.project.published import refuse_other_parameters
from psembed.project.results import check_complete
from psembed.project.stages import maker_of
from psembed.runtime.errors import CorpusError, ParameterError, StageError
from psembed.runtime.files import atomic, write_json


def project_root(start: Path | None = None) -> Path:
    """Return the nearest folder at or above `start` with notebooks/ and pyproject.toml, or StageError."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    raise StageError(f"no psembed checkout at or above {here.name!r}: run inside a clone")


class Workspace:
    """The files of one profile, whose name is that of every output folder: profiles cannot overwrite others.

    `root` is the project's, found from the current folder when left out. `work`, `figures` and `results` are
    the folders of intermediate files, of figures and the data plotted in them, and of results JSON.
    """

    def __init__(self, profile: str, *, root: Path | None = None):
        if not NAME.fullmatch(profile):
            raise ParameterError(f"profile {profile!r}: use lower-case letters, digits, - and _")
        self.profile, self.root = profile, root or project_root()
        self.work = self.root / "work" / profile
        self.figures = self.root / "figures" / profile
        self.results = self.root / "paper" / "results" / profile
        self.staging = Path(os.environ["PSEMBED_STAGING"]) if "PSEMBED_STAGING" in os.environ else None

    def output(self, path: Path) -> Path:
        """Return where a file that belongs at `path` (under the root) is to be written now.

        Raises ParameterError if a notebook started by hand would replace published files with others'.
        """
        own = path.relative_to(self.root)
        if self.staging is None:
            refuse_other_parameters(own.as_posix(), self.profile, root=self.root)
        target = path if self.staging is None else self.staging / own
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def input(self, path: Path) -> Path:
        """Return where to read `path`: what this notebook has just written, or the last good file.

        A notebook opened alone makes what is missing first (by_hand). Raises StageError, naming the notebook
        that makes the file, if it is not there.
        """
        own = path.relative_to(self.root)
        if self.staging is None:
            by_hand.make(own.as_posix(), self.profile, root=self.root)
        for candidate in (self.staging / own if self.staging else path, path):
            if candidate.exists():
                return candidate
        raise StageError(f"{own.as_posix()} is not there: {self._maker(path)}")

    def _maker(self, path: Path) -> str:
        stage = maker_of(path.relative_to(self.root).as_posix(), self.profile)
        if stage is None:
            return "no notebook makes it; check the name"
        return f"{stage} makes it; run `psembed run --profile {self.profile} --only {stage}` first"

    def read_table(self, name: str, *, columns: list[str] | None = None) -> pl.DataFrame:
        """Read work/<profile>/<name> (Parquet).

        Raises StageError if no notebook has made it yet, CorpusError if it is damaged or lacks a column.
        """
        path = self.input(self.work / name)
        try:
            return pl.read_parquet(path, columns=columns)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise CorpusError(f"{name} cannot be read ({error}); {self._maker(self.work / name)}") from error

    def write_table(self, name: str, table: pl.DataFrame) -> None:
        """Write work/<profile>/<name> as zstd Parquet, whole or not at all."""
        with atomic(self.output(self.work / name)) as temporary:
            table.write_parquet(temporary, compression="zstd")

    def read_text(self, name: str) -> str:
        """Read work/<profile>/<name> (UTF-8 text); StageError if no notebook has made it yet."""
        return self.input(self.work / name).read_text(encoding="utf-8")

    def write_text(self, name: str, text: str) -> None:
        """Write work/<profile>/<name> (UTF-8 text), whole or not at all."""
        with atomic(self.output(self.work / name)) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def read_result(self, stage: str) -> dict:
        """Read the results JSON of a stage, such as "03_word2vec"."""
        return json.loads(self.input(self.results / f"{stage}.json").read_text(encoding="utf-8"))

    def write_result(self, stage: str, result: object) -> None:
        """Write the results JSON of a stage; ParameterError if it lacks what is read of it (results.py)."""
        path = self.output(self.results / f"{stage}.json")
        check_complete(stage, result)
        write_json(path, result)
