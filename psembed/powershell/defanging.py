"""Previews of scripts that are safe to show: no live address, no payload, no key."""

import re
from collections.abc import Callable

_SECRET = re.compile(
    r"(?i)\b((?:[\w-]{0,128}(?:passw(?:or)?d|secret|api_?-?key|access_?-?key|token|authorization))"
    r"[\"']?\s*[=:]\s*[\"']?)[^\s\"';,)]{6,}"
)
_HOST = re.compile(
    r"(?i)\b(?:[a-z0-9-]{1,63}\.){1,8}(?:com|net|org|info|biz|ru|cn|su|top|xyz|online|site|club|pw|tk"
    r"|ga|cf|ml|gq|ua|br|de|fr|uk|nl|pl|jp|kr|cc|ws|eu|onion|test|example)\b"
)


def _bracketed(host: re.Match[str]) -> str:
    return host.group().replace("[.]", ".").replace(".", "[.]")


_DEFANG: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"(?s)-----BEGIN [A-Z ]{3,40}-----.*?(?:-----END [A-Z ]{3,40}-----|\Z)"), "<key cut>"),
    (_SECRET, r"\1<cut>"),
    (re.compile(r"\b(?:AKIA|ASIA|ghp_|gho_|github_pat_|xox[abp]-|eyJ)[\w.-]{12,}"), "<key cut>"),
    (re.compile(r"[A-Za-z0-9+/_]{60,}={0,2}|(?=[A-Za-z+/_]{0,40}[0-9])[A-Za-z0-9+/_]{24,}={0,2}"), ""),
    (re.compile(r"(?i)(?:(?:0x)?[0-9a-f]{1,3}[\s,;:|\\x-]+){10,}"), ""),
    (re.compile(r"(?i)h(?:tt|xx)p(s?)://"), r"hxxp\1://"),
    (re.compile(r"(?i)\bftp(s?)://"), r"fxp\1://"),
    (re.compile(r"(?<=://)[^/\s\"'<>|]{1,255}"), _bracketed),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), _bracketed),
    (_HOST, _bracketed),
)


def defang(text: str, limit: int = 200) -> str:
    """Return a one-line preview that is safe to show: no live address, no payload, no key.

    `http` becomes `hxxp`, dots in host names and IP addresses become `[.]`, long base64, hexadecimal and
    byte-list runs are replaced by their length, and what looks like a key or a password is cut. A preview of
    more than `limit` characters ends in an ellipsis; only the first 50 * `limit` of `text` are looked at.
    """
    shown = "".join(c if c.isprintable() else " " for c in text[: 50 * limit])
    for pattern, replacement in _DEFANG:
        shown = pattern.sub(replacement or (lambda m: f"<{len(m.group())} characters cut>"), shown)
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
