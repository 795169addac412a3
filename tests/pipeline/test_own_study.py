"""A study of one's own, from `init` to the chapters it can have: a folder and a repository, no malice."""

import shutil
from pathlib import Path

import pytest
from git_sources import bare, commit

from psembed.pipeline import runner
from psembed.sources import fetching, own, synthetic
from psembed.sources.catalogue import load_sources

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[Path, Path]:
    """A project with a study in it, of generated scripts; half are in a folder, half in a repository."""
    root = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "notebooks", root / "notebooks", ignore=shutil.ignore_patterns("executed"))
    shutil.copy(ROOT / "pyproject.toml", root)
    made = synthetic.generate(scripts=800, seed=2)
    clean = [rows for name, rows in sorted(made.items()) if synthetic.SOURCES[name].kind == "benign"]
    folder, files = root / "scripts", {}
    for number, rows in enumerate(clean):
        for path, data in rows:
            if number % 2:
                files[f"{number}/{path}"] = data
                continue
            target = folder / str(number) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    commit(bare(root / "team.git"), files)
    listed, profile = own.init(root / "mine", clean=[str(folder), str(root / "team.git")], root=root)
    known = load_sources(listed)
    assert not [report for report in fetching.fetch(known, root=root, catalogue=known) if report.error]
    return root, profile


def test_a_study_without_malice_runs_the_chapters_that_need_none(study):
    root, profile = study
    summary = runner.run(profile, root=root)
    assert [row.name for row in summary.stages] == list(own.VECTORS) and summary.controls == ()
    assert (root / "work/mine/released/vectors.json").is_file()
    assert (root / "figures/mine/01_token_map.png").is_file()
    again = runner.run(profile, root=root)
    assert {row.status for row in again.stages} == {"skipped"}


def test_another_list_of_sources_runs_the_first_chapter_again(study):
    root, profile = study
    listed = root / "mine" / own.SOURCES
    listed.write_text(listed.read_text() + "# changed\n")
    (row,) = runner.run(profile, root=root, only=["01_corpus"]).stages
    assert row.status == "ran"
