"""Verdicts written in every format read back as what they were, whatever the names are."""

import csv
import hashlib
import io
import json
from dataclasses import replace

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
ACCEPTED = replace(BAD, name="known.ps1", accepted="ours")
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


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("verdicts", "names", "last"),
    [
        ([CLEAN, ACCEPTED, UNREAD, BAD, CLEAN], ["a dir/b", "known", "red"], "2 clean not shown"),
        ([CLEAN] * 1234, [], "1,234 clean not shown"),
        ([CLEAN, BAD], ["a dir/b", "c"], None),
        ([CLEAN], ["c"], None),
        ([UNREAD], ["red"], None),
        ([], [], None),
    ],
)
def test_a_terminal_gets_malicious_rows_first_and_the_number_of_clean_ones(verdicts, names, last):
    stream = Terminal()
    reports.write_table(verdicts, stream)
    _, *lines = stream.getvalue().splitlines()
    rows = [line for line in lines if ".ps1" in line]
    assert len(rows) == len(names) and all(name in row for name, row in zip(names, rows, strict=True))
    assert [line for line in lines if "not shown" in line] == [last] * bool(last)


def test_malicious_rows_are_on_the_terminal_as_they_come():
    stream = Terminal()

    def verdicts():
        yield from (CLEAN, BAD)
        assert "a dir/b.ps1" in stream.getvalue() and "c.ps1" not in stream.getvalue()
        yield CLEAN

    reports.write_table(verdicts(), stream)


@pytest.mark.parametrize("form", ["table", "jsonl", "csv"])
def test_what_is_accepted_is_marked(form):
    assert [line.count("accepted") for line in written(form, [ACCEPTED]).splitlines()][-1] == 1
    assert "layer" not in written("table", [ACCEPTED]).splitlines()[-1]


def test_layers_are_written_with_their_texts_on_the_way(tmp_path):
    texts = ("iex ...", "a\u2028\n\ud800", "x" * 5000, '"quoted"')
    stream = io.StringIO()
    passed = list(reports.with_layers_written([replace(BAD, texts=texts), UNREAD], stream))
    assert passed == [BAD, UNREAD]
    rows = [json.loads(line) for line in stream.getvalue().split("\n")[:-1]]
    assert [list(row) for row in rows] == [list(reports.LAYERS)] * 4
    assert [(row["number"], row["how"], row["parent"], row["depth"]) for row in rows] == [
        (number, layer.how, layer.parent, layer.depth) for number, layer in enumerate(LAYERS)
    ]
    assert [row["text"] for row in rows] == [texts[0], "a\u2028\n\ufffd", *texts[2:]]
    assert {row["path"] for row in rows} == {BAD.name}
    assert all(row["sha256"] == hashlib.sha256(row["text"].encode()).hexdigest() for row in rows)
    lines = tmp_path / "[a]*.lines"
    lines.write_text(stream.getvalue(), encoding="utf-8")
    reports.table_of_layers(lines, tmp_path / "t.parquet")
    table = pl.read_parquet(tmp_path / "t.parquet")
    assert table.to_dicts() == rows and table.schema == pl.Schema(reports.LAYERS)
    lines.write_bytes(b"")
    reports.table_of_layers(lines, tmp_path / "t.parquet")
    assert pl.read_parquet(tmp_path / "t.parquet").schema == pl.Schema(reports.LAYERS)


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
