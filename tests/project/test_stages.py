"""The table of stages: every file has one maker, and it is made before it is read."""

import pytest

from psembed.project import stages


def test_every_file_read_is_written_by_an_earlier_stage_and_by_no_other():
    made = {}
    for stage in stages.STAGES:
        for path in stage.inputs("public"):
            assert path in made, f"{stage.name} reads {path} before it is there"
        for path in stage.outputs("public"):
            assert path not in made, f"{stage.name} and {made.get(path)} both write {path}"
            made[path] = stage.name


@pytest.mark.parametrize(
    ("path", "maker"),
    [
        ("work/public/stream/", "02_tokens"),
        ("work/public/stream/ids.bin", "02_tokens"),
        ("work/public/seeds/seed_1.npz", "03_word2vec"),
        ("figures/public/01_token_map.html", "04_semantics"),
        ("paper/results/public/02_tokens.json", "02_tokens"),
        ("work/control/stream/ids.bin", None),
        ("work/public/none.parquet", None),
    ],
)
def test_the_maker_of_a_file_is_named(path, maker):
    assert stages.maker_of(path, "public") == maker
