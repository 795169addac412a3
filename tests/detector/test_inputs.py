"""Everything the user names becomes items in order, and nothing makes it stop, hang or grow without bound."""

import builtins
import json
import os
import random
import socket
import sys
from io import BytesIO

import exported_events as ex
import polars as pl
import pytest
from evtx_files import damage_record, part, write_log
from test_parquet import ABORTS, failing

from psembed.detector.reading import inputs, parquet
from psembed.detector.reading.events import EXPECTED
from psembed.detector.reading.inputs import Inputs
from psembed.detector.verdict import Event, Item
from psembed.runtime.errors import ParameterError

NOT_REGULAR = "not a regular file but a FIFO, socket, device or the like; not opened"
NO_BLOCKS = "no PowerShell script blocks (event 4104) with text in it"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def table(folder):
    def write(name: str = "t.parquet", row_group_size: int | None = None, **columns) -> str:
        pl.DataFrame(columns).write_parquet(name, row_group_size=row_group_size)
        return name

    return write


def put(*paths: str) -> None:
    """Make files whose content is their path, with their folders."""
    for path in paths:
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(os.fsencode(path))


def names(*paths: str) -> list[str]:
    return [item.name for item in Inputs(paths)]


def reason(path: str, **options) -> str:
    (item,) = Inputs([path], **options)
    assert item.data is None and item.name == path
    return item.reason


def test_files_come_in_the_order_of_their_names_whatever_their_extension(folder):
    put("b.txt", "a.ps1", "c")
    assert list(Inputs(["b.txt", "a.ps1", "c", "a.ps1"])) == [
        Item("b.txt", b"b.txt"),
        Item("a.ps1", b"a.ps1"),
        Item("c", b"c"),
        Item("a.ps1", b"a.ps1"),
    ]


def test_items_are_read_when_they_are_asked_for(folder):
    put("a", "b")
    listed = iter(Inputs(["a", "b"]))
    assert next(listed).data == b"a"
    os.remove("b")
    assert "No such file" in next(listed).reason


def test_a_folder_is_walked_in_the_order_of_its_paths_bytes(folder):
    accented = os.fsdecode("d/é.ps1".encode())  # whatever the file system's encoding
    put("d/b.PS1", "d/a/z.psm1", "d/a.ps1", "d/a-/x.psd1", "d/B.ps1xml", accented, "d/a/y/deep.ps1")
    put("d/readme.txt", "d/a/x.exe", "d/ps1")
    os.mkdir("d/empty.ps1")
    listed = Inputs(["d"])
    assert [item.name for item in listed] == [
        "d/B.ps1xml",
        "d/a-/x.psd1",
        "d/a.ps1",
        "d/a/y/deep.ps1",
        "d/a/z.psm1",
        "d/b.PS1",
        accented,
    ]
    assert (listed.left_out, listed.links) == (3, 0)
    assert names("d/") == names("d") and names("./d//a") == ["./d//a/y/deep.ps1", "./d//a/z.psm1"]


def test_iterating_again_counts_again_from_nought(folder):
    put("d/a.ps1", "d/b.txt")
    listed = Inputs(["d"])
    assert list(listed) == list(listed)
    assert listed.left_out == 1


@pytest.fixture
def deep_folder(folder):
    """Deeper than the interpreter would recurse; removed without recursion, too."""
    paths = ["d" + "/x" * depth for depth in range(1_200)]
    for path in paths:
        os.mkdir(path)
    put(f"{paths[-1]}/a.ps1", "d/z.ps1")
    yield paths[-1]
    os.remove(f"{paths[-1]}/a.ps1")
    os.remove("d/z.ps1")
    for path in reversed(paths):
        os.rmdir(path)


def test_very_deep_folders_are_walked(deep_folder):
    assert names("d") == [f"{deep_folder}/a.ps1", "d/z.ps1"]


