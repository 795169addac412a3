"""docs/contract.md suffices to score: its own implementation gives what psembed gives."""

import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path

import contract_scorer as contract
import numpy as np
import pytest
from golden_inputs import EDGES, FRAGMENTS, inputs
from hypothesis import given, settings
from hypothesis import strategies as st

from docs import contract as tables
from psembed.detector import detector, manifest, onnx_model
from psembed.detector.detector import Detector
from psembed.detector.manifest import MANIFEST, MODEL, NEIGHBOURS, TOKENIZER
from psembed.evaluation import calibration
from psembed.powershell import cleaning, decoding, encoding, tokens
from psembed.powershell.cleaning import DOUBLE_QUOTES, SINGLE_QUOTES
from psembed.powershell.encoding import BLOCK
from psembed.release import golden
from psembed.release.golden import GOLDEN
from psembed.runtime.errors import ModelError
from psembed.runtime.files import RELEASED

SCORER = contract.Scorer(RELEASED)
ENCODER = encoding.Encoder.from_json((RELEASED / TOKENIZER).read_text(encoding="utf-8"))
TEXTS = st.one_of(
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=4)), max_size=30).map("".join), st.text()
)
KINDS = {"tensor(int32)": "int32", "tensor(float)": "float32"}
# What decoding decides by, and anything else.
PIECES_OF_BYTES = st.sampled_from(
    [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0", b"a\0", b"\0a", b"a", b"\x01", b"\xc3\xa4",
     b"\xe2\x82", b"\xf0\x9f\x98\x80", b"\xed\xa0", b"\x00\xd8", b"\x85"]
)  # fmt: skip
BYTES = st.one_of(
    st.binary(max_size=40),
    st.lists(PIECES_OF_BYTES, max_size=12).map(b"".join),
    TEXTS.map(lambda text: text.encode("utf-16-le")),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a detector's folder with its golden records."""
    path = tmp_path_factory.mktemp("released")
    for name in (MODEL, TOKENIZER, MANIFEST, NEIGHBOURS):
        shutil.copy(RELEASED / name, path)
    golden.write(path, Detector.load())
    return path


@pytest.fixture(scope="module")
def records(folder):
    return list(golden.read(folder / GOLDEN))


@pytest.fixture(scope="module")
def scorer(folder):
    return contract.Scorer(folder)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def ids_sha256(ids):
    return sha256(np.array(ids, dtype="<i4").tobytes())


def test_every_text_record_is_met(records, scorer):
    chosen = [record for record in records if record["kind"] == "text"]
    rows = []
    for record in chosen:
        cleaned = contract.clean("".join(piece * count for piece, count in record["parts"]))
        found = scorer.tokens(cleaned)
        rows.append((scorer.token_ids(found), scorer.character_ids(cleaned)))
        assert (record["cleaned_length"], record["cleaned_sha256"]) == (
            len(cleaned),
            sha256(cleaned.encode()),
        )
        assert (record["tokens"], record["tokens_sha256"]) == (len(found), sha256("\n".join(found).encode()))
        for name, row in zip(("token_ids", "character_ids"), rows[-1], strict=True):
            assert record[f"{name}_sha256"] == ids_sha256(row)
            assert record.get(name, row) == row
    check_scores(chosen, scorer.scores(rows), scorer)


def check_scores(records, scores, scorer):
    expected = [record["score"] for record in records]
    assert np.abs(np.subtract(scores, expected)).max() <= 1e-6
    assert [scorer.malicious(score) for score in scores] == [record["malicious"] for record in records]


def test_every_bytes_record_is_met(records, scorer):
    chosen = [record for record in records if record["kind"] == "bytes"]
    scored, rows = [], []
    for record in chosen:
        data = golden.input_of(record)
        text, encoding = (None, "") if len(data) > contract.MAX_BYTES else contract.decode(data)
        assert record["encoding"] == encoding
        assert record["text_length"] == (None if text is None else len(text))
        assert record["text_sha256"] == (None if text is None else sha256(text.encode()))
        cleaned = contract.clean(text or "")
        if not cleaned:
            assert record["score"] is record["malicious"] is None
        else:
            scored.append(record)
            rows.append((scorer.token_ids(scorer.tokens(cleaned)), scorer.character_ids(cleaned)))
    check_scores(scored, scorer.scores(rows), scorer)


def test_golden_records_are_of_every_kind(records):
    known = [record for record in records if record["kind"] == "text"]
    assert len(known) == 1000 and len(records) - len(known) >= 100
    assert {record.get("encoding") for record in records} == {None, "", *decoding.ENCODINGS}
    assert {record["malicious"] for record in records} == {None, False, True}
    assert {511, 512, 513} <= {record["tokens"] for record in known}
    lengths = {record["cleaned_length"] for record in known}
    limit = encoding.READ_CHARS
    assert {0, 2047, 2048, 2049, limit - 1, limit, limit + 1} <= lengths
    assert sum(record["cleaned_length"] > limit for record in known) >= 2


def test_golden_file_is_small_and_repeats(folder, tmp_path):
    path = folder / GOLDEN
    assert path.stat().st_size < 1_000_000
    with gzip.open(path) as stream:
        header = json.loads(stream.readline())
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert header["sha256"] == manifest["sha256"] and header["format"] == golden.FORMAT
    shutil.copy(folder / TOKENIZER, tmp_path)
    contents = [golden.write(tmp_path, Detector.load(), inputs=inputs(80)).read_bytes() for _ in range(2)]
    assert contents[0] == contents[1]


def test_committed_golden_file_is_what_the_released_detector_gives_today(folder):
    committed, today = (golden_lines(path / GOLDEN) for path in (RELEASED, folder))
    assert [line | {"score": ...} for line in committed] == [line | {"score": ...} for line in today]
    scores = [[s for line in lines if (s := line.get("score")) is not None] for lines in (committed, today)]
    assert scores[0] == pytest.approx(scores[1], rel=0, abs=1e-6)


def golden_lines(path):
    """Return the header and the records."""
    with gzip.open(path, "rt", encoding="ascii") as lines:
        return list(map(json.loads, lines))


def test_golden_inputs_are_those_that_were_made(records):
    given = [(record["kind"], golden.input_of(record)) for record in records]
    assert [(one["kind"], golden.input_of(one)) for one in inputs()] == given
    assert [text for _, text in given[:3]] == list(EDGES[:3])
    assert inputs(seed=2) != inputs()


def test_golden_file_goes_with_its_detector(tmp_path):
    with pytest.raises(ModelError, match=TOKENIZER):
        golden.write(tmp_path, Detector.load())
    (tmp_path / TOKENIZER).write_text("{}")
    with pytest.raises(ModelError, match="do not belong together"):
        golden.write(tmp_path, Detector.load())


@pytest.mark.parametrize("content", [b"", b'{"format":0}\n', b"[]\n", b"{", b"\xff\n"])
def test_golden_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / GOLDEN).write_bytes(gzip.compress(content))
    with pytest.raises(ModelError, match=GOLDEN):
        list(golden.read(tmp_path / GOLDEN))


