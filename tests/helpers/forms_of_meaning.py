"""Forms that are uncovered only where operators, calls and statements mean what PowerShell says they mean."""

# ruff: noqa: E501  (a form a line)
import itertools

from form_text import (
    FROM64,
    UTF8,
    Forms,
    b64,
    codes,
    hexed,
    q,
    quoted,
    stored,
)

STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
OTHER = STANDARD[::-1]


def _turned(text: str) -> str:
    """Return the letters of ASCII 13 places on (ROT13)."""
    return "".join(
        chr((ord(c) - base + 13) % 26 + base) if c.isascii() and c.isalpha() else c
        for c in text
        for base in (65 if c.isupper() else 97,)
    )


def _columns(text: str, width: int) -> str:
    """Return the text read column by column."""
    return "".join(text[place::width] for place in range(width))


def _runs(text: str) -> str:
    return "".join(f"{len(list(group)):02}{c}" for c, group in itertools.groupby(text))


def _padded(data: bytes, size: int) -> bytes:
    return data + b" " * (-len(data) % size)


MEANING = stored({
    "comma before +": "iex (-join (ONE,TWO+THREE))",
    "comma before +, lists": "$l='a',ONE+TWO,THREE;iex (-join $l[1..3])",
    "number and text": "$n=1+'1';$x='xx'+ALL;iex $x.Substring($n)",
    "text and number": "$x='1'+1+ALL;iex $x.Substring(2)",
    "text times number": "$x='ab'*3+ALL;iex $x.Substring('ab'.Length*3)",
    "list times number": "$l=@(ALL)*3;iex $l[2]",
    "[int] rounds to even": "$l='a','b',ALL,'d';iex $l[[int](5/2)]",
    "[int] rounds to even, upwards": "$l='a','b','c','d',ALL;iex $l[[int]3.5]",
    "[math]::Floor": "$l='a','b','c',ALL;iex $l[[math]::Floor(7/2)]",
    "quotient that is whole": "$l='a','b','c',ALL;iex $l[9/3]",
    "remainder": "$l='a',ALL;iex $l[7%2]",
    "negative remainder": "$l='a','b',ALL;iex $l[-7%3]",
    "-eq of letter case": "$x='Get-Date';if('abc' -eq 'ABC'){$x=ALL};iex $x",
    "-ceq of letter case": "$x=ALL;if('abc' -ceq 'ABC'){$x='Get-Date'};iex $x",
    "-like": "$x='Get-Date';if('inert' -like 'IN*t'){$x=ALL};iex $x",
    "-match of a part": "$x='Get-Date';if('inert' -match 'E[r]'){$x=ALL};iex $x",
    "-contains": "$x='Get-Date';if('a','b' -contains 'B'){$x=ALL};iex $x",
    "-in": "$x='Get-Date';if(3 -in 1..5){$x=ALL};iex $x",
    "-and, -or, -not": "$x='Get-Date';if((1 -lt 2 -and -not ($false -or !$true))){$x=ALL};iex $x",
    "-xor": "$x='Get-Date';if($true -xor $false){$x=ALL};iex $x",
    "-is": "$x='Get-Date';if('a' -is [string]){$x=ALL};iex $x",
    "filter by -ne": "iex (-join (ONE,'x',TWO,'x',THREE -ne 'x'))",
    "filter by -notmatch": "iex (-join (ONE,'##',TWO,'##',THREE -notmatch '^##$'))",
    "null is false": "$x=ALL;if($null){$x='Get-Date'};iex $x",
    "empty text is false": "$x='Get-Date';if(''){}else{$x=ALL};iex $x",
    "zero is false": "$x='Get-Date';if(!0){$x=ALL};iex $x",
    "'0' is true": "$x='Get-Date';if('0'){$x=ALL};iex $x",
    "list of one zero is false": "$x=ALL;if(@(0)){$x='Get-Date'};iex $x",
    "statements in a text": "$a=ONE;iex \"$a$($($b=TWO+THREE;$b))\"",
    "place not expanded": "$a=ALL;$t=\"$a[0]\";iex $t.Substring(0,$t.Length-3)",
    "place expanded": "$a=ONE,TWO,THREE;iex \"$($a[0])$($a[1])$($a[2])\"",
    "scope in a text": "$global:a=ALL;iex \"$global:a\"",
    "variable of the environment in a text": "$env:zz=ALL;iex \"$env:zz\"",
    "several statements in $()": "iex $('Get-Date'|Out-Null;$x=ONE;$x+TWO+THREE)",
    "list gathered by @()": "iex (-join @(ONE;TWO;THREE))",
    "gathered by a block": "$x=&{ONE;TWO;THREE};iex (-join $x)",
    "gathered by if": "$x=if($true){ONE;TWO;THREE};iex (-join $x)",
    "gathered by foreach": "$x=foreach($n in 1,2,3){switch($n){1{ONE}2{TWO}3{THREE}}};iex (-join $x)",
    "gathered by for": "$l=ONE,TWO,THREE;$x=for($i=0;$i -lt 3;$i++){$l[$i]};iex (-join $x)",
    "gathered by while": "$l=ONE,TWO,THREE;$i=0;$x=while($i -lt 3){$l[$i++]};iex (-join $x)",
    "gathered by do": "$l=ONE,TWO,THREE;$i=0;$x=do{$l[$i];$i++}until($i -eq 3);iex (-join $x)",
    "gathered by try": "$x=try{ALL}finally{};iex $x",
    "brackets around an assignment give it": "iex ($x=ALL)",
    "assigned in a condition": "if(($x=ALL).Length -gt 5){iex $x}",
    "assigned in a call": "$l=@{};iex ($l.a=ALL)",
    "nothing of an assignment": "function f{$x='Get-Date';ALL};iex (f)",
    "nothing of ++": "function f{$i=1;$i++;ALL};iex (f)",
    "nothing of [void]": "function f{[void]'Get-Date';ALL};iex (f)",
    "nothing of Out-Null": "function f{'Get-Date'|Out-Null;'Get-Date'>$null;$null='Get-Date';ALL};iex (f)",
    "return ends": "function f{return ALL;'Get-Date'};iex (f)",
    "return ends, in a loop": "function f{foreach($x in ALL,'Get-Date'){return $x}};iex (f)",
    "return gives what came before": "function f{ONE;TWO;return THREE};iex (-join (f))",
    "one argument of brackets": "function f($a,$b){-join $a};iex (f(ONE,TWO,THREE))",
    "arguments left over": "function f($a){$a+(-join $args)};iex (f ONE TWO THREE)",
    "own value of a function": "$o=ONE;function f{$o+=TWO;$o};$x=f;iex ($x+THREE)",
    "value outside stays": "$o=ALL;function f{$o='Get-Date'};f|Out-Null;iex $o",
    "value outside is read": "$o=ONE;function f{$o+TWO+THREE};iex (f)",
    "loop variable stays": "foreach($x in 'a','b',ALL){};iex $x",
    "post-increment": "$l=ONE,TWO,THREE;$i=0;iex ($l[$i++]+$l[$i++]+$l[$i])",
    "pre-increment": "$l=ONE,TWO,THREE;$i=-1;iex ($l[++$i]+$l[++$i]+$l[++$i])",
    "decrement": "$l=THREE,TWO,ONE;$i=3;$o='';while($i){$o+=$l[--$i]};iex $o",
    "-=, *=, /=, %=": "$n=9;$n-=1;$n*=2;$n/=4;$n%=3;$l='a',ALL;iex $l[$n]",
    "*= of a text": "$x='ab';$x*=2;$x+=ALL;iex $x.Substring(4)",
    "??=": "$x=$null;$x ??= ALL;iex $x",
    "switch without break": "$o='';switch('a'){'a'{$o+=ONE}'A'{$o+=TWO}{$_ -eq 'a'}{$o+=THREE}};iex $o",
    "switch with break": "$o='';switch('a'){'a'{$o+=ONE+TWO+THREE;break}'A'{$o+='x'}};iex $o",
    "switch over a list": "$o='';switch(3,1,2){1{$o+=TWO}2{$o+=THREE}3{$o+=ONE}};iex $o",
    "switch -wildcard": "switch -wildcard('inert'){'x*'{$x='Get-Date'}'in*'{$x=ALL}};iex $x",
    "switch -regex": "switch -regex('inert'){'^x'{$x='Get-Date'}'e.t$'{$x=ALL}};iex $x",
    "switch -casesensitive": "switch -casesensitive('a'){'A'{$x='Get-Date'}'a'{$x=ALL}};iex $x",
    "label, break": ":o foreach($a in 1,2){foreach($b in 1,2){$x=ALL;break o}};iex $x",
    "label, continue": "$o='';:o foreach($a in ONE,TWO,THREE){foreach($b in 1,2){$o+=$a;continue o}};iex $o",
    "break leaves one loop": "$o='';foreach($a in ONE,TWO,THREE){foreach($b in 1,2){$o+=$a;break}};iex $o",
    "nested loops": "$l=@(@(ONE,TWO),@(THREE,''));$o='';for($i=0;$i -lt 2;$i++){for($j=0;$j -lt 2;$j++){$o+=$l[$i][$j]}};iex $o",
    "place past the end is nothing": "$l=ONE,TWO,THREE;iex (-join $l[0..9])",
    "places backwards": "$l=THREE,TWO,ONE;iex (-join $l[2..0])",
    "places from the end": "$l=TWO,THREE,ONE;iex ($l[-1]+$l[-3]+$l[-2])",
    "place of a text": "$t='x';$l=@{x=ALL};iex $l[$t[0].ToString()]",
    "lists added": "$l=@(ONE)+@(TWO)+THREE;iex (-join $l)",
    "list of a text": "$l=@(ALL);iex $l[0]",
    "unary comma": "$l=,ALL;iex $l[0]",
    "-Skip, -First": "iex (-join ('a',ONE,TWO,THREE,'b'|select -Skip 1 -First 3))",
    "-Index": "iex ('a',ALL,'b'|Select-Object -Index 1)",
    "-Unique": "iex (-join (ONE,ONE,TWO,TWO,THREE|select -Unique))",
    "-ExpandProperty": "$o=[pscustomobject]@{T=ALL};iex ($o|select -ExpandProperty T)",
    "members of each": "$o=[pscustomobject]@{T=ONE},[pscustomobject]@{T=TWO+THREE};iex (-join $o.T)",
    "% member": "$o=@{T=ALL};iex ($o|% T)",
    "Sort-Object -Property": "$l=@{n=2;t=TWO},@{n=1;t=ONE},@{n=3;t=THREE};iex (-join ($l|sort {$_.n}|%{$_.t}))",
    "Sort-Object -Descending": "iex (-join ((1,THREE),(3,ONE),(2,TWO)|sort {$_[0]} -desc|%{$_[1]}))",
    "[array]::Sort of keys": "$k=3,1,2;$v=THREE,ONE,TWO;[array]::Sort($k,$v);iex (-join $v)",
    "[array]::IndexOf": "$l='a','b';$m='Get-Date',ALL;iex $m[[array]::IndexOf($l,'b')]",
    "IndexOf of a text": "$x='##>'+ALL;iex $x.Substring($x.IndexOf('>')+1)",
    "LastIndexOf": "$x='a>b>'+ALL;iex $x.Substring($x.LastIndexOf('b>')+2)",
    "PadLeft": "$x=ALL;$y=$x.PadLeft($x.Length+3,'#');iex $y.Substring(3)",
    "Contains, StartsWith": "$x=ALL;if($x.Contains('e') -and !$x.StartsWith('#')){iex $x}",
    "Split, so many": "iex ('a:b:'+ALL).Split([char[]]':',3)[2]",
    "-split, so many": "iex (('a:b:'+ALL) -split ':',3)[2]",
    "Split, no empty ones": "iex (('::'+ALL).Split([char[]]'~',[StringSplitOptions]::RemoveEmptyEntries)[0]).Substring(2)",
    "Split at a text": "iex (('a<>b<>'+ALL).Split([string[]]'<>','None')[2])",
    "TrimStart of several": "iex ('abba'+'#'+ALL).TrimStart('ab').Substring(1)",
    "Trim of blanks": "iex ('  '+ALL+\"`t \").Trim()",
    "[string]::new of a character": "$x=[string]::new('#',3)+ALL;iex $x.Substring(3)",
    "ToString of a number": "$x=(7).ToString()+ALL;iex $x.Substring(1)",
    "hexadecimal digits of -f": "$h=@{'ff'=ALL};iex $h['{0:x2}' -f 255]",
    "digits of -f": "$h=@{'007'=ALL};iex $h['{0:d3}' -f 7]",
    "[Convert]::ToString": "$h=@{'101'=ALL};iex $h[[Convert]::ToString(5,2)]",
    "[math]": "$l='a','b','c','d',ALL;iex $l[[math]::Max([math]::Min(9,4),[math]::Abs(-2))]",
    "default of a parameter from another": "function f($a,$b=$a+TWO){$b+THREE};iex (f ONE)",
    "parameter cut short": "function f{param($Number,$Text)$Text};iex (f -n 1 -t ALL)",
    "parameter with a colon": "function f{param($Text)$Text};iex (f -Text:ALL)",
    "ValidateSet and types": "function f{param([ValidateNotNull()][string]$t,[int]$n=2)$t};iex (f ALL 3)",
    "alias of a parameter": "function f{param([Alias('zz')]$t)$t};iex (f -zz ALL)",
    "$PSBoundParameters": "function f($t){$PSBoundParameters['t']};iex (f ALL)",
    "begin, process, end": "function f{begin{$o=''}process{$o+=$_}end{$o}};iex (ONE,TWO,THREE|f)",
    "nested functions and scopes": "function a($x){function b($y){$x+$y};b TWO};iex ((a ONE)+THREE)",
    "recursion, tail": "function f($n,$o){if($n -eq 3){return $o};f ($n+1) ($o+(ONE,TWO,THREE)[$n])};iex (f 0 '')",
    "block kept in a hashtable": "$h=@{f={param($x)$x+THREE}};iex (&$h.f (ONE+TWO))",
    "block kept in a list": "$l={ONE},{TWO+THREE};iex ((&$l[0])+(&$l[1]))",
    "closure": "$a=ALL;$f={$a}.GetNewClosure();$a='Get-Date';iex (&$f)",
    "block reads late": "$a='Get-Date';$f={$a};$a=ALL;iex (&$f)",
    "data section": "data d{ALL};iex $d",
    "ConvertFrom-Csv": "$c=\"k,v`n1,x\"|ConvertFrom-Csv;$c.v=ALL;iex $c.v",
    "comparison chooses": "iex ('Get-Date',ALL)[1 -gt 0]",
    "-as gives null": "if($null -eq ('x' -as [int])){iex ALL}",
    "char + text": "$c=[char]35;$x=$c+ALL;iex $x.Substring(1)",
    "char + number": "$n=[char]'#'+1;$x=('x'*$n)+ALL;iex $x.Substring(36)",
    "[int] of a char": "$n=[int][char]'#';$x=('x'*$n)+ALL;iex $x.Substring(35)",
    "[int] of a digit": "$n=[int]'7';$x=('x'*$n)+ALL;iex $x.Substring(7)",
    "0x in a text": "$n='0x10'-bxor 0;$x=('x'*$n)+ALL;iex $x.Substring(16)",
    "kb": "$l='a',ALL;iex $l[1kb/1024]",
    "shift left": "$l='a','b','c','d',ALL;iex $l[1 -shl 2]",
    "-bor, -band, -bnot": "$l='a','b','c',ALL;iex $l[(1 -bor 2) -band -bnot 4]",
    "chars compared": "$x='Get-Date';if([char]'b' -gt [char]'a'){$x=ALL};iex $x",
})  # fmt: skip

