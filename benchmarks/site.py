"""The building's figures of a large site: every meter and figure of every hour of a day.

`make bench-site`, or `python -m benchmarks.site [--meters 10000] [--hours 24] [--every 10]`. Halls
with racks, each rack with a register of energy and a momentary power, below a register of the hall,
below the utility's. Printed: seconds of `hour_rows` for all hours, which reads the raw rows and
works out meters, bounds and figures, beside DuckDB alone, which takes last minus first of every
register and the mean of every power, without edges, bounds, doubts or places. Exit code 1 if the
site's energy differs by more than the last reading of an hour explains.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks import machine
from benchmarks.endtoend.measure import peak_mib
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, METER
from tokenergy_sql.index.site import load_places
from tokenergy_sql.metering.hour import hour_rows
from tokenergy_sql.places import Places

T0 = 1_768_435_200_000_000
S = 1_000_000
RACKS_A_HALL = 100
BILLION = 10**9

_METER = """
[[meter]]
id = "{id}"
quantity = "{quantity}"
unit = "{unit}"
role = "{role}"
place = "{place}"
accuracy_percent = 0.5
interval_s = {every}
{more}
"""

_SQL = """
SELECT meter_id, max(value_n) - min(value_n) AS counted, avg(value_n) AS mean
FROM read_parquet($files) WHERE ts_us >= $from AND ts_us <= $until GROUP BY ALL
"""


def site_file(racks: int, every_s: int) -> tuple[str, list[str]]:
    """Return the site file, and the ids of its meters."""
    halls = -(-racks // RACKS_A_HALL)
    parts, ids = [], []

    def meter(meter_id: str, energy: bool, role: str, place: str, feeds: list[str]) -> None:
        ids.append(meter_id)
        quantity, unit = ("energy", "kWh") if energy else ("power", "W")
        more = f"feeds = {feeds}" if feeds else ""
        parts.append(
            _METER.format(
                id=meter_id, quantity=quantity, unit=unit, role=role, place=place,
                every=every_s, more=more,
            )
        )  # fmt: skip

    fed = [f"hall-{hall}" for hall in range(halls)]
    fed += [f"fan-{rack}" for rack in range(racks)]
    meter("grid", True, "utility", "site", fed)
    for hall in range(halls):
        racks_of = range(hall * RACKS_A_HALL, min((hall + 1) * RACKS_A_HALL, racks))
        parts.append(f'[[hall]]\nname = "h{hall}"\n')
        names = [f"r{rack}" for rack in racks_of]
        parts.append(f'[[rack]]\nnames = {names}\nhall = "h{hall}"\n'.replace("'", '"'))
        meter(f"hall-{hall}", True, "pdu_in", f"hall:h{hall}", [f"rack-{r}" for r in racks_of])
        for rack in racks_of:
            meter(f"rack-{rack}", True, "rack_in", f"rack:r{rack}", [])
            meter(f"fan-{rack}", False, "fan", f"rack:r{rack}", [])
    return "\n".join(parts), ids


def fill(lake: Lake, ids: list[str], hours: int, every_s: int) -> None:
    """Write the readings of all meters: a file an hour."""
    chance = np.random.default_rng(1)
    registers = dict.fromkeys(ids, 0)
    count = 3600 // every_s
    for hour in range(hours):
        stamps = T0 + hour * HOUR_US + np.arange(count) * every_s * S
        parts = []
        for meter_id in ids:
            if meter_id.startswith("fan"):
                values = chance.integers(300, 600, count) * BILLION
            else:
                values = registers[meter_id] + np.cumsum(chance.integers(1, 5, count)) * 10**7
                registers[meter_id] = int(values[-1])
            parts.append(values)
        rows = pa.table(
            {
                "ts_us": np.tile(stamps, len(ids)),
                "meter_id": pa.array(np.repeat(ids, count)),
                "node": pa.array(["n1"] * (count * len(ids))),
                "source": pa.array(["modbus"] * (count * len(ids))),
                "value_n": pa.array(np.concatenate(parts)).cast(pa.decimal128(38, 0)),
                "resolution_n": pa.nulls(count * len(ids), pa.decimal128(38, 0)),
                "average_us": pa.nulls(count * len(ids), pa.int64()),
            }
        )
        lake.append("meter", rows.select(METER.column_names).cast(METER.schema()), "n1")


def ours(lake: Lake, places: Places, hours: int) -> tuple[float, int]:
    """Work out all hours; return the seconds, and what the grid counted in whole nanojoules."""
    begin_s, total = time.perf_counter(), 0
    for hour in range(hours):
        rows = hour_rows(lake, places, T0 + hour * HOUR_US, "")
        grid = rows.meters.filter(pa.compute.equal(rows.meters["meter_id"], "grid"))
        total += int(grid["amount"][0].as_py())
    return time.perf_counter() - begin_s, total


def duck(lake: Lake, hours: int) -> tuple[float, int]:
    """Ask DuckDB alone for the rough figures of all hours."""
    begin_s, total = time.perf_counter(), 0
    with duckdb.connect() as con:
        for hour in range(hours):
            since = T0 + hour * HOUR_US
            files = [str(path) for path in lake.files("meter", [since, since + HOUR_US])]
            asked = {"files": files, "from": since, "until": since + HOUR_US}
            rows = con.execute(_SQL, asked).fetchall()
            (counted,) = [counted for meter_id, counted, _ in rows if meter_id == "grid"]
            total += int(counted) * 3_600_000
    return time.perf_counter() - begin_s, total


def main() -> int:
    """Run both sides, print, return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--meters", type=int, default=10_000, help="about how many (10000)")
    parser.add_argument("--hours", type=int, default=24, help="hours (24)")
    parser.add_argument("--every", type=int, default=10, help="seconds between readings (10)")
    options = parser.parse_args()
    print(machine.line(machine.machine()))
    with tempfile.TemporaryDirectory(prefix="bench-site-") as name:
        text, ids = site_file(max(options.meters // 2, 1), options.every)
        path = Path(name) / "site.toml"
        path.write_text(text, "utf-8")
        places = load_places(path)
        lake = Lake(Path(name) / "lake", create=True)
        fill(lake, ids, options.hours, options.every)
        duck_s, rough = duck(lake, options.hours)
        ours_s, exact = ours(lake, places, options.hours)
    readings = len(ids) * options.hours * 3600 // options.every
    print(f"{len(ids):,} meters, {options.hours} hours, {readings:,} readings")
    print(f"{'meter_hour and site_hour':<28}{ours_s:>8.1f} s, {readings / ours_s / 1e6:.2f} M/s")
    print(f"{'DuckDB alone, rough':<28}{duck_s:>8.1f} s, {readings / duck_s / 1e6:.2f} M/s")
    print(f"ratio {ours_s / duck_s:.1f}; peak {peak_mib():.0f} MiB")
    apart = abs(exact - rough) / exact
    print(f"the grid's energy differs by {apart:.2e}")
    return 0 if apart < 1e-2 else 1


if __name__ == "__main__":
    sys.exit(main())
