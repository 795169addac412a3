"""The claims ledger of a run: what the study says, what we measured, and a verdict.

The claims and the rules that judge them are in ledger.toml; psembed.paper.ledger measures them. A claim that
nothing has been measured for is not_testable, with the reason. On a generated corpus every claim about real
scripts is not_testable too: psembed.paper.recovery judges that run instead.
"""

import json
from pathlib import Path
from typing import cast

from psembed.paper.ledger import CLAIMS, MEASURES, NOT_TESTABLE, Claim, Measured
from psembed.project.results import Results, load_results


class ClaimRow(Measured):
    """A claim and how it was judged."""

    id: str
    claim: str
    source: str
    published: float | str | None
    unit: str
    notebook: str


def evaluate(results: Results) -> list[ClaimRow]:
    """Judge every claim, a row each; what is missing counts as not measured, and a `reason` says so."""
    generated = results.get("01_corpus", {}).get("generated", False)
    return [_judge(claim, results, generated=generated) for claim in CLAIMS]


def _judge(claim: Claim, results: Results, *, generated: bool) -> ClaimRow:
    answer = MEASURES[claim.id](results)
    if isinstance(answer, str):
        answer = {"verdict": NOT_TESTABLE, "reason": answer}
    elif generated and claim.real_scripts:
        reason = "the corpus is generated and says nothing of real scripts; controls.json judges this run"
        answer = {**answer, "verdict": NOT_TESTABLE, "reason": reason}
    row = {"id": claim.id, "claim": claim.claim, "source": claim.source, "published": claim.published}
    row |= {"ours": None, "unit": claim.unit, "low": None, "high": None, "n": None}
    return cast(ClaimRow, {**row, **answer, "notebook": claim.notebook})


def verify(results_dir: Path) -> str:
    """Compute a results folder's ledger again: a text table, and a last line if claims.json differs."""
    rows = evaluate(load_results(results_dir))
    cells = [("id", "verdict", "published", "ours", "95% interval", "claim")]
    for row in rows:
        published, ours = (shown(value, row["unit"]) for value in (row["published"], row["ours"]))
        interval = shown_interval(row, "{} to {}") or "-"
        cells.append((row["id"], row["verdict"], published, ours, interval, row["claim"]))
    *widths, _ = (max(map(len, column)) for column in zip(*cells, strict=True))
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in cells]
    lines += [f"{row['id']}: {row['reason']}" for row in rows if row["verdict"] == NOT_TESTABLE]
    path, measured = results_dir / "claims.json", json.loads(json.dumps(rows))
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != measured:
        lines.append("claims.json is not what these results give: run `psembed run --only 11_claims`")
    return "\n".join(lines)


def shown(value: float | str | None, unit: str) -> str:
    """Format a published or measured value by its unit; "-" where there is none."""
    if value is None:
        return "-"
    if isinstance(value, str | bool):
        return str(value)
    if "FPR" in unit:
        return f"{100 * value:+.1f} points" if "difference" in unit else f"{value:.1%}"
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1e}" if abs(value) < 1e-3 else f"{value:.2f}"


def shown_interval(row: ClaimRow, pattern: str) -> str:
    """Format the interval of a row as `pattern` says; "" where there is none."""
    if row["low"] is None or row["high"] is None:
        return ""
    return pattern.format(shown(row["low"], row["unit"]), shown(row["high"], row["unit"]))