def test_golden_file_that_is_damaged_or_missing_is_refused(folder, tmp_path):
    (tmp_path / GOLDEN).write_bytes((folder / GOLDEN).read_bytes()[:-100])
    for name in (GOLDEN, "none"):
        with pytest.raises(ModelError, match="cannot be read"):
            list(golden.read(tmp_path / name))


@settings(max_examples=400)
@given(TEXTS)
def test_cleaning_is_psembeds(text):
    assert contract.clean(text) == cleaning.clean(text)


@settings(max_examples=300)
@given(TEXTS)
def test_tokens_and_ids_are_psembeds(text):
    found = SCORER.tokens(text)
    assert found == tokens.tokenize(text)
    rows = [row[row > 0].tolist() for (row,) in ENCODER.encode([text])]
    assert [SCORER.token_ids(found), SCORER.character_ids(text)] == rows


def utf16_units(text):
    """Return `text` as C# has it: one character for each unit."""
    return "".join(map(chr, np.frombuffer(text.encode("utf-16-le"), dtype="<u2").tolist()))


@settings(max_examples=200)
@given(TEXTS)
def test_cleaning_and_tokens_are_the_same_in_utf16_units(text):
    units = utf16_units(text)
    assert contract.clean(units) == utf16_units(contract.clean(text))
    assert SCORER.tokens(units) == SCORER.tokens(text)


