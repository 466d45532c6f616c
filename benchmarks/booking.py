"""Compares booking an hour with the compiled kernels and with the same rules in SQL alone.

`make bench-booking` or `python -m benchmarks.booking [--devices N] [--runs N]`. Both sides get the
same connection and the same segments of 1 s (see `benchmarks.scale.fleet`), one after the other,
and must give the same rows; exit code 1 if any row differs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar
from unittest import mock

import duckdb
import pyarrow as pa
from tests.sql.oracles import ledger_by_sql

from benchmarks.machine import line, machine
from benchmarks.scale.fleet import make_lake
from benchmarks.scale.measure import SITE
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import LEDGER
from tokenergy_sql.index import booking
from tokenergy_sql.index.bookedrows import Piece
from tokenergy_sql.index.pipeline import index

T = TypeVar("T")
SIDES = ("kernels", "SQL alone")


class DiffersError(Exception):
    """The two sides gave different rows."""


def book(lake: Lake, runs: int) -> dict[str, list[tuple[float, float]]]:
    """Book an hour some times by both; return seconds and CPU seconds of each run, by side.

    A first run, which loads the compiled kernels, is not counted.

    Raises:
        DiffersError: a column differs.
    """
    by_kernels = booking.ledger
    found: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}

    def both(con: duckdb.DuckDBPyConnection, lake: Lake, hour_us: int) -> Iterator[Piece]:
        if not lake.files("segment", [hour_us]):  # tokens alone
            yield from by_kernels(con, lake, hour_us)
            return
        took, (in_sql, _) = _timed(lambda: ledger_by_sql(con))
        found["SQL alone"].append(took)
        took, pieces = _timed(lambda: list(by_kernels(con, lake, hour_us)))
        found["kernels"].append(took)
        compiled = pa.concat_tables(p.ledger.cast(LEDGER.schema()) for p in pieces)
        for name in LEDGER.column_names:
            if not compiled[name].equals(in_sql[name]):
                raise DiffersError(f"column {name} differs between kernels and SQL")
        yield from pieces

    with mock.patch.object(booking, "ledger", both):
        for _ in range(runs + 1):
            index(lake, SITE, progress=lambda _: None, rebuild_all=True)
    return {side: took[1:] for side, took in found.items()}


def _timed(run: Callable[[], T]) -> tuple[tuple[float, float], T]:
    begin, used = time.perf_counter(), time.process_time()
    found = run()
    return (time.perf_counter() - begin, time.process_time() - used), found


def main() -> int:
    """Run the comparison; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--devices", type=int, default=200, help="devices (200)")
    parser.add_argument("--runs", type=int, default=3, help="counted runs (3)")
    options = parser.parse_args()
    print(line(machine()))
    with tempfile.TemporaryDirectory(prefix="tokenergy-booking-") as folder:
        lake, segments = make_lake(Path(folder) / "lake", options.devices, 1)
        try:
            found = book(lake, options.runs)
        except DiffersError as error:
            print(f"bench-booking: {error}")
            return 1
    print(f"{segments:,} segments of {options.devices:,} devices, one hour; the rows are equal")
    medians = {
        side: tuple(statistics.median(values) for values in zip(*took, strict=True))
        for side, took in found.items()
    }
    print(f"{'':<12}{'s':>8}{'CPU s':>8}{'time, kernels = 1':>20}{'CPU':>8}")
    for side, (seconds, cpu) in medians.items():
        ratios = [own / ours for own, ours in zip((seconds, cpu), medians["kernels"], strict=True)]
        print(f"{side:<12}{seconds:>8.2f}{cpu:>8.2f}{ratios[0]:>20.1f}{ratios[1]:>8.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
