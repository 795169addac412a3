import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.runtime import progress as progress_module
from psembed.runtime.progress import ERASE, Progress, bar, clock, table


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_in_a_pipe_each_step_is_one_plain_line():
    stream = io.StringIO()
    progress = Progress(stream)
    progress.begin(1, 11, "01_corpus")
    progress.show("0:03")
    progress.end("done")
    assert stream.getvalue() == "[ 1/11] 01_corpus        done\n"


def test_on_a_terminal_the_line_is_redrawn():
    stream = Terminal()
    progress = Progress(stream)
    progress.begin(1, 11, "01_corpus")
    progress.show("0:03")
    progress.end("done")
    drawn = stream.getvalue()
    assert drawn.count("\n") == 1 and drawn.count("\r") == 3 and "0:03" in drawn


def test_a_line_is_cut_to_the_width_of_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    stream = Terminal()
    Progress(stream).show("a" * 50)
    assert stream.getvalue() == ERASE + "a" * 19


def test_counts_are_a_bar_with_a_note_or_a_rate_not_drawn_too_often(monkeypatch):
    clock = iter([0.0, 2.0, 2.1, 4.0])
    monkeypatch.setattr(progress_module, "monotonic", lambda: next(clock))
    stream = Terminal()
    progress = Progress(stream, "sources", 4)
    progress.count(1, "under way: x")
    progress.count(2, "not drawn")
    progress.count(8)
    progress.erase()
    progress.erase()
    first, second = bar(1, 4), bar(8, 8)
    assert stream.getvalue().split(ERASE) == [
        "", f"{first} sources, under way: x", f"{second} sources, 2 a second", "",
    ]  # fmt: skip


def test_counts_are_not_written_to_a_pipe():
    stream = io.StringIO()
    progress = Progress(stream, "scored")
    progress.count(1)
    progress.erase()
    assert stream.getvalue() == ""


def test_without_a_stream_nothing_happens():
    progress = Progress()
    progress.begin(1, 1, "x")
    progress.end("done")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (754, "12:34"), (5025, "1:23:45")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_bar():
    assert bar(5, 10) == "[##########          ] 5/10" and bar(0, 0) == "[                    ] 0/0"


def test_table_aligns_numbers_right_and_shows_gaps():
    assert table(("name", "seconds"), [("a", 1234.6), ("long", None), ("b", 2.0)]).splitlines() == [
        "name  seconds",
        "----  -------",
        "a       1,235",
        "long        -",
        "b           2",
    ]
    assert table(("name", "x"), []).splitlines() == ["name  x", "----  -"]


@given(st.lists(st.tuples(st.text(), st.integers() | st.floats(allow_nan=True) | st.none()), max_size=5))
def test_table_has_a_line_per_row_whatever_is_in_it(rows):
    assert len(table(("text", "number"), rows).split("\n")) == len(rows) + 2
