"""Rewritten variants of clean scripts: what a detector is tested on, and may be trained on, in memory.

A variant shows a detector the same script in another spelling; it is text for a classifier and need not run.
Cleaning has joined the lines, so what stood in a here-string is read as code or strings, and a command is
known only where it follows an opener, such as | or {, or a closed block. What strings say is left alone, but
for the variables that a string expands.
"""

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from psembed.powershell.aliases import ALIASES
from psembed.powershell.cleaning import DOUBLE_QUOTES, SINGLE_QUOTES, STRING, Edit, clean, edited, spans
from psembed.powershell.command_position import KEY_ENDS
from psembed.runtime.errors import ParameterError

LIMIT = 1 << 20  # characters; a longer text is left as it is, and no longer host is used
SHARE = 0.5  # of the letters that may be changed, how many are
NAME_LETTERS = 8  # of a variable's new name
OUTSIDE = "\0"  # stands for a character of a string or comment; part of no script
AFTER_PIPE = frozenset({"%", "?", "foreach"})  # elsewhere a remainder, a wildcard, a loop
_NAMES = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
KEYWORDS, AUTOMATIC = (frozenset(_NAMES[kind].split()) for kind in ("keywords", "automatic"))
_KEY_ENDS = "|".join(re.escape(end) for end in KEY_ENDS)
# A method's or attribute's bracket opens no command; then an opener, or a closed block, and a bare word that
# is not part of a path, a key, a label or an item of a list.
_COMMAND = re.compile(
    r"[.:\[]\w+\("
    r"|(?:(?P<pipe>\|)|\A|[;&(=]|(?<![$@])\{|\}(?= *[A-Za-z])) *(?P<word>[%?]|[A-Za-z_][\w-]*)"
    rf"(?![\w.\\/:?\"'`@{OUTSIDE}-])(?! ?(?:{_KEY_ENDS}))"
)
_VARIABLE = re.compile(
    r"`.|(?:\$(?P<brace>\{)?|(?<!\w)@)(?:(?:global|local|private|script|using|variable):)?"
    r"(?P<name>[^\W\d]\w*)(?!\w|:\w)(?(brace)(?=\}))",
    re.IGNORECASE | re.DOTALL,
)
_CASE_MATTERS = re.compile(r"`.|[A-Za-z0-9+/]{40,}={0,2}", re.DOTALL)  # escapes; Base64 and the like
# Not first, and not a, b, e, f, n, r, t, u or v, which a back-tick makes another character.
_TICKABLE = re.compile(r"(?<=.)[cdg-mopqsw-zCDG-MOPQSW-Z]")
_LITERAL = re.compile(rf"'[^{SINGLE_QUOTES}]{{2,}}'|\"[^{DOUBLE_QUOTES}`$]{{2,}}\"")
# Beside a literal that is a value of its own; not in @'x'@, a'x', 'x'y.
_BEFORE_LITERAL, _AFTER_LITERAL = frozenset(" (,;=+{[|&!."), frozenset(" ),;]}.+|=[")
_COMMAND_OF = dict(ALIASES)
_ALIASES_OF = {command: [alias for alias, of in ALIASES if of == command] for command in _COMMAND_OF.values()}


def apply(name: str, texts: Iterable[str], *, seed: int, hosts: Sequence[str] | None = None) -> list[str]:
    """Return a variant of every text, in the same order.

    A variant depends on the text, the seed and the hosts alone. It is the text itself where there is nothing
    to rewrite, or that has more than LIMIT characters. So a variant has at most 8 * LIMIT.

    `name` is one of TRANSFORMS; those of HOSTED need clean benign texts as hosts, of which empty ones, and
    ones longer than LIMIT, are not used. The texts are clean, too (`cleaning.clean`).
    """
    if name not in TRANSFORMS:
        raise ParameterError(f"transform {name!r}: expected one of {', '.join(TRANSFORMS)}")
    transform = TRANSFORMS[name]
    if name in HOSTED:
        transform = partial(transform, hosts=_usable(hosts))
    return [text if len(text) > LIMIT else transform(text, generator(text, seed)) for text in texts]


def _usable(hosts: Sequence[str] | None) -> list[str]:
    usable = [host for host in hosts if 0 < len(host) <= LIMIT] if hosts is not None else []
    if not usable:
        given = "no hosts" if hosts is None else f"{len(hosts)} hosts, none of 1 to {LIMIT} characters"
        raise ParameterError(f"{given}: give clean benign texts to glue to the others")
    return usable


