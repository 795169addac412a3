"""Forms that hide a payload in a string: put together, taken apart, coded, compressed or under a key beside it."""

# ruff: noqa: E501  (a form a line)
import itertools
from collections.abc import Callable

from form_text import (
    FROM64,
    UTF8,
    Forms,
    b64,
    codes,
    df,
    dq,
    gz,
    hexed,
    marked,
    masked,
    mixed,
    pieces,
    q,
    quoted,
    secure,
    shifted,
    stepped,
    xored,
)

KEY = bytes(range(207, 191, -1))  # 16 bytes
LONG_KEY = bytes(range(3, 35))  # 32 bytes
IV = bytes(range(16))
UNICODE = "[Text.Encoding]::Unicode.GetString"


def _reordered(text: str, count: int) -> tuple[str, str]:
    """Return the slots of a format and its arguments in another order."""
    order = sorted(range(count), key=lambda place: (place * 7 + 3) % count)
    parts = pieces(text, count)
    return "".join(f"{{{order.index(place)}}}" for place in range(count)), ",".join(
        q(parts[place]) for place in order
    )


def _format(template: str, count: int) -> Callable[[str], str]:
    def form(p: str) -> str:
        slots, arguments = _reordered(p, count)
        return template.replace("SLOTS", slots).replace("ARGS", arguments)

    return form


CONCATENATED: Forms = {
    "two parts": lambda p: f"iex ({quoted(p, 2, '+')})",
    "each character": lambda p: f"iex ({quoted(p, len(p), '+')})",
    "each character, wide": lambda p: f"iex ({quoted(p, len(p), '  +   ')})",
    "both quotes": lambda p: (
        "iex (" + "+".join((q, dq)[n % 2](x) for n, x in enumerate(pieces(p, 9))) + ")"
    ),
    "brackets": lambda p: "iex ({}+({}+({}+{})))".format(*map(q, pieces(p, 4))),
    "lines": lambda p: "iex (\n" + quoted(p, 5, " +\n    ") + "\n)",
    "comments between": lambda p: "iex (<# a #>" + quoted(p, 4, "<# + 'b' #> + <##>") + ")",
    "appended": lambda p: "$x=''\n" + "\n".join(f"$x += {q(x)}" for x in pieces(p, 6)) + "\niex $x",
    "appended to itself": lambda p: "$x='';" + ";".join(f"$x=$x+{q(x)}" for x in pieces(p, 4)) + ";iex $x",
    "put before itself": lambda p: (
        "$x='';" + ";".join(f"$x={q(x)}+$x" for x in pieces(p, 4)[::-1]) + ";iex $x"
    ),
    "expanded": lambda p: "$a={};$b={};$c={};iex \"$a$b$c\"".format(*map(q, pieces(p, 3))),
    "expanded, braces": lambda p: "$a={};$b={};iex \"${{a}}${{b}}\"".format(*map(q, pieces(p, 2))),
    "expanded, brackets": lambda p: 'iex "$({})$({})"'.format(*map(q, pieces(p, 2))),
    "[string]::Concat": lambda p: f"iex ([string]::Concat({quoted(p, 3)}))",
    "[string]::Concat of a list": lambda p: f"iex ([String]::Concat(@({quoted(p, 7)})))",
    "-join before": lambda p: f"iex (-join ({quoted(p, 5)}))",
    "-join of @()": lambda p: f"iex (-join @({quoted(p, 5)}))",
    "-join behind": lambda p: f"({quoted(p, 5)}) -join '' | iex",
    "-join at a part": lambda p: (lambda m: f"iex (({','.join(map(q, p.split(m)))}) -join {q(m)})")(p[5]),
    "[string]::Join": lambda p: f"iex ([string]::Join('',({quoted(p, 5)})))",
    "[string]::Join, arguments": lambda p: f"iex ([string]::Join('',{quoted(p, 5)}))",
    "[string] and $OFS": lambda p: f"$ofs='';iex ([string]({quoted(p, 5)}))",
    "expanded list and $OFS": lambda p: f"Set-Variable OFS '';$a={quoted(p, 4)};iex \"$a\"",
    "Insert": lambda p: f"iex {q(p[:4] + p[9:])}.Insert(4,{q(p[4:9])})",
    "Remove": lambda p: f"iex {q(p[:6] + 'junk' + p[6:])}.Remove(6,4)",
    "Substring": lambda p: f"$x={q('junk' + p + 'more')};iex $x.Substring(4,$x.Length-8)",
    "Substring, two": lambda p: (
        f"$x={q(p[9:] + p[:9])};iex ($x.Substring({len(p) - 9})+$x.Substring(0,{len(p) - 9}))"
    ),
    "Trim": lambda p: f"iex {q('##' + p + '#')}.Trim('#')",
    "TrimStart, TrimEnd": lambda p: f"iex {q('~~' + p + '##')}.TrimStart('~').TrimEnd('#')",
    "range of places": lambda p: f"$x={q('junk' + p)};iex (-join $x[4..($x.Length-1)])",
    "StringBuilder": lambda p: (
        "$s=New-Object Text.StringBuilder;"
        + "".join(f"[void]$s.Append({q(x)});" for x in pieces(p, 3))
        + "iex $s.ToString()"
    ),
    "StringBuilder, chained": lambda p: (
        "iex ([System.Text.StringBuilder]::new()"
        + "".join(f".Append({q(x)})" for x in pieces(p, 3))
        + ".ToString())"
    ),
    "StringBuilder, Insert": lambda p: (
        "$s=[Text.StringBuilder]"
        + q(p[7:])
        + f";$null=$s.Insert(0,{q(p[:7])});Invoke-Expression \"$s\""
    ),
    "StringBuilder, Replace": lambda p: (
        (lambda m: f"$s=New-Object System.Text.StringBuilder {q(p.replace('t', m))};"
         f"$s.Replace({q(m)},'t')|Out-Null;iex $s.ToString()")(marked(p, "~"))
    ),
    "list, Add": lambda p: (
        "$l=New-Object Collections.ArrayList;"
        + "".join(f"[void]$l.Add({q(x)});" for x in pieces(p, 3))
        + "iex (-join $l)"
    ),
    "generic list, Add": lambda p: (
        "$l=[Collections.Generic.List[string]]::new();"
        + "".join(f"$l.Add({q(x)});" for x in pieces(p, 3))
        + "iex ($l -join '')"
    ),
    "here-strings": lambda p: "iex (@'\n{}\n'@+@'\n{}\n'@)".format(*pieces(p, 2)),
    "here-string, expanded": lambda p: f'$a={q(p[:9])};$b={q(p[9:])}\n$x=@"\n$a$b\n"@\niex $x',
    "null before": lambda p: f"iex ($null+{quoted(p, 2, '+')})",
    "list +": lambda p: "iex ((({},{})+{}) -join '')".format(*map(q, pieces(p, 3))),
}  # fmt: skip

FORMATTED: Forms = {
    "two slots": _format("iex ('SLOTS'-f ARGS)", 2),
    "double quotes": _format('iex ("SLOTS" -f ARGS)', 7),
    "each character": lambda p: _format("iex ('SLOTS'-f ARGS)", len(p))(p),
    "brackets": _format("Invoke-Expression (('SLOTS')-F(ARGS))", 5),
    "[string]::Format": _format("iex ([string]::Format('SLOTS',ARGS))", 3),
    "[string]::Format of a list": _format("iex ([string]::Format('SLOTS',@(ARGS)))", 5),
    "list in a variable": _format("$a=ARGS;iex ('SLOTS' -f $a)", 4),
    "format in a variable": _format("$f='SLOTS';iex ($f -f ARGS)", 4),
    "within another": lambda p: (
        "iex ('{{1}}{{0}}'-f('{{1}}{{0}}'-f{2},{1}),{0})".format(*map(q, pieces(p, 3)))
    ),
    "width": lambda p: f"iex (('{{0,5}}{{1}}') -f {q(p[:5])},{q(p[5:])})",
    "width, left": lambda p: f"iex ('{{0,-4}}{{1}}' -f {q(p[:4])},{q(p[4:])})",
    "doubled braces": lambda p: (
        "iex (" + q(p[:12].replace("{", "{{").replace("}", "}}") + "{0}") + f" -f {q(p[12:])})"
    ),
    "a slot twice": lambda p: (
        (lambda m: "iex (" + q(p.replace("{", "{{").replace("}", "}}").replace(m, "{0}")) + f" -f {q(m)})")(p[3])
    ),
    "piped": _format("'SLOTS'-f ARGS|iex", 6),
    "quoted brackets": _format('.("{1}{0}"-f\'x\',\'ie\') (("{0}"-f("SLOTS"-f ARGS)))', 4),
}  # fmt: skip

