"""Script blocks come whole out of event logs, whatever their order, and damage never gets further."""

import random
import sys
from io import BytesIO

import pytest
from evtx_files import (
    CHUNK,
    CORE,
    HEADER,
    damage,
    damage_chunk,
    damage_record,
    part,
    write_log,
)
from patience import GUARD

from psembed.detector.reading import eventlogs, scriptblocks
from psembed.detector.reading.scriptblocks import ScriptBlock, ScriptBlocks
from psembed.detector.verdict import Event
from psembed.runtime import isolated
from psembed.runtime.errors import SourceError

pytest.importorskip("evtx")
UNICODE = "écrire 'naïve' — 日本語 \U0001f600 <a> & \"b\" ]]>\r\n\t$x = @{}"


@pytest.fixture
def log(tmp_path):
    def write(*parts: dict):
        return write_log(tmp_path / "a.evtx", list(parts))

    return write


def opened(path) -> ScriptBlocks:
    """Return the blocks of a log that is read from memory."""
    return ScriptBlocks(eventlogs.records(BytesIO(path.read_bytes())))


def texts(path) -> list[str]:
    return [block.text for block in opened(path)]


def test_one_part_gives_all_its_fields(log):
    (block,) = opened(log(part(1, 1, UNICODE, block="4ab9", path="C:\\é\\x.ps1")))
    event = Event("2024-01-01T00:00:01Z", "pc.example", "C:\\é\\x.ps1", "4ab9")
    assert block == ScriptBlock(event, UNICODE, "1")


def test_parts_out_of_order_and_interleaved_are_put_together(log):
    path = log(
        part(3, 3, "c", block="one"),
        part(2, 2, "z", block="two"),
        part(1, 3, "a", block="one", path="C:\\one.ps1"),
        part(1, 2, "y", block="two"),
        part(1, 1, "alone", block="three"),
        part(2, 3, "b", block="one"),
    )
    blocks = list(opened(path))
    assert [(block.event.block_id, block.text) for block in blocks] == [
        ("two", "yz"),
        ("three", "alone"),
        ("one", "abc"),
    ]
    event = Event("2024-01-01T00:00:01Z", "pc.example", "C:\\one.ps1", "one")
    assert blocks[2] == ScriptBlock(event, "abc", "1", total=3)


def test_parts_in_many_chunks(log):
    letters = [chr(ord("a") + number) * 15_000 for number in range(12)]
    path = log(*(part(number, 12, text) for number, text in reversed(list(enumerate(letters, 1)))))
    assert path.stat().st_size > HEADER + 4 * CHUNK
    assert texts(path) == ["".join(letters)]


def test_missing_parts_are_reported_and_come_at_the_end_by_their_first_part(log):
    path = log(
        part(4, 5, "d", block="late"),
        part(2, 3, "b", block="b"),
        part(1, 5, "a", block="late"),
        part(1, 1, "x"),
    )
    blocks_met = [(block.event.block_id, block.text, block.total, block.missing) for block in opened(path)]
    assert blocks_met == [("b1", "x", 1, ()), ("late", "ad", 5, (2, 3, 5)), ("b", "b", 3, (1, 3))]


def test_a_part_that_comes_again_counts_once(log):
    first, second = part(1, 2, "a"), part(2, 2, "b")
    log_of_two = opened(log(first, first, second, first, second))
    assert [block.text for block in log_of_two] == ["ab"]
    assert log_of_two.damaged == 0


def test_another_text_under_the_same_number_is_not_hidden(log):
    path = log(part(1, 2, "harmless"), part(1, 2, "other "), part(2, 2, "end"), part(1, 1, "once more"))
    blocks_met = [(block.text, block.missing) for block in opened(path)]
    assert blocks_met == [("harmless", (2,)), ("other end", ()), ("once more", ())]


def test_of_contradictory_totals_the_largest_holds(log):
    (block,) = opened(log(part(1, 2, "a"), part(2, 4, "b"), part(3, 3, "c")))
    assert (block.text, block.total, block.missing) == ("abc", 4, (4,))


@pytest.mark.parametrize(
    ("number", "total"),
    [
        (0, 1),
        (2, 1),
        (-1, 3),
        ("x", 3),
        (None, None),
        (1, scriptblocks.MAX_PARTS + 1),
        (10**30, 10**30),
        ("²", 3),
    ],
)
def test_a_part_whose_numbers_make_no_sense_stands_alone(log, number, total):
    path = log(part(1, 2, "a"), part(number, total, "odd"), part(2, 2, "b"))
    assert texts(path) == ["odd", "ab"]


def test_parts_without_an_id_are_not_put_together(log):
    assert texts(log(part(1, 2, "a", block=""), part(2, 2, "b", block=""), part(1, 2, "a", block=""))) == [
        "a",
        "b",
        "a",
    ]


