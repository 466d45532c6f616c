"""Corrects a job record three days later and shows what that changes.

`make restatement`, or `python -m benchmarks.restatement`. A lake of three days is indexed; then one
job turns out to have ended earlier. Printed: which hours are derived again, digests of the
partitions before and after, which jobs changed and why, and that running again changes nothing.
Exit code 1 if an untouched partition changed a byte, another job changed, or the third run did
anything.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from pathlib import Path

from tests.support.lakes import HOUR_US, T0, LakeBuilder, S, level

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.paths import partition
from tokenergy_sql import steps
from tokenergy_sql.revisions import revisions
from tokenergy_sql.revisions.diff import compare
from tokenergy_sql.terminal import history
from tokenergy_sql.terminal.output import Output
from tokenergy_transforms.aggregate import Aggregator, worklist

HOURS = 72
DEVICES = 4
_SHOWN = 3


def make_lake(root: Path) -> LakeBuilder:
    """Make a lake of three days: four boards, each with a job of eight hours after the other."""
    builder = LakeBuilder(root)
    end_us = T0 + HOURS * HOUR_US
    for number in range(DEVICES):
        name = f"GPU-{number}"
        builder.device(name, index=number)
        builder.power(name, level(300_000 + 10_000 * number, T0, end_us, S))
        for first in range(0, HOURS, 8):
            start_us = T0 + first * HOUR_US + 300 * S
            job, stop_us = f"job-{number}-{first:02d}", start_us + 8 * HOUR_US - 600 * S
            builder.job(job, name, start_us, stop_us)
            counts = [(t, (t - start_us) // S) for t in range(start_us, stop_us, 60 * S)]
            builder.tokens(job, counts, source_id=job)
    return builder


def aggregate(lake: Lake) -> None:
    """Derive the segments of all hours."""
    for _ in Aggregator(lake, 60 * S, "cpu").run(worklist(lake)):
        pass


def digests(lake: Lake) -> dict[str, str]:
    """Return the SHA-256 of every derived file whose past is kept, by its path in the lake."""
    return {
        path.relative_to(lake.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for table in revisions.REVISED_TABLES
        for path in lake.files(table)
    }


def show(before: dict[str, str], after: dict[str, str]) -> None:
    """Print how many partitions are the same and which are not, with digests."""
    same = sorted(path for path in after if before.get(path) == after[path])
    print(f"{len(same)} of {len(after)} files kept their bytes, for example:")
    for path in same[:_SHOWN]:
        print(f"  {after[path][:16]}  {path}")
    print(f"{len(after) - len(same)} files changed:")
    for path in sorted(set(after) - set(same)):
        print(f"  {before.get(path, '-')[:16]} -> {after[path][:16]}  {path}")


def main() -> None:
    """Restate a lake and tell whether only what had to change did."""
    with tempfile.TemporaryDirectory(prefix="tokenergy-restatement-") as folder:
        builder = make_lake(Path(folder) / "lake")
        lake = builder.lake
        aggregate(lake)
        begin = time.perf_counter()
        first = steps.index_hours(lake.root, None, None)
        took_s = time.perf_counter() - begin
        print(f"first run: {steps.summary(first)}; {took_s:.1f} s")
        before = digests(lake)
        corrected, hour = "job-2-08", T0 + 15 * HOUR_US
        start_us = T0 + 8 * HOUR_US + 300 * S
        print(f"\n{corrected} turns out to have ended at {partition(hour)}, minute 20")
        told_us = T0 + (HOURS + 72) * HOUR_US
        builder.job(corrected, "GPU-2", start_us, hour + 1200 * S, recorded_us=told_us)
        aggregate(lake)
        begin = time.perf_counter()
        second = steps.index_hours(lake.root, None, None)
        took_s = time.perf_counter() - begin
        print(f"second run: {steps.summary(second)}; {took_s:.1f} s")
        after = digests(lake)
        show(before, after)
        print()
        history.print_difference(lake.root, None, None, Output())
        third = steps.index_hours(lake.root, None, None)
        print(f"\nthird run: {steps.summary(third)}")
        moved = [job.job_id for job in compare(lake, 1, 2).moved]
        own = {path for path in after if before.get(path) != after[path]}
        elsewhere = {p for p in own if partition(hour) not in p and "/job_index/" not in p}
        met = not elsewhere and moved == [corrected] and not third.causes
        met = met and set(second.causes) == {hour} and digests(lake) == after
    print("only what had to change changed" if met else "FAILED: see above", flush=True)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
