"""Script-block events as the tools that export them write them; each writer takes (number, total, text)."""

import csv
import io
import json
from xml.sax.saxutils import escape, quoteattr

GUID = "4f0d5b8e-0000-4000-8000-0000000000{:02d}"
TIME, COMPUTER, PATH = "2024-01-01T00:00:{:02d}.000Z", "pc.example", "C:\\s\\é.ps1"
PROVIDER = "Microsoft-Windows-PowerShell"
CHANNEL = f"{PROVIDER}/Operational"
Parts = list[tuple[int, int, int, str]]  # number of the block, of the part, of parts, text


def _data(block: int, number: int, total: int, text: str, *, kind=int) -> dict:
    return {
        "MessageNumber": kind(number),
        "MessageTotal": kind(total),
        "ScriptBlockText": text,
        "ScriptBlockId": GUID.format(block),
        "Path": PATH,
    }


def evtx_dump(parts: Parts) -> list[dict]:
    """Return what the Rust tool writes: attributes apart, fields by their names."""
    return [
        {
            "Event": {
                "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
                "System": {
                    "Provider": {"#attributes": {"Name": PROVIDER, "Guid": "A0C1853B"}},
                    "EventID": {"#text": 4104, "#attributes": {"Qualifiers": ""}} if part[1] % 2 else 4104,
                    "TimeCreated": {"#attributes": {"SystemTime": TIME.format(part[0])}},
                    "EventRecordID": 100 + place,
                    "Channel": CHANNEL,
                    "Computer": COMPUTER,
                },
                "EventData": _data(*part),
            }
        }
        for place, part in enumerate(parts)
    ]


def xmltodict(parts: Parts) -> list[dict]:
    """Return what converters of XML make: fields as a list of named elements, everything a text."""
    return [
        {
            "Event": {
                "System": {
                    "Provider": {"@Name": PROVIDER},
                    "EventID": "4104",
                    "TimeCreated": {"@SystemTime": TIME.format(part[0])},
                    "Channel": CHANNEL,
                    "Computer": COMPUTER,
                },
                "EventData": {
                    "Data": [{"@Name": name, "#text": text} for name, text in _data(*part, kind=str).items()]
                },
            }
        }
        for part in parts
    ]


def winlogbeat(parts: Parts) -> list[dict]:
    """Return documents as Winlogbeat ships them without its PowerShell module."""
    return [
        {
            "@timestamp": TIME.format(part[0]),
            "ecs": {"version": "8.0.0"},
            "agent": {"id": "x", "name": "y"},
            "log": {"level": "verbose"},
            "event": {"code": "4104", "provider": PROVIDER, "created": "2025-01-01T00:00:00Z"},
            "host": {"name": "other.example"},
            "message": "Creating Scriptblock text",
            "winlog": {
                "event_id": 4104,
                "provider_name": PROVIDER,
                "channel": CHANNEL,
                "computer_name": COMPUTER,
                "record_id": 7,
                "event_data": _data(*part, kind=str),
            },
        }
        for part in parts
    ]


def ecs(parts: Parts) -> list[dict]:
    """Return documents as Elastic's PowerShell integration makes them, with dotted names."""
    return [
        {
            "@timestamp": TIME.format(block),
            "ecs.version": "8.0.0",
            "cloud.provider": "azure",
            "event.code": "4104",
            "event.provider": PROVIDER,
            "log.file.path": "not this one",
            "file.path": PATH,
            "host.name": COMPUTER,
            "winlog.provider_name": PROVIDER,
            "powershell.sequence": number,
            "powershell.total": total,
            "powershell.file.script_block_id": GUID.format(block),
            "powershell.file.script_block_text": text,
        }
        for block, number, total, text in parts
    ]


def message(block: int, number: int, total: int, text: str, end: str = "\r\n") -> str:
    """Return a rendered message of Windows."""
    lines = (
        f"Creating Scriptblock text ({number} of {total}):",
        text,
        "",
        f"ScriptBlock ID: {GUID.format(block)}",
    )
    return end.join((*lines, f"Path: {PATH}"))


