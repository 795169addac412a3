"""What following a script uncovers, kind by kind: variants that a person would meet, and values that are not certain.

Every text is inert: what comes out is a Write-Output.
"""

import base64
import gzip

import pytest

from psembed.powershell.unwrap.layers import may_run, unwrap

P = "Write-Output inert-probe-4711 | Out-Null"
A, B = P[:9], P[9:]
E = base64.b64encode(P.encode("utf-16-le")).decode()
E8 = base64.b64encode(P.encode()).decode()
HEX = P.encode().hex()
CODES = ",".join(str(ord(c)) for c in P)
STEP = "".join("abcd" + c for c in P) + "z"  # every fifth character counts
SWAPPED = P.replace("t", "#")
URL = "".join(f"%{ord(c):02x}" for c in P)
XOR = ",".join(str(ord(c) ^ 9) for c in P)
XOR64 = base64.b64encode(bytes(ord(c) ^ 9 for c in P)).decode()
HIGH64 = base64.b64encode(bytes(ord(c) ^ 137 for c in P)).decode()
GZIP = base64.b64encode(gzip.compress(P.encode(), mtime=0)).decode()
MIXED = "".join(c + "x~,;"[place % 4] for place, c in enumerate(CODES.split(",")))[:-1]
SQUARES = ",".join(str(ord(c) * 3 + 7) for c in P)
UTF8 = "[Text.Encoding]::UTF8.GetString"

