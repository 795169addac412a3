"""Files written whole or not at all, and the hashes that tell one content from another."""

from __future__ import annotations  # so that an older Python gets as far as the message of `setup`

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
RELEASED = PACKAGE / "released"  # the detector and the vectors that come with the package


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of `path`; move it into place on success, remove it on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=f".part{path.suffix}")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write `value` as strict JSON (NaN and infinity refused), whole or not at all."""
    text = json.dumps(value, indent=1, allow_nan=False, default=_plain) + "\n"
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _plain(value: object) -> object:
    """Turn a NumPy scalar or array into what json can write."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of `content`, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, hexadecimal. Raises OSError where it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
