"""Expressions of PowerShell whose value is known: what operators, casts, members and calls make of constants.

An expression is a flat list of items, brackets within it reduced already; `Expressions` reduces it, level by
level of precedence. Nothing is executed.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from psembed.powershell.unwrap import literals
from psembed.powershell.unwrap.literals import CASTS, REJECTED, Budget, Char, Each, Named, Stream, lifted

# How a value came about, the more decisive steps later; the most decisive one names a layer.
_WEAK = ("", "concatenation", "format operator", "join", "replace", "split", "reversal")
_RANKS = dict.fromkeys(_WEAK, 0) | {"characters": 1, "hexadecimal": 2, "FromBase64String": 2}
_RANKS |= {"-EncodedCommand": 2, "xor": 3, "gzip": 3, "deflate": 3}
DECODINGS = frozenset(how for how, rank in _RANKS.items() if rank)

_HOW_OF_METHODS = {
    "frombase64string": "FromBase64String", "replace": "replace", "split": "split", "join": "join",
    "concat": "concatenation", "format": "format operator", "fromhexstring": "hexadecimal",
    "matches": "reversal", "convertfromutf32": "characters", "tochar": "characters",
}  # fmt: skip
_HOW_OF_OPERATORS = {
    "bxor": "xor", "f": "format operator", "join": "join", "split": "split", "replace": "replace",
}  # fmt: skip
_RUNNERS = frozenset({"invokescript", "newscriptblock", "addscript"})  # methods
_LEVELS = tuple(
    frozenset(level.split())
    for level in (
        ",", "..", "f", "* / %", "+ -",
        "join split csplit isplit replace creplace ireplace as", "bxor band bor shl shr",
    )
)  # fmt: skip
_SCOPE = re.compile(r"^(?:global|local|private|script|variable):")
# Automatic variables whose letters spell commands (about_Automatic_Variables), on a usual Windows.
_AUTOMATIC = {
    "pshome": r"C:\Windows\System32\WindowsPowerShell\v1.0", "shellid": "Microsoft.PowerShell",
    "env:comspec": r"C:\WINDOWS\system32\cmd.exe", "env:public": r"C:\Users\Public",
    "verbosepreference": "SilentlyContinue", "ofs": " ", "env:windir": r"C:\WINDOWS",
    "env:systemroot": r"C:\WINDOWS", "env:programfiles": r"C:\Program Files",
}  # fmt: skip

VALUE, GROUP, LIST, TYPE, MEMBER, INDEX, BLOCK, OP, ASSIGN, WORD, PARAMETER = (
    "value", "group", "list", "type", "member", "index", "block", "op", "assign", "word", "parameter",
)  # fmt: skip
OPERANDS = frozenset({VALUE, GROUP, LIST})
_POSTFIX = frozenset({MEMBER, INDEX})
ELEMENT = Each(None, ())  # $_ of a block


class Item:
    """A token or a reduced expression: its kind, place, value (None: not known) and how that came about.

    `name` is what it is called (a variable, type, member, operator or word); `parts` are the values of a
    list, also where some are not known; `text` is an unknown string as far as it can be read.
    """

    __slots__ = ("begin", "end", "how", "kind", "name", "parts", "text", "value")

    def __init__(self, kind: str, begin: int, end: int, value: Any = None, how: str = "", name: str = ""):
        self.kind, self.begin, self.end, self.value, self.how, self.name = kind, begin, end, value, how, name
        self.parts: Sequence = ()
        self.text = ""


class Found(NamedTuple):
    """A value that was uncovered, and where."""

    begin: int
    end: int
    value: Any
    how: str


class Expressions:
    """Reduces expressions, and notes what they uncover.

    Attributes
    ----------
    variables : dict
        The value of each variable and how it came about.
    blocks : int
        Open braces; $_ is an element there.
    pieces, decoded, given : list of Found
        Strings that take an expression's place in the text; bytes and characters that a decoding gave;
        strings that are given to run.
    """

    def __init__(self, budget: Budget):
        self.budget, self.blocks = budget, 0
        self.variables: dict[str, tuple[Any, str]] = {name: (value, "") for name, value in _AUTOMATIC.items()}
        self.pieces: list[Found] = []
        self.decoded: list[Found] = []
        self.given: list[Found] = []

    def _reduced(self, items: list[Item]) -> list[Item]:
        """Return the items with every expression among them as one item."""
        if len(items) == 1:
            return items
        self.budget.check_time()
        kinds = {item.kind for item in items}
        if OP in kinds or not _POSTFIX.isdisjoint(kinds):
            items = self._postfix(items)
        if OP in kinds or TYPE in kinds:
            items = self._unary(items)
        if OP in kinds:
            present = {item.name for item in items if item.kind == OP}
            for level in _LEVELS:
                if not level.isdisjoint(present):
                    items = self._binary(items, level)
        return items

    def _postfix(self, items: list[Item]) -> list[Item]:
        """Apply members, calls and indices."""
        kept: list[Item] = []
        place, size = 0, len(items)
        while place < size:
            item = items[place]
            target = kept[-1] if kept else None
            following = items[place + 1] if place + 1 < size else None
            if target is None or target.kind not in (*OPERANDS, TYPE):
                kept.append(item)
            elif item.kind == MEMBER or _is_quoted_member(target, item, following):
                place += item.kind == OP
                name = item.name if item.kind == MEMBER else str(following.value).lower()
                after = items[place + 1] if place + 1 < size else None
                call = after if after is not None and _is_call(items[place], after) else None
                kept[-1] = self._member(target, name, call, items[place].end)
                place += call is not None
            elif item.kind == INDEX and target.kind != TYPE:
                kept[-1] = self._indexed(target, item)
            else:
                kept.append(item)
            place += 1
        return kept

    def _member(self, target: Item, name: str, call: Item | None, end: int) -> Item:
        arguments = list(call.parts) if call is not None and call.kind == GROUP else []
        owner = Named(target.name) if target.kind == TYPE else target.value
        end = call.end if call is not None else end
        if call is not None and (name in _RUNNERS or (name, owner) == ("create", Named("scriptblock"))):
            self._give(call)
        if name == "new" and isinstance(owner, Named) and owner.name != "string":
            value, how = self._made(owner.name, arguments, decisive("", call))
            return self._known(target.begin, end, value, how)
        if name == "reverse" and call is not None:
            self._reverse(call if isinstance(owner, Named) else target)
        if name == "foreach" and call is not None and isinstance(call.value, Each):
            result = Item(VALUE, target.begin, end)
            self._mapped(target, call, result)
            return result
        value = None
        if name == "substring" and self.blocks and len(arguments) == 2 and arguments[0] is None:
            value = self._attempt(_each_part, self.budget, owner, arguments[1])
        elif owner is not None:
            value = self._attempt(lifted, _method(name), self.budget, owner, *arguments)
        how = decisive(_how_of_method(name, arguments), target, call)
        return self._known(target.begin, end, value, how, quiet=call is None and isinstance(owner, str))

    def _reverse(self, item: Item) -> None:
        value = item.value
        if item.name in self.variables and isinstance(value, list | bytes):
            self.variables[item.name] = (value[::-1], decisive("reversal", item))

    def _indexed(self, target: Item, index: Item) -> Item:
        value, how = target.value, target.how
        if value is None or isinstance(value, Named):
            result = None
        elif index.value is None:
            source = self._attempt(lambda: literals.letters(value) if isinstance(value, str) else list(value))
            result = Each(source, ()) if self.blocks and source else None
        else:
            result = self._attempt(lifted, literals.indexed, self.budget, value, index.value)
            how = decisive("reversal", how) if isinstance(index.value, list) else how
        return self._known(target.begin, index.end, result, how)

    def _unary(self, items: list[Item]) -> list[Item]:
        """Apply casts and the operators that stand before their operand, from the right."""
        kept: list[Item] = []
        for place in range(len(items) - 1, -1, -1):
            item, before = items[place], items[place - 1] if place else None
            operand = kept[-1] if kept and kept[-1].kind in OPERANDS else None
            after_operand = before is not None and before.kind in (*OPERANDS, TYPE)
            if operand is None or (item.kind == OP and after_operand):
                kept.append(item)
            elif item.kind == TYPE and not (before and before.kind == OP and before.name in ("as", "is")):
                kept[-1] = self._casted(item, operand)
            elif item.kind == OP and item.name in ("join", "split", "-", "+", ","):
                kept[-1] = self._prefixed(item, operand)
            else:
                kept.append(item)
        kept.reverse()
        return kept

    def _casted(self, item: Item, operand: Item) -> Item:
        if item.name == "scriptblock":
            self._give(operand)
        result = self._known(item.begin, operand.end, None, operand.how)
        if item.name in CASTS:
            value = self._cast(item.name, operand.value)
            how = decisive("characters" if item.name.startswith("char") else "", operand.how)
            result = self._known(item.begin, operand.end, value, how, quiet=item.name == "string")
        elif isinstance(operand.value, str | bytes | list | Named):
            result.value = operand.value
        result.text = operand.text
        return result

    def _cast(self, name: str, value: Any) -> Any:
        return self._attempt(
            lifted, lambda budget, each: literals.cast(budget, name, each), self.budget, value
        )

    def _prefixed(self, item: Item, operand: Item) -> Item:
        value, how = operand.value, operand.how
        if item.name == ",":
            result = Item(LIST, item.begin, operand.end, None if value is None else [value], how)
            result.parts = [value]
            return result
        if item.name == "join":
            value, how = self._attempt(lifted, literals.join, self.budget, value), decisive("join", how)
        elif item.name == "split":
            value = self._attempt(lifted, literals.split_words, self.budget, value)
            how = decisive("split", how)
        elif item.name == "-":
            value = -value if isinstance(value, int) else None
        return self._known(item.begin, operand.end, value, how)

    def _binary(self, items: list[Item], level: frozenset[str]) -> list[Item]:
        """Apply the operators of one level of precedence, from the left."""
        kept: list[Item] = []
        place, size = 0, len(items)
        while place < size:
            run, names = [items[place]], []
            place += 1
            while place + 1 < size and run[-1].kind in (*OPERANDS, TYPE) and _joins(items, place, level):
                names.append(items[place].name)
                run.append(items[place + 1])
                place += 2
            kept.append(self._combined(run, names) if names else run[0])
        return kept

    def _combined(self, run: list[Item], names: list[str]) -> Item:
        begin, end, how = run[0].begin, run[-1].end, decisive("", *run)
        values = [item.value for item in run]
        if names[0] == ",":
            self.budget.step()
            values = [part for item in run for part in (item.parts if item.kind == LIST else [item.value])]
            result = Item(LIST, begin, end, None if None in values else values, how)
            result.parts = values
            return result
        if set(names) == {"+"}:
            return self._added(run, values, decisive("concatenation", how))
        value = values[0]
        for name, item in zip(names, run[1:], strict=True):
            other = Named(item.name) if item.kind == TYPE else item.value
            value = self._applied(name, value, other) if value is not None and other is not None else None
            how = decisive(_how_of_operator(name), how)
        return self._known(begin, end, value, how)

    def _added(self, run: list[Item], values: list, how: str) -> Item:
        begin, end = run[0].begin, run[-1].end
        if None not in values:
            if any(isinstance(value, Each) for value in values):
                value = self._attempt(lifted, _summed, self.budget, *values)
            else:
                value = self._attempt(literals.add, self.budget, values)
            return self._known(begin, end, value, how)
        first = 0
        for place in range(len(run) + 1):
            if place == len(run) or not isinstance(values[place], str):
                if place - first > 1:
                    value = self._attempt(literals.add, self.budget, values[first:place])
                    self._known(run[first].begin, run[place - 1].end, value, how)
                first = place + 1
        return Item(VALUE, begin, end)

    def _applied(self, name: str, left: Any, right: Any) -> Any:
        operation = _OPERATIONS.get(name) or _named_operation(name)
        return self._attempt(lifted, operation, self.budget, left, right)

    # What is uncovered

    def _known(self, begin: int, end: int, value: Any, how: str, *, quiet: bool = False) -> Item:
        """Return an item for a value, noted as a piece of the folded text unless `quiet`."""
        self.budget.step()
        if isinstance(value, str) and not quiet:
            self.pieces.append(Found(begin, end, str(value), how))
        self._uncovered(begin, end, value, how)
        return Item(VALUE, begin, end, value, how)

    def _uncovered(self, begin: int, end: int, value: Any, how: str) -> None:
        """Note bytes and characters that a decoding gave; strings are noted as pieces."""
        if how not in DECODINGS or isinstance(value, Each) or not value:
            return
        if isinstance(value, bytes) or (isinstance(value, list) and isinstance(value[0], Char)):
            self.decoded.append(Found(begin, end, value, how))

    def _attempt(self, operation: Callable, *operands: Any) -> Any:
        """Return what the operation gives, None where PowerShell would reject it or it is not covered."""
        try:
            return operation(*operands)
        except REJECTED:
            return None

    def _give(self, item: Item) -> None:
        value = item.value
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            value = self._attempt(literals.join, self.budget, value, "\n" if len(value[0]) > 1 else "")
        if isinstance(value, Stream):
            value = self._attempt(literals.decoded, self.budget, value)
        if isinstance(value, str):
            self.given.append(Found(item.begin, item.end, value, item.how))
        elif value is None and item.text:
            self.given.append(Found(item.begin, item.end, item.text, item.how))

    def _give_encoded(self, item: Item) -> None:
        if isinstance(item.value, str) and not item.how.startswith("-"):
            data = self._attempt(literals.from_base64, self.budget, item.value)
            if data:
                self.decoded.append(Found(item.begin, item.end, data, "-EncodedCommand"))

    def _mapped(self, given: Item, block: Item, result: Item) -> None:
        """Set `result` to what a block gives for each element."""
        each = block.value
        if not isinstance(each, Each) or each.source is not None or given.value is None:
            return
        if isinstance(given.value, Each):
            result.value = given.value._replace(steps=(*given.value.steps, *each.steps))
        else:
            result.value = self._attempt(lambda: each.of(literals.elements(given.value), self.budget))
        result.how = decisive("", given.how, block.how)
        self._uncovered(result.begin, result.end, result.value, result.how)

    def _made(self, name: str, parts: list, how: str) -> tuple[Any, str]:
        """Return (value, how) of a new object of a type."""
        if name in ("string", "text.stringbuilder") and parts:
            return self._attempt(lambda: literals.join(self.budget, _flat(parts[0]))), how
        if name.startswith("text.") and name.endswith("encoding"):
            return Named(name), ""
        if not name.startswith("io.") or not parts:
            return None, ""
        source = parts[0]
        while isinstance(source, list) and len(source) == 1:
            source = source[0]
        if "gzip" in name or "deflate" in name or "zlib" in name:
            how = decisive("gzip" if "gzip" in name else "deflate", how)
            return self._attempt(lifted, _inflated_stream, self.budget, source), how
        return self._attempt(lifted, _as_stream, self.budget, source), how


def type_name(name: str) -> str:
    """Return a type's name in lower case, without back-ticks, white space and the namespaces left out."""
    name = re.sub(r"[`\s]", "", name).lower().removeprefix("system.")
    return name.removeprefix("management.automation.")


