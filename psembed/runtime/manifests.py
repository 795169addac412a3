"""Manifests: JSON files that say what the files beside them are, and vouch for them by SHA-256."""

import json
from pathlib import Path

from psembed.runtime.errors import ModelError
from psembed.runtime.files import sha256_of_file


def read(path: Path, *, version: int, remedy: str) -> dict:
    """Read a manifest whose `format` is `version`.

    As everywhere here, `remedy`, what to do, ends the message of the ModelError that is raised where it is
    missing, damaged or of another format.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        stated = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path.name} is no readable manifest ({error}): {remedy}") from error
    if stated != version:
        raise ModelError(f"{path.name} has format {stated!r}, this version reads {version}: {remedy}")
    return manifest


def check_fields(name: str, record: object, fields: dict[str, type], *, remedy: str) -> None:
    """Refuse a record of the manifest `name` that lacks a field, or has one of another type (ModelError)."""
    if not isinstance(record, dict):
        raise ModelError(f"{name}: {record!r} stands where there should be {', '.join(fields)}: {remedy}")
    for field, kind in fields.items():
        value = record.get(field)
        if type(value) is not kind:
            raise ModelError(f"{name}: {field} is {value!r}, expected {kind.__name__}: {remedy}")


def check_hash(path: Path, expected: str | None, *, remedy: str) -> None:
    """Refuse a file whose SHA-256 is not the one that its manifest states (ModelError)."""
    actual = hash_of(path, remedy=remedy)
    if actual != expected:
        raise ModelError(f"{path.name} has SHA-256 {actual}, its manifest expects {expected}: {remedy}")


def hash_of(path: Path, *, remedy: str) -> str:
    """Return the SHA-256 of a file, hexadecimal. Raises ModelError where it cannot be read."""
    try:
        return sha256_of_file(path)
    except OSError as error:
        raise ModelError(
            f"{path.name} cannot be read in {path.parent.name!r} ({error.strerror}): {remedy}"
        ) from error
