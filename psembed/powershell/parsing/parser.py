"""From the text of a PowerShell script to its tree: what matters for constants, of damaged scripts too.

Every text has a tree: what is no PowerShell is passed over. Brackets within brackets are read to NESTING, what is
deeper is passed over; everything else is read without recursion, in time that is linear in the text.
"""

import re
from collections.abc import Callable
from typing import ClassVar

from psembed.powershell.cleaning import DOUBLE_QUOTES, HERE_END, SINGLE_QUOTES
from psembed.powershell.parsing.tree import (
    Assign,
    Body,
    Chain,
    Code,
    Command,
    Expandable,
    Flow,
    ForEach,
    Function,
    Hash,
    If,
    Index,
    Items,
    Literal,
    Literals,
    Loop,
    Member,
    Named,
    Node,
    Paren,
    Pipeline,
    Postfixed,
    Prefixed,
    Step,
    Switch,
    Try,
    Type,
    Variable,
)  # fmt: skip
from psembed.powershell.dotnet.values import Char, type_name

DASHES = "-\u2013\u2014\u2015"
NESTING = 50  # brackets within brackets, of which each takes some calls to read and to evaluate
_LEVELS = (
    "and or xor", "band bor bxor shl shr",
    "as is isnot split csplit isplit join replace creplace ireplace eq ne gt lt ge le ceq cne cgt clt cge cle ieq "
    "ine igt ilt ige ile like notlike clike cnotlike ilike inotlike match notmatch cmatch cnotmatch imatch "
    "inotmatch contains notcontains ccontains icontains in notin",
    "+ -", "* / %", "f", "..",
)  # fmt: skip
_LEVEL = {name: level for level, names in enumerate(_LEVELS) for name in names.split()}
_WORDS = "|".join(sorted((name for name in _LEVEL if name.isalpha()), key=len, reverse=True))
_S, _D = SINGLE_QUOTES, DOUBLE_QUOTES
_BREAKS = rf"\s`|&;,(){{}}{_S}{_D}$>"  # characters that end a bare word
_NUMBER_TEXT = r"(?:0x[0-9a-f]++|[0-9]++)"
_STRING = rf"(?:[{_S}][^{_S}]*+[{_S}](?![{_S}])|[{_D}][^{_D}`$]*+[{_D}](?![{_D}]))"
_CHARACTER = r"\[char\]\s*+(?:0x[0-9a-f]{1,4}+|[0-9]{1,5}+)"
# Possessive throughout: no token is tried twice, so reading is linear.
_GAP = re.compile(r"(?:[^\S\r\n]|`\r?\n)++")
_GAPS = re.compile(r"(?:\s|`\r?\n)++")
_OPERATOR = re.compile(
    rf"[{DASHES}]({_WORDS})(?![\w-])|(\.\.|[*/%](?!=)|\+(?![+=])|[{DASHES}](?![{DASHES}=a-z_]))",
    re.IGNORECASE,
)
_UNARY = re.compile(rf"[{DASHES}](join|[ci]?split|not|bnot)(?![\w-])|(\+\+|--|[{DASHES}!+,])", re.IGNORECASE)
_AFTER = re.compile(r"[ \t]*+(\+\+|--)(?![\w$(\[])")
_ASSIGNS = re.compile(rf"([{DASHES}+*/%]|\?\?)?=(?!=)")
_SUM = re.compile(rf"(?:(?:{_STRING}|{_CHARACTER})\s*+\+\s*+)++(?![+=])", re.IGNORECASE)
_SUMMAND = re.compile(rf"{_STRING}|{_CHARACTER}", re.IGNORECASE)
_LIST = re.compile(rf"(?:{_STRING}\s*+,\s*+)++")
_LISTED = re.compile(_STRING)
_NUMBERS = re.compile(rf"{_NUMBER_TEXT}(?:\s*+,\s*+{_NUMBER_TEXT}(?![\w.]))++", re.IGNORECASE)
_NUMBER = re.compile(
    r"(0x[0-9a-f]++|[0-9]++(?:\.[0-9]++)?+(?:e[+-]?[0-9]++)?+)(?:[ld]|u?[lsy])?+(kb|mb|gb)?+(?![\w])",
    re.IGNORECASE,
)
_SIMPLE = re.compile(_STRING)
_SINGLE = re.compile(rf"[{_S}][^{_S}]*+(?:[{_S}][{_S}][^{_S}]*+)*+[{_S}]?+")
_HERE = re.compile(rf"@[{_S}{_D}][ \t]*+\r?+\n")
_VARIABLE = re.compile(r"[$@](?:\{([^{}\r\n]{1,200}+)\}|((?:\w++:(?=\w))?+\w++|[$^?](?!\w)))")
_INSIDE = r"[\w.`, ]*+"
_TYPE = re.compile(
    rf"\[\s*+([A-Za-z_`][\w.`+]*+\s*+(?:\[{_INSIDE}(?:\[{_INSIDE}(?:\[{_INSIDE}\]{_INSIDE})*+\]{_INSIDE})*+\])?+)\s*+\]"
)
_MEMBER = re.compile(r"(?:::|\.(?!\.))\s*+([A-Za-z_`][\w`]*+)?")
_SPACED_MEMBER = re.compile(r"[^\S\r\n]++(?:(?=::)|(?=\.[ ]?[a-z_`][\w`]*+\())", re.IGNORECASE)
_PIECE = re.compile(rf"[^{_BREAKS}]++")
_PARAMETER = re.compile(rf"[{DASHES}]([a-z_?][\w?`-]*+)(:|(?=[\s|&;(){{}},$]|\Z))", re.IGNORECASE)
_REDIRECTION = re.compile(r"([*0-9]?)(?:>{1,2}+(&[0-9])?|<(?!#))")
_KEYWORD = re.compile(r"[A-Za-z]++(?![\w.\\:-])")
_LABEL = re.compile(r":(\w++)\s++(?=(?:for|foreach|while|do|switch)\b)", re.IGNORECASE)
_NAME = re.compile(rf"[^\s({{;{_S}{_D}]++")
_KEY = re.compile(r"[A-Za-z_][\w-]*+(?=\s*=)")
_IN = re.compile(r"in\b", re.IGNORECASE)
_LINE = re.compile(r"[^\r\n]*+")
_IN_STRING = re.compile(
    rf"[^{_D}`$]++|`u\{{(?P<code>[0-9a-f]{{1,6}})\}}|`(?P<escape>.)|(?P<twice>[{_D}]{{2}})|(?P<quote>[{_D}])"
    r"|(?P<variable>\$(?:\{[^{}\r\n]{1,200}+\}|(?:\w++:(?=\w))?+\w++|\?))|(?P<opens>\$\()|[`$]",
    re.IGNORECASE | re.DOTALL,
)
_PASSED = re.compile(rf"(?P<opens>[(\[{{])|(?P<closes>[)\]}}])|[{_S}][^{_S}]*+[{_S}]?+|[^(){{}}\[\]{_S}]++")
_ESCAPES = {"0": "\0", "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\n": ""}
_SINGLE_SET, _DOUBLE_SET, _DASH_SET = frozenset(SINGLE_QUOTES), frozenset(DOUBLE_QUOTES), frozenset(DASHES)
_QUOTES, _DIGITS = _SINGLE_SET | _DOUBLE_SET, frozenset("0123456789")
_GAP_STARTS = frozenset(" \t\r\n`<#\x0b\x0c\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(code) for code in range(0x2000, 0x200B)
}
_ENDS = frozenset(["", ";", "|", ")", "}", "\n", "\r", "&"])
_OPENS_OPERAND = _QUOTES | _DIGITS | frozenset("$([@{+!,") | _DASH_SET
_SCOPE = re.compile(r"^(?:local|private|variable|using):")


