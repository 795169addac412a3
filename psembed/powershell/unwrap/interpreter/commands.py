"""How commands are called: names and aliases, arguments, functions, and what is handed to PowerShell."""

from functools import partial
from itertools import compress
from typing import Any

from psembed.powershell.aliases import ALIASES
from psembed.powershell.unwrap.dotnet.operators import wildcard
from psembed.powershell.unwrap.dotnet.values import (
    Block,
    Partial,
    Table,
    attempt,
    elements,
    text_of,
    truth_of,
)
from psembed.powershell.unwrap.interpreter.cmdlets import (
    CMDLETS,
    SILENT,
    Call,
    Given,
    paired,
    together,
    variable_of,
)  # fmt: skip
from psembed.powershell.unwrap.interpreter.hosts import HOSTS, handed, words_of
from psembed.powershell.unwrap.interpreter.state import NOTHING, UNKNOWN, Known, Machine
from psembed.powershell.unwrap.parsing import tree
from psembed.powershell.unwrap.parsing.lexis import variable_name

_ALIASES = dict(ALIASES) | {"sc": "set-content"}
_COMMANDS = sorted({*_ALIASES, *_ALIASES.values()})
_FULL_NAMES = {name[4:]: name for name in CMDLETS if name.startswith("get-")} | _ALIASES
_WORDS = 1_000  # of one list


