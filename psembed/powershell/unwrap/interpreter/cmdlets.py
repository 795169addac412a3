"""What PowerShell's own commands give for constants, as far as it matters (cmdlets.toml: the silent ones).

A cmdlet may raise what `attempt` takes; what it gives is not known then.
"""

import json
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from psembed.powershell.unwrap.dotnet import ciphers, members, statics
from psembed.powershell.unwrap.dotnet.operators import OPERATORS, join, wildcard
from psembed.powershell.unwrap.dotnet.values import (
    NULL,
    Block,
    Secure,
    Stream,
    Table,
    elements,
    text_of,
    truth_of,
    type_name,
    whole_of,
)  # fmt: skip
from psembed.powershell.unwrap.interpreter.state import NOTHING, UNKNOWN, Known, Machine, decisive
from psembed.powershell.unwrap.parsing import tree
from psembed.powershell.unwrap.parsing.lexis import variable_name

Given = list[tuple[str, Known]]  # arguments: parameter or "", and value, which is True for a parameter alone
_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
SILENT = frozenset(_DATA["silent"])
_CUTS: dict[str, Callable[[int], slice]] = {
    "skip": lambda count: slice(count, None), "first": slice, "last": lambda count: slice(-count, None),
}  # fmt: skip


def paired(given: Given, takes: Callable[[str], bool] = bool) -> Given:
    """Return arguments with each parameter that takes a value beside it."""
    pairs: Given = []
    for name, known in given:
        before, (value, _) = pairs[-1] if pairs else ("", UNKNOWN)
        if not name and before and value is True and takes(before):
            pairs[-1] = before, known
        else:
            pairs.append((name, known))
    return pairs


def _takes_value(parameter: str) -> bool:
    return len(parameter) < 3 or not any(each.startswith(parameter) for each in _DATA["switches"])


class Call:
    """A command that is called: what is `piped` to it, arguments `named` by parameter, and the `rest`.

    A switch is True.
    """

    def __init__(self, node: tree.Command, given: Given, piped: Known | None):
        self.node, self.piped = node, piped
        self.named: dict[str, Known] = {}
        self.rest: list[Known] = []
        for name, known in paired(given, _takes_value):
            if name:
                self.named[name] = known
            else:
                self.rest.append(known)

    def get(self, *names: str, place: int = -1) -> Known | None:
        """Return the argument of a parameter by one of its full names, or at a place among the others."""
        for given, known in self.named.items():
            if any(name.startswith(given) for name in names):
                return known
        return self.rest[place] if 0 <= place < len(self.rest) else None

    def value(self, *names: str, place: int = -1) -> Any:
        """Return what `get` returns, without how it came about; None where it is missing or not known."""
        return (self.get(*names, place=place) or UNKNOWN)[0]

    def input(self, *names: str) -> Known:
        """Return a parameter's value, the first argument, or what is piped."""
        return self.get(*names, place=0) or self.piped or UNKNOWN

    def source(self) -> tuple[list[Any], str]:
        """Return the elements that are piped, and how they came about."""
        value, how = self.piped or UNKNOWN
        return elements(value), how

    def blocks(self) -> list[Block]:
        """Return the blocks among the arguments, those without a parameter first."""
        return [value for value, _ in (*self.rest, *self.named.values()) if isinstance(value, Block)]


def together(results: list[Known], how: str = "") -> Known:
    """Return what several runs give as one value."""
    for _, step in results:
        how = decisive(step, how)
    values = [one for value, _ in results for one in elements(value)]
    return (values[0] if len(values) == 1 else values), how


def variable_of(path: str) -> str:
    """Return the name of a variable from a name or path, such as Variable:/x."""
    drive, colon, rest = path.strip().lower().partition(":")
    rest = rest.lstrip("\\/")
    return f"env:{rest}" if colon and drive == "env" else variable_name(rest if colon else path.strip())


# What runs code


def _invoke_expression(machine: Machine, call: Call) -> Known:
    known = call.piped if not call.rest and "command" not in call.named else None
    value, how = known or call.input("command")
    argument = next((each for _, each in call.node.arguments if each is not None), call.node)
    machine.findings.note_script(argument, value.text if isinstance(value, Block) else value, how)
    return UNKNOWN


def _invoke_command(machine: Machine, call: Call) -> Known:
    block, listed = call.blocks()[0], call.value("argumentlist", "args")
    values = [] if listed is None else elements(listed)
    if block.node is None:
        return UNKNOWN
    return machine.call(block.node, [("", (each, "")) for each in values], piped=call.piped)


