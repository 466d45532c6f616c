"""What a site gave in events of demand response, on the terminal.

In: a lake with events. Out: tables, CSV or JSON; what is not known is a dash, or empty, or null.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tokenergy_collectors.base.errors import UserError
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.asking import AnyLake, ask
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.flexibility import events, givers, windows
from tokenergy_sql.flexibility.flexible import Flexible, labelled, listed
from tokenergy_sql.flexibility.response import Asked, response
from tokenergy_sql.terminal.grid import Grid
from tokenergy_sql.terminal.output import Output, Part
from tokenergy_sql.terminal.table import Column, interval, significant, table_of

if TYPE_CHECKING:
    import duckdb

_EMULATED = "SELECT coalesce(bool_or(emulated), false) AS emulated FROM job_index"
_READS = " ".join((events.READS, windows.READS, givers.READS, _EMULATED))


def print_responses(lake: AnyLake, asked: Asked, output: Output) -> None:
    """Print one row for each event.

    Args:
        lake: the lake, indexed.
        asked: how responses are reckoned.
        output: in which form, and where.

    Raises:
        UserError: the lake has no events.
    """

    def read(con: duckdb.DuckDBPyConnection) -> list[NamedRow]:
        views.define(con, views.UNITS)
        found = _events(con)
        emulated = _emulated(con)
        return [response(con, one, found, asked)[0] | {"emulated": emulated} for one in found]

    rows = ask(lake, "response", read, _READS)
    output.show(rows, lambda: [responses_table(rows)])


def print_response(
    lake: AnyLake,
    event_id: str,
    asked: Asked,
    jobs: Path | None,
    label: str,
    output: Output,
) -> None:
    """Print one event: hour by hour, and by flexible job; other arguments are as above.

    Args:
        lake: the lake, indexed.
        event_id: which event.
        asked: how the response is reckoned.
        jobs: a list of flexible jobs; None: those with the label.
        label: the key in the labels of jobs.
        output: as above.

    Raises:
        UserError: there is no such event, or the list cannot be used.
    """
    flexible = None if jobs is None else listed(jobs)

    def read(con: duckdb.DuckDBPyConnection) -> tuple[NamedRow, list[NamedRow], list[NamedRow]]:
        views.define(con, views.UNITS)
        found = _events(con)
        event = events.chosen(found, event_id)
        total, slices = response(con, event, found, asked)
        movable: Flexible = labelled(con, label) if flexible is None else flexible
        window = None if event.cancelled else event.window
        able = givers.givers(con, movable, window) if movable and window is not None else []
        emulated = {"emulated": _emulated(con)}
        return total | emulated, [row | emulated for row in slices], [r | emulated for r in able]

    total, slices, able = ask(lake, "response", read, _READS)
    rows = [
        {"row": "event", **total},
        *({"row": "slice", **row} for row in slices),
        *({"row": "job", **row} for row in able),
    ]
    output.show(rows, lambda: event_parts(total, slices, able))


def _events(con: duckdb.DuckDBPyConnection) -> list[events.Event]:
    found = events.events_of(con)
    if not found:
        raise UserError(
            "the lake has no events: import a list with `tokenergy-collect import events`, or "
            "poll a server with [[openadr]] (docs/flexibility.md)"
        )
    return found


def _emulated(con: duckdb.DuckDBPyConnection) -> bool:
    return bool(named_rows(con, _EMULATED)[0]["emulated"])


def _title(rows: Sequence[NamedRow]) -> str:
    form = next((row["baseline"] for row in rows if row["baseline"]), None)
    return "Demand response" + (f", baseline: {form}" if form else "")


def responses_table(rows: Sequence[NamedRow]) -> Grid:
    """Return events as a table."""
    return table_of(_title(rows), rows, _OF_EVENTS)


def event_parts(
    total: NamedRow, slices: Sequence[NamedRow], able: Sequence[NamedRow]
) -> list[Part]:
    """Return one event as tables, by hour and by flexible job, and the lines below them."""
    parts: list[Part] = [responses_table([total])]
    if slices:
        parts.append(table_of("By hour", slices, _OF_SLICES))
    if able:
        title = "Flexible jobs that ran in the hour before (GPU energy)"
        parts.append(table_of(title, able, _OF_JOBS))
    elif slices:
        parts.append("no flexible job ran in the hour before the event")
    if total["days"]:
        parts.append(f"days of the baseline: {total['days'].replace(',', ', ')}")
    return parts


def _utc(at_us: int | None) -> str:
    if at_us is None:
        return "-"
    return f"{datetime.fromtimestamp(at_us // 1_000_000, UTC):%Y-%m-%d %H:%M}"


_OF_EVENTS = (
    Column("event", lambda r: str(r["event_id"]), justify="left"),
    Column("program", lambda r: r["program"] or "-", rank=3, justify="left"),
    Column("from (UTC)", lambda r: _utc(r["from_us"]), justify="left"),
    Column("to (UTC)", lambda r: _utc(r["to_us"]), rank=2, justify="left"),
    Column("answered", lambda r: r["opt"] or "-", rank=3, justify="left"),
    Column("asked kW", lambda r: significant(r["requested_kw"])),
    Column("baseline kW", lambda r: significant(r["baseline_kw"]), rank=1),
    Column("metered kW", lambda r: significant(r["actual_kw"]), rank=1),
    Column("given kW", lambda r: significant(r["given_kw"])),
    Column("[low, high]", lambda r: interval(r["given_low_kw"], r["given_high_kw"]), rank=2),
    Column("given kWh", lambda r: significant(r["given_kwh"]), rank=2),
    Column("verdict", lambda r: r["verdict"] or "-", justify="left"),
    Column("rebound kWh", lambda r: significant(r["rebound_kwh"]), rank=2),
    Column("metered by", lambda r: r["boundary"] or "-", rank=2, justify="left"),
    Column("notes", lambda r: (r["why"] or "-").replace(",", " "), justify="left"),
)
_OF_SLICES = (
    Column("from (UTC)", lambda r: _utc(r["from_us"]), justify="left"),
    Column("to (UTC)", lambda r: _utc(r["to_us"]), justify="left"),
    Column("asked kW", lambda r: significant(r["requested_kw"])),
    Column("baseline kW", lambda r: significant(r["baseline_kw"])),
    Column("metered kW", lambda r: significant(r["actual_kw"])),
    Column("given kW", lambda r: significant(r["given_kw"])),
)
_OF_JOBS = (
    Column("job", lambda r: str(r["job_id"]), justify="left"),
    Column("may move h", lambda r: significant(r["flexible_hours"], 3), rank=1),
    Column("could give kW", lambda r: significant(r["could_kw"])),
    Column("during kW", lambda r: significant(r["during_kw"]), rank=1),
    Column("gave kW", lambda r: significant(r["gave_kw"])),
    Column("gave kWh", lambda r: significant(r["gave_kwh"]), rank=1),
    Column("tokens/s before", lambda r: significant(r["tokens_s_before"]), rank=1),
    Column("tokens lost", lambda r: significant(r["tokens_lost"])),
    Column("tokens lost/kWh", lambda r: significant(r["tokens_lost_per_kwh"])),
)
