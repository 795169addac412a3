"""What the parts of a PowerShell script look like: patterns, sets of characters, and what literals say."""

import re

from psembed.powershell.cleaning import DOUBLE_QUOTES, SINGLE_QUOTES

DASHES = "-\u2013\u2014\u2015"
NESTING = 50  # brackets within brackets, of which each takes some calls to read and to evaluate
_LEVELS = (
    "and or xor", "band bor bxor shl shr",
    "as is isnot split csplit isplit join replace creplace ireplace eq ne gt lt ge le ceq cne cgt clt cge "
    "cle ieq ine igt ilt ige ile like notlike clike cnotlike ilike inotlike match notmatch cmatch cnotmatch "
    "imatch inotmatch contains notcontains ccontains icontains in notin",
    "+ -", "* / %", "f", "..",
)  # fmt: skip
LEVEL = {name: level for level, names in enumerate(_LEVELS) for name in names.split()}
_WORDS = "|".join(sorted((name for name in LEVEL if name.isalpha()), key=len, reverse=True))
_S, _D = SINGLE_QUOTES, DOUBLE_QUOTES
_BREAKS = rf"\s`|&;,(){{}}{_S}{_D}$>"  # characters that end a bare word
_NUMBER_TEXT = r"(?:0x[0-9a-f]++|[0-9]++)"
_STRING = rf"(?:[{_S}][^{_S}]*+[{_S}](?![{_S}])|[{_D}][^{_D}`$]*+[{_D}](?![{_D}]))"
_CHARACTER = r"\[char\]\s*+(?:0x[0-9a-f]{1,4}+|[0-9]{1,5}+)"
# Possessive throughout, and none begins within what it has tried: reading is linear.
GAP = re.compile(r"(?:[^\S\r\n]|`\r?\n)++")
GAPS = re.compile(r"(?:\s|`\r?\n)++")
OPERATOR = re.compile(
    rf"[{DASHES}]({_WORDS})(?![\w-])|(\.\.|[*/%](?!=)|\+(?![+=])|[{DASHES}](?![{DASHES}=a-z_]))",
    re.IGNORECASE,
)
UNARY = re.compile(rf"[{DASHES}](join|[ci]?split|not|bnot)(?![\w-])|(\+\+|--|[{DASHES}!+,])", re.IGNORECASE)
AFTER = re.compile(r"(?<![ \t])[ \t]*+(\+\+|--)(?![\w$(\[])")
ASSIGNS = re.compile(rf"([{DASHES}+*/%]|\?\?)?=(?!=)")
SUM = re.compile(rf"(?:(?:{_STRING}|{_CHARACTER})\s*+\+\s*+)++(?![+=])", re.IGNORECASE)
SUMMAND = re.compile(rf"{_STRING}|{_CHARACTER}", re.IGNORECASE)
LIST = re.compile(rf"(?:{_STRING}\s*+,\s*+)++")
LISTED = re.compile(_STRING)
NUMBERS = re.compile(rf"(?<!\w){_NUMBER_TEXT}(?:\s*+,\s*+{_NUMBER_TEXT}(?![\w.]))++", re.IGNORECASE)
NUMBER = re.compile(
    r"(0x[0-9a-f]++|[0-9]++(?:\.[0-9]++)?+(?:e[+-]?[0-9]++)?+)(?:[ld]|u?[lsy])?+(kb|mb|gb)?+(?![\w])",
    re.IGNORECASE,
)
SIMPLE = re.compile(_STRING)
SINGLE = re.compile(rf"[{_S}][^{_S}]*+(?:[{_S}][{_S}][^{_S}]*+)*+[{_S}]?+")
HERE = re.compile(rf"@[{_S}{_D}][ \t]*+\r?+\n")
VARIABLE = re.compile(r"[$@](?:\{([^{}\r\n]{1,200}+)\}|((?:\w++:(?=\w))?+\w++|[$^?](?!\w)))")
_INSIDE = r"[\w.`, ]*+"
TYPE = re.compile(
    rf"\[\s*+([A-Za-z_`][\w.`+]*+\s*+(?:\[{_INSIDE}(?:\[{_INSIDE}(?:\[{_INSIDE}\]{_INSIDE})*+\]{_INSIDE})*+\])?+)\s*+\]"
)
MEMBER = re.compile(r"(?:::|\.(?!\.))\s*+([A-Za-z_`][\w`]*+)?")
SPACED_MEMBER = re.compile(r"(?<![^\S\r\n])[^\S\r\n]++(?:(?=::)|(?=\.[ ]?[a-z_`][\w`]*+\())", re.IGNORECASE)
PIECE = re.compile(rf"[^{_BREAKS}]++")
PARAMETER = re.compile(rf"(?<![\w?`-])[{DASHES}]([a-z_?][\w?`-]*+)(:|(?=[\s|&;(){{}},$]|\Z))", re.IGNORECASE)
REDIRECTION = re.compile(r"([*0-9]?)(?:>{1,2}+(&[0-9])?|<(?!#))")
KEYWORD = re.compile(r"[A-Za-z]++(?![\w.\\:-])")
LABEL = re.compile(r":(\w++)\s++(?=(?:for|foreach|while|do|switch)\b)", re.IGNORECASE)
NAME = re.compile(rf"[^\s({{;{_S}{_D}]++")
KEY = re.compile(r"(?<![\w-])[A-Za-z_][\w-]*+(?=\s*=)")
IN = re.compile(r"in\b", re.IGNORECASE)
LINE = re.compile(r"[^\r\n]*+")
IN_STRING = re.compile(
    rf"[^{_D}`$]++|`u\{{(?P<code>[0-9a-f]{{1,6}})\}}|`(?P<escape>.)|(?P<twice>[{_D}]{{2}})|(?P<quote>[{_D}])"
    r"|(?P<variable>\$(?:\{[^{}\r\n]{1,200}+\}|(?:\w++:(?=\w))?+\w++|\?))|(?P<opens>\$\()|[`$]",
    re.IGNORECASE | re.DOTALL,
)
PASSED = re.compile(rf"(?P<opens>[(\[{{])|(?P<closes>[)\]}}])|[{_S}][^{_S}]*+[{_S}]?+|[^(){{}}\[\]{_S}]++")
ESCAPES = {"0": "\0", "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": ""}
SINGLE_SET, DOUBLE_SET, DASH_SET = frozenset(SINGLE_QUOTES), frozenset(DOUBLE_QUOTES), frozenset(DASHES)
QUOTES, DIGITS = SINGLE_SET | DOUBLE_SET, frozenset("0123456789")
GAP_STARTS = frozenset(" \t\r\n`<#\x0b\x0c\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(code) for code in range(0x2000, 0x200B)
}
ENDS = frozenset(["", ";", "|", ")", "}", "\n", "\r", "&"])
# What patterns begin with: to look at one character is cheaper than to try a pattern in vain.
OPENS_OPERATOR, OPENS_REDIRECTION = frozenset(".*/%+") | DASH_SET, frozenset("*><") | DIGITS
OPENS_ASSIGN, OPENS_STEP = frozenset("=?+*/%") | DASH_SET, frozenset(" \t+-")
OPENS_OPERAND = QUOTES | DIGITS | frozenset("$([@{+!,") | DASH_SET
_SCOPE = re.compile(r"^(?:local|private|variable|using):")


