"""What the load profile of an hour of 1,000 boards at 10 Hz costs, and the memory of a span.

`make bench-load` or `python -m benchmarks.loadspeed [--devices N] [--hours H] [--keep DIR]`. Writes
hours of a fleet as collectors would, then in processes of their own: the profile of one hour (all
kinds of group), the span of one hour and the span of all hours (site). Prints CPU seconds, wall
time and peak memory (RSS) of each. On a machine with other work the CPU seconds count.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.spectra import T0_US, Case, plant
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US

_RUN = """
import json, resource, sys, time
from tokenergy_collectors.lake import Lake
from tokenergy_transforms.loadprofile.groups import KINDS
from tokenergy_transforms.loadprofile.profile import profile_hour
from tokenergy_transforms.loadprofile.span import span_rows
root, what, start_us, end_us = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
begin, lake = time.perf_counter(), Lake(root)
if what == "hour":
    groups = profile_hour(lake, start_us, KINDS, device="cpu").groups
else:
    groups = len(span_rows(lake, ["site"], start_us, end_us))
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({
    "groups": groups, "cpu_s": used.ru_utime + used.ru_stime,
    "wall_s": time.perf_counter() - begin, "rss_mib": used.ru_maxrss / 1024,
}))
"""


def measured(root: Path, what: str, hours: int) -> str:
    """Return groups, CPU, wall time and memory of one run, in words."""
    end_us = T0_US + hours * HOUR_US
    command = [sys.executable, "-c", _RUN, str(root), what, str(T0_US), str(end_us)]
    found = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
    return (
        f"{found['groups']:>4} groups, {found['cpu_s']:.1f} CPU s, {found['wall_s']:.1f} s, "
        f"peak {found['rss_mib']:,.0f} MiB"
    )


def main() -> int:
    """Write the lake, run each, print a line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=1_000, help="boards (1000)")
    parser.add_argument("--hours", type=int, default=3, help="hours of the long span (3)")
    parser.add_argument("--keep", type=Path, help="keep the lake in this folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = options.keep or Path(folder) / "lake"
        lake, begin = Lake(root, create=True), time.perf_counter()
        for hour in range(options.hours):
            plant(lake, Case("an hour", 0.7, 10, 3_600, True), options.devices, hour * HOUR_US)
        print(
            f"{options.devices:,} boards at 10 Hz, {options.hours} hours; "
            f"written in {time.perf_counter() - begin:.0f} s"
        )
        # The first run compiles; it is not printed.
        measured(root, "hour", 1)
        print(f"profile of one hour    {measured(root, 'hour', 1)}")
        print(f"span of one hour       {measured(root, 'span', 1)}")
        print(f"span of {options.hours} hours        {measured(root, 'span', options.hours)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