def test_other_events_are_ignored(log):
    path = log(
        part(1, 1, "4104", id=4103),
        part(1, 1, "another program", provider="Program", channel="Application"),
        part(1, 1, "by provider", block="p", channel="ForwardedEvents"),
        part(1, 1, "by channel", block="q", provider=""),
        part(1, 1, "core", block="r", provider=CORE, channel=f"{CORE}/Operational"),
    )
    blocks_met = opened(path)
    assert [block.text for block in blocks_met] == ["by provider", "by channel", "core"]
    assert blocks_met.damaged == 0


def test_an_event_without_its_fields_has_an_empty_text(log):
    (block,) = opened(log(part(1, 1, "") | {"data": {"Other": "x"}}))
    assert block == ScriptBlock(Event("2024-01-01T00:00:01Z", "pc.example", "", ""), "", "1")


def test_a_complete_block_is_given_before_the_rest_is_read(log):
    path = log(part(1, 1, "first"), *(part(1, 1, "x" * 15_000, block=str(number)) for number in range(8)))
    damage_chunk(path, 2)
    blocks_met = opened(path)
    blocks = iter(blocks_met)
    assert next(blocks).text == "first" and blocks_met.damaged == 0
    assert len(list(blocks)) < 8 and blocks_met.damaged == 1


def test_too_much_waiting_text_pushes_out_the_oldest(log, monkeypatch):
    monkeypatch.setattr(scriptblocks, "MAX_PENDING", 2 * scriptblocks.PART_BYTES + 3_000)
    firsts = [part(1, 2, name * 1_000, block=name) for name in "0123"]
    path = log(*firsts, part(2, 2, "e", block="3"))
    blocks_met = [(block.text[0], block.missing) for block in opened(path)]
    assert blocks_met[0] == ("0", (2,)) and sorted(blocks_met) == [
        ("0", (2,)),
        ("1", (2,)),
        ("2", (2,)),
        ("3", ()),
    ]


def test_what_was_met_long_ago_is_forgotten_not_lost(log, monkeypatch):
    monkeypatch.setattr(scriptblocks, "MAX_REMEMBERED", 2)
    path = log(*(part(1, 1, "x", block=name) for name in "aabca"))
    assert [block.event.block_id for block in opened(path)] == ["a", "b", "c", "a"]


def test_damaged_records_and_chunks_are_counted_and_the_rest_is_read(log):
    parts = [part(1, 1, f"{number}" * 9_000, block=str(number)) for number in range(9)]
    path = log(*parts)
    damage_record(path, 0, 1)
    damage_chunk(path, 1)
    blocks_met = opened(path)
    assert [block.event.block_id for block in blocks_met] == ["0", "2", "6", "7", "8"]
    assert blocks_met.damaged == 2


def test_a_log_cut_between_chunks_is_noticed(log):
    path = log(*(part(1, 1, "x" * 15_000, block=str(number)) for number in range(8)))
    whole = path.read_bytes()
    assert len(whole) == HEADER + 4 * CHUNK
    path.write_bytes(whole[: HEADER + 2 * CHUNK])
    blocks_met = opened(path)
    assert len(list(blocks_met)) == 4 and blocks_met.damaged == 2
    damage(path, 42, b"\xff\xff")  # the number of chunks, which then does not match the checksum
    blocks_met = opened(path)
    assert len(list(blocks_met)) == 4 and blocks_met.damaged == 0


def test_an_open_file_is_read_and_left_open(log):
    with log(part(1, 1, "x")).open("rb") as stream:
        assert [block.text for block in ScriptBlocks(eventlogs.records(stream))] == ["x"]
        assert not stream.closed


@pytest.mark.parametrize("content", [b"", b"Elf", b"MZ" * 9_000, b"ElfFile\0", b"ElfFile\0" * 900])
def test_what_is_no_event_log_is_refused(tmp_path, content):
    path = tmp_path / "a.evtx"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"^(no Windows event log|cut off|damaged)"):
        list(opened(path))


def test_without_the_package_the_message_says_what_to_install(log, monkeypatch):
    monkeypatch.setitem(sys.modules, "evtx", None)
    with pytest.raises(SourceError, match=r"reading event logs needs: pip install '\.\[events\]'"):
        list(opened(log(part(1, 1, "x"))))


class PanicException(BaseException):
    """What a panic looks like from outside."""


@pytest.mark.parametrize("error", [PanicException, MemoryError])
def test_a_panic_costs_the_rest_of_the_chunk_and_is_counted(log, monkeypatch, error):
    chunk = log(part(1, 2, "half"), part(2, 2, "of it")).read_bytes()[HEADER:]
    fail_after_one_record(monkeypatch, error)
    damaged, records = eventlogs.parse(chunk)
    assert (
        damaged == 1 and len(records) == 1 and records[0]["Event"]["EventData"]["ScriptBlockText"] == "half"
    )


