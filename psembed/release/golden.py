"""Golden records: what a detector makes of fixed inputs, for ports to other languages.

docs/contract.md says how bytes become a score; a port is right if it gives the same for every record of
golden.jsonl.gz. Its first line is a header, each further line a record, all of them JSON in ASCII.

An input is written as its parts, a list of (piece, count): each piece is repeated count times, and the parts
are joined, so a text of a million characters takes one line. The inputs stay those of the released file, so
that a port's tests stay the same (tests/helpers/golden_inputs.py has made them). They are inert: words,
punctuation and addresses of names that cannot exist, without lone surrogates, which no decoding gives.
"""

import base64
import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from psembed.detector import manifest
from psembed.detector.detector import MAX_BYTES, Detector
from psembed.detector.manifest import TOKENIZER
from psembed.evaluation import calibration
from psembed.powershell import cleaning, decoding
from psembed.powershell.encoding import READ_CHARS, Encoder, ends
from psembed.powershell.tokens import tokenize
from psembed.runtime.errors import ModelError
from psembed.runtime.files import RELEASED, atomic, sha256

FORMAT = 1
GOLDEN = "golden.jsonl.gz"
SHORT = 48  # ids are written out for rows up to this length; longer ones have their SHA-256 only
Made = tuple[dict, str | None]  # a record, and the text that is scored, if any


def write(folder: Path, detector: Detector, *, inputs: Iterable[dict] | None = None) -> Path:
    """Write golden.jsonl.gz into a detector's folder, whole or not at all; the same bytes every time.

    `inputs` have a kind ("text" or "bytes") and parts, as records do; when left out they are those of the
    released file. Raises ModelError if that cannot be read, or the folder's tokenizer.json is missing or not
    the one that `detector` was loaded with.
    """
    manifest.check_hash(Path(folder), TOKENIZER, detector.manifest)
    encoder = Encoder.from_json((Path(folder) / TOKENIZER).read_text(encoding="utf-8"))
    inputs = list(read(RELEASED / GOLDEN) if inputs is None else inputs)
    texts = sum(one["kind"] == "text" for one in inputs)
    header = {"kind": "header", "format": FORMAT, "texts": texts, "bytes": len(inputs) - texts}
    made = [_text_record(one, encoder) if one["kind"] == "text" else _byte_record(one) for one in inputs]
    records = [header | {"sha256": detector.manifest["sha256"]}, *_judged(made, detector)]
    lines = "".join(json.dumps(record, separators=(",", ":")) + "\n" for record in records)
    with (
        atomic(Path(folder) / GOLDEN) as temporary,
        temporary.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as stream,
    ):
        stream.write(lines.encode("ascii"))
    return Path(folder) / GOLDEN


def read(path: Path) -> Iterator[dict]:
    """Yield the records of a golden file, without its header.

    Raises ModelError if the file is missing, damaged or of another format.
    """
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            version = json.loads(next(lines, "{}")).get("format")
            if version != FORMAT:
                raise ModelError(f"{GOLDEN}: format {version!r}, this psembed reads {FORMAT}: write it again")
            yield from map(json.loads, lines)
    except (OSError, EOFError, ValueError, AttributeError) as error:
        raise ModelError(f"{GOLDEN} cannot be read ({error}); write it again") from error


def input_of(record: dict) -> str | bytes:
    """Return what a record is about, put together from its parts: a text, or bytes."""
    if record["kind"] == "bytes":
        return b"".join(base64.b64decode(piece) * count for piece, count in record["parts"])
    return "".join(piece * count for piece, count in record["parts"])


def _judged(made: list[Made], detector: Detector) -> Iterator[dict]:
    """Yield each record with its score, in the fewest digits of that float32, and what the score means."""
    read = [text for _, text in made if text is not None]
    order = sorted(range(len(read)), key=lambda number: len(read[number]))  # so that little is padded
    scores = np.empty(len(read), dtype=np.float32)
    scores[order] = detector.score([read[number] for number in order])
    left = zip(scores, calibration.apply(scores, detector.temperature).tolist(), strict=True)
    for record, text in made:
        score, calibrated = (None, None) if text is None else next(left)
        yield record | {
            "score": None if score is None else float(str(score)),
            "calibrated": calibrated,
            "malicious": None if score is None else float(score) >= detector.threshold,
        }


def _text_record(given: dict, encoder: Encoder) -> Made:
    text = input_of(given)
    cleaned = cleaning.clean(text)
    rows = [row[row > 0].astype("<i4") for (row,) in encoder.encode([cleaned])]
    tokens = tokenize(ends(cleaned, READ_CHARS))
    record = {
        "kind": "text",
        "parts": given["parts"],
        "cleaned_length": len(cleaned),
        "cleaned_sha256": sha256(cleaned.encode()),
        "tokens": len(tokens),
        "tokens_sha256": sha256("\n".join(tokens).encode()),
    }
    for name, row in zip(("token_ids", "character_ids"), rows, strict=True):
        record[f"{name}_sha256"] = sha256(row.tobytes())
        if len(row) <= SHORT:
            record[name] = row.tolist()
    return record, text


def _byte_record(given: dict) -> Made:
    data = input_of(given)
    text, encoding = (None, "") if len(data) > MAX_BYTES else decoding.decode(data)
    length, digest = (None, None) if text is None else (len(text), sha256(text.encode()))
    record = {"kind": "bytes", "parts": given["parts"], "encoding": encoding}
    record |= {"text_length": length, "text_sha256": digest}
    return record, None if text is None or cleaning.is_blank(text) else text
