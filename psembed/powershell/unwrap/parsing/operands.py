"""Operands: strings, variables, numbers and brackets, with their members and indices."""

import re
from abc import ABC, abstractmethod

from psembed.powershell.cleaning import HERE_END
from psembed.powershell.unwrap.dotnet.values import type_name
from psembed.powershell.unwrap.parsing.lexis import (
    DIGITS,
    DOUBLE_SET,
    ENDS,
    ESCAPES,
    HERE,
    IN_STRING,
    KEY,
    MEMBER,
    NESTING,
    NUMBER,
    PIECE,
    QUOTES,
    SIMPLE,
    SINGLE,
    SINGLE_SET,
    SPACED_MEMBER,
    TYPE,
    VARIABLE,
    number_in,
    single_quoted,
    variable_name,
)
from psembed.powershell.unwrap.parsing.reader import Reader
from psembed.powershell.unwrap.parsing.tree import (
    Body,
    Code,
    Expandable,
    Hash,
    Index,
    Literal,
    Member,
    Node,
    Paren,
    Postfixed,
    Type,
    Variable,
)


class Operands(Reader, ABC):
    """Reads what stands between operators, of which brackets may hold anything."""

    @abstractmethod
    def _statements(self, closer: str) -> list[Node]: ...
    @abstractmethod
    def _statement(self) -> Node | None: ...
    @abstractmethod
    def _piped(self, part: Node) -> Node: ...
    @abstractmethod
    def _expression(self, level: int = 0) -> Node | None: ...
    @abstractmethod
    def _unary(self) -> Node | None: ...

    # Strings

    def _string(self, begin: int, quote: str) -> Node:
        if plain := SIMPLE.match(self.text, begin):
            self.pos = plain.end()
            return Literal(begin, self.pos, (self.text[begin + 1 : self.pos - 1], ""))
        if quote in SINGLE_SET:
            found = SINGLE.match(self.text, begin)
            assert found is not None  # as it begins with a quote
            self.pos = found.end()
            return Literal(begin, self.pos, (single_quoted(found[0]), ""))
        self.pos = begin + 1
        return self._expandable(begin, -1)

    def _here_string(self, begin: int, start: int) -> Node:
        double = self.text[begin + 1] in DOUBLE_SET
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
            part = IN_STRING.match(self.text, self.pos)
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
        return ESCAPES.get(letter, letter), letter.isalnum() and letter not in ESCAPES

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
            if kind := TYPE.match(self.text, self.pos):
                self.pos = kind.end()
            else:
                self.pos += 1
                self._pass_over()
        return self.text[begin : self.pos]

    def _parameters(self) -> tuple[list[tuple[str, Node | None]], str]:
        """Return (name, default) of the parameters in brackets, and the name of the piped one."""
        self.pos += 1
        found: list[tuple[str, Node | None]] = []
        state, self.loose, self.commas, piped = (self.loose, self.commas), True, False, ""
        while (here := self._skip(lines=True)) and here != ")":
            attributes = self._attributes()
            variable = VARIABLE.match(self.text, self.pos)
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
        if word := KEY.match(self.text, begin):
            self.pos = word.end()
            return Literal(begin, self.pos, (word[0], ""), True)
        return self._unary()

    def _operand(self, here: str) -> Node | None:
        """Return an operand with its members and indices, None where none begins here."""
        self._count()
        if self.cut:  # the text ends here now
            return None
        primary = self._primary(here)
        if primary is not None:
            return self._postfixes(primary)
        piece = PIECE.match(self.text, self.pos)
        if piece is None or here in ENDS:
            return None
        begin, self.pos = self.pos, piece.end()
        return Literal(begin, self.pos, (None, ""), True)

    def _primary(self, here: str) -> Node | None:
        begin = self.pos
        if here in QUOTES:
            return self._string(begin, here)
        if here == "$":
            if found := VARIABLE.match(self.text, begin):
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
            if after in QUOTES and (head := HERE.match(self.text, begin)):
                return self._here_string(begin, head.end())
            if found := VARIABLE.match(self.text, begin):
                self.pos = found.end()
                return Variable(begin, self.pos, variable_name(found[1] or found[2]), True)
            return None
        if here in DIGITS and (number := NUMBER.match(self.text, begin)):
            self.pos = number.end()
            return Literal(begin, self.pos, (number_in(number), ""))
        return None

    def _postfixes(self, base: Node) -> Node:
        steps: list[Member | Index] = []
        while True:
            begin, here = self.pos, self._here()
            if here == "[" and (steps or not isinstance(base, Type | Code)):
                place = self._enclosed("]", 1, loose=True)
                steps.append(Index(begin, self.pos, place))
                continue
            if here == " " and (gap := SPACED_MEMBER.match(self.text, begin)):
                self.pos, here = gap.end(), self.text[gap.end()]
            if here not in (".", ":") or (step := self._member(begin)) is None:
                break
            steps.append(step)
        return Postfixed(base.begin, self.pos, base, steps) if steps else base

    def _member(self, begin: int) -> Member | None:
        found = MEMBER.match(self.text, self.pos)
        if found is None:
            return None
        start = self.pos
        self.pos = found.end()
        name: str | Node | None = (found[1] or "").replace("`", "").lower()
        if not name:
            here = self._here()
            name = self._primary(here) if here in QUOTES or here in ("$", "(") else None
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

    def _type(self) -> Type | None:
        found = TYPE.match(self.text, self.pos)
        if found is None:
            return None
        begin, self.pos = self.pos, found.end()
        return Type(begin, self.pos, type_name(found[1]))
