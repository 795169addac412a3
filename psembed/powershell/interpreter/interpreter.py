"""Follows a script's tree with values that are known and values that are not. Nothing is executed.

Statements are carried out in order. Where a condition is not known every way is followed, and what they leave
different is not known afterwards. A value that is not certain is None.
"""

import contextlib
import re
from collections.abc import Callable
from typing import Any, ClassVar

from psembed.powershell.dotnet import members
from psembed.powershell.parsing import tree
from psembed.powershell.interpreter.commands import Commands
from psembed.powershell.interpreter.findings import Findings
from psembed.powershell.dotnet.operators import OPERATORS, indexed, join, key_of, negated, split_words
from psembed.powershell.parsing.parser import numbers_of
from psembed.powershell.dotnet.patterns import pattern_of
from psembed.powershell.interpreter.state import DECODINGS, UNKNOWN, Known, State, decisive
from psembed.powershell.dotnet.values import (
    CASTS,
    ELEMENT_COST,
    NULL,
    REJECTED,
    Block,
    Budget,
    Builder,
    Char,
    Growing,
    Method,
    Named,
    Partial,
    Stream,
    Table,
    attempt,
    byte_string,
    cast,
    elements,
    number_of,
    text_of,
    truth_of,
    whole_of,
)  # fmt: skip

STALE = 20_000  # steps after which a loop is given up that nothing comes out of
DULL = 8  # calls after which a function is not followed any more that nothing came out of
SHORT = 64  # characters of an argument that may not be worth another call
HEIGHT = 90  # brackets and calls within each other that are followed
NOTHING: Known = (NULL, "")
_CHANGING = frozenset(
    ["add", "addrange", "insert", "reverse", "clear", "removeat", "append", "appendline", "appendformat", "replace", "remove", "write", "read", "copyto", "copy", "blockcopy", "set_item", "push", "enqueue", "pop", "dequeue", "sort", "next"]
)
_RUNNERS = frozenset({"invokescript", "newscriptblock", "addscript", "createpipeline"})  # methods
_RUNS_ON = re.compile(r"[\w:$`]")  # what would be read as part of a variable's name before it


class Jump(Exception):
    """A return, exit, throw, break or continue on its way."""

    def __init__(self, kind: str, value: Known = NOTHING):
        self.kind, self.value = kind, value


