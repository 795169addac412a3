"""Values of PowerShell that are known without running anything, and the work that they may cost.

Values are str, int, bytes, lists of those, and the few classes below; None is a value that is not known.
An operation on them takes a `Budget` first. One that PowerShell would reject, or that is not covered, raises
one of REJECTED; one that would exceed its budget raises `Cut`.
"""

import re
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

# A list of lists of lists... is refused by Python's recursion limit.
REJECTED = (
    TypeError, ValueError, IndexError, KeyError, OverflowError, AttributeError, RecursionError, re.error,
    zlib.error,
)  # fmt: skip
ELEMENT_COST = 8  # characters that an element of a list costs as much as
LARGEST_NUMBER = 1 << 64
LONGEST_REPEAT = 1 << 20  # characters or elements of one range or product; no script spells more that way


class Cut(Exception):
    """A limit was reached; the message is its name in `layers.Limits`."""


class Budget:
    """What may still be spent on one script: rewrites, characters of results, seconds from now.

    Each method counts, and raises `Cut` past a limit.
    """

    def __init__(self, steps: int, characters: int, seconds: float):
        self.steps, self.characters = steps, characters
        self.deadline = time.monotonic() + seconds

    def step(self) -> None:
        """Count one rewrite."""
        self.steps -= 1
        if self.steps < 0:
            raise Cut("steps")
        self.check_time()

    def spend(self, characters: int = 0) -> None:
        """Count an operation that gives so many characters or elements."""
        self.characters -= characters + 1
        if self.characters < 0:
            raise Cut("characters")
        self.check_time()

    def spend_on(self, value: Any) -> None:
        """Count a look at every element of a list or of bytes."""
        if isinstance(value, list | bytes):
            self.spend(ELEMENT_COST * len(value))

    def repeat(self, size: int) -> None:
        """Count a range or product of this size, as `spend` does; refuse one past LONGEST_REPEAT."""
        if size > LONGEST_REPEAT:
            raise OverflowError("too long")
        self.spend(size)

    def check_time(self) -> None:
        """Look at the clock."""
        if time.monotonic() > self.deadline:
            raise Cut("seconds")


class Char(str):
    """A [char]; unlike a string of one digit it counts as its code point."""


class Stream(bytes):
    """Bytes that a pipeline passes on as one object, like a MemoryStream."""


@dataclass(frozen=True)
class Named:
    """An object known by the name of its type or static member alone, such as an encoding."""

    name: str


class Element(NamedTuple):
    """Any one element of `source` (of the pipeline where that is None), taken through `steps`."""

    source: list | None = None
    steps: tuple[Callable[[Any], Any], ...] = ()

    def all_of(self, elements: list, budget: Budget) -> list:
        """Return what the steps make of these elements, lists among the results flattened."""
        budget.spend(len(elements))
        results: list = []
        known: dict = {}  # by type too, as '7' is not 7; a payload has few different elements
        for element in elements:
            key = (type(element), element) if isinstance(element, str | int) else None
            value = known.get(key)
            if value is None:
                budget.check_time()
                value = element
                for step in self.steps:
                    value = step(value)
                if key:
                    known[key] = value
            if isinstance(value, list):
                budget.spend(len(value))
                results += value
            else:
                results.append(value)
        return results


def attempt(operation: Callable, *operands: Any) -> Any:
    """Return what the operation gives; None where PowerShell would reject it or it is not covered."""
    try:
        return operation(*operands)
    except REJECTED:
        return None


def lifted(operation: Callable, budget: Budget, *operands: Any) -> Any:
    """Return `operation(budget, *operands)`, as a further step of the `Element` among the operands if any.

    Of two that have a source the shorter is repeated, as a key is.
    """
    places = [place for place, operand in enumerate(operands) if isinstance(operand, Element)]
    if not places:
        return operation(budget, *operands)
    if len(places) == 1:
        before, (each, *after) = operands[: places[0]], operands[places[0] :]
        return each._replace(steps=(*each.steps, lambda value: operation(budget, *before, value, *after)))
    first, second = (operands[place].all_of(operands[place].source, budget) for place in places)
    size = max(len(first), len(second))
    pairs = ((first[i % len(first)], second[i % len(second)]) for i in range(size))
    budget.spend(size)
    return Element([operation(budget, *pair) for pair in pairs])


def type_name(name: str) -> str:
    """Return a type's name in lower case, without back-ticks, white space and the namespaces left out."""
    name = re.sub(r"[`\s]", "", name).lower().removeprefix("system.")
    return name.removeprefix("management.automation.")


def text_of(value: Any) -> str:
    """Return the string PowerShell converts a value to."""
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list | bytes):
        return " ".join(map(text_of, value))
    raise TypeError("no text is known for it")


def number_of(value: Any) -> int:
    """Return the whole number PowerShell converts a value to."""
    if isinstance(value, int):
        return value
    if isinstance(value, Char):
        return ord(value)
    if isinstance(value, str) and len(value) <= 24:
        value = value.strip().lower() or "0"
        return int(value, 16) if value.startswith("0x") else int(value)
    raise TypeError("no number is known for it")


def elements(value: Any) -> list:
    """Return what a pipeline passes on one by one."""
    if value is None:
        raise TypeError("not known")
    return list(value) if isinstance(value, list | bytes) and not isinstance(value, Stream) else [value]


def character(value: Any) -> Char:
    """Return a [char] for a code unit or a string of one character."""
    if isinstance(value, str) and len(value) == 1:
        return Char(value)
    code = number_of(value)
    if not 0 <= code <= 0xFFFF:
        raise ValueError("no code unit")
    return Char(chr(code))


def characters(value: Any) -> list[Char]:
    """Return a [char[]]: the characters of a string, as ToCharArray does, or one for each element."""
    return list(map(Char, value)) if isinstance(value, str) else list(map(character, elements(value)))


def byte_string(value: Any) -> bytes:
    """Return bytes for bytes or numbers of 0 to 255."""
    return value if isinstance(value, bytes) else bytes(map(number_of, elements(value)))


_NUMBERS = "int int32 int16 int64 long byte sbyte uint32 uint16 uint64 short decimal double"
CASTS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_NUMBERS.split(), number_of),
    **{f"{name}[]": lambda value: list(map(number_of, elements(value))) for name in _NUMBERS.split()},
    "byte[]": byte_string, "char": character, "char[]": characters, "string": text_of,
    "string[]": lambda value: list(map(text_of, elements(value))), "array": elements, "object[]": elements,
    "io.memorystream": lambda value: Stream(byte_string(value)), "collections.arraylist": elements,
    "object": lambda value: value,
}  # fmt: skip


def cast(name: str, budget: Budget, value: Any) -> Any:
    """Return `[name]value`; `name` is in lower case and without "system."."""
    if isinstance(value, Named) or value is None:
        raise TypeError("not known")
    budget.spend_on(value)
    if isinstance(value, str):
        budget.spend(len(value) * (ELEMENT_COST if name.endswith("[]") else 1))
    return CASTS[name](value)
