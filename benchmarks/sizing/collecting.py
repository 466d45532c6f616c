"""What the collector of a node costs: the daemon itself in real time on eight emulated boards.

`python -m benchmarks.sizing.collecting SECONDS` prints its processor time and its memory, sealing
included, as a line of JSON. It imports little: Linux counts the memory of a process that starts
another one as that one's too.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.collector.boards import BOARDS, bin_path, emulated_boards
from benchmarks.collector.measure import peak_of, side_by_side

HZ = 10.0
"""Readings a second of each board."""

_NAME = "collector"


def collector_cost(for_s: float) -> dict[str, Any]:
    """Run the daemon for a while; return what it took.

    The daemon seals once in the stretch, whose length is its `roll_s`. So seals count more than
    with a roll of five minutes, and the figure is rather too high than too low.

    Args:
        for_s: length of the measured stretch, seconds; the daemon starts some seconds before.
    """
    with tempfile.TemporaryDirectory(prefix="bench-sizing-") as name:
        folder = Path(name)
        config = folder / "collect.toml"
        config.write_text(
            f"lake = '{folder / 'lake'}'\nnode = 'bench'\nrate_hz = {HZ}\nroll_s = {for_s}\n"
        )
        command = [bin_path("tokenergy-collect"), "run", "--config", str(config)]
        with emulated_boards(folder) as environment:
            cost = side_by_side({_NAME: command}, environment, folder, for_s)[_NAME]
            peak_mib = peak_of([*command, "--duration", "10s"], environment)
    return {
        "boards": BOARDS,
        "seconds": cost.wall_s,
        "cpu_s": cost.cpu_s,
        "readings": cost.readings,
        "peak_mib": max(cost.peak_mib, peak_mib),
    }


def main() -> None:
    """Run the daemon and print what it took."""
    print(json.dumps(collector_cost(float(sys.argv[1]))))


if __name__ == "__main__":
    main()
