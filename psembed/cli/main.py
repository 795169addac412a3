"""The command line: `psembed COMMAND`, or `python -m psembed COMMAND` in a clone with nothing installed.

Nothing here imports a package before the command that needs it has been chosen.
"""

from __future__ import annotations  # so that an older Python gets as far as the message

import argparse
import contextlib
import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from psembed.cli import score, similarity
from psembed.runtime import environment
from psembed.runtime.errors import PsembedError, StageError
from psembed.runtime.provenance import __version__

PROFILE = "control"
STUDY = ("papermill", "psutil", "polars", "gensim", "tensorflow", "sklearn", "datasketch", "typst")
SITE = ("sphinx", "myst_nb", "furo")
NEEDED = """\
The first six work in the base install. In a clone, event logs need pip install '.[events]', layers
encrypted with AES '.[crypto]', --cluster '.[cluster]'. The others, from setup on, need a clone, where
setup installs the rest of what they use, or pip install '.[study,dev]' does; site needs '.[site]'.
"""
EXIT_CODES = """\
exit codes: 0 all went well; 1 a notebook, a test, a check or a control failed, or `score` found a malicious
script; 2 the request itself was wrong, `score` found none but could not score an input, or `score` could not
write what it found; 130 stopped with Ctrl-C.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command, as typed after `psembed` (sys.argv by default); return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as with Ctrl-C: kernels are ended, too
    try:
        environment.check_python()
        options = parser().parse_args(similarity.tokens_last(arguments))
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        if not environment.has_packages(options.needs):
            return _with_packages(arguments, "site" if options.needs == SITE else "study,dev")
        code = options.command(options) or 0
        sys.stdout.flush()
        return code
    except PsembedError as error:
        print(f"psembed: {error}", file=sys.stderr)
        return 1 if isinstance(error, StageError) else 2
    except KeyboardInterrupt as stop:
        print(f"\npsembed: stopped; {str(stop) or 'the same command goes on from here'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print("psembed: the disk is full: make room and run again", file=sys.stderr)
        return 1
    finally:
        _drop_what_cannot_be_written()


def _drop_what_cannot_be_written() -> None:
    """Flush standard output; else the interpreter fails to as it ends, and exits with a code of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _with_packages(arguments: list[str], extras: str) -> int:
    root = environment.checkout()
    if root is None:
        raise PsembedError(f"packages are missing: {environment.how_to_install(extras)}")
    return environment.enter(root, arguments)


def parser() -> argparse.ArgumentParser:
    """Build the parser; every command has help of its own."""
    top = argparse.ArgumentParser(
        prog="psembed",
        description="Token vectors for PowerShell, and a detector of malicious scripts.",
        epilog=EXIT_CODES,
    )
    top.add_argument("--version", action="version", version=f"psembed {__version__}")
    commands = top.add_subparsers(title="commands", description=NEEDED, metavar="COMMAND", required=True)

    def add(name: str, command, text: str, *, needs: tuple[str, ...] = STUDY) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        made.set_defaults(command=command, needs=needs)
        return made

    score.add_commands(add)
    similarity.add_commands(add)
    add("setup", _setup, "make .venv from requirements.lock, or bring it up to date", needs=())
    _add_run_commands(add)
    fetch = add("fetch", _fetch, "make snapshots of pinned sources", needs=("pygit2", "polars"))
    fetch.add_argument("names", nargs="*", metavar="NAME", help="sources (all of sources.toml by default)")
    fetch.add_argument("--history", action="store_true", help="all versions in git history, not the tip only")
    fetch.add_argument("--sources", type=Path, metavar="FILE", help="a list of sources of your own (`init`)")
    own = add("init", _init, "begin a study of your own scripts: a list of sources and a profile")
    own.add_argument("folder", type=Path, metavar="FOLDER", help="a new one, which gives the study its name")
    for kind, text in (("clean", "clean ones"), ("malicious", "malicious ones, of two places or more")):
        places = {"nargs": "+", "metavar": "PLACE", "default": [], "required": kind == "clean"}
        own.add_argument(f"--{kind}", **places, help=f"folders or git repositories of {text}")
    verify = add("verify", _verify, "show every claim of the study beside what we found")
    verify.add_argument("--profile", default=None, help="whose results (default: public, else control)")
    add("paper", _paper, "rebuild tables, figures and PDF from the committed scores and results")
    add("lab", _lab, "open JupyterLab on the notebooks' start page", needs=("jupyterlab",))
    plain = add("notebooks", _notebooks, "run the notebooks as a reader does, from a clean work folder")
    plain.add_argument("names", nargs="*", metavar="NOTEBOOK", help="these alone, such as 04_semantics")
    # the tests of a file in one process, so that what they share is made once; the longest first
    test = _tool("pytest", "--numprocesses=auto", "--dist=loadfile", "--no-loadscope-reorder")
    add("test", test, "run all tests", needs=("pytest", "xdist"))
    add("lint", _lint, "check style, format, imports and types", needs=("ruff", "importlinter", "mypy"))
    add("lock", _lock, "write requirements.lock anew from pyproject.toml", needs=("uv",))
    add("site", _site, "build the site of notebooks, docs and paper into work/site", needs=SITE)
    add("bench", _tool("bench"), "measure the speed of tokenising, training and scoring")
    add("dotnet", _dotnet, "build dotnet/ without the SDK and compare ML.NET's scores with Python's")
    return top


