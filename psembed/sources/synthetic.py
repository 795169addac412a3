"""The generated corpus: relations are planted in it, so the right answers are known beforehand.

It has the shape of the real one (several repositories of three strata, two malicious sources, an
offensive one) and goes through the same reader. Everything malicious-looking in it is inert: hosts
are reserved names (RFC 2606) or TEST-NET addresses (RFC 5737), payloads are random bytes.
"""

import random
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from psembed.runtime.errors import CorpusError, ParameterError
from psembed.runtime.files import sha256
from psembed.sources.grammar import WORDS, write_script


@dataclass(frozen=True)
class ControlSource:
    """One generated source: what sources.toml says of a real one."""

    name: str
    kind: str
    stratum: str
    share: float  # of all files
    near: float  # share of its files that are near-duplicates of another one
    group: str = ""
    label: int | None = None


_DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
SOURCES = {row["name"]: ControlSource(**row) for row in _DATA["sources"]}
ENCODINGS = _DATA["encodings"]  # byte-order mark and codec of each
_ACCENTED = "Write-Verbose 'caf\u00e9 pr\u00fcfung r\u00e9sum\u00e9'"
_TOKEN = re.compile(r"[\w$*-]+|[^\w\s]")
_MINIMUM = 300


@dataclass
class _File:
    path: str
    text: str
    encoding: str
    role: str
    cluster: int
    data: bytes = b""


def generate(*, scripts: int, seed: int) -> dict[str, list[tuple[str, bytes]]]:
    """Return the generated corpus: for each source name its (path, bytes) rows, as a snapshot has them.

    `scripts` counts all files, duplicates and the one binary included. Below 300, not every planted relation
    would occur, and ParameterError is raised. Same seed and size, same bytes.
    """
    return {name: [(f.path, f.data) for f in files] for name, files in _build(scripts, seed).items()}


