"""What each rewriting gives on inert scripts, and what it never changes, whatever the text."""

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psembed.datasets import transforms
from psembed.datasets.transforms import HOSTED, LIMIT, TRANSFORMS, apply
from psembed.powershell.aliases import ALIASES
from psembed.powershell.cleaning import clean
from psembed.runtime.errors import ParameterError

ESCAPES = set("abefnrtvu0$")
HOST = "Write-Host 'inert host of example.org'"
SCRIPT = clean(
    "param($Url, [int]$Count = 3)\n"
    "$Page = Invoke-WebRequest -Uri 'https://example.com/Index' # fetch\n"
    'Get-ChildItem | ForEach-Object { Write-Host "At $Url of $($_.Name)" } ; Sort-Object\n'
    "$env:Inert = $Page.Content + 'Tail' ; if ($true) { exit }\n"
)
COMMANDS = sorted({command for _, command in ALIASES})
ALONE = [pair for pair in ALIASES if sum(command == pair[1] for _, command in ALIASES) == 1]
ODD = st.characters() | st.sampled_from(
    "'\"`$(){}|;@#<> =\n\0\ufeff\u2018\u201d\u0130\u00df\u0131\U0001f600aB%?.:-"
)
TEXTS = st.text(ODD, max_size=60)
WRITABLE = TEXTS.filter(lambda text: not re.search("[\ud800-\udfff]", text))  # what a Series can hold
CONTENTS = st.text(
    st.characters(exclude_characters="'\"`$\u2018\u2019\u201a\u201b\u201c\u201d\u201e"), min_size=2
)
PIECES = st.sampled_from([
    "Get-Process", "gci -Path $root", "$Name = 'some text'", "$name.Length", "\"$name's ${Root}\"", "$true",
    "$_", "@(where x)", "Write-Host \"plain words\"", "@{ sort = 'b c' }", "[int]$script:root", "$env:TEMP",
    "& { iwr 'https://example.net/a' }", "% { $_ }", "Copy-Item @splat", "$splat = 1", "-Recurse", "('xy')",
    "\"$(gci 'in ner')' $root\"", "foreach ($Root in 1) { echo }", "[string]::Join('ab', $name)",
])  # fmt: skip
SCRIPTS = st.lists(st.tuples(PIECES, st.sampled_from([" | ", "; ", " ", " = ", "\n"])), max_size=8).map(
    lambda parts: clean("".join(piece + end for piece, end in parts))
)
needs_a_text = pytest.mark.parametrize("name", TRANSFORMS)


def variant(name, text, seed=0, hosts=(HOST,)):
    return apply(name, [text], seed=seed, hosts=hosts)[0]


def literal(expression):
    """Evaluate ('a'+'b') or ("{1}{0}" -f 'b','a'), as the literal it is worth."""
    if halves := re.fullmatch(r"\((['\"])((?:(?!\1).)+)\1\+\1((?:(?!\1).)+)\1\)", expression, re.DOTALL):
        return halves[1] + halves[2] + halves[3] + halves[1]
    halves = re.fullmatch(r"\(\"\{1\}\{0\}\" -f (['\"])(.+)\1,\1(.+)\1\)", expression, re.DOTALL)
    return halves[1] + halves[3] + halves[2] + halves[1]


def evaluated(text):
    expression = r"\((['\"])[^'\"]+\1\+\1[^'\"]+\1\)|\(\"\{1\}\{0\}\" -f (['\"])[^'\"]+\2,\2[^'\"]+\2\)"
    return re.sub(expression, lambda match: literal(match.group()), text)


def test_the_names_are_those_of_the_study():
    assert list(TRANSFORMS) == [
        "case", "backticks", "concatenation", "format_operator", "alias_to_command", "command_to_alias",
        "variable_names", "comment_padding", "benign_before", "benign_after", "benign_around",
    ]  # fmt: skip


