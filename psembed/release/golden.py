"""Golden records: what the released folder makes of generated inputs, for ports to other languages.

docs/contract.md says how bytes become a score; a port is right if it gives the same for every record of
golden.jsonl.gz. Its first line is a header, each further line a record, all of them JSON in ASCII.

An input is written as its parts, a list of (piece, count): each piece is repeated count times, and the parts
are joined, so a text of a million characters takes one line. Inputs are inert: words, punctuation and
addresses of names that cannot exist. There are no lone surrogates, which no decoding gives.
"""

import base64
import gzip
import json
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from psembed.detector import manifest
from psembed.detector.detector import MAX_BYTES, Detector
from psembed.detector.manifest import TOKENIZER
from psembed.powershell import cleaning, decoding
from psembed.powershell.encoding import READ_CHARS, Encoder, ends
from psembed.powershell.tokens import tokenize
from psembed.runtime.errors import ModelError, ParameterError
from psembed.runtime.files import atomic, sha256
from psembed.sources import grammar

FORMAT = 1
GOLDEN = "golden.jsonl.gz"
SHORT = 48  # ids are written out for rows up to this length; longer ones have their SHA-256 only
Parts = list[tuple[str, int]]
Made = tuple[dict, str | None]  # a record, and the text that is scored, if any

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


def texts(n: int = 1000, seed: int = 1) -> list[str]:
    """Return `n` generated texts: first fixed ones, each a trap, then random ones.

    They are decoded, not cleaned, and valid Unicode without lone surrogates. The fixed ones come first, so a
    small `n` leaves out the random ones. Raises ParameterError if `n` is no whole number of at least 0.
    """
    return [_joined(parts) for parts in _recipes(n, seed)]


def write(folder: Path, detector: Detector, *, n: int = 1000, seed: int = 1) -> Path:
    """Write golden.jsonl.gz into a detector's folder, whole or not at all; the same bytes every time.

    `n` and `seed` are those of `texts`; the byte-level records are always all there. Raises ModelError if the
    folder's tokenizer.json is missing or not the one that `detector` was loaded with.
    """
    manifest.check_hash(Path(folder), TOKENIZER, detector.manifest)
    encoder = Encoder.from_json((Path(folder) / TOKENIZER).read_text(encoding="utf-8"))
    made = [_text_record(parts, encoder) for parts in _recipes(n, seed)]
    coded = [_byte_record(parts) for parts in _byte_recipes(seed)]
    header = {"kind": "header", "format": FORMAT, "texts": len(made), "bytes": len(coded)}
    records = [header | {"sha256": detector.manifest["sha256"]}, *_judged(made + coded, detector)]
    lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
    with (
        atomic(Path(folder) / GOLDEN) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as stream,
    ):
        stream.write(lines.encode("ascii"))
    return Path(folder) / GOLDEN


def read(path: Path) -> Iterator[dict]:
    """Yield the records of a golden file, without its header.

    Raises ModelError if the file is missing, damaged or of another format.
    """
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            version = json.loads(next(lines, "{}")).get("format")
            if version != FORMAT:
                raise ModelError(f"{GOLDEN}: format {version!r}, this psembed reads {FORMAT}: write it again")
            yield from map(json.loads, lines)
    except (OSError, EOFError, ValueError, AttributeError) as error:
        raise ModelError(f"{GOLDEN} cannot be read ({error}); write it again") from error


def input_of(record: dict) -> str | bytes:
    """Return what a record is about, put together from its parts: a text, or bytes."""
    if record["kind"] == "bytes":
        return b"".join(base64.b64decode(piece) * count for piece, count in record["parts"])
    return _joined(record["parts"])


def _joined(parts: Iterable[Sequence]) -> str:
    return "".join(piece * count for piece, count in parts)


def _recipes(n: int, seed: int) -> list[Parts]:
    if not isinstance(n, int) or n < 0:
        raise ParameterError(f"n is {n!r}: give a whole number of at least 0")
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


def _judged(made: list[Made], detector: Detector) -> Iterator[dict]:
    """Yield each record with the score of its text, in the fewest digits of that float32, and the verdict."""
    read = [text for _, text in made if text is not None]
    order = sorted(range(len(read)), key=lambda number: len(read[number]))  # so that little is padded
    scores = np.empty(len(read), dtype=np.float32)
    scores[order] = detector.score([read[number] for number in order])
    left = iter(scores)
    for record, text in made:
        if text is None:
            yield record | {"score": None, "malicious": None}
        else:
            score = next(left)
            yield record | {"score": float(str(score)), "malicious": float(score) >= detector.threshold}


def _text_record(parts: Parts, encoder: Encoder) -> Made:
    text = _joined(parts)
    cleaned = cleaning.clean(text)
    rows = [row[row > 0].astype("<i4") for (row,) in encoder.encode([cleaned])]
    tokens = tokenize(ends(cleaned, READ_CHARS))
    record = {
        "kind": "text",
        "parts": parts,
        "cleaned_length": len(cleaned),
        "cleaned_sha256": sha256(cleaned.encode()),
        "tokens": len(tokens),
        "tokens_sha256": sha256("\n".join(tokens).encode()),
    }
    for name, row in zip(("token_ids", "character_ids"), rows, strict=True):
        record[f"{name}_sha256"] = sha256(row.tobytes())
        if len(row) <= SHORT:
            record[name] = row.tolist()
    return record, text


def _byte_record(parts: Parts) -> Made:
    data = input_of({"kind": "bytes", "parts": parts})
    text, encoding = (None, "") if len(data) > MAX_BYTES else decoding.decode(data)
    length, digest = (None, None) if text is None else (len(text), sha256(text.encode()))
    record = {"kind": "bytes", "parts": parts, "encoding": encoding}
    record |= {"text_length": length, "text_sha256": digest}
    return record, None if text is None or cleaning.is_blank(text) else text


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
    for damage in NO_UTF8:
        yield from (b"\xef\xbb\xbfa" + damage + b"b", b"abc" + damage + b" ")
    for damage in NO_UTF16:
        yield from (b"\xff\xfea\x00" + damage, b"a\x00b\x00c\x00" + damage)


def _shares() -> Iterator[bytes]:
    """Yield bytes at and beside the shares of control characters and of NULs that decide."""
    for controls in (b"\x01", b"\x7f", b"\x1b"):
        yield from (controls + letters for letters in (b"a" * 18, b"a" * 19, b"\xe9" * 18, b"\xe9" * 19))
    for nuls, units in ((1, 1), (1, 2), (2, 2), (2, 10), (2, 11), (3, 15), (3, 16), (20, 100), (20, 101)):
        text = "a" * nuls + "\u4e2d" * (units - nuls)
        yield from (text.encode("utf-16-le"), text.encode("utf-16-be"))
