"""What .NET's methods, properties and constructors give on values that are known."""

import base64
import hashlib
import html
import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from psembed.powershell.dotnet import ciphers, patterns
from psembed.powershell.dotnet.encodings import CODECS, decoded, from_base64, inflated
from psembed.powershell.dotnet.operators import exploded, formatted, indexed, join, key_of, wildcard
from psembed.powershell.dotnet.values import (
    ELEMENT_COST,
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
    character,
    characters,
    elements,
    number_of,
    text_of,
    type_name,
    whole_of,
)  # fmt: skip

_STREAM_READERS = ("readtoend", "tostring", "readline")


def member(name: str, budget: Budget, target: Any, arguments: list | None) -> Any:
    """Return `target.name`, or `target.name(arguments)`; `name` in lower case."""
    given = arguments or []
    if isinstance(target, Named):
        return _static(budget, target.name, name, given, called=arguments is not None)
    if isinstance(target, str):
        if isinstance(target, Regex) and ("regex", name) in STATIC_METHODS:
            more = [target.options] if target.options else []
            return STATIC_METHODS["regex", name](budget, given[0], target, *given[1:], *more)
        if isinstance(target, Match) and name in ("value", "groups", "captures"):
            return str(target) if name == "value" else list(target.groups)
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


def how_of(name: str, arguments: list) -> str:
    """Return the name of the step that a call of this method is, "" for one that tells nothing."""
    if name.startswith(("toint", "tobyte", "touint", "tochar")) and len(arguments) == 2:
        return "hexadecimal"
    return _HOW.get(name, "")


_HOW = {
    "frombase64string": "FromBase64String", "replace": "replace", "split": "split", "join": "join",
    "concat": "concatenation", "format": "format operator", "fromhexstring": "hexadecimal",
    "convertfromutf32": "characters", "tochar": "characters", "reverse": "reversal", "append": "concatenation",
    "transformfinalblock": "decryption", "urldecode": "URL decoding", "unescapedatastring": "URL decoding",
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
    "tochararray": lambda budget, text, *part: exploded(budget, _substring(budget, text, *part) if part else text),
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
        "clone": lambda budget, data: bytearray(data),
        "getvalue": indexed, "get": indexed,
    },
    list: _LENGTHS | {
        "getvalue": indexed, "get": indexed, "item": indexed, "toarray": lambda budget, values: list(values),
        "clone": lambda budget, values: list(values), "add": _list_changed(list.append),
        "addrange": _list_changed(lambda values, more: values.extend(elements(more))),
        "insert": _list_changed(lambda values, place, value: values.insert(whole_of(place), value)),
        "reverse": _list_changed(list.reverse), "clear": _list_changed(list.clear),
        "dequeue": lambda budget, values: values.pop(0), "pop": lambda budget, values: values.pop(0),
        "peek": lambda budget, values: values[0], "removeat": _list_changed(lambda values, place: values.pop(whole_of(place))),
        "push": _list_changed(lambda values, value: values.insert(0, value)), "enqueue": _list_changed(list.append),
        "indexof": lambda budget, values, value: _place_in(budget, values, value),
        "contains": lambda budget, values, value: value in values,
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
        **dict.fromkeys(("toarray", "getbuffer"), lambda budget, stream: bytearray(stream.data)),
        **dict.fromkeys(("flush", "close", "dispose", "seek", "setlength"), _nothing),
        "basestream": lambda budget, stream: stream, "read": _read, "copyto": _copied, "write": _written,
        "length": lambda budget, stream: len(stream.data), "position": lambda budget, stream: stream.place,
    },
    Secure: {"copy": lambda budget, secure: secure, "length": lambda budget, secure: len(secure.text)},
}  # fmt: skip


# Static members


