"""Scripts as training reads them: each as often as promised, and none altered more than asked."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from planted_samples import samples

from psembed.models import batches
from psembed.powershell import encoding, tokens
from psembed.powershell.encoding import BLOCK, Encoder, Samples


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
    cut = batches.augmented(data, masked=0, cropped=1, random=np.random.default_rng(3))
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


def test_the_share_asked_for_is_masked_and_cropped():
    data = scripts_of([128] * 400)
    same = batches.augmented(data, masked=0, cropped=0, random=np.random.default_rng(3))
    assert all(np.array_equal(getattr(same, name), getattr(data, name)) for name in ("tokens", "characters"))
    part = batches.augmented(data, masked=0, cropped=0.5, random=np.random.default_rng(3))
    assert (part.tokens != data.tokens).any(axis=1).mean() == pytest.approx(0.5, abs=0.08)
    some = batches.augmented(
        scripts_of([128, 64] * 200), masked=0.1, cropped=0, random=np.random.default_rng(3)
    )
    for view, substitute in ((some.tokens, tokens.UNKNOWN), (some.characters, encoding.OTHER)):
        assert (view[1::2] > 0).sum(axis=1).max() in (64, 256)
        assert (view[view > 0] == substitute).mean() == pytest.approx(0.1, abs=0.01)


def test_what_masks_an_id_is_what_the_encoder_gives_the_unknown():
    encoder = Encoder(["known"], token_length=BLOCK, char_length=BLOCK)
    token_ids, character_ids = encoder.encode(pl.Series(["strange \u2603"]))
    assert tokens.UNKNOWN in token_ids and encoding.OTHER in character_ids
