"""PowerShell inside other files: documentation, build steps, installer manifests, typed payloads.

Each snippet is a text of its own. Files are untrusted: a parser reads them, within limits, and nothing runs.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

from psembed.runtime.errors import SourceError

LIMIT = 2 * 2**20  # characters of a file that is parsed
DEPTH = 60  # levels of a YAML or JSON file, and
NODES = 200_000  # its values, that are followed

_LANGUAGES = re.compile(r"(?:azure)?powershell\b|pwsh\b|posh\b|ps1\b", re.IGNORECASE)
_PROMPT = re.compile(r"^[ \t]*PS(?:[ \t]+(?:[A-Za-z]+:|[~/])[^>\n]*)?>[ \t]?(.*)$")
_CONTINUED = re.compile(r"^[ \t]*>>[ \t]?(.*)$")


def read(path: str, text: str) -> list[str]:
    """Return the snippets in a file, in order; blank ones are left out.

    The ending of `path` says what the file is. SourceError, with a reason of a few words, if it is of no kind
    that is known, is damaged, too large or too deep.
    """
    reader = READERS.get(PurePosixPath(path.lower()).suffix)
    if reader is None:
        raise SourceError(f"no snippets are read from such a file: {', '.join(READERS)} are known")
    if len(text) > LIMIT:
        raise SourceError("too large to parse")
    return [snippet for found in reader(text) if (snippet := found.strip("\n")).strip()]


def markdown(text: str) -> Iterator[str]:
    """Yield fences marked as PowerShell, and what is typed after a prompt in any block of code."""
    from markdown_it import MarkdownIt

    blocks = MarkdownIt("commonmark", {"maxNesting": DEPTH}).disable(["inline", "html_block", "reference"])
    for token in blocks.parse(text):
        if token.type in ("fence", "code_block"):
            typed = _typed_at_prompt(token.content)
            if typed or _LANGUAGES.match(token.info.lstrip("{. \t")):
                yield "\n".join(typed) if typed else token.content


def _typed_at_prompt(block: str) -> list[str]:
    """Return the commands of a console's text, without what it answered; none where there is no prompt."""
    typed, open_command = [], False
    for line in block.splitlines():
        match = _PROMPT.match(line) or (_CONTINUED.match(line) if open_command else None)
        open_command = match is not None
        if match:
            typed.append(match.group(1))
    return typed


_SHELLS = re.compile(r"(?:powershell|pwsh|psh|ps)\b", re.IGNORECASE)
_SHELL_KEYS = re.compile(r"(?:powershell|pwsh|ps|psh(?:,pwsh)?|(?:[\w.]+\.)?win_shell)$", re.IGNORECASE)
_COMMAND_KEYS = ("command", "cleanup", "cleanup_command", "script")
_NEEDS_KEYS = ("prereq_command", "get_prereq_command")


def yaml(text: str) -> Iterator[str]:
    """Yield the PowerShell steps of a YAML file.

    These are `run` beside (or below the defaults of) a `shell` that is PowerShell, a text under win_shell,
    powershell, pwsh or ps, and commands of an executor called powershell, with those of its needs.
    """
    import yaml as parser

    loader = getattr(parser, "CSafeLoader", parser.SafeLoader)
    try:
        _check_size(parser.parse(text, Loader=loader))
        documents = list(parser.compose_all(text, Loader=loader))
    except (parser.YAMLError, ValueError, RecursionError) as error:
        raise SourceError("damaged YAML") from error
    seen: set = set()  # a node that aliases repeat is read once
    for document in documents:
        yield from _steps(document, seen, shell="", needs="")


def _check_size(events: Iterator) -> None:
    depth = 0
    for number, event in enumerate(events):
        name = type(event).__name__
        depth += name.endswith(("MappingStartEvent", "SequenceStartEvent"))
        depth -= name.endswith(("MappingEndEvent", "SequenceEndEvent"))
        if depth > DEPTH or number > NODES:
            raise SourceError("too deep or too long to parse")


