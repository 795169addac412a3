"""The aliases that PowerShell itself defines, each with the command it stands for."""

# Every built-in alias of Windows PowerShell 5.1 and of PowerShell 7 on Windows that stands for a cmdlet, or
# for Clear-Host: "cmdlet = alias ...". Source: the table of default commands in PowerShell's own tests
# (DefaultCommands.Tests.ps1 at commit 92990369), which is Get-Alias in a fresh session; ise, man and md
# stand for no cmdlet and are left out. Only PowerShell 7 has gerr; only 5.1 has asnp, cfs, curl, epsn,
# gsnp, gwmi, ipsn, iwmi, lp, npssc, nwsn, rsnp, rujb, rwmi, sc, sujb, swmi, trcm and wget.
_BUILT_IN = """
add-content = ac; add-pssnapin = asnp; clear-content = clc; clear-history = clhy; clear-host = clear cls
clear-item = cli; clear-itemproperty = clp; clear-variable = clv; compare-object = compare diff
connect-pssession = cnsn; convert-path = cvpa; convertfrom-string = cfs; copy-item = copy cp cpi
copy-itemproperty = cpp; disable-psbreakpoint = dbp; disconnect-pssession = dnsn
enable-psbreakpoint = ebp; enter-pssession = etsn; exit-pssession = exsn; export-alias = epal
export-csv = epcsv; export-pssession = epsn; foreach-object = % foreach; format-custom = fc
format-hex = fhx; format-list = fl; format-table = ft; format-wide = fw; get-alias = gal
get-childitem = dir gci ls; get-clipboard = gcb; get-command = gcm; get-computerinfo = gin
get-content = cat gc type; get-error = gerr; get-history = ghy h history; get-item = gi; get-itemproperty = gp
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


def entries(text: str) -> list[str]:
    """Return the entries of a table, which stand a line each or have ; between them."""
    return [entry.strip() for entry in text.replace("\n", ";").split(";") if entry.strip()]


ALIASES = tuple(
    (alias, command)
    for entry in entries(_BUILT_IN)
    for command, aliases in [entry.split(" = ")]
    for alias in aliases.split()
)
