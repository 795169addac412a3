"""What unwrapping uncovers in inert scripts, that it ends whatever the text, and that it never raises."""

import base64
import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from psembed.powershell.unwrap.layers import Layer, Limits, may_run, unwrap

PAYLOAD = "Write-Host 'hello from layer two' ; $Page = \"http://example.test/a\""
LIMITS = {"", "depth", "layers", "characters", "steps"}
BAIT = 200_000  # repetitions


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def encoded(text: str, encoding: str = "utf-16-le") -> str:
    return base64_of(text.encode(encoding))


def deflated(text: str) -> str:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return base64_of(compressor.compress(text.encode()) + compressor.flush())


def gzipped(text: str) -> str:
    return base64_of(gzip.compress(text.encode()))


def quoted(text: str) -> str:
    for quote in "'\u2018\u2019\u201a\u201b":
        text = text.replace(quote, 2 * quote)
    return f"'{text}'"


def units(text: str) -> list[int]:
    """Return the UTF-16 code units, which a [char] is."""
    wide = text.encode("utf-16-le")
    return [int.from_bytes(wide[place : place + 2], "little") for place in range(0, len(wide), 2)]


def numbers(text: str, *, key: int = 0, form: str = "{}", separator: str = ",") -> str:
    return separator.join(form.format(unit ^ key) for unit in units(text))


def masked(text: str, key: int) -> str:
    return base64_of(bytes(byte ^ key for byte in text.encode()))


def keyed(text: str, key: tuple[int, ...]) -> str:
    return ",".join(str(unit ^ key[place % len(key)]) for place, unit in enumerate(units(text)))


def expandable(text: str) -> str:
    return text.replace("$", "`$").replace('"', '`"')


def thirds(text: str) -> tuple[str, str, str]:
    first, second = len(text) // 3, 2 * len(text) // 3
    return quoted(text[:first]), quoted(text[first:second]), quoted(text[second:])


FROM_BASE64 = "[Convert]::FromBase64String"
GZIP_READER = (
    "IEX (New-Object IO.StreamReader((New-Object IO.Compression.GzipStream((New-Object IO.MemoryStream(,"
    "[Convert]::FromBase64String({}))),[IO.Compression.CompressionMode]::Decompress)))).ReadToEnd()"
)
DEFLATE_READER = (
    "(nEw-objECt io.COMPReSSion.DeFLAteSTReaM([sYStEm.iO.MemOrySTReAm] [ConVERt]::fRomBASe64StRiNG({}) ,"
    "[SystEM.iO.coMPRESsiOn.cOmpReSSiONmOde]::dEcOmPREss)|%{{ nEw-objECt SYStEm.iO.STREamReADer( $_, "
    "[TeXT.EncODINg]::asCiI)}}|%{{ $_.reAdtoEnd( ) }}) | .( $ShElLid[1]+$SheLlId[13]+'x')"
)


def _concatenated(text: str) -> str:
    first, second, third = thirds(text)
    return f"iex ({first}+{second} + {third})"


def _appended(text: str) -> str:
    first, second, third = thirds(text)
    return f"$x={first}; $x+={second}\n$x += {third}\niex $x"


def _formatted(text: str) -> str:
    first, second, third = thirds(text)
    return f'Invoke-Expression (("{{2}}{{0}}{{1}}"-f{second},{third}, {first}))'


def _joined(text: str) -> str:
    return f"( {', '.join(thirds(text))} ) -join '' | iex"


def _replaced(text: str) -> str:
    marker = next(mark for mark in ("#@", "~~", "Q7Q") if mark not in text)
    return f"iex ({quoted(text.replace('e', marker))}.Replace('{marker}', 'e'))"


