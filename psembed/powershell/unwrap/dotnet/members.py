"""What methods and properties of .NET objects give on values that are known."""

import hashlib
import re
from collections.abc import Callable
from typing import Any

from psembed.powershell.unwrap.dotnet import ciphers, statics
from psembed.powershell.unwrap.dotnet.encodings import decoded
from psembed.powershell.unwrap.dotnet.operators import copied, exploded, formatted, indexed, key_of, wildcard
from psembed.powershell.unwrap.dotnet.values import (
    LARGEST_NUMBER,
    NULL,
    Budget,
    Builder,
    Char,
    Growing,
    Match,
    Method,
    Named,
    Regex,
    Secure,
    Stream,
    Table,
    byte_string,
    elements,
    text_of,
    whole_of,
)

_STREAM_READERS = ("readtoend", "tostring", "readline")


def member(name: str, budget: Budget, target: Any, arguments: list | None) -> Any:
    """Return `target.name`, or `target.name(arguments)`; `name` in lower case."""
    given = arguments or []
    if name == "gettype" and type(target) in _TYPES:
        return Named(_TYPES[type(target)])
    if isinstance(target, Named):
        return statics.static(budget, target.name, name, given, called=arguments is not None)
    if isinstance(target, str):
        if isinstance(target, Regex) and ("regex", name) in statics.METHODS:
            more = [target.options] if target.options else []
            return statics.METHODS["regex", name](budget, given[0], target, *given[1:], *more)
        if isinstance(target, Match) and name in ("value", "groups", "captures", "index"):
            return {"value": str(target), "index": target.place}.get(name, list(target.groups))
        if name == "length":
            return len(target)
        if name in METHODS:
            if arguments is None:
                return target if name == "value" else Method(target, name)
            return METHODS[name](budget, target, *given)
        if name == "value":
            return target
    if isinstance(target, Table):
        return _of_table(budget, target, name, arguments)
    for kind, methods in _METHODS_OF.items():
        if isinstance(target, kind) and name in methods:
            return methods[name](budget, target, *given)
    if name == "getenumerator" and isinstance(target, list | bytearray):
        return target
    if isinstance(target, list) and arguments is None:  # a property of every element
        budget.spend_on(target)
        return [member(name, budget, each, None) for each in target]
    if isinstance(target, list) and name not in ("gettype", "equals"):
        budget.spend_on(target)
        results = [member(name, budget, each, arguments) for each in target]
        return [one for result in results for one in elements(result)]
    if name == "tostring":
        return _number_text(target, *given) if isinstance(target, int) else text_of(target)
    raise KeyError(name)


_TYPES: dict[type, str] = {
    str: "string", Char: "char", int: "int", float: "double", bool: "bool", bytearray: "byte[]",
    list: "object[]", Table: "collections.hashtable",
}  # fmt: skip


def _number_text(number: int, form: Any = "") -> str:
    form = text_of(form)
    return formatted(Budget(9, 99), f"{{0:{form}}}" if form else "{0}", [number])


def full_name(pattern: str) -> str:
    """Return the name of a member that a pattern with wildcards stands for."""
    if "*" not in pattern and "?" not in pattern:
        return pattern.lower()
    found = [name for name in (*METHODS, "length", "count", "value") if wildcard(pattern, name)]
    if len(found) != 1:
        raise KeyError(pattern)
    return found[0]


def how_inflated(kind: str) -> str:
    """Return the name of the step that a stream of this type is, "" for one that inflates nothing."""
    return next((each for each in ("gzip", "deflate") if each in kind), "")


def how_of(name: str, arguments: list) -> str:
    """Return the name of the step that a call of this method is, "" for one that tells nothing."""
    if name.startswith(("toint", "tobyte", "touint", "tochar")) and len(arguments) == 2:
        return "hexadecimal"
    return _HOW.get(name, "")


_HOW = {
    "frombase64string": "FromBase64String", "replace": "replace", "split": "split", "join": "join",
    "concat": "concatenation", "format": "format operator", "fromhexstring": "hexadecimal",
    "convertfromutf32": "characters", "tochar": "characters", "reverse": "reversal",
    "append": "concatenation", "transformfinalblock": "decryption", "urldecode": "URL decoding",
    "unescapedatastring": "URL decoding",
    "htmldecode": "HTML decoding", "frombase64chararray": "FromBase64String",
}  # fmt: skip


# Strings


def _replaced(budget: Budget, text: str, old: Any, new: Any, *_: Any) -> str:
    old, new = text_of(old), text_of(new)
    if not old:
        raise ValueError("nothing to replace")
    budget.spend(len(text) + text.count(old) * len(new))
    return text.replace(old, new)


