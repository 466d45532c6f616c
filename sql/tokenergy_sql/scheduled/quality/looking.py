"""The looks: freshness, coverage, law, columns, clocks.

In: a lake, the name of a look, limits, the time. Out: findings, as those of the checks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_sql.catalog import connecting
from tokenergy_sql.catalog.reading import read
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.checks.checking import Finding, run_checks
from tokenergy_sql.scheduled.quality.columns import drifted, set_aside
from tokenergy_sql.scheduled.quality.limits import Limits
from tokenergy_sql.scheduled.quality.newest import newest_files, newest_stamps

_FOLDER = "tokenergy_sql.scheduled.quality"
_MOST_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at.

    Attributes:
        lake: the lake.
        hours: starts of the hours, microseconds UTC.
        limits: from where on something is a finding.
        now_us: the time, microseconds UTC.
    """

    lake: Lake
    hours: range
    limits: Limits
    now_us: int

    @property
    def booked(self) -> list[int]:
        """Those of the hours that are in the books."""
        return [hour_us for hour_us in self.lake.hours("ledger_hour") if hour_us in self.hours]


def scope_of(lake: Lake, count: int, limits: Limits, now_us: int) -> Scope:
    """Return the scope of the latest hours that a lake has anything of.

    Args:
        lake: the lake.
        count: how many hours.
        limits: from where on something is a finding.
        now_us: the time, microseconds UTC.
    """
    # A clock that is ahead makes hours that have not come yet.
    there = (hour for table in ("power", "ledger_hour") for hour in lake.hours(table)[-1:])
    end_us = min(max(there, default=now_us), now_us) // HOUR_US * HOUR_US + HOUR_US
    return Scope(lake, range(end_us - count * HOUR_US, end_us, HOUR_US), limits, now_us)


def look(name: str, scope: Scope) -> list[Finding]:
    """Take one of the looks; see `LOOKS`.

    Raises:
        UserError: a file cannot be read.
        DamagedError: a derived file is damaged.
    """
    return LOOKS[name](scope)


def reason_of_findings(findings: Sequence[Finding]) -> str | None:
    """Return why a look failed, one line that names the first rows; None if it did not."""
    parts = [_reason(finding) for finding in findings if finding.breach]
    return "; ".join(parts) or None


def _reason(finding: Finding) -> str:
    rows = [
        " ".join(f"{name}={value}" for name, value in zip(finding.columns, row, strict=True))
        for row in finding.rows[:_MOST_SHOWN]
    ]
    more = len(finding.rows) - _MOST_SHOWN
    rest = f"; and {more} more" if more > 0 else ""
    return f"{finding.name}: {finding.title} {'; '.join(rows)}{rest}"


def _freshness(scope: Scope) -> list[Finding]:
    now_us, limits = scope.now_us, scope.limits
    since_us, silent_us = now_us - limits.forget_us, now_us - limits.silent_us
    readings = newest_stamps(scope.lake, "power", since_us, silent_us)
    clocks = newest_stamps(scope.lake, "clock", since_us, silent_us)
    silent: list[tuple[Any, ...]] = [
        (node, _moment(last_us), _hours(now_us - last_us), _collector(clocks.get(node), silent_us))
        for node, last_us in sorted(readings.items(), key=lambda one: (one[1], one[0]))
        if since_us <= last_us < silent_us
    ]
    running = {node for node, last_us in clocks.items() if last_us >= silent_us} - readings.keys()
    silent += [
        (node, None, None, "runs")
        for node in sorted(running - _without_boards(scope, running, since_us, silent_us))
    ]
    if not any(last_us >= since_us for last_us in readings.values()):
        silent.append(_nobody(scope))
    limit = f"No node is without readings for longer than {_hours(limits.silent_us)} h."
    columns = ["node", "last_reading", "silent_h", "collector"]
    return [Finding("freshness", limit, True, columns, silent), _books(scope, readings)]


def _without_boards(scope: Scope, nodes: set[str], since_us: int, silent_us: int) -> set[str]:
    """Return which of these nodes read meters now, and never had a board."""
    stamps = newest_stamps(scope.lake, "meter", since_us, silent_us) if nodes else {}
    metering = {node for node in nodes if stamps.get(node, 0) >= silent_us}
    return metering - newest_files(scope.lake, "device", 0).keys() if metering else metering


