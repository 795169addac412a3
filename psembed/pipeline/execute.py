"""One notebook in a process of its own: `python -m psembed.pipeline.execute`, started by the runner.

The first line of standard input is the job; the rest is a lifeline: when the runner goes, however it
goes, it closes, and this process leaves, and its kernel with it. What papermill and the kernel write to
standard output goes to standard error; the real one carries one line of JSON, how it went.
"""

import json
import os
import re
import sys
import sysconfig
import threading
from pathlib import Path

from psembed.runtime.files import atomic

KERNEL = "psembed"
LIBRARIES = sysconfig.get_path("purelib") + os.sep
NATIVE_LOG = re.compile(
    r"WARNING: All log messages before absl|[IWE]\d{4} \d\d:\d\d:\d\d|\s*$"
)  # TensorFlow's
MESSAGE_LIMIT = 2000  # characters; a pipe holds this much even when nobody reads yet


def kernel_folder(folder: Path) -> Path:
    """Write a kernel specification that runs this very interpreter; return the folder for JUPYTER_PATH."""
    specification = folder / "kernels" / KERNEL / "kernel.json"
    specification.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    content = {"argv": command, "display_name": KERNEL, "language": "python"}
    specification.write_text(json.dumps(content), encoding="utf-8")
    return folder


def execute(*, source: str, output: str, parameters: dict, cwd: str) -> dict:
    """Run a notebook with papermill into `output`; return {} or {cell, error, message} of what failed."""
    # jsonschema's parser of one string format: three seconds to load, and notebooks have no such strings
    sys.modules.setdefault("rfc3987_syntax", None)
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    options = {"kernel_name": KERNEL, "language": "python", "cwd": cwd, "progress_bar": False}
    try:
        papermill.execute_notebook(source, output, parameters=parameters, **options)
        _tidy(Path(output))
    except PapermillExecutionError as error:
        return _failure(error.ename, error.evalue, cell=error.exec_count)
    except DeadKernelError:
        return _failure("the kernel died", "often for lack of memory; see the log beside the partial copy")
    except Exception as error:
        return _failure(type(error).__name__, str(error))
    return {}


def _failure(error: str, message: str, *, cell: int | None = None) -> dict:
    return {"cell": cell, "error": error, "message": " ".join(message.split())[:MESSAGE_LIMIT]}


def _tidy(path: Path) -> None:
    """Drop times, machine paths and random ids, so that equal runs make equal notebooks."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    stamp = notebook["metadata"].pop("papermill", {})
    notebook["metadata"]["papermill"] = {key: stamp[key] for key in ("parameters", "version") if key in stamp}
    for cell in notebook["cells"]:
        for volatile in ("papermill", "execution"):
            cell["metadata"].pop(volatile, None)
        for output in cell.get("outputs", ()):
            if output["output_type"] == "stream":
                output["text"] = _without_noise(output)
        if "outputs" in cell:
            cell["outputs"] = [output for output in cell["outputs"] if output.get("text") != []]
        if "injected-parameters" in cell["metadata"].get("tags", ()):
            cell["id"] = "injected-parameters"
    _write(path, notebook)


def _without_noise(output: dict) -> list[str]:
    """Return lines without folders of this machine, on standard error without times and logs of devices."""
    lines = [line.replace(LIBRARIES, "") for line in output["text"]]  # a warning names its file
    return [line for line in lines if output["name"] != "stderr" or not NATIVE_LOG.match(line)]


def refresh_text(source: Path, executed: Path) -> None:
    """Bring the prose of an executed notebook up to date with its source, whose code is the same."""
    fresh, done = (json.loads(path.read_text(encoding="utf-8")) for path in (source, executed))
    code = iter([cell for cell in done["cells"] if cell["cell_type"] == "code"])
    cells = []
    for cell in fresh["cells"]:
        if cell["cell_type"] != "code":
            cells.append(cell)
            continue
        cells.append(next(code) | {key: cell[key] for key in ("id",) if key in cell})
        if "parameters" in cell["metadata"].get("tags", ()):
            cells.append(next(code))  # what papermill put in
    _write(executed, done | {"cells": cells})


def _write(path: Path, notebook: dict) -> None:
    text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        with atomic(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _leave_with_runner() -> None:
    sys.stdin.read()
    os._exit(1)


def main() -> None:
    """Read a job, run it, report."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as report:
        os.dup2(2, 1)
        job = json.loads(sys.stdin.readline())
        threading.Thread(target=_leave_with_runner, daemon=True).start()
        json.dump(execute(**job), report)


if __name__ == "__main__":
    main()
