"""Tables give their rows, whatever is in them, and a damaged one ends a process that is not this one."""

import base64
import os
import random
import struct
import subprocess
import sys
from contextlib import closing, nullcontext, suppress
from io import BytesIO

import polars as pl
import pytest

from psembed.detector.reading import parquet
from psembed.detector.reading.parquet import Row, row_groups, rows
from psembed.runtime.errors import SourceError
from psembed.runtime.isolated import IsolatedProcess

MOST = 2**26
# Two rows, "a" and null, as pyarrow 26 wrote them, but the header of their page (byte 12) says that there are
# -1 instead of 2: polars 2.1.0 asks for 2**61 bytes and aborts.
ABORTS = base64.b64decode(
    "UEFSMRUAFRYVFiwVARUAFQYVBhwAAAACAAAAAwEBAAAAYRUEGSw1ABgGc2NoZW1hFQIAFQwlAhgEdGV4dCUATBwAAAAWBBkc"
    "GRwmABwVDBklBgAZGAR0ZXh0FQAWBBY8FjwmCEkcFQAVABUCADwWAhkGGSYCAgAAABY8FgQmCBY8ACggcGFycXVldC1jcHAt"
    "YXJyb3cgdmVyc2lvbiAyNi4wLjEZHBwAAACIAAAAUEFSMQ=="
)


@pytest.fixture(autouse=True)
def _working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(params=["inherited", "by its path"])
def handed_over(request, monkeypatch):
    """Both ways in which the reader gets the file."""
    if request.param == "by its path":
        monkeypatch.setattr(parquet, "fcntl", None)
    elif parquet.fcntl is None:
        pytest.skip("files are not inherited here")


@pytest.fixture
def one_reader(monkeypatch):
    """One reader for all tables, so that very many can be read."""

    with closing(IsolatedProcess(parquet.COMMAND)) as reader:
        monkeypatch.setattr(
            parquet, "_open_reader", lambda stream: nullcontext((reader, os.path.abspath(stream.name)))
        )
        yield


def write(name: str = "t.parquet", row_group_size: int | None = None, **columns) -> str:
    pl.DataFrame(columns).write_parquet(name, row_group_size=row_group_size)
    return name


def read(name: str, column: str | None = None, most: int = MOST) -> list[Row]:
    with open(name, "rb") as stream:
        return list(rows(stream, column, most=most))


def cells(name: str, column: str | None = None) -> list[str | bytes | None]:
    return [row.data for row in read(name, column)]


def read_until_it_fails(name: str) -> tuple[list[Row], str]:
    """Return the rows and the error, if any."""
    read_rows = []
    with open(name, "rb") as stream:
        try:
            read_rows.extend(rows(stream, None, most=MOST))
        except SourceError as error:
            return read_rows, str(error)
    return read_rows, ""


def groups_of(name: str) -> list[tuple[int, int]]:
    with open(name, "rb") as stream:
        return row_groups(stream)


@pytest.mark.usefixtures("handed_over")
@pytest.mark.parametrize(
    ("values", "sizes"),
    [(["é", "", None, "c" * 9_000], [2, 0, None, 9_000]), ([b"\xff\x00", b"", None, b"\n"], [2, 0, None, 1])],
)
def test_rows_have_their_numbers_names_sizes_and_cells(values, sizes):
    name = write(path=["x/a.ps1", None, "é", ""], data=values)
    expected = zip(range(4), ["x/a.ps1", None, "é", ""], sizes, values, strict=True)
    assert read(name) == [Row(*row) for row in expected]


def test_names_are_texts_of_another_column_or_none():
    name = write(path=["x", None], data=["a", "b"])
    assert read(name, "path") == [Row(0, None, 1, "x"), Row(1, None, None, None)]
    assert read(write(path=[7], data=["a"])) == [Row(0, None, 1, "a")]


def test_the_first_of_the_usual_columns_is_taken_or_the_one_named():
    name = write(content=["content"], text=["text"], odd=["odd"])
    assert cells(name) == ["text"] and cells(name, "odd") == ["odd"]


def test_a_table_without_the_column_tells_which_there_are():
    name = write(body=["x"], size=[1])
    with pytest.raises(SourceError, match=r"no column named data, text, script.* it has body, size"):
        read(name)
    with pytest.raises(SourceError, match="no column 'odd'; it has body, size"):
        read(name, "odd")
    with pytest.raises(SourceError, match="'size' is of type Int64, expected Binary or String"):
        read(name, "size")


