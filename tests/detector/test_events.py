"""Exported events are read as events, whatever tool wrote them, and what is damaged costs its record only."""

import json
import random
from io import BufferedReader, BytesIO, RawIOBase

import exported_events as ex
import pytest

from psembed.detector.reading import events
from psembed.detector.reading.events import glance, records
from psembed.detector.reading.scriptblocks import ScriptBlock, ScriptBlocks, part
from psembed.detector.verdict import Event

PARTS = [
    (1, 1, 1, "whole 'é' — <&> \U0001f600\r\n$x"),
    (2, 2, 2, " b"),
    (3, 1, 3, "x"),
    (2, 1, 2, "a"),
    (3, 3, 3, "z"),
]
JOINED = {1: PARTS[0][3], 2: "a b", 3: "xz"}
WHOLE = [(number, 1, 1, text) for number, text in JOINED.items()]
ROW = {"Id": "4104", "Message": ex.message(*WHOLE[0]), "TimeCreated": "1/1/2024 12:00:00 AM"}


def pretty(records: list) -> str:
    return "".join(f"Record {n}\n{json.dumps(record, indent=2)}\n" for n, record in enumerate(records, 1))


def blocks(content: str | bytes) -> list:
    data = content if isinstance(content, bytes) else content.encode()
    log = ScriptBlocks(records(BytesIO(data)))
    found = list(log)
    assert log.damaged == 0, log.damage
    return found


RECORDS = {
    "evtx_dump": ex.evtx_dump(PARTS),
    "xmltodict": ex.xmltodict(PARTS),
    "winlogbeat": ex.winlogbeat(PARTS),
    "ecs": ex.ecs(PARTS),
    "Get-WinEvent": ex.get_winevent(PARTS),
    "Get-WinEvent, message only": [
        dict(r, Properties=["System.Diagnostics"]) for r in ex.get_winevent(PARTS)
    ],
    "Get-WinEvent, LF": [
        dict(r, Properties=None, Message=ex.message(*p, end="\n"))
        for r, p in zip(ex.get_winevent(PARTS), PARTS, strict=True)
    ],
    "wazuh": ex.wazuh(PARTS),
    "elasticdump": [{"_index": "i", "_source": r} for r in ex.winlogbeat(PARTS)],
    "Kibana's fields": [{"fields": {k: [v] for k, v in r.items()}} for r in ex.ecs(PARTS)],
}
FORMS = {
    "lines": ex.json_lines,
    "array": json.dumps,
    "pretty array": lambda rows: json.dumps(rows, indent=4),
    "pretty records": pretty,
    "search": lambda rows: json.dumps({"took": 5, "hits": {"total": {"value": 5}, "hits": rows}}, indent=1),
    "ConvertTo-Json of Windows": lambda rows: json.dumps({"value": rows, "Count": len(rows)}),
    "Schema and Results": lambda rows: json.dumps({"Schema": [{"Name": "x"}], "Results": rows}),
}
OTHERS = {
    "Export-Csv": ex.flat_csv(ex.get_winevent(PARTS)),
    "Export-Csv of Windows PowerShell": "#TYPE EventLogRecord\r\n" + ex.flat_csv(ex.get_winevent(PARTS)),
    "Export-Csv -UseCulture": ex.flat_csv(ex.get_winevent(PARTS), delimiter=";"),
    "tabs": ex.flat_csv(ex.get_winevent(PARTS), delimiter="\t"),
    "Kibana": ex.flat_csv(ex.ecs(PARTS)),
    "CSV of few columns": ex.flat_csv(
        ex.get_winevent(PARTS), names=["TimeCreated", "Id", "MachineName", "Message"]
    ),
    "JSON in a cell": ex.flat_csv(
        [
            {"EventId": 4104, "Provider": ex.PROVIDER, "Channel": ex.CHANNEL, "Computer": ex.COMPUTER}
            | {"TimeCreated": r["Event"]["System"]["TimeCreated"]["@SystemTime"]}
            | {"Payload": json.dumps({"EventData": r["Event"]["EventData"]})}
            for r in ex.xmltodict(PARTS)
        ]
    ),
    "wevtutil": "\n".join(ex.wevtutil(PARTS)),
    "wevtutil, no line ends": "".join(ex.wevtutil(PARTS)),
    "wevtutil /e:Events": f'<?xml version="1.0"?><Events>{"".join(ex.wevtutil(PARTS))}</Events>',
    "wevtutil /f:RenderedXml": "<Events>\r\n"
    + "\r\n".join(ex.wevtutil(PARTS, rendered=True))
    + "\r\n</Events>",
    "Export-Clixml": ex.clixml(PARTS),
    "Export-Clixml, CRLF": ex.clixml(PARTS).replace("\n", "\r\n"),
}
EXPORTS = {f"{name}, {form}": write(rows) for name, rows in RECORDS.items() for form, write in FORMS.items()}
EXPORTS |= OTHERS


