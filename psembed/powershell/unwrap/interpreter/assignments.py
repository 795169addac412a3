"""Assignments: to variables, several targets, and parts of objects."""

from collections.abc import Callable
from typing import Any

from psembed.powershell.unwrap.dotnet.operators import OPERATORS, key_of
from psembed.powershell.unwrap.dotnet.values import (
    NULL,
    Char,
    Table,
    attempt,
    byte_string,
    elements,
    number_of,
    whole_of,
)
from psembed.powershell.unwrap.interpreter.expressions import cast_value, summand
from psembed.powershell.unwrap.interpreter.state import UNKNOWN, Known, Machine, decisive
from psembed.powershell.unwrap.parsing import tree


def _assign(machine: Machine, node: tree.Assign) -> Known:
    target = node.targets[0]
    first: Any = node.value
    while isinstance(first, tree.Chain | tree.Expandable):
        first = first.first if isinstance(first, tree.Chain) else next(iter(first.parts), None)
    if isinstance(target, tree.Variable) and isinstance(first, tree.Variable) and first.name == target.name:
        machine.state.begin(target.name)  # `$x = $x + ...`
    value, how = machine.evaluate(node.value)
    if node.operator == "param":
        _store(machine, node.targets[0], UNKNOWN)
        return UNKNOWN
    if node.operator != "=":
        value, how = _combined(machine, node, value, how)
    for target in reversed(node.targets):
        value, how = _store(machine, target, (value, how) if value is not None else UNKNOWN)
    return value, how


def _step(machine: Machine, node: tree.Step) -> Known:
    before, how = machine.evaluate(node.target)
    number = 0 if before is NULL else attempt(number_of, before) if before is not None else None
    if isinstance(node.target, tree.Variable) and machine.state.get(node.target.name) is None:
        number = 0
    after = None if number is None else number + node.amount
    _store(machine, node.target, (after, how) if after is not None else UNKNOWN)
    return (number if node.after else after), how


def _combined(machine: Machine, node: tree.Assign, value: Any, how: str) -> Known:
    """Return what `+=` and the like make of the value before."""
    target = node.targets[-1]
    before, earlier = machine.evaluate(target)
    if before is None and isinstance(target, tree.Variable) and machine.state.get(target.name) is None:
        before = NULL
    if value is None or before is None:
        return UNKNOWN
    operator = "-" if node.operator not in ("+", "*", "/", "%", "??") else node.operator
    if operator == "??":
        return (value, how) if before is NULL else (before, earlier)
    added = summand(machine, before, value)
    result = attempt(OPERATORS[operator].apply, machine.budget, before, added)
    return result, decisive(how, earlier) or OPERATORS[operator].how


def _store(machine: Machine, target: tree.Node, known: Known) -> Known:
    """Give a variable, a place or a property a value; return the value after casts."""
    while isinstance(target, tree.Prefixed):
        for kind, name in reversed(target.prefixes):
            known = cast_value(machine, name, *known) if kind == "cast" else known
        target = target.operand
    if isinstance(target, tree.Paren) and len(target.body.statements) == 1:
        return _store(machine, target.body.statements[0], known)
    if isinstance(target, tree.Variable):
        if target.name.startswith(("function:", "alias:")):
            kind, _, name = target.name.partition(":")
            machine.commands.define(kind, name, known[0])
        machine.state.assign(target.name, known)
        machine.findings.note_value(target, known)
    elif isinstance(target, tree.Items):
        _store_several(machine, target.items, known)
    elif isinstance(target, tree.Postfixed):
        _store_part(machine, target, known)
    return known


def _store_several(machine: Machine, targets: list[tree.Node], known: Known) -> None:
    values = attempt(elements, known[0])
    for place, target in enumerate(targets):
        if values is None:
            value = None
        elif place == len(targets) - 1 and len(values) > len(targets):
            value = values[place:]
        else:
            value = values[place] if place < len(values) else NULL
        _store(machine, target, UNKNOWN if value is None else (value, known[1]))


def _store_part(machine: Machine, target: tree.Postfixed, known: Known) -> None:
    """Change an element or a property where it stands; spoil the object where that is not certain."""
    base = tree.Postfixed(target.begin, target.end, target.base, target.steps[:-1])
    owner, _ = machine.evaluate(base if target.steps[:-1] else target.base)
    step, value = target.steps[-1], known[0]
    if owner is None:
        return
    machine.state.touch(owner)
    if isinstance(step, tree.Member):
        if isinstance(owner, Table) and isinstance(step.name, str):
            owner.items[step.name] = value
        return
    place, _ = machine.value_of(step.place)
    if place is None or attempt(_put, owner, place, value) is None:
        machine.state.spoil(owner)
    elif known[1] and isinstance(target.base, tree.Variable):
        before = machine.state.get(target.base.name)
        if before is not None and before[0] is owner:
            how = decisive(known[1], before[1])
            if how != before[1]:
                machine.state.assign(target.base.name, (owner, how))


def _put(owner: Any, place: Any, value: Any) -> bool:
    if isinstance(owner, Table):
        owner.items[key_of(place)] = value
        return True
    number = whole_of(place)
    if isinstance(owner, bytearray):
        owner[number] = byte_string(value)[0] if not isinstance(value, int) else value
    elif isinstance(owner, list):
        if value is not None and type(owner[number]) is Char and not isinstance(value, Char):
            value = Char(chr(whole_of(value))) if not isinstance(value, str) else Char(value)
        owner[number] = value
    else:
        raise TypeError("no place in it")
    return True


ASSIGNMENTS: dict[type, Callable[..., Known]] = {tree.Assign: _assign, tree.Step: _step}