def _split(budget: Budget, text: str, *separators: Any) -> list[str]:
    """Return the parts between any of the separators' characters, or between whole strings of a list."""
    options = [text_of(each).lower() for each in separators[1:] if not isinstance(each, list)]
    drops = any("removeempty" in each or each == "1" for each in options)
    first = separators[0] if separators else ""
    if isinstance(first, str) and not (len(separators) > 1 and not drops):
        marks = list(first)  # Windows PowerShell's reading: any of the characters
    else:
        several = [first] if isinstance(first, list) else separators
        marks = [text_of(mark) for each in several for mark in elements(each)]
    budget.spend(2 * len(text))
    found = "|".join(re.escape(mark) for mark in marks if mark)
    parts = re.split(found or r"\s", text)
    return [part for part in parts if part] if drops else parts


def _substring(budget: Budget, text: str, start: Any, size: Any = None) -> str:
    start = whole_of(start)
    end = len(text) if size is None else start + whole_of(size)
    if not 0 <= start <= end <= len(text):
        raise IndexError("outside")
    budget.spend(end - start)
    return text[start:end]


def _inserted(budget: Budget, text: str, place: Any, more: Any) -> str:
    budget.spend(len(text) + len(text_of(more)))
    return text[: whole_of(place)] + text_of(more) + text[whole_of(place) :]


def _removed(budget: Budget, text: str, place: Any, size: Any = LARGEST_NUMBER) -> str:
    budget.spend(len(text))
    return text[: whole_of(place)] + text[whole_of(place) + whole_of(size) :]


def _trimmed(strip: Callable[..., str]) -> Callable:
    def trim(budget: Budget, text: str, *marks: Any) -> str:
        budget.spend(len(text))
        return strip(text, "".join(text_of(mark) for each in marks for mark in elements(each)) or None)

    return trim


def _changed(change: Callable[[str], Any]) -> Callable:
    def apply(budget: Budget, text: str, *_: Any) -> Any:
        budget.spend(len(text))
        return change(text)

    return apply


def _tested(test: Callable[[str, str], Any]) -> Callable:
    def apply(budget: Budget, text: str, other: Any, *_: Any) -> Any:
        budget.spend(len(text))
        return test(text, text_of(other))

    return apply


def _padded(pad: Callable[..., str]) -> Callable:
    def apply(budget: Budget, text: str, width: Any, mark: Any = " ") -> str:
        budget.repeat(whole_of(width))
        return pad(text, whole_of(width), text_of(mark))

    return apply


METHODS: dict[str, Callable] = {
    "replace": _replaced, "split": _split, "substring": _substring, "insert": _inserted, "remove": _removed,
    "trim": _trimmed(str.strip), "trimstart": _trimmed(str.lstrip), "trimend": _trimmed(str.rstrip),
    "tolower": _changed(str.lower), "tolowerinvariant": _changed(str.lower),
    "toupper": _changed(str.upper), "toupperinvariant": _changed(str.upper),
    "normalize": _changed(str), "clone": _changed(str), "tostring": _changed(str),
    "tochararray": lambda budget, text, *part: exploded(
        budget, _substring(budget, text, *part) if part else text
    ),
    "getenumerator": exploded, "chars": indexed, "get_chars": indexed,
    "indexof": _tested(str.find), "lastindexof": _tested(str.rfind), "contains": _tested(lambda a, b: b in a),
    "startswith": _tested(str.startswith), "endswith": _tested(str.endswith), "equals": _tested(str.__eq__),
    "padleft": _padded(str.rjust), "padright": _padded(str.ljust),
}  # fmt: skip


# Other objects


def _of_table(budget: Budget, table: Table, name: str, arguments: list | None) -> Any:
    items = table.items
    if arguments is None or name in ("get_item", "item"):
        key = key_of(arguments[0]) if arguments else name
        if key in items:
            return items[key]
        if name == "keys":
            return list(items)
        if name == "values":
            return list(items.values())
        return len(items) if name == "count" else items.get(name)
    if name in ("add", "set_item"):
        items[key_of(arguments[0])] = arguments[1]
        return NULL
    if name == "getenumerator":
        return [Table({"key": key, "name": key, "value": value}, "entry") for key, value in items.items()]
    if name in ("containskey", "contains"):
        return key_of(arguments[0]) in items
    if table.kind == "aes" and name in ("createdecryptor", "createencryptor"):
        names = ("key", "iv")
        return Table(items | dict(zip(names, arguments, strict=False)) | {"does": name}, "transform")
    if table.kind == "transform" and name == "transformfinalblock":
        data = byte_string(arguments[0])[whole_of(arguments[1]) :][: whole_of(arguments[2])]
        return ciphers.decrypted(budget, data, items)
    if table.kind == "hash" and name == "computehash":
        data = byte_string(arguments[0])
        budget.spend(len(data))
        return bytearray(hashlib.new(items["name"], data).digest())
    if table.kind == "credential" and name == "getnetworkcredential":
        return table
    if name in ("dispose", "clear", "close"):
        return NULL
    raise KeyError(name)