ENCODERS = {
    "-EncodedCommand": lambda text: f"powershell -NoP -w hidden -EncodedCommand {encoded(text)}",
    "FromBase64String": lambda text: (
        f"iex ([Text.Encoding]::UTF8.GetString({FROM_BASE64}('{encoded(text, 'utf-8')}')))"
    ),
    "gzip": lambda text: GZIP_READER.format(f"'{gzipped(text)}'"),
    "deflate": lambda text: DEFLATE_READER.format(f"'{deflated(text)}'"),
    "characters": lambda text: f"iex (-join [char[]]({numbers(text)}))",
    "format operator": _formatted,
    "join": _joined,
    "xor": lambda text: f"iex (({numbers(text, key=0x23)} | % {{ [char]($_ -bxor 0x23) }}) -join '')",
    "concatenation": _concatenated,
    "replace": _replaced,
    "hexadecimal": lambda text: (
        f"iex (-join ('{numbers(text, form='{:x}', separator='-')}' -split '-' | "
        "% { [char]([convert]::toint16($_,16)) }))"
    ),
}
SPELLINGS = {
    "slash and carets": f'PowerShell.exe /e^nc "{encoded(PAYLOAD)}"',
    "dash and alias": f"pwsh \u2013ec {encoded(PAYLOAD)}",
    "shortest parameter": f"powershell -e {encoded(PAYLOAD)}",
    "inside a string": f"cmd /c 'start powershell -enc {encoded(PAYLOAD)}'",
    "utf-8 encoded command": f"powershell -enc {encoded(PAYLOAD, 'utf-8')}",
    "encoded in a variable": f"$e = '{encoded(PAYLOAD)}'; powershell -enc $e",
    "unicode": (
        f"iex ( [System.Text.Encoding]::Unicode.GetString( [System.Convert]::FromBase64String( "
        f"'{encoded(PAYLOAD)}' ) ) )"
    ),
    "big endian": (
        f"iex ([Text.Encoding]::BigEndianUnicode.GetString({FROM_BASE64}('{encoded(PAYLOAD, 'utf-16-be')}')))"
    ),
    "variables": (
        f"$k='{encoded(PAYLOAD, 'ascii')}'\n$d={FROM_BASE64}($k)\n$e=[Text.Encoding]::ASCII\n"
        "$t = $e.GetString($d)\nInvoke-Expression $t"
    ),
    "joined lines": f"$k='{encoded(PAYLOAD, 'ascii')}' $d={FROM_BASE64}($k) iex $d",
    "gzip by variable": (
        f"$s=New-Object IO.MemoryStream(,{FROM_BASE64}('{gzipped(PAYLOAD)}'));IEX (New-Object "
        "IO.StreamReader(New-Object IO.Compression.GzipStream($s,[IO.Compression.CompressionMode]::"
        "Decompress))).ReadToEnd();"
    ),
    "gzip and no reader": f"Expand-It '{gzipped(PAYLOAD)}'",
    "in a damaged script": f"don't {FROM_BASE64}('{encoded(PAYLOAD)}') \"",
    "characters added": f"iex ({numbers(PAYLOAD, form='[char]{}', separator='+')})",
    "hexadecimal characters": f"iex ({numbers(PAYLOAD, form='[char]0x{:x}', separator=' + ')})",
    "characters in a pipeline": f"-join (({numbers(PAYLOAD)}) | ForEach-Object {{ [char][int]$_ }}) | iex",
    "foreach method": f"iex (-join ({numbers(PAYLOAD)}).ForEach({{ [char]$_ }}))",
    "spelled command": f"([char[]]({numbers(PAYLOAD)}) -join '') | &( $pshome[4]+$pshome[34]+'x')",
    "string join": f"iex ([string]::Join('', ({', '.join(thirds(PAYLOAD))})))",
    "unary join": f"iex (-join ({', '.join(thirds(PAYLOAD))}))",
    "key in a variable": f"$k = 35; iex (-join ({numbers(PAYLOAD, key=35)} | % {{ [char]($_ -bxor $k) }}))",
    "xor before the cast": (
        f"iex (-join ({numbers(PAYLOAD, key=35)} | % {{ $_ -bxor 35 }} | % {{ [char]$_ }}))"
    ),
    "xor in a for loop": (
        f"$b={FROM_BASE64}('{masked(PAYLOAD, 0x41)}')\n"
        "for($i=0;$i -lt $b.Length;$i++){ $b[$i] = $b[$i] -bxor 0x41 }\n"
        "iex ([Text.Encoding]::ASCII.GetString($b))"
    ),
    "xor in a foreach loop": (
        f"[byte[]]$b={numbers(PAYLOAD, key=0x41, form='0x{:x}')}\n$o=''\n"
        "foreach($c in $b){ $o += [char]($c -bxor 0x41) }\niex $o"
    ),
    "xor with a longer key": (
        f"$k=[byte[]](1,2,3);$b=[byte[]]({keyed(PAYLOAD, (1, 2, 3))})"
        ";$o='';for($i=0;$i -lt $b.Count;$i++){$o+=[char]($b[$i] -bxor $k[$i % $k.Length])};iex $o"
    ),
    "replace operator": f"iex ({quoted(PAYLOAD.replace('e', 'XyZ'))} -replace 'xyz','e')",
    "escaped pattern": f"iex ({quoted(PAYLOAD.replace('e', '[*]'))} -ireplace '\\[\\*\\]',[char]101)",
    "pattern of characters": (
        f"(({quoted(PAYLOAD.replace('e', 'XyZ'))})-crePLAce ([char]88+[char]121+'Z'),[char]101) | iex"
    ),
    "quoted method": f"iex ({quoted(PAYLOAD.replace('e', '#@'))}.\"rEp`lace\"('#@','e'))",
    "split method": f"iex (-join('{numbers(PAYLOAD, separator='!')}'.Split('!') | % {{[char][int]$_}}))",
    "split operator": f"iex (-join ('{numbers(PAYLOAD, separator='x')}' -split 'X' | % {{[char][int]$_}}))",
    "hexadecimal method": (
        f"iex ( '{numbers(PAYLOAD, form='{:x}', separator='-')}'.SPLiT('-') | "
        "fOREaCh {( [ChAR]( [CoNVErT]::toInT16( ([STriNG]$_),16))) } )"
    ),
    "hexadecimal loop": (
        f"$s='{PAYLOAD.encode().hex()}';$o='';for($i=0;$i -lt $s.Length;$i+=2)"
        "{$o+=[char][Convert]::ToByte($s.Substring($i,2),16)};iex $o"
    ),
    "hexadecimal pairs": (
        f"iex (-join ('{PAYLOAD.encode().hex()}' -split '(..)' | ? {{$_}} | "
        "% { [char][convert]::touint32($_,16) }))"
    ),
    "reversed": f"$x={quoted(PAYLOAD[::-1])}; iex ($x[-1..-($x.Length)] -join '')",
    "reversed array": (
        f"$x={quoted(PAYLOAD[::-1])}.ToCharArray(); [array]::Reverse($x); iex (-join $x)"
    ),
    "reversed matches": (
        f"-Join ([regEx]::MaTches({quoted(PAYLOAD[::-1])},'.','RightToLeft') | %{{$_.vaLue}})|iex"
    ),
    "back-ticks": f"I`eX {quoted(PAYLOAD)}",
    "called by name": f"&('i'+'ex') {quoted(PAYLOAD)}",
    "script block": f"& ([scriptblock]::Create({quoted(PAYLOAD)}))",
    "cast script block": f"& ([scriptblock]{quoted(PAYLOAD)})",
    "command without a parameter": f"powershell.exe {quoted(PAYLOAD)}",
    "command parameter": f"powershell -nop -Command {quoted(PAYLOAD)}",
    "typographic quotes": f"iex \u2018{PAYLOAD.replace(chr(39), 2 * chr(39))}\u2019",
    "here-string": f"$x=@'\n{PAYLOAD}\n'@\niex $x",
    "interpolation": f"$a={quoted(PAYLOAD[:9])};$b={quoted(PAYLOAD[9:])}; iex \"$a$b\"",
    "expression in a string": f'iex "$({quoted(PAYLOAD[:9])}){expandable(PAYLOAD[9:])}"',
}  # fmt: skip
CLEAN = """
param([string]$Path = 'C:\\Temp', [int]$Count = 3)
# Lists what is there; don't
foreach ($File in Get-ChildItem -Path $Path -Filter "*.txt" | Sort-Object Name) {
    Write-Host ("{0} has {1}" -f $File.Name, $File.Length)
    $Total += $File.Length * 1024; $Parts = $File.Name -split '-' ; $x = $File.Name.Replace('a', 'b')
    if ($Count -gt 1 -and $File.Extension -ne '.log') { Copy-Item $File "$Path\\copy\\$($File.Name)" }
}
& $Program --quiet 'a longer argument' ; [Net.WebRequest]::Create('http://example.test/a') | Out-Null
Get-Date -Format 'yyyy-MM-dd' ; (Get-Date).ToString('yyyy-MM-dd') ; 1..1000000000 | Select-Object -First 1
"""
BAITS = {
    "casts": "[char]" * BAIT,
    "open brackets": "(" * 1_000_000,
    "open blocks": "{" * BAIT,
    "strings in code in strings": '"$(' * BAIT,
    "closed brackets": ")" * BAIT,
    "sum without an end": "'a'+" * BAIT,
    "sum": "'a'+" * BAIT + "'b'",
    "open string": "'" * 1_000_001,
    "open expandable string": '"' * 1_000_001,
    "open here-strings": "@'\n" * BAIT,
    "block comments": "<#" * BAIT,
    "code units": "[char]999999999999;" * 20_000,
    "a large number": "[char]" + "9" * 1_000_000,
    "slots": "'{999999999}{99999999999999}{0,999999999}' -f 'a';" * 20_000,
    "back-ticks": "`" * 1_000_000,
    "types": "[a." * BAIT,
    "dollars": "$" * 1_000_000,
    "braces": "${" * BAIT,
    "dashes": "-" * 1_000_000,
    "numbers": "1," * BAIT,
    "signs": "-1" * BAIT,
    "commas": "," * BAIT + "1",
    "ranges": "1..1000000000;" * 10_000,
    "products": "'a'*1000000000;" * 10_000,
    "doubling": "$x='aaaaaaaa';" + "$x+=$x;" * 1000,
    "appending": "$x='a';" + "$x+='a';" * 100_000,
    "growing list": "$x=1,2;" + "$x+=1;" * 100_000,
    "pipes": "1|" * BAIT,
    "members": "'a'" + ".tolower()" * BAIT,
    "calls": "a(" * BAIT,
    "indices": "$x[" * BAIT,
    "parameters": "-e " * BAIT,
    "a wide gap": "-e" + " " * 1_000_000,
    "gaps": ("-e" + " " * 99) * 10_000,
    "Base64": "A" * 1_000_000 + "base64",
    "replacing": "'" + "a" * 100_000 + "'" + ".replace('a','aaaa')" * 20,
    "alternatives": "'" + "a" * 100_000 + "'" + " -replace 'a|aa|aaa','b'" * 20,
    "loops": ("(1..3000|%{" * 5) + "[char]$_" + ("})" * 5),
    "joins": "-join " * BAIT + "'a'",
    "assignments": "$a=" * BAIT,
    "steps": "$x=1,2;foreach($c in $x){" + "$c=$c -bxor 1;" * 50_000 + "[char]$c}",
    "nested lists": "-join " + "," * BAIT + "1",
    "surrogates": "\ud800\udfff\0'" * 1000,
}
FRAGMENTS = st.sampled_from([
    "'a'", '"b$x"', "$x", "$x=", "$x+=", "+", "-join", "-f", "-split", "-replace", "-bxor", ",", "(", ")",
    "{", "}", "[char]", "[char[]]", "[int]", "[string]", "[byte[]]", "[convert]::", "::", ".", "|", "%",
    "% { [char]$_ }", ";", "\n", "iex", "&", "1", "73,69,88", "0x41", "..", "[", "]", "-1", ".replace(",
    ".split('a')", ".Length", "$_", "[array]::Reverse($x)", "[string]::Join(", "FromBase64String(",
    "'SQBFAFgA'", "@(", "$(", '"$(', "foreach($x in", "-enc", "New-Object", "IO.MemoryStream(",
    ".ReadToEnd()", "[regex]::matches(", "substring(", "@'\n", "\n'@", "`", "*", "/", "-", "{0}",
    "'{0}{1}'", "as", "-as", "[1,2]", "'[a|]\\'", "'a--[&&]'", "'.'", "@{", "for(", "$i++", "param(", " ",
])  # fmt: skip
TEXTS = st.text(max_size=200) | st.lists(FRAGMENTS, max_size=40).map("".join)
PAYLOADS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cn", "Co", "Cs", "Zl", "Zp"]), max_size=40
).map(lambda text: f"Write-Host inert payload of example.test {text}.")


