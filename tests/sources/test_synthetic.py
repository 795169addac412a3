"""The generated corpus: same seed, same bytes; what is planted is there and nothing else is."""

import re

import polars as pl
import pytest

from psembed.runtime.errors import CorpusError, ParameterError
from psembed.sources import grammar, synthetic

SIZE, SEED = 600, 7
# The planted truths that hold for every size and seed, in the tokeniser's normalised spelling.
PLANTED_ALIASES = {alias.lower(): command.lower() for command, (alias, _) in grammar.ALIASES.items()}
PLANTED_ANALOGIES = [
    ("high", "$false", "$true", "low"),
    ("-eq", "$false", "$true", "-ne"),
    ("downloadfile", "$destfile", "$str", "downloadstring"),
    ("export-csv", "$csv", "$html", "convertto-html"),
    ("get-process", "$processes", "$services", "get-service"),
]


@pytest.fixture(scope="module")
def corpus() -> dict[str, list[tuple[str, bytes]]]:
    return synthetic.generate(scripts=SIZE, seed=SEED)


@pytest.fixture(scope="module")
def truth() -> pl.DataFrame:
    return synthetic.truth(scripts=SIZE, seed=SEED)


@pytest.fixture(scope="module")
def texts(corpus: dict, truth: pl.DataFrame) -> pl.DataFrame:
    rows = truth.to_dicts()
    files = [data for source in corpus.values() for _, data in source]
    for row, data in zip(rows, files, strict=True):
        codec = synthetic.ENCODINGS.get(row["encoding"], ("", "latin-1"))[1]
        row["text"] = data.decode(codec).lstrip("\ufeff")
    return pl.DataFrame(rows).filter(pl.col("role") != "binary")


def _shingles(text: str) -> set:
    from psembed.powershell.tokens import tokenize

    tokens = tokenize(text)
    return set(zip(tokens, tokens[1:], tokens[2:], strict=False))


def test_same_seed_gives_the_same_bytes_and_another_seed_others(corpus: dict):
    assert synthetic.generate(scripts=SIZE, seed=SEED) == corpus
    assert synthetic.generate(scripts=SIZE, seed=SEED + 1) != corpus


@pytest.mark.parametrize("size", [300, 601, 1000])
def test_the_size_is_exact_and_paths_are_distinct(size: int):
    made = synthetic.generate(scripts=size, seed=1)
    assert set(made) == set(synthetic.SOURCES)
    assert sum(map(len, made.values())) == size
    for files in made.values():
        assert len({path for path, _ in files}) == len(files)


def test_too_few_scripts_are_refused():
    with pytest.raises(ParameterError, match="300"):
        synthetic.generate(scripts=10, seed=1)


def test_every_encoding_and_role_is_planted(truth: pl.DataFrame):
    assert set(truth["encoding"]) == {*synthetic.ENCODINGS, "binary"}
    assert set(truth["role"]) == {"original", "exact", "encoded", "near", "shared", "binary"}
    assert truth.filter(pl.col("role") == "binary").height == 1


def test_sources_have_the_shape_of_the_real_ones():
    sources = synthetic.SOURCES.values()
    benign = [s for s in sources if s.kind == "benign"]
    assert {s.stratum for s in benign} == {"human", "packaging", "generated"}
    assert len({s.group for s in benign}) == len(benign) == 12
    assert [s.label for s in sources if s.kind == "labelled"] == [1, 1]
    assert [s.label for s in sources if s.kind == "offensive"] == [None]


def test_copies_are_what_the_truth_says(texts: pl.DataFrame):
    for members in texts.partition_by("cluster"):
        first = (
            members.filter(pl.col("role") == "original")["text"].to_list() or members["text"].to_list()[:1]
        )
        for row in members.filter(pl.col("role").is_in(["exact", "encoded", "near", "shared"])).to_dicts():
            a, b = _shingles(first[0]), _shingles(row["text"])
            similarity = len(a & b) / len(a | b)
            assert similarity >= 0.82, row
            assert row["role"] not in ("exact", "encoded") or row["text"] == first[0]


