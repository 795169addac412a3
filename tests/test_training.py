"""A trained network is kept by what made it: used again if nothing changed, trained anew if anything did."""

import numpy as np
import polars as pl
import pytest

from psembed import network, training
from psembed.batches import Samples
from psembed.errors import ModelError, ParameterError
from psembed.tokens import Encoder
from psembed.training import Training

SETTINGS = {"epochs": 1, "batch": 16}


def samples(seed: int) -> Samples:
    random = np.random.default_rng(seed)
    tokens = random.integers(1, 20, (40, 64)).astype(np.int32)
    return Samples(
        tokens, random.integers(1, 97, (40, 64)).astype(np.int32), np.arange(40, dtype=np.int8) % 2
    )


def given(name: str = "token_cnn", *, seed: int = 3) -> Training:
    matrix = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32)
    matrix[0] = 0
    return Training(name, matrix, samples(1), samples(2), seed)


def test_resumes_without_training_and_scores_the_same(tmp_path, monkeypatch):
    first, history = training.trained(tmp_path, given(), **SETTINGS)
    monkeypatch.setattr(network, "train", lambda *_, **__: pytest.fail("trained again"))
    training.train_all(tmp_path, [given()], processes=1, **SETTINGS)
    second, again = training.trained(tmp_path, given(), **SETTINGS)
    assert again == history and len(history) == 1
    data = given().data
    assert np.array_equal(network.predict(first, data), network.predict(second, data))


def test_every_input_is_in_the_key():
    base = training._key(given(), SETTINGS)
    assert base == training._key(given(), dict(SETTINGS))
    flipped = given().data
    flipped = Samples(flipped.tokens, flipped.characters, 1 - flipped.labels)
    others = [
        training._key(given()._replace(matrix=given().matrix * 2), SETTINGS),
        training._key(given()._replace(data=flipped), SETTINGS),
        training._key(given()._replace(validation=given().data), SETTINGS),
        training._key(given(seed=4), SETTINGS),
        training._key(given("cnn_lstm_tuned"), SETTINGS),
        training._key(given("cnn_lstm_random"), SETTINGS),
        training._key(given(), SETTINGS | {"epochs": 2}),
    ]
    assert len({base, *others}) == 8


def test_what_half_precision_trained_is_kept_in_full_and_apart(tmp_path, monkeypatch):
    full, _ = training.trained(tmp_path, given(), **SETTINGS)
    monkeypatch.setattr(network, "precision", lambda: "mixed_bfloat16")
    half, _ = training.trained(tmp_path, given(), **SETTINGS)
    assert len(list(tmp_path.glob("*.keras"))) == 2
    assert {layer.compute_dtype for layer in half.layers} == {layer.compute_dtype for layer in full.layers}
    scores = [network.predict(model, given().data) for model in (full, half)]
    assert 0 < np.abs(np.subtract(*scores)).max() < 0.1


def test_several_processes_leave_what_one_leaves_and_repeat_exactly(tmp_path):
    plan = [given(seed=1), given(seed=2)]
    for folder in ("a", "b"):
        training.train_all(tmp_path / folder, plan, processes=2, **SETTINGS)
    kept = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(kept) == 4 and kept == sorted(path.name for path in (tmp_path / "b").iterdir())
    for member in plan:
        pair = [training.trained(tmp_path / folder, member, **SETTINGS)[0] for folder in ("a", "b")]
        scores = [network.predict(model, member.data) for model in pair]
        assert np.array_equal(*scores)


def test_an_error_in_a_process_comes_out(tmp_path):
    broken = given()._replace(matrix=np.full((20, 8), np.nan, dtype=np.float32))
    with pytest.raises(ParameterError, match="token matrix"):
        training.train_all(tmp_path, [broken, broken._replace(seed=9)], processes=2, **SETTINGS)


def test_an_interrupted_training_leaves_nothing_to_resume_from(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(network, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        training.trained(tmp_path, given(), **SETTINGS)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_network_is_named(tmp_path):
    training.trained(tmp_path, given(), **SETTINGS)
    next(tmp_path.glob("*.keras")).write_bytes(b"cut short")
    with pytest.raises(ModelError):
        training.trained(tmp_path, given(), **SETTINGS)


def test_random_vectors_differ_by_seed_and_keep_padding_at_zero():
    matrix = given().matrix
    assert training.starting_vectors("cnn_lstm", matrix, seed=1) is matrix
    drawn = [training.starting_vectors("cnn_lstm_random", matrix, seed=seed) for seed in (1, 2)]
    assert not np.array_equal(*drawn) and not any(vectors[0].any() for vectors in drawn)
    assert drawn[0].shape == matrix.shape


def test_scripts_are_encoded_with_their_labels():
    scripts = pl.DataFrame(
        {"clean": ["get-item", "iex $x"], "label": [0, 1]}, schema_overrides={"label": pl.Int8}
    )
    rows = training.encoded(Encoder(["get-item"], token_length=64, char_length=64), scripts)
    assert rows.labels.tolist() == [0, 1] and rows.tokens[0, 0] == 2 and rows.characters.shape == (2, 64)


def test_windows_find_what_head_and_tail_leave_out(monkeypatch):
    """A stand-in for a network that scores the share of `z` in what it is shown."""

    def predict(_, samples: Samples) -> np.ndarray:
        z = ord("z") - 31
        return (samples.characters == z).mean(axis=1).astype(np.float32)

    monkeypatch.setattr(network, "predict", predict)
    encoder = Encoder(["x"], token_length=64, char_length=64)
    texts = ["a" * 64, "z" * 32, "a" * 400 + "z" * 64 + "a" * 400, "a" * 10**5 + "z" * 10**5]
    scripts = pl.DataFrame({"clean": texts, "label": [0, 1, 1, 1]})
    whole = predict(None, training.encoded(encoder, scripts))
    windows = training.window_scores(None, encoder, scripts)
    assert whole.tolist() == [0, 0.5, 0, 0.25]
    assert windows[:2].tolist() == [0, 0.5] and windows[2] >= 0.5 and windows[3] == 1