def _for_each(machine: Machine, call: Call) -> Known:
    begin, process, end = call.value("begin"), call.value("process", "parallel"), call.value("end")
    blocks = [value for value, _ in call.rest if isinstance(value, Block)]
    if not isinstance(process, Block):
        if not blocks:
            return _each_member(machine, call)
        if len(blocks) > 1 and begin is None:
            begin = blocks.pop(0)
        if len(blocks) > 1 and end is None:
            end = blocks.pop()
        process = blocks[0]
    first = [machine.invoke(begin, [], own_scope=False)] if isinstance(begin, Block) else []
    known = machine.each(*(call.piped or UNKNOWN), process)
    last = [machine.invoke(end, [], own_scope=False)] if isinstance(end, Block) else []
    return together([*first, known, *last]) if first or last else known


def _each_member(machine: Machine, call: Call) -> Known:
    """Return what `% Name` or `% Name arguments` gives."""
    source, how = call.source()
    name = members.full_name(call.value("membername", place=0))
    listed = call.value("argumentlist", "args")
    rest = [each for each, _ in call.rest[0 if call.get("membername") else 1 :]]
    arguments = rest if listed is None else elements(listed)
    if None in arguments:
        return UNKNOWN
    machine.budget.spend_on(source)
    calls = arguments if arguments or name in members.METHODS else None
    results = [members.member(name, machine.budget, each, calls) for each in source]
    return [one for each in results for one in elements(each)], decisive(members.how_of(name, arguments), how)


# What makes others of elements


def _properties(machine: Machine, name: str, source: list[Any]) -> list[Any]:
    return [members.member(name.lower(), machine.budget, each, None) for each in source]


def _where_object(machine: Machine, call: Call) -> Known:
    if blocks := call.blocks():
        return machine.commands.where(*(call.piped or UNKNOWN), blocks[0])
    source, how = call.source()
    found = _properties(machine, call.value("property", place=0), source)
    operator = next((each for each in call.named if each in OPERATORS), "")
    if operator:
        wanted, apply = call.value(operator), OPERATORS[operator].apply
        found = [apply(machine.budget, each, wanted) for each in found]
    return [each for each, fits in zip(source, found, strict=True) if truth_of(fits)], how


def _select(machine: Machine, call: Call) -> Known:
    source, how = call.source()
    if any(value is None for value, _ in call.named.values()):
        return UNKNOWN
    if isinstance(expanded := call.value("expandproperty"), str):
        return _properties(machine, expanded, source), how
    if (index := call.value("index")) is not None:
        places = map(whole_of, elements(index))
        return [source[place] for place in places if place < len(source)], how
    cuts = [cut(whole_of(count)) for name, cut in _CUTS.items() if (count := call.value(name)) is not None]
    for cut in cuts:
        source = source[cut]
    if call.get("unique"):
        return list(dict.fromkeys(source)), how
    return (source, how) if cuts else UNKNOWN


def _sort(machine: Machine, call: Call) -> Known:
    source, how = call.source()
    machine.budget.spend_on(source)
    keys, key = source, call.value("property", place=0)
    if isinstance(key, Block):
        keys = [machine.each(each, how, key)[0] for each in source]
    elif isinstance(key, str):
        keys = _properties(machine, key, source)
    if None in keys:
        return UNKNOWN
    low = [each.lower() if isinstance(each, str) else each for each in keys]
    places = sorted(range(len(low)), key=low.__getitem__, reverse=call.get("descending") is not None)
    return [source[place] for place in places], how


def _pass_on(machine: Machine, call: Call) -> Known:
    rest = call.rest[0] if len(call.rest) == 1 else ([value for value, _ in call.rest], "")
    return call.piped or call.get("inputobject", "object") or rest


def _join_string(machine: Machine, call: Call) -> Known:
    value, how = call.piped or UNKNOWN
    separator, _ = call.get("separator", place=0) or ("", "")
    return (None if separator is None else join(machine.budget, value, separator)), decisive("join", how)


# Objects


def _new_object(machine: Machine, call: Call) -> Known:
    name, properties = call.value("typename", place=0), call.value("property")
    kind = type_name(name[1:-1] if name.startswith("[") else name)
    if isinstance(properties, Table) and kind in ("psobject", "object"):
        return Table(dict(properties.items)), ""
    arguments, how = call.get("argumentlist", "args", place=1) or ([], "")
    parts = list(arguments) if isinstance(arguments, list) else [arguments]
    if None in parts:
        return UNKNOWN
    made = statics.new_object(machine.budget, kind, parts)
    if isinstance(made, Stream):
        how = decisive(members.how_inflated(kind), how)
    if isinstance(made, Table) and isinstance(properties, Table):
        made.items |= properties.items
    return made, how


