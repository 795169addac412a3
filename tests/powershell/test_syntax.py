"""Our token boundaries against a real parser's."""

import sys

import pytest

from psembed.powershell import syntax

pytest.importorskip("tree_sitter_powershell")


def test_agreement_with_the_grammar():
    report = syntax.agreement(["'\u00e4 b'; Get-Item $x -Force | % { $_.Name }\n", ""])
    rows = {row["type"]: row for row in report["by_type"]}
    assert (report["scripts"], report["tokens"]) == (2, 15)
    assert report["leaf_boundaries_shared"] == 1.0
    assert report["token_boundaries_shared"] < 1.0
    assert rows["command_parameter"]["exact"] == rows["variable"]["exact"] == 1.0
    assert rows["verbatim_string_characters"]["exact"] == 0.0
    assert report["leaves"] == sum(row["leaves"] for row in report["by_type"])


def test_agreement_of_nothing():
    assert syntax.agreement([])["leaf_boundaries_shared"] == 0.0


BAD_PARSER = """
import time
from psembed.powershell import syntax

def leaf_spans(text):
    if text == "die":
        raise MemoryError
    if text == "hang":
        time.sleep(600)
    return [("word", 0, len(text))]

syntax.leaf_spans = leaf_spans
syntax.answer_texts()
"""


def test_a_script_the_parser_dies_of_or_hangs_over_is_counted_and_the_rest_goes_on(monkeypatch):
    def texts():
        yield from ("one", "die", "two")
        with monkeypatch.context() as impatient:
            impatient.setattr(syntax, "SECONDS", 0.2)
            yield "hang"
        yield "three"

    monkeypatch.setattr(syntax, "PARSER", (sys.executable, "-c", BAD_PARSER))
    report = syntax.agreement(texts())
    assert (report["scripts"], report["unparsed"], report["tokens"]) == (3, 2, 3)
    assert report["leaf_boundaries_shared"] == 1.0
