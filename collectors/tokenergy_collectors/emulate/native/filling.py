"""Fills the state file's structures from emulated boards.

In: a board and a stretch of profile time. Out: its description, and a slot's table: readings and
energy for every microsecond, slow gauges step by step, all equal to what `Board` returns.
"""

from __future__ import annotations

from typing import Any

from tokenergy_collectors.base.errors import UserError
from tokenergy_collectors.emulate.native import layout
from tokenergy_collectors.emulate.nvml import fixed_calls
from tokenergy_collectors.emulate.nvml.calls import H100_PCI_ID, RESERVED_BYTES, pci_bus_id
from tokenergy_collectors.emulate.physics.board import Board
from tokenergy_collectors.emulate.physics.power import CHUNK_US

SLOT_US = CHUNK_US
"""A slot is a chunk of the physics."""

GAUGE_US = 100_000
"""The slow gauges (utilization, clocks, temperature, memory, processes) hold for 100 ms."""


def describe_board(record: Any, board: Board) -> None:
    """Write what a board reports of itself.

    Raises:
        UserError: its profile lists a reading that the library cannot switch off.
    """
    identity = board.identity
    generation = fixed_calls.generation(identity.name)
    unknown = identity.unsupported - layout.UNSUPPORTED.keys()
    if unknown:
        raise UserError(
            f"unsupported = {sorted(unknown)}: the library for other programs always supports "
            f"that; allowed: {', '.join(layout.UNSUPPORTED)}"
        )
    fields: dict[str, int | bytes | list[int]] = {
        "uuid": identity.uuid.encode(),
        # One byte less than the field: the C string ends with a zero.
        "name": identity.name.encode()[: layout.BOARD["name"].itemsize - 1],
        "pci_bus_id": pci_bus_id(board).encode(),
        "memory_bytes": identity.memory_bytes,
        "reserved_bytes": RESERVED_BYTES,
        "pci_bus": identity.pci_bus,
        "pci_device_id": H100_PCI_ID,
        "limit_mw": identity.limit_mw,
        "min_limit_mw": identity.min_limit_mw,
        "architecture": generation.architecture,
        "capability_major": generation.capability[0],
        "capability_minor": generation.capability[1],
        "minor": identity.minor,
        "unsupported": sum(layout.UNSUPPORTED[name] for name in identity.unsupported),
        "max_mhz": [board.max_clock_mhz(domain) for domain in range(layout.CLOCKS)],
    }
    for name, value in fields.items():
        record[name] = value


def fill(table: Any, board: Board, from_us: int) -> None:
    """Write one board's table: readings and energy for every instant, gauges step by step."""
    made = board.tables(from_us, from_us + SLOT_US)
    for name in layout.TABLE.names or ():
        value = len(made.instant_mw) if name == "count" else getattr(made, name)
        table["head"][name] = value
    table["energy_nj"], table["power_mw"] = made.energy_nj, made.power_mw
    table["instant_mw"][: len(made.instant_mw)] = made.instant_mw
    table["average_mw"][: len(made.average_mw)] = made.average_mw
    for step, gauge in enumerate(table["gauge"]):
        _fill_gauge(gauge, board, from_us + step * GAUGE_US)


def _fill_gauge(gauge: Any, board: Board, at_us: int) -> None:
    """Write the slow gauges as the board reports them at an instant."""
    found = board.processes(at_us)
    if len(found) > layout.PROCESSES:
        raise UserError(f"{len(found)} processes on a board: allowed: up to {layout.PROCESSES}")
    sm_percent, mem_percent = board.utilization(at_us)
    values = (
        board.used_bytes(at_us),
        board.clock_reasons(at_us),
        sm_percent,
        mem_percent,
        board.temp_c(at_us),
        len(found),
        [board.clock_mhz(domain, at_us) for domain in range(layout.CLOCKS)],
    )
    for name, value in zip(layout.GAUGE.names or (), values, strict=False):
        gauge[name] = value
    for entry, process in zip(gauge["process"], found, strict=False):
        entry["pid"], entry["used_bytes"] = process.pid, process.used_bytes
