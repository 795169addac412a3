"""The bench measures what it says, on texts that repeat, and stores what it returns."""

import json

import pytest

from psembed import bench, tokens


def test_bench_stores_what_it_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "SCRIPTS", 400)
    monkeypatch.setattr(bench, "REPEATS", 1)
    found = bench.main(tmp_path)
    assert json.loads((tmp_path / "paper/results/bench.json").read_text()) == found
    assert found["tokenise_vs_re"] == pytest.approx(found["tokenise_mb_per_s"] / found["re_mb_per_s"])
    assert 0 < found["p50_ms"] <= found["p99_ms"] and found["scripts_per_second"] > 0


def test_both_tokenisers_of_the_bench_do_the_same_work(monkeypatch):
    monkeypatch.setattr(bench, "SCRIPTS", 300)
    scripts = bench.texts()
    assert scripts == bench.texts() and len(scripts) > 250
    by_re = [bench.re.findall(tokens.PATTERN, tokens.fold(text)) for text in scripts]
    cut = [[token[: tokens.TOKEN_CHARS] for token in found] for found in by_re]
    assert tokens.tokenise_series(scripts).to_list() == cut
