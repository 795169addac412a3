"""What was found, from the published results: what README says of it, and the long tables of results.md.

`psembed paper` brings both up to date.
"""

import logging
from collections import Counter
from pathlib import Path

from psembed.evaluation.comparisons import ONE_FILE, TRADITIONAL
from psembed.paper import claims, detection_figures
from psembed.paper.build import PUBLISHED, between_marks
from psembed.paper.ledger import FIGURE_4, ONLY_WIDE, VERDICTS, coverage_row, models_of
from psembed.project.published import stale_note
from psembed.project.results import CoverageRow, Results, load_results
from psembed.runtime.errors import PsembedError
from psembed.runtime.files import atomic

LOG = logging.getLogger(__name__)
PAGE = Path("docs/results.md")
PROTOCOLS = {
    "p1": "new scripts of sources that models have trained on (P1)",
    "p2": "scripts of a source that no model has seen (P2)",
}
FEW = (TRADITIONAL, FIGURE_4, ONE_FILE)  # models of README's table


def first_screen(results: Results) -> str:
    """Return what README opens with, in Markdown: findings, verdicts counted, and a table of a few rows."""
    judged = claims.evaluate(results)
    counted = Counter(row["verdict"] for row in judged)
    verdicts = ", ".join(f"{counted[name]} {name.replace('_', ' ')}" for name in VERDICTS)
    if wide := [row["id"] for row in judged if ONLY_WIDE in row.get("reason", "")]:
        verdicts += f"; {' and '.join(wide)} are {ONLY_WIDE}"
    lines = [*_findings(results), "", f"Claims of the study: {verdicts} ([all, with reasons]({PAGE})).", ""]
    rows = [row for protocol in PROTOCOLS for row in _few(results, protocol) if row["model"] in FEW]
    return "\n".join([*lines, *_rates_table(rows)])


def not_reproduced(results: Results) -> str:
    """Return the claims that did not hold here, an item each, with what was published and what we found."""
    items = []
    for row in claims.evaluate(results):
        if row["verdict"] == "not_reproduced":
            values = [
                f"{name} {claims.shown(row[name], row['unit'])}"
                for name in ("published", "ours")
                if row[name] is not None
            ]
            interval = claims.shown_interval(row, " ({} to {})")
            items.append(f"- {row['id']}, {row['claim']}: {', '.join(values)}{interval}")
    return "\n".join(items) or "Every claim that could be tested holds, at least in part."


def _findings(results: Results) -> list[str]:
    """Return the findings that have been measured, an item each."""
    held_out = results.get("04_semantics", {}).get("benchmark", {}).get("held_out", {})
    found = []
    if held_out:
        found.append(
            "- **The vectors know PowerShell.** Of aliases by which no setting was chosen, alias and command "
            f"have each other among their ten nearest tokens in {held_out['alias_hit10']:.0%} of cases, the "
            "mean of both directions; chance finds next to none."
        )
    for protocol, words in PROTOCOLS.items():
        rows = {row["model"]: row for row in _few(results, protocol)}
        if FIGURE_4 in rows and len(rows) > 1:
            ours, other = rows[FIGURE_4], next(iter(rows.values()))
            title = detection_figures.model_title(other["model"])
            finds = f"the traditional model chosen beforehand ({title}) {other['tpr']:.0%}"
            if TRADITIONAL in rows:
                finds += f", a committee of traditional models {rows[TRADITIONAL]['tpr']:.0%}"
            if ONE_FILE in rows:
                finds += f", the committee in one file that is released {rows[ONE_FILE]['tpr']:.0%}"
            found.append(
                f"- **Of {words}** the study's network finds {ours['tpr']:.0%} where one clean script in a "
                f"thousand is flagged, {finds}."
            )
    return found


def _few(results: Results, protocol: str) -> list[CoverageRow]:
    """Return the rows of the traditional model that is best in P3, and of FEW, as far as run."""
    wanted = (models_of(results).get("traditional"), *FEW)
    return [row for model in wanted if model and (row := coverage_row(results, protocol, model))]


def _rates_table(rows: list[CoverageRow]) -> list[str]:
    head = "| protocol | model | found (95% interval) | FPR realised | malicious | clean |"
    lines = [head, "|---|---|---|---|---|---|"]
    for row in rows:
        names = f"{row['protocol'].upper()} | {detection_figures.model_title(row['model'])}"
        tpr = f"{row['tpr']:.1%} ({row['low']:.1%} to {row['high']:.1%})"
        counts = f"{row['positives']:,} | {row['negatives']:,}"
        lines.append(f"| {names} | {tpr} | {row['fpr']:.3%} | {counts} |")
    return lines


def page(results: Results) -> str:
    """Return results.md: every claim with its verdict and reason, and every model's rates."""
    lines = ["# Results of the published run", "", "Written by `psembed paper`; do not edit by hand.", ""]
    lines += ["## Claims", "", "| claim | published | ours | verdict | why |", "|---|---|---|---|---|"]
    for row in claims.evaluate(results):
        published, ours = (claims.shown(value, row["unit"]) for value in (row["published"], row["ours"]))
        ours += claims.shown_interval(row, " ({} to {})")
        named, verdict = f"{row['id']} {row['claim']}", row["verdict"].replace("_", " ")
        cells = (named, published, ours, verdict, row.get("reason", ""))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    evaluation = results.get("08_evaluation", {})
    asked = [row for row in evaluation.get("table", []) if row["fpr_asked"] == evaluation.get("fpr")]
    lines += ["", "## Rates", "", *_rates_table([row for row in asked if row["protocol"] != "p0"])]
    return "\n".join(lines) + "\n"


def update(root: Path) -> bool:
    """Write README's results between their marks, and results.md; tell whether README changed."""
    path = root / "README.md"
    try:
        stale = stale_note(root)
        results = load_results(root / "paper" / "results" / PUBLISHED)
        text = path.read_text(encoding="utf-8")
    except (PsembedError, FileNotFoundError) as error:
        LOG.info("README is left as it is: %s", error)
        return False
    _write(root / PAGE, page(results))
    updated = between_marks(text, "results", f"{first_screen(results)}\n\n{stale}".rstrip())
    updated = between_marks(updated, "not reproduced", not_reproduced(results))
    if updated == text:
        return False
    _write(path, updated)
    return True


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
