"""Runs staged histories through the tool and the oracle, and says where they differ.

python -m tests.oracle.run --histories 2000 --workers 2
python -m tests.oracle.run --first 400 --histories 80      two lakes
python -m tests.oracle.run --seed 1234                     one history
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.oracle.compare import Difference, compare
from tests.oracle.product import run
from tests.oracle.reckon.reckon import reckon
from tests.oracle.reckon.site import Site
from tests.oracle.staged.generate import stage
from tests.oracle.staged.plan import EDGE, History

TOGETHER = 40
"""Histories in one lake."""

WITH_PUE = 9
"""A lake that declares a PUE and makes load profiles."""


@dataclass(frozen=True)
class Outcome:
    """What came of one lake of histories."""

    histories: int
    differences: list[Difference]


def lake_of(seed: int) -> int:
    """Return the number of the lake that a history is in."""
    return seed // TOGETHER


def seeds_of(lake: int) -> range:
    """Return the numbers of the histories in a lake."""
    return range(lake * TOGETHER, (lake + 1) * TOGETHER)


def site_of(lake: int, histories: list[History]) -> tuple[Site, str]:
    """Return the declared constants of a lake, and the site file that declares them."""
    rng = Random(f"site {lake}")
    pue_ppm = rng.choice((None, 1_000_000, 1_234_567, 1_500_000))
    nodes = {node: mw for h in histories for node, mw in h.host_mw.items()}
    lines = ["[site]", *([] if pue_ppm is None else [f"pue = {pue_ppm / 1e6}"])]
    lines += [f"[nodes.{node}]\nhost_w = {mw / 1000}" for node, mw in nodes.items()]
    later_ppm = None if pue_ppm is None else rng.choice((1_100_000, 1_700_000))
    later = {node: rng.randrange(1_000_000) for node in nodes if rng.random() < 0.3}
    lines += ["[[period]]", "from = 2026-01-15T09:00:00Z"]
    lines += [] if later_ppm is None else [f"pue = {later_ppm / 1e6}"]
    lines += [f"[period.nodes.{node}]\nhost_w = {mw / 1000}" for node, mw in later.items()]
    return Site(pue_ppm, nodes, [(EDGE, later_ppm, later)]), "\n".join(lines) + "\n"


def check(lake: int, seeds: Iterable[int], kinds: list[str] | None = None) -> Outcome:
    """Run some histories in one lake and compare."""
    histories = [stage(seed, kinds) for seed in seeds]
    site, text = site_of(lake, histories)
    with tempfile.TemporaryDirectory() as folder:
        # Every third lake has load profiles too: they take as long as all the rest.
        said = run(Path(folder) / "lake", histories, text, loads=lake % 3 == 0)
    raw: dict[str, list[dict[str, object]]] = {}
    for history in histories:
        for rows in (history.rows, history.late):
            for table, members in rows.items():
                raw.setdefault(table, []).extend(members)
    return Outcome(len(histories), compare(histories, said, reckon(raw, site)))


def having(kind: str, count: int, kinds: list[str] | None) -> list[int]:
    """Return the numbers of the first histories in which a kind is staged, or of any if empty."""
    seeds = (s for s in itertools.count() if not kind or stage(s, kinds).has(kind))
    return list(itertools.islice(seeds, count))


def run_all(
    first: int, count: int, workers: int, kinds: list[str] | None
) -> Iterator[list[Difference]]:
    """Run histories, a lake at a time, with progress; yield what differs in each."""
    began, done, differences = time.monotonic(), 0, 0
    lakes = [
        (lake, [seed for seed in seeds_of(lake) if first <= seed < first + count], kinds)
        for lake in range(lake_of(first), lake_of(first + count - 1) + 1)
    ]
    with ProcessPoolExecutor(workers) as pool:
        for outcome in pool.map(check, *zip(*lakes, strict=True)):
            done += outcome.histories
            differences += len(outcome.differences)
            took = time.monotonic() - began
            print(
                f"{done:,} of {count:,} histories, {differences} differences, {took:.0f} s",
                flush=True,
            )
            yield outcome.differences


def main() -> int:
    """Run as the command line says; return 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--histories", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="number of the first history")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, help="run this history alone")
    parser.add_argument("--kinds", help="stage only these, separated by commas")
    parser.add_argument("--having", help="one lake of the first histories that have this kind")
    parser.add_argument("--show", type=int, default=40, help="differences to print")
    asked = parser.parse_args()
    kinds = None if asked.kinds is None else [k for k in asked.kinds.split(",") if k]
    if asked.having is not None:
        seeds = having(asked.having, asked.histories, kinds)
        parts = iter([check(WITH_PUE, seeds, kinds).differences])
    elif asked.seed is not None:
        parts = iter([check(lake_of(asked.seed), [asked.seed], kinds).differences])
    else:
        parts = run_all(asked.first, asked.histories, asked.workers, kinds)
    found: list[Difference] = []
    for part in parts:
        for difference in part[: max(0, asked.show - len(found))]:
            print(difference, flush=True)
        found += part
    differ = sorted({d.history for d in found})
    print(f"{len(found)} differences" + (f", in {', '.join(map(str, differ))}" if differ else ""))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
