"""README's tables of what was found, from the published results; `psembed paper` brings them up to date."""

import logging
from pathlib import Path

from psembed.paper import claims, detection_figures
from psembed.paper.build import PUBLISHED, between_marks
from psembed.project.published import stale_note
from psembed.project.results import Results, load_results
from psembed.runtime.errors import PsembedError
from psembed.runtime.files import atomic

LOG = logging.getLogger(__name__)


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


def update(root: Path) -> bool:
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
