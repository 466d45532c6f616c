"""What the racks of a large site drew in an hour: `place_hour`, beside the same in DuckDB alone.

`make bench-modules`, or `python -m benchmarks.modules [--nodes 1000] [--boards 8]`. Nodes with
boards of 1 s segments, eight nodes a rack, eight racks a module, and a ledger of 30 s runs. Each
side runs in a process of its own, which prints its seconds and its peak memory:

- ours: `place_rows`, with bounds, histograms, hosts, peaks in each place around, moves;
- DuckDB: cells of 10 s by rack, module, hall and site from the segments, their percentiles, and the
  energy of the ledger. No bounds, histograms, hosts or coverage, and nobody may move.

Exit code 1 if an energy, a percentile or a peak of a rack, module, hall or the site differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks import machine
from benchmarks.endtoend.measure import peak_mib
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US, LEDGER, SEGMENT

T0 = 1_768_435_200_000_000
S = 1_000_000
RUN_S = 30
A_RACK, A_MODULE, A_HALL = 8, 64, 512
"""Nodes."""

_PLACES = """unnest([
        'rack:r' || substr(node, 2)::INT // $a_rack,
        'module:m' || substr(node, 2)::INT // $a_module,
        'hall:h' || substr(node, 2)::INT // $a_hall,
        'site'
    ]) AS place"""

_SQL = f"""
WITH cell AS (
    SELECT node, (start_us - $hour) // 10000000 AS cell, sum(energy_nj) AS energy_nj
    FROM read_parquet($segments) GROUP BY ALL
),
placed AS (SELECT {_PLACES}, cell, energy_nj FROM cell),
power AS (SELECT place, cell, sum(energy_nj) / 1e7 AS mw FROM placed GROUP BY ALL),
booked AS (SELECT {_PLACES}, energy_nj FROM read_parquet($ledger)),
summed AS (SELECT place, sum(energy_nj)::HUGEINT AS energy_nj FROM booked GROUP BY place)
SELECT place, any_value(energy_nj), quantile_disc(mw, 0.5), quantile_disc(mw, 0.99), max(mw)
FROM power JOIN summed USING (place)
GROUP BY place
"""  # noqa: S608 - constants alone


def site_file(nodes: int) -> str:
    """Return the site file."""
    parts = []
    for hall in range(-(-nodes // A_HALL)):
        parts += [f'[[hall]]\nname = "h{hall}"\n']
    for module in range(-(-nodes // A_MODULE)):
        hall = module * A_MODULE // A_HALL
        parts.append(f'[[module]]\nname = "m{module}"\nhall = "h{hall}"\n')
    for rack in range(-(-nodes // A_RACK)):
        module = rack * A_RACK // A_MODULE
        inside = range(rack * A_RACK, min((rack + 1) * A_RACK, nodes))
        names = json.dumps([f"n{node}" for node in inside])
        parts.append(f'[[rack]]\nname = "r{rack}"\nmodule = "m{module}"\nrated_kw = 60\n')
        parts.append(f'[[placed]]\nnodes = {names}\nrack = "r{rack}"\n')
    return "\n".join(parts)


def fill(lake: Lake, nodes: int, boards: int) -> None:
    """Write segments of all nodes, and the ledger."""
    chance = np.random.default_rng(1)
    start = T0 + np.arange(3600) * S
    ledger = []
    for node in range(nodes):
        power = chance.integers(100_000, 700_000, (boards, 120)).repeat(RUN_S, axis=1)
        power += chance.integers(-20_000, 20_000, power.shape)
        ids = [f"GPU-{node:05d}-{board}" for board in range(boards)]
        known = {
            "device_id": np.repeat(ids, 3600), "node": [f"n{node}"] * (3600 * boards),
            "start_us": np.tile(start, boards), "end_us": np.tile(start + S, boards),
            "covered_us": S, "energy_nj": power.reshape(-1) * S, "readings": 1,
        }  # fmt: skip
        lake.replace("segment", _table(SEGMENT, known, 3600 * boards), T0, f"n{node}")
        runs = power.reshape(boards, 120, RUN_S).sum(axis=2).reshape(-1) * S
        ledger.append((ids, f"n{node}", runs))
    _write_ledger(lake, ledger, boards)


def _write_ledger(lake: Lake, ledger: list[tuple[list[str], str, Any]], boards: int) -> None:
    begin = np.tile(T0 + np.arange(120) * RUN_S * S, boards)
    parts = []
    for ids, node, energy in ledger:
        known = {
            "device_id": np.repeat(ids, 120), "node": [node] * (120 * boards),
            "start_us": begin, "end_us": begin + RUN_S * S, "account": ["active"] * (120 * boards),
            "energy_nj": energy, "low_nj": energy * 95 // 100, "high_nj": energy * 105 // 100,
            "method": ["samples"] * (120 * boards), "meter": ["samples"] * (120 * boards),
            "attribution": ["exclusive"] * (120 * boards),
            "covered_us": RUN_S * S, "device_us": RUN_S * S, "segments": RUN_S,
        }  # fmt: skip
        parts.append(_table(LEDGER, known, 120 * boards))
    lake.replace("ledger", pa.concat_tables(parts), T0, "ledger")


def _table(table: Any, known: dict[str, Any], rows: int) -> pa.Table:
    columns = []
    for field in table.schema():
        value = known.get(field.name)
        if value is None and field.nullable:
            columns.append(pa.nulls(rows, field.type))
        elif value is None or isinstance(value, int):
            columns.append(pa.array(np.full(rows, value or 0)).cast(field.type))
        else:
            columns.append(pa.array(value).cast(field.type))
    return pa.Table.from_arrays(columns, schema=table.schema())


def ours(lake: Lake) -> dict[str, list[float]]:
    """Work out the hour; return energy, p50, p99 and peak of each place."""
    from tokenergy_sql.index.site import load_places
    from tokenergy_sql.standing.hour import Nodes, place_rows

    places = load_places(lake.root / "site.toml")
    hosts = {f"n{node}": 500_000 * HOUR_US for node in range(len(lake.files("segment", [T0])))}
    rows = place_rows(lake, places, {}, Nodes(hosts, [], frozenset()), T0, "")
    names = ("energy_nj", "p50_mw", "p99_mw", "peak_mw")
    return {
        row["place"]: [int(row[name]) for name in names]
        for row in rows.to_pylist()
        if row["method"] == "boards" and row["kind"] != "node"
    }


def duck(lake: Lake) -> dict[str, list[float]]:
    """Ask DuckDB alone."""
    import duckdb

    asked = {
        "segments": [str(path) for path in lake.files("segment", [T0])],
        "ledger": [str(path) for path in lake.files("ledger", [T0])],
        **{"hour": T0, "a_rack": A_RACK, "a_module": A_MODULE, "a_hall": A_HALL},
    }
    with duckdb.connect() as con:
        return {place: values for place, *values in con.execute(_SQL, asked).fetchall()}


SIDES = {"ours": ours, "DuckDB": duck}


def measured(side: str, root: Path) -> dict[str, Any]:
    """Run a side in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.modules", "--side", side, "--lake", str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def differing(ours_: dict[str, list[float]], other: dict[str, list[float]]) -> list[str]:
    """Return the places whose figures differ: an energy at all, a power by a board's rounding."""
    if ours_.keys() != other.keys():
        return sorted(ours_.keys() ^ other.keys())
    return [
        place
        for place, (energy, *powers) in ours_.items()
        if energy != other[place][0]
        or max(abs(a - b) / b for a, b in zip(powers, other[place][1:], strict=True)) > 1e-6
    ]


