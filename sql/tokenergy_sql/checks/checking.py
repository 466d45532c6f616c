"""Runs the checks: SQL that returns the offending rows.

In: a lake. Out: one finding for each check. `texts.py` says what each looks at when hours are
chosen. A check may leave out nodes and hours whose readings were removed, as the disk limit does
once they are uploaded: its query `left_out` says which, and its finding counts them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.memory import give_back_memory
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.allocations import allocations
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.devicenews import read_news
from tokenergy_collectors.lake.expired import read_expired
from tokenergy_sql.catalog.reading import read
from tokenergy_sql.checks import connections
from tokenergy_sql.checks.hourreadings import Readings
from tokenergy_sql.checks.slices import slices
from tokenergy_sql.checks.texts import Check, Scope, checks_by_name
from tokenergy_sql.checks.touched import touched
from tokenergy_transforms.powerfolders import PowerFolders
from tokenergy_transforms.provenance import removed

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_LEFT_OUT = re.compile(r"^left_out AS \(\n(.*?)\n\)", re.MULTILINE | re.DOTALL)
"""The query of a check that says which nodes and hours it leaves out."""

_DERIVED = (
    *("segment", "ledger", "ledger_hour", "node_hour", "job_hour_index", "load_profile"),
    *("job_efficiency", "token_usage", "meter_hour", "site_hour", "site_part", "host_hour"),
    *("place_hour", "job_signal_hour"),
)
"""The derived tables that checks of an hour read."""


_OF_ALLOCATION = ("job_id", "node", "device_id", "mig_id", "share_ppm", "start_us", "end_us")
"""The columns of `allocation` that checks read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; no rows is a pass.

    Attributes:
        left_out: nodes and hours that it could not look at, since their readings were removed.
    """

    name: str
    title: str
    fatal: bool
    columns: list[str]
    rows: list[tuple[Any, ...]]
    left_out: int = 0

    @property
    def breach(self) -> bool:
        """Whether the check failed, rather than passed or warned."""
        return self.fatal and bool(self.rows)

    def lines(self, limit: int) -> list[str]:
        """Return the finding as text: one line, and up to `limit` offending rows below it."""
        verdict = "FAIL" if self.breach else "warn" if self.rows else "ok"
        count = f" ({len(self.rows)} rows)" if self.rows else ""
        lines = [f"{verdict:<5}{self.name}: {self.title}{count}{self._left_out()}"]
        for row in self.rows[:limit]:
            named = zip(self.columns, row, strict=True)
            lines.append("     " + " ".join(f"{name}={value}" for name, value in named))
        if len(self.rows) > limit:
            lines.append(f"     ... and {len(self.rows) - limit} more")
        return lines

    def _left_out(self) -> str:
        if not self.left_out:
            return ""
        what = "node-hour is" if self.left_out == 1 else "node-hours are"
        return f" ({self.left_out} {what} left out: the readings were removed)"


def run_checks(
    lake: Lake, hours: Sequence[int] | None = None, only: Collection[str] | None = None
) -> list[Finding]:
    """Run the checks on a lake, in the order of their names.

    Args:
        lake: the lake.
        hours: starts of hours, microseconds UTC: checks look at these alone, or at what they
            touched (see `texts.py`). All hours if None.
        only: names of the checks to run; all if None.

    Raises:
        ValueError: `only` has a name that no check has.
    """
    if unknown := {*(only or ())}.difference(checks_by_name()):
        raise ValueError(f"there is no check {', '.join(sorted(unknown))}")
    wanted = {
        name: check for name, check in checks_by_name().items() if only is None or name in only
    }

    def run() -> list[Finding]:
        held = allocations(lake, _OF_ALLOCATION)
        device = lake.read("device") if hours is None else read_news(lake)
        found = _run_whole(lake, wanted, held, hours)
        if hours is not None and (some := _of_scope(wanted, "touched")):
            what = touched(lake, hours, held, device)
            texts = [check.text for check in some.values()]
            with connections.of_touched(lake, what, device, texts) as con:
                found += _run_all(con, some)
            # Whoever held a board in an hour, or has tokens in it, is among these.
            held = what.allocation
        found += _run_hourly(lake, _of_scope(wanted, "hourly"), held, device, hours)
        return [_merged([one for one in found if one.name == name]) for name in wanted]

    with lake.days_held():
        return read(lake, run)


def hourly_names() -> list[str]:
    """Return the names of the checks that look at one hour at a time."""
    return [*_of_scope(checks_by_name(), "hourly")]


def touched_names() -> list[str]:
    """Return the names of the checks that look at what chosen hours touched."""
    return [*_of_scope(checks_by_name(), "touched")]


def _of_scope(checks: Mapping[str, Check], *scopes: Scope) -> dict[str, Check]:
    return {name: check for name, check in checks.items() if check.scope in scopes}


def _run_whole(
    lake: Lake, wanted: Mapping[str, Check], held: pa.Table, hours: Sequence[int] | None
) -> list[Finding]:
    scopes: tuple[Scope, ...] = ("whole", "touched") if hours is None else ("whole",)
    checks = _of_scope(wanted, *scopes)
    if not checks:
        return []
    with connections.everything(lake, held) as con:
        return _run_all(con, checks)


def _run_hourly(
    lake: Lake,
    checks: Mapping[str, Check],
    held: pa.Table,
    device: pa.Table,
    hours: Sequence[int] | None,
) -> list[Finding]:
    if not checks:
        return []
    found, folders = list[Finding](), PowerFolders(lake)
    texts = [check.text for check in checks.values()]
    told = any("stray_spell" in text for text in texts)
    # Of the whole lake, once: a process may have come hours before.
    spells = connections.stray_spells(lake, device) if told and hours is None else None
    scopes = [*_scopes(lake, hours)]
    readings = Readings(lake, [hour for scope in scopes for hour in scope["segment"]])
    for scope in scopes:
        gone = [
            (hour_us, one.node, one.own, one.waiting)
            for hour_us in scope["segment"]
            for one in removed(lake, folders, hour_us)
        ]
        with connections.of_hour(lake, scope, held, device, texts, readings) as con:
            connections.add_removed(con, gone)
            if spells is not None:
                con.register("stray_spell", spells)
            elif told:
                of_hour = connections.stray_spells_of(lake, con, scope["segment"], device)
                con.register("stray_spell", of_hour)
            by_device = {name: check for name, check in checks.items() if check.by_device}
            found += _run_all(con, {k: check for k, check in checks.items() if k not in by_device})
            found += _run_sliced(con, by_device, lake, scope["ledger"])
        give_back_memory()
    return found


def _run_sliced(
    con: duckdb.DuckDBPyConnection, checks: Mapping[str, Check], lake: Lake, hours: Sequence[int]
) -> list[Finding]:
    """Run checks on some devices after the other; what they leave out is counted once."""
    found = list[Finding]()
    for number, _ in enumerate(slices(con, lake, hours) if checks else ()):
        some = _run_all(con, checks)
        found += [replace(one, left_out=0) for one in some] if number else some
    return found


def _run_all(con: duckdb.DuckDBPyConnection, checks: Mapping[str, Check]) -> list[Finding]:
    return [_run(con, name, check) for name, check in checks.items()]


def _run(con: duckdb.DuckDBPyConnection, name: str, check: Check) -> Finding:
    result = con.execute(check.text)
    columns = [column for column, *_ in result.description or ()]
    rows = result.fetchall()
    skips = _LEFT_OUT.search(check.text)
    return Finding(
        name=name,
        title=check.title,
        fatal=check.fatal,
        columns=columns,
        rows=rows,
        left_out=len(con.execute(skips[1]).fetchall()) if skips else 0,
    )


def _merged(found: list[Finding]) -> Finding:
    """Return the findings of one check in several hours as one."""
    rows = [row for one in found for row in one.rows]
    return replace(found[0], rows=rows, left_out=sum(one.left_out for one in found))


def _scopes(lake: Lake, hours: Sequence[int] | None) -> Iterator[dict[str, list[int]]]:
    """Yield the scopes of hourly checks: each of the given hours, or of a lake, by itself.

    A day of a large fleet does not fit into memory, an hour does. Quarantined files of the whole
    lake are reported once, in the first scope. Hours that have expired lack rows that checks
    compare, and are left out.
    """
    expired = read_expired(lake.root)
    if hours is not None:
        some = [hour for hour in hours if not expired.is_frozen(hour)]
        yield from (_scope([hour]) for hour in some) if some else (_scope([]),)
        return
    # Hours of power too: readings without a segment are what one check looks for.
    derived = sorted({hour for table in ("power", *_DERIVED) for hour in lake.hours(table)})
    derived = [hour for hour in derived if not expired.is_frozen(hour)]
    first = _scope(derived[:1])
    del first["quarantined"]
    yield first
    for hour in derived[1:]:
        yield {**_scope([hour]), "quarantined": []}


def _scope(hours: Sequence[int]) -> dict[str, list[int]]:
    """Return the hours of each table that an hourly check reads; of raw rows, neighbours too."""
    near = sorted({hour + step for hour in hours for step in (-HOUR_US, 0, HOUR_US)})
    own = {name: list(hours) for name in (*_DERIVED, "quarantined")}
    return {**own, **dict.fromkeys(("power", "state", "meter", "host"), near)}