def _static(budget: Budget, target: str, name: str, arguments: list, *, called: bool) -> Any:
    if target.startswith("text.") and target.partition("[")[0] != "text.stringbuilder":
        encoding = target.rpartition(".")[2]
        if not called and name in ("getstring", "getbytes", "getchars"):
            return Method(Named(target), name)
        if name in ("getstring", "getchars"):
            data = byte_string(arguments[0])
            if len(arguments) == 3:
                data = data[whole_of(arguments[1]) :][: whole_of(arguments[2])]
            text = decoded(budget, data, encoding)
            return text if name == "getstring" else exploded(budget, text)
        if name == "getencoding":
            return Named(f"text.encoding.{text_of(arguments[0]).lower()}")
        if name == "getbytes":
            text = join(budget, arguments[0])
            return bytearray(text.encode(CODECS[encoding], "replace"))
        if not called and target == "text.encoding":
            return Named(f"{target}.{name}")
        if not called and name in ("webname", "bodyname"):
            return encoding
    if name == "new" and called:
        return new_object(budget, target, arguments)
    if (target, name) in STATIC_METHODS and (called or name in ("empty", "newline")):
        return STATIC_METHODS[target, name](budget, *arguments)
    if target.rpartition(".")[2] in ("aes", "rijndael", "rijndaelmanaged", "aesmanaged") and name == "create":
        return new_object(budget, "aes", [])
    if target.startswith("security.cryptography.") and name == "create":
        return new_object(budget, target, arguments)
    if not called and name in ("fullname", "name"):
        return "System." + target
    if not called and target.rpartition(".")[2] in _ENUMS:
        return Named(name)  # an element of an enumeration
    if not called and any(method == name for _, method in STATIC_METHODS):
        return Method(Named(target), name)
    raise KeyError(name)


_ENUMS = frozenset({"ciphermode", "paddingmode", "regexoptions", "stringsplitoptions", "compressionmode"})


def _whole(budget: Budget, value: Any, base: Any = None) -> int:
    if base is None:
        return whole_of(value)
    return int(text_of(value)[:64], 16 if "hex" in text_of(base).lower() else whole_of(base))


def _concatenated(budget: Budget, *values: Any) -> str:
    return join(budget, [each for value in values for each in elements(value)])


def _list_of(values: tuple) -> Any:
    """Return the list that one argument is, or several are."""
    return values[0] if len(values) == 1 else list(values)


def flags_of(options: Any) -> tuple[int, bool]:
    """Return Python's flags for RegexOptions, and whether matches are found from the right."""
    names = text_of(options).lower()
    return sum(flag for name, flag in patterns.FLAGS.items() if name in names), "righttoleft" in names


def _regex_matches(budget: Budget, text: Any, pattern: Any, options: Any = "") -> list[Match]:
    flags, from_right = flags_of(options)
    if from_right:
        return patterns.replace_from_right(budget, text_of(pattern), flags, text_of(text))
    return patterns.matched(budget, text_of(pattern), flags, text_of(text))


def _regex_replace(budget: Budget, text: Any, pattern: Any, instead: Any, options: Any = "") -> str:
    made = instead if callable(instead) else text_of(instead)
    return patterns.replace(budget, text_of(pattern), flags_of(options)[0], text_of(text), made)


def _hexadecimal(budget: Budget, text: Any) -> bytearray:
    budget.spend(len(text))
    return bytearray.fromhex(text_of(text))


def _decoded_url(plus: bool) -> Callable:
    def apply(budget: Budget, text: Any, *_: Any) -> str:
        budget.spend(3 * len(text))
        text = (
            re.sub(r"%u([0-9A-Fa-f]{4})", lambda code: chr(int(code[1], 16)), text_of(text)) if plus else text
        )
        return (urllib.parse.unquote_plus if plus else urllib.parse.unquote)(text_of(text))

    return apply


def _decoded_html(budget: Budget, text: Any, *_: Any) -> str:
    budget.spend(3 * len(text))
    return html.unescape(text_of(text))


def _unescaped(budget: Budget, text: Any) -> str:
    budget.spend(3 * len(text))
    escape = r"\\(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([tnrfvae])|([^\w]))"
    plain = dict(zip("tnrfvae", "\t\n\r\f\v\a\x1b", strict=True))
    return re.sub(
        escape,
        lambda found: found[4] or plain.get(found[3] or "") or chr(int(found[1] or found[2], 16)),
        text_of(text),
    )


