"""A matcher that counts its steps, to tell a regular expression's time without a clock.

It walks the tree that Python's own parser makes and tries what Python's engine tries, in that order. A step
is one try of one element at one place. Classes, anchors and look-behinds, whose width is fixed, are left to
Python's engine.
"""

import re
import sys
from collections.abc import Callable, Iterator
from re import _compiler, _constants, _parser

LIMIT = 3_000_000  # steps; a pattern that takes more on a few thousand characters is not linear
DEPTH = 100_000  # frames; a group that repeats nests some for each time
_NATIVE = (_constants.LITERAL, _constants.NOT_LITERAL, _constants.IN, _constants.ANY, _constants.AT)
_ASSERTIONS = {_constants.ASSERT: True, _constants.ASSERT_NOT: False}
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)

End = int | None  # where a match ends, if there is one
Then = Callable[[int], End]  # what is left to match
Node = Callable[[int, Then], End]


class TooManySteps(Exception):
    """A pattern took more than LIMIT steps."""


class Matcher:
    """A compiled pattern of Python's, on one text.

    Attributes
    ----------
    steps : int
        Taken so far.
    """

    def __init__(self, pattern: re.Pattern[str], text: str) -> None:
        tree = _parser.parse(pattern.pattern, pattern.flags)
        self.text, self.steps = text, 0
        self._node = self._sequence(tree, tree.state.flags)

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield the span of each match, as `finditer` does."""
        start, empty_at, depth = 0, -1, sys.getrecursionlimit()
        sys.setrecursionlimit(DEPTH)
        try:
            while start <= len(self.text):
                end = self._node(start, lambda end, taken=empty_at: None if end == taken else end)
                if end is None:
                    start, empty_at = start + 1, -1
                else:
                    yield start, end
                    start, empty_at = end, end if end == start else -1
        finally:
            sys.setrecursionlimit(depth)

    def _spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > LIMIT:
            raise TooManySteps

    def _sequence(self, items: _parser.SubPattern, flags: int) -> Node:
        nodes = [self._element(*item, flags) for item in items]
        if len(nodes) == 1:
            return nodes[0]

        def match(place: int, then: Then, at: int = 0) -> End:
            if at == len(nodes):
                return then(place)
            return nodes[at](place, lambda end: match(end, then, at + 1))

        return match

    def _element(self, kind: object, value, flags: int) -> Node:
        if kind in _NATIVE:
            return self._native(kind, value, flags)
        if kind in _ASSERTIONS:
            return self._assertion(kind, *value, flags)
        if kind in _REPEATS:
            least, most, body = value
            single = len(body) == 1 and body[0][0] in _NATIVE
            return (self._run if single else self._repeat)(kind, least, most, body, flags)
        if kind is _constants.BRANCH:
            return self._branch([self._sequence(body, flags) for body in value[1]])
        if kind is _constants.SUBPATTERN:
            _, added, removed, body = value
            return self._sequence(body, (flags | added) & ~removed)
        if kind is _constants.ATOMIC_GROUP:
            return self._atomic(self._sequence(value, flags))
        raise NotImplementedError(f"{kind} is not covered; add it to tests/helpers/regex_steps.py")

    def _compiled(self, kind: object, value, flags: int) -> re.Pattern[str]:
        state = _parser.State()
        state.flags = flags
        return _compiler.compile(_parser.SubPattern(state, [(kind, value)]), flags)

    def _native(self, kind: object, value, flags: int, width: int = 1) -> Node:
        matches, text = self._compiled(kind, value, flags).match, self.text

        def match(place: int, then: Then) -> End:
            self._spend(width)
            matched = matches(text, place)
            return then(matched.end()) if matched else None

        return match

    def _assertion(self, kind: object, direction: int, body: _parser.SubPattern, flags: int) -> Node:
        if direction < 0:
            return self._native(kind, (direction, body), flags, width=body.getwidth()[1])
        node = self._sequence(body, flags)

        def match(place: int, then: Then) -> End:
            holds = node(place, _itself) is not None
            return then(place) if holds == _ASSERTIONS[kind] else None

        return match

    def _run(self, kind: object, least: int, most: int, body: _parser.SubPattern, flags: int) -> Node:
        """One class, repeated."""
        run = self._compiled(_constants.POSSESSIVE_REPEAT, (0, most, body), flags).match
        text, lazy = self.text, kind is _constants.MIN_REPEAT

        def match(place: int, then: Then) -> End:
            furthest = run(text, place).end()
            self._spend(1 + (min(furthest, place + least) if lazy else furthest) - place)
            ends = range(place + least, furthest + 1)
            if kind is _constants.POSSESSIVE_REPEAT:
                return then(furthest) if ends else None
            for end in ends if lazy else reversed(ends):
                self._spend(1)
                final = then(end)
                if final is not None:
                    return final
            return None

        return match

    def _repeat(self, kind: object, least: int, most: int, body: _parser.SubPattern, flags: int) -> Node:
        """Anything longer than a class, repeated."""
        node = self._sequence(body, flags)

        def match(place: int, then: Then, times: int = 0, before: int = -1) -> End:
            def once_more() -> End:
                if times >= most or (times >= least and place == before):
                    return None
                return node(place, lambda end: match(end, then, times + 1, place))

            self._spend(1)
            if times < least:
                return once_more()
            if kind is _constants.MIN_REPEAT:
                final = then(place)
                return once_more() if final is None else final
            final = once_more()
            return then(place) if final is None else final

        def possess(place: int, then: Then) -> End:
            times, before = 0, -1
            while times < most and place != before:
                self._spend(1)
                end = node(place, _itself)
                if end is None:
                    break
                times, before, place = times + 1, place, end
            return then(place) if times >= least else None

        return possess if kind is _constants.POSSESSIVE_REPEAT else match

    def _branch(self, nodes: list[Node]) -> Node:
        def match(place: int, then: Then) -> End:
            for node in nodes:
                self._spend(1)
                final = node(place, then)
                if final is not None:
                    return final
            return None

        return match

    def _atomic(self, node: Node) -> Node:
        def match(place: int, then: Then) -> End:
            end = node(place, _itself)
            return None if end is None else then(end)

        return match


def _itself(place: int) -> int:
    return place
