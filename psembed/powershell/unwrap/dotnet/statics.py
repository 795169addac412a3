"""Static members of .NET types, and objects made anew."""

import base64
import html
import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from psembed.powershell.unwrap.dotnet import ciphers, patterns
from psembed.powershell.unwrap.dotnet.encodings import CODECS, decoded, from_base64, inflated
from psembed.powershell.unwrap.dotnet.operators import copied, exploded, formatted, join
from psembed.powershell.unwrap.dotnet.values import (
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
    elements,
    number_of,
    text_of,
    type_name,
    whole_of,
)


def static(budget: Budget, target: str, name: str, arguments: list, *, called: bool) -> Any:
    """Return a static member of a type, or what it gives for arguments; KeyError where it is not covered."""
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
    if (target, name) in METHODS and (called or name in ("empty", "newline")):
        return METHODS[target, name](budget, *arguments)
    if target.rpartition(".")[2] in ("aes", "rijndael", "rijndaelmanaged", "aesmanaged") and name == "create":
        return new_object(budget, "aes", [])
    if target.startswith("security.cryptography.") and name == "create":
        return new_object(budget, target, arguments)
    if not called and name in ("fullname", "name"):
        return f"System.{_NAMES[target]}" if name == "fullname" else _NAMES[target].rpartition(".")[2]
    if not called and target.endswith(_ENUMS):
        return Named(name)  # an element of an enumeration
    if not called and any(method == name for _, method in METHODS):
        return Method(Named(target), name)
    raise KeyError(name)


_NAMES = {
    "string": "String", "char": "Char", "int": "Int32", "double": "Double", "bool": "Boolean", "byte": "Byte",
    "byte[]": "Byte[]", "char[]": "Char[]", "object[]": "Object[]", "string[]": "String[]", "array": "Array",
    "math": "Math", "convert": "Convert", "type": "Type", "object": "Object", "guid": "Guid",
    "collections.hashtable": "Collections.Hashtable", "regex": "Text.RegularExpressions.Regex",
}  # fmt: skip
_ENUMS = ("mode", "options")  # how the names of enumerations end


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
    if any(isinstance(each, list) for each in keys):
        raise TypeError("no order")
    size = len(keys) * ELEMENT_COST + sum(len(each) for each in keys if isinstance(each, str))
    budget.spend(size * len(keys).bit_length())  # so many rounds of comparisons
    places = sorted(range(len(keys)), key=keys.__getitem__)
    for each in (keys, values):
        if each is not None:
            each[:] = [each[place] for place in places]
    return NULL


def _escaped(budget: Budget, text: Any) -> str:
    budget.spend(len(text))
    return re.escape(text_of(text))


def place_in(budget: Budget, values: list, value: Any) -> int:
    """Return where a value stands in a list, -1 where it does not."""
    budget.spend_on(values)
    if None in values or isinstance(value, list):  # lists within lists may be equal in very many places
        raise TypeError("not known, or compared by where it lies")
    return values.index(value) if value in values else -1


def _block_copied(budget: Budget, source: Any, start: Any, target: Any, place: Any, size: Any) -> Any:
    start, place, size = whole_of(start), whole_of(place), whole_of(size)
    budget.spend(size)
    target[place : place + size] = source[start : start + size]
    return NULL


_WHOLE = "toint16 toint32 toint64 tobyte touint16 touint32 touint64 tosbyte"
METHODS: dict[tuple[str, str], Callable] = {
    **{("convert", name): _whole for name in _WHOLE.split()},
    ("convert", "tochar"): lambda budget, value, *base: character(_whole(budget, value, *base)),
    ("convert", "tostring"): _converted_text,
    ("convert", "frombase64string"): lambda budget, text: bytearray(from_base64(budget, text)),
    ("convert", "frombase64chararray"): lambda budget, text, *_: bytearray(
        from_base64(budget, join(budget, text))
    ),
    ("convert", "fromhexstring"): _hexadecimal,
    ("convert", "tobase64string"): lambda budget, data: base64.b64encode(
        copied(budget, byte_string(data))
    ).decode(),
    ("runtime.remoting.metadata.w3cxsd2001.soaphexbinary", "parse"): lambda budget, text: Table(
        {"value": _hexadecimal(budget, text)}
    ),
    ("bitconverter", "tostring"): lambda budget, data: "-".join(
        f"{byte:02X}" for byte in byte_string(data)[:10000]
    ),
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
    ("regex", "escape"): _escaped,
    ("uri", "unescapedatastring"): _decoded_url(False),
    ("net.webutility", "urldecode"): _decoded_url(True),
    ("web.httputility", "urldecode"): _decoded_url(True),
    ("net.webutility", "htmldecode"): _decoded_html,
    ("web.httputility", "htmldecode"): _decoded_html,
    ("type", "gettype"): lambda budget, name: Named(type_name(text_of(name))),
    ("array", "reverse"): _reversed,
    ("array", "sort"): _sorted,
    ("array", "indexof"): place_in,
    ("linq.enumerable", "reverse"): lambda budget, values: copied(budget, values)[::-1],
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
