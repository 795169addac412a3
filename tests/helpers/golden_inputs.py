"""The inputs of the golden records: how those of the released file were made.

Inputs are inert: words, punctuation and addresses of names that cannot exist. There are no lone surrogates,
which no decoding gives.
"""

import base64
import json
import random
from collections.abc import Iterator
from pathlib import Path

from psembed.detector.detector import MAX_BYTES
from psembed.sources import grammar

Parts = list[tuple[str, int]]
# Texts, each one trap of cleaning, of the token pattern or of UTF-16 (the contract explains them); pieces of
# texts, and frames around them; texts at and above each limit (512 tokens, 2,048 characters, READ_CHARS), as
# parts; bytes as a whole, damage within UTF-8, and within UTF-16 (as Latin-1).
_DATA = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="ascii"))
EDGES, FRAGMENTS, NESTED = (tuple(_DATA[name]) for name in ("edges", "fragments", "nested"))
LONG = _DATA["long"]
WHOLE, NO_UTF8, NO_UTF16 = (
    tuple(text.encode("latin-1") for text in _DATA[name]) for name in ("whole", "no_utf8", "no_utf16")
)
RUNS = tuple(letter * length + end for letter in "aZ+/0\u00e9" for length in (63, 64, 65, 99, 100, 101)
             for end in ("", "===", "-b"))  # fmt: skip
# characters which a lower-casing or white space could be wrong about
SWEPT = (*range(0x80, 0x3400), *range(0xA600, 0xAC00), *range(0xD7A0, 0xD7B0), *range(0xF900, 0x10100))
SWEPT = tuple(code for code in SWEPT if not 0xD800 <= code < 0xE000)
STRATA = ("scripts", "generated", "malicious-a", "malicious-b", "offensive")


def inputs(n: int = 1000, seed: int = 1) -> list[dict]:
    """Return `n` texts, first fixed ones, each a trap, then random ones; and after them inputs of bytes."""
    texts = [{"kind": "text", "parts": parts} for parts in _recipes(n, seed)]
    return texts + [{"kind": "bytes", "parts": parts} for parts in _byte_recipes(seed)]


def _recipes(n: int, seed: int) -> list[Parts]:
    rng = random.Random(seed)
    swept = ([f"a{chr(code)}" for code in SWEPT[start : start + 480]] for start in range(0, len(SWEPT), 480))
    fixed = [[(text, 1)] for text in (*EDGES, *RUNS, *map(" ".join, swept))] + LONG
    makers = (_mixture, _mixture, _mixture, _nested_script, _plain_script, _repeated)
    drawn = [makers[number % len(makers)](rng) for number in range(n - len(fixed))]
    return (fixed + drawn)[:n]


def _mixture(rng: random.Random) -> Parts:
    """Return fragments in any order, so mostly unclosed strings and comments."""
    text = "".join(rng.choice(FRAGMENTS) for _ in range(rng.choice((3, 8, 20, 60))))
    return [(text, 1)]


def _nested_script(rng: random.Random) -> Parts:
    lines = (_statement(rng, rng.randrange(4)) for _ in range(rng.randrange(1, 8)))
    end = rng.choice(("\n", "\r\n", "\r", " # note\n", "\n<# note #>\n"))
    return [("\ufeff" * (rng.random() < 0.1) + end.join(lines), 1)]


def _statement(rng: random.Random, depth: int) -> str:
    """Return a statement with strings and `$( )` to a given depth, all of them closed."""
    if depth == 0:
        return rng.choice(FRAGMENTS[:4]) + rng.choice((" 1", " 'a#b'", " # c", "`#d", " <# e #>"))
    inner = _statement(rng, depth - 1)
    return rng.choice(NESTED).format(inner)


def _plain_script(rng: random.Random) -> Parts:
    _, text = grammar.write_script(rng.choice(STRATA), rng)
    return [(text.replace("\n", rng.choice(("\n", "\r\n"))), 1)]


def _repeated(rng: random.Random) -> Parts:
    """Return scripts said several times, so that rows are cut in the middle."""
    return [(_mixture(rng)[0][0], rng.randrange(1, 60)), (_plain_script(rng)[0][0], rng.randrange(1, 12))]


def _byte_recipes(seed: int) -> list[Parts]:
    cases = [*_encoded(random.Random(seed)), *_damaged(), *_shares()]
    recipes = [[(base64.b64encode(case).decode(), 1)] for case in cases]
    return [*recipes, [("ICAg", MAX_BYTES // 3), ("eHk=", 1)]]  # one byte more than is read


def _encoded(rng: random.Random) -> Iterator[bytes]:
    """Yield texts in every encoding that is told apart."""
    western = "\u00e4\u00f6 \u2013x \u201ca\u201d", "\u20ac\u0160\u0152 # c"
    for text in ("Get-Item 'a'\r\n", *western, "ab", "x"):
        yield from (text.encode("cp1252"), b"\xef\xbb\xbf" + text.encode(), text.encode())
        for codec, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
            yield from (mark + text.encode(codec), text.encode(codec))
    for text in ("\u4f60\u597d \U0001f600 iex", "\u0416\u0430 \u03a3", _mixture(rng)[0][0]):
        yield from (text.encode(), b"\xff\xfe" + text.encode("utf-16-le"), text.encode("utf-16-be"))


def _damaged() -> Iterator[bytes]:
    """Yield what is empty, binary, or not what its mark says."""
    yield from (*WHOLE, bytes(range(128, 256)) + b" Windows-1252", bytes(range(256)))
    for blank in range(0x1C, 0x20):
        yield from (b"\xef\xbb\xbf" + bytes([blank]), b"\xff\xfe" + bytes([blank, 0]))
    for damage in NO_UTF8:
        yield from (b"\xef\xbb\xbfa" + damage + b"b", b"abc" + damage + b" ")
    for damage in NO_UTF16:
        yield from (b"\xff\xfea\x00" + damage, b"a\x00b\x00c\x00" + damage)


def _shares() -> Iterator[bytes]:
    """Yield bytes at and beside the shares of control characters and of NULs that decide."""
    for control in b"\x01\x07\x08\x0e\x19\x1a\x1b\x1c\x1f\x7f":
        controls = bytes([control])
        yield from (controls + letters for letters in (b"a" * 18, b"a" * 19, b"\xe9" * 18, b"\xe9" * 19))
    for nuls, units in ((1, 1), (1, 2), (2, 2), (2, 10), (2, 11), (3, 15), (3, 16), (20, 100), (20, 101)):
        text = "a" * nuls + "\u4e2d" * (units - nuls)
        yield from (text.encode("utf-16-le"), text.encode("utf-16-be"))