def _steps(node, seen: set, shell: str, needs: str) -> Iterator[str]:
    """Yield the snippets below a node; `shell` and `needs` are the executors its elders have named."""
    if id(node) in seen or isinstance(getattr(node, "value", ""), str):
        return
    seen.add(id(node))
    if not isinstance(node.value[0] if node.value else (), tuple):
        for child in node.value:
            yield from _steps(child, seen, shell, needs)
        return
    values = {key.value: value for key, value in node.value if isinstance(key.value, str)}
    shell = _text(values, "shell") or _default_shell(values) or shell
    needs = _text(values, "dependency_executor_name") or needs
    executor = _SHELLS.fullmatch(_text(values, "name")) is not None
    for key, value in values.items():
        step = _SHELL_KEYS.match(key) or (key == "run" and _SHELLS.match(shell))
        command = (executor and key in _COMMAND_KEYS) or (key in _NEEDS_KEYS and _SHELLS.match(needs))
        if step or command:
            yield from _commands(value, seen)
        yield from _steps(value, seen, shell, needs)


def _text(values: dict, key: str) -> str:
    value = getattr(values.get(key), "value", "")
    return value if isinstance(value, str) else ""


def _default_shell(values: dict) -> str:
    """Return the shell under `defaults: run:` of a workflow or a job."""
    for key in ("defaults", "run"):
        few = getattr(values.get(key), "value", "")[:9]  # aliases could repeat a long one
        pairs = [pair for pair in few if isinstance(pair, tuple)]
        values = {name.value: value for name, value in pairs if isinstance(name.value, str)}
    return _text(values, "shell")


def _commands(node, seen: set) -> Iterator[str]:
    """Yield the text of a node, or those under the keys of commands in it, the first time it is asked."""
    if ("text", id(node)) in seen:
        return
    seen.add(("text", id(node)))
    if isinstance(node.value, str):
        yield node.value
    elif node.value and isinstance(node.value[0], tuple):
        for key, value in node.value:
            if key.value in _COMMAND_KEYS and isinstance(value.value, str):
                yield from _commands(value, seen)


_SCRIPT_KEYS = ("pre_install", "post_install", "pre_uninstall", "post_uninstall")


def manifest(text: str) -> Iterator[str]:
    """Yield the scripts of a Scoop manifest: installer and uninstaller, before and after them."""
    try:
        _check_depth(text)
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError("damaged JSON") from error
    yield from _scripts(content)


def _scripts(content: object) -> Iterator[str]:
    for key, value in content.items() if isinstance(content, dict) else ():
        if key in ("installer", "uninstaller") and isinstance(value, dict):
            yield _joined(value.get("script"))
        elif key in _SCRIPT_KEYS:
            yield _joined(value)
        yield from _scripts(value)


def _check_depth(text: str) -> None:
    """Refuse what nests deeper than DEPTH: brackets in strings count too, so some is refused for nothing."""
    depth = 0
    for bracket in re.finditer(r"[][{}]", text):
        depth += 1 if bracket.group() in "[{" else -1
        if depth > DEPTH:
            raise SourceError("too deep or too long to parse")


def _joined(script: object) -> str:
    lines = script if isinstance(script, list) else [script]
    return "\n".join(line for line in lines if isinstance(line, str))


_TYPED = re.compile(r"^[ \t]*(?:Q(?:UACK)?[ \t]+)?STRING(LN)?[ \t](.*)$")
_SILENT = re.compile(r"\s*((Q(UACK)?[ \t]+)?(DELAY|REM)\b|$)", re.IGNORECASE)  # ends no line
_WITH_POWERSHELL = re.compile(r"powershell|pwsh", re.IGNORECASE)


def payload(text: str) -> Iterator[str]:
    """Yield what a keystroke payload types (STRING, STRINGLN), if PowerShell is named in it.

    Lines typed one after the other are one line; any other key ends it.
    """
    typed: list[str] = []
    for line in text.splitlines():
        if match := _TYPED.match(line):
            typed += [match.group(2), "\n" if match.group(1) else ""]
        elif typed and not _SILENT.match(line):
            typed.append("\n")
    whole = re.sub(r"\n{2,}", "\n", "".join(typed))
    if _WITH_POWERSHELL.search(whole):
        yield whole


READERS: dict[str, Callable[[str], Iterator[str]]] = {
    ".md": markdown, ".markdown": markdown, ".yml": yaml, ".yaml": yaml, ".json": manifest, ".txt": payload,
}  # fmt: skip
