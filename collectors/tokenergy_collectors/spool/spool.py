"""What was read and not yet sealed: in memory for a moment, then in logs, then in the lake.

In: rows. Out: sealed files, at most one a table, hour and roll.

    add -> memory -> flush -> log (one a table and roll) -> seal -> lake

While the lake cannot be written the logs wait, up to a limit on their bytes; beyond it the oldest
gauges go first, then the oldest readings. While the logs cannot be written either, some rows wait
in memory by the same rule.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.lake import Lake
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import TABLES
from tokenergy_collectors.spool.folder import LogFolder
from tokenergy_collectors.spool.recovery import Recovery, Segment, examine, set_aside
from tokenergy_collectors.spool.sealing import Sealer
from tokenergy_collectors.spool.wal import LogWriter, UnreadableLogError, sync_path

if TYPE_CHECKING:
    import pyarrow as pa

Rows = list[tuple[Any, ...]]
Dropped = Callable[[str, int, str], None]
"""Takes what had to be given up: table, number of rows, why."""

LIMIT_BYTES = 1 << 30
_MEMORY_ROWS = 50_000
_BATCH_ROWS = 5_000
_PARTS = 16
_MISFITS = (ValueError, TypeError, OverflowError)
"""What the columns and the calendar raise where a value does not fit."""
DROP_ORDER = ("state", "power", "host", "tokens")
"""What is given up first where not everything can be kept; what is not named never is."""


class Spool:
    """Collects rows, logs and seals them. All methods may be called from several threads.

    Args:
        lake: where to write.
        node: whose rows they are.
        dropped: told of rows that had to be given up.
        limit_bytes: how much all logs together may hold. What is logged since the last roll counts
            but is not given up, so that they may exceed it by a sixteenth a table.
        replay: True where time is run again, as on a virtual clock (see `sealing`).

    Raises:
        UserError: the node's name or the lake's folder cannot be used, or another process collects
            this node.
    """

    def __init__(
        self,
        lake: Lake,
        node: str,
        dropped: Dropped,
        limit_bytes: int = LIMIT_BYTES,
        *,
        replay: bool = False,
    ) -> None:
        self._folder = LogFolder(lake.root, node)
        self._sealer = Sealer(lake, node, replay=replay)
        self._dropped = dropped
        self._limit_bytes = limit_bytes
        # Taken in this order: one seal at a time, one writer of logs, one change of the rows.
        self._sealing = threading.Lock()
        self._logging = threading.RLock()
        self._adding = threading.Lock()
        self._rows: dict[str, Rows] = {name: [] for name in TABLES}
        self._open: dict[str, LogWriter] = {}
        self._waiting: list[Segment] = []
        self._under_seal: Segment | None = None
        self._synced: dict[str, int] = {}
        self._lost: Counter[str] = Counter()

    def recover(self) -> Recovery:
        """Take over the logs that earlier processes left; the next seal seals them."""
        segments, recovery = examine(self._folder)
        with self._logging:
            self._waiting[:0] = segments
        return recovery

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows: tuples in the order of the contract's columns."""
        with self._adding:
            self._rows[table].extend(rows)

    def flush(self) -> None:
        """Write what was added to the logs; from then on the process may be killed.

        Raises:
            UserError: it cannot be written. It waits in memory, up to a limit.
        """
        with self._logging:
            with self._adding:
                rows, self._rows = self._rows, {name: [] for name in TABLES}
            left: dict[str, Rows] = {}
            problem: OSError | None = None
            for table, found in rows.items():
                done = 0
                try:
                    for done in range(0, len(found), _BATCH_ROWS):
                        self._log(table, found[done : done + _BATCH_ROWS])
                except OSError as error:
                    left[table], problem = found[done:], error
            self._shed()
            if problem is not None:
                self._hold(left)
                raise UserError(f"{self._folder.path}: cannot be written: {problem.strerror}")
            for table in list(self._lost):
                self._dropped(table, self._lost.pop(table), "the log could not be written")

    def sync(self) -> None:
        """Force the logs to the disk; from then on the host may lose power.

        Raises:
            UserError: the disk refuses.
        """
        with self._logging:
            logs: list[Segment | LogWriter] = [*self._waiting, *self._open.values()]
            done = {log.path.name: self._synced.get(log.path.name, 0) for log in logs}
            due = [(log.path, log.size) for log in logs if done[log.path.name] < log.size]
            self._synced = done
        try:
            for path, size in due:  # others go on writing: a disk may take seconds
                with suppress(FileNotFoundError):  # sealed by now
                    sync_path(path)
                    self._synced[path.name] = size
            if due:
                sync_path(self._folder.path)
        except OSError as error:
            raise UserError(f"{self._folder.path}: cannot be synced: {error.strerror}") from None

    def seal(self) -> dict[str, int]:
        """Seal everything collected so far; return the number of rows added by table.

        Raises:
            UserError: something cannot be written; it waits for the next time.
        """
        with self._sealing:
            sealed: Counter[str] = Counter()
            full = False
            try:
                self.flush()
            except UserError:
                full = True
            self._roll()
            self._seal_waiting(sealed)
            if full:  # sealing may have made the room that the log lacked
                self.flush()
                self._roll()
                self._seal_waiting(sealed)
            return dict(sealed)

    def seal_waiting(self) -> dict[str, int]:
        """Seal what was recovered or could not be sealed; the logs in use go on.

        Raises:
            UserError: as `seal`.
        """
        with self._sealing:
            sealed: Counter[str] = Counter()
            self._seal_waiting(sealed)
            return dict(sealed)

    def log_bytes(self) -> int:
        """Return the bytes in logs that are not sealed yet; taken in passing, without a lock."""
        logs: list[Segment | LogWriter] = [*self._waiting, *self._open.copy().values()]
        return sum(log.size for log in logs)

    def close(self) -> None:
        """Close the logs as they are and give the node free for another process."""
        with self._sealing:
            self._roll()
            self._folder.close()

    def _log(self, table: str, rows: Rows) -> None:
        """Append rows to the table's log, which is closed where it has become large."""
        batch = self._fitting(table, rows)
        if not batch.num_rows:
            return
        writer = self._open.get(table)
        if writer is None:
            writer = LogWriter(self._folder.new_path(table), table, batch.schema)
            self._open[table] = writer
        writer.write(batch)
        if writer.size > self._limit_bytes // _PARTS:
            self._close(table)

    def _fitting(self, table: str, rows: Rows) -> pa.RecordBatch:
        """Return rows as Arrow's; one that does not fit is told, and holds up no other."""
        schema = TABLES[table].schema()
        try:
            return to_batch(rows, schema)
        except _MISFITS:
            fitting = []
            for row in rows:
                try:
                    to_batch([row], schema)
                    fitting.append(row)
                except _MISFITS as error:
                    self._dropped(table, 1, f"does not fit the table: {error}")
            return to_batch(fitting, schema)

    def _roll(self) -> None:
        with self._logging:
            for table in list(self._open):
                self._close(table)

    def _close(self, table: str) -> None:
        writer = self._open.pop(table)
        writer.close()
        if writer.rows:
            self._waiting.append(Segment(writer.path, table, writer.rows, writer.size))
        else:
            writer.path.unlink(missing_ok=True)

    def _seal_waiting(self, sealed: Counter[str]) -> None:
        problem = ""
        for segment in list(self._waiting):
            with self._logging:
                if segment not in self._waiting:
                    continue  # given up meanwhile
                self._under_seal = segment
            try:
                found = self._seal_one(segment, sealed)
            finally:
                self._under_seal = None
            problem = problem or found
        if problem:
            waiting = sum(segment.rows for segment in list(self._waiting))
            raise UserError(f"{problem}; {waiting} rows wait in the log")

    def _seal_one(self, segment: Segment, sealed: Counter[str]) -> str:
        """Seal a segment; return why it has to wait, or nothing."""
        try:
            added, missing = self._sealer.seal(segment)
        except (UserError, OSError) as error:
            return f"{segment.table}: {error}"
        except (UnreadableLogError, *_MISFITS) as error:
            told = set_aside(self._folder, segment.path, " ".join(str(error).split()))
            added, missing = 0, segment.rows
        else:
            told = "the log was damaged"
        with self._logging:
            self._waiting.remove(segment)
        if added:
            sealed[segment.table] += added
        if missing:
            self._dropped(segment.table, missing, told)
        return ""

    def _shed(self) -> None:
        """Give up the oldest logs of what matters least until the rest is within the limit."""
        over = sum(segment.size for segment in self._waiting) - self._limit_bytes
        over += sum(writer.size for writer in self._open.values())
        for table in DROP_ORDER:
            for segment in [segment for segment in self._waiting if segment.table == table]:
                if over <= 0:
                    return
                if segment is not self._under_seal:
                    segment.path.unlink(missing_ok=True)
                    self._waiting.remove(segment)
                    over -= segment.size
                    self._dropped(table, segment.rows, "the log is at its limit, wal_limit_mib")

    def _hold(self, left: dict[str, Rows]) -> None:
        """Keep in memory what the log did not take, the oldest of what matters least excepted."""
        with self._adding:
            for table, rows in left.items():
                self._rows[table][:0] = rows
            over = sum(map(len, self._rows.values())) - _MEMORY_ROWS
            for table in DROP_ORDER:
                gone = self._rows[table][: max(0, over)]
                del self._rows[table][: len(gone)]
                over -= len(gone)
                if gone:
                    self._lost[table] += len(gone)
