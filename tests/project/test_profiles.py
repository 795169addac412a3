import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notebook_project import DEFAULTS, USES, write_notebook

from psembed.datasets import splits
from psembed.project import profiles
from psembed.project.parameters import read_notebook, resolve, same_type
from psembed.project.profiles import Profile, load_profile, parse_override
from psembed.runtime.errors import ParameterError
from psembed.sources import catalogue

CELL = DEFAULTS + '\nepochs = 3\nrate: float = 0.1\nnames = ["a", "b"]\nbalanced = True\nnothing = None'
USE_ALL = "x = (profile, seed, epochs, rate, balanced, nothing)\nprint(f'{names}')"


@pytest.fixture
def notebooks(tmp_path):
    write_notebook(tmp_path / "07_network.ipynb", USE_ALL, parameters=CELL)
    write_notebook(tmp_path / "08_other.ipynb", USES)
    return {path.stem: read_notebook(path) for path in sorted(tmp_path.glob("*.ipynb"))}


def values(**section):
    return Profile(name="tiny", seed=5, values={"07_network": section})


def test_defaults_come_from_the_parameter_cell_and_profile_and_seed_from_the_runner(notebooks):
    resolved = resolve(values(epochs=7, rate=1), notebooks, ["08_other.seed=9"])
    assert resolved["07_network"] == {
        "profile": "tiny", "seed": 5, "epochs": 7, "rate": 1.0, "names": ["a", "b"], "balanced": True,
        "nothing": None,
    }  # fmt: skip
    assert type(resolved["07_network"]["rate"]) is float
    assert resolved["08_other"] == {"profile": "tiny", "seed": 9}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"epoch": 3}, r"no parameter 'epoch' \(did you mean 'epochs'\?\)"),
        ({"zzz": 3}, r"no parameter 'zzz'$"),
        ({"epochs": 3.5}, "epochs = 3.5 must be int, as its default 3"),
        ({"epochs": True}, "epochs = True must be int"),
        ({"epochs": "3"}, "epochs = '3' must be int"),
        ({"rate": "fast"}, "rate = 'fast' must be float"),
        ({"rate": False}, "rate = False must be float"),
        ({"balanced": 1}, "balanced = 1 must be bool"),
        ({"names": "a"}, "names = 'a' must be a list of str"),
        ({"names": ["a", 1]}, "must be a list of str"),
        ({"profile": "other"}, "'profile' is the profile's name and cannot be set"),
    ],
)
def test_a_wrong_value_is_refused_by_name(notebooks, section, message):
    with pytest.raises(ParameterError, match=message):
        resolve(values(**section), notebooks, [])


def test_all_problems_of_all_notebooks_are_told_at_once(notebooks):
    profile = Profile(name="tiny", values={"07_network": {"epoch": 1, "rate": "x"}, "08_othr": {}})
    with pytest.raises(ParameterError) as caught:
        resolve(profile, notebooks, ["08_other.sed=1"])
    for part in (
        "'epoch'",
        "rate = 'x'",
        "'08_othr' (did you mean '08_other'?)",
        "08_other: no parameter 'sed'",
    ):
        assert part in str(caught.value)


def test_declared_and_never_used_is_refused(tmp_path):
    write_notebook(tmp_path / "01_x.ipynb", USES, "unused = 2", parameters=DEFAULTS + "\nunused = 1")
    with pytest.raises(ParameterError, match="'unused' is declared but never used"):
        resolve(Profile(name="tiny"), {"01_x": read_notebook(tmp_path / "01_x.ipynb")}, [])


def test_profile_must_be_declared_and_seed_may_be_left_out(tmp_path):
    write_notebook(tmp_path / "01_x.ipynb", "seed", parameters="seed = 1")
    with pytest.raises(ParameterError, match="must declare 'profile'"):
        resolve(Profile(name="tiny"), {"01_x": read_notebook(tmp_path / "01_x.ipynb")}, [])
    write_notebook(tmp_path / "01_y.ipynb", "profile", parameters='profile = "x"')
    given = resolve(Profile(name="tiny", seed=5), {"01_y": read_notebook(tmp_path / "01_y.ipynb")}, [])
    assert given["01_y"] == {"profile": "tiny"}


