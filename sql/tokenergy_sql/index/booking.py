"""Books one hour: passes what SQL decides to the compiled kernels, and their results back to SQL.

In: a connection with the models' inputs, the hour's files of segments, or those of a group of its
nodes. Out: rows of `ledger`, in its order, in pieces of whole devices.

SQL decides by device, by edge and by tenure (`sensor_class`, `edge`, `claim`); the kernels of
`tokenergy_transforms.booking` do the work for each of millions of segments. The tests compare them,
bit by bit, with the same rules in SQL alone (`tests/sql/oracles/`); `make bench-booking` times
both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake import Lake
from tokenergy_sql.index.bookedrows import Piece, nullable, piece_of
from tokenergy_sql.index.models import model_text
from tokenergy_sql.index.seen import create_seen
from tokenergy_sql.index.watched import watched
from tokenergy_transforms.batch import NONE

if TYPE_CHECKING:
    import duckdb

    from tokenergy_transforms.booking.accounts import Claims
    from tokenergy_transforms.booking.activity import Activity
    from tokenergy_transforms.booking.blocks import Blocks, Edges
    from tokenergy_transforms.booking.gauges import Gauges
    from tokenergy_transforms.booking.hour import Hour
    from tokenergy_transforms.booking.parts import Sensors, Shifts
    from tokenergy_transforms.booking.runs import Cuts

PIECE_ROWS = 1 << 18
"""Segments booked at a time, approximately."""

LEFT = ("node_watched", "longest_segment", "seen", "claim")
"""Tables that booking leaves on the connection, for the models of the hour."""


def ledger(con: duckdb.DuckDBPyConnection, lake: Lake, hour_us: int) -> Iterator[Piece]:
    """Yield the ledger of an hour, in its order.

    Args:
        con: has `allocation`, `state`, `device_now`, `parameters`, `sensor_class`, `job_activity`,
            `job_cut` and `job_edge`; gets the tables of `LEFT`, and others.
        lake: has the segments.
        hour_us: start of the hour.

    Raises:
        UserError: a file of segments is damaged.
    """
    from tokenergy_transforms.booking.accounts import ledger_rows
    from tokenergy_transforms.booking.blocks import find_blocks
    from tokenergy_transforms.booking.hour import read_hour
    from tokenergy_transforms.booking.parts import book

    hour = read_hour(lake, hour_us)
    _create_table(con, "node_watched", **watched(hour))
    longest_us = np.max(hour.end_us - hour.start_us, initial=0)
    _create_table(con, "longest_segment", length_us=np.array([longest_us], np.int64))
    _create_table(con, "device_place", device_id=hour.devices, place=np.arange(len(hour.devices)))
    edges = _edges(con, len(hour.devices))
    blocks = find_blocks(hour, edges)
    sensors = _sensors(con)
    _create_block(con, hour, hour_us, blocks, sensors)
    parts = book(hour, blocks, edges, sensors, _shifts(con))
    claims, jobs = _claims(con, hour, blocks)
    create_seen(con, hour, blocks.span)
    if not hour.devices:
        return
    looked, moved = _activity(con, jobs)
    cuts = _cuts(con, jobs)
    gauges = _gauges(con, len(hour.devices))
    limit_mw = _limits(con)
    for devices in _pieces(hour.offsets):
        rows = ledger_rows(devices, hour, blocks, parts, sensors, claims, looked, moved, gauges)
        yield piece_of(hour, devices, rows, blocks, cuts, jobs, limit_mw)


def _edges(con: duckdb.DuckDBPyConnection, devices: int) -> Edges:
    from tokenergy_transforms.booking.blocks import Edges

    found = con.execute(
        "SELECT place, cut_us FROM job_edge JOIN device_place USING (device_id) "
        "ORDER BY place, cut_us"
    ).fetchnumpy()
    return Edges(_values(found["cut_us"]), _offsets(found["place"], devices))


def _create_block(
    con: duckdb.DuckDBPyConnection, hour: Hour, hour_us: int, blocks: Blocks, sensors: Sensors
) -> None:
    """Create `block`: the segments that touch a job's edge, for `edge.sql`."""
    from tokenergy_transforms.booking.blocks import METERED_BY, recent_max
    from tokenergy_transforms.booking.lines import open_beside

    rows = np.flatnonzero(blocks.beside)
    device = np.searchsorted(hour.offsets, rows, side="right") - 1
    open_start_nj, open_end_nj = open_beside(rows, device, hour, hour_us, blocks, sensors.limit_mw)
    head = blocks.head[rows]
    recent_mw = recent_max(rows, hour.offsets[device], hour.end_us, hour.max_mw)
    _create_table(
        con,
        "block",
        device_id=[hour.devices[d] for d in device.tolist()],
        start_us=hour.start_us[rows],
        end_us=hour.end_us[rows],
        known=[METERED_BY[kind] for kind in blocks.metered_by[rows].tolist()],
        divides=blocks.divides[rows].astype(np.int32),
        k=nullable(blocks.k[rows], np.isnan(blocks.k[rows])),
        counter_off_us=nullable(hour.counter_off_us[rows]),
        max_mw=nullable(hour.max_mw[rows]),
        end_mw=nullable(hour.end_mw[rows]),
        recent_max_mw=nullable(recent_mw),
        idle_mw=blocks.idle_mw[device],
        block_integral=blocks.integral_nj[head],
        block_total=blocks.total_nj[head],
        open_start_nj=open_start_nj,
        open_end_nj=open_end_nj,
    )


