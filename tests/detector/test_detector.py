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
    manifest.write(path, threshold=0.5, layer_threshold=0.8, temperature=1.5, fpr=0.001, profile="smoke")
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
    assembly.remember(alone, clusters.with_columns(clean=pl.Series(texts)))
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
    assembly.remember(Detector.load(copy), known.with_columns(clean=pl.Series(texts)))
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
        manifest.write(
            copy, threshold=threshold, layer_threshold=1.0, temperature=1.0, fpr=0.001, profile="smoke"
        )
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
        ({"format": 1}, "format 1, this version reads 3"),
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
        "layer_threshold",
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
        (0.1, 0.7, False, 0),  # enough for a script, not for a layer
        (0.1, 0.9, True, 1),
        (0.6, 0.1, True, 0),
        (0.6, 0.9, True, 1),
        (0.95, 0.9, True, 0),
    ],
)
def test_a_layer_convicts_at_a_threshold_of_its_own(outer, inner, malicious, layer):
    payload = encoded("inside and long enough")
    verdict = Layered(powershell=outer, inside=inner).verdict(f"powershell -enc {payload}; Get-Date")
    assert (verdict.malicious, verdict.layer) == (malicious, layer)
    assert verdict.score == pytest.approx((outer, inner)[layer])
    assert [one.how for one in verdict.layers] == ["script", "-EncodedCommand"]
    assert verdict.read.split()[0] == ("powershell", "inside")[layer]


@pytest.mark.parametrize(
    ("outer", "inner", "malicious"),
    [(0.1, 0.1, False), (0.95, 0.4, False), (0.1, 0.6, True), (0.95, 0.9, True)],
)
def test_a_command_line_that_only_hands_a_script_over_is_judged_by_it(outer, inner, malicious):
    line = f"powershell.exe -NoProfile -w hidden -enc {encoded('inside and long enough')}"
    verdict = Layered(**{"powershell.exe": outer, "inside": inner}).verdict(line)
    assert (verdict.malicious, verdict.layer, verdict.score) == (malicious, 1, pytest.approx(inner))


def test_where_no_layer_convicts_the_script_decides_whatever_the_thresholds():
    layered = Layered(powershell=0.1, inside=0.4)
    layered.layer_threshold = layered.threshold
    verdict = layered.verdict(f"powershell -enc {encoded('inside and long enough')}; Get-Date")
    assert (verdict.malicious, verdict.layer, verdict.score) == (False, 0, pytest.approx(0.1))


def test_what_is_handed_over_twice_is_judged_by_the_innermost_script():
    within = f"powershell -enc {encoded('inside and long enough')}"
    verdict = Layered(powershell=0.9, pwsh=0.9, inside=0.6).verdict(f"pwsh -ec {encoded(within)}")
    assert [one.score for one in verdict.layers] == pytest.approx([0.9, 0.9, 0.6])
    assert (verdict.malicious, verdict.layer) == (True, 2)


def test_the_threshold_of_layers_lets_a_tenth_of_the_rate_through():
    inner = {f"inside{n}": n / 20 for n in range(20)}
    clean = [f"powershell -enc {encoded(name + ' and long enough')}; Get-Date" for name in inner]
    layered = Layered(powershell=0.1, **inner)
    # Of 20 scripts a rate of one half allows 10 alarms, and layers a tenth of that: the one that scores 0.95.
    assert assembly.fit_layer_threshold(layered, clean, fpr=0.5) == pytest.approx(0.9)
    assert assembly.fit_layer_threshold(layered, clean[:5], fpr=0.5) == 0.5  # never below the script's own
    with pytest.raises(ModelError, match="layers score 1"):
        sure = Layered(powershell=0.1, **dict.fromkeys(inner, 1.0))
        assembly.fit_layer_threshold(sure, clean, fpr=0.5)


@pytest.mark.parametrize(
    ("threshold", "outer", "inner", "malicious"),
    [
        (0.3, 0.4, 0.1, True),
        (0.3, 0.1, 0.4, False),  # the threshold of layers stays as it is
        (0.3, 0.1, 0.9, True),
        (0.95, 0.9, 0.9, False),  # and is never the lower one
        (0.95, 0.9, 0.96, True),
        (0, 0.0, 0.0, True),
        (1, 0.9, 0.9, False),
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


def test_a_network_becomes_a_detector(folder, tmp_path):
    model, known = network.load(folder / "network.keras"), Detector.load(folder)
    clean = [f"write-host {n}; powershell -enc {encoded('get-date payload')}" for n in range(8)]
    settings = {"threshold": 0.0001, "temperature": 1.5, "fpr": 0.001}
    made = assembly.assemble(tmp_path / "new", model, known._encoder, clean, **settings, profile="smoke")
    assert np.array_equal(made.score(clean), known.score(clean))
    assert {name: made.manifest[name] for name in settings} == settings
    assert made.layer_threshold == assembly.fit_layer_threshold(made, clean, fpr=0.001)


def test_a_lone_half_of_a_surrogate_pair_is_scored(folder):
    assert 0 <= Detector.load(folder).verdict("iex \ud800 payload").score <= 1
