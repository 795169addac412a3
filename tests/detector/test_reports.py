"""Verdicts written in every format read back as what they were, whatever the names are."""

import csv
import io
import json

import polars as pl
import pytest

from psembed.cli import score
from psembed.detector import reports
from psembed.detector.verdict import LayerScore, Verdict

LAYERS = (
    LayerScore("script", -1, 0, 300, 0.2),
    LayerScore("-EncodedCommand", 0, 1, 90, 0.4),
    LayerScore("gzip", 1, 2, 40, 0.99),
    LayerScore("join", 0, 1, 12, 0.1),
)
BAD = Verdict("a dir/b.ps1", "ab" * 32, "utf-8", 0.99, True, 2, LAYERS)
CLEAN = Verdict("c.ps1", "cd" * 32, "ascii", 0.125, False, 0, LAYERS[:1])
UNREAD = Verdict("\x1b[31mred\udcff.ps1", reason="binary data, not a script")
ALL = [BAD, CLEAN, UNREAD]


def written(name: str, verdicts=ALL) -> str:
    stream = io.StringIO()
    reports.WRITERS[name](verdicts, stream)
    return stream.getvalue()


def test_the_command_offers_what_can_be_written():
    assert tuple(reports.WRITERS) == score.FORMATS


def test_the_table_names_the_layer_that_convicts_and_draws_the_tree():
    lines = written("table").splitlines()
    assert lines[1].split() == ["0.990000", "malicious", "2", "gzip", "a", "dir/b.ps1"]
    assert [line.split()[0] for line in lines[2:6]] == ["0", "1", "*", "3"]
    assert lines[4].strip() == "*     2 gzip: 0.990000, 40 characters"
    assert lines[6].split()[:3] == ["0.125000", "clean", "0"]
    assert lines[7].split()[:4] == ["-", "not", "scored", "-"]
    assert lines[7].endswith("(binary data, not a script)")


def test_a_terminal_obeys_no_name():
    assert all(line.isprintable() for line in written("table").splitlines())
    assert "\\x1b[31mred" in written("table")


def test_json_lines_hold_the_layers():
    rows = [json.loads(line) for line in written("jsonl").splitlines()]
    assert [set(row) for row in rows] == [set(reports.SCHEMA)] * 3
    assert rows[0]["score"] == 0.99 and rows[0]["layers"][2] == {
        "how": "gzip", "parent": 1, "depth": 2, "characters": 40, "score": 0.99,
    }  # fmt: skip
    assert rows[2]["score"] is None and rows[2]["verdict"] == "not scored"


def test_csv_and_parquet_hold_the_same_rows(tmp_path):
    rows = list(csv.DictReader(io.StringIO(written("csv"))))
    assert [row["verdict"] for row in rows] == ["malicious", "clean", "not scored"]
    assert rows[0]["path"] == "a dir/b.ps1" and rows[0]["layers"] == "4" and rows[2]["score"] == ""
    with (tmp_path / "a.parquet").open("wb") as stream:
        reports.write_parquet(ALL, stream)
    table = pl.read_parquet(tmp_path / "a.parquet")
    assert table.schema == pl.Schema(reports.SCHEMA)
    assert table.to_dicts() == [reports.row(verdict) for verdict in ALL]


def test_nothing_to_write_is_still_a_whole_file(tmp_path):
    with (tmp_path / "a.parquet").open("wb") as stream:
        reports.write_parquet([], stream)
    assert pl.read_parquet(tmp_path / "a.parquet").schema == pl.Schema(reports.SCHEMA)
    assert written("jsonl", []) == "" and json.loads(written("sarif", []))["runs"][0]["results"] == []


@pytest.mark.parametrize("verdict", ALL)
def test_a_row_has_the_columns_of_the_schema(verdict):
    assert list(reports.row(verdict)) == list(reports.SCHEMA)
