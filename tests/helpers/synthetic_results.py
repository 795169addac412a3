"""Results JSON of an imaginary run, for the tests of the ledger and of the paper."""

MODELS = (
    "one_line_rule",
    "bag_of_words",
    "token_3gram",
    "char_3gram",
    "cnn_lstm",
    "transformer",
    "committee",
    "committee_one_file",
)
PROTOCOLS = {"p0": -0.02, "p1": 0.0, "p2": 0.2, "p3": 0.1}  # and how much harder each is
_EXPECTED = {
    "C09": "low",
    "C10": "-ne",
    "C11": "downloadstring",
    "C12": "convertto-html",
    "C13": "get-service",
}


def _coverage() -> list[dict]:
    """Return rates, in P1 at 0.1% from 50.5% of the one-line rule in steps of 10 points to the CNN-LSTM."""
    return [
        _rates(min(0.5 + 0.1 * n, 0.9 + 0.02 * (n - 4)) - harder + 5 * asked, asked)
        | {"protocol": protocol, "model": model, "fpr_asked": asked}
        for protocol, harder in PROTOCOLS.items()
        for n, model in enumerate(MODELS)
        for asked in (0.001, 0.01)
    ]


def _rates(tpr: float, asked: float) -> dict:
    row = {"tpr": tpr, "low": tpr - 0.03, "high": tpr + 0.03, "fpr": asked}
    for name, value in (("asked_tpr", tpr - 0.02), ("asked_fpr", asked * 0.9)):
        row |= {name: value, f"{name}_low": value * 0.8, f"{name}_high": value * 1.2}
    return row | {"positives": 400, "negatives": 20_500, "auc": 0.98, "partial_auc": 0.9, "seeds": 3}


def _sizes() -> dict:
    part = {
        "positives": 450,
        "positive_clusters": 400,
        "negatives": 31_000,
        "negative_clusters": 20_500,
        "apart": 7,
    }
    return dict.fromkeys(PROTOCOLS, part)


def _benchmark(pairs: int, mrr: float) -> dict:
    """Return one half of the benchmark's summary, as `psembed.embedding.benchmark.run` gives it."""
    flat = {"alias_asked": 2 * pairs, "alias_n": pairs, "odd_groups_n": 20, "analogies_n": 30}
    values = {
        "alias_mrr": mrr, "alias_hit1": mrr - 0.1, "alias_hit10": mrr + 0.2, "odd_groups": 0.75,
        "analogies_mrr": 0.3, "analogies_top1": 0.2, "analogies_hit10": 0.5,
    }  # fmt: skip
    for name, value in values.items():
        flat |= {name: value, f"{name}_low": value - 0.1, f"{name}_high": value + 0.1}
        flat[f"{name}_random"] = 0.002
    flat["odd_groups_accuracy"] = flat.pop("odd_groups")
    del flat["odd_groups_random"]
    return {**flat, "odd_groups_chance": 0.25, "alias_mrr_strict": mrr}


def _unlabeled() -> dict:
    aliases = {"repositories": 34, "with_alias": 20, "tokens": 50_000_000, "aliases": 40_000}
    return {
        "pinned": 40_000,
        "snippets": 5_000,
        "scripts": 90_000,
        "distinct_history": 200_000,
        "near_duplicates": {"scripts": 205_000, "clusters": 90_000},
        "vocabulary": 75_000,
        "reserved": 80_000,
        "read": {"some_repository": 150_000, "gone_repository": 0},
        "left_out": {"some_repository": {"binary": 3}},
        "missing": {"gone_repository": "gone_repository.parquet is not there"},
        "stream_scripts": 90_000,
        "kept_tokens": 50_000_000,
        "pinned_vocabulary": 35_000,
        "repositories_with_alias": 20,
        "aliases": [{"stratum": name, **aliases, "per_100k_tokens": 80.0} for name in ("human", "all")],
        "token_shares": {"some_repository": 0.2},
    }


def _answers() -> dict:
    """Return one model's answers to the study's questions."""
    pairs = {"iex": "invoke-expression", "iwr": "invoke-webrequest", "gci": "get-childitem"}
    return {
        "aliases": {
            a: {"target": t, "rank": 1, "reverse_rank": n + 1, "cosine": 0.8}
            for n, (a, t) in enumerate(pairs.items())
        },
        "odd_one_out": {
            "C07": {
                "odd": "$true",
                "expected": "$true",
                "distances": {"$i": 1.0, "$j": 1.1, "$k": 1.2, "$true": 3.0},
            },
            "C08": {"odd": "hidden", "expected": "bypass", "distances": {"bypass": 1.0, "hidden": 2.0}},
        },
        "analogies": {
            claim: {"expected": word, "top1": word if n else "medium", "rank": 1 if n else 2, "top5": [word]}
            for n, (claim, word) in enumerate(_EXPECTED.items())
        },
        "groups": {
            "C03": {"operators": {"mean_rank": 1.5}, "policies": {"mean_rank": 40.0}, "vocabulary": 30_000}
        },
        "missing": [],
    }


