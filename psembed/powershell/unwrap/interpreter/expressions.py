"""Expressions: literals, variables, strings, operators and casts."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from psembed.powershell.unwrap.dotnet.operators import OPERATORS, join, key_of, negated, split_words
from psembed.powershell.unwrap.dotnet.patterns import pattern_of
from psembed.powershell.unwrap.dotnet.values import (
    CASTS,
    NULL,
    Block,
    Growing,
    Named,
    Partial,
    Table,
    attempt,
    cast,
    elements,
    number_of,
    truth_of,
    whole_of,
)  # fmt: skip
from psembed.powershell.unwrap.interpreter.members import as_function
from psembed.powershell.unwrap.interpreter.state import (
    DECODINGS,
    NOTHING,
    UNKNOWN,
    Known,
    Machine,
    decisive,
    lone_of,
)
from psembed.powershell.unwrap.parsing import tree
from psembed.powershell.unwrap.parsing.lexis import numbers_of

_RUNS_ON = re.compile(r"[\w:$`]")  # what would be read as part of a variable's name before it


def _literal(machine: Machine, node: tree.Literal) -> Known:
    if node.folded:
        machine.findings.note(node, node.value)
    return node.value


def _literals(machine: Machine, node: tree.Literals) -> Known:
    if node.values is None:
        machine.budget.spend(len(node.text))
        node.values = numbers_of(node.text)
    machine.budget.spend(len(node.values))
    return list(node.values), ""


def _variable(machine: Machine, node: tree.Variable) -> Known:
    known = machine.state.get(node.name)
    if known is None and node.name[:9] == "function:" and (function := machine.functions.get(node.name[9:])):
        return Block(function[0], machine.source(function[0])), ""
    return known or UNKNOWN


def _type(machine: Machine, node: tree.Type) -> Known:
    return Named(node.name), ""


def _expandable(machine: Machine, node: tree.Expandable) -> Known:
    texts: list[str] = []
    how, sure, readable = "", True, True
    for part in node.parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        value, step = machine.evaluate(part)
        text = None if value is None else attempt(machine.text, value)
        how = decisive(step, how)
        if text is None:
            sure, spelled = False, machine.findings.spelled(part)
            text = value.text if isinstance(value, Partial) else spelled
            readable &= not (_RUNS_ON.match(machine.findings.text, part.end) and spelled[-1:] not in ")}")
        texts.append(text)
    machine.budget.spend(sum(map(len, texts)))
    value = "".join(texts)
    if not sure:
        machine.noted(node, None, "")
        return (Partial(value), "") if readable else UNKNOWN
    if node.rewritten or how:
        machine.findings.note(node, (value, how))
    return value, how


def _items(machine: Machine, node: tree.Items) -> Known:
    values: list[Any] = []
    how = ""
    for item in node.items:
        value, step = machine.evaluate(item)
        how = decisive(step, how)
        if isinstance(item, tree.Literals):
            values += value
        else:
            values.append(value)
    machine.budget.spend(len(values))
    return values, how


def _chain(machine: Machine, node: tree.Chain) -> Known:
    value, how = machine.evaluate(node.first)
    if node.rest[0][0] == "+":
        return _sum(machine, node, value, how)
    for name, operand in node.rest:
        if name in ("split", "csplit", "isplit", "replace", "creplace", "ireplace"):
            other, step = _pattern(machine, operand)
        elif name in ("and", "or") and isinstance(operand, tree.Paren) and operand.body.assigned:
            machine.maybe(partial(machine.evaluate, operand))
            other, step = UNKNOWN
        else:
            other, step = machine.evaluate(operand)
        operation, left = OPERATORS[name], value
        if value is not None and other is not None:
            value = attempt(operation.apply, machine.budget, value, other)
            how = decisive(decisive(operation.how, step), how)
        else:
            value = None
        if name in ("match", "imatch", "cmatch"):
            _matched(machine, left, other, name, how)
    return machine.noted(node, value, how)


def _pattern(machine: Machine, operand: tree.Node) -> Known:
    """Return a pattern and what stands instead, a block as what is called for each match."""
    value, how = machine.evaluate(operand)
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], Block):
        value = [value[0], as_function(machine, value[1], how)]
    return value, ""


def _matched(machine: Machine, text: Any, pattern: Any, name: str, how: str) -> None:
    """Set $Matches."""
    found = None
    if isinstance(text, str) and isinstance(pattern, str):
        flags = 0 if name[0] == "c" else re.IGNORECASE
        found = attempt(lambda: next(pattern_of(pattern, flags).matches(machine.budget, text), "none"))
    if found is None:
        machine.state.assign("matches", UNKNOWN)
    elif found != "none":
        match = found[2]
        groups: dict[Any, Any] = {0: match[0], **dict(enumerate(match.groups(NULL), 1))}
        machine.state.assign("matches", (Table(groups | match.groupdict(NULL)), how))


def _sum(machine: Machine, node: tree.Chain, value: Any, how: str) -> Known:
    """Return the sum; where a part of it is not known, note the sums of strings beside each other."""
    first, run = node.first, value  # where a run of strings begins, and their sum
    last, count, run_how = node.first, 1, how
    apart = False
    for name, operand in node.rest:
        other, step = machine.evaluate(operand)
        if value is not None:
            added = None if other is None else summand(machine, value, other)
            value = None if added is None else attempt(OPERATORS[name].apply, machine.budget, value, added)
        how = decisive(decisive("concatenation" if name == "+" else "", step), how)
        if value is None:
            if not apart and count > 1 and isinstance(run, str):
                machine.findings.note(tree.Node(first.begin, last.end), (run, run_how))
            if apart and isinstance(run, str) and isinstance(other, str) and name == "+":
                run, count = attempt(OPERATORS["+"].apply, machine.budget, run, other), count + 1
            else:
                if apart and count > 1 and isinstance(run, str):
                    machine.findings.note(tree.Node(first.begin, last.end), (run, run_how))
                first, run, count, run_how = operand, other, 1, step
            apart = True
        else:
            run, count, run_how = value, count + 1, how
        last = operand
    if value is None:
        if count > 1 and isinstance(run, str):
            machine.findings.note(tree.Node(first.begin, last.end), (run, decisive(run_how, "concatenation")))
        return machine.noted(node, None, "")
    return machine.noted(node, value, how)


def summand(machine: Machine, left: Any, right: Any) -> Any:
    """Return what is added to a string: a list as one text."""
    return attempt(machine.text, right) if isinstance(left, str) and isinstance(right, list) else right


def _prefixed(machine: Machine, node: tree.Prefixed) -> Known:
    value, how = machine.evaluate(node.operand)
    if ("cast", "ref") in node.prefixes and isinstance(node.operand, tree.Variable):
        machine.state.assign(node.operand.name, UNKNOWN)
    quiet = True
    for kind, name in reversed(node.prefixes):
        if kind == "cast":
            if name == "scriptblock":
                machine.findings.note_script(node, value, how)
                value = Block(None, value) if isinstance(value, str) else None
                continue
            value, how = cast_value(machine, name, value, how)
            quiet = quiet and name == "string"
        else:
            value, how = _before(machine, name, value, how)
            quiet = False
    return (value, how) if quiet else machine.noted(node, value, how)


def cast_value(machine: Machine, name: str, value: Any, how: str) -> Known:
    """Return a value after a cast."""
    if value is None or isinstance(value, Partial):
        return (value if name == "string" else None), how
    if name == "string" and isinstance(value, list):
        return attempt(machine.text, value), how
    if name in ("pscustomobject", "hashtable") and isinstance(value, Table):
        return value, how
    known = name in CASTS or name.startswith("collections.")
    result = attempt(cast, name, machine.budget, value) if known else value
    decodes = name.startswith("char") and not isinstance(value, str)
    return result, decisive("characters" if decodes else "", how)


def _before(machine: Machine, name: str, value: Any, how: str) -> Known:
    """Return what an operator before its operand gives."""
    if name == ",":
        return [value], how
    if value is None:
        return UNKNOWN
    if name == "join":
        return attempt(join, machine.budget, value), decisive("join", how)
    if name.endswith("split"):
        return attempt(split_words, machine.budget, value), decisive("split", how)
    if name in ("not", "!"):
        return attempt(lambda: not truth_of(value)), how
    if name == "bnot":
        return attempt(lambda: ~whole_of(value)), how
    return attempt(negated, machine.budget, value) if name == "-" else attempt(number_of, value), how


def _paren(machine: Machine, node: tree.Paren) -> Known:
    statements = node.body.statements
    known = machine.value_of(node.body)
    if node.kind == "$(" and len(statements) == 1 and type(statements[0]) in (tree.Assign, tree.Step):
        known = NOTHING
    if node.kind == "$(":
        known = lone_of(known)
    if node.kind == "@(":
        value, how = known
        if value is not None and (not isinstance(value, list) or isinstance(value, Growing)):
            known = elements(value), how
    lone = node.kind == "(" and not node.tight and len(statements) == 1
    if lone and isinstance(known[0], str) and statements[0].seen:
        machine.findings.note(node, known)
    return known


def _hash(machine: Machine, node: tree.Hash) -> Known:
    items: dict[Any, Any] = {}
    hows = ""
    for key, statement in node.pairs:
        name, _ = machine.evaluate(key)
        value, how = machine.evaluate(statement)
        if not isinstance(name, str | int):
            return UNKNOWN
        items[key_of(name)] = value
        hows = decisive(how, hows)
    return Table(items), hows


def _code(machine: Machine, node: tree.Code) -> Known:
    machine.unread.append(node)
    return Block(node, machine.source(node)), ""


def _pipeline(machine: Machine, node: tree.Pipeline) -> Known:
    given = machine.evaluate(node.parts[0])
    for part in node.parts[1:]:
        machine.budget.step()
        if isinstance(part, tree.Command):
            given = machine.commands.filter(part, given)
        else:
            given = machine.evaluate(part)
    if isinstance(node.parts[-1], tree.Command):
        given = lone_of(given)
    return _result(machine, node, given)


def _result(machine: Machine, node: tree.Node, known: Known) -> Known:
    """Return what a pipeline or command gives, and note it if a decoding gave it."""
    if known[1] in DECODINGS:
        machine.findings.note(node, known)
    return known


def _command(machine: Machine, node: tree.Command) -> Known:
    known = machine.commands.run(node)
    return NOTHING if node.silent else _result(machine, node, known)


EXPRESSIONS: dict[type, Callable[..., Known]] = {
    tree.Literal: _literal, tree.Literals: _literals, tree.Variable: _variable, tree.Type: _type,
    tree.Expandable: _expandable, tree.Items: _items, tree.Chain: _chain, tree.Prefixed: _prefixed,
    tree.Paren: _paren, tree.Hash: _hash, tree.Code: _code, tree.Pipeline: _pipeline, tree.Command: _command,
}  # fmt: skip
