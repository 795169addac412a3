"""Which expressions are constants, and what they become."""

import pytest

from psembed.powershell.unwrap.dotnet.values import Budget
from psembed.powershell.unwrap.interpreter.folding import fold_constants


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("('a'+'b')", "'ab'"),
        ("f('a'+'b')", "f('ab')"),
        ("x.Run('a'+'b')", "x.Run('ab')"),
        ("$u + 'a' + 'b'", "$u + 'ab'"),
        ("'it''s ' + \"so\"", "'it''s so'"),
        ('"a`tb" + "c"', "'a\tbc'"),
        ('"Ne`w"', "'New'"),
        ("'{1}{0}' -f 'b',('a'+'c')", "'acb'"),
        ("('ab'.Replace('b','c')).ToUpper()", "'AC'"),
        ("[string][char]73+[char]0x45", "'IE'"),
        ("'a' * 3", "'aaa'"),
        ("\"$('a'+'b') $u\"", "\"$('ab') $u\""),
        ("'abc'[2,0] -join ''", "'ca'"),
        ("'{0:x2}{1,3}' -f 10,'b'", "'0a  b'"),
        ("'a.c' -replace 'a(.)','b$1'", "'b.c'"),
        ("'a.c[d' -replace '[.[]|C','-'", "'a---d'"),
    ],
)
def test_folding(text, folded):
    assert fold_constants(text, Budget(1000, 10_000)).text == folded


@pytest.mark.parametrize(
    "text",
    [
        "'a', 'b'", "f 'a' 'b'", "$u + $v", "'{3}' -f 'a'",
        "'a' -replace '[','b'", "'a' -split '[^a]'",
        "1,\x1e2,3", "1,\u0665,3",
        "[char]70000", "[char]-1", "'abc'[7]", "('a')", "'a' -eq 'b'", "1 + 1", "# 'a'+'b'", "<# 'a'+'b' #>",
        "\"'a'+'b'\"", "'a'/'b'", "5 / 0", "'a'.Replace('', 'b')", "'a'.Substring(5)", "$x.Replace('a','b')",
    ],
)  # fmt: skip
def test_what_is_no_constant_stays(text):
    assert fold_constants(text, Budget(1000, 10_000)).text == text
