"""Emulated attacks: which scripts they are, and what is counted of them."""

import polars as pl
import pytest

from psembed.evaluation import behaviours

LONG = "Set-MpPreference -DisableRealtimeMonitoring $true"


def scripts(*rows: tuple[str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["source", "path", "clean"], orient="row")


def test_emulations_are_of_one_source_long_enough_and_named_by_their_technique():
    red = behaviours.EMULATIONS
    told = scripts(
        (red, "atomics/T1562.001/T1562.001.md#0001", LONG),
        (red, "atomics/T1112/src/a.ps1", LONG + " # x"),
        (red, "atomics/T1112/T1112.md#0002", "whoami"),
        (red, "execution-frameworks/a.ps1", LONG),
        ("another", "atomics/T1112/T1112.md#0001", LONG),
    )
    assert behaviours.emulations(told)["technique"].to_list() == ["T1562.001", "T1112"]


def test_techniques_are_counted_most_tests_first():
    told = pl.DataFrame({"technique": ["T2", "T1", "T1", "T3"], "malicious": [1, 1, 0, 0]})
    rows = behaviours.by_technique(told).rows()
    assert rows == [("T1", 2, 0.5), ("T2", 1, 1.0), ("T3", 1, 0.0)]


def test_a_behaviour_is_counted_on_both_sides_with_exact_intervals():
    emulated = pl.DataFrame({"clean": [LONG, LONG + " ", "Get-Date"], "malicious": [1.0, 0.0, 0.0]})
    clean = pl.DataFrame({"clean": [LONG.upper(), "Get-Date"], "malicious": [0.0, 1.0]})
    table = behaviours.by_behaviour(emulated, clean)
    every, defender = table.row(0, named=True), table.row(1, named=True)
    assert (every["emulated"], every["clean"]) == (3, 2) and every["found"] == pytest.approx(1 / 3)
    assert (defender["emulated"], defender["found"], defender["clean"], defender["flagged"]) == (2, 0.5, 1, 0)
    assert defender["found_low"] == pytest.approx(0.0126, abs=1e-3)
    assert defender["flagged_high"] == pytest.approx(0.975)


def test_what_nobody_does_has_no_interval():
    table = behaviours.by_behaviour(
        pl.DataFrame({"clean": ["Get-Date"], "malicious": [0.0]}),
        pl.DataFrame({"clean": ["Get-Date"], "malicious": [0.0]}),
    )
    shadow = table.filter(behaviour="shadow copies are deleted").row(0, named=True)
    assert (shadow["emulated"], shadow["found_low"], shadow["flagged_high"]) == (0, None, None)
