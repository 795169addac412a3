import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import token_vectors as hand_made
from gensim.models import KeyedVectors

import psembed
from psembed.embedding import released, token_vectors
from psembed.runtime.errors import ModelError, PsembedError
from psembed.runtime.files import sha256_of_file

ROOT = Path(__file__).parents[2]
FIELDS = {
    "settings": {"dimension": 2, "window": 2}, "seed": 1, "scripts": 5, "missing": ["gone"],
    "sources": [
        {"name": "here", "url": "https://example.org/here", "commit": "0" * 40, "scripts": 5, "tokens": 30}
    ],
}  # fmt: skip
TABLE = {
    "iex": [0, 1], "> iex": [1, 0.25], "invoke-expression": [1, 0], "$i": [-1, 0.5], "ζ": [0.5, -1]
}  # fmt: skip


keyed = partial(hand_made.keyed, first=100)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The released folder, with vectors of our own."""
    released.write_vectors(tmp_path, keyed(TABLE), FIELDS)
    monkeypatch.setattr(released, "RELEASED", tmp_path)
    return tmp_path


def rewrite(path, **changes):
    manifest = json.loads(path.read_text(encoding="utf-8")) | changes
    manifest = {name: value for name, value in manifest.items() if value is not ...}
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_what_is_written_is_read_with_gensim_and_without(folder):
    for vectors in (
        psembed.load_vectors(),
        psembed.load_vectors(str(folder / "vectors.npz")),
        released.read(),
    ):
        assert vectors.index_to_key == list(TABLE)
        assert vectors.key_to_index["$i"] == 3 and vectors.get_vecattr("$i", "count") == 97
        np.testing.assert_array_equal(vectors.vectors, np.array(list(TABLE.values()), dtype=np.float32))
        assert vectors.vectors.dtype == np.float32
    assert isinstance(psembed.load_vectors(), KeyedVectors)


def test_the_manifest_holds_what_was_given_and_what_was_measured(tmp_path, monkeypatch):
    given_fields = FIELDS | {"scripts": np.int64(5), "sha256": "made up", "tokens": 9}
    written = released.write_vectors(tmp_path, keyed(TABLE), given_fields)
    monkeypatch.setattr(released, "RELEASED", tmp_path)
    assert written == released.vectors_manifest()
    assert written == FIELDS | {
        "format": 1, "tokens": 5, "dimension": 2, "sha256": sha256_of_file(tmp_path / "vectors.npz"),
    }  # fmt: skip
    assert token_vectors.read(tmp_path / "vectors.npz").meta == given_fields


def test_vectors_are_written_alike_each_time(tmp_path):
    first, again = (
        released.write_vectors(tmp_path / name, keyed(TABLE), FIELDS) for name in ("first", "again")
    )
    assert first == again
    assert (
        released.write_vectors(tmp_path, keyed(TABLE | {"$i": [1, 1]}), FIELDS)["sha256"] != first["sha256"]
    )


def refused(message):
    for read in (psembed.load_vectors, released.read):
        with pytest.raises(ModelError, match=message):
            read()


def test_a_changed_byte_is_noticed_wherever_it_is(folder):
    path = folder / "vectors.npz"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ModelError, match="changed or cut short"):
            released.read()
    path.write_bytes(whole)
    released.read()


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_file_is_refused(folder, share):
    whole = (folder / "vectors.npz").read_bytes()
    (folder / "vectors.npz").write_bytes(whole[: int(share * len(whole))])
    refused("cut short")


def test_a_missing_file_is_refused(folder):
    (folder / "vectors.npz").unlink()
    refused(r"vectors\.npz cannot be read")
    (folder / "vectors.json").unlink()
    refused(r"vectors\.json is no readable manifest")


def test_a_file_of_another_version_is_refused_though_the_manifest_names_it(folder, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(token_vectors, "FORMAT", 99)
        released.write_vectors(folder, keyed(TABLE), FIELDS)
    refused("format 99")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({"format": ...}, "no readable manifest"),
        ({"sha256": ...}, "sha256 is None, expected str"),
        ({"tokens": "5"}, "tokens is '5', expected int"),
        ({"seed": True}, "seed is True, expected int"),
        ({"settings": []}, r"settings is \[\], expected dict"),
        ({"sources": ["here"]}, "'here' stands where there should be name, url"),
        ({"sources": [{"name": "here"}]}, "url is None, expected str"),
    ],
)
def test_a_damaged_manifest_is_refused(folder, changes, message):
    rewrite(folder / "vectors.json", **changes)
    refused(message)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_manifest_that_is_none_is_refused(folder, content):
    (folder / "vectors.json").write_bytes(content)
    refused("no readable manifest")


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(
    ("table", "fields", "message"),
    [
        (TABLE, {"sources": None}, "sources is None"),
        (TABLE, {"sources": [{"name": "here"}]}, "url is None"),
        (TABLE | {"$i": [1e6, 0]}, {}, "not finite"),
        ({"a\nb": [1, 0], "c": [0, 1]}, {}, "disagree"),
    ],
)
def test_a_failed_write_leaves_what_was_there(folder, table, fields, message):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ModelError, match=message):
        released.write_vectors(folder, keyed(table), FIELDS | fields)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_of_ones_own_needs_no_manifest_but_is_checked(tmp_path):
    path = tmp_path / "own.npz"
    token_vectors.save(path, keyed(TABLE), {})
    assert released.read(path).index_to_key == released.load(path).index_to_key == list(TABLE)
    path.write_bytes(path.read_bytes()[:-30])
    for read in (released.read, released.load):
        with pytest.raises(ModelError, match=r"own\.npz is no readable"):
            read(path)
    for table, message in (({"a\na": [1, 0]}, "disagree"), ({"a": [np.nan, 0]}, "not finite")):
        token_vectors.save(path, keyed(table), {})
        for read in (released.read, released.load):
            with pytest.raises(ModelError, match=message):
                read(path)


def test_without_gensim_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(released, "has_packages", lambda names: "gensim" not in names)
    with pytest.raises(PsembedError, match=r"needs gensim.*psembed\[study\]"):
        psembed.load_vectors()


def loaded_after(code):
    """Return the top-level modules a fresh interpreter has loaded after `code`."""
    shown = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", shown], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_importing_psembed_loads_no_package():
    loaded = loaded_after("import psembed")
    assert "psembed" in loaded and not {"numpy", "polars", "pyarrow", "gensim"} & loaded


def test_a_question_is_answered_without_the_slow_packages(folder):
    path = str(folder / "vectors.npz")
    questions = (["similar", "iex"], ["analogy", "$i", "-", "iex"], ["odd", "$i", "iex", "ζ"])
    asked = "\n".join(f"assert main({[*words, '--vectors', path]!r}) == 0" for words in questions)
    loaded = loaded_after(f"from psembed.cli.main import main\n{asked}")
    assert "numpy" in loaded and not {"gensim", "tensorflow", "keras", "scipy", "sklearn"} & loaded


def test_the_released_vectors_are_those_their_manifest_names():
    manifest = released.vectors_manifest()
    vectors = released.read()
    assert vectors.vectors.shape == (manifest["tokens"], manifest["dimension"])
    assert all(entry["source"] and entry["left_out"] for entry in manifest["missing"])
    unreadable = {entry["source"] for entry in manifest["missing"] if isinstance(entry["left_out"], str)}
    assert not unreadable & {source["name"] for source in manifest["sources"]}
