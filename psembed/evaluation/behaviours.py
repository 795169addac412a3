"""Attacks that download nothing: what is flagged of emulated ones, and of clean scripts that do the same.

The emulations are the tests of Atomic Red Team, whose paths name a technique of MITRE ATT&CK. They have no
label, since many of them do what an administrator does, too; no classifier has trained on them.
"""

import polars as pl

from psembed.datasets.labels import SHORTEST
from psembed.evaluation.coverage import with_interval

EMULATIONS = "redcanaryco-atomic-red-team"  # the source
TECHNIQUE = r"/(T\d{4}(?:\.\d{3})?)/"
BEHAVIOURS = {
    "Defender is switched off or told to pass over": r"(?:set|add)-mppreference|windefend|disableantispyware",
    "AMSI is switched off": r"amsi(?:utils|initfailed|scanbuffer|\.dll)|\\amsi\\",
    "logs are cleared or switched off": r"(?:clear|remove)-eventlog|wevtutil|scriptblocklogging|auditpol",
    "shadow copies are deleted": r"win32_shadowcopy|vssadmin|wbadmin delete",
    "Run keys": r"currentversion\\run",
    "scheduled tasks": r"schtasks|(?:register|new)-scheduledtask",
    "services": r"new-service|\bsc(?:\.exe)? (?:create|config|stop)|stop-service",
    "accounts and groups": r"new-localuser|net(?:\.exe)? user|localgroup|new-aduser|add-adgroupmember",
    "firewall": r"advfirewall|(?:set|new|disable)-netfirewall",
    "passwords and memory": r"lsass|comsvcs|minidump|mimikatz|\bntds\b|sekurlsa|vaultcmd",
    "discovery": r"get-(?:ad\w+|netip\w+|process|localgroup\w*|wmiobject|ciminstance)|whoami|nltest",
}
"""What a script does, as written rules on its clean text in lower case. One script may do several."""


def emulations(scripts: pl.DataFrame) -> pl.DataFrame:
    """Return the emulated attacks among all scripts, each different text once, with their `technique`."""
    own = scripts.filter(pl.col("source") == EMULATIONS, pl.col("clean").str.len_chars() >= SHORTEST)
    return own.with_columns(technique=pl.col("path").str.extract(TECHNIQUE)).drop_nulls("technique")


def by_technique(emulated: pl.DataFrame) -> pl.DataFrame:
    """Return technique, n and the share found of each, most tests first; `malicious` is 1 for one found."""
    table = emulated.group_by("technique").agg(n=pl.len(), found=pl.col("malicious").mean())
    return table.sort(["n", "technique"], descending=[True, False])


def by_behaviour(emulated: pl.DataFrame, clean: pl.DataFrame) -> pl.DataFrame:
    """Return what is flagged of emulated attacks and of clean scripts that do the same.

    Of both it reads clean (the text) and malicious (the share of verdicts that flag it). A row for all of
    them, and one for each of BEHAVIOURS: n and found of the emulated, clean and flagged of the others, each
    share with its exact 95% interval.
    """
    rows = []
    for behaviour, rule in {"any of all": "", **BEHAVIOURS}.items():
        alike = [_doing(rule, scripts)["malicious"] for scripts in (emulated, clean)]
        (found, flagged), (n, others) = ([own.mean() for own in alike], [len(own) for own in alike])
        rows.append({"behaviour": behaviour, "n": n, "found": found, "clean": others, "flagged": flagged})
    table = pl.DataFrame(rows, schema_overrides={"found": pl.Float64, "flagged": pl.Float64})
    told = with_interval(table, "found").rename({"n": "emulated", "clean": "n"})
    return with_interval(told, "flagged").rename({"n": "clean"})


def _doing(rule: str, scripts: pl.DataFrame) -> pl.DataFrame:
    return scripts.filter(pl.col("clean").str.to_lowercase().str.contains(rule))