REVERSED: Forms = {
    "[-1..-n]": lambda p: f"$x={q(p[::-1])};iex ($x[-1..-($x.Length)] -join '')",
    "[-1..-n], number": lambda p: f"iex (-join {q(p[::-1])}[-1..-{len(p)}])",
    "brackets [-1..-n]": lambda p: f"iex ({q(p[::-1])}[ -1.. - {len(p)}]-JoIn'')",
    "[n..0]": lambda p: f"$x={q(p[::-1])};iex (-join $x[($x.Length-1)..0])",
    "[Length..0]": lambda p: f"$x={q(p[::-1])};iex (-join $x[$x.Length..0])",
    "[array]::Reverse": lambda p: f"$x={q(p[::-1])}.ToCharArray();[array]::Reverse($x);iex (-join $x)",
    "[Array]::Reverse, [char[]]": lambda p: (
        f"$x=[char[]]{q(p[::-1])};[Array]::Reverse($x);iex ([string]::Join('',$x))"
    ),
    "[Array]::Reverse, new string": lambda p: (
        f"$x=[char[]]{q(p[::-1])};[void][System.Array]::Reverse($x);iex (New-Object string (,$x))"
    ),
    "for": lambda p: (
        f"$x={q(p[::-1])};$o='';for($i=$x.Length-1;$i -ge 0;$i--){{$o+=$x[$i]}};iex $o"
    ),
    "for, Substring": lambda p: (
        f"$x={q(p[::-1])};for($i=$x.Length;$i -gt 0;$i=$i-1){{$o+=$x.Substring($i-1,1)}};iex $o"
    ),
    "while": lambda p: (
        f"$x={q(p[::-1])};$i=$x.Length;$o='';while($i -gt 0){{$i--;$o+=$x[$i]}};iex $o"
    ),
    "foreach over a range": lambda p: (
        f"$x={q(p[::-1])};foreach($i in ($x.Length-1)..0){{$o=$o+$x[$i]}};iex $o"
    ),
    "put before itself": lambda p: (
        f"$o='';foreach($c in {q(p[::-1])}.ToCharArray()){{$o=[string]$c+$o}};iex $o"
    ),
    "pipeline over a range": lambda p: (
        f"$x={q(p[::-1])};iex (-join (($x.Length-1)..0|%{{$x[$_]}}))"
    ),
    "function": lambda p: (
        "function rev([string]$t){$c=$t.ToCharArray();[array]::Reverse($c);return -join $c}\n"
        f"iex (rev {q(p[::-1])})"
    ),
    "function, loop": lambda p: (
        "function Get-Text{param($t)$o='';for($n=$t.Length-1;$n -ge 0;$n--){$o+=$t[$n]};$o}\n"
        f"Invoke-Expression (Get-Text {q(p[::-1])})"
    ),
    "function, range": lambda p: f"function r($t){{-join $t[-1..-$t.Length]}};iex (r {q(p[::-1])})",
    "stack": lambda p: (
        f"$s=New-Object Collections.Stack;{q(p[::-1])}.ToCharArray()|%{{$s.Push($_)}};iex (-join $s.ToArray())"
    ),
    "[Linq.Enumerable]::Reverse": lambda p: (
        f"iex (-join [Linq.Enumerable]::Reverse([char[]]{q(p[::-1])}))"
    ),
    "twice": lambda p: f"$x={q(p)}[-1..-{len(p)}]-join'';iex ($x[-1..-{len(p)}]-join'')",
    "reversed name": lambda p: f"$n='xei'[-1..-3]-join'';&$n ({q(p[::-1])}[-1..-{len(p)}]-join'')",
}  # fmt: skip
REVERSED_LINES: Forms = {  # of one line, as a dot matches no line feed
    "[regex]::Matches": lambda p: (
        f"iex (-join ([regex]::Matches({q(p[::-1])},'.','RightToLeft')|%{{$_.Value}}))"
    ),
    "[regex]::Matches, spelled": lambda p: (
        f"-JoIn([rEgEx]::mAtCHes({q(p[::-1])},'.','R'+'ightToLeft')|fOrEaCH{{$_.vAlUe}})|iEx"
    ),
    "[regex]::Matches, .Value": lambda p: (
        f"iex ([string]::Join('',[regex]::Matches({q(p[::-1])},'.','RightToLeft').Value))"
    ),
}  # fmt: skip

REPLACED: Forms = {
    "method": lambda p: (lambda m: f"iex {q(p.replace('e', m))}.Replace({q(m)},'e')")(marked(p, "~")),
    "method, junk": lambda p: (lambda m: f"iex ({q(m.join(p))}.Replace({q(m)},''))")(marked(p, "^")),
    "method, chained": lambda p: (
        f"iex {q(p.replace('t', '~').replace('o', '^'))}.Replace('~','t').Replace('^','o')"
    ),
    "method, [char]": lambda p: f"iex {q(p.replace('t', '~'))}.Replace([char]126,[char]116)",
    "method, [string][char]": lambda p: (
        f"iex {q(p.replace('t', 'Q7Q'))}.RePLAce(([string][char]81+'7Q'),[string][char]116)"
    ),
    "method, quotes": lambda p: f"iex {q(p.replace(chr(39), '~'))}.Replace('~',[string][char]39)",
    "method, dollars": lambda p: f'iex {dq(p.replace("$", "~"))}.Replace("~",[string][char]36)',
    "operator": lambda p: f"iex ({q(p.replace('t', 'XyZ'))} -replace 'xyz','t')",
    "operator, -creplace": lambda p: f"iex ({q(p.replace('t', 'XyZ'))} -cReplace 'XyZ','t')",
    "operator, -ireplace": lambda p: f"iex ({q(p.replace('t', 'XyZ'))} -ireplace ('x'+'yz'),[char]116)",
    "operator, chained": lambda p: (
        f"iex ({q(p.replace('t', 'Q7Q').replace('o', 'K9K'))} -creplace 'Q7Q','t' -creplace 'K9K','o')"
    ),
    "operator, junk": lambda p: f"iex ({q('~^'.join(p))} -replace '~\\^')",
    "operator, class": lambda p: f"iex ({q('~'.join(p[:9]) + '^'.join(p[9:]))} -replace '[~^]','')",
    "operator, escaped": lambda p: f"iex ({q(p.replace('t', '[*]'))} -replace [regex]::Escape('[*]'),'t')",
    "operator, alternation": lambda p: (
        f"iex ({q('~~'.join(pieces(p, 7)) + '^^')} -replace '~~|\\^\\^','')"
    ),
    "[regex]::Replace": lambda p: f"iex ([regex]::Replace({q(p.replace('t', 'Q7Q'))},'Q7Q','t'))",
    "split and join": lambda p: f"iex ({q('Q7Q'.join(pieces(p, 9)))} -split 'q7q' -join '')",
    "Split and -join": lambda p: f"iex (-join {q('~'.join(pieces(p, 9)))}.Split('~'))",
    "pairs in a loop": lambda p: (
        f"$x={q(p.replace('t', '~').replace('o', '^'))};foreach($n in @(('~','t'),('^','o')))"
        "{$x=$x.Replace($n[0],$n[1])};iex $x"
    ),
    "ToLower of a part": lambda p: f"iex ({q(p[:2])}+{q(p[2:4].upper())}.ToLower()+{q(p[4:])})",
    "table of characters": lambda p: (
        (lambda t: f"$t={q(t)};iex (-join ({','.join(str(t.index(c)) for c in p)}|%{{$t[$_]}}))")(
            "".join(sorted(set(p), key=lambda c: (ord(c) * 37 % 101, c)))
        )
    ),
    "table of characters, index": lambda p: (
        (lambda t: f"$t={q(t)};iex ($t[{','.join(str(t.index(c)) for c in p)}] -join '')")(
            "".join(sorted(set(p), key=lambda c: (ord(c) * 37 % 101, c)))
        )
    ),
    "table, hashtable": lambda p: (
        (lambda t: "$t=@{" + ";".join(f"{n}={q(c)}" for n, c in enumerate(t)) + "};$o='';"
         f"foreach($n in {','.join(str(t.index(c)) for c in p)}){{$o+=$t[$n]}};iex $o")("".join(sorted(set(p))))
    ),
    "shift by one": lambda p: (
        "iex (-join (" + q("".join(chr(ord(c) + 1) for c in p)) + ".ToCharArray()|%{[char]([int]$_-1)}))"
    ),
    "shift in a function": lambda p: (
        "function Move($t,$n){$o='';foreach($c in [char[]]$t){$o+=[char]([int]$c-$n)};return $o}\n"
        "iex (Move " + q("".join(chr(ord(c) + 3) for c in p)) + " 3)"
    ),
}  # fmt: skip