def test_case_turns_code_and_keeps_strings_escapes_and_base64():
    run = "QUJD" * 20
    text = f'Write-Host \'Kept\' `n "Kept $Name" -EncodedCommand {run} "Kept $(Get-Date)"'
    rewritten = variant("case", text)
    assert rewritten != text and rewritten.lower() == text.lower()
    for kept in ("'Kept'", "`n", '"Kept $Name"', run, '"Kept $('):
        assert kept in rewritten
    assert len({variant("case", text, seed).split("$(")[1] for seed in range(9)}) > 1


def test_backticks_stand_within_commands_only_and_before_no_escape():
    text = "Write-Host hidden; if (gcm $Module) { Clear-Item 'Clear-Item' } ; $x = ipmo; $mode.moml(kill)"
    rewritten = [variant("backticks", text, seed) for seed in range(20)]
    touched = {word for row in rewritten for word in row.split() if "`" in word}
    assert {word.replace("`", "") for word in touched} == {"Write-Host", "(gcm", "Clear-Item", "ipmo;"}
    assert {letter for row in rewritten for letter in re.findall("`(.)", row)} == set("iHoscmIlp") - ESCAPES


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'ab'", "('a'+'b')"),
        ("Write-Host 'ab', \"cd\"", "Write-Host ('a'+'b'), (\"c\"+\"d\")"),
        ('"\'b"', '("\'"+"b")'),
        ("@{'ab'='a'}", "@{('a'+'b')='a'}"),
        ("'ab'.Length + $h['ab']", "('a'+'b').Length + $h[('a'+'b')]"),
    ],
)
def test_a_whole_literal_is_split(text, expected):
    assert variant("concatenation", text) == expected


def test_a_literal_becomes_a_format():
    assert variant("format_operator", "gci 'ab'; \"cd\"") == (
        'gci ("{1}{0}" -f \'b\',\'a\'); ("{1}{0}" -f "d","c")'
    )


@pytest.mark.parametrize("name", ["concatenation", "format_operator"])
@pytest.mark.parametrize(
    "text",
    ["'a'", "''", "'it''s'", '"$name"', '"a`nb"', "@' ab '@", "x'ab'", "'ab'x", "'ab", "\u2018ab\u2019",
     "\"$(gci)ab\"", "'ab'\"cd\"", "ab", "# 'ab'"],
)  # fmt: skip
def test_what_is_no_plain_whole_literal_is_left(name, text):
    assert variant(name, text) == text


def test_aliases_become_commands_in_command_position_only():
    text = (
        "gci | ? { $_.sort } | %{ echo 'gci; sort' } ; $x = IWR $u; (cat f).where(sort); sort = 1; & iex; "
        "foreach ($i in ls) { rm -r } rm; type.exe; 1 % 2; ${x} % 3; cd\\x; foreach-object; | foreach ( ps )"
    )
    assert variant("alias_to_command", text) == (
        "get-childitem | where-object { $_.sort } | foreach-object{ write-output 'gci; sort' } ; "
        "$x = invoke-webrequest $u; (get-content f).where(sort); sort = 1; & invoke-expression; "
        "foreach ($i in ls) { remove-item -r } remove-item; type.exe; 1 % 2; ${x} % 3; cd\\x; "
        "foreach-object; | foreach-object ( get-process )"
    )


@pytest.mark.parametrize(("alias", "command"), ALONE)
def test_the_only_alias_of_a_command_takes_its_place(alias, command):
    text = "$x = {} -Path 'x' | {}; '{}'"
    assert variant("command_to_alias", text.format(command, command.title(), command)) == (
        text.format(alias, alias, command)
    )
    assert variant("alias_to_command", text.format(alias, alias, alias)) == text.format(
        command, command, alias
    )


def test_a_command_takes_every_alias_that_fits_its_place():
    piped = {variant("command_to_alias", "1 | ForEach-Object { }", seed) for seed in range(20)}
    assert piped == {"1 | % { }", "1 | foreach { }"}
    first = {variant("command_to_alias", "Where-Object { }", seed) for seed in range(20)}
    assert first == {"where { }"}
    assert variant("command_to_alias", "ForEach-Object ( 1 )") == "ForEach-Object ( 1 )"


