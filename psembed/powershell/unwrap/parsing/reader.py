"""A place in a text, and how a parser moves on from it."""

from psembed.powershell.unwrap.parsing.lexis import GAP, GAP_STARTS, GAPS, KEYWORD, LINE, PASSED


class Reader:
    """Where a parser stands in its text. Everything is read without recursion but for brackets.

    `modern` reads the escapes that only PowerShell 7 knows. `words` are (begin, end, what it says) of words
    with back-ticks in them; `ambiguous` tells whether PowerShell 5.1 and 7 read the text differently; `cut`
    whether more than `tokens` were in it, of which the rest is not read.
    """

    def __init__(self, text: str, tokens: int, *, modern: bool = True):
        self.text, self.tokens, self.modern = text, tokens, modern
        self.pos = self.depth = self.deepest = 0
        self.label = ""  # of the loop that comes next
        self.exits = 0  # breaks, returns and the like so far
        self.loose = False  # line ends do not end a statement
        self.commas = True  # commas make lists
        self.assigned: set[str] = set()
        self.words: list[tuple[int, int, str]] = []
        self.ambiguous = self.cut = False

    def _count(self) -> None:
        """Count a token; past the last that may be read, the text ends."""
        self.tokens -= 1
        if self.tokens < 0 and not self.cut:
            self.text, self.cut = self.text[: self.pos], True

    def _here(self) -> str:
        return self.text[self.pos : self.pos + 1]

    def _skip(self, *, lines: bool = False) -> str:
        """Pass over white space and comments, and line ends if asked to; return the next character."""
        while (here := self.text[self.pos : self.pos + 1]) in GAP_STARTS:
            if here == "#":
                self.pos = LINE.match(self.text, self.pos).end()  # type: ignore[union-attr]
            elif here == "<":
                if not self.text.startswith("<#", self.pos):
                    break
                close = self.text.find("#>", self.pos + 2)
                self.pos = len(self.text) if close < 0 else close + 2
            elif gap := (GAPS if lines else GAP).match(self.text, self.pos):
                self.pos = gap.end()
            else:
                break
        return here

    def _next_word(self, *words: str) -> bool:
        """Pass over the next word if it is one of these."""
        before = self.pos
        self._skip(lines=True)
        word = KEYWORD.match(self.text, self.pos)
        found = word is not None and word[0].lower() in words
        self.pos = word.end() if word is not None and found else before
        return found

    def _pass_over(self) -> None:
        """Pass over what is nested too deep, up to where its bracket is closed."""
        opened = 1
        while opened and (part := PASSED.match(self.text, self.pos)):
            self._count()
            self.pos = part.end()
            opened += (part["opens"] is not None) - (part["closes"] is not None)
