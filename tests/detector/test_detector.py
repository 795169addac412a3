"""The detector scores text and bytes without TensorFlow and refuses what does not belong together."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import polars as pl
import pytest
from planted import Layered, encoded

from psembed.detector import detector, manifest, neighbours
from psembed.detector.detector import Detector
from psembed.detector.manifest import MANIFEST, MODEL, NEIGHBOURS, TOKENIZER
from psembed.detector.verdict import Event, Item
from psembed.models import network
from psembed.models.network import Config
from psembed.powershell.encoding import Encoder, Samples
from psembed.powershell.unwrap.reading import readings
from psembed.release import assembly, export
from psembed.runtime import workers
from psembed.runtime.errors import ModelError

WORDS = ["write-host", "hello", "get-date", "$a", "=", "(", ")", "iex", "payload"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("detector")
    matrix = np.random.default_rng(0).normal(size=(len(WORDS) + 2, 6)).astype(np.float32)
    matrix[0] = 0
    model = network.build(matrix, config=Config(filters=8, units=8), seed=1)
    export.to_onnx(model, path / MODEL)
    encoder = Encoder(WORDS, token_length=64, char_length=128)
    (path / TOKENIZER).write_text(encoder.to_json(), encoding="utf-8")
    manifest.write(path, threshold=0.5, temperature=1.5, fpr=0.001, profile="smoke")
    network.save(model, path / "network.keras")
    return path


@pytest.fixture
def copy(folder, tmp_path):
    for name in (MODEL, TOKENIZER, MANIFEST):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    return tmp_path


def test_scores_equal_the_keras_model_on_cleaned_text(folder):
    texts = ["write-host hello", "iex (payload)  # comment", "", "$a = get-date\r\n" * 90, "é" * 300]
    cleaned = ["write-host hello", "iex (payload)", "", ("$a = get-date " * 90).strip(), "é" * 300]
    encoder = Encoder.from_json((folder / TOKENIZER).read_text(encoding="utf-8"))
    expected = network.predict(network.load(folder / "network.keras"), Samples(*encoder.encode(cleaned)))
    scores = Detector.load(folder).score(texts)
    assert scores.dtype == np.float32
    assert np.abs(scores - expected).max() <= export.MAX_DIFFERENCE


def test_nearest_training_clusters_are_told_where_the_folder_has_them(copy):
    texts = ["write-host hello", "iex payload", "$a = get-date"]
    alone = Detector.load(copy)
    assert alone.nearest(texts[0]) == []
    rows = {"sha256": ["0", "1", "2"], "source": "s", "label": [0, 1, 0], "scripts": 1}
    clusters = pl.DataFrame(rows, schema_overrides=neighbours.COLUMNS)
    assembly.remember(alone, clusters.with_columns(read=pl.Series(texts)))
    loaded = Detector.load(copy)
    assert set(loaded.manifest["sha256"]) == {MODEL, TOKENIZER, NEIGHBOURS}
    others = [name for name in loaded.manifest if name != "sha256"]
    assert [loaded.manifest[name] for name in others] == [alone.manifest[name] for name in others]
    for row, text in enumerate(texts):
        assert loaded.nearest(text)[0].sha256 == str(row)
        assert loaded.explain(text).nearest[0].similarity == pytest.approx(1)
    (copy / NEIGHBOURS).write_bytes((copy / NEIGHBOURS).read_bytes() + b" ")
    with pytest.raises(ModelError, match=r"neighbours\.parquet has SHA-256"):
        Detector.load(copy)


def test_threads_that_share_a_detector_are_told_what_one_is(copy):
    texts = ["write-host hello", f"powershell -enc {encoded('iex payload')}", "$a = get-date " * 60]
    rows = {"sha256": ["0", "1", "2"], "source": "s", "label": [0, 1, 0], "scripts": 1}
    known = pl.DataFrame(rows, schema_overrides=neighbours.COLUMNS)
    assembly.remember(Detector.load(copy), known.with_columns(read=pl.Series(texts)))
    threads = 8
    start = Barrier(threads)

    def told(loaded, first):
        questions = [("score", texts), *((name, text) for name in ("verdict", "nearest") for text in texts)]
        answers = {}
        for ask, about in [*questions[first:], *questions[:first], ("explain", texts[first % 3])]:
            answers[ask, str(about)] = getattr(loaded, ask)(about)
        return answers | {("score", str(texts)): answers["score", str(texts)].tolist()}

    def told_at_once(first):
        start.wait()
        return told(shared, first)

    alone, shared = Detector.load(copy), Detector.load(copy)
    expected = [told(alone, first) for first in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(told_at_once, range(threads))) == expected


def test_order_and_chunks_do_not_change_scores(folder, monkeypatch):
    texts = [f"write-host {'hello ' * count}" for count in range(40)]
    whole = Detector.load(folder).score(texts)
    monkeypatch.setattr(workers, "ROWS", 7)
    monkeypatch.setattr(workers, "CHARACTERS", 300)
    assert np.allclose(Detector.load(folder).score(texts[::-1])[::-1], whole, atol=1e-6)


def test_no_texts_no_scores(folder):
    assert Detector.load(folder).score([]).shape == (0,)


def test_verdict_follows_the_threshold(copy):
    score = float(Detector.load(copy).score(["iex payload"])[0])
    for threshold, malicious in ((score, True), (min(1.0, score + 0.01), False)):
        manifest.write(copy, threshold=threshold, temperature=1.0, fpr=0.001, profile="smoke")
        verdict = Detector.load(copy).verdict("iex payload")
        assert (verdict.score, verdict.malicious, verdict.reason) == (score, malicious, "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_bytes_in_any_encoding_score_as_their_text(folder, encoding):
    loaded = Detector.load(folder)
    text = "write-host hello; iex (payload)"
    verdict = loaded.verdict(text.encode(encoding))
    assert verdict.score == pytest.approx(loaded.verdict(text).score, abs=1e-6)
    assert verdict.encoding


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no text"),
        (b"MZ\x00\x01\x02\x00\xff\xfe\x00" * 50, "binary data"),
        (b" \r\n ", "no text"),
        (b"# a comment\r\n#requires -Version 5\r\n", "no text"),
        (b"\xef\xbb\xbf<#\n.SYNOPSIS\nhelp\n#>\n\n # and more", "no text"),
        ("#Requires -RunAsAdministrator".encode("utf-16"), "no text"),
    ],
)
def test_what_cannot_be_read_has_a_reason_and_no_score(folder, data, reason):
    verdict = Detector.load(folder).verdict(data)
    assert verdict.score is None and verdict.malicious is None and reason in verdict.reason


def test_what_was_found_with_nothing_to_score_is_skipped_and_no_failure(folder):
    items = [
        Item("a", b"#", found=True),
        Item("b", b"", "no rows", found=True),
        Item("c", b"#"),
        Item("d", None),
    ]
    items += [
        Item("e", b"\0\0\1", found=True),
        Item("f", None, "gone", found=True),
        Item("g", b"dir", found=True),
    ]
    verdicts = Detector.load(folder).judge(items)
    assert [verdict.skipped for verdict in verdicts] == [True, True] + [False] * 5
    assert [verdict.reason for verdict in verdicts[:2]] == ["no text in it", "no rows"]


def test_an_event_travels_with_its_verdict(folder):
    event = Event("2024-01-01T00:00:00Z", "pc", "C:\\a.ps1", "b1")
    items = [Item("a", data, event=event) for data in ("dir", "#", None)]
    loaded = Detector.load(folder)
    assert [verdict.event for verdict in [*loaded.judge(items), detector.lost(items[0])]] == [event] * 4
    assert loaded.verdict("dir").event == Event(None, None, None, None)


def test_too_large_a_file_is_refused_not_cut(folder, monkeypatch):
    monkeypatch.setattr(detector, "MAX_BYTES", 10)
    assert "larger than 10 bytes" in Detector.load(folder).verdict(b"x" * 11).reason


def test_a_long_line_is_scored(folder):
    assert 0 <= Detector.load(folder).score(["$a = (" + "hello " * 500_000 + ")"])[0] <= 1


def test_tensorflow_is_not_imported(folder):
    code = (
        "import sys; from psembed.detector.detector import Detector; "
        f"Detector.load({str(folder)!r}).score(['iex payload']); "
        "print({'tensorflow', 'keras', 'tf2onnx', 'gensim', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", [MODEL, TOKENIZER])
def test_a_changed_file_is_refused(copy, name):
    with (copy / name).open("ab") as stream:
        stream.write(b" ")
    with pytest.raises(ModelError, match=rf"{name} has SHA-256 .*do not belong together"):
        Detector.load(copy)


@pytest.mark.parametrize("name", [MODEL, TOKENIZER, MANIFEST])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ModelError, match=name):
        Detector.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3, "layer_threshold": 0.9}, "format 3, this version reads 4: export the model again"),
        ({"format": 1}, "format 1, this version reads 4"),
        ({"temperature": 0}, "temperature is 0, expected a number above 0"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"threshold": "high"}, "threshold is 'high'"),
        ({"threshold": float("nan")}, "threshold is nan"),
        ({"fpr": 7}, "fpr is 7"),
        ({"sha256": None}, "sha256 is None, expected dict"),
    ],
)
def test_a_bad_manifest_is_refused(copy, change, message):
    path = copy / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        Detector.load(copy)


def test_the_manifest_says_where_the_model_comes_from(folder):
    manifest = Detector.load(folder).manifest
    assert set(manifest) == {
        "format",
        "threshold",
        "temperature",
        "fpr",
        "buckets",
        "sha256",
        "created_from",
    }
    assert manifest["created_from"] == "smoke"


@pytest.mark.parametrize(
    ("outer", "inner", "malicious", "layer"),
    [
        (0.1, 0.1, False, 0),
        (0.3, 0.1, False, 0),
        (0.1, 0.3, False, 1),
        (0.2, 0.3, True, 1),  # together, though neither is alone
        (0.3, 0.2, True, 0),
        (0.1, 0.9, True, 1),
        (0.9, 0.0, True, 0),
        (0.0, 0.0, False, 0),
    ],
)
def test_a_script_is_judged_together_with_its_layers(outer, inner, malicious, layer):
    payload = encoded("inside and long enough")
    line = f"powershell -enc {payload}; Get-Date"
    verdict = Layered(powershell=outer, inside=inner).verdict(line)
    assert (verdict.malicious, verdict.layer) == (malicious, layer)
    assert verdict.score == pytest.approx(outer + inner)
    assert [(one.how, one.score) for one in verdict.layers] == [("script", outer), ("-EncodedCommand", inner)]
    assert verdict.read == f"{line}\ninside and long enough" == readings([line])[0]


def test_a_harmless_layer_hides_nothing_that_stands_beside_it():
    payload = encoded("inside and long enough")
    line = f"bitsadmin /transfer; powershell -enc {payload}"
    weights = {"bitsadmin": 0.8, "inside": -0.7, payload: -0.5}
    verdict = Layered(**weights).verdict(line)
    assert (verdict.malicious, verdict.layer, verdict.score) == (True, 0, pytest.approx(0.8))
    assert verdict.read == "bitsadmin /transfer; powershell -enc "  # which is what is to be explained
    assert verdict.layers[0].score == pytest.approx(0.3)
    alone = Layered(**weights).verdict("bitsadmin /transfer")
    assert alone.score == pytest.approx(0.8)


def test_a_command_line_that_only_hands_a_script_over_is_read_with_it():
    line = f"powershell.exe -NoProfile -w hidden -enc {encoded('inside and long enough')}"
    for outer, inner, malicious in ((0.1, 0.3, False), (0.6, 0.0, True), (0.0, 0.6, True)):
        verdict = Layered(**{"powershell.exe": outer, "inside": inner}).verdict(line)
        assert (verdict.malicious, verdict.score) == (malicious, pytest.approx(outer + inner))


def test_what_is_wrapped_twice_is_read_outermost_first():
    within = f"powershell -enc {encoded('inside and long enough')}"
    line = f"pwsh -ec {encoded(within)}"
    verdict = Layered(powershell=0.1, pwsh=0.2, inside=0.3).verdict(line)
    assert [one.score for one in verdict.layers] == pytest.approx([0.2, 0.1, 0.3])
    assert (verdict.malicious, verdict.layer, verdict.score) == (True, 2, pytest.approx(0.6))
    assert verdict.read.split("\n") == [line, within, "inside and long enough"]


def test_comments_are_read_in_no_layer_and_a_layer_of_comments_adds_nothing():
    payload = encoded("# inside a comment\r\nGet-Date # inside")
    line = f"powershell -enc {payload}; dir # inside"
    assert Layered(inside=0.9).verdict(line).read == f"powershell -enc {payload}; dir\nGet-Date"
    only = Layered(inside=0.9).verdict(f"powershell -enc {encoded('# inside a comment')}; dir")
    assert (only.read.count("\n"), only.score, len(only.layers)) == (0, 0.0, 2)


def test_a_script_without_layers_is_scored_once(monkeypatch):
    asked = []
    layered = Layered(dir=0.7)
    scores = layered._scores
    monkeypatch.setattr(layered, "_scores", lambda texts: asked.extend(texts) or scores(texts))
    verdict = layered.verdict("dir # all of it")
    assert asked == ["dir"] == [verdict.read]
    assert verdict.score == verdict.layers[0].score == pytest.approx(0.7) and verdict.layer == 0


def test_many_scripts_with_layers_keep_their_scores(monkeypatch):
    """Items are pending until their layers' texts are enough; chunks cut between a reading and its layers."""
    monkeypatch.setattr(workers, "ROWS", 2)
    monkeypatch.setattr(workers, "CHARACTERS", 300)
    words = {f"word{number}": number / 100 for number in range(30)}
    lines = [f"{word}; powershell -enc {encoded(word + ' and long enough')}; dir" for word in words]
    items = [Item(word, line) for word, line in zip(words, [*lines[:-2], "", "dir"], strict=True)]
    verdicts = Layered(**{word + ";": 0.1 for word in words}, **words).judge(items)
    assert [verdict.score for verdict in verdicts[:-2]] == pytest.approx([n / 100 + 0.1 for n in range(28)])
    assert [len(verdict.layers) for verdict in verdicts] == [2] * 28 + [0, 1]
    assert verdicts[-2].score is None and verdicts[-1].score == 0


