"""From the text of a PowerShell script to its tree: what matters for constants, of damaged scripts too.

Every text has a tree: what is no PowerShell is passed over. Brackets within brackets are read to NESTING,
what is deeper is passed over; everything else is read without recursion, in time linear in the text.
"""

from collections.abc import Callable
from typing import ClassVar

from psembed.powershell.unwrap.parsing.expressions import Expressions
from psembed.powershell.unwrap.parsing.lexis import (
    ASSIGNS,
    DASH_SET,
    DIGITS,
    ENDS,
    GAP_STARTS,
    IN,
    KEYWORD,
    LABEL,
    LINE,
    NAME,
    NUMBER,
    OPENS_ASSIGN,
    OPENS_OPERAND,
    PARAMETER,
    QUOTES,
    REDIRECTION,
    TYPE,
    UNARY,
)
from psembed.powershell.unwrap.parsing.tree import (
    Assign,
    Body,
    Flow,
    ForEach,
    Function,
    If,
    Items,
    Literal,
    Loop,
    Named,
    Node,
    Pipeline,
    Postfixed,
    Prefixed,
    Switch,
    Try,
    Variable,
)


class Parser(Expressions):
    """Reads one text; `run` it once, then read `words`, `ambiguous` and `cut`."""

    def run(self) -> Body:
        """Return the statements of the whole text."""
        statements = self._statements("")
        return Body(0, len(self.text), statements, frozenset(self.assigned), self.deepest)

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
        if self._here() == ":" and (label := LABEL.match(self.text, self.pos)):
            self.pos, self.label = label.end(), label[1].lower()
        keyword = KEYWORD.match(self.text, self.pos)
        if keyword and (read := self.KEYWORDS.get(keyword[0].lower())):
            begin, self.pos = self.pos, keyword.end()
            return read(self, begin, keyword[0].lower())
        return self._pipeline()

    def _pipeline(self) -> Node | None:
        """Return an assignment, a pipeline or its only part."""
        begin, targets = self.pos, []
        part = self._element()
        while isinstance(part, Variable | Postfixed | Prefixed | Items):
            here = self._skip(lines=self.loose)
            operator = ASSIGNS.match(self.text, self.pos) if here in OPENS_ASSIGN else None
            if operator is None:
                break
            targets.append((part, operator[1] or ""))
            self._note_assigned(part)
            self.pos = operator.end()
            self._skip(lines=True)
            keyword = KEYWORD.match(self.text, self.pos)
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
            if here == "&" or after in QUOTES or after in GAP_STARTS or after in ("$", "(", "{"):
                begin, self.pos = self.pos, self.pos + 1
                return self._command(begin, here)
        elif here in OPENS_OPERAND and self._begins_expression(here):
            expression = self._expression()
            while redirection := REDIRECTION.match(self.text, self.pos + (self._skip() == "")):
                self.pos = redirection.end()
                if expression is not None and not (redirection[1] or "").strip("*1") and not redirection[2]:
                    expression = Prefixed(expression.begin, self.pos, [("cast", "void")], expression)
                if not redirection[2]:
                    self._skip()
                    self._value()
            return expression
        return None if here in ENDS else self._command(self.pos, "")

    def _begins_expression(self, here: str) -> bool:
        if here in DIGITS:
            return NUMBER.match(self.text, self.pos) is not None
        after = self.text[self.pos + 1 : self.pos + 2]
        if here == "@":
            return after in ("(", "{") or after in QUOTES
        if here in DASH_SET:
            operator = UNARY.match(self.text, self.pos)
            return operator is not None and (
                operator[1] is not None or after in OPENS_OPERAND or after == " "
            )
        return True

    def _condition(self) -> Node | None:
        """Return what stands in the brackets after a keyword."""
        return self._paren(self.pos, "(", 1) if self._skip(lines=True) == "(" else None

    def _block(self) -> Body:
        """Return the statements in braces, none where there are no braces."""
        if self._skip(lines=True) != "{":
            return Body(self.pos, self.pos, [], frozenset())
        return self._enclosed("}", 1)

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
        start, condition, step = header
        return Loop(begin, self.pos, start, condition, step, body, self.exits > exits, label)

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
        if (word := IN.match(self.text, self.pos)) is None or variable is None:
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
        while self._skip() in DASH_SET:
            option = PARAMETER.match(self.text, self.pos)
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
        name = NAME.match(self.text, self.pos)
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
                kind = TYPE.match(self.text, self.pos)
                self.pos = kind.end() if kind else self.pos + 1
            catches.append(self._block())
        last = self._block() if self._next_word("finally") else None
        return Try(begin, self.pos, body, catches, last)

    def _flow(self, begin: int, keyword: str) -> Node | None:
        if self._skip() == "/":  # cmd's `exit /b`
            return self._command(begin, "", name=keyword)
        self.exits += 1
        value = self._pipeline() if keyword in ("return", "exit", "throw") else None
        if keyword in ("break", "continue") and (label := KEYWORD.match(self.text, self.pos)):
            self.pos = label.end()
            return Flow(begin, self.pos, f"{keyword} {label[0].lower()}", value)
        return Flow(begin, self.pos, keyword, value)

    def _named(self, begin: int, keyword: str) -> Node | None:
        if keyword == "class" and (name := NAME.match(self.text, self.pos + (self._skip() == ""))):
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
        line = LINE.match(self.text, self.pos)
        self.pos = line.end() if line else self.pos
        return None

    KEYWORDS: ClassVar[dict[str, Callable[..., Node | None]]] = {
        "if": _if, "while": _while, "do": _do, "for": _for, "foreach": _foreach, "switch": _switch,
        "function": _function, "filter": _function, "workflow": _function, "try": _try, "return": _flow,
        "exit": _flow, "throw": _flow, "break": _flow, "continue": _flow, "begin": _named, "process": _named,
        "end": _named, "trap": _named, "data": _named, "dynamicparam": _named, "class": _named,
        "param": _param, "using": _using,
    }  # fmt: skip