def generator(text: str, seed: int) -> np.random.Generator:
    """Return the generator of chance for a text, the same for the same text and seed."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return np.random.default_rng([seed, int.from_bytes(digest)])


def _code(text: str, *, expanded: bool = False) -> str:
    """Return `text` with OUTSIDE for every character of strings and comments, so positions stay.

    With `expanded`, double-quoted strings, in which variables are expanded, are kept.
    """
    hidden = (
        (begin, end, OUTSIDE * (end - begin))
        for kind, begin, end in spans(text)
        if not (expanded and kind == STRING and _expands(text, begin, end))
    )
    return edited(text, hidden)


def _expands(text: str, begin: int, end: int) -> bool:
    """Tell whether a string is double-quoted, or what follows a `$( )` in such a one (`' and $x"`)."""
    if text[begin : begin + 2].lstrip("@")[:1] not in tuple(SINGLE_QUOTES):
        return True
    return text[begin - 1 : begin] == ")" and text[end - 1] not in SINGLE_QUOTES


def _case(text: str, generator: np.random.Generator) -> str:
    """Give ASCII letters of code a random case; not those of strings, escapes and Base64."""
    code = _CASE_MATTERS.sub(lambda match: OUTSIDE * len(match.group()), _code(text))
    points, seen = (
        np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        for letters in (text, code)
    )
    letter = (seen | 32 >= ord("a")) & (seen | 32 <= ord("z"))
    turned = letter & (generator.random(len(points)) < SHARE)
    return (points ^ (turned * np.uint32(32))).tobytes().decode("utf-32-le", "surrogatepass")


def _edited_commands(text: str, edit: Callable[[re.Match], str | None]) -> str:
    """Edit every bare word in command position that is no keyword and of which `edit` makes a text."""
    commands = (
        match
        for match in _COMMAND.finditer(_code(text))
        if match["word"] and (match["pipe"] or match["word"].lower() not in KEYWORDS)
    )
    return edited(text, ((*match.span("word"), new) for match in commands if (new := edit(match))))


def _backticks(text: str, generator: np.random.Generator) -> str:
    """Put back-ticks, which PowerShell drops there, before letters inside commands."""

    def ticked(letter: re.Match) -> str:
        return "`" * (generator.random() < SHARE) + letter.group()

    return _edited_commands(text, lambda match: _TICKABLE.sub(ticked, match["word"]))


def _alias_to_command(text: str, _: np.random.Generator) -> str:
    """Write aliases in command position as the commands they stand for."""
    return _edited_commands(text, lambda match: _COMMAND_OF.get(match["word"].lower()))


def _command_to_alias(text: str, generator: np.random.Generator) -> str:
    """Write commands in command position as one of their aliases, each as likely as the others."""

    def alias(match: re.Match) -> str | None:
        aliases = _ALIASES_OF.get(match["word"].lower(), [])
        fitting = [alias for alias in aliases if match["pipe"] or alias not in AFTER_PIPE]
        return fitting[generator.integers(len(fitting))] if fitting else None

    return _edited_commands(text, alias)


def _halved(text: str, generator: np.random.Generator, form: str) -> str:
    """Write whole literals as two halves, each quoted as the literal is, in a form such as ({0}+{1}).

    Literals with an escaped quote, an expansion or an escape, and those of one character, are kept.
    """

    def edits() -> Iterator[Edit]:
        for kind, begin, end in spans(text):
            literal = _LITERAL.fullmatch(text, begin, end)
            before, after = text[begin - 1 : begin] if begin else " ", text[end : end + 1] or " "
            if kind == STRING and literal and before in _BEFORE_LITERAL and after in _AFTER_LITERAL:
                quote, cut = text[begin], int(generator.integers(begin + 2, end - 1))
                yield begin, end, form.format(text[begin:cut] + quote, quote + text[cut:end])

    return edited(text, edits())


def _variable_names(text: str, generator: np.random.Generator) -> str:
    """Give each variable of the script another name, the same at every place, in expanded strings too.

    Variables of PowerShell itself and of a provider ($env:x) are kept, and parameters of calls (`-Path`).
    """
    matches = [match for match in _VARIABLE.finditer(_code(text, expanded=True)) if match["name"]]
    variables = {match["name"].lower() for match in matches if match.group().startswith("$")}
    renamed = _new_names(variables - AUTOMATIC, generator)
    names = ((match, renamed.get(match["name"].lower())) for match in matches)
    return edited(text, ((*match.span("name"), name) for match, name in names if name))


def _new_names(old: set[str], generator: np.random.Generator) -> dict[str, str]:
    """Return a new name for each old one, distinct from all of them and from each other."""
    taken, new = old | AUTOMATIC, {}
    while len(new) < len(old):
        name = bytes((ord("a") + generator.integers(26, size=NAME_LETTERS)).tolist()).decode()
        if name not in taken:
            new[name] = None
    return dict(zip(sorted(old), new, strict=True))


def _comment_padding(text: str, generator: np.random.Generator) -> str:
    """Put a comment line before and after, and clean: a no-op, as cleaning takes comments out.

    Only a text that ends within a string or block comment keeps the last line. A text that another cleaning
    would change even without a comment (it has a # from a here-string) cannot show this and is left.
    """
    if clean(text) != text:
        return text
    first, last = generator.integers(10**9, size=2)
    return clean(f"# {first}\n{text}\n# {last}")


def _beside_host(text: str, generator: np.random.Generator, hosts: Sequence[str], form: str) -> str:
    """Glue a benign host to the text, in a form of {text} and {host}; of no text it is the host alone."""
    host = hosts[generator.integers(len(hosts))]
    return form.format(text=text, host=host) if text else host


TRANSFORMS: dict[str, Callable[..., str]] = {
    "case": _case,
    "backticks": _backticks,
    "concatenation": partial(_halved, form="({0}+{1})"),
    "format_operator": partial(_halved, form='("{{1}}{{0}}" -f {1},{0})'),
    "alias_to_command": _alias_to_command,
    "command_to_alias": _command_to_alias,
    "variable_names": _variable_names,
    "comment_padding": _comment_padding,
    "benign_before": partial(_beside_host, form="{host} {text}"),
    "benign_after": partial(_beside_host, form="{text} {host}"),
    "benign_around": partial(_beside_host, form="{host} {text} {host}"),
}
HOSTED = ("benign_before", "benign_after", "benign_around")  # these need hosts
