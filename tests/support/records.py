"""Records of power beside each other in one lake: a node, a board and a job each, of one name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.lakes import LakeBuilder
from tests.support.ledger import ask, assert_checks_pass
from tokenergy_collectors.lake import Lake

Record = Callable[[LakeBuilder, str], None]
"""Adds a record to a lake under a name."""

Records = dict[str, Record]
"""By name."""

Hours = dict[str, dict[str, Any]]
"""What `hours_of` says of each job."""


def build(root: Path, records: Records) -> Lake:
    """Return a lake of all records."""
    builder = LakeBuilder(root)
    for name, record in records.items():
        record(builder, name)
    return builder.build()


def kept_in(records: Records) -> Callable[[Record], Record]:
    """Return a decorator that keeps a record under the name of its function."""

    def keep(record: Record) -> Record:
        records[record.__name__] = record
        return record

    return keep


def hours_of(lake: Lake) -> Hours:
    """Energy, bounds (J) and reasons of each job; the books must close."""
    assert_checks_pass(lake)
    rows = ask(
        lake,
        "SELECT job_id, sum(energy_nj)::DOUBLE / 1e9 AS j, sum(low_nj)::DOUBLE / 1e9 AS low, "
        "sum(high_nj)::DOUBLE / 1e9 AS high, string_agg(DISTINCT method, '+' ORDER BY method) "
        "AS method, string_agg(DISTINCT reasons, ';') AS reasons FROM ledger_hour "
        "WHERE job_id IS NOT NULL GROUP BY job_id",
    )
    return {row.pop("job_id"): row for row in rows}


def add(
    builder: LakeBuilder,
    job_id: str,
    readings: Sequence[tuple[int, int | None]],
    held: tuple[int, int],
    **device: Any,
) -> None:
    """Add a board without a counter, and its job."""
    builder.device(job_id, node=job_id, **device)
    builder.power(job_id, readings, node=job_id)
    builder.job(job_id, job_id, *held, node=job_id)