def variable_name(name: str) -> str:
    """Return a variable's name in lower case, without braces, back-ticks and scope."""
    name = _SCOPE.sub("", name.strip("{}").replace("`", "").lower())
    return "_" if name == "psitem" else name


def numbers_of(text: str) -> list[int]:
    """Return the numbers between commas."""
    if "x" in text or "X" in text:
        return [int(each, 16 if "x" in each or "X" in each else 10) for each in text.split(",")]
    return [int(each.strip()) for each in text.split(",")]


def single_quoted(token: str) -> str:
    """Return what a string in single quotes says."""
    value = token[1:-1] if len(token) > 1 and token[-1] in SINGLE_QUOTES else token[1:]
    if SINGLE_SET.isdisjoint(value):
        return value
    return re.sub(f"[{SINGLE_QUOTES}]([{SINGLE_QUOTES}])", r"\1", value)


def number_in(found: re.Match[str]) -> int | float | None:
    """Return the number that NUMBER found, None for one that is too long."""
    digits = found[1]
    if len(digits) > 20:
        return None
    factor = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[found[2][0].lower()] if found[2] else 1
    if digits[:2] in ("0x", "0X"):
        return int(digits, 16) * factor
    return int(digits) * factor if digits.isdigit() else float(digits)


def summed(text: str) -> tuple[str, bool]:
    """Return the sum of strings and characters, and whether characters are among them."""
    kept: list[str] = []
    decodes = False
    for term in SUMMAND.findall(text):
        if term[0] == "[":
            code = term[6:].strip().lower()
            kept.append(chr(int(code, 16 if code.startswith("0x") else 10) & 0xFFFF))
            decodes = True
        else:
            kept.append(term[1:-1])
    return "".join(kept), decodes
