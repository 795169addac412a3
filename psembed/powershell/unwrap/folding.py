"""Constant folding of PowerShell text: which expressions have a known value, and what is given to run."""

import re
from typing import NamedTuple

from psembed.powershell.cleaning import SINGLE_QUOTES, edited
from psembed.powershell.unwrap.parser import Parser
from psembed.powershell.unwrap.state import DECODINGS, Finding, Kind
from psembed.powershell.unwrap.values import Budget


class Folded(NamedTuple):
    """What constant folding gives."""

    text: str  # the script with each constant expression as a literal
    decoded: list[Finding]  # the strings, bytes and characters that a decoding gave, outermost only
    scripts: list[Finding]  # the strings that are given to run
    cut: str  # the limit that stopped it, or ""


def fold_constants(text: str, budget: Budget) -> Folded:
    """Return what `text` says once its constant expressions are evaluated.

    Never raises, on any text; a limit that is reached ends it early. Where a variable that was read as known
    turns out to vary, the text is read again without it.
    """
    parser = Parser(text, budget)
    cut = parser.run()
    findings, varying = parser.findings, parser.variables.varying
    uncovered = findings.constants or findings.decoded or findings.scripts
    if not cut and uncovered and varying & parser.variables.read:
        parser = Parser(text, budget, frozenset(varying))
        cut, findings = parser.run(), parser.findings
    everything = _outermost(findings.constants + findings.decoded)
    decoded = [each for each in everything if each.how in DECODINGS]
    literals = (
        (begin, end, value if how == Kind.WORD else quoted(value))
        for begin, end, value, how in _outermost(findings.constants)
    )
    return Folded(edited(text, literals), decoded, findings.scripts, cut)


def _outermost(findings: list[Finding]) -> list[Finding]:
    """Return those that are in no other, in order; of several at one place, the last."""
    kept: list[Finding] = []
    ordered = sorted(enumerate(findings), key=lambda each: (each[1].begin, -each[1].end, -each[0]))
    for _, each in ordered:
        if not kept or each.begin >= kept[-1].end:
            kept.append(each)
    return kept


def quoted(value: str) -> str:
    """Return a single-quoted literal."""
    return "'" + re.sub(f"([{SINGLE_QUOTES}])", r"\1\1", value) + "'"