@pytest.mark.parametrize("column", ["name", "size", "data", "error", 'x", "error": "\n{}\0', "\u2028日本"])
def test_no_name_or_text_is_taken_for_anything_else(column):
    texts = ['{"error": "x"}', "\xff" * 4, "\n\0\r\n", '"}', column]
    others = {name: [1] * 5 for name in ("name", "size", "error") if name != column}
    pl.DataFrame({"path": texts, column: texts, **others}).write_parquet("t.parquet")
    assert [(row.name, row.data) for row in read("t.parquet", column)] == [(text, text) for text in texts]


def test_of_a_too_large_cell_only_the_size_is_given():
    for values in (["12345", "123456", "ééé", "x"], [b"12345", b"123456", b"1234567", b"x"]):
        read_rows = read(write(data=values), most=5)
        assert [row.data for row in read_rows] == [values[0], None, None, values[3]]
        assert [row.size for row in read_rows] == [
            5,
            6,
            len("ééé".encode()) + isinstance(values[2], bytes),
            1,
        ]


def test_rows_keep_their_numbers_across_row_groups_and_parts_of_them(monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_ROWS", 3)
    name = write(row_group_size=10, data=[str(number) for number in range(25)])
    assert read(name) == [Row(number, None, len(str(number)), str(number)) for number in range(25)]


@pytest.mark.parametrize("limit", [1, 7, 100, 10_000])
def test_rows_are_handed_over_in_parts(monkeypatch, limit):
    class Direct:
        def ask(self, request, seconds):
            answer = reader.answer(request)
            if b'"start"' in request:
                part = pl.read_ipc_stream(answer)
                parts.append((len(part), part["size"].sum() + part["name"].str.len_bytes().sum()))
            return answer

    values = [str(number) * (number % 5) for number in range(50)]
    name, parts, reader = write(row_group_size=30, data=values, path=values), [], parquet._Reader()
    monkeypatch.setattr(parquet, "PART_BYTES", limit)
    monkeypatch.setattr(parquet, "_open_reader", lambda stream: nullcontext((Direct(), stream.name)))
    assert cells(name) == values
    assert all(count == 1 or size <= limit for count, size in parts)
    assert len(parts) == 2 if limit == 10_000 else len(parts) > 3


def test_an_empty_table_has_no_rows():
    assert read(write(data=pl.Series([], dtype=pl.Binary))) == []


@pytest.mark.usefixtures("handed_over")
def test_a_table_with_characters_that_polars_expands_is_one_file():
    assert cells(write("[a]*.parquet", data=["x"])) + cells(write("a.parquet", data=["y"])) == ["x", "y"]


def test_row_groups_are_read_one_after_another():
    groups = groups_of(write(row_group_size=10, data=[str(number) for number in range(25)]))
    assert [count for _, count in groups] == [10, 10, 5]
    assert all(size > 0 for size, _ in groups)


def test_the_footer_is_read_as_another_reader_does():
    pq = pytest.importorskip("pyarrow.parquet")
    name = write(
        row_group_size=7, data=[b"x" * number for number in range(99)], path=["p"] * 99, n=[0.5] * 99
    )
    footer = pq.ParquetFile(name).metadata
    expected = [footer.row_group(number) for number in range(footer.num_row_groups)]
    assert groups_of(name) == [(group.total_byte_size, group.num_rows) for group in expected]


def test_too_large_a_row_group_or_footer_is_refused(monkeypatch, started_processes):
    name = write(data=["x" * 1_000])
    monkeypatch.setattr(parquet, "GROUP_LIMIT", 50)
    with pytest.raises(SourceError, match="a row group of the table is larger than 50 bytes; not read"):
        read(name)
    monkeypatch.setattr(parquet, "FOOTER_LIMIT", 50)
    with pytest.raises(SourceError, match="the footer of the table is larger than 50 bytes; not read"):
        read(name)
    assert not started_processes


def table_with(footer: bytes) -> BytesIO:
    return BytesIO(b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1")


HUGE = b"\xff" * 8 + b"\x7f"  # the number 2**63 - 1
FOOTERS = {
    "nothing": b"",
    "no row groups": b"\0",
    "row groups that are a truth value": b"\x41\0",
    "row groups that are a number": b"\x46\x02\0",
    "row groups that are numbers": b"\x49\x16\x02\0",
    "a row group without its size": b"\x49\x1c\x36\x02\0\0",
    "a row group whose size is a text": b"\x49\x1c\x28\x01x\x16\x02\0\0",
    "a negative size": b"\x49\x1c\x26\x01\x16\x02\0\0",
    "a negative number of rows": b"\x49\x1c\x26\x02\x16\x01\0\0",
    "too large a number": b"\x49\x1c\x26" + b"\xff" * 11,
    "a kind that there is not": b"\x1e\0",
    "very many floating-point numbers": b"\x19\xf7" + HUGE + b"\0",
    "very many texts": b"\x19\xf8" + HUGE + b"\0",
    "very many truth values": b"\x19\xf1" + HUGE + b"\0",
    "very many structures": b"\x19\xfc" + HUGE + b"\0" * 999,
    "very many row groups": b"\x49\xfc" + HUGE + b"\x26\x02\x16\x02\0" * 99,
    "a very long text": b"\x18" + HUGE + b"\0",
    "very deep structures": b"\x1c" * 100_000,
    "very deep lists": b"\x19" * 100_000,
}


@pytest.mark.parametrize("footer", FOOTERS.values(), ids=FOOTERS)
def test_a_damaged_footer_is_refused_at_once(footer):
    with pytest.raises(SourceError, match="the footer of the table is damaged"):
        row_groups(table_with(footer))


def test_values_of_every_kind_are_passed_over():
    odd = b"\x01\x14\x12\x13\x07\x14\x02\x15\x02\x16\x02\x17" + b"\xff" * 8 + b"\x18\x02xy\x19\x21\x01\x02"
    odd += b"\x1a\x17" + b"\0" * 8 + b"\x1c\x11\x16\x02\0"
    group = b"\x19\x1c\x16\x02\0" + b"\x16\x0a" + b"\x16\x06" + b"\x11" + b"\0"
    assert row_groups(table_with(odd + b"\x09\x08\x1c" + group + b"\0")) == [(5, 3)]


def test_a_table_cut_anywhere_is_refused():
    with open(write(row_group_size=5, data=[f"{number}" * 50 for number in range(20)]), "rb") as stream:
        whole = stream.read()
    for cut in range(len(whole)):
        with pytest.raises(SourceError, match="cut off"):
            row_groups(BytesIO(whole[:cut]))


def test_fewer_rows_than_the_footer_says_are_noticed(monkeypatch):
    monkeypatch.setattr(parquet, "row_groups", lambda stream: [(9, 2), (9, 4)])
    read_rows, error = read_until_it_fails(write(data=["a", "b", "c"]))
    assert [row.data for row in read_rows] == ["a", "b"]
    assert error == "the table is damaged: 1 rows from row 2, not 4"


def test_errors_of_polars_are_told():
    name = write(data=["a" * 99])
    with open(name, "r+b") as stream:
        stream.seek(4)
        stream.write(b"\xff" * 20)
    with pytest.raises(SourceError, match=r"^the table is damaged or no Parquet file \(.+\)$"):
        read(name)


@pytest.mark.usefixtures("handed_over")
def test_a_table_at_which_polars_aborts_costs_that_table_only(capfd):
    sound = ABORTS[:12] + b"\4" + ABORTS[13:]
    for name, content in (("bad.parquet", ABORTS), ("good.parquet", sound)):
        with open(name, "wb") as stream:
            stream.write(content)
    read_rows, error = read_until_it_fails("bad.parquet")
    assert not read_rows and error.startswith("the table is damaged")
    assert cells("good.parquet") == ["a", None]
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("one_reader")
def test_changed_bytes_of_a_table_give_rows_or_a_reason(capfd):
    name = write(row_group_size=5, data=[*(f"{number}" * 50 for number in range(19)), None])
    with open(name, "rb") as stream:
        whole = stream.read()
    chance = random.Random(1)
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(chance.choice((1, 1, 3))):
            changed[chance.randrange(len(whole))] = chance.choice((1, 127, 255, chance.randrange(256)))
        with open("t.parquet", "wb") as stream:
            stream.write(changed)
        read_rows, error = read_until_it_fails("t.parquet")
        assert error or len(read_rows) == 20
        assert [row.number for row in read_rows] == list(range(len(read_rows)))
    assert capfd.readouterr().err == ""


SERVE_THEN = """
import os, sys, time
from io import BytesIO
import polars as pl
from psembed.detector.reading import parquet as tables
from psembed.runtime.isolated import serve

reader, requests = tables._Reader(), []

def frame(name="x", size=1, data="x", count=1, **more):
    columns = {"name": name, "size": size, "data": data} | more
    read_rows = pl.DataFrame({column: [value] * 6 for column, value in columns.items()}).head(count)
    stream = BytesIO()
    read_rows.cast({pl.Int64: pl.UInt64}).write_ipc_stream(stream)
    return stream.getvalue()

def answer(request):
    requests.append(request)
    if len(requests) == TURN:
        return DOES
    return reader.answer(request)

serve(answer)
"""


def failing(monkeypatch, turn: int, does: str) -> None:
    """Let the reader do something else when it is asked for the columns (turn 1) or a row group (2, ...)."""
    code = SERVE_THEN.replace("TURN", str(turn)).replace("DOES", does)
    monkeypatch.setattr(parquet, "COMMAND", (sys.executable, "-c", code))


DEATHS = ["os.abort()", "os._exit(0)", "os.kill(os.getpid(), 9)", "sys.exit()", "1 / 0", "None"]
NONSENSE = ["b''", "b'nonsense'", "b'{'", "b'{}'", "b'[]'", "b'\\xff\\xff\\xff\\xff' * 9", "b'{' * 100_000"]
FRAMES = [
    'b\'{"columns": {"data": "String"}}\'',
    "frame(name=1)",
    "frame(size='1')",
    "frame(data=1)",
    "frame(data=b'x')",
    "frame(more='x')",
    "frame(count=0)",
    "frame(count=6)",
    "frame()[:-200]",
]


@pytest.mark.parametrize("does", [*DEATHS, *NONSENSE, *FRAMES])
def test_a_reader_that_fails_in_the_middle_costs_the_rest_of_the_table(monkeypatch, started_processes, does):
    name = write(row_group_size=5, data=[str(number) for number in range(20)])
    failing(monkeypatch, 4, does)
    read_rows, error = read_until_it_fails(name)
    assert [row.data for row in read_rows] == [str(number) for number in range(10)]
    assert error == parquet.FAILED
    assert len(started_processes) == 1 and started_processes[0].returncode is not None


@pytest.mark.parametrize("does", ["os.abort()", "b'{}'", "b'{\"columns\": 5}'", "b'nonsense'", "frame()"])
def test_a_reader_that_fails_at_the_columns_costs_the_table(monkeypatch, started_processes, does):
    failing(monkeypatch, 1, does)
    assert read_until_it_fails(write(data=["x"])) == ([], parquet.FAILED)
    assert len(started_processes) == 1 and started_processes[0].returncode is not None


def test_a_reader_that_never_answers_costs_the_table(monkeypatch, started_processes):
    failing(monkeypatch, 1, "time.sleep(600)")
    monkeypatch.setattr(parquet, "TABLE_SECONDS", 0.2)
    assert read_until_it_fails(write(data=["x"])) == ([], parquet.FAILED)
    assert started_processes[0].returncode is not None


def test_no_process_or_file_is_left_where_the_caller_stops(started_processes):
    name = write(row_group_size=1, data=["x", "y", "z"])
    with open(name, "rb") as stream:
        before = open_files()
        read_rows = rows(stream, None, most=MOST)
        assert not started_processes
        assert next(read_rows).data == "x"
        assert started_processes[0].returncode is None
        read_rows.close()
        assert started_processes[0].returncode is not None and open_files() == before
    with suppress(ProcessLookupError):
        os.kill(started_processes[0].pid, 0)
        pytest.fail("the process is still there")


def open_files() -> list[str]:
    return sorted(os.listdir("/dev/fd")) if os.path.isdir("/dev/fd") else []


def test_nothing_is_started_for_what_is_no_table(started_processes):
    for content in (b"", b"PAR1", b"x" * 99):
        with open("t.parquet", "wb") as stream:
            stream.write(content)
        assert "cut off or no Parquet file" in read_until_it_fails("t.parquet")[1]
    assert not started_processes


@pytest.mark.skipif(parquet.fcntl is None, reason="files are not inherited here")
def test_the_file_that_is_open_is_read_whatever_takes_its_place():
    with open(write(data=["open"]), "rb") as stream:
        os.remove("t.parquet")
        os.mkfifo("t.parquet")
        assert [row.data for row in rows(stream, None, most=MOST)] == ["open"]


@pytest.mark.skipif(parquet.fcntl is None, reason="files are not inherited here")
def test_a_table_is_read_where_standard_streams_are_closed():
    code = (
        "import os, sys; os.close(0); os.close(1); from psembed.detector.reading.parquet import rows;"
        "stream = open('t.parquet', 'rb'); assert stream.fileno() == 0;"
        "sys.exit([row.data for row in rows(stream, None, most=9)] != ['x'])"
    )
    write(data=["x"])
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], env=os.environ | path, check=False).returncode == 0
