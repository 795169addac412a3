"""Scripts as training reads them: each as often as promised, and none altered more than asked."""

from itertools import pairwise

import numpy as np
import pytest
from planted_samples import samples

from psembed.models import batches
from psembed.powershell.encoding import BLOCK, Samples


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
    groups = batches.length_groups(data)
    assert len(groups) == batches.GROUPS
    assert sorted(np.concatenate([group.labels for group in groups])) == list(range(count))
    lengths = [np.count_nonzero(group.tokens, axis=1) for group in groups if len(group)]
    assert all(short.max() <= long.min() for short, long in pairwise(lengths))
    widths = [(group.tokens.shape[1], group.tokens.any(axis=0).sum()) for group in groups if len(group)]
    assert all(used <= width < used + BLOCK for width, used in widths)


def test_an_epoch_has_all_malicious_scripts_and_clean_ones_take_turns():
    labels = np.repeat([0, 1, 0], [150, 7, 151])
    drawn = batches.undersampled_epochs(labels, ratio=16, random=np.random.default_rng(2))
    factor = batches.undersampling(labels, ratio=16)
    assert factor == 3
    for _ in range(2):
        epochs = [next(drawn) for _ in range(factor)]
        assert all(np.array_equal(rows, np.unique(rows)) for rows in epochs)
        assert [(labels[rows] == 1).sum() for rows in epochs] == [7, 7, 7]
        clean = np.concatenate([rows[labels[rows] == 0] for rows in epochs])
        assert sorted(clean) == np.flatnonzero(labels == 0).tolist()
        assert max(map(len, epochs)) <= 7 * (1 + 16)
    few = np.array([0, 1, 0, 1])
    every = next(batches.undersampled_epochs(few, ratio=16, random=np.random.default_rng(2)))
    assert np.array_equal(every, np.arange(4))
