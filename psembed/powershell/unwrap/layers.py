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
from psembed.powershell.unwrap import literals
from psembed.powershell.unwrap.commands import is_encoded_parameter
from psembed.powershell.unwrap.folder import DASHES, Folded, Found, fold
from psembed.powershell.unwrap.literals import REJECTED, Budget, Cut

SCRIPT, LITERALS, ENCODED_COMMAND, BASE64 = "script", "literals", "-EncodedCommand", "FromBase64String"
GIVEN = "Invoke-Expression"  # a plain string given to run, by this command or another
SHORTEST = 8  # characters of a layer
CONTROL_SHARE = 0.05  # of a text's characters; text with more is binary data
ASCII_SHARE, BARE_ASCII_SHARE = 0.7, 0.97  # of text without a known encoding; of Base64 that nothing decodes
_SAMPLE = 1 << 16  # characters looked at to tell text from data
_CONTROL = re.compile("[\0-\x08\x0e-\x1f\x7f-\x9f\ufffd-\uffff\ud800-\udfff\ue000-\uf8ff]")
_ASCII = re.compile("[\t\n\r -~]")
_PARAMETER = re.compile(
    rf"[{DASHES}/](e[a-z^`]{{0,30}}+)['\"]?+[\s:=]{{1,100}}+[('\"\u2018\u2019\u201c\u201d^`]*+"
    r"([A-Za-z0-9+/^`]{10,}+={0,2})",
    re.IGNORECASE,
)
_BARE = re.compile(r"[A-Za-z0-9+/]{40,}+={0,2}")
_LAUNCHER = re.compile(
    rf"[\w \t:\\/.%\"'-]{{0,200}}\b(?:powershell|pwsh)(?:\.exe)?[\"']?"
    rf"(?:[ \t]+[{DASHES}/](?![cf])[a-z]+(?:[ \t:=]+(?:[\"']?\w+[\"']?|[\"']{{2}}))?)*+[ \t]*[\"']?",
    re.IGNORECASE,
)
_LAUNCHER_LENGTH = 300  # characters, without what is encoded
_Q = SINGLE_QUOTES + DOUBLE_QUOTES
_GAP = r"(?:\s|<\#(?:[^\#]|\#[^>])*\#+>|`\r?\n)*"  # what may stand between two tokens
# For polars, whose regular expressions take linear time whatever they say. After a dot that runs a command a
# path with slashes is a script's file.
_RUNS_OR_DECODES = rf"""(?ix)
    \bi`?e`?x\b | i`?n`?v`?o`?k`?e`?-`?e | invoke-?script | newscriptblock | addscript | scriptblock\]
    | &{_GAP}[({{${_Q}] | \|{_GAP}[&.] | \|{_GAP}\w*`
    | (?:^|[\r\n;|{{}}(=>])[\ \t]*\.{_GAP}(?:\(|\$\{{|\$[\w:]+(?:[^\w:\\/]|$)|[{_Q}][^\\/{_Q}]{{1,60}}[{_Q}])
    | \.\( | \.\$\w+{_GAP}\( | \.[{_Q}][^\s{_Q}]{{1,60}}[{_Q}]{_GAP}[(.] | [{_Q})]{_GAP}\.{_GAP}invoke
    | `[^\s0abefnrtvu`${_Q}(){{}}\[\]|]
    | base64 | gzip | deflate | \[{_GAP}char | -bxor | getstring | unescape
    | -join[^\r\n]*\.\. | \.\.[^\r\n]*-join
    | convert\] | tochararray | fromcharcode | fromhexstring | convertfromutf32
    | \|{_GAP}(?:powershell|pwsh)
    | (?:powershell|pwsh)(?:\.exe)?[{_Q}]?{_GAP}[{DASHES}/{_Q}($&]
"""
_MENTIONS = re.compile(r"base64|H4sI|deflate|gzip", re.IGNORECASE)


@dataclass(frozen=True)
class Limits:
    """Bounds of one unwrapping.

    Attributes
    ----------
    depth : int
        Layers within layers.
    layers : int
        In all, the script included.
    characters : int
        Of all results, intermediate ones included.
    steps : int
        Rewrites.
    seconds : float
    """

    depth: int = 8
    layers: int = 64
    characters: int = 1 << 24
    steps: int = 100_000
    seconds: float = 1.5