@pytest.mark.parametrize("name", EXPORTS)
def test_blocks_of_every_export_are_joined(name):
    found = blocks(EXPORTS[name])
    told = {int(block.event.block_id[-2:]): block.text.replace("\r\n", "\n") for block in found}
    assert told == {number: text.replace("\r\n", "\n") for number, text in JOINED.items()}
    assert {block.event.block_id[-2:]: block.missing for block in found} == {"01": (), "02": (), "03": (2,)}
    assert {block.event.time for block in found} == {ex.TIME.format(number) for number in JOINED}
    assert {(block.event.computer, block.event.script_path) for block in found} == {(ex.COMPUTER, ex.PATH)}
    assert glance(BytesIO(EXPORTS[name].encode()))[0]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "name", ["evtx_dump, lines", "Export-Csv", "wevtutil /e:Events", "Get-WinEvent, array"]
)
def test_every_encoding_of_out_file(name, encoding):
    data = EXPORTS[name].encode(encoding)
    assert [block.text for block in blocks(data)] == [block.text for block in blocks(EXPORTS[name])]
    assert glance(BytesIO(data))[0]


@pytest.mark.parametrize("write", [ex.json_lines, json.dumps, ex.flat_csv])
def test_commands_that_defender_logs(write):
    found = blocks(write(ex.defender(WHOLE)))
    assert [block.text for block in found] == list(JOINED.values())
    assert [block.record for block in found] == ["51", "52", "53"]
    assert found[0].event == Event(ex.TIME.format(1), ex.COMPUTER, "", "")
    assert glance(BytesIO(write(ex.defender(WHOLE)).encode()))[0]


@pytest.mark.parametrize(
    "record",
    [
        {"Event": {"System": {"EventID": 4688}, "EventData": {"CommandLine": "powershell"}}},
        {"Event": {"System": {"EventID": 4103}, "EventData": {"Payload": "x"}}},
        {"Event": {"System": {"EventID": 4104, "Channel": "Application"}, "EventData": {}}},
        {"Timestamp": "x", "ActionType": "ProcessCreated", "AdditionalFields": "{}"},
        {"ecs": {"version": "8"}, "message": "GET /"},
        {"EventID": 1, "ScriptBlockText": "x"},
    ],
)
def test_other_events_are_events_without_scripts(record):
    content = ex.json_lines([record])
    assert blocks(content) == [] and glance(BytesIO(content.encode())) == (True, set(record))


NONE = [
    "", "\ufeff", "[]", "{}", "[[[]]]", "Get-Service", "{ Get-Service }", "[CmdletBinding()]param($x)\n$x",
    "<# help #>", "<a><b/></a>", "id,name\n1,x\n", '{"name":"p","version":"1","id":"4104","message":"m"}',
    '[1, 2, null, "x"]', "name;message\nx;y", '{"eventId": "click"}', "#TYPE x\n", '"unclosed,\n', "\0\1\2",
    "Id,Message\n4104\n", '{"Event": {"System"', "<Event", "<Eventual>4104</Eventual>", "Record 1", "sep=,\n",
]  # fmt: skip


@pytest.mark.parametrize("content", NONE)
def test_what_is_no_export_is_none(content):
    assert glance(BytesIO(content.encode()))[0] is False