class Commands:
    """Carries out commands on constants; notes the strings that are given to run."""

    def __init__(self, machine: Machine):
        self.machine, self.state, self.findings = machine, machine.state, machine.findings
        self.aliases: dict[str, str] = {}

    # Calls

    def run(self, node: tree.Command, piped: Known | None = None) -> Known:
        """Return what a command gives."""
        called, how = self.machine.evaluate(node.name)
        if isinstance(called, list) and len(called) == 1:
            called = called[0]
        if isinstance(called, Table):
            called = called.items.get("name")
        given = self._arguments(node)
        if isinstance(called, Block):
            own, code = node.operator != ".", called.node
            return self.machine.call(code, paired(given), piped=piped, own_scope=own) if code else UNKNOWN
        if not isinstance(called, str):
            return self._run_other(node, "", given, piped)
        if not node.operator and isinstance(node.name, tree.Variable):
            return called, how
        name = self.resolved(called)
        if function := self.machine.functions.get(name):
            code, each = function
            return self._run_function(code, each, given, piped)
        if name in CMDLETS:
            call = Call(node, given, piped)
            known = attempt(CMDLETS[name], self.machine, call) or UNKNOWN
            if call.named and isinstance(kept := call.value("outvariable", "ov", "variable"), str):
                self.state.assign(variable_name(kept), known)
            return known
        return self._run_other(node, name, given, piped)

    def filter(self, node: tree.Command, given: Known) -> Known:
        """Return what a later part of a pipeline makes of what it is given."""
        known = self.run(node, given)
        return NOTHING if node.silent else known

    def _arguments(self, node: tree.Command) -> Given:
        """Evaluate arguments; what is splatted is laid out."""
        given: Given = []
        for name, argument in node.arguments:
            value, how = (True, "") if argument is None else self.machine.evaluate(argument)
            if isinstance(argument, tree.Variable) and argument.splatted:
                given += _splatted(value, how)
            elif argument is not None and name and isinstance(value, bool):  # no switch's own
                given.append((name, (int(value), how)))
            else:
                given.append((name, (value, how)))
        return given

    def _run_function(self, code: tree.Code, each: bool, given: Given, piped: Known | None) -> Known:
        bound = paired(given, lambda short: any(name.startswith(short) for name, _ in code.parameters))
        process = any(isinstance(one, tree.Named) and one.name == "process" for one in code.body.statements)
        source = attempt(elements, piped[0]) if piped is not None else None
        if piped is None or not (each or process or code.piped):
            return self.machine.call(code, bound, piped=piped)
        if process and not code.parameters:
            turns = None if source is None else [(one, piped[1]) for one in source]
            return self.machine.call(code, bound, piped=UNKNOWN, turns=turns)
        if source is None or len(source) == 1:
            return self.machine.call(code, bound, piped=piped)
        results = [self.machine.call(code, bound, piped=(one, piped[1])) for one in source]
        return attempt(together, results, piped[1]) or UNKNOWN

    def _run_other(self, node: tree.Command, name: str, given: Given, piped: Known | None) -> Known:
        """Note what a command gets that is not covered; blocks among it may be run at any time."""
        if node.operator == ".":  # a script whose variables become those of this one
            self.machine.forget_all()
        if name in HOSTS and piped is not None:
            self.findings.note_script(node, *piped)
        if given:
            self.note_line(name, words_of(name, given), node)
        for _, (value, _) in given:
            for block in value if isinstance(value, list) else [value]:
                if isinstance(block, Block) and block.node is not None and not block.node.entered:
                    self.machine.maybe(partial(self.machine.call, block.node, None))
        return NOTHING if name in SILENT else UNKNOWN

    def note_line(self, name: str, values: list[Any], node: tree.Node | None = None) -> None:
        """Note what a command line among arguments hands to PowerShell."""
        flat = [each for one in values for each in (one[:_WORDS] if isinstance(one, list) else [one])]
        role, text = handed(name, list(map(_text, flat)))
        if role == "script":
            self.findings.note_encoded_command(node or tree.Node(0, 0), text)
        elif text:
            self.findings.note_script(node or tree.Node(0, 0), text, "")

    def where(self, value: Any, how: str, block: Block) -> Known:
        """Return the elements for which a block gives true."""
        source = attempt(elements, value)
        if source is None:
            self.machine.each(None, "", block)
            return UNKNOWN
        before, truths = self.state.get("_") or UNKNOWN, []
        for each in source:
            self.state.assign("_", (each, how))
            truths.append(self.machine.invoke(block, [], own_scope=False)[0])
            if truths[-1] is None:
                break
        self.state.assign("_", before)
        return UNKNOWN if None in truths else (list(compress(source, map(truth_of, truths))), how)

    # Names

    def resolved(self, name: str) -> str:
        """Return the full name of a command in lower case, without module and path."""
        name, functions = name.strip().lower(), self.machine.functions
        if name not in functions:
            name = name.replace("/", "\\").rpartition("\\")[2].removesuffix(".exe")
        for _ in range(8):
            if name in functions or name not in self.aliases:
                break
            name = self.aliases[name]
        return name if name in functions else _FULL_NAMES.get(name, name)

    def define(self, kind: str, name: str, value: Any) -> None:
        """Give an alias or a function its meaning."""
        name = name.lower().lstrip("\\/")
        if kind == "alias" and isinstance(value, str):
            self.aliases[name] = self.resolved(value)
        elif kind == "function" and isinstance(value, Block) and value.node is not None:
            self.machine.functions[name] = (value.node, False)

    def matching(self, pattern: Any) -> Known:
        """Return the command that a pattern stands for."""
        if not isinstance(pattern, str):
            return UNKNOWN
        targets = {self.resolved(pattern)}
        if any(mark in pattern for mark in "*?["):
            known = [*_COMMANDS, *self.aliases, *self.machine.functions]
            found = attempt(lambda: [name for name in known if wildcard(pattern, name)])
            targets = {self.resolved(name) for name in found or ()}
            pattern = next(iter(targets), "")
        if len(targets) != 1:
            return UNKNOWN
        name = targets.pop()
        code = self.machine.functions.get(name)
        text = self.machine.source(code[0]) if code else name
        items = {"name": pattern, "definition": text, "scriptblock": text, "displayname": name}
        return Table(items, "command"), ""

    def session(self, target: Any, name: str, arguments: list) -> Known | None:
        """Return what a method of $ExecutionContext and the like gives, None for another method."""
        first, size = arguments[0] if arguments else None, len(arguments)
        if name in ("getenvironmentvariable", "setenvironmentvariable"):
            target, name, first = None, f"{name[:3]}value", f"env:{first}"
            size = min(size, 1 if name == "getvalue" else 2)
        if target is not None or not isinstance(first, str):
            return None
        if name in ("get", "getvalue") and size == 1:
            value, how = self.state.get(variable_of(first)) or UNKNOWN
            return (value if name == "getvalue" else Table({"value": value, "name": first})), how
        if name in ("set", "setvalue") and size == 2:
            self.state.assign(variable_of(first), (arguments[1], ""))
            return NOTHING
        return self.matching(first) if name.startswith(("getcommand", "getcmdlet")) else None


def _text(value: Any) -> str:
    text = value.text if isinstance(value, Partial | Block) else value
    return text if isinstance(text, str) else attempt(text_of, text) or ""


def _splatted(value: Any, how: str) -> Given:
    """Return the arguments that a hashtable or list stands for."""
    if isinstance(value, Table):
        return [(str(key), (each, how)) for key, each in value.items.items()]
    values: list[Any] = value if isinstance(value, list) else [None]
    return [(each[1:].lower(), (True, how)) if _is_parameter(each) else ("", (each, how)) for each in values]


def _is_parameter(word: Any) -> bool:
    return isinstance(word, str) and word[:1] == "-" and word[1:].isidentifier()
