"""A region is where what decides stands in the script as it is, and its hash is the one that GitHub has."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.detector import regions
from psembed.detector.verdict import LayerScore, Verdict
from psembed.powershell import cleaning
from psembed.powershell.encoding import ends
from psembed.powershell.unwrap.reading import joined

EVIL = "Invoke-Evil http://bad.example.test/payload"
HEAD = "Get-Service | Where-Object { $_.Status -eq 'Running' }"
TAIL = "foreach ($name in Get-Content names.txt) { Write-Output $name }"
PAYLOAD = "Write-Output inert-probe-4711 | Out-Null"


class Planted:
    """A detector whose log-odds gain 5 by one planted word; it reads `length` characters of a text."""

    def __init__(self, length):
        self.length = length

    def view(self, clean):
        return ends(clean, self.length, between=" ")

    def score_clean(self, texts):
        odds = [1.0 + 5.0 * ("Invoke-Evil" in text) for text in texts]
        return (1 / (1 + np.exp(-np.array(odds)))).astype(np.float32)


def found(script, *, view=2**20, encoding="utf-8", layers=(), layer=0):
    """The region of a script, where `layers` are (how, parent, text) of what was uncovered in it."""
    texts = [script, *(text for _, _, text in layers)]
    scores = [LayerScore("script", -1, 0, len(script), 0.9)]
    scores += [LayerScore(how, parent, 1, len(text), 0.9) for how, parent, text in layers]
    detector = Planted(view)
    read = detector.view(joined(map(cleaning.clean, texts)))
    verdict = Verdict("a.ps1", "00", encoding, 0.9, True, layer, tuple(scores), read, texts=tuple(texts))
    return regions.deciding_region(detector, verdict)


def shown(script, region):
    """What a viewer that counts columns in UTF-16 code units marks, in lines."""
    lines = script.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    marked = lines[region.start_line - 1 : region.end_line]
    units = [line.encode("utf-16-le") for line in marked]
    units[-1] = units[-1][: 2 * (region.end_column - 1)]
    units[0] = units[0][2 * (region.start_column - 1) :]
    return "\n".join(unit.decode("utf-16-le") for unit in units)


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("", 1),
        (f"{HEAD}\n", 2),
        (f"{HEAD}\r\n\r\n\t", 3),
        (f"{HEAD}\r  ", 2),
        (f"# Invoke-Evil is what this is not\n<# nor\n  Invoke-Evil #>\n{HEAD}; ", 4),
        (f"# a comment\r\n{HEAD} # and another\r\n", 3),
        (f"'\U0001f600\u00e9 # no comment'; {HEAD}; ", 1),
        (f'@"\n  # text\n"@ | Out-Null\n{HEAD}\n    ', 5),
        (f"{HEAD}\n" * 40, 41),
    ],
)
def test_the_strongest_piece_is_found_in_the_script_as_it_is(before, line):
    script = f"{before}{EVIL}\n{TAIL}\n"
    region = found(script)
    assert region.start_line == line
    assert "Invoke-Evil" in shown(script, region)
    assert len(shown(script, region)) < len(EVIL) + 200


@pytest.mark.parametrize("line", [1, 60, 940, 1000])
def test_of_a_long_script_head_and_tail_are_found(line):
    """Of it the network reads so little that what is in the middle is in no piece."""
    lines = [f"$x{number} = Get-Date # a comment that is not read" for number in range(1000)]
    lines[line - 1] = EVIL
    region = found("\r\n".join(lines), view=8_000)
    assert region.start_line <= line <= region.end_line <= region.start_line + 40


@given(st.text(st.sampled_from("ab \t\n\r#<>'\"@`$();\ufeff\u2003é😀"), max_size=60))
def test_code_keeps_its_place_and_is_what_cleaning_leaves(text):
    unix = text.replace("\r\n", "\n").replace("\r", "\n")
    code = regions._code_in_place(unix)
    assert "".join(code.split()) == "".join(cleaning.clean(text).split())
    assert len(code) == len(unix)
    assert all(one == other or other == " " for one, other in zip(unix, code, strict=True))


@given(st.text(st.sampled_from("ab \n\r#'\"\ufeff😀"), max_size=40))
def test_a_region_is_within_the_script(text):
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    region = found(text)
    assert 1 <= region.start_line <= region.end_line <= len(lines)
    assert 1 <= region.end_column <= len(lines[region.end_line - 1].encode("utf-16-le")) // 2 + 1
    assert (region.start_line, region.start_column) <= (region.end_line, region.end_column)


def encoded(text, encoding="utf-16-le"):
    return base64.b64encode(text.encode(encoding)).decode()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-8"])
def test_an_uncovered_layer_is_where_its_base64_is(encoding):
    value = encoded(PAYLOAD + "\0", encoding)  # of which the layer has no NUL
    script = f"# a job\r\n{HEAD}\r\npowershell -enc {value} -nop\r\n"
    region = found(script, layers=[("-EncodedCommand", 0, PAYLOAD)], layer=1)
    assert region.start_line == 3 and shown(script, region) == value


def test_the_script_itself_is_marked_where_it_decides_beside_its_layers():
    """What is read begins with the script, but places count in the script alone."""
    script = f"{HEAD}\npowershell -e {encoded(PAYLOAD)}\n{EVIL}\n"
    region = found(script, layers=[("-EncodedCommand", 0, f"{PAYLOAD}; {PAYLOAD}")])
    assert region.start_line == 3 and "Invoke-Evil" in shown(script, region)


def test_an_uncovered_layer_is_where_its_text_is():
    script = f"{HEAD}\niex '{PAYLOAD}\r\n{TAIL}'\n"
    region = found(script, layers=[("Invoke-Expression", 0, f"{PAYLOAD}\r\n{TAIL}")], layer=1)
    assert (region.start_line, region.end_line) == (2, 3)
    assert shown(script, region) == f"{PAYLOAD}\n{TAIL}"


def test_a_layer_within_a_layer_is_where_the_outer_one_is():
    outer = "iex ('Write-'+'Output inert-probe-4711')"
    script = f"{HEAD}\npowershell -e {encoded(outer)}"
    layers = [("-EncodedCommand", 0, outer), ("concatenation", 1, "Write-Output inert-probe-4711")]
    assert shown(script, found(script, layers=layers, layer=2)) == encoded(outer)


def test_a_layer_that_is_nowhere_seen_is_at_the_first_line_of_code():
    script = f"\n# a comment\n  {HEAD}; $x  \n{TAIL}\n"
    region = found(script, layers=[("gzip", 0, PAYLOAD)], layer=1)
    assert (region.start_line, shown(script, region)) == (3, f"{HEAD}; $x")


LOREM = "Lorem ipsum dolor sit amet.\n"
GREETINGS = (
    "e9496ae3ebfced30 fb7c023a8b9ccb3f ce8ba1a563dcdaca e20e36e16fcb0cc8 b3edc88f2938467e c8e28b0b4002a3a0"
)


@pytest.mark.parametrize(
    ("text", "hashes"),
    [
        ("", "c129715d7a2bc9a3:1"),
        (" a\nb\n  \t\tc\n d", "271789c17abda88f:1 54703d4cd895b18:1 180aee12dab6264:1 a23a3dc5e078b07b:1"),
        (
            " hello; \t\nworld!!!\n\n\n  \t\tGreetings\n End\n",
            "".join(f"{one}:1 " for one in GREETINGS.split()) + "c129715d7a2bc9a3:1",
        ),
        (
            LOREM * 10,
            " ".join(f"a7f2ff13bc495cf2:{number}" for number in range(1, 7))
            + " a7f2ff1481e87703:1 a9cf91f7bbf1862b:1 55ec222b86bcae53:1 cc97dc7b1d7d8f7b:1"
            + " c129715d7a2bc9a3:1",
        ),
    ],
)
def test_the_hash_of_a_line_is_the_one_that_github_computes(text, hashes):
    """The answers are those of the tests of GitHub's CodeQL action."""
    numbers = range(1, text.count("\n") + 2)
    assert " ".join(regions.line_hash(text, number) for number in numbers) == hashes


