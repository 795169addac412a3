"""Our token boundaries against a real parser's: the leaves of tree-sitter-powershell's syntax tree.

On a few scripts the grammar's parser takes memory without end, so scripts are parsed in a process of their
own, with limits.
"""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np

from psembed.powershell import tokens
from psembed.runtime.isolated import IsolatedProcess, module, serve

MEMORY, SECONDS = 4 << 30, 20  # bytes of address space for the parser's process, and time for one script
PARSER = module("psembed.powershell.syntax")
_MATCHER = re.compile(tokens.PATTERN)
Spans = list[tuple[str, tuple[int, int]]]


def agreement(texts: Iterable[str]) -> dict:
    """Compare our token boundaries with the leaves of tree-sitter-powershell's syntax tree.

    Spans are positions in the text as it is. A boundary is where a token, or a leaf, starts or ends. Returns
    numbers of scripts, unparsed (left out, as the parser died of them or took too long), leaves and tokens;
    the shares leaf_boundaries_shared (of the leaves' boundaries that are ours too) and
    token_boundaries_shared (of ours that are a leaf's); and by_type, for each type of leaf, most frequent
    first: leaves, exact (share that is one token of ours) and shared (whose two ends are boundaries of ours).
    """
    leaves, exact, shared, totals = (Counter[str]() for _ in range(4))
    for text, theirs in _parsed(texts):
        if theirs is None:
            totals["unparsed"] += 1
            continue
        ours = {match.span() for match in _MATCHER.finditer(tokens.normalise(text))}
        our_ends, their_ends = set(chain(*ours)), set(chain(*(span for _, span in theirs)))
        for kind, span in theirs:
            leaves[kind] += 1
            exact[kind] += span in ours
            shared[kind] += our_ends.issuperset(span)
        totals.update(scripts=1, tokens=len(ours), leaf_ends=len(their_ends), token_ends=len(our_ends))
        totals["common"] += len(our_ends & their_ends)
    by_type = [
        {"type": kind, "leaves": n, "exact": exact[kind] / n, "shared": shared[kind] / n}
        for kind, n in leaves.most_common()
    ]
    return {
        "scripts": totals["scripts"],
        "unparsed": totals["unparsed"],
        "leaves": leaves.total(),
        "tokens": totals["tokens"],
        "leaf_boundaries_shared": totals["common"] / max(totals["leaf_ends"], 1),
        "token_boundaries_shared": totals["common"] / max(totals["token_ends"], 1),
        "by_type": by_type,
    }


def _parsed(texts: Iterable[str]) -> Iterator[tuple[str, Spans | None]]:
    """Yield each text with its leaves, None where the parser died or took too long."""
    with contextlib.closing(IsolatedProcess(PARSER)) as parser:
        for text in texts:
            answer = parser.ask(text.encode("utf-8", "surrogatepass"), SECONDS)
            leaves = None if answer is None else json.loads(answer)
            yield text, leaves and [(kind, (start, end)) for kind, start, end in leaves]


def answer_texts() -> None:
    """Answer each text on standard input with its leaves, as the parser's process."""
    serve(lambda text: json.dumps(leaf_spans(text.decode())).encode(), memory=MEMORY)


def leaf_spans(text: str) -> list[tuple[str, int, int]]:
    """Return (type, start, end) of the non-empty leaves of the syntax tree, in characters of `text`."""
    import tree_sitter
    import tree_sitter_powershell

    data = text.encode()
    position = np.cumsum((np.frombuffer(data + b" ", dtype=np.uint8) & 0xC0) != 0x80) - 1
    language = tree_sitter.Language(tree_sitter_powershell.language())
    cursor = tree_sitter.Parser(language).parse(data).walk()
    spans: list[tuple[str, int, int]] = []
    while True:
        if not cursor.goto_first_child():
            node = cursor.node
            assert node is not None
            start, end = int(position[node.start_byte]), int(position[node.end_byte])
            if text[start:end].strip():
                spans.append((node.type, start, end))
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    return spans


if __name__ == "__main__":
    answer_texts()