def test_messages_in_any_language_and_with_anything_in_the_script():
    guid = ex.GUID.format(7)
    for begin, end in (
        ("Der Scriptblocktext (1 von 2) wird erstellt:", f"ScriptBlock-ID: {guid}\nPfad: C:\\a (1).ps1"),
        (
            "Création du texte Scriptblock (1 sur 2) :",
            f"ID Scriptblock : {guid}\nChemin d'accès : C:\\a (1).ps1",
        ),
        (
            "正在创建 Scriptblock 文本\uff08第 1 个\uff0c共 2 个\uff09\uff1a",
            f"ScriptBlock ID: {guid}\n路径\uff1aC:\\a (1).ps1",
        ),
    ):
        for text in ("dir", "a\n\nScriptBlock ID: 0\nPath: \n\nb", "(9 of 9)\n\n\n"):
            found = part({"Id": "4104", "Message": f"{begin}\n{text}\n\n{end}"})
            assert (found.number, found.total, found.text) == (1, 2, text)
            assert found.event == Event("", "", "C:\\a (1).ps1", guid)


def test_a_message_that_is_cut_off_is_taken_as_it_is():
    found = part(
        {"Id": 4104, "ProviderName": ex.PROVIDER, "Message": "Creating Scriptblock text (1 of 1):\r\niex"}
    )
    assert found == ScriptBlock(
        Event("", "", "", ""), "Creating Scriptblock text (1 of 1):\r\niex", "", total=0
    )


DATA = {"MessageNumber": 1, "MessageTotal": 1, "ScriptBlockText": "dir", "ScriptBlockId": ex.GUID.format(1)}
MESSAGE = ex.message(1, 1, 1, "dir")


@pytest.mark.parametrize(
    "record",
    [
        {
            "System": {"EventID": {"Value": 4104}, "Computer": "pc", "TimeCreated": {"SystemTime": 1.5}},
            "EventData": DATA,
        },
        {"EventID": 4104, "SourceName": ex.PROVIDER, "Hostname": "pc", "EventTime": "1.5", **DATA},
        {"result": {"EventCode": "4104", "ComputerName": "pc", "Message": MESSAGE, "_time": "1.5"}},
        {"EventID": 4104, "Computer": "pc", "TimeGenerated": "1.5", "RenderedDescription": MESSAGE},
        {
            "ScriptBlockText": "dir",
            "ScriptBlockId": ex.GUID.format(1),
            "MachineName": "pc",
            "TimeCreated": "1.5",
        },
        {
            "Event": {
                "System": {"EventID": 4104, "Computer": "pc", "TimeCreated": "1.5"},
                "EventData": {
                    "Data": [{"#attributes": {"Name": name}, "#text": text} for name, text in DATA.items()]
                },
            }
        },
        {
            "timestamp": "1.5",
            "document": {"Event": {"System": {"EventID": 4104, "Computer": "pc"}, "EventData": DATA}},
        },
    ],
    ids=["Velociraptor", "NXLog", "Splunk", "Log Analytics", "Select-Object", "attributes", "Chainsaw"],
)
def test_records_of_other_tools(record):
    for content in (ex.json_lines([record]), json.dumps({"results": [record]}, indent=2)):
        (block,) = blocks(content)
        assert (block.text, block.event.block_id[-1]) == ("dir", "1")
        assert (block.event.time, block.event.computer) == ("1.5", "pc")
        assert glance(BytesIO(content.encode()))[0]


@pytest.mark.parametrize(
    ("time", "iso"),
    [
        ("/Date(1704067200123)/", "2024-01-01T00:00:00.123000+00:00"),
        ("2024-01-01T00:00:01.5Z", "2024-01-01T00:00:01.5Z"),
        ("1/1/2024 12:00:00 AM", "1/1/2024 12:00:00 AM"),
        ("/Date(99999999999999)/", "5138-11-16T09:46:39.999000+00:00"),
        ({"value": "/Date(0)/", "DisplayHint": 2, "DateTime": "x"}, "1970-01-01T00:00:00+00:00"),
        (None, ""),
    ],
)
def test_times_of_every_form(time, iso):
    assert part(ROW | {"TimeCreated": time}).event.time == iso


def damage(content: str | bytes) -> tuple[list[str], int, str]:
    log = ScriptBlocks(records(BytesIO(content if isinstance(content, bytes) else content.encode())))
    return [block.text for block in log], log.damaged, log.damage


