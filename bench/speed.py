"""Speed, measured in one run against what a user would take instead; `psembed bench` prints and stores it.

The texts are real scripts where their snapshots are there, else generated ones (control corpus), so anyone
can repeat it. Every figure is a median of repeats; what is compared takes turns, so noise hits all alike.
"""

import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import polars as pl

from bench import cluster, learning, measuring, scoring, training
from psembed.paper import figures
from psembed.powershell import cleaning, decoding, tokens
from psembed.powershell.tokens import FIRST, TOKEN_CHARS, UNKNOWN, Vocabulary
from psembed.project.workspace import Workspace
from psembed.runtime.errors import CorpusError
from psembed.runtime.files import write_json
from psembed.runtime.threads import THREADS, map_partitions, partitions
from psembed.sources import catalogue, snapshots, synthetic

SCRIPTS, REPEATS = 4_000, 5
SNAPSHOTS = (
    "poshcode-poshcode.github.io", "kbtale-powershell", "fleschutz-powershell", "scriptrunner-actionpacks",
)  # fmt: skip


def files(root: Path) -> tuple[list[bytes], str]:
    """Return the content of files in a fixed order, and their origin: sources' names, or "generated"."""
    paths = {name: snapshots.snapshot_path(name, root=root) for name in SNAPSHOTS}
    present = [source for source in catalogue.find_sources(paths) if paths[source.name].exists()]
    if present:
        rows = (row for source in present for row in snapshots.read_snapshot(paths[source.name], source))
    else:
        rows = (row for made in synthetic.generate(scripts=SCRIPTS, seed=1).values() for row in made)
    return [data for _, data in rows], ", ".join(source.name for source in present) or "generated"


def texts(contents: list[bytes]) -> list[str]:
    """Return distinct cleaned texts in the order of the files."""
    cleaned = (cleaning.clean(text) for data in contents if (text := decoding.decode(data)[0]))
    return list(dict.fromkeys(filter(None, cleaned)))


def tokenising(scripts: list[str]) -> dict[str, float | None]:
    """Compare ours, Hugging Face tokenizers and Python `re`, from texts to token ids.

    All have all cores, the same token definition and the same vocabulary, and have to find the same ids. What
    favours the others is left to them: the processes of `re` are there and hold their texts before the clock
    starts, and Hugging Face's ids stay in its own objects.

    Returns
    -------
    dict
        tokenise_mb_per_s, re_mb_per_s, hf_mb_per_s : 10^6 bytes of UTF-8 per second. engine_mb_per_s : the
        limit, polars' regular expressions alone, which count the matches in normalised text on all cores.
        tokenise_vs_re, tokenise_vs_hf, tokenise_vs_engine : ratios. Those of Hugging Face are None where it
        is not installed.

    Raises
    ------
    CorpusError
        If ids differ.
    """
    column, plain = pl.Series(scripts), pl.Series([tokens.normalise(text) for text in scripts])
    vocabulary = Vocabulary.fit(tokens.tokenize_series(column), min_scripts=5)
    ids = {token: number for number, token in enumerate(vocabulary.tokens, FIRST)}
    parts = [part.to_list() for part in partitions(column)]
    with ProcessPoolExecutor(THREADS, get_context("spawn"), _hold, (parts, ids)) as pool:
        works = {
            "tokenise": lambda: tokens.ids(column, vocabulary)[0],
            "re": lambda: np.concatenate(list(pool.map(_re_ids, range(len(parts))))),
            "hf": _hugging_face(scripts, ids),
            "engine": lambda: map_partitions(
                lambda part: part.str.count_matches(tokens.PATTERN).sum(), plain
            ),
        }
        works = {name: work for name, work in works.items() if work}
        _check_same(works)
        seconds = measuring.in_turn(works, REPEATS)
    speeds = {name: column.str.len_bytes().sum() / 1e6 / taken for name, taken in seconds.items()}
    return {f"{name}_mb_per_s": speeds.get(name) for name in ("tokenise", "re", "hf", "engine")} | {
        f"tokenise_vs_{name}": speeds["tokenise"] / speeds[name] if name in speeds else None
        for name in ("re", "hf", "engine")
    }


def _check_same(works: dict[str, Callable[[], object]]) -> None:
    """Compare the ids all find, which warms them up too."""
    ids = {name: work() for name, work in works.items()}
    if "hf" in ids:
        ids["hf"] = np.concatenate([encoding.ids for encoding in ids["hf"]])
    for name in ids.keys() - {"engine"}:
        if not np.array_equal(ids[name], ids["tokenise"]):
            raise CorpusError(f"{name} finds other ids than ours: no speeds to compare; mend bench.speed")


_held: dict = {}  # what a process of `re` was given before the clock started


def _hold(parts: list[list[str]], ids: dict[str, int]) -> None:
    _held.update(parts=parts, ids=ids, find=re.compile(tokens.PATTERN).findall)


def _re_ids(part: int) -> np.ndarray:
    number, find, normalise = _held["ids"].get, _held["find"], tokens.normalise
    matches = (match for text in _held["parts"][part] for match in find(normalise(text)))
    return np.fromiter((number(match[:TOKEN_CHARS], UNKNOWN) for match in matches), dtype=np.int32)


def _hugging_face(scripts: list[str], ids: dict[str, int]) -> Callable[[], list] | None:
    """Return the same work for Hugging Face tokenizers, None where it is not installed.

    It cannot cut a long match for free, so its vocabulary knows every long match of these scripts by its
    whole spelling.
    """
    try:
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
    except ImportError:
        return None
    matches = (match for text in scripts for match in re.findall(tokens.PATTERN, tokens.normalise(text)))
    long = {match: ids.get(match[:TOKEN_CHARS], UNKNOWN) for match in matches if len(match) > TOKEN_CHARS}
    tokenizer = Tokenizer(models.WordLevel(ids | long | {"[UNK]": UNKNOWN}, unk_token="[UNK]"))
    alike = [normalizers.Replace(*pair) for pair in tokens.ALIKE.items()]
    digits = normalizers.Replace(Regex("[0-9]"), "*")
    tokenizer.normalizer = normalizers.Sequence([*alike, normalizers.Lowercase(), digits])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(tokens.PATTERN), behavior="removed", invert=True)
    return lambda: tokenizer.encode_batch_fast(scripts, add_special_tokens=False)


def main(root: Path) -> dict[str, float | str | None]:
    """Run every measurement, store paper/results/bench.json and return it."""
    contents, origin = files(root)
    scripts = texts(contents)
    results = {
        "texts": origin,
        "scripts": len(scripts),
        "cores": THREADS,
        "repeats": REPEATS,
        **tokenising(scripts),
        "scoring": (scored := scoring.main(root, contents)),
        "score_vs_keras": scored["score_vs_keras"],
        "cluster": cluster.main(contents),
        "learning": learning.main(root),
        "training": (trained := training.main(root)),
        "training_vs_plain": trained and trained["training_vs_plain"],
    }
    write_json(root / "paper" / "results" / "bench.json", results)
    figures.save(Workspace("bench", root=root), "08_speed", pl.DataFrame(learning.figure_rows(results)))
    return results
