"""The state file: written here, read by the C library in other processes.

In: the boards of a node, stretch by stretch. Out: a file in shared memory (mode 0600) with what the
boards will report, until it is closed or its feeder stops renewing the lease. It is written under
another name and renamed, so a reader finds a whole file or none.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.emulate.native import layout
from tokenergy_collectors.emulate.native.filling import GAUGE_US, SLOT_US, describe_board, fill
from tokenergy_collectors.emulate.nvml import fixed_calls, library
from tokenergy_collectors.emulate.physics.board import Board
from tokenergy_collectors.emulate.physics.power import CHUNK_CELLS
from tokenergy_collectors.emulate.workloads.timeline import CELL_US


class StateFile:
    """The file of one node.

    Args:
        path: where to put it.
        boards: the node's boards.
        origin_us: monotonic clock at profile time zero.
        start_us: UTC at profile time zero.

    Raises:
        UserError: the file cannot be made, or is not ours to replace.
    """

    def __init__(
        self, path: Path, boards: Sequence[Board], *, origin_us: int, start_us: int
    ) -> None:
        if len(boards) > layout.MAX_BOARDS:
            raise UserError(f"{len(boards)} boards: allowed: up to {layout.MAX_BOARDS} a node")
        self.path = path
        self._boards = boards
        first = [board.tables(0, SLOT_US) for board in boards]
        shape = layout.Shape(
            len(boards),
            CHUNK_CELLS,
            SLOT_US // GAUGE_US,
            max((SLOT_US // table.update_us + 2 for table in first), default=0),
        )
        kind = shape.file()
        memory, self._identity = _create(path, kind.itemsize)
        self._file: Any = np.frombuffer(memory, kind, 1)[0]
        self._describe(shape, kind, origin_us, start_us)
        for index, board in enumerate(boards):
            describe_board(self._file["board"][index], board)
        _rename(path, self._identity)

    def keep_alive(self, until_us: int) -> None:
        """Extend the lease: readers trust the file until an instant of the monotonic clock."""
        self._file["header"]["alive_until_us"] = until_us

    def fail(self, index: int, code: int | None) -> None:
        """Let every call on a board return an NVML error code; None ends the failure."""
        self._file["board"]["failure"][index] = code or 0

    def publish(self, number: int) -> None:
        """Write what the boards report in slot `number`: SLOT_US from number * SLOT_US on."""
        from_us = number * SLOT_US
        slot = self._file["slot"][number % layout.SLOTS]
        # Odd while the slot is written: a reader that meets it so, or sees it change, reads again.
        slot["head"]["seq"] += 1
        slot["head"]["from_us"], slot["head"]["to_us"] = from_us, from_us + SLOT_US
        for index, board in enumerate(self._boards):
            fill(slot["table"][index], board, from_us)
        slot["head"]["seq"] += 1

    def close(self) -> None:
        """End the lease, and remove the file unless another feeder has replaced it."""
        self.keep_alive(0)
        try:
            if _identity(self.path.stat()) == self._identity:
                self.path.unlink()
        except FileNotFoundError:
            pass

    def _describe(
        self, shape: layout.Shape, kind: np.dtype[np.void], origin_us: int, start_us: int
    ) -> None:
        fields: dict[str, int | bytes] = {
            "magic": layout.MAGIC,
            "header_bytes": layout.HEADER.itemsize,
            "board_bytes": layout.BOARD.itemsize,
            "table_bytes": layout.TABLE.itemsize,
            "gauge_bytes": layout.GAUGE.itemsize,
            "boards": shape.boards,
            "slots": layout.SLOTS,
            "cells": shape.cells,
            "gauges": shape.gauges,
            "readings": shape.readings,
            "feeder_pid": os.getpid(),
            "origin_us": origin_us,
            "start_us": start_us,
            "slot_us": SLOT_US,
            "cell_us": CELL_US,
            "gauge_us": GAUGE_US,
            "total_bytes": kind.itemsize,
            "cuda_version": fixed_calls.CUDA_VERSION,
            "driver_version": library.DRIVER_VERSION.encode(),
            "nvml_version": library.NVML_VERSION.encode(),
        }
        for name, value in fields.items():
            self._file["header"][name] = value


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _create(path: Path, size: int) -> tuple[mmap.mmap, tuple[int, int]]:
    """Make a file of zeros beside `path`; return its memory and its identity."""
    _check_free(path)
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Reserved now: a write to shared memory that has become full would end us by SIGBUS.
            os.posix_fallocate(descriptor, 0, size)
            return mmap.mmap(descriptor, size), _identity(os.fstat(descriptor))
        finally:
            os.close(descriptor)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _rename(path: Path, identity: tuple[int, int]) -> None:
    temporary = _temporary(path)
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _identity(about: os.stat_result) -> tuple[int, int]:
    return about.st_dev, about.st_ino


def _check_free(path: Path) -> None:
    """Refuse to replace a file that is not a state file, or one whose feeder runs."""
    try:
        with path.open("rb") as file:
            start = file.read(layout.HEADER.itemsize)
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"{path}: cannot be used: {error.strerror}") from None
    if len(start) < layout.HEADER.itemsize or not start.startswith(layout.MAGIC):
        raise UserError(f"{path}: is not a state file of emulated boards; name another file")
    header = np.frombuffer(start, layout.HEADER, 1)[0]
    if int(header["alive_until_us"]) >= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000:
        raise UserError(f"{path}: is in use by process {header['feeder_pid']}; name another file")
