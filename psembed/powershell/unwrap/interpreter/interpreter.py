"""Follows a script's tree with values that are known and values that are not. Nothing is executed.

Statements are carried out in order. Where a condition is not known every way is followed, and what they leave
different is not known afterwards. A value that is not certain is None.
"""

import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any

from psembed.powershell.unwrap.dotnet.operators import join
from psembed.powershell.unwrap.dotnet.values import (
    REJECTED,
    Block,
    Budget,
    Method,
    attempt,
    elements,
    text_of,
)
from psembed.powershell.unwrap.interpreter.assignments import ASSIGNMENTS
from psembed.powershell.unwrap.interpreter.commands import Commands
from psembed.powershell.unwrap.interpreter.expressions import EXPRESSIONS
from psembed.powershell.unwrap.interpreter.findings import Findings
from psembed.powershell.unwrap.interpreter.members import CHANGING, MEMBERS, called
from psembed.powershell.unwrap.interpreter.state import (
    AT_START,
    NOTHING,
    UNKNOWN,
    Jump,
    Known,
    Machine,
    Output,
    State,
    decisive,
)
from psembed.powershell.unwrap.interpreter.statements import STATEMENTS
from psembed.powershell.unwrap.parsing import tree

STALE = 20_000  # steps after which a loop is given up that nothing comes out of
DULL = 8  # calls in a row after which a function is not followed any more that nothing came out of
IDLE = 64  # such calls in all, which may have changed variables
DOUBTFUL = 4  # calls of a function by itself, under a condition that is not known; fewer than DULL
SHORT = 64  # characters of an argument that may not be worth another call
HEIGHT = 90  # brackets and calls within each other that are followed


def _of_statement(machine: Machine, node: tree.Node) -> Known:
    return machine.captured(tree.Body(0, 0, [node], frozenset()))


_VALUES = EXPRESSIONS | MEMBERS | ASSIGNMENTS | dict.fromkeys(STATEMENTS, _of_statement)


