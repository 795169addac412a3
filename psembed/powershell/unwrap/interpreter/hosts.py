"""PowerShell's programs, the commands that start others, and what their parameters take (hosts.toml)."""

import re
import tomllib
from pathlib import Path

Parameters = tuple[tuple[str, str], ...]  # names and roles
_ROLES = ("script", "code", "anything", "value", "file", "line", "switch")  # a short name means the first
_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
COMMANDS: dict[str, Parameters] = {
    name: tuple((parameter, role) for role in _ROLES for parameter in command.get(role, ()))
    for command in _DATA.values()
    for name in command["names"]
}
HOSTS = frozenset(_DATA["powershell"]["names"])
HOST = COMMANDS["powershell"]
_STARTERS = frozenset(_DATA["cmd"]["names"] + _DATA["start"]["names"])
_WORD = re.compile(r'"[^"]*+"|\S++')
_DASHES = frozenset("-/\u2013\u2014\u2015")


def role_of(name: str, parameters: Parameters = HOST) -> str:
    """Return what a parameter takes, by its name in lower case or the beginning of it."""
    return next((role for each, role in parameters if each.startswith(name)), "anything")


def is_host(word: str) -> bool:
    """Tell whether a word names PowerShell's program."""
    return re.split(r"[\\/]", word.replace("^", "").strip("\"'@& ").lower())[-1].removesuffix(".exe") in HOSTS


def words_of(name: str, given: list) -> list:
    """Return arguments, (parameter or "", known), in order, without parameters that take command lines."""
    parameters = COMMANDS.get(name, COMMANDS["start"])
    words = []
    for parameter, (value, _) in given:
        if parameter and role_of(parameter, parameters) != "line":
            words.append(f"-{parameter}")
        if value is not True:
            words.append(value)
    return words


def handed(name: str, words: list[str]) -> tuple[str, str]:
    """Return what a command is given for PowerShell: "script" in Base64 or "code", and its text; else "".

    Examples
    --------
    >>> handed("cmd", ["/c", "powershell -nop -c whoami"])
    ('code', 'whoami')
    """
    hosted = name in HOSTS
    if not hosted and not _mentions_host(name, words):
        return "", ""
    flat = [part for word in words for part in _parts(word)]
    start = 0 if hosted else next((place for place, word in enumerate(flat, 1) if is_host(word)), 0)
    takes = False  # whether the word before is a parameter that takes this one
    for place in range(start, len(flat)):
        word = flat[place].strip("\"'")
        parameter = re.sub('["^]', "", word[1:].lower()) if word[:1] in _DASHES else ""
        role = role_of(parameter) if parameter else ""
        if role == "script" and place + 1 < len(flat):
            return role, flat[place + 1].strip("\"'")
        if role == "code":
            return role, _line(flat[place + 1 :])
        if word and word[:1] not in _DASHES and (hosted or start) and not takes:
            return "code", _line(flat[place:])
        takes = role not in ("", "switch")
    return "", ""


def _mentions_host(name: str, words: list[str]) -> bool:
    if name in _STARTERS:
        return any(" -" in word or is_host(word) for word in words)
    return any("powershell" in word or "pwsh" in word for word in (name, *map(str.lower, words)))


def _parts(word: str) -> list[str]:
    """Return the words of a command line that is one argument."""
    is_line = " " in word.strip() and (word.lstrip()[:1] in "-/" or is_host(word.split()[0]))
    return _WORD.findall(word) if is_line else [word]


def _line(words: list[str]) -> str:
    text = " ".join(words)
    text = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    return "" if text.strip() == "-" else text