def _add_run_commands(add) -> None:
    names = "smoke, control, public, or a .toml file of your own"
    reproduce = add("reproduce", _reproduce, "run all notebooks of a profile, then rebuild the paper")
    reproduce.add_argument("profile", nargs="?", default=PROFILE, help=f"{names} (default: {PROFILE})")
    run = add("run", _run, "run notebooks; those that nothing has changed for are skipped")
    run.add_argument("--profile", default=PROFILE, help=f"{names} (default: {PROFILE})")
    run.add_argument("--only", nargs="+", metavar="NOTEBOOK", help="these alone, such as 03_word2vec")
    for command in (reproduce, run):
        command.add_argument(
            "--set", action="append", default=[], dest="overrides", metavar="NOTEBOOK.PARAMETER=VALUE",
            help="set a parameter on top of the profile, such as 07_cnn_lstm.epochs=3; may be repeated",
        )  # fmt: skip
        command.add_argument("--force", action="store_true", help="run what would be skipped, too")


def _setup(options: argparse.Namespace) -> None:
    print("set up" if environment.set_up(_clone()) else "up to date")


def _clone() -> Path:
    root = environment.checkout()
    if root is None:
        raise PsembedError("this command needs a clone of the project, and psembed was installed without one")
    return root


def _run(options: argparse.Namespace) -> int:
    summary = _run_profile(options, only=options.only)
    return 0 if options.only else _show_controls(summary)


def _reproduce(options: argparse.Namespace) -> int:
    """Run a profile, rebuild the published paper and the profile's own, and end with the controls."""
    from psembed.paper import build
    from psembed.project.profiles import load_profile

    summary = _run_profile(options, only=None)
    if load_profile(options.profile).chapters:
        print("some chapters were left out, as the profile says: no paper is made of it")
        return 0
    for profile in dict.fromkeys((build.PUBLISHED, summary.profile)):
        print(f"paper of {profile}: {build.build(_project(), profile=profile).relative_to(_project())}")
    return _show_controls(summary)


def _project() -> Path:
    from psembed.project.workspace import project_root

    return project_root()


def _run_profile(options: argparse.Namespace, *, only: list[str] | None):
    """Run a profile and show seconds, peak memory and device."""
    from psembed.pipeline import runner
    from psembed.runtime.progress import Progress, table

    how = {"only": only, "overrides": options.overrides, "force": options.force}
    summary = runner.run(options.profile, root=_project(), progress=Progress(sys.stdout), **how)
    rows = [(row.name, row.status, round(row.seconds, 1), round(row.peak_mb)) for row in summary.stages]
    total = ("in all", "", round(sum(row[2] for row in rows), 1), max(row[3] for row in rows))
    print("\n" + table(("notebook", "", "seconds", "peak MB"), [*rows, total]))
    print(f"device: {summary.device or 'not known'}; a skipped notebook shows its last real run")
    return summary


def _show_controls(summary) -> int:
    """Show what was planted and what was recovered; return 1 if not all of it was."""
    from psembed.runtime.progress import table

    if summary.controls:
        columns = ("control", "planted", "recovered", "verdict")
        shown = [[row.get(name) for name in columns] for row in summary.controls]
        print("\n" + table(("control", "planted truth", "recovered", "verdict"), shown))
    return 0 if summary.recovered else 1


def _fetch(options: argparse.Namespace) -> int:
    """Make the snapshots, several at a time; then name the sources that could not be had, and sum up."""
    from psembed.runtime.progress import Progress
    from psembed.sources import catalogue, fetching

    known, root, reports, under_way = catalogue.load_sources(options.sources), _project(), [], {}
    chosen = catalogue.find_sources(options.names or known, history=options.history, catalogue=known)
    progress = Progress(sys.stdout, "sources", len(set(chosen)))

    def watch(name: str, done: int, total: int) -> None:
        under_way[name] = f"{name} {100 * done // total}%" if total else name
        progress.count(len(reports), f"under way: {', '.join(list(under_way.values()))}")

    names = [source.name for source in chosen]
    asked = {"history": options.history, "catalogue": known, "progress": watch}
    made = fetching.fetch(names, root=root, **asked)
    with contextlib.closing(made):
        for report in made:
            reports.append(report)
            under_way.pop(report.name, None)
            if not progress.live:
                progress.begin(len(reports), progress.total, report.name)
                progress.end("failed" if report.error else _fetched([report], report.origin))
    progress.erase()
    for report in sorted(reports, key=lambda report: report.name):
        if report.error:
            print(f"psembed: {report.error}", file=sys.stderr)
    kinds = Counter("failed" if r.error else "kept" if r.origin == "kept" else "fetched" for r in reports)
    print(_fetched(reports, ", ".join(f"{kinds[kind]:,} {kind}" for kind in ("kept", "fetched", "failed"))))
    return 2 if kinds["failed"] else 0