def get_winevent(parts: Parts, **changes) -> list[dict]:
    """Return what ConvertTo-Json makes of Get-WinEvent."""
    return [
        {
            "Id": 4104,
            "Version": 1,
            "Qualifiers": None,
            "Level": 5,
            "ProviderName": PROVIDER,
            "LogName": CHANNEL,
            "ProcessId": 1,
            "MachineName": COMPUTER,
            "TimeCreated": TIME.format(part[0]),
            "RecordId": 5,
            "Message": message(*part),
            "Properties": [{"Value": value} for value in _data(*part).values()],
        }
        | changes
        for part in parts
    ]


def defender(parts: Parts) -> list[dict]:
    """Return rows of DeviceEvents: whole commands, as Defender logs no parts."""
    return [
        {
            "Timestamp": TIME.format(block),
            "DeviceId": "x",
            "DeviceName": COMPUTER,
            "ActionType": "PowerShellCommand" if block % 2 else "ScriptContent",
            "FileName": "powershell.exe",
            "FolderPath": "C:\\Windows",
            "InitiatingProcessCommandLine": "powershell.exe",
            "AdditionalFields": json.dumps({"Command" if block % 2 else "ScriptContent": text}),
            "ReportId": 50 + block,
        }
        for block, _, _, text in parts
    ]


def wazuh(parts: Parts) -> list[dict]:
    """Return alerts of Wazuh: names in camel case."""
    return [
        {
            "win": {
                "system": {
                    "providerName": PROVIDER,
                    "eventID": "4104",
                    "systemTime": TIME.format(part[0]),
                    "channel": CHANNEL,
                    "computer": COMPUTER,
                },
                "eventdata": {
                    name[0].lower() + name[1:]: text for name, text in _data(*part, kind=str).items()
                },
            }
        }
        for part in parts
    ]


def json_lines(records: list) -> str:
    """Return a record a line."""
    return "".join(json.dumps(record) + "\n" for record in records)


def flat_csv(records: list[dict], *, delimiter: str = ",", names: list[str] | None = None) -> str:
    """Return records as CSV, every cell in quotes as Export-Csv writes it."""
    stream = io.StringIO()
    writer = csv.DictWriter(
        stream, names or list(records[0]), delimiter=delimiter, quoting=csv.QUOTE_ALL, extrasaction="ignore"
    )
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def wevtutil(parts: Parts, *, rendered: bool = False) -> list[str]:
    """Return events as wevtutil and ToXml write them."""
    events = []
    for part in parts:
        fields = "".join(
            f"<Data Name={quoteattr(name)}>{escape(str(value))}</Data>"
            for name, value in _data(*part).items()
        )
        told = "<RenderingInfo Culture='en-US'><Message>m</Message><Provider>none</Provider></RenderingInfo>"
        events.append(
            "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
            f"<Provider Name='{PROVIDER}' Guid='{{a0c1853b}}'/><EventID>4104</EventID>"
            f"<TimeCreated SystemTime='{TIME.format(part[0])}'/><EventRecordID>9</EventRecordID>"
            f"<Channel>{CHANNEL}</Channel><Computer>{COMPUTER}</Computer></System>"
            f"<EventData>{fields}</EventData>{told * rendered}</Event>"
        )
    return events


def clixml(parts: Parts) -> str:
    """Return events as Export-Clixml writes them: names as attributes, line ends as codes."""
    objects = []
    for place, part in enumerate(parts):
        text = escape(message(*part)).replace("\r", "_x000D_").replace("\n", "_x000A_")
        objects.append(
            f'  <Obj RefId="{place}">\n    <TN RefId="0">\n      <T>EventLogRecord</T>\n    </TN>\n'
            '    <ToString>EventLogRecord</ToString>\n    <Props>\n      <I32 N="Id">4104</I32>\n'
            f'      <S N="ProviderName">{PROVIDER}</S>\n      <S N="LogName">{CHANNEL}</S>\n'
            f'      <S N="MachineName">{COMPUTER}</S>\n'
            f'      <DT N="TimeCreated">{TIME.format(part[0])}</DT>\n'
            f'      <Obj N="Bookmark" RefId="9{place}">\n        <ToString>b</ToString>\n      </Obj>\n'
            f'    </Props>\n    <MS>\n      <S N="Message">{text}</S>\n    </MS>\n  </Obj>\n'
        )
    namespace = "http://schemas.microsoft.com/powershell/2004/04"
    return f'<Objs Version="1.1.0.1" xmlns="{namespace}">\n{"".join(objects)}</Objs>'
