"""The token rule: known answers, the documented table, engines that agree, ids that fit."""

import json
import re
import shutil
import subprocess
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psembed.powershell import cleaning, decoding, tokens
from psembed.powershell.encoding import Encoder
from psembed.powershell.tokens import (
    UNKNOWN,
    Vocabulary,
    ids,
    normalise,
    tokenize,
    tokenize_series,
    unknown_token_message,
)
from psembed.runtime import distinct, threads
from psembed.runtime.errors import CorpusError, ModelError, ParameterError
from psembed.sources import catalogue, snapshots

DOCS = Path(__file__).parents[2] / "docs" / "tokens.md"
PIECES = st.sampled_from(
    ["IEX", "Get-Item", "$i", "$env:Path", "-eq", "%", "?", "'", '"', "`", "@{", "${", "::", "..", "--",
     "<#", "#>", "\n", " ", "\t", "\u2013", "\u201c", "\u00c4", "\u03a3", "\u0130", "\U0001f600", "\u00a0",
     "1", "0x1F", "*", "/", "\\", "aB+/9" * 30, "==", "x" * 70]
)  # fmt: skip
SCRIPTS = st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=25).map("".join)
EVERY_CHARACTER = [f"a{chr(code)}b" for code in range(1, 0x20000) if not 0xD800 <= code < 0xE000]


def documented_rows():
    """Return (text, tokens) of each row of the behaviour table."""
    section = DOCS.read_text(encoding="utf-8").split("## Behaviour")[1].split("\n## ")[0]
    rows = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and cells[0].startswith("`"):
            marks = 2 if cells[0].startswith("``") else 1
            rows.append(tuple(cell.replace("\\|", "|")[marks:-marks] for cell in cells[:2]))
    return rows


@pytest.mark.parametrize(("text", "expected"), documented_rows())
def test_documented_behaviour(text, expected):
    assert tokenize(text) == expected.split(" ")


def test_the_table_is_there():
    assert len(documented_rows()) >= 25


def test_documented_alternatives_are_the_patterns():
    section = DOCS.read_text(encoding="utf-8").split("## The rule")[1].split("## Behaviour")[0]
    named = re.findall(r"^\| ([a-z]+) \|", section, flags=re.M)
    assert named == list(tokens.ALTERNATIVES)


@settings(max_examples=60, deadline=None)
@given(st.lists(SCRIPTS, max_size=8))
def test_series_and_single_texts_agree(texts):
    assert tokenize_series(texts).to_list() == [tokenize(text) for text in texts]


def test_rust_and_python_agree_on_every_character():
    assert tokenize_series(EVERY_CHARACTER).to_list() == [tokenize(text) for text in EVERY_CHARACTER]


KNOWN = Vocabulary(["iex", "$i", "-eq", '"', "'", "*", "\u03c3", "x" * 64, "\u00e4" * 64])


