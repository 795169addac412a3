"""Static unwrapping: a script and the scripts wrapped in it, as AMSI would see them one after another.

Nothing is executed, whatever the text: constants are folded (`folding`), what is given to Invoke-Expression
and the like or comes out of a decoding is a further layer, and each layer is unwrapped in its turn.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from psembed.powershell.cleaning import DOUBLE_QUOTES, SINGLE_QUOTES
from psembed.powershell.unwrap.command_line import handed_over
from psembed.powershell.unwrap.dotnet.encodings import (
    GZIP_MAGIC,
    ascii_share,
    decoded,
    from_base64,
    guessed_codec,
    inflated,
    plausible,
    well_formed,
)
from psembed.powershell.unwrap.dotnet.operators import join
from psembed.powershell.unwrap.dotnet.values import Budget, Cut, attempt
from psembed.powershell.unwrap.interpreter.findings import Finding
from psembed.powershell.unwrap.interpreter.folding import Folded, fold_constants
from psembed.powershell.unwrap.interpreter.hosts import role_of
from psembed.powershell.unwrap.parsing.lexis import DASHES

SCRIPT, LITERALS, ENCODED_COMMAND, BASE64 = "script", "literals", "-EncodedCommand", "FromBase64String"
GIVEN = "Invoke-Expression"  # a plain string given to run, by this command or another
SHORTEST = 8  # characters of a layer
LONGEST_LINE = 1 << 20  # characters of a command line, or of several
ASCII_SHARE, BARE_ASCII_SHARE = 0.7, 0.97  # of text without a known encoding; of Base64 that nothing decodes
_Q = SINGLE_QUOTES + DOUBLE_QUOTES
# -EncodedCommand with its value, and in both what cmd and PowerShell take away: quotes, carets, line ends.
_PARAMETER = re.compile(
    rf"[{DASHES}/][`^]?+(e(?:[a-z^`]|\"\"){{0,30}}+)[{_Q}]?+(?:[\s:=,]|[`^]\r?\n){{1,100}}+[({_Q}^`]*+"
    r"((?=[A-Za-z0-9+/^`\"]{10})(?:[A-Za-z0-9+/^`]++|(?<=[`^])\r?\n|\"{1,2}+(?=[A-Za-z0-9+/^]{4}))++={0,2})",
    re.IGNORECASE,
)
_BARE = re.compile(r"[A-Za-z0-9+/]{40,}+={0,2}")
_GAP = r"(?:\s|<\#(?:[^\#]|\#[^>])*\#+>|`\r?\n)*"  # what may stand between two tokens
_B = r"(?-u:\b)"  # of ASCII words: ten times as fast as one of all words
# For polars, whose regular expressions take linear time whatever they say. After a dot that runs a command a
# path with slashes is a script's file.
_RUNS_OR_DECODES = rf"""(?ix)
    {_B}i`?e`?x{_B} | i`?n`?v`?o`?k`?e`?-`?e`?x | invoke-?script | newscriptblock | addscript
    | scriptblock\]{_GAP}(?:::|[({_Q}]) | &{_GAP}(?:[({{$] | [{_Q}][^{_Q}\\/.:\r\n]{{1,60}}[{_Q}])
    | \|{_GAP}[&.] | \|{_GAP}\w*`
    | (?:^|[\r\n;|{{}}(=>])[\ \t]*\.{_GAP}(?:\(|\$\{{|\$[\w:]+(?:[^\w:\\/]|$)|[{_Q}][^\\/{_Q}]{{1,60}}[{_Q}])
    | \.\( | \.\$\w+{_GAP}\( | \.[{_Q}][^\s{_Q}]{{1,60}}[{_Q}]{_GAP}[(.] | [{_Q})]{_GAP}\.{_GAP}invoke
    | \w`[c-dg-mo-qsw-z]\w | base64 | gzip | deflate | \[{_GAP}char | -bxor | getstring | unescape
    | (?:{_B}[sn]al|-alias)\s[^\r\n;]{{0,60}}[($] | -join[^\r\n]*\.\. | \.\.[^\r\n]*-join
    | convert\] | tochararray | fromcharcode | fromhexstring | convertfromutf32 | urldecode | htmldecode
    | soaphex
    | \|{_GAP}(?:powershell|pwsh) | (?:start-process|{_B}saps){_GAP}(?:-f\w*{_GAP})?[$(][^\r\n]{{0,100}}\s-a
    | (?:powershell|pwsh)(?:\.exe)?[{_Q}]?{_GAP}(?:[$(&@{_Q}]
        | (?:[^\r\n|;]{{0,150}}[\s{_Q},])??[{DASHES}/][{_Q}]*[eca][a-z`^{_Q}]*[\s:,])
"""
# A command line whose script is not quoted and begins with an assignment.
_COMMAND_LINE = re.compile(
    r"""\A\s*+["']?+(?:[^"'\r\n;|=]{0,200}[\\/])?(?:powershell|pwsh)(?:\.exe)?["']?+(?:\s++-\w++(?:\s++\w++)?+)*+"""
    r"""\s++(?=\$\w++\s*+=)""",
    re.IGNORECASE,
)
_MENTIONS = re.compile(r"base64|H4sI|deflate|gzip", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """Bounds of one unwrapping."""

    depth: int = 8  # layers within layers
    layers: int = 64  # in all, the script included
    characters: int = 1 << 24  # of all results, intermediate ones included
    steps: int = 500_000  # tokens that are read and nodes that are evaluated


@dataclass(frozen=True)
class Layer:
    """A script, or one found in it: its `text` as decoded.

    `how` says what uncovered it: "script" for the script itself, "literals" for a layer with its constant
    expressions folded, "Invoke-Expression" for a plain string given to run, else the most decisive step, such
    as "-EncodedCommand", "FromBase64String", "gzip", "deflate", "characters", "hexadecimal", "xor",
    "reversal", "concatenation", "format operator", "join", "replace" or "split". `parent` is the place of the
    layer it was found in, -1 for the script itself; `depth` how many were unwrapped before, that of its
    parent for "literals".
    """

    text: str
    how: str
    parent: int
    depth: int


class Unwrapped(NamedTuple):
    """The layers, the script itself first, and the limit that stopped the unwrapping ("": none did)."""

    layers: list[Layer]
    cut: str


def may_run(texts: Sequence[str]) -> list[bool]:
    """Tell which texts hold what may run or decode a string; in others no constants need be folded.

    A name that is put together, such as 'i' + 'ex', still needs an operator that runs it, and these are what
    is looked for. What folding would only spell out, without anything that runs it, is not uncovered.
    """
    return pl.Series(list(map(well_formed, texts)), dtype=pl.String).str.contains(_RUNS_OR_DECODES).to_list()


def unwrap(text: str, runs: bool = True, *, limits: Limits = Limits()) -> Unwrapped:
    """Return a script and every script that can be uncovered in it without running anything.

    Never raises, on any text. A text that was uncovered before is not given again, nor one of fewer than
    SHORTEST characters, nor what is not plausibly text.

    Parameters
    ----------
    text : str
        A raw script or command line; its line ends matter (see `cleaning`).
    runs : bool
        False for a text that nothing runs or decodes in (`may_run`): it is searched for Base64 only.
    limits : Limits

    Examples
    --------
    >>> from psembed import unwrap
    >>> [layer.text for layer in unwrap("iex ('Write-Host' + ' 1')").layers]
    ["iex ('Write-Host' + ' 1')", "iex 'Write-Host 1'", 'Write-Host 1']
    """
    unwrapping = _Unwrapping(text, limits, runs=runs)
    try:
        unwrapping.run()
    except Cut as cut:
        unwrapping.cut = str(cut)
    return Unwrapped(unwrapping.layers, unwrapping.cut)


class _Unwrapping:
    def __init__(self, text: str, limits: Limits, *, runs: bool):
        self.limits, self.cut = limits, ""
        self.budget = Budget(limits.steps, limits.characters)
        self.runs = runs
        self.layers = [Layer(text, SCRIPT, -1, 0)]
        self.seen = {hash(_stripped(text))}  # the texts themselves may be long

    def run(self) -> None:
        for place, layer in enumerate(self.layers):  # to which those within are appended
            if layer.how != LITERALS:
                self._unwrap(place, layer.text)

    def _unwrap(self, place: int, text: str) -> None:
        """Add what is uncovered in one layer: where it only hands scripts over, these alone."""
        fold = place > 0 or self.runs
        folded = fold_constants(text, self.budget) if fold else Folded(text, [], [], "")
        if self._hand_over(place, text) or self._hand_over(place, folded.text):
            return
        if folded.text != text:
            self._add(folded.text, LITERALS, place)
        for script in folded.scripts:
            self._add(script.value, script.how or GIVEN, place)
        for each in folded.decoded:
            for value, how in self._texts(each, text):
                self._add(value, how, place)
        if folded.cut:
            raise Cut(folded.cut)
        if line := _COMMAND_LINE.match(text):
            rest = text[line.end() :].partition("\n")[0].strip()
            unpaired = rest[-1:] in tuple(_Q) and rest.count(rest[-1]) % 2
            self._add(rest[:-1] if unpaired else rest, GIVEN, place)
        for value, how in self._in_plain_sight(folded.text):
            self._add(value, how, place)

    def _hand_over(self, place: int, text: str) -> bool:
        """Add the scripts that a text hands to PowerShell; tell whether it does, and nothing else."""
        scripts = [*map(self._encoded_command, handed_over(text) if len(text) <= LONGEST_LINE else ())]
        if not all(scripts):
            return False
        for script in scripts:
            self._add(script, ENCODED_COMMAND, place)
        return bool(scripts)

    def _add(self, text: str, how: str, parent: int) -> None:
        """Append a layer, unless it is too short, known or no text; raise `Cut` where there is no room."""
        text = well_formed(text.replace("\0", ""))  # NULs end a .NET buffer
        stripped = _stripped(text)
        shortest = 1 if how == ENCODED_COMMAND and stripped.isascii() else SHORTEST
        if len(stripped) < shortest or hash(stripped) in self.seen:
            return
        if not (how == LITERALS or plausible(text)):
            return
        depth = self.layers[parent].depth + (how != LITERALS)
        if depth > self.limits.depth:
            self.cut = "depth"
            return
        if len(self.layers) >= self.limits.layers:
            raise Cut("layers")
        self.seen.add(hash(stripped))
        self.layers.append(Layer(text, how, parent, depth))

    def _texts(self, finding: Finding, script: str) -> Iterator[tuple[str, str]]:
        """Yield (text, how) of a decoded string, of characters, or of bytes: compressed or text."""
        value, how = finding.value, finding.how
        if isinstance(value, bytes | bytearray):
            yield from self._of_bytes(bytes(value), how, deflate="deflate" in script.lower())
            return
        text = value if isinstance(value, str) else attempt(join, self.budget, value)
        if text is not None:
            yield text, how

    def _of_bytes(self, data: bytes, how: str, *, deflate: bool) -> Iterator[tuple[str, str]]:
        compressed = data.startswith(GZIP_MAGIC)
        if compressed or deflate:
            content = attempt(inflated, self.budget, data)
            if content is not None:
                data, how = content, "gzip" if compressed else "deflate"
        text = decoded(self.budget, data)
        if text and not (ascii_share(text) < ASCII_SHARE and guessed_codec(data) == "latin-1"):
            yield text, how

    def _in_plain_sight(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield (text, how) of encoded commands and other Base64, wherever they stand."""
        taken: set[str] = set()
        for match in _PARAMETER.finditer(text):
            name = re.sub('[`^"]', "", match[1]).lower()
            if role_of(name) == "script":
                taken.add(match[2])
                if command := self._encoded_command(match[2]):
                    yield command, ENCODED_COMMAND
        if not _MENTIONS.search(text):
            return
        deflate = "deflate" in text.lower()
        for match in _BARE.finditer(text):
            data = None if match[0] in taken else attempt(from_base64, self.budget, match[0])
            for value, how in self._of_bytes(data, BASE64, deflate=deflate) if data is not None else ():
                if ascii_share(value) >= BARE_ASCII_SHARE:
                    yield value, how

    def _encoded_command(self, digits: str) -> str:
        """Return the script of an encoded command: UTF-16, else UTF-8 where that is no text; "": neither."""
        data = attempt(from_base64, self.budget, digits)
        if data is None:
            return ""
        wide, narrow = (data.decode(codec, "replace") for codec in ("utf-16-le", "utf-8"))
        for text, share in ((wide, 0.5), (narrow, ASCII_SHARE), (wide, 0.1)):
            certain = text is wide or len(text) >= SHORTEST
            if certain and plausible(text) and ascii_share(text) >= share:
                return text.removeprefix("\ufeff")
        return ""


def _stripped(text: str) -> str:
    """Return a text without white space around it; a long one as it is, for a copy takes its size again."""
    return text if len(text) > LONGEST_LINE else text.strip()
