"""JupyterLab in a real Chromium: a notebook is opened, its cells are run, and the page is looked at."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat

from psembed.pipeline import lab
from psembed.runtime.environment import has_packages
from psembed.runtime.errors import StageError

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
RUN = 1800  # seconds that a notebook may take
WIDTH, HEIGHT, HIGHEST = 1400, 1000, 16_000  # of the window; Chromium draws nothing below HIGHEST
CELLS = """() => [...document.querySelectorAll(".jp-Notebook .jp-CodeCell")].map(cell => ({
    prompt: cell.querySelector(".jp-InputPrompt")?.textContent ?? "",
    error: cell.querySelector('[data-mime-type="application/vnd.jupyter.error"]')?.textContent ?? "",
    images: [...cell.querySelectorAll(".jp-RenderedImage img")].map(
        image => Math.min(image.naturalWidth, image.clientWidth, image.clientHeight)),
}))"""
HAS_KERNEL = """async name => (await (await fetch("/api/sessions")).json()).some(
    session => session.name === name && session.kernel.connections)"""
HAS_RUN = f"""() => {{
    const prompts = ({CELLS})().map(cell => cell.prompt);
    return /[0-9]/.test(prompts[0]) && !prompts.some(prompt => prompt.includes("*"))
        && document.querySelector('.jp-NotebookPanel [data-status="idle"]')
        && [...document.images].every(image => image.complete);
}}"""
BOTTOM = f"""() => {{
    const notebook = document.querySelector(".jp-WindowedPanel-outer"), before = window.bottom;
    notebook.scrollTop = 0;
    window.bottom = [...notebook.querySelectorAll(".jp-Cell")].at(-1).getBoundingClientRect().bottom;
    return notebook.clientHeight > {HEIGHT} && window.bottom === before && window.bottom;
}}"""


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
            lab.started(folder, environment) as server,
            sync_playwright() as driver,
            driver.chromium.launch(executable_path=_program()) as chromium,
            chromium.new_context(base_url=server["url"]) as context,
        ):
            context.request.get(f"api/status?token={server['token']}")
            yield context
    except Error as error:
        raise StageError(f"Chromium could not be used: {error.message}") from error


def fault(context, name: str, copy: Path) -> str:
    """Open a notebook, run all cells, and put a picture of the page beside `copy`, which papermill made.

    Return what a reader would miss, "" if nothing.
    """
    from playwright.sync_api import Error

    try:
        with context.new_page() as page:
            page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
            page.set_default_timeout(lab.START * 1000)
            page.goto(f"lab/tree/notebooks/{name}.ipynb?reset")
            page.locator('.jp-NotebookPanel [data-status="idle"]').wait_for()
            page.wait_for_function(HAS_KERNEL, arg=f"{name}.ipynb", polling=500)  # or nothing would be run
            _choose(page, "Run", "Run All Cells")
            page.wait_for_function(HAS_RUN, timeout=RUN * 1000)
            page.set_viewport_size({"width": WIDTH, "height": HIGHEST})
            bottom = page.wait_for_function(BOTTOM, polling=500).json_value()  # once it no longer moves
            whole = {"x": 0, "y": 0, "width": WIDTH, "height": min(bottom, HIGHEST)}
            page.screenshot(path=copy.with_suffix(".png"), clip=whole)
            _choose(page, "View", "Expand All Code")  # folded cells show no number
            page.wait_for_function(HAS_RUN, timeout=RUN * 1000)
            return lacking(page.evaluate(CELLS), figures(copy))
    except Error as error:
        return f"in JupyterLab: {error.message.partition(chr(10))[0]}"


def _choose(page, *items: str) -> None:
    for item in items:
        page.get_by_role("menuitem", name=item, exact=True).click()


def figures(copy: Path) -> list[int]:
    """Return how many images each code cell of a notebook holds."""
    cells = [cell for cell in nbformat.read(copy, as_version=4).cells if cell.cell_type == "code"]
    return [sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in cells]


def lacking(cells: Sequence[dict], wanted: Sequence[int]) -> str:
    """Name the first code cell of a page that shows an error, was not run or lacks an image, "" if none."""
    if not any(wanted):
        return "no code cell has an image by papermill"
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