def uncovered(text: str, payload: str = PAYLOAD) -> list[str]:
    layers, cut = unwrap(text, *may_run([text]))
    assert cut == "" and layers[0] == Layer(text, "script", -1, 0)
    return [layer.how for layer in layers if layer.text == payload]


@pytest.mark.parametrize("how", ENCODERS)
def test_each_encoding_is_uncovered_and_named(how):
    assert uncovered(ENCODERS[how](PAYLOAD)) == [how]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spellings_are_uncovered(spelling):
    assert uncovered(SPELLINGS[spelling])


@settings(max_examples=30, deadline=None)
@given(payload=PAYLOADS)
@pytest.mark.parametrize("how", ENCODERS)
def test_every_payload_comes_back(how, payload):
    text = ENCODERS[how](payload)
    layers = unwrap(text, *may_run([text])).layers
    assert any(payload in layer.text for layer in layers)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_no_text_raises_and_the_first_layer_is_the_text(text):
    layers, cut = unwrap(text)
    assert layers[0] == Layer(text, "script", -1, 0)
    assert cut in LIMITS
    assert len({layer.text for layer in layers}) == len(layers)
    assert all(0 <= layer.parent < place for place, layer in enumerate(layers) if place)


@pytest.mark.parametrize("bait", BAITS)
def test_bait_ends_within_the_limits(bait):
    layers, cut = unwrap(BAITS[bait])
    assert layers[0].text == BAITS[bait]
    assert cut in LIMITS
    assert not [layer.how for layer in layers[1:] if layer.how not in ("literals", "replace", "characters")]


