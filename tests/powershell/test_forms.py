"""Which of the enumerated forms of obfuscation are uncovered, and that nothing wrong is where none can be."""

import itertools
import math
from collections import Counter
from pathlib import Path

import forms
import pytest

from psembed.powershell.unwrap import values
from psembed.powershell.unwrap.layers import may_run, unwrap

DOCS = Path(__file__).resolve().parents[2] / "docs" / "scoring.md"
AN_HOUR = 3_600.0
# Every form that is not named here is uncovered, with each payload that it is tried with.
NOT_UNCOVERED: dict[str, set[str]] = {}


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
    monkeypatch.setattr(values.time, "monotonic", itertools.count(step=AN_HOUR).__next__)
    assert [unwrap(text, run) for text, run in zip(texts, runs, strict=True)] == first
