"""What unwrapping adds is counted by class, with what uncovered the layer that convicts."""

import polars as pl
from planted import Layered, encoded

from psembed.evaluation import unwrapping


def wrapped(script: str) -> str:
    return f"powershell -enc {encoded(script)}"


def test_scripts_are_judged_alone_and_with_what_they_hold():
    texts = [
        "evil script",
        wrapped("evil script"),
        wrapped("good script"),
        f"{wrapped('evil script')}; Get-Date",
        " ",
    ]
    scripts = pl.DataFrame({"sha256": list("abcde"), "label": [1, 1, 0, 1, 0], "text": texts})
    verdicts, table = unwrapping.judged(Layered(evil=0.9, good=0.1, powershell=0.7), scripts)
    assert [verdict.name for verdict in verdicts] == list("abcde")
    assert table.rows() == [
        (1, True, True, False, None),
        (1, True, True, True, "-EncodedCommand"),
        (0, True, False, True, None),
        (1, True, True, True, "-EncodedCommand"),
        (0, False, False, False, None),
    ]
    assert unwrapping.counted(table).rows() == [(0, 2, 1, 0, 1), (1, 3, 3, 3, 2)]


def test_no_script_gives_no_row():
    none = pl.DataFrame(schema={"sha256": pl.String, "label": pl.Int8, "text": pl.String})
    verdicts, table = unwrapping.judged(Layered(), none)
    assert verdicts == [] and unwrapping.counted(table).is_empty()