def _shifts(con: duckdb.DuckDBPyConnection) -> Shifts:
    """Run `edge.sql` on `block`: what each edge of a job moves."""
    from tokenergy_transforms.booking.parts import Shifts

    con.execute(f"CREATE TEMP TABLE edge AS {model_text('edge')}")
    names = Shifts.__slots__
    found = con.execute(
        f"SELECT {', '.join(f'coalesce({name}, 0) AS {name}' for name in names)} "  # noqa: S608
        "FROM job_edge JOIN device_place USING (device_id) "
        "LEFT JOIN edge USING (device_id, cut_us) "
        "ORDER BY place, cut_us"
    ).fetchnumpy()
    return Shifts(*(_values(found[name]) for name in names))


def _sensors(con: duckdb.DuckDBPyConnection) -> Sensors:
    from tokenergy_transforms.booking.parts import Sensors

    found = con.execute(model_text("device_sensor")).fetchnumpy()
    return Sensors(**{name: _values(column) for name, column in found.items()})


def _limits(con: duckdb.DuckDBPyConnection) -> np.ndarray:
    """Return the power limits of the hour's devices, `NONE` where none was recorded."""
    found = con.execute(
        "SELECT coalesce(limit_mw, $1)::BIGINT AS limit_mw "
        "FROM device_place LEFT JOIN device_now USING (device_id) ORDER BY place",
        [NONE],
    ).fetchnumpy()
    return _values(found["limit_mw"])


def _claims(con: duckdb.DuckDBPyConnection, hour: Hour, blocks: Blocks) -> tuple[Claims, list[str]]:
    """Return who holds what, and the sorted jobs that hold a device."""
    from tokenergy_transforms.booking.accounts import Claims

    first = np.flatnonzero(np.diff(blocks.span, prepend=-1))
    device = np.searchsorted(hour.offsets, first, side="right") - 1
    _create_table(
        con,
        "span",
        device_id=[hour.devices[d] for d in device.tolist()],
        span=np.arange(len(first)),
        start_us=hour.start_us[first],
        end_us=hour.end_us[first],
    )
    con.execute(f"CREATE TEMP TABLE claim AS {model_text('claim')}")
    con.execute(
        "CREATE TEMP TABLE job_place AS SELECT job_id, row_number() OVER (ORDER BY job_id) - 1 AS "
        "place FROM (SELECT DISTINCT job_id FROM claim WHERE job_id IS NOT NULL)"
    )
    found = con.execute(
        "SELECT claim.* EXCLUDE (job_id), coalesce(place, -1)::INT AS job FROM claim "
        "LEFT JOIN job_place USING (job_id) ORDER BY span, upper_ppm"
    ).fetchnumpy()
    claims = Claims(
        _offsets(found["span"], len(first)),
        _values(found["job"]),
        _values(found["lower_ppm"]),
        _values(found["upper_ppm"]),
        _values(found["whole_ppm"]),
        _values(found["shared"]),
    )
    jobs = con.execute("SELECT job_id FROM job_place ORDER BY place").fetchall()
    return claims, [job for (job,) in jobs]