def main() -> int:
    """Run both sides, print, return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--nodes", type=int, default=1000, help="nodes (1000)")
    parser.add_argument("--boards", type=int, default=8, help="boards of a node (8)")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        begin_s = time.perf_counter()
        figures = SIDES[options.side](Lake(options.lake))
        seconds = time.perf_counter() - begin_s
        print(json.dumps({"figures": figures, "seconds": seconds, "peak_mib": peak_mib()}))
        return 0
    print(machine.line(machine.machine()))
    with tempfile.TemporaryDirectory(prefix="bench-modules-") as name:
        lake = Lake(Path(name) / "lake", create=True)
        lake.root.mkdir(exist_ok=True)
        (lake.root / "site.toml").write_text(site_file(options.nodes), "utf-8")
        fill(lake, options.nodes, options.boards)
        found = {side: measured(side, lake.root) for side in SIDES}
    rows = options.nodes * options.boards * 3600
    print(f"{options.nodes:,} nodes, {options.nodes * options.boards:,} boards, {rows:,} segments")
    for side, one in found.items():
        rate = rows / one["seconds"] / 1e6
        print(f"{side:<8}{one['seconds']:>8.1f} s{rate:>8.2f} M/s{one['peak_mib']:>8.0f} MiB")
    wrong = differing(found["ours"]["figures"], found["DuckDB"]["figures"])
    places = len(found["ours"]["figures"])
    print(f"{places - len(wrong)} of {places} places have the same figures {wrong[:3] or ''}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