@dataclass(frozen=True)
class Layer:
    """A script, or one found in it.

    Attributes
    ----------
    text : str
        The layer's script, as decoded.
    how : str
        What uncovered it: "script" for the script itself, "literals" for a layer with its constant
        expressions folded, "Invoke-Expression" for a plain string given to run, else the most decisive
        step, such as "-EncodedCommand", "FromBase64String", "gzip", "deflate", "characters", "hexadecimal",
        "xor", "reversal", "concatenation", "format operator", "join", "replace" or "split".
    parent : int
        Place of the layer it was found in; -1 for the script itself.
    depth : int
        How many were unwrapped before; that of its parent for "literals".
    carried : bool
        Whether its parent is a command line that hands it to PowerShell, encoded, and does nothing else.
    """

    text: str
    how: str
    parent: int
    depth: int
    carried: bool = False


class Unwrapped(NamedTuple):
    """The layers, the script itself first, and the limit that stopped the unwrapping ("": none did)."""

    layers: list[Layer]
    cut: str


def may_run(texts: Sequence[str]) -> list[bool]:
    """Tell which texts hold what may run or decode a string; others need not be folded.

    A name that is put together, such as 'i' + 'ex', still needs an operator that runs it, and these are what
    is looked for. What folding would only spell out, without anything that runs it, is not uncovered.
    """
    return pl.Series(list(map(paired, texts)), dtype=pl.String).str.contains(_RUNS_OR_DECODES).to_list()


def unwrap(text: str, folded: bool = True, *, limits: Limits = Limits()) -> Unwrapped:
    """Return a script and every script that can be uncovered in it without running anything.

    Never raises, on any text. A text that was found before is not given again, nor one of fewer than
    SHORTEST characters, nor what is not plausibly text.

    Parameters
    ----------
    text : str
        A raw script or command line; its line ends matter (see `cleaning`).
    folded : bool
        False for a text that nothing runs or decodes in (`may_run`): it is searched for Base64 only.
    limits : Limits
    """
    unwrapping = _Unwrapping(text, limits, folded=folded)
    try:
        unwrapping.run()
    except Cut as cut:
        unwrapping.cut = str(cut)
    return Unwrapped(unwrapping.layers, unwrapping.cut)


