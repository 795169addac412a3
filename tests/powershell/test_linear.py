"""Every regular expression that reads untrusted text takes linear time in its input, or a bounded one.

Those of polars are linear by construction, so only Python's are tried; what is written in place, such as
re.sub("[`^]", ...), matches a fixed length.
"""

import importlib
import itertools
import re
import subprocess
import sys
import time

import pytest

from psembed.detector import explain
from psembed.detector.detector import released
from psembed.powershell import cleaning, tokens
from psembed.powershell.unwrap import encodings, layers, operators, parser, state
from psembed.project import workspace
from psembed.sources import corpus

MODULES = (cleaning, corpus, encodings, explain, layers, operators, parser, state, tokens, workspace)
SCORING = ("cli", "detector", "explain", "inputs", "reports", "scoring")  # what `psembed score` imports
BOUNDED = {"explain._WORD": 4_097}  # characters that they are given at most
SIZES = (1_000, 4_000, 16_000)  # characters; times of a quadratic pattern grow 16-fold from one to the next
TOO_STEEP = 9
FLOOR = 0.02  # seconds at the largest size; what takes less is not slow
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
UNBOUNDED = {
    name: pattern
    for name, pattern in PATTERNS.items()
    if pattern not in [PATTERNS[bounded] for bounded in BOUNDED]
}


def seconds(pattern, head, run, *, size, repeats):
    """Return the least processor time to find all matches in a run that ends in what few patterns match."""
    text = head + (run * size)[:size] + "\0"
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        for _ in pattern.finditer(text):
            pass
        taken.append(time.process_time() - started)
    return min(taken)


def grows_too_fast(pattern, head, run):
    """Tell whether the time grows too steeply at every step; looked at again where a busy machine may lie."""
    for repeats in (1, 2, 5):
        before = seconds(pattern, head, run, size=SIZES[0], repeats=repeats)
        for size in SIZES[1:]:
            after = seconds(pattern, head, run, size=size, repeats=repeats)
            if after <= TOO_STEEP * before:
                return False
            before = after
        if before <= FLOOR:
            return False
    return True


@pytest.mark.parametrize("name", UNBOUNDED)
def test_time_is_linear_whatever_the_bait(name):
    assert [bait for bait in BAITS if grows_too_fast(UNBOUNDED[name], *bait)] == []


@pytest.mark.parametrize(("pattern", "run"), [(re.compile("a*b"), "a"), (explain._WORD, "a;")])
def test_a_quadratic_pattern_is_caught(pattern, run):
    assert grows_too_fast(pattern, "", run)


def test_no_pattern_of_scoring_is_left_out():
    code = f"import sys, psembed.{', psembed.'.join(SCORING)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = [name for name in done.stdout.split() if name.startswith("psembed.")]
    with_patterns = {name for name in loaded if patterns_of(importlib.import_module(name))}
    assert with_patterns == {module.__name__ for module in MODULES}


def test_an_explanation_looks_at_a_bounded_view(monkeypatch):
    lengths = []
    monkeypatch.setattr(explain, "_words", lambda text: lengths.append(len(text)) or [])
    released().explain("a;" * 100_000)
    assert lengths == [BOUNDED["explain._WORD"]]
