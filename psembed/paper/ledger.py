"""How each claim of the study is measured in the results, and judged: ledger.toml says by which rule."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypedDict

from psembed.project.results import CoverageRow, Difference, Results, Semantics, TokenGroups

VERDICTS = REPRODUCED, PARTLY, NOT_REPRODUCED, NOT_TESTABLE = (
    "reproduced", "partly", "not_reproduced", "not_testable",
)  # fmt: skip
STUDY_FPR = 0.001  # the study's false-positive rate, 0.1%
ONLY_WIDE = "reproduced only in that our wide interval holds the published rate"
FIGURE_4 = "cnn_lstm"  # the study's network
AGAINST = "cnn_lstm against traditional"  # the pair of 08_evaluation's gains that C16 is about
SEEDS = 3  # of each network, before a comparison of networks counts as reproduced


class Measured(TypedDict, total=False):
    """What a run says of a claim; `reason` where there is something to add."""

    ours: float | str | None
    low: float | None
    high: float | None
    n: int | None
    verdict: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of the study, as ledger.toml has it."""

    id: str
    claim: str
    source: str
    published: float | str | None = None
    unit: str
    notebook: str
    rule: str
    earlier: tuple[dict[str, str], ...] = ()  # rules that it was judged by before: until, rule, verdict
    real_scripts: bool = True  # says something of real scripts: not testable on a generated corpus


def _graded(reproduced: bool, partly: bool) -> str:
    return REPRODUCED if reproduced else PARTLY if partly else NOT_REPRODUCED


def _not_measured(stage: str) -> str:
    return f"{stage} has not measured it"


# ---- sizes and semantics ----


def _counted(
    pinned: int | None, history: int | None, grade: Callable[[int], str], words: str
) -> Measured | str:
    """Judge a count that older versions are part of, as the frozen rule does, and say what it is without."""
    ours = history or pinned
    if ours is None:
        return _not_measured("02_tokens")
    counts = {"at the pinned commits": pinned, "with older versions": history}
    shown = [f"{when} {count:,}: {grade(count)}" for when, count in counts.items() if count]
    return {"ours": ours, "verdict": grade(ours), "reason": "; ".join([words, *shown])}


def _scripts(results: Results) -> Measured | str:
    tokens = results.get("02_tokens", {})
    unlabeled = tokens.get("unlabeled", {})
    words = "the blog says 386K and the paper 368K; ours are distinct after normalisation"
    if snippets := unlabeled.get("snippets"):
        words += f", without {snippets:,} snippets"

    def grade(count: int) -> str:
        return _graded(count >= 368_000, count >= 36_800)

    pinned = unlabeled.get("pinned", tokens.get("unlabeled_distinct"))
    return _counted(pinned, unlabeled.get("distinct_history"), grade, words)


def _vocabulary(results: Results) -> Measured | str:
    def grade(count: int) -> str:
        return _graded(0.75 <= count / 81_111 <= 1.25, 0.5 <= count / 81_111 <= 2)

    unlabeled = results.get("02_tokens", {}).get("unlabeled", {})
    pinned, history = unlabeled.get("pinned_vocabulary"), unlabeled.get("vocabulary")
    return _counted(pinned, history, grade, "all versions of a path are one script")


