"""Values of PowerShell that are known without running anything, and the work that they may cost.

Values are str, int, float, bool, bytearray, list and the few classes below; None is a value that is not
known, an element of a list too. Lists and byte arrays are shared and changed in place, as PowerShell's are.
An operation takes a `Budget` first. One that PowerShell would reject, or that is not covered, raises one of
REJECTED; one that would exceed its budget raises `Cut`.
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
    zlib.error, ArithmeticError,
)  # fmt: skip
ELEMENT_COST = 8  # characters that an element of a list costs as much as
COPY_SHARE = 256  # characters, or elements times 16, that are copied for the cost of making one
LARGEST_NUMBER = 1 << 64
LONGEST_REPEAT = 1 << 20  # characters or elements of one range or product; no script spells more that way
GUARD_SECONDS = 60.0  # of the processor, far above what the steps allow
_LOOK_AT_CLOCK = 1 << 12  # steps between two looks


class Cut(Exception):
    """A limit was reached; the message is its name in `layers.Limits`, or "seconds" for the guard."""


class Budget:
    """What may still be spent on one script: steps and characters of results.

    Each method counts, and raises `Cut` past a limit. Counting alone decides, so that the same text is cut at
    the same place on every machine; the clock is a guard far above.
    """

    def __init__(self, steps: int, characters: int):
        self.steps, self.characters = steps, characters
        self.deadline = 0.0  # set at the first look at the clock

    def left(self) -> int:
        """Return how much may still be done, in steps."""
        return self.steps + self.characters // 64

    def step(self) -> None:
        """Count one token that is read or one node that is evaluated."""
        self.steps -= 1
        if self.steps < 0:
            raise Cut("steps")
        if not self.steps % _LOOK_AT_CLOCK:
            self._look_at_clock()

    def _look_at_clock(self) -> None:
        now = time.thread_time()
        self.deadline = self.deadline or now + GUARD_SECONDS
        if now > self.deadline:
            raise Cut("seconds")

    def spend(self, characters: int = 0) -> None:
        """Count an operation that gives so many characters or elements."""
        self.characters -= characters + 1
        if self.characters < 0:
            raise Cut("characters")

    def spend_on(self, value: Any) -> None:
        """Count a look at every element of a list or of bytes."""
        if isinstance(value, list | bytes | bytearray):
            self.spend(ELEMENT_COST * len(value))

    def repeat(self, size: int) -> None:
        """Count a range or product of this size, as `spend` does; refuse one past LONGEST_REPEAT."""
        if size > LONGEST_REPEAT:
            raise OverflowError("too long")
        self.spend(size)


class Null:
    """The value of $null, which is known; there is one, NULL."""

    __slots__ = ()

    def __bool__(self) -> bool:
        """Return False, as PowerShell does."""
        return False


NULL = Null()


class Char(str):
    """A [char]; unlike a string of one digit it counts as its code point."""

    __slots__ = ()


class Match(str):
    """A match of a pattern: what it matched, where, and its groups."""

    groups: list
    place: int


class Regex(str):
    """A [regex]: its pattern, and its options by name."""

    options: str = ""


class Growing(list):
    """An ArrayList or List[]: unlike an array it has Add."""


@dataclass(eq=False)
class Builder:
    """A StringBuilder."""

    parts: list[str]

    def text(self, budget: Budget) -> str:
        """Return what was appended so far."""
        if len(self.parts) > 1:
            budget.spend(sum(map(len, self.parts)))
            self.parts[:] = ["".join(self.parts)]
        return self.parts[0] if self.parts else ""


@dataclass(eq=False)
class Stream:
    """Bytes that a pipeline passes on as one object, a MemoryStream; `place` is where reading goes on."""

    data: bytearray
    place: int = 0


@dataclass(eq=False)
class Table:
    """A hashtable or another object with properties; names are in lower case, `kind` is the type's."""

    items: dict[Any, Any]
    kind: str = "collections.hashtable"


@dataclass(eq=False)
class Secure:
    """A SecureString whose text is known."""

    text: str


@dataclass(frozen=True)
class Named:
    """An object known by the name of its type or static member alone, such as an encoding."""

    name: str


@dataclass(eq=False)
class Block:
    """A script block: a node of the tree, or the text that it was made from."""

    node: Any
    text: str = ""


class Method(NamedTuple):
    """A method of a value, named without being called."""

    target: Any
    name: str


class Partial(NamedTuple):
    """An expandable string that is not known, as far as it can be read: variables as they are spelled."""

    text: str


def attempt(operation: Callable, *operands: Any) -> Any:
    """Return what the operation gives; None where PowerShell would reject it or it is not covered."""
    try:
        return operation(*operands)
    except REJECTED:
        return None


def type_name(name: str) -> str:
    """Return a type's name in lower case, without back-ticks, white space and the namespaces left out."""
    name = re.sub(r"[`\s]", "", name).lower().removeprefix("system.")
    return _ACCELERATORS.get(name, name).removeprefix("management.automation.")


_ACCELERATORS = {
    "text.regularexpressions.regex": "regex", "int32": "int", "int64": "long", "single": "float",
    "boolean": "bool", "collections.arraylist": "arraylist",
}  # fmt: skip


