"""One left-to-right pass over a script, with a stack of open brackets: so no recursion, whatever the depth.

The parser gathers the items of each statement and has it evaluated where it ends. Variables keep the value
last assigned where that is certain enough for reading a script. Nothing is executed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from psembed.powershell.cleaning import DOUBLE_QUOTES, HERE_END, SINGLE_QUOTES
from psembed.powershell.unwrap.operators import join
from psembed.powershell.unwrap.state import Finding, Item, Kind, Variables, decisive, variable_name
from psembed.powershell.unwrap.statements import StatementEvaluator
from psembed.powershell.unwrap.values import Budget, Cut, Element, attempt, lifted, text_of, type_name

DASHES = "-\u2013\u2014\u2015"
_OPERATORS = """
join split csplit isplit replace creplace ireplace f bxor band bor shl shr as is isnot not bnot and or xor
eq ne gt lt ge le ceq cne ieq ine like notlike match notmatch cmatch imatch contains notcontains in notin
"""
_S, _D = SINGLE_QUOTES, DOUBLE_QUOTES
_N = r"(?:0x[0-9a-f]{1,8}+|[0-9]{1,10}+)(?![\w.])"  # a number as it stands in lists
# Possessive throughout: no token is tried twice, so a pass is linear.
_TOKEN = re.compile(
    rf"""
    (?:(?P<space>(?:[^\S\r\n]|`\r?+\n)++)
    |(?P<newline>[\r\n]++)
    |(?P<block><\#)
    |(?P<comment>\#[^\r\n]*+)
    |(?P<here>@[{_S}{_D}][ \t]*+\r?+\n)
    |(?P<single>[{_S}][^{_S}]*+(?:[{_S}][{_S}][^{_S}]*+)*+[{_S}]?+)
    |(?P<plain>[{_D}][^{_D}`$]*+[{_D}](?![{_D}]))
    |(?P<double>[{_D}])
    |(?P<type>\[\s*+[A-Za-z_`][\w.`]*+(?:\[\s*+\])?+\s*+\])
    |(?P<open>[$@]\(|@\{{|[(\[{{])
    |(?P<variable>\$(?:\{{[^{{}}\r\n]{{1,200}}+\}}|(?:\w++:(?=\w))?+\w++|[$^?])|@\w++)
    |(?P<numbers>{_N}(?:\s*+,\s*+{_N})++)
    |(?P<number>0x[0-9a-f]++(?!\w)|[0-9]++(?:\.[0-9]++)?+(?!\w))
    |(?P<operator>[{DASHES}](?:{"|".join(sorted(_OPERATORS.split(), key=len, reverse=True))})(?![a-z_-]))
    |(?P<parameter>[{DASHES}][a-z][\w-]*+:?+)
    |(?P<member>(?:::|\.)[ ]?+[a-z_`][\w`]*+)
    |(?P<assign>[-+*/%]?=)
    |(?P<step>\+\+|--)
    |(?P<close>[)\]}}])
    |(?P<symbol>\.\.|::|&&|\|\||[{DASHES}|&;,+*/%.!])
    |(?P<word>[\w\\~?:@^`](?:[\w\\~?:@^.*/\#!-]|`[^\r\n])*+)
    |(?P<other>.)
    )(?:[^\S\r\n]|`\r?+\n)*+
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_PASSED_OVER = frozenset({"space", "comment", "other"})
_NUMBER = re.compile("0x[0-9a-f]+|[0-9]+", re.IGNORECASE)
_IN_STRING = re.compile(
    rf"[^{_D}`$]++|`u\{{(?P<code>[0-9a-f]{{1,6}})\}}|`(?P<escape>.)|(?P<twice>[{_D}]{{2}})|(?P<quote>[{_D}])"
    r"|(?P<variable>\$(?:\{[^{}\r\n]{1,200}+\}|(?:\w++:(?=\w))?+\w++))|(?P<code_opens>\$\()|[`$]",
    re.IGNORECASE | re.DOTALL,
)
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
}  # fmt: skip
_SINGLE_QUOTES = frozenset(SINGLE_QUOTES)
_BEFORE_INDEX = Kind.OPERANDS | {Kind.MEMBER, Kind.INDEX}
_BEFORE_MEMBER = _BEFORE_INDEX | {Kind.TYPE, Kind.BLOCK}
_BEFORE_OPERAND = frozenset({Kind.OPERATOR, Kind.ASSIGN})
_CLOSERS = {"(": ")", "$(": ")", "@(": ")", "{": "}", "@{": "}", "[": "]"}


def _single_quoted(token: str) -> str:
    value = token[1:-1] if len(token) > 1 and token[-1] in SINGLE_QUOTES else token[1:]
    if _SINGLE_QUOTES.isdisjoint(value):
        return value
    return re.sub(f"[{SINGLE_QUOTES}]([{SINGLE_QUOTES}])", r"\1", value)


def _whole(digits: str) -> int:
    return int(digits, 16 if digits[:2] in ("0x", "0X") else 10)


def _number(token: str) -> int | None:
    return None if len(token) > 20 or "." in token else _whole(token)


def _bare_type(token: str) -> str:
    return type_name(token.strip("[ \t\r\n").removesuffix("]"))


# Tokens that make an item whatever stands around them.
_ITEMS: dict[str, Callable[[str, int, int], Item]] = {
    "plain": lambda token, begin, end: Item(Kind.VALUE, begin, end, token[1:-1]),
    "single": lambda token, begin, end: Item(Kind.VALUE, begin, end, _single_quoted(token)),
    "number": lambda token, begin, end: Item(Kind.VALUE, begin, end, _number(token)),
    "type": lambda token, begin, end: Item(Kind.TYPE, begin, end, name=_bare_type(token)),
    "operator": lambda token, begin, end: Item(Kind.OPERATOR, begin, end, name=token[1:].lower()),
    "parameter": lambda token, begin, end: Item(
        Kind.PARAMETER, begin, end, name=token[1:].lower().rstrip(":")
    ),
}


@dataclass(slots=True, eq=False)
class Frame:
    """An open bracket or expandable string."""

    kind: str
    begin: int
    header: bool = False  # of a for loop, function or param block
    here_end: int = -1  # where a here-string ends
    items: list = field(default_factory=list)  # what stands in it so far
    result: Item | None = None  # what its last statement gave
    rewritten: bool = False  # whether a string has a part that can be spelled out


class Parser:
    """One pass over a text; `run` it once, then read `findings` and `variables`.

    Variables in `unknown` are never taken as known.
    """

    def __init__(self, text: str, budget: Budget, unknown: frozenset[str] = frozenset()):
        self.text, self.budget = text, budget
        self.variables = Variables(unknown)
        self.statements = StatementEvaluator(budget, self.variables)
        self.findings = self.statements.findings
        self.frames = [Frame("", 0)]

    def run(self) -> str:
        """Read the text to its end; return the limit that stopped it, or ""."""
        try:
            position, count, size, frames = 0, 0, len(self.text), self.frames
            while position < size:
                count += 1
                if not count & 255:
                    self.budget.check_time()
                in_string = frames[-1].kind == '"'
                position = self._string_part(position) if in_string else self._token(position)
            while len(frames) > 1:
                self.budget.check_time()
                self._close_string(position) if frames[-1].kind == '"' else self._close(position)
            self._end_statement()
        except Cut as cut:
            return str(cut)
        self.variables.settle()
        return ""

    def _end_statement(self) -> None:
        frame = self.frames[-1]
        items, frame.items = frame.items, []
        if items:
            frame.result = self.statements.run(items, frame.kind, header=frame.header)

    def _push(self, item: Item) -> None:
        self.frames[-1].items.append(item)

    # Tokens

    def _token(self, position: int) -> int:
        """Take in the token at `position`; return where the next one starts."""
        match = _TOKEN.match(self.text, position)
        assert match is not None and match.lastgroup is not None  # any character is a token
        kind = match.lastgroup
        if kind in _PASSED_OVER:
            return match.end()
        end = match.end(kind)
        if make := _ITEMS.get(kind):
            self.frames[-1].items.append(make(match[kind], position, end))
            return match.end()
        if take := self.TOKENS.get(kind):
            take(self, match[kind], position, end)
            return end if self.frames[-1].kind == '"' else match.end()
        if kind == "block":
            close = self.text.find("#>", end)
            return len(self.text) if close < 0 else close + 2
        if kind == "here":
            return self._here_string(position, end)
        if self._is_operand_of_its_own():
            self._take_numbers(match[kind], position, end)
            return match.end()
        digits = match[kind].split(",", 1)[0].rstrip()
        self._push(_ITEMS["number"](digits, position, position + len(digits)))
        return position + len(digits)

    def _here_string(self, position: int, start: int) -> int:
        self.budget.check_time()  # one within another looks for its end through all of the text
        double = self.text[position + 1] in DOUBLE_QUOTES
        ends = HERE_END[double].search(self.text, start - 1)
        stop, end = (ends.start(), ends.end()) if ends else (len(self.text), len(self.text))
        inside = self.text[start:stop]
        if double and ("$" in inside or "`" in inside):
            self.frames.append(Frame('"', position, here_end=stop))
            return start
        self._push(Item(Kind.VALUE, position, end, inside))
        return end

    def _take_newline(self, _: str, position: int, end: int) -> None:
        frame = self.frames[-1]
        goes_on = frame.kind in ("(", "[") or (frame.items and frame.items[-1].kind in _BEFORE_OPERAND)
        if not goes_on:
            self._end_statement()

    def _take_double(self, _: str, position: int, end: int) -> None:
        self.frames.append(Frame('"', position))

    def _take_variable(self, token: str, position: int, end: int, *, text: str = "") -> None:
        name = variable_name(token[1:])
        self._push(Item(Kind.VALUE, position, end, *self.variables.get(name), name, text=text))

    def _is_operand_of_its_own(self) -> bool:
        """Tell whether what comes next is not the operand of a cast or sign, which bind before commas."""
        items = self.frames[-1].items
        return not items or not (
            items[-1].kind == Kind.TYPE or (items[-1].kind == Kind.OPERATOR and items[-1].name in "+-")
        )

    def _take_numbers(self, token: str, position: int, end: int) -> None:
        self.budget.spend(len(token))
        numbers = [_whole(number) for number in _NUMBER.findall(token)]
        self._push(Item(Kind.LIST, position, end, numbers, parts=numbers))

    def _take_member(self, token: str, position: int, end: int) -> None:
        items = self.frames[-1].items
        after = items and items[-1].kind in _BEFORE_MEMBER
        name = token.lstrip(":. ").replace("`", "")
        if after and (items[-1].end == position or token[0] == ":" or self.text[end : end + 1] == "("):
            self._push(Item(Kind.MEMBER, position, end, name=name.lower()))
        elif token[1:2] == " ":
            self._take_symbol(".", position, position + 1)
            self._take_word(token[2:], position + 2, end)
        else:
            self._take_word(token, position, end)

    def _take_assign(self, token: str, position: int, end: int) -> None:
        items = self.frames[-1].items
        place = len(items) - 1
        while place >= 0 and items[place].kind in (Kind.INDEX, Kind.MEMBER):
            place -= 1
        while place > 0 and items[place - 1].kind == Kind.TYPE:
            place -= 1
        if place > 0 and items[place - 1].kind not in _BEFORE_OPERAND | {Kind.PARAMETER}:  # joined lines
            rest, self.frames[-1].items = items[place:], items[:place]
            self._end_statement()
            self.frames[-1].items = rest
        self._push(Item(Kind.ASSIGN, position, end, name=token))

    def _take_step(self, token: str, position: int, end: int) -> None:
        items = self.frames[-1].items
        if items and items[-1].name and items[-1].kind == Kind.VALUE:
            self.variables.varying.add(items[-1].name)

    def _take_symbol(self, token: str, position: int, end: int) -> None:
        if token in (";", "&&", "||"):
            self._end_statement()
        elif token != "!":
            self._push(Item(Kind.OPERATOR, position, end, name="-" if token in DASHES else token))

    def _take_word(self, token: str, position: int, end: int) -> None:
        name = token.replace("`", "")
        if name != token and name:
            self.findings.constants.append(Finding(position, end, name, Kind.WORD))
        self._push(Item(Kind.WORD, position, end, name=name.lower()))

    # Brackets

    def _take_open(self, token: str, position: int, end: int) -> None:
        header = token == "(" and _before_header(self.frames[-1].items)
        self.frames.append(Frame(token, position, header=header))
        self.variables.blocks += token == "{"

    def _take_close(self, token: str, position: int, end: int) -> None:
        if _CLOSERS.get(self.frames[-1].kind) == token:
            self._close(end)

    TOKENS: ClassVar[dict[str, Callable[..., None]]] = {
        "newline": _take_newline, "double": _take_double, "variable": _take_variable, "member": _take_member,
        "assign": _take_assign, "step": _take_step, "symbol": _take_symbol, "word": _take_word,
        "open": _take_open, "close": _take_close,
    }  # fmt: skip

    def _close(self, end: int) -> None:
        """End the innermost bracket; what it gives becomes an item of the one around it."""
        frame = self.frames[-1]
        if frame.kind == "(" and self.statements.bind_loop_variable(frame.items, header=frame.header):
            frame.result = None
        else:
            self._end_statement()
        self.frames.pop()
        self.variables.blocks -= frame.kind == "{"
        outer = self.frames[-1].items
        if self.frames[-1].kind == '"':
            outer.append(frame.result or Item(Kind.VALUE, frame.begin, end))
            return
        item = _enclosed(frame, end)
        if item.kind == Kind.INDEX and not (outer and outer[-1].kind in _BEFORE_INDEX):
            return  # an attribute
        before = outer[-1] if outer else None
        alone = before is None or before.kind in _BEFORE_OPERAND | {Kind.TYPE} or before.end < frame.begin
        outer.append(item)
        if frame.kind == "(" and alone and self._is_constant(frame.result):
            self.findings.constants.append(Finding(frame.begin, end, str(item.value), item.how))

    def _is_constant(self, item: Item | None) -> bool:
        """Tell whether the item's own place has become a literal."""
        if item is None or not isinstance(item.value, str):
            return False
        return any(last[:2] == (item.begin, item.end) for last in self.findings.constants[-4:])

    # Expandable strings

    def _string_part(self, position: int) -> int:
        frame = self.frames[-1]
        here_end = frame.here_end
        if 0 <= here_end <= position:
            closing = HERE_END[True].match(self.text, here_end)
            return self._close_string(closing.end() if closing else len(self.text))
        match = _IN_STRING.match(self.text, position)
        assert match is not None  # any character is a part
        end = match.end()
        if match["quote"] and here_end < 0:
            return self._close_string(end)
        if match["quote"] or match["twice"]:
            frame.items.append(match[0] if here_end >= 0 else match[0][0])
        elif match["escape"] or match["code"]:
            frame.items.append(_escaped(match, frame))
        elif match["variable"]:
            self._take_variable(match[0], position, end, text=match[0])
        elif match["code_opens"]:
            self.frames.append(Frame("$(", position))
        else:
            frame.items.append(match[0] if here_end < 0 else self.text[position : min(end, here_end)])
        return end if here_end < 0 else min(end, max(here_end, position + 1))

    def _close_string(self, end: int) -> int:
        frame = self.frames.pop()
        parts = [Item(Kind.VALUE, 0, 0, part) if isinstance(part, str) else part for part in frame.items]
        how = decisive("", *parts)
        value = attempt(lifted, _joined, self.budget, *(part.value for part in parts)) if parts else ""
        text = "".join(part.value if isinstance(part.value, str) else part.text for part in parts)
        if isinstance(value, str) and (frame.rewritten or any(part.how for part in parts)):
            self.findings.constants.append(Finding(frame.begin, end, value, how))
        self._push(Item(Kind.VALUE, frame.begin, end, value, how, text=text))
        return end


def _before_header(items: list[Item]) -> bool:
    """Tell whether a bracket after these items is the head of a for loop, function or param block."""
    if not items or items[-1].kind != Kind.WORD:
        return False
    if items[-1].name in ("for", "param"):
        return True
    return len(items) > 1 and items[-2].kind == Kind.WORD and items[-2].name in ("function", "filter")


def _enclosed(frame: Frame, end: int) -> Item:
    kind = {"{": Kind.BLOCK, "@{": Kind.VALUE, "[": Kind.INDEX}.get(frame.kind, Kind.GROUP)
    inner = frame.result
    if inner is None or frame.kind == "@{":
        return Item(kind, frame.begin, end)
    value = inner.value
    parts = inner.parts if inner.kind == Kind.LIST else [value]
    if frame.kind == "@(" and not (value is None or isinstance(value, Element | list | bytes)):
        value = [value]
    return Item(kind, frame.begin, end, value, inner.how, inner.name, parts, inner.text)


def _escaped(match: re.Match[str], frame: Frame) -> str:
    if match["code"]:
        code = int(match["code"], 16)
        return chr(code) if code < 0x110000 else ""
    letter = match["escape"]
    frame.rewritten |= letter.isalnum() and letter not in _ESCAPES
    return "" if letter == "\n" else _ESCAPES.get(letter, letter)


def _joined(budget: Budget, *parts: Any) -> str:
    return join(budget, list(map(text_of, parts)))
