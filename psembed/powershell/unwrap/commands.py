"""Commands of PowerShell, as far as they matter for constants: what they give, and what they run."""

from collections.abc import Callable
from typing import ClassVar

from psembed.powershell.unwrap.expressions import ExpressionEvaluator
from psembed.powershell.unwrap.methods import new_object
from psembed.powershell.unwrap.state import Item, Kind, decisive, variable_name
from psembed.powershell.unwrap.values import Element, attempt, type_name

_INVOKERS = frozenset({"iex", "invoke-expression"})
_HOSTS = frozenset({"powershell", "powershell.exe", "pwsh", "pwsh.exe"})
_MAPPING = frozenset({"%", "foreach-object", "foreach"})
_PASSING_ON = frozenset({"out-string", "write-output", "echo", "?", "where-object"})


class CommandEvaluator:
    """Carries out commands on constants; notes the strings that are given to run."""

    def __init__(self, expressions: ExpressionEvaluator):
        self.expressions = expressions
        self.variables, self.findings = expressions.variables, expressions.findings

    def run(self, items: list[Item]) -> Item | None:
        """Return what a command gives, its value known where its cmdlet is in CMDLETS."""
        if not items:
            return None
        name, arguments = _called(items)
        self._note_scripts(name, items)
        result = Item(Kind.VALUE, items[0].begin, items[-1].end)
        if cmdlet := self.CMDLETS.get(name):
            cmdlet(self, items, arguments, result)
        return result

    def filter(self, given: Item | None, items: list[Item]) -> Item | None:
        """Return what a later part of a pipeline makes of what it is given."""
        if items[0].kind == Kind.OPERATOR and items[0].name == "%":
            items = [Item(Kind.WORD, items[0].begin, items[0].end, name="%"), *items[1:]]
        items = self.expressions.reduce(items)
        name, arguments = _called(items)
        block = next((item for item in arguments if item.kind == Kind.BLOCK), None)
        begin, end = given.begin if given else items[0].begin, items[-1].end
        result = Item(Kind.VALUE, begin, end)
        if given is None:
            self.run(items)
        elif name in _INVOKERS or name in _HOSTS or name is None:
            self.findings.note_script(given)
        elif name in _MAPPING and block is not None:
            return self.expressions.map_elements(given, block, begin, end)
        elif name in _PASSING_ON:
            result.value, result.how, result.text = given.value, given.how, given.text
        else:
            self.run(items)
        return result

    def _note_scripts(self, name: str | None, items: list[Item]) -> None:
        """Note the strings a command runs: Invoke-Expression anywhere, powershell -Command, `& (...)`."""
        words = [item.name for item in items if item.kind == Kind.WORD]
        words += [name] if name else []
        host = any(word.rpartition("\\")[2] in _HOSTS for word in words)
        if name is not None and not host and _INVOKERS.isdisjoint(words):
            return
        awaited = name in _INVOKERS or name is None
        for place, item in enumerate(items):
            if item.kind == Kind.WORD:
                awaited = item.name in _INVOKERS or item.name in _HOSTS
            elif item.kind == Kind.PARAMETER and host:
                awaited = "command".startswith(item.name)
                if is_encoded_parameter(item.name) and place + 1 < len(items):
                    self.findings.note_encoded_command(items[place + 1])
            elif item.kind in Kind.OPERANDS and awaited and (place != 1 or items[0].kind != Kind.OPERATOR):
                if name is not None or item.how:  # of an unknown command, no plain argument
                    self.findings.note_script(item)
                awaited = False

    # Cmdlets

    def _call_block(self, items: list[Item], arguments: list[Item], result: Item) -> None:
        if items[0].kind == Kind.OPERATOR and len(arguments) == 1 and arguments[0].kind == Kind.BLOCK:
            result.value, result.how = arguments[0].value, arguments[0].how

    def _loop(self, items: list[Item], _: list[Item], result: Item) -> None:
        """Take what the block of `foreach ($x in ...) {...}` gives for all elements."""
        each = items[-1].value
        if items[-1].kind == Kind.BLOCK and isinstance(each, Element) and each.source is not None:
            result.value = attempt(each.all_of, each.source, self.expressions.budget)
            result.how = items[-1].how
            self.findings.note_decoded(result)

    def _new_object(self, _: list[Item], arguments: list[Item], result: Item) -> None:
        operands = _operands(arguments)
        names = [item for item in arguments if item.kind == Kind.WORD] or operands[:1]
        if names:
            name = type_name(names[0].name or str(names[0].value))
            parts = [part for item in operands if item is not names[0] for part in item.parts or [item.value]]
            how = decisive("", *operands)
            result.value, result.how = new_object(self.expressions.budget, name, parts, how)
            self.findings.note_decoded(result)

    def _write_output(self, _: list[Item], arguments: list[Item], result: Item) -> None:
        operands = _operands(arguments)
        if len(operands) == 1:
            result.value, result.how = operands[0].value, operands[0].how

    def _set_variable(self, _: list[Item], arguments: list[Item], result: Item) -> None:
        given = [item for item in arguments if item.kind != Kind.PARAMETER]
        if len(given) == 2 and (name := _named(given[0])):
            self.variables.count_assignment(name)
            self.variables.values[name] = (given[1].value, given[1].how)

    def _get_variable(self, _: list[Item], arguments: list[Item], result: Item) -> None:
        if any(item.name.startswith("v") for item in arguments[1:]):  # -ValueOnly
            result.value, result.how = self.variables.get(_named(arguments[0]))

    CMDLETS: ClassVar[dict[str | None, Callable[..., None]]] = {
        "": _call_block, "foreach": _loop, "new-object": _new_object,
        "write-output": _write_output, "echo": _write_output,
        "set-variable": _set_variable, "sv": _set_variable,
        "new-variable": _set_variable, "nv": _set_variable,
        "get-variable": _get_variable, "gv": _get_variable,
    }  # fmt: skip


def _called(items: list[Item]) -> tuple[str | None, list[Item]]:
    """Return the name of the command, in lower case, None where not known, and its arguments."""
    if items[0].kind == Kind.OPERATOR and items[0].name in ("&", "."):
        if len(items) == 1:
            return "", []
        head, arguments = items[1], items[2:]
        if head.kind == Kind.BLOCK:
            return "", items[1:]
        if head.kind == Kind.WORD:
            return head.name, arguments
        return head.value.lower() if isinstance(head.value, str) else None, arguments
    return (items[0].name, items[1:]) if items[0].kind == Kind.WORD else ("", items)


def _operands(arguments: list[Item]) -> list[Item]:
    return [item for item in arguments if item.kind in Kind.OPERANDS]


def _named(item: Item) -> str:
    return variable_name(item.value if isinstance(item.value, str) else item.name)


def is_encoded_parameter(name: str) -> bool:
    """Tell whether a parameter's name, in lower case, is -EncodedCommand or short for it."""
    return name == "ec" or (name != "" and "encodedcommand".startswith(name))
