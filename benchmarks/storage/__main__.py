"""Writes recordings in every layout and prints bytes per reading and decode speed.

`make bench-storage` or `python -m benchmarks.storage [--minutes N] [--json FILE]`. Sizes are of
real files; "tokenergy" is what the lake's own writer makes. Decode is pyarrow alone on two threads,
a file each, reading either the columns that the integration needs or all; strings stay
dictionaries. Behind them come two derived tables, an hour of them, and how fast they are written.
Exit code 1 if a reading costs more than its target.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import machine
from benchmarks.storage import data, derived
from benchmarks.storage.files import CODECS, OURS, decode
from tokenergy_collectors.lake.contract import POWER
from tokenergy_collectors.lake.writing import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

NEEDED = ("ts_us", "device_id", "power_mw", "energy_mj", "epoch")
TARGETS = {data.EVERY_ROW: 5.1, data.COLLECTED: 3.6}
"""Largest allowed number of bytes per reading."""
_STRINGS = ["device_id", "sensor"]
_INTEGERS = ["ts_us", "power_mw", "energy_mj", "epoch"]
_DELTA = dict.fromkeys(_INTEGERS, "DELTA_BINARY_PACKED")
ENCODINGS: dict[str, dict[str, Any]] = {
    "plain": {"use_dictionary": _STRINGS},
    "dictionary": {"use_dictionary": True},
    "delta": {"use_dictionary": _STRINGS, "column_encoding": _DELTA},
    "delta, split power": {
        "use_dictionary": _STRINGS,
        "column_encoding": {**_DELTA, "power_mw": "BYTE_STREAM_SPLIT"},
    },
    "split": {
        "use_dictionary": _STRINGS,
        "column_encoding": dict.fromkeys(_INTEGERS, "BYTE_STREAM_SPLIT"),
    },
}


def main() -> int:
    """Write, read, print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0, help="recorded at 10 Hz (30)")
    parser.add_argument("--runs", type=int, default=5, help="counted reads of each file (5)")
    parser.add_argument("--json", type=Path, help="where to write all figures")
    options = parser.parse_args()
    where = machine.machine()
    print(machine.line(where))
    report: dict[str, Any] = {"kind": "storage", "machine": where, "recordings": [], "derived": []}
    missed = []
    with tempfile.TemporaryDirectory(prefix="tokenergy-storage-") as folder:
        for name, rows in data.recordings(options.minutes).items():
            found = [_measure(rows, Path(folder), *layout, options.runs) for layout in _layouts()]
            target = TARGETS.get(name)
            report["recordings"].append(
                {"name": name, "rows": rows.num_rows, "target": target, "files": found}
            )
            print(_text(name, rows.num_rows, found, target))
            if target is not None and found[0]["bytes_a_row"] > target:
                missed.append(name)
        for name, rows in derived.tables().items():
            found = derived.measure(name, rows, Path(folder), options.runs)
            report["derived"].append({"name": name, "rows": rows.num_rows, "files": found})
            print(derived.text(name, rows.num_rows, found))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for name in missed:
        print(f"bench-storage: {name}: more than {TARGETS[name]} bytes per reading")
    return 1 if missed else 0


def _layouts() -> list[tuple[str, str, str]]:
    """Return encoding, codec and order of every file that is written; ours is the first."""
    sorted_ = [
        (encoding, codec, "sorted")
        for encoding in ENCODINGS
        for codec in CODECS
        if encoding.startswith("delta") or codec not in ("zstd 3", "zstd 9")
    ]
    arrival = [("dictionary", "snappy", "arrival"), ("delta", "zstd 1", "arrival")]
    return [(OURS, "its own", "sorted"), *sorted_, *arrival]


def _measure(
    rows: pa.Table, folder: Path, encoding: str, codec: str, order: str, runs: int
) -> dict[str, Any]:
    """Write one file; return its bytes a row and the rows a second at which it is read."""
    ordered = rows if order == "sorted" else data.arrival(rows)
    path = folder / "rows.parquet"
    _writer(encoding, codec)(ordered, path)
    return {
        "encoding": encoding,
        "codec": codec,
        "order": order,
        "bytes_a_row": path.stat().st_size / rows.num_rows,
        "needed_rows_per_s": decode(path, NEEDED, _STRINGS, rows.num_rows, runs),
        "all_rows_per_s": decode(path, None, _STRINGS, rows.num_rows, runs),
    }


def _writer(encoding: str, codec: str) -> Callable[[pa.Table, Path], object]:
    if encoding == OURS:
        return lambda rows, path: write_parquet(rows, path, POWER)
    import pyarrow.parquet as pq

    compression, level = CODECS[codec]

    def write(rows: pa.Table, path: Path) -> None:
        pq.write_table(
            rows,
            path,
            compression=compression,
            compression_level=level,
            row_group_size=1 << 20,
            **ENCODINGS[encoding],
        )

    return write


def _text(name: str, rows: int, found: list[dict[str, Any]], target: float | None) -> str:
    """Return one recording's table as it is printed."""
    lines = [
        f"\n{name}: {rows:,} rows",
        f"{'encoding':<20}{'codec':<9}{'order':<9}{'bytes/reading':>14}"
        f"{'needed, M rows/s':>18}{'all, M rows/s':>15}",
    ]
    lines += [
        f"{each['encoding']:<20}{each['codec']:<9}{each['order']:<9}"
        f"{each['bytes_a_row']:>14.2f}{each['needed_rows_per_s'] / 1e6:>18.1f}"
        f"{each['all_rows_per_s'] / 1e6:>15.1f}"
        for each in found
    ]
    if target is not None:
        verdict = "met" if found[0]["bytes_a_row"] <= target else "NOT MET"
        lines.append(f"target: at most {target} bytes per reading: {verdict}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