def text_of(value: Any) -> str:
    """Return the string PowerShell converts a value to."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, list | bytes | bytearray):
        return _joined(value)
    if isinstance(value, Builder):
        return "".join(value.parts)
    if value is NULL:
        return ""
    if isinstance(value, Table) and value.kind == "collections.hashtable":
        return "System.Collections.Hashtable"
    if isinstance(value, Named):
        return value.name
    if isinstance(value, Block) and value.text:
        return value.text
    if isinstance(value, Method) and isinstance(value.target, str):
        return _SIGNATURES[value.name]
    raise TypeError("no text is known for it")


def _joined(values: list | bytes | bytearray) -> str:
    """Return the elements as one string; an element may be long and stand there many times."""
    parts, size = [], 0
    for each in values:
        parts.append(text_of(each))
        size += len(parts[-1]) + 1
        if size > 4 * LONGEST_REPEAT:
            raise OverflowError("too long")
    return " ".join(parts)


# What methods of strings are as text, from which obfuscators take letters.
_SIGNATURES = {
    "insert": "string Insert(int startIndex, string value)",
    "tostring": "string ToString(), string ToString(System.IFormatProvider provider), "
    "string IConvertible.ToString(System.IFormatProvider provider)",
}


def number_of(value: Any) -> Any:
    """Return the number PowerShell converts a value to, a whole one where it is one."""
    if isinstance(value, Char):
        return ord(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, str) and len(value) <= 24:
        value = value.strip().lower() or "0"
        if value.startswith("0x"):
            return int(value, 16)
        return int(value) if "." not in value and "e" not in value else number_of(float(value))
    if value is NULL:
        return 0
    if isinstance(value, list | bytearray) and len(value) == 1:
        return number_of(value[0])
    raise TypeError("no number is known for it")


def whole_of(value: Any) -> int:
    """Return the whole number PowerShell converts a value to: halves go to the even one."""
    return round(number_of(value))


def elements(value: Any) -> list:
    """Return what a pipeline passes on one by one."""
    if value is None:
        raise TypeError("not known")
    if isinstance(value, list | bytearray):
        return list(value)
    return [] if value is NULL else [value]


def character(value: Any) -> Char:
    """Return a [char] for a code unit or a string of one character."""
    if isinstance(value, str) and len(value) == 1:
        return Char(value)
    code = whole_of(value)
    if not 0 <= code <= 0xFFFF:
        raise ValueError("no code unit")
    return Char(chr(code))


def characters(value: Any) -> list[Char]:
    """Return a [char[]]: the characters of a string, as ToCharArray does, or one for each element."""
    return list(map(Char, value)) if isinstance(value, str) else list(map(character, elements(value)))


def byte_string(value: Any) -> bytearray:
    """Return bytes for bytes or numbers of 0 to 255."""
    if isinstance(value, bytearray):
        return value
    if isinstance(value, Stream):
        return value.data
    return bytearray(map(whole_of, elements(value)))


def truth_of(value: Any) -> bool:
    """Tell whether PowerShell takes a value as true."""
    if isinstance(value, list | bytearray):
        return truth_of(value[0]) if len(value) == 1 else bool(value)
    if value is None:
        raise TypeError("not known")
    return bool(value) if isinstance(value, str | int | float | Null) else True


_NUMBERS = "int int16 long sbyte uint32 uint16 uint64 short ushort uint ulong byte"
_KEPT = "object psobject pscustomobject ordered hashtable intptr"
CASTS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_NUMBERS.split(), whole_of),
    **{f"{name}[]": lambda value: list(map(whole_of, elements(value))) for name in _NUMBERS.split()},
    **dict.fromkeys(("double", "decimal", "float"), number_of),
    "byte[]": byte_string, "char": character, "char[]": characters, "string": text_of,
    "string[]": lambda value: list(map(text_of, elements(value))),
    "array": elements, "object[]": elements, "bool": truth_of,
    "io.memorystream": lambda value: Stream(byte_string(value)),
    "arraylist": lambda value: Growing(elements(value)),
    "text.stringbuilder": lambda value: Builder([text_of(value)]),
    **dict.fromkeys(_KEPT.split(), lambda value: value),
    "regex": lambda value: Regex(text_of(value)), "ref": lambda value: None,
    "type": lambda value: value if isinstance(value, Named) else Named(type_name(text_of(value).strip("[]"))),
    "void": lambda value: NULL, "text.regularexpressions.regexoptions": text_of,
    "uri": text_of, "version": text_of, "xml": lambda value: None,
}  # fmt: skip


def cast(name: str, budget: Budget, value: Any) -> Any:
    """Return `[name]value`; `name` is in lower case and without "system."."""
    if value is None:
        raise TypeError("not known")
    budget.spend_on(value)
    if isinstance(value, str):
        budget.spend(len(value) * (ELEMENT_COST if name.endswith("[]") else 1))
    if name.startswith("collections.") and name.partition("[")[0].endswith((".list", "arraylist")):
        name = "arraylist"
    return CASTS[name](value)