def rolling(text):
    """The hash of every line, by a window that moves over all characters, as GitHub's action computes it."""
    units = [*memoryview((text + "\uffff").encode("utf-16-le")).cast("H")]
    units = [unit for unit in units if unit not in (9, 32)]
    starts = [0, *(place + 1 for place, unit in enumerate(units) if unit == 10)]
    padded, seen = units + [0] * 100, {}
    for start in starts:
        value = 0
        for unit in padded[start : start + 100]:
            value = (value * 37 + unit) % 2**64
        seen[value] = seen.get(value, 0) + 1
        yield f"{value:x}:{seen[value]}"


@given(st.text(st.sampled_from("aé😀 \t\n."), max_size=300))
def test_the_hash_counts_utf_16_code_units_and_lines_alike(text):
    numbers = range(1, text.count("\n") + 2)
    assert [regions.line_hash(text, number) for number in numbers] == list(rolling(text))


def test_a_byte_order_mark_is_hashed_and_is_no_column():
    script = f"{EVIL}; {HEAD}\n"
    plain, marked = found(script), found(script, encoding="utf-8-bom")
    assert plain[:4] == marked[:4] == (1, 1, 1, plain.end_column)
    assert marked.line_hash == next(rolling("\ufeff" + script)) != plain.line_hash
