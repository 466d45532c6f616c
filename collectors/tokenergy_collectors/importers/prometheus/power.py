"""Rows of `power`, `state` and `device` from the readings of a board.

In: a `Board` of one chunk. Out: Arrow tables. What a scrape cannot show reaches the bounds by three
columns of `device`:

- `update_us`: the time between two scrapes; power is not known better than that in between.
- `stamp_step_us`: how far a stamp may be off. An exporter answers with what it read last, so a
  value is up to its own interval older than the scrape; and where jobs are known by labels alone,
  their edges are known to half the time between two scrapes. The ledger widens both edges of a job
  by it.
- `counter_us`: how old the counter may be.

A scrape that comes before the exporter has read its boards again shows the same power and the same
counter once more. Such a row is left out: its stamp is not that of a reading, and the counter would
seem to stand still and then to leap. What is left is at most one scrape old.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tokenergy_collectors.importers.prometheus.boards import Board, Reading, spacing_us
from tokenergy_collectors.importers.prometheus.names import Meaning
from tokenergy_collectors.lake.contract import POWER, STATE

Last = tuple[int | None, int | None]
"""Power (mW) and counter (mJ) of a scrape."""

_MOST_MW = 2**31 - 1
_RANGES: Mapping[Meaning, tuple[float, float]] = {
    "sm_util": (0, 100),
    "mem_util": (0, 100),
    "sm_mhz": (0, 100_000),
    "temp_c": (-50, 250),
}
"""What a gauge may say; anything else is a mark for "not known"."""


@dataclass(frozen=True, slots=True)
class Power:
    """A board's power and counter in a chunk.

    Attributes:
        rows: rows of `power`.
        late_us: how old a value may be at its stamp.
        scrape_us: usual time between two scrapes; None if too few are known.
        last: power and counter of the last scrape, whether it was left out or not.
    """

    rows: pa.Table
    late_us: int
    scrape_us: int | None
    last: Last | None


def power_of(board: Board, late_s: Mapping[str, float], before: Last | None = None) -> Power:
    """Return a row for each reading of power or the counter.

    Args:
        board: the board; a value that no board can have is left out.
        late_s: how old a value of an exporter may be at its stamp, seconds.
        before: power and counter of the scrape before this chunk.
    """
    power = _kept(board.reading("power", late_s), 0, _MOST_MW)
    energy = _kept(board.reading("energy", late_s), 0, 2.0**62)
    read = [reading.ts_us for reading in (power, energy) if reading is not None]
    stamps = np.unique(np.concatenate(read)) if read else np.zeros(0, np.int64)
    rows = len(stamps)
    sensors = np.full(rows, "none", dtype=object)
    if power is not None:
        sensors[np.searchsorted(stamps, power.ts_us)] = power.sensors
    table = pa.Table.from_arrays(
        [
            pa.array(stamps),
            pa.array([board.name.device_id] * rows, pa.string()),
            _column(stamps, power, pa.int32()),
            pa.array(sensors.tolist(), pa.string()),
            _column(stamps, energy, pa.int64()),
            pa.array(np.zeros(rows, dtype=np.int32)),
        ],
        schema=POWER.schema(),
    )
    late_us = [round(r.late_s * 1_000_000) for r in (power, energy) if r is not None]
    scrape_us = spacing_us(stamps)
    return _without_repeats(table, max(late_us, default=0), scrape_us, before)


def _without_repeats(
    table: pa.Table, late_us: int, scrape_us: int | None, before: Last | None
) -> Power:
    """Return power without the rows of a page that the exporter had not renewed."""
    shown: list[Last] = list(
        zip(table["power_mw"].to_pylist(), table["energy_mj"].to_pylist(), strict=True)
    )
    # Without a counter, equal readings may well be of a board that is at rest.
    fresh = [
        energy is None or (power, energy) != last
        for (power, energy), last in zip(shown, [before, *shown], strict=False)
    ]
    if scrape_us is not None and not all(fresh):
        late_us = min(late_us, scrape_us)
    return Power(table.filter(pa.array(fresh, pa.bool_())), late_us, scrape_us,
                 shown[-1] if shown else before)  # fmt: skip


def state_rows(board: Board) -> pa.Table:
    """Return a row for each stamp at which a gauge was scraped."""
    found = {
        meaning: _kept(board.reading(meaning, {}), *limits) for meaning, limits in _RANGES.items()
    }
    read = [reading.ts_us for reading in found.values() if reading is not None]
    stamps = np.unique(np.concatenate(read)) if read else np.zeros(0, np.int64)
    columns: dict[str, Any] = {
        meaning: _column(stamps, reading, STATE.schema().field(meaning).type)
        for meaning, reading in found.items()
    }
    columns["ts_us"] = pa.array(stamps)
    columns["device_id"] = pa.array([board.name.device_id] * len(stamps), pa.string())
    return pa.Table.from_arrays(
        [columns.get(field.name, pa.nulls(len(stamps), field.type)) for field in STATE.schema()],
        schema=STATE.schema(),
    )


def device_row(
    board: Board, power: Power, late_s: Mapping[str, float], labelled: bool
) -> dict[str, Any]:
    """Return the row of `device` that describes a board in a chunk.

    `update_us` is NULL where there are too few readings to tell.

    Args:
        board: the board.
        power: its power, at least one row.
        late_s: how old a value of an exporter may be at its stamp, seconds.
        labelled: whether labels say which job holds it: such edges are known to a scrape.
    """
    labels = board.labels
    rows = power.rows
    # A label may be as old as the exporter's page, whichever of its values are left out.
    label_us = round(max((late_s.get(g.exporter, 0.0) for g, _ in board.series)) * 1_000_000)
    label_us += (power.scrape_us or 0) // 2
    late_us = max(power.late_us, label_us) if labelled else power.late_us
    limit = _kept(board.reading("limit", late_s), 1, _MOST_MW)
    sensors = set(rows["sensor"].to_pylist()) - {"none"}
    has_counter = rows["energy_mj"].null_count < rows.num_rows
    return {
        "ts_us": int(rows["ts_us"][0].as_py()),
        "device_id": board.name.device_id,
        "node": board.name.node,
        "index": board.name.index,
        "name": labels.get("modelName") or labels.get("name"),
        "pci": labels.get("pci_bus_id"),
        "limit_mw": None if limit is None else round(float(limit.values.max())),
        "driver": labels.get("DCGM_FI_DRIVER_VERSION") or labels.get("driver_version"),
        "update_us": spacing_us(rows["ts_us"].to_numpy()),
        "sensor_kind": sensors.pop() if len(sensors) == 1 else "unknown" if sensors else None,
        "counter_us": power.late_us if has_counter else None,
        "emulated": False,
        "stamp_step_us": late_us,
    }


def _kept(reading: Reading | None, least: float, most: float) -> Reading | None:
    """Return the readings inside a range; None if there is none."""
    if reading is None:
        return None
    kept = (reading.values >= least) & (reading.values <= most)
    if not kept.any():
        return None
    sensors = [sensor for sensor, keep in zip(reading.sensors, kept, strict=True) if keep]
    return Reading(reading.ts_us[kept], reading.values[kept], sensors, reading.late_s)


def _column(stamps: np.ndarray, reading: Reading | None, of: pa.DataType) -> pa.Array:
    """Return the values at some stamps, rounded to integers; NULL where there is none."""
    if reading is None:
        return pa.nulls(len(stamps), of)
    values = np.zeros(len(stamps), dtype=np.int64)
    has = np.zeros(len(stamps), dtype=bool)
    places = np.searchsorted(stamps, reading.ts_us)
    values[places], has[places] = np.rint(reading.values).astype(np.int64), True
    return pa.array(values, mask=~has).cast(of)