def test_links_are_followed_only_where_they_are_named(folder):
    put("d/a.ps1", "elsewhere/b.ps1")
    os.symlink("../elsewhere", "d/folder")
    os.symlink("a.ps1", "d/file.ps1")
    os.symlink(".", "d/loop")
    os.symlink("nowhere", "d/broken.ps1")
    listed = Inputs(["d", "d/file.ps1", "d/folder"])
    assert [(item.name, item.data) for item in listed] == [
        ("d/a.ps1", b"d/a.ps1"),
        ("d/file.ps1", b"d/a.ps1"),
        ("d/folder/b.ps1", b"elsewhere/b.ps1"),
    ]
    assert listed.links == 4
    assert "No such file" in reason("d/broken.ps1")
    os.symlink("circle", "circle")
    assert "symbolic links" in reason("circle")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_what_is_no_regular_file_is_refused_and_never_opened(folder, monkeypatch):
    os.mkdir("d")
    for name in ("d/fifo.ps1", "d/fifo.evtx", "d/fifo.txt"):
        os.mkfifo(name)
    listed = Inputs(["d"])
    assert [(item.name, item.data) for item in listed] == [("d/fifo.evtx", None), ("d/fifo.ps1", None)]
    assert listed.left_out == 1
    monkeypatch.setattr(builtins, "open", None)
    assert reason("d/fifo.ps1") == NOT_REGULAR
    assert reason(os.devnull) == NOT_REGULAR
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.ps1")
        assert reason("s.ps1") == NOT_REGULAR


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_file_that_becomes_a_fifo_does_not_hang(folder, monkeypatch):
    put("a.ps1")
    status = os.stat("a.ps1")
    os.remove("a.ps1")
    os.mkfifo("a.ps1")
    with monkeypatch.context() as change:
        change.setattr(inputs.os, "stat", lambda path: status)
        change.setattr(inputs.os.path, "isdir", lambda path: False)
        (item,) = Inputs(["a.ps1"])
    assert item == Item("a.ps1", None, NOT_REGULAR)


def test_what_may_not_be_read_says_so(folder, monkeypatch):
    put("d/a.ps1", "d/b.ps1", "d/sub/c.ps1")

    def refuse(path, *rest):
        if os.fspath(path).endswith(("a.ps1", "sub/")):
            raise PermissionError(13, "Permission denied", path)
        return (scandir if len(rest) == 0 else open_)(path, *rest)

    scandir, open_ = os.scandir, os.open
    monkeypatch.setattr(inputs.os, "open", refuse)
    monkeypatch.setattr(inputs.os, "scandir", refuse)
    assert list(Inputs(["d"])) == [
        Item("d/a.ps1", None, "Permission denied", found=True),
        Item("d/b.ps1", b"d/b.ps1", found=True),
        Item("d/sub", None, "Permission denied", found=True),
    ]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_permissions_of_the_system_are_respected(folder):
    put("a.ps1")
    os.chmod("a.ps1", 0)
    assert reason("a.ps1") == "Permission denied"


@pytest.mark.parametrize("path", ["none.ps1", "", "none/a.parquet", "none.evtx"])
def test_a_file_that_is_not_there_says_so(folder, path):
    assert "No such file" in reason(path)


@pytest.mark.parametrize("path", ["zero\0byte", "x" * 5_000, "zero\0byte.parquet"])
def test_an_impossible_name_says_so(folder, path):
    assert reason(path)


def test_a_file_that_vanishes_during_the_walk_says_so(folder):
    put("d/a.ps1", "d/b.ps1")
    listed = iter(Inputs(["d"]))
    next(listed)
    os.remove("d/b.ps1")
    assert list(listed) == [Item("d/b.ps1", None, "No such file or directory", found=True)]


