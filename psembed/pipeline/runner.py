"""The runner: papermill over the numbered notebooks, skipping what has not changed.

A notebook writes into work/<profile>/staging; when all of it has succeeded its files are moved into
place one by one, and last its record is written to work/<profile>/stages. Whatever stops a run in
between, the record does not match and the notebook simply runs again.
"""

import contextlib
import errno
import json
import logging
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from psembed.pipeline.execute import kernel_folder, refresh_text
from psembed.pipeline.fingerprint import FileHashes, stage_key
from psembed.pipeline.processes import attend, locked
from psembed.project import stages as stage_table
from psembed.project.parameters import Notebook, read_notebook, resolve
from psembed.project.profiles import Profile, load_profile
from psembed.project.stages import Stage, covers
from psembed.project.workspace import Workspace
from psembed.runtime.errors import ModelError, ParameterError, StageError
from psembed.runtime.files import PACKAGE, atomic, write_json
from psembed.runtime.progress import Progress
from psembed.runtime.provenance import commit_of, library_version

log = logging.getLogger(__name__)

RELEASES = (  # which notebook makes what leaves the study, in which folder, and how many bytes that may have
    ("03_word2vec", "released", 20_000_000),
    ("09_onnx", "detector", 10_000_000),
)
MEASURED = ("seconds", "peak_mb", "commit")  # of a notebook's last real execution
REPORTED = ("polars", "numpy", "gensim", "tensorflow", "sklearn", "onnxruntime")


@dataclass(frozen=True)
class StageRun:
    """One notebook of a run; seconds, peak_mb and commit are those of its last real execution."""

    name: str
    status: str  # ran | skipped
    seconds: float
    peak_mb: float
    commit: str | None = None


@dataclass(frozen=True)
class RunSummary:
    """What a run did: its notebooks, the device of the network, and the table of controls."""

    profile: str
    stages: tuple[StageRun, ...]
    device: str | None
    controls: tuple[dict, ...]

    @property
    def recovered(self) -> bool:
        """Whether every control was recovered; true where a profile has none."""
        return all(row.get("verdict") == "recovered" for row in self.controls)


def run(
    profile: str | Path | Profile,
    *,
    root: Path,
    only: list[str] | None = None,
    overrides: list[str] | None = None,
    force: bool = False,
    notebooks_dir: Path | None = None,
    progress: Progress | None = None,
) -> RunSummary:
    """Run a profile's notebooks, all or `only` those named, in order; skip what nothing has changed for.

    `overrides` ("NOTEBOOK.PARAMETER=VALUE") go on top of the profile; `force` runs what would be skipped,
    too. Notebooks are in root/notebooks by default.

    Raises ParameterError if anything in the profile, the overrides or a parameter cell is wrong; nothing has
    run then. Raises StageError if a notebook fails, does not write what it should, the disk is full, or the
    profile is already being run; files of earlier runs are as they were.
    """
    profile = profile if isinstance(profile, Profile) else load_profile(profile)
    if profile.publish and overrides:
        raise ParameterError(
            f"profile {profile.name} is published, so nothing in it can be set for one run: copy its file "
            "to a name of your own, with publish = false, and give that as --profile"
        )
    folder = notebooks_dir or root / "notebooks"
    table = {stage.name: stage for stage in stage_table.STAGES}
    notebooks = {name: read_notebook(folder / f"{name}.ipynb") for name in table}
    parameters = resolve(profile, notebooks, overrides or [])
    only = only or profile.chapters
    if unknown := sorted(set(only) - set(table)):
        raise ParameterError(f"no notebook {', '.join(unknown)}; there are {', '.join(table)}")
    runner = _Runner(profile, root, folder, progress or Progress())
    chosen = [table[name] for name in table if not only or name in only]
    with _disk_full_explained(), locked(runner.work / "run.lock"), runner.prepared():
        done = []
        for number, stage in enumerate(chosen, 1):
            runner.progress.begin(number, len(chosen), stage.name)
            done.append(runner.stage(stage, notebooks[stage.name], parameters[stage.name], force=force))
        summary = runner.summary(done)
        _finish(runner, summary)
    return summary


