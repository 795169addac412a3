"""Encoded scripts are trimmed to their content and no further."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from psembed.powershell import encoding
from psembed.powershell.encoding import BLOCK


@settings(deadline=None, max_examples=60)
@given(arrays(np.int32, st.tuples(st.integers(1, 4), st.integers(0, 150)), elements=st.integers(0, 1)))
def test_trim_keeps_every_id_and_lines_up_with_blocks(ids):
    cut = encoding.trim(ids)
    width = min(cut.shape[1], ids.shape[1])
    assert cut.shape[1] % BLOCK == 0 and cut.shape[1] >= BLOCK
    assert np.array_equal(cut[:, :width], ids[:, :width])
    assert not cut[:, width:].any() and not ids[:, width:].any()
