"""Clean scripts wrapped as malicious ones are, so that a detector learns to judge what is inside.

Management tools hand scripts over encoded, and installers pack them. A detector that has seen wrapped
malicious scripts alone takes the wrapping for the payload. Texts are made in memory, for a classifier;
`psembed.powershell.unwrap` brings each script back out.
"""

import base64
import gzip
import re
import tomllib
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from psembed.datasets.transforms import generator
from psembed.powershell.cleaning import SINGLE_QUOTES
from psembed.runtime.errors import ParameterError

SHORTEST, LONGEST = 20, 20_000  # characters of a script that is wrapped
_PIECE = 60  # characters of a literal
_DOUBLED = {ord(quote): quote * 2 for quote in SINGLE_QUOTES}
_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
WRAPPERS: dict[str, list[str]] = _DATA["wrappers"]
HELD_OUT: tuple[str, ...] = tuple(_DATA["held_out"])  # no detector is trained on these


def wrap(name: str, text: str, *, seed: int) -> str:
    """Return a text that runs the script `text`, wrapped in one of the spellings of the wrapper `name`.

    It depends on the arguments alone. Raises ParameterError if `name` is none of WRAPPERS, or the text has
    not SHORTEST to LONGEST characters.
    """
    if name not in WRAPPERS:
        raise ParameterError(f"wrapper {name!r}: expected one of {', '.join(WRAPPERS)}")
    if not SHORTEST <= len(text) <= LONGEST:
        raise ParameterError(f"{len(text):,} characters: expected {SHORTEST} to {LONGEST:,} to wrap")
    random = generator(f"{name}\0{text}", seed)
    spelling, key = WRAPPERS[name][random.integers(len(WRAPPERS[name]))], int(random.integers(1, 32))
    words = {hole: known[random.integers(len(known))] for hole, known in _DATA["words"].items()}
    return re.sub(
        r"<([A-Z]+[0-9]*)>", lambda hole: words.get(hole[1]) or _HOLES[hole[1]](text, key), spelling
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _literals(text: str) -> list[str]:
    """Return single-quoted literals that together are the text."""
    return [f"'{text[at : at + _PIECE].translate(_DOUBLED)}'" for at in range(0, len(text), _PIECE)]


def _format(text: str) -> str:
    literals = _literals(text)
    return f'"{"".join(f"{{{number}}}" for number in range(len(literals)))}" -f {",".join(literals)}'


def _codes(text: str, key: int) -> str:
    """Return the text's UTF-16 code units, each XORed with the key, as decimal numbers."""
    return ",".join(map(str, np.frombuffer(text.encode("utf-16-le"), dtype="<u2") ^ key))


_HOLES: dict[str, Callable[[str, int], str]] = {
    "UTF16": lambda text, _: _base64(text.encode("utf-16-le")),
    "UTF8": lambda text, _: _base64(text.encode()),
    "GZIP": lambda text, _: _base64(gzip.compress(text.encode(), mtime=0)),
    "DEFLATE": lambda text, _: _base64(_deflated(text.encode())),
    "SUM": lambda text, _: " + ".join(_literals(text)),
    "FORMAT": lambda text, _: _format(text),
    "CODES": lambda text, _: _codes(text, 0),
    "MASKED": _codes,
    "KEY": lambda _, key: str(key),
}
