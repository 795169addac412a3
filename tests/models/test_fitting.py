"""Fitting a network: what it promises, on one device and on two, and what is refused."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from patience import GUARD
from planted_samples import SMALL, fit, matrix, samples
from sklearn.metrics import average_precision_score

from psembed.models import batches, fitting, network
from psembed.models.network import Config
from psembed.powershell.encoding import BLOCK, Samples
from psembed.runtime.errors import CorpusError, ModelError


def test_learns_the_planted_difference():
    model = network.build(matrix(), config=SMALL, seed=1)
    history = fit(model, samples(240), epochs=8)
    test = samples(90, seed=5)
    scores = network.predict(model, test)
    assert scores.shape == (90,) and scores.dtype == np.float32
    assert average_precision_score(test.labels, scores) > 0.9
    assert history[-1]["loss"] < history[0]["loss"]
    assert [set(row) for row in history] == [{"epoch", "loss", "seconds"}] * 8


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


def test_the_learning_rate_warms_up_stays_and_falls():
    model = network.build(matrix(), config=Config(learning_rate=0.5), seed=1)
    rates = np.array(list(fitting._learning_rates(model, steps=1000)))
    assert len(rates) == 1000 and rates[0] == pytest.approx(0.5 / fitting.WARM_UP)
    assert np.allclose(rates[fitting.WARM_UP - 1 : 667], 0.5)
    assert rates[833] == pytest.approx(0.25, rel=0.01) and 0 < rates[-1] < 0.01
    assert (np.diff(rates[: fitting.WARM_UP]) > 0).all() and (np.diff(rates[668:]) < 0).all()
    few = list(fitting._learning_rates(model, steps=20))
    assert few[:3] == [0.25, 0.5, 0.5] and few[-1] < 0.1
    assert len(list(fitting._learning_rates(model, steps=1))) == 1


def test_the_last_weights_are_kept_and_a_saved_model_scores_the_same(tmp_path, monkeypatch):
    """After an epoch that does worse, too: no script is kept back to choose one by."""
    model, weights, one_epoch = network.build(matrix(), config=SMALL, seed=1), [], fitting._one_epoch

    def worse_each_time(model, *given):
        one_epoch(model, *given)
        weights.append(model.get_weights())
        return float(len(weights))

    monkeypatch.setattr(fitting, "_one_epoch", worse_each_time)
    path = tmp_path / "network.keras"
    history = fit(model, samples(90), epochs=3)
    network.save(model, path)
    assert [(row["epoch"], row["loss"]) for row in history] == [(0, 1.0), (1, 2.0), (2, 3.0)]
    assert all(np.array_equal(*pair) for pair in zip(model.get_weights(), weights[-1], strict=True))
    assert any(not np.array_equal(*pair) for pair in zip(*weights[1:], strict=True))
    data = samples(20, seed=8)
    assert np.array_equal(network.predict(network.load(path), data), network.predict(model, data))
    assert list(tmp_path.iterdir()) == [path]


def test_the_rate_reaches_its_end_with_the_last_batch_however_long_epochs_are():
    data = samples(100)  # 34 malicious ones; 66 clean ones take turns in epochs of 33 or 34
    few = Samples(data.tokens, data.characters, (np.arange(100) % 13 == 0).astype(np.int8))
    assert batches.undersampling(few.labels, ratio=4) == 3
    config = Config(design="token_cnn", filters=4, units=4, learning_rate=0.06, ratio=4)
    model = network.build(matrix(), config=config, seed=1)
    fit(model, few, epochs=4, batch=16, config=config)
    steps = model.optimizer.iterations.numpy()
    assert steps == 4 * 3  # of 38 or 39 scripts each
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(0.06 / (steps // 3))


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_every_script_has_the_same_share_in_the_loss_on_whatever_device(replicas):
    model, data = network.build(matrix(), config=SMALL, seed=1), samples(10)
    dealt = [group for one in range(replicas) for group in fitting._groups(model, data, one, replicas)]
    assert len(dealt) == replicas * batches.GROUPS
    each = [float(share) / len(labels) for _, labels, share in dealt if share > 0]
    assert each == pytest.approx([replicas / 10] * len(each))
    assert sum(len(labels) for _, labels, share in dealt if share > 0) == 10
    alone = fitting._groups(model, data.rows(np.array([0])), 1, 2)
    assert all(share == 0 and len(labels) == 1 for _, labels, share in alone)


def test_a_step_by_groups_is_a_step_on_the_whole_batch():
    config, data, moved = Config(filters=8, units=8, dropout=0.0), samples(33), []
    for whole in (True, False):
        model = network.build(matrix(), config=config, seed=1)
        model.compile(keras.optimizers.SGD(0.1), keras.losses.BinaryCrossentropy(from_logits=True))
        groups = fitting._groups(model, data)
        if whole:
            labels, share = data.labels[:, None].astype(np.float32), np.float32(1 / batches.GROUPS)
            groups = [(network.views(model, data), labels, share)] * batches.GROUPS
        loss = float(fitting._training_step(model, 1)(groups))
        moved.append((loss, network.predict(model, data)))
    assert moved[0][0] == pytest.approx(moved[1][0], rel=1e-5)
    assert np.abs(moved[0][1] - moved[1][1]).max() < 1e-5


def test_scores_are_those_of_all_scripts_though_an_epoch_has_few_clean_ones():
    """Scripts that cannot be told apart get the share of malicious ones among all, not in an epoch."""
    config = Config(design="token_cnn", filters=4, units=4, dropout=0.0, learning_rate=0.1, smoothing=0.0)
    ones, labels = np.ones((180, BLOCK), np.int32), (np.arange(180) % 9 == 0).astype(np.int8)
    assert batches.undersampling(labels, ratio=2) == 4
    model, data = network.build(matrix(), config=config, seed=1), Samples(ones, ones, labels)
    fit(model, data, epochs=40, batch=12, config=Config(ratio=2))
    assert network.predict(model, data).mean() == pytest.approx(1 / 9, abs=0.02)


def test_refuses_one_class():
    data = samples(30)
    model = network.build(matrix(), config=SMALL, seed=1)
    for label, told in ((0, r"\[30, 0\]"), (1, r"\[0, 30\]")):
        one = Samples(data.tokens, data.characters, np.full(30, label, np.int8))
        with pytest.raises(CorpusError, match=f"training holds {told}"):
            fit(model, one)


def test_a_loss_that_is_no_number_stops_training():
    model = network.build(matrix(), config=SMALL, seed=1)
    weights = model.get_layer("score").get_weights()
    model.get_layer("score").set_weights([weights[0] * np.nan, weights[1]])
    with pytest.raises(ModelError, match="lower the learning rate"):
        fit(model, samples(30), epochs=1)


TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf

sys.path.insert(0, sys.argv[1])
from planted_samples import fit, matrix, samples
from psembed.models import network

config = network.Config(design="character_cnn", filters=8, units=8, learning_rate=0.02, dropout=0.0)
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
data = samples(65)  # a last batch of one script leaves a device idle
losses, scores = [], []
for devices in (1, 2):
    names = [f"CPU:{n}" for n in range(devices)]
    network.strategy = lambda: tf.distribute.MirroredStrategy(names)
    model = network.build(matrix(), config=config, seed=1)
    assert model.distribute_strategy.num_replicas_in_sync == devices
    losses.append([row["loss"] for row in fit(model, data, epochs=4)])
    scores.append(network.predict(model, data))
print(np.abs(np.subtract(*losses)).max(), np.abs(scores[0] - scores[1]).max(), np.ptp(scores[0]))
"""


def test_two_devices_learn_what_one_learns():
    """Slow (over 15 s): two more interpreters import TensorFlow, and each trains."""
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-c", TWO_DEVICES, str(tests / "helpers")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=GUARD, cwd=tests.parent, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    loss, score, spread = map(float, done.stdout.split())
    assert loss < 1e-3 and score < 1e-2 and spread > 0.1
