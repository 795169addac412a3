"""What rewriting costs is paired at a threshold of scripts as they are; wrapped clean scripts are counted."""

import polars as pl
import pytest
from scored_rows import as_part, rows

from psembed.datasets.rewritten import HELD_OUT, WRAPPERS
from psembed.evaluation import coverage, robustness
from psembed.runtime.errors import CorpusError

WRAPPER = next(name for name in WRAPPERS if name not in HELD_OUT)


def scored(changes: dict[str, float], *, lift: float = 0.97, **facts: object) -> pl.DataFrame:
    """Score rows, and the malicious ones again in each way, of which a share keeps its score."""
    whole = rows(lift=lift, **facts)
    tables, malicious = [whole], whole.filter(label=1)
    for way, kept in changes.items():
        lost = pl.int_range(pl.len()) >= round(kept * malicious.height)
        score = pl.when(lost).then(0.1).otherwise("score").cast(pl.Float32)
        tables.append(as_part(malicious, way).with_columns(score=score))
    return pl.concat(tables)


def table(scored: pl.DataFrame, rounds: int = 200) -> pl.DataFrame:
    return robustness.table(coverage.crossed(scored), fpr=0.05, seed=1, rounds=rounds)


def test_the_loss_is_paired_at_the_threshold_of_scripts_as_they_are():
    found = table(scored({"case": 0.75, "backticks": 1.0}))
    case, backticks = (
        found.filter(transform="case").row(0, named=True),
        found.filter(transform="backticks").row(0, named=True),
    )
    assert (case["before"], case["after"], case["n"]) == (1.0, 0.75, 20)
    assert case["difference"] == -0.25 and case["low"] < -0.25 < case["high"]
    assert (backticks["difference"], backticks["low"], backticks["high"]) == (0, 0, 0)
    assert found["transform"].to_list() == ["case", "backticks"]  # the largest loss first


def test_scripts_that_cannot_be_wrapped_are_left_out_on_both_sides():
    every = scored({WRAPPER: 1.0}, lift=0.5)  # the last two of twenty are found
    wrapped = every.filter((pl.col("part") == "test") | pl.col("sha256").is_in(["m205", "m219", "m218"]))
    row = table(wrapped).row(0, named=True)
    assert (row["n"], row["before"], row["after"]) == (3, pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert row["difference"] == 0


def test_rewritten_scripts_set_no_threshold_and_seeds_are_averaged():
    one = scored({"case": 0.5})
    louder = as_part(rows().filter(label=0), "case", score=1.0)
    both = pl.concat(
        [one, scored({"case": 1.0}, seed=2), louder, louder.with_columns(seed=pl.lit(2)), rows(share=0.1)]
    )
    row = table(both).row(0, named=True)
    assert (row["before"], row["after"], row["n"]) == (1.0, 0.75, 20)


def test_scores_without_variants_are_refused():
    with pytest.raises(CorpusError, match="chapters 6 and 7"):
        table(rows())


def test_false_alarms_of_each_way_are_shares_of_clean_scripts():
    clean = rows().filter(label=0)
    flagged = clean.filter(pl.col("score") >= 0.955)  # four rates of two scripts each
    ways = [
        as_part(flagged.head(4), WRAPPER), as_part(clean.head(6), WRAPPER),
        as_part(clean.head(3), HELD_OUT[0], score=0.99), as_part(rows().filter(label=1), WRAPPER, score=0.99),
    ]  # fmt: skip
    second = [as_part(table, table["part"][0], seed=2, score=0.0) for table in ways]
    crossed = coverage.crossed(pl.concat([rows(), rows(seed=2), *ways, *second]))
    found = robustness.false_alarms(crossed, fpr=0.05)
    shown = found.select("way", "flagged", "n", "held_out").sort("n").rows()
    assert shown == [(HELD_OUT[0], 0.5, 3, True), (WRAPPER, pytest.approx(0.2), 10, False)]
    assert (found["flagged_low"] < found["flagged"]).all() and (
        found["flagged"] < found["flagged_high"]
    ).all()
    assert robustness.false_alarms(coverage.crossed(rows()), fpr=0.05).is_empty()