def _converted_text(budget: Budget, value: Any, base: Any = 10) -> str:
    return (
        format(value, {16: "x", 2: "b", 8: "o", 10: "d"}[base]) if isinstance(value, int) else text_of(value)
    )


def _secure_text(budget: Budget, secure: Any) -> str:
    return secure.text if isinstance(secure, Secure) else text_of(secure)


def _reversed(budget: Budget, values: Any, start: Any = 0, size: Any = LARGEST_NUMBER) -> Any:
    """Turn a list round where it stands."""
    budget.spend(len(values))
    first, last = whole_of(start), whole_of(start) + whole_of(size)
    values[first:last] = values[first:last][::-1]
    return NULL


def _sorted(budget: Budget, keys: list, values: list | None = None) -> Any:
    """Sort a list where it stands, and another in the same order."""
    budget.spend_on(keys)
    places = sorted(range(len(keys)), key=keys.__getitem__)
    for each in (keys, values):
        if each is not None:
            each[:] = [each[place] for place in places]
    return NULL


def _place_in(budget: Budget, values: list, value: Any) -> int:
    budget.spend_on(values)
    if None in values:
        raise TypeError("not known")
    return values.index(value) if value in values else -1


def _block_copied(budget: Budget, source: Any, start: Any, target: Any, place: Any, size: Any) -> Any:
    start, place, size = whole_of(start), whole_of(place), whole_of(size)
    budget.spend(size)
    target[place : place + size] = source[start : start + size]
    return NULL