class _Runner:
    """What the stages of one run share."""

    def __init__(self, profile: Profile, root: Path, notebooks: Path, progress: Progress):
        self.profile, self.root, self.notebooks, self.progress = profile, root, notebooks, progress
        self.workspace = Workspace(profile.name, root=root)
        self.work = self.workspace.work
        self.staging = self.work / "staging"
        self.hashes = FileHashes(root, _read_json(self.work / "stages" / "hashes.json"))

    @contextlib.contextmanager
    def prepared(self) -> Iterator[None]:
        """Give the run an empty staging folder with a kernel in it, and clear it away in the end."""
        shutil.rmtree(self.staging, ignore_errors=True)
        kernel_folder(self.staging / "jupyter")
        try:
            yield
            write_json(self.work / "stages" / "hashes.json", self.hashes.known)
        finally:
            shutil.rmtree(self.staging, ignore_errors=True)

    def stage(self, stage: Stage, notebook: Notebook, parameters: dict, *, force: bool) -> StageRun:
        """Run one notebook, or skip it."""
        record_path = self.work / "stages" / f"{stage.name}.json"
        record = _read_json(record_path)
        key = self._key(stage, notebook, parameters)
        if not force and self._is_current(stage, key, record):
            refresh_text(self.notebooks / f"{stage.name}.ipynb", self._executed(stage.name))
            self.progress.end("skipped, nothing has changed")
            return StageRun(stage.name, "skipped", *map(record.get, MEASURED))
        commit = commit_of(self.root)
        seconds, peak = self._execute(stage, parameters)
        outputs = self._put_in_place(stage)
        measured = dict(zip(MEASURED, (seconds, peak, commit), strict=True))
        write_json(record_path, {"key": key, "outputs": outputs, **measured})
        self.progress.end(f"{seconds:8.1f} s  {peak:8,.0f} MB")
        return StageRun(stage.name, "ran", **measured)

    def _key(self, stage: Stage, notebook: Notebook, parameters: dict) -> str:
        """Hash what the results depend on; refuse to go on without an input."""
        files = self.hashes.all(stage.inputs(self.profile.name))
        for path in (path for path, digest in files.items() if not digest):
            self.workspace.input(self.root / path)  # raises, naming the notebook that makes it
        if isinstance(parameters.get("sources"), list):
            files |= self.hashes.all(f"data/snapshots/{name}.parquet" for name in parameters["sources"])
        if parameters.get("catalogue"):
            files |= self.hashes.all([parameters["catalogue"]])
        files |= {path: "output" for path in stage.outputs(self.profile.name)}
        return stage_key(notebook, parameters, files, package=PACKAGE)

    def _is_current(self, stage: Stage, key: str, record: dict) -> bool:
        recorded = record.get("outputs", {})
        return (
            record.get("key") == key
            and set(stage.outputs(self.profile.name)) <= set(recorded)
            and self._executed(stage.name).is_file()
            and self.hashes.all(recorded) == recorded
        )

    def _executed(self, name: str) -> Path:
        return self.work / "executed" / f"{name}.ipynb"

    def _execute(self, stage: Stage, parameters: dict) -> tuple[float, float]:
        """Run the notebook in a process of its own; return seconds and peak memory (MB).

        Raises StageError if it fails; the partial copy and the log are in work/<profile>/failed then.
        """
        running, logged = (self.staging / f"{stage.name}.{kind}" for kind in ("ipynb", "log"))
        (self.staging / stage.name).mkdir()
        source = self.notebooks / f"{stage.name}.ipynb"
        job = {"source": source, "output": running, "parameters": parameters, "cwd": self.root}
        with logged.open("wb") as stderr:
            outcome, seconds, peak = attend(job, self._environment(stage, parameters), stderr, self.progress)
        failed = self.work / "failed"
        for path in (running, logged):
            (failed / path.name).unlink(missing_ok=True)
        if outcome:
            failed.mkdir(exist_ok=True)
            for path in (path for path in (running, logged) if path.exists()):
                os.replace(path, failed / path.name)
            self.progress.end("failed")
            raise StageError(self._told(stage.name, outcome))
        return seconds, peak

    def _told(self, name: str, outcome: dict) -> str:
        """Put a notebook's failure into two lines."""
        where = f" in cell [{outcome['cell']}]" if outcome["cell"] else ""
        full = "; the disk is full, make room" if "No space left" in outcome["message"] else ""
        copy = (self.work / "failed" / f"{name}.ipynb").relative_to(self.root).as_posix()
        return (
            f"{name} failed{where}: {outcome['error']}: {outcome['message']}{full}\n"
            f"  its partial copy is {copy}; the files of its last good run are untouched"
        )

    def _environment(self, stage: Stage, parameters: dict) -> dict[str, str]:
        """Return the environment of a kernel: seeds, determinism, staging, and this interpreter's kernel."""
        jupyter = self.staging / "jupyter"
        paths = [str(PACKAGE.parent), os.environ.get("PYTHONPATH", "")]
        return {
            **os.environ,
            "PSEMBED_STAGING": str(self.staging / stage.name),
            "PYTHONHASHSEED": str(parameters.get("seed", self.profile.seed) % 2**32),
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "TF_DETERMINISTIC_OPS": "1",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "JUPYTER_PATH": str(jupyter),
            "JUPYTER_RUNTIME_DIR": str(jupyter / "runtime"),
            "IPYTHONDIR": str(jupyter / "ipython"),
        }

    def _put_in_place(self, stage: Stage) -> dict[str, str]:
        """Move a successful notebook's files from staging to where they belong; return their hashes.

        Raises StageError if one that the stage table names is missing; nothing has been moved then.
        """
        staged = self.staging / stage.name
        files = sorted(path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file())
        declared = stage.outputs(self.profile.name)
        if missing := [path for path in declared if not any(covers(path, file) for file in files)]:
            self.progress.end("failed")
            raise StageError(f"{stage.name} ended without writing {', '.join(missing)}; nothing was replaced")
        extra = [file for file in files if not any(covers(path, file) for path in declared)]
        if extra:
            log.warning("%s wrote what stages.toml does not name: %s", stage.name, ", ".join(extra))
        for file in files:
            _move(staged / file, self.root / file)
        kept = {self.root / file for file in files}
        for folder in (path for path in declared if path.endswith("/")):
            for old in (self.root / folder).rglob("*"):
                if old.is_file() and old not in kept:
                    old.unlink()
        _move(self.staging / f"{stage.name}.ipynb", self._executed(stage.name))
        return self.hashes.all((*declared, *extra))

    def summary(self, done: list[StageRun]) -> RunSummary:
        """Gather what the run did."""
        network = _read_json(self.workspace.results / "07_cnn_lstm.json")
        rows = _read_json(self.workspace.results / "controls.json")
        rows = rows.get("rows", []) if isinstance(rows, dict) else rows
        return RunSummary(self.profile.name, tuple(done), network.get("device"), tuple(rows))


