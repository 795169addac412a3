"""The claims of the study, how each is measured in the results, and the rules that judge it.

`RULES` states in words when a claim counts as reproduced, partly reproduced or not reproduced; the functions
below do exactly that. They were written before the results, with three changes since: C01 counts older
versions of scripts, C17 to C19 ask for three seeds, and C19 takes the n-gram model that validation prefers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypedDict

from psembed.project.results import CoverageRow, Gain, Interval, Results, TokenGroups

REPRODUCED, PARTLY, NOT_REPRODUCED, NOT_TESTABLE = "reproduced", "partly", "not_reproduced", "not_testable"
STUDY_FPR = 0.001  # the study's false-positive rate, 0.1%
DEEP = "cnn_lstm"
FIGURE_4 = "cnn_lstm_tuned"  # the study's network, its vectors trained further
SEEDS = 3  # of each network, before a comparison of networks counts as reproduced

RULES = {
    "C01": "reproduced: at least 368,000 distinct scripts; partly: at least a tenth of that.",
    "C02": "reproduced: within 25% of 81,111 tokens; partly: between half and double.",
    "C03": "reproduced: the mean rank of the members among each other's neighbours is at most 10 in both"
    " groups; partly: in one.",
    "C04-C06": "reproduced: alias and command are each other's nearest token; partly: one direction is,"
    " or both ranks are at most 10.",
    "C07-C08": "reproduced: the token named by the study is the farthest; else not reproduced.",
    "C09-C13": "reproduced: the expected token is the nearest, the three inputs left out; partly: it is"
    " among the 5 nearest.",
    "C14": "P1. reproduced: within 5 points of 67%, or 67% is in our interval; partly: within 15 points.",
    "C15": "P1. reproduced: at least 89%, or 89% is in our interval; partly: at least 74%.",
    "C16": "P1. reproduced: the paired interval lies above zero and does not end below 22 points; partly:"
    " it lies above zero.",
    "C14-C16": "partly at best where the realised false-positive rate is above the one asked for, by the"
    " lower end of its interval.",
    "C17-C19": "P1. reproduced: every paired interval lies above zero, with three seeds or more of each"
    " network; partly: every difference does. C17:"
    " pre-trained vectors against random ones; C18: both views against each alone; C19: the ensemble of the"
    " n-gram model that validation prefers and the character network against each of them.",
    "C21": "not measured by this version.",
    "C20": "reproduced: same decisions, no score differs by more than 1e-5; partly: same decisions.",
    "C22-C24": "reproduced: at least 20 test scripts of the kind, 90% of them detected, more than by the"
    " best traditional model, at a realised false-positive rate not above the one asked for (as in C14-C16);"
    " partly: most of them detected; else not reproduced.",
}


class Measured(TypedDict, total=False):
    """What a run says of a claim; `reason` where there is something to add."""

    ours: float | str
    low: float | None
    high: float | None
    n: int | None
    verdict: str
    reason: str


@dataclass(frozen=True)
class Claim:
    """One claim of the study and how it is measured."""

    id: str
    claim: str
    source: str
    published: float | str | None
    unit: str
    notebook: str
    measure: Callable[..., Measured | str]
    about: tuple[str | float, ...] = ()  # what `measure` is asked, before the results
    real_scripts: bool = True  # says something of real scripts: not testable on a generated corpus


def _graded(reproduced: bool, partly: bool) -> str:
    return REPRODUCED if reproduced else PARTLY if partly else NOT_REPRODUCED


def _not_measured(stage: str) -> str:
    return f"{stage} has not measured it"


# ---- sizes and semantics ----


def _scripts(results: Results) -> Measured | str:
    tokens = results.get("02_tokens", {})
    head = tokens.get("unlabeled_distinct")
    if head is None:
        return _not_measured("02_tokens")
    ours = tokens.get("unlabeled", {}).get("distinct_history") or head
    return {
        "ours": ours,
        "verdict": _graded(ours >= 368_000, ours >= 36_800),
        "reason": "the blog says 386K and the paper 368K; ours are distinct after normalisation, older"
        f" versions included; {head:,} at the pinned commits",
    }


def _vocabulary(results: Results) -> Measured | str:
    ours = results.get("02_tokens", {}).get("unlabeled", {}).get("vocabulary")
    if ours is None:
        return _not_measured("02_tokens")
    ratio = ours / 81_111
    return {"ours": ours, "verdict": _graded(0.75 <= ratio <= 1.25, 0.5 <= ratio <= 2)}


def _groups(results: Results) -> Measured | str:
    groups: TokenGroups = results.get("04_semantics", {}).get("groups", {}).get("C03", {})
    operators = groups.get("operators", {}).get("mean_rank")
    policies = groups.get("policies", {}).get("mean_rank")
    if operators is None or policies is None:
        return _missing(results)
    close = [rank <= 10 for rank in (operators, policies)]
    return {
        "ours": max(operators, policies),
        "n": groups.get("vocabulary"),
        "verdict": _graded(all(close), any(close)),
        "reason": f"mean rank: operators {operators:.1f}, policies {policies:.1f}",
    }


def _missing(results: Results) -> str:
    missing = results.get("04_semantics", {}).get("missing", [])
    named = f": not in the vocabulary: {', '.join(missing[:8])}" if missing else ""
    return _not_measured("04_semantics") + named


def _alias(alias: str, results: Results) -> Measured | str:
    semantics = results.get("04_semantics", {})
    pair = semantics.get("aliases", {}).get(alias, {})
    rank, reverse = pair.get("rank"), pair.get("reverse_rank")
    if rank is None or reverse is None:
        return _missing(results)
    return {
        "ours": max(rank, reverse),
        "n": semantics.get("vocabulary"),
        "verdict": _graded(rank == reverse == 1, 1 in (rank, reverse) or max(rank, reverse) <= 10),
        "reason": f"{alias} to {pair['target']}: rank {rank}; back: rank {reverse}",
    }


def _odd(claim_id: str, results: Results) -> Measured | str:
    answer = results.get("04_semantics", {}).get("odd_one_out", {}).get(claim_id, {})
    odd = answer.get("odd")
    if not odd:
        return _missing(results)
    verdict = _graded(odd == answer["expected"], False)
    return {"ours": odd, "n": len(answer.get("distances", {})) or None, "verdict": verdict}


def _analogy(claim_id: str, results: Results) -> Measured | str:
    semantics = results.get("04_semantics", {})
    answer = semantics.get("analogies", {}).get(claim_id, {})
    rank = answer.get("rank")
    if rank is None:
        return _missing(results)
    return {
        "ours": rank,
        "n": semantics.get("vocabulary"),
        "verdict": _graded(rank == 1, rank <= 5),
        "reason": f"nearest: {answer.get('top1')}; expected: {answer.get('expected')}",
    }


# ---- detection ----


def coverage_row(results: Results, protocol: str, model: str | None) -> CoverageRow | None:
    """Return the row of 08_evaluation's table for a protocol and model, at the rate that run asked for."""
    evaluation = results.get("08_evaluation", {})
    wanted = (protocol, model, evaluation.get("fpr"))
    rows = evaluation.get("table", [])
    return next((r for r in rows if (r["protocol"], r["model"], r["fpr_asked"]) == wanted), None)


