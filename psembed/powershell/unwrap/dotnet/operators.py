"""What PowerShell's operators make of values that are known, in bounded work; `OPERATORS` lists them."""

import operator
import re
from collections.abc import Callable
from fnmatch import translate
from functools import partial
from typing import Any, NamedTuple

from psembed.powershell.unwrap.dotnet import patterns
from psembed.powershell.unwrap.dotnet.values import (
    COPY_SHARE,
    ELEMENT_COST,
    LARGEST_NUMBER,
    NULL,
    Budget,
    Builder,
    Char,
    Match,
    Named,
    Stream,
    Table,
    cast,
    characters,
    elements,
    number_of,
    text_of,
    truth_of,
    type_name,
    whole_of,
)  # fmt: skip

_SLOT = re.compile(r"\{\{|\}\}|\{(\d{1,6})(?:,\s*(-?\d{1,4}))?(?::([xXdDnN])(\d{0,2}))?\}|[{}]")
_TYPES: dict[str, Any] = {
    "string": str, "int": int, "char": Char, "array": list, "byte[]": bytearray, "hashtable": Table,
    "object[]": list, "bool": bool,
}  # fmt: skip


def add(budget: Budget, left: Any, right: Any) -> Any:
    """Return the sum of two known values."""
    if isinstance(left, str):
        text = right if isinstance(right, str) else text_of(right)
        budget.spend(len(text) + len(left) // COPY_SHARE)
        return left + text
    if isinstance(left, list | bytearray):
        more = elements(right) if isinstance(right, list | bytearray) else [right]
        budget.spend(len(more) + 16 * len(left) // COPY_SHARE)
        return type(left)([*left, *more]) if isinstance(left, list) else [*left, *more]
    if isinstance(left, Table) and isinstance(right, Table):
        budget.spend(ELEMENT_COST * (len(left.items) + len(right.items)))
        return Table(left.items | right.items)
    if left is NULL:
        return right
    return _bounded(number_of(left) + number_of(right))


def _bounded(number: Any) -> Any:
    if abs(number) > LARGEST_NUMBER:
        raise OverflowError("too large a number")
    return number


def _of_numbers(operation: Callable[[Any, Any], Any]) -> Callable[[Budget, Any, Any], Any]:
    def apply(budget: Budget, left: Any, right: Any) -> Any:
        return _bounded(operation(number_of(left), number_of(right)))

    return apply


def _of_whole(operation: Callable[[int, int], int]) -> Callable[[Budget, Any, Any], int]:
    def apply(budget: Budget, left: Any, right: Any) -> int:
        return _bounded(operation(whole_of(left), whole_of(right)))

    return apply


def _multiplied(budget: Budget, left: Any, right: Any) -> Any:
    """Return a product, or a string or list repeated."""
    if isinstance(left, str | list) and not isinstance(left, Char):
        count = max(whole_of(right), 0)
        budget.repeat(len(left) * count)
        return left * count
    return _bounded(number_of(left) * number_of(right))


def _quotient(left: Any, right: Any) -> Any:
    return number_of(left / right) if left % right else int(left // right)


def _remainder(left: Any, right: Any) -> Any:
    return left - right * int(left / right) if left < 0 or right < 0 else left % right


def _shifted(shift: Callable[[int, int], int], left: int, right: int) -> int:
    if not 0 <= right < 32:
        raise ValueError("not covered")
    return (
        shift(left, right) & 0xFFFFFFFF if left >= 0 and shift(left, right) < 1 << 31 else shift(left, right)
    )


def _number_range(budget: Budget, first: Any, last: Any) -> list:
    """Return `first..last`, both included, up or down."""
    single = isinstance(first, str) and isinstance(last, str) and len(first) == len(last) == 1
    if single and not (first.isdigit() and last.isdigit()):
        return [Char(chr(code)) for code in _number_range(budget, ord(first), ord(last))]
    first, last = whole_of(first), whole_of(last)
    budget.repeat(abs(last - first) + 1)
    return list(range(first, last + 1)) if first <= last else list(range(first, last - 1, -1))


def join(budget: Budget, values: Any, separator: Any = "") -> str:
    """Return the elements as one string."""
    budget.spend_on(values)
    parts, separator = [text_of(each) for each in elements(values)], text_of(separator)
    budget.spend(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def formatted(budget: Budget, form: Any, values: Any) -> str:
    """Return `form -f values`: plain slots, those with a width, and whole numbers by x, d and n."""
    form, parts = text_of(form), elements(values)
    budget.spend(len(form))
    kept, start = [], 0
    for slot in _SLOT.finditer(form):
        kept.append(form[start : slot.start()])
        kept.append(_slot(slot, parts))
        budget.spend(len(kept[-1]))
        start = slot.end()
    return "".join([*kept, form[start:]])


def _slot(slot: re.Match, parts: list) -> str:
    if not slot[1]:
        if slot[0] in ("{{", "}}"):
            return slot[0][0]
        raise ValueError("not covered")
    value = parts[int(slot[1])]
    if slot[3]:
        if slot[3] in "nN" or not isinstance(value, int):
            raise ValueError("not covered")
        text = format(value, slot[3] if slot[3] in "xX" else "d").rjust(int(slot[4] or 0), "0")
    else:
        text = text_of(value)
    width = int(slot[2] or 0)
    return text.ljust(-width) if width < 0 else text.rjust(width)


def _for_each(operation: Callable[..., Any], budget: Budget, left: Any, right: Any) -> Any:
    """Apply an operation on a string to every element of a list."""
    if not isinstance(left, list | bytearray):
        return operation(budget, text_of(left), right)
    budget.spend_on(left)
    results: list = []
    for each in left:
        result = operation(budget, text_of(each), right)
        results += result if isinstance(result, list) else [result]
    return results


def _replaced(flags: int, budget: Budget, text: str, operand: Any) -> str:
    pattern, *others = elements(operand) or [""]
    instead = others[0] if others else ""
    made = instead if callable(instead) else text_of(instead)
    return patterns.replace(budget, text_of(pattern), flags, text, made)


def _split(flags: int, budget: Budget, text: str, operand: Any) -> list[str]:
    pattern, *others = elements(operand)
    most = whole_of(others[0]) if others else 0
    pattern = text_of(pattern)
    if len(others) > 1 and "simplematch" in text_of(others[1]).lower():
        pattern = re.escape(pattern)
    if most < 0:
        raise ValueError("not covered")
    return patterns.split(budget, pattern, flags, text, most)


def split_words(budget: Budget, text: Any) -> list[str]:
    """Return what -split before its operand gives: the words."""
    return _for_each(_words, budget, text, None)


def _words(budget: Budget, text: str, _: Any) -> list[str]:
    budget.spend(len(text))
    return text.split()


def indexed(budget: Budget, value: Any, index: Any) -> Any:
    """Return one element, or those at a list of places, in their order; places outside give none."""
    if isinstance(index, list):
        budget.spend_on(index)
        if isinstance(value, Table):
            return [value.items[key_of(each)] for each in index]
        size, places = len(value), map(whole_of, index)
        found = [value[place] for place in places if -size <= place < size]
        return list(map(Char, found)) if isinstance(value, str) else found
    if isinstance(value, Table):
        return value.items.get(key_of(index), NULL)
    if isinstance(value, Builder):
        value = value.text(budget)
    if isinstance(value, int | float) and not index:
        return value
    place = whole_of(index)
    if not -len(value) <= place < len(value):
        return NULL
    return Char(value[place]) if isinstance(value, str) else value[place]


def key_of(value: Any) -> Any:
    """Return the key of a hashtable that a value is: strings are alike in any case."""
    return value.lower() if isinstance(value, str) else value


def _compared(name: str) -> Callable[[Budget, Any, Any], Any]:
    """Return a comparison; with a list on the left it gives those elements that hold it."""
    compare = getattr(operator, name.lstrip("ci") if len(name) > 2 else name)
    fold = not name.startswith("c") or len(name) == 2

    def one(left: Any, right: Any) -> bool:
        if left is None or right is None:
            raise TypeError("not known")
        if left is NULL or right is NULL:
            return compare(left is NULL, right is NULL) if name[-2:] in ("eq", "ne") else False
        if isinstance(left, bool):
            return compare(left, truth_of(right))
        if isinstance(left, str) and not (isinstance(left, Char) and isinstance(right, int)):
            left, right = str(left), text_of(right)
            return compare(left.lower(), right.lower()) if fold else compare(left, right)
        if isinstance(left, Named | Table) or isinstance(right, Named | Table):
            return compare(left is right or (isinstance(left, Named) and left == right), True)
        return compare(number_of(left), number_of(right))

    def apply(budget: Budget, left: Any, right: Any) -> Any:
        if isinstance(left, list | bytearray):
            budget.spend_on(left)
            return [each for each in left if one(each, right)]
        return one(left, right)

    return apply


def wildcard(pattern: str, text: str) -> bool:
    """Tell whether a text is like a pattern with * and ?, in any case."""
    if len(pattern) > 200 or len(text) > 10_000 or pattern.count("*") > 8:
        raise ValueError("not covered")
    return re.fullmatch(translate(pattern.lower()), text.lower()) is not None


def _tests(test: Callable[[Budget, str, str], bool], wanted: bool) -> Callable[[Budget, Any, Any], Any]:
    def apply(budget: Budget, left: Any, right: Any) -> Any:
        budget.spend(len(left) if isinstance(left, str) else 1)
        if isinstance(left, list):
            budget.spend_on(left)
            return [each for each in left if test(budget, text_of(each), text_of(right)) is wanted]
        return test(budget, text_of(left), text_of(right)) is wanted

    return apply


def _matches(flags: int) -> Callable[[Budget, str, str], bool]:
    def test(budget: Budget, text: str, pattern: str) -> bool:
        return next(patterns.pattern_of(pattern, flags).matches(budget, text), None) is not None

    return test


def _within(budget: Budget, value: Any, many: Any) -> bool:
    budget.spend_on(many)
    if isinstance(value, list):  # compared by where it lies
        return any(each is value for each in elements(many))
    return any(key_of(each) == key_of(value) for each in elements(many))


def _name_of(kind: Any) -> str:
    return kind.name if isinstance(kind, Named) else type_name(text_of(kind).strip("[] "))


def _is(budget: Budget, value: Any, kind: Any) -> bool:
    return isinstance(value, _TYPES[kind.name]) and not (
        kind.name == "string" and isinstance(value, Char | Match)
    )


class Operator(NamedTuple):
    """An operator between two operands: what it gives, and the name of that step."""

    apply: Callable[[Budget, Any, Any], Any]
    how: str = ""


_CASES = {"": re.IGNORECASE, "i": re.IGNORECASE, "c": 0}  # as in -split, -isplit and -csplit
OPERATORS: dict[str, Operator] = {
    "..": Operator(_number_range),
    "f": Operator(formatted, "format operator"),
    "*": Operator(_multiplied),
    "/": Operator(_of_numbers(_quotient)),
    "%": Operator(_of_numbers(_remainder)),
    "+": Operator(add, "concatenation"),
    "-": Operator(_of_numbers(operator.sub)),
    "join": Operator(join, "join"),
    "as": Operator(lambda budget, value, kind: cast(_name_of(kind), budget, value)),
    "is": Operator(_is),
    "isnot": Operator(lambda budget, value, kind: not _is(budget, value, kind)),
    "bxor": Operator(_of_whole(operator.xor), "xor"),
    "band": Operator(_of_whole(operator.and_)),
    "bor": Operator(_of_whole(operator.or_)),
    "shl": Operator(_of_whole(partial(_shifted, operator.lshift))),
    "shr": Operator(_of_whole(partial(_shifted, operator.rshift))),
    "and": Operator(lambda budget, left, right: truth_of(left) and truth_of(right)),
    "or": Operator(lambda budget, left, right: truth_of(left) or truth_of(right)),
    "xor": Operator(lambda budget, left, right: truth_of(left) is not truth_of(right)),
    "in": Operator(_within),
    "notin": Operator(lambda budget, left, right: not _within(budget, left, right)),
    "contains": Operator(lambda budget, left, right: _within(budget, right, left)),
    "notcontains": Operator(lambda budget, left, right: not _within(budget, right, left)),
}
for _case, _flags in _CASES.items():
    OPERATORS |= {
        f"{_case}split": Operator(partial(_for_each, partial(_split, _flags)), "split"),
        f"{_case}replace": Operator(partial(_for_each, partial(_replaced, _flags)), "replace"),
        f"{_case}match": Operator(_tests(_matches(_flags), True)),
        f"{_case}notmatch": Operator(_tests(_matches(_flags), False)),
        f"{_case}like": Operator(_tests(lambda _, text, pattern: wildcard(pattern, text), True)),
        f"{_case}notlike": Operator(_tests(lambda _, text, pattern: wildcard(pattern, text), False)),
        **{_case + name: Operator(_compared(_case + name)) for name in ("eq", "ne", "gt", "lt", "ge", "le")},
    }


def negated(budget: Budget, value: Any) -> Any:
    """Return `-value`."""
    return -number_of(value)


def exploded(budget: Budget, value: Any) -> list:
    """Return the characters of a string, counted."""
    budget.spend(ELEMENT_COST * len(value))
    return characters(value)


def copied(budget: Budget, value: Any) -> Any:
    """Return a list or bytes anew; of a stream, its bytes."""
    value = value.data if isinstance(value, Stream) else value
    budget.spend_on(value)
    return bytearray(value) if isinstance(value, bytearray) else elements(value)
