"""What cmdlets give for constants, and command lines among arguments. All inert; nothing is run."""

import pytest

from psembed.powershell.unwrap.interpreter.hosts import handed
from psembed.powershell.unwrap.layers import unwrap

PAYLOAD = "Write-Output inert-probe"


@pytest.mark.parametrize(
    "script",
    [
        "$a = 'Write-Output inert', '-probe', 'x'; iex (($a | select -First 2) -join '')",
        "$a = 'x', 'Write-Output inert', '-probe'; iex (($a | Select-Object -Skip 1) -join '')",
        "$a = 'x', 'Write-Output inert', '-probe'; iex (($a | Select-Object -Last 2) -join '')",
        "$a = '-probe', 'x', 'Write-Output inert'; iex (($a | Select-Object -Index 2,0) -join '')",
        "$a = 'Write-Output inert', '-probe', '-probe'; iex (($a | select -Unique) -join '')",
        "$a = 'b-probe', 'aWrite-Output inert'; iex (($a | sort | % Substring 1) -join '')",
        "$a = 'aWrite-Output inert', 'b-probe'; "
        "iex (($a | sort -Descending | sort Length -Desc | % Substring 1) -join '')",
        "$a = '-probe', 'Write-Output inert'; iex (($a | sort {-$_.Length}) -join '')",
        "$a = 'Write-Output inert', 'x', '-probe'; iex (($a | ? {$_ -ne 'x'}) -join '')",
        "$a = 'Write-Output inert', 'x', '-probe'; iex (($a | where Length -gt 1) -join '')",
        "$a = 'x', 'Write-Output inert-probe'; iex ($a | where { $_.Length -gt 1 } | Out-String)",
        "iex (('Write-Output', ' inert-probex' | % Replace 'x' '') -join '')",
        "iex (('Write-Output ', 'inert-probe' | % -Begin {$s = ''} -Process {$s += $_} -End {$s}) | "
        "Out-String)",
        "iex (('Write-Output ', 'inert-probe' | % {$s = ''} {$s += $_} {$s}))",
        "iex ('Write-Output inert', 'probe' | Join-String -Separator '-')",
        'iex ((\'{"a": ["Write-Output inert", "-probe"]}\' | ConvertFrom-Json).a -join "")',
        '$x = ConvertFrom-Json \'{"A": "Write-Output inert-probe"}\'; iex $x.a',
        "$o = New-Object PSObject -Property @{a='Write-Output inert-probe'}; iex $o.a",
        "$o = New-Object PSObject; $o | Add-Member NoteProperty a 'Write-Output inert-probe'; iex $o.a",
        "$o = New-Object PSObject; "
        "Add-Member -InputObject $o -MemberType NoteProperty -Name a -Value 'Write-Output inert-probe'; "
        "iex $o.a",
        "$x = 'a' | select @{n='v'; e={1}}; iex ('Write-Output ' + 'inert-probe')",
        "Set-Variable -Name a -Value ('Write-Output ' + 'inert-probe'); iex $a",
        "Set-Variable a ('Write-Output ' + 'inert-probe') -Scope Global; iex (Get-Variable a -ValueOnly)",
        "sv a ('Write-Output ' + 'inert-probe'); iex (gv a).Value",
        "New-Item -Path Env:a -Value ('Write-Output ' + 'inert-probe'); iex $env:a",
        "Set-Item Variable:a ('Write-Output ' + 'inert-probe'); iex (gci Variable:a).Value",
        "$qzw = 'Write-Output ' + 'inert-probe'; iex (Get-Variable qz*).Value",
        "$qzw = 'Write-Output ' + 'inert-probe'; iex (Get-Content Variable:qzw)",
        "Set-Alias qq Invoke-Expression; qq ('Write-Output ' + 'inert-probe')",
        "Set-Alias -Name qq -Value iex; qq ('Write-Output ' + 'inert-probe')",
        "Set-Item Alias:qq iex; qq ('Write-Output ' + 'inert-probe')",
        "& (Get-Command i*k*-e*n) ('Write-Output ' + 'inert-probe')",
        "& (gal iex) ('Write-Output ' + 'inert-probe')",
        "& (Get-Item Alias:iex) ('Write-Output ' + 'inert-probe')",
        "'Write-Output ' + 'inert-probe' | Tee-Object -Variable t | Out-Null; iex $t",
        "Write-Output ('Write-Output ' + 'inert-probe') -OutVariable t; iex $t",
        "Invoke-Command -ScriptBlock { iex ($args[0] + '-probe') } -ArgumentList 'Write-Output inert'",
        "Start-Job { iex ('Write-Output ' + 'inert-probe') }",
        "$h = @{Name = 'a'; Value = 'Write-Output inert-probe'}; Set-Variable @h; iex $a",
        "$h = '-Name', 'a', '-Value', 'Write-Output inert-probe'; Set-Variable @h; iex $a",
        "function f { param([Parameter(ValueFromPipeline)] $x) process { $x.Trim('x') } }; "
        "iex (('Write-Output ', 'inert-probex' | f) -join '')",
        "function f { process { $_.Trim('x') } }; iex (('xWrite-Output ', 'inert-probex' | f) -join '')",
        "filter f { $_.Trim('x') }; iex (('xWrite-Output ', 'inert-probex' | f) -join '')",
        "$s = ConvertTo-SecureString 'Write-Output inert-probe' -AsPlainText -Force; "
        "iex ([Net.NetworkCredential]::new('', $s).Password)",
        "[Environment]::SetEnvironmentVariable('a', 'Write-Output inert-probe'); iex $env:a",
        "$env:a = 'Write-Output ' + 'inert-probe'; iex ([Environment]::GetEnvironmentVariable('a'))",
        "$ExecutionContext.SessionState.PSVariable.Set('a', 'Write-Output ' + 'inert-probe'); iex $a",
        "$a = 'Write-Output ' + 'inert-probe'; iex $ExecutionContext.SessionState.PSVariable.GetValue('a')",
        "$n = & { 'Write-Output ' + 'inert-probe' }; 'x' | powershell -c $n",
        "$n = 'Write-Output ' + 'inert-probe'; $n | powershell -nop -",
        "$n = 'Write-Output ' + 'inert-probe'; cmd /c powershell -w hidden -c $n",
        "$n = 'Write-Output ' + 'inert-probe'; Start-Process pwsh -ArgumentList '-nop', '-c', $n",
        "$n = 'Write-Output ' + 'inert-probe'; Start-Process -FilePath powershell -Args \"-nop -c $n\"",
        "$n = 'Write-Output ' + 'inert-probe'; Invoke-Other conhost powershell -nop -c $n",
        "$n = 'Write-Output ' + 'inert-probe'; $unknown.ShellExecute('powershell', \"-c $n\")",
    ],
)  # fmt: skip
def test_what_comes_out_of_cmdlets(script):
    assert PAYLOAD in [layer.text.strip() for layer in unwrap(script).layers]


@pytest.mark.parametrize(
    ("name", "words", "found"),
    [
        ("powershell", ["-nop", "-w", "hidden", "-enc", "AAAA"], ("script", "AAAA")),
        ("powershell", ["-ep", "bypass", "ls", "-la"], ("code", "ls -la")),
        ("powershell", ["-c", '"whoami"'], ("code", "whoami")),
        ("pwsh", ["-c", "-"], ("code", "")),
        ("cmd", ["/c", "po^wershell -e^n AAAA"], ("script", "AAAA")),
        ("start-process", ["x.exe", "a -b c"], ("", "")),
        ("start-process", ["x.exe", "-nop -ec AAAA"], ("script", "AAAA")),
        ("notepad", ["a.txt", "-c", "b"], ("", "")),
        ("conhost", ["--headless", "C:\\a\\powershell.exe", "-nop", "-c", "whoami"], ("code", "whoami")),
    ],
)
def test_what_a_command_line_hands_over(name, words, found):
    assert handed(name, words) == found
