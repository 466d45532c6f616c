"""Rows on their way into the lake: in memory for a moment, then in logs, then in sealed files.

In: rows. Out: sealed files, at most one for each table, hour and roll.

    add -> memory -> flush -> log (one for each table and roll) -> seal -> lake

While the lake cannot be written, the logs wait. Above a limit on their bytes the oldest gauges are
dropped first, then the oldest readings. While the logs cannot be written either, a limited number
of rows waits in memory, by the same rule.
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
from tokenergy_collectors.spool.recovery import LogFile, Recovery, quarantine_log, recover_logs
from tokenergy_collectors.spool.sealing import Sealer
from tokenergy_collectors.spool.wal import LogWriter, UnreadableLogError, sync_path

if TYPE_CHECKING:
    import pyarrow as pa

Rows = list[tuple[Any, ...]]
Dropped = Callable[[str, int, str], None]
"""Called with rows that were dropped: table, number of rows, why."""

LIMIT_BYTES = 1 << 30
_MEMORY_ROWS = 50_000
_BATCH_ROWS = 5_000
_LOGS_IN_LIMIT = 16
"""A log is closed at this part of the limit, so that the oldest rows can be dropped alone."""

_BAD_VALUE = (ValueError, TypeError, OverflowError)
"""Raised by Arrow columns, or by the calendar, for a value that does not fit."""

DROP_ORDER = ("state", "requests", "power", "host", "meter", "tokens")
"""The tables whose rows may be dropped, in this order; those of other tables never are."""


class Spool:
    """Collects rows, logs them and seals them. Several threads may call all methods.

    Args:
        lake: where to write.
        node: whose rows they are.
        dropped: called with rows that were dropped.
        limit_bytes: how much all logs together may hold. Rows logged since the last roll count but
            are not dropped, so the logs may exceed the limit by a sixteenth for each table.
        replay: True if the same time may be run again, as on a virtual clock (see `sealing`).

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
        self._replay = replay
        self._dropped = dropped
        self._limit_bytes = limit_bytes
        # Always taken in this order, so that threads cannot deadlock: one seal at a time, one
        # writer of logs, one change of the rows.
        self._sealing = threading.Lock()
        self._logging = threading.RLock()
        self._adding = threading.Lock()
        self._rows: dict[str, Rows] = {name: [] for name in TABLES}
        self._open: dict[str, LogWriter] = {}
        self._waiting: list[LogFile] = []
        self._under_seal: LogFile | None = None
        self._synced: dict[str, int] = {}
        self._lost: Counter[str] = Counter()

    def next_run(self, realtime_us: int) -> int:
        """Return the number of a run that begins now: see `LogFolder.next_run`."""
        return self._folder.next_run(realtime_us, replay=self._replay)

    def recover(self) -> Recovery:
        """Read the logs that earlier processes left; the next seal seals them."""
        logs, recovery = recover_logs(self._folder)
        with self._logging:
            self._waiting[:0] = logs
        return recovery

    def add(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows of a table, as `Table.make_row` makes them."""
        with self._adding:
            self._rows[table].extend(rows)

    def flush(self) -> None:
        """Write the added rows to the logs; after that they survive a kill of the process.

        Raises:
            UserError: a log cannot be written. The rows wait in memory, up to a limit.
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
            self._drop_logs()
            if problem is not None:
                self._keep_in_memory(left)
                raise UserError(f"{self._folder.path}: cannot be written: {problem.strerror}")
            for table in list(self._lost):
                self._dropped(table, self._lost.pop(table), "the log could not be written")

    def sync(self) -> None:
        """Sync the logs to disk; after that they survive a loss of power.

        Raises:
            UserError: the disk reports an error.
        """
        with self._logging:
            logs: list[LogFile | LogWriter] = [*self._waiting, *self._open.values()]
            done = {log.path.name: self._synced.get(log.path.name, 0) for log in logs}
            due = [(log.path, log.size) for log in logs if done[log.path.name] < log.size]
            self._synced = done
        try:
            # Without the lock: a disk may take seconds, and other threads write meanwhile.
            for path, size in due:
                with suppress(FileNotFoundError):  # sealed and removed meanwhile
                    sync_path(path)
                    self._synced[path.name] = size
            if due:
                sync_path(self._folder.path)
        except OSError as error:
            raise UserError(f"{self._folder.path}: cannot be synced: {error.strerror}") from None

    def seal(self) -> dict[str, int]:
        """Seal everything collected so far; return the number of rows added, by table.

        Raises:
            UserError: something cannot be written; it waits for the next seal.
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
            if full:  # sealing may have freed the space that the log lacked
                self.flush()
                self._roll()
                self._seal_waiting(sealed)
            return dict(sealed)

    def seal_waiting(self) -> dict[str, int]:
        """Seal the logs that were recovered or could not be sealed; those in use stay open.

        Raises:
            UserError: as `seal`.
        """
        with self._sealing:
            sealed: Counter[str] = Counter()
            self._seal_waiting(sealed)
            return dict(sealed)

    def log_bytes(self) -> int:
        """Return the bytes in logs that are not sealed yet. Approximate: it takes no lock."""
        logs: list[LogFile | LogWriter] = [*self._waiting, *self._open.copy().values()]
        return sum(log.size for log in logs)

    def close(self) -> None:
        """Close the logs as they are and unlock the node for another process."""
        with self._sealing:
            self._roll()
            self._folder.close()

    def _log(self, table: str, rows: Rows) -> None:
        """Append rows to the table's log; close the log if it has become large."""
        batch = self._to_batch(table, rows)
        if not batch.num_rows:
            return
        writer = self._open.get(table)
        if writer is None:
            writer = LogWriter(self._folder.new_path(table), table, batch.schema)
            self._open[table] = writer
        writer.write(batch)
        if writer.size > self._limit_bytes // _LOGS_IN_LIMIT:
            self._close(table)

    def _to_batch(self, table: str, rows: Rows) -> pa.RecordBatch:
        """Return rows as a record batch; a row that does not fit is dropped alone."""
        schema = TABLES[table].schema()
        try:
            return to_batch(rows, schema)
        except _BAD_VALUE:
            fitting = []
            for row in rows:
                try:
                    to_batch([row], schema)
                    fitting.append(row)
                except _BAD_VALUE as error:
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
            self._waiting.append(LogFile(writer.path, table, writer.rows, writer.size))
        else:
            writer.path.unlink(missing_ok=True)

    def _seal_waiting(self, sealed: Counter[str]) -> None:
        problem = ""
        for log in list(self._waiting):
            with self._logging:
                if log not in self._waiting:
                    continue  # dropped meanwhile
                self._under_seal = log
            try:
                found = self._seal_one(log, sealed)
            finally:
                self._under_seal = None
            problem = problem or found
        if problem:
            waiting = sum(log.rows for log in list(self._waiting))
            raise UserError(f"{problem}; {waiting} rows wait in the log")

    def _seal_one(self, log: LogFile, sealed: Counter[str]) -> str:
        """Seal a log; return why it has to wait, or an empty text."""
        try:
            added, missing = self._sealer.seal(log)
        except (UserError, OSError) as error:
            return f"{log.table}: {error}"
        except (UnreadableLogError, *_BAD_VALUE) as error:
            reason = quarantine_log(self._folder, log.path, " ".join(str(error).split()))
            added, missing = 0, log.rows
        else:
            reason = "the log was damaged"
        with self._logging:
            self._waiting.remove(log)
        if added:
            sealed[log.table] += added
        if missing:
            self._dropped(log.table, missing, reason)
        return ""

    def _drop_logs(self) -> None:
        """Drop the oldest logs, in the order of tables, until the rest is within the limit."""
        over = sum(log.size for log in self._waiting) - self._limit_bytes
        over += sum(writer.size for writer in self._open.values())
        for table in DROP_ORDER:
            for log in [log for log in self._waiting if log.table == table]:
                if over <= 0:
                    return
                if log is not self._under_seal:
                    log.path.unlink(missing_ok=True)
                    self._waiting.remove(log)
                    over -= log.size
                    self._dropped(table, log.rows, "the logs reached their limit, wal_limit_mib")

    def _keep_in_memory(self, left: dict[str, Rows]) -> None:
        """Keep rows that could not be logged; above a limit drop the oldest, in table order."""
        with self._adding:
            for table, rows in left.items():
                self._rows[table][:0] = rows
            over = sum(map(len, self._rows.values())) - _MEMORY_ROWS
            for table in DROP_ORDER:
                count = min(max(0, over), len(self._rows[table]))
                del self._rows[table][:count]
                over -= count
                # Reported once the log can be written again: the event has to go there, too.
                if count:
                    self._lost[table] += count
