"""Wrapped scripts: each comes back out of every spelling of every wrapper, and a detector reads it."""

import pytest

import psembed
from psembed.datasets import wrapping
from psembed.powershell.cleaning import clean
from psembed.powershell.unwrap.reading import readings
from psembed.runtime.errors import ParameterError

SCRIPTS = [
    "Get-Service | Where-Object { $_.Status -eq 'Running' } | Out-Host",
    "function Get-Size([string]$Path) {\n    (Get-ChildItem $Path).Count  # files\n}\n"
    "Write-Output \"it's $(Get-Size '.') {0} files\"\n",
    "Write-Output 'gr\u00fcn \u2019 na\u00efve \U0001f600 \u0416' | Out-Host",
    "# a header\r\n" + "$total += 1 # <KEY> <UTF8>\r\n" * 300,
]
SPELLINGS = [(name, number) for name, known in wrapping.WRAPPERS.items() for number in range(len(known))]
SHOWN = ("concatenation", "format_operator")  # these show pieces of the script


@pytest.fixture
def spelled(monkeypatch):
    """Wrap in one spelling, whatever the seed draws; it draws other words."""

    def wrap(name, number, script, seed):
        monkeypatch.setitem(wrapping.WRAPPERS, name, [wrapping.WRAPPERS[name][number]])
        text = wrapping.wrap(name, script, seed=seed)
        monkeypatch.undo()
        return text

    return wrap


@pytest.mark.parametrize(("name", "number"), SPELLINGS)
def test_the_script_comes_back_out_of_every_spelling_and_is_read(spelled, name, number):
    for script in SCRIPTS:
        texts = sorted({spelled(name, number, script, seed) for seed in range(4)})
        for text, read in zip(texts, readings(texts), strict=True):
            assert script not in text and (name in SHOWN or script[:20] not in text)
            assert script.strip() in {layer.text.strip() for layer in psembed.unwrap(text).layers}, text[:200]
            assert clean(script) in read and read.startswith(clean(text)[:20])


@pytest.mark.parametrize("name", wrapping.WRAPPERS)
def test_the_longest_script_that_is_wrapped_comes_back_out(name):
    lines = "".join(f"Write-Output 'line {number} of it'\n" for number in range(1_000))
    script = lines[: wrapping.LONGEST - 1] + "\n"
    layers, cut = psembed.unwrap(wrapping.wrap(name, script, seed=1))
    assert script.strip() in {layer.text.strip() for layer in layers} and cut == ""


@pytest.mark.parametrize("name", wrapping.WRAPPERS)
def test_the_same_call_gives_the_same_text_and_every_spelling_is_drawn(name):
    texts = [[wrapping.wrap(name, script, seed=seed) for seed in range(40)] for script in SCRIPTS[:2]]
    assert texts == [[wrapping.wrap(name, script, seed=seed) for seed in range(40)] for script in SCRIPTS[:2]]
    starts = {known.split("<")[0] for known in wrapping.WRAPPERS[name]}
    assert {start for start in starts for text in texts[0] if text.startswith(start)} == starts
    assert not any("<" in text.replace("<#", "") for text in texts[0])


def test_some_wrappers_are_held_out():
    assert set() < set(wrapping.HELD_OUT) < set(wrapping.WRAPPERS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("zip", SCRIPTS[0]),
        ("gzip", "x" * (wrapping.SHORTEST - 1)),
        ("gzip", "x" * (wrapping.LONGEST + 1)),
    ],
)
def test_what_cannot_be_wrapped_is_refused(name, text):
    with pytest.raises(ParameterError, match="expected"):
        wrapping.wrap(name, text, seed=1)
