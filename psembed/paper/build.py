"""The paper: published figures drawn again, README's table, and paper.pdf, all from committed results."""

import logging
import re
import runpy
from pathlib import Path

from psembed.paper import claims, detection_figures, figures
from psembed.paper.headline import write_headline
from psembed.project.published import stale_note
from psembed.project.results import Results, load_results
from psembed.project.workspace import Workspace
from psembed.runtime.errors import PsembedError, StageError
from psembed.runtime.files import atomic

LOG = logging.getLogger(__name__)
PUBLISHED = "public"
_EPOCH = 1_577_836_800  # fixed creation date of the PDF (1 January 2020), so equal inputs give equal bytes


def build(root: Path, *, profile: str = PUBLISHED) -> Path:
    """Draw the figures of a profile again, compile the paper and bring README's table up to date.

    The published profile gives paper/paper.pdf, any other work/<profile>/paper.pdf, so a trial run never
    replaces what is published. Missing results show as "not measured".
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
        update_readme(root)
        script = root / "docs" / "architecture.py"
        if script.is_file():
            runpy.run_path(str(script))["update"](root)
    LOG.info("wrote %s (%d bytes)", target.relative_to(root).as_posix(), len(data))
    return target


def compile_paper(root: Path, *, profile: str, kind: str = "pdf") -> bytes | list[bytes]:
    """Compile paper/paper.typ with the embedded fonts only; `kind` is "pdf" or "png" (bytes of each page).

    Raises StageError if it does not compile.
    """
    import typst

    files = [*(root / "paper" / "results").glob("*/*.json"), *(root / "figures").glob("*/*.svg")]
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


def readme_table(results: Results) -> str:
    """Return README's tables in Markdown: measured claims; coverage at the rate that the run asked for."""
    rows = ["| claim | published | ours | verdict |", "|---|---|---|---|"]
    for row in claims.evaluate(results):
        if row["ours"] is None:
            continue
        published, ours = (claims.shown(value, row["unit"]) for value in (row["published"], row["ours"]))
        ours += claims.shown_interval(row, " ({} to {})")
        cells = (f"{row['id']} {row['claim']}", published, ours, row["verdict"].replace("_", " "))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    evaluation = results.get("08_evaluation", {})
    rows.append("\n| protocol | model | TPR (95% interval) | FPR asked | FPR realised | malicious | clean |")
    rows.append("|---|---|---|---|---|---|---|")
    for rates in evaluation.get("table", []):
        if rates["fpr_asked"] == evaluation.get("fpr") and rates["protocol"] != "p0":
            names = f"{rates['protocol'].upper()} | {detection_figures.model_title(rates['model'])}"
            tpr = f"{rates['tpr']:.1%} ({rates['low']:.1%} to {rates['high']:.1%})"
            counts = f"{rates['positives']:,} | {rates['negatives']:,}"
            rows.append(f"| {names} | {tpr} | {rates['fpr_asked']:.1%} | {rates['fpr']:.2%} | {counts} |")
    return "\n".join(rows)


def update_readme(root: Path) -> bool:
    """Write the table of the published results between README's marks; tell whether README changed."""
    path = root / "README.md"
    try:
        stale = stale_note(root)
        table = readme_table(load_results(root / "paper" / "results" / PUBLISHED))
        text = path.read_text(encoding="utf-8")
    except (PsembedError, FileNotFoundError) as error:
        LOG.info("README is left as it is: %s", error)
        return False
    updated = between_marks(text, "results", f"{stale}\n\n{table}".lstrip())
    if updated == text:
        return False
    with atomic(path) as temporary:
        temporary.write_text(updated, encoding="utf-8")
    return True


def between_marks(page: str, name: str, text: str) -> str:
    """Return a page with `text` between its marks of that name."""
    pattern = rf"(?s)(<!-- {name}:[^\n]*-->\n).*?(<!-- /{name} -->)"
    return re.sub(pattern, lambda marks: f"{marks[1]}{text}\n{marks[2]}", page)
