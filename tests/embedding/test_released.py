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
from psembed.runtime.errors import ModelError, ParameterError, PsembedError
from psembed.runtime.files import sha256_of_file

ROOT = Path(__file__).parents[2]
FIELDS = {
    "seed": 1, "scripts": 5, "missing": ["gone"],
    "sources": [
        {"name": "here", "url": "https://example.org/here", "commit": "0" * 40, "scripts": 5, "tokens": 30}
    ],
}  # fmt: skip
TABLE = {
    "iex": [0, 1], "command:iex": [127, 32], "invoke-expression": [127, 0], "$i": [-127, 64], "ζ": [0.5, -1]
}  # fmt: skip
SETTINGS = {"dimension": 2, "window": 2}


keyed = partial(hand_made.keyed, first=100)


def write(folder, table=TABLE, fields=FIELDS):
    """Release `table` as the joined vectors, and the same turned round as the study's."""
    turned = {token: [-second, first] for token, (first, second) in table.items()}
    models = {"joined": (keyed(table), SETTINGS), "word2vec": (keyed(turned), {"window": 3})}
    return released.write_vectors(folder, models, fields)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The released folder, with vectors of our own."""
    write(tmp_path)
    monkeypatch.setattr(released, "RELEASED", tmp_path)
    return tmp_path


def rewrite(path, **changes):
    manifest = json.loads(path.read_text(encoding="utf-8"))
    for name, value in changes.items():
        record = manifest["models"]["joined"] if name in released.MODEL_FIELDS else manifest
        if value is ...:
            del record[name]
        else:
            record[name] = value
    path.write_text(json.dumps(manifest), encoding="utf-8")


def test_what_is_written_is_read_with_gensim_and_without(folder):
    for vectors in (
        psembed.load_vectors(),
        psembed.load_vectors("joined"),
        psembed.load_vectors(path=str(folder / "joined.npz")),
        released.read(),
    ):
        assert vectors.index_to_key == list(TABLE)
        assert vectors.key_to_index["$i"] == 3 and vectors.get_vecattr("$i", "count") == 97
        np.testing.assert_allclose(vectors.vectors, list(TABLE.values()), atol=0.005)
        assert vectors.vectors.dtype == np.float32
    assert isinstance(psembed.load_vectors(), KeyedVectors)
    np.testing.assert_array_equal(psembed.load_vectors("word2vec")["$i"], [-64, -127])


def test_another_name_is_told_what_there_is(folder):
    for ask in (psembed.load_vectors, released.read):
        with pytest.raises(ParameterError, match="no vectors 'glove': give joined or word2vec, or the path"):
            ask("glove")
    released.write_vectors(folder, {"word2vec": (keyed(TABLE), SETTINGS)}, FIELDS)
    with pytest.raises(ParameterError, match="no vectors 'joined': give word2vec, or"):
        psembed.load_vectors()


def test_the_manifest_holds_what_was_given_and_what_was_measured(tmp_path, monkeypatch):
    written = write(tmp_path, fields=FIELDS | {"scripts": np.int64(5), "models": "made up", "format": 9})
    monkeypatch.setattr(released, "RELEASED", tmp_path)
    assert written == released.vectors_manifest()
    size = {"tokens": 5, "dimension": 2}
    assert written == FIELDS | {
        "format": 2,
        "models": {
            name: size | {"settings": settings, "sha256": sha256_of_file(tmp_path / f"{name}.npz")}
            for name, settings in (("joined", SETTINGS), ("word2vec", {"window": 3}))
        },
    }
    assert token_vectors.read(tmp_path / "joined.npz").meta == SETTINGS


def test_vectors_are_written_alike_each_time(tmp_path):
    first, again = (write(tmp_path / name) for name in ("first", "again"))
    assert first == again != write(tmp_path, TABLE | {"$i": [1, 1]})


def refused(message):
    for read in (psembed.load_vectors, released.read):
        with pytest.raises(ModelError, match=message):
            read()


def test_a_changed_byte_is_noticed_wherever_it_is(folder):
    path = folder / "joined.npz"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ModelError, match="changed or cut short"):
            released.read()
    path.write_bytes(whole)
    released.read()


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_truncated_file_is_refused(folder, share):
    whole = (folder / "joined.npz").read_bytes()
    (folder / "joined.npz").write_bytes(whole[: int(share * len(whole))])
    refused("cut short")


def test_a_missing_file_is_refused(folder):
    (folder / "joined.npz").unlink()
    refused(r"joined\.npz cannot be read")
    released.read("word2vec")
    (folder / "vectors.json").unlink()
    refused(r"vectors\.json is no readable manifest")


def test_a_file_of_another_version_is_refused_though_the_manifest_names_it(folder, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(token_vectors, "FORMAT", 99)
        write(folder)
    refused("format 99")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 1}, "format 1, this version reads 2"),
        ({"format": ...}, "no readable manifest"),
        ({"sha256": ...}, "sha256 is None, expected str"),
        ({"tokens": "5"}, "tokens is '5', expected int"),
        ({"seed": True}, "seed is True, expected int"),
        ({"settings": []}, r"settings is \[\], expected dict"),
        ({"models": ...}, "models is None, expected dict"),
        ({"models": {"word2vec": 1}}, "1 stands where there should be sha256, tokens"),
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


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(
    ("table", "fields", "message"),
    [
        (TABLE, {"sources": None}, "sources is None"),
        (TABLE, {"sources": [{"name": "here"}]}, "url is None"),
        (TABLE | {"$i": [np.inf, 0]}, {}, "not finite"),
        ({"a\nb": [1, 0], "c": [0, 1]}, {}, "disagree"),
        ({"> iex": [1, 0], "c": [0, 1]}, {}, "the token '> iex'; none has white space"),
    ],
)
def test_a_failed_write_leaves_what_was_there(folder, table, fields, message):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ModelError, match=message):
        write(folder, table, FIELDS | fields)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_file_of_ones_own_needs_no_manifest_but_is_checked(tmp_path):
    path = tmp_path / "own.npz"
    token_vectors.save(path, keyed(TABLE), {})
    assert released.read(path=path).index_to_key == released.load(path=path).index_to_key == list(TABLE)
    path.write_bytes(path.read_bytes()[:-30])
    for read in (released.read, released.load):
        with pytest.raises(ModelError, match=r"own\.npz is no readable"):
            read(path=path)
    for table, message in (({"a\na": [1, 0]}, "disagree"), ({"a": [np.nan, 0]}, "not finite")):
        token_vectors.save(path, keyed(table), {})
        for read in (released.read, released.load):
            with pytest.raises(ModelError, match=message):
                read(path=path)


def test_without_gensim_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(released, "has_packages", lambda names: "gensim" not in names)
    with pytest.raises(PsembedError, match=r"needs gensim.*\.\[study\]"):
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
    path = str(folder / "joined.npz")
    questions = (["similar", "iex"], ["analogy", "$i", "-", "iex"], ["odd", "$i", "iex", "ζ"])
    export = ["vectors", "export", str(folder / "own.bin"), "--model", "word2vec"]
    commands = [export, *([*words, "--vectors", path] for words in questions)]
    asked = "\n".join(f"assert main({words!r}) == 0" for words in commands)
    loaded = loaded_after(f"from psembed.cli.main import main\n{asked}")
    assert "numpy" in loaded and not {"gensim", "tensorflow", "keras", "scipy", "sklearn"} & loaded


def test_the_released_vectors_are_those_their_manifest_names():
    manifest = released.vectors_manifest()
    for name, told in manifest["models"].items():
        assert released.read(name).vectors.shape == (told["tokens"], told["dimension"])
    assert all(entry["source"] and entry["left_out"] for entry in manifest["missing"])
    unreadable = {entry["source"] for entry in manifest["missing"] if isinstance(entry["left_out"], str)}
    assert not unreadable & {source["name"] for source in manifest["sources"]}
