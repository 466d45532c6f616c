"""Kills the daemon at random instants, damages its logs, fills its disk, disconnects its store.

`make chaos` or `python -m benchmarks.chaos [--runs N] [--seed N] [--lanes N] [--keep]`. The daemon
is the real one, on emulated boards in real time (2 boards at 20 Hz, sealing every second). A lane
is one lake, whose daemon is killed again and again; in about half of the runs a log is then cut,
overwritten at its tail or appended to. At the end of a lane the daemon is stopped properly and the
lake is read. After that the disk is filled and the object store disconnected (`chaos_disk`,
`chaos_store`). Exit code 1 on any violation.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import chaos_disk, chaos_run, chaos_store
from benchmarks.chaos_check import BOUND_S, SLACK_S, Tally, check


def run_lane(folder: Path, runs: int, seed: int, done: Callable[[], object]) -> Tally:
    """Kill the daemon of one lake `runs` times, then stop it properly and look."""
    chance = random.Random(seed)
    chaos_run.prepare(folder)
    lives: list[chaos_run.Life] = []
    for number in range(runs):
        life = chaos_run.live(folder, number, chance)
        for earlier in lives:  # killed again before it was recovered, and damaged then
            if earlier.logged & life.cut:
                earlier.logged -= life.cut
                earlier.damage = "later"
        lives.append(life)
        done()
    last, exit_code = chaos_run.stop(folder, runs)
    return check(folder / "lake", lives, last, exit_code)


def table(tally: Tally) -> list[tuple[str, str]]:
    """Return the summary: what, and how much."""
    losses = sorted(tally.losses_s) or [0.0]
    return [
        ("kills (SIGKILL)", str(tally.kills)),
        ("  of these during start or recovery", str(tally.early)),
        ("  followed by damage to a log", str(tally.damaged)),
        (f"worst loss, {tally.judged} undamaged lives, s", f"{losses[-1]:.3f}"),
        ("median loss, s", f"{statistics.median(losses):.3f}"),
        (f"bound: {BOUND_S:g} s, and {SLACK_S:g} s for scheduling", "from the kill"),
        ("recoveries reported", str(tally.recovered)),
        ("torn log tails reported", str(tally.torn)),
        ("logs quarantined", str(tally.quarantined)),
        ("files, rows sealed", f"{tally.files}, {tally.rows}"),
        ("unreadable files", str(tally.unreadable)),
        ("duplicate rows", str(tally.duplicates)),
        ("logged rows that did not arrive", str(tally.missing)),
    ]


def main() -> int:
    """Run everything, print the summary, return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=200, help="number of kills (200)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random instants (0)")
    parser.add_argument("--lanes", type=int, default=2, help="daemons that run at a time (2)")
    parser.add_argument("--keep", action="store_true", help="keep the lakes and print their folder")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="tokenergy-chaos-"))
    tally, count = Tally(), 0

    def done() -> None:
        nonlocal count
        count += 1
        if sys.stderr.isatty():
            print(f"\r{count} of {options.runs} kills", end="", file=sys.stderr)

    with ThreadPoolExecutor(options.lanes) as pool:
        share = [len(range(lane, options.runs, options.lanes)) for lane in range(options.lanes)]
        lanes = [
            pool.submit(run_lane, root / f"lane{lane}", runs, options.seed + lane, done)
            for lane, runs in enumerate(share)
        ]
        for lane in lanes:
            tally.add(lane.result())
    print(f"\r{'killed and damaged':<46}{'':>14}")
    for name, value in table(tally):
        print(f"{name:<46}{value:>14}")
    full, violations = chaos_disk.fill(root / "full")
    print("\n".join(full))
    figures, worse = chaos_store.take_away(root / "store", options.seed)
    violations += worse
    for name, value in figures:
        print(f"{name:<46}{value:>14}")
    for violation in (*tally.violations, *violations):
        print(f"VIOLATION: {violation}")
    if options.keep:
        print(f"lakes: {root}")
    else:
        shutil.rmtree(root)
    return 1 if tally.violations or violations else 0


if __name__ == "__main__":
    sys.exit(main())
