import sys

import pytest

from psembed.powershell.unwrap.dotnet import ciphers
from psembed.powershell.unwrap.dotnet.members import member
from psembed.powershell.unwrap.dotnet.operators import OPERATORS
from psembed.powershell.unwrap.dotnet.values import Budget, Cut, Growing, Named, Stream, attempt, cast
from psembed.powershell.unwrap.layers import unwrap


def called(budget, target, name, *arguments):
    return member(name, budget, target, list(arguments))


def test_without_the_package_nothing_is_decrypted(monkeypatch):
    settings = {"key": bytearray(16), "iv": bytearray(16), "padding": "none"}
    data = bytes(16)
    pytest.importorskip("cryptography")
    assert len(ciphers.decrypted(Budget(99, 999), data, settings)) == 16
    for name in [each for each in sys.modules if each.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert attempt(ciphers.decrypted, Budget(99, 999), data, settings) is None
    text = (
        "$a = [Security.Cryptography.Aes]::Create(); $a.Key = [byte[]](1..16); $a.IV = [byte[]](1..16); "
        "$d = [byte[]](1..16); iex ([Text.Encoding]::UTF8.GetString("
        "$a.CreateDecryptor().TransformFinalBlock($d, 0, 16)))"
    )
    assert len(unwrap(text, True).layers) == 1


@pytest.mark.parametrize(
    ("target", "name", "arguments"),
    [
        (Growing([0] * 1000), "addrange", [[0] * 1000]),
        (Growing([0] * 1000), "clone", []),
        ([0] * 1000, "contains", [1]),
        (Stream(bytearray(9000)), "toarray", []),
        (Named("convert"), "tobase64string", [bytearray(9000)]),
        (Named("linq.enumerable"), "reverse", [[0] * 1000]),
        (Named("regex"), "escape", ["." * 9000]),
        (Named("string"), "format", ["{{" * 4500, 0]),
        (Named("array"), "sort", [["a" * 90 + str(number) for number in range(100)]]),
    ],
)
def test_each_member_counts_what_it_goes_through(target, name, arguments):
    with pytest.raises(Cut):
        called(Budget(99, 5000), target, name, *arguments)


def test_a_long_text_named_often_is_not_made_into_one():
    with pytest.raises(OverflowError):
        cast("string", Budget(99, 1 << 20), ["a" * (1 << 16)] * 1000)


def test_lists_within_lists_are_not_compared_all_the_way():
    left, right = ["a"], ["a"]
    for _ in range(60):
        left, right = [left, left], [right, right]
    for name, arguments in (("indexof", [right]), ("contains", [right])):
        assert attempt(called, Budget(99, 999), left, name, *arguments) is None
    assert attempt(called, Budget(99, 999), Named("array"), "sort", [left, right]) is None
    assert OPERATORS["contains"].apply(Budget(99, 999), left, right) is False
    assert attempt(cast, "string", Budget(99, 9999), left) is None