@contextmanager
def cut_small():
    """Share out and take apart even the shortest texts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "SMALL", 1)
        patch.setattr(distinct, "MIN_BYTES", 0)
        yield


def check_ids(texts, vocabulary):
    expected = [[vocabulary._ids.get(token, 1) for token in tokenize(text)] for text in texts]
    numbers, lengths = ids(texts, vocabulary)
    assert numbers.dtype == np.int32 and numbers.tolist() == list(chain(*expected))
    assert lengths.dtype == np.int64 and lengths.tolist() == [len(row) for row in expected]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(SCRIPTS, st.text(max_size=40)), max_size=12))
def test_ids_are_those_of_the_tokens(texts):
    check_ids(texts, KNOWN)
    with cut_small():
        check_ids(texts, KNOWN)
        assert tokenize_series(texts).to_list() == [tokenize(text) for text in texts]


def test_ids_of_every_character():
    vocabulary = Vocabulary.fit(tokenize_series(EVERY_CHARACTER), min_scripts=1)
    check_ids(EVERY_CHARACTER, vocabulary)
    with cut_small():
        check_ids([f"{text} \n{text}\t\u00a0" for text in EVERY_CHARACTER], vocabulary)


@pytest.mark.parametrize("letter", ["x", "\u00c4", "\u4e00", "4"])
def test_ids_of_long_matches_are_those_of_their_first_characters(letter):
    texts = [letter * length for length in (63, 64, 65, 99, 100, 5_000)]
    check_ids(texts, KNOWN)
    check_ids(texts * 10, Vocabulary([tokenize(text)[0] for text in texts[:2]]))


def test_ids_of_little():
    assert [part.tolist() for part in ids([], KNOWN)] == [[], []]
    for vocabulary in (KNOWN, Vocabulary([])):
        numbers, lengths = ids(pl.Series([None, "b", None, "", " \n"], dtype=pl.String), vocabulary)
        assert (numbers.tolist(), lengths.tolist()) == ([1], [0, 1, 0, 0, 0])
    with cut_small():
        assert ids(pl.Series([None, "", "iex"]), KNOWN)[1].tolist() == [0, 0, 1]


@pytest.mark.parametrize("times", [1, 100])
def test_few_tokens_and_many_have_the_same_numbers(times):
    numbers = KNOWN.numbers(pl.Series(["-eq", "nowhere", "iex", ""] * times))
    assert numbers.dtype == np.int32 and numbers.tolist() == [4, 1, 2, 1] * times


REAL = Path(__file__).parents[2] / "data" / "snapshots" / "fleschutz-powershell.parquet"


@pytest.mark.skipif(not REAL.exists(), reason="the snapshot is not here: psembed fetch")
def test_ids_of_real_scripts():
    (source,) = catalogue.find_sources([REAL.stem])
    raw = [decoding.decode(data)[0] for _, data in snapshots.read_snapshot(REAL, source)]
    texts = [text for text in raw if text] + [cleaning.clean(text) for text in raw if text]
    vocabulary = Vocabulary.fit(tokenize_series(texts), min_scripts=3)
    assert sum(map(len, texts)) > distinct.MIN_BYTES * threads.THREADS / 2
    check_ids(texts, vocabulary)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([str(n) for n in range(300)]) | st.text(max_size=3), max_size=400))
def test_factorised_values_are_the_values(values):
    uniques, codes = distinct.factorise(pl.Series(values, dtype=pl.String))
    assert uniques.gather(codes).to_list() == values
    assert set(uniques) == set(values)
    assert sorted(set(codes.tolist())) == list(range(len(uniques)))


def test_factorised_values_come_once_but_for_collisions():
    values = pl.Series([f"word{n % 1000}" for n in range(20_000)])
    assert 1000 <= len(distinct.factorise(values)[0]) <= 2000
    assert len(distinct.factorise(pl.Series(["a"] * 1000))[0]) == 1


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("a\u00e4 ", max_size=30), max_size=40), st.integers(1, 5), st.integers(20, 200))
def test_partitions_are_the_texts_in_order_and_bounded(texts, count, large):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("SMALL", 10), ("LARGE", large), ("THREADS", count)):
            patch.setattr(threads, name, value)
        parts = threads.partitions(pl.Series(texts, dtype=pl.String))
        joined = threads.map_partitions(lambda part: part.to_list(), texts)
    assert list(chain(*joined)) == texts == list(chain(*parts))
    sizes, longest = [len("".join(part).encode()) for part in parts], max(map(len, texts), default=0)
    assert max(sizes) <= max(large, sum(sizes) / len(sizes)) + 2 * longest
    assert len(parts) <= max(1, sum(sizes) / 10)


def test_partitions_are_two_a_thread_unless_they_grow_too_large(monkeypatch):
    for name, value in (("SMALL", 10), ("LARGE", 100), ("THREADS", 2)):
        monkeypatch.setattr(threads, name, value)
    counts = {
        n: len(threads.partitions(pl.Series(["x"] * n, dtype=pl.String))) for n in (0, 19, 20, 400, 401, 900)
    }
    assert counts == {0: 1, 19: 1, 20: 2, 400: 4, 401: 8, 900: 12}


NODE = """
const {rules, texts} = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const tokens = flags => texts.map(text => {
  const normalised = text.replace(/./gsu, c => rules.characters[c] ?? c).toLowerCase().replace(/[0-9]/g, '*');
  return (normalised.match(new RegExp(rules.pattern, flags)) || []).map(t => t.slice(0, rules.token_chars));
});
process.stdout.write(JSON.stringify([tokens('g'), tokens('gu')]));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_javascript_agrees():
    scripts = [text for text, _ in documented_rows()] + [
        "A9+/" * 200 + "==",
        "z" * 300,
        "\u0130\u03a3 \u2014x",
    ]
    texts = EVERY_CHARACTER[:70_000] + scripts
    rules = json.loads(Encoder(["a"], token_length=4, char_length=4).to_json())
    content = json.dumps({"rules": rules, "texts": texts}).encode()
    done = subprocess.run([shutil.which("node"), "-e", NODE], input=content, capture_output=True, check=True)
    expected = [tokenize(text) for text in texts]
    without_flag, unicode_flag = json.loads(done.stdout)
    assert without_flag == expected
    assert unicode_flag == expected


