"""The paper: published figures drawn again, README's table, and paper.pdf, all from committed results.

Nothing is computed here. `typed_numbers` finds results typed into the prose, which a test refuses.
"""

import logging
import re
from pathlib import Path

from psembed.paper import architecture, claims, detection_figures, figures
from psembed.paper.headline import write_headline
from psembed.project.published import stale_note
from psembed.project.results import Results, load_results
from psembed.project.workspace import Workspace
from psembed.runtime.errors import PsembedError, StageError
from psembed.runtime.files import atomic

LOG = logging.getLogger(__name__)
PUBLISHED = "public"
_EPOCH = 1_577_836_800  # fixed creation date of the PDF (1 January 2020), so equal inputs give equal bytes

#: Where digits are no result: comments, references, addresses, layout, published figures, names, years.
ALLOWED = re.compile(
    r"""(?x)
    (?m:^\s*//.*$)                          # comment lines
    | \#published(?:\[[^\]]*\]|\("[^"]*"\)) # what somebody else published
    | "[0-9]{2}_[a-z0-9_]+"                 # slugs of figures and stages
    | "C[0-9]{2}" | "p[012]"                 # claim and protocol keys
    | \bwidth:\s[0-9]+%(?=[,)]) | \bdigits:\s[0-9](?=[,)])  # layout
    | @[a-z][a-z0-9-]* | <[a-z][a-z0-9-]*>  # references and labels
    | https?://\S+
    | "(?:[a-z]+_)*[a-z]+[0-9]*(?:_[a-z]+)*"  # keys of results
    | \b(?:[Ww]ord2vec|P[012]|UTF-(?:8|16)|Windows-1252|SHA-(?:1|256)|Unit\ 42|Fa2y|[23]-(?:grams?|D))\b
    | (?<![\d.,+-])\b(?:19[89][0-9]|20[0-4][0-9])\b(?![\d%]|[.,]\d)  # years
    """
)


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
        if (root / "docs" / "architecture.md").is_file():
            architecture.update(root)
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


def typed_numbers(source: str) -> list[tuple[int, str]]:
    """Return (line, text) of every digit in the paper's prose that is not of an allowed kind."""
    blanked = ALLOWED.sub(lambda allowed: re.sub(r"[^\n]", " ", allowed[0]), source)
    lines = source.splitlines()
    return [
        (n, lines[n - 1].strip())
        for n, line in enumerate(blanked.splitlines(), start=1)
        if re.search(r"\d", line)
    ]


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
    updated = architecture.between_marks(text, "results", f"{stale}\n\n{table}".lstrip())
    if updated == text:
        return False
    with atomic(path) as temporary:
        temporary.write_text(updated, encoding="utf-8")
    return True
