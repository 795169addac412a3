"""Known values of single features, and what holds for all of them on any text."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.models import features

TEXTS = st.lists(st.text(st.sampled_from("aBc0 $`'+(){}-=;,\n\té\U0001f600"), max_size=40), max_size=6)


def value(text: str, name: str) -> float:
    return float(features.matrix([text])[0, features.NAMES.index(name)])


def count(text: str, name: str) -> int:
    return round(math.expm1(value(text, name)))


def test_names_are_distinct_and_there_is_one_a_column():
    assert len(set(features.NAMES)) == len(features.NAMES)
    assert features.matrix(["iex $a"]).shape == (1, len(features.NAMES))
    assert features.matrix([]).shape == (0, len(features.NAMES))


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("aB1 $", "share of letters", 0.4),
        ("aB1 $", "share of upper_case", 0.2),
        ("aB1 $", "share of digits", 0.2),
        ("aB1 $", "share of white_space", 0.2),
        ("aB1 $", "share of $", 0.2),
        ("aé", "share of others", 2 / 3),  # one character of two bytes
        ("aabb", "entropy", 1.0),
        ("aaaa", "entropy", 0.0),
        ("get-item get-item $a", "distinct_tokens", 2 / 3),
        ("get-item $a", "mean_token_length", 5.0),
        ("$aabb + $abcd + $abcd", "mean_name_entropy", 1.5),
        ("$" + "a" * 16 + "bcd", "mean_name_entropy", 0.0),  # a long name is read at its beginning
    ],
)
def test_shares_entropies_and_means_are_the_known_ones(text, name, expected):
    assert value(text, name) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("abc defgh ij", "longest_run", 5),
        ("ab'AAAA/+==' ABCDEFG", "longest_base64", 8),
        ("(a[b{c}]) (d)", "depth", 3),
        (")))(", "depth", 0),
        ("get-item $a", "tokens", 2),
        ("$a $A $b $env:c", "variables", 3),
        ("iex (New-Object Net.WebClient).DownloadString($u)", "download", 2),
        ("IEX $a; invoke-Expression $b; iexplore", "execute", 2),
        ("[Convert]::FromBase64String($a)", "decode", 1),
        ("[Reflection.Assembly]::Load($a)", "reflection", 2),
        ("$k::VirtualAlloc(0)", "native_api", 1),
        ("powershell -enc AAAA -eq -e", "encoded_command", 2),
        ("-w hidden -nop -noni", "hidden", 3),
        ("powershell -ep bypass", "bypass", 2),
        ("schtasks /create", "persistence", 1),
        ("[AmsiUtils] set-mppreference", "defender", 2),
        ("get-wmiobject win32_bios", "wmi", 2),
        ("new-object -comobject a", "com", 1),
        ("[RijndaelManaged]", "crypto", 1),
        ("start-sleep 5", "sleep", 1),
        ("[CmdletBinding()] param($a)", "param", 2),
        ("function a {}", "functions", 1),
        ("write-host $a; Write-Verbose $b", "messages", 2),
        ("export-csv a.csv", "tables", 1),
        ("a`mb d`nx c`od", "ticks_in_words", 2),  # `n is a line end, not a disguise
        ("'a'+'b' + \"c\"", "joints", 2),
        ("'{1}{0}' -f 'b','a'", "format_operator", 1),
        ("'{1}{0}' -f 'b','a'", "placeholders", 1),
        ("[char]65+[CHAR]66", "char_casts", 2),
        ("$a -join ''; $b -joined", "join", 1),
        ("$a.Replace('b','') -creplace 'c'", "replace", 2),
        ("$a -bxor 3", "bxor", 1),
        ("$env:comspec[4,15]", "spelled_from_variables", 1),
        ("0x1f,0x2,0x03", "hexadecimal", 3),
        ("0x1f, 0x2, 0x03", "hexadecimal_lists", 1),
        ("1,2 ,3", "listed_numbers", 2),
        ("iNvOkE-eXpReSsIoN getChildItem PSObject", "odd_case", 2),
    ],
)
def test_counts_are_the_known_ones(text, name, expected):
    assert count(text, name) == expected


@pytest.mark.parametrize("hidden", ["i`ex", "'i'+'ex'", "\"i\" + 'e' + 'x'"])
def test_a_word_in_disguise_is_counted_and_told_from_a_plain_one(hidden):
    assert (count(hidden, "execute"), count(hidden, "revealed")) == (1, 1)
    assert (count("iex", "execute"), count("iex", "revealed")) == (1, 0)


@given(TEXTS)
def test_a_text_has_the_same_features_alone_among_others_and_in_a_series(texts):
    together = features.matrix(texts)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    assert (together >= 0).all()
    assert np.array_equal(features.matrix(pl.Series(texts, dtype=pl.String)), together)
    for text, row in zip(texts, together, strict=True):
        assert np.array_equal(features.matrix([text])[0], row)


@given(TEXTS)
def test_length_and_the_shares_of_bytes_are_those_of_python(texts):
    found = features.matrix(texts)
    assert np.array_equal(found[:, :1], features.length(texts))
    assert np.allclose(found[:, 0], [math.log1p(len(text)) for text in texts])
    names = ["letters", "digits", "white_space", "others", *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"]
    parts = found[:, [features.NAMES.index(f"share of {name}") for name in names]].sum(axis=1)
    assert np.allclose(parts, [float(text != "") for text in texts], atol=1e-6)


def test_many_texts_are_worked_on_in_slices_with_the_same_result():
    texts = [f"$a{number} = 'b' + {number}" for number in range(2100)]
    found = features.matrix(texts)
    assert np.array_equal(found[[0, 1024, 2099]], features.matrix([texts[0], texts[1024], texts[2099]]))


def test_null_and_empty_have_zeros_only():
    assert not features.matrix(pl.Series(["", None])).any()


def test_of_a_long_text_the_ends_are_read_and_the_whole_is_measured():
    head, tail = features.HEAD, features.TAIL
    text = "h" * head + " iex " * 100_000 + "t" * tail
    assert value(text, "length") == pytest.approx(math.log1p(head + 500_000 + tail))
    assert count(text, "execute") == 0
    assert count(text, "longest_run") == head + tail
    assert count("x " + "iex " * (head + tail), "execute") > 0


def test_the_names_of_a_bounded_number_of_variables_are_looked_at_and_all_are_counted():
    text = " ".join(f"$a{'_' * number}" for number in range(1, features.NAMES_READ + 1))
    more = text + " $abcdefgh" + " $zyxwvuts"
    assert value(more, "mean_name_entropy") == value(text, "mean_name_entropy") > 0
    assert (count(text, "variables"), count(more, "variables")) == (
        features.NAMES_READ,
        features.NAMES_READ + 2,
    )


def test_ends_leaves_out_what_is_between_head_and_tail():
    head, tail = features.HEAD, features.TAIL
    text = "h" * head + "m" * 100 + "t" * tail
    assert features.ends(pl.Series([text, "short", "é" * (head + tail)])).to_list() == [
        "h" * head + "t" * tail,
        "short",
        "é" * (head + tail),
    ]
