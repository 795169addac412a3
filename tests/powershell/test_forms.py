"""Which of the enumerated forms of obfuscation are uncovered, and that nothing wrong is where none can be."""

import itertools
import math
import time
from collections import Counter
from pathlib import Path

import forms
import pytest

from psembed.powershell.unwrap.dotnet import values
from psembed.powershell.unwrap.layers import may_run, unwrap

DOCS = Path(__file__).resolve().parents[2] / "docs" / "scoring.md"
AN_HOUR = 3_600.0
# Every form that is not named here is uncovered, with each payload that it is tried with.
NOT_UNCOVERED: dict[str, set[str]] = {
    "URL, HTML and other escapes": {"[Xml.XmlConvert]::DecodeName", "[xml]"},
    "values, functions, flow": {
        "ConvertFrom-StringData",
        "ExpandString",
        "[ref]",
        "class",
        "null-coalescing",
        "ternary",
    },
    "what operators, calls and statements mean": {
        "$PSBoundParameters",
        "ConvertFrom-Csv",
        "alias of a parameter",
        "char + number",
        "closure",
        "data section",
    },
    "codes decoded by hand": {"GUIDs", "addresses, [ipaddress]", "big number", "numbers of four bytes"},
    "every n-th character, other ways": {
        "enumerator",
        "function, recursive",
        "size, [math]",
    },
    "splitting, other ways": {"-split, block"},
    "regular expressions, other ways": {
        "(?<=\\G..)(?!$)",
        "Select-String",
        "Select-String, .Value",
        "switch -regex and $Matches",
    },
    "builders, lists and streams": {"Length set", "StringWriter", "tuple"},
    "readers of Base64, gzip and reversed text": {"reversed, Stack", "reversed, recursive"},
    "method groups and members by name": {"GetMethod", "PSObject.Methods"},
    "plain commands handed over": {
        "-Command, no quotes",
        "clipboard",
        "iex within, escaped",
        "mshta",
        "standard input",
        "standard input, $input",
        "variable of the environment",
        "variable, Get-Item",
        "variable, two",
    },
    "as public tools put them together": {"stager in a stager"},
    "constants in place": {"argument, expanded"},
}


@pytest.fixture(scope="module")
def outcomes():
    pytest.importorskip("cryptography", reason="forms with a key beside the data need it")
    return forms.outcomes()


def test_the_forms_are_many_distinct_and_the_same_every_time():
    texts = list(forms.forms())
    assert len(texts) >= 1_500
    assert texts == list(forms.forms())
    assert [form for form in texts if form.payload == form.text] == []
    names = Counter((form.family, form.name) for form in texts)
    assert max(names.values()) == forms.TEXTS_OF_A_FORM


@pytest.mark.parametrize("family", [*forms.FAMILIES, forms.IN_PLACE])
def test_a_form_is_uncovered_or_named_as_not_uncovered(family, outcomes):
    missed = {name for name, right in outcomes[family].items() if not right}
    assert missed == NOT_UNCOVERED.get(family, set())


def test_only_known_forms_are_named(outcomes):
    assert all(names <= set(outcomes[family]) for family, names in NOT_UNCOVERED.items())


def test_what_is_unknown_gives_no_wrong_layer():
    wrong = {form.name: forms.wrong_layers(form) for form in forms.forms() if form.family == forms.UNKNOWN}
    assert {name: texts for name, texts in wrong.items() if texts} == {}


def test_the_table_in_the_documentation_is_true(outcomes):
    assert forms.table(outcomes) in DOCS.read_text(encoding="utf-8")


def test_no_layer_depends_on_the_clock(monkeypatch):
    texts = [form.text for form in itertools.islice(forms.forms(), 0, None, 7)][:200]
    runs = may_run(texts)
    first = [unwrap(text, run) for text, run in zip(texts, runs, strict=True)]
    monkeypatch.setattr(values, "GUARD_SECONDS", math.inf)
    for clock in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        monkeypatch.setattr(time, clock, itertools.count(step=AN_HOUR).__next__)
    second = [unwrap(text, run) for text, run in zip(texts, runs, strict=True)]
    monkeypatch.undo()
    assert len(texts) == 200
    assert second == first
