"""Reads a list of jobs: which job held which device, and when.

In: CSV with the columns job_id, node, device_id (or device: see `lake/devicenames`), start, end
(empty = running) and optionally share, scheduler, user, account, name, cluster, allocation_id. Out:
rows of `jobs` without `recorded_us`, which the caller sets when it records them. A cell such as
`0-3` or `0,2` in `device` is one row for each device.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import TypedDict

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile
from tokenergy_collectors.base.instants import is_instant
from tokenergy_collectors.base.leftout import LeftOut
from tokenergy_collectors.base.timestamps import OUTSIDE, BadInstantError, StampReader
from tokenergy_collectors.lake.contract import WHOLE_PPM
from tokenergy_collectors.lake.corrections import allocation_key
from tokenergy_collectors.lake.devicenames import listed_devices, parse_device
from tokenergy_collectors.lake.jobkey import checked_cluster

REQUIRED = ("job_id", "node", "device_id", "start", "end")
OPTIONAL = ("share", "scheduler", "user", "account", "name", "cluster", "allocation_id")
_KNOWN = (*REQUIRED, *OPTIONAL)

_DIGITS_OF_SECONDS = 11
_DAY_FIRST = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-]\d{4}\b", re.ASCII)
"""A date that begins with the day or with the month: which of them is not known."""


class Job(TypedDict):
    """A row of `jobs` without `recorded_us`."""

    job_id: str
    node: str
    device_id: str
    start_us: int
    end_us: int | None
    share_ppm: int
    scheduler: str | None
    user: str | None
    account: str | None
    name: str | None
    labels: str | None
    method: str
    cluster: str | None
    allocation_id: str | None


def read_jobs(
    path: str | Path,
    *,
    node_default: str | None = None,
    cluster: str | None = None,
    left_out: LeftOut | None = None,
) -> list[Job]:
    """Read and check a whole list of jobs.

    Args:
        path: the file; times without an offset are UTC.
        node_default: the node of rows that name none; if None, every row must name its node.
        cluster: the cluster of rows that name none.
        left_out: takes rows whose times are outside the accepted years; if None, they are errors.

    Returns:
        The allocations in the file's order, identical ones once; withdrawn ones end at their start.

    Raises:
        UserError: the file cannot be used; the message names the line.
    """
    found: dict[object, tuple[int, Job]] = {}
    clock = StampReader()
    with CsvFile(path) as file:
        names = _columns(file.header, node_default)
        for row in file.all_rows():
            file.check_width(row)
            cells = dict(zip(names, (cell.strip() for cell in row), strict=True))
            try:
                jobs = list(_jobs(cells, clock, node_default, cluster))
            except BadInstantError:
                if left_out is None:
                    raise
                left_out.add(OUTSIDE, file.line, ",".join(row))
                continue
            for job in jobs:
                line, other = found.setdefault(_key(job), (file.line, job))
                # An identical row is harmless; of two that differ, either could be wrong.
                if other != job:
                    raise BadValueError(_difference(job, cells["start"], line))
    return [job for _, job in found.values()]


def _columns(header: list[str], node_default: str | None) -> list[str]:
    """Check the header and return it, with `device` renamed to `device_id`."""
    names = ["device_id" if name.lower() == "device" else name.lower() for name in header]
    if not set(names) & set(_KNOWN):
        raise BadValueError(
            f"the first line names no column: {','.join(header)[:80]!r}; expected the line "
            f"{','.join(REQUIRED)} before the first job"
        )
    unknown = [name for name, plain in zip(header, names, strict=True) if plain not in _KNOWN]
    twice = sorted({name for name in names if names.count(name) > 1})
    missing = [
        name
        for name in REQUIRED
        if name not in names and not (name == "node" and node_default is not None)
    ]
    for problem, columns in (("unknown", unknown), ("missing", missing), ("repeated", twice)):
        if columns:
            raise BadValueError(
                f"{problem} column {', '.join(columns)[:200]}: expected {', '.join(REQUIRED)} "
                f"and optionally {', '.join(OPTIONAL)}"
            )
    return names


def _jobs(
    cells: dict[str, str], clock: StampReader, node_default: str | None, cluster: str | None
) -> Iterator[Job]:
    """Yield the allocations of one line: one for each device that it names."""
    if not cells.get("node") and node_default is not None:
        cells["node"] = node_default
    for name in ("job_id", "node", "device_id", "start"):
        if not cells.get(name):
            raise BadValueError(f"{name} is empty")
    start_us = _instant_us(clock, cells["start"])
    end_us = _instant_us(clock, cells["end"]) if cells["end"] else None
    if end_us is not None and end_us < start_us:
        raise BadValueError(f"end {cells['end']!r} is before start {cells['start']!r}")
    try:
        cluster = checked_cluster(cells.get("cluster")) or cluster
        devices = listed_devices(cells["device_id"])
    except ValueError as error:
        raise BadValueError(str(error)) from None
    allocation_id = _allocation_id(cells, devices)
    for device in devices:
        yield Job(
            job_id=cells["job_id"],
            node=cells["node"],
            device_id=device,
            start_us=start_us,
            end_us=end_us,
            share_ppm=_share_ppm(cells.get("share", "")),
            scheduler=cells.get("scheduler") or "declared",
            user=cells.get("user") or None,
            account=cells.get("account") or None,
            name=cells.get("name") or None,
            labels=None,
            method="declared",
            cluster=cluster,
            allocation_id=allocation_id,
        )


def _allocation_id(cells: dict[str, str], devices: list[str]) -> str | None:
    found = cells.get("allocation_id") or None
    if found is not None and len(devices) > 1:
        raise BadValueError(
            f"allocation_id {found!r} is of {len(devices)} devices: expected one device, on a line "
            "of its own with an id of its own"
        )
    return found


def _instant_us(clock: StampReader, text: str) -> int:
    """Return a time as UTC microseconds; schedulers export Unix milliseconds and finer too.

    The accepted years are disjoint ranges in seconds, ms, us and ns: a number fits one of them.
    """
    if text.isascii() and text.isdigit() and len(text) > _DIGITS_OF_SECONDS:
        for ts_us in (int(text) * 1_000, int(text), int(text) // 1_000):
            if is_instant(ts_us):
                return ts_us
    if found := _DAY_FIRST.match(text):
        raise BadValueError(
            f"time {text!r} could be day {found[1]} or day {found[2]}: expected 2024-01-31T12:34:56"
        )
    return clock.read(text)


def _share_ppm(text: str) -> int:
    """Return a share of a device in parts per million; the whole device if the cell is empty."""
    if not text:
        return WHOLE_PPM
    number = text.removesuffix("%").rstrip().replace(",", ".")
    try:
        share = Decimal(number)  # exact: 0.29 as a float is a little less
        share = share / 100 if text.endswith("%") else share
        if 0 < share <= 1:
            share_ppm = int((share * WHOLE_PPM).to_integral_value(ROUND_HALF_EVEN))
            if share_ppm > 0:
                return share_ppm
    except ArithmeticError:
        pass
    raise BadValueError(
        f"share {text!r}: expected a fraction above 0 and at most 1, such as 0.25, or 25%"
    )


def _key(job: Job) -> object:
    """Return what identifies an allocation: a name of a board is unique only on its node."""
    if parse_device(job["device_id"]).kind == "uuid":
        return allocation_key(job)
    return allocation_key({**job, "device_id": f"{job['node']}/{job['device_id']}"})


def _difference(job: Job, start: str, line: int) -> str:
    if job["allocation_id"] is not None:
        return f"allocation_id {job['allocation_id']!r} is on line {line} too: expected it once"
    return (
        f"job {job['job_id']!r} on device {job['device_id']!r} from {start!r} differs from line "
        f"{line}: expected only one of them"
    )
