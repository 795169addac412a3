"""The tables of docs/contract.md, and the same in dotnet/: made from the code that psembed scores with.

`psembed paper`, or `python -m docs.contract` in a clone, brings them up to date.
"""

import re
import textwrap
from pathlib import Path

from psembed.powershell import tokens
from psembed.powershell.cleaning import DOUBLE_QUOTES, SINGLE_QUOTES
from psembed.runtime.files import atomic

PAGE, TABLES = "docs/contract.md", "dotnet/PsEmbed.Scoring/Tables.Data.cs"
SCALARS = [*range(0xD800), *range(0xE000, 0x110000)]  # code points that a decoded text can have
CLASS = """\
// Written by `python -m docs.contract` from psembed's code; do not edit.
namespace PsEmbed.Scoring
{{
    internal static partial class Tables
    {{
{}
    }}
}}
"""


def tables() -> dict[str, str]:
    """Return the entries of each table, in the page's notation, with single spaces between."""
    windows = bytes(range(0x80, 0xA0)).decode("cp1252", "replace")
    return {
        "windows-1252": _codes(windows),
        "white-space": _entries({code: code for code in SCALARS if chr(code).isspace()}, steps=(1,)),
        "single-quotes": _codes(SINGLE_QUOTES),
        "double-quotes": _codes(DOUBLE_QUOTES),
        "characters": _entries({ord(before): ord(after) for before, after in tokens.ALIKE.items()}, steps=()),
        "lower-case": _entries(_lower_case()),
    }


def _lower_case() -> dict[int, int]:
    """Return the lower-case forms of the characters that are part of a token, before or after."""
    part_of_token = re.compile(tokens.PATTERN).match
    settled = {*map(ord, tokens.ALIKE), *range(ord("0"), ord("9") + 1)}
    images = {code: tokens.normalise(chr(code)) for code in SCALARS if code not in settled}
    return {
        code: ord(image)
        for code, image in images.items()
        if image != chr(code) and (part_of_token(chr(code)) or part_of_token(image))
    }


def _codes(characters: str) -> str:
    return " ".join(f"{ord(character):04X}" for character in characters)


def _entries(images: dict[int, int], *, steps: tuple[int, ...] = (1, 2)) -> str:
    """Write code points and their images as FIRST[-LAST[/STEP]][:IMAGE], as many in one as go together."""
    entries, left = [], dict(sorted(images.items()))
    while left:
        first = next(iter(left))
        ranges = ((_last(first, step, left), step) for step in steps)
        last, step = next((found for found in ranges if found[0] > first), (first, 1))
        entry = f"{first:04X}" + f"-{last:04X}" * (last > first) + f"/{step}" * (last > first and step > 1)
        entries.append(entry + f":{left[first]:04X}" * (left[first] != first))
        for code in range(first, last + 1, step):
            del left[code]
    return " ".join(entries)


def _last(first: int, step: int, images: dict[int, int]) -> int:
    last = first
    while images.get(last + step) == images[first] + last + step - first:
        last += step
    return last


def page(text: str) -> str:
    """Return the contract's page with its tables as they are now."""
    for name, entries in tables().items():
        lines = "\n".join(textwrap.wrap(entries, 116, break_on_hyphens=False))
        text = re.sub(rf"(```text {name}\n).*?(```)", rf"\g<1>{lines}\n\2", text, flags=re.DOTALL)
    return text


def source() -> str:
    """Return the tables in C#, but for the one that tokenizer.json holds."""
    kept = (_constant(name, entries) for name, entries in tables().items() if name != "characters")
    return CLASS.format("\n\n".join(kept))


def _constant(name: str, entries: str) -> str:
    words = "".join(part.capitalize() for part in name.split("-"))
    lines = " +\n".join(f'{"":12}"{line} "' for line in textwrap.wrap(entries, 90, break_on_hyphens=False))
    return f"        private const string {words}Data =\n{lines};"


def update(root: Path) -> None:
    """Write the tables into the page and into dotnet/."""
    texts = {PAGE: page((root / PAGE).read_text(encoding="utf-8")), TABLES: source()}
    for path, text in texts.items():
        with atomic(root / path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    update(Path(__file__).parents[1])