@pytest.mark.parametrize(
    ("threshold", "outer", "inner", "malicious"),
    [
        (0.3, 0.1, 0.1, False),
        (0.3, 0.2, 0.2, True),
        (0.9, 0.2, 0.6, False),
        (0.75, 0.25, 0.5, True),
        (0, 0.0, 0.0, True),
        (1, 0.9, 0.0, False),
        (1, 0.5, 0.5, True),
    ],
)
def test_another_threshold_can_be_asked_for(threshold, outer, inner, malicious):
    line = f"powershell -EncodedCommand {encoded('inside and long enough')}; Get-Date"
    (verdict,) = Layered(powershell=outer, inside=inner).judge([Item("a", line)], threshold=threshold)
    assert verdict.malicious is malicious


def test_texts_of_layers_and_regions_of_malicious_scripts_can_be_asked_for():
    lines = [f"Get-Date\npowershell -e {encoded('inside and long enough')}; Get-Date", "Get-Date # now"]
    layered = Layered(**{"Get-Date": 0.1, "inside": 0.9})
    texts = [verdict.texts for verdict in layered.judge([Item("a", line) for line in lines], texts=True)]
    assert texts == [(lines[0], "inside and long enough"), (lines[1],)]
    bad, clean = layered.judge([Item("a", line) for line in lines], regions=True)
    assert bad.region[:2] == (2, 15) and clean.region is None and bad.texts == ()


