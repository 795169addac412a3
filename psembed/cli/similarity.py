"""Token vectors on the command line: similar, analogy and odd ask them, vectors export writes them.

Nothing here imports a package before a question is asked.
"""

from __future__ import annotations  # so that an older Python gets as far as the message

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from psembed.runtime.errors import ParameterError, PsembedError

if TYPE_CHECKING:
    from psembed.embedding.token_vectors import Vectors

COMMANDS = ("similar", "analogy", "odd")
HELP = """\
Tokens are read as in a script: in any case, digits as *. What scripts run as a command is taken as the
command, "iex (command)"; with --word all are words but those written command:iex. Only the options above
are options; all else is a token, with dashes too: -eq, -, --. Put tokens such as '$i' in single quotes, or
the shell replaces them.
"""
EXPORT = """\
The format of word2vec: binary where FILE ends in .bin, else text. gensim reads it with
KeyedVectors.load_word2vec_format(FILE, binary=True or False). Names hold no space: iex is the word, and
command:iex the command. FILE is written whole or not at all, and replaced if there is one.
"""


def tokens_last(arguments: list[str]) -> list[str]:
    """Put the tokens of a question behind `--`, so that argparse takes none of them for an option.

    A word of two dashes and a letter is an option, since no token is spelled so; -n is one before a whole
    number, where `similar` and `analogy` could have no token; -h is one if it stands alone. The arguments of
    other commands are returned as they are.
    """
    command, rest = arguments[:1], arguments[1:]
    if not set(command) & set(COMMANDS) or rest == ["-h"]:
        return arguments
    options, tokens = [], []
    while rest:
        word = rest.pop(0)
        if word in ("--vectors", "--model") and rest:
            options.append(f"{word}={rest.pop(0)}")
        elif re.match("--[A-Za-z]", word):
            options.append(word)
        elif word == "-n" and command != ["odd"] and rest and re.fullmatch("[-+]?[0-9]+", rest[0]):
            options += [word, rest.pop(0)]
        else:
            tokens.append(word)
    return [*command, *options, "--", *tokens]


def add_commands(add: Callable) -> None:
    """Add the four commands to the command line; `add` is what psembed.cli.main adds a command with."""
    for name, command, usage, n, text in (
        ("similar", _similar, "TOKEN", 10, "list the tokens nearest to one"),
        ("analogy", _analogy, "TOKEN - TOKEN + TOKEN", 5, "list the tokens nearest to a sum or difference"),
        ("odd", _odd, "TOKEN TOKEN TOKEN ...", None, "name the token farthest from their centre"),
    ):
        made = add(name, command, text, needs=("polars",))
        made.usage, made.epilog = f"%(prog)s [options] {usage}", HELP
        made.add_argument("tokens", nargs="+", metavar="TOKEN", help="such as Invoke-Expression, -eq or '$i'")
        if n:
            made.add_argument("-n", type=_whole, default=n, metavar="N", help=f"how many (default: {n})")
        made.add_argument("--word", action="store_true", help="take tokens as words, never as commands")
        which = made.add_mutually_exclusive_group()
        _add_model(which)
        which.add_argument("--vectors", metavar="FILE", help="an npz of your own instead")
    made = add("vectors", _export, "export the released vectors to other programs", needs=("polars",))
    made.epilog = EXPORT
    made.add_argument("action", choices=("export",), help="what to do with them")
    made.add_argument("file", metavar="FILE", type=Path, help="such as vectors.txt or vectors.bin")
    _add_model(made)


def _add_model(command) -> None:
    command.add_argument("--model", default="joined", help="released vectors: joined (default) or word2vec")


def _whole(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def _read(options: argparse.Namespace, tokens: Sequence[str]) -> tuple[Vectors, list[str]]:
    """Return the vectors asked for, and the names that the tokens have there."""
    from psembed.embedding import released
    from psembed.embedding.token_vectors import find

    vectors = released.read(options.model, path=options.vectors)
    return vectors, [find(vectors, token, word=options.word) for token in tokens]


def _export(options: argparse.Namespace) -> None:
    from psembed.embedding import released, token_vectors

    vectors = released.read(options.model)
    try:
        token_vectors.export(options.file, vectors)
    except OSError as error:
        raise PsembedError(f"{options.file} cannot be written ({error.strerror})") from error
    rows, dimension = vectors.vectors.shape
    print(f"{options.file}: {rows:,} tokens, {dimension} dimensions")


def _similar(options: argparse.Namespace) -> None:
    from psembed.embedding.similarity import nearest

    if (count := len(options.tokens)) != 1:
        raise ParameterError(f"similar takes one token, not {count}: {' '.join(options.tokens)}")
    vectors, names = _read(options, options.tokens)
    _show(vectors, "nearest to {}", names, nearest(vectors, names[0], options.n), "cosine")


def _analogy(options: argparse.Namespace) -> None:
    from psembed.embedding.similarity import analogy

    signs, tokens = zip(*signed_terms(options.tokens), strict=True)
    vectors, names = _read(options, tokens)
    terms = list(zip(names, signs, strict=True))
    added, taken = ([name for name, sign in terms if sign == wanted] for wanted in "+-")
    title = " ".join(f"{sign} {{}}" for sign in signs)[2:]
    _show(vectors, title, names, analogy(vectors, added, taken, options.n), "cosine")


def signed_terms(words: list[str]) -> list[tuple[str, str]]:
    """Return the terms of an analogy as (+ or -, token); ParameterError if it is none.

    Every second word is a sign, so + and - can be tokens too: in `- + +` the token + is added to the token -.
    """
    example = "write downloadfile - '$destfile' + '$str', with spaces between"
    tokens, signs = words[::2], ["+", *words[1::2]]
    for before, sign in zip(tokens, signs[1:], strict=False):
        if sign not in ("+", "-"):
            raise ParameterError(f"after {before!r} comes {sign!r}, not + or -: {example}")
    if len(signs) > len(tokens):
        raise ParameterError(f"no token comes after the last {signs[-1]}: {example}")
    if len(tokens) < 2:
        raise ParameterError(f"an analogy has two or more tokens, not {words[0]!r} alone: {example}")
    return list(zip(signs, tokens, strict=True))


def _odd(options: argparse.Namespace) -> None:
    from psembed.embedding.similarity import odd_one_out

    vectors, names = _read(options, options.tokens)
    if len(set(names)) < max(3, len(names)):
        raise ParameterError(f"odd takes three or more different tokens, not: {' '.join(options.tokens)}")
    odd, distances = odd_one_out(vectors, names)
    farthest = sorted(distances.items(), key=lambda row: -row[1])
    _show(vectors, "odd one out: {}", [odd, *names], farthest, "distance")


def _show(vectors: Vectors, title: str, names: list[str], rows: list[tuple], measure: str) -> None:
    """Show tokens, how near they are and how often they occur; each {} of `title` is one of `names`."""
    from psembed.embedding.token_vectors import COMMAND, label
    from psembed.runtime.progress import table

    shown = [(label(vectors, name), f"{x:#.4g}", vectors.get_vecattr(name, "count")) for name, x in rows]
    heading = title.format(*(label(vectors, name) for name in names))
    words = dict.fromkeys(name.removeprefix(COMMAND) for name in names)
    if two := [word for word in words if {word, COMMAND + word} <= vectors.key_to_index.keys()]:
        heading += f"\n{', '.join(two)}: {COMMAND}{two[0]} asks for the command, --word for the word"
    text = f"{heading}\n\n{table(('token', measure, 'count'), shown)}"
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
