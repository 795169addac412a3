"""What a detector reads of a script: its clean text, and after it that of every layer uncovered in it."""

import re
from collections.abc import Iterable, Sequence

from psembed.powershell.cleaning import clean
from psembed.powershell.unwrap.layers import may_run, unwrap
from psembed.runtime import workers

_DATA = re.compile(r"[A-Za-z0-9+/=]{40,}")


def joined(clean_texts: Iterable[str]) -> str:
    """Return the clean texts of a script and its layers, outermost first, as one."""
    return "\n".join(filter(None, clean_texts))


def without_data(clean_text: str) -> str:
    """Return a clean text without long runs of Base64: what a script does beside what is uncovered in it."""
    return _DATA.sub("", clean_text)


def readings(texts: Sequence[str]) -> list[str]:
    """Return what a detector reads of each raw script; where there are many, processes share them."""
    return list(workers.in_order(_readings, workers.chunks(texts), lost=clean))


def _readings(texts: list[str]) -> list[str]:
    return [
        joined(clean(layer.text) for layer in unwrap(text, runs).layers)
        for text, runs in zip(texts, may_run(texts), strict=True)
    ]
