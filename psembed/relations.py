"""What PowerShell's own documentation and the study say is related: aliases, odd groups, analogies.

The settings of the embedding were chosen on "development" halves; "held_out" halves and everything PUBLISHED
are the test. Tokens are spelled as the tokeniser folds them.
"""

import zlib
from typing import NamedTuple

# Built-in aliases of Windows PowerShell 5.1 that stand for a cmdlet (Get-Alias on a fresh session), "cmdlet =
# alias ...".
_BUILT_IN = """
add-content = ac; add-pssnapin = asnp; clear-content = clc; clear-history = clhy; clear-host = clear cls
clear-item = cli; clear-itemproperty = clp; clear-variable = clv; compare-object = compare diff
connect-pssession = cnsn; convert-path = cvpa; convertfrom-string = cfs; copy-item = copy cp cpi
copy-itemproperty = cpp; disable-psbreakpoint = dbp; disconnect-pssession = dnsn
enable-psbreakpoint = ebp; enter-pssession = etsn; exit-pssession = exsn; export-alias = epal
export-csv = epcsv; export-pssession = epsn; foreach-object = % foreach; format-custom = fc
format-hex = fhx; format-list = fl; format-table = ft; format-wide = fw; get-alias = gal
get-childitem = dir gci ls; get-clipboard = gcb; get-command = gcm; get-computerinfo = gin
get-content = cat gc type; get-history = ghy h history; get-item = gi; get-itemproperty = gp
get-itempropertyvalue = gpv; get-job = gjb; get-location = gl pwd; get-member = gm; get-module = gmo
get-process = gps ps; get-psbreakpoint = gbp; get-pscallstack = gcs; get-psdrive = gdr
get-pssession = gsn; get-pssnapin = gsnp; get-service = gsv; get-timezone = gtz; get-unique = gu
get-variable = gv; get-wmiobject = gwmi; group-object = group; import-alias = ipal; import-csv = ipcsv
import-module = ipmo; import-pssession = ipsn; invoke-command = icm; invoke-expression = iex
invoke-history = ihy r; invoke-item = ii; invoke-restmethod = irm; invoke-webrequest = curl iwr wget
invoke-wmimethod = iwmi; measure-object = measure; move-item = mi move mv; move-itemproperty = mp
new-alias = nal; new-item = ni; new-module = nmo; new-psdrive = mount ndr; new-pssession = nsn
new-pssessionconfigurationfile = npssc; new-variable = nv; out-gridview = ogv; out-host = oh
out-printer = lp; pop-location = popd; push-location = pushd; receive-job = rcjb
receive-pssession = rcsn; remove-item = del erase rd ri rm rmdir; remove-itemproperty = rp
remove-job = rjb; remove-module = rmo; remove-psbreakpoint = rbp; remove-psdrive = rdr
remove-pssession = rsn; remove-pssnapin = rsnp; remove-variable = rv; remove-wmiobject = rwmi
rename-item = ren rni; rename-itemproperty = rnp; resolve-path = rvpa; resume-job = rujb
select-object = select; select-string = sls; set-alias = sal; set-clipboard = scb; set-content = sc
set-item = si; set-itemproperty = sp; set-location = cd chdir sl; set-psbreakpoint = sbp
set-timezone = stz; set-variable = set sv; set-wmiinstance = swmi; show-command = shcm
sort-object = sort; start-job = sajb; start-process = saps start; start-service = sasv
start-sleep = sleep; stop-job = spjb; stop-process = kill spps; stop-service = spsv; suspend-job = sujb
tee-object = tee; trace-command = trcm; wait-job = wjb; where-object = ? where
write-output = echo write; get-cimassociatedinstance = gcai; get-cimclass = gcls; get-ciminstance = gcim
get-cimsession = gcms; invoke-cimmethod = icim; new-ciminstance = ncim; new-cimsession = ncms
new-cimsessionoption = ncso; new-psworkflowsession = nwsn; register-cimindicationevent = rcie
remove-ciminstance = rcim; remove-cimsession = rcms; set-ciminstance = scim
"""
ALIASES = tuple(
    (alias, command)
    for entry in _BUILT_IN.replace("\n", ";").split(";")
    if entry.strip()
    for command, aliases in [entry.strip().split(" = ")]
    for alias in aliases.split()
)
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
    return tuple(tuple(group.split()) for group in text.strip().replace("\n", ";").split(";"))


ODD_GROUPS = {"development": _groups(_ODD), "held_out": _groups(_ODD_HELD_OUT)}


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
