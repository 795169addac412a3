"""Constant values of PowerShell and what its operators and methods make of them, in bounded work.

Values are str, int, bytes, lists of those, and the few classes below; None is a value that is not known.
Nothing is executed: every operation is a pure function here. One that PowerShell would reject, or that is
not covered, raises one of REJECTED; one that would exceed its `Budget` raises `Cut`.
"""

import binascii
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
LARGEST_NUMBER = 1 << 64
LONGEST_REPEAT = 1 << 20  # characters or elements of one range or product; no script spells more that way
LONGEST_PATTERN = 200  # characters of a pattern of -replace or -split
GZIP_MAGIC, ZLIB_MAGIC = b"\x1f\x8b", b"\x78"
ELEMENT = 8  # characters that an element of a list costs as much as
_ANY_WINDOW, _RAW_WINDOW = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS  # zlib or gzip header; no header
_INFLATE_STEP = 1 << 16  # bytes of compressed input
_META, _NOT_BASE64 = frozenset("\\.^$|?*+()[]{}"), re.compile(r"[^A-Za-z0-9+/]+")
# Patterns that -split cuts a text in equal parts with.
_WIDTH = re.compile(r"\(?(?:(\.{1,9})|\?<=\\G\.\{(\d{1,3})\})\)?")
_SLOT = re.compile(r"\{\{|\}\}|\{(\d{1,6})\}|[{}]")
_CODECS = {
    "utf8": "utf-8", "utf-8": "utf-8", "65001": "utf-8", "ascii": "latin-1", "us-ascii": "latin-1",
    "default": "latin-1", "unicode": "utf-16-le", "utf-16": "utf-16-le", "1200": "utf-16-le",
    "bigendianunicode": "utf-16-be", "1201": "utf-16-be", "utf7": "utf-7", "utf-7": "utf-7",
    "utf32": "utf-32-le", "latin1": "latin-1", "iso-8859-1": "latin-1", "28591": "latin-1",
    "windows-1252": "latin-1", "1252": "latin-1", "utf8encoding": "utf-8", "asciiencoding": "latin-1",
    "unicodeencoding": "utf-16-le", "utf7encoding": "utf-7",
}  # fmt: skip


class Cut(Exception):
    """A limit was reached; the message is its name in `layers.Limits`."""


class Budget:
    """What may still be spent on one script: rewrites, characters of results, time.

    Parameters
    ----------
    steps, characters : int
    seconds : float
        From now.
    """

    def __init__(self, steps: int, characters: int, seconds: float):
        self.steps, self.characters = steps, characters
        self.deadline = time.monotonic() + seconds

    def step(self) -> None:
        """Count one rewrite; raise `Cut` where there are too many."""
        self.steps -= 1
        if self.steps < 0:
            raise Cut("steps")
        self.check_time()

    def spend(self, characters: int = 0) -> None:
        """Count an operation that gives so many characters or elements; raise `Cut` past a limit."""
        self.characters -= characters + 1
        if self.characters < 0:
            raise Cut("characters")
        self.check_time()

    def spend_on(self, value: Any) -> None:
        """Count a look at every element of a value, each of which costs as much as ELEMENT characters."""
        if isinstance(value, list | bytes):
            self.spend(ELEMENT * len(value))

    def check_time(self) -> None:
        """Raise `Cut` once the deadline has passed."""
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


class Each(NamedTuple):
    """Any one element of `source` (of the pipeline where that is None), taken through `steps`."""

    source: list | None
    steps: tuple[Callable[[Any], Any], ...]

    def of(self, elements: list, budget: Budget) -> list:
        """Return what the steps make of these elements, lists among the results flattened."""
        budget.spend(len(elements))
        results: list = []
        known: dict = {}  # by type too, as '7' is not 7; a payload has few different elements
        for element in elements:
            key = (type(element), element) if isinstance(element, str | int) else None
            value = known.get(key)
            if value is None:
                value = self._one(element, budget)
                if key:
                    known[key] = value
            if isinstance(value, list):
                budget.spend(len(value))
                results += value
            else:
                results.append(value)
        return results

    def _one(self, value: Any, budget: Budget) -> Any:
        budget.check_time()
        for step in self.steps:
            value = step(value)
        return value