def test_what_is_read_of_a_long_script_is_what_the_encoder_sees(folder):
    loaded = Detector.load(folder)
    long = f"{'hello ' * 500}; powershell -enc {encoded('iex (payload)')}; {'get-date; ' * 500}"
    verdict = loaded.verdict(long)
    (whole,) = readings([long])
    assert verdict.read == loaded.view(whole) != whole and verdict.read.endswith("iex (payload)")
    assert verdict.score == pytest.approx(float(loaded.score_clean([whole])[0]), abs=1e-6)


def test_a_network_becomes_a_detector(folder, tmp_path):
    model, known = network.load(folder / "network.keras"), Detector.load(folder)
    settings = {"threshold": 0.25, "temperature": 1.5, "fpr": 0.001}
    made = assembly.assemble(tmp_path / "new", model, known._encoder, **settings, profile="smoke")
    texts = ["write-host hello", "iex (payload)"]
    assert np.array_equal(made.score(texts), known.score(texts))
    assert {name: made.manifest[name] for name in settings} == settings
    assert (made.threshold, made.folder) == (0.25, tmp_path / "new")
    with pytest.raises(ModelError, match="threshold is 1"):
        wrong = settings | {"threshold": 1.5}
        assembly.assemble(tmp_path / "new", model, known._encoder, **wrong, profile="smoke")


