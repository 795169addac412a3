"""The notebooks in order, and the files each one reads and writes: the one table the runner follows.

Paths are relative to the project root; {p} stands for the profile. A path ending in / is a folder.
"""

from dataclasses import dataclass

SCORES = {
    "baselines": ("p0", "p1", "p2"),
    "networks": ("p0", "p1", "p2"),
    "ablations": ("p1", "p2"),
    "budgets": ("p1",),
}
"""The score tables of chapters 6 and 7, and the protocols that each has a file of."""
WORK, RESULTS, FIGURES = "work/{p}/", "paper/results/{p}/", "figures/{p}/"

SAMPLES = (WORK + "samples.parquet", WORK + "dropped.parquet")


def _scores(name: str) -> tuple[str, ...]:
    return tuple(f"{RESULTS}scores/{name}_{protocol}.parquet" for protocol in SCORES[name])


def _figures(*slugs: str) -> tuple[str, ...]:
    return tuple(f"{FIGURES}{slug}.{kind}" for slug in slugs for kind in ("csv", "svg", "png"))


@dataclass(frozen=True)
class Stage:
    """One notebook: its name, what it reads and what it writes (its results JSON is implied)."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    def inputs(self, profile: str) -> tuple[str, ...]:
        """Paths read, for one profile."""
        return tuple(path.format(p=profile) for path in self.reads)

    def outputs(self, profile: str) -> tuple[str, ...]:
        """Paths written, for one profile, the results JSON included."""
        results = f"{RESULTS}{self.name}.json"
        return tuple(path.format(p=profile) for path in (*self.writes, results))


STAGES = (
    Stage("01_corpus", (), (WORK + "corpus.parquet",)),
    Stage(
        "02_tokens",
        (WORK + "corpus.parquet", RESULTS + "01_corpus.json"),
        (WORK + "scripts.parquet", WORK + "vocabulary.parquet", WORK + "stream/"),
    ),
    Stage(
        "03_word2vec",
        (WORK + "scripts.parquet", WORK + "stream/", RESULTS + "02_tokens.json"),
        (WORK + "vectors.npz", WORK + "vectors.json", WORK + "seeds/"),
    ),
    Stage(
        "04_semantics",
        (WORK + "vectors.npz", WORK + "seeds/"),
        (*_figures("01_token_map", "02_token_groups"), f"{FIGURES}01_token_map.html"),
    ),
    Stage("05_labels", (WORK + "corpus.parquet", WORK + "scripts.parquet"), SAMPLES),
    Stage("06_baselines", SAMPLES, _scores("baselines")),
    Stage(
        "07_cnn_lstm",
        (
            *SAMPLES,
            WORK + "vocabulary.parquet",
            WORK + "vectors.npz",
            WORK + "stream/",
            RESULTS + "03_word2vec.json",
        ),
        (
            *_scores("networks"),
            *_scores("ablations"),
            *_scores("budgets"),
            WORK + "network.keras",
            WORK + "network_p2.keras",
            WORK + "tokenizer.json",
            *_figures("04_network", "07_training"),
        ),
    ),
    Stage(
        "08_evaluation",
        tuple(path for name in SCORES for path in _scores(name)),
        (
            WORK + "thresholds.json",
            *_figures("05_roc", "06_coverage", "09_robustness", "10_budget", "11_reliability"),
        ),
    ),
    Stage(
        "09_onnx",
        (
            WORK + "samples.parquet",
            WORK + "network.keras",
            WORK + "network_p2.keras",
            WORK + "tokenizer.json",
            WORK + "thresholds.json",
            *_scores("networks"),
            RESULTS + "07_cnn_lstm.json",
        ),
        (WORK + "detector/", WORK + "detector_p2/"),
    ),
    Stage(
        "10_case_studies",
        (
            WORK + "samples.parquet",
            *_scores("baselines"),
            *_scores("networks"),
            *_scores("ablations"),
            RESULTS + "06_baselines.json",
            RESULTS + "07_cnn_lstm.json",
            WORK + "detector/",
            WORK + "detector_p2/",
        ),
        (),
    ),
    Stage(
        "11_claims",
        tuple(
            f"{RESULTS}{name}.json"
            for name in (
                "01_corpus",
                "02_tokens",
                "03_word2vec",
                "04_semantics",
                "05_labels",
                "06_baselines",
                "07_cnn_lstm",
                "08_evaluation",
                "09_onnx",
                "10_case_studies",
            )
        ),
        (*(f"{RESULTS}{name}.json" for name in ("claims", "headline", "controls")), *_figures("03_flow")),
    ),
)


def maker_of(path: str, profile: str) -> str | None:
    """Return the name of the stage that writes `path`, or None."""
    for stage in STAGES:
        for output in stage.outputs(profile):
            if path == output or (output.endswith("/") and path.startswith(output.rstrip("/"))):
                return stage.name
    return None
