"""Every regular expression that reads untrusted text takes a number of steps that is linear in its length.

Steps are counted (tests/helpers/regex_steps.py), so no clock is read. Expressions of polars are linear by
construction, so only Python's are tried; what is written in place, such as re.sub("[`^]", ...), matches a
fixed length.
"""

import importlib
import itertools
import pkgutil
import re
import subprocess
import sys

import pytest
from regex_steps import Matcher, TooManySteps

import psembed.detector
from psembed.detector import explain, regions
from psembed.detector.reading import events, scriptblocks
from psembed.powershell import cleaning, defanging, tokens
from psembed.powershell.unwrap import command_line, layers, reading
from psembed.powershell.unwrap.dotnet import encodings, operators, patterns
from psembed.powershell.unwrap.interpreter import expressions, hosts
from psembed.powershell.unwrap.parsing import lexis

MODULES = (
    cleaning, command_line, defanging, encodings, events, explain, expressions, hosts, layers, operators,
    lexis, patterns, reading, regions, scriptblocks, tokens,
)  # fmt: skip
SCORING = (  # what `psembed score` imports
    "psembed.cli.main",
    "psembed.cli.score",
    *(module.name for module in pkgutil.walk_packages(psembed.detector.__path__, "psembed.detector.")),
)
SIZES = (250, 500, 1_000)  # characters
# What each explanation was cut into words with before: it looks for an address again after every word.
QUADRATIC_WORD = r"\S*://\S*\s*|[^\s;|{}()]*[\s;|{}()]+|[^\s;|{}()]+"
RUNS = (
    *" \t\n`\"'({[$@-+/\\#<%^,;:.=|&~?*_aAex0\u2018\u201c", "a ", "a`", "a-", "a.", "a;", "a:", "a,", "a=",
    "a'", 'a"', "a\n", "0 ", "0,", "0x", "0-", "0.", "\"'", "''\"", "`\n", "\n ", "\n#", "#\n", "#>", "<#",
    "@'\n", '@"\n', "$(", "${", "$a", "$a:", "[a", "[ ", "[a[", "[]", "{0", "{{", "{0}", "-e", "- e", "-e ",
    "-e '", "/e`", "-enc ", "http://", "x://", "token", "token=", "a-token ", "eyJ", "-----BEGIN A-----",
    "1.1.", "powershell ", " -a b",
)  # fmt: skip
HEADED = (
    ("#", "\n"), ("#", "\n "), ("[", " "), ("[a", " "), ("[a[", " "), ('@"', " "), ("@'\n", "\n'"),
    ('"', "a"), ("'", "a"), ("'", "''"), ('"', "`a"), ("${", "a"), ("$", "a"), ("1", " "), ("1,", "\n"),
    ("0x", "0"), ("-e", " "), ("-e ", '"'), ("-e ", "^"), ("-e ", "a"), ("-e", "`"), ("http://", "a"),
    ("token", " "), ("token='", "a"), ("-----BEGIN ", "A"), ("-----BEGIN A-----", "-----END "), ("{", "0"),
    ("powershell", " "), ("powershell -a", " "), ("powershell -a", "b"), ("<#", "#"),
)  # fmt: skip
BAITS = (*(("", run) for run in RUNS), *HEADED)


def compiled(value, name):
    """Yield the name and pattern of each one in a value, in tuples and dictionaries too."""
    if isinstance(value, re.Pattern):
        yield name, value
    elif isinstance(value, dict | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from compiled(inner, f"{name}[{key!r}]")


def patterns_of(module):
    prefix = module.__name__.removeprefix("psembed.")
    named = (compiled(value, f"{prefix}.{name}") for name, value in vars(module).items())
    return dict(itertools.chain.from_iterable(named))


PATTERNS = {name: pattern for module in MODULES for name, pattern in patterns_of(module).items()}


def text_of(head, run, size):
    """Return a run that ends in what few patterns match."""
    return head + (run * size)[:size] + "\0"


def steps(pattern, text):
    """Return how many steps it takes to find all matches, which must be those of Python's own engine."""
    matcher = Matcher(pattern, text)
    assert list(matcher.spans()) == [match.span() for match in pattern.finditer(text)]
    return matcher.steps


def grows_too_fast(pattern, head, run):
    """Tell whether the steps grow faster than the text.

    What doubling the text costs beyond twice the steps stays within a step a character where they are linear,
    the same where a repeat has a bound below the sizes, and grows fourfold where they are quadratic.
    """
    try:
        small, middle, large = (steps(pattern, text_of(head, run, size)) for size in SIZES)
    except TooManySteps:
        return True
    return large - 2 * middle > max(SIZES[-1], 2 * (middle - 2 * small))


@pytest.mark.parametrize("name", PATTERNS)
def test_steps_are_linear_whatever_the_bait(name):
    """Slow (up to 20 s for one pattern): each step of the engine is counted, on every bait."""
    assert [bait for bait in BAITS if grows_too_fast(PATTERNS[name], *bait)] == []


@pytest.mark.parametrize(
    ("pattern", "run"),
    [
        ("a*b", "a"), ("a*+b", "a"), ("a*?b", "a"), ("(?:a|b)*c", "a"), ("(?=a*b)a", "a"), ("(a|a)*b", "a"),
        (r"\s*#", " "), (r"x://\S*b", "x://"), ("-----BEGIN A-----.*END", "-----BEGIN A-----"),
        (QUADRATIC_WORD, "a;"),
    ],
)  # fmt: skip
def test_a_steeper_pattern_is_caught(pattern, run):
    assert grows_too_fast(re.compile(pattern), "", run)


@pytest.mark.parametrize(
    ("pattern", "run"),
    [("a*", "a"), ("a+b|a+", "a"), ("a{0,200}b", "a"), ('"[^"]*"', '"'), ("(?:a|b)*", "ab"), (".*?b", "ab")],
)
def test_a_linear_pattern_is_let_through(pattern, run):
    assert not grows_too_fast(re.compile(pattern), "", run)


@pytest.mark.parametrize(
    ("pattern", "text", "count"),
    [("a", "aaa", 4), ("ab", "aab", 5), ("a*b", "aaa", 30), ("a*+b", "aaa", 14), ("ab|cd", "cd", 9)],
)
def test_steps_are_counted_as_by_hand(pattern, text, count):
    assert steps(re.compile(pattern), text) == count


def test_no_pattern_of_scoring_is_left_out():
    code = f"import sys, {', '.join(SCORING)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = [name for name in done.stdout.split() if name.startswith("psembed.")]
    found = {
        name: pattern
        for each in loaded
        for name, pattern in patterns_of(importlib.import_module(each)).items()
    }
    known = set(map(id, PATTERNS.values()))
    assert [name for name, pattern in found.items() if id(pattern) not in known] == []
    assert {module.__name__ for module in MODULES} <= set(loaded)