def lifted(operation: Callable, budget: Budget, *operands) -> Any:
    """Return `operation(budget, *operands)`, as a further step of the `Each` among the operands if any.

    Of two that have a source the shorter is repeated, as a key is.
    """
    places = [place for place, operand in enumerate(operands) if isinstance(operand, Each)]
    if not places:
        return operation(budget, *operands)
    if len(places) == 1:
        before, (each, *after) = operands[: places[0]], operands[places[0] :]
        return each._replace(steps=(*each.steps, lambda value: operation(budget, *before, value, *after)))
    first, second = (operands[place].of(operands[place].source, budget) for place in places)
    size = max(len(first), len(second))
    pairs = ((first[i % len(first)], second[i % len(second)]) for i in range(size))
    budget.spend(size)
    return Each([operation(budget, *pair) for pair in pairs], ())


def text_of(value: Any) -> str:
    """Return the string PowerShell converts a value to."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
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


def byte_string(value: Any) -> bytes:
    """Return bytes for bytes or numbers of 0 to 255."""
    return value if isinstance(value, bytes) else bytes(map(number_of, elements(value)))


def letters(value: str) -> list[Char]:
    """Return the characters of a string, as ToCharArray does."""
    return [Char(letter) for letter in value]


def cast(budget: Budget, name: str, value: Any) -> Any:
    """Return `[name]value`; `name` is in lower case and without "system."."""
    if isinstance(value, Named) or value is None:
        raise TypeError("not known")
    budget.spend_on(value)
    if isinstance(value, str):
        budget.spend(len(value) * (ELEMENT if name.endswith("[]") else 1))
    return _CASTS[name](value)


def _char_array(value: Any) -> list[Char]:
    return letters(value) if isinstance(value, str) else [character(each) for each in elements(value)]


def _string_array(value: Any) -> list[str]:
    return [text_of(each) for each in elements(value)]


def _number_array(value: Any) -> list[int]:
    return [number_of(each) for each in elements(value)]


def _stream(value: Any) -> Stream:
    return Stream(byte_string(value))


_NUMBERS = "int int32 int16 int64 long byte sbyte uint32 uint16 uint64 short decimal double"
_CASTS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_NUMBERS.split(), number_of),
    **{f"{name}[]": _number_array for name in _NUMBERS.split()},
    "byte[]": byte_string, "char": character, "char[]": _char_array, "string": text_of,
    "string[]": _string_array, "array": elements, "object[]": elements, "io.memorystream": _stream,
    "collections.arraylist": elements, "object": lambda value: value,
}  # fmt: skip
CASTS = frozenset(_CASTS)


def add(budget: Budget, values: list) -> Any:
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


def _repeatable(size: int) -> int:
    if size > LONGEST_REPEAT:
        raise OverflowError("too long")
    return size


def multiply(budget: Budget, left: Any, right: Any) -> Any:
    """Return a product, or a string or list repeated."""
    if isinstance(left, str | list):
        count = max(number_of(right), 0)
        budget.spend(_repeatable(len(left) * count))
        return left * count
    budget.spend()
    return _bounded(number_of(left) * number_of(right))


def arithmetic(budget: Budget, name: str, left: Any, right: Any) -> int:
    """Return what "-", "/", "%" or a bitwise operator gives for two whole numbers."""
    budget.spend()
    return _bounded(_ARITHMETIC[name](number_of(left), number_of(right)))


def _exact_quotient(left: int, right: int) -> int:
    if not right or left % right:
        raise ValueError("no whole number")
    return left // right


def _remainder(left: int, right: int) -> int:
    if left < 0 or right <= 0:
        raise ValueError("not covered")
    return left % right


def _shifted(left: int, right: int) -> int:
    if not 0 <= right < 32:
        raise ValueError("not covered")
    return left << right


_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "-": lambda left, right: left - right, "/": _exact_quotient, "%": _remainder,
    "bxor": lambda left, right: left ^ right, "band": lambda left, right: left & right,
    "bor": lambda left, right: left | right, "shl": _shifted,
    "shr": lambda left, right: _shifted(0, right) or left >> right,
}  # fmt: skip


def number_range(budget: Budget, first: Any, last: Any) -> list[int]:
    """Return `first..last`, both included, up or down."""
    first, last = number_of(first), number_of(last)
    budget.spend(_repeatable(abs(last - first) + 1))
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


def replaced(budget: Budget, text: Any, old: Any, new: Any) -> str:
    """Return `text.Replace(old, new)`."""
    text, old, new = text_of(text), text_of(old), text_of(new)
    if not old:
        raise ValueError("nothing to replace")
    budget.spend(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def matched(budget: Budget, name: str, text: Any, operand: Any) -> str | list[str]:
    """Return what -replace or -split, with a c or i before it, gives for patterns that are plain."""
    pattern, *others = elements(operand)
    if name.endswith("split") and (width := _WIDTH.fullmatch(text_of(pattern))):
        return _all_matches(budget, text, "." * (int(width[2] or 0) or len(width[1])))
    flags = 0 if name.startswith("c") else re.IGNORECASE
    plain, text = re.compile(_plain_pattern(text_of(pattern)), flags), text_of(text)
    if name.endswith("split"):
        if others:
            raise ValueError("not covered")
        budget.spend(2 * len(text))
        return plain.split(text)
    instead = text_of(others[0]) if others else ""
    if re.search(r"\$[\d&{`'+_$]", instead):
        raise ValueError("not covered")
    budget.spend(len(text))
    found = sum(1 for _ in plain.finditer(text))
    budget.spend(found * len(instead))
    return plain.sub(lambda _: instead, text)


def _plain_pattern(pattern: str) -> str:
    """Return a pattern that means the same here: literals, escaped ones, classes of those, alternatives."""
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError("not covered")
    kept, in_class = [], False
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        if len(part) == 2:
            if part[1].isalnum() and part[1] not in "tnrsdw":
                raise ValueError("not covered")
            kept.append(part)
        elif part == ("]" if in_class else "["):
            in_class = not in_class
            kept.append(part)
        elif (part == "-" and in_class and kept[-1] not in ("[", "-")) or (part == "|" and not in_class):
            kept.append(part)
        elif part in _META and not (in_class and part != "^"):
            raise ValueError("not covered")
        else:
            kept.append(re.escape(part))
    return "".join(kept)


def split(budget: Budget, text: Any, *separators: Any) -> list[str]:
    """Return `text.Split(...)`: at each of the separators' characters."""
    if len(separators) > 1 and not all(isinstance(each, Char) for each in separators):
        separators = separators[:1]
    characters = "".join(text_of(each) for group in separators for each in elements(group))
    budget.spend(2 * len(text))
    return re.split(f"[{re.escape(characters)}]", text) if characters else text.split()


