"""What reads as text."""

import pytest

from psembed.powershell.unwrap.dotnet.encodings import plausible


@pytest.mark.parametrize(("text", "expected"), [("a b\r\n", True), ("", True), ("a\0\1\2", False)])
def test_plausible(text, expected):
    assert plausible(text) == expected
