"""What a person sees of a run: one line per step while it goes on, plain tables at the end."""

import math
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import TextIO

ERASE = "\r\033[K"  # the line that the cursor is in
STEP = 0.2  # seconds between two pictures of a meter


class Progress:
    """One line per step: redrawn while it goes on where there is a terminal, written once in a pipe.

    Without a stream there is silence.
    """

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream
        self.live = stream is not None and stream.isatty()
        self.label = ""

    def begin(self, number: int, total: int, step: str) -> None:
        """Start the line of a step."""
        self.label = f"[{number:>2}/{total}] {step:<16}"
        self.show("starting")

    def show(self, text: str) -> None:
        """Redraw the line with `text` after its label, on a terminal only."""
        if self.live:
            print(f"{ERASE}{self.label} {text}", end="", file=self.stream, flush=True)

    def end(self, outcome: str) -> None:
        """Write the line for good."""
        if self.stream is not None:
            start = ERASE if self.live else ""
            print(f"{start}{self.label} {outcome}", file=self.stream, flush=True)


class Meter:
    """How many things are done, and how fast, in a line that is redrawn on a terminal; elsewhere nothing.

    `done` is what has been done to a thing, such as "scored"; `total`, for a bar, how many there are, if that
    is known. Leaving it as a context erases the line.
    """

    def __init__(self, stream: TextIO, done: str, total: int | None = None):
        self.stream, self.done, self.total = stream, done, total
        self.live = stream.isatty()
        self.started, self.shown = monotonic(), -math.inf

    def __enter__(self) -> "Meter":
        """Return the meter."""
        return self

    def __exit__(self, *_: object) -> None:
        """Erase the line."""
        self.erase()

    def show(self, count: int) -> None:
        """Redraw the line, unless it was drawn a moment ago."""
        now = monotonic()
        if self.live and now - self.shown >= STEP:
            self.shown = now
            amount = f"{count:,}" if self.total is None else bar(count, max(count, self.total))
            rate = count / max(now - self.started, 1e-9)
            text = f"{ERASE}{amount} {self.done}, {rate:,.0f} a second"
            print(text, end="", file=self.stream, flush=True)

    def erase(self) -> None:
        """Leave an empty line to others until `show` is called again."""
        if self.shown > -math.inf:
            print(ERASE, end="", file=self.stream, flush=True)
        self.shown = -math.inf


def clock(seconds: float) -> str:
    """Write a duration as 0:07, 12:34 or 1:23:45."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def bar(done: int, total: int) -> str:
    """Draw a bar for `done` of `total`, with both numbers."""
    filled = round(20 * done / total) if total else 0
    return f"[{'#' * filled}{' ' * (20 - filled)}] {done:,}/{total:,}"


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out rows under headers; numbers to the right, all else to the left, None as a dash."""
    rows = [list(row) for row in rows]
    cells = [[_cell(value) for value in row] for row in rows]
    columns = list(zip(headers, *cells, strict=True))
    widths = [max(map(len, column)) for column in columns]
    numeric = [
        any(isinstance(row[i], int | float) for row in rows)
        and all(row[i] is None or isinstance(row[i], int | float) for row in rows)
        for i in range(len(headers))
    ]
    lines = [headers, ["-" * width for width in widths], *cells]
    layout = "  ".join(
        f"{{:{'>' if right else '<'}{width}}}" for width, right in zip(widths, numeric, strict=True)
    )
    return "\n".join(layout.format(*line).rstrip() for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return " ".join(str(value).split())
