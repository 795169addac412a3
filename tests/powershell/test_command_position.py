"""Which tokens are marked as commands, and that nothing else changes."""

import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marking import as_lists, marked

from psembed.powershell.cleaning import strip_comments
from psembed.powershell.command_position import COMMAND, COMMAND_MARK, Reading, marked_codes
from psembed.powershell.tokens import tokenize
from psembed.runtime.distinct import flat_indices

S = COMMAND_MARK
# A here-string that ends in '@ before a bracket or a word is left out: there the two readings differ.
PIECES = st.sampled_from([
    *"ab$|;={(})\n\r '\".1:,#`%", "$(", "<#", "#>", "@'\n", "\n'@\n", '@"\n', '\n"@ ',
    "foreach", "\r\n", "\ufeff",
])  # fmt: skip
TEXTS = st.lists(st.lists(PIECES, max_size=25).map("".join), max_size=5)


def read(text, **reading):
    (row,) = marked(pl.Series([text]), Reading(**reading)).to_list()
    return row


def unmarked(row):
    return [token.removeprefix(COMMAND) for token in row if token != COMMAND_MARK]


def commands(text):
    return [token.removeprefix(COMMAND) for token in read(text) if token.startswith(COMMAND)]


def test_every_command_position_is_marked_and_comments_are_dropped():
    assert read("# note iex\nGet-Process | sort -Unique; $a = (gci)\n\n  iex $a <# gone\n gone #>") == [
        S, "get-process", "|", S, "command:sort", "-unique", ";", S, "$a", "=", S, "(", S, "command:gci", ")",
        S, "command:iex", "$a",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sort | ? { $_.sort -eq 'sort?' }\nw2 sort", ["sort", "?"]),
        ("type = 1", []),
        ("@{type = 1; sort=2}\n@{\n  where = gci\n}", ["gci"]),
        ("type\n= 1", ["type"]),
        ("type +=1\nsort -= 2", []),
        ("default: iex\n[sort]::new()\nsort::x", []),
        ("param(\n  sort, where\n)", ["param"]),
        ("foreach ($i in gci) { % }", ["%"]),
        ("gci | foreach ( sort )", ["gci", "foreach", "sort"]),
        ("foreach { sort }", ["foreach", "sort"]),
        ("gci |\nforeach ($i in 1) {}", ["gci"]),
        ("a && b || c; d\n$x += e", ["a", "b", "c", "d", "e"]),
        ("$(sort) @(where) | % { type }", ["sort", "where", "%", "type"]),
        ("get-item x | sort-object", []),
        ("echo sort, where", ["echo"]),
        ("'sort | where'\n\"sort; where\"", []),
        ("$a = 'x\nsort\n; where'\ngci", ["gci"]),
        ("$h = @'\nsort | where\nimport os; sort\n'@\ngci", ["gci"]),
        ('$h = @"\nsort\n{ where }\n"@ | type', ["type"]),
        ("'x' sort", []),
        ("'x' | sort", ["sort"]),
        ("'x'; sort\nwhere", ["sort", "where"]),
        ("& 'x' sort 'y' where", []),
        ("'x'\nsort", ["sort"]),
        ("'never closed\nsort | where", []),
    ],
)
def test_known_commands(text, expected):
    assert commands(text) == expected


def test_what_follows_a_string_is_no_first_of_a_line():
    assert read("'a' b") == ["'", "a", "'", "b"]
    assert read("'a'.sort()\nsort 'a'") == [
        "'",
        "a",
        "'",
        ".",
        "sort",
        "(",
        S,
        ")",
        S,
        "command:sort",
        "'",
        "a",
        "'",
    ]


def test_a_reading_switches_one_thing_at_a_time():
    text = "sort 'x' # gone\n$a = \"y\""
    assert read(text) == [S, "command:sort", "'", "x", "'", S, "$a", "=", '"', "y", '"']
    assert read(text, strings=False) == [S, "command:sort", "'", "'", S, "$a", "=", "'", "'"]
    assert read(text, commands=False) == ["sort", "'", "x", "'", "$a", "=", '"', "y", '"']
    assert unmarked(read(text, comments=True)) == tokenize(text)


