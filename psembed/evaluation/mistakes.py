"""Mistakes: every false alarm and every miss, with the first written rule that describes it."""

import polars as pl

from psembed.datasets.labels import CIPHERS, DOWNLOADS, OBFUSCATION, RUNS, first_rule

SHORT = 200  # characters: there is little to go by
MISTAKES = ("false alarm", "miss")
_NATIVE = r"dllimport|add-type|virtualalloc|createthread|getdelegateforfunctionpointer|reflection\.assembly"
_HIDDEN = r"-w(?:indowstyle|in|i)?\s+(?:hidden|1)\b|-e(?:xecutionpolicy|xec|p)\s+(?:bypass|unrestricted)|-enc"
_SETTINGS = r"\bhk(?:lm|cu):|registry|set-service|schtasks|scheduledtask|set-mppreference|netsh|firewall"
_DATA = r"[A-Za-z0-9+/=]{400,}|(?:(?:0x)?[0-9a-f]{2,3}[,\s]+){200,}"

CAUSES: dict[str, pl.Expr] = {
    "short": pl.col("clean").str.len_chars() < SHORT,
    "downloads and runs": pl.col("_low").str.contains(DOWNLOADS) & pl.col("_low").str.contains(RUNS),
    "loads native or .NET code": pl.col("_low").str.contains(_NATIVE),
    "decodes or decrypts": pl.col("_low").str.contains(CIPHERS),
    "obfuscated spelling": pl.col("_low").str.contains(OBFUSCATION),
    "mostly data": pl.col("_low").str.contains(_DATA),
    "downloads": pl.col("_low").str.contains(DOWNLOADS),
    "hides a window, loosens the policy": pl.col("_low").str.contains(_HIDDEN),
    "changes settings, services or tasks": pl.col("_low").str.contains(_SETTINGS),
}
"""Descriptions by written rule, in the order they are tried; OTHER where none applies."""
OTHER = "reads like administration"
BEYOND = ", most of it never read"


def causes(clean: pl.Series, *, char_length: int) -> pl.Series:
    """Describe clean scripts by the first of CAUSES, and BEYOND where longer than twice `char_length`."""
    long = pl.col("clean").str.len_chars() > 2 * char_length
    beyond = pl.when(long).then(pl.lit(BEYOND)).otherwise(pl.lit(""))
    table = pl.DataFrame({"clean": clean, "_low": clean.str.to_lowercase()})
    return table.select(cause=pl.concat_str(first_rule(CAUSES, otherwise=OTHER), beyond)).to_series()


def mistakes(scripts: pl.DataFrame, *, model: str, char_length: int) -> pl.DataFrame:
    """List the test scripts that most seeds of a model get wrong; a network reads `char_length` characters.

    Of scripts it reads sha256, label, source, stratum, clean and, under the model's name, the share of seeds
    that flag each. It gives mistake (of MISTAKES), cause, stratum, source, sha256, characters, clean; sorted.
    """
    alarmed = pl.col(model) > 0.5
    wrong = scripts.filter(alarmed != (pl.col("label") == 1))
    named = pl.when(pl.col("label") == 0).then(pl.lit(MISTAKES[0])).otherwise(pl.lit(MISTAKES[1]))
    cause, characters = causes(wrong["clean"], char_length=char_length), pl.col("clean").str.len_chars()
    told = wrong.with_columns(mistake=named, cause=cause, characters=characters)
    order = ("mistake", "cause", "stratum", "source", "sha256")
    return told.select(*order, "characters", "clean").sort(order)
