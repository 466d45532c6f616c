"""The batched fields of emulated NVML: nvmlDeviceGetFieldValues.

In: a board's readings by field and scope, and the array that the binding passed. Out: the array
filled in, all fields of one instant, each with a return code of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ctypes import c_char
from struct import Struct
from typing import Any

import pynvml

from tokenergy_collectors.emulate.nvml.calls import Read
from tokenergy_collectors.emulate.nvml.codes import INVALID_ARGUMENT, NOT_SUPPORTED, SUCCESS
from tokenergy_collectors.emulate.physics.board import Board

_HEAD = Struct("=II")  # c_nvmlFieldValue_t: fieldId, scopeId
_BODY = Struct("=qqIIQ")  # then timestamp, latencyUsec, valueType, nvmlReturn, value
_FIELD_BYTES = _HEAD.size + _BODY.size

Fields = Mapping[tuple[int, int], tuple[int, Read]]
"""Value type and reading, by field id and scope."""

FIELDS: dict[int, tuple[str, int, Read]] = {
    pynvml.NVML_FI_DEV_POWER_INSTANT: (
        "instant",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_INT,
        Board.power_instant_mw,
    ),
    pynvml.NVML_FI_DEV_POWER_AVERAGE: (
        "average",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_INT,
        Board.power_average_mw,
    ),
    pynvml.NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION: (
        "counter",
        pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG,
        Board.energy_mj,
    ),
}
"""Field id to its name in a profile's `unsupported`, its value type and its reading."""

_MODULE_FIELDS: dict[int, Read] = {
    pynvml.NVML_FI_DEV_POWER_INSTANT: Board.module_instant_mw,
    pynvml.NVML_FI_DEV_POWER_AVERAGE: Board.module_average_mw,
}
"""Field id to its reading in the scope of the module, on boards that sit on one."""


def fields_of(
    board: Board, reading: Callable[[str, Read], Read]
) -> dict[tuple[int, int], tuple[int, Read]]:
    """Return value type and reading of the fields that a board supports, by field and scope.

    Args:
        board: the board.
        reading: wraps each reading, given its name; faults change what it returns.
    """
    gpu, module = pynvml.NVML_POWER_SCOPE_GPU, pynvml.NVML_POWER_SCOPE_MODULE
    found: dict[tuple[int, int], tuple[int, Read]] = {}
    for field, (name, kind, read) in FIELDS.items():
        if name not in board.identity.unsupported:
            found[field, gpu] = (kind, reading(name, read))
            if field in _MODULE_FIELDS and board.module_rest_mw:
                found[field, module] = (kind, reading(name, _MODULE_FIELDS[field]))
    return found


class FieldArrays:
    """Fills arrays of c_nvmlFieldValue_t where they are."""

    def __init__(self) -> None:
        # Making a ctypes array type costs more than filling one in: one type for each length.
        self._types: dict[int, Any] = {}

    def fill(
        self, fields: Fields, board: Board, now_us: int, stamp_us: int, count: int, address: int
    ) -> int:
        """Fill in an array of fields; return an NVML return code.

        Args:
            fields: the fields that the board supports.
            board: the board.
            now_us: profile time of the readings.
            stamp_us: the same instant in UTC, which NVML returns with each field.
            count: number of fields in the array.
            address: where the array is.
        """
        array = self._types.get(count)
        if array is None:
            if count < 1:
                return INVALID_ARGUMENT
            array = self._types[count] = c_char * (_FIELD_BYTES * count)
        raw = array.from_address(address)
        for offset in range(0, _FIELD_BYTES * count, _FIELD_BYTES):
            field, scope = _HEAD.unpack_from(raw, offset)
            kind, code, value = 0, NOT_SUPPORTED, 0
            if (field, scope) in fields:
                kind, read = fields[field, scope]
                code, value = SUCCESS, read(board, now_us)
            _BODY.pack_into(raw, offset + _HEAD.size, stamp_us, 0, kind, code, value)
        return SUCCESS
