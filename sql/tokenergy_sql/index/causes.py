"""Why an hour is stale: the hours that a lake has, and what they were derived from before.

In: a lake, what was recorded of its hours, the digests of their inputs now. Out: causes by hour.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.absent import there
from tokenergy_sql.index import sitehistory
from tokenergy_sql.index.inputs import Inputs
from tokenergy_sql.index.mending import lost_nodes
from tokenergy_sql.revisions import revisions

TABLES_KEY = "made"
"""Key, among the inputs recorded of an hour, of the tables that have a file of it."""

GONE = "gone"
"""Cause of an hour that lost a derived file, while its inputs are what they were."""

NEW = "new"
"""Cause of an hour that is derived for the first time."""


def all_hours(lake: Lake, counted: Iterable[int]) -> set[int]:
    """Return the hours that have segments or tokens, and those that were derived before.

    Tokens between the start of a server and its first reading are known only as a sum over all the
    time: hours before the first record of the lake are not derived for them.

    Args:
        lake: the lake.
        counted: hours with tokens, microseconds UTC.
    """
    read = [hour for table in ("power", "tokens", "segment") for hour in lake.hours(table)]
    first_us, last_us = min(read, default=0), max(read, default=-1)
    found = {hour for hour in counted if first_us <= hour <= last_us}
    for table in ("segment", "ledger", "ledger_hour", "token_usage", "job_hour_index"):
        found |= set(lake.hours(table))
    return found


def causes_of(lake: Lake, hour: int, before: Inputs | None, now: Inputs) -> list[str]:
    """Return why an hour is stale, or nothing: see `pipeline.Indexed.causes`."""
    if before is None:
        return [NEW]
    kinds = {*before, *now} - {TABLES_KEY, sitehistory.KEY}
    changed = sorted(kind for kind in kinds if before.get(kind) != now.get(kind))
    if not changed and tables_of(lake, hour) != before.get(TABLES_KEY):
        changed = [GONE]
    return [] if changed and lost_nodes(lake, hour) else changed


def tables_of(lake: Lake, hour: int) -> str:
    """Return the derived tables that have a file of an hour, joined by a comma."""
    tables = (table for table in revisions.REVISED_TABLES if table != "job_index")
    found = ((table, lake.books.file(table, hour)) for table in tables)
    return ",".join(table for table, path in found if path is not None and there(path))


def missing_tables(lake: Lake, hours: Iterable[int]) -> dict[int, list[str]]:
    """Return the derived tables that had a file of an hour when it was last derived, by hour."""
    recorded = revisions.read_recorded(lake).hours
    made = {hour: recorded.get(hour, {}).get(TABLES_KEY, "").split(",") for hour in hours}
    return {
        hour: sorted({*tables}.difference(tables_of(lake, hour).split(",")))
        for hour, tables in made.items()
    }