def _nobody(scope: Scope) -> tuple[Any, ...]:
    """Return the row of a lake in which every node is gone: it is not the lake that was meant."""
    latest = scope.lake.hours("power")[-1:]
    stamps = newest_stamps(scope.lake, "power", latest[0], scope.now_us) if latest else {}
    if not stamps:
        return "every node", None, None, "silent"
    last_us = max(stamps.values())
    return "every node", _moment(last_us), _hours(scope.now_us - last_us), "silent"


def _collector(last_us: int | None, silent_us: int) -> str:
    return "runs" if last_us is not None and last_us >= silent_us else "silent"


def _books(scope: Scope, readings: dict[str, int]) -> Finding:
    """Return whether the books follow the readings: the schedule may be paused."""
    newest_us = min(max(readings.values(), default=0), scope.now_us)
    booked = scope.lake.hours("ledger_hour")
    until_us = booked[-1] + HOUR_US if booked else 0
    behind_us = newest_us - until_us
    shown = _moment(until_us) if booked else "nothing"
    late = bool(readings) and behind_us > HOUR_US + scope.limits.silent_us
    title = "The books follow the readings."
    rows = [(shown, _moment(newest_us))] if late else []
    return Finding("books", title, True, ["booked_until", "newest_reading"], list(rows))


def _coverage(scope: Scope) -> list[Finding]:
    def run() -> tuple[list[str], list[tuple[Any, ...]]]:
        hours = {"ledger_hour": scope.booked}
        named = frozenset(("ledger_hour",))
        with connecting.connect(scope.lake, hours, named=named) as con:
            return _rows(con, "coverage", {"least": scope.limits.coverage})

    columns, rows = read(scope.lake, run)
    title = f"At least {scope.limits.coverage:.0%} of each node's device time has known power."
    return [Finding("coverage", title, True, columns, rows)]


def _law(scope: Scope) -> list[Finding]:
    return run_checks(scope.lake, scope.booked, ["law"])


def _columns(scope: Scope) -> list[Finding]:
    wrong, lesser = drifted(scope.lake, scope.hours[0])
    names = ["table", "column", "what", "nodes", "some"]
    aside = set_aside(scope.lake, scope.hours[0])
    return [
        Finding("columns", "New files have the columns of the contract.", True, names, [*wrong]),
        Finding(
            *("quarantine", "No new file is in quarantine.", True),
            *(["table", "hour", "file", "reason"], [*aside]),
        ),
        Finding(
            *("variants", "New files have all columns, in the types of the contract.", False),
            *(names, [*lesser]),
        ),
    ]


def _clocks(scope: Scope) -> list[Finding]:
    def run() -> tuple[list[str], list[tuple[Any, ...]]]:
        # The hour before, for what changed at the start of the first.
        since_us = scope.hours[0] - HOUR_US
        hours = {"clock": [hour for hour in scope.lake.hours("clock") if hour >= since_us]}
        with connecting.connect(scope.lake, hours, named=frozenset(("clock",))) as con:
            given = {"since_us": scope.hours[0], "limit_us": scope.limits.clock_us}
            return _rows(con, "clocks", given)

    columns, rows = read(scope.lake, run)
    title = f"No clock is off or was set by more than {scope.limits.clock_us / 1e6:g} s."
    ahead = newest_stamps(scope.lake, "power", scope.hours[0], scope.now_us + HOUR_US)
    early = [
        (node, _moment(last_us), round((last_us - scope.now_us) / 1e6, 3))
        for node, last_us in sorted(ahead.items())
        if last_us > scope.now_us + scope.limits.clock_us
    ]
    return [
        Finding("clocks", title, True, columns, rows),
        Finding(
            *("future", "No stamp is later than now.", True),
            *(["node", "newest_reading", "ahead_s"], [*early]),
        ),
    ]


LOOKS: dict[str, Callable[[Scope], list[Finding]]] = {
    "freshness": _freshness,
    "coverage": _coverage,
    "law": _law,
    "columns": _columns,
    "clocks": _clocks,
}
"""The looks by name, in the order in which they are shown."""


def _rows(con: Any, name: str, given: dict[str, Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
    result = con.execute(read_sql(_FOLDER, name), given)
    return [column for column, *_ in result.description or ()], result.fetchall()


def _moment(us: int) -> str:
    return f"{datetime.fromtimestamp(us / 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _hours(us: int) -> float:
    return round(us / HOUR_US, 1)
