"""Decoding: known bytes, and any."""

import codecs
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.powershell import decoding

LINE = "Get-ChildItem -Path $env:TEMP | ForEach-Object { $_.Name }\r\n"
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), min_size=1)


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b"", "", "empty"),
        (b"dir\r\n", "dir\r\n", "ascii"),
        ("é".encode(), "é", "utf-8"),
        (codecs.BOM_UTF8 + "é".encode(), "é", "utf-8-bom"),
        (codecs.BOM_UTF8, "", "utf-8-bom"),
        (codecs.BOM_UTF8 + b"a\xff", "a\ufffd", "utf-8-bom"),
        (codecs.BOM_UTF16_LE + LINE.encode("utf-16-le"), LINE, "utf-16-le-bom"),
        (codecs.BOM_UTF16_LE + LINE.encode("utf-16-le") + b"x", LINE + "\ufffd", "utf-16-le-bom"),
        (codecs.BOM_UTF16_BE + LINE.encode("utf-16-be"), LINE, "utf-16-be-bom"),
        (LINE.encode("utf-16-le"), LINE, "utf-16-le"),
        (LINE.encode("utf-16-be"), LINE, "utf-16-be"),
        (
            ("Write-Host '" + "語" * 30 + "'").encode("utf-16-le"),
            "Write-Host '" + "語" * 30 + "'",
            "utf-16-le",
        ),
        (b"caf\xe9 \x93x\x94", "café \u201cx\u201d", "windows-1252"),
        (b"caf\xe9 \x81", "café \ufffd", "windows-1252"),
        (b"\x1d" + LINE.encode(), "\x1d" + LINE, "ascii"),
        (b"MZ\x90\x00\x03\x00\x00\x00\x04", None, "binary"),
        (b"dir\x00", None, "binary"),
        (LINE.encode("utf-16-le")[:-1] + b"\xd8\x00\xd8", None, "binary"),
        (codecs.BOM_UTF16_LE + "a\0b".encode("utf-16-le"), None, "binary"),
        (codecs.BOM_UTF32_LE + LINE.encode("utf-32-le"), None, "binary"),
        (bytes(range(1, 128)), None, "binary"),
        (b"\x00" * 1000, None, "binary"),
    ],
)
def test_decode_known_bytes(data, text, encoding):
    assert decoding.decode(data) == (text, encoding)
    assert encoding in decoding.ENCODINGS


@given(TEXT, st.sampled_from(["utf-8", "utf-8-bom", "utf-16-le-bom", "utf-16-be-bom"]))
def test_decode_reads_back_what_was_encoded(text, name):
    mark = "\ufeff" if name.endswith("-bom") else ""
    assert decoding.decode((mark + text).encode(name.removesuffix("-bom")))[0] == text


@given(st.binary(max_size=300))
def test_decode_never_fails_and_gives_none_only_for_binary(data):
    text, encoding = decoding.decode(data)
    assert encoding in decoding.ENCODINGS
    assert (text is None) == (encoding == "binary")
    assert text is None or "\0" not in text


@given(st.integers())
def test_random_bytes_named_ps1_are_binary(seed):
    assert decoding.decode(random.Random(seed).randbytes(4096)) == (None, "binary")


def test_reading_scripts_loads_no_heavy_imports():
    heavy = "('pyarrow', 'pygit2', 'tensorflow')"
    imported = "from psembed.powershell import cleaning, decoding, defanging"
    code = f"import sys; {imported}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
