"""Write the network as ONNX (psembed.detector.onnx_model), and prove that it answers as Keras does."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from psembed.detector.onnx_model import FEATURES, FORMAT, MAX_DIFFERENCE, SCORE, open_session, run_onnx
from psembed.models.network import predict
from psembed.powershell.encoding import Samples
from psembed.runtime.errors import ModelError
from psembed.runtime.files import atomic


def to_onnx(model, path: Path, *, opset: int = 17) -> int:
    """Write a Keras model of psembed.models.network as ONNX, whole or not at all; return its size in bytes.

    Inputs keep their Keras names, outputs are `score` and `features`; metadata psembed_format holds FORMAT.
    Raises ModelError if the converted graph does not pass the ONNX checker or has other names.
    """
    proto = _convert(model, opset)
    _put_in_order(proto.graph)
    proto.producer_name = "psembed"
    onnx.helper.set_model_props(proto, {"psembed_format": str(FORMAT)})
    for value in (*proto.graph.input, *proto.graph.output):
        sizes = value.type.tensor_type.shape.dim  # free are the number of scripts, and the length of a row
        sizes[0].dim_param = "n"
        if value.name not in (SCORE, FEATURES):
            sizes[1].dim_param = f"{value.name}_length"
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"the exported graph is not valid ONNX ({error}); try another opset") from error
    with atomic(Path(path)) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))
    return Path(path).stat().st_size


def _convert(model, opset: int):
    """Trace the model for inference and convert the graph.

    A tf.function is traced rather than the Keras model handed over: tf2onnx.convert.from_keras reads
    attributes that Keras 3 models no longer have.
    """
    both = keras.Model(model.inputs, [model.output, model.get_layer(FEATURES).output])

    def run(*inputs):
        return dict(zip((SCORE, FEATURES), both(list(inputs), training=False), strict=True))

    signature = [tf.TensorSpec((None, None), tf.int32, name=tensor.name) for tensor in model.inputs]
    with _quiet():
        function = tf.function(run, input_signature=signature)
        proto, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=opset)
    outputs = sorted(proto.graph.output, key=lambda value: value.name, reverse=True)  # score first
    proto.graph.ClearField("output")
    proto.graph.output.extend(outputs)
    names = [value.name for value in proto.graph.input], [value.name for value in outputs]
    expected = [tensor.name for tensor in model.inputs], [SCORE, FEATURES]
    if names != expected:
        raise ModelError(f"the exported graph has inputs and outputs {names}, expected {expected}")
    return proto


def _put_in_order(graph: onnx.GraphProto) -> None:
    """Name and order nodes and constants as the outputs need them, so that a network gives the same bytes.

    The converter's own names and order differ from run to run.
    """
    maker = {name: node for node in graph.node for name in node.output}
    constants = {constant.name: constant for constant in graph.initializer}
    named = {value.name: value.name for value in graph.input} | {"": ""}
    outputs = {value.name for value in graph.output}
    nodes, kept = [], {}  # constants by content: equal ones become one

    def visit(name: str) -> None:
        if name in named:
            return
        if name in constants:
            named[name] = kept.setdefault(_nameless(constants[name]), f"constant_{len(kept)}")
            return
        node = maker[name]
        for needed in node.input:
            visit(needed)
        named.update(
            {out: out if out in outputs else f"step_{len(nodes)}_{n}" for n, out in enumerate(node.output)}
        )
        nodes.append(_renamed(node, f"step_{len(nodes)}", named))

    for value in graph.output:
        visit(value.name)
    graph.name = "psembed"
    for field in ("doc_string", "node", "initializer", "value_info"):
        graph.ClearField(field)
    graph.node.extend(nodes)
    for content, name in kept.items():
        constant = onnx.TensorProto.FromString(content)
        constant.name = name
        graph.initializer.append(constant)


def _nameless(constant: onnx.TensorProto) -> bytes:
    constant.ClearField("name")
    return constant.SerializeToString(deterministic=True)


def _renamed(node: onnx.NodeProto, name: str, named: dict[str, str]) -> onnx.NodeProto:
    new = onnx.NodeProto(op_type=node.op_type, domain=node.domain, name=name)
    new.input.extend(named[one] for one in node.input)
    new.output.extend(named[one] for one in node.output)
    new.attribute.extend(sorted(node.attribute, key=lambda attribute: attribute.name))
    return new


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back the converter's progress messages."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.disable(before)


def parity(model, path: Path, samples: Samples, *, threshold: float) -> dict:
    """Compare Keras and ONNX Runtime on the same scripts.

    Returns max_abs_diff (of scores in 0..1), decisions_equal (score >= threshold for every script), n, and
    ok: a difference of at most MAX_DIFFERENCE, and all decisions equal.
    """
    expected = predict(model, samples)
    exported = run_onnx(open_session(path), samples)[:, 0]
    difference = float(np.abs(expected - exported).max(initial=0.0))
    equal = bool(((expected >= threshold) == (exported >= threshold)).all())
    return {
        "max_abs_diff": difference,
        "decisions_equal": equal,
        "n": len(samples),
        "ok": difference <= MAX_DIFFERENCE and equal,
    }