def test_a_clean_script_has_one_layer():
    assert unwrap(CLEAN) == ([Layer(CLEAN, "script", -1, 0)], "")


UNSEEN = (
    "&<##>('ie'+'x') ('Write-Output 1;'+' 2345')",
    "& <# c #> ('ie'+'x') ('Write-Output '+'12345')",
    ".<##>('ie'+'x') ('Write-Output '+'12345')",
    "& `\n('i'+'ex') ('Write-Output '+'12345')",
    "$x='iex';&$x'Write-Output 12345'",
    "$x='iex';&${x} 'Write-Output 12345'",
    "$x='iex';&$x('Write-Output '+'12345')",
    "$x='iex';'Write-Output 12345' | <##> &$x",
    "$x='iex';if(1){.$x ('Write-Output '+'12345')}",
    ";<##>. ('ie'+'x') ('Write-Output '+'12345')",
    "powershell -nop `\n-c 'Write-Output 12345'",
    "[Text.Encoding]::ASCII.GetString([byte[]](87,114,105,116,101,45,79,117,116,112,117,116,32,49))",
    "[uri]::UnescapeDataString('Write-Output%20123456')",
    "[regex]::Unescape('Write-Output\\x20123456')",
    "('654321 tuptuO-etirW'[-1..-19] -join '')",
    "-join [ <##> char[]](87,114,105,116,101,45,79,117,116)",
    "$w.('Down'+'loadString').Invoke('Write-Output')",
)