_WHOLE = "toint16 toint32 toint64 tobyte touint16 touint32 touint64 tosbyte"
STATIC_METHODS: dict[tuple[str, str], Callable] = {
    **{("convert", name): _whole for name in _WHOLE.split()},
    ("convert", "tochar"): lambda budget, value, *base: character(_whole(budget, value, *base)),
    ("convert", "tostring"): _converted_text,
    ("convert", "frombase64string"): lambda budget, text: bytearray(from_base64(budget, text)),
    ("convert", "frombase64chararray"): lambda budget, text, *_: bytearray(from_base64(budget, join(budget, text))),
    ("convert", "fromhexstring"): _hexadecimal,
    ("convert", "tobase64string"): lambda budget, data: base64.b64encode(byte_string(data)).decode(),
    ("runtime.remoting.metadata.w3cxsd2001.soaphexbinary", "parse"): lambda budget, text: Table(
        {"value": _hexadecimal(budget, text)}
    ),
    ("bitconverter", "tostring"): lambda budget, data: "-".join(f"{byte:02X}" for byte in byte_string(data)[:10000]),
    ("string", "join"): lambda budget, separator, *values: join(budget, _list_of(values), separator),
    ("string", "concat"): _concatenated,
    ("string", "format"): lambda budget, form, *values: formatted(budget, form, _list_of(values)),
    ("string", "empty"): lambda budget: "",
    ("char", "convertfromutf32"): lambda budget, code: chr(whole_of(code)),
    ("char", "parse"): lambda budget, text: character(text),
    **{(kind, "parse"): _whole for kind in ("int", "byte", "int16", "long")},
    ("regex", "replace"): _regex_replace,
    ("regex", "split"): lambda budget, text, pattern, options="": patterns.split(
        budget, text_of(pattern), flags_of(options)[0], text_of(text)
    ),
    ("regex", "matches"): _regex_matches,
    ("regex", "match"): lambda budget, *given: (*_regex_matches(budget, *given), NULL)[0],
    ("regex", "unescape"): _unescaped,
    ("regex", "escape"): lambda budget, text: re.escape(text_of(text)),
    ("uri", "unescapedatastring"): _decoded_url(False),
    ("net.webutility", "urldecode"): _decoded_url(True),
    ("web.httputility", "urldecode"): _decoded_url(True),
    ("net.webutility", "htmldecode"): _decoded_html,
    ("web.httputility", "htmldecode"): _decoded_html,
    ("type", "gettype"): lambda budget, name: Named(type_name(text_of(name))),
    ("array", "reverse"): _reversed,
    ("array", "sort"): _sorted,
    ("array", "indexof"): _place_in,
    ("linq.enumerable", "reverse"): lambda budget, values: elements(values)[::-1],
    ("array", "copy"): lambda budget, source, target, size: _block_copied(budget, source, 0, target, 0, size),
    ("buffer", "blockcopy"): _block_copied,
    ("math", "floor"): lambda budget, value: int(number_of(value) // 1),
    ("math", "truncate"): lambda budget, value: int(number_of(value)),
    ("math", "ceiling"): lambda budget, value: -int(-number_of(value) // 1),
    ("math", "round"): lambda budget, value: whole_of(value),
    ("math", "abs"): lambda budget, value: abs(number_of(value)),
    ("math", "min"): lambda budget, left, right: min(number_of(left), number_of(right)),
    ("math", "max"): lambda budget, left, right: max(number_of(left), number_of(right)),
    ("environment", "newline"): lambda budget: "\r\n",
    **{("runtime.interopservices.marshal", name): _secure_text for name in (
        "ptrtostringauto", "ptrtostringbstr", "ptrtostringuni", "ptrtostringansi",
    )},
    **{("runtime.interopservices.marshal", name): lambda budget, secure: secure for name in (
        "securestringtobstr", "securestringtoglobalallocunicode", "securestringtocotaskmemunicode",
        "securestringtoglobalallocansi", "securestringtocotaskmemansi",
    )},
}  # fmt: skip


# Constructors


def new_object(budget: Budget, name: str, arguments: list) -> Any:
    """Return a new object of a type; KeyError for a type that is not covered."""
    content = arguments[0] if arguments else None
    while (
        isinstance(content, list) and len(content) == 1 and isinstance(content[0], list | bytearray | Stream)
    ):
        content = content[0]
    plain = name.partition("[")[0]
    if name == "string":
        if len(arguments) == 2 and isinstance(content, Char | str):
            budget.repeat(whole_of(arguments[1]))
            return text_of(content) * whole_of(arguments[1])
        return join(budget, exploded(budget, content) if isinstance(content, str) else content)
    if name == "text.stringbuilder":
        return Builder([text_of(content)] if isinstance(content, str) else [])
    if plain in ("arraylist", "collections.generic.list", "collections.queue", "collections.stack") or (
        plain.startswith("collections.") and plain.endswith(("list", "queue", "stack"))
    ):
        return Growing(elements(content) if arguments and not isinstance(content, int) else [])
    if plain in ("collections.hashtable", "hashtable", "psobject", "object") or plain.endswith(".dictionary"):
        return Table({})
    if name.startswith("text.") and name.endswith("encoding"):
        return Named(name)
    if name.endswith("[]") and isinstance(content, int):
        budget.repeat(ELEMENT_COST * content)
        return bytearray(content) if name == "byte[]" else [NULL if name == "object[]" else 0] * content
    if name == "regex":
        made = Regex(text_of(content))
        made.options = text_of(arguments[1]) if len(arguments) > 1 else ""
        return made
    if name in ("pscredential", "net.networkcredential"):
        text = _secure_text(budget, arguments[1])
        return Table({"password": text}, "credential")
    if name.startswith("security.cryptography.") or name == "aes":
        return ciphers.new(name.rpartition(".")[2], arguments, budget)
    if name.startswith("io."):
        return _new_stream(budget, name, content)
    raise KeyError(name)


def _new_stream(budget: Budget, name: str, content: Any) -> Stream:
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    if "gzip" in name or "deflate" in name or "zlib" in name:
        return Stream(bytearray(inflated(budget, bytes(byte_string(content)))))
    if "reader" in name and isinstance(content, str):
        return Stream(bytearray(content.encode()))
    if content is None and name.endswith("memorystream"):
        return Stream(bytearray())
    if isinstance(content, int):
        return Stream(bytearray())
    return content if isinstance(content, Stream) else Stream(byte_string(content))


def characters_of(value: Any) -> list[Char]:
    """Return the characters of a string."""
    return characters(value)
