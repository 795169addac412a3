"""What was found, from the published results: what README says of it, and the long tables of results.md.

`psembed paper` brings both up to date.
"""

import logging
from collections import Counter
from pathlib import Path

from psembed.datasets.protocols import PINNED, SNIPPETS
from psembed.evaluation.comparisons import ONE_FILE, TRADITIONAL
from psembed.paper import claims, detection_figures
from psembed.paper.build import PUBLISHED, between_marks
from psembed.paper.ledger import FIGURE_4, ONLY_WIDE, STUDY_FPR, VERDICTS, coverage_row, models_of
from psembed.project.published import stale_note
from psembed.project.results import CoverageRow, Results, load_results
from psembed.runtime.errors import PsembedError
from psembed.runtime.files import atomic

LOG = logging.getLogger(__name__)
PAGE, CARD = Path("docs/results.md"), Path("MODEL_CARD.md")
PROTOCOLS = {
    "p1": "new scripts of sources that models have trained on (P1)",
    "p2": "scripts of a source that no model has seen (P2)",
}
ON_DETECTION = [f"C{number}" for number in (*range(14, 20), 22, 23, 24)]
FEW = (TRADITIONAL, FIGURE_4, ONE_FILE)  # models of README's table


def first_screen(results: Results) -> str:
    """Return what README opens with, in Markdown: findings, verdicts counted, and a table of a few rows."""
    judged = claims.evaluate(results)
    counted = Counter(row["verdict"] for row in judged)
    verdicts = ", ".join(f"{counted[name]} {name.replace('_', ' ')}" for name in VERDICTS)
    if wide := [row["id"] for row in judged if ONLY_WIDE in row.get("reason", "")]:
        verdicts += f"; {' and '.join(wide)} are {ONLY_WIDE}"
    own = Counter(row["verdict"] for row in judged if row["id"] in ON_DETECTION)
    of_these = ", ".join(f"{own[name]} {name.replace('_', ' ')}" for name in VERDICTS if own[name])
    verdicts += f". Of the {own.total()} on what a detector finds: {of_these}"
    lines = [*_findings(results), "", f"Claims of the study: {verdicts} ([all, with reasons]({PAGE})).", ""]
    rows = [row for protocol in PROTOCOLS for row in _few(results, protocol) if row["model"] in FEW]
    return "\n".join([*lines, *_rates_table(rows), *_apart(results)])


def _apart(results: Results) -> list[str]:
    """Return what is flagged of the clean scripts that no rate counts, by what is released."""
    released = results.get("07_cnn_lstm", {}).get("released")
    rows = {
        row["value"]: f"{row['flagged']:.2%} of {row['n']:,}"
        for row in results.get("08_evaluation", {}).get("strata", [])
        if (row["protocol"], row["model"], row["label"], row["by"]) == ("p1", released, 0, "stratum")
    }
    if not {PINNED, SNIPPETS} <= set(rows):
        return []
    return [
        "",
        "Not among these clean scripts are those of PoshCode, an exchange of scripts, and of three "
        f"repositories that share scripts with it: of them what is released flags {rows[PINNED]}. "
        f"Nor are snippets: {rows[SNIPPETS]}.",
    ]


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
    by_model = results.get("04_semantics", {}).get("by_model", {})
    halves = {name: by_model.get(name, {}).get("held_out", {}) for name in ("joined", "word2vec")}
    found = []
    if all(halves.values()):
        joined, word2vec = (half["alias_hit10"] for half in halves.values())
        found.append(
            f"- **The vectors know PowerShell.** Of {halves['joined']['alias_n']} pairs of alias and command "
            f"by which no setting was chosen, either has the other among its ten nearest tokens in "
            f"{joined:.0%} of cases in our joined vectors, and in {word2vec:.0%} in the study's Word2vec; "
            "chance finds next to none."
        )
    for protocol, words in PROTOCOLS.items():
        rows = {row["model"]: row for row in _few(results, protocol)}
        if FIGURE_4 in rows and len(rows) > 1:
            ours, other = rows[FIGURE_4], next(iter(rows.values()))
            title = detection_figures.model_title(other["model"])
            finds = f"the traditional model chosen in P3 ({title}) {other['tpr']:.0%}"
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


def card(results: Results) -> str:
    """Return what the model card says of the released detector: rates, threshold, and what no rate counts."""
    model = results.get("07_cnn_lstm", {}).get("released")
    threshold = results.get("09_onnx", {}).get("threshold")
    rows = [row for protocol in PROTOCOLS if model and (row := coverage_row(results, protocol, model))]
    if not rows or threshold is None:
        return "Not measured."
    title, most = detection_figures.model_title(model), f"{STUDY_FPR:.1%}"
    lines = [
        f"| {title}: scripts | found where at most {most} of clean ones are flagged | found from a "
        "threshold of other folds on | clean ones flagged by it | malicious | clean |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = f"{row['tpr']:.1%} ({row['low']:.1%} to {row['high']:.1%}) | {row['asked_tpr']:.1%}"
        flagged = f"{row['asked_fpr']:.3%} ({row['asked_fpr_low']:.3%} to {row['asked_fpr_high']:.3%})"
        counts = f"{row['positives']:,} | {row['negatives']:,}"
        lines.append(f"| {PROTOCOLS[row['protocol']]} | {found} | {flagged} | {counts} |")
    return "\n".join([*lines, "", f"The threshold is a score of {threshold:.4f}.", *_apart(results)])


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
    if (root / CARD).is_file():
        model_card = (root / CARD).read_text(encoding="utf-8")
        _write(root / CARD, between_marks(model_card, "rates", card(results)))
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