CODES: Forms = {
    "text of a block": lambda p: f"$b={{{p}}};iex $b.ToString()",
    "text of a block, expanded": lambda p: f'$b={{{p}}};iex "$b"',
    "text of a function": lambda p: f"function zz{{{p}}};iex (Get-Command zz).Definition",
    "text of a function, by drive": lambda p: f"function zz{{{p}}};iex $function:zz",
    "ROT13": lambda p: (
        "function r($s){-join($s.ToCharArray()|%{$n=[int]$_;if(($n -ge 65 -and $n -le 77) -or ($n -ge 97 -and $n -le 109))"
        "{[char]($n+13)}elseif(($n -ge 78 -and $n -le 90) -or ($n -ge 110 -and $n -le 122)){[char]($n-13)}else{$_}})}\n"
        f"iex (r {q(_turned(p))})"
    ),
    "ROT13, remainder": lambda p: (
        f"$o='';foreach($c in {q(_turned(p))}.ToCharArray()){{if($c -cmatch '[a-z]'){{$o+=[char](([int]$c-97+13)%26+97)}}"
        "elseif($c -cmatch '[A-Z]'){$o+=[char](([int]$c-65+13)%26+65)}else{$o+=$c}};iex $o"
    ),
    "alphabet by IndexOf": lambda p: (
        f"$a='{STANDARD}';$b='{OTHER}';$o='';foreach($c in "
        + q(p.translate(str.maketrans(STANDARD, OTHER)))
        + ".ToCharArray()){$i=$b.IndexOf($c);if($i -ge 0){$o+=$a[$i]}else{$o+=$c}};iex $o"
    ),
    "Base64 of another alphabet": lambda p: (
        f"$a='{STANDARD}=';$b='{OTHER}=';iex ({UTF8}({FROM64}(-join('"
        + b64(p, "utf-8").translate(str.maketrans(STANDARD, OTHER)) + "'.ToCharArray()|%{$a[$b.IndexOf($_)]}))))"
    ),
    "Base64 for web addresses": lambda p: (
        f"$d='{b64(p, 'utf-8').replace('+', '-').replace('/', '_').rstrip('=')}'.Replace('-','+').Replace('_','/');"
        f"while($d.Length%4){{$d+='='}};iex ({UTF8}({FROM64}($d)))"
    ),
    "key of a word (Vigenere)": lambda p: (
        f"$k='inert';$d={','.join(str(ord(c) + ord('inert'[n % 5])) for n, c in enumerate(p))};$o='';"
        "for($i=0;$i -lt $d.Count;$i++){$o+=[char]($d[$i]-[int]$k[$i%$k.Length])};iex $o"
    ),
    "columns": lambda p: (
        f"$s={q(_columns(p.ljust(-(-len(p) // 4) * 4), 4))};$h=$s.Length/4;$o='';"
        "for($r=0;$r -lt $h;$r++){for($c=0;$c -lt 4;$c++){$o+=$s[$c*$h+$r]}};iex $o"
    ),
    "two texts in turn": lambda p: (
        f"$a={q(p[::2])};$b={q(p[1::2])};$o='';for($i=0;$i -lt $a.Length;$i++){{$o+=$a[$i];if($i -lt $b.Length){{$o+=$b[$i]}}}};iex $o"
    ),
    "ends in turn": lambda p: (
        f"$s={q(p[::2] + p[1::2][::-1])};$o='';$i=0;$j=$s.Length-1;while($i -le $j){{$o+=$s[$i];if($i -ne $j){{$o+=$s[$j]}};$i++;$j--}};iex $o"
    ),
    "runs": lambda p: (
        f"$s={q(_runs(p))};$o='';for($i=0;$i -lt $s.Length;$i+=3){{$o+=[string]$s[$i+2]*[int]$s.Substring($i,2)}};iex $o"
    ),
    "each word reversed": lambda p: (
        "iex (("
        + q(" ".join(word[::-1] for word in p.split(" ")))
        + " -split ' '|%{-join $_[($_.Length-1)..0]}) -join ' ')"
        if "  " not in p else f"iex ({quoted(p, 2, '+')})"
    ),
    "halves exchanged": lambda p: (
        f"$s={q(p[len(p) // 2:] + p[: len(p) // 2])};$h=[math]::Ceiling($s.Length/2);iex ($s.Substring($h)+$s.Substring(0,$h))"
    ),
    "numbers of four bytes": lambda p: (
        f"$o=@();foreach($n in {','.join(str(int.from_bytes(part, 'little')) for part in _parts(p, 4))})"
        f"{{$o+=[BitConverter]::GetBytes([uint32]$n)}};iex ({UTF8}($o))"
    ),
    "numbers of four bytes, shifted": lambda p: (
        f"$b=@();foreach($n in {','.join(str(int.from_bytes(part, 'big')) for part in _parts(p, 4))})"
        f"{{24,16,8,0|%{{$b+=($n -shr $_) -band 0xff}}}};iex ({UTF8}([byte[]]$b))"
        if p.isascii() else f"iex ({UTF8}([byte[]]({','.join(map(str, p.encode()))})))"
    ),
    "addresses of the Internet": lambda p: (
        f"$b='{' '.join('.'.join(map(str, part)) for part in _parts(p, 4))}'.Split(' ')|%{{$_.Split('.')}}|%{{[byte]$_}};iex ({UTF8}($b))"
    ),
    "addresses, [ipaddress]": lambda p: (
        f"$b='{' '.join('.'.join(map(str, part)) for part in _parts(p, 4))}'.Split(' ')|%{{([ipaddress]$_).GetAddressBytes()}};iex ({UTF8}($b))"
    ),
    "GUIDs": lambda p: (
        "$b=" + ",".join(f"'{_guid(part)}'" for part in _parts(p, 16)) + f"|%{{([guid]$_).ToByteArray()}};iex ({UTF8}($b))"
    ),
    "hardware addresses": lambda p: (
        f"$b='{' '.join('-'.join(f'{byte:02X}' for byte in part) for part in _parts(p, 6))}'.Split(' ')|%{{$_ -split '-'}}"
        f"|%{{[Convert]::ToByte($_,16)}};iex ({UTF8}($b))"
    ),
    "[BitConverter]::ToString and back": lambda p: (
        f"$h=[BitConverter]::ToString([Text.Encoding]::UTF8.GetBytes({q(p)}));iex ({UTF8}(($h.Split('-')|%{{[Convert]::ToByte($_,16)}})))"
    ),
    "Base64 and back": lambda p: (
        f"$d=[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes({q(p)}));iex ({UTF8}({FROM64}($d)))"
    ),
    "[int[]][char[]]": lambda p: "iex (-join ([int[]][char[]]" + q("".join(chr(ord(c) + 2) for c in p)) + "|%{[char]($_-2)}))",
    "HexNumber": lambda p: f"iex (-join ('{codes(p, '{:04X}', ' ')}'.Split(' ')|%{{[char][int]::Parse($_,'HexNumber')}}))",
    "big number": lambda p: (
        f"$n=[bigint]::Parse('{int.from_bytes(p.encode(), 'big')}');$b=@();while($n -gt 0){{$b=,[byte]($n%256)+$b;$n=[bigint]::Divide($n,256)}};iex ({UTF8}([byte[]]$b))"
    ),
    "bits and places": lambda p: (
        f"$s='{''.join(f'{byte:08b}' for byte in p.encode())}';$b=for($i=0;$i -lt $s.Length;$i+=8)"
        f"{{$n=0;foreach($c in $s.Substring($i,8).ToCharArray()){{$n=2*$n+[int]\"$c\"}};[byte]$n}};iex ({UTF8}($b))"
    ),
    "pairs of hexadecimal letters": lambda p: (
        f"$s='{hexed(p).translate(str.maketrans('0123456789abcdef', 'ghijklmnopqrstuv'))}';$o=@();"
        f"for($i=0;$i -lt $s.Length;$i+=2){{$o+=([int]$s[$i]-103)*16+[int]$s[$i+1]-103}};iex ({UTF8}([byte[]]$o))"
    ),
    "way never gone": lambda p: (
        "$o='';foreach($n in " + ",".join(str(ord(c) * 3 + 1) for c in p) + "){if(($n-1)%3 -eq 0){$o+=[char](($n-1)/3)}else{$o+='?'}};iex $o"
    ),
}  # fmt: skip


def _parts(text: str, size: int) -> list[bytes]:
    data = _padded(text.encode(), size)
    return [data[place : place + size] for place in range(0, len(data), size)]


def _guid(data: bytes) -> str:
    first, second, third = (data[b:e][::-1].hex() for b, e in ((0, 4), (4, 6), (6, 8)))
    return f"{first}-{second}-{third}-{data[8:10].hex()}-{data[10:].hex()}"
