"""The rows of `job_signal_hour` of an hour: each job's energy times what signals say.

In: the ledger and the index of the hour, what is known of its signals. Out: rows, as the contract
has them; none if the site file declares no signal for the hour.

The ledger says how a job's GPU energy lies in time, to its runs of at most 30 s. The energy of
hosts and of the building is known by the hour: that of hosts lies as the job's device time does,
that of the building as GPU and host together. All parts of a job add up to its energy of the hour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.lake.contract import HOUR_US, JOB_SIGNAL_HOUR
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.signals.jobparts import JobParts, Part, job_parts
from tokenergy_sql.signals.known import HourSignals, Known, Served

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Row = dict[str, Any]

_BILLIONTHS_PER_KWH = 3_600_000_000_000
"""mg/kWh x nJ over this is micrograms; millionths/kWh x nJ over this is billionths."""
_WHOLE_PPB = 1_000_000_000

_OF_INDEX = (
    *("job_id", "device_us", "e_gpu_nj", "e_gpu_low_nj", "e_gpu_high_nj", "e_host_nj"),
    *("e_it_low_nj", "e_it_high_nj", "e_facility_nj", "e_facility_low_nj", "e_facility_high_nj"),
    *("host_method", "facility_method", "emulated"),
)


def signal_rows(
    con: duckdb.DuckDBPyConnection,
    indices: pa.Table,
    signals: HourSignals,
    hour_us: int,
    version: str,
) -> pa.Table:
    """Return the rows of an hour.

    Args:
        con: has `ledger` of the hour.
        indices: the rows of `job_hour_index`.
        signals: what is known of signals in the hour.
        hour_us: start of the hour, microseconds UTC.
        version: of the models.
    """
    import pyarrow as pa

    schema = JOB_SIGNAL_HOUR.schema()
    served = [one for one in signals.served if one.purpose != "contracted"]
    if not served or not indices.num_rows:
        return schema.empty_table()
    parts = _parts(signals, hour_us)
    energies = _of_ledger(con, parts)
    rows = [
        row
        for job in indices.select(_OF_INDEX).to_pylist()
        for row in _of_job(
            job, job_parts(job, energies.get(job["job_id"], {}), parts), served, signals
        )
    ]
    of_hour = {"hour_us": hour_us, "index_version": version}
    return pa.Table.from_pylist([row | of_hour for row in rows], schema=schema)


def _parts(signals: HourSignals, hour_us: int) -> list[Part]:
    """Return the parts of an hour in which no signal changes."""
    edges = {hour_us, hour_us + HOUR_US}
    for served in signals.served:
        edges.update((served.from_us, served.until_us))
        edges.update(edge for one in served.known for edge in one[:2])
    edges.update(edge for one in signals.embodied_ug for edge in one[:2])
    return [*pairwise(sorted(edges))]


def _of_ledger(
    con: duckdb.DuckDBPyConnection, parts: Sequence[Part]
) -> dict[str, dict[int, tuple[int, int, int, int]]]:
    """Return energy, bounds and device time of each job and part, as the ledger has them."""
    import pyarrow as pa

    columns = {
        "part": [*range(len(parts))],
        "from_us": [part[0] for part in parts],
        "until_us": [part[1] for part in parts],
    }
    con.register("signal_part", pa.table(columns))
    found: dict[str, dict[int, tuple[int, int, int, int]]] = {}
    for job_id, part, *figures in con.execute(read_sql(__package__, "job_part")).fetchall():
        energy_nj, low_nj, high_nj, device_us = map(int, figures)
        found.setdefault(job_id, {})[part] = (energy_nj, low_nj, high_nj, device_us)
    con.unregister("signal_part")
    return found


def _of_job(
    job: Row, energy: JobParts, served: Sequence[Served], signals: HourSignals
) -> Iterator[Row]:
    """Yield the rows of a job, one a signal."""
    for one in served:
        row: Row = {
            "job_id": job["job_id"],
            "purpose": one.purpose,
            "signal": one.signal,
            "quantity": one.quantity,
            "lifecycle": one.lifecycle,
            "zone": one.zone,
            "currency": one.currency,
            "unit": _unit(one),
            "served_us": one.until_us - one.from_us,
            "known_us": sum(known.until_us - known.from_us for known in one.known),
            "doubts": one.doubts,
            "host_method": job["host_method"],
            "facility_method": job["facility_method"],
            "emulated": job["emulated"],
        }
        values = [_value(one.known, part) for part in energy.parts]
        serving = [one.from_us <= part[0] < one.until_us for part in energy.parts]
        per = _WHOLE_PPB if one.purpose in ("renewable", "cfe") else _BILLIONTHS_PER_KWH
        for name, boundary in energy.boundaries.items():
            row |= _amounts(name, boundary, values, serving, per)
        if one.purpose == "carbon":
            row["embodied_ug"] = _embodied(energy, serving, signals.embodied_ug)
        yield row


def _unit(one: Served) -> str:
    if one.purpose == "carbon":
        return "ug CO2e"
    return f"1e-9 {one.currency or 'currency'}" if one.purpose == "price" else "nJ"


def _value(known: Sequence[Known], part: Part) -> int | None:
    """Return the value of a part of the hour: no signal changes within it."""
    return next((one.value for one in known if one.from_us <= part[0] < one.until_us), None)


def _amounts(
    name: str,
    boundary: tuple[Sequence[int] | None, Sequence[int] | None, Sequence[int] | None],
    values: Sequence[int | None],
    serving: Sequence[bool],
    per: int,
) -> Row:
    """Return the columns of one boundary.

    Args:
        name: of the boundary.
        boundary: energy of each part, and its bounds; None: unknown.
        values: of the signal in each part.
        serving: whether the signal serves its purpose there.
        per: what a product of value and energy is divided by.
    """
    energy, low, high = boundary
    if energy is None:
        return {}
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    amount = sum(value * energy[place] for place, value in known)
    row: Row = {
        f"{name}_nj": sum(nj for nj, serves in zip(energy, serving, strict=True) if serves),
        f"{name}_known_nj": sum(energy[place] for place, _ in known),
        f"{name}_amount": amount // per if known else None,
    }
    # A negative price is least where the energy is most.
    bounds = (_extreme(known, low, high), _extreme(known, high, low))
    if not known:
        return row
    if bounds[0] is not None:
        row[f"{name}_low"] = min(bounds[0], amount) // per
    if bounds[1] is not None:
        row[f"{name}_high"] = -(-max(bounds[1], amount) // per)
    return row


def _extreme(
    known: Sequence[tuple[int, int]],
    of_positive: Sequence[int] | None,
    of_negative: Sequence[int] | None,
) -> int | None:
    """Return the sum of values times energy, with one bound where the value is negative."""
    total = 0
    for place, value in known:
        bound = of_negative if value < 0 else of_positive
        if value and bound is None:
            return None
        total += value * bound[place] if bound is not None else 0
    return total


def _embodied(energy: JobParts, serving: Sequence[bool], declared: Sequence[Known]) -> int | None:
    """Return embodied emissions of a job's GPU time, micrograms; None if none are declared."""
    if not declared:
        return None
    total = 0
    for part, device_us, serves in zip(energy.parts, energy.device_us, serving, strict=True):
        per_hour = _value(declared, part)
        if serves and per_hour is not None:
            total += device_us * per_hour
    return total // HOUR_US
