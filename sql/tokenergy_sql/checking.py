"""Runs the checks: SQL that returns the offending rows.

In: a lake. Out: one finding a check. A file's first line is its title, its second says `fail` or
`warn`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

from tokenergy_collectors.lake import Lake
from tokenergy_sql import catalog


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; no rows is a pass."""

    name: str
    title: str
    fatal: bool
    columns: list[str]
    rows: list[tuple[Any, ...]]


def run_checks(lake: Lake) -> list[Finding]:
    """Run all checks on a lake, in the order of their names."""
    folder = resources.files("tokenergy_sql.checks")
    files = sorted((e for e in folder.iterdir() if e.name.endswith(".sql")), key=lambda e: e.name)
    findings = []
    with catalog.connect(lake) as con:
        for file in files:
            text = file.read_text("utf-8")
            title, severity = (line.removeprefix("--").strip() for line in text.splitlines()[:2])
            result = con.sql(text)
            findings.append(
                Finding(
                    name=file.name.removesuffix(".sql"),
                    title=title,
                    fatal={"fail": True, "warn": False}[severity],
                    columns=list(result.columns),
                    rows=result.fetchall(),
                )
            )
    return findings
