"""The paper: published figures drawn again, and paper.pdf, all from committed results."""

import logging
import re
import runpy
from pathlib import Path

from psembed.paper import figures
from psembed.paper.headline import write_headline
from psembed.project.published import PUBLISHED
from psembed.project.workspace import Workspace
from psembed.runtime.errors import StageError
from psembed.runtime.files import atomic

LOG = logging.getLogger(__name__)
_EPOCH = 1_577_836_800  # fixed creation date of the PDF (1 January 2020), so equal inputs give equal bytes


def build(root: Path, *, profile: str = PUBLISHED) -> Path:
    """Draw the figures of a profile again, compile the paper and bring the pages up to date.

    The published profile gives paper/paper.pdf, any other work/<profile>/paper.pdf, so a trial run never
    replaces what is published. Missing results show as "not measured". What is written by code in README and
    docs is written by the modules beside the docs.
    """
    for name in dict.fromkeys((profile, "control")):
        figures.redraw(Workspace(name, root=root))
    results = Workspace(profile, root=root).results
    if (results / "headline.json").is_file():
        write_headline(results)
    data = compile_paper(root, profile=profile)
    published = profile == PUBLISHED
    target = (root / "paper" if published else Workspace(profile, root=root).work) / "paper.pdf"
    with atomic(target) as temporary:
        temporary.write_bytes(data)
    if published:
        for script in sorted((root / "docs").glob("*.py")):
            runpy.run_path(str(script))["update"](root)
    LOG.info("wrote %s (%d bytes)", target.relative_to(root).as_posix(), len(data))
    return target


def compile_paper(root: Path, *, profile: str, kind: str = "pdf") -> bytes | list[bytes]:
    """Compile paper/paper.typ with the embedded fonts only; `kind` is "pdf" or "png" (bytes of each page).

    Raises StageError if it does not compile.
    """
    import typst

    files = [*(root / "paper" / "results").glob("*/*.json"), *(root / "figures").glob("*/*.svg")]
    files += [*(root / "psembed" / "paper").glob("ledger.toml"), *root.glob("CITATION.cff")]
    present = sorted(path.relative_to(root).as_posix() for path in files)
    try:
        return typst.compile(
            str(root / "paper" / "paper.typ"),
            root=str(root),
            format=kind,
            ignore_system_fonts=True,
            sys_inputs={"profile": profile, "present": "\n".join(present)},
            timestamp=_EPOCH,
        )
    except typst.TypstError as error:
        raise StageError(f"paper.typ does not compile: {error}") from error


def between_marks(page: str, name: str, text: str) -> str:
    """Return a page with `text` between its marks of that name."""
    pattern = rf"(?s)(<!-- {name}:[^\n]*-->\n).*?(<!-- /{name} -->)"
    return re.sub(pattern, lambda marks: f"{marks[1]}{text}\n{marks[2]}", page)
