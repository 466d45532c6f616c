"""The revisions of a lake, and the difference between two of them.

In: a lake, revision numbers. Out: tables, or rows for programs.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.contract import HOUR_US
from tokenergy_collectors.lake.paths import partition
from tokenergy_sql.catalog.namedrows import NamedRow
from tokenergy_sql.revisions import revisions
from tokenergy_sql.revisions.diff import Difference, Moved, MovedMeter, MovedSignal, compare
from tokenergy_sql.revisions.revisions import Manifest
from tokenergy_sql.terminal.grid import Grid, Heading
from tokenergy_sql.terminal.output import Output, Part
from tokenergy_sql.terminal.table import scaled, significant

_HOURS_SHOWN = 3

_REVISION = (
    Heading("revision", "right"),
    Heading("made"),
    *(Heading(name, "right", 1) for name in ("hours", "files added", "files replaced")),
    Heading("causes"),
    Heading("index version", rank=2),
)
_OF_REVISION = (
    *("revision", "made_at", "hours", "files_added", "files_replaced", "dropped", "causes"),
    "index_version",
)
_MOVED = (
    Heading("job"),
    Heading("hours", rank=2),
    *(Heading(name, "right") for name in ("GPU kJ", "change %")),
    Heading("tokens", "right", 2),
    Heading("J/token GPU", "right"),
    Heading("facility kJ", "right", 2),
    Heading("cause", rank=1),
)
_METERS = (
    Heading("meter"),
    Heading("hours", rank=1),
    Heading("counted", "right"),
    Heading("unit"),
    Heading("known % of these hours", "right"),
)
_SIGNALS = (
    Heading("job"),
    Heading("quantity"),
    Heading("hours", rank=1),
    Heading("amount", "right"),
    Heading("unit"),
    Heading("of kWh", "right", 1),
)
_PER_SIGNAL = {"ug CO2e": ("g CO2e", 1e6), "nJ": ("kWh", 3.6e15)}
_BILLIONTHS = "1e-9 "
_PER = {"nJ": ("kWh", 3.6e15), "uL": ("L", 1e6)}
"""Unit of a meter's amounts in the lake: that of the table, and how many of one make the other."""


def print_revisions(root: Path, keep: int | None, output: Output) -> None:
    """Print one row for each revision.

    If `keep` is given, first delete the files that all but the latest `keep` revisions replaced.
    """
    lake = Lake(root)
    if keep is not None:
        freed = f"freed {revisions.drop_before(lake, keep):,} bytes"
        print(freed, file=sys.stdout if output.is_table else sys.stderr)
    rows = [_revision(manifest) for manifest in revisions.manifests(lake)]
    if not rows and output.is_table:
        output.show_tables(["no revisions yet: `tokenergy index` makes the first one"])
        return
    output.show(rows, lambda: [revisions_table(rows)], names=_OF_REVISION)


def _revision(m: Manifest) -> NamedRow:
    counts = Counter(cause for causes in m.hours.values() for cause in causes)
    causes = ", ".join(f"{cause} {count}" for cause, count in sorted(counts.items()))
    figures = (len(m.hours), len(m.added), len(m.replaced), m.dropped)
    values = (m.number, m.made_at, *figures, causes, m.index_version)
    return dict(zip(_OF_REVISION, values, strict=True))


def revisions_table(rows: Sequence[NamedRow]) -> Grid:
    """Return revisions as a table."""
    dropped = [" (dropped)" if row["dropped"] else "" for row in rows]
    cells = [
        [
            *(f"{row[name]}" for name in ("revision", "made_at", "hours", "files_added")),
            f"{row['files_replaced']}{note}",
            *(row["causes"], row["index_version"]),
        ]
        for row, note in zip(rows, dropped, strict=True)
    ]
    return Grid(_REVISION, cells, "Revisions", rows)


