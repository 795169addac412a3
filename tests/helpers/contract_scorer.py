"""docs/contract.md in code that shares nothing with psembed: what a port to another language would be.

Standard library only, but for ONNX Runtime and NumPy, which hand the ids over. The tables of the page are
read from the page, so it is shown that they suffice.
"""

import hashlib
import json
import math
import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "contract.md").read_text(encoding="utf-8")
MAX_BYTES, BLOCK, LOGIT_LIMIT = 64 * 2**20, 64, 17.0


def block(name: str) -> list[str]:
    """Return the entries of one of the page's blocks of data."""
    return re.search(rf"```text {name}\n(.*?)```", PAGE, re.S)[1].split()


def number(name: str) -> int:
    """Return a number of the page's table of them."""
    return int(re.search(rf"\| `{re.escape(name)}` \| ([\d,]+) \|", PAGE)[1].replace(",", ""))


def expand(entry: str) -> dict[int, int]:
    """Return the code points of FIRST[-LAST[/STEP]][:IMAGE], each with its image."""
    first, last, step, image = re.fullmatch(r"(\w+)(?:-(\w+))?(?:/(\d))?(?::(\w+))?", entry).groups()
    codes = range(int(first, 16), int(last or first, 16) + 1, int(step or 1))
    return {code: code - codes[0] + int(image or first, 16) for code in codes}


def table(name: str) -> dict[int, int]:
    return {code: image for entry in block(name) for code, image in expand(entry).items()}


WHITE = "".join(map(chr, table("white-space")))
LOWER = table("lower-case")
WINDOWS_1252 = {0x80 + number: int(code, 16) for number, code in enumerate(block("windows-1252"))}
CONTROLS = bytes([*range(0, 8), *range(14, 26), *range(28, 32), 127])
WELL_FORMED = (
    "[\0-\x7f]",
    "[\xc2-\xdf][\x80-\xbf]",
    "\xe0[\xa0-\xbf][\x80-\xbf]",
    "[\xe1-\xec\xee\xef][\x80-\xbf][\x80-\xbf]",
    "\xed[\x80-\x9f][\x80-\xbf]",
    "\xf0[\x90-\xbf][\x80-\xbf][\x80-\xbf]",
    "[\xf1-\xf3][\x80-\xbf][\x80-\xbf][\x80-\xbf]",
    "\xf4[\x80-\x8f][\x80-\xbf][\x80-\xbf]",
)


