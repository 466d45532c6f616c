"""The checks: a file of SQL each, and how much of a lake each looks at.

In: the `.sql` files of this folder. Out: their texts, by name.

The second line of a file says `fail` or `warn`, and what it looks at when hours are chosen:

hourly    one hour at a time, whether hours are chosen or not
touched   what the hours touched: the jobs that have a part in them, with all hours of those jobs;
          the notes of clocks around them. Everything if no hours are chosen
whole     everything, whatever is chosen; none does now

`by device` after `hourly`: it looks at one device after the other, so some can be checked at a time
(see `slices.py`).
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Literal, NamedTuple, cast

Scope = Literal["hourly", "touched", "whole"]


class Check(NamedTuple):
    """One check.

    Attributes:
        title: what is true of a sound lake.
        fatal: whether rows are a failure, or else a warning.
        scope: see above.
        by_device: whether it looks at one device after the other.
        text: SQL that selects the offending rows.
    """

    title: str
    fatal: bool
    scope: Scope
    by_device: bool
    text: str


@cache
def checks_by_name() -> dict[str, Check]:
    """Return the checks, in the order of their names."""
    folder = resources.files("tokenergy_sql.checks")
    files = sorted((e for e in folder.iterdir() if e.name.endswith(".sql")), key=lambda e: e.name)
    return {file.name.removesuffix(".sql"): _parsed(file.read_text("utf-8")) for file in files}


def _parsed(text: str) -> Check:
    title, kind = (line.removeprefix("--").strip() for line in text.splitlines()[:2])
    severity, scope, *more = kind.split(", ")
    fatal = {"fail": True, "warn": False}[severity]
    if scope not in ("hourly", "touched", "whole"):
        raise ValueError(f"{scope!r} is no scope of a check")
    if more not in ([], ["by device"]):
        raise ValueError(f"{more!r} says nothing of a check")
    return Check(title, fatal, cast("Scope", scope), bool(more), text)
