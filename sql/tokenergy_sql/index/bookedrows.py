"""The rows that the booking kernels return, as Arrow tables.

In: `LedgerRows` of some devices. Out: a `Piece` of the ledger, its sums, and what it drew above
caps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tokenergy_collectors.lake.contract import LEDGER
from tokenergy_transforms.batch import NONE

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_transforms.batch import I32
    from tokenergy_transforms.booking.accounts import LedgerRows
    from tokenergy_transforms.booking.blocks import Blocks
    from tokenergy_transforms.booking.caps import OverCaps
    from tokenergy_transforms.booking.hour import Hour
    from tokenergy_transforms.booking.runs import Cuts, Runs


@dataclass(frozen=True, slots=True)
class Piece:
    """The ledger of some devices in an hour, with dictionary-encoded texts.

    Attributes:
        ledger: columns of the contract, in its order.
        sums: the same rows added up by device, node, account, job and method: enough for
            `ledger_hour.sql`.
        caps: `job_cap_part`: one row a device and job, with the columns that `job_caps.sql` reads.
    """

    ledger: pa.Table
    sums: pa.Table
    caps: pa.Table


@dataclass(frozen=True, slots=True)
class Booked:
    """The ledger of an hour, or of a group of its nodes.

    Attributes:
        ledger: its rows, in its order.
        sums, caps: as in `Piece`, of all rows of `ledger` that were taken.
    """

    ledger: Iterator[pa.Table]
    sums: list[pa.Table]
    caps: list[pa.Table]

    @classmethod
    def of(cls, pieces: Iterable[Piece]) -> Booked:
        """Return what pieces say together; they are taken as their rows are."""
        sums = [LEDGER.schema().empty_table()]
        caps = [caps_schema().empty_table()]

        def ledger() -> Iterator[pa.Table]:
            for piece in pieces:
                sums.append(piece.sums.cast(sums[0].schema))
                caps.append(piece.caps)
                yield piece.ledger

        return cls(ledger(), sums, caps)


def caps_schema() -> pa.Schema:
    """Return the columns of `job_cap_part`, with plain texts."""
    import pyarrow as pa

    from tokenergy_transforms.booking.caps import CAPS

    over = {f"over_{cap}_{bound}_nj": pa.int64() for cap in CAPS for bound in ("low", "high")}
    return pa.schema({"job_id": pa.string(), "limited": pa.bool_(), **over})


def ledger_schema() -> pa.Schema:
    """Return the columns of a piece of the ledger: those of the contract, texts as dictionaries."""
    import pyarrow as pa

    texts = pa.dictionary(pa.int32(), pa.string())
    fields = LEDGER.schema()
    return pa.schema(f.with_type(texts) if f.type == pa.string() else f for f in fields)


def piece_of(
    hour: Hour,
    devices: range,
    rows: LedgerRows,
    blocks: Blocks,
    cuts: Cuts,
    jobs: list[str],
    limit_mw: np.ndarray,
) -> Piece:
    """Return the rows of some devices.

    Args:
        hour, blocks: the segments.
        devices: places of the devices.
        rows: what was booked of them, a row a segment.
        cuts: where the time of jobs is divided.
        jobs: all jobs, in the order of their places.
        limit_mw: power limits of all devices, `NONE` where none is known.
    """
    from tokenergy_transforms.booking.caps import over_caps
    from tokenergy_transforms.booking.runs import runs
    from tokenergy_transforms.booking.sums import added

    ends = hour.offsets[devices.start + 1 : devices.stop + 1]

    def places(some: LedgerRows) -> I32:
        found: I32 = np.searchsorted(ends, some.values[0], side="right").astype(np.int32)
        return found

    found = runs(rows, places(rows), hour, blocks, cuts)
    device = places(found.rows)
    sums, first = added(found, device, hour.node[found.rows.values[0]])
    return Piece(
        _table(hour, devices, device, found, jobs),
        _table(hour, devices, device[first], sums, jobs),
        _caps(over_caps(devices, hour, rows, limit_mw), jobs),
    )


def _caps(over: OverCaps, jobs: list[str]) -> pa.Table:
    """Return what jobs drew above caps as columns."""
    import pyarrow as pa

    bounds = [pa.array(row) for both in zip(over.low_nj, over.high_nj, strict=True) for row in both]
    columns = [_texts(jobs, over.job).cast(pa.string()), pa.array(over.limited), *bounds]
    return pa.table(columns, schema=caps_schema())


def _table(
    hour: Hour, devices: range, device: np.ndarray, found: Runs, jobs: list[str]
) -> pa.Table:
    """Return runs as columns of the contract."""
    import pyarrow as pa

    from tokenergy_transforms import anomalies
    from tokenergy_transforms.booking import accounts, parts

    rows = found.rows
    segment, energy, low, high, integral, counter, covered, device_us = rows.values
    account, job, method, meter, shared, reasons = rows.codes
    columns = {
        "device_id": _texts(hour.devices[devices.start : devices.stop], device),
        "node": _texts(hour.nodes, hour.node[segment]),
        "start_us": hour.start_us[segment],
        "end_us": found.end_us,
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
        "max_gap_us": found.max_gap_us,
        "reasons": _texts(anomalies.TEXTS, np.where(reasons == 0, np.int32(NONE), reasons)),
        "segments": found.segments,
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
