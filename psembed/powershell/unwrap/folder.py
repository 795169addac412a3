"""Constant folding of PowerShell text: which expressions have a known value, and what is given to run.

One left-to-right pass with a stack of open brackets, so no recursion, whatever the depth. Each bracket's
statements are reduced by the operators' precedence; variables keep the value last assigned where that is
certain enough for reading a script. Nothing is executed.
"""

import re
from typing import Any, NamedTuple

from psembed.powershell.cleaning import DOUBLE_QUOTES, SINGLE_QUOTES
from psembed.powershell.unwrap import literals
from psembed.powershell.unwrap.commands import Commands
from psembed.powershell.unwrap.expressions import (
    ASSIGN,
    BLOCK,
    DECODINGS,
    GROUP,
    INDEX,
    LIST,
    MEMBER,
    OP,
    OPERANDS,
    PARAMETER,
    TYPE,
    VALUE,
    WORD,
    Found,
    Item,
    decisive,
    type_name,
    variable_name,
)
from psembed.powershell.unwrap.literals import Budget, Cut, Each, lifted

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
_TAKEN = (
    "newline", "single", "plain", "double", "type", "open", "variable", "number", "operator", "parameter",
    "member", "assign", "step", "close", "symbol", "word",
)  # fmt: skip
_UNSEEN = frozenset({"space", "comment", "other"})
_NUMBER = re.compile("0x[0-9a-f]+|[0-9]+", re.IGNORECASE)
_IN_STRING = re.compile(
    rf"[^{_D}`$]++|`u\{{(?P<code>[0-9a-f]{{1,6}})\}}|`(?P<escape>.)|(?P<twice>[{_D}]{{2}})|(?P<quote>[{_D}])"
    r"|\$(?:\{(?P<braced>[^{}\r\n]{1,200}+)\}|(?P<name>(?:\w++:(?=\w))?+\w++))|(?P<code_opens>\$\()|[`$]",
    re.IGNORECASE | re.DOTALL,
)
_HERE_ENDS = {"'": re.compile(rf"\r?\n[{_S}]@"), '"': re.compile(rf"\r?\n[{_D}]@")}
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
}  # fmt: skip
_CLOSERS = {"(": ")", "$(": ")", "@(": ")", "{": "}", "@{": "}", "[": "]"}


class Frame:
    """An open bracket or expandable string: what stands in it so far, and its last statement's value."""

    __slots__ = ("begin", "folded", "here", "items", "kind", "loose", "result")

    def __init__(self, kind: str, begin: int, *, loose: bool = False, here: int = -1):
        self.kind, self.begin, self.loose, self.here = kind, begin, loose, here
        self.items: list = []
        self.result: Item | None = None
        self.folded = False


class Folded(NamedTuple):
    """What folding gives.

    Attributes
    ----------
    text : str
        The script with each folded expression as a literal.
    decoded : list of Found
        The strings, bytes and characters that a decoding gave, outermost only.
    run : list of Found
        The strings that are given to run as a script.
    cut : str
        The limit that stopped it, or "".
    """

    text: str
    decoded: list[Found]
    run: list[Found]
    cut: str


def fold(text: str, budget: Budget) -> Folded:
    """Return what `text` says once its constant expressions are evaluated; see the module's docstring.

    Never raises, on any text; a limit that is reached ends it early.
    """
    folder = Folder(text, budget)
    cut = folder.run()
    if not cut and folder.fickle & folder.used and (folder.pieces or folder.decoded or folder.given):
        folder = Folder(text, budget, frozenset(folder.fickle))
        cut = folder.run()
    pieces = _outermost(folder.pieces)
    inside = _outermost(folder.pieces + folder.decoded)
    decoded = [found for found in inside if found.how in DECODINGS]
    return Folded(_with_literals(text, pieces), decoded, folder.given, cut)


def _outermost(found: list[Found]) -> list[Found]:
    """Return those that are in no other, in order; of several at one place, the last."""
    kept, end = [], -1
    ordered = sorted(enumerate(found), key=lambda each: (each[1].begin, -each[1].end, -each[0]))
    for _, each in ordered:
        if each.begin >= end:
            kept.append(each)
            end = each.end
    return kept