def _move(source: Path, target: Path) -> None:
    """Move a file over another, whole or not at all, also from one file system to another."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)


def _read_json(path: Path) -> dict:
    """Read JSON; {} where the file is missing or was damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


@contextlib.contextmanager
def _disk_full_explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise StageError("the disk is full: make room and run again; no file is half-written") from error


def _finish(runner: _Runner, summary: RunSummary) -> None:
    """Bring run.json up to date; publish what has run where the profile says so."""
    path = runner.workspace.results / "run.json"
    stages = _read_json(path).get("stages", {})
    stages |= {row.name: {name: getattr(row, name) for name in MEASURED} for row in summary.stages}
    write_json(
        path,
        {
            "seconds": sum(row["seconds"] for row in stages.values()),
            "peak_gb": max(row["peak_mb"] for row in stages.values()) / 1000,
            "device": summary.device,
            "python": platform.python_version(),
            "packages": {name: library_version(name) for name in REPORTED},
            "stages": dict(sorted(stages.items())),
        },
    )
    if runner.profile.publish:
        names = [row.name for row in summary.stages]
        for name in names:
            _copy(runner._executed(name), runner.notebooks / "executed" / f"{name}.ipynb")
        release(runner.profile.name, names, root=runner.root)


def release(profile: str, stages: Sequence[str], *, root: Path) -> list[Path]:
    """Copy what `stages` made of a profile's vectors and detector to psembed/released; return the files.

    Raises StageError if they have not been made yet, ModelError if they are too large (RELEASES).
    """
    workspace, released = Workspace(profile, root=root), []
    for stage, name, limit in (row for row in RELEASES if row[0] in stages):
        made = _files(workspace.input(workspace.work / name))
        size = sum(path.stat().st_size for path in made)
        if size > limit:
            raise ModelError(
                f"what {stage} releases is {size / 1e6:.1f} MB, over the {limit / 1e6:.0f} MB for a release:"
                " make the network or the vocabulary smaller"
            )
        released += made
    return [_copy(path, root / "psembed" / "released" / path.name) for path in released]


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder, the manifest last, which vouches for the others."""
    files = filter(Path.is_file, folder.iterdir())
    return sorted(files, key=lambda file: file.name in ("manifest.json", "vectors.json"))


def _copy(source: Path, target: Path) -> Path:
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)
    return target