def test_a_damaged_line_of_json_costs_its_record():
    lines = ex.json_lines(ex.evtx_dump([(n, 1, 1, str(n)) for n in range(5)])).splitlines(keepends=True)
    lines[1], lines[3] = lines[1][:90] + "\n", "{" + lines[3]
    assert damage("".join(lines)) == (["0", "2", "4"], 2, "record 2: Invalid control character at")
    assert damage("".join(lines[::2])[:-20])[1:] == (1, "record 3: it is cut off")


def test_a_damaged_record_of_an_array_costs_itself():
    content = json.dumps(ex.evtx_dump([(n, 1, 1, str(n)) for n in range(5)]), indent=2)
    content = content.replace('"MessageNumber": 1', '"MessageNumber": ?', 1)
    assert damage(content)[:2] == (["1", "2", "3", "4"], 1)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ('{"EventID":4104,"ScriptBlockText":"iex","ScriptBlockText":"dir"}', "a key comes twice"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ('{"Timestamp":"x","ActionType":"PowerShellCommand","AdditionalFields":"{cut"}', "its AdditionalF"),
    ],
)  # fmt: skip
def test_hostile_json_is_told_and_the_rest_is_read(record, why):
    if "[[" in record:
        record = '{"a":' + record
    found, count, told = damage(record + "\n" + ex.json_lines(ex.evtx_dump(WHOLE)))
    assert found == list(JOINED.values()) and count == 1 and told.startswith(f"record 1: {why}")


def test_what_is_no_object_is_passed_over():
    assert damage("[7, null, [true],\n" + ex.json_lines(ex.evtx_dump(WHOLE))) == (
        list(JOINED.values()),
        0,
        "",
    )


@pytest.mark.parametrize("form", ["search", "Schema and Results", "ConvertTo-Json of Windows"])
@pytest.mark.parametrize("kind", [ex.ecs, ex.evtx_dump, ex.xmltodict, ex.get_winevent])
def test_a_search_s_answer_of_any_size_is_read_event_by_event(form, kind, monkeypatch):
    monkeypatch.setattr(events, "MAX_RECORD", 70_000)
    monkeypatch.setattr(events, "HEAD_BYTES", 150_000)
    many = [(number % 90, 1, 1, f"{number} " + "x" * number) for number in range(1, 400)]
    content = FORMS[form](kind(many)) + "\n" + ex.json_lines(ex.evtx_dump(WHOLE[:1]))
    assert [block.text for block in blocks(content)] == [*(part[3] for part in many), JOINED[1]]
    assert glance(BytesIO(content.encode()))[0]


def test_huge_numbers_are_no_numbers():
    record = '{"EventID":4104,"MessageNumber":%s,"MessageTotal":1e999,"ScriptBlockText":NaN}' % ("9" * 9_999)
    (block,) = blocks(record)
    assert block.text == "NaN" and block.total == 1


def test_a_record_that_is_too_large_costs_itself(monkeypatch):
    monkeypatch.setattr(events, "MAX_RECORD", 300_000)
    large = [*ex.evtx_dump([(8, 1, 1, "x" * 400_000)]), *ex.evtx_dump(WHOLE)]
    for content in (ex.json_lines(large), json.dumps(large, indent=2)):
        assert damage(content) == (list(JOINED.values()), 1, f"record 1: {events.TOO_LARGE}")
    content = "".join(ex.wevtutil([(8, 1, 1, "x" * 400_000), *WHOLE]))
    assert damage(content)[1:] == (1, f"record 1: {events.TOO_LARGE}")
    rows = [dict(ROW, Message="x" * 400_000), ROW]
    assert damage(ex.flat_csv(rows))[2].startswith("record 1: field larger than field limit (300000)")


def test_a_damaged_element_costs_itself_and_entities_are_refused():
    listed = ex.wevtutil([(n, 1, 1, str(n)) for n in range(4)])
    listed[1] = listed[1].replace("</System>", "")
    listed[2] = listed[2].replace(">2<", ">&bomb;<")
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY bomb "&a;&a;">]><Events>'
    assert damage(bomb + "".join(listed) + "<Event><Sys")[:2] == (["0", "3"], 3)
    inside = listed[0].replace("<System>", '<!DOCTYPE x [<!ENTITY a "b">]><System>')
    assert damage(inside)[:2] == ([], 1)


