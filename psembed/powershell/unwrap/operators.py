"""What PowerShell's operators make of values that are known, in bounded work; `OPERATORS` lists them."""

import operator
import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from psembed.powershell.unwrap.values import (
    ELEMENT_COST,
    LARGEST_NUMBER,
    Budget,
    cast,
    characters,
    elements,
    number_of,
    text_of,
)

LONGEST_PATTERN = 200  # characters of a pattern of -replace or -split
_META = frozenset("\\.^$|?*+()[]{}")
# Patterns that -split cuts a text in equal parts with.
_WIDTH = re.compile(r"\(?(?:(\.{1,9})|\?<=\\G\.\{(\d{1,3})\})\)?")
_SLOT = re.compile(r"\{\{|\}\}|\{(\d{1,6})\}|[{}]")


def add(budget: Budget, *values: Any) -> Any:
    """Return the sum, from the left, of at least one known value."""
    if all(isinstance(value, str) for value in values):
        budget.spend(sum(map(len, values[1:])))
        return "".join(values)
    total = values[0]
    for value in values[1:]:
        budget.spend(len(value) if isinstance(value, str | list | bytes) else 1)
        total = _add_two(total, value)
    return total


def _add_two(left: Any, right: Any) -> Any:
    if isinstance(left, list | bytes):
        return [*elements(left), *elements(right)]
    if isinstance(left, str):
        return left + text_of(right)
    return _bounded(number_of(left) + number_of(right))


def _bounded(number: int) -> int:
    if abs(number) > LARGEST_NUMBER:
        raise OverflowError("too large a number")
    return number


def _of_numbers(operation: Callable[[int, int], int]) -> Callable[[Budget, Any, Any], int]:
    def apply(budget: Budget, left: Any, right: Any) -> int:
        budget.spend()
        return _bounded(operation(number_of(left), number_of(right)))

    return apply


def _multiplied(budget: Budget, left: Any, right: Any) -> Any:
    """Return a product, or a string or list repeated."""
    if isinstance(left, str | list):
        count = max(number_of(right), 0)
        budget.repeat(len(left) * count)
        return left * count
    return _of_numbers(operator.mul)(budget, left, right)


def _exact_quotient(left: int, right: int) -> int:
    if not right or left % right:
        raise ValueError("no whole number")
    return left // right


def _remainder(left: int, right: int) -> int:
    if left < 0 or right <= 0:
        raise ValueError("not covered")
    return left % right


def _shifted(shift: Callable[[int, int], int], left: int, right: int) -> int:
    if not 0 <= right < 32:
        raise ValueError("not covered")
    return shift(left, right)


def _number_range(budget: Budget, first: Any, last: Any) -> list[int]:
    """Return `first..last`, both included, up or down."""
    first, last = number_of(first), number_of(last)
    budget.repeat(abs(last - first) + 1)
    return list(range(first, last + 1)) if first <= last else list(range(first, last - 1, -1))


