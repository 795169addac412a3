"""A trained network is kept by what made it: used again if nothing changed, trained anew if anything did."""

import numpy as np
import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from psembed.models import fitting, network, training
from psembed.models.training import Encoded, Training
from psembed.powershell import tokens
from psembed.powershell.encoding import Encoder, Samples
from psembed.runtime import workers
from psembed.runtime.errors import ModelError, ParameterError

SETTINGS = {"batch": 16}


def samples(seed: int) -> Samples:
    random = np.random.default_rng(seed)
    ids, characters = (random.integers(1, most, (40, 64)).astype(np.int32) for most in (20, 97))
    return Samples(ids, characters, np.arange(40, dtype=np.int8) % 2)


def given(name: str = "token_cnn", *, seed: int = 3, epochs: int = 1) -> Training:
    matrix = np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32)
    matrix[0] = 0
    return Training(name, matrix, "fold_0", samples(1), seed, epochs)


def test_resumes_without_training_and_scores_the_same(tmp_path, monkeypatch):
    first, history = training.trained(tmp_path, given(), **SETTINGS)
    monkeypatch.setattr(fitting, "fit", lambda *_, **__: pytest.fail("trained again"))
    second, again = training.trained(tmp_path, given(), **SETTINGS)
    assert again == history and len(history) == 1
    data = given().data
    assert np.array_equal(network.predict(first, data), network.predict(second, data))


def test_every_input_is_in_the_key():
    base = training.key_of(given(), SETTINGS)
    assert base == training.key_of(given(), dict(SETTINGS))
    flipped = given().data
    flipped = Samples(flipped.tokens, flipped.characters, 1 - flipped.labels)
    others = [
        training.key_of(given()._replace(vectors="fold_1"), SETTINGS),
        training.key_of(given()._replace(data=flipped), SETTINGS),
        training.key_of(given()._replace(data=samples(2)), SETTINGS),
        training.key_of(given(seed=4), SETTINGS),
        training.key_of(given(epochs=2), SETTINGS),
        training.key_of(given("cnn_lstm"), SETTINGS),
        training.key_of(given("cnn_lstm_frozen"), SETTINGS),
        training.key_of(given("cnn_lstm_random"), SETTINGS),
        training.key_of(given(), {"batch": 8}),
    ]
    assert len({base, *others}) == 10
    rounded = given()._replace(matrix=given().matrix + 1e-7)  # as on another machine
    assert training.key_of(rounded, SETTINGS) == base


def test_the_code_is_in_the_key(monkeypatch):
    base = training.key_of(given(), SETTINGS)
    monkeypatch.setattr(training, "module_hash", lambda path: path.name)
    assert training.key_of(given(), SETTINGS) != base


def test_a_network_trains_for_the_epochs_of_its_training(tmp_path):
    lengths = [len(training.trained(tmp_path, given(epochs=epochs), **SETTINGS)[1]) for epochs in (1, 3)]
    assert lengths == [1, 3] and len(list(tmp_path.glob("*.keras"))) == 2


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


def test_weights_without_their_history_are_trained_again(tmp_path, monkeypatch):
    """The history is written last, so it tells that all is there."""
    training.trained(tmp_path, given(), **SETTINGS)
    next(tmp_path.glob("*.json")).unlink()
    trained, fit = [], fitting.fit
    monkeypatch.setattr(fitting, "fit", lambda *one, **named: trained.append(1) or fit(*one, **named))
    _, history = training.trained(tmp_path, given(), **SETTINGS)
    assert trained == [1] and len(history) == 1 and len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_leaves_no_half_of_the_scores(tmp_path, monkeypatch):
    def full(file, _):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    plan = [(given(), {"test": samples(5)})]
    with monkeypatch.context() as patched:
        patched.setattr(np, "save", full)
        with pytest.raises(OSError, match="No space"):
            list(training.score_all(tmp_path, plan, processes=1, **SETTINGS))
    assert {path.suffix for path in tmp_path.iterdir()} == {".keras", ".json"}
    (scored,) = training.score_all(tmp_path, plan, processes=1, **SETTINGS)
    assert scored.scores["test"].shape == (40,) and len(list(tmp_path.glob("*.npy"))) == 1


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


