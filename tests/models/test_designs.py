"""Every design: padding and company do not count, each input does, it learns, and it exports."""

import numpy as np
import pytest
from planted_samples import fit, matrix, samples
from sklearn.metrics import average_precision_score

from psembed.models import network
from psembed.models.designs import DESIGNS
from psembed.powershell.encoding import BLOCK, Samples
from psembed.release import export

VIEWS = ("tokens", "characters")


@pytest.fixture(scope="module", params=sorted(DESIGNS))
def trained(request):
    config = network.Config(design=request.param, filters=16, units=16, learning_rate=0.02)
    model = network.build(matrix(), config=config, seed=1)
    fit(model, samples(240), epochs=10)
    return request.param, model


def views(data: Samples, **changed: np.ndarray) -> Samples:
    return Samples(**{"tokens": data.tokens, "characters": data.characters} | changed)


def test_learns_the_planted_difference(trained):
    test = samples(90, seed=5)
    assert average_precision_score(test.labels, network.predict(trained[1], test)) > 0.9


def test_padding_and_company_never_count(trained):
    model, data = trained[1], samples(20, seed=3)
    longer = views(data, **{name: np.pad(getattr(data, name), ((0, 0), (0, 3 * BLOCK))) for name in VIEWS})
    inputs = [[getattr(rows, tensor.name) for tensor in model.inputs] for rows in (data, longer)]
    plain, padded = (model.predict_on_batch(rows) for rows in inputs)
    assert np.abs(plain - padded).max() < 1e-5
    alone = [network.predict(model, data.rows(np.array([row])))[0] for row in range(20)]
    assert np.abs(plain[:, 0] - alone).max() < 1e-5


def test_each_input_counts_and_no_other(trained):
    name, model = trained
    data = samples(12)
    assert tuple(tensor.name for tensor in model.inputs) == DESIGNS[name][0]
    expected = network.predict(model, data)
    for view in VIEWS:
        without = views(data, **{view: np.zeros_like(getattr(data, view))})
        same = np.allclose(expected, network.predict(model, without), atol=1e-6)
        assert same is (view not in DESIGNS[name][0])


def test_an_empty_script_has_a_finite_score(trained):
    empty = Samples(np.zeros((2, BLOCK), np.int32), np.zeros((2, BLOCK), np.int32))
    scores = network.predict(trained[1], empty)
    assert np.isfinite(scores).all() and scores[0] == scores[1]


def test_exports_to_onnx_with_the_same_scores(trained, tmp_path):
    path = tmp_path / "design.onnx"
    export.to_onnx(trained[1], path)
    assert export.parity(trained[1], path, samples(40, seed=6), threshold=0.5)["ok"]
