"""The claims of the study, how each is measured in the results, and the rules that judge it.

`RULES` states in words when a claim counts as reproduced, partly reproduced or not reproduced; the functions
below do exactly that. They were written before the results, with three changes since: C01 counts older
versions of scripts, C17 to C19 ask for three seeds, and C19 takes the n-gram model that validation prefers.
"""

from collections.abc import Callable
from dataclasses import dataclass

from psembed.project.results import find

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


@dataclass(frozen=True)
class Claim:
    """One claim of the study and how it is measured."""

    id: str
    claim: str
    source: str
    published: float | str | None
    unit: str
    notebook: str
    measure: Callable[[dict], dict | str]
    real_scripts: bool = True  # says something of real scripts: not testable on a generated corpus


def _graded(reproduced: bool, partly: bool) -> str:
    return REPRODUCED if reproduced else PARTLY if partly else NOT_REPRODUCED


def _not_measured(stage: str) -> str:
    return f"{stage} has not measured it"


# ---- sizes and semantics ----


def _scripts(results: dict) -> dict | str:
    head = find(results, "02_tokens", "unlabeled_distinct")
    if head is None:
        return _not_measured("02_tokens")
    ours = find(results, "02_tokens", "unlabeled", "distinct_history") or head
    return {
        "ours": ours,
        "verdict": _graded(ours >= 368_000, ours >= 36_800),
        "reason": "the blog says 386K and the paper 368K; ours are distinct after normalisation, older"
        f" versions included; {head:,} at the pinned commits",
    }


def _vocabulary(results: dict) -> dict | str:
    ours = find(results, "02_tokens", "unlabeled", "vocabulary")
    if ours is None:
        return _not_measured("02_tokens")
    ratio = ours / 81_111
    return {"ours": ours, "verdict": _graded(0.75 <= ratio <= 1.25, 0.5 <= ratio <= 2)}


def _groups(results: dict) -> dict | str:
    groups = find(results, "04_semantics", "groups", "C03") or {}
    ranks = [find(groups, name, "mean_rank") for name in ("operators", "policies")]
    if None in ranks:
        return _missing(results)
    close = [rank <= 10 for rank in ranks]
    return {
        "ours": max(ranks),
        "n": groups.get("vocabulary"),
        "verdict": _graded(all(close), any(close)),
        "reason": f"mean rank: operators {ranks[0]:.1f}, policies {ranks[1]:.1f}",
    }


def _missing(results: dict) -> str:
    missing = find(results, "04_semantics", "missing") or []
    named = f": not in the vocabulary: {', '.join(missing[:8])}" if missing else ""
    return _not_measured("04_semantics") + named


def _alias(alias: str) -> Callable[[dict], dict | str]:
    def measure(results: dict) -> dict | str:
        pair = find(results, "04_semantics", "aliases", alias) or {}
        ranks = [pair.get("rank"), pair.get("reverse_rank")]
        if None in ranks:
            return _missing(results)
        return {
            "ours": max(ranks),
            "n": find(results, "04_semantics", "vocabulary"),
            "verdict": _graded(ranks == [1, 1], 1 in ranks or max(ranks) <= 10),
            "reason": f"{alias} to {pair['target']}: rank {ranks[0]}; back: rank {ranks[1]}",
        }

    return measure


def _odd(claim_id: str) -> Callable[[dict], dict | str]:
    def measure(results: dict) -> dict | str:
        found = find(results, "04_semantics", "odd_one_out", claim_id) or {}
        if not found.get("odd"):
            return _missing(results)
        verdict = _graded(found["odd"] == found["expected"], False)
        return {"ours": found["odd"], "n": len(found.get("distances") or []) or None, "verdict": verdict}

    return measure


def _analogy(claim_id: str) -> Callable[[dict], dict | str]:
    def measure(results: dict) -> dict | str:
        found = find(results, "04_semantics", "analogies", claim_id) or {}
        rank = found.get("rank")
        if rank is None:
            return _missing(results)
        return {
            "ours": rank,
            "n": find(results, "04_semantics", "vocabulary"),
            "verdict": _graded(rank == 1, rank <= 5),
            "reason": f"nearest: {found.get('top1')}; expected: {found.get('expected')}",
        }

    return measure