def test_user_variables_get_one_name_each_wherever_they_stand():
    text = (
        "$Url = $_ ; \"$url's $(f $URL)' ${url} `$url\" + '$url' ; $script:url ; @url ; $env:url ; "
        "$env:path ; $drive:\\x ; $type::Max ; $true ; $args ; ${a b} ; $1 ; a@url ; f -url $other"
    )
    form = (
        "$A = $_ ; \"$A's $(f $A)' ${A} `$url\" + '$url' ; $script:A ; @A ; $env:url ; "
        "$env:path ; $B:\\x ; $C::Max ; $true ; $args ; ${a b} ; $1 ; a@url ; f -url $D"
    )
    rewritten = variant("variable_names", text)
    places = (r"^\$(\w+)", r"\$(\w+):\\x", r"\$(\w+)::", r"\$(\w+)$")
    new = dict(zip("ABCD", (re.search(place, rewritten)[1] for place in places), strict=True))
    assert len({*new.values(), "url", "drive", "type", "other"}) == 8
    assert rewritten == re.sub(r"\b[A-D]\b", lambda match: new[match.group()], form)


def test_no_new_name_is_an_old_one(monkeypatch):
    monkeypatch.setattr(transforms, "NAME_LETTERS", 1)
    text = " ".join(f"${letter}" for letter in "abcdefghijklm")
    assert set(variant("variable_names", text).split()) == {f"${letter}" for letter in "nopqrstuvwxyz"}


def test_comments_are_gone_after_cleaning_but_for_an_open_end():
    assert variant("comment_padding", SCRIPT) == SCRIPT
    assert re.fullmatch(r"dir 'open # \d+", variant("comment_padding", "dir 'open"))
    assert re.fullmatch(r"dir <# open # \d+", variant("comment_padding", "dir <# open"))
    here = clean("$x = @'\na'b # kept\n'@")
    assert variant("comment_padding", here) == here


def test_hosts_are_glued_and_all_of_them_are_used():
    hosts = ["Get-Date", "Get-Host"]
    forms = {"benign_before": "{1} {0}", "benign_after": "{0} {1}", "benign_around": "{1} {0} {1}"}
    assert set(forms) == set(HOSTED)
    for name, form in forms.items():
        variants = {variant(name, "dir", seed, hosts) for seed in range(20)}
        assert variants == {form.format("dir", host) for host in hosts}
        assert variant(name, "dir", hosts=pl.Series(["", "Get-Date", "x" * (LIMIT + 1)])) == (
            form.format("dir", "Get-Date")
        )


@pytest.mark.parametrize("name", HOSTED)
@pytest.mark.parametrize("hosts", [None, [], [""], ["x" * (LIMIT + 1)]])
def test_no_usable_host_is_refused(name, hosts):
    with pytest.raises(ParameterError, match="give clean benign texts"):
        apply(name, [], seed=0, hosts=hosts)


def test_an_unknown_transform_is_refused():
    with pytest.raises(ParameterError, match="'rot13': expected one of case, backticks"):
        apply("rot13", ["dir"], seed=0)


@needs_a_text
def test_only_a_host_comes_to_an_empty_text(name):
    assert variant(name, "") == (HOST if name in HOSTED else "")
    assert apply(name, [], seed=0, hosts=[HOST]) == []


@needs_a_text
def test_a_text_over_the_limit_is_left(name):
    text = "gci; $name = 'ab'; " * (LIMIT // 19 + 1)
    assert len(text) > LIMIT and variant(name, text) == text


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - {"comment_padding", *HOSTED}))
@pytest.mark.parametrize("unit", ["|h", "|%", "'ab',", "$a,", "\U0001f600"])
def test_a_variant_is_at_most_eight_times_as_long(name, unit):
    text = unit * 500
    assert len(variant(name, text)) <= 8 * len(text)


@needs_a_text
def test_a_script_changes_with_every_transform_but_the_comments(name):
    shown = "gci | sort" if name == "alias_to_command" else SCRIPT
    assert (variant(name, shown) == shown) == (name == "comment_padding")