class _Unwrapping:
    def __init__(self, text: str, limits: Limits, *, folded: bool):
        self.limits, self.cut = limits, ""
        self.budget = Budget(limits.steps, limits.characters, limits.seconds)
        self.folded = folded
        self.layers = [Layer(text, SCRIPT, -1, 0)]
        self.seen = {text.strip()}

    def run(self) -> None:
        place = 0
        while place < len(self.layers):
            if self.layers[place].how != LITERALS:
                self._unwrap(place)
            place += 1

    def _unwrap(self, place: int) -> None:
        """Add what is found in one layer."""
        text = self.layers[place].text
        folded = fold(text, self.budget) if place or self.folded else Folded(text, [], [], "")
        if folded.text != text:
            self._add(folded.text, LITERALS, place)
        for found in folded.run:
            self._add(found.value, found.how or GIVEN, place)
        for found in folded.decoded:
            carried = found.how == ENCODED_COMMAND and hands_over(text, found.begin, found.end)
            for value, how in self._texts(found, text):
                self._add(value, how, place, carried=carried)
        if folded.cut:
            raise Cut(folded.cut)
        for value, how, carried in self._in_plain_sight(folded.text):
            self._add(value, how, place, carried=carried)

    def _add(self, text: str, how: str, parent: int, *, carried: bool = False) -> None:
        """Append a layer, unless it is too short, known or no text; raise `Cut` where there is no room."""
        text = paired(text.replace("\0", ""))  # NULs end a .NET buffer
        stripped = text.strip()
        if len(stripped) < SHORTEST or stripped in self.seen:
            return
        if how != LITERALS and not plausible(text):
            return
        depth = self.layers[parent].depth + (how != LITERALS)
        if depth > self.limits.depth:
            self.cut = "depth"
            return
        if len(self.layers) >= self.limits.layers:
            raise Cut("layers")
        self.seen.add(stripped)
        self.layers.append(Layer(text, how, parent, depth, carried))

    def _texts(self, found: Found, script: str) -> Iterator[tuple[str, str]]:
        """Yield (text, how) of a decoded string, of characters, or of bytes: compressed or text."""
        value, how = found.value, found.how
        if isinstance(value, str):
            yield value, how
        elif isinstance(value, bytes):
            yield from self._of_bytes(value, how, deflate="deflate" in script.lower())
        else:
            try:
                yield literals.join(self.budget, value), how
            except REJECTED:
                return

    def _of_bytes(self, data: bytes, how: str, *, deflate: bool) -> Iterator[tuple[str, str]]:
        compressed = data.startswith(literals.GZIP_MAGIC)
        if compressed or deflate:
            try:
                data = literals.inflated(self.budget, data)
                how = "gzip" if compressed else "deflate"
            except REJECTED:
                pass  # as it is, then
        if text := self._text_of_bytes(data):
            yield text, how

    def _text_of_bytes(self, data: bytes) -> str:
        text = literals.decoded(self.budget, data)
        return "" if ascii_share(text) < ASCII_SHARE and literals.guessed_codec(data) == "latin-1" else text

    def _in_plain_sight(self, text: str) -> Iterator[tuple[str, str, bool]]:
        """Yield (text, how, carried) of encoded commands and other Base64, wherever they stand."""
        taken: set[str] = set()
        for match in _PARAMETER.finditer(text):
            self.budget.check_time()
            name = match[1].lower().replace("^", "").replace("`", "")
            if is_encoded_parameter(name):
                taken.add(match[2])
                if found := self._encoded_command(match[2]):
                    yield found, ENCODED_COMMAND, hands_over(text, *match.span(2))
        if not _MENTIONS.search(text):
            return
        deflate = "deflate" in text.lower()
        for match in _BARE.finditer(text):
            self.budget.check_time()
            if match[0] not in taken:
                for value, how in self._bare(match[0], deflate=deflate):
                    yield value, how, False

    def _encoded_command(self, digits: str) -> str:
        """Return the script of an encoded command: UTF-16, else UTF-8 where that is no text; "": neither."""
        try:
            data = literals.from_base64(self.budget, re.sub("[`^]", "", digits))
        except REJECTED:
            return ""
        wide, narrow = (data.decode(codec, "replace") for codec in ("utf-16-le", "utf-8"))
        for text, share in ((wide, 0.5), (narrow, ASCII_SHARE), (wide, 0.1)):
            if plausible(text) and ascii_share(text) >= share:
                return text.removeprefix("\ufeff")
        return ""

    def _bare(self, digits: str, *, deflate: bool) -> Iterator[tuple[str, str]]:
        try:
            data = literals.from_base64(self.budget, digits)
        except REJECTED:
            return
        for text, how in self._of_bytes(data, BASE64, deflate=deflate):
            if ascii_share(text) >= BARE_ASCII_SHARE:
                yield text, how


def hands_over(text: str, begin: int, end: int) -> bool:
    """Tell whether `text` is one command line, and only hands PowerShell what text[begin:end] encodes."""
    if len(text) - (end - begin) > _LAUNCHER_LENGTH:
        return False
    return _LAUNCHER.fullmatch((text[:begin] + text[end:]).strip()) is not None


def plausible(text: str) -> bool:
    """Tell whether `text` reads as text: at most CONTROL_SHARE of it are control and other odd characters."""
    sample = text[:_SAMPLE]
    return len(_CONTROL.findall(sample)) <= CONTROL_SHARE * len(sample)


def ascii_share(text: str) -> float:
    """Return which share of the characters is printable ASCII or white space."""
    sample = text[:_SAMPLE]
    return len(_ASCII.findall(sample)) / max(len(sample), 1)


def paired(text: str) -> str:
    """Return `text` with pairs of surrogates joined, and U+FFFD for a half that stands alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