def test_pattern_is_portable():
    outside = re.sub(r"\\.", "", re.sub(r"\[[^]]*\]", "C", tokens.PATTERN))
    assert not re.search(r"\(\?(?!:)", outside), "look-around or flags"
    assert not re.search(r"[*+?}][+?]", outside), "possessive or lazy"
    assert not re.search(r"\\[a-tv-zA-Z0-9]", tokens.PATTERN), "a shorthand class, boundary or back-reference"


@settings(max_examples=200, deadline=None)
@given(SCRIPTS)
def test_normalise_keeps_positions_and_is_stable(text):
    assert len(normalise(text)) == len(text)
    assert normalise(normalise(text)) == normalise(text)
    assert not re.search("[A-Z0-9]", normalise(text))


@settings(max_examples=200, deadline=None)
@given(SCRIPTS)
def test_tokens_cover_all_visible_ascii(text):
    kept = "".join(
        re.findall("[!-~]", "".join(match.group() for match in tokens._MATCHER.finditer(normalise(text))))
    )
    assert kept == "".join(re.findall("[!-~]", normalise(text)))
    assert all(0 < len(token) <= tokens.TOKEN_CHARS and " " not in token for token in tokenize(text))


@settings(max_examples=100, deadline=None)
@given(SCRIPTS)
def test_case_and_digits_do_not_matter(text):
    ascii_upper = re.sub("[a-z]", lambda letter: letter.group().upper(), text)
    assert tokenize(ascii_upper) == tokenize(text)
    assert tokenize(re.sub("[0-9]", "7", text)) == tokenize(text)


def test_base64_is_one_token():
    blob = "QUJD+/x9" * 5000
    assert tokenize(f"-enc {blob}== -w") == ["-enc", normalise(blob)[:64], "-w"]
    assert len(tokenize("QUJD+/x9" * 8)) > 8


def test_null_stays_null_and_empty_stays_empty():
    assert tokenize_series(pl.Series(["", None, "  \n", "a"])).to_list() == [[], None, [], ["a"]]
    assert tokenize_series([]).dtype == pl.List(pl.String)


def test_fit_counts_scripts_and_occurrences():
    fitted = Vocabulary.fit(tokenize_series(["iex iex b", "IEX c", "", "b"]), min_scripts=2)
    assert fitted.to_table().rows() == [("b", 2, 2), ("iex", 2, 3)]
    assert fitted.tokens == ["b", "iex"] and len(fitted) == 2
    assert fitted.numbers(pl.Series(["b", "iex", "c"])).tolist() == [2, 3, UNKNOWN]


def test_fit_does_not_depend_on_order():
    texts = [f"common w{chr(97 + n % 20)} x{chr(97 + n % 7)}" for n in range(200)]
    forward = Vocabulary.fit(tokenize_series(texts), min_scripts=2)
    assert forward.tokens == Vocabulary.fit(tokenize_series(texts[::-1]), min_scripts=2).tokens


def test_vocabulary_refuses_bad_input():
    with pytest.raises(CorpusError, match="lower min_scripts"):
        Vocabulary.fit(tokenize_series(["a", "b"]), min_scripts=3)
    with pytest.raises(CorpusError, match="'a' comes twice"):
        Vocabulary(["a", "b", "a"])
    with pytest.raises(CorpusError, match="as many script"):
        Vocabulary(["a", "b"], scripts=[1], counts=[1])


def test_unknown_token_names_the_nearest():
    known = ["invoke-expression", "iex", "write-host"]
    near = unknown_token_message("Invoke-Expresion", known)
    assert re.search(r"'Invoke-Expresion'.*3 tokens; nearest: invoke-expression", near)
    assert "nothing in it" in unknown_token_message("zzzzzzzz", known)


