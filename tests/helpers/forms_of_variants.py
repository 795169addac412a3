"""Other spellings of forms: the same step, split, pattern, builder or reader, written as other people write it."""

# ruff: noqa: E501  (a form a line)
from collections.abc import Callable

from form_text import (
    Forms,
    b64,
    codes,
    gz,
    hexed,
    mixed,
    pieces,
    q,
    stepped,
)


def _templates(templates: dict[str, str]) -> Forms:
    """Return forms in which a word in capitals stands for the payload: see the replacements."""

    def form(template: str) -> Callable[[str], str]:
        def text(p: str) -> str:
            one, two, three = map(q, pieces(p, 3))
            words = {
                "STEPPED": q(stepped(p)), "LEADING": q("".join(c + "kvwj" for c in p)), "REST": q("".join(f"{x}z" for x in pieces(p, (len(p) + 3) // 4))),
                "MIXED": f"'{mixed(p, 'gx~')}'", "CODES": codes(p), "SPACED": f"'{codes(p, separator=' ')}'",
                "HEX16": f"'{codes(p, '{:04x}', '')}'", "HEX8": f"'{hexed(p)}'", "BASE": f"'{b64(p, 'utf-8')}'",
                "WIDE": f"'{b64(p)}'", "GZIP": f"'{b64(gz(p))}'", "REVERSED": q(p[::-1]), "SIZE": str(len(p)),
                "ONE": one, "TWO": two, "THREE": three, "ALL": q(p),
            }  # fmt: skip
            parts = [template]
            for word, value in words.items():  # what was put in is not looked at again
                parts = [
                    each
                    for part in parts
                    for each in ([part] if part[:1] == "\0" else _put(part, word, value))
                ]
            return "".join(part.removeprefix("\0") for part in parts)

        return text

    return {name: form(template) for name, template in templates.items()}


def _put(part: str, word: str, value: str) -> list[str]:
    first, *others = part.split(word)
    return [first] + [each for other in others for each in ("\0" + value, other)]


LOOP = "for($i=4;$i -lt $s.Length;$i+=5)"
STEPS = _templates({
    "[string]::Concat": f"$s=STEPPED;$o='';{LOOP}{{$o=[string]::Concat($o,$s[$i])}};iex $o",
    "expanded": f"$s=STEPPED;$o='';{LOOP}{{$o=\"$o$($s[$i])\"}};iex $o",
    "-f": f"$s=STEPPED;$o='';{LOOP}{{$o='{{0}}{{1}}' -f $o,$s[$i]}};iex $o",
    "-join of two": f"$s=STEPPED;$o='';{LOOP}{{$o=$o,$s[$i] -join ''}};iex $o",
    "list of characters": f"$s=STEPPED;$l=@();{LOOP}{{$l+=$s[$i]}};iex (-join $l)",
    "ArrayList": f"$s=STEPPED;$l=New-Object Collections.ArrayList;{LOOP}{{[void]$l.Add($s[$i])}};iex ($l -join '')",
    "List[char]": f"$s=STEPPED;$l=[Collections.Generic.List[char]]::new();{LOOP}{{$l.Add($s[$i])}};iex (-join $l)",
    "array of characters": f"$s=STEPPED;$r=New-Object char[] SIZE;$n=0;{LOOP}{{$r[$n++]=$s[$i]}};iex (-join $r)",
    "StringBuilder, chained": f"$s=STEPPED;$b=[Text.StringBuilder]::new();{LOOP}{{$b=$b.Append($s[$i])}};iex \"$b\"",
    "ToCharArray within": f"$s=STEPPED;{LOOP}{{$o+=$s.ToCharArray()[$i]}};iex $o",
    "get_Chars": f"$s=STEPPED;{LOOP}{{$o+=$s.get_Chars($i)}};iex $o",
    "Substring, quoted": f"$s=STEPPED;{LOOP}{{$o+=$s.\"Substring\"($i,1)}};iex $o",
    "Substring.Invoke": f"$s=STEPPED;{LOOP}{{$o+=$s.Substring.Invoke($i,1)}};iex $o",
    "Substring by a variable": f"$m='Substring';$s=STEPPED;{LOOP}{{$o+=$s.$m($i,1)}};iex $o",
    "typed count": "[int]$i=4;[string]$s=STEPPED;[string]$o='';while($i -lt $s.Length){$o+=$s[$i];$i+=5};iex $o",
    "size computed": "$n='abcd'.Length+1;$s=STEPPED;for($i=$n-1;$i -lt $s.Length;$i+=$n){$o+=$s[$i]};iex $o",
    "size, [math]": "$n=[math]::Sqrt(25);$s=STEPPED;for($i=4;$i -lt $s.Length;$i+=$n){$o+=$s[$i]};iex $o",
    "end computed before": "$s=STEPPED;$e=$s.Length-1;for($i=4;$i -le $e;$i+=5){$o+=$s[$i]};iex $o",
    "-ne at the end": "$s=STEPPED;for($i=4;$i -ne $s.Length+4;$i+=5){$o+=$s[$i]};iex $o",
    "-not -ge": "$s=STEPPED;for($i=4;-not($i -ge $s.Length);$i+=5){$o+=$s[$i]};iex $o",
    "two counts": "$s=STEPPED;$i=4;for($n=0;$n -lt SIZE;$n++){$o+=$s[$i];$i+=5};iex $o",
    "first of five": "$s=LEADING;for($i=0;$i -lt $s.Length;$i+=5){$o+=$s[$i]};iex $o",
    "first of five, Substring": "$s=LEADING;while($s){$o+=$s.Substring(0,1);$s=$s.Substring(5)};iex $o",
    "first of five, Remove": "$s=LEADING;while($s.Length -gt 0){$o+=$s[0];$s=$s.Remove(0,5)};iex $o",
    "all but the fifth": "$s=REST;$o='';for($i=0;$i -lt $s.Length;$i++){if($s[$i] -cne 'z'){$o+=$s[$i]}};iex $o",
    "range, step by * and +": "$s=STEPPED;iex (-join (0..(SIZE-1)|%{$s[4+5*$_]}))",
    "range, foreach": "$s=STEPPED;foreach($i in 0..(SIZE-1)){$o+=$s[$i*5+4]};iex $o",
    "range, ForEach()": "$s=STEPPED;iex (-join (1..SIZE).ForEach({$s[5*$_-1]}))",
    "range, Where()": "$s=STEPPED;iex (-join (0..($s.Length-1)).Where({$_ % 5 -eq 4}).ForEach({$s[$_]}))",
    "range, index": "$s=STEPPED;iex (-join $s[(1..SIZE|%{$_*5-1})])",
    "pipeline with a count": "$n=0;iex (-join (STEPPED.ToCharArray()|?{(++$n)%5 -eq 0}))",
    "pipeline, count begun within": "iex (-join ([char[]]STEPPED|%{$n=0}{$n++;if($n%5 -eq 0){$_}}))",
    "enumerator": "$e=STEPPED.GetEnumerator();$n=0;while($e.MoveNext()){if(++$n%5 -eq 0){$o+=$e.Current}};iex $o",
    "Select-Object -Index": "iex (-join (STEPPED.ToCharArray()|select -Index (1..SIZE|%{5*$_-1})))",
    "function, recursive": "function T($s){if($s.Length -lt 5){return ''}\nreturn $s.Substring(4,1)+(T $s.Substring(5))}\niex (T STEPPED)",
    "function, pipeline": "function T{process{$s=$_;-join(0..($s.Length/5-1)|%{$s[$_*5+4]})}};iex (STEPPED|T)",
    "function, default size": "function T{param([string]$s,[int]$n=5)$r='';for($i=$n-1;$i -lt $s.Length;$i+=$n){$r+=$s[$i]};$r};iex (T STEPPED)",
    "function in a function": "function A($s,$i){$s[$i]}\nfunction T($s){$r='';for($i=4;$i -lt $s.Length;$i+=5){$r+=A $s $i};$r}\niex (T STEPPED)",
    "function, splatted": "function T($s,$n){for($i=$n-1;$i -lt $s.Length;$i+=$n){$r+=$s[$i]};$r};$a=@{n=5;s=STEPPED};iex (T @a)",
    "function, no brackets at its call": "function T($s){for($i=4;$i -lt $s.Length;$i+=5){$r+=$s[$i]};$r}\n$o=T STEPPED\niex $o",
    "function, piped on": "function T($s){for($i=4;$i -lt $s.Length;$i+=5){$r+=$s[$i]};$r};T STEPPED|iex",
    "function, text in parts": "function T($s){for($i=4;$i -lt $s.Length;$i+=5){$r+=$s[$i]};$r};$a=STEPPED;$b=$a.Substring(0,10)+$a.Substring(10);iex (T $b)",
    "Invoke-Command": f"iex (icm {{param($s)$o='';{LOOP}{{$o+=$s[$i]}};$o}} -ArgumentList STEPPED)",
    "block, Invoke": f"$f={{param($s)$o='';{LOOP}{{$o+=$s[$i]}};$o}};iex $f.Invoke(STEPPED)[0]",
    "filter": f"filter T{{$s=$_;$o='';{LOOP}{{$o+=$s[$i]}};$o}};STEPPED|T|iex",
})  # fmt: skip

SPLITS = _templates({
    "-split, three": "iex (-join (MIXED -split 'g' -split 'x' -split '~'|%{[char][int]$_}))",
    "-split, alternatives": "iex (-join (MIXED -split 'g|x|~'|%{[char][int]$_}))",
    "-split, class": "iex (-join (MIXED -split '[gx~]'|%{[char][int]$_}))",
    "-split, one a line": "$a=MIXED -split 'g'\n$a=$a -split 'x'\n$a=$a -split '~'\niex (-join ($a|%{[char][int]$_}))",
    "-split, in the pipeline": "iex (-join (MIXED -split 'g'|%{$_ -split 'x'}|%{$_ -split '~'}|%{[char][int]$_}))",
    "-split, block": "iex (-join (MIXED -split {'gx~'.Contains($_)}|%{[char][int]$_}))",
    "-split, not digits": "iex (-join (MIXED -split '\\D'|%{[char][int]$_}))",
    "-split, simple match": "iex (-join (SPACED -split ' ',0,'SimpleMatch'|%{[char][int]$_}))",
    ".Split of .Split": "iex (-join (MIXED.Split('g').Split('x').Split('~')|%{[char][int]$_}))",
    ".Split, in the pipeline": "iex (-join (MIXED.Split('g')|%{$_.Split('x')}|%{$_.Split('~')}|%{[char][int]$_}))",
    ".Split and -split": "iex (-join ((MIXED.Split('g') -split 'x').Split('~')|%{[char][int]$_}))",
    ".Split, list of chars": "iex (-join (MIXED.Split(@('g','x','~'))|%{[char][int]$_}))",
    ".Split, [char[]]": "iex (-join (MIXED.Split([char[]]('g','x','~'))|%{[char][int]$_}))",
    "[regex]::Split": "iex (-join ([regex]::Split(MIXED,'g|x|~')|%{[char][int]$_}))",
    "[regex]::Matches": "iex (-join ([regex]::Matches(MIXED,'\\d+')|%{[char][int]$_.Value}))",
    "-replace, then -split": "iex (-join ((MIXED -replace '[gx~]',',') -split ','|%{[char][int]$_}))",
    "Replace, then Split": "iex (-join (MIXED.Replace('g','~').Replace('x','~').Split('~')|%{[char][int]$_}))",
    "foreach": "foreach($n in MIXED -split 'g' -split 'x' -split '~'){$o+=[char][int]$n};iex $o",
    "function": "function C($t){-join($t -split 'g' -split 'x' -split '~'|%{[char][int]$_})};iex (C MIXED)",
    "marks in a variable": "$m='g','x','~';$t=MIXED;foreach($x in $m){$t=$t -split $x};iex (-join ($t|%{[char][int]$_}))",
    "unary, lines": "iex (-join (-split @'\nCODES\n'@.Replace(',',' ')|%{[char][int]$_}))",
    "[int[]]": "iex (-join [char[]][int[]](SPACED -split ' '))",
    "[int[]], .Split": "[int[]]$n=SPACED.Split(' ');iex (-join [char[]]$n)",
})  # fmt: skip

PATTERN_VARIANTS = _templates({
    "\\w\\w": "iex ([Text.Encoding]::UTF8.GetString([byte[]](HEX8 -split '(\\w\\w)'|?{$_}|%{[Convert]::ToByte($_,16)})))",
    ".{2}": "iex ([Text.Encoding]::UTF8.GetString([byte[]](HEX8 -split '(.{2})' -ne ''|%{[Convert]::ToByte($_,16)})))",
    "[0-9a-f]{2}": "iex ([Text.Encoding]::UTF8.GetString([byte[]]([regex]::Matches(HEX8,'[0-9a-f]{2}')|%{'0x'+$_.Value})))",
    "[regex]::Matches, .Value": "iex (-join ([regex]::Matches(HEX16,'....').Value|%{[char][Convert]::ToInt32($_,16)}))",
    "[regex] object": "$r=[regex]'.{4}';iex (-join ($r.Matches(HEX16)|%{[char][Convert]::ToInt32($_.Value,16)}))",
    "[regex]::new": "$r=[regex]::new('(....)');iex (-join ($r.Split(HEX16)|?{$_}|%{[char][Convert]::ToInt32($_,16)}))",
    "(?<=\\G.{2})": "iex ([Text.Encoding]::UTF8.GetString([byte[]](HEX8 -split '(?<=\\G.{2})'|?{$_}|%{[Convert]::ToByte($_,16)})))",
    "(?<=\\G..)(?!$)": "iex ([Text.Encoding]::UTF8.GetString([byte[]](HEX8 -split '(?<=\\G..)(?!$)'|%{[Convert]::ToByte($_,16)})))",
    "(?!^)": "iex (-join (ALL -split '(?!^)'))",
    "$1 and a blank": "iex ([Text.Encoding]::UTF8.GetString([byte[]](-split (HEX8 -replace '(..)','0x$1 '))))",
    "${0}": "iex ([Text.Encoding]::UTF8.GetString([byte[]](-split (HEX8 -replace '..','0x${0} '))))",
    "$0": "iex ([Text.Encoding]::UTF8.GetString([byte[]](-split (HEX8 -replace '..','0x$0 '))))",
    "named group": "iex ([Text.Encoding]::UTF8.GetString([byte[]](-split (HEX8 -replace '(?<b>..)','0x${b} '))))",
    "$& and a comma": "iex ([Text.Encoding]::UTF8.GetString([byte[]]((HEX8 -replace '..','0x$&,').TrimEnd(',') -split ',')))",
    "%$& and UnescapeDataString": "iex ([uri]::UnescapeDataString((HEX8 -replace '..','%$&')))",
    "evaluator, $args": "iex ([regex]::Replace(HEX16,'....',{[char][Convert]::ToInt32($args[0].Value,16)}))",
    "evaluator, group": "iex ([regex]::Replace(HEX16,'(....)',{param($m)[char][Convert]::ToInt32($m.Groups[1].Value,16)}))",
    "evaluator in a variable": "$e={param($m)[string][char][Convert]::ToInt32($m.Value,16)};iex ([regex]::Replace(HEX16,'.{4}',$e))",
    "Select-String": "iex (-join ((HEX16|Select-String '....' -AllMatches).Matches|%{[char][Convert]::ToInt32($_.Value,16)}))",
    "Select-String, .Value": "iex (-join ((SPACED|sls '\\d+' -All).Matches.Value|%{[char][int]$_}))",
    "numbers by [char]$1+": "iex ((SPACED -replace '(\\d+) ?','[char]$1+').TrimEnd('+')|iex)",
    "at both ends": "iex (('##'+ALL+'##') -replace '^#+|#+$','')",
    "at the start": "iex (('-->'+ALL) -replace '^-->')",
    "all but digits": "iex (-join (MIXED -replace '[^0-9]',' ' -split ' '|%{[char][int]$_}))",
    "group of two": "iex (('~#'+ALL) -replace '(~)(#)','')",
    "optional": "iex (('~'+ALL) -replace '^~#?','')",
    "either of two words": "iex (('<junk>'+ALL+'<more>') -replace '<(?:junk|more)>','')",
    "letter case told": "iex (('QQQ'+ALL) -creplace 'Q{3}','')",
    "letter case told within": "iex (('qQq'+ALL) -replace '(?i)^QQQ','')",
    "escape of a sign": "iex (('$$'+ALL) -replace '^\\$\\$','')",
    "code of a sign": "iex (('~'+ALL) -replace '^\\x7e','')",
    "blank by \\s": "iex ((' '*3+ALL) -replace '^\\s+','')",
    "-match of two groups": "if(('k=v;'+ALL) -match '^(\\w)=(\\w);'){iex ('k=v;'+ALL).Substring($Matches[0].Length)}",
    "switch -regex and $Matches": "switch -regex ('a=7'){'^(\\w)=(\\d)$'{$n=$Matches[2]}};iex ('x'*$n+ALL).Substring(7)",
})  # fmt: skip

BUILDERS = _templates({
    "capacity": "$b=New-Object System.Text.StringBuilder(100);[void]$b.Append(ONE);$b.Append(TWO)|Out-Null;$null=$b.Append(THREE);iex $b.ToString()",
    "-ArgumentList": "$b=New-Object -TypeName Text.StringBuilder -ArgumentList ONE;[void]$b.Append(TWO).Append(THREE);iex $b.ToString()",
    "AppendFormat": "$b=[Text.StringBuilder]::new();[void]$b.AppendFormat('{0}{1}',ONE,TWO);[void]$b.Append(THREE);iex $b.ToString()",
    "AppendLine": "$b=[Text.StringBuilder]'';[void]$b.Append(ONE+TWO);[void]$b.AppendLine(THREE);iex $b.ToString()",
    "Append of a character, often": "$b=[Text.StringBuilder]::new();foreach($n in CODES){[void]$b.Append([char]$n)};iex $b.ToString()",
    "Append so often": "$b=[Text.StringBuilder]::new();[void]$b.Append('#',3).Append(ALL);iex $b.ToString().Substring(3)",
    "in a pipeline": "$b=[Text.StringBuilder]::new();CODES|%{[void]$b.Append([char]$_)};iex $b.ToString()",
    "Remove": "$b=[Text.StringBuilder]('junk'+ALL);[void]$b.Remove(0,4);iex $b.ToString()",
    "Clear": "$b=[Text.StringBuilder]'junk';[void]$b.Clear();[void]$b.Append(ALL);iex $b.ToString()",
    "Length set": "$b=[Text.StringBuilder](ALL+'junk');$b.Length-=4;iex $b.ToString()",
    "part of it": "$b=[Text.StringBuilder]('junk'+ALL);iex $b.ToString(4,$b.Length-4)",
    "as an argument": "function Fill($b){[void]$b.Append(TWO)};$b=[Text.StringBuilder]ONE;Fill $b;[void]$b.Append(THREE);iex $b.ToString()",
    "StringWriter": "$w=New-Object IO.StringWriter;$w.Write(ONE);$w.Write(TWO+THREE);iex $w.ToString()",
    "stream written": "$m=New-Object IO.MemoryStream;$b=[Text.Encoding]::UTF8.GetBytes(ALL);$m.Write($b,0,$b.Length);iex ([Text.Encoding]::UTF8.GetString($m.ToArray()))",
    "StringReader": "iex ([IO.StringReader]::new(ALL)).ReadToEnd()",
    "list of strings, AddRange": "$l=[Collections.Generic.List[string]]::new();$l.AddRange([string[]](ONE,TWO,THREE));iex (-join $l)",
    "list of strings, Insert": "$l=New-Object 'Collections.Generic.List[string]';$l.Add(THREE);$l.Insert(0,ONE);$l.Insert(1,TWO);iex ([string]::Concat($l))",
    "list, Reverse": "$l=[Collections.ArrayList]@(THREE,TWO,ONE);$l.Reverse();iex (-join $l)",
    "dictionary": "$d=New-Object 'Collections.Generic.Dictionary[string,string]';$d.Add('a',ONE);$d['b']=TWO+THREE;iex ($d['a']+$d['b'])",
    "stack, Pop": "$l=New-Object Collections.Stack;$l.Push(THREE);$l.Push(TWO);$l.Push(ONE);iex ($l.Pop()+$l.Pop()+$l.Pop())",
    "queue, while": "$l=[Collections.Queue]::new();$l.Enqueue(ONE);$l.Enqueue(TWO);$l.Enqueue(THREE);while($l.Count){$o+=$l.Dequeue()};iex $o",
    "tuple": "$t=[Tuple]::Create(ONE,TWO+THREE);iex ($t.Item1+$t.Item2)",
    "CopyTo an array": "$c=ALL.ToCharArray();$r=New-Object char[] $c.Length;[array]::Copy($c,$r,$c.Length);iex (-join $r)",
    "Clone": "$a=ONE,TWO,THREE;$b=$a.Clone();$a[0]='x';iex (-join $b)",
    "the same list by two names": "$a=ONE,'x',THREE;$b=$a;$b[1]=TWO;iex (-join $a)",
    "a text is copied": "$a=ONE;$b=$a;$b+='x';iex ($a+TWO+THREE)",
})  # fmt: skip

READERS = _templates({
    "Base64, first decoded then named": "$t=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String(BASE));Set-Alias zz Invoke-Expression;zz $t",
    "Base64, $(...)": "iex $([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String(BASE)))",
    "Base64, expanded": 'iex "$([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String(BASE)))"',
    "Base64, piped": "[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String(BASE))|iex",
    "Base64, using namespace": "using namespace System.Text\niex ([Encoding]::UTF8.GetString([Convert]::FromBase64String(BASE)))",
    "Base64, Invoke-Command": "icm -ScriptBlock ([scriptblock]::Create([Text.Encoding]::Unicode.GetString([Convert]::FromBase64String(WIDE))))",
    "Base64, function with types": "function Decode{[OutputType([string])]param([Parameter(Mandatory)][string]$Data)\n  $bytes=[System.Convert]::FromBase64String($Data)\n  return [System.Text.Encoding]::UTF8.GetString($bytes)\n}\nInvoke-Expression -Command (Decode -Data BASE)",
    "Base64, in a hashtable of functions": "$f=@{d={param($x)[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($x))}};iex (&$f['d'] BASE)",
    "Base64, tried": "try{$t=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String(BASE))}catch{exit};iex $t",
    "Base64, in if": "if([Environment]::Is64BitProcess){$d=BASE;iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($d)))}",
    "Base64, loop of parts": "$o='';foreach($d in @(BASE)){$o+=[Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($d))};iex $o",
    "Base64, Start-Job": "Start-Job {iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($args[0])))} -ArgumentList BASE",
    "Base64, New-Object of an encoding": "$e=New-Object -TypeName System.Text.UTF8Encoding;iex $e.GetString([Convert]::FromBase64String(BASE))",
    "Base64, GetChars": "iex (-join [Text.Encoding]::UTF8.GetChars([Convert]::FromBase64String(BASE)))",
    "Base64, GetString with places": "$b=[Convert]::FromBase64String(BASE);iex ([Text.Encoding]::UTF8.GetString($b,0,$b.Length))",
    "Base64, length first": "$b=[Convert]::FromBase64String(BASE);$n=$b.Count;iex ([Text.Encoding]::UTF8.GetString($b[0..($n-1)]))",
    "gzip, using a function": "function Get-Stream($b){New-Object IO.MemoryStream(,$b)}\n$z=New-Object IO.Compression.GzipStream((Get-Stream ([Convert]::FromBase64String(GZIP))),[IO.Compression.CompressionMode]::Decompress)\niex (New-Object IO.StreamReader($z)).ReadToEnd()",
    "gzip, ReadToEnd by name": "$r=New-Object IO.StreamReader(New-Object IO.Compression.GzipStream([IO.MemoryStream][Convert]::FromBase64String(GZIP),[IO.Compression.CompressionMode]::Decompress));iex $r.('Read'+'ToEnd')()",
    "gzip, % ReadToEnd": "New-Object IO.StreamReader(New-Object IO.Compression.GzipStream([IO.MemoryStream][Convert]::FromBase64String(GZIP),'Decompress'))|% ReadToEnd|iex",
    "gzip, types in variables": "$g=[IO.Compression.GZipStream];$m=[IO.MemoryStream];$r=[IO.StreamReader];iex $r::new($g::new($m::new([Convert]::FromBase64String(GZIP)),'Decompress')).ReadToEnd()",
    "gzip, -ArgumentList": "$m=New-Object -TypeName IO.MemoryStream -ArgumentList @(,[Convert]::FromBase64String(GZIP));$z=New-Object -TypeName IO.Compression.GzipStream -ArgumentList $m,([IO.Compression.CompressionMode]::Decompress);$r=New-Object -TypeName IO.StreamReader -ArgumentList $z;iex $r.ReadToEnd()",
    "reversed, function": "function Rev{param([Parameter(ValueFromPipeline)][string]$s)process{$a=$s.ToCharArray();[array]::Reverse($a);[string]::new($a)}};iex (REVERSED|Rev)",
    "reversed, one a line": "$s=REVERSED\n$a=$s.ToCharArray()\n[System.Array]::Reverse($a)\n$t=-join($a)\niex $t",
    "reversed, [string]::Join": "$a=REVERSED.ToCharArray();[Array]::Reverse($a);iex ([String]::Join('',$a))",
    "reversed, new string": "$a=[char[]]REVERSED;[Array]::Reverse($a);iex ([String]::new($a))",
    "reversed, for and Substring": "$s=REVERSED;$o='';for($i=$s.Length-1;$i -ge 0;$i--){$o+=$s.Substring($i,1)};iex $o",
    "reversed, downward range": "$s=REVERSED;iex (-join ((SIZE-1)..0|%{$s[$_]}))",
    "reversed, pushed in front": "$o='';[char[]]REVERSED|%{$o=\"$_$o\"};iex $o",
    "reversed, Insert": "$o='';foreach($c in REVERSED.ToCharArray()){$o=$o.Insert(0,$c)};iex $o",
    "reversed, sort": "$s=REVERSED;$n=0;iex (-join (0..($s.Length-1)|sort -Descending|%{$s[$_]}))",
    "reversed, -split ''": "$a=REVERSED -split '';iex (-join $a[$a.Length..0])",
    "reversed, Stack": "$k=[Collections.Stack]::new(REVERSED.ToCharArray());iex (-join $k)",
    "reversed, recursive": "function R($s){if($s.Length -le 1){return $s};return (R $s.Substring(1))+$s[0]};iex (R REVERSED)",
})  # fmt: skip
