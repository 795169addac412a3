"""What .NET's methods and properties give on values that are known."""

import re
from collections.abc import Callable
from typing import Any

from psembed.powershell.unwrap.encodings import CODECS, decoded, from_base64, inflated
from psembed.powershell.unwrap.operators import (
    equal_parts,
    formatted,
    indexed,
    join,
    replace_matches,
    split_at_matches,
)
from psembed.powershell.unwrap.state import decisive
from psembed.powershell.unwrap.values import (
    LARGEST_NUMBER,
    Budget,
    Char,
    Element,
    Named,
    Stream,
    attempt,
    byte_string,
    character,
    characters,
    elements,
    lifted,
    number_of,
    text_of,
)


def invoke(name: str, budget: Budget, target: Any, *arguments: Any) -> Any:
    """Return `target.name(arguments)`, or the property where there are no arguments; `name` in lower case."""
    if isinstance(target, Named):
        return _static(budget, target.name, name, arguments)
    if isinstance(target, str) and name in STRING_METHODS:
        return STRING_METHODS[name](budget, target, *arguments)
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


def _static(budget: Budget, target: str, name: str, arguments: tuple) -> Any:
    if target.startswith("text."):
        encoding = target.rpartition(".")[2]
        if name in ("getstring", "getchars"):
            return decoded(budget, arguments[0], encoding)
        if name == "getencoding":
            return Named(f"text.encoding.{text_of(arguments[0]).lower()}")
        if name == "getbytes":
            text = join(budget, arguments[0])
            return text.encode(CODECS[encoding], "replace")
        if not arguments and target == "text.encoding":
            return Named(f"{target}.{name}")
    return STATIC_METHODS[target, name](budget, *arguments)


def how_of(name: str, arguments: list) -> str:
    """Return the name of the step that a call of this method is, "" for one that tells nothing."""
    if name.startswith(("toint", "tobyte", "touint")) and len(arguments) == 2:
        return "hexadecimal"
    return _HOW.get(name, "")


_HOW = {
    "frombase64string": "FromBase64String", "replace": "replace", "split": "split", "join": "join",
    "concat": "concatenation", "format": "format operator", "fromhexstring": "hexadecimal",
    "matches": "reversal", "convertfromutf32": "characters", "tochar": "characters",
}  # fmt: skip


def _replaced(budget: Budget, text: str, old: Any, new: Any) -> str:
    old, new = text_of(old), text_of(new)
    if not old:
        raise ValueError("nothing to replace")
    budget.spend(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _split(budget: Budget, text: str, *separators: Any) -> list[str]:
    """Return the parts between any of the separators' characters."""
    if len(separators) > 1 and not all(isinstance(each, Char) for each in separators):
        separators = separators[:1]
    marks = "".join(text_of(each) for group in separators for each in elements(group))
    budget.spend(2 * len(text))
    return re.split(f"[{re.escape(marks)}]", text) if marks else text.split()


def _substring(budget: Budget, text: str, start: Any, size: Any = None) -> str:
    budget.spend(len(text))
    start = number_of(start)
    end = len(text) if size is None else start + number_of(size)
    if not 0 <= start <= end <= len(text):
        raise IndexError("outside")
    return text[start:end]


def _inserted(budget: Budget, text: str, place: Any, more: Any) -> str:
    budget.spend(len(text) + len(text_of(more)))
    return text[: number_of(place)] + text_of(more) + text[number_of(place) :]


def _removed(budget: Budget, text: str, place: Any, size: Any = LARGEST_NUMBER) -> str:
    budget.spend(len(text))
    return text[: number_of(place)] + text[number_of(place) + number_of(size) :]


def _trimmed(strip: Callable[..., str]) -> Callable:
    def trim(budget: Budget, text: str, *marks: Any) -> str:
        budget.spend(len(text))
        return strip(text, "".join(map(text_of, marks)) or None)

    return trim


def _changed(change: Callable[[str], Any]) -> Callable:
    def apply(budget: Budget, text: str, *_: Any) -> Any:
        budget.spend(len(text))
        return change(text)

    return apply


STRING_METHODS: dict[str, Callable] = {
    "replace": _replaced, "split": _split, "substring": _substring, "insert": _inserted, "remove": _removed,
    "trim": _trimmed(str.strip), "trimstart": _trimmed(str.lstrip), "trimend": _trimmed(str.rstrip),
    "tolower": _changed(str.lower), "tolowerinvariant": _changed(str.lower),
    "toupper": _changed(str.upper), "toupperinvariant": _changed(str.upper),
    "normalize": _changed(str), "clone": _changed(str), "tostring": _changed(str),
    "tochararray": _changed(characters), "getenumerator": _changed(characters),
    "chars": indexed, "get_chars": indexed,
}  # fmt: skip


def _whole(budget: Budget, value: Any, base: Any = None) -> int:
    budget.spend()
    return number_of(value) if base is None else int(text_of(value)[:64], number_of(base))


def _concatenated(budget: Budget, *values: Any) -> str:
    return join(budget, [each for value in values for each in elements(value)])


def _list_of(values: tuple) -> Any:
    """Return the list that one argument is, or several are."""
    return values[0] if len(values) == 1 else list(values)


def _matches(budget: Budget, text: Any, pattern: Any, options: Any = "") -> list[str]:
    """Return what [regex]::Matches gives for one or several dots, from the right if asked."""
    dots = text_of(pattern)
    if not dots or dots.strip("."):
        raise ValueError("not covered")
    return equal_parts(budget, text, len(dots), from_right="righttoleft" in text_of(options).lower())


def _hexadecimal(budget: Budget, text: Any) -> bytes:
    budget.spend(len(text))
    return bytes.fromhex(text_of(text))


def _url_decoded(budget: Budget, text: Any) -> str:
    budget.spend(len(text))
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), text_of(text))


