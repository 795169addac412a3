"""Constant folding of PowerShell text: which expressions have a known value, and what is given to run."""

import re
from typing import NamedTuple

from psembed.powershell.cleaning import SINGLE_QUOTES, edited
from psembed.powershell.unwrap.dotnet.values import Budget, Cut
from psembed.powershell.unwrap.interpreter.findings import WORD, Finding, Findings
from psembed.powershell.unwrap.interpreter.interpreter import Interpreter
from psembed.powershell.unwrap.interpreter.state import DECODINGS, Known
from psembed.powershell.unwrap.parsing.parser import Parser


class Folded(NamedTuple):
    """What constant folding gives."""

    text: str  # the script with each constant expression as a literal
    decoded: list[Finding]  # the strings, bytes and characters that a decoding gave, outermost only
    scripts: list[Finding]  # the strings that are given to run
    cut: str  # the limit that stopped it, or ""


def fold_constants(text: str, budget: Budget, values: dict[str, Known] | None = None) -> Folded:
    """Return what `text` says once its constant expressions are evaluated.

    Never raises, on any text; a limit that is reached ends it early. Where Windows PowerShell and
    PowerShell 7 read the text differently, what is decoded and run is given for both.
    """
    folded, ambiguous = _read(text, budget, values or {}, modern=True)
    if ambiguous and not folded.cut:
        older, _ = _read(text, budget, values or {}, modern=False)
        scripts = folded.scripts + [each for each in older.scripts if each not in folded.scripts]
        folded = Folded(folded.text, folded.decoded + older.decoded, scripts, older.cut)
    return folded


def _read(text: str, budget: Budget, values: dict[str, Known], *, modern: bool) -> tuple[Folded, bool]:
    """Return what one reading gives, and whether there is another."""
    parser = Parser(text, budget.steps, modern=modern)
    tree = parser.run()
    budget.steps -= (budget.steps - max(parser.tokens, 0)) // 2  # to read a token takes half a step
    findings = Findings(text, budget)
    cut = "steps" if parser.cut else ""
    try:
        Interpreter(budget, findings, values).run(tree)
    except Cut as reached:
        cut = str(reached)
    cut = cut or findings.cut
    constants = [
        *(Finding(begin, end, word, WORD) for begin, end, word in parser.words),
        *findings.constants(),
    ]
    everything = _outermost(constants + findings.decoded())
    decoded = [each for each in everything if each.how in DECODINGS] + findings.commands
    literals = (
        (begin, end, value if how == WORD else quoted(value))
        for begin, end, value, how in _outermost(constants)
    )
    return Folded(edited(text, literals), decoded, findings.scripts, cut), parser.ambiguous


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
