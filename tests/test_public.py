"""What `import psembed` offers: all of it is there, documented, and its examples are true."""

import ast
import doctest
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import psembed

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", psembed.__all__)
def test_what_is_offered_is_documented_with_examples_that_are_true(name):
    public = getattr(psembed, name)
    text = inspect.getdoc(public)
    assert text and "Examples" in text, name
    space = {"psembed": psembed}
    (example,) = doctest.DocTestFinder(recurse=False).find(public, name, globs=space)
    assert example.examples
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    said: list[str] = []
    runner.run(example, out=said.append)
    assert not runner.failures, "".join(said)


def test_types_and_places_name_the_same_things():
    tree = ast.parse((ROOT / "psembed/__init__.py").read_text(encoding="utf-8"))
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in checked.body
        for alias in node.names
    }
    places = {name: place for name, place in psembed._PLACES.items()}
    assert set(typed) == set(places) == set(psembed.__all__) <= set(dir(psembed))
    for name, place in places.items():
        assert typed[name] in (place, place.replace(f".{name}", f":{name}"))


def test_nothing_is_loaded_before_it_is_asked_for():
    code = "import sys, psembed; print(*[name for name in sys.modules if name.startswith('psembed.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_an_unknown_name_is_told_what_there_is():
    with pytest.raises(AttributeError, match=r"no 'detect'; it offers Detector, Encoder"):
        psembed.detect  # noqa: B018