ASCII_CODES: Forms = {
    "[char[]]": lambda p: f"iex (-join [char[]]({codes(p)}))",
    "[char[]] behind": lambda p: f"([char[]]({codes(p)})-join'')|iex",
    "[string]::Join": lambda p: f"iex ([string]::Join('',[char[]]({codes(p)})))",
    "[string][char[]] and $OFS": lambda p: f"$ofs='';iex ([string][char[]]({codes(p)}))",
    "new string": lambda p: f"iex (New-Object string (,[char[]]({codes(p)})))",
    "[string]::new": lambda p: f"iex ([string]::new([char[]]({codes(p)})))",
    "% {[char]}": lambda p: f"iex (({codes(p)}|%{{[char]$_}})-join'')",
    "% {[char][int]}": lambda p: f"iex (-join ({codes(p)}|ForEach-Object{{([char][int]$_)}}))",
    "-split": lambda p: f"iex (-join ('{codes(p, separator='x')}' -split 'x'|%{{[char][int]$_}}))",
    "-split, class": lambda p: (
        "iex (('"
        + mixed(p, "x~,;")
        + "' -split '[x~,;]'|%{[char][int]$_})-join'')"
    ),
    "-split, chained": lambda p: (
        "iex (('"
        + mixed(p, "x~,;")
        + "' -split 'x' -split '~' -split ',' -split ';'|%{[char][int]$_})-join'')"
    ),
    "-split, chained, -csplit": lambda p: (
        "('"
        + mixed(p, "hQm")
        + "'-cSplit'h'-iSplit'Q'-sPlIt'm'|foreach{([cHAR][InT]$_)})-jOIn''|iex"
    ),
    "-split, white space": lambda p: f"iex (-join (-split '{codes(p, separator=' ')}'|%{{[char][int]$_}}))",
    ".Split": lambda p: f"iex (-join ('{codes(p, separator='!')}'.Split('!')|%{{[char][int]$_}}))",
    ".Split, several": lambda p: (
        "iex (-join ('"
        + mixed(p, "x~,;")
        + "'.Split('x~,;')|%{[char][int]$_}))"
    ),
    ".Split, [char[]]": lambda p: (
        "iex (-join ('"
        + mixed(p, "x~")
        + "'.Split([char[]]'x~')|%{[char][int]$_}))"
    ),
    "+": lambda p: f"iex ({codes(p, '[char]{}', '+')})",
    "+, brackets": lambda p: f"iex ({codes(p, '([ChAr]({}))', ' + ')})",
    "+, hexadecimal": lambda p: f"iex ({codes(p, '[char]0x{:x}', '+')})",
    "+, sums": lambda p: "iex (" + "+".join(f"[char]({ord(c) - 9}+9)" for c in p) + ")",
    "+, products": lambda p: "iex (" + "+".join(f"[char]({ord(c)}*{2 + n % 3}/{2 + n % 3})" for n, c in enumerate(p)) + ")",
    "expanded": lambda p: 'iex "' + codes(p, "$([char]{})", "") + '"',
    "expanded, bytes": lambda p: 'iex "' + codes(p, "$([char]([byte]0x{:x}))", "") + '"' if p.isascii() else 'iex "' + codes(p, "$([char](0x{:x}))", "") + '"',
    "-f": lambda p: "iex ('" + "".join(f"{{{n}}}" for n in range(len(p))) + f"'-f{codes(p, '[char]{}')})",
    "[convert]::ToChar": lambda p: f"iex (-join ({codes(p)}|%{{[Convert]::ToChar($_)}}))",
    "[char]::ConvertFromUtf32": lambda p: f"iex (-join ({codes(p)}|%{{[char]::ConvertFromUtf32($_)}}))",
    "-as [char]": lambda p: f"iex (-join ({codes(p)}|%{{$_ -as [char]}}))",
    "-as 'char'": lambda p: f"iex (-join ({codes(p)}|%{{$_ -as 'char'}}))",
    ".ForEach({})": lambda p: f"iex (-join ({codes(p)}).ForEach({{[char]$_}}))",
    ".ForEach([char])": lambda p: f"iex (-join ({codes(p)}).ForEach([char]))",
    "foreach": lambda p: f"foreach($c in {codes(p)}){{$o+=[char]$c}};iex $o",
    "foreach, expression": lambda p: f"iex ($(foreach($c in @({codes(p)})){{[char]$c}})-join'')",
    "foreach, assigned": lambda p: f"$o=foreach($c in {codes(p)}){{[char]$c}};iex (-join $o)",
    "for": lambda p: f"$a=@({codes(p)});$o='';for($i=0;$i -lt $a.Count;$i++){{$o+=[char]$a[$i]}};iex $o",
    "while": lambda p: f"$a={codes(p)};$i=0;while($i -lt $a.Length){{$o+=[char]$a[$i];$i++}};iex $o",
    "do": lambda p: f"$a={codes(p)};$i=0;$o='';do{{$o+=[char]$a[$i++]}}until($i -ge $a.Count);iex $o",
    "function": lambda p: f"function c($n){{[char]$n}};iex ({'+'.join(f'(c {ord(c)})' for c in p)})",
    "function of a list": lambda p: f"function d($a){{-join($a|%{{[char]$_}})}}\niex (d ({codes(p)}))",
    "offset": lambda p: f"iex (-join (({shifted(p, 5)})|%{{[char]($_-5)}}))",
    "offset in a variable": lambda p: f"$k=17;iex (-join ({shifted(p, 17)}|%{{[char]($_-$k)}}))",
    "times": lambda p: f"iex (-join ({','.join(str(3 * ord(c)) for c in p)}|%{{[char]($_/3)}}))",
    "modulo": lambda p: f"iex (-join ({shifted(p, 2048)}|%{{[char]($_%2048)}}))",
    "-band": lambda p: f"iex (-join ({shifted(p, 4096)}|%{{[char]($_ -band 0xfff)}}))",
    "-bnot": lambda p: f"iex (-join ({','.join(str(~ord(c)) for c in p)}|%{{[char](-bnot $_)}}))",
    "-shr": lambda p: f"iex (-join ({','.join(str(ord(c) << 2) for c in p)}|%{{[char]($_ -shr 2)}}))",
    "less a count": lambda p: (
        f"$n=0;iex (-join ({','.join(str(ord(c) + n) for n, c in enumerate(p))}|%{{[char]($_-$n);$n++}}))"
    ),
    "differences": lambda p: (
        "$l=0;$o='';foreach($d in "
        + ",".join(str(ord(b) - ord(a)) for a, b in itertools.pairwise("\0" + p))
        + "){$l+=$d;$o+=[char]$l};iex $o"
    ),
    "reversed list": lambda p: f"$a={codes(p[::-1])};[array]::Reverse($a);iex (-join [char[]]$a)",
    "list of texts": lambda p: "iex (-join (" + codes(p, "'{}'") + "|%{[char][int]$_}))",
    "fixed width": lambda p: (
        f"$s='{codes(p, '{:05}', '')}';$o='';for($i=0;$i -lt $s.Length;$i+=5)"
        "{$o+=[char][int]$s.Substring($i,5)};iex $o"
    ),
}  # fmt: skip

NUMBER_BASES: Forms = {
    "hexadecimal, -split": lambda p: (
        f"iex (-join ('{codes(p, '{:x}', '-')}' -split '-'|%{{[char]([convert]::toint16($_,16))}}))"
    ),
    "hexadecimal, .Split": lambda p: (
        f"iex (-join ('{codes(p, '{:X}', '!')}'.Split('!')|%{{([char]([Convert]::ToInt32(([String]$_),16)))}}))"
    ),
    "hexadecimal, list": lambda p: f"iex (-join [char[]]({codes(p, '0x{:x}')}))",
    "hexadecimal, '0x'+": lambda p: (
        f"iex (-join ('{codes(p, '{:x}', ' ')}'.Split(' ')|%{{[char][int]('0x'+$_)}}))"
    ),
    "hexadecimal, \"0x$_\"": lambda p: (
        f"iex (-join ('{codes(p, '{:x}', '.')}'.Split('.')|%{{[char][int]\"0x$_\"}}))"
    ),
    "hexadecimal, four digits": lambda p: (
        f"iex (-join ('{codes(p, '{:04x}', '')}' -split '(....)'|?{{$_}}|%{{[char][convert]::ToUInt16($_,16)}}))"
    ),
    "hexadecimal, Substring": lambda p: (
        f"$s='{codes(p, '{:04x}', '')}';$o='';for($i=0;$i -lt $s.Length;$i+=4)"
        "{$o+=[char][Convert]::ToInt32($s.Substring($i,4),16)};iex $o"
    ),
    "hexadecimal, while": lambda p: (
        f"$s='{codes(p, '{:04x}', '')}';while($s.Length){{$o+=[char][Convert]::ToInt32($s.Substring(0,4),16);"
        "$s=$s.Substring(4)};iex $o"
    ),
    "octal": lambda p: (
        f"iex (-join ('{codes(p, '{:o}', ' ')}'.Split(' ')|%{{[char]([Convert]::ToInt16($_,8))}}))"
    ),
    "octal, -split": lambda p: (
        f"(('{codes(p, '{:o}', 'x')}'-SPlIt'x'|foReACh{{([cHAr]([CoNVert]::toINT32(([stRInG]$_),8)))}})-JOin'')|iex"
    ),
    "binary": lambda p: (
        f"iex (-join ('{codes(p, '{:b}', ' ')}'.Split(' ')|%{{[char]([Convert]::ToInt32($_,2))}}))"
    ),
    "binary, fixed width": lambda p: (
        f"iex (-join ('{codes(p, '{:016b}', '')}' -split '(.{{16}})'|?{{$_}}|%{{[char][Convert]::ToUInt16($_,2)}}))"
    ),
    "binary, letters": lambda p: (
        "iex (-join ('"
        + codes(p, "{:b}", " ").replace("0", "o").replace("1", "l")
        + "'.Replace('o','0').Replace('l','1').Split(' ')|%{[char][Convert]::ToInt32($_,2)}))"
    ),
    "base 10 by [int]::Parse": lambda p: (
        f"iex (-join ('{codes(p, separator='_')}'.Split('_')|%{{[char][int]::Parse($_)}}))"
    ),
}  # fmt: skip
HEX_BYTES: Forms = {  # bytes of UTF-8
    "-split '(..)'": lambda p: (
        f"iex ({UTF8}(('{hexed(p)}' -split '(..)'|?{{$_}}|%{{[Convert]::ToByte($_,16)}})))"
    ),
    "-split '(?<=\\G..)'": lambda p: (
        f"$b=[byte[]]('{hexed(p)}' -split '(?<=\\G..)'|?{{$_}}|%{{[Convert]::ToByte($_,16)}});iex ({UTF8}($b))"
    ),
    "-replace '..','0x$& '": lambda p: f"iex ({UTF8}([byte[]] -split ('{hexed(p)}' -replace '..','0x$& ')))",
    "[regex]::Matches": lambda p: (
        f"iex ({UTF8}(([regex]::Matches('{hexed(p)}','..')|%{{[Convert]::ToByte($_.Value,16)}})))"
    ),
    "[regex]::Split": lambda p: (
        f"iex ({UTF8}(([regex]::Split('{hexed(p)}','(..)')|?{{$_ -ne ''}}|%{{[byte]('0x'+$_)}})))"
    ),
    "for, Substring": lambda p: (
        f"$h='{hexed(p)}';$b=for($i=0;$i -lt $h.Length;$i+=2){{[Convert]::ToByte($h.Substring($i,2),16)}};"
        f"iex ({UTF8}($b))"
    ),
    "for, array": lambda p: (
        f"$h='{hexed(p)}';$b=New-Object byte[] ($h.Length/2);for($i=0;$i -lt $h.Length;$i+=2)"
        f"{{$b[$i/2]=[Convert]::ToByte($h.Substring($i,2),16)}};iex ({UTF8}($b))"
    ),
    "function": lambda p: (
        "function FromHex([string]$h){$b=[byte[]]::new($h.Length/2)\nfor($i=0;$i -lt $h.Length;$i+=2)"
        f"{{$b[$i/2]=[Convert]::ToByte($h.Substring($i,2),16)}}\nreturn $b}}\niex ({UTF8}((FromHex '{hexed(p)}')))"
    ),
    "range with steps": lambda p: (
        f"$h='{hexed(p)}';iex ({UTF8}([byte[]](0..($h.Length/2-1)|%{{[Convert]::ToByte($h.Substring(2*$_,2),16)}})))"
    ),
    "[Convert]::FromHexString": lambda p: f"iex ({UTF8}([Convert]::FromHexString('{hexed(p)}')))",
    "list of bytes": lambda p: (
        f"[byte[]]$b={','.join(f'0x{b:02X}' for b in p.encode())};iex ({UTF8}($b))"
    ),
    "list of bytes, inline": lambda p: (
        f"iex ([System.Text.Encoding]::UTF8.GetString([byte[]]@({','.join(map(str, p.encode()))})))"
    ),
    "dashes": lambda p: (
        f"iex ({UTF8}(('{'-'.join(f'{b:02X}' for b in p.encode())}'.Split('-')|%{{[byte]\"0x$_\"}})))"
    ),
    "SoapHexBinary": lambda p: (
        f"iex ({UTF8}([Runtime.Remoting.Metadata.W3cXsd2001.SoapHexBinary]::Parse('{hexed(p)}').Value))"
    ),
    "StreamReader": lambda p: (
        f"[byte[]]$b={','.join(map(str, p.encode()))};$r=New-Object IO.StreamReader(New-Object "
        "IO.MemoryStream(,$b));iex $r.ReadToEnd()"
    ),
}  # fmt: skip

