"""The vectors that come with the package: where they are, and what vouches for them.

vectors.npz is a float16 file of `token_vectors.save`; vectors.json says its SHA-256 and what it was learned
from.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from psembed.embedding import token_vectors
from psembed.embedding.token_vectors import TokenVectors, Vectors
from psembed.runtime.environment import has_packages
from psembed.runtime.errors import ModelError, PsembedError
from psembed.runtime.files import RELEASED, atomic, write_json

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

FORMAT = 1  # version of vectors.json
VECTORS, MANIFEST = "vectors.npz", "vectors.json"
FIELDS = {
    "sha256": str, "tokens": int, "dimension": int, "settings": dict, "seed": int, "scripts": int,
    "sources": list, "missing": list,
}  # fmt: skip
SOURCE_FIELDS = {"name": str, "url": str, "commit": str, "scripts": int, "tokens": int}


def read(path: Path | None = None) -> TokenVectors:
    """Read the released vectors, checked against their manifest, or those of `path`, without gensim.

    Raises
    ------
    ModelError
        If a file is missing, damaged, of another version, or not the one the manifest names.
    """
    return token_vectors.read(_vouched(path))


def load(path: Path | None = None) -> "KeyedVectors":
    """Return the released token vectors, or those of a file that `token_vectors.save` has written.

    Parameters
    ----------
    path : Path or str, optional
        An npz file. The released one, checked against its SHA-256, when left out.

    Returns
    -------
    gensim.models.KeyedVectors
        float32, shape (tokens, dimension), most frequent token first; the attribute "count" holds
        occurrences. Tokens are as `psembed.tokenize` normalises them: "iex" is the word, "> iex" the command.

    Raises
    ------
    ModelError
        If the file is missing, cut short, changed or of another version.
    PsembedError
        If gensim is not installed.

    Examples
    --------
    >>> vectors = psembed.load_vectors()
    >>> vectors.vectors.shape
    (35814, 100)
    >>> [token for token, _ in vectors.most_similar("-eq", topn=2)]
    ['-ne', '-like']
    """
    if not has_packages(("gensim",)):
        raise PsembedError("load_vectors needs gensim: pip install 'psembed[study]'")
    return token_vectors.load(_vouched(path))


def _vouched(path: Path | None) -> Path:
    """Return `path`, or the released file if it is the one its manifest names."""
    if path is not None:
        return Path(path)
    check(RELEASED / VECTORS, vectors_manifest())
    return RELEASED / VECTORS


def vectors_manifest() -> dict:
    """Return the manifest of the released vectors.

    Returns
    -------
    dict
        format, sha256, tokens, dimension, settings, seed, scripts, sources (list of dict: name, url, commit,
        scripts, tokens) and missing.

    Raises
    ------
    ModelError
        If it is missing, damaged or of another format version.
    """
    return _read_manifest(RELEASED / MANIFEST)


def _read_manifest(path: Path) -> dict:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{MANIFEST} is no readable manifest ({error}); install psembed again") from error
    if version != FORMAT:
        raise ModelError(
            f"{MANIFEST} has format {version!r}, this psembed reads {FORMAT}: take both of one version"
        )
    _check_fields(manifest, FIELDS)
    for source in manifest["sources"]:
        _check_fields(source, SOURCE_FIELDS)
    return manifest


def _check_fields(found: object, kinds: dict[str, type]) -> None:
    if not isinstance(found, dict):
        raise ModelError(f"{MANIFEST}: {found!r} stands where there should be {', '.join(kinds)}")
    for name, kind in kinds.items():
        value = found.get(name)
        if type(value) is not kind:
            raise ModelError(f"{MANIFEST}: {name} is {value!r}, expected {kind.__name__}; write it again")


def check(path: Path, manifest: dict) -> None:
    """Refuse a vectors file that is not the one its manifest names.

    Raises
    ------
    ModelError
        If the file cannot be read or has another SHA-256.
    """
    found = _sha256(Path(path))
    if found != manifest["sha256"]:
        raise ModelError(
            f"{Path(path).name} has SHA-256 {found}, {MANIFEST} expects {manifest['sha256']}: the file was "
            "changed or cut short; install psembed again, or write both with released.write_vectors"
        )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read ({error.strerror}); install psembed again") from error


def write_vectors(folder: Path, vectors: Vectors, manifest_fields: dict) -> dict:
    """Write vectors.npz (float16) and vectors.json; return the manifest.

    Both are read again before they take the place of older ones, so a failure leaves the older ones. The
    manifest comes last: should the machine stop between the two, the pair is refused when it is read.

    Parameters
    ----------
    folder : Path
    vectors : Vectors
        With the attribute "count".
    manifest_fields : dict
        settings (dict), seed and scripts (int), sources (list of dict: name, url, commit, scripts, tokens)
        and missing (list); they are the file's meta, too. format, sha256, tokens and dimension are measured.

    Raises
    ------
    ModelError
        If a field is missing or of the wrong type, or a vector is too large for float16.
    """
    rows, dimension = vectors.vectors.shape
    with atomic(Path(folder) / MANIFEST) as stated, atomic(Path(folder) / VECTORS) as stored:
        write_json(stated, manifest_fields)
        given = json.loads(stated.read_text(encoding="utf-8"))
        token_vectors.save(stored, vectors, given, dtype="float16")
        measured = {"format": FORMAT, "sha256": _sha256(stored), "tokens": rows, "dimension": dimension}
        write_json(stated, measured | given | measured)
        manifest = _read_manifest(stated)
        read(stored)
    return manifest
