"""The layout of the state file in numpy's terms; `state.h` says what each field means.

In: how many boards, cells, gauges and readings. Out: structured types whose offsets are those of
the C structures (a test compares them), so that a file is written field by field by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MAGIC = b"TOKNVML1"
MAX_BOARDS = 1024
PROCESSES = 8
CLOCKS = 4
SLOTS = 4
UNSUPPORTED = {"instant": 1, "average": 2, "usage": 4, "counter": 8}
"""Bits of the readings that a board does not support, by their names in profiles."""

HEADER = np.dtype(
    [
        ("magic", "S8"),
        ("header_bytes", "u4"),
        ("board_bytes", "u4"),
        ("table_bytes", "u4"),
        ("gauge_bytes", "u4"),
        ("boards", "u4"),
        ("slots", "u4"),
        ("cells", "u4"),
        ("gauges", "u4"),
        ("readings", "u4"),
        ("feeder_pid", "u4"),
        ("origin_us", "i8"),
        ("start_us", "i8"),
        ("slot_us", "i8"),
        ("cell_us", "i8"),
        ("gauge_us", "i8"),
        ("alive_until_us", "i8"),
        ("total_bytes", "u8"),
        ("cuda_version", "u4"),
        ("unused", "u4"),
        ("driver_version", "S80"),
        ("nvml_version", "S80"),
    ],
    align=True,
)

BOARD = np.dtype(
    [
        ("uuid", "S80"),
        ("name", "S96"),
        ("pci_bus_id", "S32"),
        ("memory_bytes", "u8"),
        ("reserved_bytes", "u8"),
        ("pci_bus", "u4"),
        ("pci_device_id", "u4"),
        ("limit_mw", "u4"),
        ("min_limit_mw", "u4"),
        ("architecture", "u4"),
        ("capability_major", "u4"),
        ("capability_minor", "u4"),
        ("unsupported", "u4"),
        ("max_mhz", "u4", (CLOCKS,)),
        ("failure", "i4"),
        ("minor", "u4"),
    ],
    align=True,
)

PROCESS = np.dtype([("used_bytes", "u8"), ("pid", "u4"), ("unused", "u4")], align=True)

GAUGE = np.dtype(
    [
        ("used_bytes", "u8"),
        ("clock_reasons", "u8"),
        ("sm_percent", "u4"),
        ("mem_percent", "u4"),
        ("temp_c", "u4"),
        ("processes", "u4"),
        ("mhz", "u4", (CLOCKS,)),
        ("process", PROCESS, (PROCESSES,)),
    ],
    align=True,
)

TABLE = np.dtype(
    [
        ("update_us", "i8"),
        ("phase_us", "i8"),
        ("first", "i8"),
        ("count", "i8"),
        ("counter_update_us", "i8"),
        ("counter_phase_us", "i8"),
        ("base_mj", "i8"),
        ("counter_gain_ppm", "i4"),
        ("counter_rest_mw", "u4"),
        ("module_rest_mw", "u4"),
        ("usage_instant", "u4"),
    ],
    align=True,
)

SLOT = np.dtype([("seq", "u8"), ("from_us", "i8"), ("to_us", "i8")], align=True)


@dataclass(frozen=True, slots=True)
class Shape:
    """How much a state file has room for.

    Attributes:
        boards: number of boards.
        cells: cells of true power in a slot.
        gauges: steps of the slow gauges in a slot.
        readings: power readings in a slot, at most.
    """

    boards: int
    cells: int
    gauges: int
    readings: int

    def table(self) -> np.dtype[np.void]:
        """Return the type of one board's table with the arrays behind it."""
        return np.dtype(
            [
                ("head", TABLE),
                ("energy_nj", "i8", (self.cells,)),
                ("gauge", GAUGE, (self.gauges,)),
                ("power_mw", "u4", (self.cells,)),
                ("instant_mw", "u4", (self.readings,)),
                ("average_mw", "u4", (self.readings,)),
            ],
            align=True,
        )

    def slot(self) -> np.dtype[np.void]:
        """Return the type of a slot with the tables of all boards."""
        return np.dtype([("head", SLOT), ("table", self.table(), (self.boards,))], align=True)

    def file(self) -> np.dtype[np.void]:
        """Return the type of the whole file."""
        return np.dtype(
            [
                ("header", HEADER),
                ("board", BOARD, (self.boards,)),
                ("slot", self.slot(), (SLOTS,)),
            ],
            align=True,
        )