def models_of(results: Results, protocol: str) -> dict[str, str | None]:
    """Return the names of the best traditional model (chosen on validation data) and the deep model."""
    gain: Gain = results.get("08_evaluation", {}).get("gain", {}).get(protocol, {})
    return {"traditional": gain.get("traditional"), "deep": gain.get("deep", DEEP)}


def _untestable(results: Results) -> str:
    """Return why 08_evaluation cannot test the study, "" if it can."""
    asked = results.get("08_evaluation", {}).get("fpr")
    if asked is None:
        return _not_measured("08_evaluation")
    if asked != STUDY_FPR:
        return f"this run asked for a false-positive rate of {asked:g}, the study for {STUDY_FPR:g}"
    return ""


def _realised_too_high(row: CoverageRow | None) -> bool:
    return row is not None and row["fpr_low"] is not None and row["fpr_low"] > row["fpr_asked"]


def _gained(row: Interval) -> str:
    return f"{row['difference']:+.1%} ({row['low']:+.1%} to {row['high']:+.1%})"


def _coverage(kind: str, published: float, results: Results) -> Measured | str:
    row = coverage_row(results, "p1", models_of(results, "p1")[kind])
    untestable = _untestable(results)
    if untestable or row is None:
        return untestable or _not_measured("08_evaluation")
    tpr, off = row["tpr"], abs(row["tpr"] - published)
    reached, near = (
        (tpr >= published, tpr >= published - 0.15) if kind == "deep" else (off <= 0.05, off <= 0.15)
    )
    reached = reached or row["low"] <= published <= row["high"]
    across = coverage_row(results, "p2", models_of(results, "p2")[kind])
    beside = f"; P2: {across['model']} {across['tpr']:.1%}" if across else ""
    own = coverage_row(results, "p1", FIGURE_4) if kind == "deep" else None
    beside += f"; Figure 4's network itself, P1: {own['tpr']:.1%}" if own else ""
    return {
        "ours": tpr,
        "low": row["low"],
        "high": row["high"],
        "n": row["positives"],
        "verdict": _graded(reached and not _realised_too_high(row), reached or near),
        "reason": f"P1: {row['model']}, realised FPR {row['fpr']:.2%}{beside}; published on other data",
    }


