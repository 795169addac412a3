"""The network: what padding may not change, what is saved, what is refused."""

import numpy as np
import pytest
from planted_samples import SMALL, fit, matrix, samples
from sklearn.metrics import average_precision_score

from psembed.models import network
from psembed.models.network import Config
from psembed.powershell.encoding import BLOCK, Samples
from psembed.runtime.errors import ModelError, ParameterError


@pytest.fixture(scope="module")
def trained():
    model = network.build(matrix(), config=SMALL, seed=1)
    return model, fit(model, samples(240), epochs=10)


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


def test_the_lstm_can_run_on_cudnn():
    lstm = network.build(matrix(), config=SMALL, seed=1).get_layer("lstm")
    settings = lstm.get_config()
    assert settings["activation"] == "tanh" and settings["recurrent_activation"] == "sigmoid"
    assert settings["recurrent_dropout"] == 0 and settings["use_bias"] and not settings["unroll"]


def test_half_precision_learns_and_becomes_full():
    config = Config(filters=8, units=8, learning_rate=0.02)
    model = network.build(matrix(), config=config, seed=1, policy="mixed_bfloat16")
    fit(model, samples(240), epochs=8)
    full = network.build(matrix(), config=config, seed=1)
    full.set_weights(model.get_weights())
    test = samples(90, seed=5)
    scores, rounded = network.predict(full, test), network.predict(model, test)
    assert average_precision_score(test.labels, scores) > 0.9
    assert 0 < np.abs(scores - rounded).max() < 0.1
    assert {weight.dtype for weight in full.weights} == {"float32"}
    assert full.get_layer("features").compute_dtype == "float32"


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
