"""The rows that the booking kernels return, as Arrow tables.

In: `LedgerRows` of some devices. Out: a `Piece` of the ledger, its sums, and the power of its
segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake.contract import LEDGER
from tokenergy_transforms.batch import NONE

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_transforms.booking.accounts import LedgerRows
    from tokenergy_transforms.booking.hour import Hour


@dataclass(frozen=True, slots=True)
class Piece:
    """The ledger of some devices in an hour, with dictionary-encoded texts.

    Attributes:
        ledger: columns of the contract, in its order.
        sums: the same rows added up by device, node, account, job and method: enough for
            `ledger_hour.sql`.
        power: for `job_cap_part.sql`: job, covered time, and the power of the segment.
    """

    ledger: pa.Table
    sums: pa.Table
    power: pa.Table


def power_schema() -> pa.Schema:
    """Return the columns of `Piece.power`."""
    import pyarrow as pa

    texts = pa.dictionary(pa.int32(), pa.string())
    whole = {name: pa.int64() for name in ("covered_us", "segment_nj", "segment_us")}
    power = {name: pa.int32() for name in ("min_mw", "max_mw", "end_mw", "before_mw")}
    return pa.schema({"device_id": texts, "job_id": texts, **whole, **power})


def before_mw(hour: Hour) -> np.ndarray:
    """Return the power at the end of the covered segment before each, `NONE` if there is none."""
    before = np.full_like(hour.end_mw, NONE)
    before[1:] = hour.end_mw[:-1]
    # Few segments follow one without readings: only for these is the last covered one looked for.
    late = np.flatnonzero(hour.covered_us[:-1] == 0) + 1
    covered = np.concatenate([[NONE], np.flatnonzero(hour.covered_us > 0)])
    last = covered[np.searchsorted(covered, late) - 1]
    first = hour.offsets[np.searchsorted(hour.offsets, late, side="right") - 1]
    before[late] = np.where(last >= first, hour.end_mw[last], NONE)
    before[hour.offsets[:-1][np.diff(hour.offsets) > 0]] = NONE
    return before


def piece_of(
    hour: Hour, devices: range, rows: LedgerRows, jobs: list[str], before: np.ndarray
) -> Piece:
    """Return the rows of some devices.

    Args:
        hour: the segments.
        devices: places of the devices.
        rows: what was booked of them.
        jobs: all jobs, in the order of their places.
        before: `before_mw(hour)`.
    """
    import pyarrow as pa

    from tokenergy_transforms.booking.sums import added

    segment = rows.values[0]
    ends = hour.offsets[devices.start + 1 : devices.stop + 1]
    device = np.searchsorted(ends, segment, side="right").astype(np.int32)
    whole = _table(hour, devices, device, rows, jobs)
    sums, first, end_us, gap_us = added(
        rows, device, hour.node[segment], hour.end_us[segment], hour.max_gap_us[segment]
    )
    few = _table(hour, devices, device[first], sums, jobs)
    for name, column in (("end_us", end_us), ("max_gap_us", gap_us)):
        few = few.set_column(few.column_names.index(name), name, pa.array(column))
    power = {
        "device_id": whole["device_id"],
        "job_id": whole["job_id"],
        "covered_us": whole["covered_us"],
        "segment_nj": hour.energy_nj[segment],
        "segment_us": hour.covered_us[segment],
        "min_mw": nullable(hour.min_mw[segment]),
        "max_mw": nullable(hour.max_mw[segment]),
        "end_mw": nullable(hour.end_mw[segment]),
        "before_mw": nullable(before[segment]),
    }
    return Piece(whole, few, pa.table(power, schema=power_schema()))


def _table(
    hour: Hour, devices: range, device: np.ndarray, rows: LedgerRows, jobs: list[str]
) -> pa.Table:
    """Return rows as columns of the contract."""
    import pyarrow as pa

    from tokenergy_transforms import anomalies
    from tokenergy_transforms.booking import accounts, parts

    segment, energy, low, high, integral, counter, covered, device_us = rows.values
    account, job, method, meter, shared, reasons = rows.codes
    columns = {
        "device_id": _texts(hour.devices[devices.start : devices.stop], device),
        "node": _texts(hour.nodes, hour.node[segment]),
        "start_us": hour.start_us[segment],
        "end_us": hour.end_us[segment],
        "account": _texts(accounts.ACCOUNTS, account),
        "job_id": _texts(jobs, job),
        "energy_nj": nullable(energy, account == accounts.GAP),
        "low_nj": low,
        "high_nj": high,
        "method": _texts(parts.METHODS, method),
        "meter": _texts(parts.METERS, meter),
        "attribution": _texts(("exclusive", "shared_estimate"), shared),
        "k": nullable(rows.k, np.isnan(rows.k)),
        "integral_nj": integral,
        "counter_nj": nullable(counter),
        "covered_us": covered,
        "device_us": device_us,
        "max_gap_us": hour.max_gap_us[segment],
        "reasons": _texts(anomalies.TEXTS, np.where(reasons == 0, np.int32(NONE), reasons)),
    }
    return pa.table({name: columns[name] for name in LEDGER.column_names})


def _texts(texts: Any, places: np.ndarray) -> pa.Array:
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(nullable(places), pa.array(texts, pa.string()))


def nullable(values: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """Return a column that is NULL where `missing` is true, or where a value is `NONE`."""
    import pyarrow as pa

    mask = values == NONE if missing is None else missing
    return pa.array(values, mask=mask if mask.any() else None)
