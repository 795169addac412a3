"""What PowerShell's own documentation and the study say is related: aliases, odd groups, analogies.

The settings of the embedding were chosen on "development" halves; "held_out" halves and everything PUBLISHED
are the test. Tokens are spelled as the tokeniser folds them.
"""

import re
import zlib
from typing import NamedTuple

from psembed.powershell.aliases import ALIASES, entries

PUBLISHED_ALIASES = {
    "C04": ("iex", "invoke-expression"),
    "C05": ("iwr", "invoke-webrequest"),
    "C06": ("gci", "get-childitem"),
}
# Claims C07, C08 of the study's Figure 2, and the families of its Figure 1 (C03).
PUBLISHED_ODD = {
    "C07": (("$i", "$j", "$k", "$true"), "$true"),
    "C08": (("bypass", "normal", "minimized", "maximized", "hidden"), "bypass"),
}
PUBLISHED_GROUPS = {
    "comparison operators": ("-eq", "-ne", "-gt"),
    "execution policies": ("allsigned", "remotesigned", "bypass", "unrestricted"),
}


class Analogy(NamedTuple):
    """`first` - `minus` + `plus` is near one of `expected`, whose first spelling is the published one."""

    first: str
    minus: str
    plus: str
    expected: tuple[str, ...]


# The study prints -neq; PowerShell's operator is -ne.
PUBLISHED_ANALOGIES = {
    "C09": Analogy("high", "$false", "$true", ("low",)),
    "C10": Analogy("-eq", "$false", "$true", ("-neq", "-ne")),
    "C11": Analogy("downloadfile", "$destfile", "$str", ("downloadstring",)),
    "C12": Analogy("export-csv", "$csv", "$html", ("convertto-html",)),
    "C13": Analogy("get-process", "$processes", "$services", ("get-service",)),
}
# Ours: three or more of a kind and, last, one that is not.
_ODD = """
-like -notlike -match write-host; -and -or -xor $i; red green yellow get-item
get-item set-item remove-item yellow; $x $y $z $null; string int boolean foreach; -band -bor -bxor -path
continue stop silentlycontinue unrestricted; -le -ge -lt -verbose; domain forest user import-csv
if elseif else get-date; try catch finally write-error; import-module remove-module get-module green
replace trim split mandatory; hklm hkcu hkcr utf; -split -join -replace -force; utf ascii unicode center
$false $true $null $path; start-service stop-service restart-service out-file
-minimum -maximum -average -credential; new-object add-type add-member sunday; monday tuesday friday admin
"""
_ODD_HELD_OUT = """
black white blue csv; january february march gateway; for while foreach red; public private protected tcp
get-content set-content add-content start-sleep; start stop restart bold; true false null domain
convertto-json convertfrom-json convertto-xml remove-item; left top bottom password
-ieq -ceq -ine -recurse; http https ftp mandatory; write-host write-warning write-verbose get-service
$args $input $_ microsoft; tolower toupper trim monday; get post put version; xml json html window
username password credential width; byte char int catch; north south east param
group-object sort-object select-object new-item; -contains -notcontains -in -force
"""


def _groups(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(entry.split()) for entry in entries(text))


ODD_GROUPS = {"development": _groups(_ODD), "held_out": _groups(_ODD_HELD_OUT)}