def _add_member(machine: Machine, call: Call) -> Known:
    owner = call.value("inputobject") or (call.piped or UNKNOWN)[0]
    place = 0 if "membertype" in call.named else 1
    name = call.value("name", "notepropertyname", place=place)
    if isinstance(owner, Table) and isinstance(name, str):
        machine.state.touch(owner)
        owner.items[name.lower()] = call.value("value", "notepropertyvalue", place=place + 1)
    return NOTHING


def _from_json(machine: Machine, call: Call) -> Known:
    text, how = call.input("inputobject")
    machine.budget.spend(8 * len(text))
    return json.loads(text, object_pairs_hook=_json_object), decisive("JSON", how)


def _json_object(pairs: list[tuple[str, Any]]) -> Table:
    return Table({key.lower(): NULL if value is None else value for key, value in pairs}, "object")


def _to_secure_string(machine: Machine, call: Call) -> Known:
    text, how = call.input("string")
    if text is None or call.get("asplaintext"):
        return None if text is None else Secure(text_of(text)), how
    key = call.value("key", "securekey")
    key = key.text if isinstance(key, Secure) else key
    return ciphers.secure_string(machine.budget, text, key), "decryption"


def _from_secure_string(machine: Machine, call: Call) -> Known:
    secure, how = call.input("securestring")
    return (secure.text if call.get("asplaintext") else None), how


# Variables, aliases and functions


def _get(machine: Machine, call: Call, kind: str = "") -> Known:
    """Return what a name or path of a `kind`, else of its drive, stands for."""
    path = call.value("name", "path", "literalpath", place=0)
    if kind == "variable" and not call.rest and not call.get("name"):
        path = "*"
    drive, _, name = (kind, "", path) if kind else path.partition(":")
    if drive.lower() in ("alias", "function"):
        return machine.commands.matching(name.lstrip("\\/"))
    if drive.lower() not in ("variable", "env"):
        return UNKNOWN
    scopes, names = machine.state.scopes, list(map(variable_of, elements(path)))
    if any(mark in name for name in names for mark in "*?"):
        names = [name for scope in scopes for name in scope if any(wildcard(each, name) for each in names)]
    found = [(name, known) for name in dict.fromkeys(names) if (known := machine.state.get(name)) is not None]
    value, how = found[0][1]
    if call.get("valueonly"):
        return value, how
    tables = [Table({"name": name.split(":")[-1], "value": each}, "variable") for name, (each, _) in found]
    return (tables[0] if len(tables) == 1 else tables), how


def _get_content(machine: Machine, call: Call) -> Known:
    table, how = _get(machine, call)
    return table.items["value"], how


def _set(machine: Machine, call: Call, kind: str = "") -> Known:
    """Give a name or path of a `kind`, else of its drive, its value."""
    named = call.get("path", "literalpath", "name")
    paths, known = named or call.get(place=0) or UNKNOWN, call.get("value", place=0 if named else 1)
    if kind == "variable" and len(call.rest) > 2:
        known = [value for value, _ in call.rest[1:]], ""
    place = 0 if call.value("scope") in ("global", "script") else -1
    if kind == "variable" and paths[0] is None:
        machine.forget_all()
    for path in elements(paths[0]):
        drive, _, name = (kind, "", path) if kind else path.lower().partition(":")
        if drive in ("variable", "env"):
            machine.state.assign(variable_of(path), known or call.piped or NOTHING, place)
        elif known is not None:
            machine.commands.define(drive, name, known[0])
    return NOTHING


_get_command, _get_variable = partial(_get, kind="function"), partial(_get, kind="variable")
_set_alias, _set_variable = partial(_set, kind="alias"), partial(_set, kind="variable")
CMDLETS: dict[str, Callable[[Machine, Call], Known]] = {
    "add-member": _add_member, "convertfrom-json": _from_json, "foreach-object": _for_each,
    "convertfrom-securestring": _from_secure_string, "convertto-securestring": _to_secure_string,
    "get-alias": _get_command, "get-childitem": _get, "get-command": _get_command,
    "get-content": _get_content,
    "get-item": _get, "get-variable": _get_variable, "invoke-expression": _invoke_expression,
    "join-string": _join_string, "new-alias": _set_alias, "new-item": _set, "new-object": _new_object,
    "new-variable": _set_variable, "out-string": _pass_on, "select-object": _select, "set-alias": _set_alias,
    "set-content": _set, "set-item": _set, "set-variable": _set_variable, "sort-object": _sort,
    "tee-object": _pass_on, "where-object": _where_object, "write-output": _pass_on,
    **dict.fromkeys(_DATA["runners"], _invoke_command),
}  # fmt: skip
