"""The vectors that come with the package: where they are, and what vouches for them.

Each model is an int8 file of `token_vectors.save`; vectors.json says their SHA-256 and what they were learned
from.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from psembed.embedding import token_vectors
from psembed.embedding.token_vectors import TokenVectors, Vectors
from psembed.project.published import PUBLISHED
from psembed.project.workspace import Workspace
from psembed.runtime import manifests
from psembed.runtime.environment import has_packages, how_to_install
from psembed.runtime.errors import ParameterError, PsembedError
from psembed.runtime.files import RELEASED, atomic, sha256_of_file, write_json

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

FORMAT = 2  # version of vectors.json
MANIFEST = "vectors.json"
DEFAULT = "joined"  # Word2vec beside counted vectors; "word2vec" is the study's method alone
REMEDY = "install psembed again, or write all with released.write_vectors"
FIELDS = {"models": dict, "seed": int, "scripts": int, "sources": list, "missing": list}
MODEL_FIELDS = {"sha256": str, "tokens": int, "dimension": int, "settings": dict}
SOURCE_FIELDS = {"name": str, "url": str, "commit": str, "scripts": int, "tokens": int}


def read(model: str = DEFAULT, *, path: Path | None = None) -> TokenVectors:
    """Return what `load` does, without gensim. Raises as `load` does."""
    return token_vectors.read(_vouched(model, path))


def load(model: str = DEFAULT, *, path: Path | None = None) -> "KeyedVectors":
    """Return released token vectors, or those of a file that `token_vectors.save` has written.

    Parameters
    ----------
    model : {"joined", "word2vec"}
        The joined ones, which know most, or those of the study's method alone.
    path : Path or str, optional
        An npz file to read instead. Released ones are checked against their SHA-256.

    Returns
    -------
    gensim.models.KeyedVectors
        float32, shape (tokens, dimension), most frequent token first; the attribute "count" holds
        occurrences. Tokens are as `psembed.tokenize` gives them, "iex" the word; "command:iex" the command.

    Raises
    ------
    ParameterError
        If no released vectors have that name.
    ModelError
        If the file is missing, cut short, changed or of another version.
    PsembedError
        If gensim is not installed.

    Examples
    --------
    >>> vectors = psembed.load_vectors()
    >>> vectors.vector_size
    300
    >>> [token for token, _ in vectors.most_similar("-eq", topn=2)]
    ['-ne', '-ieq']
    """
    if not has_packages(("gensim",)):
        raise PsembedError(f"load_vectors needs gensim: {how_to_install('study')}")
    return read(model, path=path).keyed()


def load_of_run(model: str, workspace: Workspace) -> "KeyedVectors":
    """Return what `load` does, in a run of the publishing profile what it will when that run has ended."""
    own = workspace.work / "released" / f"{model}.npz"
    return load(model, path=workspace.input(own) if workspace.profile == PUBLISHED else None)


def _vouched(model: str, path: Path | None) -> Path:
    """Return `path`, or the released file of `model` if it is the one its manifest names."""
    if path is not None:
        return Path(path)
    models = vectors_manifest()["models"]
    if model not in models:
        raise ParameterError(
            f"this release has no vectors {model!r}: give {' or '.join(models)}, or the path of a file"
        )
    file, remedy = RELEASED / f"{model}.npz", f"the file was changed or cut short; {REMEDY}"
    manifests.check_hash(file, models[model]["sha256"], remedy=remedy)
    return file


def vectors_manifest() -> dict:
    """Return the manifest of the released vectors, FIELDS and format; ModelError if it is no good."""
    return _checked(manifests.read(RELEASED / MANIFEST, version=FORMAT, remedy=REMEDY))


def _checked(manifest: dict) -> dict:
    manifests.check_fields(MANIFEST, manifest, FIELDS, remedy=REMEDY)
    for model in manifest["models"].values():
        manifests.check_fields(MANIFEST, model, MODEL_FIELDS, remedy=REMEDY)
    for source in manifest["sources"]:
        manifests.check_fields(MANIFEST, source, SOURCE_FIELDS, remedy=REMEDY)
    return manifest


def write_vectors(folder: Path, models: Mapping[str, tuple[Vectors, dict]], manifest_fields: dict) -> dict:
    """Write name.npz (int8) of each of the models, and vectors.json; return the manifest.

    All are read again before they take the place of older ones, so a failure leaves the older ones. The
    manifest comes last: should the machine stop before it, they are refused when they are read.

    `models` are vectors and their settings by name, `manifest_fields` what they share: FIELDS but models. The
    rest is measured. ModelError if a field is missing or of the wrong type.
    """
    stored = {name: {"settings": settings} for name, (_, settings) in models.items()}
    with contextlib.ExitStack() as files:
        stated = files.enter_context(atomic(Path(folder) / MANIFEST))
        write_json(stated, manifest_fields | {"format": FORMAT, "models": stored})
        manifest = json.loads(stated.read_text(encoding="utf-8"))
        for name, (vectors, _) in models.items():
            file, told = files.enter_context(atomic(Path(folder) / f"{name}.npz")), manifest["models"][name]
            token_vectors.save(file, vectors, told["settings"], dtype="int8")
            rows, dimension = token_vectors.read(file).vectors.shape
            told |= {"sha256": sha256_of_file(file), "tokens": rows, "dimension": dimension}
        write_json(stated, _checked(manifest))
    return manifest