def _with_literals(text: str, pieces: list[Found]) -> str:
    kept, start = [], 0
    for begin, end, value, how in pieces:
        kept += [text[start:begin], value if how == WORD else quoted(value)]
        start = end
    return "".join([*kept, text[start:]])


def quoted(value: str) -> str:
    """Return a single-quoted literal."""
    for quote in SINGLE_QUOTES:
        if quote in value:
            value = value.replace(quote, 2 * quote)
    return f"'{value}'"


class Folder(Commands):
    """One pass over a text; `run` it once, then read `pieces`, `decoded`, `given` and `fickle`.

    Parameters
    ----------
    text : str
    budget : Budget
    untrusted : frozenset of str
        Variables whose value is never taken as known.
    """

    def __init__(self, text: str, budget: Budget, untrusted: frozenset[str] = frozenset()):
        super().__init__(budget, untrusted)
        self.text = text
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
            while len(self.frames) > 1:
                self.budget.check_time()
                self._close_string(position) if self.frames[-1].kind == '"' else self._close(position)
            self._end_statement()
        except Cut as cut:
            return str(cut)
        self.fickle |= {name for name, nested in self.sets.items() if len(nested) > 1 and any(nested)}
        return ""

    def _end_statement(self) -> None:
        frame = self.frames[-1]
        items, frame.items = frame.items, []
        if items:
            frame.result = self._statement(items, frame)

    def _statement(self, items: list[Item], frame: Frame) -> Item | None:
        place = len(items)
        for number, item in enumerate(items[:8]):
            if item.kind == ASSIGN:
                place = number
                break
        if place in (0, len(items)):
            return self._pipeline(items)
        result = self._pipeline(items[place + 1 :]) if place + 1 < len(items) else None
        if frame.kind != "@{":
            self._assign(items[:place], items[place].name, result or Item(VALUE, 0, 0), loose=frame.loose)
        return result if frame.kind == "(" and not frame.loose else None

    # Tokens

    def _token(self, position: int) -> int:
        """Take in the token at `position`; return where the next one starts."""
        match = _TOKEN.match(self.text, position)
        kind = match.lastgroup
        if kind in _UNSEEN:
            return match.end()
        end = match.end(kind)
        if take := self.take.get(kind):
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
        end = position + _NUMBER.match(match[0]).end()
        self._take_number(self.text[position:end], position, end)
        return end

    def _push(self, item: Item) -> None:
        self.frames[-1].items.append(item)

    def _here_string(self, position: int, start: int) -> int:
        self.budget.check_time()  # one within another looks for its end through all of the text
        double = self.text[position + 1] in DOUBLE_QUOTES
        ends = _HERE_ENDS['"' if double else "'"].search(self.text, start - 1)
        stop, end = (ends.start(), ends.end()) if ends else (len(self.text), len(self.text))
        inside = self.text[start:stop]
        if double and ("$" in inside or "`" in inside):
            self.frames.append(Frame('"', position, here=stop))
            return start
        self._push(Item(VALUE, position, end, inside))
        return end

    def _take_newline(self, _: str, position: int, end: int) -> None:
        frame = self.frames[-1]
        if frame.kind not in ("(", "[") and frame.items and frame.items[-1].kind not in (OP, ASSIGN):
            self._end_statement()

    def _take_single(self, token: str, position: int, end: int) -> None:
        value = token[1:-1] if len(token) > 1 and token[-1] in SINGLE_QUOTES else token[1:]
        for quote in SINGLE_QUOTES:
            if quote in value:
                value = re.sub(f"[{SINGLE_QUOTES}]([{SINGLE_QUOTES}])", r"\1", value)
                break
        self.frames[-1].items.append(Item(VALUE, position, end, value))

    def _take_double(self, _: str, position: int, end: int) -> None:
        self.frames.append(Frame('"', position))

    def _take_plain(self, token: str, position: int, end: int) -> None:
        self._push(Item(VALUE, position, end, token[1:-1]))

    def _take_type(self, token: str, position: int, end: int) -> None:
        self._push(Item(TYPE, position, end, name=type_name(token.strip("[ \t\r\n").removesuffix("]"))))

    def _take_variable(self, token: str, position: int, end: int) -> None:
        name = variable_name(token[1:])
        value, how = self._variable(name)
        self._push(Item(VALUE, position, end, value, how, name))

    def _take_number(self, token: str, position: int, end: int) -> None:
        value = None
        if len(token) <= 20 and "." not in token:
            value = _whole(token)
        self.frames[-1].items.append(Item(VALUE, position, end, value))

    def _is_operand_of_its_own(self) -> bool:
        """Tell whether what comes next is not the operand of a cast or sign, which bind before commas."""
        items = self.frames[-1].items
        return not items or not (items[-1].kind == TYPE or (items[-1].kind == OP and items[-1].name in "+-"))

    def _take_numbers(self, token: str, position: int, end: int) -> None:
        self.budget.spend(len(token))
        item = Item(LIST, position, end, [_whole(number) for number in _NUMBER.findall(token)])
        item.parts = item.value
        self._push(item)

    def _take_operator(self, token: str, position: int, end: int) -> None:
        self._push(Item(OP, position, end, name=token[1:].lower()))

    def _take_parameter(self, token: str, position: int, end: int) -> None:
        self._push(Item(PARAMETER, position, end, name=token[1:].lower().rstrip(":")))

    def _take_member(self, token: str, position: int, end: int) -> None:
        items = self.frames[-1].items
        after = items and items[-1].kind in (*OPERANDS, TYPE, INDEX, MEMBER, BLOCK)
        name = token.lstrip(":. ").replace("`", "")
        if after and (items[-1].end == position or token[0] == ":" or self.text[end : end + 1] == "("):
            self._push(Item(MEMBER, position, end, name=name.lower()))
        elif token[1:2] == " ":
            self._take_symbol(".", position, position + 1)
            self._take_word(token[2:], position + 2, end)
        else:
            self._take_word(token, position, end)

    def _take_assign(self, token: str, position: int, end: int) -> None:
        items = self.frames[-1].items
        place = len(items) - 1
        while place >= 0 and items[place].kind in (INDEX, MEMBER):
            place -= 1
        while place > 0 and items[place - 1].kind == TYPE:
            place -= 1
        if place > 0 and items[place - 1].kind not in (OP, ASSIGN, PARAMETER):  # lines that were joined
            rest, self.frames[-1].items = items[place:], items[:place]
            self._end_statement()
            self.frames[-1].items = rest
        self._push(Item(ASSIGN, position, end, name=token))

    def _take_step(self, token: str, position: int, end: int) -> None:
        items = self.frames[-1].items
        if items and items[-1].name and items[-1].kind == VALUE:
            self.fickle.add(items[-1].name)

    def _take_symbol(self, token: str, position: int, end: int) -> None:
        if token in (";", "&&", "||"):
            self._end_statement()
        elif token != "!":
            self._push(Item(OP, position, end, name="-" if token in DASHES else token))

    def _take_word(self, token: str, position: int, end: int) -> None:
        name = token.replace("`", "")
        if name != token and name:
            self.pieces.append(Found(position, end, name, WORD))
        self._push(Item(WORD, position, end, name=name.lower()))

    # Brackets

    def _take_open(self, token: str, position: int, end: int) -> None:
        items = self.frames[-1].items
        before = items[-1] if items else None
        loose = token == "(" and before is not None and before.kind == WORD
        loose = loose and (before.name in ("for", "param") or self._names_function(items))
        self.frames.append(Frame(token, position, loose=loose))
        self.blocks += token == "{"

    @staticmethod
    def _names_function(items: list[Item]) -> bool:
        return len(items) > 1 and items[-2].kind == WORD and items[-2].name in ("function", "filter")

    def _take_close(self, token: str, position: int, end: int) -> None:
        if _CLOSERS.get(self.frames[-1].kind) == token:
            self._close(end)

    def _close(self, end: int) -> None:
        """End the innermost bracket; what it gives becomes an item of the one around it."""
        frame = self.frames[-1]
        if not (frame.kind == "(" and self._loop_variable(frame)):
            self._end_statement()
        self.frames.pop()
        self.blocks -= frame.kind == "{"
        outer = self.frames[-1]
        if outer.kind == '"':
            outer.items.append(frame.result or Item(VALUE, frame.begin, end))
            return
        kind = {"{": BLOCK, "@{": VALUE, "[": INDEX}.get(frame.kind, GROUP)
        item = self._enclosed(frame, kind, end)
        if kind == INDEX and not (outer.items and outer.items[-1].kind in (*OPERANDS, MEMBER, INDEX)):
            return  # an attribute
        before = outer.items[-1] if outer.items else None
        alone = before is None or before.kind in (OP, ASSIGN, TYPE) or before.end < frame.begin
        outer.items.append(item)
        if frame.kind == "(" and alone and self._is_folded(frame.result):
            self.pieces.append(Found(frame.begin, end, str(item.value), item.how))

    def _enclosed(self, frame: Frame, kind: str, end: int) -> Item:
        inner = frame.result
        if inner is None or frame.kind == "@{":
            return Item(kind, frame.begin, end)
        item = Item(kind, frame.begin, end, inner.value, inner.how, inner.name)
        item.text = inner.text
        item.parts = inner.parts if inner.kind == LIST else [inner.value]
        if (
            frame.kind == "@("
            and inner.value is not None
            and not isinstance(inner.value, Each | list | bytes)
        ):
            item.value = [inner.value]
        return item

    def _is_folded(self, item: Item | None) -> bool:
        """Tell whether the item's own place has become a literal."""
        if item is None or not isinstance(item.value, str) or not self.pieces:
            return False
        return any((piece.begin, piece.end) == (item.begin, item.end) for piece in reversed(self.pieces[-4:]))

    def _loop_variable(self, frame: Frame) -> bool:
        """Bind the variable of `foreach ($x in ...)`; tell whether it is one."""
        items = frame.items
        if len(items) < 3 or not items[0].name or items[1].kind != WORD or items[1].name != "in":
            return False
        frame.items = items[2:]
        self._end_statement()
        source = self._attempt(literals.elements, frame.result and frame.result.value)
        known = source is not None and not isinstance(frame.result.value, Each)
        self.variables[items[0].name] = (
            Each(source, ()) if known else None,
            frame.result.how if known else "",
        )
        frame.result = None
        return True

    # Expandable strings

    def _string_part(self, position: int) -> int:
        frame = self.frames[-1]
        if 0 <= frame.here <= position:
            end = _HERE_ENDS['"'].match(self.text, frame.here)
            return self._close_string(end.end() if end else len(self.text))
        match = _IN_STRING.match(self.text, position)
        end = match.end()
        if match["quote"] or match["twice"]:
            if frame.here < 0 and match["quote"]:
                return self._close_string(end)
            frame.items.append(match[0] if frame.here >= 0 else match[0][0])
        elif match["escape"] or match["code"]:
            frame.items.append(self._escaped(match, frame))
        elif name := match["name"] or match["braced"]:
            name = variable_name(name)
            value, how = self._variable(name)
            item = Item(VALUE, position, end, value, how, name)
            item.text = match[0]
            frame.items.append(item)
        elif match["code_opens"]:
            self.frames.append(Frame("$(", position))
        else:
            frame.items.append(match[0] if frame.here < 0 else self.text[position : min(end, frame.here)])
        return end if frame.here < 0 else min(end, max(frame.here, position + 1))

    def _escaped(self, match: re.Match, frame: Frame) -> str:
        if match["code"]:
            code = int(match["code"], 16)
            return chr(code) if code < 0x110000 else ""
        letter = match["escape"]
        frame.folded |= letter.isalnum() and letter not in _ESCAPES
        return "" if letter == "\n" else _ESCAPES.get(letter, letter)

    def _close_string(self, end: int) -> int:
        frame = self.frames.pop()
        parts = [Item(VALUE, 0, 0, part) if isinstance(part, str) else part for part in frame.items]
        frame.folded |= any(part.how for part in parts)
        how = decisive("", *parts)
        value = ""
        if parts:
            value = self._attempt(lifted, _joined, self.budget, *(part.value for part in parts))
        item = Item(VALUE, frame.begin, end, value, how)
        item.text = "".join(part.value if isinstance(part.value, str) else part.text for part in parts)
        if frame.folded and isinstance(value, str):
            self.pieces.append(Found(frame.begin, end, value, how))
        outer = self.frames[-1]
        outer.items.append(item)
        return end


Folder.take = {kind: getattr(Folder, f"_take_{kind}") for kind in _TAKEN}  # no names to look up per token


def _whole(digits: str) -> int:
    return int(digits, 16 if digits[:2] in ("0x", "0X") else 10)


def _joined(budget: Budget, *parts: Any) -> str:
    return literals.join(budget, list(map(literals.text_of, parts)))