def variable_name(name: str) -> str:
    """Return a variable's name in lower case, without braces, back-ticks and scope."""
    name = _SCOPE.sub("", name.strip("{}").replace("`", "").lower())
    return "_" if name == "psitem" else name


def numbers_of(text: str) -> list[int]:
    """Return the numbers between commas."""
    if "x" in text or "X" in text:
        return [int(each, 16 if "x" in each or "X" in each else 10) for each in text.split(",")]
    return [int(each.strip()) for each in text.split(",")]


class Parser:
    """Reads one text; `run` it once, then read `words`, `ambiguous` and `cut`.

    `modern` reads the escapes that only PowerShell 7 knows. `words` are (begin, end, what it says) of words with
    back-ticks in them; `ambiguous` tells whether PowerShell 5.1 and 7 read the text differently; `cut` whether
    more than `tokens` were in it, of which the rest is not read.
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

    def run(self) -> Body:
        """Return the statements of the whole text."""
        statements = self._statements("")
        return Body(0, len(self.text), statements, frozenset(self.assigned), self.deepest)

    def _count(self) -> None:
        """Count a token; past the last that may be read, the text ends."""
        self.tokens -= 1
        if self.tokens < 0 and not self.cut:
            self.text, self.cut = self.text[: self.pos], True

    def _here(self) -> str:
        return self.text[self.pos : self.pos + 1]

    def _skip(self, *, lines: bool = False) -> str:
        """Pass over white space and comments, and line ends if asked to; return the next character."""
        while (here := self.text[self.pos : self.pos + 1]) in _GAP_STARTS:
            if here == "#":
                self.pos = _LINE.match(self.text, self.pos).end()  # type: ignore[union-attr]
            elif here == "<":
                if not self.text.startswith("<#", self.pos):
                    break
                close = self.text.find("#>", self.pos + 2)
                self.pos = len(self.text) if close < 0 else close + 2
            elif gap := (_GAPS if lines else _GAP).match(self.text, self.pos):
                self.pos = gap.end()
            else:
                break
        return here

    # Statements

    def _statements(self, closer: str) -> list[Node]:
        """Return the statements up to a bracket, which is passed over."""
        found: list[Node] = []
        while here := self._skip(lines=True):
            if here == closer:
                self.pos += 1
                break
            begin = self.pos
            if here != ";":
                statement = self._statement()
                if statement is not None:
                    found.append(statement)
            if self.pos == begin:
                self.pos += 1
        return found

    def _statement(self) -> Node | None:
        self._count()
        self.label = ""
        if self._here() == ":" and (label := _LABEL.match(self.text, self.pos)):
            self.pos, self.label = label.end(), label[1].lower()
        if keyword := _KEYWORD.match(self.text, self.pos):
            if read := self.KEYWORDS.get(keyword[0].lower()):
                begin, self.pos = self.pos, keyword.end()
                return read(self, begin, keyword[0].lower())
        return self._pipeline()

    def _pipeline(self) -> Node | None:
        """Return an assignment, a pipeline or its only part."""
        begin, targets = self.pos, []
        part = self._element()
        while isinstance(part, Variable | Postfixed | Prefixed | Items):
            self._skip(lines=self.loose)
            operator = _ASSIGNS.match(self.text, self.pos)
            if operator is None:
                break
            targets.append((part, operator[1] or ""))
            self._note_assigned(part)
            self.pos = operator.end()
            self._skip(lines=True)
            keyword = _KEYWORD.match(self.text, self.pos)
            part = self._statement() if keyword and keyword[0].lower() in self.KEYWORDS else self._element()
        if part is not None:
            part = self._piped(part)
        if not targets:
            return part
        value = part or Literal(self.pos, self.pos, (None, ""))
        operators = {operator for _, operator in targets} - {""}
        return Assign(
            begin, self.pos, [each for each, _ in targets], operators.pop() if operators else "=", value
        )

    def _piped(self, part: Node) -> Node:
        begin, parts = part.begin, [part]
        while self._skip(lines=self.loose) == "|":
            self.pos += 1
            if self._here() == "|":  # || ends a statement
                break
            self._skip(lines=True)
            later = self._element(first=False)
            if later is None:
                break
            parts.append(later)
        if self._here() == "&":
            self.pos += 1 + self.text.startswith("&&", self.pos)
        return part if len(parts) == 1 else Pipeline(begin, self.pos, parts)

    def _element(self, *, first: bool = True) -> Node | None:
        """Return one part of a pipeline: an expression or a command."""
        here = self._skip()
        if here == "&" or (here == "." and not self.text[self.pos + 1 : self.pos + 2].isdigit()):
            after = self.text[self.pos + 1 : self.pos + 2]
            if here == "&" or after in _QUOTES or after in _GAP_STARTS or after in ("$", "(", "{"):
                begin, self.pos = self.pos, self.pos + 1
                return self._command(begin, here)
        elif here in _OPENS_OPERAND and self._begins_expression(here):
            expression = self._expression()
            while redirection := _REDIRECTION.match(self.text, self.pos + (self._skip() == "")):
                self.pos = redirection.end()
                if expression is not None and not (redirection[1] or "").strip("*1") and not redirection[2]:
                    expression = Prefixed(expression.begin, self.pos, [("cast", "void")], expression)
                if not redirection[2]:
                    self._skip()
                    self._value()
            return expression
        return None if here in _ENDS else self._command(self.pos, "")

    def _begins_expression(self, here: str) -> bool:
        if here in _DIGITS:
            return _NUMBER.match(self.text, self.pos) is not None
        after = self.text[self.pos + 1 : self.pos + 2]
        if here == "@":
            return after in ("(", "{") or after in _QUOTES
        if here in _DASH_SET:
            operator = _UNARY.match(self.text, self.pos)
            return operator is not None and (
                operator[1] is not None or after in _OPENS_OPERAND or after == " "
            )
        return True

    # Keywords

    def _condition(self) -> Node | None:
        """Return what stands in the brackets after a keyword."""
        return self._paren(self.pos, "(", 1) if self._skip(lines=True) == "(" else None

    def _block(self) -> Body:
        """Return the statements in braces, none where there are no braces."""
        if self._skip(lines=True) != "{":
            return Body(self.pos, self.pos, [], frozenset())
        return self._enclosed("}", 1)

    def _next_word(self, *words: str) -> bool:
        """Pass over the next word if it is one of these."""
        before = self.pos
        self._skip(lines=True)
        word = _KEYWORD.match(self.text, self.pos)
        found = word is not None and word[0].lower() in words
        self.pos = word.end() if word is not None and found else before
        return found

    def _if(self, begin: int, _: str) -> Node | None:
        clauses, otherwise = [], None
        condition = self._condition()
        if condition is None:
            return None
        clauses.append((condition, self._block()))
        while self._next_word("elseif"):
            clauses.append((self._condition() or Literal(self.pos, self.pos, (None, "")), self._block()))
        if self._next_word("else"):
            otherwise = self._block()
        return If(begin, self.pos, clauses, otherwise)

    def _while(self, begin: int, _: str) -> Node:
        label = self.label
        condition, exits = self._condition(), self.exits
        body = self._block()
        return Loop(begin, self.pos, None, condition, None, body, self.exits > exits, label)

    def _do(self, begin: int, _: str) -> Node:
        exits, label = self.exits, self.label
        body = self._block()
        until = self._next_word("until")
        condition = self._condition() if until or self._next_word("while") else None
        return Loop(begin, self.pos, None, condition, None, body, self.exits > exits, label, until, True)

    def _for(self, begin: int, _: str) -> Node | None:
        if self._skip() != "(":
            return None
        outer, self.assigned, label = self.assigned, set(), self.label
        header = self._parts_of_header()
        changed, self.assigned = self.assigned, outer
        exits = self.exits
        body = self._block()
        body.assigned |= changed
        self.assigned |= changed
        return Loop(begin, self.pos, *header, body, self.exits > exits, label)

    def _parts_of_header(self) -> list[Node | None]:
        """Return the start, condition and step of a for loop, and pass over the bracket."""
        self.pos += 1
        parts: list[list[Node]] = [[], [], []]
        outer, self.loose, number = self.loose, True, 0
        while here := self._skip(lines=True):
            begin = self.pos
            if here == ")":
                self.pos += 1
                break
            if here == ";":
                number, self.pos = min(number + 1, 2), self.pos + 1
            elif here == ",":
                self.pos += 1
            elif statement := self._statement():
                parts[number].append(statement)
            if self.pos == begin:
                self.pos += 1
        self.loose = outer
        return [
            part[0]
            if len(part) == 1
            else Body(part[0].begin, part[-1].end, part, frozenset())
            if part
            else None
            for part in parts
        ]

    def _foreach(self, begin: int, _: str) -> Node | None:
        if self._skip() != "(":
            return self._command(begin, "", name="foreach-object")
        self.pos += 1
        self._skip(lines=True)
        label = self.label
        variable = self._unary()
        self._skip(lines=True)
        if (word := _IN.match(self.text, self.pos)) is None or variable is None:
            return None
        self._note_assigned(variable)
        self.pos = word.end()
        outer, self.loose = self.loose, True
        self._skip(lines=True)
        source = self._pipeline() or Literal(self.pos, self.pos, (None, ""))
        self.loose = outer
        if self._skip(lines=True) == ")":
            self.pos += 1
        return ForEach(begin, self.pos, variable, source, self._block(), label)

    def _switch(self, begin: int, _: str) -> Node | None:
        operator, word = "eq", ""
        while self._skip() in _DASH_SET:
            option = _PARAMETER.match(self.text, self.pos)
            self.pos = option.end() if option else self.pos + 1
            word = option[1].lower() if option else "file"
            operator = {"wildcard": "like", "regex": "match", "casesensitive": "ceq"}.get(word, operator)
        subject, clauses = self._condition(), []
        if subject is None or self._skip(lines=True) != "{":
            return None
        self.pos += 1
        while (here := self._skip(lines=True)) and here != "}":
            start = self.pos
            key = None if self._next_word("default") else self._code() if here == "{" else self._value()
            clauses.append((key, self._block()))
            if self._skip(lines=True) == ";" or self.pos == start:
                self.pos += 1
        self.pos += 1
        return Switch(begin, self.pos, subject, clauses, "" if word == "file" else operator)

    def _function(self, begin: int, keyword: str) -> Node | None:
        self._skip()
        name = _NAME.match(self.text, self.pos)
        if name is None:
            return None
        self.pos = name.end()
        parameters, piped = self._parameters() if self._skip(lines=True) == "(" else ([], "")
        if self._skip(lines=True) != "{":
            return None
        code = self._code()
        code.parameters, code.piped = code.parameters or parameters, code.piped or piped
        short = name[0].lower().rpartition(":")[2]
        return Function(begin, self.pos, short, code, keyword == "filter")

    def _try(self, begin: int, _: str) -> Node:
        body, catches = self._block(), []
        while self._next_word("catch"):
            while self._skip(lines=True) in ("[", ","):
                kind = _TYPE.match(self.text, self.pos)
                self.pos = kind.end() if kind else self.pos + 1
            catches.append(self._block())
        last = self._block() if self._next_word("finally") else None
        return Try(begin, self.pos, body, catches, last)

    def _flow(self, begin: int, keyword: str) -> Node:
        self._skip()
        self.exits += 1
        value = self._pipeline() if keyword in ("return", "exit", "throw") else None
        if keyword in ("break", "continue") and (label := _KEYWORD.match(self.text, self.pos)):
            self.pos = label.end()
            return Flow(begin, self.pos, f"{keyword} {label[0].lower()}", value)
        return Flow(begin, self.pos, keyword, value)

    def _named(self, begin: int, keyword: str) -> Node | None:
        if keyword == "class" and (name := _NAME.match(self.text, self.pos + (self._skip() == ""))):
            brace = self.text.find("{", name.end(), name.end() + 200)
            self.pos = brace if brace >= 0 else name.end()
        if self._skip(lines=True) != "{":
            return self._command(begin, "", name=keyword)
        return Named(begin, self.pos, keyword, self._block())

    def _param(self, begin: int, _: str) -> Node | None:
        """Return the script's own parameters: assignments of what is not known."""
        if self._skip(lines=True) != "(":
            return None
        made: list[Node] = []
        for name, default in self._parameters()[0]:
            value = default or Literal(begin, begin, (None, ""))
            made.append(Assign(begin, begin, [Variable(begin, begin, name)], "param", value))
        return Body(begin, self.pos, made, frozenset())

    def _using(self, begin: int, _: str) -> Node | None:
        line = _LINE.match(self.text, self.pos)
        self.pos = line.end() if line else self.pos
        return None

    KEYWORDS: ClassVar[dict[str, Callable[..., Node | None]]] = {
        "if": _if, "while": _while, "do": _do, "for": _for, "foreach": _foreach, "switch": _switch,
        "function": _function, "filter": _function, "workflow": _function, "try": _try, "return": _flow,
        "exit": _flow, "throw": _flow, "break": _flow, "continue": _flow, "begin": _named, "process": _named,
        "end": _named, "trap": _named, "data": _named, "dynamicparam": _named, "class": _named, "param": _param,
        "using": _using,
    }  # fmt: skip

    # Brackets

    def _enclosed(self, closer: str, width: int, *, loose: bool = False) -> Body:
        """Return the statements in brackets whose opening is so wide."""
        begin = self.pos
        self.pos += width
        self.depth += 1
        if self.depth > NESTING:
            self._pass_over()
            statements = [Literal(begin, self.pos, (None, ""))]
            body = Body(begin, self.pos, statements, frozenset(), 1)  # type: ignore[arg-type]
        else:
            state, deepest, assigned = (self.loose, self.commas), self.deepest, self.assigned
            self.loose, self.commas, self.deepest, self.assigned = loose, True, self.depth, set()
            found = self._statements(closer)
            body = Body(begin, self.pos, found, frozenset(self.assigned), self.deepest - self.depth + 1)
            self.assigned |= assigned
            (self.loose, self.commas), self.deepest = state, max(deepest, self.deepest)
        self.depth -= 1
        return body

    def _pass_over(self) -> None:
        """Pass over what is nested too deep, up to where its bracket is closed."""
        opened = 1
        while opened and (part := _PASSED.match(self.text, self.pos)):
            self.pos = part.end()
            opened += (part["opens"] is not None) - (part["closes"] is not None)

    def _paren(self, begin: int, kind: str, width: int, *, tight: bool = False) -> Paren:
        body = self._enclosed(")", width, loose=kind == "(")
        return Paren(begin, self.pos, kind, body, tight)

    def _code(self) -> Code:
        """Return a script block."""
        begin = self.pos
        parameters: list[tuple[str, Node | None]] = []
        piped = ""
        self.pos += 1
        outer, self.assigned = self.assigned, set()
        start = self.pos
        if self._attributes() and not self._next_word("param"):
            self.pos = start
        elif (self.text[self.pos - 5 : self.pos].lower() == "param" or self._next_word("param")) and (
            self._skip(lines=True) == "("
        ):
            parameters, piped = self._parameters()
        body = self._enclosed("}", 0)
        self.assigned = outer | body.assigned
        return Code(begin, self.pos, parameters, body, piped)

    def _attributes(self) -> str:
        """Pass over attributes and types before a parameter; return them as text."""
        begin = self.pos
        while self._skip(lines=True) == "[":
            if kind := _TYPE.match(self.text, self.pos):
                self.pos = kind.end()
            else:
                self.pos += 1
                self._pass_over()
        return self.text[begin : self.pos]

    def _parameters(self) -> tuple[list[tuple[str, Node | None]], str]:
        """Return (name, default) of the parameters in brackets, and the name of the one that takes the pipe."""
        self.pos += 1
        found: list[tuple[str, Node | None]] = []
        state, self.loose, self.commas, piped = (self.loose, self.commas), True, False, ""
        while (here := self._skip(lines=True)) and here != ")":
            attributes = self._attributes()
            variable = _VARIABLE.match(self.text, self.pos)
            if variable is None:
                self.pos += 1
                continue
            self.pos = variable.end()
            name, default = variable_name(variable[1] or variable[2]), None
            if self._skip(lines=True) == "=":
                self.pos += 1
                self._skip(lines=True)
                default = self._expression()
            found.append((name, default))
            piped = name if "valuefrompipeline" in attributes.lower() else piped
        self.pos += 1
        self.loose, self.commas = state
        return found, piped

    def _hash(self) -> Hash:
        begin = self.pos
        self.pos += 2
        self.depth += 1
        pairs: list[tuple[Node, Node]] = []
        state, self.loose, self.commas = (self.loose, self.commas), False, True
        if self.depth > NESTING:
            self._pass_over()
        else:
            deepest, self.deepest = self.deepest, max(self.deepest, self.depth)
            while (here := self._skip(lines=True)) and here != "}":
                start = self.pos
                key = self._key() if here not in (";", "=") else None
                if self._skip(lines=True) == "=" and key is not None:
                    self.pos += 1
                    self._skip(lines=True)
                    if value := self._statement():
                        pairs.append((key, value))
                if self._here() == ";" or self.pos == start:
                    self.pos += 1
            self.pos += 1
            self.deepest = max(deepest, self.deepest)
        self.loose, self.commas = state
        self.depth -= 1
        return Hash(begin, self.pos, pairs)

    def _key(self) -> Node | None:
        begin = self.pos
        if word := _KEY.match(self.text, begin):
            self.pos = word.end()
            return Literal(begin, self.pos, (word[0], ""), True)
        return self._unary()

    # Expressions

    def _expression(self, level: int = 0) -> Node | None:
        """Return an expression of operators of this precedence and higher."""
        left = self._sum_of_literals() if level <= 3 else None
        if left is None:
            left = self._list()
        while left is not None and (operator := self._operator()) and _LEVEL[operator[0]] >= level:
            this = _LEVEL[operator[0]]
            rest: list[tuple[str, Node]] = []
            while operator is not None and _LEVEL[operator[0]] == this:
                self.pos = operator[1]
                self._skip(lines=True)
                operand = self._type() if operator[0] in ("as", "is", "isnot") else None
                operand = operand or (self._expression(this + 1) if this < 6 else self._list())
                rest.append((operator[0], operand or Literal(self.pos, self.pos, (None, ""))))
                operator = self._operator()
            left = Chain(left.begin, rest[-1][1].end, left, rest)
        return left

    def _operator(self) -> tuple[str, int] | None:
        """Return the operator that comes next, in lower case, and its end."""
        self._skip(lines=self.loose)
        found = _OPERATOR.match(self.text, self.pos)
        if found is None:
            return None
        name = found[1].lower() if found[1] else "-" if found[2] in _DASH_SET else found[2]
        return name, found.end()

    def _sum_of_literals(self) -> Node | None:
        """Return `'a'+'b'+[char]99+` and so on, without the last operand, as one literal and a sum."""
        here = self._skip(lines=self.loose)
        if here not in _QUOTES and here != "[":
            return None
        begin = self.pos
        terms = _SUM.match(self.text, begin)
        if terms is None or (
            here == "[" and terms[0].count("+") < 2 and not self._string_follows(terms.end())
        ):
            return None
        self._count()
        value, decodes = _summed(terms[0])
        end = begin + len(terms[0].rstrip().removesuffix("+").rstrip())
        left = Literal(begin, end, (value, "characters" if decodes else "concatenation"), False, True)
        if _SUMMAND.fullmatch(self.text, begin, end):
            left.folded = "[" in self.text[begin : begin + 1]
            left.value = (value, "characters" if decodes else "")
        self.pos = terms.end()
        self._skip(lines=True)
        rest = [("+", self._expression(4) or Literal(self.pos, self.pos, (None, "")))]
        while (operator := self._operator()) and operator[0] in "+-":
            self.pos = operator[1]
            self._skip(lines=True)
            rest.append((operator[0], self._expression(4) or Literal(self.pos, self.pos, (None, ""))))
        return Chain(begin, rest[-1][1].end, left, rest)

    def _string_follows(self, place: int) -> bool:
        return _SUMMAND.match(self.text, place) is not None

    def _list(self) -> Node | None:
        """Return an operand, or several between commas."""
        here = self._skip(lines=self.loose)
        begin = self.pos
        if not self.commas:
            return self._unary()
        items: list[Node] = []
        if here in _QUOTES and (strings := _LIST.match(self.text, begin)):
            values = [each[1:-1] for each in _LISTED.findall(strings[0])]
            items.append(Literals(begin, strings.end(), values))
            self.pos = strings.end()
        elif here in _DIGITS and (numbers := _NUMBERS.match(self.text, begin)):
            items.append(Literals(begin, numbers.end(), None, numbers[0]))
            self.pos = numbers.end()
            if self._skip(lines=self.loose) != ",":
                return items[0]
            self.pos += 1
        if not items:
            first = self._unary()
            if first is None or self._skip(lines=self.loose) != ",":
                return first
            items.append(first)
            self.pos += 1
        while True:
            self._skip(lines=True)
            item = self._unary()
            if item is not None:
                items.append(item)
            if item is None or self._skip(lines=self.loose) != ",":
                return Items(begin, self.pos, items)
            self.pos += 1

    def _type(self) -> Type | None:
        found = _TYPE.match(self.text, self.pos)
        if found is None:
            return None
        begin, self.pos = self.pos, found.end()
        return Type(begin, self.pos, type_name(found[1]))

    def _unary(self) -> Node | None:
        """Return an operand with the casts and operators before it."""
        begin, prefixes = self.pos, []
        while True:
            here = self._skip(lines=bool(prefixes))
            if here == "[":
                start = self.pos
                kind = self._type()
                if kind is None:
                    self.pos += 1
                    self._pass_over()  # an attribute
                    continue
                after = self.text[self.pos : self.pos + 2]
                if after == "::" or after[:1] == "." or _SPACED_MEMBER.match(self.text, self.pos):
                    operand = self._postfixes(kind)
                    break
                before = self.pos
                after = self._skip()
                if after not in _OPENS_OPERAND or (
                    after in _DASH_SET and not _UNARY.match(self.text, self.pos)
                ):
                    self.pos, operand = before, kind
                    break
                prefixes.append(("cast", kind.name))
                self._count()
            elif here in _DASH_SET or here in ("+", "!", ","):
                operator = _UNARY.match(self.text, self.pos)
                if operator is None:
                    return None
                name = (operator[1] or operator[2]).lower()
                prefixes.append(("operator", "-" if name in _DASH_SET else name))
                self.pos = operator.end()
                self._count()
            else:
                operand = self._operand(here)
                break
        if operand is None:
            return None
        return self._with_prefixes(begin, prefixes, self._stepped(operand))

    def _with_prefixes(self, begin: int, prefixes: list[tuple[str, str]], operand: Node) -> Node:
        if not prefixes:
            return operand
        if prefixes == [("cast", "char")] and isinstance(operand, Literal) and type(operand.value[0]) is int:
            code = operand.value[0]
            if 0 <= code <= 0xFFFF:
                return Literal(begin, self.pos, (Char(chr(code)), "characters"), False, True)
        if prefixes[-1][1] in ("++", "--"):
            self._note_assigned(operand)
            operand = Step(begin, self.pos, operand, 1 if prefixes.pop()[1] == "++" else -1, False)
        return Prefixed(begin, self.pos, prefixes, operand) if prefixes else operand

    def _stepped(self, operand: Node) -> Node:
        step = _AFTER.match(self.text, self.pos) if isinstance(operand, Variable | Postfixed) else None
        if step is None:
            return operand
        self.pos = step.end()
        self._note_assigned(operand)
        return Step(operand.begin, self.pos, operand, 1 if step[1] == "++" else -1, True)

    def _note_assigned(self, target: Node | None) -> None:
        """Add the variables of an assignment's left side to those that are assigned here."""
        while isinstance(target, Prefixed | Postfixed):
            target = target.operand if isinstance(target, Prefixed) else target.base
        for each in target.items if isinstance(target, Items) else [target]:
            if isinstance(each, Prefixed):
                each = each.operand
            if isinstance(each, Variable):
                self.assigned.add(each.name)

    def _operand(self, here: str) -> Node | None:
        """Return an operand with its members and indices, None where none begins here."""
        self._count()
        primary = self._primary(here)
        if primary is not None:
            return self._postfixes(primary)
        piece = _PIECE.match(self.text, self.pos)
        if piece is None or here in _ENDS:
            return None
        begin, self.pos = self.pos, piece.end()
        return Literal(begin, self.pos, (None, ""), True)

    def _primary(self, here: str) -> Node | None:
        begin = self.pos
        if here in _QUOTES:
            return self._string(begin, here)
        if here == "$":
            if found := _VARIABLE.match(self.text, begin):
                self.pos = found.end()
                return Variable(begin, self.pos, variable_name(found[1] or found[2]))
            return self._paren(begin, "$(", 2) if self.text.startswith("$(", begin) else None
        if here == "(":
            return self._paren(begin, "(", 1)
        if here == "{":
            return self._code()
        if here == "@":
            after = self.text[begin + 1 : begin + 2]
            if after == "(":
                return self._paren(begin, "@(", 2)
            if after == "{":
                return self._hash()
            if after in _QUOTES and (head := _HERE.match(self.text, begin)):
                return self._here_string(begin, head.end())
            if found := _VARIABLE.match(self.text, begin):
                self.pos = found.end()
                return Variable(begin, self.pos, variable_name(found[1] or found[2]), True)
            return None
        if here in _DIGITS and (number := _NUMBER.match(self.text, begin)):
            self.pos = number.end()
            return Literal(begin, self.pos, (_number(number), ""))
        return None

    def _postfixes(self, base: Node) -> Node:
        steps: list[Member | Index] = []
        while True:
            begin, here = self.pos, self._here()
            if here == "[" and (steps or not isinstance(base, Type | Code)):
                place = self._enclosed("]", 1, loose=True)
                steps.append(Index(begin, self.pos, place))
                continue
            if here == " " and (gap := _SPACED_MEMBER.match(self.text, begin)):
                self.pos, here = gap.end(), self.text[gap.end()]
            if here not in (".", ":") or (step := self._member(begin)) is None:
                break
            steps.append(step)
        return Postfixed(base.begin, self.pos, base, steps) if steps else base

    def _member(self, begin: int) -> Member | None:
        found = _MEMBER.match(self.text, self.pos)
        if found is None:
            return None
        start = self.pos
        self.pos = found.end()
        name: str | Node | None = (found[1] or "").replace("`", "").lower()
        if not name:
            here = self._here()
            name = self._primary(here) if here in _QUOTES or here in ("$", "(") else None
            if name is None:
                self.pos = start
                return None
        self._count()
        arguments: list[Node] | None = None
        if self._here() == "(":
            arguments = self._arguments()
        elif self._here() == "{" and isinstance(name, str) and name in ("foreach", "where"):
            arguments = [self._code()]
        return Member(begin, self.pos, name, arguments)

    def _arguments(self) -> list[Node]:
        """Return the arguments of a method in brackets."""
        body_depth = self.depth
        self.pos += 1
        self.depth += 1
        found: list[Node] = []
        if self.depth > NESTING:
            self._pass_over()
            self.depth = body_depth
            return [Literal(self.pos, self.pos, (None, ""))]
        state, self.loose, self.commas = (self.loose, self.commas), True, False
        self.deepest = max(self.deepest, self.depth)
        while (here := self._skip(lines=True)) and here != ")":
            begin = self.pos
            argument = self._expression()
            if argument is not None:
                found.append(self._piped(argument) if self._skip(lines=True) == "|" else argument)
            if self._skip(lines=True) == "," or self.pos == begin:
                self.pos += 1
        self.pos += 1
        self.loose, self.commas = state
        self.depth = body_depth
        return found

    # Strings

    def _string(self, begin: int, quote: str) -> Node:
        if plain := _SIMPLE.match(self.text, begin):
            self.pos = plain.end()
            return Literal(begin, self.pos, (self.text[begin + 1 : self.pos - 1], ""))
        if quote in _SINGLE_SET:
            found = _SINGLE.match(self.text, begin)
            assert found is not None  # as it begins with a quote
            self.pos = found.end()
            return Literal(begin, self.pos, (_single_quoted(found[0]), ""))
        self.pos = begin + 1
        return self._expandable(begin, -1)

    def _here_string(self, begin: int, start: int) -> Node:
        double = self.text[begin + 1] in _DOUBLE_SET
        ends = HERE_END[double].search(self.text, start - 1)
        stop, end = (ends.start(), ends.end()) if ends else (len(self.text), len(self.text))
        inside = self.text[start:stop]
        self.pos = end
        if double and ("$" in inside or "`" in inside):
            self.pos = start
            node = self._expandable(begin, stop)
            self.pos = max(self.pos, end)
            node.end = self.pos
            return node
        return Literal(begin, end, (inside, ""))

    def _expandable(self, begin: int, stop: int) -> Expandable:
        """Return an expandable string; `stop` is where a here-string ends, negative for one in quotes."""
        parts: list[str | Node] = []
        rewritten = False
        while stop < 0 or self.pos < stop:
            part = _IN_STRING.match(self.text, self.pos)
            if part is None:  # the end of the text
                break
            self._count()
            here, self.pos = self.pos, part.end()
            if part["quote"] and stop < 0:
                break
            if part["opens"] and self.depth < NESTING:
                self.pos = here
                parts.append(self._paren(here, "$(", 2))
            elif part["variable"]:
                parts.append(Variable(here, self.pos, variable_name(part[0][1:])))
            elif part["escape"] or part["code"]:
                text, again = self._escaped(part)
                parts.append(text)
                rewritten |= again
            elif part["quote"] or part["twice"]:
                parts.append(part[0] if stop >= 0 else part[0][0])
            else:
                self.pos = self.pos if stop < 0 else min(self.pos, stop)
                parts.append(self.text[here : self.pos])
        return Expandable(begin, self.pos, parts, rewritten)

    def _escaped(self, part: re.Match[str]) -> tuple[str, bool]:
        """Return what a back-tick and what follows it stand for, and whether it is an idle back-tick."""
        letter = part["escape"] or "u"
        if part["code"] or letter == "e":
            self.ambiguous = True
            if part["code"]:
                code = int(part["code"], 16)
                return (chr(code) if code < 0x110000 else "") if self.modern else part[0][1:], True
            return ("\x1b", False) if self.modern else (letter, True)
        return _ESCAPES.get(letter, letter), letter.isalnum() and letter not in _ESCAPES

    # Commands

    def _command(self, begin: int, operator: str, *, name: str = "") -> Node | None:
        self._count()
        here = self._skip()
        first = Literal(begin, self.pos, (name, ""), True) if name else self._compound(called=operator != "")
        if first is None:
            return None
        arguments: list[tuple[str, Node | None]] = []
        silent = False
        while (here := self._skip(lines=False)) not in _ENDS:
            start = self.pos
            if redirection := _REDIRECTION.match(self.text, start):
                self.pos = redirection.end()
                silent |= not (redirection[1] or "").strip("*1") and not redirection[2]
                if not redirection[2]:
                    self._skip()
                    self._value(commas=False)
                continue
            if self.text.startswith("--%", start):
                line = _LINE.match(self.text, start + 3)
                self.pos = line.end() if line else start + 3
                arguments.append(("", Literal(start, self.pos, (self.text[start + 3 : self.pos], ""), True)))
                continue
            if here in _DASH_SET and (parameter := _PARAMETER.match(self.text, start)):
                self.pos = parameter.end()
                if parameter[2]:
                    self._skip()
                value = self._value() if parameter[2] else None
                arguments.append((parameter[1].replace("`", "").lower(), value))
            elif (value := self._value()) is not None:
                arguments.append(("", value))
            if self.pos == start:
                self.pos += 1
        return Command(begin, self.pos, operator, first, arguments, silent)

    def _value(self, *, commas: bool = True) -> Node | None:
        """Return an argument of a command, or several between commas."""
        begin = self.pos
        value = self._compound()
        if not commas or value is None or self._skip() != ",":
            return value
        items = [value]
        while self._skip() == ",":
            self.pos += 1
            here = self._skip(lines=True)
            strings = _LIST.match(self.text, self.pos) if here in _QUOTES else None
            if strings:
                values = [each[1:-1] for each in _LISTED.findall(strings[0])]
                items.append(Literals(self.pos, strings.end(), values))
                self.pos = strings.end()
            item = self._compound()
            if item is None:
                break
            items.append(item)
        return Items(begin, self.pos, items)

    def _compound(self, *, called: bool = False) -> Node | None:
        """Return a bare word, a string, a variable or brackets, or several of them without a gap.

        What is `called` by & ends after a variable or string.
        """
        begin, parts, dots = self.pos, [], False
        self._count()
        while True:
            here, start = self._here(), self.pos
            if here == "`":
                escape = self.text[start + 1 : start + 2]
                if not escape or escape in "\r\n":
                    break
                self.pos += 2
                parts.append(Literal(start, self.pos, (escape, ""), True))
                dots = True
                continue
            if parts and here == "(":  # an argument of its own
                break
            opened = here in ("(", "{", "@")
            primary = self._primary(here) if here not in _DIGITS and not (parts and here in "{@") else None
            if primary is not None:
                primary = self._postfixes(primary) if not parts else primary
                parts.append(primary)
                if called or (opened and not isinstance(primary, Expandable | Literal)):
                    break
                continue
            piece = _PIECE.match(self.text, start)
            if piece is None:
                break
            self.pos = piece.end()
            parts.append(Literal(start, self.pos, (piece[0], ""), True))
        return self._joined(begin, parts, dots) if parts else None

    def _joined(self, begin: int, parts: list[Node], ticked: bool) -> Node:
        if len(parts) == 1:
            only = parts[0]
            if isinstance(only, Literal) and only.bare and (number := _NUMBER.fullmatch(only.value[0])):
                return Literal(begin, self.pos, (_number(number), ""))
            if isinstance(only, Paren) and begin and self.text[begin - 1] not in _GAP_STARTS:
                only.tight = self.text[begin - 1].isalnum()
            return only
        if all(isinstance(part, Literal) for part in parts):
            word = "".join(part.value[0] for part in parts)  # type: ignore[attr-defined]
            if ticked:
                self.words.append((begin, self.pos, word))
            return Literal(begin, self.pos, (word, ""), True)
        pieces = [part.value[0] if isinstance(part, Literal) else part for part in parts]
        return Expandable(begin, self.pos, pieces)


def _single_quoted(token: str) -> str:
    value = token[1:-1] if len(token) > 1 and token[-1] in SINGLE_QUOTES else token[1:]
    if _SINGLE_SET.isdisjoint(value):
        return value
    return re.sub(f"[{SINGLE_QUOTES}]([{SINGLE_QUOTES}])", r"\1", value)


def _number(found: re.Match[str]) -> int | float | None:
    digits = found[1]
    if len(digits) > 20:
        return None
    factor = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}[found[2][0].lower()] if found[2] else 1
    if digits[:2] in ("0x", "0X"):
        return int(digits, 16) * factor
    return int(digits) * factor if digits.isdigit() else float(digits)


def _summed(text: str) -> tuple[str, bool]:
    """Return the sum of strings and characters, and whether characters are among them."""
    kept: list[str] = []
    decodes = False
    for term in _SUMMAND.findall(text):
        if term[0] == "[":
            code = term[6:].strip().lower()
            kept.append(chr(int(code, 16 if code.startswith("0x") else 10) & 0xFFFF))
            decodes = True
        else:
            kept.append(term[1:-1])
    return "".join(kept), decodes
