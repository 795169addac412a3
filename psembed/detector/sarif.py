"""SARIF 2.1.0 as GitHub's code scanning takes it: a result for each malicious script.

Locations are of files, relative to the working folder (%SRCROOT%) where they are below it. What lies within a
file, such as a row or a script block, is a logical location: its lines are none of the file's.
"""

import json
import os
import tomllib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from psembed.detector.verdict import Region, Verdict
from psembed.runtime.isolated import printable
from psembed.runtime.provenance import __version__

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "%SRCROOT%"  # the name that code scanners know
RULE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
REGION = ("startLine", "startColumn", "endLine", "endColumn")
WHOLE = Region(1, 1, 1, 1, "")  # of a file in which lines say nothing


def write_sarif(verdicts: Iterable[Verdict], stream: TextIO) -> None:
    """Write a result for each malicious script, a notification for each that was not scored."""
    results, unread = [], []
    for verdict in verdicts:
        if verdict.malicious:
            results.append(_result(verdict))
        elif verdict.score is None:
            level, text = "note" if verdict.skipped else "warning", f"not scored: {verdict.reason}"
            unread.append({"level": level, "message": {"text": text}, "locations": [_location(verdict)]})
    folder = {"uri": _folder_uri()}
    run = {
        "tool": {"driver": {"name": "psembed", "version": __version__, "rules": [RULE]}},
        "invocations": [
            {"executionSuccessful": True, "workingDirectory": folder, "toolExecutionNotifications": unread}
        ],
        "originalUriBaseIds": {ROOT: folder},
        "columnKind": "utf16CodeUnits",
        "results": results,
    }
    json.dump({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, stream, indent=1)
    stream.write("\n")


def _result(verdict: Verdict) -> dict:
    number, region = verdict.layer or 0, verdict.region or WHOLE
    where = f"layer {number}, {verdict.layers[number].how}" if number else "the script itself"
    within = f"; line {region.start_line} of {printable(verdict.part)}" if verdict.part else ""
    hashes = {"primaryLocationLineHash": region.line_hash} if region.line_hash else {}
    reason = {"justification": verdict.accepted} if verdict.accepted else {}
    accepted = {"kind": "external", "status": "accepted"} | reason
    return {
        "ruleId": RULE["id"],
        "ruleIndex": 0,
        "level": "error",
        "message": {"text": f"score {verdict.score:.6f}, by {where}{within}"},
        "locations": [_location(verdict, WHOLE if verdict.part else region)],
        "partialFingerprints": hashes | {"sha256": verdict.sha256},
        "suppressions": [] if verdict.accepted is None else [accepted],
        "properties": {"score": verdict.score, "layers": [asdict(layer) for layer in verdict.layers]},
    }


def _location(verdict: Verdict, region: Region | None = None) -> dict:
    """Return where a verdict belongs: a file, a region of it where that is known, and what lies within."""
    path = verdict.name.removesuffix(f":{verdict.part}") if verdict.part else verdict.name
    physical: dict = {"artifactLocation": artifact(path)}
    if region:
        physical["region"] = dict(zip(REGION, region, strict=False))
    if not verdict.part:
        return {"physicalLocation": physical}
    within = {
        "name": printable(verdict.part),
        "fullyQualifiedName": printable(verdict.name),
        "kind": "row" if verdict.event.block_id is None else "script block",
    }
    return {"physicalLocation": physical, "logicalLocations": [within]}


def artifact(path: str) -> dict:
    """Return the artifactLocation of a file: relative to ROOT where it is below, else a file:// URI.

    What a URI cannot hold is percent-encoded by its bytes: back-slashes too, where they are part of a name.
    """
    if path == "-":
        return {"uri": path, "description": {"text": "standard input"}}
    uri, root = Path(os.path.abspath(path)).as_uri(), _folder_uri()
    return {"uri": uri.removeprefix(root), "uriBaseId": ROOT} if uri.startswith(root) else {"uri": uri}


def _folder_uri() -> str:
    return Path.cwd().as_uri().removesuffix("/") + "/"
