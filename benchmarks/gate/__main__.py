"""Runs the trials of the gate and prints how often it told what.

`make bench-gate` or `python -m benchmarks.gate [--loads steady,varied] [--pairs N] [--alone N]
[--out FILE]`. Pairs go the whole way: emulated boards, the daemon, the ledger, the index. Those
"alone" are the same servers without boards and meters, which is fast enough for many. Exit code 1
if the gate called a HEAD worse that is not in more than 2 % of the pairs of a load, or missed
planted 3 % or 10 % under a steady load in more than 10 %.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.accuracy.table import into_page
from benchmarks.accuracy.trials import collect, integrate
from benchmarks.gate import alone, design
from tokenergy_collectors.lake import Lake
from tokenergy_sql.gate.verdict import Outcome, Wanted, compare
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site
from tokenergy_sql.terminal.gatesides import sides_of

BEGIN, END = "<!-- made by `make bench-gate` -->", "<!-- end of gate -->"
PLANTED = (0.0, 0.01, 0.03, 0.10)
SECONDS = 3_300
RATE_HZ = 2.0
MOST_FALSE, LEAST_POWER = 0.02, 0.9
HEADER = (
    "load", "planted %", "pairs", "worse", "pass", "cannot tell", "ratio %: median", "off, worst",
    "inside", "seen %: median",
)  # fmt: skip


@dataclass
class Cell:
    """What the gate said of pairs of one load and one regression."""

    load: str
    planted: float
    verdicts: Counter[str] = field(default_factory=Counter)
    ratios: list[float] = field(default_factory=list)
    inside: int = 0
    seen: list[float] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Add what was said of a pair."""
        self.verdicts[outcome.verdict] += 1
        if outcome.ratio is not None and outcome.low is not None and outcome.high is not None:
            self.ratios.append(outcome.ratio)
            self.inside += outcome.low <= 1 + self.planted <= outcome.high
            self.seen += [] if outcome.seen is None else [outcome.seen]

    @property
    def pairs(self) -> int:
        """How many pairs there are."""
        return self.verdicts.total()

    @property
    def passed(self) -> bool:
        """Whether the gate said what it must."""
        worse = self.verdicts["worse"] / self.pairs
        if self.planted == 0:
            return worse <= MOST_FALSE
        return not self.load.startswith("steady") or self.planted < 0.03 or worse >= LEAST_POWER

    def line(self) -> str:
        """Return the row as it appears in the table."""
        true = 1 + self.planted
        off = max((abs(one / true - 1) for one in self.ratios), default=None)
        cells = [
            self.load,
            f"{100 * self.planted:g}",
            str(self.pairs),
            *(str(self.verdicts[name]) for name in ("worse", "pass", "cannot_tell")),
            f"{100 * (statistics.median(self.ratios) - 1):+.2f}" if self.ratios else "",
            "" if off is None else f"{100 * off:.2f}",
            f"{self.inside} of {len(self.ratios)}",
            f"{100 * statistics.median(self.seen):.2f}" if self.seen else "",
        ]
        return f"| {' | '.join(cells)} |"


def run(load: design.Load, pairs: int, seed: int) -> list[Cell]:
    """Emulate, collect, index and compare pairs of each regression; return what was said."""
    planted = [*PLANTED] * pairs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = design.profile(load, planted, SECONDS, seed, folder)
        collect(one, folder, RATE_HZ)
        lake = Lake(folder / "lake")
        integrate(lake)
        index(lake, Site(None, None, {}), progress=lambda _: None, catalog=False)
        cells = {more: Cell(load, more) for more in PLANTED}
        named = {
            f"{side}-{number}": f"job:{side}-{number}"
            for number in range(len(planted))
            for side in ("base", "head")
        }
        sides = sides_of(folder / "lake", named)
    for number, more in enumerate(planted):
        cells[more].add(compare(sides[f"base-{number}"], sides[f"head-{number}"], Wanted()))
    return list(cells.values())


def run_alone(load: design.Load, pairs: int, seed: int) -> list[Cell]:
    """Compare pairs of servers without boards and meters, each with each regression."""
    cells = [Cell(f"{load}, alone", more) for more in PLANTED]
    with tempfile.TemporaryDirectory() as name:
        one = design.profile(load, [0.0] * pairs, SECONDS, seed + 1, Path(name))
        for number in range(pairs):
            base, head = (alone.side(one, f"{side}-{number}") for side in ("base", "head"))
            for cell in cells:
                cell.add(compare(base, alone.scaled(head, 1 + cell.planted), Wanted()))
    return cells


def markdown(cells: list[Cell]) -> str:
    """Return the table as it appears in docs/gate.md."""
    rule = f"| --- |{' ---: |' * (len(HEADER) - 1)}"
    return "\n".join([f"| {' | '.join(HEADER)} |", rule, *(one.line() for one in cells), ""])


def main() -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loads", default=",".join(design.LOADS), help="kinds of load, by comma")
    parser.add_argument("--pairs", type=int, default=2, help="pairs of each regression (2)")
    parser.add_argument("--alone", type=int, default=50, help="pairs of servers alone (50)")
    parser.add_argument("--seed", type=int, default=20_261_130, help="of boards and requests")
    parser.add_argument("--out", type=Path, help="page to write the table into")
    given = parser.parse_args()
    loads = [one for one in design.LOADS if one in given.loads.split(",")]
    if len(loads) != len(given.loads.split(",")):
        parser.error(f"--loads {given.loads}: allowed: {', '.join(design.LOADS)}")
    began_s, cells = time.monotonic(), []
    for load in loads:
        if given.pairs and load not in design.ALONE:
            cells += run(load, given.pairs, given.seed)
        cells += run_alone(load, given.alone, given.seed) if given.alone else []
        print(f"{load}: {time.monotonic() - began_s:.0f} s", file=sys.stderr)
    print(markdown(cells))
    if given.out:
        into_page(given.out, markdown(cells), BEGIN, END)
        print(f"written into {given.out}")
    return 0 if all(one.passed for one in cells) else 1


if __name__ == "__main__":
    sys.exit(main())
