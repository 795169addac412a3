"""What a notebook shows its reader: tables, tokens and bytes as HTML, and the answer at its top.

All text is escaped. Text that holds a dollar sign stands in <code>, which MathJax passes over: JupyterLab
would read "$i ... $true" as mathematics.
"""

import json
import re
from collections.abc import Collection, Mapping
from html import escape

import polars as pl
from IPython.display import HTML, DisplayHandle, Markdown
from IPython.display import display as show

from psembed.powershell import tokens
from psembed.project.published import PUBLISHED
from psembed.project.workspace import Workspace

ROWS = 12  # of a table
PLAIN = "tex2jax_ignore mathjax_ignore"
PRE = '<pre style="font-family:var(--jp-code-font-family,monospace)">'
BYTES = 16  # in a line of `hexadecimal`
KINDS = {  # of token: what it is called here, and its colour
    "variable": ("variable", "#CDE7F6"), "sigil": ("variable", "#CDE7F6"), "word": ("word", "#FDE9C4"),
    "escape": ("escape", "#E3D4EE"), "assign": ("sign", "#E2E2E2"), "repeat": ("sign", "#E2E2E2"),
    "single": ("sign", "#E2E2E2"), "run": ("Base64-like run", "#F7CFC4"),
}  # fmt: skip
MATCHER = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in tokens.ALTERNATIVES.items()))
MARK, ZERO, END, BEYOND = "#F7CFC4", "#E2E2E2", "#CDE7F6", "#FDE9C4"
MEANINGS = {MARK: "byte-order mark", ZERO: "zero", END: "line end", BEYOND: "beyond ASCII"}
MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


