"""The network: what padding may not change, what training promises, what is refused."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import keras
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score

from psembed.models import batches, network
from psembed.models.network import Config
from psembed.powershell import encoding, tokens
from psembed.powershell.encoding import BLOCK, Encoder, Samples
from psembed.runtime.errors import CorpusError, ModelError, ParameterError

SMALL = Config(filters=8, units=8, learning_rate=0.01)


def matrix(*, size: int = 20, dimension: int = 6) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(size, dimension)).astype(np.float32)
    values[0] = 0
    return values


def samples(count: int, *, seed: int = 0, columns: int = 2 * BLOCK) -> Samples:
    """Scripts of random length; those of class 1 hold token 7 and character 50 here and there."""
    random = np.random.default_rng(seed)
    tokens = random.integers(8, 20, (count, columns)).astype(np.int32)
    characters = random.integers(1, 40, (count, columns)).astype(np.int32)
    labels = (np.arange(count) % 3 == 0).astype(np.int8)
    for row, length in enumerate(random.integers(4, columns, count)):
        tokens[row, length:] = characters[row, length:] = 0
        if labels[row]:
            places = random.integers(0, length, 1 + length // 8)
            tokens[row, places] = 7
            characters[row, places] = 50
    return Samples(tokens, characters, labels)


def fit(model, data: Samples, **changes) -> list[dict]:
    options = {"epochs": 6, "batch": 32, "seed": 1} | changes
    return network.train(model, data, samples(90, seed=9), **options)


@pytest.fixture(scope="module")
def trained():
    model = network.build(matrix(), config=SMALL, seed=1)
    return model, fit(model, samples(240), epochs=10)


def test_learns_the_planted_difference(trained):
    model, history = trained
    test = samples(90, seed=5)
    scores = network.predict(model, test)
    assert scores.shape == (90,) and scores.dtype == np.float32
    assert average_precision_score(test.labels, scores) > 0.9
    assert history[-1]["loss"] < history[0]["loss"]
    assert {"epoch", "loss", "val_loss", "val_average_precision", "seconds", "best"} == set(history[0])


def test_padding_never_counts(trained):
    model, _ = trained
    data = samples(20, seed=3)
    longer = Samples(*(np.pad(ids, ((0, 0), (0, 3 * BLOCK))) for ids in (data.tokens, data.characters)))
    plain = model.predict_on_batch([data.tokens, data.characters])
    padded = model.predict_on_batch([longer.tokens, longer.characters])
    assert np.abs(plain - padded).max() < 1e-6
    assert np.abs(network.predict(model, longer, batch=7) - plain[:, 0]).max() < 1e-6


def test_a_script_scores_the_same_alone_and_in_company(trained):
    model, _ = trained
    data = samples(9, seed=4)
    together = network.predict(model, data)
    alone = [network.predict(model, data.rows(np.array([row])))[0] for row in range(9)]
    assert np.allclose(together, alone, atol=1e-6)


def test_an_empty_script_has_a_finite_score(trained):
    empty = Samples(np.zeros((2, BLOCK), np.int32), np.zeros((2, 10), np.int32))
    scores = network.predict(trained[0], empty)
    assert np.isfinite(scores).all() and scores[0] == scores[1]


def test_same_seed_same_result_and_another_seed_another():
    data = samples(64)

    def run(seed: int) -> tuple[list, np.ndarray]:
        model = network.build(matrix(), config=SMALL, seed=seed)
        history = fit(model, data, epochs=2, seed=seed)
        return [epoch["loss"] for epoch in history], network.predict(model, data)

    (losses, scores), (again, scores_again) = run(3), run(3)
    assert losses == again
    assert np.array_equal(scores, scores_again)
    other = network.predict(network.build(matrix(), config=SMALL, seed=4), data)
    assert not np.array_equal(network.predict(network.build(matrix(), config=SMALL, seed=3), data), other)


@pytest.mark.parametrize("trainable", [False, True])
def test_token_vectors_stay_or_move_as_configured(trainable):
    model = network.build(matrix(), config=Config(filters=8, units=8, trainable=trainable), seed=1)
    before = model.get_layer("token_vectors").get_weights()[0]
    assert np.allclose(np.linalg.norm(before[1:], axis=1), 1)
    assert np.allclose(before * np.linalg.norm(matrix(), axis=1, keepdims=True), matrix(), atol=1e-5)
    fit(model, samples(90), epochs=1)
    after = model.get_layer("token_vectors").get_weights()[0]
    assert np.array_equal(before, after) is not trainable
    assert not after[0].any()


def test_the_lstm_can_run_on_cudnn():
    lstm = network.build(matrix(), config=SMALL, seed=1).get_layer("lstm")
    settings = lstm.get_config()
    assert settings["activation"] == "tanh" and settings["recurrent_activation"] == "sigmoid"
    assert settings["recurrent_dropout"] == 0 and settings["use_bias"] and not settings["unroll"]


def test_the_learning_rate_warms_up_stays_and_falls():
    model = network.build(matrix(), config=Config(learning_rate=0.5), seed=1)
    rates = np.array(list(network._learning_rates(model, steps=1000)))
    assert len(rates) == 1000 and rates[0] == pytest.approx(0.5 / network.WARM_UP)
    assert np.allclose(rates[network.WARM_UP - 1 : 667], 0.5)
    assert rates[833] == pytest.approx(0.25, rel=0.01) and 0 < rates[-1] < 0.01
    assert (np.diff(rates[: network.WARM_UP]) > 0).all() and (np.diff(rates[668:]) < 0).all()
    few = list(network._learning_rates(model, steps=20))
    assert few[:3] == [0.25, 0.5, 0.5] and few[-1] < 0.1
    assert len(list(network._learning_rates(model, steps=1))) == 1


def test_keeps_the_best_epoch_and_a_saved_model_scores_the_same(tmp_path, monkeypatch):
    judged = iter([(0.5, 0.3), (0.9, 0.2), (0.8, 0.1)])  # the second is the best
    model, weights = network.build(matrix(), config=SMALL, seed=1), []

    def validate(model, *_, **__):
        weights.append(model.get_weights())
        return next(judged)

    monkeypatch.setattr(network, "_validate", validate)
    path = tmp_path / "network.keras"
    history = fit(model, samples(90), epochs=3)
    network.save(model, path)
    assert [epoch["best"] for epoch in history] == [True, True, False]
    assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), weights[1], strict=True))
    data = samples(20, seed=8)
    assert np.array_equal(network.predict(network.load(path), data), network.predict(model, data))
    assert list(tmp_path.iterdir()) == [path]


def identified(count: int) -> Samples:
    """Scripts that can be told by their label, of lengths 1 to BLOCK."""
    ids = (np.arange(BLOCK) < 1 + np.arange(count)[:, None] % BLOCK).astype(np.int32)
    return Samples(ids, ids, np.arange(count))


def test_batches_hold_every_script_once_in_random_order():
    data = identified(500)
    chosen = list(batches.batches(data, size=32, random=np.random.default_rng(0)))
    order = np.concatenate([batch.labels for batch in chosen])
    assert [len(batch) for batch in chosen] == [32] * 15 + [20]
    assert sorted(order) == list(range(500)) and not np.array_equal(order, np.arange(500))
    again = batches.batches(data, size=32, random=np.random.default_rng(0))
    assert np.array_equal(order, np.concatenate([batch.labels for batch in again]))


@pytest.mark.parametrize("count", [1, 3, 4, 30])
def test_groups_hold_every_script_once_from_short_to_long(count):
    data = samples(count)
    data = Samples(data.tokens, data.characters, np.arange(count))
    groups = batches.by_length(data)
    assert len(groups) == batches.GROUPS
    assert sorted(np.concatenate([group.labels for group in groups])) == list(range(count))
    lengths = [np.count_nonzero(group.tokens, axis=1) for group in groups if len(group)]
    assert all(short.max() <= long.min() for short, long in pairwise(lengths))
    widths = [(group.tokens.shape[1], group.tokens.any(axis=0).sum()) for group in groups if len(group)]
    assert all(used <= width < used + BLOCK for width, used in widths)


@pytest.mark.parametrize("places", [1, 2, 3])
def test_every_script_has_the_same_share_in_the_loss_wherever_it_is_dealt(places):
    model, data = network.build(matrix(), config=SMALL, seed=1), samples(10)
    dealt = [group for place in range(places) for group in network._groups(model, data, place, places)]
    assert len(dealt) == places * batches.GROUPS
    each = [float(share) / len(labels) for _, labels, share in dealt if share > 0]
    assert each == pytest.approx([places / 10] * len(each))
    assert sum(len(labels) for _, labels, share in dealt if share > 0) == 10
    alone = network._groups(model, data.rows(np.array([0])), 1, 2)
    assert all(share == 0 and len(labels) == 1 for _, labels, share in alone)


def test_a_step_by_groups_is_a_step_on_the_whole_batch():
    config, data, moved = Config(filters=8, units=8, dropout=0.0), samples(33), []
    for whole in (True, False):
        model = network.build(matrix(), config=config, seed=1)
        model.compile(keras.optimizers.SGD(0.1), keras.losses.BinaryCrossentropy(from_logits=True))
        groups = network._groups(model, data)
        if whole:
            labels, share = data.labels[:, None].astype(np.float32), np.float32(1 / batches.GROUPS)
            groups = [(network._feed(model, data), labels, share)] * batches.GROUPS
        loss = float(network._training_step(model, 1)(groups))
        moved.append((loss, network.predict(model, data)))
    assert moved[0][0] == pytest.approx(moved[1][0], rel=1e-5)
    assert np.abs(moved[0][1] - moved[1][1]).max() < 1e-5


def test_an_epoch_has_all_malicious_scripts_and_clean_ones_take_turns():
    labels = np.repeat([0, 1, 0], [150, 7, 151])
    drawn = batches.draws(labels, ratio=16, random=np.random.default_rng(2))
    turns = batches.clean_turns(labels, ratio=16)
    assert turns == 3
    for _ in range(2):
        epochs = [next(drawn) for _ in range(turns)]
        assert all(np.array_equal(rows, np.unique(rows)) for rows in epochs)
        assert [(labels[rows] == 1).sum() for rows in epochs] == [7, 7, 7]
        clean = np.concatenate([rows[labels[rows] == 0] for rows in epochs])
        assert sorted(clean) == np.flatnonzero(labels == 0).tolist()
        assert max(map(len, epochs)) <= 7 * (1 + 16)
    few = np.array([0, 1, 0, 1])
    assert np.array_equal(next(batches.draws(few, ratio=16, random=np.random.default_rng(2))), np.arange(4))


def scripts_of(lengths: list[int]) -> Samples:
    """Scripts of so many tokens and four times as many characters, each the number of its place."""
    tokens = np.zeros((len(lengths), 2 * BLOCK), np.uint16)
    characters = np.zeros((len(lengths), 8 * BLOCK), np.uint16)
    for row, length in enumerate(lengths):
        tokens[row, :length] = np.arange(2, length + 2)
        characters[row, : 4 * length] = np.arange(2, 4 * length + 2)
    return Samples(tokens, characters, np.arange(len(lengths), dtype=np.int8) % 2)


def test_a_cropped_script_is_a_window_the_same_in_both_views():
    data = scripts_of([100, 1, 0, 128] * 50)
    cut = batches.altered(data, hidden=0, cropped=1, random=np.random.default_rng(3))
    assert np.array_equal(cut.labels, data.labels) and cut.tokens.dtype == np.uint16
    for row, length in enumerate([100, 1, 0, 128] * 50):
        tokens, characters = (view[view > 0].astype(int) for view in (cut.tokens[row], cut.characters[row]))
        for kept, whole in ((tokens, length), (characters, 4 * length)):
            assert np.array_equal(kept, np.arange(kept[0], kept[0] + len(kept))) if len(kept) else whole == 0
            assert batches.SHORTEST * whole <= len(kept) <= whole
        if length > 1:
            assert abs(characters[0] - 2 - 4 * (tokens[0] - 2)) <= 4
            assert abs(len(characters) - 4 * len(tokens)) <= 8
    lengths = np.count_nonzero(cut.tokens, axis=1)[::4]
    assert lengths.min() < 50 and lengths.max() > 85


def test_the_share_asked_for_is_hidden_and_cropped():
    data = scripts_of([128] * 400)
    same = batches.altered(data, hidden=0, cropped=0, random=np.random.default_rng(3))
    assert all(np.array_equal(getattr(same, name), getattr(data, name)) for name in ("tokens", "characters"))
    part = batches.altered(data, hidden=0, cropped=0.5, random=np.random.default_rng(3))
    assert (part.tokens != data.tokens).any(axis=1).mean() == pytest.approx(0.5, abs=0.08)
    some = batches.altered(
        scripts_of([128, 64] * 200), hidden=0.1, cropped=0, random=np.random.default_rng(3)
    )
    for view, substitute in ((some.tokens, tokens.UNKNOWN), (some.characters, encoding.OTHER)):
        assert (view[1::2] > 0).sum(axis=1).max() in (64, 256)
        assert (view[view > 0] == substitute).mean() == pytest.approx(0.1, abs=0.01)


def test_what_hides_an_id_is_what_the_encoder_gives_the_unknown():
    encoder = Encoder(["known"], token_length=BLOCK, char_length=BLOCK)
    token_ids, character_ids = encoder.encode(pl.Series(["strange \u2603"]))
    assert tokens.UNKNOWN in token_ids and encoding.OTHER in character_ids


def test_a_network_learns_from_altered_scripts():
    config = Config(filters=8, units=8, learning_rate=0.02, hidden=0.1, cropped=0.5)
    model, data = network.build(matrix(), config=config, seed=1), samples(240)
    plain = network.train(model, data, data, epochs=1, batch=32, seed=1)
    model = network.build(matrix(), config=config, seed=1)
    other = network.train(model, data, data, epochs=12, batch=32, seed=1, config=config)
    assert other[0]["loss"] != plain[0]["loss"]
    assert other[-1]["val_average_precision"] > 0.9


def test_scores_are_those_of_all_scripts_though_an_epoch_has_few_clean_ones():
    """Scripts that cannot be told apart get the share of malicious ones among all, not in an epoch."""
    config = Config(filters=4, units=4, dropout=0.0, learning_rate=0.1, smoothing=0.0)
    ones, labels = np.ones((180, BLOCK), np.int32), (np.arange(180) % 9 == 0).astype(np.int8)
    assert batches.clean_turns(labels, ratio=2) == 4
    model, data = network.build(matrix(), config=config, seed=1), Samples(ones, ones, labels)
    network.train(model, data, data, epochs=40, batch=12, seed=1, config=network.Config(ratio=2))
    assert network.predict(model, data).mean() == pytest.approx(1 / 9, abs=0.02)


def test_half_precision_learns_and_becomes_full():
    model = network.build(matrix(), config=SMALL, seed=1, policy="mixed_bfloat16")
    fit(model, samples(240), epochs=12)
    full = network.build(matrix(), config=SMALL, seed=1)
    full.set_weights(model.get_weights())
    test = samples(90, seed=5)
    scores, rounded = network.predict(full, test), network.predict(model, test)
    assert average_precision_score(test.labels, scores) > 0.9
    assert 0 < np.abs(scores - rounded).max() < 0.1
    assert {weight.dtype for weight in full.weights} == {"float32"}
    assert full.get_layer("features").compute_dtype == "float32"


@settings(deadline=None, max_examples=60)
@given(arrays(np.int32, st.tuples(st.integers(1, 4), st.integers(0, 150)), elements=st.integers(0, 1)))
def test_trim_keeps_every_id_and_lines_up_with_blocks(ids):
    cut = encoding.trim(ids)
    width = min(cut.shape[1], ids.shape[1])
    assert cut.shape[1] % BLOCK == 0 and cut.shape[1] >= BLOCK
    assert np.array_equal(cut[:, :width], ids[:, :width])
    assert not cut[:, width:].any() and not ids[:, width:].any()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.ones((5, 3), np.float32), "row 0"),
        (np.zeros(5, np.float32), "expected finite float32"),
        (np.array([[0.0], [np.nan]], np.float32), "expected finite float32"),
    ],
)
def test_refuses_a_bad_matrix(bad, message):
    with pytest.raises(ParameterError, match=message):
        network.build(bad, seed=1)


def test_refuses_an_unknown_design():
    with pytest.raises(ParameterError, match="'perceptron': choose one of figure4, "):
        network.build(matrix(), config=Config(design="perceptron"), seed=1)


def test_refuses_one_class():
    data = samples(30)
    one = Samples(data.tokens, data.characters, np.zeros(30, np.int8))
    model = network.build(matrix(), config=SMALL, seed=1)
    with pytest.raises(CorpusError, match=r"training holds \[30, 0\]"):
        network.train(model, one, data, epochs=1, batch=8, seed=1)


def test_a_loss_that_is_no_number_stops_training():
    model = network.build(matrix(), config=SMALL, seed=1)
    weights = model.get_layer("score").get_weights()
    model.get_layer("score").set_weights([weights[0] * np.nan, weights[1]])
    with pytest.raises(ModelError, match="lower the learning rate"):
        fit(model, samples(30), epochs=1)


def test_a_damaged_model_file_is_refused(tmp_path, trained):
    path = tmp_path / "network.keras"
    network.save(trained[0], path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ModelError, match=r"network\.keras is no readable"):
        network.load(path)
    with pytest.raises(ModelError, match="train it again"):
        network.load(tmp_path / "absent.keras")


def test_device_names_cpu_or_gpu():
    assert network.device().split()[0] in {"CPU", "GPU"}


TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf

sys.path.insert(0, sys.argv[1])
from test_network import SMALL, fit, matrix, samples
from psembed.models import network

config = network.Config(filters=8, units=8, learning_rate=0.01, dropout=0.0)
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
data = samples(97)  # a last batch of one script leaves a device idle
losses, scores = [], []
for devices in (1, 2):
    names = [f"CPU:{n}" for n in range(devices)]
    network.strategy = lambda: tf.distribute.MirroredStrategy(names)
    model = network.build(matrix(), config=config, seed=1)
    assert model.distribute_strategy.num_replicas_in_sync == devices
    losses.append([row["loss"] for row in fit(model, data, epochs=3)])
    scores.append(network.predict(model, data))
print(np.abs(np.subtract(*losses)).max(), np.abs(scores[0] - scores[1]).max(), np.ptp(scores[0]))
"""


def test_two_devices_learn_what_one_learns():
    tests = Path(__file__).parent
    command = [sys.executable, "-c", TWO_DEVICES, str(tests)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=tests.parents[1], check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    loss, score, spread = map(float, done.stdout.split())
    assert loss < 1e-3 and score < 1e-2 and spread > 0.1