KINDS = {
    "step": {
        "for": f"$s='{STEP}';$o='';for($i=4;$i -lt $s.Length;$i+=5){{$o+=$s[$i]}};iex $o",
        "for, nothing before": f"$s='{STEP}';for($i=4;$i -lt $s.Length;$i+=5){{$o=$o+$s[$i]}};iex $o",
        "for, Substring": f"$s='{STEP}';$o='';for($i=4; $i -lt $s.Length-1; $i+=5) {{ $o += $s.Substring($i, 1) }}\niex $o",
        "for, Chars": f"$s='{STEP}';$o='';for($i=4;$i -lt $s.Length-1;$i=$i+5){{$o+=$s.Chars($i)}};iex $o",
        "for, array": f"$s='{STEP}'.ToCharArray();$o=@();for($i=4;$i -lt $s.Count;$i+=5){{$o+=$s[$i]}};iex (-join $o)",
        "for without a head": f"$s='{STEP}';$o='';$i=4;for(;;){{if($i -ge $s.Length){{break}};$o+=$s[$i];$i+=5}};iex $o",
        "while": f"$s='{STEP}';$o='';$i=4;while($i -lt $s.Length){{$o+=$s[$i];$i+=5}};iex $o",
        "while, true": f"$s='{STEP}';$o='';$i=4;while($true){{$o+=$s[$i];$i+=5;if($i -ge $s.Length){{break}}}};iex $o",
        "do while": f"$s='{STEP}';$o='';$i=4;do{{$o+=$s[$i];$i+=5}}while($i -lt $s.Length);iex $o",
        "do until": f"$s='{STEP}';$o='';$i=4;do {{ $o+=$s[$i]; $i+=5 }} until ($i -ge $s.Length)\niex $o",
        "foreach and remainder": f"$s='{STEP}';$o='';foreach($i in 0..($s.Length-1)){{if($i%5 -eq 4){{$o+=$s[$i]}}}};iex $o",
        "foreach of characters": f"$n=0;$o='';foreach($c in '{STEP}'.ToCharArray()){{$n++;if($n -eq 5){{$o+=$c;$n=0}}}};iex $o",
        "continue": f"$o='';foreach($i in 0..{len(STEP) - 1}){{if($i%5 -ne 4){{continue}};$o+='{STEP}'[$i]}};iex $o",
        "range": f"$s='{STEP}';iex (-join (0..{len(P) - 1}|%{{$s[$_*5+4]}}))",
        "range and Where-Object": f"$s='{STEP}';iex (-join $s[(0..($s.Length-1)|?{{$_%5 -eq 4}})])",
        "ForEach-Object with a begin": f"iex (-join ([char[]]'{STEP}'|%{{$n=0}}{{if(++$n%5 -eq 0){{$_}}}}))",
        "function": f"function T($s){{$o='';for($i=4;$i -lt $s.Length-1;$i+=5){{$o+=$s.Substring($i,1)}};$o}}\niex (T '{STEP}')",
        "function, parameters": "function Take {param([string]$Text,[int]$By=5)\n  $Out=''\n  for($i=$By-1;$i -lt $Text.Length-1;$i+=$By)"
        f"{{\n    $Out+=$Text[$i]\n  }}\n  return $Out\n}}\niex (Take -By 5 -Text '{STEP}')",
        "function that runs": f"function Go($c){{$o='';for($i=4;$i -lt $c.Length;$i+=5){{$o+=$c[$i]}};iex $o}};Go '{STEP}'",
        "function for the command too": "function T($s){for($i=4;$i -lt $s.Length-1;$i+=5){$o=$o+$s.Substring($i,1)}$o;}"
        f"$r=T 'abcdiabcdeabcdxz';&($r) (T '{STEP}')",
        "recursion": f"function R($s){{if($s.Length -lt 5){{''}}else{{$s[4]+(R $s.Substring(5))}}}};iex (R '{STEP[:60]}')",
        "filter": f"filter Fifth{{$o='';for($i=4;$i -lt $_.Length;$i+=5){{$o+=$_[$i]}};$o}};iex ('{STEP}'|Fifth)",
        "script block": f"$t={{param($s)$o='';for($i=4;$i -lt $s.Length;$i+=5){{$o+=$s[$i]}};$o}};iex (& $t '{STEP}')",
        "StringBuilder": f"$s='{STEP}';$b=[Text.StringBuilder]::new();for($i=4;$i -lt $s.Length;$i+=5){{[void]$b.Append($s[$i])}};iex $b.ToString()",
        "-replace": f"iex ('{STEP[:-1]}' -replace '....(.)','$1')",
        "[regex]::Replace": f"iex ([regex]::Replace('{STEP[:-1]}','.{{4}}(.)','$1'))",
        "[regex]::Matches": f"iex (-join ([regex]::Matches('{STEP}','.{{4}}(.)')|%{{$_.Groups[1].Value}}))",
        "named group": f"iex ('{STEP[:-1]}' -replace '(?<a>....)(?<b>.)','${{b}}')",
        "from behind": f"$s='{STEP[::-1]}';$o='';for($i=$s.Length-5;$i -ge 0;$i-=5){{$o+=$s[$i]}};iex $o",
    },
    "chained -split": {
        "four": f"IEX (('{MIXED}' -split 'x' -split '~' -split ',' -split ';' |%{{[char][int]$_}}) -join '')",
        "classes": f"IEX (('{MIXED}' -split '[x~]' -split '[,;]'|%{{[char][int]$_}}) -join '')",
        "Split": f"iex (-join ('{MIXED}'.Split('x~,;')|%{{[char][int]$_}}))",
        "Split of characters": f"iex (-join ('{MIXED}'.Split([char[]]'x~,;')|foreach{{[char][int]$_}}))",
        "-csplit and -isplit": f"iex (-join ('{MIXED}' -isplit 'X' -csplit '~' -split ',|;' |ForEach-Object {{ [char]([int]$_) }}))",
    },
    "variable by name": {
        "Get-Variable": f"Set-Variable zx '{P[::-1]}'; iex (-join (Get-Variable zx).Value[-1..-((Get-Variable zx).Value.Length)])",
        "-ValueOnly": f"sv zx '{A}'; iex ((gv zx -ValueOnly)+'{B}')",
        "Set-Item Variable:": f"Set-Item Variable:zx '{P[::-1]}'; iex (-join $zx[-1..-($zx.Length)])",
        "Get-Item Variable:": f"$zx='{A}';iex ((Get-Item Variable:zx).Value+'{B}')",
        "gci Variable:/": f"$zx='{A}';iex ((gci variable:/zx).Value+'{B}')",
        "Get-Content": f"Set-Content variable:zx '{A}';iex ((Get-Content variable:zx)+'{B}')",
        "% Value": f"$zx='{A}';iex ($(gi variable:zx|% Value)+'{B}')",
        "select": f"$zx='{A}';iex ((gv zx|select -exp Value)+'{B}')",
        "wildcard": f"$zxq='{A}';iex ((Get-Variable zx*).Value+'{B}')",
        "without Get-": f"$zx='{A}';iex ((Variable zx).Value+'{B}')",
        "braces and scope": f"${{Script:z x}}='{A}';iex (${{z x}}+'{B}')",
        "PSVariable": f"$zx='{A}';iex ($ExecutionContext.SessionState.PSVariable.Get('zx').Value+'{B}')",
        "environment": f"$env:zx='{A}';iex ([Environment]::GetEnvironmentVariable('zx')+(gi env:zx).Value.Substring(9)+'{B}')",
        "name put together": f"sv ('z'+'x') '{A}';iex ((gv ('zX')).value+'{B}')",
        "New-Variable": f"New-Variable -Name zx -Value '{A}' -Force;iex ($zx+'{B}')",
        "all, and Where-Object": f"$zx='{A}';iex ((Get-Variable|?{{$_.Name -eq 'zx'}}).Value+'{B}')",
    },
    "back-tick": {
        "member": f"iex ('{SWAPPED}').\"R`epLac`e\"('#','t')",
        "escape in a command": f"&\"i`ex\" ('{A}'+'{B}')",
        "word": f"I`NvOk`e-ExP`RessION ('{A}'+'{B}')",
        "code point": f"iex \"`u{{57}}rite-Outpu`u{{0074}}{P[12:]}\"",
    },
    "method group": {
        "Invoke": f"iex ('{SWAPPED}'.('Rep'+'lace').Invoke('#','t'))",
        "in a variable": f"$m='Replace';iex ('{SWAPPED}'.$m('#','t'))",
        "kept": f"$r='{SWAPPED}'.Replace;iex $r.Invoke('#','t')",
        "static": f"$d=[Convert]::('From'+'Base64String').Invoke('{E8}');iex ({UTF8}($d))",
        "quoted static": f"iex ({UTF8}([Convert]::\"FromBase64String\"('{E8}')))",
    },
    "pattern": {
        "$&": f"iex ([Text.Encoding]::ASCII.GetString([byte[]] -split ('{HEX}' -replace '..','0x$& ')))",
        "\\G": f"iex (-join ('{HEX}' -split '(?<=\\G..)' | ?{{$_}} | %{{[char][Convert]::ToByte($_,16)}}))",
        "pairs": f"iex (-join ('{HEX}' -split '(..)' | where {{$_}} | % {{[char][Convert]::ToInt32($_,16)}}))",
        "[regex]::Matches": f"iex (-join ([regex]::Matches('{HEX}','[0-9a-f]{{2}}')|%{{[char][Convert]::ToByte($_.Value,16)}}))",
        "evaluator": f"iex ([regex]::Replace('{HEX}','..',{{param($m)[char][Convert]::ToByte($m.Value,16)}}))",
        "$1 and $2": f"iex ('{''.join(P[i : i + 2][::-1] for i in range(0, len(P), 2))}' -replace '(.)(.)','$2$1')",
        "class and repeat": f"iex ('{'99'.join(P.split('-'))}' -replace '9+(?=[a-z4NO])','-')",
        "options in it": f"iex ('{P.replace('t', 'Q')}' -creplace '(?i)q','t')",
        "-match": f"if ('key={P}' -match '^key=(?<v>.*)$') {{ iex $Matches.v }}",
    },
    "hand-over": {
        "Start-Process, list": f"Start-Process powershell -ArgumentList '-nop','-enc','{E}'",
        "Start-Process, variable": f"$b='{E}'; Start-Process powershell.exe -ArgumentList \"-nop -enc $b\"",
        "start, -Args": f"$a=@('-w','hidden','-ec','{E}');start powershell -Args $a -WindowStyle Hidden",
        "splatted hashtable": f"$h=@{{FilePath='powershell';ArgumentList='-enc {E}'}};Start-Process @h",
        "splatted list": f"$a='-nop','-e','{E}';powershell @a",
        "name in a variable": f"$c='powershell.exe';& $c -NoProfile -EncodedCommand '{E}'",
        "value in a variable": f"$e='{E[:30]}'+'{E[30:]}';powershell -enc $e",
        "-Command": f"$c='{A}'+'{B}';powershell -nop -c $c",
        "piped": f"('{A}'+'{B}') | powershell -",
        "-Command without quotes": f"powershell -nop -w hidden $c='{A}';$d='{B}';iex ($c+$d)",
        "a quoted path, no quotes": f"\"C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe\" -ep Bypass $c='{A}';iex ($c+'{B}')",
        "a quoted line": f"\"PowerShell -ep Bypass $c='{A}';iex ($c+'{B}')\"",
        "after cmd's exit": f"if x (\r\necho no\r\nexit /b 1\r\n)\r\npowershell -Command \"{P}\"",
        ".NET": f"[Diagnostics.Process]::Start('powershell.exe',('-enc '+'{E}'))",
    },
    "values": {
        "hashtable": f"$h=@{{a='{A}';b='{B}'}}; iex ($h.a+$h.b)",
        "hashtable, index": f"$h=@{{}};$h['a']='{A}';$h.b='{B}';iex ($h['a']+$h['b'])",
        "hashtable, Add": f"$h=New-Object hashtable;$h.Add(1,'{A}');$h.Add(2,'{B}');iex ($h[1]+$h[2])",
        "hashtable of letters": "$h=@{" + ";".join(f"'{c}'='{c}'" for c in sorted({c.lower() for c in P} - {"'"}))
        + "};iex (-join ('" + P.lower() + "'.ToCharArray()|%{$h[[string]$_]}))",
        "object": f"$o=[pscustomobject]@{{x='{A}';y='{B}'}};iex ($o.x+$o.y)",
        "several assignments": f"$a,$b='{A}','{B}';iex ($a+$b)",
        "chained assignments": f"$a=$b='{A}';$a+='{B}';iex $a",
        "assignment in brackets": f"iex (($x='{A}')+'{B}')",
        "swap": f"$a='{B}';$b='{A}';$a,$b=$b,$a;iex ($a+$b)",
        "if": f"if(1 -eq 1){{$x='{A}'}}else{{$x='Get-Date'}};iex ($x+'{B}')",
        "switch": f"switch(3){{1{{$x='Get-Date'}}3{{$x='{A}'}}default{{$x='no'}}}};iex ($x+'{B}')",
        "value of if": f"$x=if($false){{'Get-Date'}}else{{'{A}'}};iex ($x+'{B}')",
        "value of foreach": f"$x=foreach($c in {CODES}){{[char]$c}};iex (-join $x)",
        "try": f"try{{$x='{A}';iex ($x+'{B}')}}catch{{}}",
        "parameter": f"function Run($c){{ iex $c }}; Run ('{A}'+'{B}')",
        "named parameter": f"function Run{{param($a,$b) iex ($a+$b)}}; Run -b '{B}' -a '{A}'",
        "default of a parameter": f"function Run($a,$b='{B}'){{iex ($a+$b)}}; Run '{A}'",
        "$args": f"function Run{{iex ($args[0]+$args[1])}}; Run '{A}' '{B}'",
        "return": f"function G{{return '{A}'+'{B}';'no'}};iex (G)",
        "nested functions": f"function F($x){{$x.Replace('#','t')}}\nfunction G($x){{iex (F $x)}}\nG '{SWAPPED}'",
        "block with parameters": f"&{{param($x,$y) iex ($x+$y)}} '{A}' '{B}'",
        "block, Invoke": f"{{iex ($args[0]+'{B}')}}.Invoke('{A}')",
        "what Invoke gives, [0]": f"$f={{param($x)$x+'{B}'}};iex $f.Invoke('{A}')[0]",
        "type's name": f"function F($x){{if($x.GetType().Name -eq 'String'){{$x+'{B}'}}}};iex (F '{A}')",
        "try before a failure": f"try{{$n=1;$x='{A}';Get-It}}catch{{$n=2}};iex ($x+'{B}')",
        "try without a failure": f"try{{$x='{A}'}}catch{{$x='no'}};iex ($x+'{B}')",
        "match's place": f"iex (-join ([regex]::Matches('{STEP[:-1]}','.')|?{{$_.Index%5 -eq 4}}|%{{$_.Value}}))",
        "Invoke-Command": f"icm -ScriptBlock {{param($x) iex ($x+'{B}')}} -ArgumentList '{A}'",
        "StringBuilder": f"$sb=New-Object Text.StringBuilder;[void]$sb.Append('{A}');[void]$sb.Append('{B}');iex $sb.ToString()",
        "StringBuilder, chained": f"iex ([System.Text.StringBuilder]::new().Append('{A}').Append('{B}').ToString())",
        "StringBuilder, Insert": f"$sb=[Text.StringBuilder]'{B}';$null=$sb.Insert(0,'{A}');iex \"$sb\"",
        "ArrayList": f"$l=New-Object Collections.ArrayList;[void]$l.Add('{A}');$l.Add('{B}')|Out-Null;iex (-join $l)",
        "list, AddRange": f"$l=[Collections.Generic.List[string]]::new();$l.AddRange([string[]]('{A}','{B}'));iex ($l -join '')",
        "alias": f"sal zz iex; zz ('{A}'+'{B}')",
        "alias, named": f"Set-Alias -Value Invoke-Expression -Name zz\nzz ('{A}'+'{B}')",
        "alias of the name": f"New-Alias q ('i'+'ex');'{A}{B}'|q",
        "module-qualified": f"Microsoft.PowerShell.Utility\\Invoke-Expression ('{A}'+'{B}')",
        "module-qualified, called": f"& 'Microsoft.PowerShell.Utility\\iex' ('{A}'+'{B}')",
        "Get-Command": f"&(Get-Command i*-exp*) ('{A}'+'{B}')",
        "gal": f"&(gal ie?) ('{A}'+'{B}')",
        "% { iex $_ }": f"'{A}'+'{B}' | % {{ iex $_ }}",
        "% { & ([scriptblock]...) }": f"'{A}{B}' | foreach {{ . ([scriptblock]::Create($_)) }}",
        "pipe to a variable": f"$f='iex';'{A}{B}'|&$f",
        "here-string and format": f"$t=@'\n{{0}}{{1}}\n'@;iex ($t -f '{A}','{B}')",
        "{0,5}": f"iex (\"{{0,5}}{{1}}\" -f 'Write','{P[5:]}')",
        "{0:X2}": f"iex (-join ([regex]::Matches(('{{0:X2}}' -f 87)+'{HEX[2:]}','..')|%{{[char][Convert]::ToByte(\"$_\",16)}}))",
        "numbers in hexadecimal": f"iex (-join ('{' '.join(hex(ord(c)) for c in P)}'.Split()|%{{[char][int]$_}}))",
        "arithmetic": f"iex (-join ({SQUARES}|%{{[char](($_-7)/3)}}))",
        "octal": f"iex (-join ('{' '.join(f'{ord(c):o}' for c in P)}' -split ' '|%{{[char][Convert]::ToInt32($_,8)}}))",
        "binary": f"iex (-join ('{' '.join(f'{ord(c):b}' for c in P)}' -split ' '|%{{[char][Convert]::ToInt16($_,2)}}))",
        "XOR in a function": f"function D($d,$k){{-join($d|%{{[char]($_ -bxor $k)}})}}\niex (D @({XOR}) 9)",
        "XOR in place": f"$b=[Convert]::FromBase64String('{XOR64}');for($i=0;$i -lt $b.Length;$i++){{$b[$i]=$b[$i] -bxor 9}};iex ({UTF8}($b))",
        "XOR, key of a text": f"$k='zz';$n=0;$o='';foreach($c in {','.join(str(ord(c) ^ 122) for c in P)}){{$o+=[char]($c -bxor [int]$k[$n++%2])}};iex $o",
        "gzip, CopyTo": f"$i=New-Object IO.MemoryStream(,[Convert]::FromBase64String('{GZIP}'));$o=New-Object IO.MemoryStream;"
        "$g=New-Object IO.Compression.GzipStream $i,([IO.Compression.CompressionMode]::Decompress);$g.CopyTo($o);$g.Close();"
        f"iex ({UTF8}($o.ToArray()))",
        "gzip, read in a loop": f"$g=[IO.Compression.GZipStream]::new([IO.MemoryStream][Convert]::FromBase64String('{GZIP}'),'Decompress');"
        "$b=New-Object byte[] 16;$o=New-Object IO.MemoryStream;while(($n=$g.Read($b,0,16)) -gt 0){$o.Write($b,0,$n)};"
        f"iex ({UTF8}($o.ToArray()))",
        "URL": f"iex ([System.Web.HttpUtility]::UrlDecode('{URL}'))",
        "URI": f"iex ([uri]::UnescapeDataString('{URL}'))",
        "HTML": "iex ([Net.WebUtility]::HtmlDecode('" + "".join(f"&#{ord(c)};" for c in P) + "'))",
        "JSON": "iex ('{\"a\":\"" + "".join(f"\\u{ord(c):04x}" for c in P) + "\"}'|ConvertFrom-Json).a",
        "reversed by a function": f"function Rev($s){{$a=$s.ToCharArray();[array]::Reverse($a);-join $a}};iex (Rev '{P[::-1]}')",
        "reversed by a loop": f"$r='';for($i={len(P) - 1};$i -ge 0;$i--){{$r+='{P[::-1]}'[$i]}};iex $r",
        "$OFS": f"$OFS='';iex \"$([char[]]({CODES}))\"",
        "type put together": f"$t=[type]('Con'+'vert');iex ({UTF8}($t::FromBase64String('{E8}')))",
        "longer": f"$x='{A}';" + "".join(f"$y{n}={n};" for n in range(300)) + f"iex ($x+'{B}')",
        "within blocks": "if($true){" * 12 + f"iex ('{A}'+'{B}')" + "}" * 12,
    },
    "alphabets": {
        "special characters": "${;}=+$();${=}=${;};${+}=++${;};${@}=++${;};${.}=++${;};${[}=++${;};${]}=++${;};${(}=++${;};${)}=++${;};${&}=++${;};${|}=++${;};"
        + "${-}='['+\"$(@{})\"[\"${)}\"]+\"$(@{})\"[\"${+}${|}\"]+\"$(@{})\"[\"${@}${=}\"]+\"$?\"[${+}]+']';"
        + "iex (" + "+".join("[char]" + "\"" + "".join("${" + "=+@.[](" [int(d)] + "}" if int(d) < 7 else "${" + ")&|"[int(d) - 7] + "}" for d in str(ord(c))) + "\"" for c in P) + ")",
        "white space": "iex (-join (('" + "\t".join(" " * (ord(c) - 30) for c in P) + "' -split \"`t\")|%{[char]($_.Length+30)}))",
        "words": "$w='ba','be','bi','bo';iex (-join ('" + " ".join(
            "".join(("ba", "be", "bi", "bo")[ord(c) >> shift & 3] for shift in (6, 4, 2, 0)) for c in P
        ) + "' -split ' '|%{$n=0;for($i=0;$i -lt 8;$i+=2){$n=$n*4+$w.IndexOf($_.Substring($i,2))};[char]$n}))",
    },
}  # fmt: skip
JUNK = STEP[:-1]
UNCERTAIN = {
    "condition of a loop": f"$s='{JUNK}';$o='';for($i=4;$i -lt $u;$i+=5){{$o+=$s[$i]}};iex $o",
    "step": f"$s='{JUNK}';$o='';for($i=4;$i -lt $s.Length;$i+=$u){{$o+=$s[$i]}};iex $o",
    "branch": f"$x='{JUNK}';if($u){{$x='{P}'}};iex $x",
    "both branches": f"if($u){{$x='{JUNK}'}}else{{$x='{P}'}};iex $x",
    "elseif": f"$x='{P}';if($a){{}}elseif($b){{$x='{JUNK}'}};iex $x",
    "switch": f"switch($u){{1{{$x='{JUNK}'}}2{{$x='{P}'}}}};iex $x",
    "loop": f"$x='{JUNK}';while($u){{$x=$x.Substring(5)}};iex $x",
    "break": f"$x='';foreach($c in '{JUNK}'.ToCharArray()){{if($u -eq $c){{break}};$x+=$c}};iex $x",
    "continue": f"$x='';foreach($c in '{JUNK}'.ToCharArray()){{if($c -eq $u){{continue}};$x+=$c}};iex $x",
    "return": f"function F{{if($u){{return '{P}'}};'{JUNK}'}};iex (F)",
    "catch": f"$x='{JUNK}';try{{Get-It}}catch{{$x='{P}'}};iex $x",
    "list": f"$l='{JUNK}'.ToCharArray();if($u){{[array]::Reverse($l)}};iex (-join $l)",
    "builder": f"$b=[Text.StringBuilder]'{JUNK}';if($u){{[void]$b.Remove(0,5)}};iex $b.ToString()",
    "place": f"$b=[Text.Encoding]::UTF8.GetBytes('{JUNK}');$b[$u]=65;iex ({UTF8}($b))",
    "key": f"$b=[Convert]::FromBase64String('{HIGH64}');for($i=0;$i -lt $b.Length;$i++){{$b[$i]=$b[$i] -bxor $u}};iex ({UTF8}($b))",
    "parameter": f"function F($x='{JUNK}'){{iex $x}}",
    "script's parameter": f"param($x='{JUNK}');iex $x",
    "foreach": f"foreach($c in $u){{$x='{JUNK}';$x=$x+$c}};iex $x",
    "key that is tried": f"foreach($k in 0..99){{$t=-join({XOR}|%{{[char]($_ -bxor $k)}});if((Get-It $t) -eq 1){{iex $t}}}}",
    "function that is not known": f"$x=Get-It '{JUNK}';iex $x",
    "reference": f"$x='{JUNK}';Set-It ([ref]$x);iex $x",
    "-and": f"$x='{JUNK}';if($u -and ($x='{P}')){{}};iex $x",
    "-or": f"$x='{JUNK}';$null=$u -or ($x='{P}');iex $x",
    "unknown method of a list": f"$l=[Collections.ArrayList]@('{JUNK}','x');$l.Shuffle();iex $l[0]",
    "unknown method of a builder": f"$b=[Text.StringBuilder]'{JUNK}';$b.Mix(3);iex $b.ToString()",
    "unknown key of a table": f"$h=@{{1='{JUNK}'}};$h[$u]='{P}';iex $h[1]",
    "unknown place of a list": f"$a='{JUNK}','; x';$b=$a;$b[$u]='y';iex (-join $a)",
    "count": f"$l=[Collections.ArrayList]@();[void]$l.Add('{JUNK}');[void]$l.Add($u);iex (-join $l)",
    "first of several": f"iex (-join ('a','{JUNK}','; x'|select -Skip $u -First 2))",
    "drawn by chance": f"'{JUNK}','{P}'|Get-Random|iex",
    "sorted by chance": f"iex ('{JUNK}','{P}'|sort {{Get-Random}})[0]",
    "chosen by the day": f"iex ('{JUNK}','{P}')[[int](Get-Date).DayOfWeek%2]",
    "chosen by a file": f"if((Get-Content C:\\a) -eq '1'){{$x='{P}'}}else{{$x='{JUNK}'}};iex $x",
    "outer loop": f"$x='';:o foreach($a in 1,2){{foreach($b in '{JUNK[:20]}','{JUNK[20:]}'){{if($u){{continue o}};$x+=$b}}}};iex $x",
    "try after a failure": f"$x='no';try{{Get-It;$x='{JUNK}'}}catch{{}};iex $x",
    "dot-sourced file": f"$x='{JUNK}';. .\\lib.ps1;iex $x",
    "variable of an unknown name": f"$x='{JUNK}';Set-Variable $u 'a';iex $x",
}  # fmt: skip
CASES = [(kind, name) for kind, texts in KINDS.items() for name in texts]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_payload_is_a_layer(kind, name):
    text = KINDS[kind][name]
    wanted = (
        P if name not in ("recursion", "hashtable of letters") else {"recursion": P[:12]}.get(name, P.lower())
    )
    assert may_run([text]) == [True]
    assert wanted in [layer.text.strip() for layer in unwrap(text).layers[1:]]


