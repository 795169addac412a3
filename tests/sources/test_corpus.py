"""The corpus table: labels, and every decision counted."""

import hashlib
import io
import json
import os
import zipfile

import polars as pl
import pytest
from git_sources import catalogued
from hypothesis import given
from hypothesis import strategies as st

from psembed.runtime.errors import CorpusError, SourceError
from psembed.sources import catalogue, corpus, snapshots
from psembed.sources.synthetic import SOURCES, generate

LINE = "Get-ChildItem -Path $env:TEMP | ForEach-Object { $_.Name }\r\n"


def snapshot(root, name, rows, skipped=None):
    path = snapshots.snapshot_path(name, root=root)
    path.parent.mkdir(parents=True, exist_ok=True)
    source = catalogue.load_sources()[name]
    triples = [(p, snapshots.blob_id(data), data) for p, data in rows]
    snapshots.write_snapshot(path, triples, {"url": source.url, "commit": source.commit}, skipped or {})


def described(**changes):
    (source,) = catalogued("a" * 40, **changes).values()
    return source


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
    labels = {row[:2]: row[2:] for row in table["source", "text", "label", "family"].rows()}
    assert labels == {
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


README = b"""# Use

```powershell
Get-Item $a
```

    PS C:\\> dir
    an answer

```powershell
Get-Item $a
```
"""
WORKFLOW = b"steps:\r\n- {shell: pwsh, run: Invoke-Pester}\r\n- {shell: bash, run: ls}\r\n"


def test_each_snippet_is_a_row_and_every_file_and_snippet_is_counted(tmp_path):
    rows = [
        ("README.md", README),
        ("a.ps1", b"Get-Item $a"),  # the text of a snippet, too: the same content once
        ("b.ps1", README),  # a script, whatever is in it
        ("build.yml", WORKFLOW),
        ("docs/LICENSE.md", b"No code."),
        ("docs/binary.md", bytes(40)),
        ("docs/blank.md", b" "),
        ("docs/large.md", b"x" * 301),
        ("docs/utf16.md", "\ufeff~~~pwsh\r\n\u4e2d\r\n~~~".encode("utf-16-le")),
        ("wrong.yml", b"a: ["),
    ]
    snapshot(tmp_path, "pester-pester", rows)
    table, counts = corpus.build(["pester-pester"], root=tmp_path, max_bytes=300)
    assert table["path", "stratum", "text", "encoding"].rows() == [
        ("README.md#0001", "snippets", "Get-Item $a", "ascii"),
        ("README.md#0002", "snippets", "dir", "ascii"),
        ("b.ps1", "human", README.decode(), "ascii"),
        ("build.yml#0001", "snippets", "Invoke-Pester", "ascii"),
        ("docs/utf16.md#0001", "snippets", "\u4e2d", "utf-16-le-bom"),
    ]
    assert table["label"].to_list() == [0] * 5 and set(table["kind"]) == {"benign"}
    assert table["repository_group"].n_unique() == 1
    assert table["size"].to_list() == [11, 3, len(README), 13, 3]  # of the snippets, in UTF-8
    for digest, text in table["sha256", "text"].rows():
        assert digest == hashlib.sha256(text.encode()).hexdigest()
    got = counts["pester-pester"]
    assert got["skipped"] == {
        "binary": 1, "damaged YAML": 1, "duplicate": 2, "empty": 1, "no snippet": 1, "too large": 1,
    }  # fmt: skip
    assert got["files"] == got["rows"] + sum(got["skipped"].values()) == 12
    assert got["bytes"] == 3 * 11 + 3 + len(README) + 13 + 3 + 8 + 40 + 1 + 301 + 4
    assert got["encodings"] == {"ascii": 9, "binary": 1, "utf-16-le-bom": 1}
    assert got["labels"] == {"0": 5} and json.dumps(counts)


def test_offensive_snippets_are_in_a_stratum_of_their_own_and_have_no_label(tmp_path):
    source = described(kind="offensive", stratum="offensive", group="offensive", snippets=("*.md", "*.txt"))
    rows = [
        ("a.ps1", b"dir"),
        ("README.md", README),
        ("payload.txt", b"STRING powershell\nENTER\nSTRING iex $a\n"),
        ("notes.txt", b"some notes"),
    ]
    table, counts = corpus.build([], root=tmp_path, extra=[(source, rows)])
    assert table["path", "kind", "stratum", "label"].rows() == [
        ("a.ps1", "offensive", "offensive", None),
        ("README.md#0001", "offensive", "offensive snippets", None),
        ("payload.txt#0001", "offensive", "offensive snippets", None),
    ]
    assert table["text"].to_list() == ["dir", "Get-Item $a", "powershell\niex $a"]
    assert counts["scripts"]["labels"] == {"none": 3}
    assert counts["scripts"]["skipped"] == {"duplicate": 2, "no snippet": 1}
    assert counts["scripts"]["files"] == 6


def test_no_offensive_source_gives_a_clean_row(tmp_path):
    assert {corpus.KIND_LABELS[kind] for kind in corpus.SNIPPETS} == {0, None}
    assert len({*corpus.SNIPPETS.values()}) == len(corpus.SNIPPETS)
    strata = {source.stratum for source in catalogue.load_sources().values()}
    assert not strata & {*corpus.SNIPPETS.values()}  # no source can claim them
    assert {source.stratum for source in catalogue.find_sources(["offensive"])} == {"offensive"}


def test_a_source_that_is_only_described_has_no_snippets(tmp_path):
    class Plain:
        name, kind, stratum, group = "made", "benign", "human", "made"

    table, _ = corpus.build([], root=tmp_path, extra=[(Plain, [("README.md", README)])])
    assert table["path", "stratum"].rows() == [("README.md", "human")]


def test_half_a_surrogate_pair_in_a_manifest_is_a_row(tmp_path):
    source = described(snippets=("*.json",))
    rows = [("a.json", b'{"pre_install": "a\\ud800b"}')]
    table, _ = corpus.build([], root=tmp_path, extra=[(source, rows)])
    assert table["text", "size"].rows() == [("a?b", 3)]
    assert table["sha256"].to_list() == [hashlib.sha256(b"a?b").hexdigest()]


DOCUMENTS = st.lists(
    st.tuples(
        st.sampled_from(["a.md", "b.yml", "c.json", "d.txt", "e.ps1", "f.toml"]),
        st.lists(
            st.sampled_from(
                [b"```pwsh\n", b"dir\n", b"```\n", b"- pwsh: ", b"gci\n", b'{"pre_install": "gci"}',
                 b"\0", b" ", b"STRING powershell\n", b"[", b"    PS> ls\n"]
            ),
            max_size=8,
        ).map(b"".join),
    ),
    max_size=8,
)  # fmt: skip


@given(DOCUMENTS)
def test_counts_add_up_whatever_is_read(tmp_path_factory, files):
    source = described(snippets=("*.md", "*.yml", "*.json", "*.txt", "*.toml"))
    rows = [*((f"{n}/{path}", data) for n, (path, data) in enumerate(files)), ("z.ps1", b"always here")]
    table, counts = corpus.build([], root=tmp_path_factory.getbasetemp(), extra=[(source, rows)])
    got = counts["scripts"]
    assert got["rows"] == len(table) and got["files"] == len(table) + sum(got["skipped"].values())
    assert sum(got["labels"].values()) == len(table) and got["files"] >= len(rows)
    assert table["text"].n_unique() == table["path"].n_unique() == len(table)
    for path, stratum in table["path", "stratum"].rows():
        file, _, number = path.partition("#")
        assert (stratum == "snippets") == bool(number) == source.holds_snippets(file)
        assert not number or (len(number) == 4 and int(number) >= 1)


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