def split_words(budget: Budget, text: Any) -> list[str]:
    """Return what -split before its operand gives: the words."""
    budget.spend(len(text))
    return text_of(text).split()


def indexed(budget: Budget, value: Any, index: Any) -> Any:
    """Return one element, or those at a list of places, in their order; places outside give none."""
    if isinstance(value, str):
        budget.spend(ELEMENT * len(value))
        value = letters(value)
    if isinstance(index, list):
        budget.spend_on(index)
        size = len(value)
        return [value[place] for place in map(number_of, index) if -size <= place < size]
    budget.spend()
    return value[number_of(index)]


def from_base64(budget: Budget, text: Any) -> bytes:
    """Return the bytes of Base64 text, whose white space and stray characters are passed over."""
    budget.spend_on(text)
    digits = _NOT_BASE64.sub("", text_of(text))
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    budget.spend(len(digits))
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))


def inflated(budget: Budget, data: bytes) -> bytes:
    """Return what gzip, zlib or raw deflate data holds; of damaged data, what comes before the damage.

    Raises
    ------
    Cut
        As soon as more comes out than the budget has left.
    ValueError
        If nothing comes out.
    """
    headed = data.startswith((GZIP_MAGIC, ZLIB_MAGIC))
    for window in (_ANY_WINDOW, _RAW_WINDOW) if headed else (_RAW_WINDOW,):
        if result := _inflated(budget, data, window):
            return result
    raise ValueError("no compressed data")


