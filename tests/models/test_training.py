"""A trained network is kept by what made it: used again if nothing changed, trained anew if anything did."""

import numpy as np
import polars as pl
import pytest

from psembed.models import fitting, network, training
from psembed.models.training import Training
from psembed.powershell.encoding import Encoder, Samples
from psembed.runtime import workers
from psembed.runtime.errors import ModelError, ParameterError

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
    monkeypatch.setattr(fitting, "fit", lambda *_, **__: pytest.fail("trained again"))
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


def test_networks_of_several_processes_repeat_exactly_and_are_asked_in_order(tmp_path):
    """Slow (over 15 s): each of two processes imports TensorFlow and trains."""
    plan, parts = [given(seed=1), given("character_cnn", seed=2)], {"test": samples(5)}
    jobs = [(tmp_path / folder, one, parts, SETTINGS) for folder in ("a", "b") for one in plan]
    # what score_all does, twice over
    scored = list(workers.each(training._score, jobs, processes=2, prepare=network.one_thread))
    files = [sorted(path.name for path in (tmp_path / folder).iterdir()) for folder in ("a", "b")]
    assert files[0] == files[1] and len(files[0]) == 3 * len(plan)
    for member, one, again in zip(plan, scored[:2], scored[2:], strict=True):
        assert np.array_equal(one.scores["test"], again.scores["test"])
        model, history = training.trained(tmp_path / "a", member, **SETTINGS)
        assert one.history == history and one.parameters == model.count_params()
        assert np.allclose(one.scores["test"], network.predict(model, parts["test"]), atol=1e-6)


def test_an_error_in_a_process_comes_out(tmp_path):
    broken = given()._replace(matrix=np.full((20, 8), np.nan, dtype=np.float32))
    with pytest.raises(ParameterError, match="token matrix"):
        list(
            training.score_all(
                tmp_path, [(broken, {}), (broken._replace(seed=9), {})], processes=2, **SETTINGS
            )
        )


def test_an_interrupted_training_leaves_nothing_to_resume_from(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit", interrupted)
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


def test_narrow_integers_hold_every_id_and_score_the_same():
    words = [chr(97 + n // 26) + chr(97 + n % 26) for n in range(300)]
    encoder = Encoder(words, token_length=64, char_length=64)
    scripts = pl.DataFrame({"clean": [" ".join(words[-40:]), "a"], "label": [1, 0]})
    rows, wide = training.encoded(encoder, scripts), encoder.encode(scripts["clean"])
    assert rows.tokens.max() > 255 and rows.characters.dtype == np.uint8
    assert all(np.array_equal(*pair) for pair in zip((rows.tokens, rows.characters), wide, strict=True))
    model = network.build(given().matrix, seed=1)
    narrow = Samples(given().data.tokens.astype(np.uint8), given().data.characters.astype(np.uint8))
    assert np.array_equal(network.predict(model, narrow), network.predict(model, given().data))


def test_windows_find_what_head_and_tail_leave_out():
    """The share of `z` in what is shown stands for a network's score."""
    encoder = Encoder(["x"], token_length=64, char_length=64)
    texts = ["a" * 64, "z" * 32, "a" * 400 + "z" * 64 + "a" * 400, "a" * 10**5 + "z" * 10**5]
    scripts = pl.DataFrame({"clean": texts, "label": [0, 1, 1, 1]})
    samples, owners = training.windows(encoder, scripts)
    scores = (samples.characters == ord("z") - 31).mean(axis=1).astype(np.float32)
    assert scores[:4].tolist() == [0, 0.5, 0, 0.25] and owners[:4].tolist() == [0, 1, 2, 3]
    assert np.bincount(owners).tolist() == [1, 1, 1 + training.WINDOWS, 1 + training.WINDOWS]
    best = training.highest(scores, owners)
    assert best[:2].tolist() == [0, 0.5] and best[2] >= 0.5 and best[3] == 1


def test_a_part_without_scripts_has_no_scores():
    scripts = pl.DataFrame(schema={"clean": pl.String, "label": pl.Int8})
    samples, owners = training.windows(Encoder(["x"], token_length=64, char_length=64), scripts)
    assert len(samples) == len(training.highest(np.empty(0, np.float32), owners)) == 0


def test_what_was_scored_is_not_scored_again(tmp_path, monkeypatch):
    plan = [(given(), {"test": samples(5)})]
    (first,) = training.score_all(tmp_path, plan, processes=1, **SETTINGS)
    asked = []
    monkeypatch.setattr(network, "predict", lambda _, rows: asked.append(rows) or np.zeros(len(rows)))
    (again,) = training.score_all(tmp_path, plan, processes=1, **SETTINGS)
    assert not asked and np.array_equal(first.scores["test"], again.scores["test"])
    other = samples(6)
    (third,) = training.score_all(tmp_path, [(given(), {"test": other})], processes=1, **SETTINGS)
    assert asked == [other] and not third.scores["test"].any()


def test_networks_are_asked_in_order_whatever_was_trained_before(tmp_path):
    plan = [given(seed=1), given("character_cnn", seed=2)]
    training.trained(tmp_path, plan[0], **SETTINGS)
    parts = {"test": samples(5), "validation": samples(2)}
    scored = list(training.score_all(tmp_path, [(one, parts) for one in plan], processes=1, **SETTINGS))
    assert len(scored) == len(plan) == len(list(tmp_path.glob("*.keras")))
    for one, given_back in zip(plan, scored, strict=True):
        model, history = training.trained(tmp_path, one, **SETTINGS)
        assert given_back.history == history and given_back.parameters == model.count_params()
        for part, own in parts.items():
            assert np.allclose(given_back.scores[part], network.predict(model, own), atol=1e-6)
