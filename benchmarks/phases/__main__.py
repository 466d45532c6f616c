"""Runs the trials of prefill and decode, prints the table and writes it into docs/uncertainty.md.

`make phases` or `python -m benchmarks.phases [--loads varied,constant] [--jobs N] [--out FILE]`.
Exit code 1 if what a token costs is outside its bounds, or not told, in more than 5 % of the jobs
whose load varies, or if anything is told of a job whose load never varies.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from benchmarks.accuracy.table import into_page
from benchmarks.accuracy.trials import collect, integrate
from benchmarks.phases import design, truth
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.index.pipeline import index
from tokenergy_sql.index.site import Site

PAGE = Path(__file__).parents[2] / "docs" / "uncertainty.md"
BEGIN, END = "<!-- made by `make phases` -->", "<!-- end of phases -->"
LEAST_INSIDE = 0.95
RATE_HZ = 2.0
HEADER = (
    *("load", "token", "jobs", "told", "inside", "outside"),
    *("error %", "width %", "not told because"),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one kind of load: its jobs' estimates beside the truth."""

    load: str
    phase: str
    told: list[dict[str, Any]]
    true_j: dict[str, float]

    @property
    def known(self) -> list[dict[str, Any]]:
        """Rows of the jobs of which the figure is told."""
        return [row for row in self.told if row[self.phase] is not None]

    def inside(self) -> int:
        """Return in how many jobs the truth is inside the bounds."""
        return sum(
            row[f"{self.phase}_low"] <= self.true_j[row["job_id"]] <= row[f"{self.phase}_high"]
            for row in self.known
        )

    @property
    def passed(self) -> bool:
        """Whether what this load must show is shown."""
        if self.load == "constant":
            return not self.known
        return self.load != "varied" or self.inside() >= LEAST_INSIDE * len(self.told)

    def line(self) -> str:
        """Return the row as it appears in the table."""
        known = self.known
        errors, widths = [], []
        for row in known:
            true = self.true_j[row["job_id"]]
            widths.append(100 * (row[f"{self.phase}_high"] - row[f"{self.phase}_low"]) / true)
            errors.append(100 * abs(row[self.phase] - true) / true)
        codes: dict[str, int] = {}
        for row in self.told:
            if row[self.phase] is None:
                codes[row["phase_reasons"]] = codes.get(row["phase_reasons"], 0) + 1
        why = "; ".join(f"{code.replace(',', ' and ')} {n}" for code, n in sorted(codes.items()))
        cells = [
            self.load,
            self.phase.removeprefix("te_gpu_"),
            str(len(self.told)),
            str(len(known)),
            str(self.inside()),
            str(len(known) - self.inside()),
            f"{statistics.median(errors):.1f}, {max(errors):.1f}" if known else "",
            f"{statistics.median(widths):.0f}" if known else "",
            why,
        ]
        return f"| {' | '.join(cells)} |"


def run(load: design.Load, jobs: int) -> list[Row]:
    """Emulate, collect and index the jobs of a kind of load; return its rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = design.profile(load, jobs, folder)
        collect(one, folder, RATE_HZ)
        lake = Lake(folder / "lake")
        integrate(lake)
        index(lake, Site(None, None, {}), progress=lambda _: None, catalog=False)
        with catalog.connect(lake) as con:
            told = con.sql("FROM job_index ORDER BY job_id").to_arrow_table().to_pylist()
        compared: dict[str, dict[str, truth.Costs]] = {load: truth.costs(one)}
        if load == "batching":
            compared["batching, mean above idle"] = truth.means(one)
    return [
        Row(
            words, f"te_gpu_{phase}", told, {job: getattr(c, f"{phase}_j") for job, c in of.items()}
        )
        for words, of in compared.items()
        for phase in ("prefill", "decode")
    ]


def markdown(rows: list[Row]) -> str:
    """Return the table as it appears in docs/uncertainty.md."""
    rule = f"| --- | --- |{' ---: |' * (len(HEADER) - 3)} --- |"
    return "\n".join([f"| {' | '.join(HEADER)} |", rule, *(row.line() for row in rows), ""])


def main() -> int:
    """Run the command; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loads", default=",".join(design.JOBS), help="kinds of load, by comma")
    parser.add_argument(
        "--jobs", type=int, help="jobs of each kind; the table's number if left out"
    )
    parser.add_argument("--out", type=Path, help="page to write the table into")
    given = parser.parse_args()
    loads = given.loads.split(",")
    if not {*loads} <= {*get_args(design.Load)}:
        parser.error(f"--loads {given.loads}: allowed: {', '.join(design.JOBS)}")
    began_s, rows = time.monotonic(), []
    for load in loads:
        rows += run(load, given.jobs or design.JOBS[load])
        print(f"{load}: {time.monotonic() - began_s:.0f} s", file=sys.stderr)
    print(markdown(rows))
    if page := given.out or (PAGE if loads == list(design.JOBS) and not given.jobs else None):
        into_page(page, markdown(rows), BEGIN, END)
        print(f"written into {page}")
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