def _init(options: argparse.Namespace) -> None:
    """Write the two files of a study, and say what to do next."""
    from psembed.sources import own

    given = {"clean": options.clean, "malicious": options.malicious}
    listed, profile = own.init(options.folder, **given, root=_project())
    print(
        f"wrote {listed} and {profile}; next: psembed fetch --sources {listed}, psembed reproduce {profile}"
    )
    if len(options.malicious) < own.LEAST:
        print("no malicious scripts of two places, so no detector: chapters 5 to 11 are left out")


def _fetched(reports: list, origin: str) -> str:
    """Say how much there is of some sources, whence, and how many files were left out why."""
    skipped = sum((report.skipped for report in reports), Counter())
    left_out = "".join(f", {count:,} {reason}" for reason, count in sorted(skipped.items()))
    rows, size = sum(report.rows for report in reports), sum(report.bytes for report in reports)
    return f"{rows:,} files, {size / 1e6:,.1f} MB ({origin}){left_out}"


def _verify(options: argparse.Namespace) -> None:
    from psembed.paper import build, claims
    from psembed.project.published import stale_note
    from psembed.project.workspace import Workspace

    root = _project()
    published = (root / "paper" / "results" / "public").is_dir()
    profile = options.profile or ("public" if published else PROFILE)
    print(claims.verify(Workspace(profile, root=root).results))
    if profile == build.PUBLISHED and (note := stale_note(root)):
        print(note)


def _paper(options: argparse.Namespace) -> None:
    """Evaluate the committed scores again, if anything has changed, and rebuild the published paper."""
    from dataclasses import replace

    from psembed.paper import build
    from psembed.pipeline import runner
    from psembed.project.profiles import load_profile
    from psembed.runtime.progress import Progress

    root = _project()
    public = replace(load_profile(build.PUBLISHED), publish=False)  # its copies are those of a whole run
    runner.run(public, root=root, only=["08_evaluation"], progress=Progress(sys.stdout))
    print(build.build(root).relative_to(root))


def _notebooks(options: argparse.Namespace) -> int:
    """Run notebooks by plain papermill, and some in JupyterLab; return 1 if one fails."""
    from psembed.pipeline import plain
    from psembed.runtime.progress import Progress

    return int(bool(plain.run(options.names, root=_project(), progress=Progress(sys.stdout))))


def _lab(options: argparse.Namespace) -> int:
    """Open JupyterLab on the start page, rendered: notebooks/.lab says how Markdown is opened."""
    settings = [str(_clone() / "notebooks" / ".lab"), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, settings))
    return _python("-m", "jupyterlab", "--LabApp.default_url=/lab/tree/notebooks/README.md")


def _tool(*command: str) -> Callable[[object], int]:
    """Return a command that runs a module as a program in the clone."""
    return lambda options: _python("-m", *command)


def _python(*arguments: str) -> int:
    return subprocess.run([sys.executable, *arguments], cwd=_clone(), check=False).returncode


def _lint(options: argparse.Namespace) -> int:
    """Run the linters until one fails; import-linter cannot be run as a module."""
    imports = "from importlinter.cli import lint_imports_command as lint; lint()"
    commands = (
        ("-m", "ruff", "check", "."),
        ("-m", "ruff", "format", "--check", "."),
        ("-c", imports),
        ("-m", "mypy"),
    )
    return next(filter(None, (_python(*command) for command in commands)), 0)


def _site(options: argparse.Namespace) -> int:
    """Build the site and put it in place; Sphinx warns of a link that leads nowhere, and a warning fails."""
    target = _clone() / "work" / "site"
    with tempfile.TemporaryDirectory() as folder:
        made = os.path.join(folder, "site")
        strict = ("--quiet", "--fail-on-warning", "--doctree-dir", os.path.join(folder, "parsed"))
        if code := _python("-m", "sphinx", *strict, "--conf-dir", "docs/site", ".", made):
            return code
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(made, target)
    print("open work/site/index.html")
    return 0


def _dotnet(options: argparse.Namespace) -> int:
    from psembed.release import dotnet

    return 0 if dotnet.prove(_project()) else 1


def _lock(options: argparse.Namespace) -> None:
    environment.write_lock(_clone())
