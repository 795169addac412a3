"""Dask, measured on this machine: scripts a second with one worker and with as many as there are cores."""

from functools import partial
from typing import TYPE_CHECKING

from bench import measuring
from bench.scoring import CORES, evenly_spaced
from psembed.detector import detector
from psembed.detector.verdict import Item
from psembed.powershell import decoding
from psembed.runtime import workers

if TYPE_CHECKING:
    from distributed import Client

SCRIPTS = 8_000


def main(contents: list[bytes]) -> dict | None:
    """Score files with one worker and with a worker a core.

    Parameters
    ----------
    contents : list of bytes
        Files as they are; of the decodable ones SCRIPTS at equal distances are taken.

    Returns
    -------
    dict or None
        None where Dask is not installed. Otherwise scripts : int, and score, a list of dict with workers and
        scripts_per_second.
    """
    try:
        import distributed as _  # noqa: F401
    except ImportError:
        return None
    scripts = evenly_spaced([data for data in contents if decoding.decode(data)[0]], SCRIPTS)
    rows = []
    for count in dict.fromkeys((1, CORES)):
        with workers.dask(workers.LOCAL, workers=count) as client:
            work = partial(_score, client, scripts)
            work()  # workers load what they need
            rows.append({"workers": count, "scripts_per_second": len(scripts) / measuring.timed(work)})
    return {"scripts": len(scripts), "score": rows}


def _score(client: "Client", contents: list[bytes]) -> None:
    items = [Item(str(number), data) for number, data in enumerate(contents)]
    for _ in workers.on_dask(client, detector.judge, detector.chunks(items)):
        pass