@settings(max_examples=500)
@given(BYTES)
def test_decoding_is_psembeds(data):
    assert contract.decode(data) == decoding.decode(data)


def every_character(below=0x110000):
    return [chr(code) for code in range(below) if not 0xD800 <= code < 0xE000]


def test_white_space_of_the_page_is_pythons():
    for is_white in (str.isspace, re.compile(r"\s").match, lambda c: not c.split(), lambda c: not c.strip()):
        assert "".join(filter(is_white, every_character())) == contract.WHITE


def test_lower_case_of_the_page_is_all_that_matters():
    match = re.compile(tokens.PATTERN).match
    changed = {c: tokens.normalise(c) for c in every_character() if tokens.normalise(c) != c}
    matter = {ord(c): ord(image) for c, image in changed.items() if match(c) or match(image)}
    settled = {ord(c) for c in (*tokens.ALIKE, *"0123456789")}
    assert {code: image for code, image in matter.items() if code not in settled} == contract.LOWER
    assert {code: SCORER.normalised[code] for code in matter} == matter


def test_characters_of_the_page_make_the_tokens_of_polars():
    texts = [f"a{c}b" for c in every_character(0x20000)]
    assert tokens.tokenize_series(texts).to_list() == [SCORER.tokens(text) for text in texts]


def test_windows_1252_of_the_page_is_pythons():
    found = "".join(map(chr, contract.WINDOWS_1252.values()))
    assert found == bytes(contract.WINDOWS_1252).decode("cp1252", "replace")


def test_ids_of_every_character():
    text = "".join(every_character(0x800))
    assert ENCODER.encode([text])[1].tolist() == [SCORER.character_ids(text)]


def test_padding_and_batches_do_not_change_scores():
    texts = "", "x", "iex $a", "get-item . " * 40, "$x = 1 ; " * 500
    rows = [(SCORER.token_ids(SCORER.tokens(text)), SCORER.character_ids(text)) for text in texts]
    alone = [SCORER.scores([row])[0] for row in rows]
    for scores in (SCORER.scores(rows), SCORER.scores(rows, full=True)):
        assert np.abs(np.subtract(scores, alone)).max() <= 1e-6


def test_calibration_is_psembeds():
    scores = np.array([0, 1e-9, 0.01, 0.5, 0.6, 0.99, 1 - 2**-24, 1], dtype=np.float32)
    expected = calibration.apply(scores, SCORER.manifest["temperature"])
    assert np.allclose([SCORER.calibrated(score) for score in scores.tolist()], expected, rtol=1e-12, atol=0)


def rows_of(heading):
    """Return the cells of the table rows of one section of the page."""
    section = contract.PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]


def test_page_tells_every_field():
    told = {name for row in rows_of("The folder") for name in re.findall(r"`(\w+)`", row[0])}
    for name in (MANIFEST, TOKENIZER):
        assert set(json.loads((RELEASED / name).read_text(encoding="utf-8"))) <= told


def test_page_tells_every_field_of_golden_records(records):
    told = {name for row in rows_of("Golden records") for name in re.findall(r"`(\w+)`", row[0])}
    assert {field for record in records for field in record} - {"kind"} == told
    assert f"rows of at most {golden.SHORT}" in contract.PAGE


def test_page_tells_every_number():
    told = {row[0].strip("`"): int(row[1].replace(",", "")) for row in rows_of("Numbers")[1:]}
    assert told == {
        "MAX_BYTES": detector.MAX_BYTES, "READ_CHARS": encoding.READ_CHARS, "TOKEN_CHARS": tokens.TOKEN_CHARS,
        "PAD": tokens.PAD, "UNKNOWN": tokens.UNKNOWN, "FIRST": tokens.FIRST, "BLOCK": BLOCK,
        "LOGIT_LIMIT": calibration.LOGIT_LIMIT, MANIFEST: manifest.FORMAT, TOKENIZER: encoding.FORMAT,
        MODEL: onnx_model.FORMAT, GOLDEN: golden.FORMAT,
    }  # fmt: skip


