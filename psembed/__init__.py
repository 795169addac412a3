"""psembed: token vectors for PowerShell and an honest detector of malicious scripts.

What is meant to be imported is here, and is loaded when it is first asked for::

    from psembed import Detector, load_vectors, unwrap
"""

from __future__ import annotations  # so that an older Python gets as far as the message

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psembed.detector.detector import Detector
    from psembed.detector.verdict import Verdict
    from psembed.embedding import benchmark
    from psembed.embedding.released import load as load_vectors
    from psembed.powershell.encoding import Encoder
    from psembed.powershell.tokens import tokenize
    from psembed.powershell.unwrap.layers import unwrap

_PLACES = {
    "Detector": "psembed.detector.detector:Detector",
    "Verdict": "psembed.detector.verdict:Verdict",
    "unwrap": "psembed.powershell.unwrap.layers:unwrap",
    "tokenize": "psembed.powershell.tokens:tokenize",
    "Encoder": "psembed.powershell.encoding:Encoder",
    "load_vectors": "psembed.embedding.released:load",
    "benchmark": "psembed.embedding.benchmark",
}
__all__ = ["Detector", "Encoder", "Verdict", "benchmark", "load_vectors", "tokenize", "unwrap"]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"psembed has no {name!r}; it offers {', '.join(__all__)}")
    module, _, attribute = _PLACES[name].partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def __dir__() -> list[str]:
    return [*globals(), *__all__]