def test_an_interruption_is_no_panic(log, monkeypatch):
    chunk = log(part(1, 2, "half"), part(2, 2, "of it")).read_bytes()[HEADER:]
    fail_after_one_record(monkeypatch, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        eventlogs.parse(chunk)


def fail_after_one_record(monkeypatch, error) -> None:
    class Parser:
        def __init__(self, stream, threads):
            self.records = parser(stream, threads).records_json()

        def records_json(self):
            yield next(self.records)
            raise error("out of bounds")

    parser = sys.modules["evtx"].PyEvtxParser
    monkeypatch.setattr(sys.modules["evtx"], "PyEvtxParser", Parser)


def test_a_chunk_that_grows_without_bound_is_given_up(log, monkeypatch):
    monkeypatch.setattr(eventlogs, "MAX_REPLY", 1_000)
    damaged, records = eventlogs.parse(log(*(part(1, 1, "x" * 900) for _ in range(9))).read_bytes()[HEADER:])
    assert damaged == 1 and len(records) == 1


@pytest.mark.parametrize(
    "does",
    [
        "import time; time.sleep(600)",
        "import os; os.abort()",
        "print('xxxxno json', flush=True)",
        "from psembed.runtime.isolated import serve; serve(lambda chunk: b'no json')",
        "",
    ],
    ids=["never ends", "crashes", "prints nonsense", "answers nonsense", "ends"],
)
def test_a_parser_that_fails_costs_its_chunk_and_begins_anew(log, monkeypatch, does):
    working = eventlogs._PARSER.command
    path = log(*(part(1, 1, "x" * 15_000, block=str(number)) for number in range(6)))
    records = eventlogs.records(BytesIO(path.read_bytes()))
    eventlogs._PARSER.close()
    monkeypatch.setattr(isolated, "START_SECONDS", 0.2 if "sleep" in does else GUARD)
    monkeypatch.setattr(eventlogs._PARSER, "command", (sys.executable, "-c", does))
    assert next(records) == "a record or chunk of the log"
    monkeypatch.setattr(isolated, "START_SECONDS", GUARD)
    monkeypatch.setattr(eventlogs._PARSER, "command", working)
    assert [record["Event"]["EventData"]["ScriptBlockId"] for record in records] == list("2345")


def test_a_parser_that_fails_again_and_again_stops_the_log(log, monkeypatch):
    eventlogs._PARSER.close()
    monkeypatch.setattr(eventlogs, "MAX_LOST", 2)
    monkeypatch.setattr(eventlogs._PARSER, "command", (sys.executable, "-c", ""))
    with pytest.raises(SourceError, match=r"^damaged: 2 chunks made the parser fail"):
        list(opened(log(*(part(1, 1, "x" * 15_000, block=str(number)) for number in range(9)))))


def test_the_parser_imports_nothing_of_the_working_folder(log, monkeypatch, tmp_path):
    eventlogs._PARSER.close()
    path = log(part(1, 1, "x"))
    for name in ("evtx", "json", "struct"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert texts(path) == ["x"]


def test_a_log_cut_anywhere_gives_blocks_or_an_error(log):
    path = log(*(part(number % 3 + 1, 3, UNICODE * 60, block=str(number // 3)) for number in range(45)))
    whole = path.read_bytes()
    assert len(whole) > HEADER + 2 * CHUNK
    for cut in [*range(0, HEADER + 200, 300), *range(HEADER, len(whole), len(whole) // 50)]:
        path.write_bytes(whole[:cut])
        read_or_refused(path, expected=UNICODE)


def test_changed_bytes_give_blocks_or_an_error(log):
    path = log(*(part(number % 3 + 1, 3, UNICODE, block=str(number // 3)) for number in range(60)))
    whole, chance = path.read_bytes(), random.Random(1)
    used = HEADER + 45_000
    for _ in range(300):
        changed = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            position = chance.choice((chance.randrange(128), chance.randrange(HEADER, used)))
            changed[position] = chance.randrange(256)
        path.write_bytes(changed)
        read_or_refused(path)


def test_noise_after_the_headers_gives_blocks_or_an_error(log):
    path = log(part(1, 1, "x"))
    for seed in range(20):
        damage(path, HEADER + 512 + 24, random.Random(seed).randbytes(2_000))
        read_or_refused(path)


def read_or_refused(path, expected: str = "") -> None:
    blocks_met = opened(path)
    try:
        for block in blocks_met:
            assert isinstance(block, ScriptBlock) and len(block.text) < 2**24
            assert expected in block.text
    except SourceError as error:
        assert len(str(error)) < 400
