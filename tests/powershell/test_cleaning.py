"""Cleaning: comments go, strings stay, in linear time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psembed.powershell import cleaning, decoding
from psembed.powershell.cleaning import code_lines, strip_comments
from psembed.powershell.encoding import ends

LINE = "Get-ChildItem -Path $env:TEMP | ForEach-Object { $_.Name }\r\n"

CLEANED = [
    ("dir # all\r\nls", "dir ls"),
    ("\ufeff  dir\t\r\n\r\n ls \u00a0", "dir ls"),
    ("#requires -version 5\n# two\n  # three\ndir", "dir"),
    ("dir <# a\n b #> ls", "dir ls"),
    ("dir<##>ls", "dir ls"),
    ("<# # #> dir", "dir"),
    ("<# a #># b\ndir", "dir"),
    ("# a <# b\ndir # c #>", "dir"),
    ("'a # b'", "'a # b'"),
    ("'a''# b' # c", "'a''# b'"),
    ("'a\n# b' # c", "'a # b'"),
    ('"a # b" # c', '"a # b"'),
    ('"a `" # b" # c', '"a `" # b"'),
    ('"a ""# b" # c', '"a ""# b"'),
    ('"$" # c', '"$"'),
    ('"$(dir "# a") # b" # c', '"$(dir "# a") # b"'),
    ('"$(dir (1) # a\n) # b" # c', '"$(dir (1) ) # b"'),
    ('"$(dir "$(ls \'#\') #" #\n) #" # c', '"$(dir "$(ls \'#\') #" ) #"'),
    ("\u201ca # b\u201d # c", "\u201ca # b\u201d"),
    ("\u2018a # b\u2019 # c", "\u2018a # b\u2019"),
    ("@'\n# a\n'b'\n'@ # c\ndir", "@' # a 'b' '@ dir"),
    ('@"  \n# a "b" $(\n"@ # c\ndir', '@" # a "b" $( "@ dir'),
    ("@'\n'@ # c", "@' '@"),
    ("@{a=1} # c\n@(1)# d", "@{a=1} @(1)"),
    ("C# page#top a/#b `# d", "C# page#top a/#b `# d"),
    ("{dir};# a\n}#endregion\n$a[0]#x\n'a'#x\n,#x\ndir", "{dir}; } $a[0] 'a' , dir"),
    ("'never closed # a\n# b", "'never closed # a # b"),
    ('"never closed # a', '"never closed # a'),
    ("dir <# never closed\nls", "dir <# never closed ls"),
    ("@'\nnever closed # a", "@' never closed # a"),
    ("dir > 1 < 2 # a", "dir > 1 < 2"),
    ("`", "`"),
    ("", ""),
    ("# a", ""),
]


@pytest.mark.parametrize(("text", "cleaned"), CLEANED)
def test_clean_known_answers(text, cleaned):
    assert cleaning.clean(text) == cleaned


def test_strip_comments_keeps_lines():
    assert cleaning.strip_comments("a # b\r\nc\rd <# e\nf #>g\n") == "a \nc\nd  g\n"
    assert cleaning.strip_comments("a\n# b\n\n# c\nd") == "a\n\nd"


PIECES = st.lists(st.sampled_from([*"'\"#<>@`$()\n a", "$(", "<#", "#>", "@'\n", '\n"@', " # "]))


@given(st.one_of(PIECES.map("".join), st.text()))
@settings(max_examples=200)
def test_clean_only_removes_and_leaves_single_spaces(text):
    cleaned = cleaning.clean(text)
    assert cleaned == " ".join(cleaned.split())
    remaining = iter(text)
    assert all(any(c == other for other in remaining) for c in cleaned if c != " ")


@given(st.one_of(PIECES.map("".join), st.text("#<> \n\ra'")))
@settings(max_examples=400)
def test_a_text_is_blank_where_cleaning_leaves_nothing(text):
    assert cleaning.is_blank(text) == (cleaning.clean(text) == "")


BLANK = ("", " \u00a0\r\n", "\ufeff#requires -Version 5\r\n", "<# a #>\n\n# b\r # c", "<# a #> #")
NOT_BLANK = ("# a\ndir", "<# never closed", "a#b", "''", "#\n`")


@pytest.mark.parametrize(
    ("text", "blank"), [*((text, True) for text in BLANK), *((text, False) for text in NOT_BLANK)]
)
def test_blank_known_answers(text, blank):
    assert cleaning.is_blank(text) is blank


@given(PIECES.map("".join))
@settings(max_examples=200)
def test_text_without_hash_is_only_respaced(text):
    text = text.replace("#", "")
    assert cleaning.clean(text) == " ".join(text.split())


CODE_LINES = [
    ("", ""),
    ("sort | where", "sort | where"),
    ("a 'b' c", "a \n\x02'b'\n\x03 c"),
    ("a # b 'c'\nd", "a \nd"),
    ("a <# b\n'c' #> d", "a   d"),
    ("\ufeffa\r\nb\rc", "a\nb\nc"),
    ("'a\nb' | c", "\n\x02'a b'\n\x03 | c"),
    ("'a''b' c", "\n\x02'a''b'\n\x03 c"),
    ("@'\na\n'b'\n'@ c", "\n\x02@' a 'b' '@\n\x03 c"),
    ('"a $(b) c" d', '\n\x02"a $(\n\x03b)\n\x02 c"\n\x03 d'),
    ('"a `" b" c', '\n\x02"a `" b"\n\x03 c'),
    ("\u201ca\u201d b", "\n\x02\u201ca\u201d\n\x03 b"),
    ("a 'never\nclosed", "a \n\x02'never closed\n\x03"),
    ("a '", "a '"),
    ("@(1) `' b", "@(1) `' b"),
]


@pytest.mark.parametrize(("text", "lines"), CODE_LINES)
def test_code_lines_known_answers(text, lines):
    assert code_lines(text) == lines


def test_code_lines_keeps_comments_or_blanks_strings_when_asked():
    text = "a # b 'c'\n<# d\ne #> 'f' \"g $(h)\"\n@'\ni\n'@"
    kept = "a # b 'c'\n<# d e #> \n\x02'f'\n\x03 \n\x02\"g $(\n\x03h)\n\x02\"\n\x03\n\n\x02@' i '@\n\x03"
    assert code_lines(text, comments=True) == kept
    blank = "a \n  \n\x02''\n\x03 \n\x02''\n\x03h)\n\x02''\n\x03\n\n\x02''\n\x03"
    assert code_lines(text, strings=False) == blank


@given(PIECES.map("".join))
@settings(max_examples=200)
def test_code_lines_only_moves_strings_to_lines_of_their_own(text):
    def joined(lines):
        return lines.replace("\n\x02", "").replace("\n\x03", "").replace("\n", " ")

    lines = code_lines(text)
    assert joined(lines) == joined(strip_comments(text))
    assert joined(code_lines(text, comments=True)) == joined(text)
    begun = [line[:1] for line in lines.split("\n")]
    assert all((begun[n] == "\x02") == (begun[n + 1] == "\x03") for n in range(len(begun) - 1))


@given(st.lists(st.sampled_from([LINE, "'#'\n", '"$(a "#")"\n', "@'\n#\n'@\n"])), st.text())
def test_a_comment_after_whole_statements_changes_nothing(statements, comment):
    text, comment = "".join(statements), comment.replace("\n", "").replace("\r", "")
    assert cleaning.clean(f"{text}# {comment}") == cleaning.clean(text)


@pytest.mark.parametrize("unit", ['"', "'", "#", "\"'", "$(", '"$(', '`"', "<#", '@"\n', "'' ", "a ", " "])
def test_clean_takes_megabytes_of_any_delimiter(unit):
    assert len(cleaning.clean(unit * (4_000_000 // len(unit)))) <= 4_000_000


def test_clean_takes_a_50_mb_line():
    line = "$a = 'x'; " * 5_000_000
    assert len(line) == 50_000_000
    assert len(cleaning.clean(line)) == len(line) - 1
    assert decoding.decode(line.encode())[1] == "ascii"


@pytest.mark.parametrize("step", [1, 7, 64])
def test_a_long_text_is_cleaned_in_pieces_to_the_same_text(step: int, monkeypatch: pytest.MonkeyPatch):
    line = "Get-Item  'a # b' # why\r\n<# more\r\n #>\t$x = @'\r\n # kept \r\n'@\r\n\r\n# one\r# two\r\n  "
    line += '"$(1 # c\n)" '
    text, whole = 3 * line + "'never closed  #", cleaning.clean(3 * line + "'never closed  #")
    monkeypatch.setattr(cleaning, "_SPACE_STEP", step)
    assert cleaning.clean(text) == whole
    for most in (8, 40, 150, 10_000):
        assert ends(cleaning.clean(text, most=most), most) == ends(whole, most)
    assert len(cleaning.clean(40 * line, most=8)) < 40 * len(line) / 2