def print_difference(root: Path, older: int | None, newer: int | None, output: Output) -> None:
    """Print the jobs that differ between two revisions; by default the last two.

    Raises:
        UserError: there is no such revision, or its files have been dropped.
    """
    lake = Lake(root)
    manifests = revisions.manifests(lake)
    if not manifests:
        raise UserError(f"lake {root}: has no revisions yet; run `tokenergy index`")
    newer = manifests[-1].number if newer is None else newer
    older = newer - 1 if older is None else older
    difference = compare(lake, older, newer)
    rows = [
        *({"row": "job", **asdict(job)} for job in difference.moved),
        *({"row": "meter", **asdict(meter)} for meter in difference.meters),
        *({"row": "signal", **asdict(signal)} for signal in difference.signals),
    ]
    named = f"Revision {older} to {newer}"
    output.show(rows, lambda: difference_parts(difference, named))


def difference_parts(difference: Difference, named: str) -> list[Part]:
    """Return a difference as tables of jobs, meters and signals, and a line that counts hours."""
    count = len(difference.moved)
    title = f"{named}: {count} job{' differs' if count == 1 else 's differ'}"
    moved = [_cells(job) for job in difference.moved]
    parts: list[Part] = [Grid(_MOVED, moved, title) if moved else title]
    if difference.meters:
        rows = [_meter_cells(meter) for meter in difference.meters]
        parts.append(Grid(_METERS, rows, "Meters of the building that differ"))
    if difference.signals:
        rows = [_signal_cells(job) for job in difference.signals]
        parts.append(Grid(_SIGNALS, rows, "Carbon and cost that differ"))
    return [*parts, _hour_counts(difference)]


def _cells(job: Moved) -> Sequence[str]:
    change = "-"
    if job.j_before and job.j_after is not None:
        change = f"{100 * (job.j_after / job.j_before - 1):+.4g}"
    energies = [significant(scaled(j, 1e3), 6) for j in (job.j_before, job.j_after)]
    facility = (job.facility_j_before, job.facility_j_after)
    tokens = ["-" if n is None else f"{n:,}" for n in (job.tokens_before, job.tokens_after)]
    return (
        job.job_id,
        _hours(job.hours_us),
        _arrow(*energies),
        change,
        _arrow(*tokens),
        _arrow(significant(job.te_before), significant(job.te_after)),
        _arrow(*(significant(scaled(j, 1e3), 6) for j in facility)),
        ", ".join(job.causes),
    )


def _meter_cells(meter: MovedMeter) -> Sequence[str]:
    unit, per = _PER.get(meter.unit, (meter.unit, 1.0))
    amounts = (scaled(amount, per) for amount in (meter.amount_before, meter.amount_after))
    whole_us = len(meter.hours_us) * HOUR_US
    known = (100 * us / whole_us for us in (meter.known_before_us, meter.known_after_us))
    return (
        meter.meter_id,
        _hours(meter.hours_us),
        _arrow(*(significant(amount, 6) for amount in amounts)),
        unit,
        _arrow(*(significant(share) for share in known)),
    )


def _signal_cells(job: MovedSignal) -> Sequence[str]:
    currency = job.unit.removeprefix(_BILLIONTHS)
    unit, per = _PER_SIGNAL.get(job.unit, (currency, 1e9))
    amounts = (scaled(amount, per) for amount in (job.amount_before, job.amount_after))
    known = (scaled(nj, 3.6e15) for nj in (job.known_before_nj, job.known_after_nj))
    return (
        job.job_id,
        job.quantity,
        _hours(job.hours_us),
        _arrow(*(significant(amount, 6) for amount in amounts)),
        unit,
        _arrow(*(significant(kwh) for kwh in known)),
    )


def _arrow(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"


def _hours(hours_us: Sequence[int]) -> str:
    shown = [partition(hour).replace("date=", "").replace("/hour=", "T") for hour in hours_us]
    more = len(shown) - _HOURS_SHOWN
    return " ".join(shown[:_HOURS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _hour_counts(difference: Difference) -> str:
    """Return how many hours' files differ, also where only provenance changed."""
    differ, same = len(difference.touched), len(difference.untouched)
    return f"hours of job_hour_index: {differ} differ, {same} are the same"
