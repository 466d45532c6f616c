"""The rows that are stored: five kinds of recording, as tables of the contract's `power`.

In: minutes and a seed. Out: tables sorted by device and time. The emulated boards of the profile
`demo` (16, two nodes, serving and training) are read by the collector itself under a virtual clock,
so that power, thinning and the counter's NULLs are what it writes. A virtual clock is never late;
lateness is added: 35 us on average and, in 3 of 100 ticks, 150 us more, which gives the spacings
that the daemon kept in real time on a busy two-core machine (80 % within 55 us of the period, 98 %
within 0.26 ms).
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import numpy as np

from tokenergy_collectors.daemon.control import Control
from tokenergy_collectors.emulate.profile.profile import load_profile
from tokenergy_collectors.emulate.run.fleet import collect_fleet
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import POWER
from tokenergy_collectors.settings.config import Config
from tokenergy_transforms.batch import I64

if TYPE_CHECKING:
    import pyarrow as pa

EVERY_ROW = "10 Hz, counter in every row"
COLLECTED = "10 Hz, as collected"
SEALED = "10 Hz, one sealed file: 8 boards, 5 minutes"
FAST = "50 Hz, as collected"
METER = "1 kHz meter"


def recordings(minutes: float = 30.0, seed: int = 0) -> dict[str, pa.Table]:
    """Return the recordings by name; `minutes` of 10 Hz, a fifth of it at 50 Hz and 1 kHz."""
    rng = np.random.default_rng(seed)
    slow = late(_readings(10.0, minutes), rng)
    return {
        EVERY_ROW: _counted(slow),
        COLLECTED: slow,
        SEALED: _middle(slow, boards=8, span_us=300_000_000),
        FAST: late(_readings(50.0, minutes / 5), rng),
        METER: _meter(slow, rng, slow.num_rows),
    }


def arrival(rows: pa.Table) -> pa.Table:
    """Return the rows in the order in which they were read: tick by tick, all devices."""
    ordered: pa.Table = rows.sort_by([("ts_us", "ascending"), ("device_id", "ascending")])
    return ordered


def collect(folder: str, rate_hz: float, minutes: float) -> Lake:
    """Make a lake, inside of a folder, of what the collector writes of the emulated boards."""
    root = f"{folder}/lake"  # the truth is written beside it

    def config(node: str) -> Config:
        return Config.model_validate({"lake": root, "node": node, "rate_hz": rate_hz})

    duration_us = round(minutes * 60_000_000)
    collect_fleet(load_profile("demo"), config, Control(), duration_us=duration_us)
    return Lake(root)


def late(rows: pa.Table, rng: np.random.Generator) -> pa.Table:
    """Return the rows, each read a little later than its time."""
    late_us = rng.exponential(35, rows.num_rows)
    late_us += (rng.random(rows.num_rows) < 0.03) * rng.exponential(150, rows.num_rows)
    return _with(rows, "ts_us", rows["ts_us"].to_numpy() + late_us.astype(np.int64))


def _readings(rate_hz: float, minutes: float) -> pa.Table:
    """Return what the collector reads of the emulated boards, sorted by device and time."""
    with tempfile.TemporaryDirectory(prefix="tokenergy-storage-") as folder:
        rows = collect(folder, rate_hz, minutes).read("power")
    by = [(name, "ascending") for name in POWER.sort]
    ordered: pa.Table = rows.sort_by(by).combine_chunks()
    return ordered


def _middle(rows: pa.Table, boards: int, span_us: int) -> pa.Table:
    """Return the rows of some boards in the middle of the time, as one sealed file has them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    ts, devices = rows["ts_us"], rows["device_id"].unique().slice(0, boards)
    begin_us = (pc.min(ts).as_py() + pc.max(ts).as_py() - span_us) // 2
    inside = pc.and_(
        pc.greater_equal(ts, pa.scalar(begin_us)), pc.less(ts, pa.scalar(begin_us + span_us))
    )
    of_boards: pa.Table = rows.filter(
        pc.and_(inside, pc.is_in(rows["device_id"], value_set=devices))
    )
    return of_boards


def _counted(rows: pa.Table) -> pa.Table:
    """Return the rows with a counter in each: the integral of power, in mJ."""
    ts = rows["ts_us"].to_numpy()
    power = rows["power_mw"].to_numpy(zero_copy_only=False).astype(np.int64)
    dt = np.diff(ts, prepend=ts[0])
    pair_nj = (power + np.roll(power, 1)) * np.where((dt > 0) & (dt < 2_000_000), dt, 0) // 2
    return _with(rows, "energy_mj", 10**9 + np.cumsum(pair_nj) // 1_000_000)


def _meter(rows: pa.Table, rng: np.random.Generator, count: int) -> pa.Table:
    """Return rows of a meter at 1 kHz: a board's power with 1 W of noise in steps of 10 mW.

    Assumed, not measured: a meter clocks itself, so that its stamps are within 2 us of their time.
    """
    import pyarrow as pa

    own = rows.filter(pa.compute.equal(rows["device_id"], rows["device_id"][0]))
    at = own["ts_us"].to_numpy()
    power = own["power_mw"].to_numpy(zero_copy_only=False).astype(np.float64)
    grid = at[0] + np.arange(count) * 1_000
    fine = np.interp((grid - at[0]) % (at[-1] - at[0]) + at[0], at, power)
    fine += rng.standard_normal(count) * 1_000
    return pa.table(
        {
            "ts_us": grid + rng.integers(-2, 3, count),
            "device_id": pa.repeat(pa.scalar("meter-0"), count),
            "power_mw": (np.maximum(fine, 0) / 10).astype(np.int32) * 10,
            "sensor": pa.repeat(pa.scalar("instant"), count),
            "energy_mj": pa.nulls(count, pa.int64()),
            "epoch": np.zeros(count, np.int32),
        }
    ).cast(POWER.schema())


def _with(rows: pa.Table, name: str, values: I64) -> pa.Table:
    import pyarrow as pa

    place = rows.schema.get_field_index(name)
    changed: pa.Table = rows.set_column(place, rows.schema.field(place), pa.array(values))
    return changed
