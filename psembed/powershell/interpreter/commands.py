"""Commands of PowerShell, as far as they matter for constants: what they give, and what they run."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from psembed.powershell.aliases import ALIASES
from psembed.powershell.dotnet import ciphers, members
from psembed.powershell.parsing import tree
from psembed.powershell.dotnet.operators import OPERATORS, join, wildcard
from psembed.powershell.parsing.parser import variable_name
from psembed.powershell.interpreter.state import UNKNOWN, Known, decisive
from psembed.powershell.dotnet.values import (
    NULL,
    Block,
    Partial,
    Secure,
    Stream,
    Table,
    attempt,
    elements,
    text_of,
    truth_of,
    type_name,
    whole_of,
)  # fmt: skip

if TYPE_CHECKING:
    from psembed.powershell.interpreter.interpreter import Interpreter

NOTHING: Known = (NULL, "")
_HOSTS = frozenset({"powershell", "pwsh", "pwsh-preview"})
_STARTERS = frozenset({"cmd", "start-process", "start"})
_SILENT = frozenset(
    ["out-null", "out-host", "write-host", "write-verbose", "write-debug", "write-warning", "write-error", "write-progress", "start-sleep", "import-module", "add-type", "set-strictmode", "set-executionpolicy", "set-location", "clear-host", "remove-variable", "out-file", "set-content", "add-content", "export-csv"]
)
_SWITCHES = frozenset(["force", "asplaintext", "passthru", "wait", "nonewline", "descending", "unique", "nonewwindow", "raw"])
_BLOCK_RUNNERS = frozenset(
    ["invoke-command", "start-job", "start-threadjob", "invoke-scriptblock", "measure-command"]
)
_ALIASES = dict(ALIASES) | {"sc": "set-content"}
_COMMANDS = sorted({*_ALIASES, *_ALIASES.values()})


class Arguments:
    """The arguments of a command: `named` by parameter, True for a switch, and `rest` in order."""

    def __init__(self, given: list[tuple[str, Known]], expected: str = ""):
        self.named: dict[str, Known] = {}
        self.rest: list[Known] = []
        waiting = ""
        for name, known in given:
            if name and known[0] is not True:
                self.named[name], waiting = known, ""
            elif name:
                is_switch = len(name) > 2 and any(each.startswith(name) for each in _SWITCHES)
                waiting = "" if is_switch else name
                self.named[name] = known
            elif waiting:
                self.named[waiting], waiting = known, ""
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


class Commands:
    """Carries out commands on constants; notes the strings that are given to run."""

    def __init__(self, machine: "Interpreter"):
        self.machine, self.state, self.findings = machine, machine.state, machine.findings
        self.budget = machine.budget
        self.aliases: dict[str, str] = {}

    # Calls

    def run(self, node: tree.Command, piped: Known | None = None) -> Known:
        """Return what a command gives."""
        called, how = self.machine.evaluate(node.name)
        if isinstance(called, list) and len(called) == 1:
            called = called[0]
        if isinstance(called, Table) and isinstance(called.items.get("name"), str):
            called = called.items["name"]
        if isinstance(called, Block):
            return self._run_block(node, called, piped)
        given = self._arguments(node)
        if not isinstance(called, str):
            return self._run_unknown(node, called, given, piped)
        if not node.operator and isinstance(node.name, tree.Variable):
            return called, how
        name = self.resolved(called)
        if function := self.machine.functions.get(name):
            return self._run_function(*function, given, piped)
        if command := self.COMMANDS.get(name):
            arguments = Arguments(given)
            known = command(self, node, arguments, piped)
            if isinstance(kept := arguments.value("outvariable", "ov"), str):
                self.state.assign(variable_name(kept), known)
            return known
        return self._run_other(node, name, given, piped)

    def resolved(self, name: str) -> str:
        """Return the full name of a command in lower case, without module and path."""
        if (name := name.strip().lower()) not in self.machine.functions:
            name = re.split(r"[\\/]", name)[-1].removesuffix(".exe")
        for _ in range(8):
            if name in self.machine.functions or name not in self.aliases:
                break
            name = self.aliases[name]
        if name in self.machine.functions:
            return name
        name = _ALIASES.get(name, name)
        return name if name in self.COMMANDS or f"get-{name}" not in self.COMMANDS else f"get-{name}"

    def _arguments(self, node: tree.Command) -> list[tuple[str, Known]]:
        """Evaluate arguments; what is splatted is laid out."""
        given: list[tuple[str, Known]] = []
        for name, argument in node.arguments:
            known: Known = (True, "") if argument is None else self.machine.evaluate(argument)
            if isinstance(argument, tree.Variable) and argument.splatted:
                value, how = known
                if isinstance(value, Table):
                    given += [(str(key), (each, how)) for key, each in value.items.items()]
                elif isinstance(value, list):
                    given += [_word(each, how) for each in value]
                else:
                    given.append(("", UNKNOWN))
            elif isinstance(known[0], bool) and argument is not None and name:
                given.append((name, (int(known[0]), known[1])))
            else:
                given.append((name, known))
        return given

    def _run_block(self, node: tree.Command, block: Block, piped: Known | None) -> Known:
        given = self._arguments(node)
        if block.node is None:
            return UNKNOWN
        own = node.operator != "."
        bound = [(name, known) for name, known in _paired(given)]
        return self.machine.call(block.node, bound, piped=piped, own_scope=own)

    def _run_function(
        self, code: tree.Code, each: bool, given: list[tuple[str, Known]], piped: Known | None
    ) -> Known:
        bound = _paired(given, [name for name, _ in code.parameters])
        has_process = any(
            isinstance(one, tree.Named) and one.name == "process" for one in code.body.statements
        )
        if has_process and piped is not None and not code.parameters:
            turns = attempt(elements, piped[0])
            turns = None if turns is None else [(one, piped[1]) for one in turns]
            return self.machine.call(code, bound, piped=UNKNOWN, turns=turns)
        if piped is not None and (each or has_process or code.piped):
            source = attempt(elements, piped[0])
            if source is not None and len(source) != 1:
                results = [self.machine.call(code, bound, piped=(one, piped[1])) for one in source]
                if any(value is None for value, _ in results):
                    return UNKNOWN
                how = piped[1]
                for _, step in results:
                    how = decisive(step, how)
                return [one for value, _ in results for one in elements(value)], how
        return self.machine.call(code, bound, piped=piped)

    def _run_unknown(
        self, node: tree.Command, called: Any, given: list[tuple[str, Known]], piped: Known | None
    ) -> Known:
        """Read what a command gets whose name is not known."""
        self._read_blocks(given)
        self.note_line("", [value for _, (value, _) in given])
        return UNKNOWN

    def _run_other(
        self, node: tree.Command, name: str, given: list[tuple[str, Known]], piped: Known | None
    ) -> Known:
        """Note what a command gets that is not covered."""
        if name in _HOSTS and piped is not None:
            self.findings.note_script(node, *piped)
        if name in _HOSTS or name in _STARTERS:
            self._hand_over(node, name, given)
        else:
            line = [each for word, known in given for each in ([f"-{word}"] if word else []) + [known[0]]]
            self.note_line(name, line, node)
        if name in _BLOCK_RUNNERS:
            return self._invoke_command(node, Arguments(given), piped)
        self._read_blocks(given)
        return NOTHING if name in _SILENT else UNKNOWN

    def _read_blocks(self, given: list[tuple[str, Known]]) -> None:
        """Read the blocks among arguments, which may be run at any time."""
        for _, (value, _) in given:
            for block in value if isinstance(value, list) else [value]:
                if isinstance(block, Block) and block.node is not None and not block.node.entered:
                    self.machine.maybe(lambda block=block: self.machine.call(block.node, None), lambda: None)

    # Hand-overs to PowerShell

    def _hand_over(self, node: tree.Command, name: str, given: list[tuple[str, Known]]) -> None:
        """Note what powershell, cmd or Start-Process is given to run."""
        words: list[str] = [] if name not in _HOSTS else [name]
        partial = False
        for parameter, (value, _) in given:
            if (
                (parameter
                and not ("argumentlist".startswith(parameter) or "filepath".startswith(parameter)))
                or (parameter and name in _HOSTS)
            ):
                words.append("-" + parameter)
            if value is True:
                continue
            if isinstance(value, Partial):
                words.append(value.text)
                partial = True
            elif isinstance(value, Block):
                words.append(value.text)
            else:
                words += [each for each in map(_text, elements(value) if value is not None else [""])]
        if name in _HOSTS or any(_host_of(word) for word in words[:8]) or any(" -" in word for word in words):
            self._note_words(node, words, is_host=name in _HOSTS, partial=partial)

    def note_line(self, name: str, values: list[Any], node: tree.Node | None = None) -> None:
        """Note what a command line among arguments hands to PowerShell."""
        texts = [
            text
            for value in values
            for text in (map(_text, value) if isinstance(value, list) else [_text(value)])
        ]
        if any("powershell" in text.lower() or "pwsh" in text.lower() for text in [name, *texts]):
            self._note_words(node or tree.Node(0, 0), texts, is_host=False)

    def _note_words(self, node: tree.Node, words: list[str], *, is_host: bool, partial: bool = False) -> None:
        """Find parameters of powershell among words, and note what they are given."""
        flat: list[str] = []
        for word in words:
            spaced = " " in word.strip() and (word.lstrip()[:1] in "-/" or _host_of(word.split()[0]))
            flat += re.findall(r'"[^"]*"|\S+', word) if spaced else [word]
        names = [_host_of(word) for word in flat]
        place = names.index(True) + 1 if True in names else 0
        if not is_host and not place and not any(word[:1] in "-/" for word in flat):
            return
        awaited = is_host or place > 0
        while place < len(flat):
            word = flat[place].strip("\"'")
            dash, parameter = word[:1] in "-/\u2013\u2014\u2015", word[1:].lower().replace('"', "")
            if dash and is_encoded_parameter(parameter) and place + 1 < len(flat):
                self.findings.note_encoded_command(node, flat[place + 1].strip("\"'"))
                return
            if dash and parameter and "command".startswith(parameter):
                self._note_command(node, flat[place + 1 :])
                return
            if not dash and awaited and parameter and (place == 0 or not _takes_value(flat[place - 1])):
                self._note_command(node, flat[place:])
                return
            place += 1

    def _note_command(self, node: tree.Node, words: list[str]) -> None:
        text = " ".join(words)
        if len(text) > 1 and text[0] == text[-1] == '"':
            text = text[1:-1]
        if text.strip() not in ("", "-"):
            self.findings.note_script(node, text, "")

    # Commands that are covered

    def _invoke_expression(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        known = piped if piped is not None and not given.rest and "command" not in given.named else None
        known = known or given.get("command", place=0) or UNKNOWN
        if isinstance(known[0], Block):
            known = (known[0].text, known[1])
        argument = next((each for _, each in node.arguments if each is not None), None)
        self.findings.note_script(argument or node, *known)
        return UNKNOWN

    def _invoke_command(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        block = next((v for v, _ in [*given.named.values(), *given.rest] if isinstance(v, Block)), None)
        listed = given.value("argumentlist", "args")
        values = [] if listed is None else [(each, "") for each in elements(listed)]
        if block is None or block.node is None:
            return UNKNOWN
        return self.machine.call(block.node, [("", each) for each in values], piped=piped)

    def _for_each(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        value, how = piped or UNKNOWN
        blocks = [v for v, _ in given.rest if isinstance(v, Block)]
        begin, end = given.value("begin"), given.value("end")
        process = given.value("process", "parallel")
        if isinstance(process, Block):
            blocks.insert(0, process)
        elif len(blocks) > 1 and begin is None:
            begin, blocks = blocks[0], blocks[1:]
            if len(blocks) > 1 and end is None:
                end, blocks = blocks[-1], blocks[:-1]
        if not blocks:
            return self._each_member(value, how, given)
        results = [self.machine.invoke(begin, [], own_scope=False)] if isinstance(begin, Block) else []
        results.append(self.machine.each(value, how, blocks[0]))
        if isinstance(end, Block):
            results.append(self.machine.invoke(end, [], own_scope=False))
        if len(results) == 1:
            return results[0]
        if any(each is None for each, _ in results):
            return UNKNOWN
        kept = [one for each, _ in results for one in elements(each)]
        return (kept[0] if len(kept) == 1 else kept), decisive(results[-1][1], results[0][1])

    def _each_member(self, value: Any, how: str, given: Arguments) -> Known:
        """Return what `% Name` or `% Name arguments` gives."""
        name = given.value("membername", place=0)
        source = attempt(elements, value)
        rest = [
            each
            for each, _ in (
                given.rest if "membername".startswith(tuple(given.named) or "-") else given.rest[1:]
            )
        ]
        listed = given.value("argumentlist", "args")
        arguments = rest if listed is None else elements(listed)
        name = attempt(members.full_name, name) if isinstance(name, str) else None
        if name is None or source is None or None in arguments:
            return UNKNOWN
        self.budget.spend_on(source)
        calls = arguments if arguments or name in members.METHODS else None
        result = attempt(lambda: [members.member(name, self.budget, each, calls) for each in source])
        if result is not None:
            result = None if None in result else [one for each in result for one in elements(each)]
        return result, decisive(members.how_of(name, arguments), how)

    def where(self, value: Any, how: str, block: Block) -> Known:
        """Return the elements for which a block gives true."""
        source = attempt(elements, value)
        if source is None:
            self.machine.each(None, "", block)
            return UNKNOWN
        kept = []
        before = self.state.get("_")
        for each in source:
            self.state.assign("_", (each, how))
            truth, _ = self.machine.invoke(block, [], own_scope=False)
            if truth is None:
                kept = None
                break
            if truth_of(truth):
                kept.append(each)
        self.state.assign("_", before or UNKNOWN)
        return (kept, how) if kept is not None else UNKNOWN

    def _where_object(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        value, how = piped or UNKNOWN
        block = next((v for v, _ in [*given.rest, *given.named.values()] if isinstance(v, Block)), None)
        if block is not None:
            return self.where(value, how, block)
        name = given.value("property", place=0)
        source = attempt(elements, value)
        operator = next((each for each in given.named if each in OPERATORS), "")
        if not isinstance(name, str) or source is None:
            return UNKNOWN

        def fits(each: Any) -> bool:
            found = members.member(name.lower(), self.budget, each, None)
            return truth_of(
                OPERATORS[operator].apply(self.budget, found, given.value(operator)) if operator else found
            )

        return attempt(lambda: [each for each in source if fits(each)]), how

    def _select(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        value, how = piped or UNKNOWN
        source = attempt(elements, value)
        if source is None or any(each is None for each, _ in given.named.values()):
            return UNKNOWN
        expanded = given.value("expandproperty")
        if isinstance(expanded, str):
            return attempt(
                lambda: [members.member(expanded.lower(), self.budget, each, None) for each in source]
            ), how
        skip, first, last, index = (
            attempt(lambda name=name: [whole_of(each) for each in elements(given.value(name))])
            for name in ("skip", "first", "last", "index")
        )
        if index is not None:
            return [source[place] for place in index if place < len(source)], how
        source = source[skip[0] :] if skip else source
        source = source[: first[0]] if first else source
        if any("unique".startswith(name) for name in given.named):
            return attempt(lambda: list(dict.fromkeys(source))), how
        return (source[-last[0] :] if last else source) if skip or first or last else UNKNOWN[0], how

    def _sort(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        value, how = piped or UNKNOWN
        source = attempt(elements, value)
        key = given.value("property", place=0)
        if source is None:
            return UNKNOWN
        self.budget.spend_on(source)
        keys: list[Any] | None = source
        if isinstance(key, Block):
            keys = [self.machine.each(each, how, key)[0] for each in source]
        elif isinstance(key, str):
            keys = attempt(lambda: [members.member(key.lower(), self.budget, each, None) for each in source])
        if keys is None or None in keys:
            return UNKNOWN
        backwards = any("descending".startswith(name) for name in given.named)
        low = [each.lower() if isinstance(each, str) else each for each in keys]
        places = attempt(lambda: sorted(range(len(low)), key=low.__getitem__, reverse=backwards))
        return (None if places is None else [source[place] for place in places]), how

    def _pass_on(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        if piped is not None and not given.rest:
            return piped
        known = given.rest if len(given.rest) == 1 else [([value for value, _ in given.rest], "")]
        return given.get("inputobject", "object") or known[0]

    def _new_object(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        name, listed = given.value("typename", place=0), given.get("argumentlist", "args", place=1)
        properties = given.value("property")
        if not isinstance(name, str):
            return UNKNOWN
        kind = type_name(name[1:-1] if name.startswith("[") else name)
        if isinstance(properties, Table) and kind in ("psobject", "object"):
            return Table(dict(properties.items)), ""
        arguments, how = listed or ([], "")
        if arguments is None:
            return UNKNOWN
        parts = list(arguments) if isinstance(arguments, list) else [arguments]
        if None in parts:
            return UNKNOWN
        made = attempt(members.new_object, self.budget, kind, parts)
        if isinstance(made, Stream):
            how = decisive("gzip" if "gzip" in kind else "deflate" if "deflate" in kind else "", how)
        if isinstance(made, Table) and isinstance(properties, Table):
            made.items |= properties.items
        return made, how

    def _set_variable(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        name, known = given.value("name", place=0), given.get("value", place=1)
        if known is None and "name" in given.named:
            known = given.get(place=0)
        if len(given.rest) > 2:
            known = ([value for value, _ in given.rest[1:]], "")
        for each in elements(name) if name is not None else []:
            if isinstance(each, str):
                self.state.assign(_variable(each), known or piped or NOTHING, _place(given))
        return NOTHING

    def _variables(self, pattern: Any) -> list[Table]:
        """Return the variables whose names are like a pattern."""
        found = []
        for each in elements(pattern):
            wanted = _variable(text_of(each))
            if "*" not in wanted and "?" not in wanted:
                found += [(wanted, self.state.get(wanted))]
            else:
                names = dict.fromkeys(name for scope in self.state.scopes for name in scope)
                found += [(name, self.state.get(name)) for name in names if wildcard(wanted, name)]
        return [
            Table({"name": name.partition(":")[2] or name, "value": known[0], "how": known[1]}, "variable")
            for name, known in found
            if known is not None
        ]

    def _get_variable(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        name = given.value("name", "path", "literalpath", place=0)
        found = attempt(self._variables, name)
        if not found:
            return UNKNOWN
        how = found[0].items["how"]
        if any(each.startswith("v") for each in given.named):  # -ValueOnly
            return found[0].items["value"], how
        return (found[0] if len(found) == 1 else list(found)), how

    def _get_item(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        path = given.value("path", "literalpath", place=0)
        if isinstance(path, str) and (kind := path.lower().partition(":")[0]) in (
            "variable",
            "env",
            "alias",
            "function",
        ):
            if kind in ("alias", "function"):
                return self._matching(path.partition(":")[2].lstrip("\\/"))
            return self._get_variable(node, given, piped)
        return UNKNOWN

    def _get_content(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        found = self._get_item(node, given, piped)
        return (found[0].items.get("value"), found[1]) if isinstance(found[0], Table) else UNKNOWN

    def _set_item(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        path, known = given.value("path", "literalpath", "name", place=0), given.get("value", place=1)
        if isinstance(path, str) and (kind := path.lower().partition(":")[0]) in ("variable", "env"):
            self.state.assign(_variable(path), known or piped or NOTHING, 0 if kind == "env" else -1)
        elif isinstance(path, str) and kind == "alias" and known and isinstance(known[0], str):
            self.define(kind, path.partition(":")[2], known[0])
        elif isinstance(path, str) and known:
            self.define(path.lower().partition(":")[0], path.partition(":")[2], known[0])
        return NOTHING

    def define(self, kind: str, name: str, value: Any) -> None:
        """Give an alias or a function its meaning."""
        name = name.lower().lstrip("\\/")
        if kind == "alias" and isinstance(value, str):
            self.aliases[name] = value.lower()
        elif kind == "function" and isinstance(value, Block) and value.node is not None:
            self.machine.functions[name] = (value.node, False)

    def _set_alias(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        name, value = (
            given.value("name", place=0),
            given.value("value", place=1 if "name" not in given.named else 0),
        )
        if isinstance(name, str) and isinstance(value, str):
            self.aliases[name.lower()] = self.resolved(value)
        return NOTHING

    def _matching(self, pattern: Any) -> Known:
        """Return the name of the command that a pattern stands for."""
        if not isinstance(pattern, str):
            return UNKNOWN
        if not any(mark in pattern for mark in "*?["):
            target = self.resolved(pattern)
            code = self.machine.functions.get(target)
            text = self.machine.source(code[0]) if code else target
            return Table({"name": pattern, "definition": text, "scriptblock": text}, "command"), ""
        known = [*_COMMANDS, *self.aliases, *self.machine.functions]
        found = attempt(lambda: [name for name in known if wildcard(pattern, name)])
        targets = {self.resolved(name) for name in found or ()}
        if len(targets) != 1:
            return UNKNOWN
        target = targets.pop()
        return Table({"name": target, "definition": target, "displayname": target}, "command"), ""

    def _get_command(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        return self._matching(given.value("name", place=0))

    def _to_secure_string(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        text, how = given.get("string", place=0) or piped or UNKNOWN
        key = given.value("key", "securekey")
        if any("asplaintext".startswith(name) for name in given.named):
            return Secure(text_of(text)) if text is not None else None, how
        if text is None or key is None:
            return UNKNOWN
        key = key.text if isinstance(key, Secure) else key
        return attempt(ciphers.secure_string, self.budget, text, key), "decryption"

    def _from_secure_string(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        secure, how = given.get("securestring", place=0) or piped or UNKNOWN
        plain = any("asplaintext".startswith(name) for name in given.named)
        return (secure.text if plain and isinstance(secure, Secure) else None), how

    def _join_string(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        value, how = piped or UNKNOWN
        separator = given.value("separator", place=0)
        if separator is None and given.get("separator", place=0) is not None:
            return UNKNOWN
        return attempt(join, self.budget, value, "" if separator is None else separator), decisive(
            "join", how
        )

    def _tee(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        if isinstance(name := given.value("variable"), str):
            self.state.assign(variable_name(name), piped or UNKNOWN)
        return piped or UNKNOWN

    def _add_member(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        owner = given.value("inputobject") or (piped or UNKNOWN)[0]
        places = 0 if "membertype" in given.named else 1
        name, value = (
            given.value("name", "notepropertyname", place=places),
            given.value("value", "notepropertyvalue", place=places + 1),
        )
        if isinstance(owner, Table) and isinstance(name, str):
            self.state.touch(owner)
            owner.items[name.lower()] = value
        return NOTHING

    def _from_json(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        text, how = given.get("inputobject", place=0) or piped or UNKNOWN
        if not isinstance(text, str):
            return UNKNOWN
        self.budget.spend(8 * len(text))
        return attempt(lambda: _from_json(json.loads(text))), decisive("JSON", how)

    def _quiet(self, node: tree.Command, given: Arguments, piped: Known | None) -> Known:
        return NOTHING

    COMMANDS: ClassVar[dict[str, Callable[..., Known]]] = {
        "invoke-expression": _invoke_expression, "foreach-object": _for_each, "where-object": _where_object,
        "select-object": _select, "sort-object": _sort, "new-object": _new_object, "write-output": _pass_on,
        "out-string": _pass_on, "set-variable": _set_variable, "new-variable": _set_variable,
        "get-variable": _get_variable, "get-item": _get_item, "get-childitem": _get_item,
        "get-content": _get_content, "set-item": _set_item, "new-item": _set_item, "set-content": _set_item,
        "set-alias": _set_alias, "new-alias": _set_alias, "get-command": _get_command, "get-alias": _get_command,
        "convertto-securestring": _to_secure_string, "convertfrom-securestring": _from_secure_string,
        "join-string": _join_string, "out-null": _quiet, "tee-object": _tee, "add-member": _add_member,
        "convertfrom-json": _from_json, "invoke-command": _invoke_command,
    }  # fmt: skip

    # Pipelines and sessions

    def filter(self, node: tree.Command, given: Known) -> Known:
        """Return what a later part of a pipeline makes of what it is given."""
        known = self.run(node, given)
        return NOTHING if node.silent else known

    def session(self, target: Any, name: str, arguments: list) -> Known | None:
        """Return what a method of $ExecutionContext and the like gives, None for another method."""
        if (
            name in ("get", "getvalue")
            and len(arguments) == 1
            and target is None
            and isinstance(arguments[0], str)
        ):
            known = self.state.get(_variable(arguments[0])) or UNKNOWN
            return (
                known if name == "getvalue" else (Table({"value": known[0], "name": arguments[0]}), known[1])
            )
        if name == "set" and len(arguments) == 2 and target is None and isinstance(arguments[0], str):
            self.state.assign(_variable(arguments[0]), (arguments[1], ""))
            return NOTHING
        if (
            name in ("getcommand", "getcmdlet", "getcommandname", "getcmdlets")
            and target is None
            and arguments
        ):
            return self._matching(arguments[0])
        if name in ("getenvironmentvariable", "setenvironmentvariable") and arguments[0]:
            variable = f"env:{str(arguments[0]).lower()}"
            if name.startswith("get"):
                return self.state.get(variable) or UNKNOWN
            self.state.assign(variable, (arguments[1], ""), 0)
            return NOTHING
        return None


def _text(value: Any) -> str:
    text = value.text if isinstance(value, Partial | Block) else attempt(text_of, value)
    return text or ""


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return Table({key.lower(): _from_json(each) for key, each in value.items()}, "object")
    return list(map(_from_json, value)) if isinstance(value, list) else NULL if value is None else value


def _word(value: Any, how: str) -> tuple[str, Known]:
    """Return an element that is splatted as (parameter, value)."""
    if isinstance(value, str) and re.fullmatch(r"-[A-Za-z]\w*", value):
        return value[1:].lower(), (True, how)
    return "", (value, how)


def _paired(given: list[tuple[str, Known]], names: list[str] | None = None) -> list[tuple[str, Known]]:
    """Return arguments with each parameter beside its value."""
    paired: list[tuple[str, Known]] = []
    for name, known in given:
        if not name and paired and paired[-1][0] and paired[-1][1][0] is True:
            if names is None or any(each.startswith(paired[-1][0]) for each in names):
                paired[-1] = (paired[-1][0], known)
                continue
        paired.append((name, known))
    return paired


def _host_of(word: str) -> bool:
    """Tell whether a word names PowerShell's program."""
    return re.split(r"[\\/]", word.strip("\"'@& ").lower())[-1].removesuffix(".exe") in _HOSTS


def _takes_value(word: str) -> bool:
    """Tell whether a parameter of powershell takes a value."""
    name = word[1:].lower()
    flags = ("noprofile", "nologo", "noexit", "noninteractive", "sta", "mta", "nop", "noni", "c", "k")
    return word[:1] in "-/" and not any(flag.startswith(name) for flag in flags)


def _variable(name: str) -> str:
    """Return the name of a variable from a name or path, such as Variable:/x."""
    drive, colon, rest = name.strip().lower().partition(":")
    rest = rest.lstrip("\\/")
    return f"env:{rest}" if colon and drive == "env" else variable_name(rest if colon else name.strip())


def _place(given: Arguments) -> int:
    return 0 if given.value("scope") in ("global", "script") else -1


def is_encoded_parameter(name: str) -> bool:
    """Tell whether a parameter's name, in lower case, is -EncodedCommand or short for it."""
    return name == "ec" or (name != "" and "encodedcommand".startswith(name))
