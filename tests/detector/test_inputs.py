"""Everything the user names becomes items in order, and nothing makes it stop, hang or grow without bound."""

import builtins
import os
import random
import socket
import sys
from io import BytesIO

import polars as pl
import pytest
from evtx_files import damage_record, part, write_log
from test_parquet import ABORTS, failing

from psembed.detector import inputs, parquet
from psembed.detector.inputs import Inputs
from psembed.detector.verdict import Item
from psembed.runtime.errors import ParameterError


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
    assert reason("d/fifo.ps1") == "not a regular file but a FIFO; not opened"
    assert "a device" in reason(os.devnull)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.ps1")
        assert "a socket" in reason("s.ps1")


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
    assert item == Item("a.ps1", None, "not a regular file but a FIFO; not opened")


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
    assert whole == Item("A.EVTX:one", "whole", found=True, part="one")
    assert cut[0] == Item("A.EVTX:two", "ab", "part 3 of 3 is missing", found=True, part="two")
    assert cut[1] == Item("A.EVTX:three", "d", "parts 1, 2, 3, 5 of 5 are missing", found=True, part="three")
    assert cut[2].reason.endswith("20, 21 and 78 more of 99 are missing")


def test_a_log_without_script_blocks_or_with_comments_only_says_so(folder):
    pytest.importorskip("evtx")
    security = part(1, 1, "x", id=4688, provider="Microsoft-Windows-Security-Auditing", channel="Security")
    why = "no PowerShell script blocks (event 4104) with text in this log"
    write_log(folder / "a.evtx", [security])
    assert list(Inputs(["a.evtx"])) == [Item("a.evtx", b"", why)]
    write_log(folder / "b.evtx", [part(1, 1, "# a comment")])
    (*_, last) = Inputs(["b.evtx"])
    assert last == Item("b.evtx", b"", why)
    assert {item.found for item in Inputs(["."])} == {True}


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
    assert last == Item("a.evtx", None, "1 records or chunks of the log are damaged and left out")
    assert listed.damaged == 1


def test_without_the_package_an_event_log_says_what_to_install(folder, monkeypatch):
    write_log(folder / "a.evtx", [part(1, 1, "x")])
    monkeypatch.setitem(sys.modules, "evtx", None)
    assert "pip install 'psembed[events]'" in reason("a.evtx")