def join(budget: Budget, values: Any, separator: Any = "") -> str:
    """Return the elements as one string."""
    budget.spend_on(values)
    parts, separator = [text_of(each) for each in elements(values)], text_of(separator)
    budget.spend(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def formatted(budget: Budget, form: Any, values: Any) -> str:
    """Return `form -f values`; only plain slots, such as {0}, are covered."""
    form, parts = text_of(form), [text_of(each) for each in elements(values)]
    kept, start = [], 0
    for slot in _SLOT.finditer(form):
        kept.append(form[start : slot.start()])
        kept.append(_slot(slot, parts))
        budget.spend(len(kept[-1]))
        start = slot.end()
    return "".join([*kept, form[start:]])


def _slot(slot: re.Match, parts: list[str]) -> str:
    if slot[1]:
        return parts[int(slot[1])]
    if slot[0] in ("{{", "}}"):
        return slot[0][0]
    raise ValueError("not covered")


def replace_matches(flags: int, budget: Budget, text: Any, operand: Any) -> str:
    """Return `text -replace operand` for a pattern that is plain."""
    pattern, *others = elements(operand)
    plain, text = _plain_pattern(pattern, flags), text_of(text)
    instead = text_of(others[0]) if others else ""
    if re.search(r"\$[\d&{`'+_$]", instead):
        raise ValueError("not covered")
    budget.spend(len(text))
    budget.spend(sum(1 for _ in plain.finditer(text)) * len(instead))
    return plain.sub(lambda _: instead, text)


def split_at_matches(flags: int, budget: Budget, text: Any, operand: Any) -> list[str]:
    """Return `text -split operand` for a pattern that is plain or cuts equal parts."""
    pattern, *others = elements(operand)
    if width := _WIDTH.fullmatch(text_of(pattern)):
        return equal_parts(budget, text, int(width[2] or 0) or len(width[1]))
    plain, text = _plain_pattern(pattern, flags), text_of(text)
    if others:
        raise ValueError("not covered")
    budget.spend(2 * len(text))
    return plain.split(text)


def equal_parts(budget: Budget, text: Any, width: int, *, from_right: bool = False) -> list[str]:
    """Return the parts of one width that a pattern of dots matches."""
    text = text_of(text)
    budget.spend(len(text))
    if from_right:
        return [text[max(end - width, 0) : end] for end in range(len(text), width - 1, -width)]
    return [text[start : start + width] for start in range(0, len(text) - width + 1, width)]


def _plain_pattern(pattern: Any, flags: int) -> re.Pattern[str]:
    """Return a pattern that means the same here: literals, escaped ones, classes of those, alternatives."""
    pattern = text_of(pattern)
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError("not covered")
    kept: list[str] = []
    in_class = False
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        plain = part
        if len(part) == 2:
            if part[1].isalnum() and part[1] not in "tnrsdw":
                raise ValueError("not covered")
        elif part == ("]" if in_class else "["):
            in_class = not in_class
        elif (part == "-" and in_class and kept[-1] not in ("[", "-")) or (part == "|" and not in_class):
            pass
        elif part in _META and not (in_class and part != "^"):
            raise ValueError("not covered")
        else:
            plain = re.escape(part)
        kept.append(plain)
    return re.compile("".join(kept), flags)


def split_words(budget: Budget, text: Any) -> list[str]:
    """Return what -split before its operand gives: the words."""
    budget.spend(len(text))
    return text_of(text).split()


def indexed(budget: Budget, value: Any, index: Any) -> Any:
    """Return one element, or those at a list of places, in their order; places outside give none."""
    if isinstance(value, str):
        budget.spend(ELEMENT_COST * len(value))
        value = characters(value)
    if isinstance(index, list):
        budget.spend_on(index)
        size = len(value)
        return [value[place] for place in map(number_of, index) if -size <= place < size]
    budget.spend()
    return value[number_of(index)]


class Operator(NamedTuple):
    """An operator between two operands: its precedence, what it gives, and the name of that step."""

    level: int
    apply: Callable[[Budget, Any, Any], Any]
    how: str = ""


_CASES = {"": re.IGNORECASE, "i": re.IGNORECASE, "c": 0}  # as in -split, -isplit and -csplit
OPERATORS = {
    "..": Operator(1, _number_range),
    "f": Operator(2, formatted, "format operator"),
    "*": Operator(3, _multiplied),
    "/": Operator(3, _of_numbers(_exact_quotient)),
    "%": Operator(3, _of_numbers(_remainder)),
    "+": Operator(4, add),
    "-": Operator(4, _of_numbers(operator.sub)),
    "join": Operator(5, join, "join"),
    **{f"{case}split": Operator(5, partial(split_at_matches, _CASES[case]), "split") for case in _CASES},
    **{f"{case}replace": Operator(5, partial(replace_matches, _CASES[case]), "replace") for case in _CASES},
    "as": Operator(5, lambda budget, value, kind: cast(kind.name, budget, value)),
    "bxor": Operator(6, _of_numbers(operator.xor), "xor"),
    "band": Operator(6, _of_numbers(operator.and_)),
    "bor": Operator(6, _of_numbers(operator.or_)),
    "shl": Operator(6, _of_numbers(partial(_shifted, operator.lshift))),
    "shr": Operator(6, _of_numbers(partial(_shifted, operator.rshift))),
}
# Names of equal precedence, what binds first before the rest. A comma makes a list of known parts and others.
LEVELS = (
    frozenset({","}),
    *(frozenset(name for name, each in OPERATORS.items() if each.level == level) for level in range(1, 7)),
)
