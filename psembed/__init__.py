"""psembed: token vectors for PowerShell and an honest detector of malicious scripts."""

from __future__ import annotations  # so that an older Python gets as far as the message

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from gensim.models import KeyedVectors


def load_vectors(path: Path | str | None = None) -> KeyedVectors:
    """Return the released token vectors, or those of a file that embedding.save has written.

    Parameters
    ----------
    path : Path or str, optional
        An npz file. The released one, checked against its SHA-256, when left out.

    Returns
    -------
    gensim.models.KeyedVectors
        float32; the attribute "count" holds occurrences. "> iex" is the command, "iex" the word.

    Raises
    ------
    ModelError
        If the file is missing, cut short, changed or of another version.
    PsembedError
        If gensim is not installed.
    """
    from psembed.runtime.environment import has_packages
    from psembed.runtime.errors import PsembedError

    if not has_packages(("gensim", "pyarrow")):
        raise PsembedError("load_vectors needs gensim and pyarrow: pip install 'psembed[study]'")
    from psembed.embedding import released

    return released.load(path)
