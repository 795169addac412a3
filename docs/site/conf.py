"""The site that `psembed site` builds: pages at their paths in the repository, so that links hold."""

import json
import re
import shutil
import tomllib
from collections.abc import Iterable
from os.path import dirname, normpath
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

from psembed.project.published import PUBLISHED, stale_copies
from psembed.project.stages import maker_of

PAGES = {
    "Notebooks": "notebooks/README docs/site/figures",
    "Study": "docs/results docs/detection docs/embedding docs/tokens",
    "Detector": "MODEL_CARD docs/scoring docs/scaling docs/contract dotnet/README",
    "Project": "docs/architecture CONTRIBUTING",
}
MAKES = re.compile(r'figures\.save\(\w+, "(\w+)"')  # what a cell says that draws a figure
IMAGE = re.compile(rf"!\[[^]]*\]\((?:\.\./)*figures/{PUBLISHED}/(\w+)\.png\)")
KINDS = {"csv": "what was plotted", "svg": "as SVG", "html": "to explore"}
CAPTIONS = tomllib.loads(Path(__file__).with_name("figures.toml").read_text(encoding="utf-8"))
FOLDERS: set[str] = set()  # that pages link to

project = html_title = "psembed"
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "dotnet/*.md", "notebooks/README.md", "notebooks/*.ipynb"]
exclude_patterns = [".*", "bench", "data", "psembed", "tests", "work"]
extensions, templates_path = ["myst_nb"], ["."]
nb_execution_mode = "off"
myst_heading_anchors = 3
highlight_language = "none"
html_theme = "furo"
html_static_path = html_css_files = ["site.css"]
html_copy_source = html_show_copyright = html_show_search_summary = False
_parts = "sidebar/brand sidebar/search sidebar/scroll-start files sidebar/navigation sidebar/scroll-end"
html_sidebars = {"**": [f"{part}.html" for part in _parts.split()]}


def setup(app) -> None:
    """Say what is done with each page, and with the whole."""
    app.connect("source-read", read)
    app.connect("doctree-read", link_files, priority=100)  # before Sphinx makes downloads of them
    app.connect("html-collect-pages", list_folders)
    front = [Path(app.outdir, f"{name}.html") for name in (root_doc, "index")]
    app.connect("build-finished", lambda app, error: error or shutil.copyfile(*front))


def read(app, page: str, source: list[str]) -> None:
    """Change the text of a page before it is parsed."""
    root = Path(app.srcdir)
    if page == root_doc:
        source[0] += "".join(tree(pages.split(), f":caption: {name}") for name, pages in PAGES.items())
    elif page == "notebooks/README":
        source[0] += tree(path.stem for path in sorted((root / "notebooks").glob("*.ipynb")))
    elif page == "docs/site/figures":
        source[0] += "".join(map(section, sorted((root / "figures" / PUBLISHED).glob("*.png"))))
    elif (path := root / f"{page}.ipynb").is_file():
        source[0] = executed(root, path.name)
        return
    source[0] = IMAGE.sub(r"[\g<0>](#made-\1)", source[0])


def tree(pages: Iterable[str], *options: str) -> str:
    """Return pages as a part of the table of contents, which the sidebar shows."""
    return "\n".join(("\n```{toctree}", ":hidden:", *options, "", *pages, "```\n"))


def section(path: Path) -> str:
    """Return a figure under its title, with how to read it, the cell that made it and its other files."""
    name, there = path.stem, f"../../figures/{PUBLISHED}/{path.stem}"
    title, _, words = CAPTIONS.get(name, name).partition(": ")
    maker = maker_of(f"figures/{PUBLISHED}/{path.name}", PUBLISHED)
    links = [f"[the cell of {maker} that made it](#made-{name})"]
    links += [f"[{KINDS[kind]}]({there}.{kind})" for kind in KINDS if path.with_suffix(f".{kind}").exists()]
    return f"\n(shown-{name})=\n## {title}\n\n{words}\n\n![{title}]({there}.png)\n\n{' · '.join(links)}\n"


def executed(root: Path, name: str) -> str:
    """Return the executed copy of a notebook, with a line before each cell that draws a figure."""
    notebook = json.loads((root / "notebooks" / "executed" / name).read_text(encoding="utf-8"))
    stale = " The notebook has changed since." if Path(name).stem in stale_copies(root) else ""
    told = f"\n\nAs run for the published results ([this copy](path:executed/{name})).{stale}"
    notebook["cells"][0]["source"] = "".join(notebook["cells"][0]["source"]) + told
    cells = []
    for cell in notebook["cells"]:
        for figure in MAKES.findall("".join(cell["source"])):
            text = f"(made-{figure})=\nThe next cell draws [{figure}](#shown-{figure})."
            cells.append({"cell_type": "markdown", "id": f"site-{figure}", "metadata": {}, "source": text})
        cells.append(cell)
    return json.dumps(notebook | {"cells": cells})


def link_files(app, doctree) -> None:
    """Copy what is linked to and is no page to its path in the site, and link to it there."""
    for node in [*doctree.findall(addnodes.download_reference), *doctree.findall(addnodes.pending_xref)]:
        address = node["reftarget"].rstrip("/")
        target = normpath(f"{dirname(app.env.docname)}/{address}".lstrip("/"))
        path, copy = Path(app.srcdir, target), Path(app.outdir, target)
        if path.is_dir():
            shutil.copytree(path, copy, dirs_exist_ok=True)
            FOLDERS.add(target)
            address += "/index.html"
        elif isinstance(node, addnodes.download_reference):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        else:
            continue
        node.replace_self(nodes.reference("", "", *node.children, refuri=address, internal=True))


def list_folders(app) -> Iterable[tuple[str, dict, str]]:
    """Return a page for each folder that is linked to."""
    for folder in sorted(FOLDERS):
        paths = sorted(path for path in Path(app.srcdir, folder).rglob("*") if path.is_file())
        names = [path.relative_to(Path(app.srcdir, folder)).as_posix() for path in paths]
        rows = "".join(f'<li><a href="{name}">{name}</a></li>' for name in names)
        yield f"{folder}/index", {"title": folder, "body": f"<h1>{folder}</h1><ul>{rows}</ul>"}, "page.html"