def test_rows_of_empty_texts_stay():
    texts = pl.Series(["", "# only a comment", "a", "\n"])
    assert marked(texts).to_list() == [[], [], [S, "command:a"], []]
    assert marked(texts.clear()).to_list() == []
    assert marked(texts.clear()).dtype == pl.List(pl.String)


@given(TEXTS)
@settings(max_examples=300)
def test_only_marks_are_added_to_the_tokens_of_the_text(texts):
    rows = marked(pl.Series(texts, dtype=pl.String)).to_list()
    assert [unmarked(row) for row in rows] == [tokenize(strip_comments(text)) for text in texts]
    assert all(S + S not in "".join(row) and row[-1] != S for row in rows if row)


WHITE = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
WORDS = st.lists(
    st.sampled_from([*WHITE, COMMAND, "iex", "$env", ":", "::", "@", "|"]) | st.text(max_size=3), max_size=12
)


@given(WORDS.map("".join))
@settings(max_examples=300)
def test_no_name_holds_white_space_and_only_commands_begin_like_one(text):
    assert not any(token.startswith(COMMAND) for token in tokenize(text))
    for name in read(text):
        word = name.removeprefix(COMMAND)
        assert name == S or not any(letter.isspace() for letter in name)
        assert name == word or ":" not in word


def test_white_space_of_any_kind_ends_a_name():
    rows = marked(pl.Series([f"iex{space}$a" for space in WHITE])).to_list()
    assert len(WHITE) > 20 and all(row[:2] == [S, "command:iex"] and row[-1] == "$a" for row in rows)


@given(TEXTS)
def test_comments_and_unmarked_commands_can_be_read_as_well(texts):
    series = pl.Series(texts, dtype=pl.String)
    everything = marked(series, Reading(comments=True, commands=False)).to_list()
    assert everything == [tokenize(text) for text in texts]
    plain = marked(series, Reading(commands=False)).to_list()
    assert plain == [unmarked(row) for row in marked(series).to_list()]


@given(TEXTS)
@settings(max_examples=200)
def test_a_script_is_read_alike_alone_and_among_others(texts):
    together = marked(pl.Series(texts, dtype=pl.String)).to_list()
    assert together == [read(text) for text in texts]


def test_a_line_is_not_read_in_the_light_of_another_script():
    texts = ["gci |", "foreach ($i in 1) {}"]
    assert marked(pl.Series(texts)).to_list() == [read(text) for text in texts]


@given(TEXTS)
def test_coded_names_every_distinct_token_once(texts):
    series = pl.Series(texts, dtype=pl.String)
    names, codes, lengths = marked_codes(series)
    assert names.n_unique() == len(names) and len(codes) == lengths.sum() and len(lengths) == len(texts)
    assert as_lists(names.gather(codes), lengths).to_list() == marked(series).to_list()


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1), st.data())
def test_flat_indices_are_those_of_the_chosen_lists(lists, data):
    chosen = data.draw(st.lists(st.integers(0, len(lists) - 1)))
    flat = pl.Series([item for row in lists for item in row], dtype=pl.Int64).to_numpy()
    sizes = pl.Series([len(row) for row in lists], dtype=pl.Int64).to_numpy()
    indices = flat_indices(sizes, pl.Series(chosen, dtype=pl.Int64).to_numpy())
    assert flat[indices].tolist() == [item for row in chosen for item in lists[row]]


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=4), max_size=6))
def test_lists_flatten_and_come_back(lists):
    tokens = pl.Series("tokens", lists, dtype=pl.List(pl.String))
    assert as_lists(tokens.explode(empty_as_null=False), tokens.list.len().to_numpy()).to_list() == lists