@pytest.mark.parametrize("text", UNSEEN)
def test_no_spelling_of_a_call_is_passed_over(text):
    assert unwrap(text, *may_run([text])) == unwrap(text)
    assert len(unwrap(text).layers) > 1


def test_most_clean_text_need_not_be_folded():
    texts = [
        "Get-ChildItem *.log | ForEach-Object { Remove-Item $_ }",
        "$a = 'x' + $b -f 1; Get-Item $a",
        "Invoke-WebRequest $url -OutFile a.zip",
        "\ud800",
        "iex $a",
    ]
    assert may_run(texts) == [False, False, False, False, True]
    assert may_run([]) == []


@pytest.mark.parametrize("text", ["", " ", "Get-Process", "# 'a'+'b'", "'one string'"])
def test_nothing_to_unwrap(text):
    assert unwrap(text) == ([Layer(text, "script", -1, 0)], "")


@pytest.mark.parametrize(
    "line",
    [
        "powershell -EncodedCommand {}",
        "powershell.exe -NoP -NonI -W Hidden -Exec Bypass -Enc {}",
        r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe -ec {}",
        'cmd.exe /c "powershell -enc {}"',
        'pwsh -e "{}"',
        "  PowerShell /enc {} -NoLogo\n",
    ],
)
def test_of_a_command_line_that_only_hands_a_script_over_the_script_alone_is_a_layer(line):
    layers = unwrap(line.format(encoded(PAYLOAD))).layers
    assert [layer.text for layer in layers[1:] if layer.parent == 0] == [PAYLOAD]


@pytest.mark.parametrize(
    "line",
    [
        "powershell -enc {}; Get-Date",
        "Get-Date\npowershell -enc {}",
        "powershell -enc {} -Command calc",
        "powershell -enc {} -File other.ps1",
        "powershell -enc {} | Out-File a.txt",
        "other.exe -enc {}",
        "powershell (other) -enc {}",
        "iex ([Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('{}')))",
    ],
)
def test_what_does_more_than_hand_a_script_over_gives_the_script_as_well(line):
    layers = unwrap(line.format(encoded(PAYLOAD))).layers
    assert PAYLOAD in [layer.text for layer in layers]