def _appended(budget: Budget, builder: Builder, *values: Any) -> Builder:
    text = text_of(values[0])
    if len(values) == 2 and len(text) == 1 and isinstance(values[1], int):
        budget.repeat(whole_of(values[1]))
        text *= whole_of(values[1])
    budget.spend(len(text))
    builder.parts.append(text)
    return builder


def _rewritten(name: str) -> Callable:
    def apply(budget: Budget, builder: Builder, *arguments: Any) -> Builder:
        builder.parts[:] = [METHODS[name](budget, builder.text(budget), *arguments)]
        return builder

    return apply


def _list_changed(change: Callable[..., Any]) -> Callable:
    def apply(budget: Budget, values: list, *arguments: Any) -> Any:
        budget.spend(len(values) // 8)
        if not isinstance(values, Growing):
            raise TypeError("a fixed size")
        budget.spend_on(arguments[-1] if arguments else None)  # AddRange of a list to itself doubles it
        change(values, *arguments)
        return NULL

    return apply


def _read(budget: Budget, stream: Stream, buffer: Any = None, start: Any = 0, size: Any = 0) -> int:
    part = stream.data[stream.place :][: whole_of(size)]
    budget.spend(len(part))
    buffer[whole_of(start) : whole_of(start) + len(part)] = part
    stream.place += len(part)
    return len(part)


def _copied(budget: Budget, stream: Stream, other: Stream, *_: Any) -> Any:
    budget.spend(len(stream.data))
    other.data += stream.data[stream.place :]
    return NULL


def _written(budget: Budget, stream: Stream, data: Any, start: Any = 0, size: Any = LARGEST_NUMBER) -> Any:
    part = byte_string(data)[whole_of(start) :][: whole_of(size)]
    budget.spend(len(part))
    stream.data += part
    return NULL


def _nothing(budget: Budget, *_: Any) -> Any:
    return NULL


_LENGTHS = {name: lambda budget, value: len(value) for name in ("length", "count", "longlength")}
_METHODS_OF: dict[Any, dict[str, Callable]] = {
    bytearray: _LENGTHS | {
        "clone": copied,
        "getvalue": indexed, "get": indexed,
    },
    list: _LENGTHS | {
        "getvalue": indexed, "get": indexed, "item": indexed, "toarray": copied,
        "clone": copied, "add": _list_changed(list.append),
        "addrange": _list_changed(lambda values, more: values.extend(elements(more))),
        "insert": _list_changed(lambda values, place, value: values.insert(whole_of(place), value)),
        "reverse": _list_changed(list.reverse), "clear": _list_changed(list.clear),
        "dequeue": lambda budget, values: values.pop(0), "pop": lambda budget, values: values.pop(0),
        "peek": lambda budget, values: values[0],
        "removeat": _list_changed(lambda values, place: values.pop(whole_of(place))),
        "push": _list_changed(lambda values, value: values.insert(0, value)),
        "enqueue": _list_changed(list.append),
        "indexof": statics.place_in,
        "contains": lambda budget, values, value: statics.place_in(budget, values, value) >= 0,
    },
    Builder: {
        "append": _appended, "tostring": lambda budget, builder, *part: (
            _substring(budget, builder.text(budget), *part) if part else builder.text(budget)
        ),
        "length": lambda budget, builder: len(builder.text(budget)), "insert": _rewritten("insert"),
        "replace": _rewritten("replace"), "remove": _rewritten("remove"),
        "appendline": lambda budget, builder, text="": _appended(budget, builder, text_of(text) + "\r\n"),
        "appendformat": lambda budget, builder, form, *values: _appended(
            budget, builder, formatted(budget, form, list(values))
        ),
        "chars": indexed, "clear": lambda budget, builder: (builder.parts.clear(), builder)[1],
    },
    Stream: {
        **dict.fromkeys(_STREAM_READERS, lambda budget, stream: decoded(budget, stream.data)),
        **dict.fromkeys(("toarray", "getbuffer"), copied),
        **dict.fromkeys(("flush", "close", "dispose", "seek", "setlength"), _nothing),
        "basestream": lambda budget, stream: stream, "read": _read, "copyto": _copied, "write": _written,
        "length": lambda budget, stream: len(stream.data), "position": lambda budget, stream: stream.place,
    },
    Secure: {"copy": lambda budget, secure: secure, "length": lambda budget, secure: len(secure.text)},
}  # fmt: skip
