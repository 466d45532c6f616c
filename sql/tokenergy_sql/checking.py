"""Runs the checks: SQL that returns the offending rows.

In: a lake. Out: one finding a check. A file's first line is its title; its second says `fail` or
`warn`, and `hourly` where it looks at one hour at a time or `whole` where it needs all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.contract import HOUR_US
from tokenergy_collectors.lake import Lake
from tokenergy_sql import catalog

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; no rows is a pass."""

    name: str
    title: str
    fatal: bool
    columns: list[str]
    rows: list[tuple[Any, ...]]

    @property
    def breach(self) -> bool:
        """Whether this is a failure, not a pass or a warning."""
        return self.fatal and bool(self.rows)

    def lines(self, limit: int) -> list[str]:
        """Return the finding as text: one line, and up to `limit` offending rows below it."""
        verdict = "FAIL" if self.breach else "warn" if self.rows else "ok"
        count = f" ({len(self.rows)} rows)" if self.rows else ""
        lines = [f"{verdict:<5}{self.name}: {self.title}{count}"]
        for row in self.rows[:limit]:
            named = zip(self.columns, row, strict=True)
            lines.append("     " + " ".join(f"{name}={value}" for name, value in named))
        if len(self.rows) > limit:
            lines.append(f"     ... and {len(self.rows) - limit} more")
        return lines


def run_checks(lake: Lake, hours: Sequence[int] | None = None) -> list[Finding]:
    """Run the checks on a lake, in the order of their names.

    Args:
        lake: the lake.
        hours: starts of hours, microseconds UTC: checks that look at one hour at a time look at
            these alone, the others still at everything. All hours if None.
    """
    folder = resources.files("tokenergy_sql.checks")
    files = sorted((e for e in folder.iterdir() if e.name.endswith(".sql")), key=lambda e: e.name)

    def run() -> list[Finding]:
        with catalog.connect(lake) as whole, catalog.connect(lake, _scope(hours)) as some:
            connections = {"whole": whole, "hourly": some}
            texts = [(file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in files]
            return [_run(connections, name, text) for name, text in texts]

    return catalog.heal(lake, run)


def _run(connections: dict[str, duckdb.DuckDBPyConnection], name: str, text: str) -> Finding:
    title, kind = (line.removeprefix("--").strip() for line in text.splitlines()[:2])
    severity, reach = kind.split(", ")
    result = connections[reach].sql(text)
    return Finding(
        name=name,
        title=title,
        fatal={"fail": True, "warn": False}[severity],
        columns=list(result.columns),
        rows=result.fetchall(),
    )


def _scope(hours: Sequence[int] | None) -> dict[str, list[int]] | None:
    """Return which hours of which tables an hourly check reads: raw rows reach over the edges."""
    if hours is None:
        return None
    near = sorted({hour + step for hour in hours for step in (-HOUR_US, 0, HOUR_US)})
    derived = ("segment", "ledger", "ledger_hour", "job_hour_index")
    own = {name: list(hours) for name in (*derived, "quarantined")}
    return {**own, "power": near, "state": near}
