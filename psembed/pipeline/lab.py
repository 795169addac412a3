"""JupyterLab on a port that the system gives, with a random token and nobody's settings."""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psembed.runtime.errors import StageError
from psembed.runtime.files import write_json

OPTIONS = ("--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0")
TRACKER, SETTINGS = "lab/user-settings/@jupyterlab/notebook-extension", {"windowingMode": "none"}
START = 600  # seconds that it may take to start


@contextmanager
def started(folder: Path, environment: dict[str, str]) -> Iterator[dict]:
    """Run JupyterLab as `make lab` does, without the settings of whoever runs it; yield address and token.

    It keeps cells in the page that are not in sight.
    """
    with tempfile.TemporaryDirectory() as own, tempfile.TemporaryFile("w+") as log:
        write_json(Path(own, "config", TRACKER, "tracker.jupyterlab-settings"), SETTINGS)
        paths = {"JUPYTER_CONFIG_DIR": f"{own}/config", "JUPYTER_RUNTIME_DIR": f"{own}/runtime"}
        paths["JUPYTER_CONFIG_PATH"] = str(folder / "notebooks" / ".lab")
        command = [sys.executable, "-m", "jupyterlab", *OPTIONS]
        lab = subprocess.Popen(command, cwd=folder, env=environment | paths, stdout=log, stderr=log)
        end = time.monotonic() + START
        try:
            while not (told := _told(Path(own, "runtime"))):
                if lab.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise StageError(f"JupyterLab did not start: {log.read().strip()[-500:]}")
                time.sleep(0.1)
            yield told
        finally:
            lab.terminate()
            lab.wait()


def _told(runtime: Path) -> dict | None:
    """Return what a server has written down of itself, once it listens."""
    with suppress(StopIteration, ValueError, OSError):
        told = json.loads(next(runtime.glob("jpserver-*.json")).read_text("utf-8"))
        socket.create_connection(("127.0.0.1", told["port"])).close()
        return told
    return None