def _semantics() -> dict:
    halves = {
        "development": _benchmark(61, 0.52),
        "held_out": _benchmark(62, 0.30),
        "all": _benchmark(123, 0.44),
    }
    return {
        **_answers(),
        "seeds": [_answers(), _answers(), _answers()],
        "joined": _answers(),
        "vocabulary": 30_000,
        "alias_count": 100,
        "benchmark": halves,
        "by_model": {
            "word2vec": halves | {"held_out": _benchmark(62, 0.25)},
            "ppmi": halves,
            "joined": halves,
        },
        "bands": [{"band": "100-999", "n": 40, "mrr": 0.35, "hit1": 0.25, "hit10": 0.6}],
        "by_seed": {"word2vec_1": _benchmark(62, 0.25), "joined_2": _benchmark(62, 0.31)},
        "verb_noun_analogies": {"n": 400, "top1": 0.2, "mrr": 0.3},
    }


def _comparisons() -> dict[str, list[dict]]:
    """Return C17 with a clear gain, C18 where one of two gains is unclear, C19 where one is a loss."""
    lows = {"C17": (0.02,), "C18": (0.03, -0.01), "C19": (0.03, -0.06)}
    return {
        claim: [_difference(low + 0.03, ("cnn_lstm", f"rival_{n}")) for n, low in enumerate(of_claim)]
        for claim, of_claim in lows.items()
    }


def _difference(difference: float, models: tuple[str, str], wide: float = 0.03) -> dict:
    interval = {"low": difference - wide, "high": difference + wide}
    return {
        "models": list(models),
        "tprs": [0.9, 0.9 - difference],
        "difference": difference,
        **interval,
        "n": 400,
    }


def _gain(lower: float = 0.0) -> dict[str, dict]:
    """Return both networks against the best traditional model and the committee."""
    rivals = {"traditional": "char_3gram", "committee": "committee_traditional"}
    return {
        f"{side} against {kind}": _difference(0.1 - lower, (deep, rival), 0.04)
        | {"deep": deep, "traditional": rival}
        for side, deep in (("cnn_lstm", "cnn_lstm"), ("network", "transformer"))
        for kind, rival in rivals.items()
    }


def _robustness() -> list[dict]:
    losses = {"case": 0.02, "benign_before": 0.05, "wrapped_encoded_command": 0.01, "wrapped_gzip": 0.04}
    return [
        {"protocol": protocol, "model": model, "transform": way, "before": 0.9, "after": 0.9 - loss, "n": 400}
        | {"difference": -loss, "low": -loss - 0.01, "high": -loss + 0.01}
        for protocol in ("p1", "p2")
        for model, harder in (("transformer", 0), ("cnn_lstm", 0.3))
        for way, loss in ((way, loss + harder) for way, loss in losses.items())
    ]


def _shares(shares: dict[str, tuple[float, int]], **facts: object) -> list[dict]:
    """Return what the best network flags in P1 of several kinds, and the CNN-LSTM three times as much."""
    return [
        {"protocol": "p1", "model": model, **facts, "value": value, "way": value, "n": n}
        | {"flagged": times * share, "flagged_low": 0.0, "flagged_high": 1.0}
        for model, times in (("transformer", 1), ("cnn_lstm", 3))
        for value, (share, n) in shares.items()
    ]


def _strata() -> list[dict]:
    strata = {"human": (0.001, 9_000), "snippets": (0.004, 5_000)}
    lengths = {"0 to 49": (0.002, 1_000), "50 to 199": (0.006, 3_000), "200 to 999": (0.1, 5_000)}
    found = {"mpsd": (0.9, 300), "0 to 49": (0.5, 10)}
    return [
        *_shares(strata, label=0, by="stratum"), *_shares(lengths, label=0, by="characters"),
        *_shares(found, label=1, by="stratum"),
    ]  # fmt: skip


def _false_alarms() -> list[dict]:
    trained, held = (
        {"wrapped_encoded_command": (0.002, 800), "wrapped_gzip": (0.005, 800)},
        {"wrapped_xor": (0.02, 800)},
    )
    case = _shares({"case": (0.3, 800)}, held_out=False)  # no wrapper
    return [*_shares(trained, held_out=False), *_shares(held, held_out=True), *case]


def _calibration(error: float) -> dict:
    bins = [{"low": 0.0, "high": 0.5, "score": 0.02, "malicious": 0.01, "n": 5_000}]
    bins.append({"low": 0.5, "high": 1.0, "score": None, "malicious": None, "n": 0})
    return {"expected_calibration_error": error, "before": 0.03, "temperature": 0.8, "reliability": bins}


