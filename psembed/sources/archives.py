"""What can hold scripts within a snapshot: a zip file, Unit 42's text of records.

All of it is untrusted: everything has a limit, and nothing is unpacked to disk.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from psembed.runtime.errors import SourceError

FILE_LIMIT = 4 * 2**20  # bytes of one file


def zip_members(
    data: bytes, *, max_members: int = 1000, max_bytes: int = 256 * 2**20, max_ratio: int = 200
) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of a zip file's members, in memory and within limits.

    The limits are of members, of bytes of all of them together, and of bytes out per byte in. What passes
    one, is damaged or encrypted, or has a path that leaves the archive raises SourceError.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            _check_members(members, max_members, max_bytes, max_ratio)
            for member in members:
                with archive.open(member) as stream:
                    content = stream.read(member.file_size + 1)
                if len(content) != member.file_size:
                    raise SourceError(f"zip member {member.filename!r} is not of the size it declares")
                yield member.filename, content
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"the zip file is damaged or of an unknown kind: {error}") from error


def _check_members(members: list[zipfile.ZipInfo], most: int, most_bytes: int, ratio: int) -> None:
    if len(members) > most:
        raise SourceError(f"the zip file has {len(members):,} members, more than {most:,}; not read")
    if (total := sum(member.file_size for member in members)) > most_bytes:
        raise SourceError(f"the zip file unpacks to {total:,} bytes, more than {most_bytes:,}; not read")
    for member in members:
        name = member.filename
        if name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
            raise SourceError(f"zip member {name!r} has a path outside the archive; not read")
        if member.flag_bits & 1:
            raise SourceError(f"zip member {name!r} is encrypted; not read")
        if member.file_size > ratio * max(member.compress_size, 1):
            raise SourceError(f"zip member {name!r} grows more than {ratio} times: a zip bomb; not read")


_START, _END = f"{'#' * 25} START {'#' * 25}\n", f"{'#' * 25}  END  {'#' * 25}"
_SECTIONS = ("Original Code", "Filename", "Arguments", "B64 Decoded")


def unit42_records(text: str) -> list[dict[str, str]]:
    """Return the records of Unit 42's text of encoded commands, in order.

    Each lies between a START and an END banner and has five sections. Kept are its script (what the sample's
    base64 decodes to, without the blank lines around it), family, filename (sha256 of the sample) and
    arguments. A text without records, or a record without a section or its END, raises SourceError.
    """
    head, *bodies = text.split(_START)
    if head.strip() or not bodies:
        raise SourceError("this is no text of Unit 42 records: it does not begin with a START banner")
    return [_record(body, number) for number, body in enumerate(bodies, 1)]


def _record(body: str, number: int) -> dict[str, str]:
    end = body.rfind(_END)
    places, position = {}, 0
    for title in _SECTIONS:
        position = body.find(f"[{title}]\n\n", position)
        if position < 0 or end < 0:
            raise SourceError(f"Unit 42 record {number} lacks {title if end >= 0 else 'its END'!r}")
        places[title] = (position, position := position + len(title) + 4)
    family = body.rfind("[Family Name]\n\n", 0, end)
    if family < position:
        raise SourceError(f"Unit 42 record {number} lacks 'Family Name'")
    return {
        "script": body[position:family].removesuffix("\n\n"),
        "family": body[family + 15 : end].strip(),
        "filename": body[places["Filename"][1] : places["Arguments"][0]].strip(),
        "arguments": body[places["Arguments"][1] : places["B64 Decoded"][0]].strip(),
    }