# Ours, "first - minus + plus = expected", written before any vectors were looked at: verbs and nouns of
# cmdlets, variables, operators, parameters and values, conversions, types and methods, opposites. A
# question of one half shares at most two tokens with one of the other.
_ANALOGIES = """
start-service - stop-service + stop-process = start-process
import-csv - export-csv + export-clixml = import-clixml
get-content - set-content + set-itemproperty = get-itemproperty
get-job - remove-job + remove-pssession = get-pssession
new-item - remove-item + remove-itemproperty = new-itemproperty
get-aduser - set-aduser + set-mailbox = get-mailbox
get-variable - set-variable + set-location = get-location
start-job - stop-job + stop-transcript = start-transcript
convertto-json - convertfrom-json + convertfrom-csv = convertto-csv
get-acl - set-acl + set-executionpolicy = get-executionpolicy
new-azvirtualnetwork - get-azvirtualnetwork + get-azpublicipaddress = new-azpublicipaddress
get-aduser - $user + $computer = get-adcomputer; get-module - $module + $job = get-job
$credential - get-credential + get-date = $date; $users - $user + $group = $groups
$files - $file + $folder = $folders; -ne - -eq + -like = -notlike; -ge - -gt + -lt = -le
-notmatch - -match + -contains = -notcontains; -ceq - -eq + -match = -cmatch; -or - -and + -band = -bor
} - { + [ = ]; silentlycontinue - -erroraction + -executionpolicy = bypass
directory - -itemtype + -pathtype = container; hkcu - hklm + localmachine = currentuser
-maximum - max + min = -minimum; -errorvariable - -erroraction + -warningaction = -warningvariable
write-error - error + warning = write-warning
$warningpreference - write-warning + write-verbose = $verbosepreference
get-wmiobject - -class + -classname = get-ciminstance; toint** - int + string = tostring
tobase**string - getstring + getbytes = frombase**string
readalllines - writealllines + writealltext = readalltext; convertfrom-json - json + csv = convertfrom-csv
streamreader - read + write = streamwriter; hashtable - @{ + @( = array
trimstart - trimend + endswith = startswith; int** - int + bool = boolean
pscredential - $credential + $date = datetime; false - true + $true = $false; off - on + enable = disable
absent - present + enabled = disabled; denied - deny + allow = allowed; left - width + height = top
darkred - red + green = darkgreen; $env:computername - computer + user = $env:username
"""
_ANALOGIES_HELD_OUT = """
unregister-scheduledtask - register-scheduledtask + import-module = remove-module
new-azvm - get-azvm + get-azresourcegroup = new-azresourcegroup
set-item - get-item + get-content = set-content; remove-module - get-module + get-job = remove-job
new-variable - remove-variable + remove-psdrive = new-psdrive
wait-job - stop-job + stop-process = wait-process
convertto-securestring - convertfrom-securestring + convertfrom-json = convertto-json
get-itemproperty - remove-itemproperty + remove-item = get-item
stop-transcript - start-transcript + start-service = stop-service
uninstall-module - install-module + install-chocolateypackage = uninstall-chocolateypackage
get-aznetworkinterface - new-aznetworkinterface + new-aznetworksecuritygroup = get-aznetworksecuritygroup
get-adgroup - $group + $user = get-aduser; get-item - $item + $acl = get-acl
$content - get-content + get-process = $process; $servers - $server + $computer = $computers
$keys - $key + $value = $values; write-verbose - verbose + debug = write-debug
-notlike - -like + -in = -notin; -ne - -eq + -match = -notmatch; -isnot - -is + -contains = -notcontains
-ieq - -eq + -match = -imatch; -bxor - -xor + -or = -bor; -creplace - -replace + -match = -cmatch
) - ( + { = }; hidden - -windowstyle + -erroraction = silentlycontinue; leaf - container + directory = file
hkey_current_user - hkey_local_machine + hklm = hkcu; minvalue - maxvalue + max = min
-warningaction - warning + error = -erroraction; -last - last + first = -first
$verbosepreference - -verbose + -debug = $debugpreference
convertfrom-securestring - securestring + json = convertfrom-json; tolower - lower + upper = toupper
readallbytes - writeallbytes + writealllines = readalllines; convertto-xml - xml + html = convertto-html
decompress - compress + encrypt = decrypt; writeline - write + read = readline
padleft - left + right = padright; datetime - get-date + get-credential = pscredential
string - $name + $count = int; lastindexof - last + first = indexof; false - true + yes = no
disabled - enabled + running = stopped; stopped - stop + start = started; bottom - top + left = right
darkcyan - cyan + yellow = darkyellow; $env:temp - temp + path = $env:path
failed - failure + success = succeeded
"""


def _analogies(text: str) -> tuple[Analogy, ...]:
    parts = (re.split(" [-+=] ", entry) for entry in entries(text))
    return tuple(Analogy(first, minus, plus, (expected,)) for first, minus, plus, expected in parts)


ANALOGIES = {"development": _analogies(_ANALOGIES), "held_out": _analogies(_ANALOGIES_HELD_OUT)}


def _split_aliases() -> dict[str, tuple[tuple[str, str], ...]]:
    published = {command for _, command in PUBLISHED_ALIASES.values()}
    held = [command in published or zlib.crc32(command.encode()) % 2 == 1 for _, command in ALIASES]
    return {
        "development": tuple(pair for pair, out in zip(ALIASES, held, strict=True) if not out),
        "held_out": tuple(pair for pair, out in zip(ALIASES, held, strict=True) if out),
    }


# The CRC-32 of the cmdlet's name decides, so all aliases of a cmdlet are in one half; the published cmdlets
# are held out.
ALIAS_SPLIT = _split_aliases()
