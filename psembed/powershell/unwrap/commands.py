"""Statements of PowerShell: assignments, pipelines and commands, as far as they matter for constants."""

from typing import Any

from psembed.powershell.unwrap import literals
from psembed.powershell.unwrap.expressions import (
    BLOCK,
    ELEMENT,
    INDEX,
    OP,
    OPERANDS,
    PARAMETER,
    TYPE,
    VALUE,
    WORD,
    Expressions,
    Item,
    decisive,
    type_name,
    variable_name,
)
from psembed.powershell.unwrap.literals import CASTS, Budget, Each

INVOKERS = frozenset({"iex", "invoke-expression"})
HOSTS = frozenset({"powershell", "powershell.exe", "pwsh", "pwsh.exe"})


class Commands(Expressions):
    """Carries out the statements that matter, on constants; notes the strings that are given to run.

    Parameters
    ----------
    budget : Budget
    untrusted : frozenset of str
        Variables whose value is never taken as known.
    """

    def __init__(self, budget: Budget, untrusted: frozenset[str]):
        super().__init__(budget)
        self.untrusted = untrusted
        self.sets: dict[str, list[bool]] = {}  # of each variable, whether each assignment is in a block
        self.fickle: set[str] = set()  # variables that count, loop or depend on the way taken
        self.used: set[str] = set()  # variables that were read as known

    def _variable(self, name: str) -> tuple[Any, str]:
        if name in ("_", "psitem") and self.blocks:
            return ELEMENT, ""
        if name in self.untrusted or name not in self.variables:
            return None, ""
        self.used.add(name)
        return self.variables[name]

    def _assign(self, left: list[Item], operator: str, result: Item, *, loose: bool) -> None:
        types = [item for item in left if item.kind == TYPE]
        target = [item for item in left if item.kind != TYPE]
        if not target or target[0].kind != VALUE or not target[0].name:
            return
        name, value, how = target[0].name, result.value, result.how
        if len(target) > 1:
            self._assign_part(name, target, value, how)
            return
        each = isinstance(value, Each) and value.source is not None and operator == "+="
        if loose or operator not in ("=", "+="):
            self.fickle.add(name)
        if loose or (operator == "+=" and self.blocks and not each):
            value = None
        if operator == "=":
            self.sets.setdefault(name, []).append(self.blocks > 0)
        for item in reversed(types):
            value = self._cast(item.name, value) if item.name in CASTS else value
        if operator == "+=":
            before, how_before = self.variables.get(name, (None, ""))
            value, how = self._sum(before, value), decisive("concatenation", how_before, how)
        elif operator != "=":
            value = None
        self.variables[name] = (value, how)
        self._uncovered(left[0].begin, result.end, value, how)

    def _sum(self, before: Any, value: Any) -> Any:
        """Return `before` with `value`, or with every element it stands for, added."""
        if isinstance(value, Each) and value.source is not None:
            value = self._attempt(value.of, value.source, self.budget)
            if isinstance(before, str) and value is not None:
                return self._attempt(
                    lambda: literals.add(self.budget, [before, literals.join(self.budget, value)])
                )
        if before is None or value is None:
            return None
        return self._attempt(literals.add, self.budget, [before, value])

    def _assign_part(self, name: str, target: list[Item], value: Any, how: str) -> None:
        """Take `$x[$i] = ...$x[$i]...` of a loop as done to every element; anything else makes $x unknown."""
        whole = isinstance(value, Each) and value.source is not None and target[1].kind == INDEX
        if whole and target[1].value is None:
            value = self._attempt(value.of, value.source, self.budget)
            if value is not None and all(isinstance(each, int) and 0 <= each < 256 for each in value):
                value = bytes(value)
            self.variables[name] = (value, how)
            self._uncovered(target[0].begin, target[0].end, value, how)
        elif name in self.variables and target[1].kind == INDEX:
            self.variables[name] = (None, "")

    def _pipeline(self, items: list[Item]) -> Item | None:
        segments = _segments(items)
        result = self._segment(segments[0]) if segments[0] else None
        for segment in segments[1:]:
            if segment:
                result = self._filtered(result, segment)
        return result

    def _segment(self, items: list[Item]) -> Item | None:
        reduced = self._reduced(items)
        if len(reduced) == 1 and reduced[0].kind in (*OPERANDS, BLOCK):
            return reduced[0]
        return self._command(reduced)

    def _filtered(self, given: Item | None, items: list[Item]) -> Item | None:
        """Return what a later part of a pipeline makes of what it is given."""
        if items[0].kind == OP and items[0].name == "%":
            items = [Item(WORD, items[0].begin, items[0].end, name="%"), *items[1:]]
        items = self._reduced(items)
        name, arguments = self._called(items)
        block = next((item for item in arguments if item.kind == BLOCK), None)
        begin, end = given.begin if given else items[0].begin, items[-1].end
        result = Item(VALUE, begin, end)
        if given is None:
            self._command(items)
        elif name in INVOKERS or name in HOSTS or name is None:
            self._give(given)
        elif name in ("%", "foreach-object", "foreach") and block is not None:
            self._mapped(given, block, result)
        elif name in ("out-string", "write-output", "echo", "?", "where-object"):
            result.value, result.how, result.text = given.value, given.how, given.text
        else:
            self._command(items)
        return result

    def _called(self, items: list[Item]) -> tuple[str | None, list[Item]]:
        """Return the name of the command, in lower case, None where not known, and its arguments."""
        if items[0].kind == OP and items[0].name in ("&", "."):
            if len(items) == 1:
                return "", []
            head, arguments = items[1], items[2:]
            if head.kind == BLOCK:
                return "", items[1:]
            if head.kind == WORD:
                return head.name, arguments
            return head.value.lower() if isinstance(head.value, str) else None, arguments
        return (items[0].name, items[1:]) if items[0].kind == WORD else ("", items)

    def _command(self, items: list[Item]) -> Item | None:
        if not items:
            return None
        name, arguments = self._called(items)
        self._give_arguments(name, items, arguments)
        result = Item(VALUE, items[0].begin, items[-1].end)
        operands = [item for item in arguments if item.kind in OPERANDS]
        if name == "new-object":
            self._new_object(arguments, operands, result)
        elif name in ("write-output", "echo") and len(operands) == 1:
            result.value, result.how = operands[0].value, operands[0].how
        elif name == "" and items[0].kind == OP and len(arguments) == 1 and arguments[0].kind == BLOCK:
            result.value, result.how = arguments[0].value, arguments[0].how
        elif name == "foreach" and items[-1].kind == BLOCK:
            self._looped(items[-1], result)
        elif name in ("set-variable", "sv", "new-variable", "nv"):
            self._set_variable(arguments)
        elif name in ("get-variable", "gv") and any(item.name.startswith("v") for item in arguments[1:]):
            result.value, result.how = self._variable(_named(arguments[0]))
        return result

    def _looped(self, block: Item, result: Item) -> None:
        if isinstance(block.value, Each) and block.value.source is not None:
            result.value = self._attempt(block.value.of, block.value.source, self.budget)
            result.how = block.how
            self._uncovered(result.begin, result.end, result.value, result.how)

    def _set_variable(self, arguments: list[Item]) -> None:
        given = [item for item in arguments if item.kind != PARAMETER]
        if len(given) == 2 and (name := _named(given[0])):
            self.sets.setdefault(name, []).append(self.blocks > 0)
            self.variables[name] = (given[1].value, given[1].how)

    def _new_object(self, arguments: list[Item], operands: list[Item], result: Item) -> None:
        """Set `result` to the stream, string or encoding that New-Object makes."""
        names = [item for item in arguments if item.kind == WORD] or operands[:1]
        if not names:
            return
        name = type_name(names[0].name or str(names[0].value))
        parts = [part for item in operands if item is not names[0] for part in item.parts or [item.value]]
        how = decisive("", *operands)
        result.value, result.how = self._made(name, parts, how)
        self._uncovered(result.begin, result.end, result.value, result.how)

    def _give_arguments(self, name: str | None, items: list[Item], arguments: list[Item]) -> None:
        """Note the strings a command runs: Invoke-Expression anywhere, powershell -Command, `& (...)`."""
        words = [item.name for item in items if item.kind == WORD]
        words += [name] if name else []
        host = any(word.rpartition("\\")[2] in HOSTS for word in words)
        if name is not None and not host and INVOKERS.isdisjoint(words):
            return
        awaited = name in INVOKERS or name is None
        for place, item in enumerate(items):
            if item.kind == WORD:
                awaited = item.name in INVOKERS or item.name in HOSTS
            elif item.kind == PARAMETER and host:
                awaited = "command".startswith(item.name)
                if is_encoded_parameter(item.name) and place + 1 < len(items):
                    self._give_encoded(items[place + 1])
            elif item.kind in OPERANDS and awaited and not (place == 1 and items[0].kind == OP):
                if name is not None or item.how:  # of an unknown command, no plain argument
                    self._give(item)
                awaited = False


def _named(item: Item) -> str:
    return variable_name(item.value if isinstance(item.value, str) else item.name)


def is_encoded_parameter(name: str) -> bool:
    """Tell whether a parameter's name, in lower case, is -EncodedCommand or short for it."""
    return name == "ec" or (name != "" and "encodedcommand".startswith(name))


def _segments(items: list[Item]) -> list[list[Item]]:
    if not any(item.name == "|" for item in items):
        return [items]
    segments: list[list[Item]] = [[]]
    for item in items:
        if item.kind == OP and item.name == "|":
            segments.append([])
        else:
            segments[-1].append(item)
    return segments
