"""Pieces that forms of obfuscation are made of: quoted literals, lists of numbers, encodings, packed data.

Everything is a function of the payload alone, so that the same payload gives the same text.
"""

import base64
import gzip
import itertools
import re
import zlib
from collections.abc import Callable, Iterable
from typing import Any

Forms = dict[str, Callable[[str], str]]  # name of a form -> from a payload to the text that hides it
UTF8 = "[Text.Encoding]::UTF8.GetString"
FROM64 = "[Convert]::FromBase64String"
JUNK = "qzkvwjyfhu"  # letters that fill a text of which every n-th character counts
SECURE_MARK = "76492d1116743f0423413b16050a5345"  # ConvertFrom-SecureString writes it before data with a key


def q(text: str) -> str:
    """Return a single-quoted literal."""
    return "'" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", text) + "'"


def dq(text: str) -> str:
    """Return a double-quoted literal in which nothing is expanded."""
    return '"' + re.sub('([`$"\u201c\u201d\u201e])', r"`\1", text) + '"'


def pieces(text: str, count: int) -> list[str]:
    """Return `text` in `count` parts of nearly equal length."""
    ends = [len(text) * place // count for place in range(count + 1)]
    return [text[begin:end] for begin, end in itertools.pairwise(ends)]


def quoted(text: str, count: int, separator: str = ",") -> str:
    """Return `count` literals that spell `text` one after the other."""
    return separator.join(map(q, pieces(text, count)))


def codes(text: str, form: str = "{}", separator: str = ",", key: int | Iterable[int] = 0) -> str:
    """Return the code units as numbers, each XORed with the next of the key where there is one."""
    keys = itertools.cycle([key] if isinstance(key, int) else list(key))
    return separator.join(form.format(ord(each) ^ one) for each, one in zip(text, keys, strict=False))


def mixed(text: str, marks: str) -> str:
    """Return the code units as numbers, with the next of the marks between two of them."""
    return "".join(f"{ord(each)}{marks[n % len(marks)]}" for n, each in enumerate(text))[:-1]


def filled(templates: dict[str, str], words: Callable[[str], dict[str, str]]) -> Forms:
    """Return forms made of templates: each of the words is replaced, in turn, by what it is for a payload."""

    def form(template: str) -> Callable[[str], str]:
        def text(p: str) -> str:
            made = template
            for word, value in words(p).items():
                made = made.replace(word, value)
            return made

        return text

    return {name: form(template) for name, template in templates.items()}


def stored(templates: dict[str, str]) -> Forms:
    """Return forms in which ONE, TWO and THREE are literals that spell the payload, as ALL does."""
    return filled(
        templates,
        lambda p: dict(zip(("ONE", "TWO", "THREE"), map(q, pieces(p, 3)), strict=True)) | {"ALL": q(p)},
    )


def shifted(text: str, by: int) -> str:
    """Return the code units as numbers, `by` larger."""
    return ",".join(str(ord(each) + by) for each in text)


def b64(text: str | bytes, codec: str = "utf-16-le") -> str:
    """Return Base64, of UTF-16 as -EncodedCommand takes it."""
    return base64.b64encode(text.encode(codec) if isinstance(text, str) else text).decode()


def hexed(text: str | bytes, codec: str = "utf-8") -> str:
    """Return two hexadecimal digits a byte."""
    return (text.encode(codec) if isinstance(text, str) else text).hex()


def xored(text: str, key: bytes, codec: str = "utf-8") -> bytes:
    """Return the bytes, each XORed with the next one of the key."""
    return bytes(byte ^ one for byte, one in zip(text.encode(codec), itertools.cycle(key), strict=False))


def gz(text: str | bytes) -> bytes:
    """Return gzip data, the same every time."""
    return gzip.compress(text.encode() if isinstance(text, str) else text, mtime=0)


def df(text: str | bytes) -> bytes:
    """Return raw deflate data."""
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(text.encode() if isinstance(text, str) else text) + compressor.flush()


def marked(text: str, *marks: str) -> str:
    """Return the first mark that does not occur in the text, whatever its case."""
    return next(mark for mark in (*marks, "~#", "QjQ", "%%%") if mark.lower() not in text.lower())


def stepped(text: str, size: int = 5) -> str:
    """Return a text of which the last of every `size` characters counts."""
    junk = itertools.cycle(JUNK)
    return "".join("".join(itertools.islice(junk, size - 1)) + each for each in text)


def masked(text: str, key: bytes, iv: bytes, *, mode: str = "CBC", padding: str = "PKCS7") -> bytes:
    """Return AES data (needs the extra "crypto"); "Zeros" pads with NULs."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    data: Any = text.encode() if isinstance(text, str) else text
    rest = -len(data) % 16
    data += bytes(rest) if padding == "Zeros" else bytes([rest or 16] * (rest or 16))
    way = modes.CBC(iv) if mode == "CBC" else modes.ECB()
    encryptor = Cipher(algorithms.AES(key), way).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def secure(text: str, key: bytes, iv: bytes) -> str:
    """Return what ConvertFrom-SecureString -Key writes."""
    data = masked(text.encode("utf-16-le"), key, iv)
    return SECURE_MARK + b64(f"2|{b64(iv)}|{data.hex()}")
