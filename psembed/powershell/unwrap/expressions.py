"""Expressions of PowerShell whose value is known: what operators, casts, members and calls make of constants.

An expression is a flat list of items, brackets within it reduced already; `ExpressionEvaluator` reduces it,
level by level of precedence. Nothing is executed.
"""

from collections.abc import Callable
from functools import partial
from itertools import groupby
from typing import Any

from psembed.powershell.unwrap import methods
from psembed.powershell.unwrap.operators import LEVELS, OPERATORS, add, indexed, join, split_words
from psembed.powershell.unwrap.state import Findings, Item, Kind, Variables, decisive
from psembed.powershell.unwrap.values import (
    CASTS,
    Budget,
    Element,
    Named,
    attempt,
    characters,
    elements,
    lifted,
)

_POSTFIX = frozenset({Kind.MEMBER, Kind.INDEX})
_RUNNERS = frozenset({"invokescript", "newscriptblock", "addscript"})  # methods


class ExpressionEvaluator:
    """Reduces expressions, and notes what they uncover."""

    def __init__(self, budget: Budget, variables: Variables, findings: Findings):
        self.budget, self.variables, self.findings = budget, variables, findings

    def reduce(self, items: list[Item]) -> list[Item]:
        """Return the items with every expression among them as one item."""
        if len(items) == 1:
            return items
        self.budget.check_time()
        kinds = {item.kind for item in items}
        if Kind.OPERATOR in kinds or not _POSTFIX.isdisjoint(kinds):
            items = self._postfix(items)
        if Kind.OPERATOR in kinds or Kind.TYPE in kinds:
            items = self._unary(items)
        if Kind.OPERATOR in kinds:
            present = {item.name for item in items if item.kind == Kind.OPERATOR}
            for level in LEVELS:
                if not level.isdisjoint(present):
                    items = self._binary(items, level)
        return items

    def apply(self, operation: Callable, *operands: Any) -> Any:
        """Return what an operation of `operators`, `methods` or `values` gives, None where not known."""
        return attempt(lifted, operation, self.budget, *operands)

    # Members, calls and indices

    def _postfix(self, items: list[Item]) -> list[Item]:
        kept: list[Item] = []
        place, size = 0, len(items)
        while place < size:
            item = items[place]
            target = kept[-1] if kept else None
            following = items[place + 1] if place + 1 < size else None
            if target is None or target.kind not in Kind.TARGETS:
                kept.append(item)
            elif (name := _member_name(item, following)) is not None:
                place += item.kind == Kind.OPERATOR
                after = items[place + 1] if place + 1 < size else None
                call = after if after is not None and _is_call(items[place], after) else None
                kept[-1] = self._member(target, name, call, items[place].end)
                place += call is not None
            elif item.kind == Kind.INDEX and target.kind != Kind.TYPE:
                kept[-1] = self._indexed(target, item)
            else:
                kept.append(item)
            place += 1
        return kept

    def _member(self, target: Item, name: str, call: Item | None, end: int) -> Item:
        arguments = list(call.parts) if call is not None and call.kind == Kind.GROUP else []
        owner = Named(target.name) if target.kind == Kind.TYPE else target.value
        if call is not None:
            end = call.end
            if name in _RUNNERS or (name, owner) == ("create", Named("scriptblock")):
                self.findings.note_script(call)
            elif name == "reverse":
                self._reverse(call if isinstance(owner, Named) else target)
            elif name == "foreach" and isinstance(call.value, Element):
                return self.map_elements(target, call, target.begin, end)
        if name == "new" and isinstance(owner, Named) and owner.name != "string":
            value, how = methods.new_object(self.budget, owner.name, arguments, decisive("", call))
            return self.findings.known(target.begin, end, value, how)
        value = None
        if name == "substring" and self.variables.blocks and len(arguments) == 2 and arguments[0] is None:
            value = attempt(methods.any_part, self.budget, owner, arguments[1])
        elif owner is not None:
            value = self.apply(partial(methods.invoke, name), owner, *arguments)
        how = decisive(methods.how_of(name, arguments), target, call)
        quiet = call is None and isinstance(owner, str)
        return self.findings.known(target.begin, end, value, how, quiet=quiet)

    def _reverse(self, item: Item) -> None:
        value = item.value
        if item.name in self.variables.values and isinstance(value, list | bytes):
            self.variables.values[item.name] = (value[::-1], decisive("reversal", item))

    def _indexed(self, target: Item, index: Item) -> Item:
        value, how = target.value, target.how
        if value is None or isinstance(value, Named):
            result = None
        elif index.value is None:
            source = attempt(characters if isinstance(value, str) else list, value)
            result = Element(source) if self.variables.blocks and source else None
        else:
            result = self.apply(indexed, value, index.value)
            how = decisive("reversal", how) if isinstance(index.value, list) else how
        return self.findings.known(target.begin, index.end, result, how)

    def map_elements(self, given: Item, block: Item, begin: int, end: int) -> Item:
        """Return what a block gives for each element of what it is given."""
        result, each = Item(Kind.VALUE, begin, end), block.value
        if isinstance(each, Element) and each.source is None and given.value is not None:
            if isinstance(given.value, Element):
                result.value = given.value._replace(steps=(*given.value.steps, *each.steps))
            else:
                result.value = attempt(lambda: each.all_of(elements(given.value), self.budget))
            result.how = decisive("", given.how, block.how)
            self.findings.note_decoded(result)
        return result

    # Casts and the operators that stand before their operand

    def _unary(self, items: list[Item]) -> list[Item]:
        """Apply them from the right."""
        kept: list[Item] = []
        for place in range(len(items) - 1, -1, -1):
            item, before = items[place], items[place - 1] if place else None
            operand = kept[-1] if kept and kept[-1].kind in Kind.OPERANDS else None
            after_operand = before is not None and before.kind in Kind.TARGETS
            if operand is None or (item.kind == Kind.OPERATOR and after_operand):
                kept.append(item)
            elif item.kind == Kind.TYPE and not _names_type(before):
                kept[-1] = self._cast_item(item, operand)
            elif item.kind == Kind.OPERATOR and item.name in ("join", "split", "-", "+", ","):
                kept[-1] = self._prefixed(item, operand)
            else:
                kept.append(item)
        kept.reverse()
        return kept

    def _cast_item(self, item: Item, operand: Item) -> Item:
        begin, end = item.begin, operand.end
        if item.name == "scriptblock":
            self.findings.note_script(operand)
        result = self.findings.known(begin, end, None, operand.how)
        if item.name in CASTS:
            value = self.cast(item.name, operand.value)
            how = decisive("characters" if item.name.startswith("char") else "", operand.how)
            result = self.findings.known(begin, end, value, how, quiet=item.name == "string")
        elif isinstance(operand.value, str | bytes | list | Named):
            result.value = operand.value
        result.text = operand.text
        return result

    def cast(self, name: str, value: Any) -> Any:
        """Return a value as a type of CASTS, None where not known."""
        return self.apply(OPERATORS["as"].apply, value, Named(name))

    def _prefixed(self, item: Item, operand: Item) -> Item:
        value, how = operand.value, operand.how
        if item.name == ",":
            known = None if value is None else [value]
            return Item(Kind.LIST, item.begin, operand.end, known, how, parts=[value])
        if item.name == "join":
            value, how = self.apply(join, value), decisive("join", how)
        elif item.name == "split":
            value, how = self.apply(split_words, value), decisive("split", how)
        elif item.name == "-":
            value = -value if isinstance(value, int) else None
        return self.findings.known(item.begin, operand.end, value, how)

    # Operators between two operands

    def _binary(self, items: list[Item], level: frozenset[str]) -> list[Item]:
        """Apply the operators of one level of precedence, from the left."""
        kept: list[Item] = []
        place, size = 0, len(items)
        while place < size:
            run, names = [items[place]], []
            place += 1
            while place + 1 < size and run[-1].kind in Kind.TARGETS and _joins(items, place, level):
                names.append(items[place].name)
                run.append(items[place + 1])
                place += 2
            kept.append(self._combined(run, names) if names else run[0])
        return kept

    def _combined(self, run: list[Item], names: list[str]) -> Item:
        begin, end, how = run[0].begin, run[-1].end, decisive("", *run)
        if names[0] == ",":
            self.budget.step()
            parts = [
                part for item in run for part in (item.parts if item.kind == Kind.LIST else [item.value])
            ]
            return Item(Kind.LIST, begin, end, None if None in parts else parts, how, parts=parts)
        if set(names) == {"+"}:
            return self._added(run, decisive("concatenation", how))
        value = run[0].value
        for name, item in zip(names, run[1:], strict=True):
            other = Named(item.name) if item.kind == Kind.TYPE else item.value
            known = value is not None and other is not None
            value = self.apply(OPERATORS[name].apply, value, other) if known else None
            how = decisive(OPERATORS[name].how, how)
        return self.findings.known(begin, end, value, how)

    def _added(self, run: list[Item], how: str) -> Item:
        """Return the sum; where a part of it is not known, note the sums of the strings beside each other."""
        values = [item.value for item in run]
        if None not in values:
            return self.findings.known(run[0].begin, run[-1].end, self.apply(add, *values), how)
        for are_strings, beside in groupby(run, lambda item: isinstance(item.value, str)):
            first, *others = beside
            if are_strings and others:
                value = attempt(add, self.budget, first.value, *(item.value for item in others))
                self.findings.known(first.begin, others[-1].end, value, how)
        return Item(Kind.VALUE, run[0].begin, run[-1].end)


def _is_call(member: Item, after: Item) -> bool:
    return after.kind in (Kind.GROUP, Kind.BLOCK) and after.begin == member.end


def _member_name(item: Item, following: Item | None) -> str | None:
    """Return the name of a member, which a dot and a string may give too, as in `'x'."Replace"(`."""
    if item.kind == Kind.MEMBER:
        return item.name
    if item.kind != Kind.OPERATOR or item.name not in (".", "::") or following is None:
        return None
    beside = following.begin == item.end and following.kind in Kind.OPERANDS
    return following.value.lower() if beside and isinstance(following.value, str) else None


def _names_type(before: Item | None) -> bool:
    """Tell whether a type after this item is an operand of its own, and no cast."""
    return before is not None and before.kind == Kind.OPERATOR and before.name in ("as", "is")


def _joins(items: list[Item], place: int, level: frozenset[str]) -> bool:
    operator, after = items[place], items[place + 1]
    if operator.kind != Kind.OPERATOR or operator.name not in level:
        return False
    return after.kind in Kind.OPERANDS or (operator.name == "as" and after.kind == Kind.TYPE)
