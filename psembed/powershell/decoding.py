"""Bytes of a script as text: byte-order marks, UTF-16 without one, and what is no text at all."""

import codecs

ENCODINGS = (
    "ascii", "utf-8", "utf-8-bom", "utf-16-le-bom", "utf-16-be-bom", "utf-16-le", "utf-16-be",
    "windows-1252", "binary", "empty",
)  # fmt: skip

# Control characters that do occur in text: backspace, tab, line feed, vertical tab, form feed,
# carriage return, the DOS end-of-file mark and escape.
_TEXT_CONTROLS = b"\x08\t\n\x0b\x0c\r\x1a\x1b"
_CONTROLS = bytes(set(range(32)) - set(_TEXT_CONTROLS)) + b"\x7f"
_BINARY_SHARE = 0.05  # random bytes have 9%; scripts with damaged typographic quotes reach 2%
_UTF16_SHARE = 0.2


def decode(data: bytes) -> tuple[str | None, str]:
    """Return the text of one script, None if it is binary, and its encoding, one of ENCODINGS.

    A byte-order mark decides if there is one (bytes it cannot explain become U+FFFD), and is no part of the
    text; line ends are untouched. Without one: NUL bytes on one side only of the 16-bit units, in a fifth of
    them and in two at least, mean UTF-16; any other NUL, or control characters in more than 5% of the bytes,
    mean binary; then ASCII, UTF-8 and, as Windows PowerShell does, Windows-1252.
    """
    if not data:
        return "", "empty"
    for mark, codec, name in (
        (codecs.BOM_UTF8, "utf-8", "utf-8-bom"),
        (codecs.BOM_UTF16_LE, "utf-16-le", "utf-16-le-bom"),
        (codecs.BOM_UTF16_BE, "utf-16-be", "utf-16-be-bom"),
    ):
        if data.startswith(mark):
            text = data[len(mark) :].decode(codec, errors="replace")
            return (None, "binary") if "\0" in text else (text, name)
    if b"\0" in data:
        return _decode_utf16(data)
    if len(data.translate(None, _CONTROLS)) < len(data) * (1 - _BINARY_SHARE):
        return None, "binary"
    if data.isascii():
        return data.decode("ascii"), "ascii"
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace"), "windows-1252"


def _decode_utf16(data: bytes) -> tuple[str | None, str]:
    """Decode bytes that hold NULs: UTF-16 without a byte-order mark, or binary."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    name = "utf-16-le" if odd else "utf-16-be"
    if (even and odd) or even + odd < max(2, _UTF16_SHARE * (len(data) // 2)):
        return None, "binary"
    try:
        return data.decode(name), name
    except UnicodeDecodeError:
        return None, "binary"


def read_script(data: bytes, *, max_bytes: int) -> tuple[str | None, str, str]:
    """Return (text, encoding) as `decode` does, and why the text is of no use: too large, binary or empty.

    The reason is "" for a text that is of use, the encoding "" where a script was too large to be asked.
    """
    if len(data) > max_bytes:
        return None, "", "too large"
    text, encoding = decode(data)
    return text, encoding, "binary" if text is None else "" if text.strip() else "empty"