def small_encoder(token_length=8, char_length=8):
    return Encoder(["iex", "(", "a"], token_length=token_length, char_length=char_length)


def test_encode_known_answers():
    words, characters = small_encoder().encode(["IEX (\n~", "", "\u00e9\t!"])
    assert words.dtype == characters.dtype == np.int32
    assert words.tolist() == [[2, 3, 1, 0, 0, 0, 0, 0], [0] * 8, [1, 1, 0, 0, 0, 0, 0, 0]]
    assert characters.tolist() == [[42, 38, 57, 1, 9, 1, 95, 0], [0] * 8, [96, 1, 2, 0, 0, 0, 0, 0]]


def test_a_long_text_keeps_head_and_tail():
    words, characters = small_encoder().encode(["iex " * 6 + "zz " * 50 + "( a", "abcdef" + "z" * 50 + "yx"])
    assert words[0].tolist() == [2, 2, 2, 2, 2, 2, 3, 4]
    assert (characters[1] + 31).tolist() == [ord(letter) for letter in "abcdefyx"]


@settings(max_examples=40, deadline=None)
@given(st.lists(SCRIPTS, max_size=6))
def test_encode_is_what_it_says(texts):
    encoder = Encoder(["iex", "$i", "-eq", '"', "'"], token_length=9, char_length=13)
    words, characters = encoder.encode(texts)
    for text, word_row, character_row in zip(texts, words.tolist(), characters.tolist(), strict=True):
        numbers = [encoder.vocabulary._ids.get(token, 1) for token in tokenize(text)]
        numbers = numbers if len(numbers) <= 9 else numbers[:7] + numbers[-2:]
        assert word_row == numbers + [0] * (9 - len(numbers))
        kept = text if len(text) <= 13 else text[:10] + text[-3:]
        assert [code > 0 for code in character_row] == [True] * len(kept) + [False] * (13 - len(kept))
        assert max(character_row) <= 96


def test_batches_do_not_change_the_result():
    texts = [f"iex {'a ' * (n % 40)}(" for n in range(2500)]
    words, characters = small_encoder().encode(texts)
    assert np.array_equal(words[2400:], small_encoder().encode(texts[2400:])[0])
    assert np.array_equal(characters[:3], small_encoder().encode(texts[:3])[1])
    sizes = [part.stop - part.start for part in threads.slices([2] * 10, rows=100, most=5)]
    assert sizes == [2] * 5


def test_a_fifty_megabyte_line_is_read_at_its_ends():
    text = "iex (" + "a;" * 25_000_000 + "( ("
    words, characters = small_encoder(64, 64).encode([text])
    assert words[0, :2].tolist() == [2, 3]
    assert words[0, -2:].tolist() == [3, 3]
    assert characters.min() > 0


def test_json_round_trip():
    encoder = Encoder(Vocabulary(["iex", "gr\u00f6\u00dfe", '"']), token_length=16, char_length=32)
    again = Encoder.from_json(encoder.to_json())
    assert again.to_json() == encoder.to_json()
    text = ['IEX "Gr\u00d6\u00dfe" x']
    assert np.array_equal(again.encode(text)[0], encoder.encode(text)[0])


def changed(**values):
    return json.dumps(json.loads(small_encoder().to_json()) | values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (changed(format=2), "format 2; this psembed reads 1"),
        (changed(pattern="[a-z]+"), "another token pattern"),
        (changed(vocabulary=["a", "a"]), "comes twice"),
        (changed(vocabulary=["a", 3]), "damaged"),
        (changed(vocabulary="abc"), "damaged"),
        (changed(token_length="8"), "damaged"),
        (small_encoder().to_json()[:-40], "damaged"),
        ("[]", "damaged"),
        ("", "damaged"),
    ],
)
def test_json_of_another_kind_is_refused(text, message):
    with pytest.raises(ModelError, match=message):
        Encoder.from_json(text)


@pytest.mark.parametrize("length", [0, 3, 2.5, "512", None, 1 << 30])
def test_lengths_are_checked(length):
    with pytest.raises(ParameterError, match="token_length"):
        small_encoder(token_length=length)
