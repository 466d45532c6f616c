"""Which flexible jobs ran in an event: what each could have given, what it gave, and what it cost.

In: flexible jobs, an event's window, a lake. Out: one row a job that ran in the hour before. A job
is compared with itself: with its power and its token rate just before. Tokens are known by hours.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import hour_of
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.flexibility.flexible import Flexible
from tokenergy_sql.flexibility.windows import ENOUGH, Window, register

if TYPE_CHECKING:
    import duckdb

_ENERGY = read_sql("tokenergy_sql.flexibility", "job_window")
_TOKENS = read_sql("tokenergy_sql.flexibility", "job_tokens")
_INDEXED = (
    "SELECT DISTINCT hour_us FROM job_hour_index WHERE hour_us >= $since AND hour_us < $until"
)

READS = f"{_ENERGY} {_TOKENS} {_INDEXED} allocation"
"""All SQL of this module: names the tables that it reads."""

_KW = 1e6


def givers(con: duckdb.DuckDBPyConnection, flexible: Flexible, event: Window) -> list[NamedRow]:
    """Return what each flexible job drew and counted before and in an event, the largest first.

    Args:
        con: the lake.
        flexible: hours by job.
        event: the event's window.
    """
    jobs = {"jobs": sorted(flexible)}
    earlier = Window(event.from_us - HOUR_US, event.from_us)
    whole = _whole_hours(event)
    token_before = Window(hour_of(event.from_us) - HOUR_US, hour_of(event.from_us))
    windows = [earlier, event, token_before, *([] if whole is None else [whole])]
    register(con, windows)
    energy: defaultdict[str, dict[Window, NamedRow]] = defaultdict(dict)
    for row in named_rows(con, _ENERGY, jobs):
        energy[row["job_id"]][windows[row["place"]]] = row
    con.unregister("load_window")
    hours = {"since": token_before.from_us, "until": event.until_us}
    tokens: defaultdict[str, dict[int, NamedRow]] = defaultdict(dict)
    for row in named_rows(con, _TOKENS, jobs | hours):
        tokens[row["job_id"]][row["hour_us"]] = row
    indexed = {hour for (hour,) in con.execute(_INDEXED, hours).fetchall()}
    rows = []
    for job in energy:
        known = _Known(energy[job], tokens[job], indexed)
        if earlier in known.energy:
            row = _row(job, flexible[job], known, (earlier, event))
            rows.append(row | _cost(known, token_before, whole))
    return sorted(rows, key=lambda one: (-(one["could_kw"] or 0.0), one["job_id"]))


def _whole_hours(event: Window) -> Window | None:
    """Return the whole hours inside an event; None if there are none."""
    first = -(-event.from_us // HOUR_US) * HOUR_US
    last = hour_of(event.until_us)
    return Window(first, last) if first < last else None


class _Known(NamedTuple):
    """What is known of one job: energy by window, tokens by hour; and the hours of the index."""

    energy: dict[Window, NamedRow]
    tokens: dict[int, NamedRow]
    indexed: set[int]

    def kw(self, window: Window) -> float | None:
        """Return the job's mean power; 0 where it held nothing, None where it is not known."""
        hours = range(hour_of(window.from_us), window.until_us, HOUR_US)
        if not self.indexed.issuperset(hours):
            return None
        row = self.energy.get(window)
        if row is None:
            return 0.0
        if float(row["covered_us"]) < ENOUGH * float(row["device_us"]):
            return None
        return float(row["nj"]) / window.length_us / _KW


def _row(
    job: str,
    hours: float | None,
    known: _Known,
    windows: tuple[Window, Window],
) -> NamedRow:
    earlier, event = windows
    could, during = known.kw(earlier), known.kw(event)
    gave = None if could is None or during is None else could - during
    return {
        "job_id": job,
        "flexible_hours": hours,
        "could_kw": could,
        "during_kw": during,
        "gave_kw": gave,
        "gave_kwh": None if gave is None else gave * event.length_us / HOUR_US,
    }


def _cost(known: _Known, earlier: Window, whole: Window | None) -> NamedRow:
    """Return tokens that a job would have counted at its own rate before, less those it counted."""
    none: NamedRow = dict.fromkeys(("tokens_s_before", "tokens_lost", "tokens_lost_per_kwh"))
    usual = known.tokens.get(earlier.from_us)
    if usual is None or usual["tokens"] is None or (usual["coverage"] or 0) < ENOUGH:
        return none
    found = none | {"tokens_s_before": usual["tokens"] / (HOUR_US / 1e6)}
    if whole is None:
        return found
    counted = 0
    for hour in range(whole.from_us, whole.until_us, HOUR_US):
        row = known.tokens.get(hour)
        if row is None and hour in known.indexed:
            continue  # it held no board, so it counted no token
        if row is None or row["tokens"] is None or (row["coverage"] or 0) < ENOUGH:
            return found
        counted += row["tokens"]
    lost = usual["tokens"] * (whole.length_us // HOUR_US) - counted
    before, during = known.kw(earlier), known.kw(whole)
    found["tokens_lost"] = lost
    if before is not None and during is not None and before > during:
        found["tokens_lost_per_kwh"] = lost / ((before - during) * whole.length_us / HOUR_US)
    return found
