"""Forms of obfuscation, enumerated: public obfuscators' documented ones, and tricks that people meet.

Every text is made here, in memory, from a few inert payloads; nothing is copied from a tool, and nothing is
ever run. The same call gives the same texts. `python tests/helpers/forms.py` prints the table of
docs/scoring.md.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import forms_of_meaning as meaning
import forms_of_runners as runners
import forms_of_strings as strings
import forms_of_tools as tools
import forms_of_variants as variants

from psembed.powershell.unwrap.layers import Layer, may_run, unwrap

PLAIN = "Write-Output inert-probe-4711 | Out-Null"
LISTING = "Get-ChildItem -Path . -Recurse -Filter *.log | Measure-Object"
SERVICES = "Get-Service | Where-Object { $_.Status -eq 'Running' } | Select-Object Name | ConvertTo-Json"
QUOTES = 'Write-Output "costs `$5, it\'s $Name" \'a "word"\' | Out-Host'
LINES = "$Total = 0\nforeach ($Each in 1..9) {\n    $Total += $Each * 2\n}\nWrite-Output $Total"
FOREIGN = "Write-Output 'gr\u00fcn, na\u00efve, \u0416\u0443\u043a' | Out-Host"
ANY = (PLAIN, SERVICES, LINES, QUOTES, FOREIGN)
ASCII = (PLAIN, SERVICES, LINES, QUOTES)
LINE = (PLAIN, SERVICES, QUOTES, FOREIGN)  # without a line feed
SIMPLE = (PLAIN, LISTING)  # without quotes, dollars and braces
WORDS = ("Write-Output inert-probe-4711", "Get-ChildItem -Path . -Recurse -Filter *.log")  # nor pipes
IN_PLACE = "constants in place"  # the family of which the layer is the text with its constants folded
UNKNOWN = "what is unknown"  # the family whose decoding depends on something that no reader knows
TEXTS_OF_A_FORM = 2
LONGER = 13  # characters that a literal has at least that could show something wrong
_LITERAL = re.compile("'((?:[^']|'')*)'")
FAMILIES = {  # family -> the payloads that its forms can hide, and the forms
    "concatenation, StringBuilder, lists": (ANY, strings.CONCATENATED),
    "format operator": (ANY, strings.FORMATTED),
    "reversal": (ANY, strings.REVERSED),
    "reversal by [regex]": (LINE, strings.REVERSED_LINES),
    "replacing, tables, shifting": (ANY, strings.REPLACED),
    "character codes": (ANY, strings.ASCII_CODES),
    "hexadecimal, octal and binary codes": (ANY, strings.NUMBER_BASES),
    "hexadecimal bytes": (ANY, strings.HEX_BYTES),
    "Base64": (ANY, strings.BASE64),
    "XOR with a known key": (ASCII, strings.XORED),
    "gzip and deflate": (ANY, strings.COMPRESSED),
    "every n-th character": (ANY, strings.STEPPED),
    "regular expressions": (LINE, strings.PATTERNS),
    "URL, HTML and other escapes": (ANY, strings.URL_AND_HTML),
    "SecureString with its key": (ANY, strings.KEYS),
    "ciphers with their key": (ASCII, strings.CIPHERS),
    "special characters, white space, words": (ANY, strings.ODD_ALPHABETS),
    "what runs a text": (ANY, runners.RUN),
    "variables, by name too": (ANY, runners.VARIABLES),
    "values, functions, flow": (ANY, runners.VALUES),
    "what operators, calls and statements mean": (ANY, meaning.MEANING),
    "codes decoded by hand": (ANY, meaning.CODES),
    "every n-th character, other ways": (ANY, variants.STEPS),
    "splitting, other ways": (ANY, variants.SPLITS),
    "regular expressions, other ways": (LINE, variants.PATTERN_VARIANTS),
    "builders, lists and streams": (ANY, variants.BUILDERS),
    "readers of Base64, gzip and reversed text": (ANY, variants.READERS),
    "back-ticks": (SIMPLE, runners.BACK_TICKS),
    "method groups and members by name": (ANY, runners.METHOD_GROUPS),
    "spelling of tokens": (ANY, runners.TOKENS),
    "other syntax trees": (ANY, runners.TREES),
    "encoded commands handed over": (ANY, runners.HANDED_OVER),
    "plain commands handed over": (WORDS, runners.COMMANDS),
    "nested": (ANY, runners.NESTED),
    "as public tools put them together": (ANY, tools.TOOLS),
    UNKNOWN: (ANY, tools.UNKNOWN),
}


class Form(NamedTuple):
    """A text, and the payload that it hides."""

    family: str
    name: str
    text: str
    payload: str


def forms() -> Iterator[Form]:
    """Yield every form with TEXTS_OF_A_FORM payloads that it can hide, each form beginning with another."""
    for family, (payloads, texts) in FAMILIES.items():
        for number, (name, text) in enumerate(texts.items()):
            for payload in itertools.islice(itertools.cycle(payloads), number, number + TEXTS_OF_A_FORM):
                yield Form(family, name, text(payload), payload)
    for name, (text, folded) in runners.IN_PLACE.items():
        yield Form(IN_PLACE, name, text, folded)


def layers_of(form: Form) -> list[Layer]:
    """Return the layers within the text, as the detector sees them."""
    return unwrap(form.text, *may_run([form.text])).layers[1:]


def is_uncovered(form: Form) -> bool:
    """Tell whether one of the layers is the payload, but for white space around it."""
    return any(layer.text.strip() == form.payload.strip() for layer in layers_of(form))


def wrong_layers(form: Form) -> list[str]:
    """Return the layers, and the folded literals, that are neither the payload, a part of it, nor plain."""
    return [
        text
        for layer in layers_of(form)
        for text in (_LITERAL.findall(layer.text) if layer.how == "literals" else [layer.text.strip()])
        if not _is_plain(text.replace("''", "'"), form)
    ]


def _is_plain(text: str, form: Form) -> bool:
    known = (form.payload, form.payload[::-1], form.text)
    return len(text) < LONGER or text in tools.PLAIN_TEXTS or any(text in each for each in known)


def outcomes() -> dict[str, dict[str, bool]]:
    """Return for each family and form whether all its texts are uncovered, or have no wrong layer."""
    found: dict[str, dict[str, bool]] = defaultdict(dict)
    for form in forms():
        right = not wrong_layers(form) if form.family == UNKNOWN else is_uncovered(form)
        found[form.family][form.name] = right and found[form.family].get(form.name, True)
    return found


def table(found: dict[str, dict[str, bool]]) -> str:
    """Return the table of docs/scoring.md: families, how many of their forms are uncovered, the others."""
    rows = ["| forms of | uncovered | not uncovered |", "|---|---|---|"]
    for family, right in found.items():
        others = "; ".join(re.sub(r"([|*_`<\\])", r"\\\1", name) for name in right if not right[name])
        if family != UNKNOWN:
            rows.append(f"| {family} | {sum(right.values())} of {len(right)} | {others} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table(outcomes()))
