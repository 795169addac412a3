"""The site of a small project: links are checked, a figure leads to its cell, nothing is loaded."""

import json
import re
import runpy
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from psembed.cli import main
from psembed.paper.figures import FIGURES
from psembed.runtime import environment

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "docs" / "site"
MISSING = "the site's packages are missing: pip install '.[site]'"
needs_site = pytest.mark.skipif(not environment.has_packages(main.SITE), reason=MISSING)
DRAWN, STALE = "notebooks/08_evaluation", "notebooks/09_onnx"
LINKS = {
    f"{DRAWN}.ipynb": f"{DRAWN}.html",
    "docs/results.md#a-section": "docs/results.html#a-section",
    "data/rows": "data/rows/index.html",
    "paper/paper.pdf": "paper/paper.pdf",
}


def make_project(root: Path) -> None:
    """Write a project of two notebooks and one figure, whose README links to pages, a file and a folder."""
    chapters = " ".join(runpy.run_path(str(SOURCES / "conf.py"))["PAGES"].values())
    for name in chapters.split():
        write(root / f"{name}.md", f"# {name}\n\n## A section\n")
    shutil.copytree(SOURCES, root / "docs" / "site", dirs_exist_ok=True)
    for path in ("paper/paper.pdf", "figures/public/01_token_map.html", "data/rows/one.json"):
        write(root / path, "{}")
    add_figure(root, "05_roc")
    for folder in ("notebooks", "notebooks/executed"):
        write_notebook(
            root / folder / "08_evaluation.ipynb", "Evaluation", 'figures.save(ws, "05_roc", rows)'
        )
        write_notebook(root / folder / "09_onnx.ipynb", f"In {folder}", "1 / 0")
    write_readme(root, LINKS)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_notebook(path: Path, title: str, code: str) -> None:
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": [f"# {title}"]},
        {"cell_type": "code", "id": "b", "metadata": {}, "source": code, "outputs": [], "execution_count": 1},
    ]
    python = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    write(path, json.dumps({"cells": cells, "metadata": python, "nbformat": 4, "nbformat_minor": 5}))


def write_readme(root: Path, links: Iterable[str]) -> None:
    lines = ["# Home", "![ROC](figures/public/05_roc.png)", *(f"[to]({link})" for link in links)]
    write(root / "README.md", "\n\n".join(lines))


def add_figure(root: Path, name: str) -> None:
    shutil.copy(ROOT / "figures" / "public" / f"{name}.png", root / "figures" / "public")


def build(root: Path) -> int:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(main, "_clone", lambda: root)
        patched.setenv("PYTHONPATH", str(ROOT))
        return main.main(["site"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("project")
    make_project(root)
    assert build(root) == 0
    return root / "work" / "site"


def page(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


def links(site: Path, name: str) -> list[str]:
    return re.findall(r'<a\b[^>]*?href="([^"]*)"', page(site, name))


@needs_site
def test_links_to_pages_files_and_folders_hold(site):
    assert set(LINKS.values()) <= set(links(site, "index.html"))
    assert all((site / address.partition("#")[0]).is_file() for address in LINKS.values())
    assert "one.json" in links(site, "data/rows/index.html") and (site / "data/rows/one.json").is_file()


@needs_site
def test_a_figure_leads_to_the_cell_that_drew_it_and_back(site):
    cell = f"{DRAWN}.html#made-05-roc"
    assert cell in links(site, "index.html")
    assert f"../../{cell}" in links(site, "docs/site/figures.html")
    assert "../docs/site/figures.html#shown-05-roc" in links(site, f"{DRAWN}.html")
    shown = page(site, f"{DRAWN}.html")
    assert shown.index('id="made-05-roc"') < shown.index('class="cell docutils')


@needs_site
def test_a_stale_copy_says_so_and_nothing_is_run(site):
    shown = page(site, f"{STALE}.html")
    assert "The notebook has changed since." in shown and "In notebooks/executed" in shown
    assert "ZeroDivisionError" not in shown
    assert "has changed since" not in page(site, f"{DRAWN}.html")


@needs_site
def test_a_page_loads_nothing_from_elsewhere_and_fits_a_phone(site):
    pages = [path.relative_to(site).as_posix() for path in site.rglob("*.html")]
    pages = [name for name in pages if not name.startswith(("figures/", "_static/"))]
    assert len(pages) > 10
    for name in pages:
        loaded = re.findall(r'<(?:script|link|img|iframe)\b[^>]*?(?:src|href)="([^"]*)', page(site, name))
        assert loaded and not [address for address in loaded if "//" in address], name
        assert 'name="viewport"' in page(site, name), name


@needs_site
def test_what_leads_nowhere_fails_and_leaves_the_site_that_was_there(tmp_path, capfd):
    make_project(tmp_path)
    write(tmp_path / "work/site/index.html", "old")
    broken = ("docs/nowhere.md", "docs/results.md#no-section", "#made-99_nothing", "data/gone")
    write_readme(tmp_path, broken)
    add_figure(tmp_path, "10_budget")  # which no cell draws
    assert build(tmp_path) == 1
    told = capfd.readouterr()
    for name in ("docs/nowhere.md", "no-section", "made-99_nothing", "data/gone", "made-10_budget"):
        assert name in told.err
    assert "README.md" in told.err and "open work/site" not in told.out
    assert page(tmp_path / "work/site", "index.html") == "old"


def test_without_its_packages_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(environment, "has_packages", lambda names: not names)
    monkeypatch.setattr(environment, "checkout", lambda: None)
    assert main.main(["site"]) == 2
    assert "pip install '.[site]'" in capsys.readouterr().err


def test_every_figure_of_a_notebook_has_a_title_and_says_how_to_read_it():
    lines = (SOURCES / "figures.toml").read_text(encoding="utf-8").splitlines()
    assert {line.partition(" = ")[0] for line in lines} == set(FIGURES) - {"08_speed"}  # of `make bench`
    assert all(": " in line for line in lines)
