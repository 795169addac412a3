"""Bags count an n-gram once, never reach into padding, and say as layers what they say with scikit-learn."""

import numpy as np
import pytest
from scipy.special import expit, logit

from psembed.detector.onnx_model import open_session, run_onnx
from psembed.models import bags, network, one_file
from psembed.models.network import Config
from psembed.powershell.encoding import BLOCK, Encoder, Samples
from psembed.release import export
from psembed.runtime.errors import CorpusError

TINY = bags.Gram("characters", 2, 10, 100)
LEARNED = ["Get-Item $x", "Get-Date", "Get-Item $x | Sort-Object", "iex $x", "iex (iwr $y)", "iex $y; iex $z"]


def characters(*rows: list[int]) -> Samples:
    longest = max(map(len, rows))
    ids = np.array([row + [0] * (longest - len(row)) for row in rows], dtype=np.int32)
    return Samples(np.zeros((len(rows), 1), dtype=np.int32), ids)


def encoded(texts: list[str], labels: list[int] | None = None) -> Samples:
    encoder = Encoder(["get-item", "iex", "$x", "sort-object"], token_length=BLOCK, char_length=2 * BLOCK)
    return Samples(*encoder.encode(texts), None if labels is None else np.array(labels))


@pytest.fixture(scope="module")
def fitted() -> dict:
    return bags.fit(encoded(LEARNED, [0, 0, 0, 1, 1, 1]), seed=1)


def test_n_grams_count_once_a_script_and_none_reaches_into_padding():
    held = bags.held_grams(characters([1, 2, 1, 2], [3], [], [4, 4, 4, 4]), TINY)
    assert [row.nonzero()[0].tolist() for row in held.toarray()] == [[12, 21], [], [], [44]]
    assert held.toarray().max() == 1


def test_a_machine_sums_over_distinct_n_grams_and_divides_by_the_root_of_their_number():
    values = np.zeros(100, dtype=np.float32)
    values[[12, 21, 44]] = 3, 1, -2
    found = bags.Machine(TINY, values, 0.5).score(characters([1, 2, 1, 2], [3], [4, 4]))
    assert found == pytest.approx(expit([4 / np.sqrt(2) + 0.5, 0.5, -2 + 0.5]))


def test_novelty_is_that_of_the_strangest_window():
    values = np.full(100, -1, dtype=np.float32)
    values[44] = 2
    novelty = bags.Novelty(TINY, values)
    plain, strange = [1, 2] * 400, [4] * 256
    found = novelty.score(characters(plain, plain + strange + plain, strange, [1, 2], []))
    # the strange ones begin in a block's middle: the best window of 256 places holds 224 of their n-grams
    assert found == pytest.approx(expit([-1, (224 * 2 - 32) / 256, (255 * 2) / 255, -1, 0]), abs=1e-5)
    # the window of the last block holds 99 n-grams, too few; the one before it 64 others, too
    assert novelty.score(characters(plain[:512] + [4] * 100)) == pytest.approx(expit([(198 - 64) / 163]))


def test_scores_rest_on_no_other_script_and_on_no_padding(fitted):
    together = encoded(LEARNED)
    for bag in fitted.values():
        alone = [bag.score(encoded([text]).rows(np.array([0])))[0] for text in LEARNED]
        assert bag.score(together) == pytest.approx(alone, abs=1e-6)


def test_the_machines_tell_the_classes_apart_and_novelty_knows_clean_scripts_alone(fitted):
    labels = np.array([0, 0, 0, 1, 1, 1])
    for name in (bags.CHARACTER_3GRAM, bags.TOKEN_PAIR):
        scores = fitted[name].score(encoded(LEARNED))
        assert scores[labels == 1].min() > scores[labels == 0].max()
    strange, known = fitted[bags.NOVELTY].score(encoded(["~~##@@!!%%^^", "Get-Item $x"]))
    assert strange > known
    others = bags.fit(encoded([*LEARNED, "Invoke-Mimi"], [0, 0, 0, 1, 1, 1, 1]), seed=1)
    assert (others[bags.NOVELTY].values == fitted[bags.NOVELTY].values).all()


def test_a_class_that_is_missing_is_told():
    with pytest.raises(CorpusError, match="bags need malicious"):
        bags.fit(encoded(LEARNED, [0] * 6), seed=1)


@pytest.fixture(scope="module")
def joined(fitted):
    matrix = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    matrix[0] = 0
    alone = network.build(matrix, config=Config(filters=8, units=8), seed=2)
    scales = {name: one_file.Scale(-1.0 - n, 0.5 + n) for n, name in enumerate([*fitted, "cnn_lstm"])}
    return alone, one_file.join(alone, fitted, scales, slope=1.5, offset=-0.5), scales


def odd_texts() -> list[str]:
    random = np.random.default_rng(5)
    words = ["get-item", "iex", "$x", "~", "(", "'ab'", "\u00e9"]
    return ["x", "aaaaaaaaaa", *(" ".join(random.choice(words, n)) for n in random.integers(1, 60, 30))]


def test_joined_they_are_the_logistic_function_of_the_mean_on_a_common_scale(fitted, joined):
    alone, both, scales = joined
    asked = encoded(odd_texts())
    scores = [bag.score(asked) for bag in fitted.values()] + [network.predict(alone, asked)]
    z = [(logit(own.astype(float)) - scale.low) / scale.width
         for own, scale in zip(scores, scales.values(), strict=True)]  # fmt: skip
    assert network.predict(both, asked) == pytest.approx(expit(1.5 * np.mean(z, axis=0) - 0.5), abs=2e-6)


def test_joined_they_are_saved_and_exported_as_one_file(joined, tmp_path):
    alone, both, _ = joined
    asked = encoded(odd_texts())
    network.save(both, tmp_path / "both.keras")
    again = network.load(tmp_path / "both.keras")
    assert (network.predict(again, asked) == network.predict(both, asked)).all()
    export.to_onnx(again, tmp_path / "both.onnx")
    result = export.parity(both, tmp_path / "both.onnx", asked, threshold=0.5)
    assert result["ok"] and result["n"] == len(asked)
    export.to_onnx(alone, tmp_path / "alone.onnx")
    hidden = [
        run_onnx(open_session(tmp_path / name), asked, output="features")
        for name in ("both.onnx", "alone.onnx")
    ]
    assert hidden[0] == pytest.approx(hidden[1], abs=1e-5)  # what nearest clusters are found by


def test_a_network_that_was_loaded_can_be_joined(fitted, joined, tmp_path):
    alone, both, scales = joined
    network.save(alone, tmp_path / "alone.keras")
    loaded = network.load(tmp_path / "alone.keras")  # its operations have names that new ones may not take
    again = one_file.join(loaded, fitted, scales, slope=1.5, offset=-0.5)
    asked = encoded(odd_texts())
    assert network.predict(again, asked) == pytest.approx(network.predict(both, asked), abs=1e-6)