# ---- detection ----


def coverage_row(results: dict, protocol: str, model: str | None) -> dict | None:
    """Return the row of 08_evaluation's table for a protocol and model, at the rate that run asked for."""
    asked = find(results, "08_evaluation", "fpr")
    for row in find(results, "08_evaluation", "table") or []:
        if (row["protocol"], row["model"], row["fpr_asked"]) == (protocol, model, asked):
            return row
    return None


def models_of(results: dict, protocol: str) -> dict[str, str | None]:
    """Return the names of the best traditional model (chosen on validation data) and the deep model."""
    gain = find(results, "08_evaluation", "gain", protocol) or {}
    deep = gain.get("deep")
    return {"traditional": gain.get("traditional"), "deep": deep if isinstance(deep, str) else DEEP}


def _untestable_rate(results: dict) -> str | None:
    asked = find(results, "08_evaluation", "fpr")
    if asked is None:
        return _not_measured("08_evaluation")
    if asked != STUDY_FPR:
        return f"this run asked for a false-positive rate of {asked:g}, the study for {STUDY_FPR:g}"
    return None


def _realised_too_high(row: dict) -> bool:
    return row["fpr_low"] is not None and row["fpr_low"] > row["fpr_asked"]


def _coverage(kind: str, published: float) -> Callable[[dict], dict | str]:
    def measure(results: dict) -> dict | str:
        row = coverage_row(results, "p1", models_of(results, "p1")[kind])
        if _untestable_rate(results) or row is None:
            return _untestable_rate(results) or _not_measured("08_evaluation")
        inside = row["low"] <= published <= row["high"]
        if kind == "deep":
            reached, near = row["tpr"] >= published, row["tpr"] >= published - 0.15
        else:
            reached, near = abs(row["tpr"] - published) <= 0.05, abs(row["tpr"] - published) <= 0.15
        across = coverage_row(results, "p2", models_of(results, "p2")[kind])
        beside = f"; P2: {across['model']} {across['tpr']:.1%}" if across else ""
        own = coverage_row(results, "p1", FIGURE_4) if kind == "deep" else None
        beside += f"; Figure 4's network itself, P1: {own['tpr']:.1%}" if own else ""
        return {
            "ours": row["tpr"],
            "low": row["low"],
            "high": row["high"],
            "n": row["positives"],
            "verdict": _graded(
                (reached or inside) and not _realised_too_high(row), reached or inside or near
            ),
            "reason": f"P1: {row['model']}, realised FPR {row['fpr']:.2%}{beside}; published on other data",
        }

    return measure


def _gain(results: dict) -> dict | str:
    gain = find(results, "08_evaluation", "gain", "p1")
    if _untestable_rate(results) or not gain:
        return _untestable_rate(results) or _not_measured("08_evaluation")
    rows = [coverage_row(results, "p1", name) for name in models_of(results, "p1").values()]
    clean = not any(row and _realised_too_high(row) for row in rows)
    better, large = gain["low"] > 0, gain["high"] >= 0.22
    across = find(results, "08_evaluation", "gain", "p2")
    beside = (
        f"; P2: {across['difference']:+.1%} ({across['low']:+.1%} to {across['high']:+.1%})" if across else ""
    )
    return {
        "ours": gain["difference"],
        "low": gain["low"],
        "high": gain["high"],
        "n": gain.get("n"),
        "verdict": _graded(better and large and clean, better),
        "reason": f"P1: against {gain['traditional']}{beside}; published on other data",
    }


def _onnx(results: dict) -> dict | str:
    found = find(results, "09_onnx") or {}
    difference, equal, n = (found.get(key) for key in ("max_abs_diff", "decisions_equal", "n"))
    if difference is None or equal is None:
        return _not_measured("09_onnx")
    return {
        "ours": difference,
        "n": n,
        "verdict": _graded(equal is True and difference <= 1e-5, equal is True),
    }


