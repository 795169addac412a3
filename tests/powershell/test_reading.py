"""What a detector reads of a script: its clean text and after it that of its layers."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.powershell.cleaning import clean
from psembed.powershell.unwrap.layers import unwrap
from psembed.powershell.unwrap.reading import joined, readings, without_data
from psembed.runtime import workers


def encoded(script):
    return base64.b64encode(script.encode("utf-16-le")).decode()


def test_layers_follow_the_script_outermost_first_and_all_are_clean():
    inner = "Write-Output  'inert probe' # a remark"
    outer = f"powershell -enc {encoded(inner)} # another"
    line = f"pwsh -ec {encoded(outer)}"
    assert readings([line]) == [f"{line}\n{clean(outer)}\nWrite-Output 'inert probe'"]


@pytest.mark.parametrize("text", ["", "# a remark", "Get-Date  # now", "\ud800", "iex $unknown"])
def test_a_script_without_layers_is_its_clean_text(text):
    assert readings([text]) == [clean(text)]


def test_empty_texts_leave_no_line():
    assert joined(["", "a", "", "b", ""]) == "a\nb" and joined([]) == joined([""]) == ""


def test_many_scripts_keep_their_order(monkeypatch):
    monkeypatch.setattr(workers, "ROWS", 3)
    texts = [f"iex ('Write-Output ' + '{number}')" for number in range(20)] + ["dir"] * 2
    found = readings(texts)
    assert found == [joined(clean(layer.text) for layer in unwrap(text).layers) for text in texts]
    assert found[7].endswith("\nWrite-Output 7") and readings([]) == []


@given(st.text(max_size=60))
def test_what_is_read_begins_with_the_clean_text(text):
    assert readings([text])[0].startswith(clean(text))


def test_what_a_script_does_beside_its_data_is_left():
    data = encoded("Get-Service | Format-Table")
    assert (
        without_data(f"bitsadmin /transfer j; powershell -enc {data}")
        == "bitsadmin /transfer j; powershell -enc "
    )
    assert without_data("Get-Date; " + "A" * 39) == "Get-Date; " + "A" * 39  # words may be as long
    assert without_data(data) == without_data("") == ""