@needs_a_text
@given(texts=st.lists(WRITABLE | SCRIPTS, max_size=5), seed=st.integers(0, 2**64), data=st.data())
@settings(max_examples=40)
def test_a_variant_depends_on_text_and_seed_alone(name, texts, seed, data):
    hosts = [HOST, "Get-Date", "\u2018"]
    rewritten = apply(name, texts, seed=seed, hosts=hosts)
    order = data.draw(st.permutations(range(len(texts))))
    again = apply(name, pl.Series([texts[i] for i in order], dtype=pl.String), seed=seed, hosts=hosts)
    assert again == [rewritten[i] for i in order]


@given(TEXTS | SCRIPTS, st.integers(0, 99))
@settings(max_examples=300)
def test_case_is_all_that_case_changes(text, seed):
    rewritten = variant("case", text, seed)
    assert rewritten.casefold() == text.casefold() and len(rewritten) == len(text)


@given((TEXTS | SCRIPTS).map(lambda text: text.replace("`", "")), st.integers(0, 99))
@settings(max_examples=300)
def test_without_back_ticks_it_is_the_text_again(text, seed):
    rewritten = variant("backticks", text, seed)
    assert rewritten.replace("`", "") == text
    assert not ESCAPES & {letter.lower() for letter in re.findall("`(.)", rewritten)}


@pytest.mark.parametrize("name", ["concatenation", "format_operator"])
@given(content=CONTENTS, quote=st.sampled_from("'\""), seed=st.integers(0, 99))
def test_a_split_literal_is_worth_the_literal(name, content, quote, seed):
    text = quote + content + quote
    rewritten = variant(name, text, seed)
    assert rewritten != text and literal(rewritten) == text


@pytest.mark.parametrize("name", ["concatenation", "format_operator"])
@given(text=SCRIPTS, seed=st.integers(0, 99))
def test_evaluating_a_script_of_split_literals_gives_the_script(name, text, seed):
    assert evaluated(variant(name, text, seed)) == text


@given(
    st.lists(
        st.tuples(st.sampled_from(COMMANDS), st.sampled_from([" | ", "; ", " $x | ", " { "])), max_size=6
    ),
    st.integers(0, 99),
)
def test_commands_come_back_from_their_aliases(parts, seed):
    text = clean("".join(command + end for command, end in parts))
    assert variant("alias_to_command", variant("command_to_alias", text, seed), seed) == text


@given(
    st.lists(st.tuples(st.sampled_from(ALONE), st.sampled_from([" | ", "; ", " (1) | ", " = "])), max_size=6)
)
def test_the_only_aliases_come_back_from_their_commands(parts):
    text = clean("".join(alias + end for (alias, _), end in parts))
    assert variant("command_to_alias", variant("alias_to_command", text)) == text


@given(SCRIPTS, st.integers(0, 99))
def test_new_names_are_one_to_one_and_nothing_else_changes(text, seed):
    rewritten = variant("variable_names", text, seed)
    names = r"(?<=[$@:])(?!env|TEMP)[A-Za-z]\w*|(?<=\$\{)\w+"
    assert re.sub(names, "", rewritten) == re.sub(names, "", text)
    old, new = ([name.lower() for name in re.findall(names, row)] for row in (text, rewritten))
    assert len(set(old)) == len(set(new)) == len(set(zip(old, new, strict=True)))


@given(TEXTS | SCRIPTS)
@settings(max_examples=300)
def test_comments_change_no_clean_text_that_is_closed(text):
    once = clean(text)
    padded = variant("comment_padding", once)
    assert padded == once or re.fullmatch(re.escape(once) + r" ?# \d+", padded)


@needs_a_text
def test_a_lone_surrogate_is_kept(name):
    assert "\ud800" in variant(name, "\ud800")


@pytest.mark.parametrize("name", ["case", "backticks", "concatenation", "format_operator", "variable_names"])
def test_another_seed_gives_another_variant(name):
    assert len({variant(name, SCRIPT, seed) for seed in range(8)}) > 1


def test_texts_of_one_shape_are_not_rewritten_alike():
    alike = apply("case", ["a" * 30 + " 1", "a" * 30 + " 2"], seed=0)
    assert alike[0][:30] != alike[1][:30]