def _inflated(budget: Budget, data: bytes, window: int) -> bytes:
    stream, parts = zlib.decompressobj(window), []
    try:
        for start in range(0, len(data), _INFLATE_STEP):
            left = data[start : start + _INFLATE_STEP]
            while left and not stream.eof:
                parts.append(stream.decompress(left, _INFLATE_STEP))
                left = stream.unconsumed_tail
                budget.spend(len(parts[-1]))
        parts.append(stream.flush())  # at most the rest of one match
    except zlib.error:
        pass  # what came before the damage counts
    return b"".join(parts)


def decoded(budget: Budget, data: Any, encoding: str = "") -> str:
    """Return bytes as text, in the encoding of this .NET name, or in the one they look to be in."""
    data = byte_string(data)
    codec = _CODECS.get(encoding.lower()) or guessed_codec(data)
    budget.spend(len(data))
    return data.decode(codec, "replace").removeprefix("\ufeff")


def guessed_codec(data: bytes) -> str:
    """Return "utf-16-le" where every other byte is mostly 0, else "utf-8", else "latin-1"."""
    if data[1::2].count(0) * 2 > len(data) // 2 > 0:
        return "utf-16-le"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"


def method(budget: Budget, target: Any, name: str, arguments: list) -> Any:
    """Return `target.name(arguments)`, or the property where there are no arguments; `name` in lower case."""
    if isinstance(target, Named):
        return _named_method(budget, target.name, name, arguments)
    if isinstance(target, str) and name in _OF_STRINGS:
        return _OF_STRINGS[name](budget, target, *arguments)
    if name in ("length", "count", "longlength") and isinstance(target, str | list | bytes):
        return len(target)
    if name in ("readtoend", "tostring") and isinstance(target, Stream):
        return decoded(budget, target)
    if name in ("toarray", "getbuffer", "getenumerator", "value"):
        return bytes(target) if isinstance(target, Stream) else target
    if name == "getvalue":
        return indexed(budget, target, *arguments)
    if name == "tostring":
        return text_of(target)
    raise KeyError(name)


def _named_method(budget: Budget, target: str, name: str, arguments: list) -> Any:
    if target.startswith("text."):
        encoding = target.rpartition(".")[2]
        if name in ("getstring", "getchars"):
            return decoded(budget, arguments[0], encoding)
        if name == "getencoding":
            return Named(f"text.encoding.{text_of(arguments[0]).lower()}")
        if name == "getbytes":
            text = join(budget, arguments[0])
            return text.encode(_CODECS[encoding], "replace")
        if not arguments and target == "text.encoding":
            return Named(f"{target}.{name}")
    return _STATIC[target, name](budget, *arguments)


def _substring(budget: Budget, text: str, start: Any, size: Any = None) -> Any:
    budget.spend(len(text))
    start, end = number_of(start), None if size is None else number_of(start) + number_of(size)
    if not 0 <= start <= len(text) or not start <= (len(text) if end is None else end) <= len(text):
        raise IndexError("outside")
    return text[start:end]


def _inserted(budget: Budget, text: str, place: Any, more: Any) -> str:
    budget.spend(len(text) + len(text_of(more)))
    return text[: number_of(place)] + text_of(more) + text[number_of(place) :]


def _removed(budget: Budget, text: str, place: Any, size: Any = LARGEST_NUMBER) -> str:
    budget.spend(len(text))
    return text[: number_of(place)] + text[number_of(place) + number_of(size) :]


