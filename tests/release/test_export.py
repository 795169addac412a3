"""The exported model answers as Keras does, whatever the lengths, and damaged files are refused."""

import numpy as np
import onnx
import pytest

from psembed.detector import onnx_model
from psembed.models import network
from psembed.models.network import Config
from psembed.powershell.encoding import BLOCK, Samples
from psembed.release import export
from psembed.runtime.errors import ModelError

FILES = ("figure4", "token_cnn_lstm", "character_cnn")


def matrix() -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    values[0] = 0
    return values


def samples(count: int, *, columns: int = 3 * BLOCK) -> Samples:
    random = np.random.default_rng(count)
    tokens = random.integers(1, 30, (count, columns)).astype(np.int32)
    characters = random.integers(1, 97, (count, columns)).astype(np.int32)
    for row, length in enumerate(random.integers(0, columns + 1, count)):
        tokens[row, length:] = characters[row, length:] = 0
    return Samples(tokens, characters)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    models = {}
    for design in FILES:
        model = network.build(matrix(), config=Config(design=design, filters=8, units=8), seed=2)
        size = export.to_onnx(model, folder / f"{design}.onnx")
        assert size == (folder / f"{design}.onnx").stat().st_size
        models[design] = model
    return folder, models


@pytest.mark.parametrize("design", FILES)
def test_scores_and_decisions_equal_keras(exported, design):
    folder, models = exported
    result = export.parity(models[design], folder / f"{design}.onnx", samples(50), threshold=0.5)
    assert result["max_abs_diff"] <= export.MAX_DIFFERENCE
    assert result == {"max_abs_diff": result["max_abs_diff"], "decisions_equal": True, "n": 50, "ok": True}


@pytest.mark.parametrize("design", FILES)
def test_the_same_network_gives_the_same_bytes(exported, design, tmp_path):
    folder, models = exported
    export.to_onnx(models[design], tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (folder / f"{design}.onnx").read_bytes()


def test_order_does_not_rest_on_the_converters(exported, tmp_path):
    """Nodes and constants shuffled and called otherwise, as another run of the converter may give them."""
    folder, _ = exported
    written = (folder / "figure4.onnx").read_bytes()
    proto = onnx.load_from_string(written)
    nodes, constants = list(proto.graph.node), list(proto.graph.initializer)
    kept = {"", *(value.name for value in (*proto.graph.input, *proto.graph.output))}
    for own in nodes:
        for names in (own.input, own.output):
            names[:] = [name if name in kept else f"other_{name}" for name in names]
    for constant in constants:
        constant.name = f"other_{constant.name}"
    for field, ordered in (("node", nodes[::-1]), ("initializer", constants[::-1])):
        copies = [type(one).FromString(one.SerializeToString()) for one in ordered]
        proto.graph.ClearField(field)
        getattr(proto.graph, field).extend(copies)
    assert proto.SerializeToString(deterministic=True) != written
    export._put_in_order(proto.graph)
    assert proto.SerializeToString(deterministic=True) == written


def test_another_models_file_fails_parity(exported):
    folder, _ = exported
    other = network.build(matrix(), config=Config(filters=8, units=8), seed=3)
    assert not export.parity(other, folder / "figure4.onnx", samples(20), threshold=0.5)["ok"]


def test_names_types_and_free_dimensions(exported):
    folder, _ = exported
    session = onnx_model.open_session(folder / "figure4.onnx")
    inputs = {value.name: (value.type, value.shape) for value in session.get_inputs()}
    assert inputs == {
        "tokens": ("tensor(int32)", ["n", "tokens_length"]),
        "characters": ("tensor(int32)", ["n", "characters_length"]),
    }
    outputs = {value.name: (value.type, value.shape) for value in session.get_outputs()}
    assert outputs == {"score": ("tensor(float)", ["n", 1]), "features": ("tensor(float)", ["n", 8])}
    proto = onnx.load(folder / "figure4.onnx")
    assert {entry.version for entry in proto.opset_import if entry.domain == ""} == {17}
    assert "LSTM" in {node.op_type for node in proto.graph.node}


@pytest.mark.parametrize("count", [0, 1, 65])
def test_any_number_of_scripts(exported, count):
    session = onnx_model.open_session(exported[0] / "figure4.onnx")
    scores = onnx_model.run_onnx(session, samples(count))[:, 0]
    assert scores.shape == (count,) and scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()


def test_batch_size_and_padding_do_not_change_scores(exported):
    session = onnx_model.open_session(exported[0] / "figure4.onnx")
    data = samples(40)
    wide = Samples(*(np.pad(ids, ((0, 0), (0, 5))) for ids in (data.tokens, data.characters)))
    assert np.allclose(
        onnx_model.run_onnx(session, data), onnx_model.run_onnx(session, wide, batch=3), atol=1e-6
    )


def test_export_is_repeatable(exported, tmp_path):
    folder, models = exported
    export.to_onnx(models["figure4"], tmp_path / "again.onnx")
    scores = [
        onnx_model.run_onnx(onnx_model.open_session(path), samples(20))
        for path in (folder / "figure4.onnx", tmp_path / "again.onnx")
    ]
    assert np.array_equal(*scores)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:1000]), "no readable ONNX model"),
        (lambda path: path.unlink(), "no readable ONNX model"),
        (lambda path: _relabel(path, "99"), "psembed_format '99', this version reads 2"),
    ],
)
def test_damaged_or_foreign_files_are_refused(exported, tmp_path, damage, message):
    path = tmp_path / "detector.onnx"
    path.write_bytes((exported[0] / "token_cnn_lstm.onnx").read_bytes())
    damage(path)
    with pytest.raises(ModelError, match=message):
        onnx_model.open_session(path)


def _relabel(path, version: str) -> None:
    proto = onnx.load(path)
    onnx.helper.set_model_props(proto, {"psembed_format": version})
    onnx.save(proto, path)
