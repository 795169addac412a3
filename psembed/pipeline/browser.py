"""JupyterLab in a real Chromium: a notebook is opened, its cells are run, and the page is looked at."""

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat

from psembed.runtime.environment import has_packages
from psembed.runtime.errors import StageError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = ("--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0")
START, RUN = 180, 1800  # seconds that JupyterLab may take to start, and a notebook to run
WIDTH, HEIGHT, HIGHEST = 1400, 1000, 16_000  # of the window; Chromium draws nothing below HIGHEST
CELLS = """() => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")].map(cell => ({
    prompt: cell.querySelector(".jp-InputPrompt")?.textContent ?? "",
    error: cell.querySelector('[data-mime-type="application/vnd.jupyter.error"]')?.textContent ?? "",
    images: [...cell.querySelectorAll(".jp-RenderedImage img")].map(
        image => Math.min(image.naturalWidth, image.clientWidth, image.clientHeight)),
}))"""
HAS_RUN = f"""() => {{
    const prompts = ({CELLS})().map(cell => cell.prompt);
    return /[0-9]/.test(prompts[0]) && !prompts.some(prompt => prompt.includes("*"))
        && document.querySelector('.jp-NotebookPanel [data-status="idle"]')
        && [...document.images].every(image => image.complete);
}}"""
BOTTOM = '[...document.querySelectorAll(".jp-Notebook .jp-Cell")].at(-1).getBoundingClientRect().bottom'


def missing() -> str:
    """Say what is missing and how to get it, "" if nothing is."""
    if not has_packages(("playwright",)):
        return "the package playwright is missing: python -m psembed setup"
    names = ", ".join(PROGRAMS)
    return "" if _program() else f"no Chromium found ({names}, playwright's own): apt-get install chromium"


def _program() -> str | None:
    """Return the path of the system's Chromium, or else of the one that playwright has downloaded."""
    from playwright.sync_api import sync_playwright

    if found := next(filter(None, map(shutil.which, PROGRAMS)), None):
        return found
    with sync_playwright() as driver:
        own = driver.chromium.executable_path
    return own if Path(own).is_file() else None


@contextmanager
def opened(folder: Path, environment: dict[str, str]) -> Iterator:
    """Start JupyterLab in a folder, and a browser that it lets in; StageError where one does not start."""
    from playwright.sync_api import Error, sync_playwright

    try:
        with (
            _lab(folder, environment) as lab,
            sync_playwright() as driver,
            driver.chromium.launch(executable_path=_program()) as chromium,
            chromium.new_context(base_url=lab["url"]) as context,
        ):
            context.request.get(f"api/status?token={lab['token']}")
            yield context
    except Error as error:
        raise StageError(f"Chromium could not be used: {error.message}") from error


@contextmanager
def _lab(folder: Path, environment: dict[str, str]) -> Iterator[dict]:
    """Run JupyterLab as `make lab` does, without the settings of whoever runs it; yield address and token."""
    with tempfile.TemporaryDirectory() as own, tempfile.TemporaryFile("w+") as log:
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


def fault(context, name: str, copy: Path) -> str:
    """Open a notebook, run all cells, and put a picture of the page beside `copy`, which papermill made.

    Return what a reader would miss, "" if nothing.
    """
    from playwright.sync_api import Error

    try:
        with context.new_page() as page:
            page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            page.goto(f"lab/tree/notebooks/{name}.ipynb?reset", timeout=START * 1000)
            page.locator('.jp-NotebookPanel [data-status="idle"]').wait_for(timeout=START * 1000)
            for item in ("Run", "Run All Cells"):
                page.get_by_role("menuitem", name=item, exact=True).click()
            page.wait_for_function(HAS_RUN, timeout=RUN * 1000)
            page.set_viewport_size({"width": WIDTH, "height": HIGHEST})
            page.wait_for_function(HAS_RUN)  # drawn anew
            whole = {"x": 0, "y": 0, "width": WIDTH, "height": min(page.evaluate(BOTTOM), HIGHEST)}
            page.screenshot(path=copy.with_suffix(".png"), clip=whole)
            return lacking(page.evaluate(CELLS), figures(copy))
    except Error as error:
        return f"in JupyterLab: {error.message.partition(chr(10))[0]}"


def figures(copy: Path) -> list[int]:
    """Return how many images each code cell of a notebook holds."""
    cells = [cell for cell in nbformat.read(copy, as_version=4).cells if cell.cell_type == "code"]
    return [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in cells]


def lacking(cells: Sequence[dict], wanted: Sequence[int]) -> str:
    """Name the first code cell of a page that shows an error, was not run or lacks an image, "" if none."""
    if len(cells) != len(wanted):
        return f"JupyterLab shows {len(cells)} code cells of {len(wanted)}"
    for place, (cell, count) in enumerate(zip(cells, wanted, strict=True), 1):
        seen = sum(size > 0 for size in cell["images"])
        if cell["error"]:
            return f"code cell {place} shows an error in JupyterLab: {cell['error'].strip().splitlines()[-1]}"
        if not any(map(str.isdigit, cell["prompt"])):
            return f"code cell {place} was not run in JupyterLab"
        if seen < count:
            return f"code cell {place} shows {seen} of {count} images in JupyterLab"
    return ""