BASE64: Forms = {
    "UTF-8": lambda p: f"iex ({UTF8}({FROM64}('{b64(p, 'utf-8')}')))",
    "Unicode": lambda p: f"iex ({UNICODE}({FROM64}('{b64(p)}')))",
    "big endian": lambda p: (
        f"iex ([Text.Encoding]::BigEndianUnicode.GetString({FROM64}('{b64(p, 'utf-16-be')}')))"
    ),
    "UTF-32": lambda p: f"iex ([Text.Encoding]::UTF32.GetString({FROM64}('{b64(p, 'utf-32-le')}')))",
    "GetEncoding(65001)": lambda p: f"iex ([Text.Encoding]::GetEncoding(65001).GetString({FROM64}('{b64(p, 'utf-8')}')))",
    "GetEncoding('utf-16')": lambda p: f"iex ([Text.Encoding]::GetEncoding('utf-16').GetString({FROM64}('{b64(p)}')))",
    "UTF8Encoding": lambda p: f"iex ((New-Object Text.UTF8Encoding).GetString({FROM64}('{b64(p, 'utf-8')}')))",
    "[UnicodeEncoding]::new()": lambda p: f"iex ([Text.UnicodeEncoding]::new().GetString({FROM64}('{b64(p)}')))",
    "encoding in a variable": lambda p: f"$e=[System.Text.Encoding]::UTF8;iex $e.GetString({FROM64}('{b64(p, 'utf-8')}'))",
    "one step a line": lambda p: (
        f"$d='{b64(p, 'utf-8')}'\n$b=[System.Convert]::FromBase64String($d)\n"
        "$t=[System.Text.Encoding]::UTF8.GetString($b)\nInvoke-Expression -Command $t"
    ),
    "type in a variable": lambda p: f"$c=[Convert];$t=[Text.Encoding];iex $t::UTF8.GetString($c::FromBase64String('{b64(p, 'utf-8')}'))",
    "type by name": lambda p: (
        f"$c=[type]('Con'+'vert');iex ({UTF8}($c::FromBase64String('{b64(p, 'utf-8')}')))"
    ),
    "type by -as": lambda p: f"iex ({UTF8}(('Convert' -as [type])::FromBase64String('{b64(p, 'utf-8')}')))",
    "member by name": lambda p: f"iex ({UTF8}([Convert]::('From'+'Base64'+'String').Invoke('{b64(p, 'utf-8')}')))",
    "member quoted": lambda p: f"iex ([Text.Encoding]::\"uTF8\".\"GetStr`ing\"([Convert]::'FromBase64String'('{b64(p, 'utf-8')}')))",
    "put together": lambda p: f"iex ({UTF8}({FROM64}({quoted(b64(p, 'utf-8'), 5, '+')})))",
    "lines": lambda p: "$d=@'\n" + "\n".join(pieces(b64(p, "utf-8"), 4)) + f"\n'@\niex ({UTF8}({FROM64}($d)))",
    "replaced": lambda p: f"iex ({UTF8}({FROM64}('{b64(p, 'utf-8').replace('e', '!')}'.Replace('!','e'))))",
    "reversed": lambda p: (
        f"$d='{b64(p, 'utf-8')[::-1]}';iex ({UTF8}({FROM64}(-join $d[-1..-$d.Length])))"
    ),
    "reversed array, as text": lambda p: (
        f"$d='{b64(p, 'utf-8')[::-1]}'.ToCharArray();[array]::Reverse($d);-join $d 2>&1>$null;"
        f"$l={UTF8}({FROM64}(\"$d\"));New-Alias -Name go -Value ('Inv'+'oke-Ex'+'pression') -Force;go $l"
    ),
    "characters": lambda p: f"iex ({UTF8}({FROM64}(-join [char[]]({codes(b64(p, 'utf-8'))}))))",
    "FromBase64CharArray": lambda p: (
        f"$d=[char[]]'{b64(p, 'utf-8')}';iex ({UTF8}([Convert]::FromBase64CharArray($d,0,$d.Length)))"
    ),
    "StreamReader": lambda p: (
        f"$m=New-Object IO.MemoryStream(,{FROM64}('{b64(p, 'utf-8')}'));"
        "iex (New-Object IO.StreamReader($m)).ReadToEnd()"
    ),
    "StreamReader with an encoding": lambda p: (
        f"$m=[IO.MemoryStream]{FROM64}('{b64(p)}');"
        "iex ([IO.StreamReader]::new($m,[Text.Encoding]::Unicode)).ReadToEnd()"
    ),
    "twice": lambda p: f"iex ({UTF8}({FROM64}({UTF8}({FROM64}('{b64(b64(p, 'utf-8'), 'utf-8')}')))))",
    "three times, loop": lambda p: (
        f"$d='{b64(b64(b64(p, 'utf-8'), 'utf-8'), 'utf-8')}';foreach($n in 1..3){{$d={UTF8}({FROM64}($d))}};iex $d"
    ),
    "function": lambda p: (
        f"function Dec($t){{return {UTF8}({FROM64}($t))}}\nInvoke-Expression (Dec '{b64(p, 'utf-8')}')"
    ),
    "function, two parts": lambda p: (
        f"function d([string]$t){{{UTF8}({FROM64}($t))}};iex ((d '{b64(p[:8], 'utf-8')}')+(d '{b64(p[8:], 'utf-8')}'))"
    ),
    "pipeline": lambda p: f"'{b64(p, 'utf-8')}'|%{{{FROM64}($_)}}|%{{[char]$_}}|%{{$o+=$_}};iex $o" if p.isascii()
        else f"'{b64(p, 'utf-8')}'|%{{{UTF8}({FROM64}($_))}}|iex",
    "pairs in one string": lambda p: (
        f"$d='{b64(p[:9], 'utf-8')}|{b64(p[9:], 'utf-8')}';iex (-join ($d.Split('|')|%{{{UTF8}({FROM64}($_))}}))"
    ),
    "hash table": lambda p: f"$h=@{{d='{b64(p, 'utf-8')}'}};iex ({UTF8}({FROM64}($h.d)))",
    "argument of a script block": lambda p: f"&{{iex ({UTF8}({FROM64}($args[0])))}} '{b64(p, 'utf-8')}'",
}  # fmt: skip

