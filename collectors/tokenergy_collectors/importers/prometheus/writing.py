"""Writes the rows of a chunk that the lake does not hold yet.

In: boards and tokens of one chunk. Out: files, and what an `ImportResult` says of all chunks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenergy_collectors.importers.nvidia.doubts import of_overlap
from tokenergy_collectors.importers.prometheus.boards import Board
from tokenergy_collectors.importers.prometheus.power import Power, device_row, state_rows
from tokenergy_collectors.importers.result import ImportResult, write_new
from tokenergy_collectors.lake.arrays import to_batch
from tokenergy_collectors.lake.contract import DEVICE, TOKENS

if TYPE_CHECKING:
    import pyarrow as pa

    from tokenergy_collectors.lake import Lake

_SAID = ("index", "name", "pci", "limit_mw", "driver", "update_us", "sensor_kind", "counter_us",
         "stamp_step_us")  # fmt: skip
"""Columns of `device` of which a change is a new row."""


@dataclass(slots=True)
class Writer:
    """Writes chunks.

    Args:
        lake: where to write.
        result: gets the numbers of rows, and the files.
    """

    lake: Lake
    result: ImportResult
    _devices: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _doubted: set[str] = field(default_factory=set)

    def boards(
        self,
        found: Sequence[tuple[Board, Power]],
        late_s: Mapping[str, float],
        labelled: Collection[str],
    ) -> None:
        """Write power, gauges and descriptions of boards.

        Args:
            found: the boards of a chunk with their power.
            late_s: how old a value of an exporter may be at its stamp, seconds.
            labelled: ids of boards whose jobs are known by labels.
        """
        import pyarrow as pa

        for node in sorted({board.name.node for board, _ in found}):
            mine = [one for one in found if one[0].name.node == node]
            devices = [
                device_row(board, power, late_s, board.name.device_id in labelled)
                for board, power in mine
                if power.rows.num_rows
            ]
            fresh = [row for row in devices if self._is_new(node, row)]
            self._put("device", pa.Table.from_pylist(fresh, schema=DEVICE.schema()), node)
            whole = pa.concat_tables([power.rows for _, power in mine])
            self._doubt(node, whole)
            self._put("power", whole, node)
            self._put("state", pa.concat_tables([state_rows(board) for board, _ in mine]), node)

    def tokens(self, rows: Mapping[str, Sequence[tuple[Any, ...]]]) -> None:
        """Write rows of `tokens`, by node."""
        import pyarrow as pa

        for node in sorted(rows):
            table = pa.Table.from_batches([to_batch(list(rows[node]), TOKENS.schema())])
            self._put("tokens", table, node, apart_from=["epoch"])

    def note(self, table: str, rows: int, written: int, files: Sequence[Path]) -> None:
        """Count rows and files."""
        if rows:
            self.result.rows[table] = self.result.rows.get(table, 0) + rows
        if written:
            self.result.written[table] = self.result.written.get(table, 0) + written
        self.result.files += files

    def _put(self, table: str, rows: pa.Table, node: str, apart_from: Sequence[str] = ()) -> None:
        if not rows.num_rows:
            return
        part = ImportResult()
        write_new(self.lake, table, rows, node, part, apart_from=apart_from)
        self.note(table, part.rows[table], part.written.get(table, 0), part.files)

    def _is_new(self, node: str, row: dict[str, Any]) -> bool:
        """Return whether a row says something that the one before it does not."""
        if node not in self._devices:
            self._devices[node] = self.lake.read("device", node=node).to_pylist()
        known = self._devices[node]
        same = [old for old in known if old["device_id"] == row["device_id"]]
        before = [old for old in same if old["ts_us"] <= row["ts_us"]]
        latest = max(before, key=lambda old: old["ts_us"], default=None)
        if latest is not None:
            few = row["update_us"] is None
            # What this chunk does not say, an earlier one said.
            for name in _SAID:
                row[name] = latest[name] if row[name] is None else row[name]
            # The latest row counts for all of a board's time: it must not be too narrow for a
            # time in which labels named jobs. A few readings do not show that pages repeat.
            step_us = latest["stamp_step_us"] or 0
            row["stamp_step_us"] = step_us if few else max(step_us, row["stamp_step_us"])
            if all(latest[name] == row[name] for name in _SAID):
                return False
        known.append(row)
        return True

    def _doubt(self, node: str, power: pa.Table) -> None:
        """Warn once of each board that the lake has other readings of."""
        for line in of_overlap(self.lake, node, power, "the store"):
            board = next((d for d in set(power["device_id"].to_pylist()) if d in line), line)
            if board not in self._doubted:
                self._doubted.add(board)
                self.result.warnings.append(line)
