"""Statements: what is carried out, and where ways part."""

from collections.abc import Callable
from functools import partial
from typing import Any

from psembed.powershell.unwrap.dotnet.operators import OPERATORS
from psembed.powershell.unwrap.dotnet.values import Block, attempt, elements, text_of, truth_of
from psembed.powershell.unwrap.interpreter.state import NOTHING, UNKNOWN, Jump, Machine
from psembed.powershell.unwrap.parsing import tree


def _if(machine: Machine, node: tree.If, start: int = 0) -> None:
    for place in range(start, len(node.clauses)):
        condition, body = node.clauses[place]
        truth = _truth(machine, condition)
        if truth is None:
            machine.maybe(partial(machine.body, body), partial(_if, machine, node, place + 1), site=condition)
            return
        if truth:
            machine.body(body)
            return
    if node.otherwise is not None:
        machine.body(node.otherwise)


def _truth(machine: Machine, condition: tree.Node | None) -> bool | None:
    if condition is None:
        return True
    value, _ = machine.evaluate(condition)
    return None if value is None else attempt(truth_of, value)


def _loop(machine: Machine, node: tree.Loop) -> None:
    if node.start is not None:
        _run(machine, node.start)
    floor, late = machine.floor(), node.late
    while True:
        machine.budget.step()
        truth = (not node.until) if late else _truth(machine, node.condition)
        late = False
        if truth is not None and truth is node.until and node.condition is not None:
            return
        endless = isinstance(node.condition, tree.Variable) or node.condition is None
        if truth is None or (endless and not node.leaves):
            break
        changes, given = machine.state.changes, len(machine.output.values)
        if not _once(machine, node.body, node.label):
            return
        if _may_be_left(machine):
            break
        if node.step is not None:
            _run(machine, node.step)
        if machine.state.changes == changes or machine.given_up(floor, given):
            break
    _unknown_loop(machine, node.body, node.step)


def _run(machine: Machine, node: tree.Node) -> None:
    """Carry out the start or step of a loop."""
    machine.captured(node if isinstance(node, tree.Body) else tree.Body(0, 0, [node], frozenset()))


def _once(machine: Machine, body: tree.Body, label: str = "") -> bool:
    """Go through a loop's body; tell whether the loop goes on."""
    machine.loops += 1
    try:
        machine.body(body)
    except Jump as jump:
        kind, _, target = jump.kind.partition(" ")
        if kind not in ("break", "continue") or target not in ("", label):
            raise
        return kind == "continue"
    finally:
        machine.loops -= 1
    return True


def _unknown_loop(machine: Machine, body: tree.Body, step: tree.Node | None = None, name: str = "") -> None:
    """Read a loop's body once, for any of its turns."""

    def turn() -> None:
        _once(machine, body)
        if step is not None:
            _run(machine, step)

    machine.forget(*body.assigned, name)
    machine.maybe(turn)
    machine.forget(*body.assigned, name)


def _may_be_left(machine: Machine) -> bool:
    return any(kind.startswith(("break", "continue")) for kind in machine.doubt)


def _apart(machine: Machine, node: tree.Loop | tree.ForEach | tree.Switch) -> None:
    """Follow a loop, whose breaks are no concern of the loops around it."""
    outer, machine.doubt = machine.doubt, set()
    try:
        LOOPS[type(node)](machine, node)
    finally:
        machine.doubt = outer | (machine.doubt - {"break", "continue"})


def _foreach(machine: Machine, node: tree.ForEach) -> None:
    value, how = machine.evaluate(node.source)
    if isinstance(node.source, tree.Assign | tree.Body):
        value = None
    source = attempt(elements, value)
    if source is None or not isinstance(node.variable, tree.Variable):
        name = node.variable.name if isinstance(node.variable, tree.Variable) else ""
        _unknown_loop(machine, node.body, name=name)
        return
    machine.budget.spend(len(source))
    floor = machine.floor()
    for place, each in enumerate(source):
        machine.budget.step()
        gains, at, given = machine.state.gains, machine.state.gained[-1], len(machine.output.values)
        machine.state.assign(node.variable.name, (each, how))
        machine.state.gains, machine.state.gained[-1] = gains, at
        if not _once(machine, node.body, node.label):
            break
        if _may_be_left(machine) or (machine.given_up(floor, given) and place + 1 < len(source)):
            _unknown_loop(machine, node.body, name=node.variable.name)
            break