class Interpreter:
    """Follows one tree; `run` it once, then read `findings`."""

    def __init__(self, budget: Budget, findings: Findings, values: dict[str, Known]):
        self.budget, self.findings = budget, findings
        self.state = State(values, budget)
        findings.gain = self.state.gain
        self.commands = Commands(self)
        self.functions: dict[str, tuple[tree.Code, bool]] = {}
        self.output = self.printed = Output()  # the latter is the whole script's
        self.height = self.calls = self.loops = 0
        self.doubt: set[str] = set()  # kinds of jumps that may have been made
        self.unread: list[tree.Code] = []  # blocks that were met and not run so far

    def run(self, body: tree.Body) -> None:
        """Follow a script to its end; then read functions and blocks that nothing called."""
        with contextlib.suppress(Jump):
            self.body(body)
        for code in self.unread:  # reading one may add others
            if not code.entered:
                self.maybe(partial(self.call, code, None))

    def body(self, body: tree.Body) -> None:
        """Carry out statements in order."""
        for statement in body.statements:
            kind = type(statement)
            handler = STATEMENTS.get(kind)
            if handler is None:
                known = self.evaluate(statement)
                if kind is not tree.Assign and kind is not tree.Step and known is not NOTHING:
                    self.output.add(known)
                continue
            self.budget.step()
            try:
                handler(self, statement)
            except REJECTED:
                continue

    def captured(self, body: tree.Body) -> Known:
        """Return what statements give."""
        outer, self.output = self.output, Output()
        try:
            self.body(body)
            return self.output.all()
        finally:
            self.output = outer

    def value_of(self, body: Any) -> Known:
        """Return what statements in brackets give, for a single one what it gives even where it assigns."""
        return self.evaluate(body.statements[0]) if len(body.statements) == 1 else self.captured(body)

    def forget(self, *names: str) -> None:
        """Take variables as not known any more."""
        for name in names:
            self.state.assign(name, UNKNOWN)

    def forget_all(self) -> None:
        """Take every variable as not known any more."""
        for place, scope in enumerate(self.state.scopes):
            for name in [name for name in scope if name not in AT_START]:
                self.state.assign(name, UNKNOWN, place)

    def maybe(self, *ways: Callable[[], Any], site: tree.Node | None = None) -> None:
        """Follow ways of which any may be taken, a single one or none; `site` is the statement that asks."""
        findings, output, jumps = self.findings, self.output, list[Jump]()
        outer, findings.site = findings.site, (id(site), self.calls)
        findings.visits += 1
        given = len(output.values)

        def follow(way: Callable[[], Any]) -> bool:
            try:
                way()
            except Jump as jump:
                jumps.append(jump)
                self.doubt.add(jump.kind)
                return False
            finally:
                if len(output.values) > given:
                    del output.values[given:]
                    output.known = False
            return True

        try:
            self.state.ways(ways, follow)
        finally:
            findings.site = outer
        if len(jumps) == len(ways) > 1:
            raise jumps[0]

    def floor(self) -> int:
        """Return how many steps a loop that begins here must leave."""
        if not self.loops:
            self.state.gained[-1] = self.budget.left()
        return self.budget.left() // 2

    def given_up(self, floor: int, given: int = 0) -> bool:
        """Tell whether a loop takes too long, or too long for nothing but what it gave before."""
        left = self.budget.left()
        gives = self.output is not self.printed and any(
            isinstance(v, str) for v in self.output.values[given:]
        )
        if left < floor:
            self.findings.cut = "steps"
        return left < floor or (self.state.gained[-1] - left > STALE and not gives)

    def call(
        self, code: tree.Code, arguments: list[tuple[str, Known]] | None, *, piped: Known | None = None,
        own_scope: bool = True, turns: list[Known] | None = None,
    ) -> Known:  # fmt: skip
        """Return what a block gives for its arguments, (parameter or "", value); None for unknown ones.

        With `turns` its part named process is run for each of them.
        """
        ways, outer_ways = len(self.state.gained), code.ways
        if self._is_idle(code, arguments, again=0 < outer_ways < ways):
            self.forget(*(name for name in code.body.assigned if ":" in name))
            return UNKNOWN
        code.entered = True
        self.calls += own_scope
        if self.height + code.body.height > HEIGHT:
            return UNKNOWN
        self.budget.steps -= 2
        self.budget.step()
        outer, self.output = self.output, Output()
        doubt, self.doubt = self.doubt, set()
        self.height += code.body.height + 1
        code.ways = ways
        if own_scope:
            self.state.scopes.append({})
        try:
            if own_scope or code.parameters or arguments is None:
                self._bind(code, arguments, piped)
            gains, before = self.state.gains, (self.state.outward, len(self.findings.scripts))
            try:
                if turns is None:
                    self.body(code.body)
                else:
                    self._take_turns(code.body, turns)
            except Jump as jump:
                if jump.kind != "return":
                    raise
                self.output.add(jump.value)
            known = UNKNOWN if "return" in self.doubt else self.output.all()
            nothing = known[0] is None or (own_scope and known is NOTHING)
            code.idle += nothing and before == (self.state.outward, len(self.findings.scripts))
            code.dull = code.dull + 1 if known[0] is None and gains == self.state.gains else 0
            return known
        finally:
            self.height -= code.body.height + 1
            code.ways = outer_ways
            if own_scope:
                self.state.scopes.pop()
            self.output, self.doubt = outer, doubt

    def _is_idle(self, code: tree.Code, arguments: list[tuple[str, Known]] | None, *, again: bool) -> bool:
        """Tell whether a call is not worth following: `again` by itself in doubt, or fruitless as before."""
        code.doubtful += again
        if again and code.doubtful > DOUBTFUL:
            return True
        return (code.dull >= DULL or code.idle >= IDLE) and not any(
            isinstance(value, str) and len(value) >= SHORT for _, (value, _) in arguments or ()
        )

    def _take_turns(self, body: tree.Body, turns: list[Known]) -> None:
        """Run the parts of a function that takes a pipeline."""
        for statement in body.statements:
            is_process = isinstance(statement, tree.Named) and statement.name == "process"
            for turn in turns if is_process else [UNKNOWN]:
                if is_process:
                    self.state.assign("_", turn)
                self.body(tree.Body(0, 0, [statement], frozenset()))

    def _bind(self, code: tree.Code, arguments: list[tuple[str, Known]] | None, piped: Known | None) -> None:
        names = [name for name, _ in code.parameters]
        if arguments is None:
            for name in (*names, "args", "input", "_"):
                self.state.assign(name, UNKNOWN)
            for _, default in code.parameters:
                if default is not None:
                    self.evaluate(default)
            return
        bound: dict[str, Known] = {}
        rest = []
        for name, known in arguments:
            full = [each for each in names if name and each.startswith(name)]
            if full:
                bound[full[0]] = known
            elif name:  # another name of one of the parameters
                bound |= {each: UNKNOWN for each in names if each not in bound}
            else:
                rest.append(known)
        for name in names:
            if name not in bound and rest:
                bound[name] = rest.pop(0)
        if piped is not None:
            self.state.assign("input", piped)
            self.state.assign("_", piped)
            if code.piped or (len(names) == 1 and names[0] not in bound):
                bound.setdefault(code.piped or names[0], piped)
        unknown = any(value is None for value, _ in rest)
        scope = self.state.scopes[-1]
        scope["args"] = UNKNOWN if unknown else ([v for v, _ in rest], rest[0][1] if rest else "")
        for name, default in code.parameters:
            if name not in bound:
                bound[name] = NOTHING if default is None else self.evaluate(default)
            self.state.assign(name, bound[name])

    def invoke(self, value: Any, arguments: list[Known], *, own_scope: bool = True) -> Known:
        """Return what a block or method gives for arguments."""
        if isinstance(value, Block) and value.node is not None:
            return self.call(value.node, [("", each) for each in arguments], own_scope=own_scope)
        if isinstance(value, Method):
            how = ""
            for _, each in arguments:
                how = decisive(each, how)
            return called(self, value.target, how, value.name, [each for each, _ in arguments], None)
        return UNKNOWN

    def each(self, value: Any, how: str, block: Block) -> Known:
        """Return what a block gives for each element of a value."""
        source = attempt(elements, value)
        code = block.node
        if code is None:
            return UNKNOWN
        code.entered = True
        if source is None:
            self.maybe(lambda: self._turn(code, UNKNOWN), site=code)
            return UNKNOWN
        self.budget.spend(len(source))
        results = Output()
        pure, reads = _pure(code)
        seen: dict[Any, Known] = {}  # by type too, as '7' is not 7; a payload has few different elements
        before, floor = self.state.get("_"), self.floor()
        for each in source:
            if results.known is False and self.given_up(floor):
                self.forget(*code.body.assigned)
                break
            key = None
            if pure and isinstance(each, str | int):
                key = (type(each), each) if reads else ()
            known = seen.get(key) if key is not None else None
            if known is None:
                known = self._turn(code, (each, how))
                if key is not None:
                    seen[key] = known
            results.add(known)
        self.state.assign("_", before or UNKNOWN)
        return results.all()

    def _turn(self, code: tree.Code, each: Known) -> Known:
        gains, at = self.state.gains, self.state.gained[-1]
        self.state.assign("_", each)
        self.state.gains, self.state.gained[-1] = gains, at
        self.loops += 1
        try:
            return self.call(code, [], own_scope=False)
        finally:
            self.loops -= 1

    def evaluate(self, node: tree.Node) -> Known:
        """Return the value of an expression and how it came about; UNKNOWN where it is not certain."""
        budget = self.budget
        budget.steps -= 1
        if budget.steps < 0 or not budget.steps & 4095:
            budget.steps += 1
            budget.step()
        try:
            return _VALUES[type(node)](self, node)
        except REJECTED:
            return UNKNOWN

    def noted(self, node: tree.Node, value: Any, how: str) -> Known:
        """Return a value, and note it where it spells something that the text does not."""
        if value is None:
            if node.seen:  # it was known before
                node.seen = ()
            return UNKNOWN
        known = (value, how)
        if isinstance(value, str | bytearray | list):
            self.findings.note(node, known)
        return known

    def source(self, code: tree.Code) -> str:
        """Return the text of a block without its braces."""
        return self.findings.text[code.begin + 1 : code.end - 1]

    def text(self, value: Any) -> str:
        """Return a value as text; between the elements of a list stands what $OFS says."""
        if isinstance(value, list | bytearray):
            separator, _ = self.state.get("ofs") or (" ", "")
            if separator is None:
                raise TypeError("not known")
            return join(self.budget, value, separator)
        return text_of(value)


def _changes(node: Any) -> bool:
    called = isinstance(node, tree.Member) and node.arguments is not None
    return called and (not isinstance(node.name, str) or (node.name in CHANGING and node.name != "replace"))


def _pure(code: tree.Code) -> tuple[bool, bool]:
    """Tell whether a block gives the same for the same $_, and whether it reads $_; it then runs nothing."""
    if len(code.body.statements) != 1 or code.body.assigned or code.parameters:
        return False, True
    reads = False
    waiting: list[Any] = [code.body.statements[0]]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tree.Command | tree.Step | tree.Assign | tree.Code | tree.Flow) or _changes(node):
            return False, True
        reads |= isinstance(node, tree.Variable) and node.name == "_"
        for name in node.__slots__:
            value = getattr(node, name)
            for each in value if isinstance(value, list) else [value]:
                inner = each[1] if isinstance(each, tuple) and len(each) == 2 else each
                if isinstance(inner, tree.Node):
                    waiting.append(inner)
    return True, reads