@pytest.mark.parametrize("name", UNCERTAIN)
def test_what_is_not_certain_is_no_layer(name):
    layers = unwrap(UNCERTAIN[name]).layers[1:]
    assert not [layer for layer in layers if layer.depth]


# Functions that call themselves under conditions that are not known, and a list that grows: each call looks new.
WALKS = {
    "unknown argument": ("W $o.l", "W $o.r", "W $o.m"),
    "constant argument": ("W 'x'", "W 'y'", "W 'z'"),
    "counter": ("W ($o+1)", "W ($o+2)", "W ($o+3)"),
    "no argument": ("W", "W", "W"),
    "pipeline": ("$o.l|W", "$o.r|W", "$o.m|W"),
    "splatted": ("$p=@{o=$o.l};W @p", "W @p", "W @p;W @p"),
}


@pytest.mark.parametrize("kind", WALKS)
def test_a_function_that_calls_itself_takes_no_layer_away(kind):
    grows = '$l=[Collections.ArrayList]@();$null=$l.Add("a$($o.n)");$null=$l.Add("b")'
    first, second, third = WALKS[kind]
    ways = f"if($u.a){{{first}}}elseif($u.b){{{second}}}else{{{third}}}"
    found = unwrap(f"function W($o){{{grows};{ways}}}\nW $u\niex ('{P[:9]}'+'{P[9:]}')")
    assert found.cut == ""
    assert P in [layer.text for layer in found.layers]


def test_a_function_is_followed_after_it_called_itself_in_doubt():
    reads = "function W($o){if($u.a){W $u.l}elseif($u.b){W $u.r}else{W $u.m};iex $o}"
    assert P in [layer.text for layer in unwrap(f"{reads}\nW $u\nW ('{P[:9]}'+'{P[9:]}')").layers]


def test_a_closure_holds_what_was_when_it_was_made():
    layers = unwrap(f"$a='{P}';$f={{iex $a}}.GetNewClosure();$a='{JUNK}';&$f").layers[1:]
    assert [layer.text for layer in layers] == [P]


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_within_each_other(kind):
    for text in list(KINDS[kind].values())[:3]:
        wrapped = "iex ('" + text.replace("'", "''") + "'+'')"
        assert P in [layer.text.strip() for layer in unwrap(wrapped).layers[1:]]