WORDS = [chr(97 + n // 26) + chr(97 + n % 26) for n in range(300)]


def encoder(vocabulary: list[str], *, token_length: int = 64, char_length: int = 128) -> Encoder:
    return Encoder(vocabulary, token_length=token_length, char_length=char_length)


@st.composite
def scripts_and_vocabularies(draw):
    words = st.lists(st.sampled_from([*WORDS[:6], "Aa", "$x", "-eq", "é"]), max_size=90)
    known = st.lists(st.sampled_from([*WORDS[:8], "$x", "-eq"]), max_size=8, unique=True)
    return draw(st.lists(words.map(" ".join), min_size=1, max_size=5)), draw(
        st.lists(known, min_size=1, max_size=3)
    )


@given_any(scripts_and_vocabularies(), st.data())
def test_the_ids_of_a_fold_are_those_its_own_encoder_gives(made, data):
    texts, vocabularies = made
    encoders = {fold: encoder(known) for fold, known in enumerate(vocabularies, -1)}
    labels = np.arange(len(texts)) % 2
    encoded = Encoded(texts, labels, encoders)
    rows = np.array(data.draw(st.lists(st.sampled_from(range(len(texts))), min_size=1)))
    for fold, own in encoders.items():
        found = encoded.of(fold, rows)
        alone = Samples(*own.encode([texts[row] for row in rows]), labels[rows]).rows(np.arange(len(rows)))
        assert np.array_equal(found.tokens, alone.tokens)
        assert np.array_equal(found.characters, alone.characters)
        assert np.array_equal(found.labels, alone.labels)


def test_narrow_integers_hold_every_id_and_score_the_same():
    encoders = {0: encoder(WORDS), 1: encoder(WORDS[:3])}
    encoded, rows = Encoded([" ".join(WORDS[-40:]), "a"], [1, 0], encoders), np.array([0, 1])
    own, few = encoded.of(0, rows), encoded.of(1, rows)
    assert own.tokens.max() > 255 and own.characters.dtype == few.tokens.dtype == np.uint8
    assert few.tokens.max() == tokens.UNKNOWN
    model = network.build(given().matrix, seed=1)
    narrow = Samples(given().data.tokens.astype(np.uint8), given().data.characters.astype(np.uint8))
    assert np.array_equal(network.predict(model, narrow), network.predict(model, given().data))


def test_scripts_without_a_known_token_and_none_at_all_are_encoded():
    encoders = {0: encoder([]), 1: encoder(["iex"])}
    encoded = Encoded(["iex $x", ""], [1, 0], encoders)
    assert encoded.of(0, np.array([0])).tokens[0, :3].tolist() == [tokens.UNKNOWN] * 2 + [tokens.PAD]
    assert not encoded.of(1, np.array([1])).tokens.any()
    assert len(encoded.of(1, np.array([], dtype=np.int64))) == len(Encoded([], [], encoders).samples) == 0


def test_the_digest_tells_what_any_fold_reads():
    texts, encoders = ["iex $x", "get-item"], {0: encoder(["iex"]), 1: encoder(["$x", "get-item"])}
    base = Encoded(texts, [1, 0], encoders).digest()
    others = [
        Encoded(texts[::-1], [1, 0], encoders),
        Encoded(["iex $y", "get-item"], [1, 0], encoders),
        Encoded(texts, [1, 0], encoders | {1: encoder(["get-item", "$x"])}),  # the other way round
        Encoded(
            texts, [1, 0], {0: encoder(["iex", "$x"]), 1: encoder(["$x", "get-item"])}
        ),  # fold 0 knows more
    ]
    assert base == Encoded(texts, [1, 0], encoders).digest()
    assert len({base, *(other.digest() for other in others)}) == 5


def test_encoders_that_cut_differently_are_refused():
    with pytest.raises(ParameterError, match=r"lengths \[\(64, 128\), \(128, 128\)\]"):
        Encoded(["iex"], [1], {0: encoder(["iex"]), 1: encoder(["iex"], token_length=128)})
    with pytest.raises(ParameterError, match="give every fold"):
        Encoded(["iex"], [1], {})


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