def test_here_strings_within_here_strings_end():
    assert unwrap("iex\n" + '@"\n$(' * 300).cut in LIMITS


def test_three_deep():
    middle = ENCODERS["xor"](PAYLOAD)
    outer = ENCODERS["gzip"](middle)
    layers = unwrap(ENCODERS["-EncodedCommand"](outer)).layers
    by_text = {layer.text: layer for layer in layers}
    assert [(by_text[text].how, by_text[text].depth) for text in (outer, middle, PAYLOAD)] == [
        ("-EncodedCommand", 1), ("gzip", 2), ("xor", 3),
    ]  # fmt: skip
    assert layers[by_text[PAYLOAD].parent].text == middle


def test_literals_are_folded_in_place():
    text = "$c = N`ew-Object ('Net.'+'WebClient'); $c.DownloadString(\"http\" + '://example.test' + $tail)"
    layers = unwrap(text).layers
    assert [layer.how for layer in layers] == ["script", "literals"]
    assert layers[1] == Layer(
        "$c = New-Object 'Net.WebClient'; $c.DownloadString('http://example.test' + $tail)", "literals", 0, 0
    )


@pytest.mark.parametrize(
    "text",
    [
        "$x = 'Write-Host a'; if ($u) { $x = 'Write-Host b' }; iex $x",
        "foreach ($f in $u) { $x = 'Write-Host a'; $x = $x + $f }; iex $x",
        "$n = 1; while ($u) { $n++ }; iex ('Write-Host a' * $n)",
        "param($x = 'Write-Host a') iex $x",
        "function f($x = 'Write-Host a') { iex $x }",
        "$x = 'Write-Host a'; $x += $u; iex $x",
    ],
)
def test_variables_that_change_are_not_taken_as_known(text):
    assert not [layer for layer in unwrap(text).layers if layer.how != "script" and layer.depth]


def test_a_bomb_is_cut():
    bomb = base64_of(gzip.compress(bytes(100_000_000)))
    layers, cut = unwrap(GZIP_READER.format(f"'{bomb}'"))
    assert (len(layers), cut) == (1, "characters")


@pytest.mark.parametrize(
    "text",
    [
        "$a = [char[]]('ab' * 500000);" * 20,
        "$b = 65..200000;" + "[Convert]::FromBase64String($b);" * 20,
        "$b = 65..200000;" + "$c = -join $b;" * 20,
        "('ab' * 500000)[1];" * 20,
    ],
    ids=["casts", "Base64", "joins", "places"],
)
def test_elements_cost_more_than_characters(text):
    assert unwrap(text).cut == "characters"


def test_the_depth_is_limited():
    text = PAYLOAD
    for _ in range(4):
        text = ENCODERS["-EncodedCommand"](text)
    layers, cut = unwrap(text, limits=Limits(depth=3))
    assert (cut, max(layer.depth for layer in layers)) == ("depth", 3)
    assert unwrap(text, limits=Limits(depth=4)).cut == ""


def test_the_number_of_layers_is_limited():
    text = "\n".join(f"iex 'Write-Host inert {number}'" for number in range(10))
    layers, cut = unwrap(text, limits=Limits(layers=5))
    assert (len(layers), cut) == (5, "layers")


@pytest.mark.parametrize(
    ("limits", "cut"),
    [(Limits(steps=10), "steps"), (Limits(characters=100), "characters")],
)
def test_other_limits_are_named(limits, cut):
    text = ENCODERS["characters"](PAYLOAD) + "\n" + "'a'+'b'\n" * 300
    layers, stopped = unwrap(text, limits=limits)
    assert (layers[0].text, stopped) == (text, cut)


def test_layers_are_given_once():
    text = f"iex {quoted(PAYLOAD)}; iex {quoted(PAYLOAD)}; {ENCODERS['-EncodedCommand'](PAYLOAD)}"
    assert len(uncovered(text)) == 1


def test_binary_data_is_no_layer():
    program = b"MZ" + bytes(range(256)) * 8
    assert len(unwrap(f"$b = {FROM_BASE64}('{base64_of(program)}')").layers) == 1


def test_short_texts_are_no_layers():
    assert [layer.how for layer in unwrap("iex 'ls'; iex (-join [char[]](108,115))").layers] == [
        "script", "literals",
    ]  # fmt: skip