def _trimmed(strip: Callable[..., str]) -> Callable:
    def trim(budget: Budget, text: str, *characters: Any) -> str:
        budget.spend(len(text))
        return strip(text, "".join(map(text_of, characters)) or None)

    return trim


def _cased(change: Callable[[str], str]) -> Callable:
    def case(budget: Budget, text: str, *_: Any) -> str:
        budget.spend(len(text))
        return change(text)

    return case


def _characters(budget: Budget, text: str, *_: Any) -> list[Char]:
    budget.spend(len(text))
    return letters(text)


_OF_STRINGS: dict[str, Callable] = {
    "replace": replaced, "split": split, "substring": _substring, "insert": _inserted, "remove": _removed,
    "trim": _trimmed(str.strip), "trimstart": _trimmed(str.lstrip), "trimend": _trimmed(str.rstrip),
    "tolower": _cased(str.lower), "toupper": _cased(str.upper), "tolowerinvariant": _cased(str.lower),
    "toupperinvariant": _cased(str.upper), "normalize": _cased(str), "clone": _cased(str),
    "tochararray": _characters, "getenumerator": _characters, "tostring": _cased(str),
    "chars": indexed, "get_chars": indexed,
}  # fmt: skip


def _whole(budget: Budget, value: Any, base: Any = None) -> int:
    budget.spend()
    return number_of(value) if base is None else int(text_of(value)[:64], number_of(base))


def _concatenated(budget: Budget, *values: Any) -> str:
    return join(budget, [each for value in values for each in elements(value)])


def _all_matches(budget: Budget, text: Any, pattern: Any, options: Any = "") -> list[str]:
    """Return what [regex]::Matches gives for one or several dots, from the right if asked."""
    text, width = text_of(text), len(text_of(pattern))
    if not width or text_of(pattern).strip("."):
        raise ValueError("not covered")
    budget.spend(len(text))
    if "righttoleft" in text_of(options).lower():
        return [text[max(end - width, 0) : end] for end in range(len(text), width - 1, -width)]
    return [text[start : start + width] for start in range(0, len(text) - width + 1, width)]


def _hexadecimal(budget: Budget, text: Any) -> bytes:
    budget.spend(len(text))
    return bytes.fromhex(text_of(text))


def _unescaped(budget: Budget, text: Any) -> str:
    budget.spend(len(text))
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), text_of(text))


_WHOLE = "toint16 toint32 toint64 tobyte touint16 touint32 touint64 tosbyte"
_STATIC: dict[tuple[str, str], Callable] = {
    **{("convert", name): _whole for name in _WHOLE.split()},
    ("convert", "tochar"): lambda budget, value: character(value),
    ("convert", "tostring"): lambda budget, value: text_of(value),
    ("convert", "frombase64string"): from_base64,
    ("convert", "fromhexstring"): _hexadecimal,
    ("string", "join"): lambda budget, separator, *values: join(
        budget, values[0] if len(values) == 1 else list(values), separator
    ),
    ("string", "concat"): _concatenated,
    ("string", "new"): _concatenated,
    ("string", "format"): lambda budget, form, *values: formatted(
        budget, form, values[0] if len(values) == 1 else list(values)
    ),
    ("string", "empty"): lambda budget: "",
    ("char", "convertfromutf32"): lambda budget, code: chr(number_of(code)),
    ("char", "parse"): lambda budget, text: character(text),
    ("int", "parse"): _whole,
    ("regex", "replace"): lambda budget, text, old, new: matched(budget, "creplace", text, [old, new]),
    ("regex", "split"): lambda budget, text, pattern: matched(budget, "csplit", text, pattern),
    ("regex", "matches"): _all_matches,
    ("regex", "unescape"): lambda budget, text: re.sub(
        r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))",
        lambda found: chr(int(found[1] or found[2], 16)),
        text_of(text),
    ),
    ("uri", "unescapedatastring"): _unescaped,
    ("net.webutility", "urldecode"): _unescaped,
}