def _of_median_seed(judge: Callable[[Semantics], Measured | None], results: Results) -> Measured | str:
    """Judge each seed of Word2vec and return the median, with what every seed says."""
    semantics = results.get("04_semantics", {})
    measured: list[Measured] = []
    for answers in semantics.get("seeds") or [{}]:
        one = judge(semantics | answers)
        if one is None:
            missing = (semantics | answers).get("missing", [])
            named = f": not in the vocabulary: {', '.join(missing[:8])}" if missing else ""
            return _not_measured("04_semantics") + named
        measured.append(one)
    median = sorted(measured, key=_grade_and_rank)[len(measured) // 2]
    if len(measured) < 2:
        return median
    said = f"{len(measured)} seeds: {', '.join(_short(one['ours']) for one in measured)}"
    return median | {"reason": "; ".join(filter(None, (median.get("reason"), said)))}


def _grade_and_rank(one: Measured) -> tuple[int, float]:
    ours = one["ours"]
    return VERDICTS.index(one["verdict"]), ours if isinstance(ours, int | float) else 0


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _groups(semantics: Semantics) -> Measured | None:
    groups: TokenGroups = semantics.get("groups", {}).get("C03", {})
    operators = groups.get("operators", {}).get("mean_rank")
    policies = groups.get("policies", {}).get("mean_rank")
    if operators is None or policies is None:
        return None
    worse = max(operators, policies)
    verdict = _graded(worse <= 10, min(operators, policies) <= 10)
    reason = f"mean rank: operators {operators:.1f}, policies {policies:.1f}"
    return {"ours": worse, "n": groups.get("vocabulary"), "verdict": verdict, "reason": reason}


def _alias(alias: str, semantics: Semantics) -> Measured | None:
    pair = semantics.get("aliases", {}).get(alias, {})
    rank, reverse = pair.get("rank"), pair.get("reverse_rank")
    if rank is None or reverse is None:
        return None
    worse = max(rank, reverse)
    verdict = _graded(rank == reverse == 1, 1 in (rank, reverse) or worse <= 10)
    reason = f"{alias} to {pair['target']}: rank {rank}; back: rank {reverse}"
    return {"ours": worse, "n": semantics.get("vocabulary"), "verdict": verdict, "reason": reason}


def _odd(claim_id: str, semantics: Semantics) -> Measured | None:
    answer = semantics.get("odd_one_out", {}).get(claim_id, {})
    odd = answer.get("odd")
    if not odd:
        return None
    verdict = _graded(odd == answer["expected"], False)
    return {"ours": odd, "n": len(answer.get("distances", {})) or None, "verdict": verdict}


def _analogy(claim_id: str, semantics: Semantics) -> Measured | None:
    answer = semantics.get("analogies", {}).get(claim_id, {})
    rank = answer.get("rank")
    if rank is None:
        return None
    verdict = _graded(rank == 1, rank <= 5)
    reason = f"nearest: {answer.get('top1')}; expected: {answer.get('expected')}"
    return {"ours": rank, "n": semantics.get("vocabulary"), "verdict": verdict, "reason": reason}


def coverage_row(results: Results, protocol: str, model: str | None) -> CoverageRow | None:
    """Return the row of 08_evaluation's table for a protocol and model, at the rate that run asked for."""
    evaluation = results.get("08_evaluation", {})
    wanted = (protocol, model, evaluation.get("fpr"))
    rows = evaluation.get("table", [])
    return next((r for r in rows if (r["protocol"], r["model"], r["fpr_asked"]) == wanted), None)


def models_of(results: Results) -> dict[str, str]:
    """Return the names of the best network and the best traditional model, both chosen in P3."""
    best = results.get("08_evaluation", {}).get("best", {})
    return {kind: name for kind, name in best.items() if name}


def _untestable(results: Results, measured: object) -> str:
    """Return why 08_evaluation, which gave `measured`, cannot test the study, "" if it can."""
    asked = results.get("08_evaluation", {}).get("fpr")
    if asked is not None and asked != STUDY_FPR:
        return f"this run asked for a false-positive rate of {asked:g}, the study for {STUDY_FPR:g}"
    return "" if asked and measured else _not_measured("08_evaluation")


def _measured(row: Difference) -> Measured:
    return {"ours": row["difference"], "low": row["low"], "high": row["high"], "n": row.get("n")}


def _gained(row: Difference) -> str:
    points = (100 * row[key] for key in ("difference", "low", "high"))
    return "{:+.1f} points ({:+.1f} to {:+.1f})".format(*points)


def _coverage(kind: str, published: float, results: Results) -> Measured | str:
    model = FIGURE_4 if kind == "deep" else models_of(results).get(kind)
    row = coverage_row(results, "p1", model)
    untestable = _untestable(results, row)
    if untestable or row is None:
        return untestable
    tpr, off = row["tpr"], abs(row["tpr"] - published)
    reached, near = (
        (tpr >= published, tpr >= published - 0.15) if kind == "deep" else (off <= 0.05, off <= 0.15)
    )
    within = row["low"] <= published <= row["high"]
    others = {protocol: coverage_row(results, protocol, model) for protocol in ("p2", "p3")}
    beside = "".join(f"; {name.upper()}: {other['tpr']:.1%}" for name, other in others.items() if other)
    own = coverage_row(results, "p1", models_of(results).get("deep")) if kind == "deep" else None
    beside += f"; our best network, {own['model']}, P1: {own['tpr']:.1%}" if own else ""
    beside += f"; {ONLY_WIDE}" * (within and not reached)
    return {
        "ours": tpr,
        "low": row["low"],
        "high": row["high"],
        "n": row["positives"],
        "verdict": _graded(reached or within, near),
        "reason": f"P1: {row['model']}, realised FPR {row['fpr']:.2%}{beside}; published on other data",
    }


def _gain(results: Results) -> Measured | str:
    gains = {
        protocol: pairs[AGAINST]
        for protocol, pairs in results.get("08_evaluation", {}).get("gain", {}).items()
        if AGAINST in pairs
    }
    if untestable := _untestable(results, "p1" in gains):
        return untestable
    gain = gains["p1"]
    better, large = gain["low"] > 0, gain["high"] >= 0.22
    beside = "".join(f"; {name.upper()}: {_gained(row)}" for name, row in gains.items() if name != "p1")
    reason = f"P1: {FIGURE_4} against {gain['traditional']}{beside}; published on other data"
    return {**_measured(gain), "verdict": _graded(better and large, better), "reason": reason}


def _onnx(results: Results) -> Measured | str:
    parity = results.get("09_onnx", {})
    difference, equal = parity.get("max_abs_diff"), parity.get("decisions_equal")
    if difference is None or equal is None:
        return _not_measured("09_onnx")
    same = equal is True  # a count is no yes
    return {"ours": difference, "n": parity.get("n"), "verdict": _graded(same and difference <= 1e-5, same)}


def _mlnet(results: Results) -> Measured | str:
    found = results.get("mlnet", {})
    difference, differ, n = (found.get(name) for name in ("max_abs_diff", "verdicts_differ", "texts"))
    if difference is None or differ is None or not n:
        return _not_measured("make dotnet")
    close = n >= 10_000 and difference <= 1e-5
    return {"ours": difference, "n": n, "verdict": _graded(differ == 0 and close, differ == 0)}


def _case(claim_id: Literal["C22", "C23", "C24"], results: Results) -> Measured | str:
    case = results.get("10_case_studies", {}).get(claim_id, {})
    deep, traditional, n = case.get("deep"), case.get("traditional"), case.get("n")
    if n == 0:
        return "no script of this kind is in the test set"
    if deep is None or traditional is None or n is None:
        return _not_measured("10_case_studies")
    if untestable := _untestable(results, case):
        return untestable
    many = n >= 20 and deep >= 0.9 and deep > traditional
    interval: Measured = {"low": case.get("deep_low"), "high": case.get("deep_high")}
    reason = f"detected: network {deep:.1%}, traditional model chosen in P3 {traditional:.1%}"
    return {"ours": deep, **interval, "n": n, "verdict": _graded(many, deep > 0.5), "reason": reason}


def _least_seeds(results: Results, models: set[str]) -> int:
    """Return the least number of seeds that one of the networks among `models` was trained with."""
    networks = models & set(results.get("07_cnn_lstm", {}).get("networks", ()))
    rows = [coverage_row(results, "p1", name) for name in networks]
    return min((row["seeds"] if row else 0 for row in rows), default=0)


def _compared(claim: str, results: Results) -> Measured | str:
    compared = results.get("08_evaluation", {}).get("comparisons", {})
    pairs = {protocol: claims[claim] for protocol, claims in compared.items() if claim in claims}
    if untestable := _untestable(results, "p1" in pairs):
        return untestable
    least = {protocol: min(rows, key=lambda row: row["difference"]) for protocol, rows in pairs.items()}
    shown = "; ".join(
        f"{protocol.upper()}: {row['models'][0]} against {row['models'][1]} {_gained(row)}"
        for protocol, row in least.items()
    )
    seeds = _least_seeds(results, {name for row in pairs["p1"] for name in row["models"]})
    above = all(row["low"] > 0 for row in pairs["p1"]) and seeds >= SEEDS
    verdict = _graded(above, least["p1"]["difference"] > 0)
    reason = f"the least gain of each protocol ({seeds} seeds in P1): {shown}"
    return {**_measured(least["p1"]), "verdict": verdict, "reason": reason}


_SEMANTICS: dict[str, Callable[[Semantics], Measured | None]] = {
    "C03": _groups,
    "C04": partial(_alias, "iex"),
    "C05": partial(_alias, "iwr"),
    "C06": partial(_alias, "gci"),
    **{claim: partial(_odd, claim) for claim in ("C07", "C08")},
    **{claim: partial(_analogy, claim) for claim in ("C09", "C10", "C11", "C12", "C13")},
}
MEASURES: dict[str, Callable[[Results], Measured | str]] = {
    "C01": _scripts,
    "C02": _vocabulary,
    **{claim: partial(_of_median_seed, judge) for claim, judge in _SEMANTICS.items()},
    "C14": partial(_coverage, "traditional", 0.67),
    "C15": partial(_coverage, "deep", 0.89),
    "C16": _gain,
    **{claim: partial(_compared, claim) for claim in ("C17", "C18", "C19")},
    "C20": _onnx,
    "C21": _mlnet,
    "C22": partial(_case, "C22"),
    "C23": partial(_case, "C23"),
    "C24": partial(_case, "C24"),
}


_CLAIMS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
CLAIMS = tuple(
    Claim(id=claim, **fields | {"earlier": tuple(fields.get("earlier", ()))})
    for claim, fields in _CLAIMS.items()
)
