"""Snapshots: git's content ids, and what damaged ones do."""

import io

import polars as pl
import pygit2
import pytest
from git_sources import good_rows, ready
from hypothesis import given
from hypothesis import strategies as st

from psembed.runtime.errors import SourceError
from psembed.sources import snapshots

FIRST = {"a.ps1": b"\xef\xbb\xbfdir\r\n", "lib/b.PSM1": b"ls", "lib/data.psd1": b"@{}", "readme.md": b"#"}


@given(st.binary(max_size=200))
def test_blob_id_is_gits(data):
    assert snapshots.blob_id(data) == str(pygit2.hash(data))


def test_blob_id_known_answers():
    assert snapshots.blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert snapshots.blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


@pytest.mark.parametrize("row", [("a.ps1", "x", None), (None, "x", b"dir"), ("a.ps1", None, b"dir")])
def test_a_row_without_content_path_or_id_is_refused(tmp_path, row):
    path = ready(tmp_path / "x.parquet", [row])
    with pytest.raises(SourceError, match="row 0"):
        list(snapshots.read_snapshot(path))


def test_a_damaged_snapshot_is_refused(tmp_path, monkeypatch):
    path = ready(tmp_path / "x.parquet", good_rows(FIRST))
    whole = path.read_bytes()
    for data in (b"", b"PAR1", whole[: len(whole) // 2], b"not parquet" * 9):
        path.write_bytes(data)
        with pytest.raises(SourceError, match=r"x\.parquet is truncated"):
            list(snapshots.read_snapshot(path))
    path.write_bytes(whole[:30] + bytes(50) + whole[80:])
    with pytest.raises(SourceError, match=r"x\.parquet"):
        list(snapshots.read_snapshot(path))
    pl.read_parquet(io.BytesIO(whole)).drop("blob").write_parquet(path)
    with pytest.raises(SourceError, match="lacks the column 'blob'"):
        list(snapshots.read_snapshot(path))
    monkeypatch.setattr(snapshots, "GROUP_LIMIT", 10)
    path.write_bytes(whole)
    with pytest.raises(SourceError, match="row group"):
        list(snapshots.read_snapshot(path))
