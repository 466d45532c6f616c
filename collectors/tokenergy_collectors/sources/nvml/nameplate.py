"""The nameplate of a board: what it says about itself besides its readings.

In: an opened board. Out: its index, minor number, driver, power limits, power smoothing and MIG
instances; None for what it does not report. All of it may change while the collector runs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pynvml

from tokenergy_collectors.sources.nvml.boards import Board
from tokenergy_collectors.sources.nvml.calls import optional
from tokenergy_collectors.sources.nvml.fieldvalues import field_values
from tokenergy_collectors.sources.nvml.mig import Instance, instances_of
from tokenergy_collectors.sources.nvml.ranges import readable, within

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
class Nameplate:
    """What a board says about itself; limits in mW, `smoothing` as a JSON object."""

    index: int
    driver: str | None
    limit_mw: int | None
    instances: tuple[Instance, ...]
    limit_min_mw: int | None = None
    limit_max_mw: int | None = None
    limit_default_mw: int | None = None
    minor: int | None = None
    smoothing: str | None = None

    def changes(self, other: Nameplate) -> list[str]:
        """Return in words how a later nameplate differs, MIG instances left out."""
        names = [name for name in Nameplate.__slots__ if name != "instances"]
        pairs = [(name, getattr(self, name), getattr(other, name)) for name in names]
        return [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]


def nameplate_as_opened(board: Board) -> Nameplate:
    """Return the nameplate of a board as far as it was read when the board was opened."""
    return Nameplate(board.index, board.driver, board.limit_mw, board.instances, minor=board.minor)


def read_nameplate(board: Board) -> Nameplate:
    """Read the nameplate of a board.

    Raises:
        pynvml.NVMLError: the board does not answer. A value that it does not have is no error.
    """
    handle = board.handle
    bounds = optional(pynvml.nvmlDeviceGetPowerManagementLimitConstraints, handle)
    low_mw, high_mw = bounds if bounds is not None else (None, None)
    index = within("index", optional(pynvml.nvmlDeviceGetIndex, handle))
    default_mw = optional(pynvml.nvmlDeviceGetPowerManagementDefaultLimit, handle)
    return Nameplate(
        index=board.index if index is None else index,
        driver=readable(optional(pynvml.nvmlSystemGetDriverVersion)),
        limit_mw=within("limit_mw", optional(pynvml.nvmlDeviceGetEnforcedPowerLimit, handle)),
        limit_min_mw=within("limit_mw", low_mw),
        limit_max_mw=within("limit_mw", high_mw),
        limit_default_mw=within("limit_mw", default_mw),
        minor=within("minor", optional(pynvml.nvmlDeviceGetMinorNumber, handle)),
        smoothing=_smoothing(handle),
        instances=instances_of(handle, optional),
    )


def _smoothing(handle: Any) -> str | None:
    """Return the power smoothing settings as a JSON object; None if the board has none."""
    found = _fields(handle, {name: (number, 0) for name, number in _SMOOTHING.items()})
    profile = found.get("profile")
    if profile is not None:
        of_profile = {name: (number, profile) for name, number in _SMOOTHING_OF_PROFILE.items()}
        found |= _fields(handle, of_profile)
    return json.dumps(found, sort_keys=True) if found else None


def _fields(handle: Any, wanted: dict[str, tuple[int, int]]) -> dict[str, int]:
    """Return those of some fields (number and scope) that have a value, read in one call."""
    values = optional(field_values, handle, list(wanted.values())) or ()
    read = dict(zip(wanted, values, strict=False))
    return {name: value for name, value in read.items() if value is not None and value != _UNSET}