def test_characters_that_xml_lacks_are_replaced():
    content = ex.wevtutil([(1, 1, 1, "a@b")])[0]
    for code in ("\x1b", "&#x1B;", "&#27;", "&#0;", "&#xD800;", "\uffff"):
        assert damage(content.replace("@", code)) == (["a\ufffdb"], 0, "")
    assert damage(content.replace("@", "&#9;&#x41;&#10;")) == (["a\tA\nb"], 0, "")


def test_rows_of_another_length_are_told():
    content = ex.flat_csv([ROW, ROW | {"Message": ex.message(9, 1, 1, "nine")}])
    assert damage(content + '"4104","cut\r\n') == ([WHOLE[0][3], "nine"], 1, "record 3: 2 cells, not 3")
    assert damage(content + "x,y,z,4\n")[1] == 1


def test_codes_of_clixml():
    content = ex.clixml([(1, 1, 1, "a@b")])
    assert damage(content.replace("@", "_xD83D__xDE00__x005F_x0041_")) == (["a\U0001f600_x0041_b"], 0, "")


class Endless(RawIOBase):
    """A file of events without an end."""

    def __init__(self):
        self.made, self.left = 0, b""

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=0):
        self.made, self.left = 0, b""
        return 0

    def readinto(self, buffer):
        if not self.left:
            self.left = ex.json_lines(ex.evtx_dump([(1, 1, 1, f"{self.made}")])).encode()
            self.made += 1
        given, self.left = self.left[: len(buffer)], self.left[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)


def test_events_are_given_before_the_rest_is_read():
    raw = Endless()
    found = iter(ScriptBlocks(records(BufferedReader(raw))))
    assert [next(found).text for _ in range(300)] == [str(number) for number in range(300)]
    assert raw.made < 1_000
    assert glance(BufferedReader(raw))[0] and raw.made == 0


def test_changed_bytes_give_blocks_or_damage():
    chance = random.Random(1)
    contents = [EXPORTS[name].encode() for name in random.Random(2).sample(sorted(EXPORTS), 12)]
    contents += [OTHERS[name].encode("utf-16") for name in ("Export-Csv", "wevtutil", "Export-Clixml")]
    for _ in range(400):
        changed = bytearray(chance.choice(contents))
        for _ in range(chance.choice((1, 3, 30))):
            changed[chance.randrange(len(changed))] = chance.choice(b'{}[]",\\<>&;\0\xff\n1')
        found, count, told = damage(bytes(changed[: chance.choice((None, 1_000, 3_000))]))
        assert len(found) < 30 and count < 1_000 and (told == "") == (count == 0)
        glance(BytesIO(changed))


MILLION = 10**6
MUCH = [
    "[" * MILLION, '{"a":[' * 10**5, "<Event>" * 10**5, "<Event " + "a" * MILLION, '"' * MILLION,
    '"' + "a," * MILLION, "Record 1" * 10**5, "<" * MILLION, "{" * MILLION, "\n{" * 10**4, " " * MILLION,
    '{"x":"' + "\\" * MILLION, "\n\n" * MILLION, '{"Message":"' + "\\n\\n" * MILLION + '"}', "," * MILLION,
    '{"EventID":4104,"x":[' + "{}," * 10**5 + "null]}", "(1 of 1)" * 10**5, "(" * MILLION,
    "(1" * MILLION, "\uff08 " * MILLION,
    "<Event>" + "<a/>" * 10**5 + "</Event>",
]  # fmt: skip


@pytest.mark.parametrize("content", MUCH)
def test_what_looks_like_much_work_is_little(content):
    list(records(BytesIO(content.encode())))
    glance(BytesIO(content.encode()))
    part({"Id": "4104", "Message": content})


def test_many_fields_and_deep_ones_are_passed_over(monkeypatch):
    deep: dict = {}
    for _ in range(500):
        deep = {"a": deep, "b": [[[deep]]]} if not deep else {"a": deep}
    assert part({"x": deep} | ROW).number == 1
    wide = {f"k{number}": number for number in range(50_000)}
    assert part(ROW | wide).number == 1