def table(
    frame: pl.DataFrame,
    *,
    formats: Mapping[str, str] | None = None,
    code: Collection[str] = (),
    bars: Collection[str] = (),
    grounds: Mapping[str, str] | None = None,
    rows: int = ROWS,
) -> HTML:
    """Show the first `rows` of a table, and how many are left out.

    `formats` are format specifications by column, such as ".1%"; without one, whole numbers get separators
    and others two decimals. Columns in `code` are written as code; those in `bars` hold shares from 0 to 1,
    with a bar behind each. `grounds` are colours of cells by what is written in them. Null is a dash.
    """
    formats, grounds, right = (
        formats or {},
        grounds or {},
        [name for name, kind in frame.schema.items() if kind.is_numeric()],
    )
    style = {name: f"text-align:{'right' if name in right else 'left'}" for name in frame.columns}
    head = "".join(f'<th style="{style[name]}">{_text(name)}</th>' for name in frame.columns)
    body = []
    for row in frame.head(rows).iter_rows(named=True):
        cells = [
            f'<td style="{style[name]}{_bar(value) if name in bars else _ground(value, grounds)}">'
            f"{_text(_written(value, formats.get(name)), code=name in code)}</td>"
            for name, value in row.items()
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    more = f"<p>… and {len(frame) - rows:,} more rows</p>" if len(frame) > rows else ""
    lines = f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return HTML(f'<div class="{PLAIN}"><table>{lines}</table>{more}</div>')


def _written(value: object, specification: str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return format(value, specification or ("," if isinstance(value, int) else ",.2f"))
    return ", ".join(map(str, value)) if isinstance(value, list | pl.Series) else str(value)


def _text(text: str, *, code: bool = False) -> str:
    """Escape a text, as code where it is meant to be or where a dollar sign would be read as mathematics."""
    safe = escape(text)
    return f"<code>{safe}</code>" if code or "$" in text else safe


def _bar(share: float | None) -> str:
    width = 100 * min(max(share or 0, 0), 1)
    return f";background:linear-gradient(to right,#CDE7F6 {width:.1f}%,transparent {width:.1f}%)"


def _ground(value: object, grounds: Mapping[str, str]) -> str:
    return f";background:{grounds[value]};color:black" if isinstance(value, str) and value in grounds else ""


def coloured_tokens(text: str) -> HTML:
    """Show a script with its tokens on coloured ground, by kind; what is between them is no token."""
    parts, end = [], 0
    for match in MATCHER.finditer(tokens.normalise(text)):
        start, after = match.span()
        _, colour = KINDS[match.lastgroup]
        parts += [escape(text[end:start]), _on(colour, escape(text[start:after]), match[0])]
        end = after
    legend = " ".join(_on(colour, name) for name, colour in dict(KINDS.values()).items())
    code = f"{PRE}{''.join(parts)}{escape(text[end:])}</pre>"
    return HTML(f'<div class="{PLAIN}">{code}<p>{legend}</p></div>')


def _on(colour: str, safe: str, title: str = "") -> str:
    told = f' title="{escape(title)}"' if title else ""
    return f'<span style="background:{colour};color:black;padding:0 1px"{told}>{safe}</span>'


def hexadecimal(data: bytes, *, limit: int = 4 * BYTES) -> HTML:
    """Show the first `limit` bytes as hexadecimal numbers and as ASCII, with what gives an encoding away."""
    mark = next((len(mark) for mark in MARKS if data.startswith(mark)), 0)
    lines = []
    for start in range(0, min(len(data), limit), BYTES):
        places = range(start, min(start + BYTES, len(data), limit))
        numbers = [_coloured(data[n], f"{data[n]:02x}", marked=n < mark) for n in places]
        letters = [chr(data[n]) if 32 <= data[n] < 127 else "·" for n in places]
        gap = "   " * (BYTES - len(places))
        lines.append(f"{start:04x}  {' '.join(numbers)}{gap}  {escape(''.join(letters))}")
    more = f"\n… {len(data) - limit:,} more bytes" if len(data) > limit else ""
    legend = " ".join(_on(colour, meaning) for colour, meaning in MEANINGS.items())
    code = "\n".join(lines) + more
    return HTML(f'<div class="{PLAIN}">{PRE}{code}</pre><p>{legend}</p></div>')


def _coloured(byte: int, shown: str, *, marked: bool) -> str:
    colour = MARK if marked else {0: ZERO, 10: END, 13: END}.get(byte, BEYOND if byte > 127 else None)
    return _on(colour, shown) if colour else shown


class Answer:
    """The answer to a notebook's question, in one sentence at its top.

    `sentence` has places for values of the results, such as "{rows:,} scripts". It is shown at once for the
    published results, if there are any, and by `finish` for those of this run as well. A run of the
    publishing profile shows its own alone.
    """

    def __init__(self, workspace: Workspace, stage: str, sentence: str):
        self.workspace, self.stage, self.sentence = workspace, stage, sentence
        self.published = "" if workspace.profile == PUBLISHED else self._published()
        waiting = "" if self.published else "*The answer stands here when the last cell has run.*"
        self.handle: DisplayHandle = show(Markdown(self.published or waiting), display_id=True)

    def _published(self) -> str:
        path = self.workspace.results.parent / PUBLISHED / f"{self.stage}.json"
        if not path.is_file():
            return ""
        run = path.with_name("run.json")
        stages = json.loads(run.read_text(encoding="utf-8"))["stages"] if run.is_file() else {}
        seconds = stages.get(self.stage, {}).get("seconds")
        minutes = f"{seconds / 60:,.0f} minutes" if (seconds or 0) >= 90 else "a minute or less"
        took = f" ({minutes} on two cores)" if seconds else ""
        result = json.loads(path.read_text(encoding="utf-8"))
        return self._told(f"The answer of the published run{took}", result)

    def _told(self, whose: str, result: Mapping) -> str:
        try:
            return f"> **{whose}:** {self.sentence.format_map(result)}"
        except (KeyError, TypeError):  # results of an older version, or not measured
            return ""

    def finish(self, result: dict) -> None:
        """Write the results of this run, and its answer at the top of the notebook."""
        self.workspace.write_result(self.stage, result)
        name = "The answer" if self.workspace.profile == PUBLISHED else "The answer of this run"
        own = self._told(f"{name} (profile {self.workspace.profile})", result)
        self.handle.update(Markdown("\n\n".join(filter(None, (self.published, own)))))