def _gain(results: Results) -> Measured | str:
    gains = results.get("08_evaluation", {}).get("gain", {})
    untestable = _untestable(results)
    if untestable or "p1" not in gains:
        return untestable or _not_measured("08_evaluation")
    gain = gains["p1"]
    rows = [coverage_row(results, "p1", name) for name in models_of(results, "p1").values()]
    clean = not any(_realised_too_high(row) for row in rows)
    better, large = gain["low"] > 0, gain["high"] >= 0.22
    beside = f"; P2: {_gained(gains['p2'])}" if "p2" in gains else ""
    return {
        "ours": gain["difference"],
        "low": gain["low"],
        "high": gain["high"],
        "n": gain.get("n"),
        "verdict": _graded(better and large and clean, better),
        "reason": f"P1: against {gain['traditional']}{beside}; published on other data",
    }


def _onnx(results: Results) -> Measured | str:
    parity = results.get("09_onnx", {})
    difference, equal = parity.get("max_abs_diff"), parity.get("decisions_equal")
    if difference is None or equal is None:
        return _not_measured("09_onnx")
    same = equal is True  # a count is no yes
    return {"ours": difference, "n": parity.get("n"), "verdict": _graded(same and difference <= 1e-5, same)}


def _case(claim_id: Literal["C22", "C23", "C24"], results: Results) -> Measured | str:
    case = results.get("10_case_studies", {}).get(claim_id, {})
    deep, traditional, n = case.get("deep"), case.get("traditional"), case.get("n")
    if n == 0:
        return "no script of this kind is in the test set"
    if deep is None or traditional is None or n is None:
        return _not_measured("10_case_studies")
    row = coverage_row(results, "p1", models_of(results, "p1")["deep"])
    many = n >= 20 and deep >= 0.9 and deep > traditional and not _realised_too_high(row)
    return {
        "ours": deep,
        "low": case.get("deep_low"),
        "high": case.get("deep_high"),
        "n": n,
        "verdict": _graded(many, deep > 0.5),
        "reason": f"detected: network {deep:.1%}, best traditional {traditional:.1%}",
    }


def _least_seeds(results: Results, models: set[str]) -> int:
    """Return the least number of seeds that one of the networks among `models` was trained with."""
    networks = models & set(results.get("07_cnn_lstm", {}).get("networks", ()))
    rows = [coverage_row(results, "p1", name) for name in networks]
    return min((row["seeds"] if row else 0 for row in rows), default=0)


def _compared(claim: str, results: Results) -> Measured | str:
    pairs = results.get("08_evaluation", {}).get("comparisons", {}).get(claim, {})
    untestable = _untestable(results)
    if untestable or "p1" not in pairs:
        return untestable or _not_measured("08_evaluation")
    least = {protocol: min(rows, key=lambda row: row["difference"]) for protocol, rows in pairs.items()}
    shown = "; ".join(
        f"{protocol.upper()}: {row['models'][0]} against {row['models'][1]} {_gained(row)}"
        for protocol, row in least.items()
    )
    seeds = _least_seeds(results, {name for row in pairs["p1"] for name in row["models"]})
    above = all(row["low"] > 0 for row in pairs["p1"]) and seeds >= SEEDS
    return {
        "ours": least["p1"]["difference"],
        "low": least["p1"]["low"],
        "high": least["p1"]["high"],
        "n": least["p1"]["n"],
        "verdict": _graded(above, least["p1"]["difference"] > 0),
        "reason": f"the least gain of each protocol ({seeds} seeds): {shown}",
    }


