"""Statements of PowerShell: assignments and pipelines, as far as they matter for constants."""

from typing import Any

from psembed.powershell.unwrap.commands import CommandEvaluator
from psembed.powershell.unwrap.expressions import ExpressionEvaluator
from psembed.powershell.unwrap.operators import add, join
from psembed.powershell.unwrap.state import Findings, Item, Kind, Variables, decisive
from psembed.powershell.unwrap.values import CASTS, Budget, Element, attempt, elements


class StatementEvaluator:
    """Carries out statements on constants, with an evaluator of expressions and one of commands."""

    def __init__(self, budget: Budget, variables: Variables):
        self.budget, self.variables, self.findings = budget, variables, Findings(budget)
        self.expressions = ExpressionEvaluator(budget, variables, self.findings)
        self.commands = CommandEvaluator(self.expressions)

    def run(self, items: list[Item], bracket: str, *, header: bool) -> Item | None:
        """Return what a statement in a bracket gives; the `header` of a block assigns no constants."""
        place = next((number for number, item in enumerate(items[:8]) if item.kind == Kind.ASSIGN), 0)
        if not place:
            return self._pipeline(items)
        result = self._pipeline(items[place + 1 :]) if place + 1 < len(items) else None
        if bracket != "@{":
            self._assign(items[:place], items[place].name, result or Item(Kind.VALUE, 0, 0), header=header)
        return result if bracket == "(" and not header else None

    def bind_loop_variable(self, items: list[Item], *, header: bool) -> bool:
        """Bind the variable of `foreach ($x in ...)`; tell whether the items in the brackets are that."""
        if len(items) < 3 or not items[0].name or items[1].kind != Kind.WORD or items[1].name != "in":
            return False
        result = self.run(items[2:], "(", header=header)
        source = attempt(elements, result and result.value)
        if result is None or source is None or isinstance(result.value, Element):
            self.variables.values[items[0].name] = (None, "")
        else:
            self.variables.values[items[0].name] = (Element(source), result.how)
        return True

    def _assign(self, left: list[Item], operator: str, result: Item, *, header: bool) -> None:
        types = [item for item in left if item.kind == Kind.TYPE]
        target = [item for item in left if item.kind != Kind.TYPE]
        if not target or target[0].kind != Kind.VALUE or not target[0].name:
            return
        name, value, how = target[0].name, result.value, result.how
        if len(target) > 1:
            self._assign_part(name, target, value, how)
            return
        if header or operator not in ("=", "+="):
            self.variables.varying.add(name)
        if header or (operator == "+=" and self.variables.blocks and not _stands_for_all(value)):
            value = None
        if operator == "=":
            self.variables.count_assignment(name)
        for item in reversed(types):
            value = self.expressions.cast(item.name, value) if item.name in CASTS else value
        if operator == "+=":
            before, how_before = self.variables.values.get(name, (None, ""))
            value, how = self._sum(before, value), decisive("concatenation", how_before, how)
        elif operator != "=":
            value = None
        self.variables.values[name] = (value, how)
        self.findings.note_decoded(Item(Kind.VALUE, left[0].begin, result.end, value, how))

    def _sum(self, before: Any, value: Any) -> Any:
        """Return `before` with `value`, or with every element it stands for, added."""
        if _stands_for_all(value):
            value = attempt(value.all_of, value.source, self.budget)
            if isinstance(before, str) and value is not None:
                return attempt(lambda: add(self.budget, before, join(self.budget, value)))
        if before is None or value is None:
            return None
        return attempt(add, self.budget, before, value)

    def _assign_part(self, name: str, target: list[Item], value: Any, how: str) -> None:
        """Take `$x[$i] = ...$x[$i]...` of a loop as done to every element; anything else makes $x unknown."""
        if _stands_for_all(value) and target[1].kind == Kind.INDEX and target[1].value is None:
            value = attempt(value.all_of, value.source, self.budget)
            if value is not None and all(isinstance(each, int) and 0 <= each < 256 for each in value):
                value = bytes(value)
            self.variables.values[name] = (value, how)
            self.findings.note_decoded(Item(Kind.VALUE, target[0].begin, target[0].end, value, how))
        elif name in self.variables.values and target[1].kind == Kind.INDEX:
            self.variables.values[name] = (None, "")

    def _pipeline(self, items: list[Item]) -> Item | None:
        first, *later = _segments(items)
        result = self._segment(first) if first else None
        for segment in later:
            if segment:
                result = self.commands.filter(result, segment)
        return result

    def _segment(self, items: list[Item]) -> Item | None:
        reduced = self.expressions.reduce(items)
        if len(reduced) == 1 and reduced[0].kind in (*Kind.OPERANDS, Kind.BLOCK):
            return reduced[0]
        return self.commands.run(reduced)


def _stands_for_all(value: Any) -> bool:
    return isinstance(value, Element) and value.source is not None


def _segments(items: list[Item]) -> list[list[Item]]:
    segments: list[list[Item]] = [[]]
    for item in items:
        if item.kind == Kind.OPERATOR and item.name == "|":
            segments.append([])
        else:
            segments[-1].append(item)
    return segments
