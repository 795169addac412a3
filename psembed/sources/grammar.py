"""How the scripts of the generated corpus are written, from the words and statements of grammar.toml."""

import base64
import random
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

_DATA = tomllib.loads(Path(__file__).with_name("grammar.toml").read_text(encoding="utf-8"))
_NOUNS, _VERBS, _SYLLABLES = _DATA["nouns"], _DATA["verbs"], _DATA["syllables"]
WORDS = tuple(a + b + c for a in _SYLLABLES[:12] for b in _SYLLABLES[6:] for c in _SYLLABLES[::4])
ALIASES = {row["command"]: (row["alias"], row["templates"]) for row in _DATA["aliases"]}
PARALLELS = [(row["words"], row["templates"]) for row in _DATA["parallels"]]
NOISE, NEUTRAL, BENIGN_SIGNALS = _DATA["noise"], _DATA["neutral"], _DATA["benign_signals"]
MALICIOUS_SIGNALS = _DATA["malicious_signals"]
SLOTS = _DATA["slots"] | {
    "cmd": [f"{verb}-{noun}" for verb in _VERBS for noun in _NOUNS],
    "noun": _NOUNS,
    "var": [f"{a}{b}".lower() for a in _NOUNS[:20] for b in _NOUNS[20:32]],
    "param": [f"{a}{b}" for a in ("Target", "Source", "Retry", "Owner", "Backup") for b in _NOUNS[:12]],
    "prop": [f"{noun}Name" for noun in _NOUNS],
    "noisy": NOISE,
}
# Weights of the families, a range of ordinary statements, the share that is one line.
MALICIOUS_STRATA = {"malicious-a": ((4, 3, 2, 1), (2, 7), 0.8), "malicious-b": ((1, 3, 3, 3), (4, 24), 0.3)}

_SLOT = re.compile(r"<([a-z_]+)>")


def _word(rng: random.Random) -> str:
    return rng.choice(WORDS)


def _blob(rng: random.Random, size: int) -> str:
    return base64.b64encode(rng.randbytes(size)).decode()


_MAKERS: dict[str, Callable[[random.Random], str]] = {
    "n": lambda rng: str(rng.randrange(2, 4000)),
    "word": _word,
    "blob": lambda rng: _blob(rng, rng.randrange(60, 600)),
    "shortblob": lambda rng: _blob(rng, rng.randrange(20, 60)),
    "codes": lambda rng: ",".join(str(rng.randrange(32, 127)) for _ in range(rng.randrange(12, 60))),
    "hexes": lambda rng: ",".join(f"0x{b:02x}" for b in rng.randbytes(rng.randrange(16, 90))),
    "path": lambda rng: "/".join(_word(rng) for _ in range(rng.randrange(1, 4))),
    "name": lambda rng: _word(rng) + _word(rng),
}


def _fill(template: str, rng: random.Random) -> str:
    """Fill every <slot>, from the innermost fill outwards, with a maker or a list of values."""
    while "<" in template:
        filled = _SLOT.sub(
            lambda m: _MAKERS[m[1]](rng) if m[1] in _MAKERS else rng.choice(SLOTS[m[1]]), template
        )
        if filled == template:
            break
        template = filled
    return template


def _statement(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.40:
        template = rng.choice(NOISE)
    elif draw < 0.62:
        command, (alias, templates) = rng.choice(list(ALIASES.items()))
        template = rng.choice(templates).replace("<c>", rng.choice((command, alias)))
    elif draw < 0.84:
        values, templates = rng.choice(PARALLELS)
        template = rng.choice(templates).replace("<x>", rng.choice(values))
    else:
        template = rng.choice(NEUTRAL)
    return _fill(template, rng)


def _comment(rng: random.Random) -> str:
    return "# " + " ".join(_word(rng) for _ in range(rng.randrange(3, 9)))


def _benign(rng: random.Random, stratum: str) -> tuple[str, str]:
    """Return (folder, text): a repository's script, with comments; one in ten is a single line."""
    lines = [_statement(rng) for _ in range(rng.randrange(8, 30))]
    if rng.random() < 0.10:
        return "tools", "; ".join(lines[: rng.randrange(8, 14)])
    if rng.random() < 0.20:
        lines.insert(rng.randrange(len(lines)), _fill(rng.choice(BENIGN_SIGNALS), rng))
    if stratum == "generated":
        lines = [_fill("function New-<noun><name> {", rng), *(f"    {line}" for line in lines), "}"]
    for _ in range(rng.randrange(4)):
        lines.insert(rng.randrange(len(lines)), _comment(rng))
    if stratum != "packaging" and rng.random() < 0.4:
        lines = ["<#", ".SYNOPSIS", _comment(rng)[2:], "#>", *lines]
    folder = "tools" if stratum == "packaging" else "src"
    return folder, "\n".join(lines) + "\n"


def _malicious(rng: random.Random, family: str, *, filler: int, one_line: bool) -> str:
    """Return a script with two to four signals of one family among ordinary statements."""
    common = MALICIOUS_SIGNALS["common"]
    lines = [rng.choice(MALICIOUS_SIGNALS[family])]
    lines += rng.sample(common, rng.randrange(1, 4))
    lines = [_fill(line, rng) for line in lines] + [_statement(rng) for _ in range(filler)]
    rng.shuffle(lines)
    if rng.random() < 0.3:
        lines = ["".join(rng.choice((c.lower(), c.upper())) for c in line) for line in lines]
    return "; ".join(lines) if one_line else "\n".join(lines) + "\n"


def _labelled(rng: random.Random, stratum: str) -> tuple[str, str]:
    weights, (fewest, most), one_line = MALICIOUS_STRATA[stratum]
    family = rng.choices(("launcher", "cradle", "concat", "stager"), weights)[0]
    filler = rng.randrange(fewest, most)
    return family, _malicious(rng, family, filler=filler, one_line=rng.random() < one_line)


def _offensive(rng: random.Random, stratum: str) -> tuple[str, str]:
    body = _malicious(rng, "stager", filler=rng.randrange(10, 25), one_line=False)
    return "modules", f"{_comment(rng)}\nfunction Invoke-{_word(rng)} {{\n{body}}}\n"


WRITERS = {"malicious-a": _labelled, "malicious-b": _labelled, "offensive": _offensive}


def write_script(stratum: str, rng: random.Random) -> tuple[str, str]:
    """Return (folder, text) of one script of a stratum; the folder of a malicious one is its family."""
    return WRITERS.get(stratum, _benign)(rng, stratum)