def test_page_tells_how_long_texts_are_cut():
    whole = encoding.READ_CHARS
    told = re.search(r"`read_chars`: ([\d,]+) and ([\d,]+) are kept", contract.PAGE)
    assert [int(n.replace(",", "")) for n in told.groups()] == [whole - whole // 4, whole // 4]


def test_page_tells_the_models_inputs_and_output():
    session = onnx_model.open_session(RELEASED / MODEL)
    told = [(row[1].strip("`"), row[2]) for row in rows_of("Run")[1:]]
    assert [
        (value.name, KINDS[value.type]) for value in (*session.get_inputs(), *session.get_outputs())
    ] == told


def test_page_tells_every_encoding():
    told = {name for row in rows_of("Decode") for name in re.findall(r"`([\w-]+)`", row[-1])}
    text = contract.PAGE.split("\n## Decode")[1].split("\n## ")[0]
    assert told < set(decoding.ENCODINGS) <= set(re.findall(r"`([\w-]+)`", text))


def test_tables_are_those_of_the_code():
    root = RELEASED.parents[1]
    assert tables.page(contract.PAGE) == contract.PAGE
    assert tables.source() == (root / tables.TABLES).read_text(encoding="utf-8")
    assert (contract.SINGLE, contract.DOUBLE) == (SINGLE_QUOTES, DOUBLE_QUOTES)
    assert contract.table("characters") == {ord(c): ord(image) for c, image in tokens.ALIKE.items()}


def test_ports_are_told_lengths_of_rows_that_hold_any():
    for lengths in ((4, 4), (64, 64), (512, 2048), (1000, 8000)):
        told = encoding.buckets(encoding.Encoder(["a"], token_length=lengths[0], char_length=lengths[1]))
        assert all(length % BLOCK == 0 for pair in told for length in pair)
        assert told == sorted(told) and len({*map(tuple, told)}) == len(told)
        assert all(length <= last < length + BLOCK for length, last in zip(lengths, told[-1], strict=True))
    assert SCORER.manifest["buckets"] == encoding.buckets(ENCODER)


# Ports that were wrong and passed: each is caught by a record now.
WRONG = {
    "no tab after the head of a here-string": ("[ \\t]*\\n", "[ ]*\\n"),
    "U+201F is a quote": ('"double"))\n', '"double"))\nDOUBLE += "\\u201f"\n'),
    "08 is a control": ("*range(0, 8)", "*range(0, 9)"),
    "0E is none": ("*range(14, 26)", "*range(15, 26)"),
    "1A is a control": ("*range(14, 26)", "*range(14, 27)"),
    "U+001C to U+001F are text": (
        '"white-space")))',
        '"white-space"))).translate(dict.fromkeys(range(28, 32)))',
    ),
    "searches pass over U+00AD": ('text.find("#>"', 'text.replace("#\\u00ad>", "#> ").find("#>"'),
}


@pytest.mark.parametrize("change", [None, *WRONG])
def test_a_port_that_is_wrong_differs_from_a_record(records, change):
    source = Path(contract.__file__).read_text(encoding="utf-8")
    if change:
        before, after = WRONG[change]
        assert source.count(before) == 1
        source = source.replace(before, after)
    port = {"__file__": contract.__file__}
    exec(source, port)
    short = (record for record in records if len(golden.input_of(record)) < 1e6)
    assert any(differs(port, record) for record in short) is bool(change)


def differs(port, record):
    """Tell whether a port decodes or cleans the input of a record otherwise, or refuses it otherwise."""
    text = golden.input_of(record)
    if record["kind"] == "bytes":
        text, encoding = port["decode"](text)
        if encoding != record["encoding"] or (text is None) != (record["text_sha256"] is None):
            return True
        return bool(port["clean"](text or "")) != (record["score"] is not None)
    return sha256(port["clean"](text).encode()) != record["cleaned_sha256"]