def variable_name(name: str) -> str:
    """Return a variable's name in lower case, without braces, back-ticks and scope."""
    return _SCOPE.sub("", name.strip("{}").replace("`", "").lower())


def _is_call(member: Item, after: Item) -> bool:
    return after.kind in (GROUP, BLOCK) and after.begin == member.end


def _is_quoted_member(target: Item, item: Item, following: Item | None) -> bool:
    """Tell whether a dot and a string name a member, as in `'x'."Replace"(`."""
    if item.kind != OP or item.name not in (".", "::") or following is None:
        return False
    return isinstance(following.value, str) and following.begin == item.end and following.kind in OPERANDS


def _joins(items: list[Item], place: int, level: frozenset[str]) -> bool:
    operator, after = items[place], items[place + 1]
    if operator.kind != OP or operator.name not in level:
        return False
    return after.kind in OPERANDS or (operator.name == "as" and after.kind == TYPE)


def decisive(how: str, *before: Item | str | None) -> str:
    """Return the most decisive step; of equals, `how`, the last one, unless it is empty."""
    for each in before:
        other = each.how if isinstance(each, Item) else each or ""
        if not how or _RANKS[other] > _RANKS[how]:
            how = other
    return how


def _how_of_method(name: str, arguments: list) -> str:
    if name.startswith(("toint", "tobyte", "touint")) and len(arguments) == 2:
        return "hexadecimal"
    return _HOW_OF_METHODS.get(name, "")