def _case(claim_id: str) -> Callable[[dict], dict | str]:
    def measure(results: dict) -> dict | str:
        found = find(results, "10_case_studies", claim_id) or {}
        deep, traditional, n = (found.get(key) for key in ("deep", "traditional", "n"))
        if n == 0:
            return "no script of this kind is in the test set"
        if None in (deep, traditional, n):
            return _not_measured("10_case_studies")
        row = coverage_row(results, "p1", models_of(results, "p1")["deep"])
        many = n >= 20 and deep >= 0.9 and deep > traditional and not (row and _realised_too_high(row))
        rates = f"detected: network {deep:.1%}, best traditional {traditional:.1%}"
        interval = {"low": found.get("deep_low"), "high": found.get("deep_high")}
        return {"ours": deep, **interval, "n": n, "verdict": _graded(many, deep > 0.5), "reason": rates}

    return measure


def _least_seeds(results: dict, models: set[str]) -> int:
    """Return the least number of seeds that one of the networks among `models` was trained with."""
    networks = models & set(find(results, "07_cnn_lstm", "networks") or ())
    return min(((coverage_row(results, "p1", name) or {}).get("seeds", 0) for name in networks), default=0)


def _compared(claim: str) -> Callable[[dict], dict | str]:
    def measure(results: dict) -> dict | str:
        found = find(results, "08_evaluation", "comparisons", claim) or {}
        if _untestable_rate(results) or "p1" not in found:
            return _untestable_rate(results) or _not_measured("08_evaluation")
        worst = {name: min(rows, key=lambda row: row["difference"]) for name, rows in found.items()}
        shown = "; ".join(
            f"{name.upper()}: {row['models'][0]} against {row['models'][1]} {row['difference']:+.1%}"
            f" ({row['low']:+.1%} to {row['high']:+.1%})"
            for name, row in worst.items()
        )
        seeds = _least_seeds(results, {name for row in found["p1"] for name in row["models"]})
        above = all(row["low"] > 0 for row in found["p1"]) and seeds >= SEEDS
        return {
            "ours": worst["p1"]["difference"],
            "low": worst["p1"]["low"],
            "high": worst["p1"]["high"],
            "n": worst["p1"]["n"],
            "verdict": _graded(above, worst["p1"]["difference"] > 0),
            "reason": f"the least gain of each protocol ({seeds} seeds): {shown}",
        }

    return measure


def _later(reason: str) -> Callable[[dict], str]:
    return lambda results: reason


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
_NO_DOTNET = _later("not reached: needs a .NET runtime, which no step of this version installs")
CLAIMS = (
    Claim("C01", "distinct unlabeled scripts", BLOG, 386_000, "scripts", "02_tokens", _scripts),
    Claim("C02", "tokens in ten scripts or more", PAPER_2019, 81_111, "tokens", "02_tokens", _vocabulary),
    Claim("C03", _TOGETHER, BLOG, None, "mean rank, worse group", _S, _groups),
    *(Claim(i, text, BLOG, 1, "rank, worse direction", _S, _alias(a)) for i, (a, text) in _ALIASES.items()),
    *(Claim(i, text, BLOG, odd, "odd one out", _S, _odd(i)) for i, (odd, text) in _ODD.items()),
    *(Claim(i, text, BLOG, 1, _RANK, _S, _analogy(i)) for i, text in _ANALOGIES.items()),
    Claim("C14", "coverage of traditional models", DECK, 0.67, _RATE, _E, _coverage("traditional", 0.67)),
    Claim("C15", "coverage of the deep model", DECK, 0.89, _RATE, _E, _coverage("deep", 0.89)),
    Claim("C16", "gain of the deep model over traditional ones", BLOG, 0.22, _GAIN, _E, _gain),
    Claim("C17", "pre-training on unlabeled scripts helps", PAPER_2019, None, _GAIN, _E, _compared("C17")),
    Claim("C18", "tokens and characters beat either alone", PAPER_2019, None, _GAIN, _E, _compared("C18")),
    Claim(
        "C19", "an ensemble of an NLP and a character model", PAPER_2018, None, _GAIN, _E, _compared("C19")
    ),
    Claim(
        "C20", "ONNX scores equal Keras scores", BLOG, None, _LARGEST, "09_onnx", _onnx, real_scripts=False
    ),
    Claim("C21", "ML.NET scores the exported model", BLOG, None, _LARGEST, "09_onnx", _NO_DOTNET),
    *(Claim(i, text, BLOG, None, _DETECTED, "10_case_studies", _case(i)) for i, text in _CASES.items()),
)