@pytest.mark.parametrize("line", ["x = 1 + y", "x = f()", "import os", "x += 1", "a, b = 1, 2", "print(1)"])
def test_a_parameter_cell_only_names_literals(tmp_path, line):
    write_notebook(tmp_path / "01_x.ipynb", parameters=line)
    with pytest.raises(ParameterError, match="may only name literals"):
        read_notebook(tmp_path / "01_x.ipynb")


def test_damaged_notebooks(tmp_path):
    path = tmp_path / "01_x.ipynb"
    with pytest.raises(ParameterError, match="missing or is not a notebook"):
        read_notebook(path)
    path.write_text('{"cells": [{}]}')
    with pytest.raises(ParameterError, match="is not a notebook"):
        read_notebook(path)
    path.write_text('{"cells": []}')
    with pytest.raises(ParameterError, match="0 cells tagged"):
        read_notebook(path)
    write_notebook(path, "x = (")
    with pytest.raises(ParameterError, match="a cell is not Python, line 1"):
        read_notebook(path)
    write_notebook(path, "%matplotlib inline\n" + USES)
    assert read_notebook(path).used == {"profile", "seed"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("07_n.epochs=3", 3), ("07_n.epochs=0.5", 0.5), ("07_n.epochs=true", True), ("07_n.epochs=sg", "sg"),
        ('07_n.epochs="3"', "3"), ('07_n.epochs=["a", "b"]', ["a", "b"]), ("07_n.epochs=a=b", "a=b"),
    ],
)  # fmt: skip
def test_overrides_are_toml_or_a_word(text, expected):
    assert parse_override(text) == ("07_n", "epochs", expected)


@pytest.mark.parametrize("text", ["", "x", "x=1", ".x=1", "x.=1", "=", "x.y"])
def test_a_malformed_override_is_refused(text):
    with pytest.raises(ParameterError, match=r"expected NOTEBOOK\.PARAMETER=VALUE"):
        parse_override(text)


literals = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
)


@given(literals)
def test_every_literal_may_stand_in_for_itself(value):
    assert same_type(value, value)
    assert same_type(ast.literal_eval(repr(value)), value)


@given(st.integers())
def test_int_for_float_but_never_the_other_way(value):
    assert same_type(value, 0.5) and not same_type(float(value % 10), 1)
    assert not same_type(bool(value), 1) and not same_type(bool(value), 0.5)


@pytest.mark.parametrize("name", ["smoke", "control", "public"])
def test_built_in_profiles_load(name):
    profile = load_profile(name)
    assert profile.name == name and profile.publish == (name == "public")


def test_the_public_profile_reads_every_source_and_pins_groups_that_are_there():
    values = load_profile("public").values
    named = [source.name for source in catalogue.find_sources(values["01_corpus"]["sources"])]
    known = catalogue.load_sources()
    assert sorted(named) == sorted(known)
    assert set(values["02_tokens"]["pinned"]) <= {source.group for source in known.values()}
    fractions = values["02_tokens"]["repository_fractions"]
    assert sum(fractions.values()) == pytest.approx(1) and tuple(fractions) == splits.PARTS


def test_profiles_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[run]\nseed = 4\n[07_network]\nepochs = 2\n")
    assert load_profile(path) == Profile("mine", 4, False, {"07_network": {"epochs": 2}})


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("mine.toml", "[run]\nsed = 4", r"\[run\] has no 'sed' \(did you mean 'seed'\?\)"),
        ("mine.toml", "[run]\nseed = 4.0", "seed = 4.0 must be int"),
        ("mine.toml", "[run]\nseed = true", "seed = True must be int"),
        ("mine.toml", "[run]\npublish = 1", "publish = 1 must be bool"),
        ("mine.toml", "epochs = 1", "'epochs' must be a section"),
        ("mine.toml", "run = 1", "'run' must be a section"),
        ("mine.toml", "[run", "is not TOML"),
        ("public.toml", "", "is a built-in profile's name"),
        ("My Own.toml", "", "lower-case letters"),
    ],
)
def test_a_wrong_profile_file_is_refused(tmp_path, file, content, message):
    (tmp_path / file).write_text(content)
    with pytest.raises(ParameterError, match=message):
        load_profile(tmp_path / file)


def test_an_unknown_profile_suggests_a_near_one(tmp_path):
    with pytest.raises(ParameterError, match=r"no profile 'controll' \(did you mean 'control'\?\)"):
        load_profile("controll")
    with pytest.raises(ParameterError, match="No such file"):
        load_profile(tmp_path / "none.toml")
    assert profiles.built_in() == ["control", "public", "smoke"]