XORED: Forms = {
    "number": lambda p: f"iex (-join ({codes(p, key=35)}|%{{[char]($_ -bxor 35)}}))",
    "hexadecimal": lambda p: f"iex (-join (({codes(p, key=0x23)})|%{{[char]($_ -bxor 0x23)}}))",
    "string": lambda p: f"iex (-join ({codes(p, key=35)}|%{{[char]($_ -bxor '0x23')}}))",
    "variable": lambda p: f"$k=91;iex (-join ({codes(p, key=91)}|%{{[char]($_ -bxor $k)}}))",
    "-split": lambda p: f"iex (-join ('{codes(p, key=19, separator=' ')}' -split ' '|%{{[char]($_ -bxor 19)}}))",
    "-split, chained": lambda p: (
        "iex (-join ('"
        + "".join(f"{ord(c) ^ 77}{'y!'[n % 2]}" for n, c in enumerate(p))[:-1]
        + "'-split'y'-split'!'|%{[char]($_-bxor 77)}))"
    ),
    "[char[]]": lambda p: f"iex (-join [char[]]({codes(p, key=7)}|%{{$_ -bxor 7}}))",
    "characters of a string": lambda p: (
        "iex (-join (" + q("".join(chr(ord(c) ^ 1) for c in p)) + ".ToCharArray()|%{[char]([int]$_ -bxor 1)}))"
    ),
    "function": lambda p: (
        f"function D($d,$k){{-join($d|%{{[char]($_ -bxor $k)}})}}\niex (D @({codes(p, key=9)}) 9)"
    ),
    "function, named": lambda p: (
        "function Unlock{param([int[]]$Data,[int]$Key=1)\n$o='';foreach($d in $Data){$o+=[char]($d -bxor $Key)}"
        f"\nreturn $o}}\niex (Unlock -Key 66 -Data {codes(p, key=66)})"
    ),
    "list of keys": lambda p: (
        f"$k=1,2,3;$d={codes(p, key=(1, 2, 3))};$o='';for($i=0;$i -lt $d.Count;$i++)"
        "{$o+=[char]($d[$i] -bxor $k[$i%$k.Count])};iex $o"
    ),
    "key of characters": lambda p: (
        f"$k='key';$d={codes(p, key=b'key')};$o='';for($i=0;$i -lt $d.Length;$i++)"
        "{$o+=[char]($d[$i] -bxor [int]$k[$i%$k.Length])};iex $o"
    ),
    "key of characters, pipeline": lambda p: (
        f"$k=[char[]]'secret';$i=0;iex (-join ({codes(p, key=b'secret')}|%{{[char]($_ -bxor $k[$i++%6])}}))"
    ),
    "key is the place": lambda p: (
        f"$d={codes(p, key=range(len(p)))};iex (-join (0..($d.Length-1)|%{{[char]($d[$_] -bxor $_)}}))"
    ),
    "rolling key": lambda p: (
        "$k=37;$o='';foreach($d in "
        + ",".join(str(ord(b) ^ ord(a)) for a, b in itertools.pairwise("%" + p))
        + "){$k=$d -bxor $k;$o+=[char]$k};iex $o"
    ),
    "twice": lambda p: f"iex (-join ({codes(p, key=5 ^ 9)}|%{{$_ -bxor 5}}|%{{[char]($_ -bxor 9)}}))",
    "and an offset": lambda p: (
        "iex (-join (" + ",".join(str((ord(c) ^ 44) + 3) for c in p) + "|%{[char](($_-3) -bxor 44)}))"
    ),
    "bytes in place": lambda p: (
        f"$b={FROM64}('{b64(xored(p, b'A'))}');for($i=0;$i -lt $b.Length;$i++){{$b[$i]=$b[$i] -bxor 0x41}};"
        f"iex ({UTF8}($b))"
    ),
    "bytes in place, -bxor=": lambda p: (
        f"$b={FROM64}('{b64(xored(p, b'Kq'))}');$k=[Text.Encoding]::ASCII.GetBytes('Kq');"
        f"for($i=0;$i -lt $b.Count;$i++){{$b[$i]=[byte]($b[$i] -bxor $k[$i%$k.Length])}};iex ({UTF8}($b))"
    ),
    "bytes, pipeline": lambda p: (
        f"iex ({UTF8}(({FROM64}('{b64(xored(p, b'*'))}')|%{{$_ -bxor 42}})))"
    ),
    "bytes, function": lambda p: (
        "function X([byte[]]$b,[string]$k){$r=New-Object byte[] $b.Length;for($i=0;$i -lt $b.Length;$i++)"
        "{$r[$i]=$b[$i] -bxor [byte][char]$k[$i%$k.Length]};return ,$r}\n"
        f"iex ({UTF8}((X ({FROM64}('{b64(xored(p, b'longer'))}')) 'longer')))"
    ),
    "hexadecimal text": lambda p: (
        f"$o=[byte[]]('{hexed(xored(p, b'Z'))}' -split '(..)'|?{{$_}}|%{{[Convert]::ToByte($_,16) -bxor 90}});"
        f"iex ({UTF8}($o))"
    ),
}  # fmt: skip

UNGZIP = "New-Object IO.Compression.GzipStream({},[IO.Compression.CompressionMode]::Decompress)"
UNDEFLATE = "New-Object IO.Compression.DeflateStream({},[IO.Compression.CompressionMode]::Decompress)"
COMPRESSED: Forms = {
    "gzip, readers within": lambda p: (
        "iex (New-Object IO.StreamReader(("
        + UNGZIP.format(f"(New-Object IO.MemoryStream(,{FROM64}('{b64(gz(p))}')))")
        + "))).ReadToEnd()"
    ),
    "gzip, one step a line": lambda p: (
        f"$d='{b64(gz(p))}'\n$b={FROM64}($d)\n$m=New-Object System.IO.MemoryStream\n$m.Write($b,0,$b.Length)\n"
        "$m.Seek(0,0)|Out-Null\n$z=New-Object System.IO.Compression.GZipStream($m,"
        "[System.IO.Compression.CompressionMode]::Decompress)\n$r=New-Object System.IO.StreamReader($z)\n"
        "$t=$r.ReadToEnd()\nInvoke-Expression $t"
    ),
    "gzip, memory stream of bytes": lambda p: (
        f"$m=[IO.MemoryStream]::new({FROM64}('{b64(gz(p))}'));"
        "$z=[IO.Compression.GZipStream]::new($m,[IO.Compression.CompressionMode]::Decompress);"
        "iex ([IO.StreamReader]::new($z)).ReadToEnd()"
    ),
    "gzip, CopyTo": lambda p: (
        f"$i=New-Object IO.MemoryStream(,{FROM64}('{b64(gz(p))}'));$o=New-Object IO.MemoryStream;"
        "$z=New-Object IO.Compression.GzipStream $i,([IO.Compression.CompressionMode]::Decompress);"
        f"$z.CopyTo($o);$z.Close();iex ({UTF8}($o.ToArray()))"
    ),
    "gzip, read in a loop": lambda p: (
        f"$i=New-Object IO.MemoryStream(,{FROM64}('{b64(gz(p))}'));$o=New-Object IO.MemoryStream;"
        "$z=New-Object IO.Compression.GzipStream($i,[IO.Compression.CompressionMode]::Decompress);"
        "$c=New-Object byte[] 1024;while($true){$n=$z.Read($c,0,1024);if($n -le 0){break};$o.Write($c,0,$n)};"
        f"iex ({UTF8}($o.ToArray()))"
    ),
    "gzip, mode by name": lambda p: (
        f"iex ((New-Object IO.StreamReader(New-Object IO.Compression.GZipStream([IO.MemoryStream]{FROM64}("
        f"'{b64(gz(p))}'),'Decompress'))).ReadToEnd())"
    ),
    "gzip, function": lambda p: (
        "function Expand-Text([byte[]]$b){$m=New-Object IO.MemoryStream(,$b);$z="
        + UNGZIP.format("$m")
        + ";$r=New-Object IO.StreamReader($z);$t=$r.ReadToEnd();$r.Close();return $t}\n"
        f"iex (Expand-Text ({FROM64}('{b64(gz(p))}')))"
    ),
    "gzip, memory stream of a byte list": lambda p: (
        f"[byte[]]$b={','.join(map(str, gz(p)))};iex (New-Object IO.StreamReader("
        + UNGZIP.format("(New-Object IO.MemoryStream(,$b))")
        + ")).ReadToEnd()"
    ),
    "deflate, pipeline": lambda p: (
        f"(New-Object IO.Compression.DeflateStream([IO.MemoryStream]{FROM64}('{b64(df(p))}'),"
        "[IO.Compression.CompressionMode]::Decompress)|%{New-Object IO.StreamReader($_,[Text.Encoding]::UTF8)}"
        "|%{$_.ReadToEnd()})|iex"
    ),
    "deflate, readers within": lambda p: (
        "iex (New-Object IO.StreamReader((" + UNDEFLATE.format(f"[IO.MemoryStream]{FROM64}('{b64(df(p))}')")
        + "),[Text.Encoding]::UTF8)).ReadToEnd()"
    ),
    "deflate, spelled": lambda p: (
        "&((gv '*mdr*').naMe[3,11,2]-joIN'')((nEW-ObJEct sYsTeM.iO.StREAmReADer((NeW-oBjECt "
        f"IO.CoMpREsSIoN.DEfLaTESTReAM([io.mEMorYsTReaM][cOnvErT]::FRoMBAsE64StrInG('{b64(df(p))}'),"
        "[iO.cOMPReSSIon.cOMPresSiONmOdE]::dEcOmPReSs)),[TExT.EncODiNg]::UTf8)).rEaDTOeNd())"
    ),
    "deflate, ::new": lambda p: (
        f"$s=[IO.Compression.DeflateStream]::new([IO.MemoryStream]::new({FROM64}('{b64(df(p))}')),"
        "[IO.Compression.CompressionMode]::Decompress);$r=[IO.StreamReader]::new($s);iex $r.ReadToEnd()"
    ),
    "deflate, ReadLine": lambda p: (
        f"$r=New-Object IO.StreamReader(New-Object IO.Compression.DeflateStream([IO.MemoryStream]{FROM64}("
        f"'{b64(df(p))}'),'Decompress'));$o='';while(!$r.EndOfStream){{$o+=$r.ReadLine()+\"`n\"}};iex $o"
    ),
    "gzip of UTF-16": lambda p: (
        "iex (New-Object IO.StreamReader(("
        + UNGZIP.format(f"[IO.MemoryStream]{FROM64}('{b64(gz(p.encode('utf-16-le')))}')")
        + "),[Text.Encoding]::Unicode)).ReadToEnd()"
    ),
    "gzip within gzip": lambda p: (
        f"$d={FROM64}('{b64(gz(gz(p)))}');1..2|%{{$o=New-Object IO.MemoryStream;("
        + UNGZIP.format("(New-Object IO.MemoryStream(,$d))")
        + f").CopyTo($o);$d=$o.ToArray()}};iex ({UTF8}($d))"
    ),
    "gzip and XOR": lambda p: (
        f"$b={FROM64}('{b64(bytes(x ^ 35 for x in gz(p)))}');for($i=0;$i -lt $b.Count;$i++){{$b[$i]=$b[$i] -bxor 35}}"
        ";iex (New-Object IO.StreamReader(" + UNGZIP.format("(New-Object IO.MemoryStream(,$b))") + ")).ReadToEnd()"
    ),
    "gzip and script block": lambda p: (
        "&([scriptblock]::Create((New-Object IO.StreamReader("
        + UNGZIP.format(f"[IO.MemoryStream]{FROM64}('{b64(gz(p))}')")
        + ")).ReadToEnd()))"
    ),
}  # fmt: skip

