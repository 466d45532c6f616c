"""Whether the boards of a job have worked: a sleeping server is left asleep until they do.

In: utilization of boards and allocations, as the collector reads them. Out: an answer for a job.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tokenergy_collectors.lake.contract import STATE
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.sources.host import PowerReading, Rows


class Busy:
    """Follows the boards of a node. Several threads may ask."""

    def __init__(self) -> None:
        self._worked_us: dict[str, int] = {}
        self._works: dict[str, bool] = {}
        self._holds: dict[str, list[tuple[str, int, int | None]]] = {}

    def add(self, table: str, rows: Rows) -> None:
        """Take the gauges of boards."""
        if table != "state":
            return
        for row in map(STATE.as_dict, rows):
            if row["sm_util"] is not None:
                self._works[row["device_id"]] = row["sm_util"] > 0
                if row["sm_util"] > 0:
                    self._worked_us[row["device_id"]] = row["ts_us"]

    def readings(self, readings: Sequence[PowerReading]) -> None:
        """Take power readings: they do not say whether a kernel runs."""

    def allocations(self, rows: Iterable[Mapping[str, Any]], spread: Collection[str]) -> None:
        """Take the allocations of the node."""
        holds: dict[str, list[tuple[str, int, int | None]]] = {}
        for row in rows:
            hold = (row["device_id"], row["start_us"], row["end_us"])
            holds.setdefault(job_key(row.get("cluster"), row["job_id"]), []).append(hold)
        self._holds = holds

    def worked(self, job: str, since_us: int, now_us: int) -> bool:
        """Return whether a board of a job has worked since an instant, or may have.

        A job that holds no known board may have worked, and so may a board that does not tell.

        Args:
            job: key of the job.
            since_us: the instant (us UTC).
            now_us: this instant: a job has the boards that it holds now.
        """
        held = [
            device
            for device, start_us, end_us in self._holds.get(job, ())
            if start_us <= now_us and (end_us is None or end_us > since_us)
        ]
        if not held or any(device not in self._works for device in held):
            return True
        # A gauge that stays as it is may not be repeated: the last one holds.
        return any(
            self._works[device] or self._worked_us.get(device, -1) >= since_us for device in held
        )
