"""How two revisions of a lake differ: which jobs changed, by how much, and why.

In: the numbers of two revisions. Out: one row for each job whose figures differ, with both figures,
the hours that differ and the kinds of input that had changed in them; the meters that differ; and
the jobs whose carbon or cost does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import JOB_HOUR_INDEX, JOB_SIGNAL_HOUR, METER_HOUR
from tokenergy_collectors.lake.paths import hour_of_path
from tokenergy_collectors.lake.table import Table
from tokenergy_sql.catalog import connecting as catalog
from tokenergy_sql.catalog import views
from tokenergy_sql.catalog.duck import open_memory, patterns
from tokenergy_sql.catalog.reading import read
from tokenergy_sql.catalog.sqlfile import read_sql
from tokenergy_sql.revisions import revisions
from tokenergy_sql.revisions.revisions import Manifest


@dataclass(frozen=True, slots=True)
class Moved:
    """A job whose figures differ.

    Attributes:
        job_id: the job.
        hours_us: the hours in which they differ.
        j_before, j_after: GPU energy, J; None where there is none.
        facility_j_before, facility_j_after: facility energy, J; None where there is none.
        tokens_before, tokens_after: generated, or else trained tokens.
        causes: kinds of input that had changed in those hours; see `inputs.Inputs`.
    """

    job_id: str
    hours_us: list[int]
    j_before: float | None
    j_after: float | None
    facility_j_before: float | None
    facility_j_after: float | None
    tokens_before: int | None
    tokens_after: int | None
    causes: list[str]

    @property
    def te_before(self) -> float | None:
        """J per token before, at the GPU boundary."""
        return _ratio(self.j_before, self.tokens_before)

    @property
    def te_after(self) -> float | None:
        """J per token after, at the GPU boundary."""
        return _ratio(self.j_after, self.tokens_after)


@dataclass(frozen=True, slots=True)
class MovedMeter:
    """A facility meter that says something else.

    Attributes:
        meter_id: the meter.
        unit: of its amounts: nJ or uL; of one that counts nothing, of its values.
        hours_us: the hours in which it does.
        amount_before, amount_after: what it counted in them; None where nothing is known.
        known_before_us, known_after_us: for how long that is known.
    """

    meter_id: str
    unit: str
    hours_us: list[int]
    amount_before: float | None
    amount_after: float | None
    known_before_us: int
    known_after_us: int


@dataclass(frozen=True, slots=True)
class MovedSignal:
    """A job whose carbon, cost or clean share is something else.

    Attributes:
        job_id: the job.
        quantity: of the signal.
        unit: of the amounts, as in `job_signal_hour`.
        hours_us: the hours in which they differ.
        amount_before, amount_after: of the facility, else of the GPUs; None where nothing is known.
        known_before_nj, known_after_nj: energy of which that is known.
    """

    job_id: str
    quantity: str
    unit: str
    hours_us: list[int]
    amount_before: float | None
    amount_after: float | None
    known_before_nj: float | None
    known_after_nj: float | None


@dataclass(frozen=True, slots=True)
class Difference:
    """How two revisions differ.

    Attributes:
        moved: the jobs, the largest change of energy first.
        meters: the meters, by id.
        signals: the jobs whose carbon or cost differs.
        untouched: hours of `job_hour_index` whose files are the same in both.
        touched: hours whose files are not.
    """

    moved: list[Moved]
    meters: list[MovedMeter]
    signals: list[MovedSignal]
    untouched: list[int]
    touched: list[int]


def compare(lake: Lake, older: int, newer: int) -> Difference:
    """Return how two revisions differ.

    Args:
        lake: the lake.
        older, newer: numbers of revisions; 0 is before the first.

    Raises:
        UserError: there is no such revision, or files that it needs have been dropped.
    """
    files, rows = read(lake, lambda: _moved_rows(lake, older, newer, JOB_HOUR_INDEX, "moved_jobs"))
    _, meter_rows = read(lake, lambda: _moved_rows(lake, older, newer, METER_HOUR, "moved_meters"))
    _, signal_rows = read(
        lake, lambda: _moved_rows(lake, older, newer, JOB_SIGNAL_HOUR, "moved_signals")
    )
    first, last = min(older, newer), max(older, newer)
    between = [m for m in revisions.manifests(lake) if first < m.number <= last]
    moved = [Moved(*(*row, _causes(between, row[1]))) for row in rows]
    before, after = ({hour_of_path(p): p for p in paths} for paths in files.values())
    untouched = sorted(hour for hour in before if before[hour] == after.get(hour))
    meters = [MovedMeter(*row) for row in meter_rows]
    signals = [MovedSignal(*row) for row in signal_rows]
    return Difference(moved, meters, signals, untouched, sorted({*before, *after} - set(untouched)))


def _moved_rows(
    lake: Lake, older: int, newer: int, table: Table, statement: str
) -> tuple[dict[str, list[Path]], list[Any]]:
    """Return a table's files of `before` and `after`, and the rows of a statement over them."""
    files = {
        name: revisions.files_at(lake, number, table.name)
        for name, number in (("before", older), ("after", newer))
    }
    with open_memory() as con:
        views.define(con, views.UNITS)
        for name, paths in files.items():
            select = catalog.select_listed(table, patterns(paths))
            con.execute(f"CREATE VIEW {name} AS {select}")
        return files, con.execute(read_sql(__package__, statement)).fetchall()


def _causes(between: list[Manifest], hours_us: list[int]) -> list[str]:
    """Return the kinds of input that had changed in some hours, in some revisions."""
    return sorted({cause for m in between for hour in hours_us for cause in m.causes(hour)})


def _ratio(joules: float | None, tokens: int | None) -> float | None:
    return joules / tokens if joules is not None and tokens else None
