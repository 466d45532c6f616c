"""Keeps the `device` table true: a row a board and MIG instance at start, and one at each change.

In: opened boards, looked at again about once a minute and when one has come back. Out: rows, and
events that say what changed: `limit` for power limits, `device` for the rest.

A board that has come back may be another in all but its UUID: a driver of another version, another
index, another update period. The period is learned anew, beside the sampling; on a virtual clock,
where watching would let time pass, it stays as it was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pynvml

from tokenergy_collectors.base.clock import Clock, VirtualClock
from tokenergy_collectors.settings.config import Config
from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.learn import learn_periods
from tokenergy_collectors.sources.nvml.nameplate import (
    Nameplate,
    nameplate_as_opened,
    read_nameplate,
)
from tokenergy_collectors.sources.nvml.rate import rate_hz
from tokenergy_collectors.sources.source import Tell

Row = tuple[Any, ...]


class DeviceWatch:
    """Watches what the boards of a node say about themselves.

    Args:
        config: names the node and its place.
        boards: the boards, opened; what changed is written into them.
        clock: what learning waits on.
        now_us: returns the stamp of this instant.
        add: takes rows of `device`.
        tell: takes events.
        emulated: True if the boards are the emulator's.
    """

    def __init__(
        self,
        config: Config,
        boards: Iterable[Board],
        clock: Clock,
        now_us: Callable[[], int],
        add: Callable[[list[Row]], None],
        tell: Tell,
        *,
        emulated: bool,
    ) -> None:
        self._config = config
        self._boards = list(boards)
        self._clock = clock
        self._now_us = now_us
        self._add = add
        self._tell = tell
        self._emulated = emulated
        self._tick_us = round(1_000_000 / rate_hz(config, self._boards))
        self._plates: dict[str, Nameplate] = {}
        self._returned: set[str] = set()
        self._stop = threading.Event()

    def begin(self) -> None:
        """Write the rows of all boards as they were found."""
        now_us = self._now_us()
        for board in self._boards:
            plate = self._plates[board.device_id] = self._read(board) or nameplate_as_opened(board)
            _apply(board, plate)
            self._add([self._row(board, plate, now_us)])
            self._add(self._instance_rows(board, now_us))

    def returned(self, device_id: str | None) -> None:
        """Have the update period of a board that was lost learned anew, at the next look."""
        if device_id is not None:
            self._returned.add(device_id)

    def look(self) -> None:
        """Ask all boards that answer for their plates; write and tell what changed."""
        returned, self._returned = self._returned, set()
        for board in self._boards:
            rests = board.failure is not None or board.slow
            plate = None if rests else self._read(board)
            if plate is not None:
                self._compare(board, plate)
        for board in self._boards:
            if board.device_id in returned and board.failure is None:
                self._learn(board)

    def finish(self) -> None:
        """End a learning that is under way."""
        self._stop.set()

    def _read(self, board: Board) -> Nameplate | None:
        try:
            return read_nameplate(board)
        except pynvml.NVMLError:  # the sampler tells it
            return None

    def _compare(self, board: Board, plate: Nameplate) -> None:
        before, self._plates[board.device_id] = self._plates[board.device_id], plate
        changes = before.changes(plate)
        moved = before.instances != plate.instances
        _apply(board, plate)
        now_us = self._now_us()
        if changes:
            self._add([self._row(board, plate, now_us)])
        for kind in ("limit", "device"):
            about = [text for text in changes if text.startswith("limit_") == (kind == "limit")]
            if about:
                self._tell(kind, board.device_id, ", ".join(about))
        if moved:
            self._add(self._instance_rows(board, now_us))
            there = ", ".join(one.device_id for one in plate.instances) or "none"
            self._tell("device", board.device_id, f"MIG instances: {there}")

    def _learn(self, board: Board) -> None:
        if isinstance(self._clock, VirtualClock) or not self._config.learn_s:
            return
        twin = board.twin()
        learn_periods([twin], self._clock, self._config.learn_s, self._stop, counters=False)
        if twin.update_us is None or self._stop.is_set():
            return
        # Two learnings of one period differ by the polling's own resolution.
        before_us, board.update_us = board.update_us, twin.update_us
        if before_us is None or abs(before_us - twin.update_us) > before_us // 10:
            self._add([self._row(board, self._plates[board.device_id], self._now_us())])
            self._tell("device", board.device_id, f"update_us {before_us} -> {twin.update_us}")

    def _row(self, board: Board, plate: Nameplate, now_us: int) -> Row:
        update_us = max(board.update_us or 0, self._tick_us)
        limits = (plate.limit_min_mw, plate.limit_max_mw, plate.limit_default_mw)
        return (
            *(now_us, board.device_id, self._config.node, plate.index, board.name, board.pci, None),
            *(plate.limit_mw, plate.driver, update_us),
            *(board.sensor, board.update_us, board.counter_us, *self._place(), self._emulated),
            *(None, *limits, board.counter_scope, plate.smoothing),
        )

    def _instance_rows(self, board: Board, now_us: int) -> list[Row]:
        return [
            (
                *(now_us, one.device_id, self._config.node, None, one.name, board.pci),
                *(board.device_id, None, board.driver, None, None, None, None),
                *(*self._place(), self._emulated),
                *(one.share_ppm, None, None, None, None, None),
            )
            for one in board.instances
        ]

    def _place(self) -> tuple[str | None, ...]:
        place = self._config.place
        return (place.site, place.hall, place.pod, place.rack)


def _apply(board: Board, plate: Nameplate) -> None:
    """Let the board be what its plate says from now on."""
    board.index, board.driver = plate.index, plate.driver
    board.limit_mw, board.instances = plate.limit_mw, plate.instances