def prefixes(sequence: str) -> list[str]:
    parts = re.findall(r"\[.*?\]|.", sequence, re.S)
    return ["".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


CUT_SHORT = sorted((p for sequence in WELL_FORMED for p in prefixes(sequence)), key=len, reverse=True)
UTF_8 = re.compile(f"({'|'.join(WELL_FORMED)})|{'|'.join(CUT_SHORT)}|.".encode("latin-1"), re.S)


def from_utf8(data: bytes) -> str:
    return "".join(found[1].decode() if found[1] else "\ufffd" for found in UTF_8.finditer(data))


def from_utf16(data: bytes, order: str, *, strict: bool = False) -> str | None:
    """Decode, each fault as U+FFFD; None at a fault if strict."""
    units = [int.from_bytes(data[at : at + 2], order) for at in range(0, len(data) - 1, 2)]
    odd, text, at = len(data) % 2, [], 0
    while at < len(units):
        unit, after = units[at], units[at + 1] if at + 1 < len(units) else 0
        if 0xD800 <= unit < 0xDC00 <= after < 0xE000:
            text.append(chr(0x10000 + (unit - 0xD800) * 1024 + after - 0xDC00))
            at += 1
        elif 0xD800 <= unit < 0xE000:
            odd = 0 if unit < 0xDC00 and at + 1 == len(units) else odd
            text.append(None)
        else:
            text.append(chr(unit))
        at += 1
    text += [None] * odd
    return None if strict and (None in text or len(data) % 2) else "".join(c or "\ufffd" for c in text)


def decode(data: bytes) -> tuple[str | None, str]:
    if not data:
        return "", "empty"
    marks = (
        (b"\xef\xbb\xbf", "utf-8-bom", from_utf8),
        (b"\xff\xfe", "utf-16-le-bom", lambda rest: from_utf16(rest, "little")),
        (b"\xfe\xff", "utf-16-be-bom", lambda rest: from_utf16(rest, "big")),
    )
    for mark, name, read in marks:
        if data.startswith(mark):
            text = read(data[len(mark) :])
            return (None, "binary") if "\0" in text else (text, name)
    if 0 in data:
        return decode_nuls(data)
    if 20 * len(data.translate(None, CONTROLS)) < 19 * len(data):
        return None, "binary"
    if max(data) < 128:
        return data.decode("ascii"), "ascii"
    if (text := from_utf8(data)).encode() == data:
        return text, "utf-8"
    return "".join(chr(WINDOWS_1252.get(byte, byte)) for byte in data), "windows-1252"


def decode_nuls(data: bytes) -> tuple[str | None, str]:
    even, odd, units = data[::2].count(0), data[1::2].count(0), len(data) // 2
    for name, order, high, low in (("utf-16-le", "little", odd, even), ("utf-16-be", "big", even, odd)):
        if low == 0 and high >= 2 and 5 * high >= units:
            text = from_utf16(data, order, strict=True)
            return (None, "binary") if text is None else (text, name)
    return None, "binary"


SINGLE, DOUBLE = ("".join(map(chr, table(f"{kind}-quotes"))) for kind in ("single", "double"))
NOTABLE = re.compile(f"[{SINGLE}{DOUBLE}`#<@()]")
IN_DOUBLE = re.compile(f"[{DOUBLE}`$]")


def clean(text: str) -> str:
    text = text[text.startswith("\ufeff") :].replace("\r\n", "\n").replace("\r", "\n")
    return " ".join(re.split(f"[{WHITE}]+", without_comments(text))).strip(" ")


def without_comments(text: str) -> str:
    kept, start, at, size, depths = [], 0, 0, len(text), []
    while found := NOTABLE.search(text, at):
        at, c = found.start(), found[0]
        if c == "#" and can_start(text, at):
            end = text.find("\n", at)
            kept.append(text[start:at])
            start = at = size if end < 0 else end
        elif text.startswith("<#", at):
            end = text.find("#>", at + 2)
            if end < 0:
                break
            kept += text[start:at], " "
            start = at = end + 2
        elif c in "()" and depths:
            depths[-1] += 1 if c == "(" else -1
            at += 1
            if depths[-1] == 0:
                depths.pop()
                at = after_double(text, at, depths)
        else:
            at = after_quoted(text, at, depths)
    return "".join(kept) + text[start:]


def can_start(text: str, at: int) -> bool:
    before = text[at - 1] if at else " "
    return before in WHITE or before in "&(),;{}|]" + SINGLE + DOUBLE or text[max(0, at - 2) : at] == "#>"


def after_quoted(text: str, at: int, depths: list[int]) -> int:
    """Return where code goes on after the character at `at`, and all that it opens."""
    c = text[at]
    if c == "`":
        return at + 2
    if head := re.compile(f"@([{SINGLE}{DOUBLE}])[ \t]*\n").match(text, at):
        end = re.compile(f"\n[{SINGLE if head[1] in SINGLE else DOUBLE}]@").search(text, head.end() - 1)
        return end.end() if end else len(text)
    if c in SINGLE:
        end = re.compile(f"[{SINGLE}]").search(text, at + 1)
        return end.end() if end else len(text)
    return after_double(text, at + 1, depths) if c in DOUBLE else at + 1


def after_double(text: str, at: int, depths: list[int]) -> int:
    """Return the end of a double-quoted string that goes on at `at`, or the place after its next `$(`."""
    while found := IN_DOUBLE.search(text, at):
        at = found.end()
        if found[0] == "`":
            at += 1
        elif found[0] != "$":
            return at
        elif text.startswith("(", at):
            depths.append(1)
            return at + 1
    return len(text)


class Scorer:
    """A detector's folder, checked and ready to score."""

    def __init__(self, folder: Path):
        self.manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.rules = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        assert self.manifest["format"] == number("manifest.json")
        assert self.rules["format"] == number("tokenizer.json")
        for name, expected in self.manifest["sha256"].items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == expected, name
        self.pattern = re.compile(self.rules["pattern"])
        self.ids = {token: self.rules["first"] + n for n, token in enumerate(self.rules["vocabulary"])}
        alike = {ord(character): ord(image) for character, image in self.rules["characters"].items()}
        self.normalised = LOWER | alike | {ord(digit): ord("*") for digit in "0123456789"}
        self.model = folder / "detector.onnx"

    def tokens(self, cleaned: str) -> list[str]:
        read = ends(cleaned, self.rules["read_chars"])
        return [t[: self.rules["token_chars"]] for t in self.pattern.findall(read.translate(self.normalised))]

    def token_ids(self, tokens: list[str]) -> list[int]:
        kept = ends(tokens, self.rules["token_length"])
        return [self.ids.get(token, self.rules["unknown"]) for token in kept]

    def character_ids(self, cleaned: str) -> list[int]:
        return [character_id(ord(c)) for c in ends(cleaned, self.rules["char_length"])]

    def scores(self, rows: list[tuple[list[int], list[int]]], *, full: bool = False) -> list[float]:
        """Score (token ids, character ids), 64 of like length at a time; padded fully if asked."""
        import onnxruntime

        session = onnxruntime.InferenceSession(str(self.model), providers=["CPUExecutionProvider"])
        assert session.get_modelmeta().custom_metadata_map["psembed_format"] == str(number("detector.onnx"))
        widths = (self.rules["token_length"], self.rules["char_length"]) if full else (1, 1)
        order, scores = sorted(range(len(rows)), key=lambda n: tuple(map(len, rows[n]))), {}
        for start in range(0, len(order), 64):
            chosen = order[start : start + 64]
            views = [padded([rows[n][view] for n in chosen], width) for view, width in enumerate(widths)]
            found = session.run(["score"], dict(zip(("tokens", "characters"), views, strict=True)))[0]
            scores |= dict(zip(chosen, found[:, 0].tolist(), strict=True))
        return [scores[n] for n in range(len(rows))]

    def malicious(self, score: float) -> bool:
        return score >= self.manifest["threshold"]

    def calibrated(self, score: float) -> float:
        odds = math.inf if score == 1 else -math.inf if score == 0 else math.log(score / (1 - score))
        held = min(LOGIT_LIMIT, max(-LOGIT_LIMIT, odds))
        return 1 / (1 + math.exp(-held / self.manifest["temperature"]))


def ends(items, length: int):
    """Keep the first `length - length // 4` and the last `length // 4`."""
    tail = length // 4
    return items if len(items) <= length else items[: length - tail] + items[len(items) - tail :]


def character_id(code: int) -> int:
    return 1 if 9 <= code <= 13 else code - 31 if 32 <= code <= 126 else 96


def padded(rows: list[list[int]], least: int):
    import numpy

    width = -(-max(least, *map(len, rows), 1) // BLOCK) * BLOCK
    return numpy.array([row + [0] * (width - len(row)) for row in rows], dtype=numpy.int32)
