"""Expressions: operands between operators; and commands with their arguments."""

from psembed.powershell.unwrap.dotnet.values import Char
from psembed.powershell.unwrap.parsing.lexis import (
    AFTER,
    DASH_SET,
    DIGITS,
    ENDS,
    GAP_STARTS,
    LEVEL,
    LINE,
    LIST,
    LISTED,
    NUMBER,
    NUMBERS,
    OPENS_OPERAND,
    OPENS_OPERATOR,
    OPENS_REDIRECTION,
    OPENS_STEP,
    OPERATOR,
    PARAMETER,
    PIECE,
    QUOTES,
    REDIRECTION,
    SPACED_MEMBER,
    SUM,
    SUMMAND,
    UNARY,
    number_in,
    summed,
)
from psembed.powershell.unwrap.parsing.operands import Operands
from psembed.powershell.unwrap.parsing.tree import (
    Chain,
    Command,
    Expandable,
    Items,
    Literal,
    Literals,
    Node,
    Paren,
    Postfixed,
    Prefixed,
    Step,
    Variable,
)


class Expressions(Operands):
    """Reads expressions and commands."""

    def _expression(self, level: int = 0) -> Node | None:
        """Return an expression of operators of this precedence and higher."""
        left = self._sum_of_literals() if level <= 3 else None
        if left is None:
            left = self._list()
        while left is not None and (operator := self._operator()) and LEVEL[operator[0]] >= level:
            this = LEVEL[operator[0]]
            rest: list[tuple[str, Node]] = []
            while operator is not None and LEVEL[operator[0]] == this:
                self.pos = operator[1]
                self._skip(lines=True)
                operand: Node | None = self._type() if operator[0] in ("as", "is", "isnot") else None
                operand = operand or (self._expression(this + 1) if this < 6 else self._list())
                rest.append((operator[0], operand or Literal(self.pos, self.pos, (None, ""))))
                operator = self._operator()
            left = Chain(left.begin, rest[-1][1].end, left, rest)
        return left

    def _operator(self) -> tuple[str, int] | None:
        """Return the operator that comes next, in lower case, and its end."""
        here = self._skip(lines=self.loose)
        found = OPERATOR.match(self.text, self.pos) if here in OPENS_OPERATOR else None
        if found is None:
            return None
        name = found[1].lower() if found[1] else "-" if found[2] in DASH_SET else found[2]
        return name, found.end()

    def _sum_of_literals(self) -> Node | None:
        """Return `'a'+'b'+[char]99+` and so on, without the last operand, as one literal and a sum."""
        here = self._skip(lines=self.loose)
        if here not in QUOTES and here != "[":
            return None
        begin = self.pos
        terms = SUM.match(self.text, begin)
        if terms is None or (
            here == "[" and terms[0].count("+") < 2 and not self._string_follows(terms.end())
        ):
            return None
        self._count()
        value, decodes = summed(terms[0])
        end = begin + len(terms[0].rstrip().removesuffix("+").rstrip())
        left = Literal(begin, end, (value, "characters" if decodes else "concatenation"), False, True)
        if SUMMAND.fullmatch(self.text, begin, end):
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
        return SUMMAND.match(self.text, place) is not None

    def _list(self) -> Node | None:
        """Return an operand, or several between commas."""
        here = self._skip(lines=self.loose)
        begin = self.pos
        if not self.commas:
            return self._unary()
        items: list[Node] = []
        if here in QUOTES and (strings := LIST.match(self.text, begin)):
            values = [each[1:-1] for each in LISTED.findall(strings[0])]
            items.append(Literals(begin, strings.end(), values))
            self.pos = strings.end()
        elif here in DIGITS and (numbers := NUMBERS.match(self.text, begin)):
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

    def _unary(self) -> Node | None:
        """Return an operand with the casts and operators before it."""
        begin = self.pos
        prefixes: list[tuple[str, str]] = []
        operand: Node | None
        while True:
            here = self._skip(lines=bool(prefixes))
            if here == "[":
                kind = self._type()
                if kind is None:
                    self.pos += 1
                    self._pass_over()  # an attribute
                    continue
                after = self.text[self.pos : self.pos + 2]
                if after == "::" or after[:1] == "." or SPACED_MEMBER.match(self.text, self.pos):
                    operand = self._postfixes(kind)
                    break
                before = self.pos
                after = self._skip()
                if after not in OPENS_OPERAND or (after in DASH_SET and not UNARY.match(self.text, self.pos)):
                    self.pos, operand = before, kind
                    break
                prefixes.append(("cast", kind.name))
                self._count()
            elif here in DASH_SET or here in ("+", "!", ","):
                operator = UNARY.match(self.text, self.pos)
                if operator is None:
                    return None
                name = (operator[1] or operator[2]).lower()
                prefixes.append(("operator", "-" if name in DASH_SET else name))
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
        follows = isinstance(operand, Variable | Postfixed) and self._here() in OPENS_STEP
        step = AFTER.match(self.text, self.pos) if follows else None
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

    # Commands

    def _command(self, begin: int, operator: str, *, name: str = "") -> Node | None:
        self._count()
        here = self._skip()
        first = Literal(begin, self.pos, (name, ""), True) if name else self._compound(called=operator != "")
        if first is None:
            return None
        arguments: list[tuple[str, Node | None]] = []
        silent = False
        while (here := self._skip(lines=False)) not in ENDS:
            start = self.pos
            if here in OPENS_REDIRECTION and (redirection := REDIRECTION.match(self.text, start)):
                self.pos = redirection.end()
                silent |= not (redirection[1] or "").strip("*1") and not redirection[2]
                if not redirection[2]:
                    self._skip()
                    self._value(commas=False)
                continue
            if self.text.startswith("--%", start):
                line = LINE.match(self.text, start + 3)
                self.pos = line.end() if line else start + 3
                arguments.append(("", Literal(start, self.pos, (self.text[start + 3 : self.pos], ""), True)))
                continue
            if here in DASH_SET and (parameter := PARAMETER.match(self.text, start)):
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
            strings = LIST.match(self.text, self.pos) if here in QUOTES else None
            if strings:
                values = [each[1:-1] for each in LISTED.findall(strings[0])]
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
        begin, dots = self.pos, False
        parts: list[Node] = []
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
            primary = self._primary(here) if here not in DIGITS and not (parts and here in "{@") else None
            if primary is not None:
                primary = self._postfixes(primary) if not parts else primary
                parts.append(primary)
                if called or (opened and not isinstance(primary, Expandable | Literal)):
                    break
                continue
            piece = PIECE.match(self.text, start)
            if piece is None:
                break
            self.pos = piece.end()
            parts.append(Literal(start, self.pos, (piece[0], ""), True))
        return self._joined(begin, parts, dots) if parts else None

    def _joined(self, begin: int, parts: list[Node], ticked: bool) -> Node:
        if len(parts) == 1:
            only = parts[0]
            if isinstance(only, Literal) and only.bare and (number := NUMBER.fullmatch(only.value[0])):
                return Literal(begin, self.pos, (number_in(number), ""))
            if isinstance(only, Paren) and begin and self.text[begin - 1] not in GAP_STARTS:
                only.tight = self.text[begin - 1].isalnum()
            return only
        if all(isinstance(part, Literal) for part in parts):
            word = "".join(part.value[0] for part in parts)  # type: ignore[attr-defined]
            if ticked:
                self.words.append((begin, self.pos, word))
            return Literal(begin, self.pos, (word, ""), True)
        pieces = [part.value[0] if isinstance(part, Literal) else part for part in parts]
        return Expandable(begin, self.pos, pieces)
