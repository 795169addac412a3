"""Comments and white space out: the one way every script is cleaned before a model sees it."""

import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator

COMMENT, STRING = "comment", "string"
IN_STRING, AFTER_STRING = "\x02", "\x03"  # what a line of `code_lines` begins with; part of no token
# PowerShell reads typographic quotes as quotes (about_Quoting_Rules).
SINGLE_QUOTES, DOUBLE_QUOTES = "'\u2018\u2019\u201a\u201b", '"\u201c\u201d\u201e'
_SPECIAL = rf"{SINGLE_QUOTES}{DOUBLE_QUOTES}`#<@"
_IN_CODE = re.compile(rf"[{_SPECIAL}]")
_IN_NESTED_CODE = re.compile(rf"[{_SPECIAL}()]")
_IN_STRING = re.compile(rf"[{DOUBLE_QUOTES}`]|\$\(")
# Adjacent whole strings in one step; the bound keeps the regex engine's stack small.
_PLAIN_STRINGS = re.compile(
    rf"(?:[{DOUBLE_QUOTES}][^{DOUBLE_QUOTES}`$]*[{DOUBLE_QUOTES}]"
    rf"|[{SINGLE_QUOTES}][^{SINGLE_QUOTES}]*[{SINGLE_QUOTES}]){{1,1000}}"
)
_HERE_STRING = re.compile(rf"@([{SINGLE_QUOTES}]|[{DOUBLE_QUOTES}])[ \t]*[\r\n]")
# The end of a here-string that is double-quoted, or not.
HERE_END = {
    double: re.compile(rf"(?:\r\n?|\n)[{quotes}]@")
    for double, quotes in ((False, SINGLE_QUOTES), (True, DOUBLE_QUOTES))
}
# A # opens a comment only where a token can start: after white space, after a character that ends
# every token (about_Parsing), or after a closing bracket, quote or block comment; so not in page#top.
_BEFORE_COMMENT = frozenset("&(),;{}|]" + SINGLE_QUOTES + DOUBLE_QUOTES)
_COMMENT_LINES = re.compile(r"#[^\r\n]*(?:[\r\n]\s*#[^\r\n]*){0,1000}")
Rewriting = dict[str, Callable[[str], str]]  # what stands for a span of each kind
Edit = tuple[int, int, str]  # start, end, what stands there instead
_SPACE_STEP = 1 << 20  # characters; white space is collapsed in pieces to bound memory


def strip_comments(text: str) -> str:
    r"""Return `text` without byte-order mark, carriage returns and comments; line structure is kept.

    One left-to-right pass in linear time. Strings, here-strings, back-tick escapes and code inside
    `$( )` of a double-quoted string are recognised, so a # in them is not taken for a comment. A block
    comment becomes one space; line comments that follow each other go together with the lines between
    them. Whatever is never closed (a string, a block comment) is kept to the end: nothing is lost from a
    damaged script.
    """
    text = _unix_lines(text)
    return edited(text, _without_comments(text))


def code_lines(text: str, *, comments: bool = False, strings: bool = True) -> str:
    """Return `text` with every string, and what follows it on its line, on a line of its own.

    So a line is one of code, one of a string (it begins with IN_STRING, its own line breaks are spaces) or
    the rest of a line of code (it begins with AFTER_STRING). Without `comments` they go as in
    `strip_comments`; without `strings` each of them, here-strings too, is two apostrophes.
    """

    def string(piece: str) -> str:
        return f"\n{IN_STRING}{_one_line(piece) if strings else 2 * SINGLE_QUOTES[0]}\n{AFTER_STRING}"

    text = _unix_lines(text)
    return edited(text, _edits(text, {COMMENT: _one_line if comments else _comment_gone, STRING: string}))


def _unix_lines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _one_line(piece: str) -> str:
    return piece.replace("\n", " ")


def _comment_gone(piece: str) -> str:
    return " " if piece.startswith("<") else ""


def _without_comments(text: str) -> Iterator[Edit]:
    return _edits(text, {COMMENT: _comment_gone}) if "#" in text else iter(())