def _evaluation() -> dict:
    counted = {"tpr": 0.5, "fpr": 0.001, "positives": 700, "negatives": 31_000}
    named = {"protocol": "p1", "model": "cnn_lstm"}
    ways = ("one per cluster", "clusters weighted", "every script")
    return {
        "fpr": 0.001,
        "fprs": [0.01, 0.001],
        "best": {"deep": "transformer", "traditional": "char_3gram"},
        "table": _coverage(),
        "gain": {"p1": _gain(), "p2": _gain(0.08), "p3": _gain(0.05)},
        "comparisons": {"p1": _comparisons()},
        "calibration": {"p1": _calibration(0.012), "p2": _calibration(0.04)},
        "robustness": _robustness(),
        "false_alarms": _false_alarms(),
        "strata": _strata(),
        "countings": [named | counted | {"counting": way} for way in ways],
        "capped": [named | counted],
        "without_rules": [named | counted | {f"{name}_kept": value for name, value in counted.items()}],
        "negatives_test": 20_500,
        "negatives_test_human": 9_000,
        "negatives_test_scripts": 31_000,
        "negatives_test_scripts_human": 15_000,
    }


def results(*, generated: bool = False) -> dict[str, dict]:
    """Return a full set of stage results."""
    kinds = {
        key: {"planted": 20, "recovered": 20}
        for key in (
            "exact_duplicates",
            "encodings",
            "binary_files",
            "near_duplicate_clusters",
            "single_scripts",
            "copies_between_repositories",
        )
    }
    sources = [
        {"source": "mpsd", "kind": "labelled", "stratum": "mpsd", "rows": 8_000},
        {"source": "some_repository", "kind": "benign", "stratum": "human", "rows": 21_000},
    ]
    return {
        "01_corpus": {
            "generated": generated,
            "repositories": 34,
            "rows": 60_000,
            "distinct_raw": 55_000,
            "sources": sources,
            "encodings": {"ascii": 40_000, "utf-8-bom": 14_000, "binary": 3},
        },
        "02_tokens": {
            "tokens": 33_000_000,
            "distinct_normalised": 50_000,
            "unlabeled_distinct": 40_000,
            "vocabulary": 70_000,
            "vocabulary_kept": 30_000,
            "unlabeled": _unlabeled(),
            "min_scripts": 5,
            "versions_per_path": 5,
            "union_largest_share": 0.6,
            "near_duplicate_clusters": 31_000,
            "four_stages": {"tokens_kept": 14_000, "clusters": 30_000},
            "agreement": {"boundaries": 0.93},
            **({"planted": kinds} if generated else {}),
        },
        "03_word2vec": {
            "dimension": 64,
            "window": 2,
            "epochs": 5,
            "algorithm": "cbow",
            "scripts": 31_000,
            "repository_cap": 20,
            "ppmi": {"dimension": 48, "repository_cap": 5},
            "tokens": 20_000_000,
            "train_tokens": 12_000_000,
            "vocabulary": 30_000,
            "seeds": [1, 2, 3],
            "seconds": [50.0, 99.5, 30.0, 98.0, 31.0, 98.5, 30.5],
            "shuffled": {"alias_n": 123, "alias_mrr": 0.001, "alias_mrr_random": 0.0004},
            "ablation": [],
        },
        "04_semantics": _semantics(),
        "05_labels": {"one_line_rule_accuracy": 0.97, "shortcuts": {}, "folds": 5, **_sizes()},
        "06_baselines": {
            "models": list(MODELS[:4]),
            "seconds": 80.0,
            "shuffled_labels": {
                "tpr": 0.002,
                "fpr": 0.001,
                "auc": 0.51,
                "auc_low": 0.47,
                "auc_high": 0.55,
                "runs": 10,
                "positives": 400,
                "negatives": 20_500,
            },
        },
        "07_cnn_lstm": {
            "device": "CPU",
            "parameters": 2_000_000,
            "networks": ["cnn_lstm", "transformer"],
            "released": "transformer",
            "seeds": [1, 2, 3],
            "epochs": 8,
            "seconds": 1_200.0,
            "token_length": 512,
            "char_length": 2_048,
        },
        "08_evaluation": _evaluation(),
        "mlnet": {"max_abs_diff": 3e-8, "verdicts_differ": 0, "texts": 10_000},
        "09_onnx": {
            "max_abs_diff": 2e-7,
            "decisions_equal": True,
            "n": 500,
            "bytes": 4_200_000,
            "threshold": 0.42,
        },
        "10_case_studies": {"fpr": 0.001, "C22": {"n": 40, "deep": 0.95, "traditional": 0.70}},
    }
