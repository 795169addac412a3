"""What a person sees of a run: a line that is redrawn while it goes on, plain tables at the end."""

import shutil
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import TextIO

ERASE = "\r\033[K"  # the line that the cursor is in
STEP = 0.2  # seconds between two pictures of a count


class Progress:
    """A line that is redrawn on a terminal: of one step after another, or of how many things are done.

    In a pipe each step's line is written once, and counts are not. Without a stream there is silence. `done`
    is what has been done to a thing, such as "scored"; `total`, for a bar, how many there are, if that is
    known.
    """

    def __init__(self, stream: TextIO | None = None, done: str = "", total: int | None = None):
        self.stream, self.done, self.total = stream, done, total
        self.live = stream is not None and stream.isatty()
        self.started, self.shown, self.drawn, self.label = monotonic(), 0.0, False, ""

    def begin(self, number: int, total: int, step: str) -> None:
        """Start the line of a step."""
        self.label = f"[{number:>2}/{total}] {step:<16} "
        self.show("starting")

    def show(self, text: str) -> None:
        """Redraw the line with `text` after its label, cut to the terminal's width."""
        if self.live:
            self.drawn = True
            line = f"{self.label}{text}"[: shutil.get_terminal_size().columns - 1]
            print(f"{ERASE}{line}", end="", file=self.stream, flush=True)

    def end(self, outcome: str) -> None:
        """Write the line of a step for good."""
        self.erase()
        if self.stream is not None:
            print(f"{self.label}{outcome}", file=self.stream, flush=True)

    def count(self, number: int, note: str | None = None) -> None:
        """Redraw how many are done, and a note or else how fast, unless the line was drawn a moment ago."""
        now = monotonic()
        if self.live and (not self.drawn or now - self.shown >= STEP):
            self.shown = now
            amount = f"{number:,}" if self.total is None else bar(number, max(number, self.total))
            rate = number / max(now - self.started, 1e-9)
            self.show(f"{amount} {self.done}, {f'{rate:,.0f} a second' if note is None else note}")

    def erase(self) -> None:
        """Leave an empty line to others until something is shown again."""
        if self.drawn:
            print(ERASE, end="", file=self.stream, flush=True)
        self.drawn = False


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
    lines, layout = [headers, *([_cell(value) for value in row] for row in rows)], []
    for place, column in enumerate(zip(*lines, strict=True)):
        values = [row[place] for row in rows if row[place] is not None]
        numeric = bool(values) and all(isinstance(value, int | float) for value in values)
        layout.append(f"{{:{'>' if numeric else '<'}{max(map(len, column))}}}")
    lines.insert(1, ["-" * len(one.format("")) for one in layout])
    return "\n".join("  ".join(layout).format(*line).rstrip() for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return " ".join(str(value).split())
