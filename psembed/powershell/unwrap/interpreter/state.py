"""What is known while a script is followed: variables, what may have changed, and how values came about."""

from collections.abc import Callable
from typing import Any

from psembed.powershell.unwrap.dotnet.values import NULL, Budget, Builder, Growing, Partial, Stream, elements

Machine = Any  # the Interpreter, whose module imports those that take it
Known = tuple[Any, str]  # a value and the most decisive step that gave it
UNKNOWN: Known = (None, "")
NOTHING: Known = (NULL, "")

# How a value came about, the more decisive steps later; the most decisive one names a layer.
_BY_RANK = (
    ("", "concatenation", "format operator", "join", "replace", "split", "reversal", "JSON"),
    ("characters", "URL decoding", "HTML decoding"),
    ("hexadecimal", "FromBase64String", "-EncodedCommand"),
    ("xor", "gzip", "deflate", "decryption"),
)
RANKS = {how: rank for rank, hows in enumerate(_BY_RANK) for how in hows}
DECODINGS = frozenset(how for how, rank in RANKS.items() if rank)

# Automatic variables whose letters spell commands (about_Automatic_Variables), on a usual Windows.
_AUTOMATIC = {
    "pshome": r"C:\Windows\System32\WindowsPowerShell\v1.0", "shellid": "Microsoft.PowerShell",
    "env:comspec": r"C:\WINDOWS\system32\cmd.exe", "env:public": r"C:\Users\Public",
    "verbosepreference": "SilentlyContinue", "ofs": " ", "env:windir": r"C:\WINDOWS",
    "env:systemroot": r"C:\WINDOWS", "env:programfiles": r"C:\Program Files", "?": True, "true": True,
    "false": False, "maximumdrivecount": 4096, "maximumaliascount": 4096, "maximumvariablecount": 4096,
}  # fmt: skip
AT_START: dict[str, Known] = {name: (value, "") for name, value in _AUTOMATIC.items()} | {"null": NOTHING}


def decisive(later: str, earlier: str) -> str:
    """Return the more decisive of two steps; of equals the later one, unless it is empty."""
    if not later or (earlier and RANKS[earlier] > RANKS[later]):
        return earlier
    return later


class Jump(Exception):
    """A return, exit, throw, break or continue on its way."""

    def __init__(self, kind: str, value: Known = NOTHING):
        self.kind, self.value = kind, value


def lone_of(known: Known) -> Known:
    """Return what is passed on of a value: of a list of one its element."""
    value, how = known
    if isinstance(value, list) and len(value) == 1 and not isinstance(value, Growing):
        return value[0], how
    return known


class Output:
    """What statements give, in order."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.how, self.known = "", True

    def add(self, known: Known) -> None:
        """Add what one statement gives."""
        value, how = known
        if value is None or isinstance(value, Partial):
            self.known = False
        elif value is not NULL:
            self.values.append(value)
            self.how = decisive(how, self.how)

    def all(self) -> Known:
        """Return everything as one value: of several a list."""
        if not self.known:
            return UNKNOWN
        if len(self.values) == 1:
            return lone_of((self.values[0], self.how))
        if not self.values:
            return NOTHING
        return [each for value in self.values for each in elements(value)], self.how


class State:
    """Variables by scope, and a log of what was changed since a place where ways part."""

    def __init__(self, values: dict[str, Known], budget: Budget):
        self.budget = budget
        self.gained = [budget.left()]  # steps left at the last gain, for each place where ways part
        self.scopes: list[dict[str, Known]] = [AT_START | values]
        self.changes = 0  # values that became others; gains are those other than of numbers
        self.gains = 0
        self.outward = 0  # changes that outlive the function that makes them
        self._longest: dict[str, int] = {}  # characters or elements that a variable had
        self._log: dict[tuple[int, str], tuple[dict, Known | None]] | None = None
        self._touched: list[Any] = []
        self._spoilt: dict[int, Any] = {}  # objects whose content is not certain any more

    def get(self, name: str) -> Known | None:
        """Return what a variable holds, None where it was never assigned."""
        for scope in reversed(self.scopes):
            if (found := scope.get(name)) is not None:
                return UNKNOWN if self._spoilt and id(found[0]) in self._spoilt else found
        if name[:7] in ("script:", "global:"):
            return self.scopes[0].get(name[7:])
        return None

    def assign(self, name: str, known: Known, place: int = -1) -> None:
        """Give a variable of the innermost scope, or of another `place` among them, a value."""
        if name[:7] in ("script:", "global:"):
            name, place = name[7:], 0
        scope = self.scopes[0 if name.startswith("env:") else place]
        self.outward += scope is not self.scopes[-1]
        before = scope.get(name)
        if before is not known:
            self.changes += before is None or _differ(known[0], before[0])
            if isinstance(known[0], str | list | bytearray) and len(known[0]) > self._longest.get(name, -1):
                self._longest[name] = len(known[0])
                self.gain()
        if self._log is not None:
            self._log.setdefault((id(scope), name), (scope, before))
        scope[name] = known

    def begin(self, name: str) -> None:
        """Give a variable that was never assigned nothing as its value."""
        if self.get(name) is None:
            self.assign(name, NOTHING)

    def gain(self) -> None:
        """Note that something came out, so that going on may be worth it."""
        self.gains += 1
        self.changes += 1
        self.gained[-1] = self.budget.left()

    def touch(self, value: Any) -> None:
        """Note that an object is changed in place; it is spoilt where that may not have happened."""
        if isinstance(value, list | bytearray | Builder | Stream):
            self.gain()
        self.changes += 1
        self.outward += 1
        if self._log is not None:
            self._touched.append(value)

    def spoil(self, value: Any) -> None:
        """Take an object's content as not certain from here on."""
        self._spoilt[id(value)] = value

    def ways(self, ways: tuple[Callable[[], Any], ...], follow: Callable[[Callable], bool]) -> None:
        """Follow ways of which any may be taken; what they leave different is not known afterwards.

        A single way may be taken or not. `follow` tells whether one comes to its end; what others assign is
        forgotten.
        """
        ends: list[dict] = [{}] if len(ways) == 1 else []
        places: dict[tuple[int, str], tuple[dict, Known | None]] = {}
        outer = self._log
        for way in ways:
            self._log, touched, self._touched = {}, self._touched, []
            self.gained.append(self.budget.left())
            try:
                ended = follow(way)
            finally:
                self.gained.pop()
                log, self._log = self._log, outer
                if self._touched:
                    self._spoilt |= {id(value): value for value in self._touched}
                self._touched = touched + self._touched
            if ended:
                ends.append({key: scope.get(key[1]) for key, (scope, _) in log.items()})
            for (_, name), (scope, before) in log.items():
                if before is None:
                    scope.pop(name, None)
                else:
                    scope[name] = before
            places = log | places
        if places:
            self._merge(ends, places)

    def _merge(self, ends: list[dict], places: dict) -> None:
        for key, (scope, before) in places.items():
            left = [end.get(key, before) for end in ends] or [before]
            first = left[0]
            if any(
                each is not first and (each is None or first is None or each != first) for each in left[1:]
            ):
                first = UNKNOWN
            if first is before:
                continue
            if self._log is not None:
                self._log.setdefault(key, (scope, before))
            scope[key[1]] = UNKNOWN if first is None else first


def _differ(value: Any, before: Any) -> bool:
    if isinstance(value, str | int | float) or type(value) is not type(before):
        return value is not before and (type(value) is not type(before) or value != before)
    return isinstance(value, list | bytearray) and len(value) != len(before)