def test_training_clusters_are_the_malicious_ones_and_some_clean_ones():
    rows = [
        {"sha256": f"{cluster}{copy}", "source": "s", "label": int(cluster < 3), "cluster": cluster,
         "rank": copy, "dropped": "why" * (cluster == 9), "way": way, "read": f"read {cluster}"}
        for cluster in range(10) for copy in range(1 + cluster % 2) for way in ("", "case")
    ]  # fmt: skip
    found = assembly.training_clusters(pl.DataFrame(rows), clean=4, seed=1)
    assert found.columns == [*neighbours.COLUMNS, "read"]
    assert found.filter(label=1).select("sha256", "scripts", "read").rows() == [
        ("00", 1, "read 0"), ("10", 2, "read 1"), ("20", 1, "read 2"),
    ]  # fmt: skip
    clean = found.filter(label=0)
    assert clean.height == 4 and set(clean["sha256"]) < {f"{cluster}0" for cluster in range(3, 9)}
    for row in clean.iter_rows(named=True):
        assert row["scripts"] == 1 + int(row["sha256"][0]) % 2
    assert assembly.training_clusters(pl.DataFrame(rows), clean=99, seed=1).height == 9
    assert assembly.training_clusters(pl.DataFrame(rows), clean=4, seed=1).equals(found)


def test_a_lone_half_of_a_surrogate_pair_is_scored(folder):
    assert 0 <= Detector.load(folder).verdict("iex \ud800 payload").score <= 1
