"""Which command lines only hand a script to PowerShell, and which do more. All inert; nothing is run.

In the samples § stands for an encoded script, « and » for its two parts, and ⏎ for a line end.
"""

import base64
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from psembed.powershell.unwrap.command_line import handed_over
from psembed.powershell.unwrap.layers import unwrap

HERE = Path(__file__).parent
PAYLOAD = "Write-Output inert-probe | Sort-Object | ConvertTo-Json"


def encoded(text):
    return base64.b64encode(text.encode("utf-16-le")).decode()


CODE = encoded(PAYLOAD)


def samples(name):
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("##")]


def filled(line, end="\n"):
    for mark, text in (("§", CODE), ("«", CODE[:40]), ("»", CODE[40:]), ("⏎", end)):
        line = line.replace(mark, text)
    return line


HANDED_OVER = samples("handed_over.txt")


@pytest.mark.parametrize("line", HANDED_OVER)
def test_a_line_that_only_hands_a_script_over(line):
    layers = unwrap(filled(line)).layers
    assert [(layer.text, layer.how) for layer in layers if layer.parent == 0] == [
        (PAYLOAD, "-EncodedCommand")
    ]
    assert handed_over(filled(line, "\r\n")) == handed_over(filled(line)) != []


@pytest.mark.parametrize("line", samples("does_more.txt"))
def test_a_line_that_does_more(line):
    assert handed_over(filled(line, "\r\n")) == handed_over(filled(line)) == []


@pytest.mark.parametrize("line", HANDED_OVER)
def test_one_more_command_is_more(line):
    text = filled(line).rstrip("\n")
    for more in (f"other.exe\n{text}", f"{text}\nother.exe", f"{text}\nGet-Date"):
        assert handed_over(more) == []


@pytest.mark.parametrize(
    "line", ["rem a\rother\n§", "echo a\rother\n§", "# a\rother\n§", '$x = "a\rother"\n§', "§\rother"]
)
def test_a_carriage_return_ends_a_line_as_well(line):
    assert handed_over(line.replace("§", f"powershell -enc {CODE}")) == []
    assert handed_over(f"@echo off\rpowershell -enc {CODE}\r") == [CODE]


SWITCHES = st.sampled_from(
    ["-NoProfile", "-nop", "/NoLogo", "-ep Bypass", "-W:Hidden", '-wd "C:\\a b"', "'-NonI'", "-if none"]
)
HOSTS = st.sampled_from(["powershell", "pwsh.exe", "C:\\Program Files\\a\\pwsh.exe", "p^wsh", '"pwsh"'])
OUTER = st.sampled_from(
    [
        "@{}",
        "cmd /c {}",
        "start /min {}",
        "call {}",
        "& {}",
        "chcp 65001 >nul & {}",
        "{} > a.log",
        "$out = {}",
    ]
)


@given(HOSTS, st.lists(SWITCHES, max_size=6), st.lists(SWITCHES, max_size=3), st.lists(OUTER, max_size=1))
def test_parameters_in_any_order_and_wrapper(host, before, after, outer):
    line = " ".join([host, *before, "-enc", CODE, *after])
    for each in outer:
        line = each.format(line)
    assert handed_over(line) == [CODE]


@given(HOSTS, st.lists(SWITCHES, max_size=6))
def test_command_lines_within_command_lines(host, before):
    line = " ".join([host.replace('"', ""), *before, "-enc", CODE]).replace('"', "'")
    for within in ('cmd /c "{}"', 'schtasks /create /tn a /tr "{}" /f', 'sc create a binPath= "{}"'):
        assert handed_over(within.format(line)) == [CODE]


def test_several_scripts():
    other = encoded("Get-Date")
    assert handed_over(f"powershell -enc {CODE} & pwsh -enc {other}") == [CODE, other]
    layers = unwrap(f"powershell -enc {CODE}\npwsh -enc {other}").layers
    assert [layer.text for layer in layers[1:]] == [PAYLOAD, "Get-Date"]


@pytest.mark.parametrize("command", ["whoami", "ls", "$x", "dir c:"])
def test_short_commands_come_out(command):
    assert [layer.text for layer in unwrap(f"powershell -nop -e {encoded(command)}").layers] == [
        f"powershell -nop -e {encoded(command)}", command,
    ]  # fmt: skip


def test_a_short_command_beside_another_comes_out():
    layers = unwrap(f"other.exe & powershell -e {encoded('whoami')}").layers
    assert [layer.text for layer in layers[1:]] == ["whoami"]


def test_what_cannot_be_decoded_is_no_layer():
    assert len(unwrap("powershell -enc AAAA////AAAA////").layers) == 1
    layers = unwrap(f"powershell -enc {CODE} & powershell -enc AAAA////AAAA////").layers
    assert [layer.text for layer in layers[1:]] == [PAYLOAD]


@pytest.mark.parametrize(
    "text",
    [
        'function f {{ cmd /c powershell -e""n""c {0}""{1} }}; f; Get-Date',
        'function f {{ cmd /c powershell -enc {0}"{1}" }}; f; Get-Date',
        "other & powershell -nop -^e^n^c {0}^{1}",
        "other & powershell -enc ^\r\n{0}^\r\n{1}",
        "Get-Date; powershell -nop `\n -enc `\n {0}{1}",
        "Get-Date; Invoke-Other 'powershell', '-enc', '{0}{1}'",
        "$startInfo.Arguments = \"-nop -enc {0}{1}\"; [Diagnostics.Process]::Start($startInfo)",
        '{{"command": "powershell -enc {0}{1}"}}',
        '<Arguments value="-enc {0}{1}"/>',
    ],
)  # fmt: skip
def test_encoded_commands_anywhere_come_out_whole(text):
    layers = unwrap(text.format(CODE[:40], CODE[40:])).layers
    assert [layer.text for layer in layers].count(PAYLOAD) == 1
    assert not [layer for layer in layers[1:] if layer.text[:5] == PAYLOAD[:5] and layer.text != PAYLOAD]


@example('""\\"C:\\F"\\"')  # of which Python's engine lost count
@given(st.text(alphabet="\"'^`%!$@(){}&|;<>#,=:-/\\ \n\rae0x§"))
def test_any_text_has_an_answer(text):
    handed_over(text.replace("§", f"powershell -enc {CODE}"))
    handed_over(f"cmd /c set x={text}&& call %x% -enc {CODE}")


def test_a_bomb_of_variables_is_no_hand_over():
    doubling = "".join(f"set a{number + 1}=%a{number}%%a{number}%\n" for number in range(40))
    assert handed_over(f"set a0=powershell\n{doubling}%a40% -enc {CODE}") == []
    itself = "set a=%b%\nset b=%a%\n%a% %b%\n"
    assert handed_over(f"{itself}powershell -enc {CODE}") == []


def test_command_lines_are_not_nested_without_end():
    line = f"powershell -enc {CODE}"
    for _ in range(12):
        line = 'cmd /c "' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert handed_over(line) == []


def test_a_long_line_is_read():
    long = encoded("Write-Output 1\n" * 50_000)
    assert handed_over(f"powershell -nop -enc {long}") == [long]
    assert handed_over("powershell " + "-nop " * 2_000 + f"-enc {CODE}") == []
