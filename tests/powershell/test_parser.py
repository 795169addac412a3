"""The parser gives every text a tree, however damaged, however deep, and wherever its tokens run out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.powershell.unwrap.parsing import tree
from psembed.powershell.unwrap.parsing.lexis import NESTING
from psembed.powershell.unwrap.parsing.parser import Parser

SCRIPT = """param([string]$a = 'b') function F($x) {
if ($x -eq 1) { "a$x$(1 + 2)" } else { @{k = 'v'}.k } }
foreach ($i in 1..3) { F $i | % { $_.ToString()[0] } }
[char]65 + 'b' -join ',' ; & ('i' + 'ex') "c`n" > $null
switch -regex ($a) { 'x' { break } default { return @('a', 'b') } }
try { throw 'x' } catch { } finally { exit }"""
PARTS = st.sampled_from(
    [
        *"'\"`$@(){}[]|&;,.:=+-#<>%!?/\\ \n\t1aé",
        "@'\n",
        '@"\n',
        "\n'@",
        "$(",
        "@(",
        "::",
        "..",
        "-join",
        "if(",
        "for(;;){",
    ]
)


def parsed(text: str, tokens: int = 100_000) -> tuple[tree.Body, Parser]:
    parser = Parser(text, tokens)
    return parser.run(), parser


def test_a_script_is_read_to_its_end_as_statements_of_their_kinds():
    body, parser = parsed(SCRIPT)
    kinds = [type(statement).__name__ for statement in body.statements]
    assert kinds == ["Body", "Function", "ForEach", "Chain", "Command", "Switch", "Try"]
    assert not parser.cut and body.end == len(SCRIPT)


@pytest.mark.parametrize("tokens", range(60))
def test_a_text_may_end_after_any_token(tokens):
    body, parser = parsed(SCRIPT, tokens)
    assert parser.cut and len(body.statements) <= 7


def test_brackets_are_followed_to_their_limit_and_what_is_deeper_is_passed_over():
    for depth in (NESTING - 1, 10 * NESTING, 5_000):
        body, parser = parsed("(" * depth + "'a'" + ")" * depth + "; 'after'")
        assert [type(statement) for statement in body.statements] == [tree.Paren, tree.Literal]
        assert body.height <= NESTING + 1 and not parser.cut


@given(st.lists(PARTS, max_size=40).map("".join), st.integers(0, 60))
def test_no_text_stops_the_parser(text, tokens):
    for limit in (tokens, 100_000):
        body, _ = parsed(text, limit)
        assert all(0 <= statement.begin <= len(text) for statement in body.statements)