STEPPED: Forms = {
    "for, index": lambda p: (
        f"$s={q(stepped(p))};$o='';for($i=4;$i -lt $s.Length;$i+=5){{$o+=$s[$i]}};iex $o"
    ),
    "for, index, nothing before": lambda p: (
        f"$s={q(stepped(p))};for($i=4;$i -lt $s.Length;$i=$i+5){{$o=$o+$s[$i]}};iex $o"
    ),
    "for, Substring": lambda p: (
        f"$s={q(stepped(p) + 'z')};$o='';for($i=4;$i -lt $s.Length-1;$i+=5){{$o+=$s.Substring($i,1)}};iex $o"
    ),
    "for, Substring, sum": lambda p: (
        f"$s={q(stepped(p) + 'z')};For($i=4;$i -lt $s.Length-1;$i+=(4+1)){{$o=$o+$s.'Substring'($i,1)}};.('ie'+'x') $o"
    ),
    "for, Chars": lambda p: (
        f"$s={q(stepped(p, 3))};$o='';for($i=2;$i -le $s.Length-1;$i+=3){{$o+=$s.Chars($i)}};iex $o"
    ),
    "for, ToCharArray": lambda p: (
        f"$s={q(stepped(p, 4))}.ToCharArray();$o='';for($n=3;$n -lt $s.Count;$n+=4){{$o+=$s[$n]}};iex $o"
    ),
    "for, piped": lambda p: (
        f"$s={q(stepped(p))};iex (-join $(for($i=4;$i -lt $s.Length;$i+=5){{$s[$i]}}))"
    ),
    "for, backwards": lambda p: (
        f"$s={q(stepped(p[::-1], 3))};$o='';for($i=$s.Length-1;$i -ge 2;$i-=3){{$o+=$s[$i]}};iex $o"
    ),
    "for, every place and %": lambda p: (
        f"$s={q(stepped(p))};$o='';for($i=0;$i -lt $s.Length;$i++){{if($i % 5 -eq 4){{$o+=$s[$i]}}}};iex $o"
    ),
    "for, every place and continue": lambda p: (
        f"$s={q(stepped(p))};$o='';for($i=0;$i -lt $s.Length;$i++){{if(($i+1)%5){{continue}};$o+=$s[$i]}};iex $o"
    ),
    "for, two at a time": lambda p: (
        "$s=" + q("".join(two + "kv" for two in pieces(p, (len(p) + 1) // 2))) + ";$o='';"
        "for($i=0;$i -lt $s.Length;$i+=4){$o+=$s.Substring($i,2)};iex $o"
    ) if len(p) % 2 == 0 else (
        f"$s={q(stepped(p, 4))};$o='';for($i=0;$i -lt $s.Length;$i+=4){{$o+=$s.Substring($i,4)[3]}};iex $o"
    ),
    "for, no parts but the test": lambda p: (
        f"$s={q(stepped(p))};$i=4;$o='';for(;$i -lt $s.Length;){{$o+=$s[$i];$i+=5}};iex $o"
    ),
    "while": lambda p: f"$s={q(stepped(p))};$i=4;$o='';while($i -lt $s.Length){{$o+=$s[$i];$i+=5}};iex $o",
    "while, break": lambda p: (
        f"$s={q(stepped(p))};$i=4;$o='';while($true){{$o+=$s[$i];$i+=5;if($i -ge $s.Length){{break}}}};iex $o"
    ),
    "while, rest": lambda p: (
        f"$s={q(stepped(p))};$o='';while($s){{$o+=$s[4];$s=$s.Substring(5)}};iex $o"
    ),
    "do, while": lambda p: f"$s={q(stepped(p))};$i=4;$o='';do{{$o+=$s[$i];$i+=5}}while($i -lt $s.Length);iex $o",
    "do, until": lambda p: f"$s={q(stepped(p))};$i=4;do{{$o+=$s[$i];$i+=5}}until($i -ge $s.Length);iex $o",
    "foreach, count": lambda p: (
        f"$n=0;$o='';foreach($c in {q(stepped(p))}.ToCharArray()){{$n++;if($n%5 -eq 0){{$o+=$c}}}};iex $o"
    ),
    "foreach, count set back": lambda p: (
        f"$n=0;$o='';foreach($c in [char[]]{q(stepped(p))}){{if(++$n -eq 5){{$o+=$c;$n=0}}}};iex $o"
    ),
    "foreach, range": lambda p: (
        f"$s={q(stepped(p))};$o='';foreach($n in 1..($s.Length/5)){{$o+=$s[5*$n-1]}};iex $o"
    ),
    "pipeline, range": lambda p: (
        f"$s={q(stepped(p))};iex (-join (0..($s.Length/5-1)|%{{$s[$_*5+4]}}))"
    ),
    "pipeline, filtered range": lambda p: (
        f"$s={q(stepped(p))};iex (-join (0..($s.Length-1)|?{{$_%5 -eq 4}}|%{{$s[$_]}}))"
    ),
    "pipeline, Where-Object": lambda p: (
        f"$s={q(stepped(p))};iex ($s[(0..($s.Length-1)|Where-Object{{($_+1) % 5 -eq 0}})] -join '')"
    ),
    "pipeline, count": lambda p: (
        f"$n=0;iex (-join ({q(stepped(p))}.ToCharArray()|?{{$n++;$n%5 -eq 0}}))"
    ),
    "index list": lambda p: (
        f"iex (-join {q(stepped(p))}[{','.join(str(5 * n + 4) for n in range(len(p)))}])"
    ),
    "function": lambda p: (
        "function T($s){$o='';for($i=4;$i -lt $s.Length-1;$i+=5){$o+=$s.Substring($i,1)};$o}\n"
        f"iex (T {q(stepped(p) + 'z')})"
    ),
    "function, typed": lambda p: (
        "Function Take([String]$Text){For($i=4; $i -lt $Text.Length-1; $i+=5){$Out=$Out+$Text.Substring($i, 1)}"
        f"$Out;}}\n$Run=Take {q(stepped('iex') + 'z')};\n&($Run) (Take {q(stepped(p) + 'z')});"
    ),
    "function, size given": lambda p: (
        "function Take{param([string]$s,[int]$n)\n$o='';for($i=$n-1;$i -lt $s.Length;$i+=$n){$o+=$s[$i]}\nreturn $o}"
        f"\nInvoke-Expression (Take {q(stepped(p, 7))} 7)"
    ),
    "function, size by name": lambda p: (
        "function Take([string]$s,[int]$n=2){-join(0..($s.Length-1)|?{$_%$n -eq $n-1}|%{$s[$_]})}\n"
        f"iex (Take -n 6 -s {q(stepped(p, 6))})"
    ),
    "function, global size": lambda p: (
        f"$n=3;function Take($s){{for($i=$n-1;$i -lt $s.Length;$i+=$n){{$o+=$s[$i]}};return $o}}\niex (Take {q(stepped(p, 3))})"
    ),
    "function, runs it": lambda p: (
        "function Go($s){$o='';$i=4;while($i -lt $s.Length){$o+=$s[$i];$i+=5};Invoke-Expression $o}\n"
        f"Go {q(stepped(p))}"
    ),
    "script block": lambda p: (
        f"$t={{param($s)$o='';for($i=4;$i -lt $s.Length;$i+=5){{$o+=$s[$i]}};$o}};iex (&$t {q(stepped(p))})"
    ),
    "StringBuilder": lambda p: (
        f"$s={q(stepped(p))};$b=New-Object Text.StringBuilder;for($i=4;$i -lt $s.Length;$i+=5)"
        "{[void]$b.Append($s[$i])};iex $b.ToString()"
    ),
    "junk in front": lambda p: (
        f"$s={q(''.join(c + 'kvwj' for c in p))};$o='';for($i=0;$i -lt $s.Length;$i+=5){{$o+=$s[$i]}};iex $o"
    ),
    "names too": lambda p: (
        "function T($s){$o='';for($i=2;$i -lt $s.Length;$i+=3){$o+=$s[$i]};$o}\n"
        f"$m=T {q(stepped('FromBase64String', 3))};iex ({UTF8}([Convert]::$m('{b64(p, 'utf-8')}')))"
    ),
}  # fmt: skip

PATTERNS: Forms = {  # of one line
    "every fifth": lambda p: f"iex ({q(stepped(p))} -replace '....(.)','$1')",
    "every fifth, counted": lambda p: f"iex ({q(stepped(p))} -replace '.{{4}}(.)','$1')",
    "every fifth, \\G": lambda p: f"iex ({q(stepped(p))} -replace '\\G.{{4}}(.)','${{1}}')",
    "every fifth, named": lambda p: f"iex ({q(stepped(p))} -replace '.{{4}}(?<c>.)','${{c}}')",
    "every fifth, [regex]::Replace": lambda p: f"iex ([regex]::Replace({q(stepped(p))},'....(.)','$1'))",
    "every fifth, Groups": lambda p: (
        f"iex (-join ([regex]::Matches({q(stepped(p))},'....(.)')|%{{$_.Groups[1].Value}}))"
    ),
    "every fifth, lookbehind": lambda p: f"iex (({q(stepped(p))} -split '(?<=\\G.....)'|%{{$_[4]}}) -join '')",
    "every fifth, junk by class": lambda p: (
        "iex (" + q("".join("ÄÖÜ"[n % 3] * (n % 4) + c for n, c in enumerate(p))) + " -creplace '[ÄÖÜ]+','')"
    ),
    "two swapped": lambda p: (
        "iex (" + q("".join(pair[::-1] for pair in _pairs(p))) + " -replace '(.)(.)','$2$1')"
    ),
    "two swapped, [regex]": lambda p: (
        "$r=[regex]'(.)(.)';iex ($r.Replace(" + q("".join(pair[::-1] for pair in _pairs(p))) + ",'$2$1'))"
    ),
    "three turned": lambda p: (
        "iex (" + q("".join(x[2] + x[0] + x[1] if len(x) == 3 else x for x in _runs(p, 3)))
        + " -replace '(.)(.)(.)','$2$3$1')"
    ),
    "doubled": lambda p: "iex (" + q("".join(2 * c for c in p)) + " -replace '(.)\\1','$1')",
    "$& between marks": lambda p: (
        f"iex ((-join ({q(p)} -replace '.','<$&>')).Replace('<','').Replace('>',''))"
        if "<" not in p and ">" not in p else f"iex ({q(p)} -replace '.','$&')"
    ),
    "-split and numbers": lambda p: f"iex (-join ('{codes(p, '{}', ' a1 ')}' -split '\\s[a-z]\\d\\s'|%{{[char][int]$_}}))",
    "hexadecimal, $1": lambda p: (
        f"iex (-join ('{codes(p, '{:04x}', '')}' -replace '(....)','0x$1,' -split ','|?{{$_}}|%{{[char][int]$_}}))"
    ),
    "code spelled by $&": lambda p: (
        f"iex (('{codes(p, '{:04x}', '')}' -replace '....','[char]0x$&+').TrimEnd('+')|iex)"
    ),
    "[regex]::Unescape of $&": lambda p: f"iex ([regex]::Unescape(('{codes(p, '{:04x}', '')}' -replace '(....)','\\u$1')))",
    "evaluator": lambda p: (
        f"iex ([regex]::Replace('{codes(p, '{:04x}', '')}','....',{{param($m)[char][Convert]::ToInt32($m.Value,16)}}))"
    ),
    "evaluator, 7": lambda p: (
        f"iex ('{codes(p, '{:04x}', '')}' -replace '....',{{[char][Convert]::ToInt32($_.Value,16)}})"
    ),
    "-match": lambda p: f"if({q('key=' + p)} -match '^key=(.*)$'){{iex $Matches[1]}}",
    "-match, named": lambda p: f"$null={q('a:' + p)} -match 'a:(?<b>.+)';iex $Matches.b",
    "[regex]::Match": lambda p: f"iex ([regex]::Match({q('<x>' + p + '</x>')},'<x>(.*)</x>').Groups[1].Value)",
}  # fmt: skip


def _runs(text: str, size: int) -> list[str]:
    return [text[place : place + size] for place in range(0, len(text), size)]


def _pairs(text: str) -> list[str]:
    return _runs(text, 2)


URL_AND_HTML: Forms = {
    "[uri]::UnescapeDataString": lambda p: f"iex ([uri]::UnescapeDataString('{_percent(p)}'))",
    "[Net.WebUtility]::UrlDecode": lambda p: f"iex ([Net.WebUtility]::UrlDecode('{_percent(p)}'))",
    "[Web.HttpUtility]::UrlDecode": lambda p: (
        f"Add-Type -AssemblyName System.Web;iex ([System.Web.HttpUtility]::UrlDecode('{_percent(p)}'))"
    ),
    "UrlDecode, plus": lambda p: f"iex ([System.Net.WebUtility]::UrlDecode('{_percent(p).replace('%20', '+')}'))",
    "[Net.WebUtility]::HtmlDecode": lambda p: f"iex ([Net.WebUtility]::HtmlDecode('{codes(p, '&#{};', '')}'))",
    "HtmlDecode, hexadecimal": lambda p: f"iex ([System.Web.HttpUtility]::HtmlDecode('{codes(p, '&#x{:x};', '')}'))",
    "HtmlDecode, named": lambda p: (
        "iex ([Net.WebUtility]::HtmlDecode("
        + q(p.replace("&", "&amp;").replace("'", "&#39;").replace('"', "&quot;").replace("e", "&#101;"))
        + "))"
    ),
    "[regex]::Unescape": lambda p: f"iex ([regex]::Unescape('{codes(p, chr(92) + 'u{:04x}', '')}'))",
    "[regex]::Unescape, \\x": lambda p: (
        f"iex ([regex]::Unescape('{codes(p, chr(92) + 'x{:02x}', '')}'))"
        if p.isascii() else f"iex ([regex]::Unescape('{codes(p, chr(92) + 'u{:04X}', '')}'))"
    ),
    "ConvertFrom-Json": lambda p: f"iex ('\"{codes(p, chr(92) + 'u{:04x}', '')}\"'|ConvertFrom-Json)",
    "ConvertFrom-Json, member": lambda p: f"iex (ConvertFrom-Json '{{\"a\":\"{codes(p, chr(92) + 'u{:04x}', '')}\"}}').a",
    "[xml]": lambda p: f"iex ([xml]'<a>{codes(p, '&#{};', '')}</a>').a",
    "[Xml.XmlConvert]::DecodeName": lambda p: f"iex ([Xml.XmlConvert]::DecodeName('{codes(p, '_x{:04x}_', '')}'))",
    "percent signs by hand": lambda p: (
        f"iex ({UTF8}(('{hexed(p)}' -replace '..','%$&').Split('%')|?{{$_}}|%{{[Convert]::ToByte($_,16)}}))"
    ),
}  # fmt: skip


def _percent(text: str) -> str:
    return "".join(
        f"%{byte:02x}" if n % 2 or byte == 32 else f"%{byte:02X}" for n, byte in enumerate(text.encode())
    )


def _secured(template: str, key: str, value: bytes = KEY) -> Callable[[str], str]:
    return lambda p: template.replace("DATA", secure(p, value, IV)).replace("KEY", key)


BSTR = "[Runtime.InteropServices.Marshal]::PtrToStringAuto([Runtime.InteropServices.Marshal]::SecureStringToBSTR({}))"
TO_SECURE = "('DATA'|ConvertTo-SecureString -key KEY)"
_LIST, _LONG = (",".join(map(str, key)) for key in (KEY, LONG_KEY))
KEYS: Forms = {  # of which the key stands beside the data
    "SecureString, range": _secured(f"iex ({BSTR.format('$' + TO_SECURE)})", "(207..192)"),
    "SecureString, list": _secured(f"iex ({BSTR.format(TO_SECURE)})", f"({_LIST})"),
    "SecureString, @()": _secured(f"iex ({BSTR.format(TO_SECURE)})", f"@({_LIST})"),
    "SecureString, 32 bytes": _secured(f"iex ({BSTR.format(TO_SECURE)})", "(3..34)", LONG_KEY),
    "SecureString, variables": _secured(
        "$k=KEY;$s=ConvertTo-SecureString -String 'DATA' -Key $k;"
        "$b=[Runtime.InteropServices.Marshal]::SecureStringToBSTR($s);"
        "iex ([Runtime.InteropServices.Marshal]::PtrToStringBSTR($b))", f"[byte[]]({_LIST})",
    ),
    "SecureString, key of a text": _secured(
        f"$k=[Text.Encoding]::UTF8.GetBytes('0123456789abcdef');iex ({BSTR.format(TO_SECURE)})", "$k",
        b"0123456789abcdef",
    ),
    "SecureString, Uni": _secured(
        "iex ([Runtime.InteropServices.Marshal]::PtrToStringUni([Runtime.InteropServices.Marshal]::"
        f"SecureStringToGlobalAllocUnicode({TO_SECURE})))", f"({_LIST})",
    ),
    "SecureString, CoTaskMem": _secured(
        "iex ([System.Runtime.InteropServices.Marshal]::PtrToStringUni([System.Runtime.InteropServices.Marshal]::"
        f"SecureStringToCoTaskMemUnicode({TO_SECURE})))", "(207..192)",
    ),
    "SecureString, NetworkCredential": _secured(
        f"iex (New-Object Net.NetworkCredential('',{TO_SECURE})).Password", f"({_LIST})"
    ),
    "SecureString, [Net.NetworkCredential]::new": _secured(
        f"iex ([Net.NetworkCredential]::new('',{TO_SECURE})).Password", f"({_LIST})"
    ),
    "SecureString, PSCredential": _secured(
        f"iex (New-Object Management.Automation.PSCredential('x',{TO_SECURE})).GetNetworkCredential().Password",
        "(207..192)",
    ),
    "SecureString, [pscredential]::new": _secured(
        f"iex ([pscredential]::new('x',{TO_SECURE})).GetNetworkCredential().Password", "(207..192)"
    ),
    "SecureString, spelled": _secured(
        "([rUNtIMe.iNteROPsErviCeS.MARshaL]::PTrtOStRiNGauTO([ruNTImE.INterOPseRvicEs.mArshAl]::sECurEStRInGtObStR("
        "$('DATA'|CONVeRTTO-SEcUREStrinG -KE KEY))))|&($ShellId[1]+$ShellId[13]+'x')", f"{_LIST}",
    ),
    "SecureString, plain": lambda p: f"iex ({BSTR.format(f'(ConvertTo-SecureString {q(p)} -AsPlainText -Force)')})",
}  # fmt: skip

_DECRYPT = "$t.CreateDecryptor().TransformFinalBlock($d,0,$d.Length)"
_KEY64, _IV64 = b64(LONG_KEY), b64(IV)


def _aes(
    template: str, *, key: bytes = LONG_KEY, mode: str = "CBC", padding: str = "PKCS7", squeeze: bool = False
):
    def form(p: str) -> str:
        data = gz(p) if squeeze else p.encode()
        return template.replace("DATA", b64(masked(data, key, IV, mode=mode, padding=padding))).replace(
            "BOTH", b64(IV + masked(data, key, IV, mode=mode, padding=padding))
        )

    return form


CIPHERS: Forms = {
    "AES-CBC, key and IV in Base64": _aes(
        "$t=New-Object Security.Cryptography.AesManaged;$t.Mode=[Security.Cryptography.CipherMode]::CBC;"
        "$t.Padding=[Security.Cryptography.PaddingMode]::PKCS7;"
        f"$t.Key={FROM64}('{_KEY64}');$t.IV={FROM64}('{_IV64}');$d={FROM64}('DATA');iex ({UTF8}({_DECRYPT}))"
    ),
    "AES-CBC, IV before the data": _aes(
        f"$d={FROM64}('BOTH');$t=New-Object System.Security.Cryptography.AesManaged;$t.KeySize=256;"
        f"$t.Key={FROM64}('{_KEY64}');$t.IV=$d[0..15];"
        f"$p=$t.CreateDecryptor().TransformFinalBlock($d,16,$d.Length-16);iex ({UTF8}($p))"
    ),
    "AES-CBC and gzip": _aes(
        f"$d={FROM64}('BOTH');$k={FROM64}('{_KEY64}');$t=[Security.Cryptography.Aes]::Create();$t.Key=$k;"
        "$t.IV=$d[0..15];$c=$t.CreateDecryptor();$p=$c.TransformFinalBlock($d,16,$d.Length-16);$t.Dispose();"
        "$m=New-Object IO.MemoryStream(,$p);$o=New-Object IO.MemoryStream;$z=New-Object IO.Compression.GzipStream "
        f"$m,([IO.Compression.CompressionMode]::Decompress);$z.CopyTo($o);$z.Close();iex ({UTF8}($o.ToArray()))",
        squeeze=True,
    ),
    "AES-CBC, Rijndael": _aes(
        "$t=New-Object Security.Cryptography.RijndaelManaged;"
        f"$t.Key=[byte[]]({_LONG});$t.IV=[byte[]](0..15);$d={FROM64}('DATA');iex ({UTF8}({_DECRYPT}))"
    ),
    "AES-CBC, keys given": _aes(
        f"$t=[System.Security.Cryptography.Aes]::Create();$c=$t.CreateDecryptor({FROM64}('{_KEY64}'),"
        f"{FROM64}('{_IV64}'));$d={FROM64}('DATA');iex ({UTF8}($c.TransformFinalBlock($d,0,$d.Length)))"
    ),
    "AES-CBC, key of a text": _aes(
        "$t=[Security.Cryptography.Aes]::Create();$t.Key=[Text.Encoding]::ASCII.GetBytes('0123456789abcdef');"
        f"$t.IV=[byte[]](0..15);$d={FROM64}('DATA');iex ({UTF8}({_DECRYPT}))", key=b"0123456789abcdef",
    ),
    "AES-CBC, zeros": _aes(
        "$t=New-Object Security.Cryptography.AesManaged;$t.Padding='Zeros';"
        f"$t.Key={FROM64}('{_KEY64}');$t.IV={FROM64}('{_IV64}');$d={FROM64}('DATA');"
        f"iex ({UTF8}({_DECRYPT}).Trim([char]0))", padding="Zeros",
    ),
    "AES-ECB": _aes(
        "$t=[Security.Cryptography.Aes]::Create();$t.Mode='ECB';"
        f"$t.Key={FROM64}('{_KEY64}');$d={FROM64}('DATA');iex ({UTF8}({_DECRYPT}))", mode="ECB",
    ),
    "AES-CBC, CryptoStream": _aes(
        f"$t=[Security.Cryptography.Aes]::Create();$t.Key={FROM64}('{_KEY64}');$t.IV={FROM64}('{_IV64}');"
        f"$m=New-Object IO.MemoryStream(,{FROM64}('DATA'));$c=New-Object Security.Cryptography.CryptoStream("
        "$m,$t.CreateDecryptor(),'Read');iex (New-Object IO.StreamReader($c)).ReadToEnd()"
    ),
    "AES-CBC, function": _aes(
        "function Open-Text($key,$data){$b=[Convert]::FromBase64String($data);$t=New-Object "
        "Security.Cryptography.AesManaged;$t.Key=[Convert]::FromBase64String($key);$t.IV=$b[0..15];"
        "return [Text.Encoding]::UTF8.GetString($t.CreateDecryptor().TransformFinalBlock($b,16,$b.Length-16))}\n"
        f"iex (Open-Text '{_KEY64}' 'BOTH')"
    ),
    "RC4 by loops": lambda p: (
        "function Rc([byte[]]$d,[byte[]]$k){$s=0..255;$j=0;for($i=0;$i -lt 256;$i++)"
        "{$j=($j+$s[$i]+$k[$i%$k.Length])%256;$s[$i],$s[$j]=$s[$j],$s[$i]};$i=0;$j=0;$o='';foreach($b in $d)"
        "{$i=($i+1)%256;$j=($j+$s[$i])%256;$s[$i],$s[$j]=$s[$j],$s[$i];$o+=[char]($b -bxor $s[($s[$i]+$s[$j])%256])}"
        f";$o}}\niex (Rc ({FROM64}('{b64(_rc4(p.encode('latin-1'), b'open'))}')) ([Text.Encoding]::ASCII.GetBytes('open')))"
    ),
}  # fmt: skip


def _rc4(data: bytes, key: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    result, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        result.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(result)


SPECIAL = "=+@.[]()&|"  # names of the variables that hold 0 to 9


def _specials(text: str) -> tuple[str, str, str]:
    """Return the definitions, the sum of [CHar]... that spells `text`, and iex, all of special characters."""
    name = "${" + "}${".join(SPECIAL) + "}"
    digit = [name[place : place + 4] for place in range(0, len(name), 4)]
    number = lambda n: "".join(digit[int(each)] for each in str(n))  # noqa: E731
    table = '"$(@{})"'  # System.Collections.Hashtable
    head = "${;}=+$();" + digit[0] + "=${;};" + "".join(f"{each}=++${{;}};" for each in digit[1:])
    head += (
        f'${{#}}="["+{table}["{number(7)}"]+{table}["{number(19)}"]+{table}["{number(20)}"]'
        f'+"$?"[{number(1)}]+"]";'
    )
    letters = f'{table}["{number(14)}"]+{table}["{number(4)}"]'
    return head, '"' + "+".join("${#}" + number(ord(each)) for each in text) + '"', letters


ODD_ALPHABETS: Forms = {
    "special characters": lambda p: "{}{}|iex|iex".format(*_specials(p)[:2]),
    "special characters, iex": lambda p: "{}iex (iex {})".format(*_specials(p)[:2]),
    "special characters, iex from their table": lambda p: (
        "{0}${{!}}={2}+'x';{1}|&${{!}}|&${{!}}".format(*_specials(p))
    ),
    "white space, lengths": lambda p: (
        "iex (-join ('" + "\t".join(" " * ord(c) for c in p) + "' -split \"`t\"|%{[char]$_.Length}))"
        if p.isascii() else
        "iex (-join ('" + "\t".join(" " * (ord(c) % 97 + 1) + "_" * (ord(c) // 97) for c in p)
        + "' -split \"`t\"|%{[char](($_.Split(' ').Length-2)+97*$_.Trim(' ').Length)}))"
    ),
    "white space, digits": lambda p: (
        "$s='" + "\t\t".join("\t".join(" " * (int(d) + 1) for d in str(ord(c))) for c in p) + "';"
        "iex (-join ($s -split \"`t`t\"|%{[char][int](($_ -split \"`t\"|%{$_.Length-1})-join'')}))"
    ),
    "white space, tabs and blanks as bits": lambda p: (
        "iex (-join ('" + "\n".join(f"{ord(c):b}".replace("0", " ").replace("1", "\t") for c in p)
        + "'.Split(\"`n\")|%{[char][Convert]::ToInt32($_.Replace(' ','0').Replace(\"`t\",'1'),2)}))"
    ),
    "dots and dashes as bits": lambda p: (
        "iex (-join ('" + " ".join(f"{ord(c):b}".replace("0", ".").replace("1", "-") for c in p)
        + "'.Split(' ')|%{[char][Convert]::ToInt32(($_ -replace '\\.','0' -replace '-','1'),2)}))"
    ),
    "invisible characters": lambda p: (
        "iex (" + q("\u200b".join(p)) + " -replace [char]0x200b,'')"
    ),
    "letters for digits": lambda p: (
        "$o='';foreach($w in '" + " ".join("".join("qwertyuiop"[int(d)] for d in str(ord(c))) for c in p)
        + "'.Split(' ')){$n='';foreach($c in $w.ToCharArray()){$n+='qwertyuiop'.IndexOf($c)};$o+=[char][int]$n};iex $o"
    ),
    "words for codes": lambda p: (
        (lambda t: "$w=" + ",".join(f"'{w}'" for w in t.values()) + ";$c=" + ",".join(str(ord(c)) for c in t)
         + ";iex (-join ('" + " ".join(t[c] for c in p) + "'.Split(' ')|%{[char]$c[[array]::IndexOf($w,$_)]}))")(
            {c: f"{a}{b}o" for c, (a, b) in zip(sorted(set(p)), itertools.product("bdgklmnprst", "aeiou"), strict=False)}
        )
    ),
}  # fmt: skip
