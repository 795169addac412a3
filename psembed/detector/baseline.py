"""Scripts that a person has accepted although they score as malicious: a file of hashes and comments."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from psembed.detector.verdict import Verdict
from psembed.runtime.errors import ParameterError
from psembed.runtime.isolated import printable, reason

FORMAT = "psembed baseline 1"
MAX_BYTES = 1 << 26  # of a file that is read


def read(path: Path) -> dict[str, str]:
    """Return the comment on each accepted script, by its SHA-256.

    Raises ParameterError where the file cannot be read, or is none that `write` has written.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ParameterError(f"{path} is larger than {MAX_BYTES} bytes")
        content = json.loads(data.decode("utf-8-sig"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        comments = {entry["sha256"].lower(): str(entry.get("comment", "")) for entry in content["accepted"]}
        if wrong := [key for key in comments if not re.fullmatch("[0-9a-f]{64}", key)]:
            raise ValueError(f"{wrong[0]!r} is no SHA-256")
    except OSError as error:
        raise ParameterError(f"{path} cannot be read ({reason(error)})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ParameterError(
            f"{path} is damaged or no file of `psembed baseline` ({type(error).__name__}: {reason(error)})"
        ) from error
    return comments


def marked(verdicts: Iterable[Verdict], comments: dict[str, str]) -> Iterator[Verdict]:
    """Yield verdicts, those on malicious scripts that are accepted with the comment on them."""
    for verdict in verdicts:
        accepted = verdict.malicious and verdict.sha256 in comments
        yield replace(verdict, accepted=comments[verdict.sha256]) if accepted else verdict


def write(verdicts: Iterable[Verdict], stream: TextIO) -> None:
    """Write the malicious scripts, each once, sorted by path, with the comment on those accepted before."""
    found: dict[str, dict[str, str]] = {}
    for verdict in verdicts:
        if verdict.malicious:
            entry = {"sha256": verdict.sha256, "path": printable(verdict.name)}
            found.setdefault(verdict.sha256, entry | {"comment": verdict.accepted or ""})
    accepted = sorted(found.values(), key=lambda entry: (entry["path"], entry["sha256"]))
    json.dump({"format": FORMAT, "accepted": accepted}, stream, indent=1, ensure_ascii=False)
    stream.write("\n")