def _no_dotnet(_: Results) -> str:
    return "not reached: needs a .NET runtime, which no step of this version installs"


_TOGETHER = "-eq, -ne, -gt lie together, and so do four execution policies"
_LARGEST, _DETECTED = "largest difference of scores", "share detected"
BLOG, DECK = "blog, 2019", "slides on alert fatigue"
PAPER_2018, PAPER_2019 = "arXiv 1804.04177", "arXiv 1905.09538"
_ANALOGIES = {
    "C09": "high - $false + $true = low",
    "C10": "-eq - $false + $true = -ne (the blog spells it -neq)",
    "C11": "DownloadFile - $destfile + $str = DownloadString",
    "C12": "Export-CSV - $csv + $html = ConvertTo-Html",
    "C13": "Get-Process - $processes + $services = Get-Service",
}
_ALIASES = {
    "C04": ("iex", "IEX and Invoke-Expression are nearest to each other"),
    "C05": ("iwr", "IWR and Invoke-WebRequest are nearest to each other"),
    "C06": ("gci", "GCI and Get-ChildItem are nearest to each other"),
}
_ODD = {
    "C07": ("$true", "of $i, $j, $k and $true, $true is farthest from the centre of mass"),
    "C08": ("bypass", "of bypass and four window styles, bypass is farthest from the centre of the styles"),
}
_CASES = {
    "C22": "the network detects heavily obfuscated scripts",
    "C23": "the network detects obfuscated scripts that download and run a payload",
    "C24": "the network detects scripts that decrypt and execute code",
}
_S, _E, _RATE = "04_semantics", "08_evaluation", "TPR at FPR 0.1%"
_GAIN, _RANK = "difference of TPR at FPR 0.1%", "rank of the expected token"
CLAIMS = (
    Claim("C01", "distinct unlabeled scripts", BLOG, 386_000, "scripts", "02_tokens", _scripts),
    Claim("C02", "tokens in ten scripts or more", PAPER_2019, 81_111, "tokens", "02_tokens", _vocabulary),
    Claim("C03", _TOGETHER, BLOG, None, "mean rank, worse group", _S, _groups),
    *(
        Claim(i, text, BLOG, 1, "rank, worse direction", _S, _alias, (a,))
        for i, (a, text) in _ALIASES.items()
    ),
    *(Claim(i, text, BLOG, odd, "odd one out", _S, _odd, (i,)) for i, (odd, text) in _ODD.items()),
    *(Claim(i, text, BLOG, 1, _RANK, _S, _analogy, (i,)) for i, text in _ANALOGIES.items()),
    Claim("C14", "coverage of traditional models", DECK, 0.67, _RATE, _E, _coverage, ("traditional", 0.67)),
    Claim("C15", "coverage of the deep model", DECK, 0.89, _RATE, _E, _coverage, ("deep", 0.89)),
    Claim("C16", "gain of the deep model over traditional ones", BLOG, 0.22, _GAIN, _E, _gain),
    Claim("C17", "pre-training on unlabeled scripts helps", PAPER_2019, None, _GAIN, _E, _compared, ("C17",)),
    Claim("C18", "tokens and characters beat either alone", PAPER_2019, None, _GAIN, _E, _compared, ("C18",)),
    Claim(
        "C19", "an ensemble of an NLP and a character model", PAPER_2018, None, _GAIN, _E, _compared, ("C19",)
    ),
    Claim(
        "C20", "ONNX scores equal Keras scores", BLOG, None, _LARGEST, "09_onnx", _onnx, real_scripts=False
    ),
    Claim("C21", "ML.NET scores the exported model", BLOG, None, _LARGEST, "09_onnx", _no_dotnet),
    *(Claim(i, text, BLOG, None, _DETECTED, "10_case_studies", _case, (i,)) for i, text in _CASES.items()),
)
