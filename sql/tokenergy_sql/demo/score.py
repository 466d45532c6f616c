"""Compares a lake with the true values that the emulator recorded.

In: a lake and the truth files (JSON). Out: for each job its true and found energy, its true and
found tokens, and whether the true values are inside the bounds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog.namedrows import NamedRow, named_rows
from tokenergy_sql.catalog.sqlfile import read_sql

KINDS = ("prompt_computed", "prompt_cached", "generated", "trained")
LONG_US = 60_000_000
"""Jobs of at least this length must meet the energy bound."""

ENERGY_BOUND = 0.01
"""Largest relative error of energy booked by the counter."""

SAMPLES_BOUND = 0.05
"""Largest relative error of energy booked by samples alone: the class of a data centre board."""

_UNMETERED = read_sql("tokenergy_sql.demo", "unmetered")
"""What no meter reports of a job: its missing time, and its part of what a counter bridges across
one of its edges. There the energy is off by no more than the width of its own bounds."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One job against its truth. Energies in nJ, tokens by kind."""

    job_id: str
    long: bool
    true_nj: int
    found_nj: int | None
    low_nj: int | None
    high_nj: int | None
    unmetered_nj: int
    true_tokens: dict[str, int]
    found_tokens: dict[str, int | None]
    te_true: float | None
    te_low: float | None
    te_high: float | None
    bound: float = ENERGY_BOUND
    """Largest relative error allowed: the two bounds, by the share that each meter booked."""

    @property
    def error(self) -> float | None:
        """Relative error of the energy; None if the lake has no energy for the job."""
        if self.found_nj is None:
            return None
        return (self.found_nj - self.true_nj) / self.true_nj

    @property
    def tokens_exact(self) -> bool:
        """Whether every kind of token was counted exactly; a kind that is not counted is 0."""
        return all(self.true_tokens.get(k, 0) == (self.found_tokens[k] or 0) for k in KINDS)

    @property
    def inside(self) -> bool:
        """Whether true energy and true J per token are inside their bounds."""
        energy = (
            self.low_nj is not None
            and self.high_nj is not None
            and self.low_nj <= self.true_nj <= self.high_nj
        )
        if self.te_true is None:
            return energy
        if self.te_low is None or self.te_high is None:
            return False
        return energy and self.te_low <= self.te_true <= self.te_high

    @property
    def passed(self) -> bool:
        """Whether the job meets every bound that applies to its length."""
        if self.found_nj is None:
            return False
        most_nj = self.bound * self.true_nj + self.unmetered_nj
        close = not self.long or abs(self.found_nj - self.true_nj) <= most_nj
        return close and self.tokens_exact and self.inside


def score(lake: Lake, truth_files: Iterable[Path]) -> list[Scored]:
    """Score every job of the truth files, in the order of their ids.

    Raises:
        UserError: a truth file cannot be read.
    """
    energy: dict[str, int] = {}
    span: dict[str, tuple[int, int]] = {}
    tokens: dict[str, dict[str, int]] = {}
    for row in _truth_rows(truth_files):
        if row["row"] == "allocation":
            job = row["job_id"]
            energy[job] = energy.get(job, 0) + row["energy_nj"]
            start, end = span.get(job, (row["start_us"], row["end_us"]))
            span[job] = (min(start, row["start_us"]), max(end, row["end_us"]))
        elif row["row"] == "tokens":
            tokens[row["job_id"]] = {kind: row[kind] for kind in KINDS if kind in row}
    with catalog.connect(lake) as con:
        rows = named_rows(con, "FROM job_index")
        by_samples: dict[str, float] = dict(con.sql(_BY_SAMPLES).fetchall())
        unmetered = dict(con.sql(_UNMETERED).fetchall())
    for row in rows:
        row["unmetered_nj"] = unmetered.get(row["job_id"], 0)
    index = {row["job_id"]: row for row in rows}
    return [
        _scored(
            job,
            energy[job],
            span[job],
            tokens.get(job, {}),
            index.get(job, {}),
            by_samples.get(job, 0.0),
        )
        for job in sorted(energy)
    ]


def _scored(
    job: str,
    true_nj: int,
    span: tuple[int, int],
    tokens: dict[str, int],
    row: NamedRow,
    by_samples: float,
) -> Scored:
    denominator = tokens.get("trained") or tokens.get("generated")
    if "low_joint_coverage" in (row.get("reason_codes") or ""):
        denominator = None  # no ratio is claimed, so there is none to be inside of bounds
    # Sums of 128 bits come as Decimal; the bounds are compared as whole nanojoules.
    whole = {key: None if row.get(key) is None else int(row[key]) for key in _NJ}
    return Scored(
        job_id=job,
        long=span[1] - span[0] >= LONG_US,
        true_nj=true_nj,
        found_nj=whole["e_gpu_nj"],
        low_nj=whole["e_gpu_low_nj"],
        high_nj=whole["e_gpu_high_nj"],
        unmetered_nj=int(row.get("unmetered_nj", 0)),
        true_tokens=tokens,
        found_tokens={kind: row.get(f"n_{kind}") for kind in KINDS},
        te_true=true_nj / 1e9 / denominator if denominator else None,
        te_low=row.get("te_gpu_low"),
        te_high=row.get("te_gpu_high"),
        bound=ENERGY_BOUND + by_samples * (SAMPLES_BOUND - ENERGY_BOUND),
    )


_BY_SAMPLES = """
SELECT job_id, coalesce(sum(energy_nj) FILTER (meter = 'samples') / sum(energy_nj), 0)::DOUBLE
FROM ledger WHERE job_id IS NOT NULL GROUP BY job_id HAVING sum(energy_nj) > 0
"""
"""Share of each job's energy that was booked by samples."""

_NJ = ("e_gpu_nj", "e_gpu_low_nj", "e_gpu_high_nj")


def _truth_rows(files: Iterable[Path]) -> Iterable[dict[str, Any]]:
    for path in files:
        try:
            yield from json.loads(path.read_text("utf-8"))["rows"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a truth file: {error}") from None