def _edits(text: str, instead: Rewriting) -> Iterator[Edit]:
    """Yield the replacement of each span of a kind in `instead` by what that makes of it."""
    return ((b, e, instead[kind](text[b:e])) for kind, b, e in spans(text) if kind in instead)


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return `text` after these edits, which are in order and do not overlap."""
    kept: list[str] = []
    start = 0
    for begin, end, instead in edits:
        kept += text[start:begin], instead
        start = end
    return "".join([*kept, text[start:]])


def spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (COMMENT or STRING, start, end) from left to right; what lies between is code.

    A double-quoted string with `$( )` in it is several spans, as what is in the brackets is code; strings
    without a gap between them may be one span.
    """
    position, size = 0, len(text)
    depths: list[int] = []  # open brackets of each open `$(`
    while match := (_IN_NESTED_CODE if depths else _IN_CODE).search(text, position):
        begin, character = match.start(), match.group()
        position = begin + 1
        if character in "()":
            depths[-1] += 1 if character == "(" else -1
            if not depths[-1]:
                depths.pop()
                position = _skip_expandable(text, position, depths)
                yield STRING, begin + 1, position
        elif character == "#":
            if comment := _token_can_start(text, begin) and _COMMENT_LINES.match(text, begin):
                position = comment.end()
                yield COMMENT, begin, position
        elif character == "<":
            if text.startswith("#", position):
                close = text.find("#>", begin + 2)
                position = size if close < 0 else close + 2
                if close >= 0:
                    yield COMMENT, begin, position
        else:
            position = _skip_quoted(text, begin, character, depths)
            if character != "`" and position > begin + 1:
                yield STRING, begin, position


def _token_can_start(text: str, position: int) -> bool:
    before = text[position - 1 : position]
    return not before or before.isspace() or before in _BEFORE_COMMENT or text.endswith("#>", 0, position)


def _skip_quoted(text: str, begin: int, character: str, depths: list[int]) -> int:
    """Return the position after the string, here-string or escape that starts at `begin`."""
    if character == "`":
        return begin + 2
    if character == "@":
        head = _HERE_STRING.match(text, begin)
        if head is None:
            return begin + 1
        end = HERE_END[head.group(1) in DOUBLE_QUOTES].search(text, head.end() - 1)
        return len(text) if end is None else end.end()
    if plain := _PLAIN_STRINGS.match(text, begin):
        return plain.end()
    if character in SINGLE_QUOTES:
        return len(text)
    return _skip_expandable(text, begin + 1, depths)


def _skip_expandable(text: str, position: int, depths: list[int]) -> int:
    """Skip the rest of a double-quoted string, up to its end or to a `$(`, whose code comes next."""
    while match := _IN_STRING.search(text, position):
        position = match.end()
        if match.group() == "$(":
            depths.append(1)
        if match.group() != "`":
            return position
        position += 1
    return len(text)


def clean(text: str, *, most: int | None = None) -> str:
    """Return the text every classifier sees: `strip_comments`, then white space as single spaces.

    Apply it once, to decoded text: it joins lines, and here-strings need theirs to be recognised. Of a long
    text only the first and the last `most` characters need be right; what is between them may be left out.
    """
    if len(text) <= _SPACE_STEP:
        return " ".join(strip_comments(text).split())
    pieces = list(_spaced(text.removeprefix("\ufeff")))
    if most is not None:
        head, tail = _reach(pieces, most), _reach(reversed(pieces), most)
        pieces = pieces[:head] + pieces[max(head, len(pieces) - tail) :]
    joined = "".join(pieces)
    while "  " in joined:
        joined = joined.replace("  ", " ")
    return joined.strip()


def _spaced(text: str) -> Iterator[str]:
    """Yield a text without comments in pieces, white space in each as single spaces; it bounds memory."""
    start, held, size = 0, io.StringIO(newline=""), 0
    for begin, end, instead in itertools.chain(_without_comments(text), [(len(text), len(text), "")]):
        for step in range(start, begin, _SPACE_STEP):
            size += held.write(text[step : min(step + _SPACE_STEP, begin)])
            if size >= _SPACE_STEP:
                yield _single_spaces(held.getvalue())
                held, size = io.StringIO(newline=""), 0
        size += held.write(instead)
        start = end
    if size:
        yield _single_spaces(held.getvalue())


def _reach(pieces: Iterable[str], most: int) -> int:
    """Return how many pieces have `most` characters in them, without the spaces at their ends."""
    sizes = itertools.accumulate(max(len(piece) - 2, 0) for piece in pieces)
    return 1 + sum(1 for _ in itertools.takewhile(lambda size: size < most, sizes))


def is_blank(text: str) -> bool:
    """Return whether `clean` leaves nothing of a text: it is white space and comments."""
    text, end = _unix_lines(text), 0
    for kind, begin, after in spans(text):
        if kind != COMMENT or text[end:begin].strip():
            return False
        end = after
    return not text[end:].strip()


def _single_spaces(piece: str) -> str:
    before, after = (" " if end.isspace() else "" for end in (piece[0], piece[-1]))
    return before + " ".join(piece.split()) + after