def _how_of_operator(name: str) -> str:
    return _HOW_OF_OPERATORS.get(name.removeprefix("c").removeprefix("i"), "")


def _flat(value: Any) -> Any:
    while isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    return value


def _summed(budget: Budget, *values: Any) -> Any:
    return literals.add(budget, list(values))


def _method(name: str) -> Callable:
    return lambda budget, target, *arguments: literals.method(budget, target, name, list(arguments))


def _each_part(budget: Budget, text: Any, size: int) -> Each:
    """Return any one part of a string that a loop takes apart, all of one size."""
    text = literals.text_of(text)
    budget.spend(len(text))
    return Each([text[start : start + size] for start in range(0, len(text), max(size, 1))], ())


def _inflated_stream(budget: Budget, data: Any) -> Stream:
    return Stream(literals.inflated(budget, literals.byte_string(data)))


def _as_stream(budget: Budget, data: Any) -> Stream:
    return Stream(literals.byte_string(data))


def _as_type(budget: Budget, value: Any, kind: Any) -> Any:
    return literals.cast(budget, kind.name, value)


def _named_operation(name: str) -> Callable:
    operation = literals.arithmetic if name in _LEVELS[3] | _LEVELS[4] | _LEVELS[6] else literals.matched
    return lambda budget, left, right: operation(budget, name, left, right)


_OPERATIONS: dict[str, Callable] = {
    "..": literals.number_range, "f": literals.formatted, "*": literals.multiply, "+": _summed,
    "join": literals.join, "as": _as_type,
}  # fmt: skip