def truth(*, scripts: int, seed: int) -> pl.DataFrame:
    """Return what was planted in each file of `generate(scripts=scripts, seed=seed)`.

    It has source, path, sha256, encoding ("binary" for the one that is no text), role (original, exact,
    encoded, near, shared or binary) and cluster (the true one, i64).
    """
    rows = [
        (name, f.path, sha256(f.data), f.encoding, f.role, f.cluster)
        for name, files in _build(scripts, seed).items()
        for f in files
    ]
    columns = ["source", "path", "sha256", "encoding", "role", "cluster"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def recovered(
    planted: pl.DataFrame, corpus: pl.DataFrame, scripts: pl.DataFrame
) -> dict[str, dict[str, int]]:
    """Compare the truth with what the reader (corpus) and the de-duplication (scripts) made of it.

    `planted` is from `truth`. Of each kind of plant it counts {"planted": n, "recovered": n}. If no planted
    file is in the corpus, CorpusError is raised.
    """
    if not set(planted["sha256"]) & set(corpus["sha256"]):
        raise CorpusError("no planted file is in this corpus: it was generated with another seed or size")
    readable = planted.filter(pl.col("role") != "binary")
    rows = corpus.group_by("source", "sha256").agg(
        pl.len().alias("rows"), pl.col("encoding").first().alias("read")
    )
    exact = readable.filter(pl.col("role") == "exact").join(rows, on=["source", "sha256"], how="left")
    codes = readable.unique(["source", "sha256"]).join(rows, on=["source", "sha256"], how="left")
    binary = planted.filter(pl.col("role") == "binary")
    return {
        "exact_duplicates": _count(exact["rows"] == 1),
        "encodings": _count(codes["encoding"] == codes["read"]),
        "binary_files": _count(~binary["sha256"].is_in(corpus["sha256"].to_list())),
        **_clusters(readable, scripts),
    }


def _count(hits: pl.Series) -> dict[str, int]:
    return {"planted": len(hits), "recovered": int(hits.fill_null(False).sum())}


def _clusters(readable: pl.DataFrame, scripts: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Judge clusters (a true one is one of ours, with nothing else in it) and copies between repositories."""
    labelled = readable.unique("sha256").join(
        scripts.select("sha256", pl.col("cluster").alias("ours"), "part"), on="sha256"
    )
    by_true = (
        labelled.with_columns(mixed=pl.col("cluster").n_unique().over("ours") > 1)
        .group_by("cluster")
        .agg(
            pl.len().alias("members"),
            ((pl.col("ours").n_unique() == 1) & ~pl.col("mixed").any()).alias("right"),
            (pl.col("part").filter(pl.col("part") != "aside").n_unique() <= 1).alias("one_part"),
        )
    )
    shared = readable.filter(pl.col("role") == "shared")["cluster"].unique()
    return {
        "near_duplicate_clusters": _count(by_true.filter(pl.col("members") > 1)["right"]),
        "single_scripts": _count(by_true.filter(pl.col("members") == 1)["right"]),
        "copies_between_repositories": _count(
            by_true.filter(pl.col("cluster").is_in(shared.to_list()))["one_part"]
        ),
    }


def _build(scripts: int, seed: int) -> dict[str, list[_File]]:
    if scripts < _MINIMUM:
        raise ParameterError(f"scripts={scripts}: the generated corpus needs at least {_MINIMUM}")
    counts = {name: round(scripts * source.share) for name, source in SOURCES.items()}
    counts["control-benign-01"] += scripts - sum(counts.values())
    corpus = {
        name: _source_files(source, counts[name], random.Random(f"{seed}/{name}"), 1_000_000 * n)
        for n, (name, source) in enumerate(SOURCES.items())
    }
    _plant_across(corpus, random.Random(f"{seed}/across"))
    for files in corpus.values():
        for file in files:
            if not file.data:
                mark, codec = ENCODINGS[file.encoding]
                file.data = (mark + file.text).encode(codec)
    return corpus


def _source_files(source: ControlSource, count: int, rng: random.Random, first: int) -> list[_File]:
    """Make one source: originals first, then exact, re-encoded and near copies of them."""
    exact, encoded, near = (max(1, round(count * s)) for s in (0.03, 0.01, source.near))
    originals = []
    for n in range(count - exact - encoded - near):
        folder, text = write_script(source.stratum, rng)
        if source.kind == "labelled":
            encoding = rng.choices(["ascii", "utf-16-le", "utf-8"], (90, 6, 4))[0]
        else:
            names = list(ENCODINGS)
            encoding = names[n] if n < len(names) else rng.choices(names, (68, 6, 20, 2, 1, 1, 1, 1))[0]
        fitted = _fit(text, encoding, rng)
        originals.append(_File(f"{folder}/{n:05d}.ps1", fitted, encoding, "original", first + n))
    return originals + _copies(originals, exact, encoded, near, rng)


def _copies(originals: list[_File], exact: int, encoded: int, near: int, rng: random.Random) -> list[_File]:
    made = []
    for n in range(exact):
        model = rng.choice(originals)
        made.append(_File(f"copies/{n:05d}.ps1", model.text, model.encoding, "exact", model.cluster))
    plain = [f for f in originals if f.encoding == "ascii"]
    for n, model in enumerate(rng.sample(plain, encoded)):
        made.append(_File(f"encoded/{n:05d}.ps1", model.text, "utf-16-le-bom", "encoded", model.cluster))
    models = [f for f in plain if _shingles(f.text) >= 45]
    large = models[: max(1, len(models) // 40)]  # a few large clusters, as in the real malicious sets
    for n in range(near):
        model = rng.choice(large if n % 2 else models)
        made.append(_File(f"near/{n:05d}.ps1", _near(model.text, rng), model.encoding, "near", model.cluster))
    return made


def _plant_across(corpus: dict[str, list[_File]], rng: random.Random) -> None:
    """Replace files of some repositories by copies of another one's, and one by a binary."""
    for origin, target in (("01", "02"), ("03", "04"), ("05", "06")):
        models = [
            f
            for f in corpus[f"control-benign-{origin}"]
            if f.role == "original" and f.encoding == "ascii" and _shingles(f.text) >= 45
        ]
        files = corpus[f"control-benign-{target}"]
        used = {f.cluster for f in files if f.role != "original"}
        free = [f for f in files if f.role == "original" and f.cluster not in used and f.encoding == "ascii"]
        for n, (model, file) in enumerate(zip(models, free[: max(2, len(free) // 30)], strict=False)):
            text = model.text if n % 2 else _near(model.text, rng)
            file.text, file.role, file.cluster = text, "shared", model.cluster
    binary = corpus["control-benign-09"][-1]
    binary.data = b"\x89BIN\r\n\x1a\n\x00\x00" + rng.randbytes(3000)
    binary.encoding, binary.role, binary.cluster = "binary", "binary", -1


def _near(text: str, rng: random.Random) -> str:
    """Add one short statement: at 45 shingles or more, the Jaccard index stays above 0.85."""
    extra = f"Write-Debug {rng.choice(WORDS)}{rng.choice(WORDS)}"
    return f"{text}; {extra}" if "\n" not in text else f"{text}{extra}\n"


def _shingles(text: str) -> int:
    tokens = _TOKEN.findall(re.sub(r"\d", "*", text.lower()))
    return len(set(zip(tokens, tokens[1:], tokens[2:], strict=False)))


def _fit(text: str, encoding: str, rng: random.Random) -> str:
    """Give a text what its encoding needs: an accented line, and Windows line ends half of the time."""
    if encoding in ("utf-8", "windows-1252"):
        text = f"{text}; {_ACCENTED}" if "\n" not in text else f"{text}{_ACCENTED}\n"
    return text.replace("\n", "\r\n") if rng.random() < 0.5 else text
