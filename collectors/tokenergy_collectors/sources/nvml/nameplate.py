"""What a board says about itself besides its readings, at start and whenever it is asked again.

In: an opened board. Out: its plate: place, driver, power limits, power smoothing, MIG instances.
What a board does not tell is None.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pynvml

from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.fieldvalues import field_values
from tokenergy_collectors.sources.nvml.mig import Instance, instances_of

_NOT_TOLD = (
    pynvml.NVMLError_NotSupported,
    pynvml.NVMLError_FunctionNotFound,
    pynvml.NVMLError_NoPermission,
    pynvml.NVMLError_NotFound,
)

_SMOOTHING = {
    "enabled": pynvml.NVML_FI_PWR_SMOOTHING_ENABLED,
    "immediate_ramp_down": pynvml.NVML_FI_PWR_SMOOTHING_IMM_RAMP_DOWN_ENABLED,
    "tmp_ceiling": pynvml.NVML_FI_PWR_SMOOTHING_APPLIED_TMP_CEIL,
    "tmp_floor": pynvml.NVML_FI_PWR_SMOOTHING_APPLIED_TMP_FLOOR,
    "profile": pynvml.NVML_FI_PWR_SMOOTHING_ACTIVE_PRESET_PROFILE,
    "override_floor_percent": pynvml.NVML_FI_PWR_SMOOTHING_ADMIN_OVERRIDE_PERCENT_TMP_FLOOR,
    "override_ramp_up_mw_s": pynvml.NVML_FI_PWR_SMOOTHING_ADMIN_OVERRIDE_RAMP_UP_RATE,
    "override_ramp_down_mw_s": pynvml.NVML_FI_PWR_SMOOTHING_ADMIN_OVERRIDE_RAMP_DOWN_RATE,
    "override_hysteresis_ms": pynvml.NVML_FI_PWR_SMOOTHING_ADMIN_OVERRIDE_RAMP_DOWN_HYST_VAL,
}
"""Settings of the board, by the name they get; units as NVML documents them."""

_SMOOTHING_OF_PROFILE = {
    "floor_percent": pynvml.NVML_FI_PWR_SMOOTHING_PROFILE_PERCENT_TMP_FLOOR,
    "ramp_up_mw_s": pynvml.NVML_FI_PWR_SMOOTHING_PROFILE_RAMP_UP_RATE,
    "ramp_down_mw_s": pynvml.NVML_FI_PWR_SMOOTHING_PROFILE_RAMP_DOWN_RATE,
    "hysteresis_ms": pynvml.NVML_FI_PWR_SMOOTHING_PROFILE_RAMP_DOWN_HYST_VAL,
}
"""Settings of a preset profile, whose number is the field's scope; read for the active one."""

_UNSET = pynvml.NVML_POWER_SMOOTHING_ADMIN_OVERRIDE_NOT_SET


@dataclass(frozen=True, slots=True)
class Plate:
    """What a board says about itself; limits in mW, `smoothing` as a JSON object."""

    index: int
    driver: str | None
    limit_mw: int | None
    instances: tuple[Instance, ...]
    limit_min_mw: int | None = None
    limit_max_mw: int | None = None
    limit_default_mw: int | None = None
    smoothing: str | None = None

    def changes(self, other: Plate) -> list[str]:
        """Return in words what is different in a later plate, the instances apart."""
        names = [name for name in Plate.__slots__ if name != "instances"]
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]


def plate_as_opened(board: Board) -> Plate:
    """Return the plate of a board as far as it was told when the board was opened."""
    return Plate(board.index, board.driver, board.limit_mw, board.instances)


def read_plate(board: Board) -> Plate:
    """Ask a board for its plate.

    Raises:
        pynvml.NVMLError: the board does not answer; one that does not know a thing is none.
    """
    handle = board.handle
    bounds = told(partial(pynvml.nvmlDeviceGetPowerManagementLimitConstraints, handle))
    low_mw, high_mw = bounds if bounds is not None else (None, None)
    index = told(partial(pynvml.nvmlDeviceGetIndex, handle))
    return Plate(
        index=board.index if index is None else index,
        driver=told(pynvml.nvmlSystemGetDriverVersion),
        limit_mw=told(partial(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
        limit_min_mw=low_mw,
        limit_max_mw=high_mw,
        limit_default_mw=told(partial(pynvml.nvmlDeviceGetPowerManagementDefaultLimit, handle)),
        smoothing=_smoothing(handle),
        instances=instances_of(handle, told),
    )


def told(call: Callable[[], Any]) -> Any:
    """Return what an NVML call returns; None if the board does not know it, or may not tell.

    Raises:
        pynvml.NVMLError: the call failed for another reason.
    """
    try:
        return call()
    except _NOT_TOLD:
        return None


def _smoothing(handle: Any) -> str | None:
    """Return the power smoothing settings that are told, as a JSON object; None if none is."""
    found = _fields(handle, {name: (number, 0) for name, number in _SMOOTHING.items()})
    profile = found.get("profile")
    if profile is not None:
        of_profile = {name: (number, profile) for name, number in _SMOOTHING_OF_PROFILE.items()}
        found |= _fields(handle, of_profile)
    return json.dumps(found, sort_keys=True) if found else None


def _fields(handle: Any, wanted: dict[str, tuple[int, int]]) -> dict[str, int]:
    """Return those of some fields (number and scope) that are told, in one call."""
    values = told(partial(field_values, handle, list(wanted.values()))) or ()
    read = dict(zip(wanted, values, strict=False))
    return {name: value for name, value in read.items() if value is not None and value != _UNSET}