def _unescaped(budget: Budget, text: Any) -> str:
    escape = r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2}))"
    return re.sub(escape, lambda match: chr(int(match[1] or match[2], 16)), text_of(text))


_WHOLE = "toint16 toint32 toint64 tobyte touint16 touint32 touint64 tosbyte"
STATIC_METHODS: dict[tuple[str, str], Callable] = {
    **{("convert", name): _whole for name in _WHOLE.split()},
    ("convert", "tochar"): lambda budget, value: character(value),
    ("convert", "tostring"): lambda budget, value: text_of(value),
    ("convert", "frombase64string"): from_base64,
    ("convert", "fromhexstring"): _hexadecimal,
    ("string", "join"): lambda budget, separator, *values: join(budget, _list_of(values), separator),
    ("string", "concat"): _concatenated,
    ("string", "new"): _concatenated,
    ("string", "format"): lambda budget, form, *values: formatted(budget, form, _list_of(values)),
    ("string", "empty"): lambda budget: "",
    ("char", "convertfromutf32"): lambda budget, code: chr(number_of(code)),
    ("char", "parse"): lambda budget, text: character(text),
    ("int", "parse"): _whole,
    ("regex", "replace"): lambda budget, text, old, new: replace_matches(0, budget, text, [old, new]),
    ("regex", "split"): lambda budget, text, pattern: split_at_matches(0, budget, text, pattern),
    ("regex", "matches"): _matches,
    ("regex", "unescape"): _unescaped,
    ("uri", "unescapedatastring"): _url_decoded,
    ("net.webutility", "urldecode"): _url_decoded,
}


def any_part(budget: Budget, text: Any, size: int) -> Element:
    """Return any one part of a string that a loop takes apart, all of one size."""
    text = text_of(text)
    budget.spend(len(text))
    return Element([text[start : start + size] for start in range(0, len(text), max(size, 1))])


def new_object(budget: Budget, name: str, parts: list, how: str) -> tuple[Any, str]:
    """Return (value, how) of a new string, encoding or stream; None for an object of another type."""
    content = parts[0] if parts else None
    while isinstance(content, list) and len(content) == 1 and isinstance(content[0], list):
        content = content[0]
    if name in ("string", "text.stringbuilder") and parts:
        return attempt(join, budget, content), how
    if name.startswith("text.") and name.endswith("encoding"):
        return Named(name), ""
    if not name.startswith("io.") or not parts:
        return None, ""
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    if "gzip" in name or "deflate" in name or "zlib" in name:
        how = decisive("gzip" if "gzip" in name else "deflate", how)
        return attempt(lifted, _inflated_stream, budget, content), how
    return attempt(lifted, lambda _, data: Stream(byte_string(data)), budget, content), how


def _inflated_stream(budget: Budget, data: Any) -> Stream:
    return Stream(inflated(budget, byte_string(data)))
