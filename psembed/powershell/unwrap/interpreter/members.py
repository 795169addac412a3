"""Members, calls of methods, and indices after an expression."""

from collections.abc import Callable
from functools import partial
from typing import Any

from psembed.powershell.unwrap.dotnet import members
from psembed.powershell.unwrap.dotnet.operators import indexed
from psembed.powershell.unwrap.dotnet.values import (
    ELEMENT_COST,
    NULL,
    Block,
    Builder,
    Method,
    Named,
    Stream,
    Table,
    attempt,
    cast,
    elements,
    text_of,
)  # fmt: skip
from psembed.powershell.unwrap.interpreter.state import UNKNOWN, Known, Machine, decisive
from psembed.powershell.unwrap.parsing import tree

CHANGING = frozenset({  # methods that change what they are called on, or given
    "add", "addrange", "append", "appendformat", "appendline", "blockcopy", "clear", "copy", "copyto",
    "dequeue", "enqueue", "insert", "next", "pop", "push", "read", "remove", "removeat", "replace", "reverse",
    "set_item", "sort", "write",
})  # fmt: skip
_READING = ("contains", "copyto", "equals", "exists", "find", "get", "indexof", "lastindexof", "to")
_RUNNERS = frozenset({"invokescript", "newscriptblock", "addscript", "createpipeline"})


def _postfixed(machine: Machine, node: tree.Postfixed) -> Known:
    value, how = machine.evaluate(node.base)
    begin, quiet = node.begin, True
    for step in node.steps:
        target = value
        if isinstance(step, tree.Index):
            value, how = _indexed(machine, value, how, step)
            quiet = False
        else:
            value, how = _member(machine, value, how, step)
            quiet = step.arguments is None and isinstance(target, str)
        if isinstance(value, str | bytearray | list) and not quiet and step is not node.steps[-1]:
            machine.findings.note(step, (value, how), begin)
    return (value, how) if quiet else machine.noted(node, value, how)


def _indexed(machine: Machine, value: Any, how: str, step: tree.Index) -> Known:
    place, _ = machine.value_of(step.place)
    if value is None or place is None:
        return UNKNOWN
    if isinstance(value, str | Builder) and isinstance(place, list):
        machine.budget.spend(ELEMENT_COST * len(place))
    result = attempt(indexed, machine.budget, value, place)
    return result, decisive("reversal", how) if isinstance(place, list) else how


def _member(machine: Machine, target: Any, how: str, step: tree.Member) -> Known:
    name: Any = step.name
    if isinstance(name, tree.Node):
        name = machine.evaluate(name)[0]
        if isinstance(name, Method | Named):
            return UNKNOWN
        name = name.lower() if isinstance(name, str) else None
    given = None if step.arguments is None else [machine.evaluate(each) for each in step.arguments]
    if name is None:
        return UNKNOWN
    if given is None:
        return _property(machine, target, how, name)
    for _, each in given:
        how = decisive(each, how)
    arguments = [value for value, _ in given]
    if name in _RUNNERS or (name == "create" and target == Named("scriptblock")):
        for node, (value, each) in zip(step.arguments or (), given, strict=True):
            machine.findings.note_script(node, value, each)
        return (Block(None, arguments[0]) if arguments and isinstance(arguments[0], str) else None), how
    return called(machine, target, how, name, arguments, step)


def _property(machine: Machine, target: Any, how: str, name: str) -> Known:
    if name in _RUNNERS:
        return Method(target, name), how
    if target is None or target is NULL:
        return UNKNOWN
    return attempt(members.member, name, machine.budget, target, None), how


def called(
    machine: Machine, target: Any, how: str, name: str, arguments: list, step: tree.Member | None
) -> Known:
    """Return what a method gives, and note what it is given to run."""
    if isinstance(target, Block | Method) and name in ("invoke", "invokereturnasis", "invokewithcontext"):
        value, how = machine.invoke(target, [(each, how) for each in arguments])
        if isinstance(target, Block) and name == "invoke" and isinstance(value, str):
            return [value], how  # a collection, of which [0] is the whole
        return value, how
    if isinstance(target, Block) and name == "getnewclosure" and target.node is not None:
        machine.maybe(partial(machine.call, target.node, None))  # with the values of now
        return UNKNOWN
    if name in _RUNNERS:
        machine.findings.note_script(step or tree.Node(0, 0), arguments[0] if arguments else None, how)
        return UNKNOWN
    if arguments and name in ("foreach", "where"):
        known = _of_elements(machine, target, how, name, arguments)
        if known is not None:
            return known
    arguments = [as_function(machine, each, how) if isinstance(each, Block) else each for each in arguments]
    session = machine.commands.session(target, name, arguments)
    return session if session is not None else _carried_out(machine, target, how, name, arguments)


def _of_elements(machine: Machine, target: Any, how: str, name: str, arguments: list) -> Known | None:
    """Return what .ForEach( ) and .Where( ) give for a block, a type or a member's name."""
    first = arguments[0]
    if isinstance(first, Block):
        take = machine.each if name == "foreach" else machine.commands.where
        return take(target, how, first)
    if name == "where" or not isinstance(first, str | Named):
        return None
    if isinstance(first, Named):
        return attempt(lambda: [cast(first.name, machine.budget, each) for each in elements(target)]), how
    values = [
        attempt(members.member, first.lower(), machine.budget, each, arguments[1:])
        for each in attempt(elements, target) or ()
    ]
    return (None if None in values else values), how


def _carried_out(machine: Machine, target: Any, how: str, name: str, arguments: list) -> Known:
    """Return what a method gives, and say what it changes, or may change."""
    unsure = target is None or None in arguments
    if name in CHANGING and (unsure or not isinstance(target, str)):
        mark = machine.state.spoil if unsure else machine.state.touch
        for each in (target, *arguments):
            if isinstance(each, list | bytearray | Builder | Stream | Table):
                mark(each)
    value = None if unsure else attempt(members.member, name, machine.budget, target, arguments)
    if value is None:
        machine.commands.note_line("", [each for each in arguments if each is not None])
    if unsure:
        return UNKNOWN
    if value is None and isinstance(target, list | Builder | Table) and not name.startswith(_READING):
        machine.state.spoil(target)
    if value is not None and isinstance(target, Named):
        how = _created(machine, target.name, name, value, how, arguments)
    elif isinstance(target, Named):
        for each in arguments:  # which an unknown method may change
            if isinstance(each, list | bytearray):
                machine.state.spoil(each)
    return value, decisive(members.how_of(name, arguments), how)


def _created(machine: Machine, kind: str, name: str, value: Any, how: str, arguments: list) -> str:
    """Return the step of a constructor that inflates."""
    if name == "new" and isinstance(value, Stream):
        return decisive(members.how_inflated(kind), how)
    if name == "reverse" and arguments:
        _mark(machine, arguments[0], decisive("reversal", how))
    return how


def _mark(machine: Machine, value: Any, how: str) -> None:
    """Say how the value of a variable came about that was changed where it stands."""
    for scope in machine.state.scopes:
        for name, known in scope.items():
            if known[0] is value:
                scope[name] = (value, how)


def as_function(machine: Machine, block: Block, how: str) -> Any:
    """Return a block as what [regex]::Replace calls."""

    def made(match: Any) -> str:
        machine.state.assign("_", (match, how))
        return text_of(machine.call(block.node, [("", (match, how))])[0])

    return made


MEMBERS: dict[type, Callable[..., Known]] = {tree.Postfixed: _postfixed}
