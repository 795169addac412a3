"""What a notebook shows: escaped, formatted, at most a dozen rows, and never read as mathematics."""

import html
import json
import re

import polars as pl
import pytest

from psembed.paper import display
from psembed.powershell.tokens import tokenize
from psembed.project.workspace import Workspace

OUTSIDE_CODE = re.compile(r"<(code|pre)\b[^>]*>.*?</\1>|<[^>]*>", re.DOTALL)
RESULT = {"generated": True, "repositories": 3}


def text(shown: display.HTML) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", shown.data))


def test_a_dollar_sign_stands_in_code_only_and_markup_is_escaped():
    frame = pl.DataFrame({"token": ["$i", "<script>"], "n $": [1, 2]})
    for shown in (display.table(frame), display.coloured_tokens("$i <b> $true")):
        assert "$" not in OUTSIDE_CODE.sub("", shown.data)
        assert "<script>" not in shown.data and "<b>" not in shown.data and "$" in text(shown)


def test_numbers_are_formatted_and_what_is_missing_is_a_dash():
    frame = pl.DataFrame(
        {"n": [1234567, None], "share": [0.123, 1.0], "rate": [2.5, 1e5], "all": [True, False]}
    )
    shown = display.table(frame, formats={"share": ".1%"}, bars=("share",))
    cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", shown.data)]
    assert cells == ["1,234,567", "12.3%", "2.50", "yes", "-", "100.0%", "100,000.00", "no"]
    assert "#CDE7F6 12.3%,transparent 12.3%" in shown.data


def test_a_long_table_is_cut_and_says_so():
    shown = display.table(pl.DataFrame({"row": range(40)}))
    assert shown.data.count("<tr>") == 1 + display.ROWS
    assert f"and {40 - display.ROWS} more rows" in shown.data
    assert "more rows" not in display.table(pl.DataFrame({"row": range(display.ROWS)})).data


def test_coloured_tokens_are_those_of_the_tokeniser_and_the_text_is_whole():
    script = 'IEX (Get-Item "C:\\a1") # 1 & 2\n$x.Count -eq 10; "é" '
    shown = display.coloured_tokens(script).data.partition("<p>")[0]
    assert [html.unescape(title) for title in re.findall(r'title="(.*?)"', shown)] == tokenize(script)
    assert html.unescape(re.sub(r"<[^>]*>", "", shown)) == script


def test_bytes_are_shown_with_what_gives_their_encoding_away():
    data = b"\xff\xfe" + "ä<\r\n".encode("utf-16-le")
    shown = display.hexadecimal(data)
    assert text(shown).splitlines()[0].startswith("0000  ff fe e4 00 3c 00 0d 00 0a 00 ")
    for colour, byte in ((display.MARK, "fe"), (display.BEYOND, "e4"), (display.END, "0d")):
        assert re.search(rf"background:{colour}[^>]*>{byte}<", shown.data)
    assert "2 more bytes" in text(display.hexadecimal(bytes(10), limit=8))


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The texts at the top of a notebook, one after the other."""
    said = []

    class Handle:
        def update(self, what):
            said.append(what.data)

    def show(what, display_id):
        said.append(what.data)
        return Handle()

    monkeypatch.setattr(display, "show", show)
    path = tmp_path / "paper/results/public/01_corpus.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(RESULT | {"repositories": 1234}))
    return said


def answer(tmp_path, profile: str, sentence: str = "{repositories:,} repositories") -> None:
    display.Answer(Workspace(profile, root=tmp_path), "01_corpus", sentence).finish(RESULT)


def test_a_trial_shows_the_published_answer_and_then_its_own_as_well(told, tmp_path):
    answer(tmp_path, "smoke")
    assert "1,234 repositories" in told[0] and "3 repositories" not in told[0]
    assert told[0] in told[1] and "profile smoke" in told[1] and "3 repositories" in told[1]
    assert json.loads((tmp_path / "paper/results/smoke/01_corpus.json").read_text()) == RESULT


def test_the_publishing_profile_shows_no_answer_of_an_earlier_run(told, tmp_path):
    answer(tmp_path, "public")
    assert "1,234" not in "".join(told) and "3 repositories" in told[1]


def test_what_no_run_has_measured_is_not_said(told, tmp_path):
    answer(tmp_path, "smoke", "{nothing:,} at all")
    assert "at all" not in "".join(told)