class Output:
    """What statements give, in order."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.how, self.known = "", True

    def add(self, known: Known) -> None:
        """Add what one statement gives."""
        value, how = known
        if value is None or isinstance(value, Partial):
            self.known = False
        elif value is not NULL:
            self.values.append(value)
            self.how = decisive(how, self.how)

    def all(self) -> Known:
        """Return everything as one value: of several a list."""
        if not self.known:
            return UNKNOWN
        if len(self.values) == 1:
            only = self.values[0]
            if isinstance(only, list) and len(only) == 1 and not isinstance(only, Growing):
                only = only[0]
            return only, self.how
        if not self.values:
            return NOTHING
        return [each for value in self.values for each in elements(value)], self.how


class Interpreter:
    """Follows one tree; `run` it once, then read `findings`."""

    def __init__(self, budget: Budget, findings: Findings, values: dict[str, Known]):
        self.budget, self.findings = budget, findings
        self.state = State(values, NULL, budget)
        findings.gain = self.state.gain
        self.commands = Commands(self)
        self.functions: dict[str, tuple[tree.Code, bool]] = {}
        self.output = self.printed = Output()  # the latter is the whole script's
        self.height = self.calls = self.loops = 0
        self.doubt: set[str] = set()  # kinds of jumps that may have been made
        self.unread: list[tree.Code] = []  # blocks that were met and not run so far

    def run(self, body: tree.Body) -> None:
        """Follow a script to its end; then read functions and blocks that nothing called."""
        try:
            self.body(body)
        except Jump:
            pass
        finally_read = 0
        while finally_read < len(self.unread):
            code = self.unread[finally_read]
            finally_read += 1
            if not code.entered:
                self.maybe(lambda code=code: self._read(code), lambda: None)

    def _read(self, code: tree.Code) -> None:
        """Read a block that nothing is known to call, with unknown parameters."""
        self.call(code, None)

    # Statements

    def body(self, body: tree.Body) -> None:
        """Carry out statements in order."""
        for statement in body.statements:
            handler = self.STATEMENTS.get(type(statement))
            if handler is not None:
                self.budget.step()
                with contextlib.suppress(*REJECTED):
                    handler(self, statement)
                continue
            known = self.evaluate(statement)
            if type(statement) is not tree.Assign and type(statement) is not tree.Step:
                self.output.add(known)

    def captured(self, body: tree.Body) -> Known:
        """Return what statements give."""
        outer, self.output = self.output, Output()
        try:
            self.body(body)
            return self.output.all()
        finally:
            self.output = outer

    def maybe(self, *ways: Callable[[], Any], site: tree.Node | None = None) -> None:
        """Follow ways of which any may be taken; `site` is the statement that asks."""
        outer, self.findings.site = self.findings.site, (id(site), self.calls)
        self.findings.visits += 1
        try:
            self._maybe(ways)
        finally:
            self.findings.site = outer

    def _maybe(self, ways: tuple[Callable[[], Any], ...]) -> None:
        jumps: list[Jump] = []
        given = len(self.output.values)

        def follow(way: Callable[[], Any]) -> bool:
            try:
                way()
            except Jump as jump:
                jumps.append(jump)
                self.doubt.add(jump.kind)
                return False
            finally:
                if len(self.output.values) > given:
                    del self.output.values[given:]
                    self.output.known = False
            return True

        self.state.ways(*(lambda way=way: follow(way) for way in ways))
        if len(jumps) == len(ways):
            raise jumps[0]

    def _if(self, node: tree.If, start: int = 0) -> None:
        for place in range(start, len(node.clauses)):
            condition, body = node.clauses[place]
            truth = self._truth(condition)
            if truth is None:
                self.maybe(lambda: self.body(body), lambda: self._if(node, place + 1), site=condition)
                return
            if truth:
                self.body(body)
                return
        if node.otherwise is not None:
            self.body(node.otherwise)

    def _truth(self, condition: tree.Node | None) -> bool | None:
        if condition is None:
            return True
        value, _ = self.evaluate(condition)
        return None if value is None else attempt(truth_of, value)

    def _loop(self, node: tree.Loop) -> None:
        if node.start is not None:
            self._run(node.start)
        floor, late = self._floor(), node.late
        while True:
            self.budget.step()
            truth = (not node.until) if late else self._truth(node.condition)
            late = False
            if truth is not None and truth is node.until and node.condition is not None:
                return
            endless = isinstance(node.condition, tree.Variable) or node.condition is None
            if truth is None or (endless and not node.leaves):
                break
            changes, given = self.state.changes, len(self.output.values)
            if not self._once(node.body, node.label):
                return
            if self._may_be_left():
                break
            if node.step is not None:
                self._run(node.step)
            if self.state.changes == changes or self._given_up(floor, given):
                break
        self._unknown_loop(node.body, node.step)

    def _floor(self) -> int:
        """Return how many steps a loop that begins here must leave."""
        if not self.loops:
            self.state.gained[-1] = self.budget.left()
        return self.budget.left() // 2

    def _given_up(self, floor: int, given: int = 0) -> bool:
        """Tell whether a loop takes too long, or too long for nothing but what it gave before."""
        left = self.budget.left()
        gives = self.output is not self.printed and any(
            isinstance(v, str) for v in self.output.values[given:]
        )
        return left < floor or (self.state.gained[-1] - left > STALE and not gives)

    def _run(self, node: tree.Node) -> None:
        """Carry out the start or step of a loop."""
        self.captured(node if isinstance(node, tree.Body) else tree.Body(0, 0, [node], frozenset()))

    def _once(self, body: tree.Body, label: str = "") -> bool:
        """Go through a loop's body; tell whether the loop goes on."""
        self.loops += 1
        try:
            self.body(body)
        except Jump as jump:
            kind, _, target = jump.kind.partition(" ")
            if kind not in ("break", "continue") or target not in ("", label):
                raise
            return kind == "continue"
        finally:
            self.loops -= 1
        return True

    def _unknown_loop(self, body: tree.Body, step: tree.Node | None = None, names: tuple = ()) -> None:
        """Read a loop's body once, for any of its turns."""
        for name in (*body.assigned, *names):
            self.state.assign(name, UNKNOWN)
        self.maybe(lambda: (self._once(body), step and self._run(step)), lambda: None)
        for name in (*body.assigned, *names):
            self.state.assign(name, UNKNOWN)

    def _may_be_left(self) -> bool:
        return any(kind.startswith(("break", "continue")) for kind in self.doubt)

    def _apart(self, node: tree.Loop | tree.ForEach | tree.Switch) -> None:
        """Follow a loop, whose breaks are no concern of the loops around it."""
        outer, self.doubt = self.doubt, set()
        try:
            self.LOOPS[type(node)](self, node)
        finally:
            self.doubt = outer | (self.doubt - {"break", "continue"})

    def _foreach(self, node: tree.ForEach) -> None:
        value, how = self.evaluate(node.source)
        if isinstance(node.source, tree.Assign | tree.Body):
            value = None
        source = attempt(elements, value)
        if source is None or not isinstance(node.variable, tree.Variable):
            name = node.variable.name if isinstance(node.variable, tree.Variable) else ""
            self._unknown_loop(node.body, names=(name,))
            return
        self.budget.spend(len(source))
        floor = self._floor()
        for place, each in enumerate(source):
            self.budget.step()
            gains, at, given = self.state.gains, self.state.gained[-1], len(self.output.values)
            self.state.assign(node.variable.name, (each, how))
            self.state.gains, self.state.gained[-1] = gains, at
            if not self._once(node.body, node.label):
                break
            if self._may_be_left() or (self._given_up(floor, given) and place + 1 < len(source)):
                self._unknown_loop(node.body, names=(node.variable.name,))
                break

    def _switch(self, node: tree.Switch) -> None:
        value, how = self.evaluate(node.subject)
        subjects = attempt(elements, value)
        for subject in subjects if subjects is not None and node.operator else [None]:
            self.state.assign("_", (subject, how) if subject is not None else UNKNOWN)
            matched: bool | None = False
            for key, body in node.clauses:
                fits = not matched if key is None else self._fits(subject, key, node.operator)
                if fits is None or matched is None:
                    matched = None
                    self.maybe(lambda body=body: self._once(body), lambda: None, site=node)
                elif fits:
                    matched = True
                    if not self._once(body):
                        break

    def _fits(self, subject: Any, key: tree.Node, operator: str) -> bool | None:
        """Tell whether a clause of a switch is for the subject, None where that is not known."""
        wanted, _ = self.evaluate(key)
        if isinstance(wanted, Block):
            wanted, _ = self.invoke(wanted, [], own_scope=False)
            return None if wanted is None else attempt(truth_of, wanted)
        if subject is None or wanted is None:
            return None
        text = attempt(text_of, subject)
        return None if text is None else attempt(OPERATORS[operator].apply, self.budget, text, wanted)

    def _function(self, node: tree.Function) -> None:
        self.functions[node.name] = (node.code, node.each)
        self.unread.append(node.code)

    def _try(self, node: tree.Try) -> None:
        try:
            self.body(node.body)
        except Jump as jump:
            if jump.kind != "throw":
                raise
            for body in node.catches[:1]:
                self.body(body)
        else:
            for body in node.catches:
                self.maybe(lambda body=body: self.body(body), lambda: None)
        if node.last is not None:
            self.body(node.last)

    def _named(self, node: tree.Named) -> None:
        if node.name in ("begin", "process", "end", "data"):
            self.body(node.body)
        else:
            self.maybe(lambda: self.body(node.body), lambda: None)

    def _flow(self, node: tree.Flow) -> None:
        raise Jump(node.kind, NOTHING if node.value is None else self.evaluate(node.value))

    LOOPS: ClassVar[dict[type, Callable[..., None]]] = {
        tree.Loop: _loop, tree.ForEach: _foreach, tree.Switch: _switch,
    }  # fmt: skip
    STATEMENTS: ClassVar[dict[type, Callable[..., None]]] = {
        tree.If: _if, tree.Loop: _apart, tree.ForEach: _apart, tree.Switch: _apart, tree.Function: _function,
        tree.Try: _try, tree.Named: _named, tree.Flow: _flow, tree.Body: body,
    }  # fmt: skip

    # Blocks and functions

    def call(
        self, code: tree.Code, arguments: list[tuple[str, Known]] | None, *, piped: Known | None = None,
        own_scope: bool = True, turns: list | None = None,
    ) -> Known:  # fmt: skip
        """Return what a block gives for its arguments, (parameter or "", value); None for unknown ones.

        With `turns` its part named process is run for each of them.
        """
        if code.dull >= DULL and not any(
            isinstance(v, str) and len(v) >= SHORT for _, (v, _) in arguments or ()
        ):
            for name in code.body.assigned:
                if ":" in name:
                    self.state.assign(name, UNKNOWN)
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
        if own_scope:
            self.state.scopes.append({})
        try:
            if own_scope or code.parameters or arguments is None:
                self._bind(code, arguments, piped)
            gains = self.state.gains
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
            code.dull = code.dull + 1 if known[0] is None and gains == self.state.gains else 0
            return known
        finally:
            self.height -= code.body.height + 1
            if own_scope:
                self.state.scopes.pop()
            self.output, self.doubt = outer, doubt

    def _take_turns(self, body: tree.Body, turns: list) -> None:
        """Run the parts of a function that takes a pipeline."""
        for statement in body.statements:
            is_process = isinstance(statement, tree.Named) and statement.name == "process"
            for turn in turns if is_process else [None]:
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
            return self._called(value.target, how, value.name, [each for each, _ in arguments], None)
        return UNKNOWN

    def each(self, value: Any, how: str, block: Block) -> Known:
        """Return what a block gives for each element of a value."""
        source = attempt(elements, value)
        code = block.node
        if code is None:
            return UNKNOWN
        code.entered = True
        if source is None:
            self.maybe(lambda: self._turn(code, UNKNOWN), lambda: None, site=code)
            return UNKNOWN
        self.budget.spend(len(source))
        results = Output()
        pure, reads = _pure(code)
        seen: dict[Any, Known] = {}  # by type too, as '7' is not 7; a payload has few different elements
        before, floor = self.state.get("_"), self._floor()
        for each in source:
            if results.known is False and self._given_up(floor):
                for name in code.body.assigned:
                    self.state.assign(name, UNKNOWN)
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

    # Expressions

    def evaluate(self, node: tree.Node) -> Known:
        """Return the value of an expression and how it came about; UNKNOWN where it is not certain."""
        budget = self.budget
        budget.steps -= 1
        if budget.steps < 0 or not budget.steps & 4095:
            budget.steps += 1
            budget.step()
        try:
            return self.EXPRESSIONS[type(node)](self, node)
        except REJECTED:
            return UNKNOWN

    def _known(self, node: tree.Node, value: Any, how: str) -> Known:
        """Return a value, and note it where it spells something that the text does not."""
        if value is None:
            if node.seen:  # it was known before
                node.seen = ()
            return UNKNOWN
        known = (value, how)
        if isinstance(value, str | bytearray | list):
            self.findings.note(node, known)
        return known

    def _literal(self, node: tree.Literal) -> Known:
        if node.folded:
            self.findings.note(node, node.value)
        return node.value

    def _literals(self, node: tree.Literals) -> Known:
        if node.values is None:
            self.budget.spend(len(node.text))
            node.values = numbers_of(node.text)
        self.budget.spend(len(node.values))
        return list(node.values), ""

    def _variable(self, node: tree.Variable) -> Known:
        if (known := self.state.get(node.name)) is None and node.name[:9] == "function:":
            if function := self.functions.get(node.name[9:]):
                return Block(function[0], self.source(function[0])), ""
        return known or UNKNOWN

    def source(self, code: tree.Code) -> str:
        """Return the text of a block without its braces."""
        return self.findings.text[code.begin + 1 : code.end - 1]

    def _type(self, node: tree.Type) -> Known:
        return Named(node.name), ""

    def _expandable(self, node: tree.Expandable) -> Known:
        texts: list[str] = []
        how, sure, readable = "", True, True
        for part in node.parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            value, step = self.evaluate(part)
            text = None if value is None else attempt(self.text, value)
            how = decisive(step, how)
            if text is None:
                sure, spelled = False, self.findings.spelled(part)
                text = value.text if isinstance(value, Partial) else spelled
                readable &= not (_RUNS_ON.match(self.findings.text, part.end) and spelled[-1:] not in ")}")
            texts.append(text)
        self.budget.spend(sum(map(len, texts)))
        value = "".join(texts)
        if not sure:
            self._known(node, None, "")
            return (Partial(value), "") if readable else UNKNOWN
        if node.rewritten or how:
            self.findings.note(node, (value, how))
        return value, how

    def text(self, value: Any) -> str:
        """Return a value as text; between the elements of a list stands what $OFS says."""
        if isinstance(value, list | bytearray):
            separator, _ = self.state.get("ofs") or (" ", "")
            if separator is None:
                raise TypeError("not known")
            return join(self.budget, value, separator)
        return text_of(value)

    def _items(self, node: tree.Items) -> Known:
        values: list[Any] = []
        how = ""
        for item in node.items:
            value, step = self.evaluate(item)
            how = decisive(step, how)
            if isinstance(item, tree.Literals):
                values += value
            else:
                values.append(value)
        self.budget.spend(len(values))
        return values, how

    def _chain(self, node: tree.Chain) -> Known:
        value, how = self.evaluate(node.first)
        if node.rest[0][0] == "+":
            return self._sum(node, value, how)
        for name, operand in node.rest:
            if name in ("split", "csplit", "isplit", "replace", "creplace", "ireplace"):
                other, step = self._pattern(operand)
            else:
                other, step = self.evaluate(operand)
            operation, left = OPERATORS[name], value
            if value is not None and other is not None:
                value = self._operation(operation.apply, value, other)
                how = decisive(decisive(operation.how, step), how)
            else:
                value = None
            if name in ("match", "imatch", "cmatch"):
                self._matched(left, other, name, how)
        return self._known(node, value, how)

    def _pattern(self, operand: tree.Node) -> Known:
        """Return a pattern and what stands instead, a block as what is called for each match."""
        value, how = self.evaluate(operand)
        if isinstance(value, list) and len(value) == 2 and isinstance(value[1], Block):
            value = [value[0], self._as_function(value[1], how)]
        return value, ""

    def _matched(self, text: Any, pattern: Any, name: str, how: str) -> None:
        """Set $Matches."""
        found = None
        if isinstance(text, str) and isinstance(pattern, str):
            flags = 0 if name[0] == "c" else re.IGNORECASE
            found = attempt(lambda: next(pattern_of(pattern, flags).matches(self.budget, text), "none"))
        if found is None:
            self.state.assign("matches", UNKNOWN)
        elif found != "none":
            match = found[2]
            groups: dict[Any, Any] = {0: match[0], **dict(enumerate(match.groups(NULL), 1))}
            self.state.assign("matches", (Table(groups | match.groupdict(NULL)), how))

    def _operation(self, operation: Callable, left: Any, right: Any) -> Any:
        try:
            return operation(self.budget, left, right)
        except REJECTED:
            return None

    def _sum(self, node: tree.Chain, value: Any, how: str) -> Known:
        """Return the sum; where a part of it is not known, note the sums of strings beside each other."""
        first, run = node.first, value  # where a run of strings begins, and their sum
        last, count, run_how = node.first, 1, how
        apart = False
        for name, operand in node.rest:
            other, step = self.evaluate(operand)
            if value is not None:
                added = None if other is None else self._added(value, other)
                value = None if added is None else self._operation(OPERATORS[name].apply, value, added)
            how = decisive(decisive("concatenation" if name == "+" else "", step), how)
            if value is None:
                if not apart and count > 1 and isinstance(run, str):
                    self.findings.note(tree.Node(first.begin, last.end), (run, run_how))
                if apart and isinstance(run, str) and isinstance(other, str) and name == "+":
                    run, count = self._operation(OPERATORS["+"].apply, run, other), count + 1
                else:
                    if apart and count > 1 and isinstance(run, str):
                        self.findings.note(tree.Node(first.begin, last.end), (run, run_how))
                    first, run, count, run_how = operand, other, 1, step
                apart = True
            else:
                run, count, run_how = value, count + 1, how
            last = operand
        if value is None:
            if count > 1 and isinstance(run, str):
                self.findings.note(
                    tree.Node(first.begin, last.end), (run, decisive(run_how, "concatenation"))
                )
            return self._known(node, None, "")
        return self._known(node, value, how)

    def _added(self, left: Any, right: Any) -> Any:
        """Return what is added to a string: a list as one text."""
        return attempt(self.text, right) if isinstance(left, str) and isinstance(right, list) else right

    def _prefixed(self, node: tree.Prefixed) -> Known:
        value, how = self.evaluate(node.operand)
        if ("cast", "ref") in node.prefixes:
            self._spoil(node.operand)
        quiet = True
        for kind, name in reversed(node.prefixes):
            if kind == "cast":
                if name == "scriptblock":
                    self.findings.note_script(node, value, how)
                    value = Block(None, value) if isinstance(value, str) else None
                    continue
                value, how = self._cast(name, value, how)
                quiet = quiet and name == "string"
            else:
                value, how = self._before(name, value, how)
                quiet = False
        return (value, how) if quiet else self._known(node, value, how)

    def _cast(self, name: str, value: Any, how: str) -> Known:
        if value is None or isinstance(value, Partial):
            return (value if name == "string" else None), how
        if name == "string" and isinstance(value, list):
            return attempt(self.text, value), how
        if name in ("pscustomobject", "hashtable") and isinstance(value, Table):
            return value, how
        known = name in CASTS or name.startswith("collections.")
        result = attempt(cast, name, self.budget, value) if known else value
        decodes = name.startswith("char") and not isinstance(value, str)
        return result, decisive("characters" if decodes else "", how)

    def _before(self, name: str, value: Any, how: str) -> Known:
        """Return what an operator before its operand gives."""
        if name == ",":
            return [value], how
        if value is None:
            return UNKNOWN
        if name == "join":
            return attempt(join, self.budget, value), decisive("join", how)
        if name.endswith("split"):
            return attempt(split_words, self.budget, value), decisive("split", how)
        if name in ("not", "!"):
            return attempt(lambda: not truth_of(value)), how
        if name == "bnot":
            return attempt(lambda: ~whole_of(value)), how
        return attempt(negated, self.budget, value) if name == "-" else attempt(number_of, value), how

    def _paren(self, node: tree.Paren) -> Known:
        statements = node.body.statements
        if len(statements) == 1 and type(statements[0]) not in self.STATEMENTS:
            known = self.evaluate(statements[0])
            if node.kind == "$(" and type(statements[0]) in (tree.Assign, tree.Step):
                known = NOTHING
        else:
            known = self.captured(node.body)
        if node.kind == "@(":
            value, how = known
            if value is not None:
                known = (
                    value if isinstance(value, list) and not isinstance(value, Growing) else elements(value),
                    how,
                )
        elif node.kind == "(" and not node.tight and len(statements) == 1 and isinstance(known[0], str):
            if statements[0].seen:
                self.findings.note(node, known)
        return known

    def _hash(self, node: tree.Hash) -> Known:
        items: dict[Any, Any] = {}
        hows = ""
        for key, statement in node.pairs:
            name, _ = self.evaluate(key)
            if type(statement) in self.STATEMENTS:
                value, how = self.captured(tree.Body(0, 0, [statement], frozenset()))
            else:
                value, how = self.evaluate(statement)
            if not isinstance(name, str | int):
                return UNKNOWN
            items[key_of(name)] = value
            hows = decisive(how, hows)
        return Table(items), hows

    def _code(self, node: tree.Code) -> Known:
        self.unread.append(node)
        return Block(node, self.source(node)), ""

    def _step(self, node: tree.Step) -> Known:
        before, how = self.evaluate(node.target)
        number = 0 if before is NULL else attempt(number_of, before) if before is not None else None
        if isinstance(node.target, tree.Variable) and self.state.get(node.target.name) is None:
            number = 0
        after = None if number is None else number + node.amount
        self._store(node.target, (after, how) if after is not None else UNKNOWN)
        return (number if node.after else after), how

    # Members and indices

    def _postfixed(self, node: tree.Postfixed) -> Known:
        value, how = self.evaluate(node.base)
        begin, quiet = node.begin, True
        for step in node.steps:
            target = value
            if isinstance(step, tree.Index):
                value, how = self._indexed(value, how, step)
                quiet = False
            else:
                value, how = self._member(value, how, step)
                quiet = step.arguments is None and isinstance(target, str)
            if isinstance(value, str | bytearray | list) and not quiet and step is not node.steps[-1]:
                self.findings.note(step, (value, how), begin)
        return (value, how) if quiet else self._known(node, value, how)

    def _indexed(self, value: Any, how: str, step: tree.Index) -> Known:
        place, _ = self._of_body(step.place)
        if value is None or place is None:
            return UNKNOWN
        if isinstance(value, str | Builder) and isinstance(place, list):
            self.budget.spend(ELEMENT_COST * len(place))
        result = self._operation(indexed, value, place)
        return result, decisive("reversal", how) if isinstance(place, list) else how

    def _of_body(self, body: Any) -> Known:
        statements = body.statements
        if len(statements) == 1 and type(statements[0]) not in self.STATEMENTS:
            return self.evaluate(statements[0])
        return self.captured(body)

    def _member(self, target: Any, how: str, step: tree.Member) -> Known:
        name: Any = step.name
        if isinstance(name, tree.Node):
            name = self.evaluate(name)[0]
            if isinstance(name, Method | Named):
                return UNKNOWN
            name = name.lower() if isinstance(name, str) else None
        given = None if step.arguments is None else [self.evaluate(each) for each in step.arguments]
        if name is None:
            return UNKNOWN
        if given is None:
            return self._property(target, how, name)
        for _, each in given:
            how = decisive(each, how)
        arguments = [value for value, _ in given]
        if name in _RUNNERS or (name == "create" and target == Named("scriptblock")):
            for node, (value, each) in zip(step.arguments or (), given, strict=True):
                self.findings.note_script(node, value, each)
            return (Block(None, arguments[0]) if arguments and isinstance(arguments[0], str) else None), how
        return self._called(target, how, name, arguments, step)

    def _property(self, target: Any, how: str, name: str) -> Known:
        if name in _RUNNERS:
            return Method(target, name), how
        if target is None or target is NULL:
            return UNKNOWN
        return attempt(members.member, name, self.budget, target, None), how

    def _called(self, target: Any, how: str, name: str, arguments: list, step: tree.Member | None) -> Known:
        if name == "foreach" and arguments and isinstance(arguments[0], str):
            values = [attempt(members.member, arguments[0].lower(), self.budget, each, arguments[1:])
                      for each in attempt(elements, target) or ()]  # fmt: skip
            return (None if None in values else values), how
        if isinstance(target, Block | Method) and name in ("invoke", "invokereturnasis", "invokewithcontext"):
            return self.invoke(target, [(each, how) for each in arguments])
        if name in _RUNNERS:
            self.findings.note_script(step or tree.Node(0, 0), arguments[0] if arguments else None, how)
            return UNKNOWN
        if arguments and isinstance(arguments[0], Block) and name in ("foreach", "where"):
            if name == "foreach":
                return self.each(target, how, arguments[0])
            return self.commands.where(target, how, arguments[0])
        if name == "foreach" and arguments and isinstance(arguments[0], Named):
            return attempt(
                lambda: [cast(arguments[0].name, self.budget, each) for each in elements(target)]
            ), how
        if any(isinstance(each, Block) for each in arguments):
            arguments = [
                self._as_function(each, how) if isinstance(each, Block) else each for each in arguments
            ]
        session = self.commands.session(target, name, arguments)
        if session is not None:
            return session
        if target is None or None in arguments:
            self.commands.note_line("", [each for each in arguments if each is not None])
            if name in _CHANGING:
                for each in (target, *arguments):
                    if isinstance(each, list | bytearray | Builder | Stream | Table):
                        self.state.spoil(each)
            return UNKNOWN
        if name in _CHANGING and not isinstance(target, str):
            for each in (target, *arguments):
                if isinstance(each, list | bytearray | Builder | Stream | Table):
                    self.state.touch(each)
        value = attempt(members.member, name, self.budget, target, arguments)
        if value is None:
            self.commands.note_line("", arguments)
            for each in arguments:  # which an unknown method may change
                if isinstance(target, Named) and isinstance(each, list | bytearray):
                    self.state.spoil(each)
        elif isinstance(target, Named):
            how = self._created(target.name, name, value, how, arguments)
        return value, decisive(members.how_of(name, arguments), how)

    def _created(self, kind: str, name: str, value: Any, how: str, arguments: list) -> str:
        """Return the step of a constructor that inflates."""
        if name == "new" and isinstance(value, Stream):
            return decisive("gzip" if "gzip" in kind else "deflate" if "deflate" in kind else "", how)
        if name == "reverse" and arguments:
            self._mark(arguments[0], decisive("reversal", how))
        return how

    def _mark(self, value: Any, how: str) -> None:
        """Say how the value of a variable came about that was changed where it stands."""
        for scope in self.state.scopes:
            for name, known in scope.items():
                if known[0] is value:
                    scope[name] = (value, how)

    def _as_function(self, block: Block, how: str) -> Any:
        """Return a block as what [regex]::Replace calls."""

        def made(match: Any) -> str:
            self.state.assign("_", (match, how))
            return text_of(self.call(block.node, [("", (match, how))])[0])

        return made

    # Assignments

    def _assign(self, node: tree.Assign) -> Known:
        target, first = node.targets[0], node.value
        while isinstance(first, tree.Chain | tree.Expandable):
            first = first.first if isinstance(first, tree.Chain) else next(iter(first.parts), None)
        if (
            isinstance(target, tree.Variable)
            and isinstance(first, tree.Variable)
            and first.name == target.name
        ):
            if self.state.get(target.name) is None:  # `$x = $x + ...` that begins with nothing
                self.state.assign(target.name, NOTHING)
        if type(node.value) in self.STATEMENTS:
            value, how = self.captured(tree.Body(0, 0, [node.value], frozenset()))
        else:
            value, how = self.evaluate(node.value)
        if node.operator == "param":
            self._store(node.targets[0], UNKNOWN)
            return UNKNOWN
        if node.operator != "=":
            value, how = self._combined(node, value, how)
        for target in reversed(node.targets):
            value, how = self._store(target, (value, how) if value is not None else UNKNOWN)
        return value, how

    def _combined(self, node: tree.Assign, value: Any, how: str) -> Known:
        """Return what `+=` and the like make of the value before."""
        target = node.targets[-1]
        before, earlier = self.evaluate(target)
        if before is None and isinstance(target, tree.Variable) and self.state.get(target.name) is None:
            before = NULL
        if value is None or before is None:
            return UNKNOWN
        operator = "-" if node.operator not in ("+", "*", "/", "%", "??") else node.operator
        if operator == "??":
            return (value, how) if before is NULL else (before, earlier)
        added = self._added(before, value)
        result = self._operation(OPERATORS[operator].apply, before, added)
        return result, decisive(how, earlier) or OPERATORS[operator].how

    def _store(self, target: tree.Node, known: Known) -> Known:
        """Give a variable, a place or a property a value; return the value after casts."""
        while isinstance(target, tree.Prefixed):
            for kind, name in reversed(target.prefixes):
                known = self._cast(name, *known) if kind == "cast" else known
            target = target.operand
        if isinstance(target, tree.Paren) and len(target.body.statements) == 1:
            return self._store(target.body.statements[0], known)
        if isinstance(target, tree.Variable):
            if target.name[:9] in ("function:", "alias:") or target.name[:6] == "alias:":
                self.commands.define(*target.name.split(":", 1), known[0])
            self.state.assign(target.name, known)
            self.findings.note_value(target, known)
        elif isinstance(target, tree.Items):
            self._store_several(target.items, known)
        elif isinstance(target, tree.Postfixed):
            self._store_part(target, known)
        return known

    def _store_several(self, targets: list[tree.Node], known: Known) -> None:
        values = attempt(elements, known[0])
        for place, target in enumerate(targets):
            if values is None:
                value = None
            elif place == len(targets) - 1 and len(values) > len(targets):
                value = values[place:]
            else:
                value = values[place] if place < len(values) else NULL
            self._store(target, UNKNOWN if value is None else (value, known[1]))

    def _store_part(self, target: tree.Postfixed, known: Known) -> None:
        """Change an element or a property where it stands; spoil the object where that is not certain."""
        base = tree.Postfixed(target.begin, target.end, target.base, target.steps[:-1])
        owner, _ = self.evaluate(base if target.steps[:-1] else target.base)
        step, value = target.steps[-1], known[0]
        if owner is None:
            return
        self.state.touch(owner)
        if isinstance(step, tree.Member):
            if isinstance(owner, Table) and isinstance(step.name, str):
                owner.items[step.name] = value
            return
        place, _ = self._of_body(step.place)
        if place is None or attempt(_put, owner, place, value) is None:
            self.state.spoil(owner)
        elif known[1] and isinstance(target.base, tree.Variable):
            before = self.state.get(target.base.name)
            if before is not None and before[0] is owner:
                how = decisive(known[1], before[1])
                if how != before[1]:
                    self.state.assign(target.base.name, (owner, how))

    def _spoil(self, base: tree.Node) -> None:
        if isinstance(base, tree.Variable):
            self.state.assign(base.name, UNKNOWN)

    def _pipeline(self, node: tree.Pipeline) -> Known:
        given = self.evaluate(node.parts[0])
        for part in node.parts[1:]:
            self.budget.step()
            if isinstance(part, tree.Command):
                given = self.commands.filter(part, given)
            else:
                given = self.evaluate(part)
        return self._result(node, given)

    def _result(self, node: tree.Node, known: Known) -> Known:
        """Return what a pipeline or command gives, and note it if a decoding gave it."""
        if known[1] in DECODINGS:
            self.findings.note(node, known)
        return known

    def _command(self, node: tree.Command) -> Known:
        known = self.commands.run(node)
        return NOTHING if node.silent else self._result(node, known)

    def _body_value(self, node: tree.Body) -> Known:
        return self.captured(node)

    EXPRESSIONS: ClassVar[dict[type, Callable[..., Known]]] = {
        tree.Literal: _literal, tree.Literals: _literals, tree.Variable: _variable, tree.Type: _type,
        tree.Expandable: _expandable, tree.Items: _items, tree.Chain: _chain, tree.Prefixed: _prefixed,
        tree.Paren: _paren, tree.Hash: _hash, tree.Code: _code, tree.Step: _step, tree.Postfixed: _postfixed,
        tree.Assign: _assign, tree.Pipeline: _pipeline, tree.Command: _command, tree.Body: _body_value,
        **dict.fromkeys(STATEMENTS, lambda self, node: self.captured(tree.Body(0, 0, [node], frozenset()))),
    }  # fmt: skip


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


def _changes(node: Any) -> bool:
    called = isinstance(node, tree.Member) and node.arguments is not None
    return called and (not isinstance(node.name, str) or (node.name in _CHANGING and node.name != "replace"))


def _pure(code: tree.Code) -> tuple[bool, bool]:
    """Tell whether a block gives the same for the same $_, as it runs and assigns nothing, and whether it reads $_."""
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
