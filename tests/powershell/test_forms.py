"""The enumerated forms of obfuscation: that they are many, distinct, and the same every time."""

from collections import Counter

import forms


def test_the_forms_are_many_distinct_and_the_same_every_time():
    texts = list(forms.forms())
    assert len(texts) >= 1_500
    assert texts == list(forms.forms())
    assert [form for form in texts if form.payload == form.text] == []
    names = Counter((form.family, form.name) for form in texts)
    assert max(names.values()) == forms.TEXTS_OF_A_FORM
