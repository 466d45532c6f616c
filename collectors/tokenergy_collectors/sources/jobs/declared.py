"""Declared allocations: from a job file that may change, or from rows given once.

In: a CSV file (see `jobsfile`) or rows, and the allocations in the lake. Out: the rows of this node
to record, and the edges at which everything is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.base.leftout import LeftOut
from tokenergy_collectors.lake.corrections import Records, allocation_key
from tokenergy_collectors.lake.devicehistory import DeviceHistory, Sighting
from tokenergy_collectors.lake.identity import Identity, first_starts
from tokenergy_collectors.lake.jobkey import job_key
from tokenergy_collectors.sources.jobs import remarks
from tokenergy_collectors.sources.jobs.jobsfile import read_jobs
from tokenergy_collectors.sources.nvml.boards import Board

AllocationRow = Mapping[str, Any]
"""A row of `jobs` by column name."""


class JobChanges(NamedTuple):
    """What changed.

    Attributes:
        rows: rows of `jobs` to record.
        edges_us: the edges that were not known before (us UTC).
        remarks: what has to be said about a list that was read again: lines that were left out, and
            devices that nobody knows.
    """

    rows: list[AllocationRow]
    edges_us: set[int]
    remarks: list[str]


class DeclaredJobs:
    """Returns new and changed allocations of one node, each once.

    Args:
        node: the node; rows of others are left out.
        boards: its boards as they are now.
        path: the job file, if there is one.
        rows: further rows of the `jobs` table.
        known: all records of this node in the lake; equal rows are not recorded again.
        sightings: what the lake knows of the node's devices: a row that begins before now means the
            board that it named then.
        cluster: the cluster of rows that name none.

    Attributes:
        spread: jobs seen so far that also hold devices of other nodes.

    Raises:
        UserError: the job file cannot be read, at start.
    """

    def __init__(
        self,
        node: str,
        boards: list[Board],
        path: Path | None,
        rows: Iterable[AllocationRow] = (),
        known: Iterable[AllocationRow] = (),
        sightings: Iterable[Sighting] = (),
        cluster: str | None = None,
    ) -> None:
        self._node = node
        self._boards = boards
        self._path = path
        self._rows = list(rows)
        self._sightings = list(sightings)
        self._cluster = cluster
        known = list(known)
        identity = self._identity(known)
        self._recorded = Records(map(identity.resolved, known))
        current = self._recorded.current()
        self.spread = {_key(row) for row in current if not self._is_here(identity, row)}
        self._edges_us: set[int] = set()
        self._seen: tuple[int, int, int] | None = None
        self._left_out: list[str] = []
        if path is not None:
            read_jobs(path, cluster=cluster, left_out=LeftOut())

    def declare(self, rows: Iterable[AllocationRow]) -> None:
        """Take further rows of the `jobs` table, or later states of earlier ones."""
        self._rows.extend(rows)

    def changes(self, now_us: int) -> JobChanges:
        """Return what is new since the last call; the file is read only if it has changed.

        Args:
            now_us: becomes `recorded_us` of the rows (us UTC).

        Raises:
            UserError: the job file cannot be read, or says two things of one allocation.
        """
        listed = [] if self._path is None else self._from_file(self._path)
        given, left_out = self._rows, self._left_out
        if not given and not listed:
            self._left_out = []
            return JobChanges([], set(), left_out)
        self._look(now_us)
        given = [self._in_cluster(row) for row in given]
        identity = self._identity(given + listed)
        self.spread |= {_key(row) for row in given + listed if not self._is_here(identity, row)}
        rows, explained = self._explained(identity, given, listed)
        # After the file, which may be unusable: these rows must not be lost with it.
        self._rows, self._left_out = [], []
        edges_us = {row[name] for row in rows for name in ("start_us", "end_us")} - {None}
        fresh_us, self._edges_us = edges_us - self._edges_us, self._edges_us | edges_us
        said = [*left_out, *remarks.of_devices(rows, explained).values()]
        return JobChanges(self._record(rows, explained, now_us), fresh_us, said)

    def here(self) -> list[AllocationRow]:
        """Return the allocations of this node, including past ones."""
        return [row for row in self._recorded.current() if row["node"] == self._node]

    def _explained(
        self, identity: Identity, given: list[AllocationRow], listed: list[AllocationRow]
    ) -> tuple[list[AllocationRow], list[remarks.Explained]]:
        """Return the rows of this node that count, as they were listed and as they resolve.

        Raises:
            UserError: the file says two things of one allocation.
        """
        listed = [row for row in listed if self._is_here(identity, row)]
        from_file: list[remarks.Explained] = [identity.explained(row) for row in listed]
        if why := remarks.of_two_names(listed, from_file):
            self._seen = None  # it is read, and refused, again
            raise UserError(f"{self._path}: {why}")
        # The file goes on to change: of an allocation that both describe, its row counts.
        in_file = {allocation_key(row) for row, _ in from_file}
        given = [
            row
            for row in given
            if self._is_here(identity, row)
            and allocation_key(identity.resolved(row)) not in in_file
        ]
        return given + listed, [*map(identity.explained, given), *from_file]

    def _record(
        self, rows: list[AllocationRow], explained: list[remarks.Explained], now_us: int
    ) -> list[AllocationRow]:
        """Return the rows to record; none of those whose latest record is equal."""
        resolved = [row for row, _ in explained]
        places = self._recorded.to_record(resolved)
        # The newest record counts: one written by a clock that was ahead must not win forever.
        now_us = max(now_us, self._recorded.outranks_us(resolved[place] for place in places))
        found: list[AllocationRow] = []
        for place in places:
            self._recorded.add({**resolved[place], "recorded_us": now_us})
            row, remark = explained[place]
            unseen = remark is not None and remark.case in ("unknown", "ambiguous")
            # What nobody has seen yet is recorded as it was listed: it may be seen later.
            device_id = rows[place]["device_id"] if unseen else row["device_id"]
            found.append({**row, "device_id": device_id, "recorded_us": now_us})
        return found

    def _look(self, now_us: int) -> None:
        """Note the boards as they are now, where that differs from what was last known of them."""
        history = DeviceHistory(self._sightings)
        for one in _sightings(self._node, self._boards, now_us):
            before = history.as_of(one.device_id, now_us)
            if before is not None and one.minor is None:
                one = replace(one, minor=before.minor)
            if before is None or replace(one, ts_us=before.ts_us) != before:
                self._sightings.append(one)

    def _identity(self, rows: Iterable[AllocationRow]) -> Identity:
        history = DeviceHistory(self._sightings)
        return Identity(history, {**first_starts(rows, history.nodes), self._node: 0})

    def _is_here(self, identity: Identity, row: AllocationRow) -> bool:
        return self._node in identity.nodes(row).same(row["node"])

    def _in_cluster(self, row: AllocationRow) -> AllocationRow:
        if self._cluster is None or row.get("cluster") is not None:
            return row
        return {**row, "cluster": self._cluster}

    def _from_file(self, path: Path) -> list[AllocationRow]:
        try:
            stat = path.stat()
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}") from None
        seen = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if seen == self._seen:
            return []
        left_out = LeftOut()
        rows: list[AllocationRow] = [*read_jobs(path, cluster=self._cluster, left_out=left_out)]
        self._left_out = left_out.lines()
        self._seen = seen  # only now: a file that cannot be read is read again next time
        return rows


def _sightings(node: str, boards: Iterable[Board], now_us: int) -> Iterator[Sighting]:
    """Yield the boards of a node and their MIG instances, as seen now."""
    for board in boards:
        yield Sighting(now_us, board.device_id, node, board.index, board.pci, board.minor)
        for one in board.instances:
            yield Sighting(
                now_us, one.device_id, node, mig_parent=board.device_id, mig_ppm=one.share_ppm
            )


def _key(row: AllocationRow) -> str:
    return job_key(row.get("cluster"), row["job_id"])