def _switch(machine: Machine, node: tree.Switch) -> None:
    value, how = machine.evaluate(node.subject)
    subjects = attempt(elements, value)
    for subject in subjects if subjects is not None and node.operator else [None]:
        machine.state.assign("_", (subject, how) if subject is not None else UNKNOWN)
        matched: bool | None = False
        for key, body in node.clauses:
            fits = not matched if key is None else _fits(machine, subject, key, node.operator)
            if fits is None or matched is None:
                matched = None
                machine.maybe(partial(_once, machine, body), site=node)
            elif fits:
                matched = True
                if not _once(machine, body):
                    break


def _fits(machine: Machine, subject: Any, key: tree.Node, operator: str) -> bool | None:
    """Tell whether a clause of a switch is for the subject, None where that is not known."""
    wanted, _ = machine.evaluate(key)
    if isinstance(wanted, Block):
        wanted, _ = machine.invoke(wanted, [], own_scope=False)
        return None if wanted is None else attempt(truth_of, wanted)
    if subject is None or wanted is None:
        return None
    text = attempt(text_of, subject)
    return None if text is None else attempt(OPERATORS[operator].apply, machine.budget, text, wanted)


def _function(machine: Machine, node: tree.Function) -> None:
    machine.functions[node.name] = (node.code, node.each)
    machine.unread.append(node.code)


def _try(machine: Machine, node: tree.Try) -> None:
    """Follow what is tried to its end; what it assigned is certain only where nothing in it can fail."""
    try:
        machine.body(node.body)
    except Jump as jump:
        if jump.kind != "throw":
            raise
        for body in node.catches[:1]:
            machine.body(body)
    else:
        _after_failure(machine, node)
    if node.last is not None:
        machine.body(node.last)


def _after_failure(machine: Machine, node: tree.Try) -> None:
    """Follow what catches a failure, if a statement may fail; what stands after it may not have happened."""
    statements = node.body.statements
    fails = next((place for place, one in enumerate(statements) if not _cannot_fail(machine, one)), None)
    if fails is None:
        return
    for body in node.catches:
        machine.maybe(partial(machine.body, body))
    later = [each for each in statements[fails + 1 :] if isinstance(each, tree.Assign)]
    targets = [target for each in later for target in each.targets if isinstance(target, tree.Variable)]
    machine.forget(*(target.name for target in targets))


def _cannot_fail(machine: Machine, statement: tree.Node) -> bool:
    """Tell whether a statement gave a variable a value that came out as known."""
    target = statement.targets[0] if isinstance(statement, tree.Assign) else None
    return isinstance(target, tree.Variable) and (machine.state.get(target.name) or UNKNOWN)[0] is not None


def _named(machine: Machine, node: tree.Named) -> None:
    if node.name in ("begin", "process", "end", "data"):
        machine.body(node.body)
    else:
        machine.maybe(partial(machine.body, node.body))


def _flow(machine: Machine, node: tree.Flow) -> None:
    raise Jump(node.kind, NOTHING if node.value is None else machine.evaluate(node.value))


LOOPS: dict[type, Callable[..., None]] = {tree.Loop: _loop, tree.ForEach: _foreach, tree.Switch: _switch}
STATEMENTS: dict[type, Callable[..., None]] = {
    tree.If: _if, tree.Function: _function, tree.Try: _try, tree.Named: _named, tree.Flow: _flow,
    tree.Body: lambda machine, node: machine.body(node), **dict.fromkeys(LOOPS, _apart),
}  # fmt: skip