def test_different_clusters_are_no_near_duplicates(texts: pl.DataFrame):
    firsts = texts.unique("cluster", maintain_order=True)["text"].to_list()
    sets = [_shingles(text) for text in firsts]
    for n, one in enumerate(sets):
        for other in sets[:n]:
            if 2 * min(len(one), len(other)) > max(len(one), len(other)):
                assert len(one & other) < 0.75 * len(one | other)


def test_hosts_are_reserved_and_no_address_is_real(texts: pl.DataFrame):
    hosts = re.findall(r"https?://([^/'\"]+)", " ".join(texts["text"]).lower())
    reserved = r"(www\.|packages\.|[a-z]+\.)?example(\.com|\.org|\.net)?|[a-z]+\.(test|example)"
    assert len(hosts) > 50
    for host in set(hosts):
        assert re.fullmatch(reserved + r"|192\.0\.2\.\d+|198\.51\.100\.\d+", host), host


def test_no_other_alias_slips_in():
    from psembed.powershell.aliases import ALIASES
    from psembed.powershell.tokens import Vocabulary, tokenize_series

    files = synthetic.generate(scripts=1500, seed=3).values()
    texts = [data.decode("latin-1") for source in files for _, data in source if b"\x00" not in data]
    known = set(Vocabulary.fit(tokenize_series(texts), min_scripts=10).tokens)
    assert {a: c for a, c in ALIASES if a in known and c in known} == PLANTED_ALIASES


def test_one_line_is_a_hint_and_no_more(texts: pl.DataFrame):
    labels = {name: source.label for name, source in synthetic.SOURCES.items()}
    rows = texts.with_columns(
        one=~pl.col("text").str.strip_chars().str.contains("\n"),
        label=pl.col("source").replace_strict(labels, return_dtype=pl.Int8),
    ).drop_nulls("label")
    accuracy = (rows["one"].cast(pl.Int8) == rows["label"]).mean()
    assert 0.7 < accuracy < 0.9


def test_recovered_counts_hits_and_misses(truth: pl.DataFrame):
    readable = truth.filter(pl.col("role") != "binary")
    corpus = readable.unique(["source", "sha256"], maintain_order=True)
    scripts = readable.unique("sha256", maintain_order=True).with_columns(part=pl.lit("train"))
    perfect = synthetic.recovered(truth, corpus, scripts)
    assert all(counts["planted"] == counts["recovered"] > 0 for counts in perfect.values())
    apart = scripts.with_columns(cluster=pl.int_range(pl.len()))
    broken = synthetic.recovered(truth, readable.with_columns(encoding=pl.lit("ascii")), apart)
    assert broken["near_duplicate_clusters"]["recovered"] == 0
    assert broken["exact_duplicates"]["recovered"] < broken["exact_duplicates"]["planted"]
    assert broken["encodings"]["recovered"] < broken["encodings"]["planted"]
    odd = pl.int_range(pl.len()).over("cluster") % 2 == 1
    leaking = scripts.with_columns(part=pl.when(odd).then(pl.lit("test")).otherwise(pl.lit("train")))
    copies = synthetic.recovered(truth, corpus, leaking)["copies_between_repositories"]
    assert copies["recovered"] < copies["planted"]


def test_recovered_refuses_the_truth_of_another_seed(truth: pl.DataFrame):
    other = synthetic.truth(scripts=SIZE, seed=SEED + 1)
    with pytest.raises(CorpusError, match="seed"):
        synthetic.recovered(other, truth, truth.with_columns(part=pl.lit("train")))


def test_word_vectors_find_the_planted_relations(texts: pl.DataFrame):
    word2vec = pytest.importorskip("gensim.models").Word2Vec
    from psembed.powershell.tokens import tokenize_series

    sentences = tokenize_series(texts["text"]).to_list()
    words = word2vec(sentences, vector_size=64, window=2, min_count=10, epochs=10, seed=1, workers=1).wv
    ranks = []
    for alias, command in PLANTED_ALIASES.items():
        ranks += [words.rank(alias, command), words.rank(command, alias)]
    assert sum(1 / rank for rank in ranks) / len(ranks) > 0.85
    for a, b, c, d in PLANTED_ANALOGIES:
        assert d in dict(words.most_similar(positive=[a, c], negative=[b], topn=3))
