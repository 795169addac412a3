"""The exported network, opened and run with ONNX Runtime.

It has inputs `tokens` int32[n, T] and `characters` int32[n, C], outputs `score` float32[n, 1] and `features`
float32[n, d], the last hidden layer; n, T and C are free (T and C multiples of encoding.BLOCK).
"""

import os
from pathlib import Path

import numpy as np

from psembed.powershell.encoding import Samples, run_batches
from psembed.runtime.errors import ModelError

FORMAT = 2
SCORE, FEATURES = "score", "features"
MAX_DIFFERENCE = 1e-5  # between scores of one text by two runtimes


def open_session(path: Path):
    """Open an exported model with ONNX Runtime on the CPU; ModelError where it is none of this format.

    One thread a run; runs go side by side. Several on so small a network wait for each other more than work.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # heeded on import: else it writes files at home
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many unrelated types, none with a common base
        raise ModelError(f"{Path(path).name} is no readable ONNX model ({error}); export it again") from error
    version = session.get_modelmeta().custom_metadata_map.get("psembed_format")
    if version != str(FORMAT):
        raise ModelError(f"{Path(path).name} has psembed_format {version!r}, this version reads {FORMAT}")
    return session


def run_onnx(session, samples: Samples, *, output: str = SCORE, batch: int = 16) -> np.ndarray:
    """Return an output of an open session, float32[n, its columns], in the order of `samples`."""
    names = [value.name for value in session.get_inputs()]
    columns = next(value.shape[1] for value in session.get_outputs() if value.name == output)

    def run(rows: Samples) -> np.ndarray:
        return session.run([output], {name: getattr(rows, name) for name in names})[0]

    return run_batches(run, samples, batch=batch, columns=columns)
