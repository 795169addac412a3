"""Where in a script its verdict comes from, and the hash by which GitHub knows a line again."""

import base64
import re

from psembed.detector.explain import Scorer, weighed_pieces
from psembed.detector.verdict import Region, Verdict
from psembed.powershell.cleaning import COMMENT, clean, edited, spans

SAMPLES = 64  # what they find lowers the score as much as what four times as many find
WINDOW, FACTOR = 100, 37  # characters that GitHub hashes, and the base of its polynomial
BOM, END = "\ufeff", "\uffff"  # the latter stands there for the end of the file
_VISIBLE, _WORDS, _LINE = re.compile(r"\S"), re.compile(r"\S+"), re.compile(r"\S(?:.*\S)?")
Span = tuple[int, int]  # start and end in a text, the end exclusive


def deciding_region(detector: Scorer, verdict: Verdict) -> Region:
    """Return where in a script the verdict, which has the texts of its layers, comes from.

    Where the script itself decides, that is its strongest piece. Of an uncovered layer it is the place of its
    text or its Base64, or of what it was found in; where neither is in the script, the first line of code.
    """
    script = _unix_lines(verdict.texts[0])
    code = _code_in_place(script)
    own = detector.view(clean(verdict.texts[0]))
    found = _of_layer(verdict, script) if verdict.layer else _of_piece(detector, own, code)
    lines, columns = [], []
    line = _LINE.search(code)  # the first that holds code
    for place in found or (line.span() if line else (0, 0)):
        lines.append(script.count("\n", 0, place) + 1)
        columns.append(len(_utf16(script[script.rfind("\n", 0, place) + 1 : place])) // 2 + 1)
    as_stored = BOM * (verdict.encoding == "utf-8-bom") + script
    return Region(lines[0], columns[0], lines[1], columns[1], line_hash(as_stored, lines[0]))


def _unix_lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def _code_in_place(script: str) -> str:
    """Return `script` with spaces for comments and a byte-order mark, so that code keeps its place."""
    script = " " * script.startswith(BOM) + script.removeprefix(BOM)
    comments = ((start, end) for kind, start, end in spans(script) if kind == COMMENT)
    return edited(script, ((start, end, _VISIBLE.sub(" ", script[start:end])) for start, end in comments))


def _of_piece(detector: Scorer, read: str, code: str) -> Span | None:
    """Return the place in `code` of what weighs most in `read`, which is that text without its white space.

    Of a long text only head and tail were read, so what is in the tail is counted from the end.
    """
    pieces = weighed_pieces(detector, read, samples=SAMPLES)
    if not pieces:
        return None
    strongest = max(pieces, key=lambda piece: piece.weight)
    total, head = _visible(code), len(read) - 1 - (len(read) - 1) // 4
    start, end = (
        _visible(read[:place]) if place <= head else total - _visible(read[place:])
        for place in (strongest.start, strongest.end)
    )
    return _place(code, start), _place(code, max(start, end - 1)) + 1


def _visible(text: str) -> int:
    """Return how many characters are no white space."""
    return sum(map(len, text.split()))


def _place(code: str, number: int) -> int:
    """Return the place of the character of this number, from 0, among those that are no white space."""
    for word in _WORDS.finditer(code):
        if number < word.end() - word.start():
            return word.start() + number
        number -= word.end() - word.start()
    return max(0, len(code) - 1)


def _of_layer(verdict: Verdict, script: str) -> Span | None:
    """Return the place of the layer that decides, or of the nearest around it that is seen in the script."""
    number = verdict.layer or 0
    while number > 0:
        text = verdict.texts[number]
        if (start := script.find(_unix_lines(text))) >= 0:
            return start, start + len(_unix_lines(text))
        for data in (_utf16(text), text.encode("utf-8", "surrogatepass")):
            shown = base64.b64encode(data[: len(data) // 3 * 3]).decode()  # what came after it may be gone
            if shown and (found := re.search(rf"{re.escape(shown)}[\w+/=]*", script, re.ASCII)):
                return found.span()
        number = verdict.layers[number].parent
    return None


def line_hash(text: str, line: int) -> str:
    r"""Return the hash by which GitHub's code scanning knows a line again (CodeQL action, fingerprints.ts).

    `text` has \n at line ends; lines count from 1. It is a polynomial of the 100 UTF-16 code units from the
    start of the line on, without spaces and tabs, and after ":" how many lines up to this one have it.
    """
    squeezed = text.replace(" ", "").replace("\t", "") + END
    start = 0
    for _ in range(line - 1):
        start = squeezed.index("\n", start) + 1
    window = squeezed[start : start + WINDOW]
    units = memoryview(_utf16(window)).cast("H")[:WINDOW].tolist()
    value = 0
    for unit in units + [0] * (WINDOW - len(units)):
        value = value * FACTOR + unit
    alike = re.compile(rf"(?m)^(?={re.escape(window)})").findall(squeezed, 0, start + len(window))
    return f"{value % 2**64:x}:{len(alike)}"
