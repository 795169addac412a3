"""Our token boundaries against a real parser's: the leaves of tree-sitter-powershell's syntax tree.

On a few scripts the grammar's parser takes memory without end, so scripts are parsed in a process of their
own, with limits.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np

from psembed.powershell import tokens

MEMORY, SECONDS = 4 << 30, 20  # bytes of address space for the parser's process, and time for one script
_MATCHER = re.compile(tokens.PATTERN)
Spans = list[tuple[str, tuple[int, int]]]


def agreement(texts: Iterable[str]) -> dict:
    """Compare our token boundaries with the leaves of tree-sitter-powershell's syntax tree.

    Spans are positions in the text as it is. A boundary is where a token, or a leaf, starts or ends.

    Parameters
    ----------
    texts : iterable of str

    Returns
    -------
    dict
        scripts, unparsed (left out, as the parser died of them or took too long), leaves, tokens : int.
        leaf_boundaries_shared, token_boundaries_shared : float, the share of the leaves' boundaries that are
        ours too, and of ours that are a leaf's. by_type : list of dict with type, leaves, exact (share that
        is one token of ours) and shared (share whose two ends are boundaries of ours), most frequent type
        first.
    """
    leaves: dict[str, list[int]] = {}
    totals = dict.fromkeys(("scripts", "tokens", "leaf_ends", "token_ends", "common"), 0)
    unparsed = 0
    for text, theirs in _parsed(texts):
        if theirs is None:
            unparsed += 1
            continue
        ours = {match.span() for match in _MATCHER.finditer(tokens.normalise(text))}
        our_ends, their_ends = set(chain(*ours)), set(chain(*(span for _, span in theirs)))
        for kind, span in theirs:
            row = leaves.setdefault(kind, [0, 0, 0])
            row[0] += 1
            row[1] += span in ours
            row[2] += our_ends.issuperset(span)
        counts = (1, len(ours), len(their_ends), len(our_ends), len(our_ends & their_ends))
        for name, count in zip(totals, counts, strict=True):
            totals[name] += count
    by_type = [
        {"type": kind, "leaves": n, "exact": exact / n, "shared": shared / n}
        for kind, (n, exact, shared) in sorted(leaves.items(), key=lambda item: -item[1][0])
    ]
    return {
        "scripts": totals["scripts"],
        "unparsed": unparsed,
        "leaves": sum(row["leaves"] for row in by_type),
        "tokens": totals["tokens"],
        "leaf_boundaries_shared": totals["common"] / max(totals["leaf_ends"], 1),
        "token_boundaries_shared": totals["common"] / max(totals["token_ends"], 1),
        "by_type": by_type,
    }


def _parsed(texts: Iterable[str]) -> Iterator[tuple[str, Spans | None]]:
    """Yield each text with its leaves, None where the parser died or took too long."""
    process, pipe = _start()
    try:
        for text in texts:
            pipe.send(text)
            try:
                leaves = pipe.recv() if pipe.poll(SECONDS) else None
            except (EOFError, ConnectionError):
                leaves = None
            if leaves is None:
                process.kill()
                process, pipe = _start()
            yield text, leaves
    finally:
        process.kill()


def _start() -> tuple[BaseProcess, Connection]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_parse_forever, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that a dead process reads as the end of the file
    return process, ours


def _parse_forever(pipe: Connection) -> None:
    with contextlib.suppress(ImportError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with contextlib.suppress(EOFError):
        while True:
            pipe.send(_leaf_spans(pipe.recv()))


def _leaf_spans(text: str) -> Spans:
    """Return (type, (start, end)) of the non-empty leaves of the syntax tree, in characters of `text`."""
    import tree_sitter
    import tree_sitter_powershell

    data = text.encode()
    position = np.cumsum((np.frombuffer(data + b" ", dtype=np.uint8) & 0xC0) != 0x80) - 1
    language = tree_sitter.Language(tree_sitter_powershell.language())
    cursor, spans = tree_sitter.Parser(language).parse(data).walk(), []
    while True:
        if not cursor.goto_first_child():
            start, end = int(position[cursor.node.start_byte]), int(position[cursor.node.end_byte])
            if text[start:end].strip():
                spans.append((cursor.node.type, (start, end)))
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    return spans
