"""The syntax tree of a PowerShell script, as far as it matters for constants."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, eq=False)
class Node:
    """A part of a script: text[begin:end].

    `seen` is what the interpreter got for it, as (value, how), or () for values that differ.
    """

    begin: int
    end: int
    seen: Any = field(default=None, init=False)


# Expressions


@dataclass(slots=True, eq=False)
class Literal(Node):
    """A value that stands in the text, as (value, how)."""

    value: tuple[Any, str]
    bare: bool = False  # a word without quotes
    folded: bool = False  # the text says it in another way


@dataclass(slots=True, eq=False)
class Literals(Node):
    """Strings between commas; or numbers, whose `text` is read when they are asked for."""

    values: list | None
    text: str = ""


@dataclass(slots=True, eq=False)
class Expandable(Node):
    """A double-quoted string: text, variables and `$( )`; `rewritten` where the text spells it otherwise."""

    parts: list[str | Node]
    rewritten: bool = False


@dataclass(slots=True, eq=False)
class Variable(Node):
    """A variable, or with @ before it what it holds as arguments."""

    name: str
    splatted: bool = False


@dataclass(slots=True, eq=False)
class Type(Node):
    """A type in brackets."""

    name: str


@dataclass(slots=True, eq=False)
class Items(Node):
    """Parts between commas."""

    items: list[Node]


@dataclass(slots=True, eq=False)
class Chain(Node):
    """Operands between operators of one precedence."""

    first: Node
    rest: list[tuple[str, Node]]


@dataclass(slots=True, eq=False)
class Prefixed(Node):
    """Casts and operators before an operand, the outermost first."""

    prefixes: list[tuple[str, str]]  # ("cast", type) or ("operator", name)
    operand: Node


@dataclass(slots=True, eq=False)
class Postfixed(Node):
    """Members, calls and indices after an expression."""

    base: Node
    steps: list["Member | Index"]


@dataclass(slots=True, eq=False)
class Member(Node):
    """A member, whose name may be an expression; with arguments it is called."""

    name: "str | Node"
    arguments: list[Node] | None


@dataclass(slots=True, eq=False)
class Index(Node):
    """A place in brackets."""

    place: Node


@dataclass(slots=True, eq=False)
class Paren(Node):
    """Statements in `( )`, `$( )` or `@( )`; `tight` where it stands right after a word."""

    kind: str
    body: "Body"
    tight: bool


@dataclass(slots=True, eq=False)
class Hash(Node):
    """The keys and values of `@{ }`."""

    pairs: list[tuple[Node, Node]]


@dataclass(slots=True, eq=False)
class Code(Node):
    """A script block, or a function's body."""

    parameters: list[tuple[str, Node | None]]
    body: "Body"
    piped: str = ""  # the parameter that takes what is piped in
    entered: bool = field(default=False, init=False)
    ways: int = field(default=0, init=False)  # ways that part around the innermost call; 0: none
    doubtful: int = field(default=0, init=False)  # calls of it by itself that may not happen
    dull: int = field(default=0, init=False)  # calls in a row that gave nothing
    idle: int = field(default=0, init=False)  # calls that gave no value and no script


@dataclass(slots=True, eq=False)
class Step(Node):
    """`$x++` and the like."""

    target: Node
    amount: int
    after: bool  # the value before is given


# Statements


@dataclass(slots=True, eq=False)
class Body(Node):
    """Statements in order; `assigned` are the variables that are given values in it."""

    statements: list[Node]
    assigned: frozenset[str]
    height: int = 0  # how deep its brackets are nested


@dataclass(slots=True, eq=False)
class Assign(Node):
    """`target operator value`."""

    targets: list[Node]
    operator: str
    value: Node


@dataclass(slots=True, eq=False)
class Pipeline(Node):
    """Commands and expressions between bars."""

    parts: list[Node]


@dataclass(slots=True, eq=False)
class Command(Node):
    """A command: how it is called ("", "&" or "."), its name, and (parameter, argument) in order."""

    operator: str
    name: Node
    arguments: list[tuple[str, Node | None]]
    silent: bool = False  # what it gives goes elsewhere


@dataclass(slots=True, eq=False)
class If(Node):
    """Conditions with their statements, and those of else."""

    clauses: list[tuple[Node, Body]]
    otherwise: Body | None


@dataclass(slots=True, eq=False)
class Loop(Node):
    """while, do and for.

    `until` tells the sense of the condition, `late` that it is asked after the body, `leaves` whether
    something in the body may leave it.
    """

    start: Node | None
    condition: Node | None
    step: Node | None
    body: Body
    leaves: bool
    label: str
    until: bool = False
    late: bool = False


@dataclass(slots=True, eq=False)
class ForEach(Node):
    """`foreach (variable in source) { }`."""

    variable: Node
    source: Node
    body: Body
    label: str


@dataclass(slots=True, eq=False)
class Switch(Node):
    """A switch, and the operator that compares; "" for one that reads a file."""

    subject: Node
    clauses: list[tuple[Node | None, Body]]
    operator: str


@dataclass(slots=True, eq=False)
class Function(Node):
    """The definition of a function or filter."""

    name: str
    code: Code
    each: bool  # a filter: run for each thing that is piped in


@dataclass(slots=True, eq=False)
class Try(Node):
    """try, catch and finally."""

    body: Body
    catches: list[Body]
    last: Body | None


@dataclass(slots=True, eq=False)
class Named(Node):
    """begin, process, end of a function or of a class: a block with a name."""

    name: str
    body: Body


@dataclass(slots=True, eq=False)
class Flow(Node):
    """return, exit, throw, break or continue."""

    kind: str
    value: Node | None
