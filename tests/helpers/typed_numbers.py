"""Results typed into the paper's prose, where only results may stand that are read from files."""

import re

#: Where digits are no result: comments, references, addresses, layout, published figures, names, years.
ALLOWED = re.compile(
    r"""(?x)
    (?m:^\s*//.*$)                          # comment lines
    | \#published(?:\[[^\]]*\]|\("[^"]*"\)) # what somebody else published
    | "[0-9]{2}_[a-z0-9_]+"                 # slugs of figures and stages
    | "C[0-9]{2}" | "p[012]"                 # claim and protocol keys
    | \bwidth:\s[0-9]+%(?=[,)]) | \bdigits:\s[0-9](?=[,)])  # layout
    | @[a-z][a-z0-9-]* | <[a-z][a-z0-9-]*>  # references and labels
    | https?://\S+
    | "(?:[a-z]+_)*[a-z]+[0-9]*(?:_[a-z]+)*"  # keys of results
    | \b(?:[Ww]ord2vec|P[0-3]|UTF-(?:8|16)|Windows-1252|SHA-(?:1|256)|Unit\ 42|Fa2y|[23]-(?:grams?|D))\b
    | (?<![\d.,+-])\b(?:19[89][0-9]|20[0-4][0-9])\b(?![\d%]|[.,]\d)  # years
    """
)


def typed_numbers(source: str) -> list[tuple[int, str]]:
    """Return (line, text) of every digit in the paper's prose that is not of an allowed kind."""
    blanked = ALLOWED.sub(lambda allowed: re.sub(r"[^\n]", " ", allowed[0]), source)
    lines = source.splitlines()
    return [
        (n, lines[n - 1].strip())
        for n, line in enumerate(blanked.splitlines(), start=1)
        if re.search(r"\d", line)
    ]
