"""The controls of a run on a generated corpus: what was planted, what the run recovered, verdict."""

import math
import tomllib
from pathlib import Path
from typing import TypedDict

from psembed.paper.ledger import coverage_row, models_of
from psembed.project.results import Results

RECOVERED, MISSED, NOT_MEASURED = "recovered", "missed", "not measured"

_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
TOLERANCE = _DATA["tolerance"]
Value = float | str | None


class Control(TypedDict):
    """One row of controls.json."""

    control: str
    planted: Value
    recovered: Value
    verdict: str  # recovered, missed or not measured


def recovery(results: Results) -> list[Control]:
    """Compare what the generated corpus plants with what the run recovered; empty for a real corpus."""
    if not results.get("01_corpus", {}).get("generated"):
        return []
    return [*_semantic(results), *_duplicates(results), *_detection(results), *_negative(results)]


def _row(control: str, planted: Value, recovered: Value, right: bool | None) -> Control:
    verdict = RECOVERED if right else MISSED
    if recovered is None or right is None:
        recovered, verdict = None, NOT_MEASURED
    planted, recovered = _travelling(planted), _travelling(recovered)
    return {"control": control, "planted": planted, "recovered": recovered, "verdict": verdict}


def _travelling(value: Value) -> Value:
    """Return a number with as many digits as are the same on every processor: two."""
    return float(f"{value:.2g}") if isinstance(value, float) else value


def _semantic(results: Results) -> list[Control]:
    semantics = results.get("04_semantics", {})
    rows = []
    for alias in ("iex", "iwr", "gci"):
        pair = semantics.get("aliases", {}).get(alias, {})
        rank, reverse = pair.get("rank"), pair.get("reverse_rank")
        worse = None if rank is None or reverse is None else max(rank, reverse)
        rows.append(_most(f"alias {alias}: rank, worse direction", 1, worse, TOLERANCE["alias rank"]))
    mrr = semantics.get("benchmark", {}).get("all", {}).get("alias_mrr")
    rows.append(_least("all aliases: mean reciprocal rank", 1.0, mrr, TOLERANCE["alias mrr"]))
    for claim in ("C07", "C08"):
        odd = semantics.get("odd_one_out", {}).get(claim, {})
        right = odd.get("odd") == odd.get("expected")
        rows.append(_row(f"odd one out ({claim})", odd.get("expected"), odd.get("odd"), right))
    for claim in ("C09", "C10", "C11", "C12", "C13"):
        answer = semantics.get("analogies", {}).get(claim, {})
        name = f"analogy {claim}: rank of {answer.get('expected')}"
        rows.append(_most(name, 1, answer.get("rank"), TOLERANCE["analogy rank"]))
    groups = semantics.get("groups", {}).get("C03", {})
    for name, best in (("operators", 1.5), ("policies", 2.0)):
        rank, limit = groups.get(name, {}).get("mean_rank"), TOLERANCE["group rank"] * best
        rows.append(_most(f"{name}: mean rank among each other", best, rank, limit))
    return rows


def _most(control: str, planted: Value, recovered: float | None, limit: float) -> Control:
    return _row(control, planted, recovered, recovered is not None and recovered <= limit)


def _least(control: str, planted: Value, recovered: float | None, limit: float) -> Control:
    return _row(control, planted, recovered, recovered is not None and recovered >= limit)


def _duplicates(results: Results) -> list[Control]:
    kinds = results.get("02_tokens", {}).get("planted", {})
    rows = []
    for kind, name in _DATA["planted"].items():
        planted, recovered = (kinds.get(kind, {}).get(key) for key in ("planted", "recovered"))
        rows.append(_least(name, planted, recovered, TOLERANCE["share"] * (planted or 0)))
    return rows


def _detection(results: Results) -> list[Control]:
    least, best = TOLERANCE["tpr"], models_of(results)
    rows = []
    for kind in ("deep", "traditional"):
        row = coverage_row(results, "p1", best.get(kind))
        name = f"malicious scripts found, {kind} model, P1"
        rows.append(_least(name, f"TPR >= {least}", row["tpr"] if row else None, least))
    return rows


def _negative(results: Results) -> list[Control]:
    tokens = results.get("03_word2vec", {}).get("shuffled", {})
    labels = results.get("06_baselines", {}).get("shuffled_labels", {})
    mrr, chance = tokens.get("alias_mrr"), tokens.get("alias_mrr_random")
    near = None if mrr is None or chance is None else mrr <= max(0.02, TOLERANCE["chance"] * chance)
    tpr, fpr, n = labels.get("tpr"), labels.get("fpr"), labels.get("positives") or 1
    low = None
    if tpr is not None and fpr is not None:
        low = tpr <= fpr + max(TOLERANCE["shuffled tpr"], 3 * math.sqrt(max(fpr, 1 / n) / n))
    return [
        _row("shuffled tokens: alias reciprocal rank", chance, mrr, near),
        _row("shuffled labels: TPR against FPR", fpr, tpr, low),
    ]