def _activity(con: duckdb.DuckDBPyConnection, jobs: list[str]) -> tuple[Activity, Activity]:
    """Return when the jobs' token counters were read, and when they moved."""
    from tokenergy_transforms.booking.activity import covered

    found = con.execute(
        "SELECT place::INT AS job, from_us, to_us, coalesce(moved, false) AS moved "
        "FROM job_activity JOIN job_place USING (job_id) ORDER BY job, from_us, to_us"
    ).fetchnumpy()
    job, from_us, to_us, moved = (_values(found[name]) for name in found)
    return (
        covered(job, from_us, to_us, len(jobs)),
        covered(job[moved], from_us[moved], to_us[moved], len(jobs)),
    )


def _cuts(con: duckdb.DuckDBPyConnection, jobs: list[str]) -> Cuts:
    """Return where the time of the jobs is divided."""
    from tokenergy_transforms.booking.blocks import SLOT_US
    from tokenergy_transforms.booking.runs import Cuts

    found = con.execute(
        "SELECT place, unnest(cuts) AS at_us FROM job_cut JOIN job_place USING (job_id) "
        "ORDER BY place, at_us"
    ).fetchnumpy()
    steps = con.execute(
        "SELECT coalesce(step_us, $1)::BIGINT AS step_us, coalesce(gaps, false) AS gaps "
        "FROM job_place LEFT JOIN job_cut USING (job_id) ORDER BY place",
        [SLOT_US],
    ).fetchnumpy()
    return Cuts(
        _offsets(found["place"], len(jobs)),
        _values(found["at_us"]),
        _values(steps["step_us"]),
        _values(steps["gaps"]),
    )


def _gauges(con: duckdb.DuckDBPyConnection, devices: int) -> Gauges:
    from tokenergy_transforms.booking.gauges import Gauges

    found = con.execute(model_text("gauge")).fetchnumpy()
    place, *rest = (_values(found[name]) for name in found)
    return Gauges(_offsets(place, devices), *rest)


def _pieces(offsets: np.ndarray) -> Iterator[range]:
    """Yield ranges of devices that have about `PIECE_ROWS` segments together."""
    first = 0
    while first < len(offsets) - 1:
        last = int(np.searchsorted(offsets, offsets[first] + PIECE_ROWS, side="right")) - 1
        last = max(last, first + 1)
        yield range(first, last)
        first = last


def _offsets(places: Any, count: int) -> np.ndarray:
    """Return where each of `count` places begins in an ascending list, and its end."""
    return np.searchsorted(_values(places), np.arange(count + 1)).astype(np.int64)


def _values(column: Any) -> np.ndarray:
    """Return the values of a column without NULLs, which DuckDB may give as a masked array."""
    return np.ascontiguousarray(np.ma.getdata(column))


def _create_table(con: duckdb.DuckDBPyConnection, name: str, **columns: Any) -> None:
    """Create a table of columns; an empty list of texts still has its type."""
    import pyarrow as pa

    rows = pa.table(
        {
            key: pa.array(column, pa.string()) if isinstance(column, list) else column
            for key, column in columns.items()
        }
    )
    con.register("incoming", rows)
    con.execute(f"CREATE TEMP TABLE {name} AS FROM incoming")
    con.unregister("incoming")