def test_too_large_a_file_is_not_read(folder, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_BYTES", 5)
    put("12345", "123456")
    assert list(Inputs(["12345", "123456"])) == [
        Item("12345", b"12345"),
        Item("123456", None, "larger than 5 bytes"),
    ]


def test_a_file_without_a_size_is_bounded_all_the_same(folder, monkeypatch):
    if not os.path.exists("/proc/self/status"):
        pytest.skip("no file that grows as it is read")
    monkeypatch.setattr(inputs, "MAX_BYTES", 5)
    assert reason("/proc/self/status") == "larger than 5 bytes"


@pytest.mark.parametrize(("times", "data", "why"), [(1, b"a.ps1", ""), (9, None, inputs.CHANGED)])
def test_a_file_that_changes_is_read_once_more(folder, monkeypatch, times, data, why):
    put("a.ps1")
    states = [(number, 0) for number in range(2 * times)] + [(5, 5)] * 9
    monkeypatch.setattr(inputs, "_state", lambda stream: states.pop(0))
    assert list(Inputs(["a.ps1"])) == [Item("a.ps1", data, why)]


def test_a_file_that_grows_between_two_looks_is_not_taken_for_whole(folder):
    put("a.ps1")
    with open("a.ps1", "rb") as stream:
        before = inputs._state(stream)
        with open("a.ps1", "ab") as other:
            other.write(b"more")
        assert inputs._state(stream) != before


def test_standard_input_is_one_item(folder):
    put("a")
    assert list(Inputs(["-", "a"], stdin=BytesIO(b"iex"))) == [Item("-", b"iex"), Item("a", b"a")]
    put("-")
    assert names("./-") == ["./-"]


def test_standard_input_can_be_named_once(folder):
    with pytest.raises(ParameterError, match="named twice"):
        Inputs(["-", "a", "-"])


def test_standard_input_may_be_too_large_or_not_there(folder, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_BYTES", 5)
    assert reason("-", stdin=BytesIO(b"123456")) == "larger than 5 bytes"
    monkeypatch.setattr(sys, "stdin", None)
    assert reason("-") == "there is no standard input"


def test_names_of_undecodable_bytes(folder):
    name = os.fsdecode(b"d/\xff\xfe")
    try:
        put(f"{name}.ps1", f"{name}.evtx", f"{name}/a.ps1")
    except OSError:
        pytest.skip("the file system takes no such names")
    pl.DataFrame({"data": [b"x"]}).write_parquet("x.parquet")
    os.rename("x.parquet", f"{name}.parquet")
    listed = list(Inputs(["d"]))
    assert [item.name for item in listed] == [
        f"{name}.evtx",
        f"{name}.parquet:0",
        f"{name}.ps1",
        f"{name}/a.ps1",
    ]
    assert listed[1].data == b"x" and "no Windows event log" in listed[0].reason.encode().decode()


@pytest.mark.parametrize("column", ["data", "text", "script", "ScriptBlockText", "content"])
def test_a_table_gives_an_item_for_each_row(table, column):
    expected = [
        Item(f"t.parquet:{number}", data, part=str(number)) for number, data in enumerate(["é", "", "c"])
    ]
    assert list(Inputs([table(other=[1, 2, 3], **{column: ["é", "", "c"]})])) == expected


def test_cells_of_bytes_come_as_bytes(table):
    assert [item.data for item in Inputs([table(data=[b"\xff\x00", b""])])] == [b"\xff\x00", b""]


def test_a_column_of_paths_names_the_rows(table):
    name = table(path=["x/a.ps1", None, "é"], data=[b"a", b"b", b"c"])
    assert names(name) == ["t.parquet:x/a.ps1", "t.parquet:1", "t.parquet:é"]
    assert [item.data for item in Inputs([name], column="path")] == ["x/a.ps1", None, "é"]
    assert names(table(path=[7], data=[b"a"])) == ["t.parquet:0"]


def test_empty_and_too_large_cells_say_so(table, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_BYTES", 5)
    for column in (["12345", None, "123456", "ééé"], [b"12345", None, b"123456", b"1234567"]):
        listed = list(Inputs([table(data=column)]))
        assert [item.data for item in listed] == [column[0], None, None, None]
        assert [item.reason[:12] for item in listed] == ["", "the cell is ", "larger than ", "larger than "]


def test_what_is_wrong_with_a_table_is_told_in_a_short_line(table):
    name = table(body=["x"], size=[1])
    assert reason(name, column="odd") == "the table has no column 'odd'; it has body, size"
    assert "'size' is of type Int64, expected Binary or String" in reason(name, column="size")
    wide = table(**{f"column{number}": [1] for number in range(500)})
    assert len(reason(wide)) <= 300
    put("none.parquet")
    assert reason("none.parquet") == "the table is cut off or no Parquet file: it does not end as one"


def test_rows_before_the_damage_of_a_table_stay(folder):
    texts = [random.Random(number).randbytes(3_000).hex() for number in range(20)]
    pl.DataFrame({"data": texts}).write_parquet("t.parquet", row_group_size=5)
    with open("t.parquet", "r+b") as stream:
        stream.seek(os.path.getsize("t.parquet") * 6 // 10)
        stream.write(b"\xff" * 500)
    *rows, last = Inputs(["t.parquet"])
    assert [item.data for item in rows] == texts[: len(rows)] and len(rows) in (5, 10)
    assert last.name == "t.parquet" and "the table is damaged" in last.reason


def test_other_files_follow_a_damaged_one(table):
    put("bad.parquet", "bad.evtx", "good.ps1")
    listed = list(Inputs(["bad.parquet", "bad.evtx", "good.ps1"]))
    assert [item.data is None for item in listed] == [True, True, False]


def test_other_files_follow_a_table_at_which_the_reader_crashes(table):
    with open("bad.parquet", "wb") as stream:
        stream.write(ABORTS)
    put("good.ps1")
    bad, *good = Inputs(["bad.parquet", table(data=["x"]), "good.ps1"])
    assert bad.name == "bad.parquet" and bad.reason.startswith("the table is damaged")
    assert good == [Item("t.parquet:0", "x", part="0"), Item("good.ps1", b"good.ps1")]


def test_a_reader_that_crashes_in_the_middle_costs_the_rest_of_its_table(table, monkeypatch):
    failing(monkeypatch, 3, "os.abort()")
    put("good.ps1")
    *read, last = Inputs([table(row_group_size=1, data=["x", "y", "z"]), "good.ps1"])
    assert read == [Item("t.parquet:0", "x", part="0"), Item("t.parquet", None, parquet.FAILED)]
    assert last.data == b"good.ps1"


def test_the_reader_ends_with_the_items(table, monkeypatch):
    close, ended = parquet.IsolatedProcess.close, []
    monkeypatch.setattr(
        parquet.IsolatedProcess, "close", lambda process: ended.append(process) or close(process)
    )
    listed = iter(Inputs([table(data=["x", "y"])]))
    assert next(listed).data == "x" and not ended
    listed.close()
    assert ended


def test_a_table_or_log_that_changes_says_so_at_the_end(table, monkeypatch):
    name = table(data=["x", "y"])
    states = iter([(1, 1), (2, 2)])
    monkeypatch.setattr(inputs, "_state", lambda stream: next(states))
    assert list(Inputs([name])) == [
        Item(f"{name}:0", "x", part="0"),
        Item(f"{name}:1", "y", part="1"),
        Item(name, None, inputs.CHANGED),
    ]


def test_an_event_log_gives_an_item_for_each_script_block(folder):
    pytest.importorskip("evtx")
    write_log(
        folder / "A.EVTX",
        [
            part(1, 1, "whole", block="one"),
            part(2, 3, "b", block="two"),
            part(1, 3, "a", block="two"),
            part(4, 5, "d", block="three"),
            part(1, 99, "d", block="four"),
        ],
    )
    whole, *cut = Inputs(["A.EVTX"])
    event = Event("2024-01-01T00:00:01Z", "pc.example", "", "one")
    assert whole == Item("A.EVTX:one", "whole", event=event, found=True, part="one")
    assert [(item.name, item.data, item.reason, item.part) for item in cut[:2]] == [
        ("A.EVTX:two", "ab", "missing parts: 3 of 3", "two"),
        ("A.EVTX:three", "d", "missing parts: 1, 2, 3, 5 of 5", "three"),
    ]
    assert cut[2].reason.endswith("20, 21 and 78 more of 99")


def test_a_log_without_script_blocks_or_with_comments_only_says_so(folder):
    pytest.importorskip("evtx")
    security = part(1, 1, "x", id=4688, provider="Microsoft-Windows-Security-Auditing", channel="Security")
    write_log(folder / "a.evtx", [security])
    assert list(Inputs(["a.evtx"])) == [Item("a.evtx", b"", NO_BLOCKS)]
    write_log(folder / "b.evtx", [part(1, 1, "# a comment")])
    (*_, last) = Inputs(["b.evtx"])
    assert last == Item("b.evtx", b"", NO_BLOCKS)
    assert {item.found for item in Inputs(["."])} == {True}


GUID = ex.GUID.format(1)
EVENTS = [(1, 1, 1, "dir"), (2, 1, 2, "half"), (3, 1, 1, "#")]


@pytest.mark.parametrize("name", ["e.json", "e.JSONL", "e.ndjson", "e.csv", "e.xml", "e.txt", "e.log", "e"])
@pytest.mark.parametrize(
    "content", [ex.json_lines(ex.evtx_dump(EVENTS)), ex.flat_csv(ex.get_winevent(EVENTS))]
)
def test_exported_events_give_an_item_for_each_script_block(folder, name, content):
    (folder / name).write_text(content)
    listed = list(Inputs([name]))
    assert [item.name for item in listed] == [f"{name}:{ex.GUID.format(n)}" for n in (1, 3, 2)]
    assert [item.data for item in listed] == ["dir", "#", "half"]
    assert listed[2].reason == "missing parts: 2 of 2" and all(item.found for item in listed)
    assert listed[0].event == Event(ex.TIME.format(1), ex.COMPUTER, ex.PATH, GUID)
    assert Inputs([name]).total() is None


def test_of_a_folder_exported_events_are_taken_and_what_only_looks_like_them_is_left_out(folder):
    exports = {
        "d/a.json": json.dumps(ex.winlogbeat(EVENTS[:1])),
        "d/b.csv": ex.flat_csv(ex.defender(EVENTS[:1])),
        "d/c.xml": "".join(ex.wevtutil(EVENTS[:1])),
        "d/d.txt": "".join(ex.wevtutil(EVENTS[:1])),
        "d/e.log": "".join(ex.wevtutil(EVENTS[:1])),
        "d/package.json": '{"name": "x"}',
        "d/table.csv": "script\ndir\n",
        "d/pom.xml": "<project/>",
        "d/notes.txt": "Get-Service",
        "d/empty.json": "",
    }
    os.mkdir("d")
    for name, content in exports.items():
        (folder / name).write_text(content, encoding="utf-16" if name < "d/c" else "utf-8")
    if hasattr(os, "mkfifo"):
        os.mkfifo("d/fifo.json")
        exports["d/fifo.json"] = ""
    listed = Inputs(["d"])
    assert [item.name.partition(":")[0] for item in listed] == ["d/a.json", "d/b.csv", "d/c.xml", "d/d.txt"]
    assert listed.left_out == len(exports) - 4


def test_what_is_neither_events_nor_a_table_is_refused_and_never_a_script(folder):
    for name, content in {
        "a.json": '{"name": "x"}', "b.jsonl": '{"text": "iex"}\n', "c.csv": "script\ndir\n", "d.xml": "<a/>",
        "e.json": "iex $x", "f.csv": "iex", "g.ndjson": "[]", "h.xml": "\0\1",
    }.items():  # fmt: skip
        (folder / name).write_text(content)
        assert reason(name) == EXPECTED
        assert reason(name, column="data") == f"no column 'data' and {EXPECTED}"
    assert len(EXPECTED) < 300


def test_a_named_file_of_another_extension_is_a_script_and_ps1_always_is(folder):
    content = ex.json_lines(ex.evtx_dump(EVENTS))
    (folder / "a.ps1").write_text(content)
    (folder / "b.txt").write_text("[CmdletBinding()]param($x)")
    (folder / "c.json").write_bytes(b"")
    (folder / "d.yml").write_text("{}")
    listed = Inputs(["a.ps1", "b.txt", "c.json", "d.yml"])
    assert [item.data for item in listed] == [content.encode(), b"[CmdletBinding()]param($x)", b"", b"{}"]


@pytest.mark.parametrize(
    "content",
    [
        '{"s": "dir", "path": "x.ps1"}\n{"s": null}\n{"t": 1}\n{"s": [5]}\n',
        "s,path,t\ndir,x.ps1,\n,,\n,,\n,,\n",
    ],
)
def test_json_and_csv_are_tables_where_a_column_is_named(folder, content):
    name = "t.csv" if content.startswith("s") else "t.jsonl"
    (folder / name).write_text(content)
    first, *rest = Inputs([name], column="s")
    assert first == Item(f"{name}:x.ps1", "dir", part="x.ps1")
    assert [item.data for item in rest] in ([None] * 3, [""] * 3)
    assert [item.name for item in rest] == [f"{name}:{number}" for number in (1, 2, 3)]
    assert next(iter(Inputs([name], column="path"))) == Item(f"{name}:0", "x.ps1", part="0")


def test_a_column_that_is_named_goes_before_events(folder):
    (folder / "t.csv").write_text(ex.flat_csv(ex.get_winevent(EVENTS)))
    assert [item.data for item in Inputs(["t.csv"], column="LogName")] == [ex.CHANNEL] * 3
    assert [item.data for item in Inputs(["t.csv"], column="data")] == ["dir", "#", "half"]


def test_a_damaged_row_costs_the_rest_of_its_table(folder):
    (folder / "t.csv").write_text("s,t\na,1\nb\nc,1\n")
    assert list(Inputs(["t.csv"], column="s")) == [
        Item("t.csv:0", "a", part="0"),
        Item("t.csv", None, "record 2: 1 cells, not 2; it and what follows cannot be read"),
    ]


def test_damaged_records_of_exported_events_are_told(folder):
    lines = ex.json_lines(ex.evtx_dump(EVENTS)).splitlines(keepends=True)
    (folder / "e.json").write_text(lines[0] + "{x\n" + lines[2])
    listed = Inputs(["e.json"])
    *_, last = listed
    why = "1 damaged and left out, the first: record 2: Expecting property name enclosed in double quotes"
    assert last == Item("e.json", None, why) and listed.damaged == 1


def test_exported_events_without_script_blocks_say_so(folder):
    (folder / "e.json").write_text('{"Event": {"System": {"EventID": 4688}}}')
    assert list(Inputs(["e.json"])) == [Item("e.json", b"", NO_BLOCKS)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_standard_input_may_be_exported_events(encoding):
    content = ex.json_lines(ex.evtx_dump(EVENTS)).encode(encoding)
    assert next(item.name for item in Inputs(["-"], stdin=BytesIO(content))) == f"-:{GUID}"
    assert list(Inputs(["-"], stdin=BytesIO(b"{}"))) == [Item("-", b"{}")]


@pytest.mark.parametrize("kind", ["evtx", "parquet", "json", "csv", "xml", "txt", "ps1", "PSD1"])
def test_an_empty_file_of_any_kind_is_an_empty_script(folder, kind):
    (folder / f"a.{kind}").write_bytes(b"")
    assert list(Inputs([f"a.{kind}"])) == [Item(f"a.{kind}", b"")]


def test_a_folder_with_nothing_to_score_says_so(folder):
    put("d/readme.md")
    os.mkdir("e")
    why = "no script, table or event log in this folder"
    listed = Inputs(["d", "e/"])
    assert list(listed) == [Item("d", b"", why), Item("e/", b"", why)] and listed.left_out == 1
    assert listed.total() == 2


def test_a_table_without_rows_says_so(table):
    listed = Inputs([table(data=pl.Series([], dtype=pl.String))])
    assert list(listed) == [Item("t.parquet", b"", "no rows in this table")] and listed.total() == 1


def test_what_is_found_is_told_from_what_is_named(folder):
    put("d/a.ps1", "b.ps1")
    assert [item.found for item in Inputs(["d", "b.ps1", "d/a.ps1", "d/none"])] == [True, False, False, False]


def test_damaged_records_of_an_event_log_are_told(folder):
    pytest.importorskip("evtx")
    path = write_log(folder / "a.evtx", [part(1, 1, name, block=name) for name in "abc"])
    damage_record(path, 0, 1)
    listed = Inputs(["a.evtx"])
    *blocks, last = listed
    assert [item.name for item in blocks] == ["a.evtx:a", "a.evtx:c"]
    assert last == Item("a.evtx", None, "1 damaged and left out, the first: a record or chunk of the log")
    assert listed.damaged == 1


def test_without_the_package_an_event_log_says_what_to_install(folder, monkeypatch):
    write_log(folder / "a.evtx", [part(1, 1, "x")])
    monkeypatch.setitem(sys.modules, "evtx", None)
    assert "pip install '.[events]'" in reason("a.evtx")
