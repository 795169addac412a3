"""The vectors that come with the package: where they are, and what vouches for them.

vectors.npz is a float16 file of `token_vectors.save`; vectors.json says its SHA-256 and what it was learned
from.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from psembed.embedding import token_vectors
from psembed.embedding.token_vectors import TokenVectors, Vectors
from psembed.runtime import manifests
from psembed.runtime.environment import has_packages
from psembed.runtime.errors import PsembedError
from psembed.runtime.files import RELEASED, atomic, sha256_of_file, write_json

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

FORMAT = 1  # version of vectors.json
VECTORS, MANIFEST = "vectors.npz", "vectors.json"
REMEDY = "install psembed again, or write both with released.write_vectors"
FIELDS = {
    "sha256": str, "tokens": int, "dimension": int, "settings": dict, "seed": int, "scripts": int,
    "sources": list, "missing": list,
}  # fmt: skip
SOURCE_FIELDS = {"name": str, "url": str, "commit": str, "scripts": int, "tokens": int}


def read(path: Path | None = None) -> TokenVectors:
    """Read the released vectors, checked against their manifest, or those of `path`, without gensim.

    ModelError if a file is missing, damaged, of another version, or not the one the manifest names.
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
    remedy = f"the file was changed or cut short; {REMEDY}"
    manifests.check_hash(RELEASED / VECTORS, vectors_manifest()["sha256"], remedy=remedy)
    return RELEASED / VECTORS


def vectors_manifest() -> dict:
    """Return the manifest of the released vectors: FIELDS, and format; sources are dicts of SOURCE_FIELDS.

    Raises ModelError if it is missing, damaged or of another format version.
    """
    manifest = manifests.read(RELEASED / MANIFEST, version=FORMAT, remedy=REMEDY)
    _check_fields(manifest)
    return manifest


def _check_fields(manifest: dict) -> None:
    manifests.check_fields(MANIFEST, manifest, FIELDS, remedy=REMEDY)
    for source in manifest["sources"]:
        manifests.check_fields(MANIFEST, source, SOURCE_FIELDS, remedy=REMEDY)


def write_vectors(folder: Path, vectors: Vectors, manifest_fields: dict) -> dict:
    """Write vectors.npz (float16) and vectors.json; return the manifest.

    Both are read again before they take the place of older ones, so a failure leaves the older ones. The
    manifest comes last: should the machine stop between the two, the pair is refused when it is read.

    `manifest_fields` are settings (dict), seed and scripts (int), sources (list of dict: name, url, commit,
    scripts, tokens) and missing (list); they are the file's meta, too. format, sha256, tokens and dimension
    are measured. ModelError if a field is missing or of the wrong type, or a vector is too large for float16.
    """
    rows, dimension = vectors.vectors.shape
    with atomic(Path(folder) / MANIFEST) as stated, atomic(Path(folder) / VECTORS) as stored:
        write_json(stated, manifest_fields)
        given = json.loads(stated.read_text(encoding="utf-8"))
        token_vectors.save(stored, vectors, given, dtype="float16")
        digest = sha256_of_file(stored)
        measured = {"format": FORMAT, "sha256": digest, "tokens": rows, "dimension": dimension}
        manifest = measured | given | measured
        _check_fields(manifest)
        write_json(stated, manifest)
        read(stored)
    return manifest
