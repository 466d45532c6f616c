"""Reads a list of jobs: which job held which device, and when.

In: CSV with the columns job_id, node, device_id (or device: UUID or index on the node), start, end
(empty = running) and optionally share, scheduler, user, account, name. Out: rows of `jobs` without
`recorded_us`, which the caller sets when it records them.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import TypedDict

from tokenergy_collectors.base.csvfile import BadValueError, CsvFile
from tokenergy_collectors.base.leftout import LeftOut
from tokenergy_collectors.base.timestamps import OUTSIDE, BadInstantError, StampReader
from tokenergy_collectors.lake.contract import WHOLE_PPM

REQUIRED = ("job_id", "node", "device_id", "start", "end")
OPTIONAL = ("share", "scheduler", "user", "account", "name")
_KNOWN = (*REQUIRED, *OPTIONAL)


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


def read_jobs(
    path: str | Path, *, node_default: str | None = None, left_out: LeftOut | None = None
) -> list[Job]:
    """Read and check a whole list of jobs.

    Args:
        path: the file. Times are Unix seconds or ISO 8601, without an offset UTC.
        node_default: the node of rows that name none; if None, every row must name its node.
        left_out: takes rows whose times are outside the accepted years; if None, they are errors.

    Returns:
        The allocations in the order of the file, identical ones only once.

    Raises:
        UserError: the file cannot be used; the message names the line.
    """
    found: dict[tuple[str, str, int], tuple[int, Job]] = {}
    clock = StampReader()
    with CsvFile(path) as file:
        names = _columns(file.header, node_default)
        for row in file.all_rows():
            file.check_width(row)
            cells = dict(zip(names, (cell.strip() for cell in row), strict=True))
            try:
                job = _job(cells, clock, node_default)
            except BadInstantError:
                if left_out is None:
                    raise
                left_out.add(OUTSIDE, file.line, ",".join(row))
                continue
            key = (job["job_id"], _device_key(job), job["start_us"])
            line, other = found.setdefault(key, (file.line, job))
            # An identical row is harmless; of two that differ, either could be wrong.
            if other != job:
                raise BadValueError(
                    f"job {job['job_id']!r} on device {job['device_id']!r} from "
                    f"{cells['start']!r} differs from line {line}: expected only one of them"
                )
    return [job for _, job in found.values()]


def _columns(header: list[str], node_default: str | None) -> list[str]:
    """Check the header and return it, with `device` renamed to `device_id`."""
    names = ["device_id" if name.lower() == "device" else name.lower() for name in header]
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


def _job(cells: dict[str, str], clock: StampReader, node_default: str | None) -> Job:
    if not cells.get("node") and node_default is not None:
        cells["node"] = node_default
    for name in ("job_id", "node", "device_id", "start"):
        if not cells.get(name):
            raise BadValueError(f"{name} is empty")
    device = cells["device_id"]
    start_us = clock.read(cells["start"])
    end_us = clock.read(cells["end"]) if cells["end"] else None
    if end_us is not None and end_us <= start_us:
        raise BadValueError(f"end {cells['end']!r} is not after start {cells['start']!r}")
    return Job(
        job_id=cells["job_id"],
        node=cells["node"],
        device_id=str(int(device)) if _is_index(device) else device,
        start_us=start_us,
        end_us=end_us,
        share_ppm=_share_ppm(cells.get("share", "")),
        scheduler=cells.get("scheduler") or "declared",
        user=cells.get("user") or None,
        account=cells.get("account") or None,
        name=cells.get("name") or None,
        labels=None,
        method="declared",
    )


def _share_ppm(text: str) -> int:
    """Return a share of a device in parts per million; the whole device if the cell is empty."""
    if not text:
        return WHOLE_PPM
    try:
        share = Decimal(text)  # exact: 0.29 as a float is a little less
        if 0 < share <= 1:
            share_ppm = int((share * WHOLE_PPM).to_integral_value(ROUND_HALF_EVEN))
            if share_ppm > 0:
                return share_ppm
    except ArithmeticError:
        pass
    raise BadValueError(f"share {text!r}: expected a fraction above 0 and at most 1, such as 0.25")


def _device_key(job: Job) -> str:
    """Return what identifies the device: an index is unique only on its node."""
    device = job["device_id"]
    return f"{job['node']}/{device}" if _is_index(device) else device


def _is_index(device: str) -> bool:
    return device.isascii() and device.isdigit()
