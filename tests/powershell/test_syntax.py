"""Our token boundaries against a real parser's."""

import time

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


def _die(text):
    """Stand in for the parser: die of one text, hang over another."""
    if text == "die":
        raise MemoryError
    if text == "hang":
        time.sleep(600)
    return [("word", (0, len(text)))]


def _parse_badly(pipe):
    syntax._leaf_spans = _die
    syntax._parse_forever(pipe)


def test_a_script_the_parser_dies_of_or_hangs_over_is_counted_and_the_rest_goes_on(monkeypatch):
    parse = syntax._parse_forever

    def start():
        monkeypatch.setattr(syntax, "_parse_forever", _parse_badly)
        try:
            return real()
        finally:
            monkeypatch.setattr(syntax, "_parse_forever", parse)

    def texts():
        yield from ("one", "die", "two")
        with monkeypatch.context() as impatient:
            impatient.setattr(syntax, "SECONDS", 0.2)
            yield "hang"
        yield "three"

    real = syntax._start
    monkeypatch.setattr(syntax, "_start", start)
    report = syntax.agreement(texts())
    assert (report["scripts"], report["unparsed"], report["tokens"]) == (3, 2, 3)
    assert report["leaf_boundaries_shared"] == 1.0
