"""What a person has accepted is found again by its hash, with the comment; a foreign file is told."""

import io
import json

import pytest

from psembed.detector import baseline
from psembed.detector.verdict import LayerScore, Verdict
from psembed.runtime.errors import ParameterError

SCRIPT = (LayerScore("script", -1, 0, 300, 0.99),)
BAD = Verdict("b.ps1", "ab" * 32, "utf-8", 0.99, True, 0, SCRIPT)
AGAIN = Verdict("copy of b.ps1", "ab" * 32, "utf-8", 0.99, True, 0, SCRIPT)
OTHER = Verdict("a\udcff.ps1", "cd" * 32, "utf-8", 0.99, True, 0, SCRIPT, accepted="ours, é")
CLEAN = Verdict("c.ps1", "ef" * 32, "ascii", 0.125, False, 0, SCRIPT)
ALL = [BAD, CLEAN, AGAIN, OTHER, Verdict("d.ps1", reason="binary data, not a script")]


def written(verdicts):
    stream = io.StringIO()
    baseline.write(verdicts, stream)
    return stream.getvalue()


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "accepted.json"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_malicious_scripts_are_written_once_sorted_by_path_and_read_back(file):
    entries = json.loads(written(ALL))["accepted"]
    assert [(entry["path"], entry["comment"]) for entry in entries] == [
        ("a\\udcff.ps1", "ours, é"),
        ("b.ps1", ""),
    ]
    comments = baseline.read(file(written(ALL)))
    assert comments == {"ab" * 32: "", "cd" * 32: "ours, é"}
    assert written(baseline.marked(ALL, comments)) == written(ALL)


def test_only_malicious_scripts_of_that_content_are_marked():
    marked = baseline.marked(ALL, {"ab" * 32: "known", "ef" * 32: "once malicious"})
    assert [verdict.accepted for verdict in marked] == ["known", None, "known", "ours, é", None]


def test_what_a_person_may_write_into_the_file_is_read(file):
    entries = [{"sha256": "AB" * 32, "note": [1]}, {"sha256": "cd" * 32, "comment": 5}]
    content = {"format": baseline.FORMAT, "accepted": entries, "owner": "ops"}
    assert baseline.read(file(b"\xef\xbb\xbf" + json.dumps(content).encode())) == {
        "ab" * 32: "",
        "cd" * 32: "5",
    }
    assert baseline.read(file(json.dumps({"format": baseline.FORMAT, "accepted": []}))) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        "[]",
        "null",
        "{}",
        '{"version": "2.1.0", "runs": []}',
        "[" * 100_000,
        written(ALL)[:-20],
        json.dumps({"format": "psembed baseline 2", "accepted": []}),
        json.dumps({"format": baseline.FORMAT}),
        json.dumps({"format": baseline.FORMAT, "accepted": {"a": 1}}),
        json.dumps({"format": baseline.FORMAT, "accepted": [{"path": "a.ps1"}]}),
        json.dumps({"format": baseline.FORMAT, "accepted": [{"sha256": 5}]}),
        json.dumps({"format": baseline.FORMAT, "accepted": [{"sha256": "ab"}]}),
        json.dumps({"format": baseline.FORMAT, "accepted": ["ab" * 32]}),
    ],
)
def test_a_damaged_or_foreign_file_is_told_in_a_line(file, content):
    with pytest.raises(
        ParameterError, match=r"accepted\.json is damaged or no file of `psembed baseline`"
    ) as told:
        baseline.read(file(content))
    assert len(str(told.value).splitlines()) == 1


def test_too_large_a_file_and_one_that_is_not_there_are_told(file, tmp_path, monkeypatch):
    monkeypatch.setattr(baseline, "MAX_BYTES", 10)
    with pytest.raises(ParameterError, match="larger than 10 bytes"):
        baseline.read(file(written(ALL)))
    with pytest.raises(ParameterError, match="No such file"):
        baseline.read(tmp_path / "none.json")
