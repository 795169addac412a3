"""Bytes within scripts: Base64, compressed data, text in one encoding or another, and what is no text."""

import binascii
import re
import zlib
from typing import Any

from psembed.powershell.unwrap.dotnet.values import Budget, byte_string, text_of

GZIP_MAGIC, ZLIB_MAGIC = b"\x1f\x8b", b"\x78"
CONTROL_SHARE = 0.05  # of a text's characters; text with more is binary data
_ANY_WINDOW, _RAW_WINDOW = zlib.MAX_WBITS | 32, -zlib.MAX_WBITS  # zlib or gzip header; no header
_INFLATE_STEP = 1 << 16  # bytes of compressed input
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]+")
_SAMPLE = 1 << 16  # characters looked at to tell text from data
_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f\ufffd-\uffff\ud800-\udfff\ue000-\uf8ff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_ASCII = re.compile("[\t\n\r -~]")
# Names and code pages of .NET.
CODECS = {
    "utf8": "utf-8", "utf-8": "utf-8", "65001": "utf-8", "ascii": "latin-1", "us-ascii": "latin-1",
    "default": "latin-1", "unicode": "utf-16-le", "utf-16": "utf-16-le", "1200": "utf-16-le",
    "bigendianunicode": "utf-16-be", "1201": "utf-16-be", "utf7": "utf-7", "utf-7": "utf-7",
    "utf32": "utf-32-le", "latin1": "latin-1", "iso-8859-1": "latin-1", "28591": "latin-1",
    "windows-1252": "latin-1", "1252": "latin-1", "utf8encoding": "utf-8", "asciiencoding": "latin-1",
    "unicodeencoding": "utf-16-le", "utf7encoding": "utf-7",
}  # fmt: skip


def from_base64(budget: Budget, text: Any) -> bytes:
    """Return the bytes of Base64 text, whose white space and stray characters are passed over."""
    budget.spend_on(text)
    digits = _NOT_BASE64.sub("", text_of(text))
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    budget.spend(len(digits))
    return binascii.a2b_base64(digits + "=" * (-len(digits) % 4))


def inflated(budget: Budget, data: bytes) -> bytes:
    """Return what gzip, zlib or raw deflate data holds; of damaged data, what comes before the damage.

    Raises Cut as soon as more comes out than the budget has left; ValueError if nothing comes out.
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
    data = bytes(data if isinstance(data, bytes) else byte_string(data))
    codec = CODECS.get(encoding.lower()) or guessed_codec(data)
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


def plausible(text: str) -> bool:
    """Tell whether `text` reads as text: at most CONTROL_SHARE of it are control and other odd characters."""
    sample = text[:_SAMPLE]
    return len(_CONTROL.findall(sample)) <= CONTROL_SHARE * len(sample)


def ascii_share(text: str) -> float:
    """Return which share of the characters is printable ASCII or white space."""
    sample = text[:_SAMPLE]
    return len(_ASCII.findall(sample)) / max(len(sample), 1)


def well_formed(text: str) -> str:
    """Return `text` with pairs of surrogates joined, and U+FFFD for a half that stands alone."""
    if text.isascii() or _SURROGATE.search(text) is None:  # encoding it would take its size again
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
