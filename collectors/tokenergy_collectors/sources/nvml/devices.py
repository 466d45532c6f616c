"""Keeps the `device` table current: a row per board and MIG instance at start and at each change.

In: opened boards, read again about once a minute and when a lost one is back. Out: rows, and events
that say what changed: `limit` for power limits, `device` for the rest.

A board that is back may differ in everything but its UUID: driver, index, update period. The period
is learned again, in a thread next to the sampling. On a virtual clock it is kept, since learning
would let time pass.
"""

from __future__ import annotations

import threading
from typing import Any

import pynvml

from tokenergy_collectors.lake.contract import DEVICE
from tokenergy_collectors.sources.host import Host
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.learn import learn_periods
from tokenergy_collectors.sources.nvml.nameplate import (
    Nameplate,
    nameplate_as_opened,
    read_nameplate,
)
from tokenergy_collectors.sources.nvml.rate import rate_hz
from tokenergy_collectors.sources.nvml.settings import GpuKeys

DeviceRow = tuple[Any, ...]


class DeviceWatch:
    """Records how the boards of a node describe themselves.

    Args:
        config: how often power is read, how long to learn, and the place of the node.
        host: has the boards, whose attributes are updated; takes rows of `device` and events.
    """

    def __init__(self, config: GpuKeys, host: Host) -> None:
        self._config = config
        self._host = host
        self._boards = list(host.boards)
        self._tick_us = round(1_000_000 / rate_hz(config, self._boards))
        self._nameplates: dict[str, Nameplate] = {}
        self._returned: set[str] = set()
        self._stop = threading.Event()

    def begin(self) -> None:
        """Record all boards as they were found."""
        now_us = self._host.now_us()
        for board in self._boards:
            nameplate = self._nameplates[board.device_id] = self._read(
                board
            ) or nameplate_as_opened(board)
            _apply(board, nameplate)
            self._host.output.add("device", [self._row(board, nameplate, now_us)])
            self._host.output.add("device", self._instance_rows(board, now_us))
            self._report_shares(board)

    def returned(self, device_id: str | None) -> None:
        """Learn the update period of a board that was lost again, at the next look."""
        if device_id is not None:
            self._returned.add(device_id)

    def look(self) -> None:
        """Read the nameplates of all boards that answer; record and report what changed."""
        returned, self._returned = self._returned, set()
        for board in self._boards:
            rests = board.failure is not None or board.slow
            nameplate = None if rests else self._read(board)
            if nameplate is not None:
                self._compare(board, nameplate)
        for board in self._boards:
            if board.device_id in returned and board.failure is None:
                self._learn(board)

    def finish(self) -> None:
        """End learning an update period."""
        self._stop.set()

    def _read(self, board: Board) -> Nameplate | None:
        try:
            return read_nameplate(board)
        except pynvml.NVMLError:  # the sampler reports a board that does not answer
            return None

    def _compare(self, board: Board, nameplate: Nameplate) -> None:
        before, self._nameplates[board.device_id] = self._nameplates[board.device_id], nameplate
        changes = before.changes(nameplate)
        moved = before.instances != nameplate.instances
        _apply(board, nameplate)
        now_us = self._host.now_us()
        if changes:
            self._host.output.add("device", [self._row(board, nameplate, now_us)])
        for kind in ("limit", "device"):
            about = [text for text in changes if text.startswith("limit_") == (kind == "limit")]
            if about:
                self._host.warn(kind, board.device_id, ", ".join(about))
        if moved:
            self._host.output.add("device", self._instance_rows(board, now_us))
            names = ", ".join(one.device_id for one in nameplate.instances) or "none"
            self._host.warn("device", board.device_id, f"MIG instances are now: {names}")
            self._report_shares(board)

    def _report_shares(self, board: Board) -> None:
        """Report once for each set of instances those whose share of the board is not known."""
        names = [one.device_id for one in board.instances if one.share_ppm is None]
        if names:
            text = f"share of the board not known, as the driver does not say: {', '.join(names)}"
            self._host.warn("device", board.device_id, text)

    def _learn(self, board: Board) -> None:
        if self._host.inline or not self._config.learn_s:
            return
        twin = board.twin()  # the sampler goes on reading the board itself meanwhile
        learn_periods([twin], self._host.clock, self._config.learn_s, self._stop, counters=False)
        if twin.update_us is None or self._stop.is_set():
            return
        # Learning the same period twice gives slightly different results: polling has a resolution.
        before_us, board.update_us = board.update_us, twin.update_us
        if before_us is None or abs(before_us - twin.update_us) > before_us // 10:
            self._host.output.add(
                "device", [self._row(board, self._nameplates[board.device_id], self._host.now_us())]
            )
            self._host.warn("device", board.device_id, f"update_us {before_us} -> {twin.update_us}")

    def _row(self, board: Board, nameplate: Nameplate, now_us: int) -> DeviceRow:
        return DEVICE.make_row(
            **self._common(now_us),
            device_id=board.device_id,
            index=nameplate.index,
            minor=nameplate.minor,
            name=board.name,
            pci=board.pci,
            limit_mw=nameplate.limit_mw,
            limit_min_mw=nameplate.limit_min_mw,
            limit_max_mw=nameplate.limit_max_mw,
            limit_default_mw=nameplate.limit_default_mw,
            driver=nameplate.driver,
            # The board may update more often than it is read; its readings then come at the tick.
            update_us=max(board.update_us or 0, self._tick_us),
            sensor_kind=board.sensor,
            learned_us=board.update_us,
            counter_us=board.counter_us,
            counter_scope=board.counter_scope,
            smoothing=nameplate.smoothing,
        )

    def _instance_rows(self, board: Board, now_us: int) -> list[DeviceRow]:
        return [
            DEVICE.make_row(
                **self._common(now_us),
                device_id=one.device_id,
                name=one.name,
                pci=board.pci,
                mig_parent=board.device_id,
                driver=board.driver,
                mig_ppm=one.share_ppm,
            )
            for one in board.instances
        ]

    def _common(self, now_us: int) -> dict[str, Any]:
        """Return the columns that all rows of one instant share."""
        place = self._config.place
        return {
            "ts_us": now_us,
            "node": self._host.node,
            "site": place.site,
            "hall": place.hall,
            "pod": place.pod,
            "rack": place.rack,
            "emulated": self._host.emulated,
        }


def _apply(board: Board, nameplate: Nameplate) -> None:
    """Copy what the nameplate says into the board's attributes."""
    board.index, board.driver = nameplate.index, nameplate.driver
    board.limit_mw, board.instances = nameplate.limit_mw, nameplate.instances
    board.limit_max_mw = nameplate.limit_max_mw
