"""Zip files and records: what is read, and what damaged or hostile input does."""

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.runtime.errors import SourceError
from psembed.sources import archives


def zipped(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def test_zip_members_round_trip():
    members = {"a.ps1": b"dir", "sub/b.ps1": b"ls" * 50, "empty": b""}
    assert dict(archives.zip_members(zipped(members))) == members


@pytest.mark.parametrize("name", ["../a.ps1", "/a.ps1", "x/../../a.ps1", "..\\a.ps1", "c:/a.ps1"])
def test_a_member_outside_the_archive_is_refused(name):
    with pytest.raises(SourceError, match="outside the archive"):
        list(archives.zip_members(zipped({name: b"dir"})))


def test_zip_limits():
    with pytest.raises(SourceError, match="zip bomb"):
        list(archives.zip_members(zipped({"a": bytes(10_000_000)})))
    with pytest.raises(SourceError, match="300 bytes"):
        list(archives.zip_members(zipped({"a": b"x" * 150, "b": b"y" * 150}), max_bytes=299))
    with pytest.raises(SourceError, match="11 members"):
        list(archives.zip_members(zipped({str(n): b"" for n in range(11)}), max_members=10))


def test_a_zip_that_lies_about_its_size_is_refused():
    data = bytearray(zipped({"a": b"x" * 1000}))
    place = data.rindex(struct.pack("<I", 1000))
    data[place : place + 4] = struct.pack("<I", 10)
    with pytest.raises(SourceError):
        list(archives.zip_members(bytes(data)))


def test_damaged_and_encrypted_zips_are_refused():
    data = zipped({"a": bytes(range(256)) * 4}, zipfile.ZIP_STORED)
    for damaged in (b"", data[:-30], data[:60] + b"\xff" * 20 + data[80:]):
        with pytest.raises(SourceError, match="damaged"):
            list(archives.zip_members(damaged))
    encrypted = bytearray(data)
    encrypted[data.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(SourceError, match="encrypted"):
        list(archives.zip_members(bytes(encrypted)))


def record(script, family="Unicorn"):
    return (
        f"{'#' * 25} START {'#' * 25}\n\n\n\n[Original Code]\n\npowershell -enc QQ==\n\n[Filename]\n\nabc\n\n"
        f"[Arguments]\n\n['-enc']\n\n[B64 Decoded]\n\n{script}\n\n[Family Name]\n\n{family}\n\n"
        f"{'#' * 25}  END  {'#' * 25}\n"
    )


@given(st.lists(st.text(st.characters(exclude_characters="#")), min_size=1, max_size=4))
def test_records_give_their_scripts_back(scripts):
    got = archives.unit42_records("".join(record(script) for script in scripts))
    assert [item["script"] for item in got] == scripts


def test_a_record_has_its_other_sections():
    (got,) = archives.unit42_records(record("[Arguments]\n\n[Family Name]\n\nx"))
    assert got == {
        "script": "[Arguments]\n\n[Family Name]\n\nx",
        "family": "Unicorn",
        "filename": "abc",
        "arguments": "['-enc']",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "START"),
        ("dir", "START"),
        (record("a") + record("b").replace("B64 Decoded", "B64"), "record 2 lacks 'B64 Decoded'"),
        (record("a").replace("[Family", "[Fam"), "record 1 lacks 'Family Name'"),
        (record("a")[:-20], "record 1 lacks 'its END'"),
    ],
)
def test_a_damaged_record_is_named(text, message):
    with pytest.raises(SourceError, match=message):
        archives.unit42_records(text)
