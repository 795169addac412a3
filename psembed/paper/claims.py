"""The claims ledger of a run: what the study says, what we measured, and a verdict.

The claims and the rules that judge them are in psembed.paper.ledger. A claim nothing has been measured for is
not_testable, with the reason. On a generated corpus every claim about real scripts is not_testable too:
`controls` judges that run instead.
"""

import json
from pathlib import Path

from psembed.paper.controls import controls, headline
from psembed.paper.ledger import CLAIMS, NOT_TESTABLE, RULES, Claim
from psembed.project.results import find, load_results
from psembed.runtime.files import write_json

__all__ = [
    "CLAIMS",
    "RULES",
    "controls",
    "evaluate",
    "headline",
    "load_results",
    "shown",
    "verify",
    "write_headline",
]


def write_headline(results_dir: Path) -> None:
    """Write headline.json again: the runner and the benchmark measure after 11_claims has written it."""
    write_json(results_dir / "headline.json", headline(load_results(results_dir)))


def evaluate(results: dict[str, dict]) -> list[dict]:
    """Judge every claim.

    Parameters
    ----------
    results : dict
        Stage name to results, as `load_results` gives; missing stages and keys count as not measured.

    Returns
    -------
    list of dict
        id, claim, source, published, ours, unit, low, high, n, verdict, notebook; `reason` where there is
        something to add, always with not_testable.
    """
    generated = bool(find(results, "01_corpus", "generated"))
    return [_judge(claim, results, generated=generated) for claim in CLAIMS]


def _judge(claim: Claim, results: dict, *, generated: bool) -> dict:
    found = claim.measure(results)
    if isinstance(found, str):
        found = {"verdict": NOT_TESTABLE, "reason": found}
    elif generated and claim.real_scripts:
        reason = "the corpus is generated and says nothing of real scripts; controls.json judges this run"
        found = {**found, "verdict": NOT_TESTABLE, "reason": reason}
    row = {"id": claim.id, "claim": claim.claim, "source": claim.source, "published": claim.published}
    row |= {"ours": None, "unit": claim.unit, "low": None, "high": None, "n": None}
    return row | found | {"notebook": claim.notebook}


def verify(results_dir: Path) -> str:
    """Return the ledger of a results folder as a text table, computed again from its results.

    A last line says so if the committed claims.json is not what its inputs give.
    """
    rows = evaluate(load_results(results_dir))
    cells = [("id", "verdict", "published", "ours", "95% interval", "claim")]
    cells += [
        (
            r["id"],
            r["verdict"],
            shown(r["published"], r["unit"]),
            shown(r["ours"], r["unit"]),
            _interval(r),
            r["claim"],
        )
        for r in rows
    ]
    widths = [max(len(row[k]) for row in cells) for k in range(5)]
    lines = ["  ".join([*(c.ljust(w) for c, w in zip(row, widths, strict=False)), row[5]]) for row in cells]
    lines += [f"{r['id']}: {r['reason']}" for r in rows if r["verdict"] == NOT_TESTABLE]
    committed = results_dir / "claims.json"
    if committed.is_file() and json.loads(committed.read_text(encoding="utf-8")) != json.loads(
        json.dumps(rows)
    ):
        lines.append("claims.json is not what these results give: run `psembed run --only 11_claims`")
    return "\n".join(lines)


def shown(value: object, unit: str) -> str:
    """Format a published or measured value by its unit; "-" where there is none."""
    if value is None:
        return "-"
    if isinstance(value, str | bool):
        return str(value)
    if "FPR" in unit:
        return f"{value:+.1%}" if "difference" in unit else f"{value:.1%}"
    if isinstance(value, int) or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1e}" if abs(value) < 1e-3 else f"{value:.2f}"


def _interval(row: dict) -> str:
    if row["low"] is None or row["high"] is None:
        return "-"
    return f"{shown(row['low'], row['unit'])} to {shown(row['high'], row['unit'])}"
