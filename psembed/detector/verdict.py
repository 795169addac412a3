"""What is scored, and what the detector says of it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Event(NamedTuple):
    """Where Windows logged a script: when (ISO), on which computer, of which file, as which script block.

    A text is empty where the event does not tell; all are None for what comes from no event.
    """

    time: str | None = None
    computer: str | None = None
    script_path: str | None = None
    block_id: str | None = None


NO_EVENT = Event()


class Item(NamedTuple):
    """Something to score: bytes as they are, a decoded text, or None and the reason it cannot be read.

    A reason beside data is a remark, such as which parts are missing; beside empty data, why it is empty.
    `found` tells what was found in a folder or a log from what was named. `part` is the end of the name that
    says what it is of a file: a row, a script block.
    """

    name: str
    data: bytes | str | None
    reason: str = ""
    event: Event = NO_EVENT
    found: bool = False
    part: str = ""


class Region(NamedTuple):
    """A place in a script: lines and columns from 1, these in UTF-16 code units, `end_column` exclusive.

    `line_hash` is GitHub's primaryLocationLineHash of the first line.
    """

    start_line: int
    start_column: int
    end_line: int
    end_column: int
    line_hash: str


@dataclass(frozen=True)
class LayerScore:
    """The score (0..1) of one layer of a script: how it was uncovered, in which layer, how long it is."""

    how: str
    parent: int
    depth: int
    characters: int
    score: float


@dataclass(frozen=True)
class Verdict:
    """What the detector says of one script.

    Attributes
    ----------
    name, sha256, encoding : str
        The item's name; the hash of its bytes (of a text, as UTF-8); how they were decoded.
    score : float or None
        Of the script and its layers together, 0..1; None where nothing was scored, and `reason` says why.
    malicious : bool or None
        Whether the score reaches the threshold.
    layer : int or None
        The layer that by itself scores highest; 0 is the script.
    layers : tuple of LayerScore
        The script itself first (psembed.powershell.unwrap.layers), each with the score of it alone.
    read : str
        What the network reads: the script and its layers (`Detector.view`).
    reason : str
        Why there is no score, or a remark: a part of the script is missing, a limit was met.
    event : Event
        Where the script was logged, of one from an event log.
    skipped : bool
        Whether it was only found, in a folder or a log, and there is nothing in it to score: no failure.
    part : str
        The end of the name that says what it is of a file: a row, a script block.
    region : Region or None
        Where in a malicious script the verdict comes from, if that was asked for.
    texts : tuple of str
        Those of the layers, if they were asked for.
    accepted : str or None
        A person's comment on a malicious script that is accepted (psembed.detector.baseline).

    Examples
    --------
    >>> from psembed import Detector
    >>> verdict = Detector.load().verdict(b"")
    >>> verdict.score is None, verdict.reason
    (True, 'no text in it')
    """

    name: str
    sha256: str = ""
    encoding: str = ""
    score: float | None = None
    malicious: bool | None = None
    layer: int | None = None
    layers: tuple[LayerScore, ...] = ()
    read: str = ""
    reason: str = ""
    event: Event = NO_EVENT
    skipped: bool = False
    part: str = ""
    region: Region | None = None
    texts: tuple[str, ...] = ()
    accepted: str | None = None


LOGIT_LIMIT = 17.0  # just above the log-odds of the largest float32 below 1


def log_odds(scores: np.ndarray, *, nearest: float = 0.0, limit: float = np.inf) -> np.ndarray:
    """Return ln(p / (1 - p)) of scores (0..1), float64, held within -limit and limit.

    Scores are kept `nearest` off 0 and 1 beforehand.
    """
    sure = np.clip(scores.astype(np.float64), nearest, 1 - nearest)
    with np.errstate(divide="ignore"):  # 0 and 1 have none: they get the limit
        return np.clip(np.log(sure / (1 - sure)), -limit, limit)
